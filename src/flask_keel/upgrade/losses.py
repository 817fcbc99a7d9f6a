"""What a run would lose: values that are there now, are not NULL, and would be gone.

Tables and columns are followed back through the run to what they are called in the database now; what
the run itself has made holds nothing that could be lost.

Values that a server cuts or rounds without a word when a column gets another type: counted before.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from alembic.ddl.base import AlterColumn, ColumnType
from alembic.ddl.mysql import MySQLChangeColumn
from alembic.ddl.postgresql import PostgresqlColumnType
from alembic.operations import MigrateOperation, ops
from alembic.util import CommandError
from sqlalchemy import Connection, Inspector, column, inspect, table, text
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.exc import DBAPIError

from .. import integrity, lexer, literals, statements
from ..data import IN_BATCHES
from ..lint import source, types
from ..project import listening
from ..runner import Event
from ..statements import Effect, Name
from ..typing import Options, SQLType, Value

LOSES = (
    "{table}.{column} cannot become {type}: {rows} would not keep a value; change them first with "
    "op.execute, or say in the file # proof: {table}.{column} because ..., where that is what it is for"
)
NUMBERS = ("integer", "numeric", "float")
# families of types between which a server converts whatever there is
QUIET = {
    *((one, other) for one in NUMBERS for other in (*NUMBERS, "boolean")),
    *(("datetime", kind) for kind in ("datetime", "date", "time")),
    ("time", "time"),
}
ALTERS = (ColumnType, PostgresqlColumnType, MySQLChangeColumn)
DROPS = ("drop-column", "drop-and-add", "drop-and-compute")
TAKING = ("CASCADE", "SET NULL", "SET DEFAULT")
MOST = 1_000_000  # rows that are counted: a table may be enormous


class Key(NamedTuple):
    """A table, as the database tells one from another; None is the default schema."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


class Rows(NamedTuple):
    """Rows of a table that hold something.

    :param columns: of which one at least is not NULL; none for whole rows
    :param condition: SQL of the migration's own, which may be about what is not there yet
    """

    table: Key
    columns: tuple[str, ...] = ()
    condition: str | None = None


@dataclass
class Loss:
    """One thing that a revision may lose.

    :param what: by the names that the database has now
    :param rules: of the lint, of which a reason in the file may silence one
    :param rows: what is lost; None where that cannot be told
    :param unit: what they are called
    :param count: how many, at most one more than :data:`MOST`; None where they were not counted
    """

    what: str
    rules: tuple[str, ...]
    line: int
    rows: Rows | None = None
    unit: str = "values"
    count: int | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.what} ({counted(self.count, self.unit)})"


def counted(count: int | None, unit: str) -> str:
    """Say a number that :meth:`Live.count` gave."""
    if count is None:
        return f"{unit} that cannot be counted"
    if count > MOST:
        return f"more than {MOST} {unit}"
    return f"{count} {unit.removesuffix('s') if count == 1 else unit}"


class Live:
    """The database as it is now.

    :param connection: by which nothing in it changes
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.kind = connection.dialect.name
        self.quote = literals.dialect(connection.dialect).identifier_preparer.quote_identifier
        self.columns = cache(self._columns)
        self.count = cache(self._count)

    @cached_property
    def _look(self) -> Inspector:
        return inspect(self.connection)

    @cached_property
    def _names(self) -> dict[str | None, dict[str, str]]:
        return {}

    def key(self, schema: str | None, name: str, quoted: bool = True) -> Key:
        """Return a table by its name in an operation or a statement.

        :param quoted: whether PostgreSQL takes its letters as they are
        """
        home = "main" if self.kind == "sqlite" else self._look.default_schema_name
        folded = name.lower() if self.kind == "postgresql" and not quoted else self._folded(name)
        return Key(None if schema == home else schema, folded)

    def _folded(self, name: str) -> str:
        return name.lower() if self.kind == "sqlite" else name

    def name(self, table: Key) -> str | None:
        """Return the name that the database has for a table; None when it is not there."""
        if table.schema not in self._names:
            found = self._look.get_table_names(table.schema)
            self._names[table.schema] = {self._folded(one): one for one in found}
        return self._names[table.schema].get(self._folded(table.name))

    def _columns(self, table: Key) -> dict[str, Options]:
        """Return what is known of a table's columns, by their names in small letters."""
        name = self.name(table)
        found = self._look.get_columns(name, schema=table.schema) if name else []
        return {one["name"].lower(): dict(one) for one in found}

    def children(self, table: Key) -> list[Key]:
        """Return the tables whose rows, or what refers there, go with rows of a table.

        None on SQLite, where foreign keys are off while migrations run.
        """
        if self.kind == "sqlite":
            return []
        keys = self._look.get_multi_foreign_keys(schema=table.schema)
        return sorted(
            self.key(*child)
            for child, found in keys.items()
            for one in found
            if self.key(one["referred_schema"], one["referred_table"]) == table
            and one["options"].get("ondelete", "").upper() in TAKING
        )

    def _count(self, rows: Rows) -> int | None:
        """Count rows, at most one more than :data:`MOST`; None where the database does not answer."""
        conditions = [f"({rows.condition})"] if rows.condition else []
        if rows.columns:
            held = " OR ".join(f"{self.quote(one)} IS NOT NULL" for one in rows.columns)
            conditions.append(f"({held})")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        named = [rows.table.schema, self.name(rows.table) or rows.table.name]
        table = ".".join(self.quote(part) for part in named if part)
        sample = f"SELECT 1 FROM {table}{where} LIMIT {MOST + 1}"
        savepoint = self.connection.begin_nested if self.kind == "postgresql" else nullcontext
        try:
            with savepoint():
                found = self.connection.exec_driver_sql(
                    f"SELECT count(*) FROM ({sample}) AS sample",
                    execution_options={"no_parameters": True},
                )
                return int(found.scalar_one())
        except DBAPIError:
            # the condition is about what is not there yet: all of them, then
            return self.count(rows._replace(condition=None)) if rows.condition else None


