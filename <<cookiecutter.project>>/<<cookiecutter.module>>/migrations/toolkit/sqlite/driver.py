"""A sqlite3 connection that a migration cannot commit behind the upgrade's back.

The upgrade is one transaction. ``executescript`` commits before it runs anything, see
https://docs.python.org/3/library/sqlite3.html#sqlite3.Cursor.executescript, and so would a COMMIT
or a commit() of a migration's own: half of an upgrade would stay for good.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from alembic.util import CommandError

_TRANSACTION_WORDS = re.compile(
    r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*(COMMIT|END|BEGIN|ROLLBACK(?!\s+(?:TRANSACTION\s+)?TO\b))\b",
    re.IGNORECASE | re.DOTALL,
)


def _refuse(what: str, instead: str = "leave it out") -> None:
    raise CommandError(
        f"{what} in a migration would end the upgrade's transaction half-way: {instead}."
    )


class GuardedCursor(sqlite3.Cursor):
    """A cursor that refuses what would end the transaction while its connection is guarded."""

    def execute(self, sql, *parameters):
        self.connection._check(sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql, *parameters):
        self.connection._check(sql)
        return super().executemany(sql, *parameters)

    def executescript(self, sql):
        if self.connection.is_guarded:
            _refuse("executescript", "give its statements to op.execute one by one")
        return super().executescript(sql)


class GuardedConnection(sqlite3.Connection):
    """``sqlite3.connect(..., factory=GuardedConnection)``: an ordinary connection, until
    :meth:`guarded` hands it to migrations."""

    is_guarded = False

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Inside, only what leaves the transaction open is let through.

        :raises CommandError: by whatever would commit or roll back, in one sentence
        """
        self.is_guarded = True
        try:
            yield
        finally:
            self.is_guarded = False

    def _check(self, sql: str) -> None:
        if self.is_guarded and (word := _TRANSACTION_WORDS.match(sql)):
            _refuse(word[1].upper())

    def cursor(self, factory=GuardedCursor):
        return super().cursor(factory)

    def execute(self, sql, *parameters):
        return self.cursor().execute(sql, *parameters)

    def executemany(self, sql, *parameters):
        return self.cursor().executemany(sql, *parameters)

    def executescript(self, sql):
        return self.cursor().executescript(sql)

    def commit(self):
        if self.is_guarded:
            _refuse("commit()")
        super().commit()

    def rollback(self):
        if self.is_guarded:
            _refuse("rollback()", "raise an exception to stop the upgrade")
        super().rollback()

    def __enter__(self):
        if self.is_guarded:
            _refuse("a connection used as a context manager", "use op.get_bind() as it is")
        return super().__enter__()

    @property
    def isolation_level(self):
        return sqlite3.Connection.isolation_level.__get__(self)

    @isolation_level.setter
    def isolation_level(self, value):
        if self.is_guarded:
            _refuse("a change of isolation_level")
        sqlite3.Connection.isolation_level.__set__(self, value)

    if hasattr(sqlite3.Connection, "autocommit"):

        @property
        def autocommit(self):
            return sqlite3.Connection.autocommit.__get__(self)

        @autocommit.setter
        def autocommit(self, value):
            if self.is_guarded:
                _refuse("a change of autocommit")
            sqlite3.Connection.autocommit.__set__(self, value)
