"""Constraints and indexes added and dropped: found by what they say, and what has to be true of the rows."""

from collections.abc import Iterable
from contextlib import closing, suppress
from operator import methodcaller

from alembic.util import CommandError

from ..typing import Convention
from . import introspection
from .clone import Mirror, free_name
from .create_table import CreateTable
from .data_checks import Condition, Unique, escaped, not_null
from .draft import (
    AddConstraint,
    CreateIndex,
    Draft,
    DropConstraint,
    DropIndex,
    NameConstraint,
    Step,
)
from .introspection import Database, affinity, indexes, primary_key, table_of_index
from .model import Constraint
from .naming import conventional_name
from .tokenizer import fold, plain, quote, same, tokenize

_KINDS = ("primary key", "unique", "check", "foreign key")


def find_constraint(
    db: Database, table: CreateTable, wanted: DropConstraint, convention: Convention | None
) -> Constraint | None:
    """The constraint of the table's text that is to go.

    By name; then, among those without a name, by the name that the naming convention gives to
    their kind, columns and target; the CHECK of an Enum or a Boolean by its expression too.

    :raises CommandError: when there is none, unless ``wanted`` says that it need not be there
    """
    here = [c for c in table.all_constraints() if c.kind in _KINDS]
    of_kind = [c for c in here if wanted.kind in (None, c.kind)]
    if wanted.follows_type is not None:
        of_kind = [c for c in of_kind if _lists_values(c, wanted.follows_type)]
    for name in wanted.names:
        for c in of_kind:
            if same(c.name, name):
                return c
    unnamed = [c for c in of_kind if c.name is None]
    for c in unnamed:
        key = primary_key(db, c.referred_table) if c.kind == "foreign key" else ()
        made = conventional_name(table, c, convention, key)
        if made and any(same(made, asked) for asked in wanted.names):
            return c
        if wanted.kind == "primary key":
            return c
    if wanted.follows_type is not None:
        for c in unnamed:
            if same_expression(c.expression, wanted.follows_type):
                return c
        return None
    if wanted.if_exists:
        return None
    raise CommandError(_not_found(table, wanted, of_kind))


def _not_found(table: CreateTable, wanted: DropConstraint, here: list[Constraint]) -> str:
    kind = wanted.kind or "constraint"
    has = "; ".join(describe(c) for c in here) or "none"
    if not wanted.names:
        return (
            f"A {kind} of table {table.name!r} is to be dropped and has no name in the migration: "
            f"write its name, or the one that the naming convention gives it (it has: {has})."
        )
    return (
        f"Table {table.name!r} has no {kind} {wanted.names[0]!r} (it has: {has}): write one of "
        "these names, or the name that the naming convention gives to one without a name."
    )


def describe(c: Constraint) -> str:
    """A constraint as a plan and a message speak of it: ``CHECK ck_post_rating``."""
    kind = "foreign key" if c.kind == "foreign key" else c.kind.upper()
    if c.name:
        return f"{kind} {c.name}"
    if c.kind == "check":
        return f"{kind} ({c.expression})"
    target = f" to {c.referred_table}" if c.kind == "foreign key" else ""
    return f"{kind} ({', '.join(c.columns)}){target}"


def same_expression(one: str | None, other: str | None) -> bool:
    """Whether two expressions differ only in spaces, quotes, capitals, outer parentheses."""
    return one is not None and other is not None and plain(one) == plain(other)


def restricts_to_values(c: Constraint, column: str) -> set[str] | None:
    """The literals of a CHECK that says nothing but ``column IN (...)``, as an Enum's and a
    Boolean's do; None for any other."""
    if c.kind != "check":
        return None
    said = plain(c.expression)
    if said[:3] != (fold(column), "in", "(") or said[-1] != ")":
        return None
    values, commas = said[3:-1:2], said[4:-1:2]
    return set(values) if values and all(comma == "," for comma in commas) else None


