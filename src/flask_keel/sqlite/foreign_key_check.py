"""Rows that point to nothing: SQLite's foreign keys are off while migrations run, so they are looked up."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from sqlite3 import Connection as Raw
from sqlite3 import Cursor, Error
from typing import NamedTuple, Self

from alembic.ddl.impl import DefaultImpl
from alembic.util import CommandError
from sqlalchemy import Connection, event

from ..lexer import string
from ..typing import Value
from . import data_checks, introspection
from .introspection import Database, driver, references_to
from .tokenizer import fold, quote, unquote

KEYS_UNKNOWN = (
    "Rows point to nothing ({rows}), and whether they did before cannot be told, since a migration "
    "writes through the driver's own connection; the database is as it was: use op.execute() there "
    "and try again."
)

# Which foreign keys have to be looked at before the upgrade commits.
#
# The engine knows of its own operations that they touch no key and no row. What anybody else writes
# is watched, statement by statement.


_BARE = r"[^\x00-\x23%-/:-@\[-^`{-\x7f]++"  # whatever is no ASCII is a letter to SQLite
_NAME = rf"(\"(?:[^\"]|\"\")+\"|`[^`]+`|\[[^\]]+\]|{_BARE})"
_WORDS = re.IGNORECASE | re.DOTALL | re.ASCII
_LEAD = re.compile(r"(?:[\s;]|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))*", _WORDS)
_WRITES = re.compile(
    rf"(INSERT\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|UPDATE(?:\s+OR\s+\w+)?+|DELETE\s+FROM)\s+"
    rf"(?:{_NAME}\s*\.\s*)?{_NAME}",
    _WORDS,
)
_CREATES = re.compile(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s*[(\w]", _WORDS)
# INSERT OR REPLACE and DO UPDATE take rows away, or their keys; also where only a string says so
_TAKES_AWAY = re.compile("REPLACE|CONFLICT", _WORDS)
_DATA = re.compile(r"\b(INSERT|UPDATE|DELETE|REPLACE)\b", _WORDS)
_READS = """table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list
foreign_key_check database_list integrity_check quick_check user_version application_id cache_size
journal_mode synchronous busy_timeout temp_store mmap_size optimize"""
_HARMLESS = re.compile(
    r"(?:\Z|(?:SELECT|VALUES|EXPLAIN|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT|END|ANALYZE|REINDEX"
    r"|CREATE\s+(?:UNIQUE\s+)?INDEX|CREATE\s+(?:TEMP\w*\s+)?VIEW|CREATE\s+TEMP\w*\s+TABLE"
    r"|CREATE\s+TRIGGER|DROP\s+(?:VIEW|TRIGGER))\b"
    rf"|PRAGMA\s+(?:{_NAME}\s*\.\s*)?(?:(?:{'|'.join(_READS.split())})\b|\w+[\s;]*\Z))",
    _WORDS,
)


class KeyWatch:
    """``to_check`` is the set of tables whose foreign keys may no longer hold, None for all."""

    def __init__(self, connection: Connection, ignored: frozenset[str]):
        self.connection = connection
        self.ignored = ignored
        self.to_check: set[str] | None = set()
        # told of tables (None: all) just before they are touched for the first time
        self.look: Callable[[set[str] | None], None] | None = None
        # rows were changed by a way that no listener sees, so that nobody was told
        self.unseen = False
        self.depth = 0
        # (version of the schema, table, whether rows came): what was looked up is not looked up again
        self.known: set[tuple[int, str, bool]] = set()
        self.changes = self._total()
        event.listen(connection, "before_cursor_execute", self._before)
        event.listen(connection, "after_cursor_execute", self._after)

    def close(self) -> None:
        """Look at no further statement; what was seen so far can still be asked for."""
        self._notice()
        event.remove(self.connection, "before_cursor_execute", self._before)
        event.remove(self.connection, "after_cursor_execute", self._after)

    def __enter__(self) -> Self:
        """What runs inside is the engine's own, and told by :meth:`add`."""
        self._notice()
        self.depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self.depth -= 1
        self.changes = self._total()

    def add(self, tables: Iterable[str] | None) -> None:
        """Say, before the first write, which tables' keys may not hold after it; None for all."""
        if self.to_check is None:
            return
        new = None if tables is None else set(tables) - self.to_check
        if new == set():
            return
        if self.look is not None:
            self.look(new)
        self.to_check = None if new is None else self.to_check | new

    def renamed(self, old: str, new: str) -> None:
        """A table took what is broken in it to another name."""
        if self.to_check and fold(old) in map(fold, self.to_check):
            self.to_check.add(new)

    def now(self) -> set[str] | None:
        self._notice()
        return self.to_check

    def _total(self) -> int | None:
        try:
            return getattr(self.connection.connection.driver_connection, "total_changes", None)
        except Exception:
            return None

    def _notice(self) -> None:
        """Rows changed that no statement seen here changed: somebody uses the driver itself."""
        total = self._total()
        if self.depth == 0 and total != self.changes:
            self.to_check = None
            self.unseen = True
        self.changes = total

    def _before(self, _: object, cursor: object, statement: str, *rest: object) -> None:
        self._notice()
        if statement.lstrip()[:8].upper() == "ROLLBACK":
            self.known.clear()  # a version of the schema may come twice
        if self.depth or self.to_check is None:
            return
        sql = _LEAD.sub("", statement, count=1)
        if not _is_harmless(sql):
            self.depth += 1
            try:
                self.add(self._concerned(sql))
            finally:
                self.depth -= 1

    def _after(self, *arguments: object) -> None:
        if not self.depth:
            self.changes = self._total()

    def _concerned(self, sql: str) -> set[str] | None:
        """The tables whose keys may not hold after a statement; None for all, and in doubt."""
        db = Database(self.connection)
        if created := _CREATES.match(sql):
            return {reference.table for reference in references_to(db, unquote(created[1]))}
        written = _WRITES.match(sql)
        if written is None or written[2]:
            return None
        table = unquote(written[3])
        if fold(table) in self.ignored:
            return set()
        inserted = written[1][:6].upper() == "INSERT" and not _TAKES_AWAY.search(sql)
        raw = driver(self.connection.connection)
        (version,) = raw.execute("PRAGMA schema_version").fetchone()
        if (version, table, inserted) in self.known:
            return set()
        self.known.add((version, table, inserted))
        return _reached(db, table, inserted)


