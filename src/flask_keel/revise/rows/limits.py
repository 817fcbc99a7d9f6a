"""Which values a column of some kind holds as they are."""

import json
import math
import struct
import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from .kinds import Kind


def whole_numbers(kind: Kind) -> tuple[int, int]:
    """Return the lowest and the highest integer of a kind."""
    bits = 8 * kind.size
    return (0, 2**bits - 1) if kind.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def accepts(kind: Kind, value: Any) -> bool:
    """Whether a column of this kind holds the value as it is."""
    match kind.family:
        case "int":
            low, high = whole_numbers(kind)
            return _whole(value) and low <= value <= high
        case "year":
            return _whole(value) and 1901 <= value <= 2155
        case "bool":
            return isinstance(value, bool | int | float | Decimal) and value in (0, 1)
        case "numeric":
            return _number(value) and _digits(kind, value)
        case "float":
            if not _number(value):
                return False
            if kind.size == 8:
                return float(value) == value
            # single precision; MySQL shows six of its digits
            single = struct.unpack("f", struct.pack("f", value))[0] if abs(value) < 1e38 else None
            return single == value == float(f"{value:.6g}")
        case "date":
            return isinstance(value, date) and (
                not isinstance(value, datetime) or value.time() == time()
            )
        case "datetime":
            if not isinstance(value, date):
                return False
            narrow = not kind.narrow or 1970 < value.year + (value.month > 1) < 2038
            return narrow and (kind.precision == 6 or not getattr(value, "microsecond", 0))
        case "time":
            return isinstance(value, time) and (kind.precision == 6 or not value.microsecond)
        case "interval":
            return isinstance(value, timedelta)
        case "text":
            fits = isinstance(value, str) and (kind.length is None or len(value) <= kind.length)
            return fits and (value.isascii() or not kind.ascii)
        case "binary":
            if not isinstance(value, bytes):
                return False
            return kind.length is None or (
                len(value) == kind.length if kind.fixed else len(value) <= kind.length
            )
        case "json":
            return isinstance(value, str) and _reads(json.loads, value)
        case "uuid":
            return isinstance(value, str) and _reads(uuid.UUID, value)
        case "enum":
            return value in kind.labels
        case "set":
            return isinstance(value, str) and set(filter(None, value.split(","))) <= {*kind.labels}
        case _:
            return isinstance(value, str)


def bears(kind: Kind, value: Any) -> bool:
    """Whether a server's column of this kind can hold what was computed for it, rounded if need be."""
    match kind.family:
        case "int" if _number(value):
            low, high = whole_numbers(kind)
            return low <= round(value) <= high
        case "numeric" if _number(value) and kind.precision is not None:
            return abs(Decimal(str(value))) < Decimal(10) ** (kind.precision - (kind.scale or 0))
        case "text" if isinstance(value, str):
            return kind.length is None or len(value) <= kind.length
        case _:
            return True


def _number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return _number(value) and value == int(value)


def _digits(kind: Kind, value: Any) -> bool:
    number = Decimal(
        str(
            float(value)
            if isinstance(value, float)
            else int(value)
            if isinstance(value, bool)
            else value
        )
    )
    if kind.scale is not None and kind.precision is not None:
        scaled = number.scaleb(kind.scale)
        return scaled == int(scaled) and abs(scaled) < 10**kind.precision
    return True


def _reads(read: Any, value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True
