"""A scratch database: empty, or built from the migration history alone, or as a proof wants it."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.operations import ops
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect, make_url
from sqlalchemy.engine import URL

from .. import output, runner
from .. import project as project_module
from ..project import Project
from ..recorder import Recorder
from ..sqlite import transaction as sqlite_transaction
from . import servers
from .cache import Cache

# A copy of a small MySQL database, and its return: the tables that changed are made again.


TABLES = (
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()"
)
TRIGGERS = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
FILLED = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() "
    "AND table_name = %s AND COALESCE(generation_expression, '') = '' ORDER BY ordinal_position"
)
NAME = re.compile(r"`((?:[^`]|``)*)`")
FOREIGN_KEY = re.compile(
    r"\s*CONSTRAINT `((?:[^`]|``)*)` FOREIGN KEY \(((?:`(?:[^`]|``)*`(?:, )?)+)\) REFERENCES "
)
INDEX = re.compile(r"\s*(?:UNIQUE |PRIMARY )?KEY (?:`((?:[^`]|``)*)` )?\(((?:`(?:[^`]|``)*`,?)+)\)")
OWN_NAME = re.compile(r"_ibfk_(\d+)$")
NAMED = re.compile(r"CONSTRAINT `(?:[^`]|``)*` FOREIGN KEY")


class Copy:
    """The tables, views and triggers of the connection's database, with their rows."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.tables, self.views, self.triggers = self._texts()
        self.columns = {table: self._columns(table) for table in self.tables}
        self.rows = {table: self._rows(table, self.columns[table]) for table in self.tables}

    def restore(self) -> None:
        """Make the database what it was."""
        keys = self._ask("SELECT @@foreign_key_checks, @@sql_mode")[0]
        self._run("SET foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        tables, views, triggers = self._texts()
        for trigger in triggers:
            self._run(f"DROP TRIGGER {quoted(trigger)}")
        for view in views:
            self._run(f"DROP VIEW {quoted(view)}")
        changed = [name for name in tables if _lines(tables[name]) != _lines(self.tables.get(name))]
        for name in changed:
            self._run(f"DROP TABLE {quoted(name)}")
        for name, text in self.tables.items():
            if name in changed or name not in tables:
                self._run(as_made(text))
                self._put(name)
            elif self._rows(name, self.columns[name]) != self.rows[name]:
                self._run(f"DELETE FROM {quoted(name)}")
                self._put(name)
        for text in (*self.views.values(), *self.triggers.values()):
            self._run(text)
        self._run("SET foreign_key_checks = %s, sql_mode = %s", tuple(keys))

    def _texts(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        tables, views = {}, {}
        for name, kind in self._ask(TABLES):
            text = self._ask(f"SHOW CREATE TABLE {quoted(name)}")[0][1]
            (views if kind == "VIEW" else tables)[name] = text
        triggers = {
            name: self._ask(f"SHOW CREATE TRIGGER {quoted(name)}")[0][2]
            for (name,) in self._ask(TRIGGERS)
        }
        return tables, views, triggers

    def _columns(self, table: str) -> list[str]:
        return [name for (name,) in self._ask(FILLED, (table,))]

    def _rows(self, table: str, columns: list[str]) -> list[tuple]:
        return self._ask(f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(table)}")

    def _put(self, table: str) -> None:
        columns = self.columns[table]
        marks = ", ".join(["%s"] * len(columns))
        into = f"{quoted(table)} ({', '.join(map(quoted, columns))})".replace("%", "%%")
        insert = f"INSERT INTO {into} VALUES ({marks})"
        for row in self.rows[table]:
            self._run(insert, row)

    def _ask(self, sql: str, parameters: tuple = ()) -> list[tuple]:
        return [tuple(row) for row in self._run(sql, parameters)]

    def _run(self, sql: str, parameters: tuple = ()) -> Any:
        if parameters:
            return self.connection.exec_driver_sql(sql, parameters)
        # a percent sign in it is its own, no place for a value
        alone = {"no_parameters": True}
        return self.connection.exec_driver_sql(sql, execution_options=alone)


def quoted(name: str) -> str:
    """Return the name between backticks, in a statement with or without parameters."""
    return "`" + name.replace("`", "``") + "`"


def as_made(sql: str) -> str:
    """Return a CREATE TABLE without the indexes that InnoDB makes by itself for foreign keys.

    SHOW CREATE TABLE does not tell them from others, and one that is written is not dropped by itself as
    soon as there is another. By itself InnoDB gives it the name of the key, or of its column where the
    key's name is InnoDB's own. https://mariadb.com/kb/en/foreign-keys/#indexes

    :param sql: what SHOW CREATE TABLE says
    """
    head, *lines, tail = sql.split("\n")
    parts = [line.removesuffix(",") for line in lines]
    keys = [found for part in parts if (found := FOREIGN_KEY.match(part))]
    indexes = {part: found for part in parts if (found := INDEX.match(part))}
    # InnoDB numbers them from one, and gives the index of such a key the name of the column
    by_number = [OWN_NAME.search(key[1]) for key in keys]
    own_names = [found and found[1] for found in by_number] == [
        str(n + 1) for n in range(len(keys))
    ]
    own = set()
    for name, said in (key.group(1, 2) for key in keys):
        columns = NAME.findall(said)
        theirs = columns[0] if own_names else name
        covering = [
            part for part, i in indexes.items() if NAME.findall(i[2])[: len(columns)] == columns
        ]
        if len(covering) == 1:
            index = indexes[covering[0]]
            if index[1] == theirs and NAME.findall(index[2]) == columns:
                own.add(covering[0])
    if own_names:
        parts = [
            NAMED.sub("FOREIGN KEY", part) if FOREIGN_KEY.match(part) else part for part in parts
        ]
    made = ",\n".join(part for part in parts if part not in own)
    return f"{head}\n{made}\n{tail}"


def _lines(sql: str | None) -> list[str]:
    """The order of the indexes is not to be had again, and means nothing."""
    return sorted(line.removesuffix(",") for line in (sql or "").split("\n"))


# Tables outside of the default schema, as in ``__table_args__ = {"schema": "audit"}``.


def named(metadata: MetaData) -> set[str]:
    """Return the schemas that the models name."""
    return {table.schema for table in metadata.tables.values() if table.schema}


def require_isolation(url: Any, metadata: MetaData) -> None:
    """Refuse a scratch database on MySQL, where a schema is a database: it would be the real one.

    :raises servers.NotAllowed: naming the schemas
    """
    found = named(metadata)
    if found and project_module.kind(url) == "mysql":
        raise servers.NotAllowed(
            f"On MySQL a schema is a database of its own ({', '.join(sorted(found))}), for which "
            "no scratch can stand",
            "",
        )


def comparison(metadata: MetaData, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options by which Alembic compares those schemas too, and no others.

    Without them it would find the tables missing again and again:
    https://alembic.sqlalchemy.org/en/latest/autogenerate.html#controlling-what-to-be-autogenerated

    :param given: the application's options; where they say include_schemas, they stand as they are
    """
    schemas, own = named(metadata), given.get("include_name")
    if not schemas or "include_schemas" in given:
        return {}

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema" and name is not None and name not in schemas:
            return False
        return own is None or own(name, kind, parents)

    return {"include_schemas": True, "include_name": include_name}


def create_first(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """On PostgreSQL, create a schema that is not there before its first table."""
    if context.dialect.name != "postgresql" or not directives:
        return
    quote = context.dialect.identifier_preparer.quote_schema
    there = set(inspect(context.connection).get_schema_names())
    script = directives[0]
    for schema in sorted(named(context.opts["target_metadata"]) - there):
        output.say(f"  create schema {schema}")
        create = ops.ExecuteSQLOp(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        script.upgrade_ops.ops.insert(0, create)
        # refused by PostgreSQL while something is in it
        script.downgrade_ops.ops.append(ops.ExecuteSQLOp(f"DROP SCHEMA IF EXISTS {quote(schema)}"))


# A scratch database, and attempts on it that leave no trace.


@contextmanager
def stage(
    project: Project, revisions: tuple[str, ...] | None = None, recorder: Recorder | None = None
) -> Iterator["Stage"]:
    """Give a scratch database of the application's kind that holds what the history makes.

    :param revisions: up to which; all of it without
    :param recorder: writes down what its revisions do, which have to run for it
    :raises servers.NotAllowed: when the account may not create one
    """
    if project.dialect == "sqlite":
        memory = sqlite_transaction.engine(make_url("sqlite://"))
        with sqlite_transaction.connect(memory, app=project.engine) as connection:
            build(project, connection, revisions, recorder)
            yield SQLite(connection, project.engine)
        return
    require_isolation(project.engine.url, project.metadata)
    options = project.engine_options
    with (
        servers.database(project.engine.url, options) as url,
        create_engine(url, **servers.connection_options(options)).connect() as connection,
    ):
        build(project, connection, revisions, recorder)
        yield (PostgreSQL if project.dialect == "postgresql" else MySQL)(connection)


@contextmanager
def at_head(project: Project, recorder: Recorder | None = None) -> Iterator[Connection]:
    """Give a connection to a scratch database that holds all that the history makes.

    :param recorder: writes down what its revisions do
    :raises servers.NotAllowed: when the account may not create one
    """
    with stage(project, None, recorder) as scratch:
        yield scratch.connection


def build(
    project: Project,
    connection: Connection,
    revisions: tuple[str, ...] | None,
    recorder: Recorder | None,
) -> None:
    """Make an empty database what the history makes, from the newest state of it that is kept."""
    revisions = project.script.get_heads() if revisions is None else revisions
    kept = raw = None
    if connection.dialect.name == "sqlite":
        kept, raw = Cache(project), connection.connection.driver_connection
        kept.restore(raw, revisions, set(recorder.recordings if recorder else ()))

    def steps(applied: Any, context: Any) -> Any:
        return project.script._upgrade_revs(revisions, applied)

    runner.run(project, connection, steps, recorder)
    if connection.in_transaction():
        connection.commit()
    if kept:
        kept.keep(raw, revisions)


class Stage:
    """A scratch database: one connection to it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def settle(self) -> None:
        """Keep what was done so far."""
        self.connection.commit()

    @contextmanager
    def attempt(self) -> Iterator[Connection]:
        """Give a connection on which all can be done: the scratch itself stays as it is."""
        raise NotImplementedError
        yield


class SQLite(Stage):
    """In memory: an attempt is made on a copy, by https://www.sqlite.org/backup.html."""

    def __init__(self, connection: Connection, app: Engine | None = None) -> None:
        super().__init__(connection)
        self.app = app

    @contextmanager
    def attempt(self) -> Iterator[Connection]:
        self.settle()
        with sqlite_transaction.connect(
            sqlite_transaction.engine(make_url("sqlite://")), app=self.app
        ) as copy:
            source = self.connection.connection.driver_connection
            source.backup(copy.connection.driver_connection)
            yield copy


class PostgreSQL(Stage):
    """An attempt is one transaction, rolled back.

    What cannot run in a transaction (CONCURRENTLY) runs without that word in an attempt.
    """

    @contextmanager
    def attempt(self) -> Iterator[Connection]:
        self.settle()
        transaction = self.connection.begin()
        self.connection.info["attempt"] = True
        try:
            yield self.connection
        finally:
            del self.connection.info["attempt"]
            transaction.rollback()


class MySQL(Stage):
    """DDL commits by itself there: an attempt is undone by making again what it changed."""

    @contextmanager
    def attempt(self) -> Iterator[Connection]:

        self.settle()
        copy = Copy(self.connection)
        try:
            yield self.connection
        finally:
            self.connection.rollback()
            copy.restore()
            self.settle()


@contextmanager
def database(url: Any, options: dict[str, Any] | None = None) -> Iterator[URL]:
    """Give an empty database of the same kind as ``url``'s, gone afterwards.

    :param options: more arguments for ``create_engine``
    :raises servers.NotAllowed: when the account may not create one
    """
    if project_module.kind(url) == "sqlite":
        with tempfile.TemporaryDirectory(prefix="scratch-") as folder:
            yield make_url(url).set(database=str(Path(folder) / "scratch.db"), query={})
    else:
        with servers.database(url, options) as scratch:
            yield scratch
