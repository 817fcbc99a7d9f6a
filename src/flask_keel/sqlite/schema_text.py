"""Changes a table's text in the schema table, without touching a row.

SQLite documents the procedure (https://sqlite.org/lang_altertable.html#otheralter) and its danger:
a text that does not describe the rows on disk makes the database unreadable. So the new text is
tried in a temporary twin first, and the twin has to have the very layout of the table.
"""

import sqlite3

from alembic.util import CommandError
from sqlalchemy.exc import DatabaseError

from .create_table import CreateTable
from .database import Database
from .facts import layout
from .layout import Change, apply
from .tokens import quote, tokenize


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
    if before != (_layout_of_twin(db, table), _counts(table)):
        raise CommandError(
            f"The new text of table {table.name!r} does not describe the rows that it has: "
            "set SQLITE_SCHEMA_EDITS = False and run it again."
        )


def _layout_of_twin(db: Database, table: CreateTable) -> tuple | None:
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
