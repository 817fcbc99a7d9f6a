"""The values of a generated column that becomes an ordinary one, or that was one before a downgrade."""

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations, ops


@Operations.register_operation("keep_generated_values")
class KeepValuesOp(MigrateOperation):
    """Fill a column with what was computed; in the direction in which it becomes an ordinary one."""

    def __init__(self, table_name: str, sql: str, now: bool, schema: str | None = None) -> None:
        self.table_name = table_name
        self.sql = sql
        self.now = now
        self.schema = schema

    @classmethod
    def keep_generated_values(cls, operations: Any, *arguments: Any) -> Any:
        """Run the UPDATE."""
        return operations.invoke(cls(*arguments))

    def reverse(self) -> "KeepValuesOp":
        return type(self)(self.table_name, self.sql, not self.now, self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("keep_generated_values", self.schema, self.table_name, self.sql)


@Operations.implementation_for(KeepValuesOp)
def _run(operations: Any, op: KeepValuesOp) -> None:
    if op.now:
        operations.execute(op.sql)


@renderers.dispatch_for(KeepValuesOp)
def _render(context: Any, op: KeepValuesOp) -> list[str]:
    # a string becomes sa.text, in which a percent sign is one
    return [f"op.execute({op.sql!r})"] if op.now else []


def around(
    change: ops.ModifyTableOps, column: sa.Column, update: str, becomes_ordinary: bool
) -> tuple[list[MigrateOperation], list[MigrateOperation]]:
    """Return what goes before the change of a table, and what goes after it.

    :param column: the ordinary one; NOT NULL has to wait until it has its values
    :param becomes_ordinary: by the upgrade; otherwise it was and is again after a downgrade
    """
    keep = KeepValuesOp(change.table_name, update, becomes_ordinary, change.schema)
    found: list[MigrateOperation] = [keep]
    if not column.nullable:
        alter = ops.AlterColumnOp(
            change.table_name,
            column.name,
            schema=change.schema,
            existing_type=column.type,
            existing_nullable=becomes_ordinary,
            modify_nullable=not becomes_ordinary,
        )
        nullable = ops.ModifyTableOps(change.table_name, [alter], schema=change.schema)
        found = [keep, nullable] if becomes_ordinary else [nullable, keep]
    return ([], found) if becomes_ordinary else (found, [])
