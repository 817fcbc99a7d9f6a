"""What a migration may not leave: its one connection and, on SQLite, its one transaction."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import product
from typing import Any

from sqlalchemy import Connection, Engine, Inspector, event

from . import messages

# what SQLite answers to a statement that the authorizer denies: https://www.sqlite.org/rescode.html#auth
DENIED = "not authorized"
CONNECTING = ("do_connect", "engine_connect")


class Refused(Exception):
    """A migration does what cannot be undone or would not be seen: words for the sentence."""


@contextmanager
def _inspected(connection: Connection, engines: set[Engine], thread: int) -> Iterator[None]:
    """Let an inspector of one of the engines, which only reads, look through ``connection``: what
    the migration has done so far is seen there, as ``sa.inspect(op.get_bind().engine)`` means it."""
    original = Inspector._init_engine

    def init(self: Inspector, engine: Engine) -> None:
        lent = engine in engines and threading.get_ident() == thread
        (self._init_connection if lent else partial(original, self))(connection if lent else engine)

    Inspector._init_engine = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        Inspector._init_engine = original  # type: ignore[method-assign]


@contextmanager
def guarded(connection: Connection, live: Engine) -> Iterator[None]:
    """Keep the migrations that run inside on ``connection``, and on SQLite inside its transaction.

    A second connection does not see what the first has done, and waits for it for ever; from a
    rehearsal it would reach the live database.

    :param live: the application's engine
    :raises Refused: out of the migration, when it opens another connection
    """
    sqlite = connection.dialect.name == "sqlite"
    engines = {live, connection.engine} if sqlite else {live} - {connection.engine}
    thread = threading.get_ident()

    def refuse(*_: Any) -> None:
        if threading.get_ident() == thread:  # the application may serve in others
            raise Refused(messages.SECOND_CONNECTION)

    for engine, name in product(engines, CONNECTING):
        event.listen(engine, name, refuse)
    denied: list[int] = []

    def authorize(action: int, *_: Any) -> int:
        # commit, rollback, BEGIN, and executescript, which commits first; savepoints are another action
        if action != sqlite3.SQLITE_TRANSACTION:
            return sqlite3.SQLITE_OK
        denied.append(action)
        return sqlite3.SQLITE_DENY

    if sqlite:
        raw = connection.connection.driver_connection
        raw.set_authorizer(authorize)
    try:
        with _inspected(connection, engines, thread):
            yield
    except Exception as error:
        if DENIED in str(error) and not denied:
            # Ctrl-C came while SQLite asked, and it takes any exception for a no
            raise KeyboardInterrupt from error
        raise
    finally:
        if sqlite:
            with suppress(sqlite3.ProgrammingError):  # after Ctrl-C SQLAlchemy has closed it
                raw.set_authorizer(None)
        for engine, name in product(engines, CONNECTING):
            event.remove(engine, name, refuse)
