"""Alembic's operations on PostgreSQL, where ``ZERO_DOWNTIME`` is on: each in its safe form.

Imported, it takes the place of Alembic's own class, and does as that does for every migration context
without the option ``zero_downtime``.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from alembic.ddl.base import AddColumn, AlterTable
from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy import Connection, CursorResult, ForeignKey, Insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, DropIndex, DropTable

from .. import data
from ..data import JOURNAL
from ..typing import Value
from .forms import Forms
from .sequence import Journal, Rehearsed, Step

Key = tuple[str | None, str]


class OnlineImpl(PostgresqlImpl):
    """Alembic's implementation for PostgreSQL; it registers itself by its ``__dialect__``.

    Options of the migration context that it reads: ``zero_downtime`` (True: safe forms).
    """

    __dialect__ = "postgresql"

    def __init__(self, *arguments: Value, **keywords: Value) -> None:
        super().__init__(*arguments, **keywords)
        self._made: set[Key] = set()  # tables of this run, which nobody else uses yet

    def _journal(self) -> Journal | None:
        """Who notes the steps; None where nobody does."""
        if self.as_sql or self.connection is None or not self.context_opts.get("zero_downtime"):
            return None
        return self.context_opts.get(JOURNAL) or Rehearsed(self.connection)

    def _exec(
        self,
        construct: Value,
        execution_options: Mapping[str, Value] | None = None,
        multiparams: Sequence[Mapping[str, Value]] | None = None,
        params: Mapping[str, Value] = {},
    ) -> "CursorResult[Value] | None":
        plain = partial(super()._exec, construct, execution_options, multiparams, params)
        journal = self._journal()
        if journal is None:
            return plain()
        assert self.connection is not None
        if self._is_unfelt(construct, self.connection):
            with journal.unfelt():
                return plain()
        safe = CreateIndex | DropIndex | AddConstraint | AlterTable
        if not journal.online or not isinstance(construct, safe):
            return plain()
        asked = str(construct.compile(dialect=self.dialect))
        done = journal.met(asked)
        if done is None:
            return None
        half = bool(done) or journal.is_sent(asked, 1)
        steps = Forms(self.connection, construct, half).steps()
        if not steps:
            return plain()
        self._run(journal, self.connection, construct, asked, steps, done)
        return None

    def _run(
        self,
        journal: Journal,
        connection: Connection,
        construct: Value,
        asked: str,
        steps: list[Step],
        done: int,
    ) -> None:
        for number, step in enumerate(steps[done:], done + 1):
            last = number == len(steps)
            try:
                with journal.step(asked, None if last else number, step.outside):
                    if step.run is not None:
                        step.run()
                    else:
                        connection.exec_driver_sql(step.sql)
            except DBAPIError as error:
                if data.advice(error) == data.ROWS:
                    undo = [one.undo for one in steps[: number - 1] if one.undo]
                    journal.take_back(undo[::-1], number - 1)
                    data.explain(error, connection, construct)
                raise

    def _is_unfelt(self, construct: Value, connection: Connection) -> bool:
        """Whether only tables that this run has made are locked."""
        if isinstance(construct, CreateTable):
            table = construct.element
            there = construct.if_not_exists and Forms(connection, None).kind(
                self.dialect.identifier_preparer.format_table(table)
            )
            if there:
                return False
            self._made.add((table.schema, table.name))
            return all(map(self._refers_to_made, table.foreign_keys))
        key = _table_of(construct)
        if key is None or key not in self._made:
            return False
        if isinstance(construct, AddConstraint):
            return all(map(self._refers_to_made, getattr(construct.element, "elements", ())))
        if isinstance(construct, DropTable):
            self._made.discard(key)
        return not (isinstance(construct, AddColumn) and construct.column.foreign_keys)

    def _refers_to_made(self, key: ForeignKey) -> bool:
        *schema, table, _ = key.target_fullname.split(".")
        return (".".join(schema) or None, table) in self._made

    def rename_table(
        self, old_table_name: str, new_table_name: Value, schema: Value = None
    ) -> None:
        super().rename_table(old_table_name, new_table_name, schema=schema)
        if (schema, old_table_name) in self._made:
            self._made.discard((schema, old_table_name))
            self._made.add((schema, str(new_table_name)))


def _table_of(construct: Value) -> Key | None:
    if isinstance(construct, AlterTable):
        return (construct.schema, str(construct.table_name))
    if isinstance(construct, Insert):
        table: Value = construct.table
    elif isinstance(construct, DropTable):
        table = construct.element
    else:
        table = getattr(getattr(construct, "element", None), "table", None)
    return None if table is None else (getattr(table, "schema", None), table.name)
