"""Operations on constraints, indexes and options, resolved."""

from itertools import pairwise

from alembic.util import CommandError

from . import facts
from .checks import Condition, Unique, escaped, not_null
from .columns import check_condition, unique_check
from .create_table import Constraint, CreateTable
from .draft import Draft, Step
from .facts import affinity
from .layout import Change, apply
from .matching import describe, find_constraint, same_expression
from .operations import (
    AddConstraint,
    CreateIndex,
    DropConstraint,
    DropIndex,
    NameConstraint,
    Reorder,
    SetOptions,
)
from .tokens import fold, quote, same, tokenize

# -- added ---------------------------------------------------------------------------------------


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
        if new.name and same(c.name, new.name):
            raise CommandError(
                f"Table {draft.name!r} already has a {describe(c)}: drop it first or give the new "
                "one another name."
            )
    return False


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
    def facts_of(c: Constraint):
        return list(map(fold, c.columns)), fold(c.referred_table or "")

    return one.kind in ("unique", "primary key", "foreign key") and facts_of(one) == facts_of(other)


def _add_step(draft: Draft, new: Constraint, text: str, way: str, statement: str | None = None):
    draft.add(
        Step(
            f"add {describe(new)}",
            lambda table: table.add_constraint(text),
            way,
            new.kind,
            statement,
            scans=way == "text",
        )
    )


def _add_check(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "text", f"ALTER TABLE {draft.sql_name} ADD {text}")
    draft.conditions.append(check_condition(draft, new))


def _add_unique(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "rebuild")
    draft.uniques.append(unique_check(draft.table, new))


def _add_primary_key(draft: Draft, new: Constraint, text: str) -> None:
    if draft.table.primary_key:
        raise CommandError(
            f"Table {draft.name!r} already has a {describe(draft.table.primary_key)}: drop it first."
        )
    _add_step(draft, new, text, "rebuild")
    numbered = facts.integer_primary_key(draft.table)
    for name in new.columns:
        column = draft.column(name)
        draft.add(Step("", lambda table, c=column: table.set_not_null(c, True), "rebuild"))
        if not (same(numbered, column) and fold(column) in draft.new_columns):
            fill = "a primary key needs one in every row"
            draft.conditions.append(not_null(draft.name, column, fill))
    if not (numbered and fold(numbered) in draft.new_columns):
        draft.uniques.append(unique_check(draft.table, new))


def _add_foreign_key(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "text")
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
        return  # a new column refers to nothing yet
    if referred is None:
        draft.conditions.append(Condition(f"({present})", sentence, tuple(columns)))
        draft.keys_to_check.add(draft.name)
        return
    parent = draft.source().inner if own else draft.db.name(new.referred_table)
    alias = quote("toolkit parent")
    matches = " AND ".join(
        f"{alias}.{quote(there)} = {quote(draft.name)}.{quote(here)}"
        for here, there in zip(columns, referred, strict=True)
    )
    found = f"EXISTS (SELECT 1 FROM {parent} AS {alias} WHERE {matches})"
    draft.conditions.append(Condition(f"({present} AND NOT {found})", sentence, tuple(columns)))
    if _affinities(draft.table, columns) != _affinities(_parent(draft, new, own), referred):
        # where SQLite converts before it compares, only SQLite can tell
        draft.keys_to_check.add(draft.name)


def _parent(draft: Draft, new: Constraint, own: bool) -> CreateTable:
    return draft.table if own else facts.read_table(draft.db, new.referred_table)


def _referred_columns(draft: Draft, new: Constraint, own: bool) -> tuple[str, ...] | None:
    """The columns referred to; None for a table that is not there (yet).

    :raises CommandError: for columns that no key makes unique, which SQLite would only say at the
        first INSERT
    """
    present = draft.db.value(
        f"SELECT count(*) FROM {draft.db.catalogue} WHERE type = 'table' "
        "AND name = ? COLLATE NOCASE",
        new.referred_table,
    )
    if not present:
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
    indexes = draft.indexes if own else facts.indexes(draft.db, parent.name)
    if len(referred) != len(new.columns) or not is_key(parent, indexes, referred):
        raise CommandError(
            f"{draft.name}: {describe(new)} cannot be added: ({', '.join(referred)}) is neither "
            f"the primary key of {parent.name!r} nor UNIQUE there: make it so first."
        )
    return tuple(parent.column(name).name for name in referred)