class Change(NamedTuple):
    """Something by which a condition comes to mean other rows than it means now.

    :param rows: those that are changed; None where they cannot be told
    """

    table: Key
    columns: frozenset[str] = frozenset()
    rows: Rows | None = None


@dataclass
class Losses:
    """Follows a run, event by event, and gathers what it may lose.

    :param live: the database before it
    """

    live: Live
    found: list[Loss] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    rewritten: list[Key] = field(default_factory=list)
    updated: list[Rows] = field(default_factory=list)
    tables: dict[Key, Key | None] = field(default_factory=dict)
    names: dict[tuple[Key, str], str | None] = field(default_factory=dict)
    changed: list[Change] = field(default_factory=list)
    line: int = 0
    in_batches: bool = False

    def take(self, event: Event) -> None:
        """Note what one event does."""
        self.line = event.line
        if isinstance(event.what, str):
            self.in_batches = IN_BATCHES in event.what
            for statement in lexer.split(event.what, self.live.kind):
                for effect in statements.effects(statement, self.live.kind):
                    self._effect(effect, statement)
        else:
            self._operation(event.what)

    def origin(self, table: Key) -> Key | None:
        """Return the table of the database that one is by now; None for one that the run has made."""
        if table in self.tables:
            return self.tables[table]
        name = self.live.name(table)
        return Key(table.schema, name) if name else None

    def column(self, table: Key, name: str) -> str | None:
        """Return the column of the database that one is by now; None for one that the run has made."""
        home = self.origin(table)
        place = (table, name.lower())
        if place in self.names or home is None:
            return self.names.get(place)
        known = self.live.columns(home).get(name.lower())
        return known["name"] if known else None

    def _home(self, table: Key) -> Key | None:
        """Return the origin of a table that loses something; say it where there is no such table."""
        home = self.origin(table)
        if home is None and table not in self.tables:
            self._doubt(f"{table} is not there now, or cannot be seen by this account")
        return home

    # -- what a run does -------------------------------------------------------------------------

    def _operation(self, op: MigrateOperation) -> None:
        if isinstance(op, ops.BulkInsertOp):
            self.changed.append(Change(self.live.key(op.table.schema, op.table.name)))
        name = getattr(op, "table_name", None)
        if not isinstance(name, str):
            return
        table = self.live.key(getattr(op, "schema", None), name)
        match op:
            case ops.CreateTableOp():
                self._create_table(table, bool(op.if_not_exists))
            case ops.DropTableOp():
                self._drop_table(table, ("drop-table",), bool(op.if_exists))
            case ops.RenameTableOp():
                self._rename_table(table, self.live.key(op.schema, op.new_table_name))
            case ops.AddColumnOp():
                self._add_column(table, op.column.name)
            case ops.DropColumnOp():
                self._drop_column(table, op.column_name, DROPS)
            case ops.AlterColumnOp():
                if op.modify_type is not None:
                    self._set_type(table, op)
                if op.modify_name:
                    self._rename_column(table, op.column_name, op.modify_name)

    def _effect(self, effect: Effect, statement: str) -> None:
        short = " ".join(statement.split())
        short = short if len(short) <= 60 else f"{short[:57]}..."
        if effect.verb == "unreadable":
            self._doubt(f"what {short!r} does to the rows")
            return
        if effect.verb in ("drop", "drop schema"):
            if effect.verb == "drop" or self.live.kind != "postgresql":
                rules = ("drop-in-sql", "delete-rows", "update-rows")
                self._lose(Loss(short, rules, self.line, unit="rows"))
            return
        if effect.table is None:
            return
        table = self._named(effect.table)
        match effect.verb:
            case "create table":
                self._create_table(table, " if not exists " in f" {short.lower()} ")
            case "drop table":
                self._drop_table(table, ("drop-in-sql",), " if exists " in f" {short.lower()} ")
            case "rename table" if effect.new:
                self._rename_table(table, self._named(effect.new))
            case "add column":
                self._add_column(table, effect.columns[0])
            case "drop column":
                self._drop_column(table, effect.columns[0], ("drop-in-sql",))
            case "rename column":
                self._rename_column(table, *effect.columns)
            case "insert":
                self.changed.append(Change(table))
            case "delete":
                self._delete(table, effect.where)
            case "update":
                self._update(table, effect)

    def _named(self, name: Name) -> Key:
        return self.live.key(name.schema, name.name, name.quoted)

    def _doubt(self, what: str) -> None:
        self.untold.append(f"line {self.line}: {what}")

    def _create_table(self, table: Key, unless_there: bool) -> None:
        if unless_there and self.origin(table):
            return
        self.tables[table] = None
        self.changed.append(Change(table))
        self._forget(table)

    def _forget(self, table: Key) -> None:
        for place in [place for place in self.names if place[0] == table]:
            del self.names[place]

    def _drop_table(self, table: Key, rules: tuple[str, ...], if_there: bool) -> None:
        home = self.origin(table)
        if home is not None:
            columns = self.live.columns(home).values()
            # a column that is never NULL makes each row one that holds something
            some = () if any(not one["nullable"] for one in columns) else self._plain(home)
            self._lose(Loss(f"table {home}", rules, self.line, Rows(home, some), "rows"))
        elif not if_there:
            self._home(table)
        self.tables[table] = None
        self._forget(table)

    def _plain(self, table: Key) -> tuple[str, ...]:
        known = self.live.columns(table).values()
        return tuple(one["name"] for one in known if not one.get("computed"))

    def _rename_table(self, old: Key, new: Key) -> None:
        home = self.origin(old)
        self._forget(new)
        for place in [place for place in self.names if place[0] == old]:
            self.names[new, place[1]] = self.names.pop(place)
        self.tables[old], self.tables[new] = None, home
        moved = [one._replace(table=new) for one in self.changed if one.table == old]
        self.changed += [*moved, Change(old), Change(new)]

    def _changes(self, table: Key, *columns: str, rows: Rows | None = None) -> None:
        self.changed.append(Change(table, frozenset(map(str.lower, columns)), rows))

    def _as_now(self, table: Key, where: str | None) -> str | None:
        """Return a condition that means the same rows now; None, for all, where the run itself has
        changed what it is about."""
        words = {
            lexer.unquote(text).lower()
            for kind, text in lexer.tokens(where or "", self.live.kind)
            if kind in ("name", "word")
        }
        for one in self.changed:
            among = "select" in words and one.table.name.lower() in words
            own = one.table == table and words & one.columns
            if (among or own) and (one.rows is None or self.live.count(one.rows) != 0):
                return None
        return where

    def _add_column(self, table: Key, name: str) -> None:
        if not self.column(table, name):  # else it is IF NOT EXISTS
            self.names[table, name.lower()] = None
            self._changes(table, name)

    def _drop_column(self, table: Key, name: str, rules: tuple[str, ...]) -> None:
        home, column = self._home(table), self.column(table, name)
        self.names[table, name.lower()] = None
        self._changes(table, name)
        if home is None or column is None:
            return
        if not self.live.columns(home)[column.lower()].get("computed"):
            self._lose(Loss(f"{home}.{column}", rules, self.line, Rows(home, (column,))))

    def _rename_column(self, table: Key, old: str, new: str) -> None:
        column = self.column(table, old)
        self.names[table, old.lower()] = None
        self._changes(table, old, new)
        self.names[table, new.lower()] = column  # which may be the same name in other letters

    def _set_type(self, table: Key, op: ops.AlterColumnOp) -> None:
        home, column = self._home(table), self.column(table, op.column_name)
        if home is None or column is None:
            return
        assert op.modify_type is not None
        dialect, known = self.live.connection.dialect, self.live.columns(home)[column.lower()]
        old, new = types.plain(known["type"], dialect), types.plain(op.modify_type, dialect)
        verdict = types.verdict(old, new, self.live.quote(column), dialect)
        if verdict is None or (self.live.kind == "sqlite" and verdict[0] == "narrow-type"):
            return  # SQLite keeps longer values: https://www.sqlite.org/datatype3.html
        rule, condition = verdict
        was, now = (types.said(one, dialect) for one in (old, new))
        what = f"{home}.{column} from {was} to {now}"
        rows = Rows(home, (column,), condition or None)
        self._lose(Loss(what, (rule,), self.line, rows))

    def _lose(self, loss: Loss) -> None:
        """Note a loss; one that a loop repeats for other rows is about all of them."""
        for known in self.found:
            if (known.what, known.line) == (loss.what, loss.line):
                if known.rows != loss.rows and known.rows:
                    known.rows = known.rows._replace(condition=None)
                return
        self.found.append(loss)

    def rewrite(self, table: Key) -> None:
        """Note that the rows of a table are written again."""
        home = self.origin(table)
        if home and home not in self.rewritten:
            self.rewritten.append(home)

    def _delete(self, table: Key, where: str | None) -> None:
        if home := self._home(table):
            rows = Rows(home, condition=self._as_now(table, where))
            self._changes(table, rows=rows)
            also = ", ".join(map(str, self.live.children(home)))
            what = f"rows of {home}" + (f" with what refers to them in {also}" if also else "")
            self._lose(Loss(what, ("delete-rows",), self.line, rows, "rows"))

    def _update(self, table: Key, effect: Effect) -> None:
        home = self._home(table)
        if home is None:
            return
        self.rewrite(table)
        changed = Rows(home, condition=self._as_now(table, effect.where))
        self._changes(table, *effect.columns, rows=changed)
        if not self.in_batches:
            self.updated.append(changed)
        columns = [column for name in effect.columns if (column := self.column(table, name))]
        if columns:
            named = ", ".join(f"{home}.{column}" for column in columns)
            rules = ("update-rows", "update-every-row")
            rows = changed._replace(columns=tuple(columns))
            what = f"what stands in {named}"
            self._lose(Loss(what, rules, self.line, rows))


