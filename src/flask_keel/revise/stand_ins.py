"""The value that a NOT NULL column gets when it comes back on the way down, and its own are gone."""

from collections.abc import Iterable
from typing import Any

from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy import Column, Connection

from . import literals
from .candidates import families, named
from .facts import Check
from .rows.checks import Judge, columns_of, suggestions
from .rows.domains import Domain
from .rows.kinds import kind_of
from .rows.raw import as_text


def stand_in(column: Column, checks: Iterable[str], connection: Connection) -> str | None:
    """Return the text of a neutral value, or of another one where a CHECK forbids that.

    :param checks: the CHECKs that come back with the column
    :returns: None where no value can stand in every row
    """
    dialect = connection.dialect
    text = literals.neutral(column, families(column.type, dialect))
    names = {name: name for name in named(column.table)}
    own = [Check(check, check) for check in checks if columns_of(check, names) == [column.name]]
    if text is None or not own:
        return text
    stored = literals.unwrapped(column.type)
    kind = kind_of(stored.compile(dialect), dialect.name)
    domain = Domain(column.name, kind)
    with_names = [(check, {column.name: column.name}) for check in own]
    judge = Judge(connection, column.table.name, with_names, {column.name: domain})
    for candidate in [text, *map(as_text, suggestions(domain, 0))]:
        try:
            literals.require(column.name, column.type, candidate, dialect)
        except CommandError:
            continue
        value = literals.value(column.name, column.type, candidate)
        if not judge.failing({column.name: value}):
            return candidate
    return None


def checks_of(container: ops.OpContainer, op: ops.AddColumnOp) -> list[str]:
    """Return the CHECKs that are made on the table of a column that is added."""
    found = []
    for change in container.ops:
        if isinstance(change, ops.OpContainer):
            found += checks_of(change, op)
        elif isinstance(change, ops.CreateCheckConstraintOp) and _place(change) == _place(op):
            condition: Any = change.condition
            found.append(str(getattr(condition, "text", condition)))
    return found


def _place(op: Any) -> tuple[str | None, str]:
    return op.schema, op.table_name
