"""SQLite's own account of its schema: its pragmas, and the text where they say nothing.

The pragmas know no CHECK, collation, constraint name or AUTOINCREMENT: those are read in the text of
the table. Two spellings of one thing are one fact. https://www.sqlite.org/pragma.html
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from sqlalchemy import Connection
from sqlalchemy import Table as Model
from sqlalchemy.schema import CreateIndex
from sqlalchemy.schema import CreateTable as CreateTableDDL

from .. import catalog
from ..lexer import closing, depths
from ..sqlite import create_table, model
from ..sqlite.create_table import CreateTable
from ..sqlite.introspection import Database, driver, read_table
from ..sqlite.tokenizer import Token, Unreadable, fold, identifiers, lex, plain, tokenize, unquote
from ..typing import Row

# one type in several words, of eight bytes each: https://www.sqlite.org/datatype3.html#affinity_name_examples
FLOATS = ("float", "double", "double precision", "real")


def real(connection: Connection, schema: str | None, name: str) -> catalog.ReflectedTable:
    """Return what the database has."""
    db = Database(connection, schema)
    query = f"SELECT sql FROM {db.catalogue} WHERE type = 'index' AND sql NOT NULL"
    texts = [row[0] for row in db.rows(f"{query} AND tbl_name = ? COLLATE NOCASE", name)]
    return _reflected_table(read_table(db, name).sql, tuple(texts))


def ahead(
    connection: Connection, models: list[Model]
) -> tuple[catalog.Reflected, catalog.Reflected]:
    """Return nothing: here each question is a call."""
    return {}, {}


def shadow(connection: Connection, model: Model) -> catalog.ReflectedTable:
    """Return what the database would have, were the model made."""
    dialect = connection.dialect
    text = str(CreateTableDDL(model).compile(dialect=dialect)).strip()
    indexes = [str(CreateIndex(index).compile(dialect=dialect)) for index in model.indexes]
    return _reflected_table(text, tuple(indexes))


def plain_text(sql: str | None) -> str | None:
    """Return an expression without what makes no difference: spaces, quotes of names, outer parentheses."""
    return None if sql is None else " ".join(plain(sql))


@lru_cache(1)  # most tables have the very text of their model, which is read next
def _reflected_table(sql: str, indexes: tuple[str, ...]) -> catalog.ReflectedTable:
    text = create_table.CreateTable.parse(sql)
    columns = {}
    for column in text.columns:
        generated = column.last("generated")
        columns[column.name] = catalog.ReflectedColumn(
            type=_type(column.type_text),
            default=None if generated else plain_text(column.default_text),
            generated=(
                f"{plain_text(generated.expression)} {column.generated}" if generated else None
            ),
            collation=column.collation and column.collation.upper(),
            counts="rowid" if column == text.rowid_alias else None,
        )
    checks = [
        catalog.ReflectedCheck(c.name, plain_text(c.expression) or "", (c.expression or "").strip())
        for c in text.all_constraints()
        if c.kind == "check"
    ]
    found = [_reflected_index(sql) for sql in indexes]
    counts = any(column.autoincrement for column in text.columns)
    key = text.primary_key
    return catalog.ReflectedTable(
        columns,
        tuple(checks),
        {index.name: index for index in found},
        counts,
        tuple(text.column(name).name for name in key.columns) if key else (),
        key.name if key else None,
        {
            c.name: catalog.ReflectedUnique(
                f"{c.columns} {(c.on_conflict or 'ABORT').upper()}", c.columns
            )
            for c in text.all_constraints()
            if c.kind == "unique" and c.name
        },
    )


def _type(text: str) -> str:
    written = plain_text(text) or ""
    return "real" if written in FLOATS else written


def _reflected_index(sql: str) -> catalog.ReflectedIndex:
    """Read CREATE [UNIQUE] INDEX [IF NOT EXISTS] [schema.]name ON table (parts) [WHERE ...]."""
    tokens = tokenize(sql)
    on = next(place for place, token in enumerate(tokens) if token.keyword == "ON")
    start = on + 2
    texts = [token.text for token in tokens[start:]]
    close = start + closing(texts)
    parts, begin = [], tokens[start].end
    for token, depth in zip(tokens[start + 1 : close + 1], [*depths(texts)][1:], strict=False):
        if (token.text == "," and depth == 1) or token is tokens[close]:
            parts.append(sql[begin : token.start].strip())
            begin = token.end
    where = sql[tokens[close + 1].end :].strip() if len(tokens) > close + 1 else None
    unique = tokens[1].keyword == "UNIQUE"
    said = [
        str(unique),
        *(plain_text(part) or "" for part in parts),
        "where",
        plain_text(where) or "",
    ]
    name = unquote(tokens[on - 1].text)
    return catalog.ReflectedIndex(name, "|".join(said), unique, tuple(parts), where)


# SQLite keeps the text of what was created: https://www.sqlite.org/schematab.html


QUERY = """
SELECT type, name, tbl_name, sql FROM sqlite_master
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
ORDER BY CASE type WHEN 'view' THEN 1 ELSE 0 END, tbl_name,
         CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name
