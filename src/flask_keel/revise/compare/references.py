"""Foreign keys that are dropped before a change of what they join, and made again after it."""

from collections.abc import Callable
from typing import Any

from alembic.operations import MigrateOperation, ops
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy import Table as Model

from .. import naming
from ..candidates import families
from . import needed_indexes

Joined = Callable[[ForeignKeyConstraint], bool]


def around(upgrade: ops.UpgradeOps, pairs: list[tuple[Model, Model]], joined: Joined) -> None:
    """Drop foreign keys before everything else, and make them after it.

    What the comparison itself drops and makes, new tables too, is put into the same order.

    :param pairs: the tables that both have, as they are and as the models have them
    :param joined: says of a foreign key whether what it joins changes
    """
    for there, model in pairs:
        new = {_ends(key): key for key in model.foreign_key_constraints}
        for key in sorted(there.foreign_key_constraints, key=_ends):
            if key.name and joined(key) and _ends(key) in new and not _dropped(upgrade, key):
                needed_indexes.leave([upgrade], there.name, there.schema, str(key.name))
                drop = ops.DropConstraintOp.from_constraint(key)
                make = ops.CreateForeignKeyOp.from_constraint(new[_ends(key)])
                if make.constraint_name is None:  # it is to be found again on the way down
                    make.constraint_name = key.name
                for op in (drop, make):
                    naming.leave_unsaid(op)
                    change = ops.ModifyTableOps(there.name, [op], schema=there.schema)
                    upgrade.ops.append(change)
    _in_order(upgrade, joined)


def target(key: ForeignKeyConstraint) -> tuple[str, tuple[str, ...]]:
    """Return the table that a foreign key refers to, with its schema, and the columns."""
    specs = [element._get_colspec().rpartition(".") for element in key.elements]
    return specs[0][0], tuple(spec[2] for spec in specs)


def columns(key: ForeignKeyConstraint) -> set[tuple[str, str]]:
    """Return what a foreign key joins: tables with their schema, and columns."""
    parent, names = target(key)
    own = {(key.table.fullname, column.name) for column in key.columns}
    return own | {(parent, name) for name in names}


def retyped(dialect: Any, upgrade: ops.UpgradeOps) -> set[tuple[str, str]]:
    """Return the columns that get a type with which their foreign keys cannot stay.

    MySQL lets none be changed (errors 1832 and 1833), PostgreSQL those that still compare. SQLite looks
    at its foreign keys in the end alone.
    """
    found = set()
    for table in upgrade.ops:
        for op in table.ops if isinstance(table, ops.ModifyTableOps) else ():
            if isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
                before, after = (families(t, dialect) for t in (op.existing_type, op.modify_type))
                alike = dialect.name == "postgresql" and bool(before & after)
                if dialect.name != "sqlite" and not alike:
                    home = (
                        f"{table.schema}.{table.table_name}" if table.schema else table.table_name
                    )
                    found.add((home, op.column_name))
    return found


def _ends(key: ForeignKeyConstraint) -> tuple[Any, ...]:
    return tuple(column.name for column in key.columns), *target(key)


def _dropped(upgrade: ops.UpgradeOps, key: ForeignKeyConstraint) -> bool:
    return any(
        isinstance(op, ops.DropConstraintOp) and op.constraint_name == key.name
        for change in upgrade.ops
        if isinstance(change, ops.ModifyTableOps) and change.table_name == key.table.name
        for op in change.ops
    )


def _in_order(upgrade: ops.UpgradeOps, joined: Joined) -> None:
    first: dict[Any, MigrateOperation] = {}
    last: dict[Any, MigrateOperation] = {}
    tables: list[MigrateOperation] = []
    kept: list[MigrateOperation] = []
    late: set[tuple[str | None, str]] = set()
    for op in upgrade.ops:
        if isinstance(op, ops.ModifyTableOps):
            for part in [part for part in op.ops if _is_key(part)]:
                if joined(part.to_constraint()):
                    op.ops.remove(part)
                    home = first if isinstance(part, ops.DropConstraintOp) else last
                    table = ops.ModifyTableOps(op.table_name, [], schema=op.schema)
                    home.setdefault((op.schema, op.table_name), table).ops.append(part)
            if op.ops:
                (tables if (op.schema, op.table_name) in late else kept).append(op)
        elif isinstance(op, ops.CreateTableOp) and any(
            joined(key) for key in op.to_table().foreign_key_constraints
        ):
            late.add((op.schema, op.table_name))
            tables.append(op)
        else:
            kept.append(op)
    upgrade.ops[:] = [*first.values(), *kept, *tables, *last.values()]


def _is_key(op: Any) -> bool:
    drops = isinstance(op, ops.DropConstraintOp) and op.constraint_type == "foreignkey"
    return drops or isinstance(op, ops.CreateForeignKeyOp)
