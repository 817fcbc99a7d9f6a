"""What is said of new tables and new columns."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from . import types
from .scope import Scope

CALL = re.compile(r"(current_(timestamp|date|time)|\w+\(.*\))$", re.IGNORECASE)
# functions that give every row the same value: such a default is kept beside the table
STABLE = re.compile(
    r"\(*(now|current_\w+|transaction_timestamp|statement_timestamp|localtimestamp)\b",
    re.IGNORECASE,
)
Said = tuple[str, dict[str, Any]]


def new_table(op: ops.CreateTableOp, scope: Scope) -> Iterator[Said]:
    """Judge the columns and the key of a table that the migration creates."""
    made = copy.copy(op)
    # an Index is a part of the table that was made: Alembic cannot put it into a second one
    made.columns = [item for item in op.columns if not isinstance(item, sa.Index)]
    table = made.to_table()
    label = scope.label(op.table_name, op.schema)
    keys = list(table.primary_key.columns)
    if len(keys) == 1 and isinstance(keys[0].type, sa.Integer):
        type_ = types.plain(keys[0].type, scope.dialect)
        if scope.kind == "sqlite" and types.said(type_, scope.dialect) != "INTEGER":
            yield "big-key-on-sqlite", {"table": label, "type": types.said(type_, scope.dialect)}
        elif isinstance(type_, sa.SmallInteger):
            yield "small-key", {"table": label}
    for column in table.columns:
        yield from anywhere(label, column, scope)


def anywhere(label: str, column: sa.Column, scope: Scope) -> Iterator[Said]:
    """Judge what is as true of a column in a new table as in an old one."""
    default = getattr(column.server_default, "arg", None)
    facts = {"table": label, "column": column.name}
    if isinstance(default, str) and CALL.match(default):
        yield "default-in-quotes", {**facts, "default": default}
    type_ = types.plain(column.type, scope.dialect)
    if scope.kind == "postgresql" and types.said(type_, scope.dialect) == "JSON":
        yield "plain-json", facts


def new_column(op: ops.AddColumnOp, scope: Scope) -> Iterator[Said]:
    """Judge a column that is added to a table that may have rows."""
    column, label = op.column, scope.label(op.table_name, op.schema)
    facts = {"table": label, "column": column.name}
    filled = column.server_default is not None or column.computed is not None
    numbered = column.identity is not None or bool(op.inline_primary_key)
    if not column.nullable and not filled and not numbered:
        yield "add-not-null", facts
    if scope.kind != "sqlite":
        reason = "every row gets a number in" if numbered else _rewrite(column)
        if reason:
            yield "rewrite-table", {"table": label, "reason": f"{reason} {column.name}"}
    if scope.kind == "mysql" and getattr(op, "inline_references", False):
        yield "inline-references", facts
    yield from anywhere(label, column, scope)


def _rewrite(column: sa.Column) -> str | None:
    if column.computed is not None and column.computed.persisted is not False:
        return "every row gets a value in"
    default = getattr(column.server_default, "arg", None)
    if default is None or isinstance(default, str):
        return None
    if "(" in str(default) and not STABLE.match(str(default)):
        return "every row gets a default of its own in"
    return None
