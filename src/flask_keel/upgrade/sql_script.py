"""`--sql` for a server: written by Alembic, guarded so that it stops where it is not what it was made for.

`--sql` on SQLite: the revisions run on a copy, and what they did is written down.
"""

import re
import sqlite3
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from typing import Any, NamedTuple, NoReturn, cast

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationInfo, MigrationStep
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import (
    BindParameter,
    ClauseElement,
    Connection,
    Dialect,
    Insert,
    Update,
    create_engine,
    inspect,
    table,
    text,
)
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.inspection import _inspects
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateTable, DDLElement
from sqlalchemy.sql import visitors
from sqlalchemy.types import NullType

from .. import history, literals, log, output, runner, upgrade, waiting
from ..data import rehearsal
from ..lexer import split, string, tokens
from ..project import LOG_TABLE, Environment, Project
from ..runner import Refused
from ..scratch import databases
from ..sqlite import data_checks, foreign_key_check, transaction
from ..sqlite.foreign_key_check import KeyWatch
from ..sqlite.introspection import driver
from ..typing import Options, Params, Value
from . import journal

ONLY_ONLINE = "it wants {name} of the database, which --sql does not ask (db upgrade does)"

# Guards in the SQL printed for a server: it stops before it changes a database that is elsewhere.
#
# Each is one piece of SQL for the server's own client. A revision that cannot be undone as a whole
# leaves a mark on the version table while it runs, so that it is not run a second time from its head.


BEGUN = "begun: "
STOPS = {
    # psql goes on after an error unless it is told
    "postgresql": "\\set ON_ERROR_STOP on",
    "mysql": "-- The client stops at its first error and names a line: what stands above that line here "
    "has been\n-- done and stays, what stands below has not. Finish or undo that revision by hand.",
}
PLAIN = (
    "-- These are the plain statements, for whose locks others wait. What ZERO_DOWNTIME does in their place\n"
    "-- depends on what is in the database: db upgrade does it."
)
# sqlite3 goes on after an error unless it is told; a rebuild drops the table, and with foreign keys
# on its children would go with it
HEAD = """\
.bail on
.timeout {patience}
PRAGMA foreign_keys=OFF;
BEGIN IMMEDIATE;
"""


