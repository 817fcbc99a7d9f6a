"""Foreign keys: parents first, and each row points to a row that is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..facts import ForeignKey
from .plan import TablePlan


@dataclass
class Order:
    """Tables in the order of insertion; ``later`` are keys set only once all rows are there."""

    tables: list[str]
    later: list[tuple[str, ForeignKey]]


def order(plans: Mapping[str, TablePlan]) -> Order:
    """Put parents before children; a circle is opened at a key that may be NULL.

    A circle in which every key is NOT NULL stays closed: only a database that looks at keys late, or
    not at all, can hold such rows.
    """
    waiting = {
        label: [k for k in plan.foreign_keys if k.parent in plans and k.parent != label]
        for label, plan in plans.items()
    }
    done: list[str] = []
    later: list[tuple[str, ForeignKey]] = []
    while waiting:
        free = [label for label, keys in waiting.items() if _all_in(keys, done)]
        if not free:
            free = [_opened(waiting, plans, done, later)]
        for label in free:
            del waiting[label]
        done += free
    return Order(done, later)


def _all_in(keys: list[ForeignKey], done: list[str]) -> bool:
    return all(key.parent in done for key in keys)


def _opened(waiting: Any, plans: Any, done: list[str], later: list[Any]) -> str:
    for label, keys in waiting.items():
        open_ = [key for key in keys if key.parent not in done]
        if all(optional(plans[label], key) for key in open_):
            later += [(label, key) for key in open_]
            return label
    return next(iter(waiting))


def optional(plan: TablePlan, key: ForeignKey) -> bool:
    """Whether a row may leave the key NULL."""
    return any(name not in plan.required and plan.domains[name].nullable for name in key.columns)


def fitting(
    key: ForeignKey, row: Mapping[str, Any], parents: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the parents to which the row can point, with what it holds of the key already."""
    pairs = list(zip(key.columns, key.parent_columns, strict=False))
    return [
        parent
        for parent in parents
        if all(parent.get(theirs) is not None for _, theirs in pairs)
        and all(row[own] == parent[theirs] for own, theirs in pairs if own in row)
    ]
