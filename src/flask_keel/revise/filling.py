"""The operations of a fill: the UPDATE, and the look at rows that would stop it half-way."""

import keyword
from collections.abc import Callable, Iterator
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Column

from . import literals
from .answers import Fill
from .rendering import LibraryCall


class FillColumn(ops.MigrateOperation):
    """Give a column its value in the rows that are there.

    :param only_nulls: leave the rows alone that have a value
    """

    def __init__(
        self,
        table_name: str,
        schema: str | None,
        column: Column,
        fill: Fill,
        only_nulls: bool = False,
    ) -> None:
        self.table_name = table_name
        self.schema = schema
        self.column = column
        self.fill = fill
        self.only_nulls = only_nulls
        self.said = ()


@renderers.dispatch_for(FillColumn)
def _render(context: AutogenContext, op: FillColumn) -> str:
    """Write it with sa.table: each database quotes the names in its own way, with --sql too."""
    name, type_ = op.column.name, op.column.type
    column = f"sa.column({name!r})"
    if op.fill.expression:
        value = f"sa.literal_column({op.fill.text!r})"
    else:
        found = literals.value(name, type_, op.fill.text)
        value = literals.code(found, context.imports)
        if not literals.plain_text(type_):
            column = f"sa.column({name!r}, {render._repr_type(type_, context)})"
    simple = name.isidentifier() and not keyword.iskeyword(name) and name != "self"
    values = f"{name}={value}" if simple else f"{{{name!r}: {value}}}"
    schema = f", schema={op.schema!r}" if op.schema else ""
    lines = [
        f"sa.table({op.table_name!r}, {column}{schema})",
        ".update()",
        *([f".where(sa.column({name!r}).is_(None))"] if op.only_nulls else []),
        f".values({values})",
    ]
    return "op.execute(\n" + "\n".join(f"    {line}" for line in lines) + "\n)"


def no_nulls(
    container: ops.OpContainer, fills: dict[str, Fill], name: Callable[[Any], str]
) -> Iterator[LibraryCall]:
    """Look first whether rows hold NULL in a column that may not hold it any more.

    Without a look the database would stop in the middle, which MySQL does not undo.

    :param fills: the columns that get a value anyway
    :param name: what a change's column is called in the fills
    """
    tables: dict[tuple[str | None, str], str] = {}
    columns: dict[tuple[str | None, str, str], str] = {}
    asked: dict[tuple[str | None, str], list[str]] = {}
    for op in container.ops:
        # the look comes before the renames: it uses the names from before them
        if isinstance(op, ops.RenameTableOp):
            tables[op.schema, op.new_table_name] = op.table_name
        elif isinstance(op, ops.AlterColumnOp) and op.modify_name:
            columns[op.schema, op.table_name, op.modify_name] = op.column_name
        elif isinstance(op, ops.ModifyTableOps):
            for change in op.ops:
                turned = isinstance(change, ops.AlterColumnOp) and change.modify_nullable is False
                if turned and name(change) not in fills:
                    key = (op.schema, op.table_name)
                    column = columns.get((*key, change.column_name), change.column_name)
                    asked.setdefault(key, []).append(column)
    for (schema, table), names in asked.items():
        first = tables.get((schema, table), table)
        arguments = ", ".join(repr(str(part)) for part in [first, *names])
        last = f", schema={schema!r}" if schema else ""
        yield LibraryCall(f"require_no_nulls({arguments}{last})")