class Guards(NamedTuple):
    """The guards of one script.

    :param dialect: tells PostgreSQL, MariaDB and MySQL apart
    :param again: the command that prints the SQL anew
    :param version: the name of Alembic's own table
    :param schema: where that is; None for the default
    """

    dialect: Dialect
    again: str
    version: str = "alembic_version"
    schema: str | None = None

    @property
    def table(self) -> str:
        """Alembic's own table, as SQL names it."""
        return self.dialect.identifier_preparer.format_table(
            table(self.version, schema=self.schema)
        )

    @property
    def marked(self) -> str:
        """The query of MariaDB's and MySQL's for the mark."""
        return (
            "(SELECT table_comment FROM information_schema.tables\n"
            f"    WHERE {self._itself} AND table_comment LIKE '{BEGUN}%')"
        )

    @property
    def _itself(self) -> str:
        """What tells Alembic's table in information_schema."""
        schema = string(self.schema) if self.schema else "DATABASE()"
        return f"table_schema = {schema} AND table_name = {string(self.version)}"

    @property
    def transactional(self) -> bool:
        return self.dialect.name == "postgresql"

    def at(self, revisions: set[str], begun: str | None = None) -> str:
        """Return the guard for the revisions at which the database has to be.

        :param begun: the mark that it has to have, for the second part of a revision
        """
        live = ", ".join(sorted(revisions))
        mark = f"{BEGUN}{begun}" if begun else None
        if self.transactional:
            return self._postgresql(live, mark)
        return (
            self._mariadb(live) if getattr(self.dialect, "is_mariadb", False) else self._mysql(live)
        )

    def mark(self, begun: str | None) -> str:
        """Return the statement that marks a revision as begun, or takes the mark away."""
        if self.transactional:
            said = string(f"{BEGUN}{begun}") if begun else "NULL"
            return f"COMMENT ON TABLE {self.table} IS {said};"
        return f"ALTER TABLE {self.table} COMMENT = {string(f'{BEGUN}{begun}' if begun else '')};"

    def _elsewhere(self, live: str) -> tuple[str, str]:
        return (
            f"This SQL is for a database at {live or 'the base'}, and this one is at ",
            f" (run twice?): print it anew from this database ({self.again}).",
        )

    def _stopped(self) -> tuple[str, str]:
        return (
            "On this database printed SQL stopped in the middle of a revision (",
            "): finish or undo that by hand, then type "
            f"{self.mark(None)} and print the SQL anew ({self.again}).",
        )

    def _postgresql(self, live: str, mark: str | None) -> str:
        elsewhere = string("%".join(part.replace("%", "%%") for part in self._elsewhere(live)))
        stopped = string("%".join(part.replace("%", "%%") for part in self._stopped()))
        wanted = string(mark) if mark else "NULL"
        # the lock has a second run of this script wait, and then see what the first has done
        return f"""\
DO $keel$
DECLARE
  live text;
  mark text;
BEGIN
  IF to_regclass({string(self.table)}) IS NOT NULL THEN
    LOCK TABLE {self.table} IN SHARE ROW EXCLUSIVE MODE;
    SELECT string_agg(version_num, ', ' ORDER BY version_num COLLATE "C") INTO live FROM {self.table};
    mark := (SELECT said FROM obj_description(to_regclass({string(self.table)}), 'pg_class') AS said
      WHERE said LIKE '{BEGUN}%');
  END IF;
  IF live IS DISTINCT FROM {string(live) if live else "NULL"} THEN
    RAISE EXCEPTION {elsewhere}, coalesce(live, 'the base');
  END IF;
  IF mark IS DISTINCT FROM {wanted} THEN
    RAISE EXCEPTION {stopped}, coalesce(mark, 'not begun');
  END IF;
END $keel$;"""

    def _mariadb(self, live: str) -> str:
        before, after = map(string, self._elsewhere(live))
        begun, undo = map(string, self._stopped())
        return f"""\
DELIMITER //
BEGIN NOT ATOMIC
  DECLARE live, mark, said TEXT DEFAULT NULL;
  DECLARE CONTINUE HANDLER FOR SQLSTATE '42S02' BEGIN END;
  SELECT GROUP_CONCAT(version_num ORDER BY CAST(version_num AS BINARY) SEPARATOR ', ')
    INTO live FROM {self.table};
  SET mark = {self.marked};
  IF NOT live <=> {string(live) if live else "NULL"} THEN
    SET said = CONCAT({before}, COALESCE(live, 'the base'), {after});
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = said;
  END IF;
  IF mark IS NOT NULL THEN
    SET said = CONCAT({begun}, mark, {undo});
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = said;
  END IF;
END//
DELIMITER ;"""

    def _mysql(self, live: str) -> str:
        """MySQL raises nothing outside of a routine: what is no SQL mode is said, up to its first comma.

        https://dev.mysql.com/doc/refman/8.4/en/signal.html
        """
        wanted = live or "the base"
        before = f"This SQL is for a database at {wanted} and this one is at ".replace(",", " and")
        versions = (
            "SET @live = (SELECT GROUP_CONCAT(version_num ORDER BY CAST(version_num AS BINARY) "
            f"SEPARATOR ', ') FROM {self.table})"
        )
        return f"""\
SET @ask = IF((SELECT COUNT(*) FROM information_schema.tables
    WHERE {self._itself}),
  {string(versions)}, 'SET @live = NULL');
PREPARE keel_guard FROM @ask;
EXECUTE keel_guard;
DEALLOCATE PREPARE keel_guard;
SET @mark = {self.marked};
SET sql_mode = CASE
  WHEN NOT @live <=> {string(live) if live else "NULL"} THEN
    CONCAT({string(before)}, COALESCE(REPLACE(@live, ',', ' and'), 'the base'),
      {string(f" (run twice?): print it anew from this database ({self.again}).")})
  WHEN @mark IS NOT NULL THEN
    CONCAT('Printed SQL stopped in the middle of a revision (', @mark, '): finish or undo that and type ',
      {string(self.mark(None))})
  ELSE @@sql_mode END;"""


# Stands where the connection would be while `--sql` runs migrations for a server.
#
# Alembic's own stand-in drops the parameters of ``op.get_bind().execute(text, {...})`` and writes NULL
# instead, and makes four spaces of each tab in the data.


Statement = ClauseElement | str
RUNNING, BEGIN, COMMIT = "-- Running ", "BEGIN;", "COMMIT;"


class OnlyOnline(Refused, AttributeError):
    """A migration wants something that only the database can tell.

    An AttributeError, since Alembic asks by attributes what a connection can do.
    """


