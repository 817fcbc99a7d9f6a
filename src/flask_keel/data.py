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
    and_,
    column,
    func,
    inspect,
    select,
    text,
    tuple_,
)
from sqlalchemy import table as table_clause

from . import misfits, output
from .typing import Expression, PlainColumn, Row, Value

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


JOURNAL = "keel_journal"  # the option of Alembic's context under which an upgrade keeps its own


class Unkept:
    """The journal of a backfill where none is kept: it always begins at the beginning."""

    last: Row | None = None

    def backfilled(self, what: str) -> bool:
        """Whether an earlier try has done it; if not, that ended at the key ``last``."""
        return False

    def batch(self, what: str, last: Row | None) -> AbstractContextManager[None]:
        """Run one batch, which ends at this key."""
        return nullcontext()

    def ended(self, what: str) -> None:
        """It is done."""


Keys = Sequence[Expression]
PATIENCE = 5  # seconds between two lines where there is no terminal


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
    journal = context.opts.get(JOURNAL) or Unkept()
    what = f"backfill {table.name} where {where}"  # new values may be mended in the middle of it
    with _by_itself(context) if keys else nullcontext():
        connection = op.get_bind()
        if journal.backfilled(what):
            return 0
        done = 0
        if not keys:
            with journal.batch(what, None):
                done = connection.execute(statement).rowcount
        else:
            last = journal.last
            begin = where if last is None else _and(where, _after(keys, last))
            count = select(func.count()).select_from(table)
            total = connection.execute(count if begin is None else count.where(begin)).scalar_one()
            with _progress(table.name, total) as show:
                for part, end in _parts(connection, table, keys, where, batch, last):
                    with journal.batch(what, end):
                        done += connection.execute(statement.where(part)).rowcount
                    show(done)
        journal.ended(what)
    return done


def _and(one: ColumnElement[bool] | None, other: ColumnElement[bool]) -> ColumnElement[bool]:
    return other if one is None else and_(one, other)


def _keys(connection: Connection, table: TableClause) -> Keys:
    found = inspect(connection).get_pk_constraint(table.name, schema=table.schema)
    names = found.get("constrained_columns") or []
    return [table.c[name] if name in table.c else _of(table, name) for name in names]


def _of(table: TableClause, name: str) -> PlainColumn:
    """A column that the caller's table does not list."""
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
    while True:
        query = select(*keys).select_from(table).order_by(*keys).limit(batch)
        if where is not None:
            query = query.where(where)
        if last is not None:
            query = query.where(_after(keys, last))
        rows = connection.execute(query).all()
        if not rows:
            return
        first, last = (tuple(rows[0]), tuple(rows[-1]))
        yield and_(_between(keys, first, last)), last


def _after(keys: Keys, last: Row) -> ColumnElement[bool]:
    return keys[0] > last[0] if len(keys) == 1 else tuple_(*keys) > tuple_(*last)


def _between(keys: Keys, first: Row, last: Row) -> ColumnElement[bool]:
    if len(keys) == 1:
        return keys[0].between(first[0], last[0])
    return and_(tuple_(*keys) >= tuple_(*first), tuple_(*keys) <= tuple_(*last))


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
        said = misfits.number_and_examples(connection, source, look.is_(None))
        if said:
            found.append(f"{table}.{name} is to be NOT NULL, and {said} hold NULL")
    if found:
        raise CommandError(f"{'; '.join(found)}: give them a value, then try again.")