# While migrations run on a server.


@contextmanager
def refused(connection: Connection) -> Iterator[None]:
    """Refuse changes of a type for which a value of some row would be cut or rounded.

    Not where the migration says that it may be, for the proof or to the lint, and not where it has
    a conversion of its own in ``postgresql_using``. SQLite's engine refuses the same by itself.

    :raises CommandError: out of the statement, with the rows
    """

    def before(
        live: Connection,
        cursor: Value,
        statement: str,
        values: Value,
        context: ExecutionContext | None,
        *_: Value,
    ) -> None:
        altering = getattr(getattr(context, "compiled", None), "statement", None)
        if isinstance(altering, ALTERS) and live is connection:
            _look(connection, altering)

    with listening(connection, before_cursor_execute=before):
        yield


def _look(
    connection: Connection, altering: ColumnType | PostgresqlColumnType | MySQLChangeColumn
) -> None:
    name, home, new = str(altering.column_name), str(altering.table_name), altering.type_
    old = _type(connection, home, altering.schema, name)
    condition = old and _condition(connection, old, new, name)
    if not old or not condition or _converts(altering, old, new) or _said(home, name):
        return
    source = table(home, schema=altering.schema)
    rows = integrity.number_and_examples(connection, source, text(condition), (column(name),))
    if rows:
        kind = new.compile(connection.dialect)
        raise CommandError(LOSES.format(table=home, column=name, type=kind, rows=rows))


