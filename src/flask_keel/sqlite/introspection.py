"""One connection and one of its schemas (main or an attached file), and what is said to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from alembic.util import CommandError
from sqlalchemy import Connection, PoolProxiedConnection

from ..output import Bar
from ..typing import Row, Value
from .create_table import CreateTable
from .tokenizer import Unreadable, fold, identifiers, quote, same, tokenize

# How far a statement is that takes long: rows done, rows to do and the time left.
#
# SQLite calls back every so many steps of its virtual machine. How many steps a row takes is read
# from EXPLAIN, so that the rows done are an estimate, near enough for a bar, and the statement runs
# as fast as it would unwatched.


WORTH_WATCHING = 20_000  # rows; fewer are over before a bar could be read
_STEPS_BETWEEN_CALLS = 50_000
Parameters = tuple[Value, ...]
_LOOP_ENDS = frozenset({"Next", "Prev", "SorterNext", "VNext"})


@contextmanager
def watched(
    db: Database, label: str, rows: int, sql: str, parameters: Parameters = ()
) -> Iterator[None]:
    """Show the progress of the one statement that runs inside.

    An interrupt from the keyboard is noticed while the statement runs, and raised here.

    :param db: what the statement runs on
    :param rows: how many rows the statement goes over
    """
    set_handler = getattr(db.raw, "set_progress_handler", None)
    if rows < WORTH_WATCHING or set_handler is None:
        yield
        return
    progress = Bar(label, rows)
    steps_per_row = _steps_per_row(db, sql, parameters)
    calls = 0

    def called() -> int:
        nonlocal calls
        calls += 1
        with suppress(OSError):
            progress.at(calls * _STEPS_BETWEEN_CALLS // steps_per_row)
        return 0

    set_handler(called, _STEPS_BETWEEN_CALLS)
    try:
        yield
    except Exception as error:
        # Ctrl-C is raised in the callback, which the driver turns into an error of its own
        if _is_interruption(error):
            raise KeyboardInterrupt from None
        raise
    else:
        progress.at(rows, finished=True)
    finally:
        set_handler(None, 0)
        progress.close()


def _is_interruption(error: Exception) -> bool:
    original = getattr(error, "orig", error)
    return isinstance(original, sqlite3.OperationalError) and "interrupted" in str(original)


def _steps_per_row(db: Database, sql: str, parameters: Parameters) -> int:
    """The lengths of the statement's outermost loops, added up."""
    loops: list[tuple[int, int]] = [
        (row[3], row[0])
        for row in db.rows(f"EXPLAIN {sql}", *parameters)
        if row[1] in _LOOP_ENDS and row[3] < row[0]
    ]
    outer = [a for a in loops if not any(b[0] < a[0] and a[1] < b[1] for b in loops)]
    return max(1, sum(end - start + 1 for start, end in outer))


class Result(Protocol):
    """What a statement gave: SQLAlchemy's, or the driver's."""

    @property
    def rowcount(self) -> int: ...

    def __iter__(self) -> Iterator[Row]: ...


def driver(pooled: PoolProxiedConnection) -> sqlite3.Connection:
    """The driver's own connection, without SQLAlchemy's around it."""
    found: sqlite3.Connection | None = pooled.driver_connection
    assert found is not None
    return found


