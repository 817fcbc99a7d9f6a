"""What a migration may use for its rows: backfill, require_no_nulls and is_rehearsal.

Rows that a server refuses: it names one of them at most; here are their number and three.
"""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar

import click
from alembic.ddl.base import AlterColumn, ColumnNullable, ColumnType
from alembic.ddl.mysql import MySQLChangeColumn
from alembic.ddl.postgresql import PostgresqlColumnType
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
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
    Text,
    TextClause,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    inspect,
    literal_column,
    not_,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy import table as table_clause
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import ExceptionContext, ExecutionContext
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import AddConstraint, ColumnCollectionConstraint, CreateIndex
from sqlalchemy.types import NullType

from . import output, waiting
from .project import listening
from .typing import Expression, PlainColumn, Row, Value

_rehearsing = ContextVar("rehearsing", default=False)
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
    **dict.fromkeys((1053, 1077, 1079, 1080, 1317, 1927, 2006, 2013, 2055), SERVER),
    **dict.fromkeys((1048, 1062, 1138, 1264, 1265, 1292, 1366, 1406, 1411), ROWS),
    **dict.fromkeys((1216, 1217, 1451, 1452, 1690, 3156, 3157, 3819, 4025), ROWS),
}


def is_rehearsal() -> bool:
    """Tell a migration whether it runs on a scratch database or a copy.

    What must happen only once in the world (a mail, a role on the server) belongs under
    ``if not flask_keel.is_rehearsal():``.
    """
    return _rehearsing.get()


@contextmanager
def rehearsal() -> Iterator[None]:
    """Mark everything that runs inside as a rehearsal."""
    token = _rehearsing.set(True)
    try:
        yield
    finally:
        _rehearsing.reset(token)


PROGRESS = "keel_progress"  # the option of Alembic's context under which an upgrade keeps its own