def _type(connection: Connection, home: str, schema: str | None, name: str) -> SQLType | None:
    found = inspect(connection).get_columns(home, schema)
    return next((each["type"] for each in found if each["name"] == name), None)


def _condition(connection: Connection, old: SQLType, new: SQLType, name: str) -> str:
    dialect = connection.dialect
    old, new = types.plain(old, dialect), types.plain(new, dialect)
    zones = {getattr(each, "timezone", None) for each in (old, new)}
    if (types.family(old), types.family(new)) not in QUIET or zones == {True, False}:
        return ""
    verdict = types.verdict(old, new, dialect.identifier_preparer.quote(name), dialect)
    return (verdict or ("", ""))[1]


def _converts(altering: AlterColumn, old: SQLType, new: SQLType) -> bool:
    """Whether the migration has a conversion that no tool wrote."""
    from ..autogenerate import type_changes

    using = getattr(altering, "using", None)
    return using is not None and using != type_changes.using(old, new, str(altering.column_name))


def _said(home: str, name: str) -> bool:
    """Whether the migration says that values may go."""
    from ..proof.scene import Source

    path = _migration()
    if path is None:
        return False
    silences = silenced().keys() & {"change-type", "narrow-type"}
    return bool(silences or Source(path).agreed.keys() & {home, f"{home}.{name}"})


def silenced() -> dict[str, str]:
    """Return the rules of the lint that the migration that runs silences, with its reasons."""
    path = _migration()
    return source.reasons(source.text(Path(path))) if path else {}


def _migration() -> str | None:
    """The file of the migration that runs."""
    for frame, _ in traceback.walk_stack(None):
        if {"revision", "down_revision"} <= frame.f_globals.keys():
            return frame.f_code.co_filename
    return None
