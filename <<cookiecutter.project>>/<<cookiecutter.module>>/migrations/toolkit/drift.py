"""Was the database changed behind the history's back? Asked where no scratch database may be made."""

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import MigrateOperation, Operations, ops
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from . import history, messages
from .seam import AHEAD_TABLE, Seam

DDL = re.compile(r"\b(create|alter|drop|rename)\b.*?\b(table|column)\b", re.IGNORECASE | re.DOTALL)


class Unknown(Exception):
    """What the history makes cannot be told from its operations alone."""


class _Recorder(Operations):
    """Runs the history against nothing and keeps the tables and columns that it would make."""

    def __init__(self, context: MigrationContext) -> None:
        super().__init__(context)
        self.tables: dict[str, set[str]] = {}

    def invoke(self, operation: MigrateOperation) -> Any:
        tables = self.tables
        match operation:
            case ops.CreateTableOp():
                table = operation.to_table()
                tables[operation.table_name] = {column.name for column in table.columns}
                return table
            case ops.DropTableOp():
                tables.pop(operation.table_name, None)
            case ops.RenameTableOp():
                tables[operation.new_table_name] = tables.pop(operation.table_name, set())
            case ops.AddColumnOp():
                tables.setdefault(operation.table_name, set()).add(operation.column.name)
            case ops.DropColumnOp():
                tables.setdefault(operation.table_name, set()).discard(operation.column_name)
            case ops.AlterColumnOp() if operation.modify_name:
                columns = tables.setdefault(operation.table_name, set())
                columns.discard(operation.column_name)
                columns.add(operation.modify_name)
            case ops.ExecuteSQLOp() if DDL.search(str(operation.sqltext)):
                raise Unknown("a migration changes tables in SQL of its own")
        return None


def require_none(seam: Seam, connection: Connection, grant: str) -> None:
    """Stop when the database is not at the head, or its tables and columns are not the history's.

    Names are compared, not types: that is what can be told without a second database.

    :param grant: the SQL that would allow a scratch database, for the sentence
    :raises CommandError: naming the differences
    """
    if history.applied(connection) != set(seam.script.get_heads()):
        raise CommandError(messages.NOT_AT_HEAD.format(database=seam.database))
    try:
        expected = _expected(seam)
    except Exception as error:
        messages.say(messages.DRIFT_UNKNOWN, database=seam.database, reason=error)
        return
    differences = list(_differences(expected, _live(connection)))
    if differences:
        raise CommandError(
            messages.DRIFT.format(
                database=seam.database, differences="; ".join(differences), grant=grant
            )
        )


def _expected(seam: Seam) -> dict[str, set[str]]:
    context = MigrationContext.configure(
        dialect_name=seam.engine.dialect.name, opts={"as_sql": True, "output_buffer": StringIO()}
    )
    recorder = _Recorder(context)
    recorder._install_proxy()
    try:
        for revision in reversed(list(seam.script.walk_revisions())):
            revision.module.upgrade()
    finally:
        recorder._remove_proxy()
    return recorder.tables


def _live(connection: Connection) -> dict[str, set[str]]:
    look = inspect(connection)
    names = set(look.get_table_names()) - {"alembic_version", AHEAD_TABLE}
    return {name: {column["name"] for column in look.get_columns(name)} for name in names}


def _differences(expected: dict[str, set[str]], live: dict[str, set[str]]) -> Iterator[str]:
    for table, columns in sorted(expected.items()):
        if table not in live:
            yield f"the table {table} is missing"
            continue
        for column in sorted(columns - live[table]):
            yield f"{table}.{column} is missing"
        for column in sorted(live[table] - columns):
            yield f"{table}.{column} was added"
