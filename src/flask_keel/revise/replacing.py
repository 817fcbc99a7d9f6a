"""One index or unique constraint in the place of another: created first, then the other is dropped."""

from typing import Any

from alembic.operations import ops

from . import naming


def in_order(both: tuple[ops.OpContainer, ...]) -> set[tuple[str, tuple[str, ...]]]:
    """Create an index before the one that it replaces is dropped; return the unique ones.

    MySQL does not drop an index that a foreign key needs while there is no other:
    https://dev.mysql.com/doc/refman/8.0/en/create-table-foreign-keys.html

    :returns: (table, columns) for each unique index or constraint that is replaced
    """
    replaced = set()
    for table in [op for ops_ in both for op in ops_.ops if isinstance(op, ops.ModifyTableOps)]:
        _constraints_of_mysql(table)
        for drop in list(table.ops):
            for create in list(table.ops):
                if not _replaces(create, drop):
                    continue
                naming.leave_unsaid(drop)
                naming.leave_unsaid(create)
                # but for its capitals it is one name, which there cannot be twice
                one = str(_name(create)).casefold() == str(_name(drop)).casefold()
                first, second = (drop, create) if one else (create, drop)
                if table.ops.index(first) > table.ops.index(second):
                    table.ops.remove(first)
                    table.ops.insert(table.ops.index(second), first)
                if isinstance(create, ops.CreateUniqueConstraintOp) or create.unique:
                    names = tuple(getattr(column, "name", column) for column in create.columns)
                    schema = f"{table.schema}." if table.schema else ""
                    replaced.add((schema + table.table_name, names))
    return replaced


def _constraints_of_mysql(table: ops.ModifyTableOps) -> None:
    """MySQL shows a unique constraint as an index; the other databases have it as a constraint."""
    unique = ops.CreateUniqueConstraintOp
    indexes = (ops.CreateIndexOp, ops.DropIndexOp)
    for place, op in enumerate(table.ops):
        if not isinstance(op, indexes):
            continue
        index = op.to_index()
        names = [column.name for column in index.columns]
        made = unique(op.index_name, table.table_name, names, schema=table.schema)
        kind = unique if isinstance(op, ops.DropIndexOp) else ops.DropConstraintOp
        others = [other for other in table.ops if isinstance(other, kind)]
        if index.unique and any(names == _unique_columns(other) for other in others):
            create = isinstance(op, ops.CreateIndexOp)
            table.ops[place] = (
                made if create else ops.DropConstraintOp.from_constraint(made.to_constraint())
            )


def _name(op: Any) -> str | None:
    return getattr(op, "index_name", None) or getattr(op, "constraint_name", None)


def _unique_columns(op: Any) -> list[str] | None:
    made = op._reverse if isinstance(op, ops.DropConstraintOp) else op
    return list(made.columns) if isinstance(made, ops.CreateUniqueConstraintOp) else None


def _replaces(create: Any, drop: Any) -> bool:
    if isinstance(create, ops.CreateIndexOp) and isinstance(drop, ops.DropIndexOp):
        one, other = create.to_index(), drop.to_index()
        same = [str(e) for e in one.expressions] == [str(e) for e in other.expressions]
        return same and bool(one.unique) == bool(other.unique)
    if isinstance(create, ops.CreateUniqueConstraintOp) and isinstance(drop, ops.DropConstraintOp):
        return _unique_columns(drop) == _unique_columns(create)
    return False
