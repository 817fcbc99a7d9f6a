"""Puts the statements of a block into batches, and what is in a batch into order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import libcst as cst

from .calls import Operation
from .joining import can_join, clashes, independent
from .operations import DROPS
from .reading import text

_CROSSABLE = DROPS | {"add_column", "alter_column", "drop_column"}


@dataclass(eq=False)
class Statement:
    """A statement of a block; ``operation`` where it is one that was understood."""

    node: cst.BaseStatement
    operation: Operation | None = None


@dataclass(eq=False)
class Group:
    """Statements that become one batch; ``first`` is the one that stood first in the file."""

    first: Statement
    statements: list[Statement] = field(default_factory=list)

    @property
    def key(self) -> tuple | None:
        return self.first.operation.key


Item = Statement | Group
Needs = Callable[[Operation, Operation], bool]


def grouped(statements: Sequence[Statement], needs: Needs) -> list[Item]:
    """Group what SQLite cannot do plainly, for each table, as far as the order allows.

    ``needs(drop, column)`` says whether a dropped index or constraint is about a column that is
    dropped. A statement goes past another one only when neither can matter to the other.
    """
    items: list[Item] = []
    for statement in statements:
        operation = statement.operation
        late = operation is not None and operation.method in DROPS
        if operation is None or operation.batch or (not operation.lacking and not late):
            items.append(statement)
            continue
        found = _reachable(items, statement)
        if found is None:
            items.append(Group(statement, [statement]) if operation.lacking else statement)
            continue
        group, between = found
        if not operation.lacking and not _comes_late(statement, group, needs):
            items.append(statement)
            continue
        if not operation.lacking and not can_join(operation):
            items.insert(items.index(group), statement)
            continue
        items = [item for item in items if item not in between]
        group.statements += [*between, statement]
    for item in items:
        if isinstance(item, Group):
            item.statements = in_order(item.statements, needs)
    return items


def in_order(statements: Sequence[Statement], needs: Needs) -> list[Statement]:
    """The statements of one batch, indexes and constraints dropped before their columns.

    SQLite refuses to make an index anew whose column is gone; every other database takes the
    index away with the column, so that it is not there any more when its own turn comes.
    """
    ordered: list[Statement] = []
    for statement in statements:
        place = len(ordered)
        operation = statement.operation
        primary = operation.method in DROPS and text(operation.node("type_")) == "primary"
        if operation.method in DROPS and not primary:
            for index in range(len(ordered) - 1, -1, -1):
                other = ordered[index].operation
                if other.method not in _CROSSABLE or "new_column_name" in (other.given or {}):
                    break
                if other.method == "drop_column" and needs(operation, other):
                    place = index
        ordered.insert(place, statement)
    return ordered


def _comes_late(drop: Statement, group: Group, needs: Needs) -> bool:
    """Whether a batch drops a column of an index that is dropped after it."""
    others = [statement.operation for statement in group.statements]
    return all(other.method in _CROSSABLE for other in others) and any(
        other.method == "drop_column" and needs(drop.operation, other) for other in others
    )


def _reachable(items: list[Item], statement: Statement) -> tuple[Group, list[Statement]] | None:
    """The batch that a statement may join, with what has to join on the way there."""
    operation, between = statement.operation, []
    if operation.key is None or not operation.pure:
        return None
    for item in reversed(items):
        if isinstance(item, Group) and item.key == operation.key:
            held = [other.operation for other in (*item.statements, *between)]
            return None if clashes(operation, held) else (item, between[::-1])
        others = item.statements if isinstance(item, Group) else [item]
        if isinstance(item, Statement) and item.operation and item.operation.key == operation.key:
            if not can_join(item.operation):
                return None
            between.append(item)
        elif not all(
            other.operation and independent(mine.operation, other.operation)
            for mine in (statement, *between)
            for other in others
        ):
            return None
    return None
