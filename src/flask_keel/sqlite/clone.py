"""The schema without its rows, in memory: what SQLite itself says of a change before it is made.

Views and triggers are text that SQLite reads again at every use. Whether they survive a change is
asked of SQLite, on a copy, rather than guessed from the text.
"""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import replace

from alembic.util import CommandError

from ..lexer import backquoted
from ..typing import Value
from . import introspection
from .introspection import Database, Parameters, SchemaObject, references_to
from .tokenizer import Unreadable, fold, quote, same, tokenize

_UNKNOWN = re.compile(r"no such (function|collation sequence): (\S+)")
_ORDER = {"table": 0, "index": 1, "view": 2, "trigger": 3}


class Mirror(Database):
    """An empty database with the given tables, indexes, views and triggers.

    What it cannot hold (a virtual table whose module is missing, an index with a collation of the
    application's own) is left out.
    """

    def __init__(self, objects: Iterable[SchemaObject]):
        self.schema = None
        self.raw = sqlite3.connect(":memory:", isolation_level=None)
        self.objects: dict[str, SchemaObject] = {}
        for found in sorted(objects, key=lambda o: _ORDER[o.type]):
            if found.sql and not fold(found.name).startswith("sqlite_"):
                self.objects[found.name] = found
                with suppress(sqlite3.Error):
                    self.run(found.sql)

    def read(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        return self.run(sql, *parameters)

    def run(self, sql: str, *parameters: Value) -> sqlite3.Cursor:
        """Run a statement; functions and collations that only the application knows are stood in
        for."""
        unknown = set()
        while True:
            try:
                return self.raw.execute(sql, parameters)
            except sqlite3.OperationalError as error:
                missing = _UNKNOWN.search(str(error))
                if missing is None or missing[2] in unknown:
                    raise
                unknown.add(missing[2])
                if missing[1] == "function":
                    self.raw.create_function(missing[2], -1, lambda *arguments: None)
                else:
                    self.raw.create_collation(missing[2], lambda one, other: 0)

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
        self.raw.close()


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
    with closing(Mirror(())) as mirror:
        return mirror.error_of(sql)


def newly_broken(before: Iterable[SchemaObject], after: Iterable[SchemaObject]) -> dict[str, str]:
    """The views and triggers of ``after`` that run in ``before`` and no longer do."""
    after = list(after)
    if not any(o.type in ("view", "trigger") for o in after):
        return {}
    were = _broken(before)
    return {name: error for name, error in _broken(after).items() if name not in were}


def _broken(objects: Iterable[SchemaObject]) -> dict[str, str]:
    with closing(Mirror(objects)) as mirror:
        return mirror.broken()


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


# Strings in double quotes: SQLite reads ``"x"`` as a string as long as no column is called x.
#
# A column of that name changes what an index, a CHECK, a view or a trigger says, and the column's
# end makes a string of what named it: https://sqlite.org/quirks.html#dblquote


def require_no_string(objects: Iterable[SchemaObject], table: str, column: str) -> None:
    """Stop before a column comes whose name something holds as a string.

    :param objects: the schema without the column
    :raises CommandError: naming what would be read otherwise
    """
    objects = list(objects)
    for found in objects:
        concerned = found.type in ("view", "trigger") or same(found.table, table)
        named = as_name(found, column) if concerned else found
        if named != found and _breaks(objects, found, named):
            where = "a CHECK" if found.type == "table" else f"the {found.type} {found.name!r}"
            raise CommandError(
                f'Table {table!r} cannot have a column {column!r}: {where} holds "{column}" as a '
                "string, which SQLite would then read as the column: write the string in single "
                "quotes there first."
            )


def as_name(found: SchemaObject, column: str) -> SchemaObject:
    """The object with ``"column"`` in quotes that SQLite takes for a name only."""
    sql = found.sql or ""
    if quote(column).lower() not in sql.lower():
        return found
    try:
        tokens = [t for t in tokenize(sql) if t.text[:1] == '"' and same(t.name, column)]
    except Unreadable:
        return found
    for token in reversed(tokens):
        sql = sql[: token.start] + backquoted(token.name) + sql[token.end :]
    return replace(found, sql=sql) if tokens else found


def _breaks(objects: list[SchemaObject], found: SchemaObject, named: SchemaObject) -> bool:
    """Whether something does not work once the word can be a name only."""
    if found.type in ("view", "trigger"):
        after = [named if other is found else other for other in objects]
        return found.name in newly_broken(objects, after)
    with closing(
        Mirror([] if found.type == "table" else [o for o in objects if o is not found])
    ) as without:
        return "no such column" in (without.error_of(named.sql or "") or "")


def rename(db: Database, name: str, new: str) -> None:
    """SQLite rewrites whatever names the table. Of two names that differ in their capitals it says
    that the second is taken: there it goes by way of a third.

    :raises CommandError: when it cannot rewrite a view or a trigger
    """
    steps = [(name, new)]
    if same(name, new) and name != new:
        between = free_name(db, name)
        steps = [(name, between), (between, new)]
    with closing(Mirror(introspection.objects(db))) as copy:
        tried = (copy.error_of(f"ALTER TABLE {quote(a)} RENAME TO {quote(b)}") for a, b in steps)
        error = next((said for said in tried if said), None)
    if error:
        raise CommandError(
            f"Table {name!r} cannot be renamed: SQLite says {error!r}; drop the object that it "
            "names before and create it again after."
        )
    for old, to in steps:
        db.run(f"ALTER TABLE {db.name(old)} RENAME TO {quote(to)}")


def free_name(db: Database, table: str) -> str:
    """A name beside the table's that nothing has."""
    taken = {fold(row[0]) for row in db.rows(f"SELECT name FROM {db.catalogue}")}
    name, number = f"_new_{table}", 1
    while fold(name) in taken:
        name, number = f"_new_{table}_{number}", number + 1
    return name


def referring_to(db: Database, table: str) -> set[str]:
    """The other tables that have a foreign key to this one."""
    found = {reference.table for reference in references_to(db, table)}
    return {name for name in found if not same(name, table)}


def refuse_broken_by_drop(db: Database, table: str) -> None:
    before = introspection.objects(db)
    broken = newly_broken(before, with_table(before, table, None))
    if broken:
        name = next(iter(broken))
        kind = next(o.type for o in before if o.name == name)
        raise CommandError(
            f"Table {table!r} cannot be dropped, since the {kind} {name!r} uses it: drop "
            f"{name!r} first."
        )
