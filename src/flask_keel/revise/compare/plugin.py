"""The comparators, where Alembic asks for them: ``autogenerate_plugins`` names this plugin.

https://alembic.sqlalchemy.org/en/latest/api/plugins.html
"""

from typing import Any

from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult

from . import (
    checks,
    columns,
    generated,
    implicit,
    indexes,
    keys,
    needed_indexes,
    reflected,
    sequences,
    tables,
    twins,
    unnamed,
)
from .autoincrement import SetAutoincrementOp
from .twins import pair

NAME = "toolkit.compare"
CONTINUE = PriorityDispatchResult.CONTINUE
# what is compared unless the application says otherwise
OPTIONS = {
    "compare_type": True,
    "compare_server_default": True,
    "autogenerate_plugins": ["alembic.autogenerate.*", NAME],
}


def table(
    context: Any, change: ops.ModifyTableOps, schema: Any, name: str, there: Any, model: Any
) -> PriorityDispatchResult:
    """Compare a table that both have: its CHECKs, indexes and generated columns."""
    if there is None and model is not None:
        tables.complete_indexes(context, change, model)
    if there is not None and model is None:
        reflected.complete(context, change, there)
    if there is None or model is None:
        return CONTINUE
    found = pair(context, model, name, schema)
    twins.remember(context, (schema, name, "table"), twins.Compared(there, model, found))
    reflected.json_columns(there, found.real)
    checks.compare(context, change, found, there, model)
    indexes.compare(context, change, found, there, model)
    if context.dialect.name == "sqlite":
        unnamed.compare(context, change, there, model)
    if context.dialect.name in ("mysql", "mariadb"):
        implicit.follow(change, there, model)
        needed_indexes.compare(change, there, model)
    around = generated.compare(context, change, found, there, model)
    twins.remember(context, (schema, name), around)
    return CONTINUE


def new_tables(context: Any, upgrade: ops.UpgradeOps, *_: Any) -> PriorityDispatchResult:
    """Stop before a table is written that this database cannot have."""
    for op in upgrade.ops:
        if isinstance(op, ops.CreateTableOp):
            twins.require_makeable(context, op.to_table())
    return CONTINUE


def values(context: Any, upgrade: ops.UpgradeOps, *_: Any) -> PriorityDispatchResult:
    """Put what keeps the values of generated columns around the changes of their tables."""
    for op in list(upgrade.ops):
        if isinstance(op, ops.ModifyTableOps):
            before, after = twins.remembered(context, (op.schema, op.table_name))
            place = upgrade.ops.index(op)
            upgrade.ops[place + 1 : place + 1] = after
            upgrade.ops[place:place] = before
    return CONTINUE


def autoincrement(context: Any, upgrade: ops.UpgradeOps, *_: Any) -> PriorityDispatchResult:
    """Compare AUTOINCREMENT, after everything else."""
    new = {(op.schema, op.table_name) for op in upgrade.ops if isinstance(op, ops.CreateTableOp)}
    for model in context.sorted_tables:
        if (model.schema, model.name) in new:
            continue
        if not context.run_object_filters(model, model.name, "table", False, None):
            continue
        found = pair(context, model, model.name, model.schema)
        if found.real.autoincrement != found.twin.autoincrement:
            on = found.twin.autoincrement
            upgrade.ops.append(SetAutoincrementOp(model.name, on, model.schema))
    return CONTINUE


def arrange(context: Any, upgrade: ops.UpgradeOps, *_: Any) -> PriorityDispatchResult:
    """Put all operations in order."""
    tables.leave_inherited(context, upgrade)
    tables.arrange(upgrade)
    return CONTINUE


def _register() -> None:
    plugin = Plugin(NAME)
    first, last = DispatchPriority.FIRST, DispatchPriority.LAST
    plugin.add_autogenerate_comparator(columns.same_type, "column", "types", priority=first)
    plugin.add_autogenerate_comparator(columns.other_type, "column", "collation", priority=last)
    plugin.add_autogenerate_comparator(
        columns.server_default, "column", "server_default", priority=first
    )
    plugin.add_autogenerate_comparator(table, "table", "toolkit", priority=last)
    plugin.add_autogenerate_comparator(values, "autogenerate", "values", priority=last)
    plugin.add_autogenerate_comparator(new_tables, "autogenerate", "new", priority=last)
    plugin.add_autogenerate_comparator(
        autoincrement, "autogenerate", "toolkit", qualifier="sqlite", priority=last
    )
    plugin.add_autogenerate_comparator(arrange, "autogenerate", "order", priority=last)
    plugin.add_autogenerate_comparator(keys.compare, "autogenerate", "keys", priority=last)
    plugin.add_autogenerate_comparator(
        sequences.compare, "autogenerate", "sequences", qualifier="postgresql", priority=last
    )


_register()
