"""Changes of a type that PostgreSQL does not make by itself: their USING."""

import re
from typing import Any

from alembic.operations import ops
from sqlalchemy import Column, DefaultClause, text
from sqlalchemy import types as sa
from sqlalchemy.dialects import postgresql

from . import naming
from .candidates import families
from .literals import unwrapped

POSTGRESQL = postgresql.dialect()
# https://www.postgresql.org/docs/current/sql-createcast.html: these are assignment casts
BY_ITSELF = {("integer", "numeric"), ("numeric", "integer")}
OLD_CAST = re.compile(r"('(?:[^']|'')*')::[\w \"]+(?:\(\d+\))?")
SPECIAL = {
    ("text", "binary"): "convert_to({column}, 'UTF8')",
    ("binary", "text"): "convert_from({column}, 'UTF8')",
    ("integer", "boolean"): "{column} <> 0",
    ("numeric", "boolean"): "{column} <> 0",
    ("boolean", "integer"): "{column}::integer",
    ("boolean", "numeric"): "{column}::integer",
    ("integer", "date and time"): "to_timestamp({column}) AT TIME ZONE 'UTC'",
    ("numeric", "date and time"): "to_timestamp({column}) AT TIME ZONE 'UTC'",
    ("date and time", "integer"): "extract(epoch from {column})",
    ("date and time", "numeric"): "extract(epoch from {column})",
    ("JSON", "integer"): "({column} #>> '{{}}')::{type}",
    ("JSON", "numeric"): "({column} #>> '{{}}')::{type}",
    ("JSON", "boolean"): "({column} #>> '{{}}')::{type}",
}


def cast(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Give each change of a type the USING that it needs on PostgreSQL, on the way down too.

    Whatever database the file is written on: it is to run on all of them.
    """
    for script in directives:
        for container in (script.upgrade_ops, script.downgrade_ops):
            for table in container.ops:
                if isinstance(table, ops.ModifyTableOps):
                    table.ops[:] = [part for op in table.ops for part in _with_using(op)]


def using(old: Any, new: Any, column: str) -> str | None:
    """Return the expression, or None where PostgreSQL converts by itself.

    :param old: the type before
    :param new: the type after
    :param column: the column's name
    """
    before, after = families(old, POSTGRESQL), families(new, POSTGRESQL)
    name = POSTGRESQL.identifier_preparer.quote(column)
    if _native_enum(new):
        return f"{name}::text::{_compiled(new)}"
    if before & after or ("text" in after and "binary" not in before):
        return None
    pair = (min(before), min(after))
    if pair in BY_ITSELF:
        return None
    type_ = _compiled(new)
    if type_ is None:
        return None
    return SPECIAL.get(pair, "{column}::{type}").format(column=name, type=type_)


def _with_using(op: Any) -> list[Any]:
    if not isinstance(op, ops.AlterColumnOp) or op.modify_type is None or op.existing_type is None:
        return [op]
    expression = using(op.existing_type, op.modify_type, op.column_name)
    if expression is None:
        return [op]
    op.kw["postgresql_using"] = expression
    before, after = op.existing_server_default, op.modify_server_default
    if not isinstance(before, DefaultClause):
        return [op]
    before = _without_cast(before)
    # PostgreSQL converts no default along with its column: it goes first and comes back last
    facts = {"schema": op.schema, "existing_nullable": op.existing_nullable}
    drop = ops.AlterColumnOp(
        op.table_name,
        op.column_name,
        existing_type=op.existing_type,
        existing_server_default=before,
        existing_comment=op.existing_comment,
        modify_server_default=None,
        **facts,
    )
    naming.leave_unsaid(drop)
    op.existing_server_default = None
    op.modify_server_default = before if after is False else after
    if op.modify_server_default is None:
        op.modify_server_default = False
        return [drop, op]
    back = ops.AlterColumnOp(
        op.table_name,
        op.column_name,
        existing_type=op.modify_type,
        existing_comment=op.existing_comment,
        modify_server_default=op.modify_server_default,
        schema=op.schema,
        existing_nullable=(
            op.existing_nullable if op.modify_nullable is None else op.modify_nullable
        ),
    )
    naming.leave_unsaid(back)
    op.modify_server_default = False
    return [drop, op, back]


def _without_cast(default: DefaultClause) -> DefaultClause:
    """PostgreSQL says ``'7'::character varying``, which no other type takes."""
    found = OLD_CAST.fullmatch(str(getattr(default.arg, "text", "")))
    return DefaultClause(text(found[1])) if found else default


def _native_enum(type_: Any) -> bool:
    stored = unwrapped(type_)
    return isinstance(stored, sa.Enum) and bool(stored.native_enum and stored.name)


def _compiled(type_: Any) -> str | None:
    try:
        return Column("c", type_).type.compile(POSTGRESQL)
    except Exception:
        return None
