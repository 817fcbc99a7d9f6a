"""Changes that SQLite would not take, or that views, triggers and keys elsewhere forbid."""

from alembic.util import CommandError

from . import mirror
from .draft import Draft
from .foreign_keys import is_key
from .quoted_strings import as_name
from .tokens import fold, same


def refuse_unusable(draft: Draft) -> None:
    """What SQLite would not take, and what views and triggers could not live with."""
    if draft.table is draft.before:
        return
    if error := mirror.error_of(draft.table.sql):
        raise CommandError(f"Table {draft.name!r} cannot be changed so: {error}.")
    if draft.dropped_columns or draft.new_columns:
        before = draft.objects
        for name in draft.dropped_columns:
            # in double quotes it would be taken for a string
            before = [as_name(o, name) if o.type in ("view", "trigger") else o for o in before]
        after = mirror.with_table(before, draft.name, draft.table.sql)
        if broken := mirror.newly_broken(before, after):
            name, error = next(iter(broken.items()))
            kind = next(o.type for o in draft.objects if o.name == name)
            raise CommandError(
                f"The {kind} {name!r} would no longer work with table {draft.name!r} changed so "
                f"({error}): drop it before and create it again after."
            )
    keys = draft.before.all_constraints(), draft.table.all_constraints()
    if _keys(keys[0]) - _keys(keys[1]):
        _refuse_lost_key(draft)


def _keys(found) -> set[frozenset[str]]:
    kinds = ("primary key", "unique")
    return {frozenset(map(fold, c.columns)) for c in found if c.kind in kinds}


def _refuse_lost_key(draft: Draft) -> None:
    for reference in draft.references_to:
        names = draft.referred_by(reference)
        if len(names) != len(reference.referred_columns) or same(reference.table, draft.name):
            continue
        if not is_key(draft.table, draft.indexes, names):
            raise CommandError(
                f"The key ({', '.join(names)}) of table {draft.name!r} cannot be dropped, since "
                f"the foreign key ({', '.join(reference.columns)}) of table {reference.table!r} "
                "refers to it: drop that foreign key first."
            )
