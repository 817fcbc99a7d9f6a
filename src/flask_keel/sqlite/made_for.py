"""Guards in printed SQL: it goes on where it finds what it was made for, and stops anywhere else.

A temporary table whose CHECK is named after the sentence: the client says the name. What stops
there is the client (``.bail on``), since no SQL of SQLite's can.
"""

import sqlite3
from collections.abc import Iterable

from sqlalchemy import Connection

from . import facts
from .checks import Condition
from .create_table import CreateTable
from .database import Database
from .facts import affinity
from .tokens import fold, quote

TABLE = "temp.toolkit_guard"


def guard(sentence: str, query: str, expected: object) -> list[str]:
    """Return the statements that fail with the sentence unless the query gives what is expected.

    :param expected: a text, a number or None
    """
    return [
        f"CREATE TABLE {TABLE} (found, CONSTRAINT {quote(sentence)} CHECK (found IS {_said(expected)}))",
        f"INSERT INTO {TABLE} {query}",
        f"DROP TABLE {TABLE}",
    ]


def at_revisions(revisions: set[str], has_table: bool, again: str) -> list[str]:
    """Return the guard for the revisions at which the database was.

    :param has_table: whether it had a version table, which may be empty
    :param again: the command that prints the SQL anew
    """
    live = ", ".join(sorted(revisions))
    sentence = (
        f"This SQL is for a database at {live or 'the base'}, and this one is elsewhere (run twice?): "
        f"nothing was changed; print it anew from this database ({again})"
    )
    there = (
        "SELECT count(*) FROM main.sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    )
    found = guard(sentence, there, int(has_table))
    if has_table:
        said = "SELECT version_num FROM main.alembic_version ORDER BY version_num"
        found += guard(
            sentence, f"SELECT group_concat(version_num, ', ') FROM ({said})", live or None
        )
    return found


def require_same_table(db: Database, table: str) -> None:
    """Let the script stop at a table that has or lacks what a rebuild would drop or make up.

    The order of the columns may be another one.
    """
    schema, name = _said(db.schema or "main"), _said(table)
    query = (
        "SELECT group_concat(part, ', ') FROM ("
        "SELECT lower(name || ' ' || replace(type, ' ', '')) || CASE hidden WHEN 0 THEN '' "
        f"ELSE ' generated' END AS part FROM pragma_table_xinfo({name}, {schema}) "
        f"UNION ALL SELECT type || ' ' || lower(name) FROM {db.catalogue} "
        f"WHERE tbl_name = {name} COLLATE NOCASE AND type IN ('index', 'trigger') ORDER BY 1)"
    )
    sentence = (
        f"Table {table} has other columns, types, indexes or triggers than where this SQL was made: "
        "nothing was changed; print it anew from this database"
    )
    _run(db, guard(sentence, query, db.value(query)))


def require_fitting(db: Database, table: str, source: str, conditions: list[Condition]) -> None:
    """Let the script stop at rows that do not fit: those that came after it was made.

    :param source: what the rows are read from, as SQL
    """
    broken = " OR ".join(c.broken for c in conditions if c.function is None)
    if broken:
        query = f"SELECT EXISTS (SELECT 1 FROM {source} WHERE {broken})"
        sentence = (
            f"Table {table} has rows that do not fit any more: nothing was changed; "
            "db upgrade says which"
        )
        _run(db, guard(sentence, query, 0))


def require_unchanged(db: Database, table: str, copy: str, rowid: str, types: list[tuple]) -> None:
    """Let the script stop where a value was copied into another type and is not the same there.

    :param copy: the table that has the rows now
    :param types: of each column that became another: name, declared type before, and after
    """
    changed = [
        _changed(quote(name), affinity(after))
        for name, before, after in types
        if affinity(before) != affinity(after) and affinity(after) != "BLOB"
    ]
    if changed:
        query = (
            f"SELECT EXISTS (SELECT 1 FROM {db.name(table)} AS old JOIN {db.name(copy)} AS new "
            f"ON old.{rowid} = new.{rowid} WHERE {' OR '.join(changed)})"
        )
        sentence = (
            f"Table {table} has values that would change with their type: nothing was changed; "
            "db upgrade says which"
        )
        _run(db, guard(sentence, query, 0))


def no_more_broken(connection: Connection, touched: Iterable[str] | None) -> list[str]:
    """Return the guards for the end: no more rows may point to nothing than where it was made.

    :param touched: the tables whose keys may not hold any more, None for all
    """
    db = Database(connection)
    found = []
    for table in _tables(db, touched):
        query = f"SELECT count(*) FROM pragma_foreign_key_check({_said(table)})"
        try:
            broken = db.value(query)
        except sqlite3.Error:  # its parent has no such key: nothing can be told of its rows
            continue
        sentence = (
            f"Rows of {table} would point to nothing: nothing was changed; "
            "db upgrade says to which table"
        )
        found += guard(sentence, f"{query.replace('count(*)', f'count(*) > {broken}')}", 0)
    return found


def _tables(db: Database, touched: Iterable[str] | None) -> list[str]:
    there = [o.name for o in facts.objects(db) if o.type == "table"]
    wanted = None if touched is None else set(map(fold, touched))
    return [name for name in there if wanted is None or fold(name) in wanted]


def _changed(column: str, after: str) -> str:
    old, new = f"old.{column}", f"new.{column}"
    if after == "TEXT":
        return f"(typeof({old}) <> typeof({new}) AND CAST({new} AS NUMERIC) <> {old})"
    texts = _plain(old), _plain(f"CAST({new} AS TEXT)")
    return (
        f"CASE WHEN typeof({old}) = typeof({new}) THEN 0 "
        f"WHEN typeof({old}) = 'text' THEN {texts[0]} <> {texts[1]} ELSE {old} <> {new} END"
    )


def _plain(text: str) -> str:
    # 1.50 may become 1.5, and 2.0 become 2
    return f"CASE WHEN instr({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"


def changed_types(before: CreateTable, after: CreateTable) -> list[tuple[str, str, str]]:
    """Return name, declared type before and after of the columns that both tables store."""
    old = {fold(column.name): column for column in before.columns if not column.generated}
    return [
        (column.name, old[fold(column.name)].type_text, column.type_text)
        for column in after.columns
        if fold(column.name) in old and not column.generated
    ]


def _said(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "NULL" if value is None else str(value)


def _run(db: Database, statements: list[str]) -> None:
    for statement in statements:
        db.run(statement)
