"""Rebuilds a table: SQLite's documented procedure, https://sqlite.org/lang_altertable.html#otheralter.

A new table under another name, the rows copied, the old table dropped, the new one renamed, and
everything carried over that belongs to the table: indexes, triggers, the AUTOINCREMENT counter and
the statistics of ANALYZE. Views need nothing: they are text.

Rows that are shorter than their table: written before ALTER TABLE ADD COLUMN, or copied as they were.

SQLite reads the schema's default for what a row does not hold
(https://sqlite.org/lang_altertable.html#alter_table_add_column), so that such rows change with the
text. Which rows are short no text says: a copy by INSERT ... SELECT * and the drop of a virtual
column leave them where nothing shows it. So SQLite is asked, with a default that no row can hold.
"""

import secrets
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from alembic.util import CommandError
from sqlalchemy.exc import DatabaseError

from ..lexer import string
from ..typing import Value
from . import data_checks, introspection
from .clone import Mirror, free_name
from .create_table import Change, CreateTable, apply, expressions
from .introspection import (
    Database,
    affinity,
    indexes,
    integer_primary_key,
    layout,
    row_count,
    rowid_name,
    triggers,
)
from .model import Column
from .tokenizer import column_tokens, fold, quote, same, tokenize

# Changes a table's text in the schema table, without touching a row.
#
# SQLite documents the procedure (https://sqlite.org/lang_altertable.html#otheralter) and its danger:
# a text that does not describe the rows on disk makes the database unreadable. So the new text is
# tried in a temporary shadow first, and the shadow has to have the very layout of the table.


def is_possible(db: Database) -> bool:
    """Whether the library lets the schema table be written; in defensive mode it does not, see
    https://sqlite.org/c3ref/c_dbconfig_defensive.html."""
    with db.switched("writable_schema", "ON"):
        try:
            db.rows(f"EXPLAIN UPDATE {db.catalogue} SET sql = sql")
        except sqlite3.Error:
            return False
        return True


def write(db: Database, table: CreateTable) -> None:
    """Store ``table.sql`` as the text of the table of its name.

    :raises CommandError: when the new text would lie differently on disk, or was not taken
    """
    _compare_layouts(db, table)
    version = db.pragma("schema_version")[0][0]
    with db.switched("writable_schema", "ON"):
        changed = db.run(
            f"UPDATE {db.catalogue} SET sql = ? WHERE type = 'table' AND name = ?",
            table.sql,
            table.name,
        )
        # without a new version this connection and all others would go on with the old schema
        db.run(f"PRAGMA {quote(db.schema or 'main')}.schema_version={version + 1}")
    stored = db.value(f"SELECT sql FROM {db.catalogue} WHERE name = ?", table.name)
    columns = [row[1] for row in db.pragma("table_xinfo", table.name)]
    if changed.rowcount != 1 or stored != table.sql or columns != [c.name for c in table.columns]:
        raise CommandError(
            f"SQLite did not take the new text of table {table.name!r}: "
            "set SQLITE_SCHEMA_EDITS = False and run it again."
        )


def _compare_layouts(db: Database, table: CreateTable) -> None:
    if not table.sql.startswith("CREATE TABLE"):
        raise CommandError(f"The text of table {table.name!r} does not begin with CREATE TABLE.")
    stored = CreateTable.parse(
        db.value(f"SELECT sql FROM {db.catalogue} WHERE type = 'table' AND name = ?", table.name)
    )
    before = layout(db, db.schema or "main", table.name), _counts(stored)
    if before != (_layout_of_shadow(db, table), _counts(table)):
        raise CommandError(
            f"The new text of table {table.name!r} does not describe the rows that it has: "
            "set SQLITE_SCHEMA_EDITS = False and run it again."
        )


def _layout_of_shadow(db: Database, table: CreateTable) -> tuple[object, ...] | None:
    """The layout that SQLite gives to the text; None when it does not take it."""
    try:
        db.run(f"CREATE TEMP TABLE{_without_counter(table.sql)[len('CREATE TABLE') :]}")
    except DatabaseError:
        return None
    try:
        return layout(db, "temp", table.name)
    finally:
        db.run(f"DROP TABLE temp.{quote(table.name)}")


def _counts(table: CreateTable) -> bool:
    return any(column.autoincrement for column in table.columns)


def _without_counter(sql: str) -> str:
    """The text without AUTOINCREMENT, which would leave a temporary sqlite_sequence behind, in
    front of the real one."""
    if "autoincrement" not in sql.lower():
        return sql
    counters = [t for t in tokenize(sql) if t.keyword == "AUTOINCREMENT"]
    return apply(sql, *(Change(token.start, token.end) for token in counters))