"""


MOMENTS = ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME")


def statements(connection: Connection, ignored: set[str]) -> Iterator[str]:
    """Give the tables, each with its indexes and triggers, and then the views."""
    for _, _, table, sql in connection.exec_driver_sql(QUERY):
        if table not in ignored:
            yield tidy(sql)


def tidy(sql: str) -> str:
    """Return the text with a line for each column: ALTER TABLE adds to the last line.

    What stands in quotes and in comments stays as it is.
    """
    if sql[:12].upper() != "CREATE TABLE":
        return sql
    parts: list[str] = []
    tokens = _plain_moments(lex(sql))
    for token, depth in zip(tokens, depths([token.text for token in tokens]), strict=True):
        text = _blank(token.text) if token.kind == "space" else token.text
        parts.append("\n    " if text == " " and parts[-1] == "," and depth == 1 else text)
    return "".join(parts)


def _plain_moments(tokens: Sequence[Token]) -> list[Token]:
    """Leave out the parentheses that SQLAlchemy 2.0 writes around a default's CURRENT_TIMESTAMP."""
    texts = [token.text.upper() for token in tokens]
    around = set()
    for place in range(len(tokens) - 4):
        default, _, opened, moment, closed = texts[place : place + 5]
        if (default, opened, closed) == ("DEFAULT", "(", ")") and moment in MOMENTS:
            around |= {place + 2, place + 4}
    return [token for place, token in enumerate(tokens) if place not in around]


def _blank(blank: str) -> str:
    """SQLAlchemy leaves blanks at the ends of lines, and indents by tabs."""
    _, newline, indent = blank.rpartition("\n")
    return newline + (indent if not newline else indent.replace("\t", "    "))


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


OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_master"


def read(connection: Connection, ignore: frozenset[str]) -> catalog.Schema:
    """Read the main schema of a SQLite database."""
    raw = driver(connection.connection).cursor()
    raw.row_factory = None
    return _schema(ignore, *(tuple(raw.execute(sql)) for sql in (OBJECTS, COLUMNS, KEYS, INDEXES)))


@lru_cache(4)  # a proof comes back to the schema that it began with
def _schema(ignore: frozenset[str], *said: tuple[Row, ...]) -> catalog.Schema:
    objects, columns, keys, indexes = said
    texts = {name: sql for kind, name, _, sql in objects if kind == "table"}
    schema = catalog.Schema()
    for name, rows in groupby(columns, key=lambda row: row[0]):
        if name not in ignore and not name.startswith("sqlite_"):
            schema.tables[name] = _table(name, texts[name], list(rows))
    for (name, _), rows in groupby(keys, key=lambda row: row[:2]):
        if name in schema.tables:
            _foreign_key(schema, schema.tables[name], list(rows))
    sqls = {name: sql for kind, name, _, sql in objects if kind == "index"}
    for (name, index), rows in groupby(indexes, key=lambda row: row[:2]):
        if name in schema.tables:
            _index(schema.tables[name], index, sqls.get(index), list(rows))
    for kind, name, table, sql in objects:
        if kind == "view":
            schema.others[f"view {name}"] = plain_text(sql) or ""
        elif kind == "trigger" and table in schema.tables:
            schema.tables[table].parts[f"trigger {name}"] = plain_text(sql) or ""
        elif kind == "trigger":
            schema.others[f"trigger {name}"] = plain_text(sql) or ""
    return schema


