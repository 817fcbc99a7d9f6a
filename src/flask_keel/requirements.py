"""The versions on which the library was tried: the engine leans on Alembic's inner parts."""

import sqlite3
from importlib import metadata

import click

# first version that works, first that was not tried
WANTED = {
    "alembic": ((1, 20), (1, 21)),
    "SQLAlchemy": ((2, 1), (2, 2)),
    "Flask": ((3, 1), (4,)),
    "Flask-SQLAlchemy": ((3, 1), (4,)),
    "Flask-Migrate": ((4, 1), (5,)),
}


def require_versions() -> None:
    """Stop when a library is outside of the range that works.

    :raises click.ClickException: naming the library, its version and what installs the right one
    """
    if sqlite3.sqlite_version_info < (3, 35):
        raise click.ClickException(
            f"SQLite {sqlite3.sqlite_version} is too old, 3.35 is the first that works: use a newer Python."
        )
    for name, (first, beyond) in WANTED.items():
        version = metadata.version(name)
        if not first <= _parts(version) < beyond:
            wanted = f">={_text(first)},<{_text(beyond)}"
            raise click.ClickException(
                f"{name} {version} is installed, and this application needs {wanted}: "
                f"type pip install '{name}{wanted}'."
            )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _text(parts: tuple[int, ...]) -> str:
    return ".".join(map(str, parts))
