"""Puts the statements of a block into batches, and what is in a batch into order."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst

from .calls import Operation, code, text, texts
from .names import Declaration, MissingNames, Survey
from .scan import DROPS


def clashes(operation: Operation, others: Iterable[Operation]) -> bool:
    """Whether this takes away what the same batch makes, which a batch cannot do.

    It drops those columns and indexes only that were there before, and makes its indexes last.
    """
    made = {other for other in others if other.method in ("add_column", "create_index")}
    if operation.method == "drop_index":
        names = {other.constraint for other in made if other.method == "create_index"}
        return operation.constraint in names
    if operation.method != "drop_column":
        return False
    columns = {name for other in made for name in _columns(other)}
    gone = text(operation.node("column_name"))
    return gone in columns or (gone is None and bool(columns))


def _columns(made: Operation) -> tuple[str, ...]:
    if made.method == "create_index":
        return texts(made.node("columns")) or ()
    return (made.column.name,) if made.column and made.column.name else ()


def can_join(operation: Operation) -> bool:
    """Whether a batch can hold this, though SQLite needs none for it."""
    if operation.batch or operation.key is None or not operation.pure:
        return False
    if operation.method == "add_column":
        added = operation.column
        return added is not None and not added.index and "if_not_exists" not in operation.given
    if operation.method == "create_index":
        plain = texts(operation.node("columns")) is not None
        return plain and bool(operation.constraint) and "if_not_exists" not in operation.given
    if operation.method == "drop_index":
        return "if_exists" not in operation.given and not operation.stays_plain
    return False


def independent(one: Operation, other: Operation) -> bool:
    """Whether two operations on different tables may change places on every database."""
    return _passes(one, other) or _passes(other, one)


def _passes(local: Operation, other: Operation) -> bool:
    if local.batch or other.batch:
        return False
    tables = _touched(other)
    if not local.pure or not other.pure or local.table is None or tables is None:
        return False
    if local.table in tables or local.schema != other.schema:
        return False
    if local.method == "add_column":
        added = local.column
        return added is not None and not (added.foreign_keys or added.unique or added.index)
    return local.method == "create_check_constraint"


def _touched(operation: Operation) -> set[str] | None:
    """The tables that an operation names; None when they cannot be read."""
    named = [operation.table]
    if operation.method == "create_foreign_key":
        named.append(text(operation.node("referent_table")))
    if operation.method == "add_column":
        added = operation.column
        if added is None or added.foreign_keys:
            return None
    tables = {table for table in named if table is not None}
    return tables if len(tables) == len(set(named)) else None


_FUNCTIONS = {"upgrade", "downgrade"}


class Mirrors:
    """An upgrade makes what its downgrade drops, and the other way round."""

    def __init__(self, survey: Survey, missing: MissingNames) -> None:
        self.survey = survey
        self.missing = missing
        self._undone: set[tuple[str, str]] = set()
        for operation in survey.operations.values():
            if operation.method == "drop_index":
                self._find_index(operation)

    def needs(self, drop: Operation, column: Operation) -> bool:
        """Whether a dropped index or constraint is about a dropped column, or may be."""
        about = {
            declaration.columns
            for declaration in self._called(self._dropped_name(drop))
            if declaration.operation.table == drop.table
        }
        name = text(column.node("column_name"))
        columns = about.pop() if len(about) == 1 else None
        return (
            columns is None
            or name is None
            or not self._called_once(column, name).isdisjoint(columns)
        )

    def _called_once(self, column: Operation, name: str) -> set[str]:
        """The names that a column of the table has in this file, where it is renamed."""
        renames = [
            {text(operation.node("column_name")), text(operation.node("new_column_name"))}
            for operation in self.survey.operations.values()
            if operation.key == column.key and "new_column_name" in operation.given
        ]
        names = {name}
        for _ in renames:
            names |= {other for rename in renames if rename & names for other in rename if other}
        return names

    def forgotten(self, drop: Operation) -> Iterator[tuple[str, str]]:
        """The drops, as method and arguments, that have to stand before this ``drop_column``.

        Indexes and checks of the column that the other function makes and this one leaves to the
        database: other databases drop them with the column, SQLite does not.
        """
        name = text(drop.node("column_name"))
        for declaration in self.missing.declared:
            made = declaration.operation
            known = self.missing.names.get(declaration)
            if (
                declaration.kind not in ("ix", "ck")
                or {made.function, drop.function} != _FUNCTIONS
                or made.conditional
                or drop.conditional
                or (made.table, made.schema) != (drop.table, drop.schema)
                or not known
                or name not in (declaration.columns or ())
                or not self._is_named(declaration)
                or self._is_mentioned(known, drop.function)
                or self._is_dropped(known, made.function)
                or (drop.function, known) in self._undone
            ):
                continue
            self._undone.add((drop.function, known))
            own = isinstance(declaration.name_node, cst.SimpleString)
            prefix = code(drop.prefix)
            written = repr(known) if own else f"{prefix}.f({known!r})"
            yield ("drop_index" if declaration.kind == "ix" else "drop_constraint"), written

    def _find_index(self, drop: Operation) -> None:
        """The table of an index that is dropped without naming it, and whether a batch can do it.

        Reflection skips the indexes of expressions, so that a batch does not know them.
        """
        made = [d for d in self._called(drop.constraint) if d.kind == "ix"]
        tables = {declaration.operation.table for declaration in made}
        if drop.table is None and len(tables) == 1:
            drop.indexed_table = tables.pop()
        drop.stays_plain = any(declaration.columns is None for declaration in made)

    def _called(self, name: str | None) -> Iterable[Declaration]:
        if name is None:
            return []
        return [d for d in self.missing.declared if self.missing.names.get(d) == name]

    def _dropped_name(self, drop: Operation) -> str | None:
        written = self.missing.written.get(drop.origin)
        return text(cst.parse_expression(written)) if written else drop.constraint

    def _is_named(self, declaration: Declaration) -> bool:
        """Whether the database has it under the name that is known here."""
        named = not declaration.unnamed or declaration.kind == "ix"
        return named or declaration.call in self.missing.written

    def _is_mentioned(self, name: str, function: str) -> bool:
        words = self.survey.functions.get(function, "")
        return bool(re.search(rf"\b{re.escape(name)}\b", words)) or self._is_dropped(name, function)

    def _is_dropped(self, name: str, function: str) -> bool:
        return any(
            operation.method in DROPS
            and operation.function == function
            and self._dropped_name(operation) == name
            for operation in self.survey.operations.values()
        )


_CROSSABLE = DROPS | {"add_column", "alter_column", "drop_column"}


@dataclass(eq=False)
class Statement:
    """A statement of a block."""

    node: cst.BaseStatement


@dataclass(eq=False)
class Edit(Statement):
    """A statement that is one operation, and one that was understood."""

    node: cst.SimpleStatementLine
    operation: Operation


@dataclass(eq=False)
class Group:
    """Statements that become one batch; ``first`` is the one that stood first in the file."""

    first: Edit
    statements: list[Edit] = field(default_factory=list)


Item = Statement | Group
Needs = Callable[[Operation, Operation], bool]


def grouped(statements: Sequence[Statement], needs: Needs) -> list[Item]:
    """Group what SQLite cannot do plainly, for each table, as far as the order allows.

    ``needs(drop, column)`` says whether a dropped index or constraint is about a column that is
    dropped. A statement goes past another one only when neither can matter to the other.
    """
    items: list[Item] = []
    for statement in statements:
        if not isinstance(statement, Edit):
            items.append(statement)
            continue
        operation = statement.operation
        late = operation.method in DROPS
        if operation.batch or (not operation.lacking and not late):
            items.append(statement)
            continue
        found = _reachable(items, statement)
        if found is None:
            items.append(Group(statement, [statement]) if operation.lacking else statement)
            continue
        group, between = found
        if not operation.lacking:
            # a batch drops a column of an index that is dropped after it
            place = _before_column(operation, group.statements, needs)
            if place is None:
                items.append(statement)
                continue
            if not can_join(operation):
                items.insert(items.index(group), statement)
                continue
        items = [item for item in items if item not in between]
        group.statements += [*between, statement]
    for item in items:
        if isinstance(item, Group):
            item.statements = in_order(item.statements, needs)
    return items


def in_order(statements: Sequence[Edit], needs: Needs) -> list[Edit]:
    """The statements of one batch, indexes and constraints dropped before their columns.

    SQLite refuses to make an index anew whose column is gone; every other database takes the
    index away with the column, so that it is not there any more when its own turn comes.
    """
    ordered: list[Edit] = []
    for statement in statements:
        operation = statement.operation
        primary = operation.method in DROPS and text(operation.node("type_")) == "primary"
        place = None
        if operation.method in DROPS and not primary:
            place = _before_column(operation, ordered, needs)
        if place is None:
            place = len(ordered)
        ordered.insert(place, statement)
    return ordered


def _before_column(drop: Operation, others: Sequence[Edit], needs: Needs) -> int | None:
    """The place before the columns, dropped already, that a dropped index is about, or None."""
    place = None
    for index in range(len(others) - 1, -1, -1):
        other = others[index].operation
        if other.method not in _CROSSABLE or "new_column_name" in other.given:
            break
        if other.method == "drop_column" and needs(drop, other):
            place = index
    return place


def _reachable(items: list[Item], statement: Edit) -> tuple[Group, list[Edit]] | None:
    """The batch that a statement may join, with what has to join on the way there."""
    operation = statement.operation
    between: list[Edit] = []
    if operation.key is None or not operation.pure:
        return None
    for item in reversed(items):
        if isinstance(item, Group) and item.first.operation.key == operation.key:
            held = [other.operation for other in (*item.statements, *between)]
            return None if clashes(operation, held) else (item, between[::-1])
        others = item.statements if isinstance(item, Group) else [item]
        if isinstance(item, Edit) and item.operation.key == operation.key:
            if not can_join(item.operation):
                return None
            between.append(item)
        elif not all(
            isinstance(other, Edit) and independent(mine.operation, other.operation)
            for mine in (statement, *between)
            for other in others
        ):
            return None
    return None
