"""Rows that point to nothing: SQLite's foreign keys are off while migrations run, so they are counted."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from sqlite3 import Connection as Raw
from sqlite3 import Error
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection

from . import messages


@dataclass(frozen=True)
class Broken:
    """The tables of a database, and how many rows point to nothing for each child and parent."""

    tables: frozenset[str]
    rows: Counter


def broken(connection: Connection, among: Iterable[str] | None = None) -> Broken:
    """Count the rows that point to nothing: https://www.sqlite.org/pragma.html#pragma_foreign_key_check

    A table whose keys cannot be checked (its parent has no such key) counts as one, with the reason.

    :param among: the tables to look at, None for all
    """
    return _broken(connection.connection.driver_connection, among)


def _broken(raw: Raw, among: Iterable[str] | None = None) -> Broken:
    rows: Counter = Counter()
    listed = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    tables = [name for (name,) in listed]
    wanted = None if among is None else {name.lower() for name in among}
    for table in tables:
        if wanted is not None and table.lower() not in wanted:
            continue
        quoted = table.replace('"', '""')
        try:
            found = raw.execute(f'PRAGMA foreign_key_check("{quoted}")').fetchall()
        except Exception as error:
            rows[(table, str(error))] += 1
        else:
            rows.update((child, parent) for child, _, parent, _ in found)
    return Broken(frozenset(tables), rows)


class Watch:
    """Counts a table's broken rows just before it is touched, and again at the end.

    Tables whose keys and rows nothing touches are not gone over at all.

    :param keys: the engine's watch, which tells of tables before it or a migration touches them
    :param committed: opens the database as it was before; None where nobody else can see it
    """

    def __init__(
        self, connection: Connection, keys: Any, committed: Callable[[], Raw] | None
    ) -> None:
        self.connection = connection
        self.keys = keys
        self.committed = committed
        self.before = broken(connection, None if committed is None else ())
        self.looked: set[str] = set()
        keys.look = self._look if committed is not None else None

    def _look(self, tables: set[str] | None) -> None:
        there = broken(self.connection, ()).tables if tables is None else tables
        new = {name.lower() for name in there} - self.looked
        self.before.rows.update(broken(self.connection, new).rows)
        self.looked |= new

    def require_whole(self) -> None:
        """Stop when rows point to nothing that did not before.

        :raises CommandError: naming the tables and how many rows
        """
        self.keys.look = None
        touched = self.keys.now()
        if touched is not None and not touched:
            return
        now = broken(self.connection, touched)
        before = self.before
        if now.rows and self.keys.unseen and self.committed is not None:
            before = self._as_committed(now)
        require_whole(before, now)

    def _as_committed(self, now: Broken) -> Broken:
        try:
            raw = self.committed()
        except Error:
            raise CommandError(messages.KEYS_UNKNOWN.format(rows=_said(now.rows))) from None
        try:
            return _broken(raw)
        except Error:  # another one may not read any more once SQLite has written to the file
            raise CommandError(messages.KEYS_UNKNOWN.format(rows=_said(now.rows))) from None
        finally:
            raw.close()


def require_whole(before: Broken, now: Broken) -> None:
    """Stop when rows point to nothing that did not before.

    :raises CommandError: naming the tables and how many rows
    """
    new, healed = now.rows - before.rows, before.rows - now.rows
    # a table that was renamed took its broken rows along
    gone = sum(count for pair, count in healed.items() if set(pair) - now.tables)
    moved = sum(count for pair, count in new.items() if set(pair) - before.tables)
    if new and not (moved == new.total() and moved <= gone):
        raise CommandError(messages.BROKEN_KEYS.format(rows=_said(new)))


def _said(rows: Counter) -> str:
    return ", ".join(f"{count} of {child} to {parent}" for (child, parent), count in rows.items())