def is_key(table: CreateTable, indexes: list[facts.IndexFacts], columns: tuple[str, ...]) -> bool:
    """Whether a foreign key can refer to these columns."""
    wanted = {fold(name) for name in columns}
    keys = [c.columns for c in table.all_constraints() if c.kind in ("primary key", "unique")]
    keys += [index.columns for index in indexes if index.unique and index.is_plain]
    return any({fold(name) for name in key} == wanted for key in keys)


def _affinities(table: CreateTable, columns) -> list[tuple]:
    found = []
    for name in columns:
        column = table.column(name)
        found.append((affinity(column.type_text), fold(column.collation or "binary")))
    return found


# -- dropped -------------------------------------------------------------------------------------


def drop_constraint(draft: Draft, op: DropConstraint) -> None:
    try:
        found = find_constraint(draft.db, draft.table, op, draft.settings.convention)
    except CommandError:
        if _drop_unique_index(draft, op):
            return
        raise
    if found is None:
        return
    if found.kind == "primary key" and draft.table.without_rowid:
        raise CommandError(
            f"Table {draft.name!r} is WITHOUT ROWID and lives in its primary key: it cannot be "
            "dropped."
        )
    statement = None
    if found.kind == "check" and found.name:
        statement = f"ALTER TABLE {draft.sql_name} DROP CONSTRAINT {quote(found.name)}"
    draft.add(
        Step(
            f"drop {describe(found)}",
            lambda table: table.drop_constraint(found),
            "text" if found.kind in ("check", "foreign key") else "rebuild",
            found.kind,
            statement,
        )
    )


def _drop_unique_index(draft: Draft, op: DropConstraint) -> bool:
    """What a model calls a unique constraint can be an index here."""
    for index in draft.indexes:
        named = any(same(index.name, name) for name in op.names)
        if named and index.unique and op.kind in (None, "unique"):
            draft.drop_index(index.name)
            return True
    return False


# -- indexes -------------------------------------------------------------------------------------


def create_index(draft: Draft, op: CreateIndex) -> None:
    present = {fold(i.name) for i in draft.indexes} | {fold(i.name) for i in draft.new_indexes}
    dropped = {fold(name) for name in draft.dropped_indexes}
    taken = draft.db.value(
        f"SELECT tbl_name FROM {draft.db.catalogue} WHERE type = 'index' "
        "AND name = ? COLLATE NOCASE",
        op.name,
    )
    if fold(op.name) in present or (taken and fold(op.name) not in dropped):
        if op.if_not_exists:
            return
        raise CommandError(
            f"There is already an index {op.name!r}, on table {taken or draft.name!r}: drop it "
            "first or give the new one another name."
        )
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


# -- options -------------------------------------------------------------------------------------


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
        if facts.integer_primary_key(draft.table) is None:
            raise CommandError(
                f"Table {draft.name!r} has no INTEGER PRIMARY KEY that could be AUTOINCREMENT."
            )
        draft.add(Step("make its key AUTOINCREMENT", _autoincrement, "rebuild"))
    if op.autoincrement is False and automatic:
        draft.add(Step("no longer make its key AUTOINCREMENT", _no_autoincrement, "rebuild"))


def _autoincrement(table: CreateTable) -> CreateTable:
    key = table.primary_key
    if key.inline:
        return table.replace_constraint(key, f"{key.text} AUTOINCREMENT")
    name = f"CONSTRAINT {quote(key.name)} " if key.name else ""
    table = table.drop_constraint(key)
    place = table.column(key.columns[0]).head_end
    inline = Change(place, place, f" {name}PRIMARY KEY AUTOINCREMENT")
    return CreateTable.parse(apply(table.sql, inline))


def _no_autoincrement(table: CreateTable) -> CreateTable:
    words = [token for token in tokenize(table.sql) if token.keyword == "AUTOINCREMENT"]
    key = table.primary_key
    places = [t for t in words if key.span[0] <= t.start < key.span[1]]
    gone = [Change(token.start, token.end, "") for token in places]
    return CreateTable.parse(apply(table.sql, *gone))


def reorder(draft: Draft, op: Reorder) -> None:
    """The columns of each run follow each other; the others stay as near as they can."""
    from sqlalchemy.util import topological

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
