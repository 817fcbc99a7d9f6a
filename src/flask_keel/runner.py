"""Runs revisions on any connection, and keeps them on that one.

What migrations do while they run: their operations, their statements, and the lines of the file.
"""

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
    redirect_stdout,
    suppress,
)
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import alembic.context
import alembic.op
from alembic.operations import MigrateOperation, Operations, ops
from alembic.operations.batch import BatchOperationsImpl
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script
from sqlalchemy import (
    DDL,
    Connection,
    Dialect,
    Engine,
    Inspector,
    PrimaryKeyConstraint,
    TableClause,
    inspect,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import CompileError
from sqlalchemy.schema import AddConstraint
from sqlalchemy.sql import ClauseElement, visitors
from sqlalchemy.sql.expression import SelectBase
from sqlalchemy.types import NullType

from . import literals
from .data import rehearsal
from .project import Project, Steps, keep_one_transaction, listening, say_url, use_engine
from .sqlite.introspection import driver
from .typing import Options, Params, SQLType, Value

# What a migration may not leave: its one connection and, on SQLite, its one transaction.


# what SQLite answers to a statement that the authorizer denies: https://www.sqlite.org/rescode.html#auth
DENIED = "not authorized"
OTHERS = "alembic_postgresql_enum"
OWN_CONNECTION = (
    "it opens a connection of its own (db.session, db.engine), which does not see what the migrations do: "
    "use op.get_bind(), or Session(op.get_bind())"
)
OTHER_DATABASE = (
    "it opens a connection to another database of the application, which is the real one in a rehearsal, "
    "too: ask flask_keel.is_rehearsal() first, and do nothing there"
)
LOOKED_AT = ops.DropColumnOp | ops.AlterColumnOp | ops.DropConstraintOp | ops.DropIndexOp
Columns = dict[str, Options]
Invoke = Callable[[MigrateOperation], object]
Batches = Callable[..., AbstractContextManager[Any]]


@dataclass(frozen=True)
class Event:
    """One thing that a migration did.

    :param line: of its file
    :param what: the operation, or a statement of the migration's own
    :param columns: of the operation's table as they were before, where it drops or changes one
    :param dropped: the key or index that it drops, as SQLAlchemy reflects it
    """

    line: int
    what: MigrateOperation | str
    columns: Columns = field(default_factory=dict)
    dropped: Options | None = None


@dataclass
class Recording:
    """What one migration did.

    :param events: its operations, and the statements that no operation stands for
    :param sql: all its statements, those that operations ran too
    :param types: with which its Python reads columns, by table and column
    :param dialect: SQLAlchemy's, of the database on which it did that
    """

    events: list[Event] = field(default_factory=list)
    sql: list[tuple[int, str]] = field(default_factory=list)
    types: dict[tuple[str, str], SQLType] = field(default_factory=dict)
    dialect: Dialect | None = None

    @property
    def did(self) -> Iterator[MigrateOperation | str]:
        """The operations and statements alone."""
        return (event.what for event in self.events)


class Recorder:
    """Stands in for ``alembic.op`` while migrations run, and writes down what some of them do.

    :param revisions: Alembic's ``Script`` of each that is to be written down
    :param looks: whether to look, before an operation runs, at what it changes
    :param runs: whether operations are carried out, and not only written down
    """

    def __init__(self, revisions: Iterable[Script], looks: bool = True, runs: bool = True) -> None:
        self.looks, self.runs, self.silent, self.depth = looks, runs, False, 0
        self.recordings: dict[str, Recording] = {}
        self.paths: dict[str, Recording] = {}
        for revision in revisions:
            recording = self.recordings[revision.revision] = Recording()
            # the path by which its running code is known
            path = getattr(revision.module, "__file__", None) or Path(revision.path)
            self.paths[str(path)] = recording

    @contextmanager
    def recording(self, context: MigrationContext) -> Iterator[None]:
        """Record what runs inside.

        :param context: Alembic's ``MigrationContext``
        """
        for recording in self.recordings.values():
            recording.dialect = context.dialect
        # not a subclass: alembic.op stands for Operations itself
        operations: Any = Operations(context)  # two of its methods give way to ours
        connection = context.connection
        assert connection is not None
        operations.invoke = self._noting(connection, operations.invoke, inside=True)
        operations.batch_alter_table = self._batches(connection, operations.batch_alter_table)
        operations._install_proxy()
        try:
            with self._listening(connection):
                yield
        finally:
            operations._remove_proxy()

    def _listening(self, connection: Connection) -> AbstractContextManager[None]:
        if not isinstance(
            connection, Connection
        ):  # what stands for one says itself what it is given
            return nullcontext()
        run, read = self._statement, self._read
        return listening(connection, before_cursor_execute=run, before_execute=read)

    def note(self, statement: str) -> None:
        """Write down a statement of the migration's own, which nothing ran."""
        if found := self._place():
            recording, line = found
            recording.sql.append((line, statement))
            recording.events.append(Event(line, statement))

    def _noting(self, connection: Connection, invoke: Invoke, inside: bool) -> Invoke:
        def noted(operation: MigrateOperation) -> object:
            # what op.execute runs is the migration's own; what the others run, they stand for
            if isinstance(operation, ops.ExecuteSQLOp):
                if self.runs:
                    return invoke(operation)
                self._only_said(connection, operation)
                return None
            if found := self._place():
                recording, line = found
                recording.events.append(
                    Event(line, operation, *self._before(connection, operation))
                )
            if not self.runs:
                return operation.to_table() if isinstance(operation, ops.CreateTableOp) else None
            if not inside:
                return invoke(operation)
            with self._inside():
                return invoke(operation)

        return noted

    def _batches(self, connection: Connection, batch_alter_table: Batches) -> Batches:
        @contextmanager
        def recorded(*arguments: Value, **keywords: Value) -> Iterator[Any]:
            manager = batch_alter_table(*arguments, **keywords)
            batch = manager.__enter__()
            batch.invoke = self._noting(connection, batch.invoke, inside=False)
            if not self.runs:
                yield batch
                return
            try:
                yield batch
            except BaseException as error:
                if not manager.__exit__(type(error), error, error.__traceback__):
                    raise
            else:
                with self._inside():  # here it runs what it has gathered
                    manager.__exit__(None, None, None)

        return recorded

    def _only_said(self, connection: Connection, operation: ops.ExecuteSQLOp) -> None:
        said: Any = operation.sqltext
        said = text(said) if isinstance(said, str) else said
        dialect = literals.dialect(connection.dialect)
        try:
            said = said.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        except CompileError:  # a value that is no literal
            said = said.compile(dialect=dialect)
        self.note(str(said))

    def _before(
        self, connection: Connection, operation: MigrateOperation
    ) -> tuple[Columns, Options | None]:
        """Return the columns by which a change can be judged, and the key or index that goes."""
        if not self.looks or not isinstance(operation, LOOKED_AT) or not operation.table_name:
            return {}, None
        self.silent = True
        try:
            if not self.runs and not inspect(connection).has_table(operation.table_name):
                return {}, None  # it would have been made by now
            return _columns(connection, operation), _dropped(connection, operation)
        finally:
            self.silent = False

    def _statement(
        self, connection: Connection, _cursor: object, statement: str, *_more: object
    ) -> None:
        if "format" in connection.dialect.paramstyle:
            statement = statement.replace("%%", "%")  # doubled for the driver
        if not self.silent and (found := self._place(others=False)):
            recording, line = found
            recording.sql.append((line, statement))
            if not self.depth:
                recording.events.append(Event(line, statement))

    def _read(self, _connection: object, statement: object, *_more: object) -> None:
        if self.silent or self.depth or not isinstance(statement, SelectBase):
            return
        if found := self._place():
            found[0].types.update(_types(statement))

    def _place(self, others: bool = True) -> tuple[Recording, int] | None:
        """Return the recording and the line of the migration that is running: it is on the stack.

        :param others: whether another library may run it; such statements nobody has written
        """
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if not others and frame.f_globals.get("__name__", "").startswith(OTHERS):
                return None
            recording = self.paths.get(frame.f_code.co_filename)
            if recording is not None:
                return recording, frame.f_lineno
            frame = frame.f_back
        return None

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1


def _columns(connection: Connection, operation: MigrateOperation) -> Columns:
    if not isinstance(operation, ops.DropColumnOp | ops.AlterColumnOp):
        return {}
    look, table = inspect(connection), operation.table_name
    columns = look.get_columns(table, schema=operation.schema)
    for column in columns:
        literals.read_enum(look, table, column)
    return {column["name"]: dict(column) for column in columns}


def _dropped(connection: Connection, operation: MigrateOperation) -> Options | None:
    """Return the foreign key, the unique key or the index that goes."""
    if not isinstance(operation, ops.DropConstraintOp | ops.DropIndexOp):
        return None
    name = getattr(operation, "constraint_name", None) or getattr(operation, "index_name", None)
    table, schema, look = operation.table_name, operation.schema, inspect(connection)
    if name is None or not table or not look.has_table(table, schema):
        return None
    found: list[Options] = [
        *map(dict, look.get_foreign_keys(table, schema)),
        *map(dict, look.get_unique_constraints(table, schema)),
        *(dict(index) for index in look.get_indexes(table, schema) if index["unique"]),
    ]
    return next((item for item in found if item["name"] == name), None)


def _types(statement: ClauseElement) -> Iterator[tuple[tuple[str, str], SQLType]]:
    """The types of the columns of all tables that a statement is made of."""
    for part in visitors.iterate(statement):
        if isinstance(part, TableClause):
            schema = f"{part.schema}." if part.schema else ""
            for column in part.columns:
                if not isinstance(column.type, NullType):
                    yield (schema + part.name, column.name), column.type


class Refused(Exception):
    """A migration does what cannot be undone or would not be seen: words for the sentence."""


@contextmanager
def _inspected(connection: Connection, engines: set[Engine], thread: int) -> Iterator[None]:
    """Let an inspector of one of the engines, which only reads, look through ``connection``: what
    the migration has done so far is seen there, as ``sa.inspect(op.get_bind().engine)`` means it."""
    original = Inspector._init_engine

    def init(self: Inspector, engine: Engine) -> None:
        borrowed = engine in engines and threading.get_ident() == thread
        if borrowed:
            self._init_connection(connection)
        else:
            original(self, engine)

    Inspector._init_engine = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        Inspector._init_engine = original  # type: ignore[method-assign]


@contextmanager
def guarded(
    connection: Connection, live: Engine, others: Iterable[Engine] = (), alone: bool = False
) -> Iterator[None]:
    """Keep the migrations that run inside on ``connection``, and on SQLite inside its transaction.

    A second connection does not see what the first has done, and waits for it for ever; from a
    rehearsal it would reach the live database.

    :param live: the application's engine
    :param others: those of its other databases, which a rehearsal must not reach
    :param alone: we open no second connection ourselves, as we do on SQLite anyhow
    :raises Refused: out of the migration, when it opens another connection
    """
    sqlite = connection.dialect.name == "sqlite" and isinstance(connection, Connection)
    engines = {live, connection.engine} if sqlite or alone else {live} - {connection.engine}
    thread = threading.get_ident()

    def refusing(words: str, targets: Iterable[Engine]) -> AbstractContextManager[None]:
        def refuse(*_: object) -> None:
            if threading.get_ident() == thread:  # the application may serve in others
                raise Refused(words)

        return listening(*targets, do_connect=refuse, engine_connect=refuse)

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
            refusing(OWN_CONNECTION, engines),
            refusing(OTHER_DATABASE, others),
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
    if recorder and project.online and not connection.info.get("attempt"):
        from . import zero_downtime  # noqa: F401  (registers itself)

        options["zero_downtime"] = True
    with environment(project, connection, steps, prints, **options) as nested:
        context = nested.get_context()
        with (
            nested.begin_transaction(),
            guarded(connection, project.engine, project.others),
            recorder.recording(context) if recorder else Operations.context(context),
            _at_once(context) if connection.info.get("attempt") else nullcontext(),
        ):
            context.run_migrations()
        if watch := getattr(context.impl, "key_watch", None):
            watch.close()  # what the connection does from here on is no migration's


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
    before = project.config.get_main_option("sqlalchemy.url")
    say_url(project.config, connection.engine)
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
        if before is not None:
            project.config.set_main_option("sqlalchemy.url", before.replace("%", "%%"))
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