def watch_of(impl: DefaultImpl) -> KeyWatch:
    """The watch of the engine that carries out Alembic's operations."""
    watch: KeyWatch | None = getattr(impl, "key_watch", None)
    assert watch is not None, "SQLite has the library's engine"
    return watch


def _is_harmless(sql: str) -> bool:
    """Whether no row and no key can be another one after a statement."""
    return bool(_HARMLESS.match(sql)) or (sql[:4].upper() == "WITH" and not _DATA.search(sql))


def _reached(db: Database, table: str, inserted: bool) -> set[str] | None:
    """The table and those that refer to it, unless rows only come; None where triggers go on."""
    temporary = db.rows("SELECT 1 FROM sqlite_temp_master WHERE type = 'trigger'")
    if temporary or fold(table) in _SCHEMA or introspection.triggers(db, table):
        return None
    text = db.value(f"SELECT sql FROM {db.catalogue} WHERE name = ? COLLATE NOCASE", table)
    only_comes = inserted and not _TAKES_AWAY.search(text or "")
    referring = () if only_comes else references_to(db, table)
    return {table, *(reference.table for reference in referring)}


_SCHEMA = {"sqlite_master", "sqlite_schema"}


Which = Value  # the rowid of a row, or the primary key of one without
Rows = dict[Which, tuple[Value, ...]]


Pairs = Counter[tuple[str, str]]  # how many rows of a child point to nothing in a parent


class Key(NamedTuple):
    """A foreign key by what it says; without columns a table whose keys cannot be checked, and why."""

    child: str
    columns: tuple[str, ...]
    parent: str


class Broken(NamedTuple):
    """Every foreign key of a database, and the rows that point to nothing with what they hold there."""

    keys: frozenset[Key]
    rows: dict[Key, Rows]


