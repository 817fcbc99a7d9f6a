"""The names of indexes and constraints that follow from the name of a column or a table."""

from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util.sqla_compat import _get_constraint_final_name
from sqlalchemy import ForeignKeyConstraint, Table, inspect
from sqlalchemy.sql.naming import conv

from . import naming


def rename(
    context: MigrationContext,
    script: ops.MigrationScript,
    tables: set[str],
    columns: set[tuple[str, str]],
) -> None:
    """Rename the foreign keys that autogenerate does not compare by name, and put all into order.

    A name is changed by dropping the one and creating the other: that is the one way that runs on
    SQLite, PostgreSQL and MySQL, and under Alembic without this toolkit.

    :param tables: the tables that were renamed, by their new names
    :param columns: (table, column) that were renamed, by their new names
    """
    metadata = context.opts["target_metadata"]
    for table in metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            if _concerned(table, key, tables, columns):
                _rename_key(context, script, table, key)
    for container in (script.upgrade_ops, script.downgrade_ops):
        for op in container.ops:
            if isinstance(op, ops.ModifyTableOps):
                op.ops[:] = _in_order(op.ops)


def _concerned(
    table: Table, key: ForeignKeyConstraint, tables: set[str], columns: set[tuple[str, str]]
) -> bool:
    if table.fullname in tables or key.referred_table.fullname in tables:
        return True
    ends = {(table.fullname, column.name) for column in key.columns}
    ends |= {(key.referred_table.fullname, element.column.name) for element in key.elements}
    return bool(ends & columns)


def _rename_key(
    context: MigrationContext,
    script: ops.MigrationScript,
    table: Table,
    key: ForeignKeyConstraint,
) -> None:
    name = _get_constraint_final_name(key, context.dialect)
    old = _reflected_name(context, table, key)
    if not name or not old or name == old:
        return
    for container, going, coming in (
        (script.upgrade_ops, old, name),
        (script.downgrade_ops, name, old),
    ):
        changes = _changes(container, table)
        dropped = {o.constraint_name for o in changes if isinstance(o, ops.DropConstraintOp)}
        if going in dropped:  # it changes in other ways as well
            continue
        drop = ops.DropConstraintOp(
            conv(going), table.name, type_="foreignkey", schema=table.schema
        )
        create = ops.CreateForeignKeyOp.from_constraint(key)
        create.constraint_name = conv(coming)
        naming.leave_unsaid(drop)
        naming.leave_unsaid(create)
        changes += [drop, create]


def _reflected_name(
    context: MigrationContext, table: Table, key: ForeignKeyConstraint
) -> str | None:
    look = inspect(context.connection)
    if not look.has_table(table.name, table.schema):
        return None
    here = [column.name for column in key.columns]
    there = [element.column.name for element in key.elements]
    for found in look.get_foreign_keys(table.name, table.schema):
        if (
            found["constrained_columns"] == here
            and found["referred_table"] == key.referred_table.name
            and found["referred_columns"] == there
        ):
            return found["name"]
    return None


def _changes(container: ops.OpContainer, table: Table) -> list[Any]:
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps) and (op.table_name, op.schema) == (
            table.name,
            table.schema,
        ):
            return op.ops
    new = ops.ModifyTableOps(table.name, [], schema=table.schema)
    container.ops.append(new)
    return new.ops


def _in_order(changes: list[Any]) -> list[Any]:
    """Create an index before the one that it replaces is dropped.

    MySQL does not drop an index that a foreign key needs while there is no other:
    https://dev.mysql.com/doc/refman/8.0/en/create-table-foreign-keys.html
    """
    ordered = list(changes)
    for drop in changes:
        for create in changes:
            if _replaces(create, drop):
                naming.leave_unsaid(drop)
                naming.leave_unsaid(create)
                if ordered.index(create) > ordered.index(drop):
                    ordered.remove(create)
                    ordered.insert(ordered.index(drop), create)
    return ordered


def _replaces(create: Any, drop: Any) -> bool:
    if isinstance(create, ops.CreateIndexOp) and isinstance(drop, ops.DropIndexOp):
        one, other = create.to_index(), drop.to_index()
        same = [str(e) for e in one.expressions] == [str(e) for e in other.expressions]
        return same and bool(one.unique) == bool(other.unique)
    if isinstance(create, ops.CreateUniqueConstraintOp) and isinstance(drop, ops.DropConstraintOp):
        reverse = drop._reverse
        return isinstance(reverse, ops.CreateUniqueConstraintOp) and list(reverse.columns) == list(
            create.columns
        )
    return False
