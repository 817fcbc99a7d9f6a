"""The renames, done on the scratch database, and autogenerate's comparison after them."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic.autogenerate import produce_migrations
from alembic.operations import MigrateOperation, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Table

from .. import messages
from . import following, renaming
from .candidates import named
from .differences import Pair


def compare_again(
    context: MigrationContext,
    script: ops.MigrationScript,
    tables: list[tuple[Table, Table]],
    columns: list[tuple[Pair, str, str]],
    why: str | None,
) -> None:
    """Rename, compare, and give the script the renames and what is still different after them.

    :param why: None on a scratch database; else why there is none, and everything is undone again
    :raises CommandError: on a database that is no scratch, where DDL cannot be undone
    """
    done = list(_operations(context, tables, columns))
    with _undone(context, why):
        operations = Operations(context)
        for op in done:
            operations.invoke(op)
        fresh = produce_migrations(context, context.opts["target_metadata"])
        following.rename(context, fresh, {new.fullname for _, new in tables}, _new(columns))
    script.upgrade_ops.ops[:] = [*done, *fresh.upgrade_ops.ops]
    script.downgrade_ops.ops[:] = [
        *fresh.downgrade_ops.ops,
        *(op.reverse() for op in reversed(done)),
    ]


def _operations(
    context: MigrationContext,
    tables: list[tuple[Table, Table]],
    columns: list[tuple[Pair, str, str]],
) -> Iterator[MigrateOperation]:
    for old, new in tables:
        yield renaming.table(old, new)
    for pair, old, new in columns:
        before, after = named(pair.old)[old], named(pair.new)[new]
        yield renaming.column(context, before, after, pair.new)


def _new(columns: list[tuple[Pair, str, str]]) -> set[tuple[str, str]]:
    return {(pair.new.fullname, new) for pair, _, new in columns}


@contextmanager
def _undone(context: MigrationContext, why: str | None) -> Iterator[None]:
    if why is None:
        yield
    elif not context.impl.transactional_ddl:
        raise CommandError(messages.RENAME_NEEDS_SCRATCH.format(reason=why))
    else:
        with context.connection.begin_nested() as savepoint:
            yield
            savepoint.rollback()
