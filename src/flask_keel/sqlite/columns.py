"""Columns added, changed and dropped: how, and what goes with them."""

import sqlite3
from contextlib import closing
from itertools import pairwise
from operator import methodcaller

from alembic.util import CommandError
from sqlalchemy.util import topological

from ..lexer import string
from . import introspection
from .clone import Mirror, require_no_string
from .create_table import Change, CreateTable, apply
from .data_checks import Condition, escaped, not_null
from .draft import (
    AddColumn,
    Draft,
    DropColumn,
    Reorder,
    SetCollation,
    SetDefault,
    SetGenerated,
    SetNotNull,
    SetOptions,
    Step,
)
from .model import Column, Constraint
from .recreate import reads_otherwise
from .table_constraints import (
    check_condition,
    check_keys_later,
    describe,
    drop_step,
    involves,
    is_named_apart,
    unique_check,
)
from .tokenizer import fold, identifiers, in_style, quote, same, same_words, tokenize, unquote


def add_column(draft: Draft, op: AddColumn) -> None:
    if draft.table.has_column(op.column):
        if op.if_not_exists:
            return
        raise CommandError(f"Table {draft.name!r} already has a column {op.column!r}.")
    require_no_string(draft.objects, draft.name, op.column)
    before, after = (draft.column(n) if n else None for n in (op.before, op.after))
    if after:
        before = None
    known = [c.name for c in draft.table.columns]
    at_end = before is None and after in (None, known[-1])
    filled = op.fill is not None and not draft.is_empty
    step = Step(
        f"add column {op.column}" + (f" with {op.fill} in every row" if filled else ""),
        lambda table: table.add_column(op.definition, before=before, after=after),
        "add" if at_end and not filled and _can_be_added(draft, op) else "rebuild",
        statement=f"ALTER TABLE {draft.sql_name} ADD COLUMN {op.definition}",
    )
    draft.add(step)
    column = draft.table.column(op.column)
    if op.fill is not None and filled:
        draft.new_columns[fold(op.column)] = draft.made_over[fold(op.column)] = op.fill
    else:
        draft.new_columns[fold(op.column)] = _value_of_new(draft, column)
    for c in column.of_kind("check"):
        draft.conditions.append(check_condition(draft, c))
    has_value = filled or op.of_key or column.generated or column.default_text
    if not draft.is_empty and column.not_null and not has_value:
        raise CommandError(
            f"Column {draft.name}.{op.column} cannot be added as NOT NULL, since the rows of "
            f"{draft.name!r} would have no value in it: give it a server_default, or add it "
            "nullable, fill it and make it NOT NULL then."
        )


def _value_of_new(draft: Draft, column: Column) -> str:
    """What an added column holds in the rows that are there, as SQL."""
    if generated := column.last("generated"):
        return f"({generated.expression})"
    if not column.default_text:
        return "NULL"
    read, inserted = (_tried(draft, column, way) for way in (_READ, _INSERTED))
    if read and inserted and read != inserted:
        # DEFAULT 1.10 in a TEXT column: a rebuild has to give what ADD COLUMN gives, '1.10'
        draft.made_over[fold(column.name)] = read
    return read or inserted or f"({literal_default(column)})"


def keep_value_of_new(draft: Draft, column: Column) -> None:
    """A column that was added in the same batch keeps the default that it was added with in the
    rows that are there, whatever becomes of the default."""
    if column.default_text and not draft.is_empty:
        value = _tried(draft, column, _READ) or f"({literal_default(column)})"
        draft.made_over.setdefault(fold(column.name), value)


_READ = ("CREATE TABLE t (x)", "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD COLUMN {column}")
_INSERTED = ("CREATE TABLE t ({column})", "INSERT INTO t DEFAULT VALUES")


def _tried(draft: Draft, column: Column, way: tuple[str, ...]) -> str | None:
    """The value as the column holds it: DEFAULT '5' is the number 5 in an INTEGER column."""
    kind = "BLOB" if same(column.type_text, "any") and draft.table.strict else column.type_text
    try:
        with closing(Mirror(())) as mirror:
            for statement in way:
                mirror.run(statement.format(column=f"v {kind} DEFAULT {column.default_text}"))
            return str(mirror.value("SELECT quote(v) FROM t"))
    except sqlite3.Error:
        return None


def literal_default(column: Column) -> str:
    """The default as an expression; DEFAULT takes a bare or double-quoted word for a string."""
    text = column.default_text or "NULL"
    tokens = tokenize(text)
    if len(tokens) == 1 and tokens[0].kind in ("word", "quoted"):
        known = ("NULL", "TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP")
        if tokens[0].keyword not in known:
            return string(unquote(text))
    return text


