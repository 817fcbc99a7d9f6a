"""Operations on columns, resolved: which way each can go and what has to be true of the rows."""

import sqlite3

import sqlalchemy as sa
from alembic.util import CommandError

from . import facts
from .checks import Condition, Unique, escaped, not_null
from .create_table import Column, Constraint, CreateTable, identifiers
from .draft import Draft, Step
from .facts import affinity
from .fits import misfit
from .matching import describe, restricts_to_values
from .mirror import Mirror
from .operations import (
    AddColumn,
    DropColumn,
    SetCollation,
    SetDefault,
    SetGenerated,
    SetNotNull,
    SetType,
)
from .tokens import fold, quote, same, tokenize, unquote

# -- added ---------------------------------------------------------------------------------------


def add_column(draft: Draft, op: AddColumn) -> None:
    if draft.table.has_column(op.column):
        if op.if_not_exists:
            return
        raise CommandError(f"Table {draft.name!r} already has a column {op.column!r}.")
    before, after = (draft.column(n) if n else None for n in (op.before, op.after))
    if after:
        before = None
    known = [c.name for c in draft.table.columns]
    at_end = before is None and after in (None, known[-1])
    step = Step(
        f"add column {op.column}",
        lambda table: table.add_column(op.definition, before=before, after=after),
        "add" if at_end and _can_be_added(draft, op) else "rebuild",
        statement=f"ALTER TABLE {draft.sql_name} ADD COLUMN {op.definition}",
    )
    draft.add(step)
    column = draft.table.column(op.column)
    draft.new_columns[fold(op.column)] = _value_of_new(column)
    for c in column.of_kind("check"):
        draft.conditions.append(check_condition(draft, c))
    if not draft.is_empty and column.not_null and not column.generated and not column.default_text:
        raise CommandError(
            f"Column {draft.name}.{op.column} cannot be added as NOT NULL, since the rows of "
            f"{draft.name!r} would have no value in it: give it a server_default, or add it "
            "nullable, fill it and make it NOT NULL then."
        )


def _value_of_new(column: Column) -> str:
    """What an added column holds in the rows that are there, as SQL."""
    if column.generated:
        return f"({column.last('generated').expression})"
    if not column.default_text:
        return "NULL"
    # as the column stores it: DEFAULT '5' is the number 5 in an INTEGER column
    mirror = Mirror(())
    try:
        mirror.run(f"CREATE TABLE t (v {column.type_text} DEFAULT {column.default_text})")
        mirror.run("INSERT INTO t DEFAULT VALUES")
        return mirror.value("SELECT quote(v) FROM t")
    except sqlite3.Error:
        return f"({literal_default(column)})"
    finally:
        mirror.close()


def literal_default(column: Column) -> str:
    """The default as an expression; DEFAULT takes a bare or double-quoted word for a string."""
    text = column.default_text
    tokens = tokenize(text)
    if len(tokens) == 1 and tokens[0].kind in ("word", "quoted"):
        known = ("NULL", "TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP")
        if tokens[0].keyword not in known:
            return "'" + unquote(text).replace("'", "''") + "'"
    return text


def _can_be_added(draft: Draft, op: AddColumn) -> bool:
    """Whether SQLite's ADD COLUMN takes it: asked of SQLite itself, with a row where there are."""
    mirror = Mirror(())
    try:
        columns = ", ".join(quote(c.name) for c in draft.table.columns)
        mirror.run(f"CREATE TABLE t ({columns})")
        if not draft.is_empty:
            mirror.run("INSERT INTO t DEFAULT VALUES")
        return mirror.error_of(f"ALTER TABLE t ADD COLUMN {op.definition}") is None
    finally:
        mirror.close()


# -- dropped -------------------------------------------------------------------------------------


