"""What the models know of a column and the database does not: an Enum's labels, a Uuid, JSON.

Migrations that move data read such columns, and would choke on any text.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .plan import TablePlan


def apply(plan: "TablePlan", names: Mapping[Any, Any], models: Any) -> None:
    """Refine the kinds of a table's columns.

    :param names: where each column is after the migration, which is what the models describe
    :param models: a ``MetaData``, or None
    """
    label = plan.table.label
    for name, domain in plan.domains.items() if models is not None else ():
        table, column = names.get((label, name), (label, name))
        model = models.tables.get(table)
        if model is not None and column in model.columns:
            domain.kind = refined(model.columns[column], domain.kind)


def refined(column: Any, kind: Any) -> Any:
    """Return the kind with what a column of SQLAlchemy knows of it."""
    from sqlalchemy import types

    default = getattr(column.default, "arg", None)
    if isinstance(column.type, types.JSON) and kind.family in ("text", "json"):
        many = kind.many or getattr(default, "__name__", "") == "list"
        return kind.limited(family="json", many=many)
    return typed(column.type, kind)


def reader(type_: Any, dialect: Any) -> Callable[[Any], Any] | None:
    """Return what reads a stored value, where the application has its own way to.

    :param dialect: SQLAlchemy's
    """
    from sqlalchemy import types

    if not isinstance(type_, types.TypeDecorator):
        return None
    return type_.dialect_impl(dialect).result_processor(dialect, None)


def typed(type_: Any, kind: Any) -> Any:
    """Return the kind with what a type, or its class, knows of it: the labels of an Enum."""
    from sqlalchemy import types

    if kind.family != "text":
        return kind
    match types.to_instance(type_):
        case types.Enum() if type_.enums:
            fitting = [e for e in type_.enums if kind.length is None or len(e) <= kind.length]
            return kind.limited(family="enum", labels=tuple(fitting)) if fitting else kind
        case types.Uuid() if kind.length in (None, 36) or kind.length > 36:
            return kind.limited(family="uuid")
        case types.JSON():
            return kind.limited(family="json")
    return kind
