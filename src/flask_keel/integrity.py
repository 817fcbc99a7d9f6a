"""Rows that a server refuses: it names one of them at most; here are their number and three.

And what an error of a migration wants of its reader.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from alembic.ddl.base import AlterColumn, ColumnNullable, ColumnType
from alembic.ddl.mysql import MySQLChangeColumn
from alembic.ddl.postgresql import PostgresqlColumnType
from sqlalchemy import (
    CheckConstraint,
    ClauseElement,
    Column,
    ColumnElement,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Table,
    TableClause,
    TextClause,
    and_,
    column,
    exists,
    func,
    inspect,
    literal_column,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy import table as table_clause
from sqlalchemy.engine import ExceptionContext, ExecutionContext
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError
from sqlalchemy.schema import AddConstraint, ColumnCollectionConstraint, CreateIndex

from . import waiting
from .project import listening
from .typing import Expression, PlainColumn, Row

ROWS = "change the rows that do not fit (or what the file does to them) and try again."
PRIVILEGE = "let an administrator grant the account what is missing, and try again."
LOCK = "wait for the session that holds the lock (or stop it), and try again."
ROOM = "make room on the server's disk, and try again."
SERVER = "look why the server ended the connection, see to it that it runs, and try again."
FILE = "mend the file and try again."

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SQLSTATES = {
    "42501": PRIVILEGE,
    "55P03": LOCK,
    "40P01": LOCK,
    "40001": LOCK,
    "57014": LOCK,
    **dict.fromkeys(("53100", "58030"), ROOM),
    **dict.fromkeys(("53200", "53300", "57P01", "57P02", "57P03", "57P05", "25P03"), SERVER),
}
CLASSES = {"22": ROWS, "23": ROWS, "08": SERVER}
# https://mariadb.com/kb/en/mariadb-error-codes/
NUMBERS = {
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370, 1419), PRIVILEGE),
    **dict.fromkeys((1205, 1213, 3572), LOCK),
    **dict.fromkeys((3, 1021, 1026, 1114), ROOM),
    **dict.fromkeys((1053, 1077, 1079, 1080, 1317, 1927, 2002, 2003, 2006, 2013, 2055), SERVER),
    **dict.fromkeys((1048, 1062, 1138, 1264, 1265, 1292, 1366, 1406, 1411), ROWS),
    **dict.fromkeys((1216, 1217, 1451, 1452, 1690, 3156, 3157, 3819, 4025), ROWS),
}


def advice(error: BaseException) -> str:
    """Return what to do about an error that came out of a migration, as the end of a sentence."""
    said = error.orig if isinstance(error, DBAPIError) else error
    if "OperationalError" not in {kind.__name__ for kind in type(error).__mro__} and said is error:
        return FILE
    if isinstance(said, sqlite3.Error):
        if isinstance(error, IntegrityError):
            return ROWS
        return LOCK if "locked" in str(said) else FILE
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return SERVER
    number = waiting.number(said)
    if isinstance(number, int):  # MySQL's, whose sqlstate says less
        return NUMBERS.get(number, FILE)
    state = getattr(said, "sqlstate", None) or ""
    return SQLSTATES.get(state) or CLASSES.get(state[:2], FILE)


def said_first(error: BaseException) -> BaseException:
    """Return what ended a connection, where cleaning up after it has raised another error."""
    while isinstance(error, PendingRollbackError) and isinstance(error.__context__, Exception):
        error = error.__context__
    return error


@contextmanager
def first_said(block: AbstractContextManager[None]) -> Iterator[None]:
    """An error that ended the connection is not hidden by what leaving the block says after it."""
    ended: BaseException | None = None
    try:
        with block:
            try:
                yield
            except BaseException as error:
                ended = error
                raise
    except PendingRollbackError:
        if ended is None:
            raise
        raise ended from None


EXAMPLES = 3
SAVEPOINT = "keel_rows"
ALONE = "keel_alone"  # in Connection.info: the statement that runs is a transaction by itself
MISFITS = "misfits"  # the attribute of a driver's error that says them


@contextmanager
def explained(connection: Connection) -> Iterator[None]:
    """Have the errors of statements that rows refuse say which rows; see :func:`of`.

    PostgreSQL answers nothing in a transaction after an error, so that each such statement gets a
    savepoint there.
    """
    postgresql = connection.dialect.name == "postgresql"

    def element(context: ExecutionContext | None) -> object:
        found = getattr(getattr(context, "compiled", None), "statement", None)
        return found if isinstance(found, _REFUSED) else None

    def savepoint(word: str) -> Callable[..., None]:
        def run(
            live: Connection,
            cursor: DBAPICursor,
            statement: str,
            values: object,
            context: ExecutionContext | None,
            *_: object,
        ) -> None:
            if element(context) is None:
                return
            # SQLAlchemy's inspector of MySQL turns handle_error off, and not on again
            live.execution_options(skip_user_error_events=False)
            if postgresql and not autocommit(live) and not live.info.get(ALONE):
                cursor.execute(f"{word} {SAVEPOINT}")

        return run

    def failed(context: ExceptionContext) -> None:
        statement, error = element(context.execution_context), context.sqlalchemy_exception
        if statement is None or context.connection is not connection:
            return
        if error is None or advice(error) != ROWS:
            return  # a lock or Ctrl-C: to look would wait for the same
        with suppress(Exception):  # the database's own words have to do
            if postgresql and not autocommit(connection):
                cursor = connection.connection.cursor()
                alone = connection.info.get(ALONE)
                cursor.execute("ROLLBACK" if alone else f"ROLLBACK TO {SAVEPOINT}")
            setattr(context.original_exception, MISFITS, _look(connection, statement))

    before, after = savepoint("SAVEPOINT"), savepoint("RELEASE")
    seen = listening(connection, before_cursor_execute=before, after_cursor_execute=after)
    # SQLAlchemy takes handle_error nowhere else
    with seen, listening(connection.engine, handle_error=failed):
        yield


def explain(error: DBAPIError, connection: Connection, statement: object) -> None:
    """Have an error say which rows a statement's steps were refused for; nothing is open any more."""
    with suppress(Exception):
        setattr(error.orig, MISFITS, _look(connection, statement))


