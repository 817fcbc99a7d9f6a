"""SQLite's own account of its schema: its pragmas, and the text where they say nothing.

The pragmas know no CHECK, collation, constraint name or AUTOINCREMENT: those are read in the text of
the table. Two spellings of one thing are one fact. https://www.sqlite.org/pragma.html
"""

from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from ...sqlite.create_table import CreateTable, Unreadable, identifiers
from ...sqlite.tokens import fold, tokenize
from .schema import Check, Column, ForeignKey, Schema, Table, Unique, listed

COLUMNS = (
    'SELECT m.name, x.name, x.type, x."notnull", x.dflt_value, x.pk, x.hidden '
    "FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS x WHERE m.type = 'table' "
    "ORDER BY m.name, x.cid"
)
KEYS = (
    'SELECT m.name, k.id, k."table", k."from", k."to", k.on_update, k.on_delete '
    "FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS k WHERE m.type = 'table' "
    "ORDER BY m.name, k.id, k.seq"
)
INDEXES = (
    'SELECT m.name, l.name, l."unique", l.origin, l.partial, x.name, x."desc", x.coll '
    "FROM sqlite_master AS m, pragma_index_list(m.name) AS l, pragma_index_xinfo(l.name) AS x "
    "WHERE m.type = 'table' AND x.\"key\" ORDER BY m.name, l.name, x.seqno"
)


def read(connection: Connection, ignore: frozenset[str]) -> Schema:
    """Read the main schema of a SQLite database."""
    raw = connection.connection.driver_connection
    objects = raw.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    texts = {name: sql for kind, name, _, sql in objects if kind == "table"}
    schema = Schema()
    for name, rows in groupby(raw.execute(COLUMNS), key=lambda row: row[0]):
        if name not in ignore and not name.startswith("sqlite_"):
            schema.tables[name] = _table(name, texts[name], list(rows))
    for (name, _), rows in groupby(raw.execute(KEYS), key=lambda row: row[:2]):
        if name in schema.tables:
            _foreign_key(schema, schema.tables[name], list(rows))
    sqls = {name: sql for kind, name, _, sql in objects if kind == "index"}
    for (name, index), rows in groupby(raw.execute(INDEXES), key=lambda row: row[:2]):
        if name in schema.tables:
            _index(schema.tables[name], index, sqls.get(index), list(rows))
    for kind, name, table, sql in objects:
        if kind == "view":
            schema.others[f"view {name}"] = plain(sql)
        elif kind == "trigger" and table in schema.tables:
            schema.tables[table].parts[f"trigger {name}"] = plain(sql)
        elif kind == "trigger":
            schema.others[f"trigger {name}"] = plain(sql)
    return schema


def _table(name: str, sql: str, rows: list[tuple]) -> Table:
    table = Table(name)
    text = _parsed(sql)
    key = {position: column for _, column, _, _, _, position, _ in rows if position}
    table.primary_key = tuple(key[position] for position in sorted(key))
    if table.primary_key:
        table.uniques.append(Unique(table.primary_key))
    said = {fold(column.name): column for column in text.columns} if text else {}
    for _, column, declared, not_null, default, position, hidden in rows:
        more = _more(said.get(fold(column)))
        table.columns[column] = Column(
            name=column,
            type=" ".join(declared.upper().replace("(", " ( ").split()).replace(" ( ", "("),
            # an INTEGER PRIMARY KEY, and what says NOT NULL; any other key may hold NULL
            nullable=not (not_null or position),
            default=None if default is None else plain(default),
            automatic=declared.upper() == "INTEGER" and table.primary_key == (column,),
            generated=hidden in (2, 3),
            more=more,
        )
    if text is None:
        table.parts["text"] = sql
        return table
    table.parts["options"] = " ".join(sorted(text.options))
    for constraint in text.all_constraints():
        _constraint(table, constraint)
    return table


def _more(column: Any) -> tuple[tuple[str, str], ...]:
    if column is None:
        return ()
    found = []
    if column.collation and fold(column.collation) != "binary":
        found.append(("collation", fold(column.collation)))
    if column.autoincrement:
        found.append(("autoincrement", "on"))
    generated = column.last("generated")
    if generated:
        found.append(("generated", f"{column.generated} as {plain(generated.expression)}"))
    return tuple(found)


def _constraint(table: Table, constraint: Any) -> None:
    columns = constraint.columns or ((constraint.column,) if constraint.column else ())
    conflict = f" on conflict {constraint.on_conflict}".lower() if constraint.on_conflict else ""
    match constraint.kind:
        case "check":
            text = constraint.expression
            table.checks.append(Check(text, plain(text), constraint.name))
            table.call(f"check ({plain(text)})", constraint.name)
        case "unique":
            table.call(f"unique {listed(columns)}{conflict}", constraint.name)
        case "primary key":
            table.call(f"primary key {listed(columns)}{conflict}", constraint.name)
        case "not null" if conflict:
            table.parts[f"not null {listed(columns)}"] = conflict.strip()
        case "foreign key":
            deferrable = (constraint.deferrable or "").lower()
            label = f"foreign key {listed(columns)} to {constraint.referred_table}"
            table.call(" ".join(f"{label} {deferrable}".split()), constraint.name)


def _foreign_key(schema: Schema, table: Table, rows: list[tuple]) -> None:
    _, _, parent, _, _, on_update, on_delete = rows[0]
    if parent not in schema.tables:  # SQLite lets a key name its parent in other capitals
        parent = next((name for name in schema.tables if fold(name) == fold(parent)), parent)
    columns = tuple(row[3] for row in rows)
    referred = tuple(row[4] for row in rows)
    if None in referred:
        referred = schema.tables[parent].primary_key if parent in schema.tables else ()
    options = f"{listed(referred)} on update {on_update.lower()} on delete {on_delete.lower()}"
    table.foreign_keys.append(ForeignKey(columns, parent, referred, options))
    table.options[f"foreign key {listed(columns)} to {parent}"] = options


def _index(table: Table, index: str, sql: str | None, rows: list[tuple]) -> None:
    _, _, unique, origin, partial, *_ = rows[0]
    columns = [row[5] for row in rows]
    if origin == "c":
        keys = ", ".join(
            f"{column or 'an expression'}{' desc' if desc else ''} {collation.lower()}"
            for *_, column, desc, collation in rows
        )
        text = plain(sql)
        more = "" if None not in columns and not partial else f" {text[text.index('(') :]}"
        table.parts[f"index {index}"] = f"{'unique ' if unique else ''}({keys}){more}"
    if unique and origin != "pk":
        used = {fold(name) for name in identifiers(sql[sql.index("(") :])} if sql else set()
        named = [c for c in table.columns if c in columns or (None in columns and fold(c) in used)]
        table.uniques.append(Unique(tuple(named), bool(partial)))


def _parsed(sql: str) -> CreateTable | None:
    try:
        return CreateTable.parse(sql)
    except Unreadable:
        return None  # a virtual table


@lru_cache(maxsize=4000)
def plain(sql: str) -> str:
    """Return the text without what means nothing: comments, spaces, capitals, quotes, outer brackets."""
    tokens = [
        fold(token.name) if token.kind in ("word", "quoted") else token.text
        for token in tokenize(sql)
    ]
    while tokens[:1] == ["("] and _closes_last(tokens):
        tokens = tokens[1:-1]
    return " ".join(tokens)


def _closes_last(tokens: list[str]) -> bool:
    depth = 0
    for place, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if not depth:
            return place == len(tokens) - 1
    return False
