"""A SQLite connection that the caller opened: the same care, and its transaction stays the caller's."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, event

from . import atomic, messages


@contextmanager
def protected(connection: Connection, patience: float = atomic.PATIENCE) -> Iterator[None]:
    """Put what runs inside into one transaction with foreign keys off; a failure undoes all of it.

    A transaction that the caller began is the caller's to commit, as in Alembic's cookbook:
    https://alembic.sqlalchemy.org/en/latest/cookbook.html#connection-sharing
    Foreign keys come back with its end.

    :param patience: how long to wait for another writer, in seconds
    :raises CommandError: when the caller has changed something already, with foreign keys on
    """
    own = None if connection.in_transaction() else connection.begin()
    raw = connection.connection.driver_connection
    if raw.in_transaction and _keys_on(raw) and _nothing_written(connection, raw):
        raw.execute("ROLLBACK")
    if atomic.foreign_keys_off(raw):
        _turn_on_at_the_end(connection, raw)
    if not raw.in_transaction:
        atomic.begin_immediate(raw, patience)
    raw.execute("SAVEPOINT migrations")
    try:
        yield
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK TO migrations")
        if own:
            own.rollback()
        raise
    raw.execute("RELEASE migrations")
    if own:
        own.commit()


def _keys_on(raw: sqlite3.Connection) -> bool:
    return bool(raw.execute("PRAGMA foreign_keys").fetchone()[0])


def _nothing_written(connection: Connection, raw: sqlite3.Connection) -> bool:
    """Whether the open transaction may be begun anew: nobody, so not it either, has the write lock."""
    path = atomic.main_file(raw)
    if connection.in_nested_transaction() or not path:
        return False
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise CommandError(messages.KEYS_STAY_ON) from error
        other.execute("ROLLBACK")
    return True


def _turn_on_at_the_end(connection: Connection, raw: sqlite3.Connection) -> None:
    # SQLAlchemy tells before it commits, and the PRAGMA works only afterwards
    on = [False]

    def end(word: str) -> Any:
        def listener(_: Connection) -> None:
            if not on[0]:
                on[0] = True
                if raw.in_transaction:
                    raw.execute(word)
                raw.execute("PRAGMA foreign_keys=ON")
                raw.execute("BEGIN")  # for the COMMIT or ROLLBACK that follows

        return listener

    event.listen(connection, "commit", end("COMMIT"))
    event.listen(connection, "rollback", end("ROLLBACK"))
