"""The versions on which the toolkit was tried: the engine leans on Alembic's inner parts."""

import sqlite3
from importlib import metadata

from alembic.util import CommandError

from . import messages

# first version that works, first that was not tried
WANTED = {
    "alembic": ((1, 20), (1, 21)),
    "SQLAlchemy": ((2, 1), (2, 2)),
    "Flask": ((3, 1), (4,)),
    "Flask-SQLAlchemy": ((3, 1), (4,)),
    "Flask-Migrate": ((4, 1), (5,)),
}


def check() -> None:
    """Stop when a library is outside of the range that works.

    :raises CommandError: naming the library, its version and what installs the right one
    """
    if sqlite3.sqlite_version_info < (3, 35):
        raise CommandError(messages.OLD_SQLITE.format(version=sqlite3.sqlite_version))
    for name, (first, beyond) in WANTED.items():
        version = metadata.version(name)
        if not first <= _parts(version) < beyond:
            wanted = f">={_text(first)},<{_text(beyond)}"
            raise CommandError(
                messages.OUTSIDE.format(
                    name=name,
                    version=version,
                    wanted=wanted,
                    command=f"pip install '{name}{wanted}'",
                )
            )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _text(parts: tuple[int, ...]) -> str:
    return ".".join(map(str, parts))
