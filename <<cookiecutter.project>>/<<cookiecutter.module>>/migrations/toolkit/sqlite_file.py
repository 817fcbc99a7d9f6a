"""A SQLite database as a file: is it there, may it be read, what lies beside it."""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic.util import CommandError
from sqlalchemy import make_url

from . import messages


def in_memory(url: Any) -> bool:
    """Whether the URL names no plain file: memory, or SQLite's own URI form."""
    name = make_url(url).database
    return not name or name == ":memory:" or name.startswith("file:")


def require(url: Any) -> None:
    """Stop when there is no file.

    :raises CommandError: naming it
    """
    if not in_memory(url) and not Path(url.database).exists():
        raise CommandError(messages.NO_DATABASE.format(database=url.database))


def require_folder(path: Path) -> None:
    """Stop when the folder of a database to be made is not there.

    :raises CommandError: naming the folder
    """
    if not path.parent.is_dir():
        raise CommandError(messages.NO_FOLDER.format(database=path, folder=path.parent))


def open_to_read(url: Any) -> sqlite3.Connection:
    """Open the file so that nothing can be written. https://www.sqlite.org/uri.html#urimode"""
    path = quote(str(Path(url.database).absolute()))
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)


def remove(path: Path) -> None:
    """Remove a database and the files that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
