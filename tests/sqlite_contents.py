"""What a SQLite database holds, to the type of each value, for tests that compare two of them.

All but the log, in which each run, and each failure, leaves a row.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def contents(path: Path) -> dict[str, Any]:
    """Return the schema as its text, and every row with the storage class of its values."""
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
        connection.text_factory = bytes
        schema = (
            "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_log' "
            "ORDER BY name, type"
        )
        found: dict[str, Any] = {"schema": connection.execute(schema).fetchall()}
        for name in ("user_version", "application_id", "encoding"):
            found[name] = connection.execute(f"PRAGMA {name}").fetchone()
        for kind, raw, _, _ in found["schema"]:
            if kind == b"table":
                table = raw.decode()
                found[table] = _rows(connection, table)
    return found


def rows(path: Path, sql: str, *parameters: Any) -> list[tuple]:
    """Run one statement with foreign keys on, as the application does, and return its rows."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=ON")
        return connection.execute(sql, parameters).fetchall()


def script(path: Path, sql: str) -> None:
    """Run statements with foreign keys on."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA foreign_keys=ON; BEGIN; {sql}; COMMIT")


def tables(path: Path) -> set[str]:
    found = rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in found} - {"alembic_log"}


def beside(path: Path) -> dict[str, bytes]:
    """Return the files of a database, with their bytes."""
    return {file.name: file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*"))}


def _rows(connection: sqlite3.Connection, table: str) -> list[tuple]:
    names = connection.execute(f'PRAGMA table_xinfo("{table}")').fetchall()
    quoted = ['"' + name.decode().replace('"', '""') + '"' for _, name, *_ in names]
    columns = ", ".join(f"{name}, typeof({name})" for name in quoted)
    return sorted(connection.execute(f'SELECT {columns} FROM "{table}"').fetchall(), key=repr)
