"""Migrations made safe for Flask, Flask-SQLAlchemy and Flask-Migrate.

An application uses :class:`Keel` and :data:`naming_convention`; a migration may use
:func:`is_rehearsal`, :func:`backfill` and :func:`require_no_nulls`. What is not asked for is not
imported: a server never loads Alembic.
"""

from importlib import import_module
from typing import Any

PUBLIC = {
    "Keel": "extension",
    "backfill": "data",
    "is_rehearsal": "data",
    "naming_convention": "models",
    "require_no_nulls": "data",
}
__all__ = list(PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{PUBLIC[name]}", __name__), name)
