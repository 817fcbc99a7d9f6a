"""What a batch asks for, its arguments included, as operations on its table."""

import sqlalchemy as sa

from . import operations as ops
from . import translate
from .create_table import CreateTable
from .naming import bound
from .tokens import fold
from .translate_constraints import (
    add_constraint,
    create_index,
    drop_constraint,
    wants_constraint,
)


def operations_of(impl, batch, table: CreateTable) -> list[ops.Operation]:
    """Everything that ``batch_alter_table`` and the calls within it ask for, in order.

    ``reflect_args`` and ``reflect_kwargs`` tell Alembic what its reflection misses; here nothing
    is reflected and nothing missed.

    :param batch: Alembic's BatchOperationsImpl
    """
    found: list[ops.Operation] = []
    if batch.copy_from is not None:
        found += _stated(impl, batch.copy_from, table)
    for name, arguments, keywords in batch.batch:
        found += _TRANSLATORS[name](impl, *arguments, **keywords)
    found += _table_args(impl, batch.table_args, table)
    found += _table_kwargs(batch.table_kwargs)
    if batch.partial_reordering:
        found.append(ops.Reorder(tuple(map(tuple, batch.partial_reordering))))
    return found


def _alter_column(impl, table_name, column_name, schema=None, **changes):
    return translate.alter_column(impl.dialect, column_name, **changes)


def _add_column(impl, table_name, column, schema=None, **options):
    return translate.add_columns(impl.dialect, column, **options)


def _drop_column(impl, table_name, column, schema=None, if_exists=None, **options):
    return [ops.DropColumn(column.name, bool(if_exists))]


def _add_constraint(impl, constraint):
    if not wants_constraint(impl, constraint):
        return []
    return [add_constraint(impl.dialect, constraint)._replace(replaces=True)]


def _drop_constraint(impl, constraint, if_exists=None):
    if not wants_constraint(impl, constraint):
        return []
    return [drop_constraint(impl.dialect, constraint, bool(if_exists))]


def _create_index(impl, index, if_not_exists=None):
    return [create_index(impl.dialect, index, bool(if_not_exists))._replace(replaces=True)]


def _drop_index(impl, index, if_exists=None):
    return [ops.DropIndex(str(index.name), bool(if_exists))]


def _comment(impl, *arguments):
    return []


_TRANSLATORS = {
    "alter_column": _alter_column,
    "add_column": _add_column,
    "drop_column": _drop_column,
    "add_constraint": _add_constraint,
    "drop_constraint": _drop_constraint,
    "create_index": _create_index,
    "drop_index": _drop_index,
    "create_table_comment": _comment,
    "drop_table_comment": _comment,
    "create_column_comment": _comment,
}


def _table_args(impl, arguments, table: CreateTable) -> list[ops.Operation]:
    """Constraints and columns for the new table; what it has already is not made twice."""
    parts = list(arguments)
    if not parts:
        return []
    made = bound(table, parts)
    found: list[ops.Operation] = []
    for part in parts:
        if isinstance(part, sa.Column):
            found += translate.add_columns(impl.dialect, made.c[part.name], if_not_exists=True)
        elif isinstance(part, sa.Constraint):
            found.append(add_constraint(impl.dialect, part, unless_present=True))
    return found


def _table_kwargs(keywords) -> list[ops.Operation]:
    with_rowid = keywords.get("sqlite_with_rowid")
    options = ops.SetOptions(
        strict=keywords.get("sqlite_strict"),
        without_rowid=None if with_rowid is None else not with_rowid,
        autoincrement=keywords.get("sqlite_autoincrement"),
    )
    return [] if options == ops.SetOptions() else [options]


def _stated(impl, stated: sa.Table, table: CreateTable) -> list[ops.Operation]:
    """``copy_from`` says how the table is: what it says and the table is not becomes so.

    Whatever it leaves out stays, and the names that it gives to constraints without one are the
    names by which they can be dropped.
    """
    dialect = impl.dialect
    found: list[ops.Operation] = []
    for column in stated.columns:
        if not table.has_column(column.name):
            found += translate.add_columns(dialect, column)
            continue
        if isinstance(column.type, sa.types.NullType):
            continue
        text, collation = translate.type_text(dialect, column.type)
        found.append(ops.SetType(column.name, text, column.type))
        if collation:
            found.append(ops.SetCollation(column.name, collation))
        if not column.primary_key:
            found.append(ops.SetNotNull(column.name, not column.nullable))
        if column.server_default is not None and column.computed is None:
            default = translate.default_text(dialect, column.server_default)
            found.append(ops.SetDefault(column.name, default))
    of_columns = [c for column in stated.columns for c in column.constraints]
    for constraint in [*of_columns, *stated.constraints]:
        if (constraint in of_columns or len(constraint.columns)) and wants_constraint(
            impl, constraint
        ):
            found.append(ops.NameConstraint(add_constraint(dialect, constraint).text))
    options = {f"sqlite_{k}": v for k, v in stated.dialect_options["sqlite"].items()}
    options["sqlite_autoincrement"] = options.get("sqlite_autoincrement") or None
    found += _table_kwargs(options)
    present = {fold(c.name) for c in table.columns}
    for index in stated.indexes:
        if all(fold(column.name) in present for column in index.columns):
            found.append(create_index(dialect, index, if_not_exists=True))
    return found
