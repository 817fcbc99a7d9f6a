"""A SQLite database as a file, opened to read; a server does that too, and pays for no Alembic."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from sqlalchemy.engine import URL

JOURNALS = ("-wal", "-journal")
PATIENCE = 5.0  # seconds


def _named(url: URL) -> tuple[str, dict[str, list[str]] | None]:
    """What SQLite is given to open, and what that asks for where it has SQLite's own URI form."""
    (name,), options = url.get_dialect()().create_connect_args(url)
    return name, parse_qs(urlsplit(name).query) if options.get("uri") else None


def file_of(url: URL) -> Path | None:
    """Return the file that a URL names, be it in SQLite's own URI form; None for memory and a server.

    https://www.sqlite.org/uri.html
    """
    return _file(*_named(url)) if url.get_backend_name() == "sqlite" else None


def _file(name: str, asked: dict[str, list[str]] | None) -> Path | None:
    path = name if asked is None else unquote(urlsplit(name).path)
    memory = path in ("", ":memory:") or (asked and asked.get("mode") == ["memory"])
    return None if memory else Path(path)


def open_to_read(url: URL, patience: float = PATIENCE) -> sqlite3.Connection:
    """Open the file so that nothing is written and nothing is left beside it; a URI as that says.

    Not with mode=ro: that leaves -wal and -shm files of a database in WAL behind, and cannot read
    one whose last writer was killed. https://www.sqlite.org/wal.html#read_only_databases

    :param patience: how long to wait for a writer, in seconds
    """
    name, asked = _named(url)
    if asked is not None:
        if not (_file(name, asked) or Path()).exists():  # which would make one
            raise sqlite3.OperationalError("unable to open database file")
        return _open_uri(name, patience)
    path = Path(name).absolute()
    uri = f"file:{quote(str(path))}"
    raw = _open_uri(f"{uri}?mode=rw", patience)
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return raw
    try:
        raw.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        # in WAL, SQLite makes files beside it even to read, and here it may not
        denied = "readonly" in str(error) or "unable to open" in str(error)
        if denied and not any(_holds_more(path, end) for end in JOURNALS):
            raw.close()
            return _open_uri(f"{uri}?immutable=1", patience)
    except sqlite3.DatabaseError:
        pass  # who reads will be told
    return raw


def _holds_more(path: Path, suffix: str) -> bool:
    beside = Path(f"{path}{suffix}")
    return beside.exists() and beside.stat().st_size > 0


def _open_uri(name: str, patience: float) -> sqlite3.Connection:
    raw = sqlite3.connect(name, uri=True, check_same_thread=False, timeout=patience)
    raw.execute("PRAGMA query_only=ON")
    return raw