def drop_column(draft: Draft, op: DropColumn) -> None:
    """A column goes with the indexes and the constraints that involve it, as on PostgreSQL."""
    if op.if_exists and not draft.table.has_column(op.column):
        return
    name = draft.column(op.column)
    _refuse_drop(draft, name)
    gone = [describe_index(i.name) for i in draft.indexes if i.concerns(name)]
    for index in [i for i in draft.indexes if i.concerns(name)]:
        draft.drop_index(index.name)
    draft.new_indexes = [
        i for i in draft.new_indexes if not any(same(name, n) for n in _names(i.columns))
    ]
    for constraint in _involved(draft.table, name):
        text_edit = constraint.kind in ("check", "foreign key")
        gone.append(describe(constraint))
        draft.add(
            Step(
                "",
                lambda table, c=constraint: table.drop_constraint(c),
                "text" if text_edit else "rebuild",
                constraint.kind,
            )
        )
    gone += [describe(c) for c in draft.table.column(name).constraints if _is_own(c)]
    draft.dropped_columns.append(name)
    added = draft.new_columns.pop(fold(name), None)
    draft.add(
        Step(
            f"drop column {name}" + (f" with {', '.join(gone)}" if gone else ""),
            lambda table: table.drop_column(name),
            "rebuild" if added else _way_to_drop(draft, name),
            statement=f"ALTER TABLE {draft.sql_name} DROP COLUMN {quote(name)}",
        )
    )


def _names(expressions: tuple[str, ...]) -> set[str]:
    return {name for text in expressions for name in identifiers(text)}


def describe_index(name: str) -> str:
    return f"index {name}"


def _is_own(constraint: Constraint) -> bool:
    return constraint.kind in ("primary key", "unique", "check", "foreign key")


def _involved(table: CreateTable, name: str) -> list[Constraint]:
    """Constraints written elsewhere than in the column's own definition that need the column."""
    found = []
    for c in table.all_constraints():
        if not _is_own(c) or same(c.column, name):
            continue
        own_target = same(c.referred_table, table.name) and any(
            same(name, referred) for referred in c.referred_columns
        )
        if own_target or any(same(name, used) for used in table.uses(c)):
            found.append(c)
    return found


def _refuse_drop(draft: Draft, name: str) -> None:
    what = f"Column {draft.name}.{name} cannot be dropped"
    if len(draft.table.columns) == 1:
        raise CommandError(f"{what}, since it is the only one: drop the table.")
    for other in draft.table.columns:
        uses = other.generated and draft.table.uses(other.last("generated"))
        if uses and any(same(name, used) for used in uses) and not same(other.name, name):
            raise CommandError(
                f"{what}, since the generated column {other.name!r} is computed from it: "
                f"drop {other.name!r} first."
            )
    for reference in draft.references_to:
        if same(reference.table, draft.name):
            continue
        if any(same(name, draft.column(n)) for n in reference.referred_columns if _has(draft, n)):
            columns = ", ".join(reference.columns)
            raise CommandError(
                f"{what}, since the foreign key ({columns}) of table {reference.table!r} refers "
                "to it: drop that foreign key first."
            )


def _has(draft: Draft, name: str) -> bool:
    return draft.table.has_column(name) or any(same(old, name) for old, _ in draft.renames)


def _way_to_drop(draft: Draft, name: str) -> str:
    """SQLite's own DROP COLUMN where it takes it; before 3.35.5 it could corrupt the file."""
    mirror = Mirror(())
    try:
        taken = mirror.error_of(draft.table.sql) is None and (
            mirror.error_of(f"ALTER TABLE {quote(draft.name)} DROP COLUMN {quote(name)}") is None
        )
        return "drop" if taken and draft.db.version >= (3, 35, 5) else "rebuild"
    finally:
        mirror.close()


# -- changed -------------------------------------------------------------------------------------


def set_not_null(draft: Draft, op: SetNotNull) -> None:
    name = draft.column(op.column)
    if draft.table.column(name).not_null == op.not_null:
        return
    verb = "SET" if op.not_null else "DROP"
    draft.add(
        Step(
            f"{verb.lower()} NOT NULL on {name}",
            lambda table: table.set_not_null(name, op.not_null),
            "text",
            "not null",
            f"ALTER TABLE {draft.sql_name} ALTER COLUMN {quote(name)} {verb} NOT NULL",
            scans=op.not_null,
        )
    )
    if op.not_null and not same(facts.integer_primary_key(draft.table), name):
        fill = f"fill them first, as in op.execute({_update(draft.name, name)!r})"
        draft.conditions.append(not_null(draft.name, name, fill))


def _update(table: str, column: str) -> str:
    return f"UPDATE {table} SET {column} = ... WHERE {column} IS NULL"


