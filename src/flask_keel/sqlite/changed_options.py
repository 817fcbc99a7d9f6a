"""Options of a table and the order of its columns."""

from itertools import pairwise

from alembic.util import CommandError
from sqlalchemy.util import topological

from . import facts
from .create_table import CreateTable
from .draft import Draft
from .layout import Change, apply
from .operations import Reorder, SetOptions
from .steps import Step
from .tokens import quote, tokenize


def set_options(draft: Draft, op: SetOptions) -> None:
    for word, wanted in (("STRICT", op.strict), ("WITHOUT ROWID", op.without_rowid)):
        key = word.lower().replace(" ", "_")
        if wanted is None or wanted == getattr(draft.table, key):
            continue
        draft.add(
            Step(
                f"{'make it' if wanted else 'no longer'} {word}",
                lambda table, key=key, wanted=wanted: table.set_option(**{key: wanted}),
                "rebuild",
            )
        )
    automatic = any(c.autoincrement for c in draft.table.columns)
    if op.autoincrement and not automatic:
        key = draft.table.primary_key
        if facts.integer_primary_key(draft.table) is not None:
            draft.add(Step("make its key AUTOINCREMENT", _autoincrement, "rebuild"))
        elif key is None or len(key.columns) == 1:
            raise CommandError(
                f"Table {draft.name!r} has no INTEGER PRIMARY KEY that could be AUTOINCREMENT."
            )
        # a key of several columns: SQLAlchemy takes no notice either
    if op.autoincrement is False and automatic:
        draft.add(Step("no longer make its key AUTOINCREMENT", no_autoincrement, "rebuild"))


def _autoincrement(table: CreateTable) -> CreateTable:
    key = table.primary_key
    if key.inline:
        return table.replace_constraint(key, f"{key.text} AUTOINCREMENT")
    name = f"CONSTRAINT {quote(key.name)} " if key.name else ""
    table = table.drop_constraint(key)
    place = table.column(key.columns[0]).head_end
    inline = Change(place, place, f" {name}PRIMARY KEY AUTOINCREMENT")
    return CreateTable.parse(apply(table.sql, inline))


def no_autoincrement(table: CreateTable) -> CreateTable:
    words = [token for token in tokenize(table.sql) if token.keyword == "AUTOINCREMENT"]
    key = table.primary_key
    places = [token for token in words if key.span[0] <= token.start < key.span[1]]
    gone = [Change(token.start, token.end, "") for token in places]
    return CreateTable.parse(apply(table.sql, *gone))


def reorder(draft: Draft, op: Reorder) -> None:
    """The columns of each run follow each other; the others stay as near as they can."""
    names = [c.name for c in draft.table.columns]
    pairs = set()
    for run in op.runs:
        known = [draft.column(name) for name in run]
        pairs |= set(pairwise(known))
    ordered = list(topological.sort(pairs, names, deterministic_order=True))
    if ordered != names:
        draft.add(
            Step(
                f"order its columns as {', '.join(ordered)}",
                lambda table: table.reorder(ordered),
                "rebuild",
            )
        )