def _can_be_added(draft: Draft, op: AddColumn) -> bool:
    """Whether SQLite's ADD COLUMN takes it: asked of SQLite itself, with a row where there are."""
    with closing(Mirror(())) as mirror:
        columns = ", ".join(quote(c.name) for c in draft.table.columns)
        mirror.run(f"CREATE TABLE t ({columns})")
        if not draft.is_empty:
            mirror.run("INSERT INTO t DEFAULT VALUES")
        return mirror.error_of(f"ALTER TABLE t ADD COLUMN {op.definition}") is None


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
    if op.not_null and not same(introspection.integer_primary_key(draft.table), name):
        fill = f"fill them first, as in op.execute({_update(draft.name, name)!r})"
        draft.conditions.append(not_null(draft.name, name, fill))


def _update(table: str, column: str) -> str:
    table, column = in_style(table, table), in_style(column, column)
    return f"UPDATE {table} SET {column} = ... WHERE {column} IS NULL"


def set_default(draft: Draft, op: SetDefault) -> None:
    name = draft.column(op.column)
    column = draft.table.column(name)
    if column.generated and op.text:
        raise CommandError(f"{draft.name}.{name} is computed and cannot have a default.")
    changed = draft.table.set_default(name, op.text)
    if changed.column(name).default_text == column.default_text:
        return
    is_new = fold(name) in draft.new_columns
    if is_new:
        keep_value_of_new(draft, column)
    draft.add(
        Step(
            f"set default {op.text} on {name}" if op.text else f"drop default on {name}",
            lambda table: table.set_default(name, op.text),
            "rebuild" if is_new else "text",
            "default",
            settles=not draft.is_empty and reads_otherwise(draft.table, changed, name),
        )
    )


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
    check_keys_later(draft, name)
    for c in draft.table.all_constraints():
        if c.kind in ("unique", "primary key") and involves(draft.table, c, name):
            draft.uniques.append(unique_check(draft.table, c))


def set_generated(draft: Draft, op: SetGenerated) -> None:
    """Another expression for a generated column; or none, and the values stay."""
    name = draft.column(op.column)
    present = draft.table.column(name).last("generated")
    if op.text and present is None:
        raise CommandError(
            f"{draft.name}.{name} holds values of its own, which would be lost if it were "
            "computed: add a generated column under another name."
        )
    if present is None or (op.text and same_words(present.text, op.text)):
        return

    def apply(table: CreateTable) -> CreateTable:
        now = table.column(name).last("generated") or present
        return table.replace_constraint(now, op.text) if op.text else table.drop_constraint(now)

    says = f"compute {name} by {op.text}" if op.text else f"make {name} an ordinary column"
    draft.add(Step(says, apply, "rebuild"))
    check_keys_later(draft, name)


def set_options(draft: Draft, op: SetOptions) -> None:
    for word, wanted in (("STRICT", op.strict), ("WITHOUT ROWID", op.without_rowid)):
        option = word.lower().replace(" ", "_")
        if wanted is None or wanted == getattr(draft.table, option):
            continue
        if option == "strict" and not wanted:
            # those that are computed, too: they are read as their type has it
            old = [c for c in draft.table.columns if fold(c.name) not in draft.new_columns]
            typeless = [c for c in old if same(c.type_text, "any")]
            draft.conditions += [_kept_without_strict(draft, column) for column in typeless]
        draft.add(
            Step(
                f"{'make it' if wanted else 'no longer'} {word}",
                methodcaller("set_option", **{option: wanted}),
                "rebuild",
            )
        )
    automatic = any(c.autoincrement for c in draft.table.columns)
    if op.autoincrement and not automatic and _is_numbered(draft.table):
        if introspection.integer_primary_key(draft.table) is None:
            raise CommandError(
                f"Table {draft.name!r} has no INTEGER PRIMARY KEY that could be AUTOINCREMENT: give its "
                "key the type sa.Integer first, or leave sqlite_autoincrement out."
            )
        draft.add(Step("make its key AUTOINCREMENT", _autoincrement, "rebuild"))
    if op.autoincrement is False and automatic:
        draft.add(Step("no longer make its key AUTOINCREMENT", no_autoincrement, "rebuild"))