def set_default(draft: Draft, op: SetDefault) -> None:
    name = draft.column(op.column)
    column = draft.table.column(name)
    changed = draft.table.set_default(name, op.text)
    if changed.column(name).default_text == column.default_text:
        return
    says = f"set default {op.text} on {name}" if op.text else f"drop default on {name}"
    prepare = None
    way = "text"
    if fold(name) not in draft.new_columns and may_be_short(draft, name):
        value = literal_default(column) if column.default_text else "NULL"
        way = _way_in_place(draft, name)
        prepare = (
            f"UPDATE {draft.sql_name} SET {quote(name)} = {quote(name)} "
            f"WHERE {quote(name)} IS {value}"
        )
    elif fold(name) in draft.new_columns:
        way = "rebuild"
    draft.add(
        Step(
            says,
            lambda table: table.set_default(name, op.text),
            way,
            "default",
            prepare=prepare,
            scans=prepare is not None,
        )
    )


def may_be_short(draft: Draft, name: str) -> bool:
    """Whether there can be rows that were written before the column was there.

    ALTER TABLE ADD COLUMN leaves such rows as they are, and SQLite reads the column's default
    from the schema for them: with another default in the schema they would read as that one.
    ADD COLUMN sets a new column off by a comma and one space; a text in which the column begins
    on a line of its own, as SQLAlchemy writes it, was made together with the column.
    """
    if draft.is_empty:
        return False
    start = draft.table.column(name).span[0]
    trims = draft.db.value("SELECT sqlite_compileoption_used('ENABLE_NULL_TRIM')")
    return draft.table.sql[start - 2 : start] == ", " or bool(trims)


def _way_in_place(draft: Draft, name: str) -> str:
    """UPDATE would fire triggers, which is no part of a migration."""
    return "rebuild" if draft.triggers else "text"


def set_type(draft: Draft, op: SetType) -> None:
    name = draft.column(op.column)
    column = draft.table.column(name)
    old = column.type_text
    _follow_type(draft, name, op)
    found = misfit(draft.settings.dialect, quote(name), old, op.text, op.type)
    if found and not column.generated and fold(name) not in draft.new_columns:
        broken, function = found
        sentence = escaped(f"{draft.name}.{name} cannot become {op.text}: ") + (
            "{rows} would not keep a value that it can read ({examples}); "
            "change them first with op.execute."
        )
        draft.conditions.append(Condition(broken, sentence, (name,), function))
    if _same_type(old, op.text):
        return
    if same(facts.integer_primary_key(draft.table), name):
        raise CommandError(
            f"{draft.name}.{name} is an INTEGER PRIMARY KEY, SQLite's own row number; as "
            f"{op.text} it would no longer be numbered: write "
            'BigInteger().with_variant(Integer, "sqlite") as its type.'
        )
    way, update = _way_to_type(draft, column, op.text)
    draft.add(
        Step(
            f"change type of {name} to {op.text}",
            lambda table: table.set_type(name, op.text),
            way,
            "type",
            update=update,
            scans=found is not None,
        )
    )
    if same(facts.integer_primary_key(draft.table), name):
        draft.conditions.append(not_null(draft.name, name, "a row number cannot be missing"))
    if affinity(old) != affinity(op.text):
        _check_keys_later(draft, name)


def _same_type(one: str, other: str) -> bool:
    plain = [[fold(token.text) for token in tokenize(text)] for text in (one, other)]
    return plain[0] == plain[1]


