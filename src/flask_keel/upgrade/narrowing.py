"""Values that a server cuts or rounds without a word when a column gets another type: counted before."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from alembic.ddl.base import AlterColumn, ColumnType
from alembic.ddl.mysql import MySQLChangeColumn
from alembic.ddl.postgresql import PostgresqlColumnType
from alembic.util import CommandError
from sqlalchemy import Connection, column, inspect, table, text
from sqlalchemy.engine import ExecutionContext

from .. import misfits
from ..project import listening
from ..typing import SQLType, Value

LOSES = (
    "{table}.{column} cannot become {type}: {rows} would not keep a value; change them first with "
    "op.execute, or say in the file # proof: {table}.{column} because ..., where that is what it is for"
)
NUMBERS = ("integer", "numeric", "float")
# families of types between which a server converts whatever there is
QUIET = {
    *((one, other) for one in NUMBERS for other in (*NUMBERS, "boolean")),
    *(("datetime", kind) for kind in ("datetime", "date", "time")),
    ("time", "time"),
}
ALTERS = (ColumnType, PostgresqlColumnType, MySQLChangeColumn)


@contextmanager
def refused(connection: Connection) -> Iterator[None]:
    """Refuse changes of a type for which a value of some row would be cut or rounded.

    Not where the migration says that it may be, for the proof or to the lint, and not where it has
    a conversion of its own in ``postgresql_using``. SQLite's engine refuses the same by itself.

    :raises CommandError: out of the statement, with the rows
    """

    def before(
        live: Connection,
        cursor: Value,
        statement: str,
        values: Value,
        context: ExecutionContext | None,
        *_: Value,
    ) -> None:
        altering = getattr(getattr(context, "compiled", None), "statement", None)
        if isinstance(altering, ALTERS) and live is connection:
            _look(connection, altering)

    with listening(connection, before_cursor_execute=before):
        yield


def _look(
    connection: Connection, altering: ColumnType | PostgresqlColumnType | MySQLChangeColumn
) -> None:
    name, home, new = str(altering.column_name), str(altering.table_name), altering.type_
    old = _type(connection, home, altering.schema, name)
    condition = old and _condition(connection, old, new, name)
    if not old or not condition or _converts(altering, old, new) or _said(home, name):
        return
    source = table(home, schema=altering.schema)
    rows = misfits.number_and_examples(connection, source, text(condition), (column(name),))
    if rows:
        kind = new.compile(connection.dialect)
        raise CommandError(LOSES.format(table=home, column=name, type=kind, rows=rows))


def _type(connection: Connection, home: str, schema: str | None, name: str) -> SQLType | None:
    found = inspect(connection).get_columns(home, schema)
    return next((each["type"] for each in found if each["name"] == name), None)


def _condition(connection: Connection, old: SQLType, new: SQLType, name: str) -> str:
    from ..lint import types

    dialect = connection.dialect
    old, new = types.plain(old, dialect), types.plain(new, dialect)
    zones = {getattr(each, "timezone", None) for each in (old, new)}
    if (types.family(old), types.family(new)) not in QUIET or zones == {True, False}:
        return ""
    verdict = types.verdict(old, new, dialect.identifier_preparer.quote(name), dialect)
    return (verdict or ("", ""))[1]


def _converts(altering: AlterColumn, old: SQLType, new: SQLType) -> bool:
    """Whether the migration has a conversion that no tool wrote."""
    from ..autogenerate import type_changes

    using = getattr(altering, "using", None)
    return using is not None and using != type_changes.using(old, new, str(altering.column_name))


def _said(home: str, name: str) -> bool:
    """Whether the migration says that values may go."""
    from ..lint import source
    from ..proof.scene import Source

    path = _migration()
    if path is None:
        return False
    file = Source(path)
    silenced = source.reasons(file.text).keys() & {"change-type", "narrow-type"}
    return bool(silenced or file.agreed.keys() & {home, f"{home}.{name}"})


def _migration() -> str | None:
    """The file of the migration that runs."""
    for frame, _ in traceback.walk_stack(None):
        if {"revision", "down_revision"} <= frame.f_globals.keys():
            return frame.f_code.co_filename
    return None