def broken(connection: Connection, among: Iterable[str] | None = None) -> Broken:
    """Find the rows that point to nothing: https://www.sqlite.org/pragma.html#pragma_foreign_key_check

    A table whose keys cannot be checked (its parent has no such key) counts as one, with the reason.

    :param among: the tables to look at, None for all
    """
    return _broken(driver(connection.connection), among)


def _broken(raw: Raw, among: Iterable[str] | None = None) -> Broken:
    keys = _keys(raw)
    wanted = _suspects(raw) if among is None else set(map(fold, among))
    rows: dict[Key, Rows] = {}
    for table, own in keys.items():
        if wanted is not None and fold(table) not in wanted:
            continue
        try:
            numbers = _read(raw, f"SELECT DISTINCT fkid FROM {_check(table)}")
            for (number,) in numbers:
                found = rows.setdefault(own[number], {})
                found.update(_rows(raw, own[number], number))
        except Error as error:
            rows[Key(table, (), str(error))] = {None: ()}
    return Broken(frozenset(key for own in keys.values() for key in own.values()), rows)


def _suspects(raw: Raw) -> set[str] | None:
    """The tables with a row that points to nothing; None where one of them cannot be checked."""
    exists = "EXISTS (SELECT 1 FROM pragma_foreign_key_check(name))"
    tables = f"SELECT name, {exists} FROM sqlite_master WHERE type = 'table'"
    try:  # one after the other: Ctrl-C is heard between them
        return {fold(name) for name, found in _ask(raw, tables) if found}
    except Error:
        return None


def _ask(raw: Raw, sql: str, parameters: Sequence[Value] = ()) -> Cursor:
    cursor = raw.cursor()
    cursor.row_factory = None
    return cursor.execute(sql, parameters)


