"""What a migration did while it ran: its operations and its own statements, in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import MigrateOperation, Operations, ops
from sqlalchemy import Connection, TableClause, event
from sqlalchemy.sql import ClauseElement, visitors
from sqlalchemy.sql.expression import SelectBase
from sqlalchemy.types import NullType, TypeEngine


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


class Recorder(Operations):
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
Recorder._setups[Recorder] = Operations._setups[Operations]
