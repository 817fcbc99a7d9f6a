"""A constraint dropped."""

from contextlib import suppress

from alembic.util import CommandError

from .create_table import Constraint
from .draft import Draft
from .matching import describe, find_constraint
from .operations import DropConstraint
from .steps import Step
from .tokens import quote, same


def drop_constraint(draft: Draft, op: DropConstraint) -> None:
    try:
        found = find_constraint(draft.db, draft.table, op, draft.settings.convention)
    except CommandError:
        if _drop_unique_index(draft, op) or _went_with_column(draft, op):
            return
        raise
    if found is None:
        return
    if found.kind == "primary key" and draft.table.without_rowid:
        raise CommandError(
            f"Table {draft.name!r} is WITHOUT ROWID and lives in its primary key: it cannot be "
            "dropped."
        )
    draft.add(drop_step(draft, found, f"drop {describe(found)}"))


def drop_step(draft: Draft, c: Constraint, says: str) -> Step:
    """A constraint goes; no row changes with a CHECK or a foreign key, but a key has its index."""
    statement = None
    if c.kind == "primary key":  # a foreign key that names no column means it
        draft.keys_to_check |= {reference.table for reference in draft.references_to}
    if c.kind == "check" and c.name:
        statement = f"ALTER TABLE {draft.sql_name} DROP CONSTRAINT {quote(c.name)}"
    way = "text" if c.kind in ("check", "foreign key") else "rebuild"
    return Step(says, lambda table: table.drop_constraint(c), way, c.kind, statement)


def _went_with_column(draft: Draft, op: DropConstraint) -> bool:
    """Whether a column that was dropped in the same batch took it along."""
    gone = draft.dropped_indexes if op.kind in (None, "unique") else ()
    if draft.with_columns and any(same(index, name) for index in gone for name in op.names):
        return True
    for table in draft.with_columns:
        with suppress(CommandError):
            if find_constraint(draft.db, table, op, draft.settings.convention):
                return True
    return False


def _drop_unique_index(draft: Draft, op: DropConstraint) -> bool:
    """What a model calls a unique constraint can be an index here."""
    for index in draft.indexes:
        named = any(same(index.name, name) for name in op.names)
        if named and index.unique and op.kind in (None, "unique"):
            draft.drop_index(index.name)
            return True
    return False
