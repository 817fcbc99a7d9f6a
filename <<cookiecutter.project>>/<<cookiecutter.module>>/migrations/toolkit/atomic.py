"""SQLite's only safe protocol for migrations: foreign keys off before BEGIN, one transaction.

Measured against the others: with foreign keys on, DROP TABLE deletes the children of a rebuilt
table; inside a transaction the PRAGMA that turns them off does nothing; without BEGIN the first
half of a failed rebuild stays. https://www.sqlite.org/lang_altertable.html#otheralter
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, StaticPool

from . import messages


def engine(url: Any, patience: float = 60, **options: Any) -> Engine:
    """Return an engine for migrations: none of the application's listeners, no pool.

    :param url: the database's URL
    :param patience: how long to wait for another writer, in seconds
    """
    memory = not url.database or url.database == ":memory:"
    arguments = {"timeout": patience, **options.pop("connect_args", {})}
    return create_engine(url, poolclass=StaticPool if memory else NullPool, connect_args=arguments)


@contextmanager
def connect(source: Engine) -> Iterator[Connection]:
    """Connect so that foreign keys are off and a transaction begins with BEGIN IMMEDIATE.

    :param source: an engine without listeners of its own, as :func:`engine` and :func:`borrowed` make
    :raises CommandError: when foreign keys cannot be turned off
    """
    with source.connect() as connection, keys_off(connection):
        raw = connection.connection.driver_connection
        level, raw.isolation_level = raw.isolation_level, None
        event.listen(connection, "begin", _begin_immediate)
        try:
            yield connection
        finally:
            connection.rollback()
            raw.isolation_level = level


@contextmanager
def keys_off(connection: Connection) -> Iterator[None]:
    """Turn foreign keys off on the raw connection, before BEGIN, and on again afterwards.

    :raises CommandError: when they stay on, as they do inside a transaction
        (https://www.sqlite.org/pragma.html#pragma_foreign_keys)
    """
    raw = connection.connection.driver_connection
    before = _foreign_keys(raw)
    raw.execute("PRAGMA foreign_keys=OFF")
    if _foreign_keys(raw):
        raise CommandError(messages.KEYS_STAY_ON)
    try:
        yield
    finally:
        if not raw.in_transaction:
            raw.execute(f"PRAGMA foreign_keys={int(before)}")


@contextmanager
def borrowed(source: Engine) -> Iterator[Engine]:
    """Give an engine on the one connection of a database in memory, without its listeners."""
    with closing(source.raw_connection()) as lent:
        raw = lent.driver_connection
        yield create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)


def _foreign_keys(raw: Any) -> bool:
    return bool(raw.execute("PRAGMA foreign_keys").fetchone()[0])


def _begin_immediate(connection: Connection) -> None:
    connection.connection.driver_connection.execute("BEGIN IMMEDIATE")


def broken_keys(connection: Connection) -> Counter:
    """Count the rows that point to nothing, for each child and parent table.

    A table whose keys cannot be checked (its parent has no such key) counts as one, with the reason.
    """
    found: Counter = Counter()
    tables = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    ).scalars()
    raw = connection.connection.driver_connection
    for table in tables.all():
        quoted = table.replace('"', '""')
        try:
            rows = raw.execute(f'PRAGMA foreign_key_check("{quoted}")').fetchall()
        except Exception as error:
            found[(table, str(error))] += 1
        else:
            found.update((child, parent) for child, _, parent, _ in rows)
    return found


def require_whole_keys(connection: Connection, before: Counter) -> None:
    """Stop when rows point to nothing that did not before.

    :param before: what :func:`broken_keys` said before the migrations
    :raises CommandError: naming the tables and how many rows
    """
    new = broken_keys(connection) - before
    if new:
        rows = ", ".join(
            f"{count} of {child} to {parent}" for (child, parent), count in new.items()
        )
        raise CommandError(messages.BROKEN_KEYS.format(rows=rows))
