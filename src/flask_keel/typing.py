"""Names of types that several rooms hand on and none of them looks into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    Column,
    ColumnClause,
    ColumnElement,
    Constraint,
    FetchedValue,
    Index,
    Table,
    TextClause,
)
from sqlalchemy.types import TypeEngine, UserDefinedType

Options: TypeAlias = dict[str, Any]  # keyword arguments for somebody else
Value: TypeAlias = Any  # what a driver gives for a column of a row, or takes
Row: TypeAlias = Sequence[Value]
SQLType: TypeAlias = TypeEngine[Any]
AnyColumn: TypeAlias = Column[Any]
PlainColumn: TypeAlias = ColumnClause[Any]  # of sa.table(...)
Expression: TypeAlias = ColumnElement[Any]
Convention: TypeAlias = Mapping[Any, Any]  # as in MetaData(naming_convention=...)
SchemaItem: TypeAlias = Table | AnyColumn | Constraint | Index
# what server_default= takes, and what is found there
ServerDefault: TypeAlias = str | FetchedValue | TextClause | Expression | None
Params: TypeAlias = Sequence[Value] | Mapping[str, Value] | None  # of a statement
DiffTuple: TypeAlias = tuple[Any, ...]  # an operation for Alembic's compare_metadata


class NamedType(UserDefinedType[Value]):
    """A type of which nothing but its name is known."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        """The name, as SQL has it."""
        return self.name
