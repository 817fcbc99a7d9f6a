"""Carries a plan out: the rows checked first, then all of it or nothing."""

from collections.abc import Sequence
from contextlib import nullcontext

from alembic.util import CommandError
from sqlalchemy.exc import IntegrityError, OperationalError

from . import facts, made_for, schema_text, short_rows
from .checks import check
from .create_table import CreateTable
from .draft import Draft
from .plan import Plan, cheaper_live, said
from .rebuild import rebuild
from .steps import Step
from .tokens import fold, quote


def carry_out(chosen: Plan) -> None:
    """Check the rows, then make the changes, all of them or none.

    :raises CommandError: for rows that do not fit, before anything is written
    """
    draft, db = chosen.draft, chosen.draft.db
    if (draft.conditions or draft.uniques) and not draft.is_empty:
        check(db, draft.source())
    if not chosen.method:
        return
    referenced = chosen.rebuilds and bool(draft.references_to)
    what = f"Rebuilding table {draft.name!r}"
    # a printed script is one transaction already
    guard = nullcontext() if draft.settings.portable else db.all_or_nothing()
    try:
        with db.keys_unenforced(referenced, what), guard:
            _run(chosen)
    except IntegrityError as error:
        raise CommandError(
            f"Table {draft.name!r} cannot be changed so ({said(draft.steps)}): SQLite says "
            f"{str(error.orig)!r} of its rows; change them first with op.execute."
        ) from error
    except OperationalError as error:
        if not str(error.orig).startswith("error in "):
            raise
        _rebuild_instead(chosen, error.orig)


def _rebuild_instead(chosen: Plan, error: Exception) -> None:
    """The cheaper way did not work, and all of it has been undone."""
    settings = chosen.draft.settings
    if chosen.rebuilds or settings.portable or settings.recreate == "never":
        raise CommandError(
            f"Table {chosen.draft.name!r} cannot be changed so ({said(chosen.draft.steps)}): "
            f"SQLite says {str(error)!r}."
        ) from error
    carry_out(Plan(chosen.draft, rebuilds=True))


def _run(chosen: Plan) -> None:
    draft, db = chosen.draft, chosen.draft.db
    if draft.settings.portable:
        _comment(chosen)
        made_for.require_fitting(db, draft.name, draft.source().sql, draft.conditions)
    for old, new in draft.renames:
        db.run(f"ALTER TABLE {draft.sql_name} RENAME COLUMN {quote(old)} TO {quote(new)}")
    if chosen.rebuilds:
        target = _applied(draft, draft.steps)
        exact = draft.settings.schema_edits and schema_text.is_possible(db)
        dropped, portable = frozenset(map(fold, draft.dropped_indexes)), draft.settings.portable
        rebuild(db, target, dropped, exact, draft.made_over, portable)
    else:
        for name in draft.dropped_indexes:
            db.run(f"DROP INDEX {db.name(name)}")
        _run_in_place(chosen)
    rows = _rows(draft) if draft.new_indexes else 0
    for index in draft.new_indexes:
        db.run_long(f"{draft.name}: building index {index.name}", rows, index.sql)


def _run_in_place(chosen: Plan) -> None:
    draft, db = chosen.draft, chosen.draft.db
    rewriting = [s for s in draft.steps if s.update or s.way == "drop"]
    rows = _rows(draft) if rewriting else 0
    label = f"{draft.name}: changing rows"
    for step in (s for s in chosen.native if s.way != "drop"):
        db.run(step.statement)
    if chosen.text:
        target = _applied(draft, chosen.text)
        if not draft.is_empty:
            short_rows.settle(db, target)
        schema_text.write(db, target)
        for step in chosen.text:
            if step.update:
                db.run_long(label, rows, step.update)
    for step in (s for s in chosen.native if s.way == "drop"):
        db.run_long(label, rows, step.statement)


def _rows(draft: Draft) -> int:
    """A rough number, by the table as it is now: a name for the rowid may have become a column's."""
    return facts.rough_row_count(draft.db, facts.read_table(draft.db, draft.name))


def _applied(draft: Draft, steps: Sequence[Step]) -> CreateTable:
    """The table's text as it is now, with the steps made."""
    table = facts.read_table(draft.db, draft.name)
    if table == draft.before and steps == draft.steps:
        return draft.table
    for step in steps:
        table = step.apply(table)
    return table


def _comment(chosen: Plan) -> None:
    """A line for the reader of a script, with the cheaper way that a live upgrade would take."""
    db = chosen.draft.db
    for line in chosen.lines():
        db.run("-- " + line.replace("\n", " "))
    for line in cheaper_live(chosen):
        db.run("-- a live upgrade does it cheaper: " + line.replace("\n", " "))
