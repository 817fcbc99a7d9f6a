"""Which foreign keys have to be looked at before the upgrade commits.

The engine knows of its own operations that they touch no key and no row. What anybody else writes
is watched, statement by statement.
"""

import re
from collections.abc import Callable, Iterable

from sqlalchemy import event

from . import facts
from .database import Database
from .references import references_to
from .tokens import fold, unquote

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

    def __init__(self, connection, ignored: frozenset[str]):
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

    def __enter__(self):
        """What runs inside is the engine's own, and told by :meth:`add`."""
        self._notice()
        self.depth += 1
        return self

    def __exit__(self, *exception):
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

    def _before(self, connection, cursor, statement, parameters, context, executemany):
        self._notice()
        if statement.lstrip()[:8].upper() == "ROLLBACK":
            self.known.clear()  # a version of the schema may come twice
        if self.depth or self.to_check is None:
            return
        sql = statement[_LEAD.match(statement).end() :]
        if not _is_harmless(sql):
            self.depth += 1
            try:
                self.add(self._concerned(sql))
            finally:
                self.depth -= 1

    def _after(self, *arguments):
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
        raw = self.connection.connection.driver_connection
        (version,) = raw.execute("PRAGMA schema_version").fetchone()
        if (version, table, inserted) in self.known:
            return set()
        self.known.add((version, table, inserted))
        return _reached(db, table, inserted)


def _is_harmless(sql: str) -> bool:
    """Whether no row and no key can be another one after a statement."""
    return bool(_HARMLESS.match(sql)) or (sql[:4].upper() == "WITH" and not _DATA.search(sql))


def _reached(db: Database, table: str, inserted: bool) -> set[str] | None:
    """The table and those that refer to it, unless rows only come; None where triggers go on."""
    temporary = db.rows("SELECT 1 FROM sqlite_temp_master WHERE type = 'trigger'")
    if temporary or fold(table) in _SCHEMA or facts.triggers(db, table):
        return None
    text = db.value(f"SELECT sql FROM {db.catalogue} WHERE name = ? COLLATE NOCASE", table)
    only_comes = inserted and not _TAKES_AWAY.search(text or "")
    referring = () if only_comes else references_to(db, table)
    return {table, *(reference.table for reference in referring)}


_SCHEMA = {"sqlite_master", "sqlite_schema"}
