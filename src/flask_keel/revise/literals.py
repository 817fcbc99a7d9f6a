"""From the text of an answer to the value that a column gets, and to the code that says it."""

import json
import uuid
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Column
from sqlalchemy import types as sa

from .. import messages

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NEUTRAL = {
    "text": "",
    "integer": "0",
    "numeric": "0",
    "boolean": "false",
    "binary": "",
    "JSON": "{}",
    "UUID": str(uuid.UUID(int=0)),
    date: "1970-01-01",
    datetime: "1970-01-01 00:00:00",
    time: "00:00:00",
}


def _boolean(text: str) -> bool:
    return WORDS[text.strip().lower()]


READ: dict[type, tuple[Callable[[str], Any], str]] = {
    bool: (_boolean, "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    Decimal: (Decimal, "a number"),
    datetime: (datetime.fromisoformat, "a date and time such as 2026-01-31 12:00:00"),
    date: (date.fromisoformat, "a date such as 2026-01-31"),
    time: (time.fromisoformat, "a time such as 12:00:00"),
    uuid.UUID: (uuid.UUID, "a UUID"),
    bytes: (str.encode, "text"),
    dict: (json.loads, "JSON"),
    list: (json.loads, "a JSON list"),
}


def value(name: str, type_: Any, text: str) -> Any:
    """Return the value that a literal text stands for in a column of this type.

    :param name: the column, for the sentence
    :raises CommandError: when the text is no such value
    """
    stored = unwrapped(type_)
    if isinstance(stored, sa.Enum):
        if text not in stored.enums:
            allowed = "one of " + ", ".join(stored.enums)
            raise CommandError(messages.NOT_A_VALUE.format(name=name, text=text, wanted=allowed))
        return text
    read, wanted = READ.get(_python_type(stored), (str, "text"))
    try:
        return read(text)
    except (ValueError, KeyError, InvalidOperation) as error:
        raise CommandError(
            messages.NOT_A_VALUE.format(name=name, text=text, wanted=wanted)
        ) from error


def code(value: Any, imports: set[str]) -> str:
    """Return the value as Python, and add what it needs to the imports."""
    match value:
        case Decimal():
            imports.add("import decimal")
            return f"decimal.{value!r}"
        case uuid.UUID():
            imports.add("import uuid")
            return f"uuid.{value!r}"
        case date() | time():
            imports.add("import datetime")
            return repr(value)
        case _:
            return repr(value)


def plain_text(type_: Any) -> bool:
    """Whether a Python string needs no type beside it: the column is SQLAlchemy's own text."""
    return isinstance(type_, sa.String) and not isinstance(type_, sa.Enum)


def neutral(column: Column, families: set[str]) -> str | None:
    """Return the text that stands for "nothing" in a column, or None where there is no such value.

    :param families: the column's type families
    """
    stored = unwrapped(column.type)
    alone = any(
        len(key.columns) == 1 and column.name in key.columns
        for key in [*column.table.constraints, *column.table.indexes]
        if getattr(key, "unique", None) or type(key).__name__ == "UniqueConstraint"
    )
    if column.primary_key or column.foreign_keys or alone:
        return None
    if isinstance(stored, sa.Enum):
        return stored.enums[0] if stored.enums else None
    if (
        isinstance(column.type, sa.TypeDecorator)
        or column.type.__module__.split(".")[0] != "sqlalchemy"
    ):
        return None
    known = [NEUTRAL[name] for name in NEUTRAL if name in families]
    return known[0] if known else NEUTRAL.get(_python_type(stored))


def unwrapped(type_: Any) -> Any:
    """Return the type under a TypeDecorator."""
    while isinstance(type_, sa.TypeDecorator):
        type_ = type_.impl_instance
    return type_


def _python_type(type_: Any) -> type | None:
    try:
        return type_.python_type
    except NotImplementedError:
        return None
