"""The index that MySQL makes for a foreign key: it stays when the key goes, and a key needs one.

https://dev.mysql.com/doc/refman/8.0/en/create-table-foreign-keys.html#foreign-key-indexes
"""

from typing import Any

from alembic.operations import ops
from sqlalchemy import Table as Model

from .. import naming


def follow(change: ops.ModifyTableOps, there: Model, model: Model) -> None:
    """Drop the index of a foreign key with it, and put the keys around what their indexes do.

    Keys go first and come last, so that on the way down, too, an index may go that a key would need.
    """
    drops = [op for op in change.ops if _drops_key(op)]
    makes = [op for op in change.ops if isinstance(op, ops.CreateForeignKeyOp)]
    rest = [op for op in change.ops if op not in drops and op not in makes]
    names = {op.constraint_name for op in drops}
    for index in sorted(there.indexes, key=lambda index: str(index.name)):
        if index.name in names and not _stays(index, [*rest, *makes], model):
            drop = ops.DropIndexOp.from_index(index)
            naming.leave_unsaid(drop)
            rest.insert(0, drop)
    change.ops[:] = [*drops, *rest, *makes]


def _drops_key(op: Any) -> bool:
    return isinstance(op, ops.DropConstraintOp) and op.constraint_type == "foreignkey"


def _stays(index: Any, changes: list[Any], model: Model) -> bool:
    """Whether the index is in the models, has a use, or is gone without a word."""
    names = [column.name for column in index.columns]
    gone = {op.column_name for op in changes if isinstance(op, ops.DropColumnOp)}
    keys = [[column.name for column in key.columns] for key in model.foreign_key_constraints]
    dropped = any(isinstance(op, ops.DropIndexOp) and op.index_name == index.name for op in changes)
    return (
        dropped
        or set(names) <= gone
        or index.name in {each.name for each in model.indexes}
        # a new index takes its place, a key that stays or comes uses it
        or any(_columns(op)[: len(names)] == names for op in changes)
        or any(names[: len(key)] == key for key in keys)
    )


def _columns(op: Any) -> list[str]:
    if isinstance(op, ops.CreateIndexOp | ops.CreateUniqueConstraintOp):
        return [getattr(column, "name", column) for column in op.columns]
    return []
