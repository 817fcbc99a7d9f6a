"""Indexes made and dropped, within the plan of their table."""

from alembic.util import CommandError

from .checks import Unique, escaped
from .draft import Draft
from .indexes import table_of_index
from .matching import describe
from .operations import CreateIndex, DropIndex
from .tokens import fold, same, tokenize


def create_index(draft: Draft, op: CreateIndex) -> None:
    replaced = op.replaces and not op.if_not_exists
    if replaced and any(same(index.name, op.name) for index in draft.indexes):
        draft.drop_index(op.name)
    present = {fold(i.name) for i in draft.indexes} | {fold(i.name) for i in draft.new_indexes}
    dropped = {fold(name) for name in draft.dropped_indexes}
    taken = table_of_index(draft.db, op.name)
    if fold(op.name) in present or (taken and fold(op.name) not in dropped):
        if op.if_not_exists:
            return
        raise CommandError(
            f"There is already an index {op.name!r}, on table {taken or draft.name!r}: drop it "
            "first or give the new one another name."
        )
    for text in op.columns:
        tokens = tokenize(_without_direction(text))
        if len(tokens) == 1 and tokens[0].is_name:
            draft.require_column(tokens[0].name)
    draft.new_indexes.append(op)
    if op.unique:
        sentence = escaped(f"{draft.name}: unique index {op.name} cannot hold: ") + (
            "{rows} of "
            + escaped(f"({', '.join(op.columns)})")
            + " more than once ({examples}); remove or change the doubles first."
        )
        columns = tuple(_without_direction(text) for text in op.columns)
        draft.uniques.append(Unique(columns, sentence, op.where))


def _without_direction(text: str) -> str:
    words = text.rsplit(None, 1)
    return words[0] if len(words) == 2 and words[1].upper() in ("ASC", "DESC") else text


def drop_index(draft: Draft, op: DropIndex) -> None:
    if any(same(index.name, op.name) for index in draft.new_indexes):
        draft.new_indexes = [i for i in draft.new_indexes if not same(i.name, op.name)]
        return
    for index in draft.indexes:
        if same(index.name, op.name):
            draft.drop_index(index.name)
            return
    if any(same(name, op.name) for name in draft.dropped_indexes) or op.if_exists:
        return
    constraint = [c for c in draft.table.all_constraints() if same(c.name, op.name)]
    if constraint:
        raise CommandError(
            f"{op.name!r} is the {describe(constraint[0])} of table {draft.name!r} and no index: "
            "write drop_constraint."
        )
    known = ", ".join(index.name for index in draft.indexes) or "none"
    raise CommandError(f"Table {draft.name!r} has no index {op.name!r} (it has: {known}).")
