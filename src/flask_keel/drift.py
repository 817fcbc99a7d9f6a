"""Was the database changed behind the history's back? Asked where no scratch database may be made."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import BatchOperations, MigrateOperation, Operations, ops
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from . import history, messages
from .rehearsal import rehearsal
from .seam import AHEAD_TABLE, Seam

DDL = re.compile(r"\b(create|alter|drop|rename)\b.*?\b(table|column)\b", re.IGNORECASE | re.DOTALL)

Tables = dict[tuple[str | None, str], set[str]]


class Unknown(Exception):
    """What the history makes cannot be told from its operations alone."""


class _Recorder:
    """Runs the history against nothing and keeps the tables and columns that it would make."""

    def __init__(self, context: MigrationContext) -> None:
        self.tables: Tables = {}
        # not a subclass: alembic.op stands for Operations itself
        self.operations: Any = Operations(context)
        self.operations.invoke = self.invoke
        self.operations.batch_alter_table = self.batch_alter_table

    def invoke(self, operation: MigrateOperation) -> Any:
        tables = self.tables
        name = getattr(operation, "table_name", None)
        key = (getattr(operation, "schema", None), name)
        match operation:
            case ops.CreateTableOp():
                table = operation.to_table()
                tables[key] = {column.name for column in table.columns}
                return table
            case ops.DropTableOp():
                tables.pop(key, None)
            case ops.RenameTableOp():
                tables[(operation.schema, operation.new_table_name)] = tables.pop(key, set())
            case ops.AddColumnOp():
                tables.setdefault(key, set()).add(operation.column.name)
            case ops.DropColumnOp():
                tables.setdefault(key, set()).discard(operation.column_name)
            case ops.AlterColumnOp() if operation.modify_name:
                columns = tables.setdefault(key, set())
                columns.discard(operation.column_name)
                columns.add(operation.modify_name)
            case ops.ExecuteSQLOp() if DDL.search(str(operation.sqltext)):
                raise Unknown("a migration changes tables in SQL of its own")
        return None

    @contextmanager
    def batch_alter_table(
        self, table_name: str, schema: str | None = None, **_: Any
    ) -> Iterator[BatchOperations]:
        impl: Any = SimpleNamespace(table_name=table_name, schema=schema)
        batch = BatchOperations(self.operations.migration_context, impl=impl)
        batch.invoke = self.invoke  # type: ignore[method-assign]
        yield batch


def require_none(seam: Seam, connection: Connection, grant: str) -> Tables | None:
    """Stop when the database is not at the head, or its tables and columns are not the history's.

    Names are compared, not types: that is what can be told without a second database.

    :param grant: the SQL that would allow a scratch database, for the sentence; "" for none
    :returns: the history's tables; None when they cannot be told
    :raises CommandError: naming the differences
    """
    if inspect(connection).has_table(AHEAD_TABLE):
        raise CommandError(messages.AHEAD.format(database=seam.database))
    if history.applied(connection) != set(seam.script.get_heads()):
        raise CommandError(messages.NOT_AT_HEAD.format(database=seam.database))
    try:
        expected = _expected(seam)
    except Exception as error:
        messages.say(messages.DRIFT_UNKNOWN, database=seam.database, reason=error)
        return None
    differences = list(_differences(expected, _live(connection, expected)))
    if differences:
        instead = messages.DRIFT_INSTEAD.format(grant=grant) if grant else ""
        raise CommandError(
            messages.DRIFT.format(
                database=seam.database, differences="; ".join(differences), instead=instead
            )
        )
    return expected


def _expected(seam: Seam) -> Tables:
    context = MigrationContext.configure(
        dialect_name=seam.engine.dialect.name, opts={"as_sql": True, "output_buffer": StringIO()}
    )
    recorder = _Recorder(context)
    recorder.operations._install_proxy()
    try:
        with rehearsal():
            for revision in reversed(list(seam.script.walk_revisions())):
                revision.module.upgrade()
    finally:
        recorder.operations._remove_proxy()
    return recorder.tables


def _live(connection: Connection, expected: Tables) -> Tables:
    look = inspect(connection)
    there = look.get_schema_names()
    found = {
        (schema, name)
        for schema in {schema for schema, _ in expected}
        if schema is None or schema in there
        for name in look.get_table_names(schema)
    }
    return {
        (schema, name): {column["name"] for column in look.get_columns(name, schema)}
        for schema, name in found & set(expected)
    }


def _differences(expected: Tables, live: Tables) -> Iterator[str]:
    for key, columns in sorted(expected.items(), key=lambda item: (item[0][0] or "", item[0][1])):
        table = ".".join(filter(None, key))
        if key not in live:
            yield f"the table {table} is missing"
            continue
        for column in sorted(columns - live[key]):
            yield f"{table}.{column} is missing"
        for column in sorted(live[key] - columns):
            yield f"{table}.{column} was added"
