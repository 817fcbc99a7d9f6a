"""Generated columns: the expression of one cannot be changed everywhere, so it goes and comes again.

Nothing is lost by that: its values follow from the others. PostgreSQL before 17 has no other way.
"""

from typing import Any

from alembic.operations import ops
from sqlalchemy import Table as Model

from .indexes import known
from .twins import Pair


def compare(
    context: Any, change: ops.ModifyTableOps, found: Pair, there: Any, model: Model
) -> None:
    """Add what drops the columns that are generated in another way, and adds them again."""
    for name, twin in found.twin.columns.items():
        real = found.real.columns.get(name)
        if real is None or real.generated == twin.generated or name not in there.c:
            continue
        if not context.run_object_filters(model.c[name], name, "column", False, there.c[name]):
            continue
        change.ops[:] = [op for op in change.ops if not _alters(op, name)]
        _without_indexes(change, found, there, model, name)
        column = ops.AddColumnOp.from_column_and_tablename(change.schema, model.name, model.c[name])
        drop = ops.DropColumnOp.from_column_and_tablename(change.schema, model.name, there.c[name])
        place = sum(isinstance(op, ops.DropIndexOp | ops.DropConstraintOp) for op in change.ops)
        change.ops[place:place] = [drop, column]


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