class Database:
    """The schema ``schema`` of an open SQLAlchemy connection; None is the main one."""

    def __init__(self, connection: Connection, schema: str | None = None):
        self.connection = connection
        self.schema = schema

    @cached_property
    def raw(self) -> sqlite3.Connection:
        """The driver's own connection, in the transaction that SQLAlchemy would begin."""
        if not self.connection.in_transaction():
            self.connection.exec_driver_sql("SELECT 1")
        return driver(self.connection.connection)

    @cached_property
    def version(self) -> tuple[int, ...]:
        """The version of the SQLite library, as (3, 40, 1)."""
        return tuple(map(int, self.value("SELECT sqlite_version()").split(".")))

    @property
    def catalogue(self) -> str:
        return f"{quote(self.schema or 'main')}.sqlite_master"

    def name(self, name: str) -> str:
        """A table or an index as a statement names it: qualified for an attached schema only."""
        return f"{quote(self.schema)}.{quote(name)}" if self.schema else quote(name)

    def qualified(self, sql: str) -> str:
        """A stored CREATE TABLE, INDEX or TRIGGER text, which never names its schema, made to."""
        if not self.schema:
            return sql
        words = ("CREATE UNIQUE INDEX ", "CREATE INDEX ", "CREATE TRIGGER ", "CREATE TABLE ")
        start = next(word for word in words if sql.startswith(word))
        return f"{start}{quote(self.schema)}.{sql[len(start) :]}"

    def run(self, sql: str, *parameters: Value) -> Result:
        """Run one statement; the result is the driver's."""
        return self.connection.exec_driver_sql(sql, parameters)

    def read(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """A cursor of the driver: a plan takes many small looks, and SQLAlchemy's way is long."""
        cursor = self.raw.cursor()
        cursor.row_factory = None
        return cursor.execute(sql, parameters)

    def rows(self, sql: str, *parameters: Value) -> list[Row]:
        return self.read(sql, parameters).fetchall()

    def value(self, sql: str, *parameters: Value) -> Value:
        """The first column of the first row, None without rows."""
        row = self.read(sql, parameters).fetchone()
        return row[0] if row else None

    def run_long(self, label: str, rows: int, sql: str, *parameters: Value) -> Result:
        """Run a statement that goes over ``rows`` rows, with a progress bar if it takes long."""
        with watched(self, label, rows, sql, parameters):
            return self.run(sql, *parameters)

    def pragma(self, name: str, argument: str | None = None) -> list[Row]:
        """The rows of a PRAGMA that reads from this schema."""
        about = f"({quote(argument)})" if argument is not None else ""
        return self.rows(f"PRAGMA {quote(self.schema or 'main')}.{name}{about}")

    @contextmanager
    def switched(self, pragma: str, value: str) -> Iterator[None]:
        """A PRAGMA of the connection set, and set back even after an error."""
        before = self.value(f"PRAGMA {pragma}")
        self.run(f"PRAGMA {pragma}={value}")
        try:
            yield
        finally:
            self.run(f"PRAGMA {pragma}={before}")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What runs inside leaves no trace when it fails.

        A savepoint, so that it works within a transaction and without one. A full disk can take
        the savepoint away together with the transaction: then there is nothing left to undo.
        """
        self.run("SAVEPOINT keel_engine")
        try:
            yield
        except BaseException:
            if self.raw.in_transaction:
                self.run("ROLLBACK TO keel_engine")
                self.run("RELEASE keel_engine")
            raise
        self.run("RELEASE keel_engine")

    @contextmanager
    def keys_unenforced(self, referenced: bool, what: str) -> Iterator[None]:
        """DROP TABLE deletes row by row where foreign keys are enforced, and the deletes cascade.

        SQLite ignores ``PRAGMA foreign_keys`` within a transaction, see
        https://sqlite.org/pragma.html#pragma_foreign_keys.

        :param referenced: whether any table refers to the one concerned
        :raises CommandError: when enforcement is on, matters and cannot be turned off
        """
        if not referenced or not self.value("PRAGMA foreign_keys"):
            yield
            return
        with self.switched("foreign_keys", "OFF"):
            if self.value("PRAGMA foreign_keys"):
                raise CommandError(
                    f"{what} while foreign keys are enforced would delete or change the rows that "
                    "refer to it: run PRAGMA foreign_keys=OFF on the connection before its "
                    "transaction begins."
                )
            yield


@dataclass(frozen=True)
class SchemaObject:
    """A row of sqlite_master: a table, an index, a view or a trigger."""

    type: str
    name: str
    table: str
    sql: str  # "" for an index that came with a constraint


def objects(db: Database, where: str = "true") -> list[SchemaObject]:
    """Everything in the schema, in the order in which it was made.

    :param where: a condition of SQL for what is wanted of it
    """
    query = f"SELECT type, name, tbl_name, sql FROM {db.catalogue} WHERE {where} ORDER BY rowid"
    return [SchemaObject(kind, name, table, sql or "") for kind, name, table, sql in db.rows(query)]


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
    return [o for o in objects(db, "type = 'trigger'") if same(o.table, table)]


def layout(db: Database, schema: str, table: str) -> tuple[object, ...]:
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
    kind: list[Row] = []
    if db.version >= (3, 37):
        kind = [row[3:6] for row in db.rows(f"{prefix}.table_list({name})") if same(row[0], schema)]
    return columns, sorted(automatic), kind


def row_count(db: Database, table: str) -> int:
    return int(db.value(f"SELECT count(*) FROM {db.name(table)}"))


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


class IndexFacts(NamedTuple):
    """An index that CREATE INDEX made; ``uses`` holds every column that it depends on."""

    name: str
    sql: str
    unique: bool
    partial: bool
    columns: tuple[str | None, ...]
    uses: frozenset[str]

    @property
    def is_plain(self) -> bool:
        """Whether it indexes whole columns of all rows."""
        return not self.partial and None not in self.columns

    def concerns(self, column: str) -> bool:
        return fold(column) in self.uses


def indexes(db: Database, table: str) -> list[IndexFacts]:
    """The indexes with a CREATE INDEX of their own, in the order in which they were made."""
    query = f"SELECT name, sql FROM {db.catalogue} WHERE type = 'index' AND sql NOT NULL"
    stored = db.rows(f"{query} AND tbl_name = ? COLLATE NOCASE ORDER BY rowid", table)
    listed = {row[1]: row for row in db.pragma("index_list", table)}
    return [_index(db, name, sql, listed[name]) for name, sql in stored if name in listed]


def _index(db: Database, name: str, sql: str, listed: Row) -> IndexFacts:
    _, _, unique, _, partial = listed
    keys = [row for row in db.pragma("index_xinfo", name) if row[5]]
    columns = tuple(row[2] for row in keys)
    uses = {column for column in columns if column is not None}
    if partial or None in columns:
        uses |= identifiers(_after_table_name(sql))
    return IndexFacts(name, sql, bool(unique), bool(partial), columns, frozenset(map(fold, uses)))


def _after_table_name(sql: str) -> str:
    """The columns and the WHERE of a CREATE INDEX text, as one expression."""
    tokens = tokenize(sql)
    on = next(place for place, token in enumerate(tokens) if token.keyword == "ON")
    return sql[tokens[on + 1].end :]


def table_of_index(db: Database, index: str) -> str | None:
    query = f"SELECT tbl_name FROM {db.catalogue} WHERE type = 'index' AND name = ? COLLATE NOCASE"
    found: str | None = db.value(query, index)
    return found


class Reference(NamedTuple):
    """A foreign key of a table, as ``PRAGMA foreign_key_list`` tells it."""

    table: str
    number: int
    referred_table: str
    columns: tuple[str, ...]
    referred_columns: tuple[str, ...]


def references_to(db: Database, table: str) -> list[Reference]:
    """The foreign keys anywhere in the schema that refer to a table, its own among them."""
    rows = db.rows(
        "SELECT child.name, key.id, key.seq, key.'table', key.'from', key.'to' "
        f"FROM {db.catalogue} AS child, pragma_foreign_key_list(child.name, ?) AS key "
        "WHERE child.type = 'table' AND key.'table' = ? COLLATE NOCASE",
        db.schema or "main",
        table,
    )
    return _references(db, rows)


def _references(db: Database, rows: list[Row]) -> list[Reference]:
    keys: dict[tuple[Value, ...], list[Row]] = {}
    for child, number, place, parent, column, referred, *_ in rows:
        keys.setdefault((child, number, parent), []).append((place, column, referred))
    found = []
    for (child, number, parent), parts in keys.items():
        parts.sort(key=lambda part: int(part[0]))
        referred = tuple(part[2] for part in parts)
        if None in referred:
            referred = primary_key(db, parent)
        found.append(Reference(child, number, parent, tuple(p[1] for p in parts), referred))
    return found


def primary_key(db: Database, table: str) -> tuple[str, ...]:
    """The columns of the primary key in their order; empty when there is no such table."""
    keys = sorted((row[5], row[1]) for row in db.pragma("table_xinfo", table) if row[5])
    return tuple(name for _, name in keys)