def rebuild_table(
    db: Database,
    target: CreateTable,
    dropped_indexes: frozenset[str] = frozenset(),
    exact_text: bool = True,
    made_over: Mapping[str, str] = MappingProxyType({}),
    printed: bool = False,
) -> None:
    """Make the table of ``target``'s name into what ``target`` declares, keeping its rows.

    A column that both have keeps its values; a new one gets its default.

    :param dropped_indexes: names, folded, of indexes that go
    :param exact_text: put the text in as it is at the end, where SQLite has requoted the name
    :param made_over: by the folded names of columns, what is copied instead of their values, or into
        a new column
    :param printed: for a script that is run later, and on another database
    :raises CommandError: when a row would be lost
    """
    name = target.name
    kept_indexes = [i.sql for i in indexes(db, name) if fold(i.name) not in dropped_indexes]
    kept_triggers = [trigger.sql for trigger in triggers(db, name)]
    rows = row_count(db, name)
    new = free_name(db, name)
    if printed:
        data_checks.require_same_table(db, name)
    # otherwise the rename would read every view and trigger while the table is missing
    with db.switched("legacy_alter_table", "ON"):
        db.run(db.qualified(unqualified(target).rename(new).sql))
        copied = db.run_long(
            f"{name}: copying rows", rows, copy_statement(db, target, new, made_over, printed)
        )
        if copied.rowcount != rows:
            raise CommandError(
                f"Table {name!r} has {rows} rows and {copied.rowcount} were copied: a constraint "
                "with ON CONFLICT leaves rows out; take the clause away or the rows first."
            )
        if printed:
            _require_unchanged(db, target, new, made_over)
        _hand_over_counter(db, name, new, target)
        _move_statistics(db, name, new)
        db.run(f"DROP TABLE {db.name(name)}")
        db.run(f"ALTER TABLE {db.name(new)} RENAME TO {quote(name)}")
    for sql in kept_indexes:
        db.run_long(f"{name}: building indexes", rows, db.qualified(sql))
    for trigger in kept_triggers:
        db.run(db.qualified(trigger))
    _move_statistics(db, new, name)
    _forget_statistics_of_dropped(db, name)
    if exact_text and _text(db, name) != target.sql:
        write(db, target)


def copy_statement(
    db: Database,
    target: CreateTable,
    new: str,
    made_over: Mapping[str, str] = MappingProxyType({}),
    named: bool = False,
) -> str:
    """INSERT ... SELECT of the columns that the table has and keeps, and of its rowid.

    :param named: name the columns even where they are all: another database may have another order
    """
    stored = {fold(row[1]) for row in db.pragma("table_xinfo", target.name)}
    columns = [c for c in target.columns if not c.generated]
    copied = [c.name for c in columns if fold(c.name) in stored or fold(c.name) in made_over]
    kept = [quote(name) for name in copied]
    values = [made_over.get(fold(name), quote(name)) for name in copied]
    source = db.pragma("table_xinfo", target.name)
    same_columns = [row[1] for row in source] == [c.name for c in target.columns]
    # SQLite copies whole records when nothing else is asked of it, and looks at no type then
    same_columns &= not target.strict or [r[2] for r in source] == [c.type_text for c in columns]
    key = integer_primary_key(target)
    copies_all = same_columns and len(columns) == len(source) and not made_over
    if copies_all and key and not named:
        return f"INSERT OR ABORT INTO {db.name(new)} SELECT * FROM {db.name(target.name)}"
    own_rowid = _rowid_of_both(db, target)
    if own_rowid and key is None:
        kept.insert(0, own_rowid)
        values.insert(0, own_rowid)
    return (
        f"INSERT OR ABORT INTO {db.name(new)} ({', '.join(kept)}) "
        f"SELECT {', '.join(values)} FROM {db.name(target.name)}"
    )


def _require_unchanged(
    db: Database, target: CreateTable, new: str, made_over: Mapping[str, str]
) -> None:
    before = CreateTable.parse(_text(db, target.name))
    rowid = _rowid_of_both(db, target)
    if rowid and bool(before.rowid_alias) == bool(target.rowid_alias):
        types = data_checks.changed_types(before, target)
        kept = [changed for changed in types if fold(changed[0]) not in made_over]
        data_checks.require_unchanged(db, target.name, new, rowid, kept)


