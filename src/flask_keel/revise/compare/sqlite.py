"""SQLite keeps the text of each table: that of the models is written out and read in the same way."""

from sqlalchemy import Connection
from sqlalchemy import Table as Model
from sqlalchemy.schema import CreateIndex, CreateTable

from ...sqlite import create_table
from ...sqlite.database import Database
from ...sqlite.facts import read_table
from ...sqlite.tokens import fold, tokenize, unquote
from .facts import Check, Column, Index, Table, Unique

# one type in several words, of eight bytes each: https://www.sqlite.org/datatype3.html#affinity_name_examples
FLOATS = ("float", "double", "double precision", "real")


def real(connection: Connection, schema: str | None, name: str) -> Table:
    """Return what the database has."""
    db = Database(connection, schema)
    query = f"SELECT sql FROM {db.catalogue} WHERE type = 'index' AND sql NOT NULL"
    texts = [row[0] for row in db.rows(f"{query} AND tbl_name = ? COLLATE NOCASE", name)]
    return _table(read_table(db, name), texts)


def twin(connection: Connection, model: Model) -> Table:
    """Return what the database would have, were the model made."""
    dialect = connection.dialect
    text = str(CreateTable(model).compile(dialect=dialect)).strip()
    indexes = [str(CreateIndex(index).compile(dialect=dialect)) for index in model.indexes]
    return _table(create_table.CreateTable.parse(text), indexes)


def plain(sql: str | None) -> str | None:
    """Return an expression without what makes no difference: spaces, quotes of names, outer parentheses."""
    if sql is None:
        return None
    found = [
        fold(unquote(token.text)) if token.kind in ("word", "quoted") else token.text
        for token in tokenize(sql)
    ]
    while len(found) > 1 and found[0] == "(" and _closing(found) == len(found) - 1:
        found = found[1:-1]
    return " ".join(found)


def _closing(tokens: list[str]) -> int:
    depth = 0
    for place, text in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(text, 0)
        if depth == 0:
            return place
    return -1


def _table(text: create_table.CreateTable, indexes: list[str]) -> Table:
    columns = {}
    for column in text.columns:
        generated = column.last("generated")
        columns[column.name] = Column(
            type=_type(column.type_text),
            default=None if generated else plain(column.default_text),
            generated=generated and f"{plain(generated.expression)} {column.generated}",
            collation=column.collation and column.collation.upper(),
            counts="rowid" if column == text.rowid_alias else None,
        )
    checks = [
        Check(c.name, plain(c.expression) or "", (c.expression or "").strip())
        for c in text.all_constraints()
        if c.kind == "check"
    ]
    found = [_index(sql) for sql in indexes]
    counts = any(column.autoincrement for column in text.columns)
    key = text.primary_key
    return Table(
        columns,
        tuple(checks),
        {index.name: index for index in found},
        counts,
        tuple(text.column(name).name for name in key.columns) if key else (),
        key.name if key else None,
        {
            c.name: Unique(f"{c.columns} {(c.on_conflict or 'ABORT').upper()}", c.columns)
            for c in text.all_constraints()
            if c.kind == "unique" and c.name
        },
    )


def _type(text: str) -> str:
    written = plain(text) or ""
    return "real" if written in FLOATS else written


def _index(sql: str) -> Index:
    """Read CREATE [UNIQUE] INDEX [IF NOT EXISTS] [schema.]name ON table (parts) [WHERE ...]."""
    tokens = tokenize(sql)
    on = next(place for place, token in enumerate(tokens) if token.keyword == "ON")
    start = on + 2
    close = start + _closing([token.text for token in tokens[start:]])
    parts, depth, begin = [], 0, tokens[start].end
    for token in tokens[start + 1 : close + 1]:
        if (token.text == "," and not depth) or token is tokens[close]:
            parts.append(sql[begin : token.start].strip())
            begin = token.end
        depth += {"(": 1, ")": -1}.get(token.text, 0)
    where = sql[tokens[close + 1].end :].strip() if len(tokens) > close + 1 else None
    unique = tokens[1].keyword == "UNIQUE"
    said = [str(unique), *(plain(part) or "" for part in parts), "where", plain(where) or ""]
    name = unquote(tokens[on - 1].text)
    return Index(name, "|".join(said), unique, tuple(parts), where)
