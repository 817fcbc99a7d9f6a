"""A foreign key added: the rows that would refer to nothing, and the key referred to."""

from alembic.util import CommandError

from . import facts
from .checks import Condition, escaped
from .create_table import Constraint, CreateTable
from .draft import Draft
from .facts import affinity
from .indexes import IndexFacts, indexes
from .matching import describe
from .tokens import fold, quote, same


def reference_condition(draft: Draft, new: Constraint) -> Condition | None:
    """True for a row that refers to nothing; None when every row is new to the column."""
    own = same(new.referred_table, draft.name)
    referred = _referred_columns(draft, new, own)
    columns = [draft.column(name) for name in new.columns]
    present = " AND ".join(f"{quote(draft.name)}.{quote(name)} IS NOT NULL" for name in columns)
    label = f"{draft.name}: {describe(new)} ({', '.join(columns)} to {new.referred_table})"
    sentence = escaped(f"{label} cannot be added: ") + (
        "{rows} would refer to nothing ({examples}); change or delete them first."
    )
    values = [draft.new_columns.get(fold(name)) for name in columns]
    if "NULL" in values:
        return None  # a new column refers to nothing yet
    if referred is None:
        draft.keys_to_check.add(draft.name)
        return Condition(f"({present})", sentence, tuple(columns))
    parent = draft.source().inner if own else draft.db.name(new.referred_table)
    alias = quote("toolkit parent")
    matches = " AND ".join(
        f"{alias}.{quote(there)} = {quote(draft.name)}.{quote(here)}"
        for here, there in zip(columns, referred, strict=True)
    )
    found = f"EXISTS (SELECT 1 FROM {parent} AS {alias} WHERE {matches})"
    if _affinities(draft.table, columns) != _affinities(_parent(draft, new, own), referred):
        # where SQLite converts before it compares, only SQLite can tell
        draft.keys_to_check.add(draft.name)
    return Condition(f"({present} AND NOT {found})", sentence, tuple(columns))


def _parent(draft: Draft, new: Constraint, own: bool) -> CreateTable:
    return draft.table if own else facts.read_table(draft.db, new.referred_table)


def _referred_columns(draft: Draft, new: Constraint, own: bool) -> tuple[str, ...] | None:
    """The columns referred to; None for a table that is not there (yet).

    :raises CommandError: for columns that no key makes unique, which SQLite would only say at the
        first INSERT
    """
    if not facts.exists(draft.db, new.referred_table):
        return None
    parent = _parent(draft, new, own)
    key = parent.primary_key.columns if parent.primary_key else ()
    referred = new.referred_columns or key
    for name in referred:
        if not parent.has_column(name):
            raise CommandError(
                f"{draft.name}: {describe(new)} cannot be added: table {parent.name!r} has no "
                f"column {name!r}."
            )
    found = draft.indexes if own else indexes(draft.db, parent.name)
    if len(referred) != len(new.columns) or not is_key(parent, found, referred):
        raise CommandError(
            f"{draft.name}: {describe(new)} cannot be added: ({', '.join(referred)}) is neither "
            f"the primary key of {parent.name!r} nor UNIQUE there: make it so first."
        )
    return tuple(parent.column(name).name for name in referred)


def check_keys_later(draft: Draft, name: str) -> None:
    """Foreign keys whose values are stored or compared in another way from now on, those that a
    generated column has part in included, are looked at again at the end."""
    computed = [c.name for c in draft.table.columns if c.generated]
    names = {fold(name), *map(fold, computed)}
    for c in draft.table.all_constraints():
        if c.kind == "foreign key" and names & set(map(fold, c.columns)):
            draft.keys_to_check.add(draft.name)
    for reference in draft.references_to:
        if names & set(map(fold, draft.referred_by(reference))):
            draft.keys_to_check.add(reference.table)


def is_key(table: CreateTable, found: list[IndexFacts], columns: tuple[str, ...]) -> bool:
    """Whether a foreign key can refer to these columns."""
    wanted = {fold(name) for name in columns}
    keys = [c.columns for c in table.all_constraints() if c.kind in ("primary key", "unique")]
    keys += [index.columns for index in found if index.unique and index.is_plain]
    return any({fold(name) for name in key} == wanted for key in keys)


def _affinities(table: CreateTable, columns) -> list[tuple]:
    found = []
    for name in columns:
        column = table.column(name)
        found.append((affinity(column.type_text), fold(column.collation or "binary")))
    return found
