"""Many small questions to a database, without SQLAlchemy's and the network's way for each of them."""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, CursorResult

from .typing import Row, Value

# drivers whose cursor takes one query after the other, an error of one doing the transaction no harm
PLAIN = ("pysqlite", "pymysql", "mysqldb")


def ask(connection: Connection, queries: Sequence[str]) -> list[list[Row]]:
    """Return the rows of each query; with psycopg all of them are one message to the server.

    That may have commands in between, which give no rows, but not as the first.

    https://www.psycopg.org/psycopg3/docs/api/cursors.html#psycopg.Cursor.nextset

    :param queries: without parameters, and such that may be asked twice; a percent sign is its own
    :raises sqlalchemy.exc.DBAPIError: as one query alone would
    """
    driver = connection.dialect.driver
    if not queries:
        return []
    if driver == "psycopg":
        return _in_one_message(connection, queries)
    if driver in PLAIN and connection.dialect.dbapi is not None:
        with suppress(connection.dialect.dbapi.Error):  # SQLAlchemy is to say which
            return _by_the_driver(connection, queries)
    return [[tuple(row) for row in _run(connection, query)] for query in queries]


def quoted(connection: Connection, *parts: str | None) -> str:
    """Return a name, qualified by what stands before it, as such a query has it.

    :param parts: from the schema to the column; None for one that is not said
    """
    preparer = connection.dialect.identifier_preparer
    names = [preparer.quote_identifier(part) for part in parts if part]
    if connection.dialect.paramstyle in ("format", "pyformat"):  # SQLAlchemy doubles them for these
        names = [name.replace("%%", "%") for name in names]
    return ".".join(names)


def _in_one_message(connection: Connection, queries: Sequence[str]) -> list[list[Row]]:
    result = _run(connection, ";\n".join(queries))
    cursor, found = result.cursor, []
    while True:
        if cursor.description:
            found.append(list(cursor.fetchall()))
        if not cursor.nextset():
            break
    result.close()
    return found


def _by_the_driver(connection: Connection, queries: Sequence[str]) -> list[list[Row]]:
    if not connection.in_transaction():
        connection.begin()  # as SQLAlchemy would
    cursor = connection.connection.cursor()
    if connection.dialect.name == "sqlite":
        cursor.row_factory = None  # type: ignore[attr-defined]  # of SQLite's alone
    try:
        found: list[list[Row]] = []
        for query in queries:
            cursor.execute(query)
            found.append([tuple(row) for row in cursor.fetchall()])
        return found
    finally:
        cursor.close()


def _run(connection: Connection, query: str) -> CursorResult[Value]:
    return connection.exec_driver_sql(query, execution_options={"no_parameters": True})
