"""What SQLite itself says of a table, and what a text that was read says of the same."""

import re
import sqlite3
from dataclasses import dataclass

from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.tokenizer import quote, unquote

from .torture import PARENTS


@dataclass
class Facts:
    """``columns``: (name, type, not null, default, generated); ``foreign_keys`` in the order of
    the text: (table, columns, referred columns, on update, on delete); ``keys``: the lists of
    columns that an index of the table's own keeps unique."""

    columns: list[tuple]
    primary_key: tuple[str, ...]
    foreign_keys: list[tuple]
    keys: set[tuple[str, ...]]
    strict: bool
    without_rowid: bool


def database(*statements: str) -> sqlite3.Connection:
    """A database in memory with the tables that others refer to."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(PARENTS)
    for statement in statements:
        connection.execute(statement)
    return connection


def stored_text(connection: sqlite3.Connection) -> str:
    """The text of the last table that was made."""
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return rows.fetchall()[-1][0]


def facts(connection: sqlite3.Connection, table: str) -> Facts:
    def rows(pragma: str, of: str = table) -> list[tuple]:
        return connection.execute(f"PRAGMA {pragma}({quote(of)})").fetchall()

    info = rows("table_xinfo")
    generated = {0: None, 2: "virtual", 3: "stored"}
    columns = [
        (
            name,
            kind.upper(),
            bool(notnull),
            default,
            generated[hidden],
        )
        for _, name, kind, notnull, default, _, hidden in info
    ]
    primary_key = tuple(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5])
    keys: dict[int, list] = {}
    for row in rows("foreign_key_list"):
        keys.setdefault(row[0], []).append(row)
    foreign_keys = [
        (
            keys[i][0][2],
            tuple(r[3] for r in keys[i]),
            tuple(r[4] for r in keys[i] if r[4]),
            keys[i][0][5],
            keys[i][0][6],
        )
        for i in sorted(keys, reverse=True)
    ]
    unique = {
        tuple(row[2] for row in rows("index_info", index[1]))
        for index in rows("index_list")
        if index[3] in ("u", "pk")
    }
    flags = connection.execute(
        "SELECT strict, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?",
        (table,),
    ).fetchone()
    return Facts(columns, primary_key, foreign_keys, unique, bool(flags[0]), bool(flags[1]))


def facts_of_text(table: CreateTable) -> Facts:
    """The same from the text alone."""
    names = {column.name.translate(_ASCII): column.name for column in table.columns}

    def own(columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names[name.translate(_ASCII)] for name in columns)

    key = table.primary_key
    primary_key = own(key.columns) if key else ()
    columns = [
        (
            column.name,
            _shown_type(column.type_text),
            column.not_null or never_null(table, column.name in primary_key, column.name),
            column.last("default").expression if column.default_text else None,
            column.generated,
        )
        for column in table.columns
    ]
    constraints = table.all_constraints()
    foreign_keys = [
        (
            c.referred_table,
            own(c.columns),
            c.referred_columns,
            c.on_update or "NO ACTION",
            c.on_delete or "NO ACTION",
        )
        for c in constraints
        if c.kind == "foreign key"
    ]
    unique = {own(c.columns) for c in constraints if c.kind == "unique"}
    if key and table.rowid_alias is None:
        unique.add(primary_key)
    return Facts(columns, primary_key, foreign_keys, unique, table.strict, table.without_rowid)


def never_null(table: CreateTable, in_key: bool, name: str, **options: bool) -> bool:
    """Whether a column of the primary key cannot be NULL although it does not say so."""
    strict = options.get("strict", table.strict)
    without_rowid = options.get("without_rowid", table.without_rowid)
    alias = not without_rowid and table.set_option(without_rowid=False).rowid_alias
    return in_key and (without_rowid or (strict and not (alias and alias.name == name)))


_ASCII = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}


def _shown_type(text: str) -> str:
    """SQLite shows a type that begins with a quote as what stands in that quote."""
    quoted = re.match(r""""(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^]]*\]""", text)
    return (unquote(quoted.group()) if quoted else text).upper()


def collations(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """The collation of each column, as an index on it takes it over."""
    found = {}
    for row in connection.execute(f"PRAGMA table_xinfo({quote(table)})").fetchall():
        connection.execute(f"CREATE INDEX probe ON {quote(table)} ({quote(row[1])})")
        found[row[1]] = connection.execute("PRAGMA index_xinfo(probe)").fetchone()[4].upper()
        connection.execute("DROP INDEX probe")
    return found
