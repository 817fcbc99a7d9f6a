"""Which operations can be planned together."""

from collections.abc import Sequence

from . import facts
from . import operations as ops
from .database import Database
from .tokens import fold, tokenize


def in_groups(
    db: Database, table: str, operations: Sequence[ops.Operation]
) -> list[list[ops.Operation]]:
    """Operations that can be planned together: the renames of a group are made first, so that a
    name which another operation gives away or takes begins a new group."""
    present = {fold(c.name) for c in facts.read_table(db, table).columns}
    groups: list[list[ops.Operation]] = [[]]
    at_start, touched = set(present), set()
    for op in operations:
        clash = False
        if isinstance(op, ops.RenameColumn):
            old, new = fold(op.column), fold(op.new)
            clash = old in touched or (new in at_start and new != old)
        elif isinstance(op, ops.AddColumn):
            clash = fold(op.column) in touched
        if clash and groups[-1]:
            groups.append([])
            at_start, touched = set(present), set()
        groups[-1].append(op)
        if isinstance(op, ops.RenameColumn):
            at_start = at_start - {old} | {new}
            present = present - {old} | {new}
        elif isinstance(op, ops.AddColumn | ops.DropColumn):
            touched.add(fold(op.column))
            add = isinstance(op, ops.AddColumn)
            present = present | {fold(op.column)} if add else present - {fold(op.column)}
        touched |= _named(op)
    return groups


def _named(op: ops.Operation) -> set[str]:
    """Every name in the SQL of an operation: it says what the columns are called at its time."""
    texts = (getattr(op, part, None) for part in ("text", "sql", "definition"))
    if isinstance(op, ops.SetType | ops.SetDefault):
        return set()
    return {fold(t.name) for text in texts if text for t in tokenize(text) if t.is_name}
