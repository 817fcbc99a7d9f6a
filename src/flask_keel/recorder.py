"""What migrations do while they run: their operations, their statements, and the lines of the file."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from alembic.operations import MigrateOperation, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Connection, Dialect, TableClause, inspect
from sqlalchemy.exc import CompileError
from sqlalchemy.sql import ClauseElement, visitors
from sqlalchemy.sql.expression import SelectBase
from sqlalchemy.types import NullType

from . import literals
from .project import listening
from .typing import Options, SQLType, Value

OTHERS = "alembic_postgresql_enum"
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
            run, read = self._statement, self._read
            with listening(context.connection, before_cursor_execute=run, before_execute=read):
                yield
        finally:
            operations._remove_proxy()

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
        if not isinstance(said, str):
            dialect = literals.dialect(connection.dialect)
            try:
                said = str(said.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
            except CompileError:  # a value that is no literal
                said = str(said.compile(dialect=dialect))
        if found := self._place():
            recording, line = found
            recording.sql.append((line, said))
            recording.events.append(Event(line, said))

    def _before(
        self, connection: Connection, operation: MigrateOperation
    ) -> tuple[Columns, Options | None]:
        """Return the columns by which a change can be judged, and the key or index that goes."""
        if not self.looks:
            return {}, None
        self.silent = True
        try:
            return _columns(connection, operation), _dropped(connection, operation)
        finally:
            self.silent = False

    def _statement(
        self, _connection: object, _cursor: object, statement: str, *_more: object
    ) -> None:
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