def _lists_values(c: Constraint, of_type: str) -> bool:
    """Whether a CHECK is what an Enum or a Boolean makes, if with other values, for the column of
    which ``of_type`` speaks."""
    return restricts_to_values(c, plain(of_type)[0]) is not None


def involves(table: CreateTable, c: Constraint, column: str) -> bool:
    """Whether a constraint needs a column: among its own, in its expression, or referred to."""
    if c.kind in ("not null", "null", "default", "collate"):
        return False
    own_target = same(c.referred_table, table.name) and any(
        same(column, referred) for referred in c.referred_columns
    )
    return own_target or any(same(column, used) for used in table.uses(c))


def is_named_apart(c: Constraint) -> bool:
    """Whether it is a constraint of its own, unlike NOT NULL, a default or a collation."""
    return c.kind in _KINDS


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
    if c.kind in ("primary key", "unique"):  # a foreign key may need it
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
    alias = quote("keel parent")
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
    return draft.table if own else introspection.read_table(draft.db, new.referred_table)


def _referred_columns(draft: Draft, new: Constraint, own: bool) -> tuple[str, ...] | None:
    """The columns referred to; None for a table that is not there (yet).

    :raises CommandError: for columns that no key makes unique, which SQLite would only say at the
        first INSERT
    """
    if not introspection.exists(draft.db, new.referred_table):
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
    found = draft.index_texts if own else [i.sql for i in indexes(draft.db, parent.name)]
    unique = not new.referred_columns or is_key(parent, found, referred)
    if len(referred) != len(new.columns) or not unique:
        raise CommandError(
            f"{draft.name}: {describe(new)} cannot be added: ({', '.join(referred)}) is neither "
            f"the primary key of {parent.name!r} nor UNIQUE there (in its own collation): make it "
            "so first."
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


def is_key(table: CreateTable, indexes: Iterable[str], columns: Iterable[str]) -> bool:
    """Whether a foreign key can refer to these columns: SQLite looks at their collations, too.

    :param indexes: the CREATE INDEX texts of the table
    """
    listed = ", ".join(map(quote, columns))
    with closing(Mirror(())) as mirror:
        for sql in (table.sql, *indexes):
            mirror.error_of(sql)
        child = quote(free_name(mirror, table.name))
        key = f"FOREIGN KEY ({listed}) REFERENCES {quote(table.name)} ({listed})"
        mirror.run(f"CREATE TABLE {child} ({listed}, {key})")
        return mirror.error_of(f"PRAGMA foreign_key_check({child})") is None


def _affinities(table: CreateTable, columns: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for name in columns:
        column = table.column(name)
        found.append((affinity(column.type_text), fold(column.collation or "binary")))
    return found


def add_constraint(draft: Draft, op: AddConstraint) -> None:
    changed = draft.table.add_constraint(op.text)
    new = changed.constraints[-1]
    if _is_there(draft, new, op):
        return
    for name in new.columns:
        draft.column(name)
    {
        "check": _add_check,
        "foreign key": _add_foreign_key,
        "unique": _add_unique,
        "primary key": _add_primary_key,
    }[new.kind](draft, new, op.text)


def _is_there(draft: Draft, new: Constraint, op: AddConstraint) -> bool:
    """Whether nothing is to be done: the CHECK of a type that stays, a repeated table_args."""
    for c in draft.table.all_constraints():
        if c.kind != new.kind:
            continue
        if (op.follows_type or op.unless_present) and _says_the_same(c, new):
            return True
        if op.replaces and _takes_the_place(new, c):
            if _alike(draft, new, c):
                return True
            draft.add(drop_step(draft, c, f"drop {describe(c)}"))
        elif new.name and same(c.name, new.name):
            raise CommandError(
                f"Table {draft.name!r} already has a {describe(c)}: drop it first or give the new "
                "one another name."
            )
    return False


def _takes_the_place(new: Constraint, present: Constraint) -> bool:
    return present.kind == "primary key" or bool(new.name and same(new.name, present.name))


def _alike(draft: Draft, new: Constraint, present: Constraint) -> bool:
    """Whether two primary keys differ in nothing; of other constraints the text says more."""
    names = new.name is None or same(new.name, present.name)
    columns = list(map(fold, new.columns)) == list(map(fold, present.columns))
    return new.kind == "primary key" and names and columns


def name_constraint(draft: Draft, op: NameConstraint) -> None:
    new = draft.table.add_constraint(op.text).constraints[-1]
    same_one = [c for c in draft.table.all_constraints() if _says_the_same(c, new)]
    if not same_one:
        add_constraint(draft, AddConstraint(op.text))
    elif new.name and same_one[0].name is None:
        unnamed = same_one[0]
        text = f"CONSTRAINT {quote(new.name)} {unnamed.text}"
        draft.add(
            Step(
                f"name {describe(unnamed)} {new.name}",
                lambda table: table.replace_constraint(unnamed, text),
                "text" if unnamed.kind in ("check", "foreign key") else "rebuild",
                unnamed.kind,
            )
        )


def _says_the_same(one: Constraint, other: Constraint) -> bool:
    if one.kind == other.kind == "check":
        return same_expression(one.expression, other.expression)
    return one.kind == other.kind and _same_key(one, other)


def _same_key(one: Constraint, other: Constraint) -> bool:
    def facts_of(c: Constraint) -> tuple[list[str], str]:
        return list(map(fold, c.columns)), fold(c.referred_table)

    return one.kind in ("unique", "primary key", "foreign key") and facts_of(one) == facts_of(other)


def _add_step(
    draft: Draft, new: Constraint, text: str, way: str, statement: str | None = None
) -> None:
    draft.add(
        Step(
            f"add {describe(new)}",
            lambda table: table.add_constraint(text),
            way,
            new.kind,
            statement,
            since=(3, 54),  # SQLite 3.53 takes NULL in a CHECK for a violation
            scans=way == "text",
        )
    )


def _add_foreign_key(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "text")
    if found := reference_condition(draft, new):
        draft.conditions.append(found)


def _add_check(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "text", f"ALTER TABLE {draft.sql_name} ADD {text}")
    draft.conditions.append(check_condition(draft, new))


def _add_unique(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "rebuild")
    draft.uniques.append(unique_check(draft.table, new))


def _add_primary_key(draft: Draft, new: Constraint, text: str) -> None:
    if present := draft.table.primary_key:
        raise CommandError(
            f"Table {draft.name!r} already has a {describe(present)}: drop it first."
        )
    _add_step(draft, new, text, "rebuild")
    numbered = introspection.integer_primary_key(draft.table)
    for name in new.columns:
        column = draft.column(name)
        draft.add(Step("", methodcaller("set_not_null", column, True), "rebuild"))
        if not (same(numbered, column) and fold(column) in draft.new_columns):
            fill = "a primary key needs one in every row"
            draft.conditions.append(not_null(draft.name, column, fill))
    if not (numbered and fold(numbered) in draft.new_columns):
        draft.uniques.append(unique_check(draft.table, new))


def check_condition(draft: Draft, c: Constraint) -> Condition:
    named = f"{describe(c)} ({c.expression})" if c.name else describe(c)
    sentence = escaped(f"{draft.name}: {named} cannot be added: ") + (
        "{rows} would break it ({examples}); change them first with op.execute."
    )
    shown = tuple(name for name in c.columns if not draft.table.column(name).primary_key)
    return Condition(f"NOT ({c.expression}\n)", sentence, shown)


def unique_check(table: CreateTable, c: Constraint) -> Unique:
    columns = []
    for name in c.columns:
        collation = table.column(name).collation
        columns.append(quote(name) + (f" COLLATE {quote(collation)}" if collation else ""))
    sentence = escaped(f"{table.name}: {describe(c)} cannot hold: ") + (
        "{rows} of " + escaped(f"({', '.join(c.columns)})") + " more than once ({examples}); "
        "remove or change the doubles first."
    )
    return Unique(tuple(columns), sentence)
