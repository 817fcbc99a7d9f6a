"""Tables renamed and dropped: what would be left broken is named before anything is done."""

from alembic.util import CommandError

from . import facts, mirror
from .database import Database
from .references import references_to
from .tokens import quote, same


def rename(db: Database, name: str, new: str) -> None:
    """SQLite rewrites whatever names the table.

    :raises CommandError: when it cannot rewrite a view or a trigger
    """
    copy = mirror.Mirror(facts.objects(db))
    try:
        error = copy.error_of(f"ALTER TABLE {quote(name)} RENAME TO {quote(new)}")
    finally:
        copy.close()
    if error:
        raise CommandError(
            f"Table {name!r} cannot be renamed: SQLite says {error!r}; drop the object that it "
            "names before and create it again after."
        )
    db.run(f"ALTER TABLE {db.name(name)} RENAME TO {quote(new)}")


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
