"""A SQLite database as a file, opened to read; a server does that too, and pays for no Alembic."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import make_url
from sqlalchemy.engine import URL

JOURNALS = ("-wal", "-journal")
PATIENCE = 5.0  # seconds


def in_memory(url: str | URL) -> bool:
    """Whether the URL names no plain file: memory, or SQLite's own URI form."""
    name = make_url(url).database
    return not name or name == ":memory:" or name.startswith("file:")


def open_to_read(url: URL, patience: float = PATIENCE) -> sqlite3.Connection:
    """Open the file so that nothing is written and nothing is left beside it.

    Not with mode=ro: that leaves -wal and -shm files of a database in WAL behind, and cannot read
    one whose last writer was killed. https://www.sqlite.org/wal.html#read_only_databases

    :param patience: how long to wait for a writer, in seconds
    """
    path = Path(url.database or "").absolute()
    uri = f"file:{quote(str(path))}"
    raw = open_uri(f"{uri}?mode=rw", patience)
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return raw
    try:
        raw.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        # in WAL, SQLite makes files beside it even to read, and here it may not
        if "readonly" in str(error) and not any(_holds_more(path, end) for end in JOURNALS):
            raw.close()
            return open_uri(f"{uri}?immutable=1", patience)
    except sqlite3.DatabaseError:
        pass  # who reads will be told
    return raw


def _holds_more(path: Path, suffix: str) -> bool:
    beside = Path(f"{path}{suffix}")
    return beside.exists() and beside.stat().st_size > 0


def open_uri(name: str, patience: float = PATIENCE) -> sqlite3.Connection:
    """Open what SQLite's own URI form names, to read."""
    raw = sqlite3.connect(name, uri=True, check_same_thread=False, timeout=patience)
    raw.execute("PRAGMA query_only=ON")
    return raw