def _rowid_of_both(db: Database, target: CreateTable) -> str | None:
    before = CreateTable.parse(_text(db, target.name))
    alias = rowid_name(before)
    return alias if alias and alias == rowid_name(target) else None


def unqualified(table: CreateTable) -> CreateTable:
    """The table with ``a`` for ``t.a`` in its own expressions: under another name for a while, it
    could not keep the qualifiers, and they say nothing that the name alone does not."""
    changes = []
    for c in expressions(table):
        start = c.value[0]
        for column, qualifier in column_tokens(table.sql[slice(*c.value)]):
            if qualifier and same(qualifier.name, table.name):
                changes.append(Change(start + qualifier.start, start + column.start))
    return CreateTable.parse(apply(table.sql, *changes)) if changes else table


def _text(db: Database, name: str) -> str:
    query = f"SELECT sql FROM {db.catalogue} WHERE type = 'table' AND name = ?"
    return str(db.value(query, name))


# -- what belongs to the table in SQLite's own tables: in SQL throughout, so that a printed script
# -- does the same to a database that has moved on


def _has(db: Database, table: str) -> bool:
    return bool(db.value(f"SELECT count(*) FROM {db.catalogue} WHERE name = ?", table))


def _hand_over_counter(db: Database, old: str, new: str, target: CreateTable) -> None:
    """AUTOINCREMENT promises that no id is handed out twice, deleted ones included."""
    if not any(c.autoincrement for c in target.columns) or not _has(db, "sqlite_sequence"):
        return
    sequence = f"{quote(db.schema or 'main')}.sqlite_sequence"
    counter = f"(SELECT max(seq) FROM {sequence} WHERE name IN ({string(old)}, {string(new)}))"
    counted = f"SELECT 1 FROM {sequence} WHERE name = "
    db.run(
        f"INSERT INTO {sequence} (name, seq) SELECT {string(new)}, 0 "
        f"WHERE EXISTS ({counted}{string(old)}) AND NOT EXISTS ({counted}{string(new)})"
    )
    db.run(f"UPDATE {sequence} SET seq = {counter} WHERE name = {string(new)}")


def _move_statistics(db: Database, old: str, new: str) -> None:
    """ANALYZE's figures go by the table's name, and DROP TABLE would delete them."""
    for table in ("sqlite_stat1", "sqlite_stat4"):
        if _has(db, table):
            db.run(f"UPDATE {db.name(table)} SET tbl = {string(new)} WHERE tbl = {string(old)}")


def _forget_statistics_of_dropped(db: Database, name: str) -> None:
    present = f"SELECT name FROM {db.catalogue} WHERE type = 'index'"
    for table in ("sqlite_stat1", "sqlite_stat4"):
        if _has(db, table):
            db.run(
                f"DELETE FROM {db.name(table)} WHERE tbl = {string(name)} "
                f"AND idx NOT IN ({present}) AND idx <> {string(name)}"
            )


class Reading(NamedTuple):
    """What a short row reads: its storage class and the value, a text as bytes.

    ``stays`` is False where the column would store the value otherwise than it is read, as a TEXT
    column does with DEFAULT TRUE.
    """

    kind: str
    value: object
    stays: bool


def reads_otherwise(before: CreateTable, after: CreateTable, name: str) -> bool:
    """Whether rows that are too short for a column would change with the text."""
    columns = before.column(name), after.column(name)
    kinds, defaults = zip(*((affinity(c.type_text), c.default_text) for c in columns), strict=True)
    if defaults == (None, None) or (kinds[0] == kinds[1] and defaults[0] == defaults[1]):
        return False
    old, new = (_reading(*of) for of in zip((before, after), columns, strict=True))
    return old is not None and (new is None or repr(old[:2]) != repr(new[:2]))


def is_unsteady(table: CreateTable) -> bool:
    """Whether a short row that is written anew would read otherwise.

    A TEXT column with DEFAULT TRUE reads the integer 1, which it cannot hold; its index would
    still say 1 when the row says '1'.
    """
    readings = [_reading(table, c) for c in table.columns if c.default_text is not None]
    return not all(reading.stays for reading in readings if reading)


def _reading(table: CreateTable, column: Column) -> Reading | None:
    """None for a column that every row has: the rowid itself, or one that is computed."""
    if column.generated or column == table.rowid_alias:
        return None
    return _read(column.type_text, column.default_text, table.strict)