def autocommit(connection: Connection) -> bool:
    """Whether each statement of a connection is a transaction by itself."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def of(error: BaseException | None) -> str | None:
    """Return what was found out about the rows that a driver's error is about."""
    found: str | None = getattr(error, MISFITS, None)
    return found


def number_and_examples(
    connection: Connection,
    source: TableClause,
    broken: ColumnElement[bool] | TextClause,
    shows: Sequence[Expression] = (),
) -> str:
    """Return how many rows are broken and three of them, as "2 of its rows (id 1, id 7)"; "" for none.

    :param shows: what is to be shown of a row, beside its key
    """
    count = _value(connection, select(func.count()).select_from(source).where(broken))[0][0]
    if not count:
        return ""
    keys = key_columns(connection, source)
    query = select(*_columns(keys), *shows).select_from(source).where(broken)
    rows = _value(connection, query.limit(EXAMPLES)) if keys or shows else []
    examples = ", ".join(_example(keys, row) for row in rows)
    return f"{count} of its rows" + (f" ({examples})" if examples else "")


def key_columns(connection: Connection, source: TableClause) -> list[str]:
    found = inspect(connection).get_pk_constraint(source.name, schema=source.schema)
    return found.get("constrained_columns") or []


def _example(keys: list[str], row: Row) -> str:
    who = ", ".join(f"{name} {value!r}" for name, value in zip(keys, row, strict=False))
    what = ", ".join(repr(value) for value in row[len(keys) :])
    return f"{what} in {who}" if what and who else what or who


def _value(connection: Connection, query: ClauseElement) -> list[Row]:
    # past SQLAlchemy: this runs while it handles an error, and on the driver's own transaction
    sql = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    cursor = connection.connection.cursor()
    try:
        cursor.execute(sql.replace("%%", "%"))
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        cursor.close()


