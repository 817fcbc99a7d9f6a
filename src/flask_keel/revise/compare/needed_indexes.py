"""Indexes that a foreign key of MySQL's needs: it goes before its index, and comes again after it.

InnoDB makes an index for a foreign key without one, drops that by itself as soon as there is another, and
then refuses to drop the other: https://mariadb.com/kb/en/foreign-keys/#indexes
"""

from collections.abc import Iterable
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.operations import MigrateOperation, Operations, ops
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy import Table as Model

from .. import naming


@Operations.register_operation("one_way")
class OneWay(MigrateOperation):
    """An operation that is done in one direction only.

    :param now: in this one, and not on the way back
    """

    def __init__(self, op: MigrateOperation, now: bool) -> None:
        self.op = op
        self.now = now
        naming.leave_unsaid(self)

    @classmethod
    def one_way(cls, operations: Any, op: MigrateOperation, now: bool) -> Any:
        """Do it, or not."""
        return operations.invoke(cls(op, now))

    def reverse(self) -> "OneWay":
        return OneWay(self.op, not self.now)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("one_way", self.now, self.op.to_diff_tuple())


@Operations.implementation_for(OneWay)
def _run(operations: Any, op: OneWay) -> None:
    if op.now:
        operations.invoke(op.op)


@renderers.dispatch_for(OneWay)
def _render(context: Any, op: OneWay) -> list[str]:
    return render.render_op(context, op.op) if op.now else []


def compare(change: ops.ModifyTableOps, there: Model, model: Model) -> None:
    """Put the foreign keys of both around the indexes that they would not let go, or get back."""
    # what was reflected for the sake of another table's keys has its own keys twice
    keys = {str(key.name): key for key in there.foreign_key_constraints}
    kept = [key for _, key in sorted(keys.items()) if _kept(change, key, model)]
    for key in kept:
        _create_first(change, _names(key.columns))
    for op in [op for op in change.ops if _index(op) is not None]:
        for key in kept:
            if _needs(change, op, key, there):
                _around(change, op, key, _drops(op))


def leave(containers: Iterable[ops.OpContainer], table: str, schema: str | None, key: str) -> bool:
    """Take a foreign key away from around its indexes: it is dropped before, and made after them.

    :returns: whether it was around one
    """
    changes = [op for container in containers for op in container.ops]
    found = False
    for change in [op for op in changes if isinstance(op, ops.ModifyTableOps)]:
        if (change.table_name, change.schema) == (table, schema):
            kept = [op for op in change.ops if not _is_lift(op, key)]
            found = found or len(kept) < len(change.ops)
            change.ops[:] = kept
    return found


def _is_lift(op: MigrateOperation, key: str) -> bool:
    return isinstance(op, OneWay) and op.op.constraint_name == key


def _around(change: ops.ModifyTableOps, op: Any, key: ForeignKeyConstraint, now: bool) -> None:
    drop = OneWay(ops.DropConstraintOp.from_constraint(key), now)
    make = OneWay(ops.CreateForeignKeyOp.from_constraint(key), now)
    place = change.ops.index(op)
    change.ops[place : place + 1] = [drop, op, make] if now else [make, op, drop]


def _create_first(change: ops.ModifyTableOps, columns: list[str]) -> None:
    """Create what can take the place of an index before that is dropped; one name cannot be twice."""
    useful = [op for op in change.ops if _covers(_index(op) or [], columns)]
    drops = [op for op in useful if _drops(op)]
    gone = {_name(op).casefold() for op in change.ops if _index(op) is not None and _drops(op)}
    for op in useful if drops else ():
        place = change.ops.index(drops[0])
        if not _drops(op) and _name(op).casefold() not in gone and change.ops.index(op) > place:
            change.ops.remove(op)
            change.ops.insert(place, op)


def _kept(change: ops.ModifyTableOps, key: ForeignKeyConstraint, model: Model) -> bool:
    dropped = {op.constraint_name for op in change.ops if isinstance(op, ops.DropConstraintOp)}
    return (
        bool(key.name)
        and key.name not in dropped
        and set(_names(key.columns)) <= set(_names(model.columns))
    )


def _needs(change: ops.ModifyTableOps, op: Any, key: ForeignKeyConstraint, there: Model) -> bool:
    """Whether there is no other index for the key then, but the one that InnoDB makes for it."""
    columns = _names(key.columns)
    if not _covers(_index(op) or [], columns):
        return False
    every = [each for each in change.ops if _index(each) is not None]
    gone = {_name(each) for each in every if _drops(each)} | {str(key.name), _name(op)}
    left = [_names(index.expressions) for index in there.indexes if str(index.name) not in gone]
    left += [_names(there.primary_key.columns)]
    # what came before this one goes, and on the way down what went after one that comes
    place = every.index(op)
    others = every[:place] if _drops(op) else every[place + 1 :]
    left += [_index(each) or [] for each in others if _drops(each) != _drops(op)]
    return not any(_covers(index, columns) for index in left)


def _drops(op: Any) -> bool:
    return isinstance(op, ops.DropIndexOp | ops.DropConstraintOp)


def _name(op: Any) -> str:
    return str(op.index_name if hasattr(op, "index_name") else op.constraint_name)


def _index(op: Any) -> list[str] | None:
    """Return the columns of an index that comes or goes, a unique constraint's too."""
    match op:
        case ops.CreateIndexOp() | ops.DropIndexOp():
            return _names(op.to_index().expressions)
        case ops.CreateUniqueConstraintOp():
            return _names(op.columns)
        case ops.DropConstraintOp() if isinstance(op._reverse, ops.CreateUniqueConstraintOp):
            return _names(op._reverse.columns)
    return None


def _names(parts: Any) -> list[str]:
    return [str(getattr(part, "name", part)) for part in parts]


def _covers(index: list[str], columns: list[str]) -> bool:
    return index[: len(columns)] == columns
