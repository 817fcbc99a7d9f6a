"""From the text of an answer to the value that a column gets, and to the code that says it."""

import json
import math
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Column, Index, UniqueConstraint
from sqlalchemy import types as sa
from sqlalchemy.engine import Dialect

from .. import messages
from .rows.kinds import Kind, kind_of
from .rows.limits import accepts, whole_numbers

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
    timedelta: "0",
}


def _boolean(text: str) -> bool:
    return WORDS[text.strip().lower()]


def _duration(text: str) -> timedelta:
    return timedelta(seconds=float(text))


READ: dict[type, tuple[Callable[[str], Any], str]] = {
    bool: (_boolean, "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    Decimal: (Decimal, "a number"),
    datetime: (datetime.fromisoformat, "a date and time such as 2026-01-31 12:00:00"),
    date: (date.fromisoformat, "a date such as 2026-01-31"),
    time: (time.fromisoformat, "a time such as 12:00:00"),
    timedelta: (_duration, "a number of seconds"),
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
    try:
        if isinstance(stored, sa.Enum):
            return stored.enums[stored.enums.index(text)]
        read, _ = READ.get(_python_type(stored), (str, "text"))
        return read(text)
    except (ValueError, KeyError, InvalidOperation, OverflowError) as error:
        raise _no_value(name, text, _words(stored)) from error


def require(name: str, type_: Any, text: str, dialect: Dialect) -> None:
    """Require that a literal text is a value that a column of this type holds as it is.

    SQLite holds what is too long as well; the database that the application moves to does not.

    :raises CommandError: when it is none, with what it is to be
    """
    found, kind = value(name, type_, text), _kind(type_, dialect)
    measured = kind is not None and not isinstance(found, bool | float)
    infinite = isinstance(found, float | Decimal) and not math.isfinite(found)
    if infinite or (measured and not accepts(kind, found)):
        raise _no_value(name, text, wanted(type_, dialect))


def wanted(type_: Any, dialect: Dialect) -> str:
    """Say what a literal text for a column of this type is to be: "text of at most 20 characters"."""
    words, kind = _words(unwrapped(type_)), _kind(type_, dialect)
    match kind and kind.family:
        case "text" if kind.length:
            return f"{words} of at most {kind.length} characters"
        case "int":
            low, high = whole_numbers(kind)
            return f"{words} from {low} to {high}"
        case "numeric" if kind.precision:
            whole = kind.precision - kind.scale
            return f"{words} of at most {whole} digits before the point and {kind.scale} after it"
    return words


def _words(stored: Any) -> str:
    if isinstance(stored, sa.Enum):
        return "one of " + ", ".join(stored.enums)
    return READ.get(_python_type(stored), (str, "text"))[1]


def _kind(type_: Any, dialect: Dialect) -> Kind | None:
    """The limits of a type, where it is SQLAlchemy's own and a literal is held as it is typed."""
    stored = unwrapped(type_)
    measured = isinstance(stored, sa.String | sa.Integer | sa.Numeric)
    if not measured or isinstance(stored, sa.Enum | sa.Float):
        return None
    return kind_of(stored.compile(dialect), dialect.name)


def _no_value(name: str, text: str, wanted: str) -> CommandError:
    return CommandError(messages.NOT_A_VALUE.format(name=name, text=text, wanted=wanted))


def code(value: Any, imports: set[str]) -> str:
    """Return the value as Python, and add what it needs to the imports."""
    match value:
        case Decimal():
            imports.add("import decimal")
            return f"decimal.{value!r}"
        case uuid.UUID():
            imports.add("import uuid")
            return f"uuid.{value!r}"
        case date() | time() | timedelta():
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
    if column.primary_key or column.foreign_keys or list(uniques(column)):
        return None
    if isinstance(stored, sa.Enum):
        return stored.enums[0] if stored.enums else None
    if (
        isinstance(stored, sa.TypeDecorator) != isinstance(column.type, sa.TypeDecorator)
        or column.type.__module__.split(".")[0] != "sqlalchemy"
    ):
        return None
    if _python_type(stored) is uuid.UUID:  # text, where the database has no such type
        return NEUTRAL["UUID"]
    known = [NEUTRAL[name] for name in NEUTRAL if name in families]
    return known[0] if known else NEUTRAL.get(_python_type(stored))


def uniques(column: Column) -> Iterator[UniqueConstraint | Index]:
    """The constraints and indexes that let a value of this column stand in one row only."""
    for key in [*column.table.constraints, *column.table.indexes]:
        unique = isinstance(key, UniqueConstraint) or getattr(key, "unique", None)
        if unique and list(key.columns) == [column]:
            yield key


def unwrapped(type_: Any) -> Any:
    """Return the type under a TypeDecorator of the application's."""
    while isinstance(type_, sa.TypeDecorator) and not isinstance(type_, sa.Interval):
        type_ = type_.impl_instance
    return type_


def _python_type(type_: Any) -> type | None:
    try:
        return type_.python_type
    except NotImplementedError:
        return None
