"""The schema without its rows, in memory: what SQLite itself says of a change before it is made.

Views and triggers are text that SQLite reads again at every use. Whether they survive a change is
asked of SQLite, on a copy, rather than guessed from the text.
"""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from .database import Database
from .facts import SchemaObject
from .tokens import Unreadable, fold, quote, same, tokenize

_UNKNOWN = re.compile(r"no such (function|collation sequence): (\S+)")
_ORDER = {"table": 0, "index": 1, "view": 2, "trigger": 3}


class Mirror(Database):
    """An empty database with the given tables, indexes, views and triggers.

    What it cannot hold (a virtual table whose module is missing, an index with a collation of the
    application's own) is left out.
    """

    def __init__(self, objects: Iterable[SchemaObject]):
        super().__init__(sqlite3.connect(":memory:", isolation_level=None))
        self.objects = {}
        for found in sorted(objects, key=lambda o: _ORDER[o.type]):
            if found.sql and not fold(found.name).startswith("sqlite_"):
                self.objects[found.name] = found
                with suppress(sqlite3.Error):
                    self.run(found.sql)

    @property
    def raw(self):
        return self.connection

    def read(self, sql: str, parameters: tuple = ()):
        return self.run(sql, *parameters)

    def run(self, sql: str, *parameters):
        """Run a statement; functions and collations that only the application knows are stood in
        for."""
        unknown = set()
        while True:
            try:
                return self.connection.execute(sql, parameters)
            except sqlite3.OperationalError as error:
                missing = _UNKNOWN.search(str(error))
                if missing is None or missing[2] in unknown:
                    raise
                unknown.add(missing[2])
                if missing[1] == "function":
                    self.connection.create_function(missing[2], -1, lambda *arguments: None)
                else:
                    self.connection.create_collation(missing[2], lambda one, other: 0)

    def error_of(self, sql: str) -> str | None:
        """What SQLite says against a statement; None when it runs."""
        try:
            self.run(sql)
        except sqlite3.Error as error:
            return str(error)
        return None

    def broken(self) -> dict[str, str]:
        """The views and triggers that cannot run, by name, with what SQLite says of each."""
        found = {}
        triggers = [o for o in self.objects.values() if o.type == "trigger"]
        for view in (o for o in self.objects.values() if o.type == "view"):
            if error := self.error_of(f"EXPLAIN SELECT * FROM {quote(view.name)}"):
                found[view.name] = error
        for trigger in triggers:
            self.error_of(f"DROP TRIGGER {quote(trigger.name)}")
        for trigger in triggers:
            if error := self._trigger_error(trigger):
                found[trigger.name] = error
        return found

    def _trigger_error(self, trigger: SchemaObject) -> str | None:
        """Compile the statement that fires it, with no other trigger there."""
        if error := self.error_of(trigger.sql):
            return error
        columns = [
            row[1] for row in self.run(f"PRAGMA table_xinfo({quote(trigger.table)})") if row[6] == 0
        ]
        event, named = _event(trigger.sql)
        gone = [name for name in named if not any(same(name, column) for column in columns)]
        if gone:
            error = f"no such column: {gone[0]}"
        else:
            table, error = quote(trigger.table), None
            assigned = ", ".join(f"{quote(c)} = {quote(c)}" for c in columns)
            statement = {
                "INSERT": f"INSERT INTO {table} DEFAULT VALUES",
                "DELETE": f"DELETE FROM {table}",
                "UPDATE": f"UPDATE {table} SET {assigned}",
            }[event]
            error = self.error_of(f"EXPLAIN {statement}")
        self.error_of(f"DROP TRIGGER {quote(trigger.name)}")
        return error

    def close(self) -> None:
        self.connection.close()


def _event(sql: str) -> tuple[str, list[str]]:
    """What fires a trigger, and the columns of an UPDATE OF: SQLite takes any name there and
    never fires the trigger for one that does not exist."""
    try:
        tokens = tokenize(sql)
    except Unreadable:
        return "DELETE", []
    events = ("INSERT", "DELETE", "UPDATE")
    place = next(i for i, token in enumerate(tokens) if i > 2 and token.keyword in events)
    named = []
    if tokens[place + 1].keyword == "OF":
        for token in tokens[place + 2 :]:
            if token.keyword == "ON":
                break
            if token.text != ",":
                named.append(token.name)
    return tokens[place].keyword, named


def error_of(sql: str) -> str | None:
    """What SQLite says against one CREATE TABLE; None when it takes it."""
    mirror = Mirror(())
    try:
        return mirror.error_of(sql)
    finally:
        mirror.close()


def newly_broken(before: Iterable[SchemaObject], after: Iterable[SchemaObject]) -> dict[str, str]:
    """The views and triggers of ``after`` that run in ``before`` and no longer do."""
    after = list(after)
    if not any(o.type in ("view", "trigger") for o in after):
        return {}
    were = _broken(before)
    return {name: error for name, error in _broken(after).items() if name not in were}


def _broken(objects: Iterable[SchemaObject]) -> dict[str, str]:
    mirror = Mirror(objects)
    try:
        return mirror.broken()
    finally:
        mirror.close()


def with_table(objects: Iterable[SchemaObject], table: str, sql: str | None) -> list[SchemaObject]:
    """The objects with another text for one table; None for a table that goes, with its own."""
    kept = []
    for found in objects:
        if found.type == "table" and same(found.name, table):
            if sql is not None:
                kept.append(replace(found, sql=sql))
        elif sql is not None or not same(found.table, table):
            kept.append(found)
    return kept
