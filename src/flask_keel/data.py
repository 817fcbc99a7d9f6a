"""What a migration may use for its rows: backfill, require_no_nulls and is_rehearsal."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import click
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import (
    ColumnElement,
    Connection,
    TableClause,
    Text,
    and_,
    bindparam,
    cast,
    column,
    func,
    inspect,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy import table as table_clause
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.types import NullType

from . import integrity, output
from .typing import Expression, NamedType, PlainColumn, Row, SQLType, Value

_rehearsing = ContextVar("rehearsing", default=False)


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

    @property
    def behind(self) -> bool:
        """Whether an earlier try came further than this."""
        return False

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
# of a domain, what it is one of; with -1, format_type says "character" of any length
BASES = """
    WITH RECURSIVE base AS (
        SELECT attname, atttypid AS type FROM pg_attribute
        WHERE attrelid = to_regclass(:name) AND attnum > 0
        UNION ALL
        SELECT attname, typbasetype FROM base JOIN pg_type ON oid = type WHERE typtype = 'd'
    )
    SELECT attname, format_type(type, -1) AS base
    FROM base JOIN pg_type ON oid = type WHERE typtype <> 'd'
"""
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
    try:
        names = integrity.key_columns(connection, table)
    except NoSuchTableError:  # an earlier try has done it, and dropped the table
        return []
    keys: list[Expression] = [_of(table, name) for name in names]
    if keys and connection.dialect.name in ("mysql", "mariadb"):
        columns = inspect(connection).get_columns(table.name, schema=table.schema)
        types = {one["name"]: one["type"] for one in columns}
        return [_in_order(key, types.get(key.name)) for key in keys]
    if keys and connection.dialect.name == "postgresql":
        # a text is not compared with a composite, nor with a domain over an enum
        name = connection.dialect.identifier_preparer.format_table(table)
        found = connection.execute(text(BASES), {"name": name})
        bases = {row.attname: row.base for row in found}
        return [cast(key, NamedType(bases[key.name])) for key in keys]
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


def _in_order(key: Expression, type_: SQLType | None) -> Expression:
    """A key of MySQL's as what it is ordered by, and is read and given back as."""
    if isinstance(type_, mysql.FLOAT):  # a whole number would leave it its digits behind the point
        return key.op("+")(literal_column("0e0"))
    # numbers that are compared with a text by their texts, and times, which a driver writes otherwise
    # below zero
    if isinstance(type_, mysql.ENUM | mysql.SET | mysql.BIT | mysql.TIME):
        return key.op("+")(literal_column("0"))
    # the hour that comes twice in autumn has one local time for two moments
    return func.unix_timestamp(key) if isinstance(type_, mysql.TIMESTAMP) else key


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
    return _one(keys) > _one(_given(keys, last))


def _between(keys: Keys, first: Row, last: Row) -> ColumnElement[bool]:
    return and_(_one(keys) >= _one(_given(keys, first)), _one(keys) <= _one(_given(keys, last)))


def _one(parts: Keys) -> Expression:
    return parts[0] if len(parts) == 1 else tuple_(*parts)


def _given(keys: Keys, row: Row) -> Keys:
    """The values of a key as the driver gave them, as what it is on PostgreSQL."""
    values = [bindparam(None, value, type_=NullType()) for value in row]
    return [
        cast(value, key.type) if isinstance(key.type, NamedType) else value
        for key, value in zip(keys, values, strict=True)
    ]


@contextmanager
def _by_itself(context: MigrationContext) -> Iterator[None]:
    """Commit each statement, where nothing that came before it could be lost with it."""
    from alembic import op

    kind = context.dialect.name
    if integrity.autocommit(op.get_bind()):  # the migration has begun a block
        yield
        return
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

    context = op.get_context()
    progress = context.opts.get(PROGRESS)
    if context.as_sql or (progress and progress.behind):
        return
    connection = op.get_bind()
    source = table_clause(table, schema=schema)
    found = []
    for name in columns:
        look: PlainColumn = column(name)
        said = integrity.number_and_examples(connection, source, look.is_(None))
        if said:
            found.append(f"{table}.{name} is to be NOT NULL, and {said} hold NULL")
    if found:
        raise CommandError(f"{'; '.join(found)}: give them a value, then try again.")
