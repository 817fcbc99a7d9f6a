"""What a batch can hold together, and what may go past what."""

from collections.abc import Iterable

from .calls import Operation
from .reading import text, texts


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
        return plain and operation.constraint and "if_not_exists" not in operation.given
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
    return None if None in named else set(named)
