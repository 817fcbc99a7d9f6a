"""What migrations do while they run: their operations, their statements, and the lines of the file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.operations import MigrateOperation, Operations, ops
from sqlalchemy import Connection, TableClause, event, inspect
from sqlalchemy.sql import ClauseElement, visitors
from sqlalchemy.sql.expression import SelectBase
from sqlalchemy.types import NullType, TypeEngine

# What a migration did while it ran: its operations and its own statements, in order.


@dataclass
class Journal:
    """What a migration did.

    ``events`` holds Alembic's operations and, as text, the statements that no operation stands for;
    ``types`` the types with which its Python reads columns, by table and column.
    """

    events: list[MigrateOperation | str] = field(default_factory=list)
    types: dict[tuple[str, str], TypeEngine] = field(default_factory=dict)
    depth: int = 0

    @property
    def statements(self) -> list[str]:
        return [entry for entry in self.events if isinstance(entry, str)]

    @contextmanager
    def listening(self, connection: Connection) -> Iterator[None]:
        """Note the statements that are run meanwhile."""

        def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            if not self.depth:
                self.events.append(statement)

        def read(_connection: Any, statement: Any, *_more: Any) -> None:
            if not self.depth and isinstance(statement, SelectBase):
                self.types.update(_types(statement))

        event.listen(connection, "before_cursor_execute", note)
        event.listen(connection, "before_execute", read)
        try:
            yield
        finally:
            event.remove(connection, "before_cursor_execute", note)
            event.remove(connection, "before_execute", read)


def _types(statement: ClauseElement) -> Iterator[tuple[tuple[str, str], TypeEngine]]:
    """The types of the columns of all tables that a statement is made of."""
    for part in visitors.iterate(statement):
        if isinstance(part, TableClause):
            schema = f"{part.schema}." if part.schema else ""
            for column in part.columns:
                if not isinstance(column.type, NullType):
                    yield (schema + part.name, column.name), column.type


class JournalOperations(Operations):
    """``op``, as a migration sees it, with a journal kept."""

    def __init__(self, context: Any, journal: Journal) -> None:
        super().__init__(context)
        self.journal = journal

    def invoke(self, operation: MigrateOperation) -> Any:
        # what op.execute runs is the migration's own; what the others run, they stand for
        if isinstance(operation, ops.ExecuteSQLOp):
            return super().invoke(operation)
        self.journal.events.append(operation)
        with self._inside():
            return super().invoke(operation)

    @contextmanager
    def batch_alter_table(self, *arguments: Any, **keywords: Any) -> Iterator[Any]:
        manager = super().batch_alter_table(*arguments, **keywords)
        batch = manager.__enter__()
        invoke = batch.invoke

        def noted(operation: MigrateOperation) -> Any:
            self.journal.events.append(operation)
            return invoke(operation)

        batch.invoke = noted
        try:
            yield batch
        except BaseException as error:
            if not manager.__exit__(type(error), error, error.__traceback__):
                raise
        else:
            with self._inside():
                manager.__exit__(None, None, None)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self.journal.depth += 1
        try:
            yield
        finally:
            self.journal.depth -= 1


# Alembic looks up by the very class which modules (alembic.op) stand for an instance
JournalOperations._setups[JournalOperations] = Operations._setups[Operations]


OTHERS = "alembic_postgresql_enum"
Columns = dict[str, dict[str, Any]]


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
    dropped: dict[str, Any] | None = None


@dataclass
class Recording:
    """What one migration did: ``events``, and ``sql`` with the statements that operations ran too."""

    events: list[Event] = field(default_factory=list)
    sql: list[tuple[int, str]] = field(default_factory=list)


class Recorder:
    """Stands in for ``alembic.op`` while migrations run, and writes down what those of ``paths`` do.

    :param paths: the files of the migrations to record
    """

    def __init__(self, paths: set[str]) -> None:
        self.recordings = {path: Recording() for path in paths}
        self.depth = 0

    @contextmanager
    def recording(self, context: Any) -> Iterator[None]:
        """Record what runs inside.

        :param context: Alembic's ``MigrationContext``
        """
        connection = context.connection
        # not a subclass: alembic.op stands for Operations itself
        operations: Any = Operations(context)
        operations.invoke = self._noting(connection, operations.invoke, inside=True)
        operations.batch_alter_table = self._batches(connection, operations.batch_alter_table)

        def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            self._statement(statement)

        operations._install_proxy()
        event.listen(connection, "before_cursor_execute", note)
        try:
            yield
        finally:
            event.remove(connection, "before_cursor_execute", note)
            operations._remove_proxy()

    def _noting(self, connection: Connection, invoke: Callable[..., Any], inside: bool) -> Any:
        def noted(operation: MigrateOperation) -> Any:
            # what op.execute runs is the migration's own; what the others run, they stand for
            if isinstance(operation, ops.ExecuteSQLOp):
                return invoke(operation)
            found = self._place()
            if found is not None:
                recording, line = found
                before = self._columns(connection, operation), self._dropped(connection, operation)
                recording.events.append(Event(line, operation, *before))
            if not inside:
                return invoke(operation)
            with self._inside():
                return invoke(operation)

        return noted

    def _batches(self, connection: Connection, batch_alter_table: Callable[..., Any]) -> Any:
        @contextmanager
        def recorded(*arguments: Any, **keywords: Any) -> Iterator[Any]:
            manager = batch_alter_table(*arguments, **keywords)
            batch = manager.__enter__()
            batch.invoke = self._noting(connection, batch.invoke, inside=False)
            try:
                yield batch
            except BaseException as error:
                if not manager.__exit__(type(error), error, error.__traceback__):
                    raise
            else:
                with self._inside():  # here it runs what it has gathered
                    manager.__exit__(None, None, None)

        return recorded

    def _columns(self, connection: Connection, operation: Any) -> Columns:
        """Return the columns of the table as they are, by which a change can be judged."""
        if not isinstance(operation, ops.DropColumnOp | ops.AlterColumnOp):
            return {}
        with self._inside(), self._silently():
            look = inspect(connection)
            columns = look.get_columns(operation.table_name, schema=operation.schema)
        return {column["name"]: column for column in columns}

    def _dropped(self, connection: Connection, operation: Any) -> dict[str, Any] | None:
        """Return the foreign key, the unique key or the index that goes."""
        if not isinstance(operation, ops.DropConstraintOp | ops.DropIndexOp):
            return None
        name = getattr(operation, "constraint_name", None) or getattr(operation, "index_name", None)
        place = (operation.table_name, operation.schema)
        with self._inside(), self._silently():
            look = inspect(connection)
            if name is None or not place[0] or not look.has_table(*place):
                return None
            found = [*look.get_foreign_keys(*place), *look.get_unique_constraints(*place)]
            found += [index for index in look.get_indexes(*place) if index["unique"]]
            return next((dict(item) for item in found if item["name"] == name), None)

    def _statement(self, statement: str) -> None:
        found = self._place() if not self.silent else None
        if found is not None:
            recording, line = found
            recording.sql.append((line, statement))
            if not self.depth:
                recording.events.append(Event(line, statement))

    def _place(self) -> tuple[Recording, int] | None:
        """Return the recording and the line of the migration that is running: it is on the stack.

        What another library's operation runs is nobody's: nobody has written it.
        """
        frame: Any = sys._getframe(1)
        while frame is not None:
            if frame.f_globals.get("__name__", "").startswith(OTHERS):
                return None
            recording = self.recordings.get(frame.f_code.co_filename)
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

    silent = False

    @contextmanager
    def _silently(self) -> Iterator[None]:
        self.silent = True
        try:
            yield
        finally:
            self.silent = False


def path_of(revision: Any) -> str:
    """Return the path by which the running code of a revision is known."""
    return str(getattr(revision.module, "__file__", None) or Path(revision.path))