def _is_numbered(table: CreateTable) -> bool:
    """Whether ``sqlite_autoincrement`` says something of a table: of one integer that is its key, and is
    no foreign key. SQLAlchemy takes no notice of it anywhere else (``SQLiteDDLCompiler``)."""
    key = table.primary_key
    if key is None or len(key.columns) != 1:
        return False
    name = key.columns[0]
    points = [one for c in table.all_constraints() if c.kind == "foreign key" for one in c.columns]
    refers = any(same(name, one) for one in points)
    return not refers and introspection.affinity(table.column(name).type_text) == "INTEGER"


def _kept_without_strict(draft: Draft, column: Column) -> Condition:
    """ANY keeps every value as it is in a STRICT table, and makes numbers of them in another:
    https://www.sqlite.org/stricttables.html#the_any_datatype"""
    name = quote(column.name)
    broken = (
        f"(typeof({name}) = 'text' AND CAST({name} AS NUMERIC) = {name} "
        f"OR typeof({name}) = 'real' AND CAST({name} AS INTEGER) = {name})"
    )
    sentence = escaped(f"{draft.name}.{column.name} is ANY, and without STRICT ") + (
        "{rows} would have another value ({examples}); give the column another type first."
    )
    return Condition(broken, sentence, (column.name,))


def _autoincrement(table: CreateTable) -> CreateTable:
    key = table.primary_key
    if key is None:
        return table
    if key.inline:
        return table.replace_constraint(key, f"{key.text} AUTOINCREMENT")
    name = f"CONSTRAINT {quote(key.name)} " if key.name else ""
    table = table.drop_constraint(key)
    place = table.column(key.columns[0]).head_end
    conflict = f" ON CONFLICT {key.on_conflict}" if key.on_conflict else ""
    inline = Change(place, place, f" {name}PRIMARY KEY{conflict} AUTOINCREMENT")
    return CreateTable.parse(apply(table.sql, inline))


def no_autoincrement(table: CreateTable) -> CreateTable:
    words = [token for token in tokenize(table.sql) if token.keyword == "AUTOINCREMENT"]
    key = table.primary_key
    start, end = key.span if key else (0, 0)
    places = [token for token in words if start <= token.start < end]
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


def drop_column(draft: Draft, op: DropColumn) -> None:
    """A column goes with the indexes and the constraints that involve it, as on PostgreSQL."""
    if op.if_exists and not draft.table.has_column(op.column):
        return
    name = draft.column(op.column)
    _refuse_drop(draft, name)
    draft.with_columns.append(draft.table)
    gone = [f"index {i.name}" for i in draft.indexes if i.concerns(name)]
    for index in [i for i in draft.indexes if i.concerns(name)]:
        draft.drop_index(index.name)
    draft.new_indexes = [
        i for i in draft.new_indexes if not any(same(name, n) for n in _names(i.columns))
    ]
    for constraint in _involved(draft.table, name):
        gone.append(describe(constraint))
        draft.add(drop_step(draft, constraint, says=""))
    gone += [describe(c) for c in draft.table.column(name).constraints if is_named_apart(c)]
    draft.dropped_columns.append(name)
    added = draft.take_away(name)
    draft.made_over.pop(fold(name), None)
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


def _involved(table: CreateTable, name: str) -> list[Constraint]:
    """Constraints written elsewhere than in the column's own definition that need the column."""
    return [
        c
        for c in table.all_constraints()
        if is_named_apart(c) and not same(c.column, name) and involves(table, c, name)
    ]


def _refuse_drop(draft: Draft, name: str) -> None:
    what = f"Column {draft.name}.{name} cannot be dropped"
    if len(draft.table.columns) == 1:
        raise CommandError(f"{what}, since it is the only one: drop the table.")
    for other in draft.table.columns:
        generated = other.last("generated")
        uses = draft.table.uses(generated) if generated else ()
        if any(same(name, used) for used in uses) and not same(other.name, name):
            raise CommandError(
                f"{what}, since the generated column {other.name!r} is computed from it: "
                f"drop {other.name!r} first."
            )
    for reference in draft.references_to:
        if same(reference.table, draft.name):
            continue
        if name in draft.referred_by(reference):
            columns = ", ".join(reference.columns)
            raise CommandError(
                f"{what}, since the foreign key ({columns}) of table {reference.table!r} refers "
                "to it: drop that foreign key first."
            )


def _way_to_drop(draft: Draft, name: str) -> str:
    """SQLite's own DROP COLUMN where it takes it; before 3.35.5 it could corrupt the file."""
    with closing(Mirror(())) as mirror:
        taken = mirror.error_of(draft.table.sql) is None and (
            mirror.error_of(f"ALTER TABLE {quote(draft.name)} DROP COLUMN {quote(name)}") is None
        )
        return "drop" if taken and draft.db.version >= (3, 35, 5) else "rebuild"
