"""PostgreSQL's sequences that models name: a default of their next value needs them to be there."""

from collections.abc import Iterator
from typing import Any

from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations, ops
from alembic.util import PriorityDispatchResult
from sqlalchemy import Connection, Sequence
from sqlalchemy import Table as Model
from sqlalchemy.schema import CreateSequence
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import next_value

from ...upgrade import readable
from .. import naming
from .wording import as_text


@Operations.register_operation("set_sequence")
class SetSequenceOp(MigrateOperation):
    """A sequence comes, or goes on the way down.

    :param name: as SQL has it
    :param sql: that creates it
    """

    def __init__(self, name: str, sql: str, comes: bool = True) -> None:
        self.name, self.sql, self.comes = name, sql, comes
        naming.say_instead(self, ("create", f"sequence {name}", ""))

    @classmethod
    def set_sequence(cls, operations: Any, *arguments: Any) -> Any:
        """Run the statement."""
        return operations.invoke(cls(*arguments))

    def reverse(self) -> "SetSequenceOp":
        return type(self)(self.name, self.sql, not self.comes)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("set_sequence", self.name, self.comes)

    @property
    def statement(self) -> str:
        """The SQL, as op.execute takes it."""
        return as_text(self.sql if self.comes else f"DROP SEQUENCE {self.name}")


@Operations.implementation_for(SetSequenceOp)
def _run(operations: Any, op: SetSequenceOp) -> None:
    operations.execute(op.statement)


@renderers.dispatch_for(SetSequenceOp)
def _render(context: Any, op: SetSequenceOp) -> str:
    return f"op.execute({op.statement!r})"


def compare(context: Any, upgrade: ops.UpgradeOps, *_: Any) -> PriorityDispatchResult:
    """Create the sequences that are missing, before everything else."""
    dialect = readable.dialect(context.dialect)
    found: dict[str, SetSequenceOp] = {}
    for model in context.sorted_tables:
        for sequence in [*of_table(model), *model.metadata._sequences.values()]:
            name = dialect.identifier_preparer.format_sequence(sequence)
            there = context.connection.dialect.has_sequence
            if name in found or there(context.connection, sequence.name, schema=sequence.schema):
                continue
            sql = str(CreateSequence(sequence).compile(dialect=dialect)).strip()
            found[name] = SetSequenceOp(name, sql)
    upgrade.ops[:0] = found.values()
    return PriorityDispatchResult.CONTINUE


def of_table(model: Model) -> Iterator[Sequence]:
    """Give the sequences whose next value a column of the table has, by itself or in Python."""
    for column in model.columns:
        if isinstance(column.default, Sequence):
            yield column.default
        default = getattr(column.server_default, "arg", None)
        for part in visitors.iterate(default) if isinstance(default, visitors.Visitable) else ():
            if isinstance(part, next_value):
                yield part.sequence


def lend(connection: Connection, model: Model) -> None:
    """Make those of a twin beside it, where it looks for what has the schema of its model."""
    for sequence in of_table(model):
        if sequence.schema == model.schema:
            connection.execute(CreateSequence(sequence, if_not_exists=True))
