"""What the models know of a column and the database does not: an Enum's labels, a Uuid, JSON.

Migrations that move data read such columns, and would choke on any text.
"""

from collections.abc import Mapping
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
            kind = _refined(model.columns[column].type, domain.kind)
            if kind is not None:
                domain.kind = kind


def _refined(type_: Any, kind: Any) -> Any:
    from sqlalchemy import types

    if kind.family != "text":
        return None
    match type_:
        case types.Enum() if type_.enums:
            fitting = [e for e in type_.enums if kind.length is None or len(e) <= kind.length]
            return kind.limited(family="enum", labels=tuple(fitting)) if fitting else None
        case types.Uuid() if kind.length in (None, 36) or kind.length > 36:
            return kind.limited(family="uuid")
        case types.JSON():
            return kind.limited(family="json")
    return None