class Offline(MockConnection):
    """Writes statements down, with their parameters, as SQL for the server's own client.

    :param dialect: as :func:`..literals.dialect` gives it
    :param write: takes one piece of SQL
    :param guards: None for SQL that is read and not run
    """

    def __init__(
        self, dialect: Dialect, write: Callable[[str], None], guards: Guards | None = None
    ) -> None:
        super().__init__(dialect, self.run)
        self.write = write
        self.guards = guards or Guards(dialect, "")
        self.guarded = guards is not None
        self.heads: set[str] = set()
        # what runs now, and what of it a rollback would not undo any more
        self.running: str | None = None
        self.begun: str | None = None

    def settle(self, context: MigrationContext) -> None:
        """Take the place of the connection that Alembic made for itself."""
        impl: Any = context.impl  # whose methods give way to ours
        context.connection = impl.connection = cast(Connection, self)
        impl._exec, impl.static_output = self.run, self.comment
        self.heads = set(context.get_current_heads())
        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, self._applied)

    def run(
        self,
        construct: Statement,
        execution_options: object = None,
        multiparams: Sequence[Mapping[str, Value]] | None = None,
        params: Mapping[str, Value] | None = None,
    ) -> "NoRows":
        if isinstance(construct, CreateTable) and construct.element.name == self.guards.version:
            # the table stays when a database goes back to the base
            construct = CreateTable(construct.element, if_not_exists=True)
        for row in multiparams or [params or {}]:
            self.write(self._sql(construct, row))
        return NoRows()

    def execute(  # type: ignore[override]  # Alembic hands on text, too
        self, obj: Statement, parameters: Params = None, execution_options: object = None
    ) -> "NoRows":
        if parameters is None or isinstance(parameters, Mapping):
            return self.run(obj, params=parameters)
        return self.run(obj, multiparams=parameters)

    def exec_driver_sql(
        self, sql: str, parameters: Params = None, execution_options: object = None
    ) -> "NoRows":
        if parameters:
            raise OnlyOnline(
                "--sql writes no parameters of exec_driver_sql: use execute(text(...), ...)"
            )
        self.write(self._ended(sql))
        return NoRows()

    def comment(self, words: str) -> None:
        if words.startswith(RUNNING):
            # the title of a migration may have several lines
            self.write("\n-- ".join(words.splitlines()))
            self.running = words.removeprefix(RUNNING).splitlines()[0]
            if self.guarded and not self.guards.transactional:
                self.write(self.guards.at(self.heads))
                self._mark()
            return
        if words == COMMIT and self.running:
            self._mark()  # an autocommit block: what ran so far stays, whatever comes
        self.write("\n-- ".join(words.splitlines()) if words.startswith("--") else words)
        if words == BEGIN and self.guarded:
            self.write(self.guards.at(self.heads, self.begun))

    def _mark(self) -> None:
        if self.begun is None and self.guarded:
            self.begun = self.running
            self.write(self.guards.mark(self.begun))

    def _applied(self, heads: set[str], **_: object) -> None:
        if self.begun is not None:
            self.write(self.guards.mark(None))
        self.heads, self.running, self.begun = heads, None, None

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise OnlyOnline(ONLY_ONLINE.format(name=name))

    def _sql(self, construct: Statement, row: Mapping[str, Value]) -> str:
        construct = text(construct) if isinstance(construct, str) else construct
        if isinstance(construct, DDLElement):
            return self._ended(str(construct.compile(dialect=self.dialect)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a parameter may well be NULL
            literal = {"literal_binds": True}
            bound = _bound(construct, row)
            return self._ended(str(bound.compile(dialect=self.dialect, compile_kwargs=literal)))

    def _ended(self, sql: str) -> str:
        sql = sql.strip().rstrip(";")
        if getattr(self.dialect, "_backslash_escapes", False):
            sql = literals.for_mysql(sql)
        # what ends it must not end up in a comment
        end = "\n" if re.search(r"--|#", sql.rpartition("\n")[2]) else ""
        if self.dialect.name != "postgresql" and self._has_body(sql):
            # mariadb and mysql, the programs, would cut it at the first semicolon
            return f"DELIMITER //\n{sql}{end}//\nDELIMITER ;"
        return f"{sql}{end};"

    def _has_body(self, sql: str) -> bool:
        name = self.dialect.name
        return ";" in sql and any(("sign", ";") in tokens(one, name) for one in split(sql, name))


@_inspects(Offline)
def _inspected(_: Offline) -> NoReturn:
    raise OnlyOnline(ONLY_ONLINE.format(name="inspect"))


class NoRows:
    """The result of a statement that did not run: whoever looks at it is told so."""

    def __getattr__(self, name: str) -> NoReturn:
        raise OnlyOnline(ONLY_ONLINE.format(name=name))

    def __iter__(self) -> NoReturn:
        raise OnlyOnline(ONLY_ONLINE.format(name="rows"))


def _bound(construct: ClauseElement, row: Mapping[str, Value]) -> ClauseElement:
    """Return the statement with its parameters in it.

    :raises OnlyOnline: when one has no value
    """
    binds = [item for item in visitors.iterate(construct) if isinstance(item, BindParameter)]
    rest = {key: row[key] for key in row.keys() - {bind.key for bind in binds}}
    if isinstance(construct, Insert | Update) and rest:
        construct = construct.values(**rest)
    if isinstance(construct, Insert):
        construct = construct.inline()  # the key that it would return is of use to nobody here

    def fill(bind: BindParameter[Value]) -> None:
        if bind.key in row:
            bind.value, bind.callable, bind.required = row[bind.key], None, False
            if isinstance(bind.type, NullType):
                bind.type = BindParameter(None, bind.value, expanding=bind.expanding).type
        elif bind.required:
            raise OnlyOnline(f"the parameter {bind.key} has no value")

    bound: ClauseElement = visitors.cloned_traverse(construct, {}, {"bindparam": fill})
    return bound


# the client would guess it from the terminal's, and MySQL keeps it with each trigger
UTF8 = {"postgresql": "SET client_encoding TO 'UTF8';", "mysql": "SET NAMES utf8mb4;"}


def write(project: Environment) -> str:
    """Return the SQL that the command would run; nothing is run, what migrations print goes to stderr."""
    pieces: list[str] = []
    asked, start = project.start is None, _start(project)
    dialect = literals.dialect(project.engine.dialect)
    schema = project.options.get("version_table_schema")
    guards = Guards(dialect, _command(project), project.version_table, schema)
    stand_in = Offline(dialect, pieces.append, guards)
    project.configure(
        cast(Connection, stand_in),
        literal_binds=True,
        starting_rev=start,
        transaction_per_migration=True,
    )
    stand_in.settle(project.context.get_context())
    try:
        with (
            redirect_stdout(sys.stderr),
            runner.guarded(cast(Connection, stand_in), project.engine, project.others),
            project.context.begin_transaction(),
        ):
            project.context.run_migrations()
    except Exception as error:
        error.add_note(
            output.Left("no SQL is printed, and nothing ran: mend the file and try again.")
        )
        raise
    if not pieces:
        if asked:
            upgrade.say_nothing_to_do(project, start or ())
        return ""
    head = [STOPS[project.dialect], UTF8[project.dialect]]
    head += [PLAIN] if project.zero_downtime else []
    return "".join(f"{piece}\n\n" for piece in head + pieces)


def of_one(project: Project, revision: Script, server: Dialect | None) -> str:
    """Return the SQL of one migration's upgrade; on SQLite as it runs on empty tables, else nothing is run.

    :param server: the dialect of a connection, which knows what kind of server it is; None for SQLite
    :raises Refused: when it asks a server
    """
    step = MigrationStep.upgrade_from_script(project.script.revision_map, revision)
    below, ran = history.parents(project.script, revision), list[str]()
    if server is None:
        with databases.stage(project, below) as scratch:
            source = nullcontext(driver(scratch.connection.connection))
            with _copy(project, source, ran.append) as connection:
                ran.clear()
                runner.run(project, connection, lambda *_: [step], sqlite_portable_sql=True)
                return "".join(map(_line, _without_version(project, ran)))
    stand_in = Offline(literals.dialect(server), ran.append)
    options: Options = {"as_sql": True, "literal_binds": True, "transaction_per_migration": True}
    options["starting_rev"] = list(below) or None
    bind = cast(Connection, stand_in)
    with runner.environment(project, bind, lambda *_: [step], **options) as nested:
        stand_in.settle(nested.get_context())
        with (
            Operations.context(nested.get_context()),
            runner.guarded(bind, project.engine, project.others),
            nested.begin_transaction(),
        ):
            nested.run_migrations()
    return "".join(f"{piece}\n" for piece in _without_version(project, ran))


def _without_version(project: Project, ran: list[str]) -> list[str]:
    """Leave out what only notes where the database is."""
    table = re.escape(project.version_table)
    note = re.compile(
        rf"(INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE( IF NOT EXISTS)?) \S*{table}\b"
    )
    kept = [one for one in ran if not note.match(one) and not one.startswith(RUNNING)]
    # the transaction around the whole; those within say that something commits in the middle
    return kept[1:-1] if kept[:1] == [BEGIN] and kept[-1] == COMMIT else kept


def _start(project: Environment) -> list[str] | None:
    """Return the revisions to begin at; by asking, the engine learns what kind of server it is."""
    try:
        with project.engine.connect() as connection:
            if project.start is not None:
                return project.start.split(",")
            applied = project.applied(connection)
            upgrade.check(project, connection, applied)
            if former := log.unfinished(connection, project.options.get("version_table_schema")):
                raise journal.of_a_half(project, former)  # what stands would be done once more
            return sorted(applied) or None
    except DBAPIError:
        if project.start is None:
            raise
        # somebody without the server said where to begin: the dialect's defaults must do
        return project.start.split(",")


def print_sql(project: Environment) -> None:
    """Print the SQL on stdout: all of it, or on a failure none. What migrations print goes to stderr."""
    sqlite = project.engine.dialect.name == "sqlite"
    output.take_all_letters("utf-8")  # which is what it says of itself
    sys.stdout.write(_rehearse(project) if sqlite else write(project))
    sys.stdout.flush()


def _rehearse(project: Environment) -> str:
    """Run the revisions on a copy and write down what they did."""
    script: list[str] = []
    pending: list[str] = []
    watched: list[KeyWatch] = []

    def note(statement: str) -> None:
        pending.append(_line(statement))

    def close(step: MigrationInfo, ctx: MigrationContext, **_: object) -> None:
        watched[:] = [foreign_key_check.watch_of(ctx.impl)]
        revision = step.up_revision
        if isinstance(revision, Script):
            script.append(f"-- {revision.revision} {history.title(revision)}\n")
        script.extend(pending)
        pending.clear()

    live = transaction.named(project.engine)
    with _copy(project, live, note) as connection, rehearsal(), redirect_stdout(sys.stderr):
        applied = project.applied(connection)
        _require_start(project, applied)
        upgrade.check(project, connection, applied)
        start = data_checks.at_revisions(
            applied,
            project.version_table,
            inspect(connection).has_table(project.version_table),
            _command(project),
        )
        before = foreign_key_check.broken(connection)
        connection.rollback()
        pending.clear()
        runner.run(
            project,
            connection,
            project.work,
            prints=sys.stderr,
            on_version_apply=close,
            sqlite_portable_sql=True,
        )
        foreign_key_check.require_whole(connection, before, foreign_key_check.broken(connection))
        keys = foreign_key_check.guards(connection, before, watched[0].now() if script else ())
    if not script:
        upgrade.say_nothing_to_do(project, applied)
        return ""
    head = HEAD.format(patience=int(waiting.patience(project.settings) * 1000))
    begin, end = ([f"{one};\n" for one in sql] for sql in ([*start, *keys.start], keys.end))
    return "".join([head, *begin, *script, *end, "COMMIT;\n"])


def _line(statement: str) -> str:
    if statement.startswith("-- "):
        return f"{statement}\n"
    # the semicolon must not end up in a comment
    return f"{statement}\n;\n" if "--" in statement else f"{statement};\n"


def _command(project: Environment) -> str:
    return output.as_typed(f"db {project.moving or 'stamp'} --sql")


def _require_start(project: Environment, applied: set[str]) -> None:
    """Stop when the SQL is asked from a revision at which the database is not."""
    live = ",".join(sorted(applied)) or "base"
    if not project.start or project.start in (live, *applied):
        return
    start = project.script.get_revision(project.start)
    if (start.revision if start else "base") != live:
        raise CommandError(
            f"{project.database} is at {live}, and the SQL was asked from {project.start}: leave the "
            "start out, so that it begins where the database is."
        )


@contextmanager
def _copy(
    project: Project,
    source: AbstractContextManager[sqlite3.Connection | None],
    write: Callable[[str], None],
) -> Iterator[Connection]:
    factory = literals.recorder(write)

    def connect() -> sqlite3.Connection:
        # no name: a database of this connection alone, on disk when it grows
        copy = sqlite3.connect("", factory=factory, check_same_thread=False)
        with source as there:
            if there is not None:
                there.backup(copy)
        sqlite3.Connection.execute(copy, f"DROP TABLE IF EXISTS {LOG_TABLE}")
        return copy

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    with transaction.connect(engine, app=project.engine) as connection:
        yield connection
