"""Which changes of a type may lose values, and the condition that counts them."""

from typing import Any

import sqlalchemy as sa

# the order matters: the first that fits
FAMILIES = (
    ("boolean", sa.Boolean),
    ("uuid", sa.Uuid),
    ("json", sa.JSON),
    ("enum", sa.Enum),
    ("binary", sa.LargeBinary),
    ("text", sa.String),
    ("integer", sa.Integer),
    ("numeric", sa.Numeric),
    ("datetime", sa.DateTime),
    ("date", sa.Date),
    ("time", sa.Time),
    ("interval", sa.Interval),
)
SIZES = ((sa.SmallInteger, 2), (sa.BigInteger, 8), (sa.Integer, 4))
# what every value of one family becomes in another without a loss
SAFE = {
    ("integer", "numeric"),
    ("integer", "text"),
    ("boolean", "integer"),
    ("date", "datetime"),
    ("numeric", "text"),
    ("date", "text"),
    ("datetime", "text"),
    ("uuid", "text"),
    ("enum", "text"),
}


def family(type_: Any) -> str | None:
    """Return the family of a type: text, integer, numeric ...; None for one of its own."""
    type_ = getattr(type_, "impl", type_) if isinstance(type_, sa.types.TypeDecorator) else type_
    return next((name for name, kind in FAMILIES if isinstance(type_, kind)), None)


def verdict(old: Any, new: Any, column: str) -> tuple[str, str] | None:
    """Return the rule that a change of type breaks and the condition of the rows that lose.

    :return: ("narrow-type" or "change-type", a condition in SQL), None when no value can be lost
    """
    before, after = family(old), family(new)
    if old is None or before is None or after is None:
        return None
    if before != after:
        return None if (before, after) in SAFE else ("change-type", f"{column} IS NOT NULL")
    narrower = _narrower(before, old, new, column)
    return ("narrow-type", narrower) if narrower else None


def _narrower(kind: str, old: Any, new: Any, column: str) -> str | None:
    match kind:
        case "text" | "binary":
            longest, was = getattr(new, "length", None), getattr(old, "length", None)
            if longest and (was is None or longest < was):
                return f"length({column}) > {longest}"
        case "integer":
            if _size(new) < _size(old):
                most = 2 ** (8 * _size(new) - 1) - 1
                return f"{column} NOT BETWEEN {-most - 1} AND {most}"
        case "numeric":
            return _numeric(old, new, column)
        case "enum":
            gone = sorted(set(old.enums) - set(new.enums))
            if gone:
                values = ", ".join("'" + value.replace("'", "''") + "'" for value in gone)
                return f"{column} IN ({values})"
    return None


def _size(type_: Any) -> int:
    return next(size for kind, size in SIZES if isinstance(type_, kind))


def _numeric(old: Any, new: Any, column: str) -> str | None:
    if new.precision is None or isinstance(new, sa.Float):
        return None
    if old.precision is None:
        return f"{column} <> round({column}, {new.scale or 0})"
    if (new.scale or 0) < (old.scale or 0):
        return f"{column} <> round({column}, {new.scale or 0})"
    if new.precision - (new.scale or 0) < old.precision - (old.scale or 0):
        return f"abs({column}) >= {10 ** (new.precision - (new.scale or 0))}"
    return None
