"""A column added: by SQLite's own statement where it takes it."""

import sqlite3

from alembic.util import CommandError

from .added_constraints import check_condition
from .create_table import Column
from .draft import Draft
from .mirror import Mirror
from .operations import AddColumn
from .quoted_strings import require_no_string
from .steps import Step
from .tokens import fold, quote, same, tokenize, unquote


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
    draft.new_columns[fold(op.column)] = op.fill if filled else _value_of_new(draft, column)
    if filled:
        draft.made_over[fold(op.column)] = op.fill
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
    if column.generated:
        return f"({column.last('generated').expression})"
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
    mirror = Mirror(())
    try:
        for statement in way:
            mirror.run(statement.format(column=f"v {kind} DEFAULT {column.default_text}"))
        return mirror.value("SELECT quote(v) FROM t")
    except sqlite3.Error:
        return None
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
