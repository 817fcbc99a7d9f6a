"""A scratch database, and attempts on it that leave no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, make_url

from ... import atomic, servers, temporary
from .. import schemas
from .subject import Subject


@contextmanager
def stage(subject: Subject) -> Iterator["Stage"]:
    """Give an empty scratch database of the application's kind.

    :raises servers.NotAllowed: when the account may not create one
    """
    kind = servers.kind(subject.url)
    if kind == "sqlite":
        memory = atomic.engine(make_url("sqlite://"))
        with atomic.connect(memory, app=subject.engine) as connection:
            yield SQLite(connection, subject.engine)
        return
    schemas.require_isolation(subject.url, subject.metadata)
    options = subject.engine_options
    with (
        temporary.database(subject.url, options) as url,
        create_engine(url, **servers.connection_options(options)).connect() as connection,
    ):
        yield PostgreSQL(connection) if kind == "postgresql" else MySQL(connection)


class Stage:
    """A scratch database: one connection to it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def settle(self) -> None:
        """Keep what was done so far."""
        self.connection.commit()

    @contextmanager
    def attempt(self) -> Iterator[Connection]:
        """Give a connection on which all can be done: the scratch itself stays as it is."""
        raise NotImplementedError
        yield


class SQLite(Stage):
    """In memory: an attempt is made on a copy, by https://www.sqlite.org/backup.html."""

    def __init__(self, connection: Connection, app: Engine | None = None) -> None:
        super().__init__(connection)
        self.app = app

    @contextmanager
    def attempt(self) -> Iterator[Connection]:
        self.settle()
        with atomic.connect(atomic.engine(make_url("sqlite://")), app=self.app) as copy:
            source = self.connection.connection.driver_connection
            source.backup(copy.connection.driver_connection)
            yield copy


class PostgreSQL(Stage):
    """An attempt is one transaction, rolled back.

    What cannot run in a transaction (CONCURRENTLY) runs without that word in an attempt.
    """

    @contextmanager
    def attempt(self) -> Iterator[Connection]:
        from sqlalchemy import event

        def without(connection: Any, cursor: Any, sql: str, parameters: Any, *more: Any) -> Any:
            return sql.replace(" CONCURRENTLY", ""), parameters

        self.settle()
        transaction = self.connection.begin()
        event.listen(self.connection, "before_cursor_execute", without, retval=True)
        self.connection.info["attempt"] = True
        try:
            yield self.connection
        finally:
            del self.connection.info["attempt"]
            event.remove(self.connection, "before_cursor_execute", without)
            transaction.rollback()


class MySQL(Stage):
    """DDL commits by itself there: an attempt is undone by making again what it changed."""

    @contextmanager
    def attempt(self) -> Iterator[Connection]:
        from .mysql import Copy

        self.settle()
        copy = Copy(self.connection)
        try:
            yield self.connection
        finally:
            self.connection.rollback()
            copy.restore()
            self.settle()
