"""SQLite's only safe protocol for migrations: foreign keys off before BEGIN, one transaction.

Measured against the others: with foreign keys on, DROP TABLE deletes the children of a rebuilt
table; inside a transaction the PRAGMA that turns them off does nothing; without BEGIN the first
half of a failed rebuild stays. https://www.sqlite.org/lang_altertable.html#otheralter
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, StaticPool

from . import messages, registered

PATIENCE = 60.0  # seconds
# how the application pools its connections and begins its transactions is not ours
THEIRS = {"poolclass", "isolation_level", "max_overflow", "timeout", "autocommit"}


def engine(url: Any, options: dict[str, Any] | None = None) -> Engine:
    """Return an engine for migrations: none of the application's listeners, no pool.

    :param url: the database's URL
    :param options: the application's arguments for ``create_engine``
    """
    memory = not url.database or url.database == ":memory:"
    kept = _without_theirs(options or {})
    kept["connect_args"] = _without_theirs(kept.get("connect_args", {}))
    return create_engine(url, poolclass=StaticPool if memory else NullPool, **kept)


def _without_theirs(options: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in options.items()
        if key not in THEIRS and not key.startswith("pool_")
    }


@contextmanager
def connect(
    source: Engine, patience: float = PATIENCE, app: Engine | None = None
) -> Iterator[Connection]:
    """Connect so that foreign keys are off and a transaction begins with BEGIN IMMEDIATE.

    :param source: an engine without listeners of its own, as :func:`engine` and :func:`borrowed` make
    :param patience: how long to wait for another writer, in seconds
    :param app: the application's engine, where its functions and collations are wanted
    :raises CommandError: when foreign keys cannot be turned off
    """
    with source.connect() as connection:
        raw = connection.connection.driver_connection
        if app is not None:
            registered.hand_over(app, raw)
        level, raw.isolation_level = raw.isolation_level, None
        keys = foreign_keys_off(raw)

        @event.listens_for(connection, "begin")
        def begin(_: Connection) -> None:
            begin_immediate(raw, patience)

        try:
            yield connection
        finally:
            connection.rollback()
            with suppress(sqlite3.ProgrammingError):  # after Ctrl-C SQLAlchemy has closed it
                raw.execute(f"PRAGMA foreign_keys={int(keys)}")
                raw.isolation_level = level


def foreign_keys_off(raw: sqlite3.Connection) -> bool:
    """Turn foreign keys off and return whether they were on.

    :raises CommandError: when they stay on, as they do inside a transaction
        (https://www.sqlite.org/pragma.html#pragma_foreign_keys)
    """
    before = _foreign_keys(raw)
    raw.execute("PRAGMA foreign_keys=OFF")
    if _foreign_keys(raw):
        raise CommandError(messages.KEYS_STAY_ON)
    return before


def begin_immediate(raw: sqlite3.Connection, patience: float = PATIENCE) -> None:
    """Take the write lock; wait for another writer, and say so.

    :raises sqlite3.OperationalError: when the other one still holds it after ``patience`` seconds
    """
    raw.execute("PRAGMA busy_timeout=0")
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) or not patience:
            raise
        messages.say(messages.WAITING, database=main_file(raw))
        raw.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
        raw.execute("BEGIN IMMEDIATE")
    finally:
        raw.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")


def main_file(raw: sqlite3.Connection) -> str:
    """Return the path of the database, "" for one in memory."""
    return raw.execute("PRAGMA database_list").fetchone()[2]


@contextmanager
def borrowed(source: Engine) -> Iterator[Engine]:
    """Give an engine on the one connection of a database in memory, without its listeners."""
    with closing(source.raw_connection()) as lent:
        raw = lent.driver_connection
        yield create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)


def _foreign_keys(raw: sqlite3.Connection) -> bool:
    return bool(raw.execute("PRAGMA foreign_keys").fetchone()[0])
