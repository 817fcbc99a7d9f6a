"""Rows that are shorter than their table: written before ALTER TABLE ADD COLUMN, or copied as they were.

SQLite reads the schema's default for what a row does not hold
(https://sqlite.org/lang_altertable.html#alter_table_add_column), so that such rows change with the
text. Which rows are short no text says: a copy by INSERT ... SELECT * and the drop of a virtual
column leave them where nothing shows it. So SQLite is asked, with a default that no row can hold.
"""

import secrets
import sqlite3
from functools import lru_cache
from typing import NamedTuple

from ..typing import Value
from . import introspection, recreate
from .clone import Mirror
from .create_table import CreateTable
from .introspection import Database, affinity
from .model import Column
from .tokenizer import quote


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
    recreate.write(db, marked)
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
    recreate.write(db, _explicit(stored, names))
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