def _way_to_type(draft: Draft, column: Column, text: str) -> tuple[str, str | None]:
    """The schema text where the rows stay as they are, an UPDATE of those whose storage class
    changes, a rebuild for whatever a key, an index or an expression could notice."""
    name, old, new = column.name, affinity(column.type_text), affinity(text)
    if fold(name) in draft.new_columns or draft.table.strict or column.generated:
        return "rebuild", None
    users = [c for c in draft.table.all_constraints() if _uses(draft.table, c, name)]
    referred = [r for r in draft.references_to if any(same(name, n) for n in r.referred_columns)]
    of_key = any(c.kind in ("primary key", "unique", "foreign key", "generated") for c in users)
    indexes = [index for index in draft.indexes if index.concerns(name)]
    if of_key or referred or not all(index.is_plain for index in indexes):
        return "rebuild", None
    if old == new:
        return "text", None
    in_check = any(c.kind == "check" for c in users)
    default = column.default_text is not None and may_be_short(draft, name)
    # a REAL column stores 5.0 as the integer 5, which only its affinity turns back
    if indexes or in_check or default or draft.triggers or old == "REAL":
        return "rebuild", None
    if new == "BLOB":
        return "text", None
    if old in ("INTEGER", "NUMERIC") and new in ("INTEGER", "NUMERIC", "REAL"):
        return "text", None
    # the classes that the new affinity stores in another way
    classes = {"TEXT": "'integer', 'real'", "REAL": "'text'"}.get(new, "'text', 'real'")
    condition = f"typeof({quote(name)}) IN ({classes})"
    return "text", f"UPDATE {draft.sql_name} SET {quote(name)} = {quote(name)} WHERE {condition}"


def _uses(table: CreateTable, c: Constraint, name: str) -> bool:
    if c.kind in ("not null", "null", "default", "collate"):
        return False
    own_target = same(c.referred_table, table.name) and any(
        same(name, referred) for referred in c.referred_columns
    )
    return own_target or any(same(name, used) for used in table.uses(c))


def _follow_type(draft: Draft, name: str, op: SetType) -> None:
    """The CHECK of an Enum or a Boolean goes when its type does; a new one comes on its own."""
    boolean = {"0", "1"}
    was_boolean = fold(draft.table.column(name).type_text) == "boolean"
    allowed = None
    if isinstance(op.type, sa.Enum):
        allowed = {"'" + value.replace("'", "''") + "'" for value in op.type.enums}
    elif isinstance(op.type, sa.Boolean):
        allowed = boolean
    for c in draft.table.all_constraints():
        values = restricts_to_values(c, name)
        if values is None or values == allowed:
            continue
        of_old_type = getattr(op.existing, "create_constraint", False)
        if allowed or of_old_type or (was_boolean and values == boolean):
            draft.add(
                Step(
                    f"drop {describe(c)}, which went with the type of {name}",
                    lambda table, c=c: table.drop_constraint(c),
                    "text",
                    "check",
                    _drop_statement(draft, c),
                )
            )


def _drop_statement(draft: Draft, c: Constraint) -> str | None:
    return f"ALTER TABLE {draft.sql_name} DROP CONSTRAINT {quote(c.name)}" if c.name else None


def set_collation(draft: Draft, op: SetCollation) -> None:
    name = draft.column(op.column)
    if same(draft.table.column(name).collation, op.collation):
        return
    draft.add(
        Step(
            f"set collation {op.collation or 'BINARY'} on {name}",
            lambda table: table.set_collation(name, op.collation),
            "rebuild",
        )
    )
    for c in draft.table.all_constraints():
        if c.kind in ("unique", "primary key") and _uses(draft.table, c, name):
            draft.uniques.append(unique_check(draft.table, c))


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


def set_generated(draft: Draft, op: SetGenerated) -> None:
    """Another expression for a generated column; or none, and the values stay."""
    name = draft.column(op.column)
    present = draft.table.column(name).last("generated")
    if op.text and present is None:
        raise CommandError(
            f"{draft.name}.{name} holds values of its own, which would be lost if it were "
            "computed: add a generated column under another name."
        )
    if present is None or (op.text and _same_type(present.text, op.text)):
        return

    def apply(table: CreateTable) -> CreateTable:
        now = table.column(name).last("generated")
        return table.replace_constraint(now, op.text) if op.text else table.drop_constraint(now)

    says = f"compute {name} by {op.text}" if op.text else f"make {name} an ordinary column"
    draft.add(Step(says, apply, "rebuild"))


def _check_keys_later(draft: Draft, name: str) -> None:
    """Foreign keys whose values are stored in another way are looked at again at the end."""
    for c in draft.table.all_constraints():
        if c.kind == "foreign key" and any(same(name, own) for own in c.columns):
            draft.keys_to_check.add(draft.name)
    for reference in draft.references_to:
        if any(same(name, referred) for referred in reference.referred_columns):
            draft.keys_to_check.add(reference.table)
