"""What SQLAlchemy's reflection leaves out of a table that goes, so that its downgrade makes it again."""

import copy
from typing import Any

from alembic.operations import ops
from alembic.util import sqla_compat
from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy import Index as ModelIndex
from sqlalchemy import Table as Model
from sqlalchemy import text as sql_text
from sqlalchemy.sql.elements import TextClause, conv

from ...sqlite.database import Database
from ...sqlite.facts import read_table
from ...sqlite.tokens import fold
from . import mysql, sqlite
from .facts import Table
from .indexes import known
from .wording import as_text

KINDS = {
    "unique": UniqueConstraint,
    "primary key": PrimaryKeyConstraint,
    "foreign key": ForeignKeyConstraint,
}
WAITING = sql_text("""
    SELECT k.conname, k.condeferred FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.condeferrable AND c.relname = :name
      AND n.nspname = COALESCE(CAST(:schema AS text), current_schema())
""")


def complete(context: Any, change: ops.ModifyTableOps, there: Model) -> None:
    """Add to a table that goes, and to the drops of its indexes, what was not reflected."""
    if context.dialect.name == "sqlite":
        _sqlite(context, change, there)
    elif context.dialect.name == "postgresql":
        _postgresql(context, there)
    else:
        found = mysql.real(context.connection, there.schema, there.name)
        json_columns(there, found)
        _checks_of_columns(there, found)
    change.ops[:] = [
        ops.DropIndexOp.from_index(exact(op.to_index())) if isinstance(op, ops.DropIndexOp) else op
        for op in change.ops
    ]


def json_columns(there: Model, found: Table) -> None:
    """Let a reflected column be JSON where MariaDB, that calls it LONGTEXT, has it so."""
    for name, column in found.columns.items():
        if column.type == "json" and name in there.c:
            there.c[name].type = JSON()


def exact(index: ModelIndex) -> ModelIndex:
    """Return an index with its texts as the database has them, a colon in them being none of ours."""
    options = {
        key: sql_text(as_text(value.text)) if isinstance(value, TextClause) else value
        for key, value in index.kwargs.items()
    }
    made = ModelIndex(index.name, *map(_part, index.expressions), unique=index.unique, **options)
    if made.table is None:
        made._set_parent(index.table)
    index.table.indexes.discard(made)
    return made


def _part(part: Any) -> Any:
    text = part.text if isinstance(part, sqla_compat._textual_index_element) else part
    return literal_column(text.text) if isinstance(text, TextClause) else part


def _checks_of_columns(there: Model, found: Table) -> None:
    known = {each.name for each in there.constraints if isinstance(each, CheckConstraint)}
    for check in found.checks:
        if check.name not in known:
            there.append_constraint(CheckConstraint(as_text(check.sql), name=conv(check.name)))


def _postgresql(context: Any, there: Model) -> None:
    place = {"schema": there.schema, "name": there.name}
    waiting = dict(list(context.connection.execute(WAITING, place)))
    for constraint in there.constraints:
        if constraint.name in waiting:
            constraint.deferrable = True
            constraint.initially = "DEFERRED" if waiting[constraint.name] else None


def _sqlite(context: Any, change: ops.ModifyTableOps, there: Model) -> None:
    said = read_table(Database(context.connection, there.schema), there.name)
    facts = sqlite.real(context.connection, there.schema, there.name)
    if facts.autoincrement:
        there.dialect_options["sqlite"]["autoincrement"] = True
    for column in said.columns:
        _column(there.c.get(column.name), column)
    for constraint in said.all_constraints():
        _constraint(there, constraint)
    # in its text an index has its directions, collations and expressions
    drops = [known(index, there) for index in facts.indexes.values()]
    change.ops[:] = [op for op in change.ops if not isinstance(op, ops.DropIndexOp)]
    change.ops += [ops.DropIndexOp.from_index(index) for index in drops if index is not None]


def _column(column: Any, said: Any) -> None:
    if column is None:
        return
    if said.collation and hasattr(column.type, "collation"):
        column.type = copy.copy(column.type)
        column.type.collation = said.collation
    not_null = said.last("not null")
    if not_null and not_null.on_conflict:
        column.dialect_options["sqlite"]["on_conflict_not_null"] = not_null.on_conflict


def _constraint(there: Model, said: Any) -> None:
    kind, names = KINDS.get(said.kind), [fold(name) for name in said.columns]
    for each in there.constraints if kind else ():
        if not isinstance(each, kind) or [fold(column.name) for column in each.columns] != names:
            continue
        if isinstance(each, ForeignKeyConstraint):
            each.ondelete, each.onupdate = said.on_delete, said.on_update
            each.match = said.match
            if said.deferrable:
                clause, _, initially = said.deferrable.partition(" INITIALLY ")
                each.deferrable, each.initially = clause == "DEFERRABLE", initially or None
        elif said.on_conflict:
            each.dialect_options["sqlite"]["on_conflict"] = said.on_conflict
