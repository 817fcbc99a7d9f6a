"""Runs revisions on any connection, and keeps them on that one."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from io import StringIO
from typing import Any, TextIO

import alembic.context
import alembic.op
from alembic.operations import Operations
from alembic.operations.batch import BatchOperationsImpl
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script
from sqlalchemy import DDL, Connection, Engine, Inspector, PrimaryKeyConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import AddConstraint

from .data import rehearsal
from .project import Project, Steps, keep_one_transaction, listening, use_engine
from .recorder import Recorder
from .sqlite.introspection import driver
from .typing import Params, Value

# What a migration may not leave: its one connection and, on SQLite, its one transaction.


# what SQLite answers to a statement that the authorizer denies: https://www.sqlite.org/rescode.html#auth
DENIED = "not authorized"


class Refused(Exception):
    """A migration does what cannot be undone or would not be seen: words for the sentence."""


@contextmanager
def _inspected(connection: Connection, engines: set[Engine], thread: int) -> Iterator[None]:
    """Let an inspector of one of the engines, which only reads, look through ``connection``: what
    the migration has done so far is seen there, as ``sa.inspect(op.get_bind().engine)`` means it."""
    original = Inspector._init_engine

    def init(self: Inspector, engine: Engine) -> None:
        lent = engine in engines and threading.get_ident() == thread
        if lent:
            self._init_connection(connection)
        else:
            original(self, engine)

    Inspector._init_engine = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        Inspector._init_engine = original  # type: ignore[method-assign]


@contextmanager
def guarded(connection: Connection, live: Engine) -> Iterator[None]:
    """Keep the migrations that run inside on ``connection``, and on SQLite inside its transaction.

    A second connection does not see what the first has done, and waits for it for ever; from a
    rehearsal it would reach the live database.

    :param live: the application's engine
    :raises Refused: out of the migration, when it opens another connection
    """
    sqlite = connection.dialect.name == "sqlite"
    engines = {live, connection.engine} if sqlite else {live} - {connection.engine}
    thread = threading.get_ident()

    def refuse(*_: object) -> None:
        if threading.get_ident() == thread:  # the application may serve in others
            raise Refused(
                "it opens a connection of its own (db.session, db.engine), which does not see what "
                "the migrations do: use op.get_bind(), or Session(op.get_bind())"
            )

    denied: list[int] = []

    def authorize(action: int, *_: object) -> int:
        # commit, rollback, BEGIN, and executescript, which commits first; savepoints are another action
        if action != sqlite3.SQLITE_TRANSACTION:
            return sqlite3.SQLITE_OK
        denied.append(action)
        return sqlite3.SQLITE_DENY

    if sqlite:
        raw = driver(connection.connection)
        raw.set_authorizer(authorize)
    try:
        with (
            listening(*engines, do_connect=refuse, engine_connect=refuse),
            _inspected(connection, engines, thread),
        ):
            yield
    except Exception as error:
        if DENIED in str(error) and not denied:
            # Ctrl-C came while SQLite asked, and it takes any exception for a no
            raise KeyboardInterrupt from error
        raise
    finally:
        if sqlite:
            with suppress(sqlite3.ProgrammingError):  # after Ctrl-C SQLAlchemy has closed it
                raw.set_authorizer(None)


# Revisions run on another database than the application's, in an environment of their own.


def upgrade(
    project: Project, connection: Connection, revision: Script, recorder: Recorder | None = None
) -> None:
    """Run one revision's ``upgrade()``.

    :param revision: an Alembic ``Script``
    """
    step = MigrationStep.upgrade_from_script(project.script.revision_map, revision)
    run(project, connection, lambda applied, context: [step], recorder)


def downgrade(
    project: Project, connection: Connection, revision: Script, recorder: Recorder | None = None
) -> None:
    """Run one revision's ``downgrade()``."""
    step = MigrationStep.downgrade_from_script(project.script.revision_map, revision)

    def steps(applied: object, context: object) -> list[MigrationStep]:
        return [step]

    steps.__name__ = "downgrade"  # as the command's own has it: the engine asks
    run(project, connection, steps, recorder)


