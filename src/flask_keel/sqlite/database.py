"""One connection and one of its schemas (main or an attached file), and what is said to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from alembic.util import CommandError

from .progress import watched
from .tokens import quote


class Database:
    """The schema ``schema`` of an open SQLAlchemy connection; None is the main one."""

    def __init__(self, connection, schema: str | None = None):
        self.connection = connection
        self.schema = schema

    @cached_property
    def raw(self):
        """The driver's own connection, in the transaction that SQLAlchemy would begin."""
        if not self.connection.in_transaction():
            self.connection.exec_driver_sql("SELECT 1")
        return self.connection.connection.driver_connection

    @cached_property
    def version(self) -> tuple[int, ...]:
        """The version of the SQLite library, as (3, 40, 1)."""
        return tuple(map(int, self.value("SELECT sqlite_version()").split(".")))

    @property
    def catalogue(self) -> str:
        return f"{quote(self.schema or 'main')}.sqlite_master"

    def name(self, name: str) -> str:
        """A table or an index as a statement names it: qualified for an attached schema only."""
        return f"{quote(self.schema)}.{quote(name)}" if self.schema else quote(name)

    def qualified(self, sql: str) -> str:
        """A stored CREATE TABLE, INDEX or TRIGGER text, which never names its schema, made to."""
        if not self.schema:
            return sql
        words = ("CREATE UNIQUE INDEX ", "CREATE INDEX ", "CREATE TRIGGER ", "CREATE TABLE ")
        start = next(word for word in words if sql.startswith(word))
        return f"{start}{quote(self.schema)}.{sql[len(start) :]}"

    def run(self, sql: str, *parameters):
        """Run one statement; the result is the driver's."""
        return self.connection.exec_driver_sql(sql, parameters)

    def read(self, sql: str, parameters: tuple = ()):
        """A cursor of the driver: a plan takes many small looks, and SQLAlchemy's way is long."""
        cursor = self.raw.cursor()
        cursor.row_factory = None
        return cursor.execute(sql, parameters)

    def rows(self, sql: str, *parameters) -> list[tuple]:
        return self.read(sql, parameters).fetchall()

    def value(self, sql: str, *parameters):
        """The first column of the first row, None without rows."""
        row = self.read(sql, parameters).fetchone()
        return row[0] if row else None

    def run_long(self, label: str, rows: int, sql: str, *parameters):
        """Run a statement that goes over ``rows`` rows, with a progress bar if it takes long."""
        with watched(self, label, rows, sql, parameters):
            return self.run(sql, *parameters)

    def pragma(self, name: str, argument: str | None = None) -> list[tuple]:
        """The rows of a PRAGMA that reads from this schema."""
        about = f"({quote(argument)})" if argument is not None else ""
        return self.rows(f"PRAGMA {quote(self.schema or 'main')}.{name}{about}")

    @contextmanager
    def switched(self, pragma: str, value: str) -> Iterator[None]:
        """A PRAGMA of the connection set, and set back even after an error."""
        before = self.value(f"PRAGMA {pragma}")
        self.run(f"PRAGMA {pragma}={value}")
        try:
            yield
        finally:
            self.run(f"PRAGMA {pragma}={before}")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What runs inside leaves no trace when it fails.

        A savepoint, so that it works within a transaction and without one. A full disk can take
        the savepoint away together with the transaction: then there is nothing left to undo.
        """
        self.run("SAVEPOINT toolkit_engine")
        try:
            yield
        except BaseException:
            if self.raw.in_transaction:
                self.run("ROLLBACK TO toolkit_engine")
                self.run("RELEASE toolkit_engine")
            raise
        self.run("RELEASE toolkit_engine")

    @contextmanager
    def keys_unenforced(self, referenced: bool, what: str) -> Iterator[None]:
        """DROP TABLE deletes row by row where foreign keys are enforced, and the deletes cascade.

        SQLite ignores ``PRAGMA foreign_keys`` within a transaction, see
        https://sqlite.org/pragma.html#pragma_foreign_keys.

        :param referenced: whether any table refers to the one concerned
        :raises CommandError: when enforcement is on, matters and cannot be turned off
        """
        if not referenced or not self.value("PRAGMA foreign_keys"):
            yield
            return
        with self.switched("foreign_keys", "OFF"):
            if self.value("PRAGMA foreign_keys"):
                raise CommandError(
                    f"{what} while foreign keys are enforced would delete or change the rows that "
                    "refer to it: run PRAGMA foreign_keys=OFF on the connection before its "
                    "transaction begins."
                )
            yield
