"""Migrations made safe for Flask, Flask-SQLAlchemy and Flask-Migrate.

An application uses :class:`Keel`, :class:`SQLAlchemy` and :data:`naming_convention`; a migration may use
:func:`is_rehearsal`, :func:`backfill` and :func:`require_no_nulls`. What is not asked for is not
imported: a server never loads Alembic.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # each twice: that is how a checker is told that it is public
    from .data import backfill as backfill
    from .data import is_rehearsal as is_rehearsal
    from .data import require_no_nulls as require_no_nulls
    from .extension import Keel as Keel
    from .models import SQLAlchemy as SQLAlchemy
    from .models import naming_convention as naming_convention

PUBLIC = {
    "Keel": "extension",
    "SQLAlchemy": "models",
    "backfill": "data",
    "is_rehearsal": "data",
    "naming_convention": "models",
    "require_no_nulls": "data",
}
__all__ = list(PUBLIC)


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{PUBLIC[name]}", __name__), name)