def run(
    project: Project,
    connection: Connection,
    steps: Steps,
    recorder: Recorder | None = None,
    prints: TextIO | None = None,
    **options: Value,
) -> None:
    """Run revisions, as a rehearsal; where that is inside a run of env.py, leave it as it was.

    :param connection: to a database that is not the application's
    :param steps: yields them, as Alembic's commands do
    :param recorder: writes down what they do
    :param prints: where they print; nowhere, since they print when they run for good
    :param options: more for ``configure``
    """
    with environment(project, connection, steps, prints, **options) as nested:
        context = nested.get_context()
        with (
            nested.begin_transaction(),
            guarded(connection, project.engine),
            recorder.recording(context) if recorder else Operations.context(context),
            _at_once(context) if connection.info.get("attempt") else nullcontext(),
        ):
            context.run_migrations()


@contextmanager
def environment(
    project: Project,
    connection: Connection,
    steps: Steps,
    prints: TextIO | None = None,
    **options: Value,
) -> Iterator[EnvironmentContext]:
    """Give an environment for a rehearsal, nested where one is there: migrations may use
    ``alembic.context`` themselves."""
    sqlite = connection.dialect.name == "sqlite"
    use_engine(connection)
    options = {
        "transactional_ddl": True if sqlite else None,
        "transaction_per_migration": not sqlite,
        **project.for_a_rehearsal,
        **options,
    }
    outer = [getattr(module, "_proxy", None) for module in (alembic.context, alembic.op)]
    try:
        with (
            EnvironmentContext(
                project.config, project.script, fn=project.named_as_adopted(steps)
            ) as nested,
            rehearsal(),
            redirect_stdout(prints or StringIO()),
        ):
            nested.configure(connection=connection, target_metadata=project.metadata, **options)
            keep_one_transaction(nested.get_context())
            yield nested
    finally:
        for proxy in outer:
            if proxy is not None:
                proxy._install_proxy()


@contextmanager
def _at_once(context: MigrationContext) -> Iterator[None]:
    """Keep in one transaction, which is to be rolled back, what cannot be in one: CONCURRENTLY."""
    context.autocommit_block = nullcontext  # type: ignore[method-assign, assignment]

    def without(
        _: object, cursor: object, sql: str, parameters: Params, *more: object
    ) -> tuple[str, Params]:
        return sql.replace(" CONCURRENTLY", ""), parameters

    with listening(context.connection, retval=True, before_cursor_execute=without):
        yield


# MySQL commits each ALTER TABLE by itself: a key that is dropped and made again is one, so that rows
# which the new key does not take leave the table with the old one.

# an operation in a batch of Alembic's, its arguments and its keywords
Asked = tuple[str, tuple[Any, ...], dict[str, Any]]


def with_key_at_once(asked: list[Asked]) -> list[Asked]:
    """Join DROP and ADD PRIMARY KEY, where what is between them does not have to stay there."""
    keys = [
        place
        for place, (name, arguments, _) in enumerate(asked)
        if name in ("drop_constraint", "add_constraint")
        and isinstance(arguments[0], PrimaryKeyConstraint)
    ]
    if [asked[place][0] for place in keys] != ["drop_constraint", "add_constraint"]:
        return asked
    drop, add = keys
    made = asked[add][1][0]
    columns = {column.name for column in made.columns}
    between = asked[drop + 1 : add]
    first = [op for op in between if _column_of(op) in columns]
    rest = [op for op in between if op not in first]
    if any(_column_of(op) is None for op in rest) and first:
        return asked  # an index or another constraint may need the one before the other
    joined: Asked = ("_exec", (_replace_key(made),), {})
    return [*asked[:drop], *first, joined, *rest, *asked[add + 1 :]]


def _column_of(op: Asked) -> str | None:
    """The column that an operation adds, changes or drops."""
    name, arguments, _ = op
    if name == "alter_column":
        return str(arguments[1])
    return str(arguments[1].name) if name in ("add_column", "drop_column") else None


def _replace_key(made: PrimaryKeyConstraint) -> DDL:
    dialect = mysql.dialect()
    add = str(AddConstraint(made).compile(dialect=dialect))
    table = f"ALTER TABLE {dialect.identifier_preparer.format_table(made.table)} "
    said = table + "DROP PRIMARY KEY, " + add.removeprefix(table)
    return DDL(said.replace("%", "%%"))  # type: ignore[no-untyped-call]


def _join_keys() -> None:
    original = BatchOperationsImpl.flush

    def flush(self: BatchOperationsImpl) -> None:
        if self.impl.dialect.name in ("mysql", "mariadb"):
            self.batch = with_key_at_once(self.batch)
        return original(self)

    BatchOperationsImpl.flush = flush  # type: ignore[method-assign]


_join_keys()
