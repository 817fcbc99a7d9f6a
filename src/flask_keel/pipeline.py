"""Many small questions to a database, without SQLAlchemy's and the network's way for each of them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from sqlalchemy import Connection, CursorResult

from .typing import Row, Value

# drivers whose cursor takes one query after the other, an error of one doing the transaction no harm
PLAIN = ("pysqlite", "pymysql", "mysqldb")
# characters of one message: a server that takes no more than it has to takes a megabyte
MOST = 100_000


def ask(connection: Connection, queries: Sequence[str]) -> list[list[Row]]:
    """Return the rows of each query; with psycopg and on MariaDB many of them are one message.

    There may be commands in between, which give no rows, but not as the first.

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
    found = [_run(connection, query) for query in queries]
    return [[tuple(row) for row in result] for result in found if result.returns_rows]


def run(connection: Connection, commands: Iterable[str]) -> None:
    """Run commands without parameters one after the other; on MariaDB many of them are one message.

    :raises sqlalchemy.exc.DBAPIError: as one command alone would; those before it have run
    """
    for message in _messages(connection, commands):
        _run(connection, message)


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
    result = _run(connection, "\n;\n".join(queries))
    found = list(_answers(result.cursor))
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
        for message in _messages(connection, queries):
            cursor.execute(message)
            found += _answers(cursor)
        return found
    finally:
        cursor.close()


def _answers(cursor: Value) -> Iterator[list[Row]]:
    more = True
    while more:
        if cursor.description:
            yield [tuple(row) for row in cursor.fetchall()]
        more = hasattr(cursor, "nextset") and cursor.nextset()


def _messages(connection: Connection, statements: Iterable[str]) -> Iterator[str]:
    """Join statements into blocks on MariaDB, which ends one at the first error; give others as they are.

    https://mariadb.com/kb/en/begin-end/
    """
    if not getattr(connection.dialect, "is_mariadb", False):
        yield from statements
        return
    block: list[str] = []
    size = 0
    for statement in statements:
        if block and size + len(statement) > MOST:
            yield _block(block)
            block, size = [], 0
        block.append(statement)
        size += len(statement)
    if block:
        yield _block(block)


def _block(statements: list[str]) -> str:
    if not statements[1:]:
        return statements[0]
    # on a line of its own: a remark may end a statement
    return "\n".join(["BEGIN NOT ATOMIC", *(f"{one}\n;" for one in statements), "END"])


def _run(connection: Connection, query: str) -> CursorResult[Value]:
    return connection.exec_driver_sql(query, execution_options={"no_parameters": True})