@lru_cache(maxsize=512)
def _read(type_text: str, default: str | None, strict: bool) -> Reading:
    option = " STRICT" if strict else ""
    clause = "" if default is None else f" DEFAULT {default}"
    mirror = Mirror(())
    mirror.raw.text_factory = bytes
    try:
        mirror.run(f"CREATE TABLE t (x ANY){option}")
        mirror.run("INSERT INTO t VALUES (1)")
        mirror.run("PRAGMA writable_schema=ON")
        # ADD COLUMN refuses a default such as CURRENT_TIMESTAMP, which reads NULL
        longer = f"CREATE TABLE t (x ANY, c {type_text}{clause}){option}"
        mirror.run("UPDATE sqlite_master SET sql = ?", longer)
        mirror.run("PRAGMA schema_version=9")
        ((kind, value),) = mirror.rows("SELECT typeof(c), c FROM t")
        stored = mirror.error_of("UPDATE t SET x = 2") is None
        stays = stored and mirror.rows("SELECT typeof(c), c FROM t") == [(kind, value)]
        return Reading(kind.decode(), value, stays)
    except (
        sqlite3.Error
    ):  # the library lets nobody write to a schema table: a rebuild needs no answer
        return Reading("unknown", (type_text, default), False)
    finally:
        mirror.close()


def settle(db: Database, target: CreateTable) -> None:
    """Write into short rows what they read, where they would read otherwise by ``target``'s text.

    The text of the table is another one afterwards: the caller stores ``target``.
    """
    stored = introspection.read_table(db, target.name)
    shared = [c for c in stored.columns if target.has_column(c.name)]
    changing = [c.name for c in shared if reads_otherwise(stored, target, c.name)]
    if changing and _any_is_short(db, stored, changing):
        _lengthen(db, stored, changing)


def _any_is_short(db: Database, stored: CreateTable, names: list[str]) -> bool:
    marker, marked = f"keel {secrets.token_hex(16)}", stored
    for name in names:
        marked = marked.set_default(name, f"'{marker}'")
    write(db, marked)
    either = " OR ".join(f"+{quote(name)} IS '{marker}'" for name in names)
    # an index holds what the rows read before
    query = f"SELECT EXISTS (SELECT 1 FROM {_table_itself(db, stored)} WHERE {either})"
    rows = introspection.rough_row_count(db, stored)
    ((found,),) = db.run_long(f"{stored.name}: checking rows", rows, query)
    return bool(found)


def _table_itself(db: Database, table: CreateTable) -> str:
    """The table as FROM names it for rows that come from no index.

    NOT INDEXED does not keep SQLite from another index of a table WITHOUT ROWID.
    """
    if not table.without_rowid:
        return f"{db.name(table.name)} NOT INDEXED"
    keys = [row[1] for row in db.pragma("index_list", table.name) if row[3] == "pk"]
    return f"{db.name(table.name)} INDEXED BY {quote(keys[0])}"


def _lengthen(db: Database, stored: CreateTable, names: list[str]) -> None:
    write(db, _explicit(stored, names))
    conditions, parameters = [], []
    for name in names:
        condition, values = _reads(quote(name), _reading(stored, stored.column(name)))
        conditions.append(condition)
        parameters += values
    assigned = ", ".join(f"{quote(name)} = {quote(name)}" for name in names)
    statement = f"UPDATE OR ABORT {db.name(stored.name)} SET {assigned}"
    rows = introspection.rough_row_count(db, stored)
    # no trigger of the application's is a part of a migration, and a CHECK that some row breaks
    # already is not its business
    triggers = introspection.triggers(db, stored.name)
    for trigger in triggers:
        db.run(f"DROP TRIGGER {db.name(trigger.name)}")
    with db.switched("ignore_check_constraints", "ON"):
        label = f"{stored.name}: changing rows"
        db.run_long(label, rows, f"{statement} WHERE {' OR '.join(conditions)}", *parameters)
    for trigger in triggers:
        db.run(db.qualified(trigger.sql))


def _explicit(stored: CreateTable, names: list[str]) -> CreateTable:
    """No default and NULL read alike, but what has a default is not left out at a row's end by a
    library that leaves NULLs out there."""
    for name in names:
        if stored.column(name).default_text is None:
            stored = stored.set_default(name, "NULL")
    return stored


def _reads(column: str, reading: Reading | None) -> tuple[str, list[Value]]:
    """The rows among which the short ones are, to be written anew as they are."""
    if reading is None:
        return "0", []  # every row has it
    value = reading.value
    if reading.kind == "text" and isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return f"typeof({column}) = 'text'", []
    return f"{column} IS ?", [value]
