"""Chooses how to change a table: SQLite's own statements, the schema text, or one rebuild.

All operations on a table are planned together, checked against the rows before anything is
written, and carried out in one savepoint.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from alembic.util import CommandError

from . import facts, schema_text
from . import operations as ops
from .added_columns import add_column
from .added_constraints import add_constraint, name_constraint
from .changed_columns import set_collation, set_default, set_generated, set_not_null
from .changed_indexes import create_index, drop_index
from .changed_options import reorder, set_options
from .changed_types import set_type
from .create_table import NoSuchPart, Unreadable
from .database import Database
from .draft import Draft
from .dropped_columns import drop_column
from .dropped_constraints import drop_constraint
from .short_rows import is_unsteady
from .steps import Settings, Step
from .unusable import refuse_unusable

# one rebuild costs about as much as two passes that rewrite rows in place
MOST_PASSES_IN_PLACE = 2

_RESOLVERS = {
    ops.AddColumn: add_column,
    ops.DropColumn: drop_column,
    ops.SetType: set_type,
    ops.SetCollation: set_collation,
    ops.SetNotNull: set_not_null,
    ops.SetDefault: set_default,
    ops.SetGenerated: set_generated,
    ops.AddConstraint: add_constraint,
    ops.NameConstraint: name_constraint,
    ops.DropConstraint: drop_constraint,
    ops.CreateIndex: create_index,
    ops.DropIndex: drop_index,
    ops.SetOptions: set_options,
    ops.Reorder: reorder,
}


@dataclass
class Plan:
    """What will be done to one table; ``str(plan)`` reads as one line for each way taken.

    ``method`` is "native", "schema text", "rebuild" or "" for nothing to do.
    """

    draft: Draft
    rebuilds: bool
    native: list[Step] = field(default_factory=list)
    text: list[Step] = field(default_factory=list)

    @property
    def method(self) -> str:
        if self.rebuilds:
            return "rebuild"
        if self.text:
            return "schema text"
        draft = self.draft
        changes = self.native or draft.renames or draft.new_indexes or draft.dropped_indexes
        return "native" if changes else ""

    def lines(self) -> list[str]:
        draft, found = self.draft, []
        for old, new in draft.renames:
            found.append(f"rename column {old} to {new} (native)")
        if self.rebuilds:
            says = said(draft.steps) or "copy it as it is"
            rows = facts.row_count(draft.db, draft.name)
            found.append(f"{says} (rebuild, {rows} row{'' if rows == 1 else 's'})")
        else:
            if said(self.text):
                found.append(f"{said(self.text)} (schema text{_cost(draft, self.text)})")
            if self.native:
                found.append(f"{said(self.native)} (native)")
        with_columns = " ".join(step.says for step in draft.steps)
        for name in draft.dropped_indexes:
            if f"index {name}" not in with_columns:
                found.append(f"drop index {name} (native)")
        for index in draft.new_indexes:
            found.append(f"create {'unique ' if index.unique else ''}index {index.name} (native)")
        return [f"{draft.name}: {line}" for line in found]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def said(steps: Iterable[Step]) -> str:
    return ", ".join(step.says for step in steps if step.says)


def _cost(draft: Draft, steps: Sequence[Step]) -> str:
    costs = []
    if draft.conditions or any(step.scans or step.settles for step in steps):
        costs.append("one scan")
    if any(step.update for step in steps):
        costs.append("rows changed in place")
    return "".join(f", {cost}" for cost in costs)


def plan(db: Database, table: str, operations: Sequence[ops.Operation], settings: Settings) -> Plan:
    """Decide how operations that belong together are made; nothing is written.

    :raises CommandError: for what cannot be done or would lose something
    """
    draft = Draft.of(db, table, settings)
    draft.rename([op for op in operations if isinstance(op, ops.RenameColumn)])
    try:
        for op in operations:
            if not isinstance(op, ops.RenameColumn):
                _RESOLVERS[type(op)](draft, op)
    except (Unreadable, NoSuchPart) as error:
        raise CommandError(f"Table {draft.name!r} cannot be changed so: {error}.") from None
    refuse_unusable(draft)
    return _choose(draft)


def _choose(draft: Draft, probe: bool = True) -> Plan:
    settings, steps = draft.settings, draft.steps
    text = [step for step in steps if step.way == "text"]
    own = [step for step in text if _has_statement(draft, step)]
    edited = [step for step in text if step not in own]
    rewriting = [s for s in steps if s.way == "drop" or s.update]
    rebuilds = (
        settings.recreate == "always"
        or any(step.way == "rebuild" for step in steps)
        or not all(step.kind in settings.text_edits for step in edited)
        or len(rewriting) > MOST_PASSES_IN_PLACE
        or (any(s.settles or s.update for s in steps) and is_unsteady(draft.before))
    )
    if not rebuilds and edited and probe and not schema_text.is_possible(draft.db):
        rebuilds = True
    if rebuilds and settings.recreate == "never":
        raise CommandError(
            f"Table {draft.name!r} would have to be rebuilt ({said(steps)}), which "
            'recreate="never" forbids: leave it out.'
        )
    if rebuilds:
        return Plan(draft, True)
    ordered = [s for s in steps if s.way == "add"] + own + [s for s in steps if s.way == "drop"]
    return Plan(draft, False, ordered, edited)


def _has_statement(draft: Draft, step: Step) -> bool:
    """Whether this library has a statement for an edit of the text, and a faithful one.

    DROP NOT NULL of SQLite 3.53 takes a comment behind the column along, so that a text with
    comments is edited here.
    """
    if step.way != "text" or step.statement is None or draft.settings.portable:
        return False
    commented = "--" in draft.table.sql or "/*" in draft.table.sql
    return draft.db.version >= step.since and not commented


def cheaper_live(chosen: Plan) -> list[str]:
    """The lines of the plan without the limits of a portable script, where that is cheaper."""
    draft = chosen.draft
    settings = replace(draft.settings, portable=False, schema_edits=True, text_edits=TEXT_EDITS)
    live = _choose(replace(draft, settings=settings), probe=False)
    return live.lines() if chosen.rebuilds and not live.rebuilds else []


# the kinds of change that may be made in the schema text, each held against the rebuild by a
# property test before it was switched on
TEXT_EDITS: frozenset[str] = frozenset({"not null", "default", "type", "check", "foreign key"})
