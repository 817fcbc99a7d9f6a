"""A SQLite database as a file: is it there, may it be read, what lies beside it."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from alembic.util import CommandError
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from . import messages

JOURNALS = ("-wal", "-journal")


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
        folder = shlex.quote(str(path.parent))
        raise CommandError(messages.NO_FOLDER.format(database=path, folder=folder))


def open_to_read(url: Any) -> sqlite3.Connection:
    """Open the file so that nothing is written and nothing is left beside it.

    Not with mode=ro: that leaves -wal and -shm files of a database in WAL behind, and cannot read
    one whose last writer was killed. https://www.sqlite.org/wal.html#read_only_databases
    """
    path = Path(url.database).absolute()
    uri = f"file:{quote(str(path))}"
    raw = _open_uri(f"{uri}?mode=rw")
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return raw
    try:
        raw.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        # in WAL, SQLite makes files beside it even to read, and here it may not
        if "readonly" in str(error) and not any(_holds_more(path, end) for end in JOURNALS):
            raw.close()
            return _open_uri(f"{uri}?immutable=1")
    except sqlite3.DatabaseError:
        pass  # who reads will be told
    return raw


def _holds_more(path: Path, suffix: str) -> bool:
    beside = Path(f"{path}{suffix}")
    return beside.exists() and beside.stat().st_size > 0


@contextmanager
def named(engine: Engine) -> Iterator[sqlite3.Connection | None]:
    """Give the database that an engine names, to read: SQLite's own URI form too.

    None when there is no file. Memory is given as the engine holds it, for nobody else sees it.
    """
    (name,), options = engine.dialect.create_connect_args(engine.url)
    uri = bool(options.get("uri"))
    asked = parse_qs(urlsplit(name).query) if uri else {}
    if name == ":memory:" or asked.get("mode") == ["memory"]:
        with closing(engine.raw_connection()) as lent:
            yield lent.driver_connection
    elif not Path(unquote(urlsplit(name).path) if uri else name).exists():
        yield None
    else:
        opened = _open_uri(name) if uri else open_to_read(make_url("sqlite://").set(database=name))
        with closing(opened) as raw:
            yield raw


def _open_uri(name: str) -> sqlite3.Connection:
    raw = sqlite3.connect(name, uri=True, check_same_thread=False)
    raw.execute("PRAGMA query_only=ON")
    return raw


def reader(url: Any) -> Engine:
    """Return an engine that makes no file and takes no lock.

    :raises CommandError: when there is no file
    """
    require(url)
    return create_engine("sqlite://", creator=lambda: open_to_read(url), poolclass=NullPool)


def make(path: Path) -> bool:
    """Make an empty file; return whether it was this call that did.

    :raises CommandError: when its folder is not there, or takes no file
    """
    require_folder(path)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
    except FileExistsError:
        return False
    except OSError as error:
        raise CommandError(
            messages.NOT_MADE.format(
                database=path, folder=shlex.quote(str(path.parent)), reason=error.strerror
            )
        ) from error
    return True


def unmake(path: Path) -> None:
    """Remove a file that :func:`make` made, unless another process has put something into it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(
            "BEGIN EXCLUSIVE"
        )  # who waits for the lock sees afterwards that the file is gone
        if path.stat().st_size == 0:
            path.unlink()


def remove(path: Path) -> None:
    """Remove a database and the files that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
