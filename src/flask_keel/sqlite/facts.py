"""What a database says of a table: its text, its layout, its triggers, its rows."""

from dataclasses import dataclass

from alembic.util import CommandError

from .create_table import CreateTable, Unreadable
from .database import Database
from .tokens import fold, quote, same


@dataclass(frozen=True)
class SchemaObject:
    """A row of sqlite_master: a table, an index, a view or a trigger."""

    type: str
    name: str
    table: str
    sql: str | None


def objects(db: Database) -> list[SchemaObject]:
    """Everything in the schema, in the order in which it was made."""
    query = f"SELECT type, name, tbl_name, sql FROM {db.catalogue} ORDER BY rowid"
    return [SchemaObject(*row) for row in db.rows(query)]


def read_table(db: Database, name: str) -> CreateTable:
    """The table's text as it is stored, read.

    :raises CommandError: when there is none of this name, or it is a view or a virtual table
    """
    try:
        return CreateTable.parse(stored_table(db, name).sql)
    except Unreadable as error:
        raise CommandError(f"Table {name!r} cannot be changed: {error}.") from None


def stored_table(db: Database, name: str) -> SchemaObject:
    """The table as it is stored, be it a virtual one.

    :raises CommandError: when there is none of this name, or it is a view
    """
    query = f"SELECT type, name, tbl_name, sql FROM {db.catalogue} WHERE name = ? COLLATE NOCASE"
    rows = db.rows(f"{query} AND type IN ('table', 'view')", name)
    if not rows:
        raise CommandError(f"There is no table {name!r}: look at the order of the migrations.")
    found = SchemaObject(*rows[0])
    if found.type == "view":
        raise CommandError(f"{name!r} is a view: drop it and create it again to change it.")
    return found


def triggers(db: Database, table: str) -> list[SchemaObject]:
    """The triggers on a table."""
    return [o for o in objects(db) if o.type == "trigger" and same(o.table, table)]


def layout(db: Database, schema: str, table: str) -> tuple:
    """What decides how rows and automatic indexes lie on disk.

    The columns in their order with their place in the primary key and their kind (stored or
    generated), the affinity aside; WITHOUT ROWID and STRICT; every automatic index with its
    columns, directions and collations.
    """
    prefix, name = f"PRAGMA {quote(schema)}", quote(table)
    columns = [(r[1], r[5], r[6]) for r in db.rows(f"{prefix}.table_xinfo({name})")]
    automatic = [
        (row[1], row[3], db.rows(f"{prefix}.index_xinfo({quote(row[1])})"))
        for row in db.rows(f"{prefix}.index_list({name})")
        if row[3] != "c"
    ]
    kind = ()
    if db.version >= (3, 37):
        kind = [row[3:6] for row in db.rows(f"{prefix}.table_list({name})") if same(row[0], schema)]
    return columns, sorted(automatic), kind


def row_count(db: Database, table: str) -> int:
    return db.value(f"SELECT count(*) FROM {db.name(table)}")


def rough_row_count(db: Database, table: CreateTable) -> int:
    """A number of rows for a progress bar: free of charge, where the table has rowids."""
    alias = rowid_name(table)
    if alias is None:
        return row_count(db, table.name)
    # one of them is found at once, both in one query by a scan: https://sqlite.org/optoverview.html#minmax
    name = db.name(table.name)
    low, high = (db.value(f"SELECT {end}({alias}) FROM {name}") for end in ("min", "max"))
    return high - low + 1 if low is not None else 0


def rowid_name(table: CreateTable) -> str | None:
    """A name for the rowid that no column of the table takes away."""
    if table.without_rowid:
        return None
    taken = {fold(column.name) for column in table.columns}
    return next((name for name in ("_rowid_", "rowid", "oid") if name not in taken), None)


def integer_primary_key(table: CreateTable) -> str | None:
    """The name of the column that is the rowid itself."""
    return table.rowid_alias.name if table.rowid_alias else None


def affinity(type_text: str) -> str:
    """The affinity of a declared type, by https://sqlite.org/datatype3.html#determination_of_column_affinity."""
    text = fold(type_text)
    if "int" in text:
        return "INTEGER"
    if any(part in text for part in ("char", "clob", "text")):
        return "TEXT"
    if "blob" in text or not text.strip():
        return "BLOB"
    if any(part in text for part in ("real", "floa", "doub")):
        return "REAL"
    return "NUMERIC"


def exists(db: Database, table: str) -> bool:
    query = f"SELECT 1 FROM {db.catalogue} WHERE type = 'table' AND name = ? COLLATE NOCASE"
    return bool(db.value(query, table))
