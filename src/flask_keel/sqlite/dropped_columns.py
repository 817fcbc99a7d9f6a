"""A column dropped, with the indexes and the constraints that involve it."""

from alembic.util import CommandError

from .create_table import Constraint, CreateTable, identifiers
from .draft import Draft
from .dropped_constraints import drop_step
from .matching import describe, involves, is_named_apart
from .mirror import Mirror
from .operations import DropColumn
from .steps import Step
from .tokens import fold, quote, same


def drop_column(draft: Draft, op: DropColumn) -> None:
    """A column goes with the indexes and the constraints that involve it, as on PostgreSQL."""
    if op.if_exists and not draft.table.has_column(op.column):
        return
    name = draft.column(op.column)
    _refuse_drop(draft, name)
    draft.with_columns.append(draft.table)
    gone = [f"index {i.name}" for i in draft.indexes if i.concerns(name)]
    for index in [i for i in draft.indexes if i.concerns(name)]:
        draft.drop_index(index.name)
    draft.new_indexes = [
        i for i in draft.new_indexes if not any(same(name, n) for n in _names(i.columns))
    ]
    for constraint in _involved(draft.table, name):
        gone.append(describe(constraint))
        draft.add(drop_step(draft, constraint, says=""))
    gone += [describe(c) for c in draft.table.column(name).constraints if is_named_apart(c)]
    draft.dropped_columns.append(name)
    added = draft.new_columns.pop(fold(name), None)
    draft.made_over.pop(fold(name), None)
    draft.add(
        Step(
            f"drop column {name}" + (f" with {', '.join(gone)}" if gone else ""),
            lambda table: table.drop_column(name),
            "rebuild" if added else _way_to_drop(draft, name),
            statement=f"ALTER TABLE {draft.sql_name} DROP COLUMN {quote(name)}",
        )
    )


def _names(expressions: tuple[str, ...]) -> set[str]:
    return {name for text in expressions for name in identifiers(text)}


def _involved(table: CreateTable, name: str) -> list[Constraint]:
    """Constraints written elsewhere than in the column's own definition that need the column."""
    return [
        c
        for c in table.all_constraints()
        if is_named_apart(c) and not same(c.column, name) and involves(table, c, name)
    ]


def _refuse_drop(draft: Draft, name: str) -> None:
    what = f"Column {draft.name}.{name} cannot be dropped"
    if len(draft.table.columns) == 1:
        raise CommandError(f"{what}, since it is the only one: drop the table.")
    for other in draft.table.columns:
        uses = other.generated and draft.table.uses(other.last("generated"))
        if uses and any(same(name, used) for used in uses) and not same(other.name, name):
            raise CommandError(
                f"{what}, since the generated column {other.name!r} is computed from it: "
                f"drop {other.name!r} first."
            )
    for reference in draft.references_to:
        if same(reference.table, draft.name):
            continue
        if name in draft.referred_by(reference):
            columns = ", ".join(reference.columns)
            raise CommandError(
                f"{what}, since the foreign key ({columns}) of table {reference.table!r} refers "
                "to it: drop that foreign key first."
            )


def _way_to_drop(draft: Draft, name: str) -> str:
    """SQLite's own DROP COLUMN where it takes it; before 3.35.5 it could corrupt the file."""
    mirror = Mirror(())
    try:
        taken = mirror.error_of(draft.table.sql) is None and (
            mirror.error_of(f"ALTER TABLE {quote(draft.name)} DROP COLUMN {quote(name)}") is None
        )
        return "drop" if taken and draft.db.version >= (3, 35, 5) else "rebuild"
    finally:
        mirror.close()
