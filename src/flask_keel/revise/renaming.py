"""The operations that rename, with their reverses."""

from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Computed, DefaultClause, Identity, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import NullType, TypeDecorator

from . import naming
from .candidates import default

POSTGRESQL = postgresql.dialect()
DIALECTS = (POSTGRESQL, mysql.dialect(), sqlite.dialect())


class RenameTable(ops.RenameTableOp):
    """``op.rename_table``, which Alembic does not reverse."""

    def reverse(self) -> "RenameTable":
        return RenameTable(self.new_table_name, self.table_name, schema=self.schema)

    def to_diff_tuple(self) -> tuple:
        return "rename_table", self.schema, self.table_name, self.new_table_name


class RenameColumn(ops.AlterColumnOp):
    """``op.alter_column(..., new_column_name=...)``; Alembic's own reverse loses the name."""

    def reverse(self) -> "RenameColumn":
        facts = {
            key: getattr(self, key)
            for key in (
                "existing_type",
                "existing_nullable",
                "existing_server_default",
                "existing_comment",
                "schema",
            )
        }
        return RenameColumn(
            self.table_name, self.modify_name, modify_name=self.column_name, **facts, **self.kw
        )

    def to_diff_tuple(self) -> tuple:
        return "rename_column", self.schema, self.table_name, self.column_name, self.modify_name


class RenameGenerated(ops.MigrateOperation):
    """A generated column, of which MySQL's ``CHANGE`` would make a plain one.

    RENAME COLUMN is the same on all three databases: SQLite 3.25, MySQL 8.0, MariaDB 10.5.
    """

    def __init__(self, table: tuple[str, ...], old: str, new: str) -> None:
        self.table, self.old, self.new = table, old, new
        self.names = (*table, old, new)
        self.sql = f"ALTER TABLE {'.'.join(['{}'] * len(table))} RENAME COLUMN {{}} TO {{}}"
        naming.say_instead(self, ("rename column", f"{'.'.join(table)}.{old}", new))

    def reverse(self) -> "RenameGenerated":
        return RenameGenerated(self.table, self.new, self.old)


@Operations.implementation_for(RenameGenerated)
def _rename_generated(operations: Operations, op: RenameGenerated) -> None:
    quote = operations.get_context().dialect.identifier_preparer.quote
    operations.execute(op.sql.format(*map(quote, op.names)))


@renderers.dispatch_for(RenameGenerated)
def _render_generated(context: AutogenContext, op: RenameGenerated) -> str | list[str]:
    if all(map(_is_plain, op.names)):
        return f"op.execute({op.sql.format(*op.names)!r})"
    quote = "op.get_context().dialect.identifier_preparer.quote"
    return [f"names = map({quote}, {op.names!r})", f"op.execute({op.sql!r}.format(*names))"]


class RenamePrimaryKey(ops.MigrateOperation):
    """On PostgreSQL a primary key keeps its name when its table gets another one.

    A new table of the old name could then not be made. The other databases do not mind.
    """

    def __init__(self, table: Table, old: str, new: str) -> None:
        self.table, self.old, self.new = table, old, new
        naming.leave_unsaid(self)

    def reverse(self) -> "RenamePrimaryKey":
        return RenamePrimaryKey(self.table, self.new, self.old)

    def to_diff_tuple(self) -> tuple:
        return "rename_primary_key", self.table.schema, self.table.name, self.old, self.new


@renderers.dispatch_for(RenamePrimaryKey)
def render(context: AutogenContext, op: RenamePrimaryKey) -> list[str]:
    quote = POSTGRESQL.identifier_preparer
    sql = (
        f"ALTER TABLE {quote.format_table(op.table)} "
        f"RENAME CONSTRAINT {quote.quote(op.old)} TO {quote.quote(op.new)}"
    )
    return ["if op.get_context().dialect.name == 'postgresql':", f"op.execute({sql!r})", ""]


def table(old: Table, new: Table) -> RenameTable:
    """Rename a table."""
    return RenameTable(old.name, new.name, schema=old.schema)


def column(
    context: MigrationContext, before: Column, after: Column, table: Table
) -> RenameColumn | RenameGenerated:
    """Rename a column, and say all that MySQL wants to be told again.

    There it is ``CHANGE``, which forgets AUTO_INCREMENT, default and comment when they are not
    repeated (https://dev.mysql.com/doc/refman/8.0/en/alter-table.html), so a file that is written
    on another database says them as well.

    :param before: the column as it is
    :param after: the column in the models
    :param table: its table, by the name that it has by then
    """
    if before.computed is not None:
        place = (table.schema, table.name) if table.schema else (table.name,)
        return RenameGenerated(place, before.name, after.name)
    comments = context.dialect.supports_comments
    facts: dict[str, Any] = {
        "existing_type": _type(context, before, after),
        "existing_nullable": before.nullable,
        "existing_server_default": _server_default(before, after),
        "existing_comment": before.comment if comments else after.comment,
    }
    if after is after.table._autoincrement_column:
        facts["existing_autoincrement"] = True
    return RenameColumn(
        table.name, before.name, schema=table.schema, modify_name=after.name, **facts
    )


def _type(context: MigrationContext, before: Column, after: Column) -> Any:
    """The model's type where it is the database's as well: it is the same on every database."""
    if isinstance(before.type, NullType):
        return after.type
    plain = not isinstance(after.type, TypeDecorator)
    same = plain and not context.impl.compare_type(before, after)
    return after.type if same else before.type


def _server_default(before: Column, after: Column) -> Any:
    if isinstance(before.server_default, Computed | Identity) or not before.server_default:
        return False
    if "nextval(" in str(getattr(before.server_default, "arg", "")):
        return False
    found = after.server_default if default(before) == default(after) else before.server_default
    return found if isinstance(found, DefaultClause) else False


def _is_plain(name: str) -> bool:
    """Whether no database wants quotes around the name."""
    return all(dialect.identifier_preparer.quote(name) == name for dialect in DIALECTS)
