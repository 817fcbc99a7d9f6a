"""``empty=1``: a migration that compares nothing, for a change of rows that is written by hand."""

import keyword
import re
from collections.abc import Iterable
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, MetaData, Table

from ..seam import Seam
from . import custom_types
from .rendering import IMPORT, Remark


class Backfill(ops.MigrateOperation):
    """The example to begin with: it runs as it stands, and changes nothing."""

    def __init__(self, table: Table | None, column: Column | None) -> None:
        self.table = table
        self.column = column


def write(seam: Seam) -> None:
    """Hand a skeleton to the command that writes the file; no database is asked."""
    offline = {"as_sql": True, "target_metadata": seam.metadata, "upgrade_token": "upgrades"}
    offline |= {"downgrade_token": "downgrades", "sqlalchemy_module_prefix": "sa."}
    offline |= {"alembic_module_prefix": "op.", "user_module_prefix": None}
    offline |= {"process_revision_directives": _fill}
    offline |= {"render_item": custom_types.render_item(seam.options.get("render_item"))}
    context = MigrationContext.configure(dialect=seam.engine.dialect, opts=offline)
    seam.revision_context.run_no_autogenerate((), context)


def _fill(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    for script in directives:
        words = re.findall(r"\w+", (script.message or "").lower())
        script.upgrade_ops.ops[:] = [Backfill(*_likely(context.opts["target_metadata"], words))]
        why = "irreversible because the values from before are not kept"
        script.downgrade_ops.ops[:] = [Remark(why, alone=True)]


def _likely(metadata: MetaData, words: list[str]) -> tuple[Table | None, Column | None]:
    """The table and the column that the message seems to be about."""
    tables = metadata.sorted_tables
    named = [table for table in tables if _said(table.name, words)] or tables
    for table in named:
        for column in table.c:
            if _said(column.name, words) and not column.primary_key:
                return table, column
    if not named:
        return None, None
    plain = [column for column in named[0].c if not column.primary_key]
    return named[0], plain[0] if plain else None


def _said(name: str, words: Iterable[str]) -> bool:
    name = name.lower()
    return any(word in (name, f"{name}s", f"{name}es") for word in words)


@renderers.dispatch_for(Backfill)
def _render(context: AutogenContext, op: Backfill) -> list[str]:
    if op.table is None or op.column is None:
        return ["# change the rows here, with sa.table(...), never with the models", "pass"]
    context.imports.add(IMPORT)
    plain = op.table.name.isidentifier() and not keyword.iskeyword(op.table.name)
    name = op.table.name if plain else "table"
    columns = [*op.table.primary_key.columns, op.column]
    schema = [f"    schema={op.table.schema!r},"] if op.table.schema else []
    return [
        "# the table with the columns that this needs; never the models, which change with the time",
        f"{name} = sa.table(\n"
        + "\n".join(
            [
                f"    {op.table.name!r},",
                *(
                    f"    sa.column({c.name!r}, {render._repr_type(c.type, context)}),"
                    for c in columns
                ),
                *schema,
            ]
        )
        + "\n)",
        "flask_keel.backfill(\n"
        f"    {name},\n"
        f"    where=sa.false(),  # which rows: {name}.c[{op.column.name!r}].is_(None)\n"
        f"    set={{{op.column.name!r}: {name}.c[{op.column.name!r}]}},"
        "  # column: a value, or an expression\n"
        "    batch=1000,\n"
        ")",
    ]
