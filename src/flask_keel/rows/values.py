"""Values by kind: a plain one, the extremes, the odd ones, and an endless row of different ones."""

import json
import math
import re
import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache

from ..catalog import Schema
from ..sqlite.introspection import affinity
from ..typing import Value

# the first word or words of a type, in any of the databases, to what it holds
FAMILIES = {
    "int": "int integer smallint bigint tinyint mediumint int2 int4 int8 serial bigserial smallserial",
    "numeric": "numeric decimal dec fixed",
    "float": "float real double float4 float8",
    "bool": "bool boolean",
    "date": "date",
    "datetime": "datetime timestamp timestamptz",
    "time": "time timetz",
    "interval": "interval",
    "year": "year",
    "text": "text varchar char character nvarchar nchar bpchar citext clob string name tinytext "
    "mediumtext longtext unicode",
    "binary": "blob binary varbinary bytea tinyblob mediumblob longblob",
    "json": "json jsonb",
    "uuid": "uuid uniqueidentifier",
    "enum": "enum",
    "set": "set",
    "bit": "bit",
}

AFFINITIES = {
    "INTEGER": "int",
    "TEXT": "text",
    "BLOB": "binary",
    "REAL": "float",
    "NUMERIC": "numeric",
}
FAMILY = {word: family for family, words in FAMILIES.items() for word in words.split()}
BYTES = {"tinyint": 1, "smallint": 2, "int2": 2, "smallserial": 2, "mediumint": 3}
BYTES |= {"bigint": 8, "int8": 8, "bigserial": 8}
# seconds in what PostgreSQL keeps of an interval with fields; a month has none
UNITS = {"year": 0, "month": 0, "day": 86400, "hour": 3600, "minute": 60}
LENGTHS = {"tinytext": 63, "tinyblob": 255}  # tinytext: 255 bytes, up to four a character
TYPE = re.compile(r"\s*([a-z_0-9]+)\s*([a-z_ ]*)\s*(?:\(([^)]*)\))?\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """A family of values and its limits: lengths in characters or bytes, digits, labels.

    ``fixed`` is CHAR and BINARY, ``narrow`` MySQL's TIMESTAMP, ``ascii`` text in an old character set,
    ``many`` JSON that is a list, ``unit`` the seconds of which an interval is a multiple.
    """

    family: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    size: int = 4
    unsigned: bool = False
    fixed: bool = False
    ascii: bool = False
    narrow: bool = False
    many: bool = False
    unit: int = 1
    labels: tuple[str, ...] = ()
    type: str = ""

    def limited(self, **limits: Value) -> "Kind":
        return replace(self, **limits)


def kind_of(declared: str, dialect: str, schema: Schema | None = None) -> Kind:
    """Return the kind of a declared type.

    :param declared: as the database says it: ``VARCHAR(80)``, ``timestamp without time zone``
    :param dialect: "sqlite", "postgresql", "mysql" or "mariadb"
    :param schema: holds the labels of PostgreSQL's enums and the base types of its domains
    """
    if schema is not None and declared in schema.labels:
        return Kind("enum", labels=schema.labels[declared], type=declared)
    if schema is not None and declared in schema.bases:
        return kind_of(schema.bases[declared], dialect, schema).limited(type=declared)
    return _kind_of(declared, dialect)


@cache  # a schema has few types, and many columns
def _kind_of(declared: str, dialect: str) -> Kind:
    if declared.endswith("[]"):
        return Kind("array", type=declared)
    found = TYPE.fullmatch(declared)
    unknown = AFFINITIES[affinity(declared)] if dialect == "sqlite" else "other"
    if not found:
        return Kind(unknown, type=declared)
    word, more, arguments, rest = found.groups()
    word, tail = word.lower(), f"{more} {rest}".lower()
    family, mysql = FAMILY.get(word, unknown), dialect in ("mysql", "mariadb")
    if word in ("enum", "set"):
        labels = tuple(re.findall(r"'((?:[^']|'')*)'", declared))
        return Kind(family, labels=labels, type=declared)
    if word == "tinyint" and arguments == "1":
        family = "bool"
    if word == "national":
        family = "text"
    numbers = [int(number) for number in re.findall(r"\d+", arguments or "")]
    kind = Kind(family, unsigned="unsigned" in tail, type=declared)
    if family in ("text", "binary", "bit"):
        fixed = word in ("char", "character", "binary", "bit", "nchar", "bpchar")
        fixed = fixed and "varying" not in tail
        default = 1 if fixed or word == "bit" else LENGTHS.get(word)
        return kind.limited(length=numbers[0] if numbers else default, fixed=fixed)
    if family == "numeric":
        precision = numbers[0] if numbers else 10 if mysql else None
        return kind.limited(precision=precision, scale=numbers[1] if len(numbers) > 1 else 0)
    if family == "int":
        size = BYTES.get(word, 4)
        return kind.limited(size=8 if dialect == "sqlite" and word == "bigint" else size)
    if family == "float":
        single = word in ("real", "float4") or (mysql and word == "float")
        return kind.limited(size=4 if single else 8)
    if family in ("datetime", "time", "interval"):
        # MySQL keeps whole seconds unless told otherwise, and its TIMESTAMP ends in 2038
        precision = numbers[0] if numbers else (0 if mysql else 6)
        unit = UNITS.get(more.lower().rpartition(" ")[2], 1) if family == "interval" else 1
        return kind.limited(precision=precision, narrow=mysql and word == "timestamp", unit=unit)
    return kind


def whole_numbers(kind: Kind) -> tuple[int, int]:
    """Return the lowest and the highest integer of a kind."""
    bits = 8 * kind.size
    return (0, 2**bits - 1) if kind.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def accepts(kind: Kind, value: Value) -> bool:
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
            if kind.size == 8:  # the lowest BIGINT is one to MySQL, and none when it comes back
                return bool(float(value) == value != -(2**63))
            # single precision; MySQL shows six of its digits
            single = struct.unpack("f", struct.pack("f", value))[0] if abs(value) < 1e38 else None
            return bool(single == value == float(f"{value:.6g}"))
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
            return isinstance(value, timedelta) and not (
                value % timedelta(seconds=kind.unit) if kind.unit else value
            )
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
        case "array":
            return isinstance(value, str) and value.startswith("{")
        case "set":
            return isinstance(value, str) and set(filter(None, value.split(","))) <= {*kind.labels}
        case _:
            return isinstance(value, str)


def bears(kind: Kind, value: Value) -> bool:
    """Whether a server's column of this kind can hold what was computed for it, rounded if need be."""
    match kind.family:
        case "int" if _number(value):
            low, high = whole_numbers(kind)
            return bool(low <= round(value) <= high)
        case "numeric" if _number(value) and kind.precision is not None:
            return abs(Decimal(str(value))) < Decimal(10) ** (kind.precision - (kind.scale or 0))
        case "text" if isinstance(value, str):
            return kind.length is None or len(value) <= kind.length
        case _:
            return True


def _number(value: Value) -> bool:
    return isinstance(value, int | float | Decimal) and math.isfinite(value)


def _whole(value: Value) -> bool:
    return _number(value) and value == int(value)


def _digits(kind: Kind, value: Value) -> bool:
    number = Decimal(str(int(value) if isinstance(value, bool) else value))
    if kind.scale is not None and kind.precision is not None:
        scaled = number.scaleb(kind.scale)
        return scaled == int(scaled) and abs(scaled) < 10**kind.precision
    return True


def _reads(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def as_text(value: Value) -> str:
    """Return a value as text that its own type would read back."""
    match value:
        case bool():
            return str(int(value))
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case timedelta(days=days):  # as PostgreSQL shows it
            clock = str(datetime.min + value % timedelta(days=1))[11:19]
            named = f"{days} day{'' if days == 1 else 's'} {'+' * (days < 0)}" if days else ""
            return named.strip() if named and clock == "00:00:00" else f"{named}{clock}"
        case bytes():
            return value.hex()
        case _:
            return str(value)


def raw(kind: Kind, value: Value, dialect: str) -> Value:
    """Return a value as the driver is to be given it.

    On PostgreSQL all is text, which the server reads by the column's type.
    """
    if value is None or (isinstance(value, str) and kind.family != "bit"):
        return value
    if kind.family == "datetime" and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if kind.family == "date" and isinstance(value, datetime):
        value = value.date()
    if kind.family in ("int", "year"):
        value = int(value)
    if kind.family == "bool":
        value = bool(value)
    match dialect:
        case "sqlite":
            return _for_sqlite(value)
        case "postgresql":
            if isinstance(value, timedelta):
                return f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"
            if isinstance(value, bytes | memoryview):
                return "\\x" + value.hex()
            return str(value).lower() if isinstance(value, bool) else as_text(value)
        case _:
            if isinstance(value, str):
                return int(value, 2)
            return value if isinstance(value, bytes) else as_text(value)


def _for_sqlite(value: Value) -> Value:
    match value:
        case bool():
            return int(value)
        case datetime():
            # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#sqlalchemy.dialects.sqlite.DATETIME
            return value.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
        case time():
            return value.strftime("%H:%M:%S.%f")
        case date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == int(value) else float(value)
        case timedelta():
            return value.total_seconds()
        case _:
            return value


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
# text that the servers' other types are written as
DAYS = ("[2024-02-29,2024-03-01)", "empty", "[1901-01-01,1901-01-02)", "[2024-03-01,)")
STEPS = ("[1,2)", "empty", "[7,9)", "[100,)")
TEXTS = {
    **dict.fromkeys(("daterange", "tsrange", "tstzrange"), DAYS),
    **dict.fromkeys(("int4range", "int8range", "numrange"), STEPS),
    **dict.fromkeys(("datemultirange", "tsmultirange", "tstzmultirange"), ("{}", f"{{{DAYS[0]}}}")),
    **dict.fromkeys(("int4multirange", "int8multirange", "nummultirange"), ("{}", "{[1,2),[7,9)}")),
    **dict.fromkeys(("inet", "cidr"), ("127.0.0.1", "::1", "10.0.0.0/8")),
    **dict.fromkeys(("macaddr", "macaddr8"), ("08:00:2b:01:02:03", "08:00:2b:01:02:04")),
    "inet6": ("::1", "2001:db8::2", "::"),
    "inet4": ("127.0.0.1", "10.0.0.1", "0.0.0.0"),
    "point": ("(1,2)", "(0,0)"),
    "lseg": ("[(0,0),(1,1)]", "[(1,2),(3,4)]"),
    "box": ("(1,1),(0,0)", "(3,4),(1,2)"),
    "path": ("[(0,0),(1,1)]", "((1,2),(3,4))"),
    "polygon": ("((0,0),(1,1))", "((1,2),(3,4),(5,6))"),
    "circle": ("<(0,0),1>", "<(1,2),3>"),
    "line": ("{1,2,3}", "{0,1,0}"),
    "pg_lsn": ("0/0", "16/B374D848"),
}
# tried where nothing is known of a type
GUESSES = ("a", "1", "{}", "127.0.0.1", "2024-02-29", "(1,2)", "08:00:2b:01:02:03", "[1,2)", "0")


def _uuid(number: int, size: int = 36) -> str:
    text = str(uuid.UUID(int=number))
    return text if size == 36 else text.replace("-", "")


# of the families whose values have no limits of their own
SPECIALS: dict[str, tuple[Value, ...]] = {
    "float": (0.5, -1024.25, 1024.25, 0.0, 3.0),
    "bool": (True, False),
    "date": (date(2024, 2, 29), date(1901, 1, 1), date(9999, 12, 31), date(1970, 1, 1)),
    "time": (time(12, 30), time(0, 0), time(23, 59, 59), time(1, 2, 3, 456789)),
    "interval": (timedelta(days=1, hours=2), timedelta(0), timedelta(days=-3, seconds=1)),
    "year": (2024, 1901, 2155),
    "uuid": tuple(_uuid(number) for number in (1 << 127 | 7, 0, 2**128 - 1)),
    "array": ("{}", "{NULL}"),
}


def specials(kind: Kind) -> list[Value]:
    """Return the values worth trying: a plain one first, then the lowest, the highest, the odd."""
    return list(_accepted(kind))


@cache
def _accepted(kind: Kind) -> tuple[Value, ...]:
    return tuple(value for value in _specials(kind) if accepts(kind, value))


def _specials(kind: Kind) -> Iterator[Value]:
    match kind.family:
        case "int":
            low, high = whole_numbers(kind)
            top = MODERATE[kind.size]
            yield from (7, low, high, 0, -1, max(low, -top), top)
        case "numeric":
            step = Decimal(1).scaleb(-(kind.scale or 0))
            most = Decimal(10) ** min((kind.precision or 15) - (kind.scale or 0), 13) - step
            yield from (Decimal("12.5"), -most, most, Decimal(0), step, Decimal(3))
        case "datetime":
            if kind.narrow:
                yield from (
                    datetime(2024, 2, 29, 12, 30),
                    datetime(1970, 1, 2),
                    datetime(2037, 1, 1),
                )
            yield from (datetime(2024, 2, 29, 12, 30), datetime(1901, 1, 1))
            yield from (datetime(9999, 12, 31, 23, 59, 59), datetime(2000, 1, 1, 0, 0, 0, 123456))
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
        case "enum":
            yield from kind.labels
        case "set":
            yield from (*kind.labels, ",".join(kind.labels), "")
        case "bit":
            yield from ("1" * (kind.length or 1), "0" * (kind.length or 1))
        case "other":
            yield from _others(kind)
        case family:
            yield from SPECIALS[family]


def _others(kind: Kind) -> tuple[str, ...]:
    return TEXTS.get(kind.type.lower(), GUESSES)


def _texts(kind: Kind) -> Iterator[str]:
    size = kind.length or LONGEST
    if kind.fixed and size in (32, 36):  # as UUIDs are kept where there is no type for them
        yield from (_uuid(number, size) for number in (7, 1 << 120, 2**128 - 1))
        return
    yield from ("plain text", ODD[0], "w" * min(size, 4 * LONGEST), *ODD[1:], "b")


def moderate(kind: Kind, value: Value) -> bool:
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


def numbered(kind: Kind, number: int) -> Value:
    """Return the value with this number, each another one whatever the collation; None: no more.

    :param number: from 0
    """
    value = _numbered(kind, number)
    return value if value is not None and accepts(kind, value) else None


def _numbered(kind: Kind, number: int) -> Value:
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
            return (number + 1) * timedelta(seconds=max(kind.unit, 3600))
        case "year":
            return 2000 + number
        case "text":
            return _text(kind, number)
        case "binary":
            bare = number.to_bytes(min(kind.length or 4, 4), "big")
            return bare.rjust(kind.length or 0, b"\x01") if kind.fixed else bare
        case "json":
            return json.dumps([number] if kind.many else {"number": number})
        case "uuid":
            return _uuid((0x5EED << 100) + number)
        case "enum" | "set":
            return _nth(list(kind.labels), number)
        case "array":
            return None if number else "{}"
        case _:
            return _nth(list(_others(kind)), number)


def moved(day: Value, days: int) -> Value:
    """Return the day, or the moment, that is so many days later; None where there is none."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return None


def near(kind: Kind, value: Value, number: int) -> Value:
    """Return another value close to this one: the next numbers and days, text of the same length."""
    found: Value
    match value:
        case bool():
            return None
        case int() | float() | Decimal():
            found = value + (number if number % 2 else -number)
        case date():
            found = moved(value, number if number % 2 else -number)
        case str() if value:
            digits = _digits_of(number)
            found = (value + digits)[-len(value) :] if len(digits) < len(value) else digits
            found = found.upper() if value.isupper() else found
        case _:
            return None
    return found if accepts(kind, found) else None


def _text(kind: Kind, number: int) -> str:
    if kind.fixed and kind.length in (32, 36):
        return _uuid((0x5EED << 100) + number, kind.length)
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


def _nth(values: list[Value], number: int) -> Value:
    return values[number] if number < len(values) else None