def _look(connection: Connection, statement: object) -> str | None:
    if isinstance(statement, CreateIndex):
        index = statement.element
        if not index.unique or index.table is None:
            return None
        return _twice(connection, index.table, list(index.expressions))
    if isinstance(statement, AddConstraint):
        return _constraint(connection, statement.element)
    assert isinstance(statement, AlterColumn)
    table: str = statement.table_name
    name: PlainColumn = column(statement.column_name)
    conditions: list[ColumnElement[bool]] = (
        [name.is_(None)] if getattr(statement, "nullable", True) is False else []
    )
    type_ = getattr(statement, "type_", None)
    if isinstance(type_, String) and type_.length:
        conditions.append(func.char_length(name) > literal_column(str(type_.length)))
    elif type_ is not None and isinstance(statement, ColumnType | PostgresqlColumnType):
        kind = type_.compile(connection.dialect)
        valid = func.pg_input_is_valid(func.concat(name), kind)  # PostgreSQL 16
        conditions.append(and_(name.is_not(None), not_(valid)))
    if not conditions:
        return None
    source = table_clause(table, schema=statement.schema)
    found = number_and_examples(connection, source, or_(*conditions), (name,))
    return f"{found} do not fit {table}.{statement.column_name}" if found else None


def _constraint(connection: Connection, constraint: Constraint) -> str | None:
    table = constraint.table
    if isinstance(constraint, CheckConstraint):
        sql = constraint.sqltext.compile(connection, compile_kwargs={"literal_binds": True})
        source = table_clause(table.name, schema=table.schema)
        found = number_and_examples(connection, source, text(f"NOT ({sql})"))
        return f"{found} break it" if found else None
    if isinstance(constraint, ForeignKeyConstraint):
        return _orphans(connection, constraint)
    assert isinstance(constraint, ColumnCollectionConstraint)
    if isinstance(constraint, PrimaryKeyConstraint):
        own: list[PlainColumn] = [column(one.name) for one in constraint.columns]
        source = table_clause(table.name, schema=table.schema)
        empty = or_(*(one.is_(None) for one in own))
        if found := number_and_examples(connection, source, empty, own):
            return f"{found} are NULL in a column of the key"
    return _twice(connection, table, list(constraint.columns))


def _orphans(connection: Connection, constraint: ForeignKeyConstraint) -> str | None:
    pairs = [(each.parent.name, each.column.name) for each in constraint.elements]
    referred = constraint.elements[0].column.table
    child = _table(constraint.table, [here for here, _ in pairs])
    parent = _table(referred, [there for _, there in pairs]).alias("keel_parent")
    present = [child.c[here].is_not(None) for here, _ in pairs]
    matches = [parent.c[there] == child.c[here] for here, there in pairs]
    gone = not_(exists().select_from(parent).where(*matches))
    shows = tuple(child.c[here] for here, _ in pairs)
    found = number_and_examples(connection, child, and_(*present, gone), shows)
    return f"{found} point to nothing in {referred.name}" if found else None


def _table(table: Table, names: list[str]) -> TableClause:
    return table_clause(table.name, *_columns(names), schema=table.schema)


def _columns(names: Sequence[str]) -> list[PlainColumn]:
    return [column(name) for name in names]


def _twice(connection: Connection, table: Table, columns: Sequence[str | Expression]) -> str | None:
    names = [_plain(each) for each in columns]
    source: TableClause = table_clause(table.name, schema=table.schema)
    present = [name.is_not(None) for name in names]
    groups = (
        select(*names, func.count().label("times"))
        .select_from(source)
        .where(*present)
        .group_by(*names)
        .having(func.count() > 1)
    )
    rows = _value(connection, groups.limit(EXAMPLES))
    if not rows:
        return None
    count = _value(connection, select(func.count()).select_from(groups.subquery()))[0][0]
    examples = [f"{', '.join(map(repr, row[:-1]))} {row[-1]} times" for row in rows]
    return f"{count} of its values stand there several times ({', '.join(examples)})"


def _plain(each: str | Expression) -> Expression:
    if isinstance(each, str):
        return literal_column(each)
    return column(each.name) if isinstance(each, Column) else each


_REFUSED = (
    AddConstraint,
    CreateIndex,
    ColumnNullable,
    ColumnType,
    PostgresqlColumnType,
    MySQLChangeColumn,
)