class Progress:
    """How far a revision is. This one is written nowhere, so that it always begins at the beginning.

    An upgrade on a server keeps one in its log, by which the next goes on where it ended.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    # the steps of an operation in a form for which nobody waits

    @property
    def online(self) -> bool:
        """Whether operations are done in such steps."""
        return True

    def met(self, asked: str) -> int | None:
        """Return how many steps of an operation an earlier try has done; None for all of them."""
        return 0

    def is_sent(self, asked: str, number: int) -> bool:
        """Whether this step was on its way when the earlier try ended."""
        return False

    @contextmanager
    def step(self, asked: str, number: int | None, outside: bool) -> Iterator[None]:
        """Run one step.

        :param asked: what the file asked for
        :param number: None for the last
        :param outside: whether it cannot be in a transaction
        """
        driver: Value = self.connection.connection.driver_connection
        # an attempt is one transaction, which is rolled back
        if not outside or self.connection.info.get("attempt") or driver.autocommit:
            yield
            return
        driver.commit()
        driver.autocommit = True
        try:
            yield
        finally:
            driver.autocommit = False

    def unfelt(self) -> AbstractContextManager[None]:
        """Run what nobody waits for: it is committed with what comes next."""
        return nullcontext()

    def take_back(self, statements: Sequence[str], number: int) -> None:
        """Undo the last steps of an operation; a rehearsal that failed is over."""

    # backfill

    @property
    def last(self) -> Row | None:
        """The key at which the earlier try of this backfill ended."""
        return None

    def settle(self) -> None:
        """Let what came before it stand, where each statement does."""

    def backfilled(self, what: str) -> bool:
        """Whether an earlier try has done it; if not, that ended at the key :attr:`last`."""
        return False

    def batch(self, what: str, last: Row | None) -> AbstractContextManager[None]:
        """Run one batch, which ends at this key."""
        return nullcontext()

    def ended(self, what: str) -> None:
        """It is done."""


Keys = Sequence[Expression]
PATIENCE = 5  # seconds between two lines where there is no terminal
IN_BATCHES = "/* in batches */"  # by which a plan knows the one statement that stands for them


def backfill(
    table: TableClause,
    where: ColumnElement[bool] | None,
    set: Mapping[str, Value],
    batch: int = 1000,
) -> int:
    """Give columns new values, some rows at a time, in the order of the primary key.

    Every batch is committed by itself where that leaves no half of a migration behind: on MySQL,
    and on PostgreSQL where the migration has written nothing before. On SQLite the whole upgrade
    stays one transaction. After an interruption run it again: it goes on behind the last key of the
    last batch that was committed.

    :param table: ``sa.table(...)``, never the application's model, which changes with the time
    :param where: the rows that need it, ``post.c.slug.is_(None)``; None for all of them
    :param set: column to value or expression: ``{"slug": sa.func.lower(post.c.title)}``
    :param batch: rows at a time
    :returns: how many rows were changed (with ``--sql`` it is one statement, and on a server zero)
    """
    from alembic import op

    context = op.get_context()
    statement = table.update().values(dict(set))
    if where is not None:
        statement = statement.where(where)
    if context.as_sql:
        op.execute(statement)
        return 0
    # printed, batches would leave out the rows that come after; a plan needs no batches
    at_once = context.opts.get("sqlite_portable_sql") or context.opts.get("dry_run")
    keys = [] if at_once else _keys(op.get_bind(), table)
    if context.opts.get("dry_run"):
        statement = statement.prefix_with(IN_BATCHES)
    progress = context.opts.get(PROGRESS) or Progress(op.get_bind())
    what = f"backfill {table.name} where {where}"  # new values may be mended in the middle of it
    progress.settle()
    with _by_itself(context) if keys else nullcontext():
        connection = op.get_bind()
        if progress.backfilled(what):
            return 0
        done = 0
        if not keys:
            with progress.batch(what, None):
                done = connection.execute(statement).rowcount
        else:
            last = progress.last
            count = select(func.count()).select_from(table).where(*_left(where, keys, last))
            total = connection.execute(count).scalar_one()
            with _progress(table.name, total) as show:
                for part, end in _parts(connection, table, keys, where, batch, last):
                    with progress.batch(what, end):
                        done += connection.execute(statement.where(part)).rowcount
                    show(done)
        progress.ended(what)
    return done


def _left(
    where: ColumnElement[bool] | None, keys: Keys, last: Row | None
) -> list[ColumnElement[bool]]:
    """The conditions of the rows that come behind a key, None for all of them."""
    conditions = [] if where is None else [where]
    return conditions if last is None else [*conditions, _after(keys, last)]


def _keys(connection: Connection, table: TableClause) -> Keys:
    """The primary key; none where its order does not come to every row."""
    keys: list[Expression] = [_of(table, name) for name in _key_columns(connection, table)]
    if keys and connection.dialect.name in ("mysql", "mariadb"):
        # numbers that are compared with a text by their texts, or are read with fewer digits, and
        # times, which a driver writes otherwise below zero
        kinds = mysql.ENUM | mysql.SET | mysql.BIT | mysql.FLOAT | mysql.TIME
        columns = inspect(connection).get_columns(table.name, schema=table.schema)
        types = {one["name"]: one["type"] for one in columns if isinstance(one["type"], kinds)}
        # a whole number would leave a FLOAT its digits behind the point
        zeros = {
            name: "0e0" if isinstance(kind, mysql.FLOAT) else "0" for name, kind in types.items()
        }
        return [
            key.op("+")(literal_column(zeros[key.name])) if key.name in zeros else key
            for key in keys
        ]
    if keys and connection.dialect.name == "sqlite":  # https://www.sqlite.org/quirks.html
        empty = or_(*(key.is_(None) for key in keys))
        if connection.execute(select(*keys).where(empty).limit(1)).first():
            return []
    return keys


def _of(table: TableClause, name: str) -> PlainColumn:
    """A column as the database has it: a type that the caller lists may change its values."""
    found: PlainColumn = column(name)
    found.table = table
    return found


def _parts(
    connection: Connection,
    table: TableClause,
    keys: Keys,
    where: ColumnElement[bool] | None,
    batch: int,
    last: Row | None,
) -> Iterator[tuple[ColumnElement[bool], Row]]:
    """Give the condition of each batch (the keys after the last one, up to its own last), and that."""
    # as texts: a driver does not read all that a type of PostgreSQL's holds, nor writes it as it was
    postgresql = connection.dialect.name == "postgresql"
    read = [cast(key, Text) for key in keys] if postgresql else keys
    while True:
        query = select(*read).select_from(table).where(*_left(where, keys, last))
        rows = connection.execute(query.order_by(*keys).limit(batch)).all()
        if not rows:
            return
        first, last = (tuple(rows[0]), tuple(rows[-1]))
        yield and_(_between(keys, first, last)), last


def _after(keys: Keys, last: Row) -> ColumnElement[bool]:
    return _one(keys) > _one(_given(last))


def _between(keys: Keys, first: Row, last: Row) -> ColumnElement[bool]:
    return and_(_one(keys) >= _one(_given(first)), _one(keys) <= _one(_given(last)))


def _one(parts: Keys) -> Expression:
    return parts[0] if len(parts) == 1 else tuple_(*parts)


def _given(key: Row) -> Keys:
    """The values of a key as the driver gave them: a cast would not let an enum be compared."""
    return [bindparam(None, value, type_=NullType()) for value in key]


@contextmanager
def _by_itself(context: MigrationContext) -> Iterator[None]:
    """Commit each statement, where nothing that came before it could be lost with it."""
    from alembic import op

    kind = context.dialect.name
    free = kind in ("mysql", "mariadb")
    if kind == "postgresql":
        # no number yet: this transaction has written nothing, no DDL and no row
        assigned = text("SELECT txid_current_if_assigned()")
        free = op.get_bind().execute(assigned).scalar() is None
    with context.autocommit_block() if free and not is_rehearsal() else nullcontext():
        yield


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    if is_rehearsal() or not total:
        yield lambda done: None
    elif sys.stderr.isatty():
        with click.progressbar(length=total, label=f"  {name}", file=sys.stderr) as bar:
            yield lambda done: bar.update(done - bar.pos)
    else:
        said = time.monotonic()

        def show(done: int) -> None:
            nonlocal said
            if time.monotonic() - said >= PATIENCE:
                said = time.monotonic()
                output.say(f"  {name}: {done} of {total} rows")

        yield show


def require_no_nulls(table: str, *columns: str, schema: str | None = None) -> None:
    """Stop a migration before it writes anything, when rows hold NULL where none may be any more.

    The database would stop by itself, but in the middle: MySQL does not undo what came before.
    With ``--sql`` there are no rows to look at, and nothing is done.

    :param table: the table's name
    :param columns: the columns that are to become NOT NULL
    :raises CommandError: naming the columns, how many rows hold NULL, and three of them
    """
    from alembic import op

    if op.get_context().as_sql:
        return
    connection = op.get_bind()
    source = table_clause(table, schema=schema)
    found = []
    for name in columns:
        look: PlainColumn = column(name)
        said = number_and_examples(connection, source, look.is_(None))
        if said:
            found.append(f"{table}.{name} is to be NOT NULL, and {said} hold NULL")
    if found:
        raise CommandError(f"{'; '.join(found)}: give them a value, then try again.")


def advice(error: BaseException) -> str:
    """Return what to do about an error that came out of a migration, as the end of a sentence."""
    if not isinstance(error, DBAPIError):
        return FILE
    said = error.orig
    if isinstance(said, sqlite3.Error):
        if isinstance(error, IntegrityError):
            return ROWS
        return LOCK if "locked" in str(said) else FILE
    if error.connection_invalidated:
        return SERVER
    number = waiting.number(said)
    if isinstance(number, int):  # MySQL's, whose sqlstate says less
        return NUMBERS.get(number, FILE)
    state = getattr(said, "sqlstate", None) or ""
    return SQLSTATES.get(state) or CLASSES.get(state[:2], FILE)


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
    keys = _key_columns(connection, source)
    query = select(*_columns(keys), *shows).select_from(source).where(broken)
    rows = _value(connection, query.limit(EXAMPLES)) if keys or shows else []
    examples = ", ".join(_example(keys, row) for row in rows)
    return f"{count} of its rows" + (f" ({examples})" if examples else "")


def _key_columns(connection: Connection, source: TableClause) -> list[str]:
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