def _read(raw: Raw, sql: str, parameters: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
    return _ask(raw, sql, parameters).fetchall()


def _check(table: str) -> str:
    return f"pragma_foreign_key_check({string(table)})"


def _exact(column: str) -> str:
    """A value as plain letters, whatever bytes are in it."""
    return f"typeof({column}) || quote(CAST({column} AS BLOB))"


def _keys(raw: Raw) -> dict[str, dict[int, Key]]:
    """The foreign keys of every table that has any, by the numbers that SQLite gives them."""
    query = (
        "SELECT child.name, key.id, key.'from', key.'table' FROM sqlite_master AS child, "
        "pragma_foreign_key_list(child.name) AS key WHERE child.type = 'table' "
        "ORDER BY child.rowid, key.id, key.seq"
    )
    found: dict[str, dict[int, Key]] = {}
    for child, number, column, parent in _read(raw, query):
        own = found.setdefault(child, {})
        before = own[number].columns if number in own else ()
        own[number] = Key(child, (*before, column), parent)
    return found


def _rows(raw: Raw, key: Key, number: int) -> Rows:
    held = [_exact(f"child.{quote(name)}") for name in key.columns]
    columns = _read(raw, f"PRAGMA table_xinfo({quote(key.child)})")
    taken = {fold(row[1]) for row in columns}
    rowid = next((name for name in ("_rowid_", "rowid", "oid") if name not in taken), None)
    numbers = f"SELECT rowid FROM {_check(key.child)} WHERE fkid = {number}"
    found = _read(raw, numbers)
    if found[0][0] is None:
        return _without_rowid(raw, key, number, held)
    if rowid is None:
        return {row: () for (row,) in found}
    listed = ", ".join([f"child.{rowid}", *held])
    of_table = (
        f"SELECT {listed} FROM {quote(key.child)} AS child WHERE child.{rowid} IN ({numbers})"
    )
    return {row: tuple(values) for row, *values in _read(raw, of_table)}


def _without_rowid(raw: Raw, key: Key, number: int, held: list[str]) -> Rows:
    """SQLite says only how many rows of such a table are broken: which ones, a query has to tell."""
    listed = _read(raw, f"PRAGMA foreign_key_list({quote(key.child)})")
    referred = [row[4] for row in listed if row[0] == number]
    if None in referred:
        referred = _primary_key(raw, key.parent)
    pairs = zip(key.columns, referred, strict=True)
    # the unary plus leaves the affinity of the parent's column to decide, as it does for the key
    matches = " AND ".join(f"parent.{quote(b)} = +child.{quote(a)}" for a, b in pairs)
    present = " AND ".join(f"child.{quote(name)} IS NOT NULL" for name in key.columns)
    exists = f"EXISTS (SELECT 1 FROM {quote(key.parent)} AS parent WHERE {matches})"
    if not _read(raw, "SELECT 1 FROM sqlite_master WHERE name = ? COLLATE NOCASE", (key.parent,)):
        exists = "0"
    own = [_exact(f"child.{quote(name)}") for name in _primary_key(raw, key.child)]
    query = (
        f"SELECT {', '.join([*own, *held])} FROM {quote(key.child)} AS child "
        f"WHERE {present} AND NOT {exists}"
    )
    return {row[: len(own)]: row[len(own) :] for row in _read(raw, query)}


def _primary_key(raw: Raw, table: str) -> list[str]:
    columns = _read(raw, f"PRAGMA table_xinfo({quote(table)})")
    return [name for _, name in sorted((row[5], row[1]) for row in columns if row[5])]


def newly_broken(connection: Connection, before: Broken, now: Broken) -> Pairs:
    """Count, for each child and parent, the rows that point to nothing and did not before.

    A row is known by its number or its key. One that has another now is the one that is gone and
    pointed to the same; a table or a column that was renamed takes its broken rows along.
    """
    raw = driver(connection.connection)
    gone = [key for key in before.rows if key not in now.keys and key not in now.rows]
    tables = {key.child for key in now.keys}
    found: Pairs = Counter()
    for key, rows in now.rows.items():
        candidates = [before.rows.get(key, {})]
        if key not in before.keys and key not in before.rows:
            others = [k for k in gone if k.child == key.child or k.child not in tables]
            candidates += [before.rows[other] for other in others]
        new = min(_unexplained(raw, key, rows, known) for known in candidates)
        if new:
            found[key.child, key.parent] += new
    return found


def _unexplained(raw: Raw, key: Key, rows: Rows, known: Rows) -> int:
    new = rows.keys() - known.keys()
    if not new or {*map(type, rows)} != {*map(type, known)}:
        return len(new)
    healed = known.keys() - rows.keys()
    lost = Counter(known[row] for row in healed if known[row] and not _is_there(raw, key, row))
    return (Counter(rows[row] for row in new) - lost).total()


def _is_there(raw: Raw, key: Key, row: Which) -> bool:
    table = quote(key.child)
    if isinstance(row, tuple):
        pairs = zip(_primary_key(raw, key.child), row, strict=False)
        same = " AND ".join(f"{_exact(quote(name))} = {string(value)}" for name, value in pairs)
    else:
        taken = {fold(found[1]) for found in _read(raw, f"PRAGMA table_xinfo({table})")}
        same = f"{next(n for n in ('_rowid_', 'rowid', 'oid') if n not in taken)} = {row}"
    return bool(_read(raw, f"SELECT 1 FROM {table} WHERE {same}"))


class Watch:
    """Looks up a table's broken rows just before it is touched, and again at the end.

    Tables whose keys and rows nothing touches are not gone over at all.

    :param keys: the engine's watch, which tells of tables before it or a migration touches them
    :param committed: opens the database as it was before; None where nobody else can see it
    """

    def __init__(
        self, connection: Connection, keys: KeyWatch, committed: Callable[[], Raw] | None
    ) -> None:
        self.connection = connection
        self.keys = keys
        self.committed = committed
        self.before = self._now(None if committed is None else ())
        self.looked: set[str] = set()
        keys.look = self._look if committed is not None else None

    def _look(self, tables: set[str] | None) -> None:
        there = {key.child for key in self._now(()).keys} if tables is None else tables
        new = set(map(fold, there)) - self.looked
        self.before.rows.update(self._now(new).rows)
        self.looked |= new

    def require_whole(self) -> None:
        """Stop when rows point to nothing that did not before.

        :raises CommandError: naming the tables and how many rows
        """
        self.keys.look = None
        touched = self.keys.now()
        if touched is not None and not touched:
            return
        now = self._now(touched)
        before = self.before
        if now.rows and self.keys.unseen and self.committed is not None:
            before = self._as_committed(self.committed, now)
        require_whole(self.connection, before, now)

    def _now(self, among: Iterable[str] | None) -> Broken:
        return broken(self.connection, among)

    def _as_committed(self, committed: Callable[[], Raw], now: Broken) -> Broken:
        try:
            raw = committed()
        except Error:
            raise CommandError(KEYS_UNKNOWN.format(rows=_said(_counted(now)))) from None
        try:
            return _broken(raw)
        except Error:  # another one may not read any more once SQLite has written to the file
            raise CommandError(KEYS_UNKNOWN.format(rows=_said(_counted(now)))) from None
        finally:
            raw.close()


def require_whole(connection: Connection, before: Broken, now: Broken) -> None:
    """Stop when rows point to nothing that did not before.

    :raises CommandError: naming the tables and how many rows
    """
    new = newly_broken(connection, before, now)
    for child, said in new:
        if Key(child, (), said) in now.rows:
            raise CommandError(
                f"The migration would leave table {child!r} with a foreign key that SQLite cannot "
                f"check ({said}), so that nobody could write there; the database is as it was: "
                "mend the migration and try again."
            )
    if new:
        raise CommandError(
            f"The migration would leave rows that point to nothing: {_said(new)}; the database "
            "is as it was: mend the migration (or those rows) and try again."
        )


def _counted(found: Broken) -> Pairs:
    counted: Pairs = Counter()
    for key, rows in found.rows.items():
        counted[key.child, key.parent] += len(rows)
    return counted


def _said(rows: Pairs) -> str:
    return ", ".join(f"{count} of {child} to {parent}" for (child, parent), count in rows.items())


# The same in printed SQL: the database that it meets has rows of its own that point to nothing.


_NOTED = "temp.keel_broken"


class Guards(NamedTuple):
    """Statements of a script: at its start, and before its COMMIT."""

    start: list[str]
    end: list[str]


def guards(connection: Connection, before: Broken, touched: Iterable[str] | None) -> Guards:
    """Let a script stop where rows point to nothing that did not when it began.

    :param before: what was broken where the script is made, and ``connection`` is after all of it
    :param touched: the tables whose keys may not hold any more, None for all
    """
    db = Database(connection)
    wanted = None if touched is None else set(map(fold, touched))
    there = [o.name for o in introspection.objects(db) if o.type == "table"]
    checked = [name for name in there if wanted is None or fold(name) in wanted]
    unknown = {key.child for key in before.rows if not key.columns}
    noted = sorted({key.child for key in before.keys} - unknown)
    noted = [name for name in noted if wanted is None or fold(name) in wanted]
    end = [statement for table in checked for statement in _guard(db, table, before, noted)]
    if not end or not noted:
        return Guards([], end)
    start = (
        f"CREATE TABLE {_NOTED} AS SELECT child.name AS child, now.parent, now.rowid AS row "
        "FROM main.sqlite_master AS child, pragma_foreign_key_check(child.name) AS now "
        f"WHERE child.type = 'table' AND child.name IN ({', '.join(map(string, noted))})"
    )
    return Guards([start], [*end, f"DROP TABLE {_NOTED}"])


def _guard(db: Database, table: str, before: Broken, noted: list[str]) -> list[str]:
    try:
        rows = Counter(map(tuple, db.rows(f"SELECT parent, rowid FROM {_check(table)}")))
    except Error:  # its parent has no such key: nothing can be told of its rows
        return []
    known: Counter[tuple[str, int | None]] = Counter()
    for key, found in before.rows.items():
        if key.child == table:
            known.update((key.parent, row if isinstance(row, int) else None) for row in found)
    query = f"SELECT count(*) > {rows.total()} FROM {_check(table)}"
    if table in noted and not rows - known:  # where they have other names or numbers now: how many
        query = (
            f"SELECT EXISTS (SELECT parent, rowid, count(*) FROM {_check(table)} AS now "
            f"GROUP BY 1, 2 HAVING count(*) > (SELECT count(*) FROM {_NOTED} AS noted "
            f"WHERE noted.child = {string(table)} AND noted.parent = now.parent "
            "AND noted.row IS now.rowid))"
        )
    sentence = (
        f"Rows of {table} would point to nothing: nothing was changed; "
        "db upgrade says to which table"
    )
    return data_checks.guard(sentence, query, 0)