def _table(name: str, sql: str, rows: list[Row]) -> catalog.Table:
    table = catalog.Table(name)
    text = parsed(sql)
    key = {position: column for _, column, _, _, _, position, _ in rows if position}
    table.primary_key = tuple(key[position] for position in sorted(key))
    if table.primary_key:
        table.uniques.append(catalog.Unique(table.primary_key))
    said = {fold(column.name): column for column in text.columns} if text else {}
    for _, column, declared, not_null, default, position, hidden in rows:
        more = _more(said.get(fold(column)))
        generated = said[fold(column)].last("generated") if fold(column) in said else None
        table.columns[column] = catalog.Column(
            name=column,
            type=" ".join(declared.upper().replace("(", " ( ").split()).replace(" ( ", "("),
            # an INTEGER PRIMARY KEY, and what says NOT NULL; any other key may hold NULL
            nullable=not (not_null or position),
            default=None if default is None else plain_text(default),
            automatic=declared.upper() == "INTEGER" and table.primary_key == (column,),
            generated=hidden in (2, 3),
            more=more,
            expression=generated.expression if generated else None,
        )
    if text is None:
        table.parts["text"] = sql
        return table
    table.parts["options"] = " ".join(sorted(text.options))
    for constraint in text.all_constraints():
        _constraint(table, constraint)
    return table


def _more(column: model.Column | None) -> tuple[tuple[str, str], ...]:
    if column is None:
        return ()
    generated, collation = column.last("generated"), fold(column.collation or "binary")
    found = {
        "collation": collation if collation != "binary" else None,
        "autoincrement": "on" if column.autoincrement else None,
        "generated": generated and f"{column.generated} as {plain_text(generated.expression)}",
    }
    return tuple((key, said) for key, said in found.items() if said)


def _constraint(table: catalog.Table, constraint: model.Constraint) -> None:
    columns = constraint.columns or ((constraint.column,) if constraint.column else ())
    conflict = f" on conflict {constraint.on_conflict}".lower() if constraint.on_conflict else ""
    match constraint.kind:
        case "check":
            text = constraint.expression
            table.checks.append(catalog.Check(text, plain_text(text) or "", constraint.name))
            table.call(f"check ({plain_text(text)})", constraint.name)
        case "unique":
            table.call(f"unique {catalog.listed(columns)}{conflict}", constraint.name)
        case "primary key":
            table.call(f"primary key {catalog.listed(columns)}{conflict}", constraint.name)
        case "not null" if conflict:
            table.parts[f"not null {catalog.listed(columns)}"] = conflict.strip()
        case "foreign key":
            deferrable = (constraint.deferrable or "").lower()
            label = f"foreign key {catalog.listed(columns)} to {constraint.referred_table}"
            table.call(" ".join(f"{label} {deferrable}".split()), constraint.name)


def _foreign_key(schema: catalog.Schema, table: catalog.Table, rows: list[Row]) -> None:
    _, _, parent, _, _, on_update, on_delete = rows[0]
    if parent not in schema.tables:  # SQLite lets a key name its parent in other capitals
        parent = next((name for name in schema.tables if fold(name) == fold(parent)), parent)
    columns = tuple(row[3] for row in rows)
    referred = tuple(row[4] for row in rows)
    if None in referred:
        referred = schema.tables[parent].primary_key if parent in schema.tables else ()
    options = (
        f"{catalog.listed(referred)} on update {on_update.lower()} on delete {on_delete.lower()}"
    )
    table.foreign_keys.append(catalog.ForeignKey(columns, parent, referred, options))
    table.options[f"foreign key {catalog.listed(columns)} to {parent}"] = options


def _index(table: catalog.Table, index: str, sql: str | None, rows: list[Row]) -> None:
    _, _, unique, origin, partial, *_ = rows[0]
    columns = [row[5] for row in rows]
    if origin == "c":
        keys = ", ".join(
            f"{column or 'an expression'}{' desc' if desc else ''} {collation.lower()}"
            for *_, column, desc, collation in rows
        )
        text = plain_text(sql) or ""
        more = "" if None not in columns and not partial else f" {text[text.index('(') :]}"
        table.parts[f"index {index}"] = f"{'unique ' if unique else ''}({keys}){more}"
    if unique and origin != "pk":
        used = {fold(name) for name in identifiers(sql[sql.index("(") :])} if sql else set()
        named = [c for c in table.columns if c in columns or (None in columns and fold(c) in used)]
        table.uniques.append(catalog.Unique(tuple(named), bool(partial)))


def parsed(sql: str) -> CreateTable | None:
    """Return a table's text; None for what is none that can be read, such as a virtual one."""
    try:
        return CreateTable.parse(sql)
    except Unreadable:
        return None
