"""How a database numbers new rows: AUTO_INCREMENT of MySQL, SERIAL and Identity of PostgreSQL.

A SERIAL is no type but a default, a sequence and who owns it, so a column that is there becomes one in
three statements: https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-SERIAL
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.operations import MigrateOperation, Operations, ops
from sqlalchemy import Column, DefaultClause, Identity, text
from sqlalchemy import Table as Model

from ...upgrade import readable
from .. import naming
from . import facts
from .twins import Compared
from .wording import as_text, literal


@dataclass(frozen=True)
class Serial:
    """The sequence behind a SERIAL, as SQL, and its type."""

    sequence: str
    kind: str


State = Serial | Identity | DefaultClause | None


class SetAutoIncrement(ops.AlterColumnOp):
    """``autoincrement=`` of ``op.alter_column``, which Alembic's own reverse leaves as it is."""

    def reverse(self) -> "SetAutoIncrement":
        kw = {**self.kw, "autoincrement": not self.kw["autoincrement"]}
        facts = {"existing_type": self.existing_type, "existing_nullable": False}
        return SetAutoIncrement(
            self.table_name, self.column_name, schema=self.schema, **facts, **kw
        )


@Operations.register_operation("set_numbering")
class SetNumberingOp(MigrateOperation):
    """A column of PostgreSQL is numbered in another way; written as ordinary operations.

    :param table: its name and its column's as SQL has them
    """

    def __init__(
        self,
        column: Column,
        table: tuple[str, str],
        was: State,
        now: State,
        schema: str | None,
    ) -> None:
        self.column, self.table, self.was, self.now, self.schema = column, table, was, now, schema
        naming.say_instead(self, ("change", column.table.name, column.name))

    @classmethod
    def set_numbering(cls, operations: Any, *arguments: Any) -> Any:
        """Run the statements."""
        return operations.invoke(cls(*arguments))

    def reverse(self) -> "SetNumberingOp":
        return type(self)(self.column, self.table, self.now, self.was, self.schema)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("set_numbering", self.schema, self.column.table.name, self.column.name)

    def parts(self) -> Iterator[MigrateOperation]:
        """The operations that take the old way away and bring the new one."""
        was, now = self.was, self.now
        table, column = self.table
        if isinstance(was, Serial) and isinstance(now, Serial):
            yield _execute(f"ALTER SEQUENCE {now.sequence} AS {now.kind}")
            return
        if was is not None:
            yield self._default(None, was)
        if isinstance(was, Serial):
            yield _execute(f"DROP SEQUENCE {was.sequence}")
        if isinstance(now, Serial):
            sequence = f"{now.sequence} AS {now.kind} OWNED BY {table}.{column}"
            yield _execute(f"CREATE SEQUENCE {sequence}")
            yield self._default(_next(now), None)
            yield _execute(
                f"SELECT setval({_quoted(now.sequence)}, (SELECT max({column}) FROM {table}))"
            )
        elif now is not None:
            yield self._default(now, None)
        if isinstance(now, Identity):
            counter = f"pg_get_serial_sequence({_quoted(table)}, {_quoted(self.column.name)})"
            last = f"(SELECT max({column}) FROM {table})"
            yield _execute(f"SELECT setval({counter}, {last})")

    def _default(self, new: Any, old: State) -> ops.AlterColumnOp:
        return ops.AlterColumnOp(
            self.column.table.name,
            self.column.name,
            schema=self.schema,
            existing_type=self.column.type,
            existing_nullable=self.column.nullable,
            existing_server_default=_next(old) if isinstance(old, Serial) else old or False,
            modify_server_default=new,
        )


def _execute(sql: str) -> ops.ExecuteSQLOp:
    return ops.ExecuteSQLOp(as_text(sql))


@Operations.implementation_for(SetNumberingOp)
def _run(operations: Any, op: SetNumberingOp) -> None:
    for part in op.parts():
        operations.invoke(part)


@renderers.dispatch_for(SetNumberingOp)
def _render(context: Any, op: SetNumberingOp) -> list[str]:
    return [line for part in op.parts() for line in render.render_op(context, part)]


Changes = list[MigrateOperation]


def compare(context: Any, table: Compared) -> tuple[Changes, Changes]:
    """Return what makes PostgreSQL number the rows of a table as the models say.

    A column that comes or goes brings its own numbers along.

    :returns: what goes before the table's other changes, and what goes after them: another type may
        come in between
    """
    there, model, found = table.there, table.model, table.found
    before: Changes = []
    after: Changes = []
    for name, twin in found.twin.columns.items():
        real = found.real.columns.get(name)
        if real is None or real.counts == twin.counts or name not in there.c:
            continue
        if not context.run_object_filters(model.c[name], name, "column", False, there.c[name]):
            continue
        quote = readable.dialect(context.dialect).identifier_preparer
        home = quote.format_table(model)
        own = real.sequence if real.counts and real.sequence else _free(quote, model, name)
        was, now = (
            _state(context, real, there.c[name], own),
            _state(context, twin, model.c[name], own),
        )
        names, schema = (home, quote.quote(name)), there.schema
        if isinstance(was, Serial) and isinstance(now, Serial):
            after.append(SetNumberingOp(model.c[name], names, was, now, schema))
            continue
        if was is not None:
            before.append(SetNumberingOp(there.c[name], names, was, None, schema))
        if now is not None:
            after.append(SetNumberingOp(model.c[name], names, None, now, schema))
            if was is not None:
                naming.leave_unsaid(before[-1])
    return before, after


def _state(context: Any, column: facts.Column, known: Column, sequence: str) -> State:
    if column.counts == "identity":
        assert isinstance(known.server_default, Identity)
        return known.server_default
    if column.counts:
        return Serial(sequence, column.counts.removeprefix("serial "))
    if column.default is None or column.generated:
        return None
    default = known.server_default
    said = literal(default.arg, context) if isinstance(default, DefaultClause) else column.default
    return DefaultClause(text(as_text(said)))


def _free(quote: Any, model: Model, column: str) -> str:
    """The name that PostgreSQL itself gives to the sequence of a SERIAL."""
    name = quote.quote(f"{model.name[:29]}_{column[:29]}_seq")
    return f"{quote.quote_schema(model.schema)}.{name}" if model.schema else name


def _next(serial: Serial) -> DefaultClause:
    return DefaultClause(text(as_text(f"nextval({_quoted(serial.sequence)})")))


def _quoted(sql: str) -> str:
    return "'" + sql.replace("'", "''") + "'"
