"""What a migration may not leave: its one connection and, on SQLite, its one transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from . import messages

# what SQLite answers to a statement that the authorizer denies: https://www.sqlite.org/rescode.html#auth
DENIED = "not authorized"


class Refused(Exception):
    """A migration does what cannot be undone or would not be seen: words for the sentence."""


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
    for engine in engines:
        for name in ("do_connect", "engine_connect"):
            event.listen(engine, name, _refuse)
    if sqlite:
        raw = connection.connection.driver_connection
        raw.set_authorizer(_authorize)
    try:
        yield
    finally:
        if sqlite:
            raw.set_authorizer(None)
        for engine in engines:
            for name in ("do_connect", "engine_connect"):
                event.remove(engine, name, _refuse)


def _refuse(*_: Any) -> None:
    raise Refused(messages.SECOND_CONNECTION)


def _authorize(action: int, *_: Any) -> int:
    # commit, rollback, BEGIN, and executescript, which commits first; savepoints are another action
    transaction = action == sqlite3.SQLITE_TRANSACTION
    return sqlite3.SQLITE_DENY if transaction else sqlite3.SQLITE_OK
