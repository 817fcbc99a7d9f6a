"""AUTOINCREMENT of SQLite, which a batch's table_kwargs give and take away."""

from typing import Any

from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations


@Operations.register_operation("set_sqlite_autoincrement")
class SetAutoincrementOp(MigrateOperation):
    """Written into files as an ordinary batch, which does nothing on other databases."""

    def __init__(self, table_name: str, on: bool, schema: str | None = None) -> None:
        self.table_name = table_name
        self.on = on
        self.schema = schema

    @classmethod
    def set_sqlite_autoincrement(
        cls, operations: Any, table_name: str, on: bool, schema: str | None = None
    ) -> Any:
        """Give AUTOINCREMENT to a table, or take it away."""
        return operations.invoke(cls(table_name, on, schema))

    def reverse(self) -> "SetAutoincrementOp":
        return type(self)(self.table_name, not self.on, self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("set_sqlite_autoincrement", self.schema, self.table_name, self.on)


@Operations.implementation_for(SetAutoincrementOp)
def _run(operations: Any, op: SetAutoincrementOp) -> None:
    options = {"sqlite_autoincrement": op.on}
    with operations.batch_alter_table(op.table_name, schema=op.schema, table_kwargs=options):
        pass


@renderers.dispatch_for(SetAutoincrementOp)
def _render(context: Any, op: SetAutoincrementOp) -> list[str]:
    schema = f", schema={op.schema!r}" if op.schema else ""
    options = f'table_kwargs={{"sqlite_autoincrement": {op.on}}}'
    return [f'with op.batch_alter_table("{op.table_name}"{schema}, {options}):', "pass", ""]
