"""What a table is and holds, to be compared with what it should be and hold after a change."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.tokenizer import fold, quote, tokenize, unquote

Words = tuple[str, ...]


def words(sql: str | None) -> Words:
    """A piece of SQL without spaces, comments, quotes around names and outer parentheses."""
    if sql is None:
        return ()
    found = [
        fold(unquote(t.text)) if t.kind in ("word", "quoted") else t.text for t in tokenize(sql)
    ]
    while found[:1] == ["("] and _closes_last(found):
        found = found[1:-1]
    return tuple(found)


def _closes_last(found: list[str]) -> bool:
    depth = 0
    for place, text in enumerate(found):
        depth += {"(": 1, ")": -1}.get(text, 0)
        if not depth:
            return place == len(found) - 1
    return False


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    not_null: bool = False
    default: Words = ()
    collation: str = "binary"
    generated: Words = ()
    stored: bool = False
    default_text: str | None = None


@dataclass(frozen=True)
class Part:
    """A constraint or an index, by all that it says; ``uses`` are the columns that it needs."""

    kind: str
    name: str | None
    says: Words
    uses: frozenset[str]


@dataclass
class Shape:
    """A table; names are folded."""

    name: str
    columns: list[Column]
    parts: list[Part]
    options: frozenset[str] = frozenset()
    same: list[set[str]] = field(default_factory=list)

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    def replace(self, name: str, new: Column) -> None:
        self.columns = [new if c.name == name else c for c in self.columns]

    def without(self, name: str) -> None:
        """A column goes with whatever needs it."""
        self.columns = [c for c in self.columns if c.name != name]
        self.parts = [p for p in self.parts if name not in p.uses]

    def renamed(self, old: str, new: str) -> None:
        """From now on the two names count as one: what is a keyword and what a name is SQLite's
        business."""
        met = [names for names in self.same if names & {old, new}]
        self.same = [names for names in self.same if names not in met]
        self.same.append({old, new}.union(*met))

    def comparable(self, same: Iterable[set[str]]) -> tuple:
        def plain(word: str) -> str:
            return next((min(names) for names in same if fold(unquote(word)) in names), word)

        def all_plain(found: Words) -> Words:
            # a printed script leaves the table's own name away
            own = (plain(self.name), ".")
            named = list(map(plain, found))
            at = [i for i in range(len(named)) if tuple(named[i : i + 2]) == own]
            return tuple(w for i, w in enumerate(named) if i not in at and i - 1 not in at)

        columns = [
            (plain(c.name), words(c.type), c.not_null, c.default, c.collation, c.stored)
            for c in self.columns
        ]
        computed = {plain(c.name): all_plain(c.generated) for c in self.columns}
        parts = Counter((p.kind, p.name and fold(p.name), all_plain(p.says)) for p in self.parts)
        return plain(self.name), columns, computed, parts, self.options


def read(raw: sqlite3.Connection, name: str) -> Shape:
    """The table as SQLite's own PRAGMAs and its text say it."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE"
    name, sql = raw.execute(query, (name,)).fetchone()
    table = CreateTable.parse(sql)
    told = raw.execute(f"PRAGMA table_xinfo({quote(name)})").fetchall()
    assert [row[1] for row in told] == [c.name for c in table.columns]
    columns = [_column(c) for c in table.columns]
    parts = [_part(table, c) for c in table.all_constraints() if c.kind in KINDS]
    parts += [_index(raw, name, row) for row in _indexes(raw, name)]
    counted = [fold(c.name) for c in table.columns if c.autoincrement]
    parts += [Part("autoincrement", None, (), frozenset({column})) for column in counted]
    return Shape(fold(name), columns, parts, frozenset(table.options))


KINDS = ("primary key", "unique", "check", "foreign key")


