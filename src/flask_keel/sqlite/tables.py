"""Tables renamed and dropped: what would be left broken is named before anything is done."""

from alembic.util import CommandError

from . import facts, mirror
from .database import Database
from .references import references_to
from .tokens import fold, quote, same


def rename(db: Database, name: str, new: str) -> None:
    """SQLite rewrites whatever names the table. Of two names that differ in their capitals it says
    that the second is taken: there it goes by way of a third.

    :raises CommandError: when it cannot rewrite a view or a trigger
    """
    steps = [(name, new)]
    if same(name, new) and name != new:
        between = free_name(db, name)
        steps = [(name, between), (between, new)]
    copy = mirror.Mirror(facts.objects(db))
    try:
        tried = (copy.error_of(f"ALTER TABLE {quote(a)} RENAME TO {quote(b)}") for a, b in steps)
        error = next((said for said in tried if said), None)
    finally:
        copy.close()
    if error:
        raise CommandError(
            f"Table {name!r} cannot be renamed: SQLite says {error!r}; drop the object that it "
            "names before and create it again after."
        )
    for old, to in steps:
        db.run(f"ALTER TABLE {db.name(old)} RENAME TO {quote(to)}")


def free_name(db: Database, table: str) -> str:
    """A name beside the table's that nothing has."""
    taken = {fold(row[0]) for row in db.rows(f"SELECT name FROM {db.catalogue}")}
    name, number = f"_new_{table}", 1
    while fold(name) in taken:
        name, number = f"_new_{table}_{number}", number + 1
    return name


def referring_to(db: Database, table: str) -> set[str]:
    """The other tables that have a foreign key to this one."""
    found = {reference.table for reference in references_to(db, table)}
    return {name for name in found if not same(name, table)}


def refuse_broken_by_drop(db: Database, table: str) -> None:
    before = facts.objects(db)
    broken = mirror.newly_broken(before, mirror.with_table(before, table, None))
    if broken:
        name = next(iter(broken))
        kind = next(o.type for o in before if o.name == name)
        raise CommandError(
            f"Table {table!r} cannot be dropped, since the {kind} {name!r} uses it: drop "
            f"{name!r} first."
        )
