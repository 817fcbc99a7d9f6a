"""Values by kind: a plain one, the extremes, the odd ones, and an endless row of different ones."""

import json
import uuid
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from .kinds import Kind
from .limits import accepts, whole_numbers

ODD = (
    "Zoë Ünïcødé 日本語 🦊",
    'O\'Brien "x" \\ %s :x ?',
    "",
    "  spaced out ",
    "two\nlines\tand a tab",
    "NULL",
)
LONGEST = 300
# integers that can be multiplied by a hundred, by the bytes of their type
MODERATE = {1: 1, 2: 300, 3: 80_000, 4: 2_000_000, 8: 2**53 + 1}
NUMBERS = "0123456789abcdefghijklmnopqrstuvwxyz"
# text that other kinds are written as, tried where nothing is known of a type
GUESSES = ("a", "1", "{}", "127.0.0.1", "2024-02-29", "(1,2)", "08:00:2b:01:02:03", "[1,2)", "0")


def specials(kind: Kind) -> list[Any]:
    """Return the values worth trying: a plain one first, then the lowest, the highest, the odd."""
    return [value for value in _specials(kind) if accepts(kind, value)]


def _specials(kind: Kind) -> Iterator[Any]:
    match kind.family:
        case "int":
            low, high = whole_numbers(kind)
            top = MODERATE[kind.size]
            yield from (7, low, high, 0, -1, max(low, -top), top)
        case "numeric":
            step = Decimal(1).scaleb(-(kind.scale or 0))
            top = Decimal(10) ** min((kind.precision or 15) - (kind.scale or 0), 13) - step
            yield from (Decimal("12.5"), -top, top, Decimal(0), step, Decimal(3))
        case "float":
            yield from (0.5, -1024.25, 1024.25, 0.0, 3.0)
        case "bool":
            yield from (True, False)
        case "date":
            yield from (date(2024, 2, 29), date(1901, 1, 1), date(9999, 12, 31), date(1970, 1, 1))
        case "datetime":
            if kind.narrow:
                yield from (
                    datetime(2024, 2, 29, 12, 30),
                    datetime(1970, 1, 2),
                    datetime(2037, 1, 1),
                )
            yield from (datetime(2024, 2, 29, 12, 30), datetime(1901, 1, 1))
            yield from (datetime(9999, 12, 31, 23, 59, 59), datetime(2000, 1, 1, 0, 0, 0, 123456))
        case "time":
            yield from (time(12, 30), time(0, 0), time(23, 59, 59), time(1, 2, 3, 456789))
        case "interval":
            yield from (timedelta(days=1, hours=2), timedelta(0), timedelta(days=-3, seconds=1))
        case "year":
            yield from (2024, 1901, 2155)
        case "text":
            yield from _texts(kind)
        case "binary":
            size = kind.length or LONGEST
            yield from (b"\x00\xff plain", b"", bytes(range(256)), b"\xfe" * min(size, LONGEST))
            yield b"\x01" * size
        case "json":
            # an object or a list, as the column is used: code that reads it takes it for one
            objects = ('{"a": [1, 2.5, null, "Zo\\u00eb"]}', "{}", '{"b": {"c": true}, "d": "x"}')
            yield from ('["a", "Zo\\u00eb"]', "[]", '["b"]') if kind.many else objects
        case "uuid":
            yield from (str(uuid.UUID(int=1 << 127 | 7)), str(uuid.UUID(int=0)))
            yield str(uuid.UUID(int=2**128 - 1))
        case "enum":
            yield from kind.labels
        case "set":
            yield from (*kind.labels, ",".join(kind.labels), "")
        case "bit":
            yield from ("1" * (kind.length or 1), "0" * (kind.length or 1))
        case "array":
            yield from ("{}", "{NULL}")
        case _:
            yield from GUESSES


def _texts(kind: Kind) -> Iterator[str]:
    size = kind.length or LONGEST
    if kind.fixed and size in (32, 36):  # as UUIDs are kept where there is no type for them
        for number in (7, 1 << 120, 2**128 - 1):
            text = str(uuid.UUID(int=number))
            yield text if size == 36 else text.replace("-", "")
        return
    yield from ("plain text", ODD[0], "w" * min(size, 4 * LONGEST), *ODD[1:], "b")


def moderate(kind: Kind, value: Any) -> bool:
    """Whether a migration may compute with the value: count it in cents, or add a month to it."""
    match value:
        case int() if kind.family == "int":
            return abs(value) <= MODERATE[kind.size]
        case Decimal() if kind.family == "numeric":
            whole = (kind.precision or 15) - (kind.scale or 0)
            return abs(value) < Decimal(10) ** max(whole - 4, 1)
        case date():
            return value.year < 9999
    return True


def numbered(kind: Kind, number: int) -> Any:
    """Return the value with this number, each another one whatever the collation; None: no more.

    :param number: from 0
    """
    value = _numbered(kind, number)
    return value if value is not None and accepts(kind, value) else None


def _numbered(kind: Kind, number: int) -> Any:
    match kind.family:
        case "int" | "float":
            return number + 1
        case "numeric":
            return Decimal(number + 1) if kind.scale == 0 else Decimal(number + 1) / 10
        case "bool" | "bit":
            return _nth(specials(kind), number)
        case "date":
            return date(2001, 1, 1) + timedelta(days=number)
        case "datetime":
            return datetime(2001, 1, 1, 8) + timedelta(days=number, hours=number % 9)
        case "time":
            return time(number // 60 % 24, number % 60)
        case "interval":
            return timedelta(hours=number + 1)
        case "year":
            return 2000 + number
        case "text":
            return _text(kind, number)
        case "binary":
            bare = number.to_bytes(min(kind.length or 4, 4), "big")
            return bare.rjust(kind.length, b"\x01") if kind.fixed else bare
        case "json":
            return json.dumps([number] if kind.many else {"number": number})
        case "uuid":
            return str(uuid.UUID(int=(0x5EED << 100) + number))
        case "enum" | "set":
            return _nth(list(kind.labels), number)
        case "array":
            return None if number else "{}"
        case _:
            return _nth(list(GUESSES), number)


def near(kind: Kind, value: Any, number: int) -> Any:
    """Return another value close to this one: the next numbers and days, text of the same length."""
    match value:
        case bool():
            return None
        case int() | float() | Decimal():
            found = value + (number if number % 2 else -number)
        case date():
            found = value + timedelta(days=number if number % 2 else -number)
        case str() if value:
            digits = _digits_of(number)
            found = (value + digits)[-len(value) :] if len(digits) < len(value) else digits
            found = found.upper() if value.isupper() else found
        case _:
            return None
    return found if accepts(kind, found) else None


def _text(kind: Kind, number: int) -> str:
    if kind.fixed and kind.length in (32, 36):
        text = str(uuid.UUID(int=(0x5EED << 100) + number))
        return text if kind.length == 36 else text.replace("-", "")
    digits = _digits_of(number)
    for long in (f"Zoë 🦊 {digits}", f"text {digits}", f"v{digits}"):
        if accepts(kind, long):
            return long
    return digits


def _digits_of(number: int) -> str:
    digits = ""
    while number or not digits:
        digits = NUMBERS[number % 36] + digits
        number //= 36
    return digits


def _nth(values: list[Any], number: int) -> Any:
    return values[number] if number < len(values) else None