def _column(c) -> Column:
    generated = c.last("generated")
    return Column(
        fold(c.name),
        c.type_text,
        c.not_null,
        words(c.default_text),
        fold(c.collation or "binary"),
        words(generated.expression) if generated else (),
        bool(generated and generated.stored),
        c.default_text,
    )


def _part(table: CreateTable, c) -> Part:
    uses = {fold(name) for name in table.uses(c)}
    if fold(c.referred_table or "") == fold(table.name):
        uses |= set(map(fold, c.referred_columns))
    says = words(c.expression) if c.kind == "check" else tuple(map(fold, c.columns))
    if c.kind == "foreign key":
        says += ("to", fold(c.referred_table), *map(fold, c.referred_columns))
    clauses = (c.on_delete, c.on_update, c.match, c.deferrable, c.on_conflict)
    says += tuple(f"{place} {fold(clause)}" for place, clause in enumerate(clauses) if clause)
    return Part(c.kind, c.name, says, frozenset(uses))


def _indexes(raw: sqlite3.Connection, table: str) -> list[tuple]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
    return raw.execute(f"{query} AND tbl_name = ?", (table,)).fetchall()


def _index(raw: sqlite3.Connection, table: str, row: tuple) -> Part:
    name, sql = row
    after = sql[sql.upper().index(" ON ") :]
    known = {fold(found[1]) for found in raw.execute(f"PRAGMA table_xinfo({quote(table)})")}
    listed = raw.execute(f"PRAGMA index_list({quote(table)})").fetchall()
    says = (str(next(found[2:3] for found in listed if found[1] == name)), *words(after)[2:])
    return Part("index", name, says, frozenset(known & set(words(after)[2:])))


# -- rows ------------------------------------------------------------------------------------------

Row = dict[str, tuple]


def rows(raw: sqlite3.Connection, table: str) -> list[Row]:
    """Each row: every column's value with its storage class and as quote() writes it, and the
    rowid where it has a name."""
    name = quote(table)
    columns = [row[1] for row in raw.execute(f"PRAGMA table_xinfo({name})")]
    taken = set(map(fold, columns))
    without = raw.execute(f"SELECT wr FROM pragma_table_list({_said(table)})").fetchone()[0]
    rowid = next((r for r in ("rowid", "_rowid_", "oid") if r not in taken and not without), None)
    asked = [rowid] if rowid else []
    asked += [quote(column) for column in columns]
    listed = ", ".join(f"typeof({a}), quote({a}), {a}" for a in asked)
    names = [" rowid"] * bool(rowid) + list(map(fold, columns))
    return [
        {key: row[3 * at : 3 * at + 3] for at, key in enumerate(names)}
        for row in raw.execute(f"SELECT {listed} FROM {name}").fetchall()
    ]


def _said(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def multiset(found: list[Row]) -> list[str]:
    return sorted(repr(sorted((k, v[:2]) for k, v in row.items())) for row in found)


class Converter:
    """What columns of declared types make of values."""

    def __init__(self, option: str):
        self.raw = sqlite3.connect(":memory:", isolation_level=None)
        self.raw.text_factory = lambda value: value.decode(errors="surrogateescape")
        self.option = option
        self.made: dict[tuple[str, str], str] = {}

    def __call__(self, type_text: str, value: object) -> tuple:
        kind = type_text, self.option
        if kind not in self.made:
            self.made[kind] = table = f"t{len(self.made)}"
            self.raw.execute(f"CREATE TABLE {table} (v {type_text}) {self.option}")
        table = self.made[kind]
        if isinstance(value, str):
            data = value.encode(errors="surrogateescape")
            self.raw.execute(f"INSERT INTO {table} VALUES (CAST(? AS TEXT))", (data,))
        else:
            self.raw.execute(f"INSERT INTO {table} VALUES (?)", (value,))
        (found,) = self.raw.execute(f"SELECT typeof(v), quote(v), v FROM {table}").fetchall()
        self.raw.execute(f"DELETE FROM {table}")
        return found
