"""Generated columns: the expression of one cannot be changed everywhere, so it goes and comes again.

Its values follow from the others; where it becomes an ordinary column they are kept. PostgreSQL before
17 has no other way.
"""

from typing import Any

from alembic.operations import MigrateOperation, ops
from sqlalchemy import Column, Computed
from sqlalchemy import Table as Model

from ...upgrade import readable
from .indexes import known
from .keeping import around
from .twins import Pair
from .wording import as_text, literal

Around = tuple[list[MigrateOperation], list[MigrateOperation]]


def compare(
    context: Any, change: ops.ModifyTableOps, found: Pair, there: Any, model: Model
) -> Around:
    """Add what drops the columns that are generated in another way, and adds them again.

    :returns: what goes before the change of the table, and what goes after it
    """
    before: list[MigrateOperation] = []
    after: list[MigrateOperation] = []
    for name, twin in found.twin.columns.items():
        real = found.real.columns.get(name)
        if real is None or real.generated == twin.generated or name not in there.c:
            continue
        if not context.run_object_filters(model.c[name], name, "column", False, there.c[name]):
            continue
        change.ops[:] = [op for op in change.ops if not _alters(op, name)]
        _without_indexes(change, found, there, model, name)
        old, new = there.c[name], model.c[name]
        if not (real.generated and twin.generated):
            computed = there.c[name] if real.generated else model.c[name]
            ordinary = new if real.generated else old
            more = around(change, ordinary, _update(context, computed), bool(real.generated))
            before, after = more[0] + before, after + more[1]
            old, new = (_nullable(c) if c is ordinary else c for c in (old, new))
        drop = ops.DropColumnOp.from_column_and_tablename(change.schema, model.name, old)
        add = ops.AddColumnOp.from_column_and_tablename(change.schema, model.name, new)
        place = sum(isinstance(op, ops.DropIndexOp | ops.DropConstraintOp) for op in change.ops)
        change.ops[place:place] = [drop, add]
    return before, after


def _update(context: Any, column: Column) -> str:
    quote = readable.dialect(context.dialect).identifier_preparer
    computed = column.server_default
    assert isinstance(computed, Computed)
    table = quote.format_table(column.table)
    sql = f"UPDATE {table} SET {quote.quote(column.name)} = {literal(computed.sqltext, context)}"
    return as_text(sql)


def _nullable(column: Column) -> Column:
    copied = column._copy()
    copied.nullable = True
    Model(column.table.name, column.table.metadata.__class__(), copied, schema=column.table.schema)
    return copied


def _alters(op: Any, name: str) -> bool:
    return isinstance(op, ops.AlterColumnOp) and op.column_name == name


def _without_indexes(
    change: ops.ModifyTableOps, found: Pair, there: Any, model: Model, column: str
) -> None:
    """An index on the column would go with it, on some databases in silence."""
    for index in model.indexes:
        name = str(index.name)
        if column not in index.columns or name not in found.real.indexes:
            continue
        if any(isinstance(op, ops.DropIndexOp) and op.index_name == name for op in change.ops):
            continue
        old = known(found.real.indexes[name], there)
        if old is not None:
            change.ops.insert(0, ops.DropIndexOp.from_index(old))
            change.ops.append(ops.CreateIndexOp.from_index(index))
