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

_NAME = r"(\"(?:[^\"]|\"\")+\"|`[^`]+`|\[[^\]]+\]|\w+)"
_WRITES = re.compile(
    rf"\s*(INSERT\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+"
    rf"(?:{_NAME}\s*\.\s*)?{_NAME}",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"\s*(?:(--)|(SELECT|PRAGMA|EXPLAIN|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT|ANALYZE|REINDEX"
    r"|CREATE\s+(UNIQUE\s+)?INDEX|DROP\s+INDEX|CREATE\s+(TEMP\w*\s+)?(VIEW|TRIGGER|TABLE)"
    r"|DROP\s+(VIEW|TRIGGER))\b)",
    re.IGNORECASE,
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
        if self.depth or self.to_check is None or _HARMLESS.match(statement):
            return
        written = _WRITES.match(statement)
        if written is None or written[2]:
            self.add(None)
            return
        table = unquote(written[3])
        if fold(table) in self.ignored:
            return
        self.depth += 1
        try:
            self._written(table, inserted=written[1][:6].upper() == "INSERT")
        finally:
            self.depth -= 1

    def _after(self, *arguments):
        if not self.depth:
            self.changes = self._total()

    def _written(self, table: str, inserted: bool) -> None:
        raw = self.connection.connection.driver_connection
        (version,) = raw.execute("PRAGMA schema_version").fetchone()
        if (version, table, inserted) in self.known:
            return
        self.known.add((version, table, inserted))
        db = Database(self.connection)
        if facts.triggers(db, table):
            self.add(None)
            return
        referring = () if inserted else references_to(db, table)
        self.add({table, *(reference.table for reference in referring)})
