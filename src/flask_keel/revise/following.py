"""The names of indexes and constraints that follow from the name of a column or a table."""

from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util.sqla_compat import _get_constraint_final_name
from sqlalchemy import ForeignKeyConstraint, Table, inspect
from sqlalchemy.sql.naming import conv

from . import naming, replacing
from .compare import needed_indexes
from .renaming import RenamePrimaryKey


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
    both = (script.upgrade_ops, script.downgrade_ops)
    replaced = replacing.in_order(both)
    for table in context.opts["target_metadata"].sorted_tables:
        for key in table.foreign_key_constraints:
            around = _target(key) in replaced
            if around or _concerned(table, key, tables, columns):
                _rename_key(context, both, table, key, around)
        # on PostgreSQL the comparison itself compares the names of keys
        if table.fullname in tables and context.dialect.name != "postgresql":
            _rename_primary(context, both, table)


def _target(key: ForeignKeyConstraint) -> tuple[str, tuple[str, ...]]:
    return key.referred_table.fullname, tuple(element.column.name for element in key.elements)


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
    both: tuple[ops.OpContainer, ops.OpContainer],
    table: Table,
    key: ForeignKeyConstraint,
    around: bool,
) -> None:
    """Drop a key and create it by its new name.

    Around everything else, when an index that it needs on MySQL comes or goes in between.

    :param around: the unique constraint that it refers to is replaced in between
    """
    name = _get_constraint_final_name(key, context.dialect)
    old = _reflected_name(context, table, key)
    if not name or not old or (name == old and not around):
        return
    around = needed_indexes.leave(both, table.name, table.schema, old) or around
    for container, going, coming in zip(both, (old, name), (name, old), strict=True):
        drop = ops.DropConstraintOp(
            conv(going), table.name, type_="foreignkey", schema=table.schema
        )
        create = ops.CreateForeignKeyOp.from_constraint(key)
        create.constraint_name = conv(coming)
        naming.leave_unsaid(drop)
        naming.leave_unsaid(create)
        if around:
            container.ops.insert(0, _table(table, drop))
            container.ops.append(_table(table, create))
            continue
        changes = _changes(container, table)
        dropped = {op.constraint_name for op in changes if isinstance(op, ops.DropConstraintOp)}
        if going not in dropped:  # else it changes in other ways as well
            changes += [drop, create]


def _rename_primary(
    context: MigrationContext, both: tuple[ops.OpContainer, ops.OpContainer], table: Table
) -> None:
    name = _get_constraint_final_name(table.primary_key, context.dialect)
    old = inspect(context.connection).get_pk_constraint(table.name, table.schema).get("name")
    if name and old and name != old:
        rename = RenamePrimaryKey(table, old, name)
        both[0].ops.append(rename)
        both[1].ops.insert(0, rename.reverse())


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
    new = _table(table)
    container.ops.append(new)
    return new.ops


def _table(table: Table, *changes: Any) -> ops.ModifyTableOps:
    return ops.ModifyTableOps(table.name, list(changes), schema=table.schema)
