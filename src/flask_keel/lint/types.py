"""Which changes of a type may lose values, and the condition that counts them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Dialect

from .. import literals
from ..lexer import string
from ..typing import SQLType

Typed = Any  # a type of SQLAlchemy; its family says what attributes it has
NUMBERS, MOMENTS = ("integer", "numeric", "float"), ("date", "datetime", "time", "uuid")
DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
HEX = "[0-9a-fA-F]"
UUID = f"^{HEX}{{8}}-?{HEX}{{4}}-?{HEX}{{4}}-?{HEX}{{4}}-?{HEX}{{12}}$"
TRUTHS = "('t', 'true', 'y', 'yes', 'on', '1', 'f', 'false', 'n', 'no', 'off', '0')"
NUMBER = "^[[:space:]]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?[[:space:]]*$"
# text that is not what the column is to hold; {c} is the column
TEXT: dict[str, dict[str, str]] = {
    "postgresql": {
        "integer": "{c} !~ '^[[:space:]]*[-+]?[0-9]+[[:space:]]*$'",
        "numeric": f"{{c}} !~ '{NUMBER}'",
        "boolean": f"lower(trim({{c}})) NOT IN {TRUTHS}",
        "uuid": f"{{c}} !~ '{UUID}'",
        "date": f"{{c}} !~ '{DAY}'",
        "datetime": f"{{c}} !~ '{DAY}'",
        "time": "{c} !~ '^[0-9]{2}:[0-9]{2}'",
    },
    "mysql": {
        "integer": "{c} NOT REGEXP '^[-+]?[0-9]+$'",
        "numeric": f"{{c}} NOT REGEXP '{NUMBER}'",
        "boolean": "{c} NOT IN ('0', '1')",
        "uuid": f"{{c}} NOT REGEXP '{UUID}'",
        "json": "NOT json_valid({c})",
        "date": "CAST({c} AS DATE) IS NULL",
        "datetime": "CAST({c} AS DATETIME) IS NULL",
        "time": "CAST({c} AS TIME) IS NULL",
    },
    "sqlite": {
        "integer": "CAST(CAST({c} AS INTEGER) AS TEXT) <> {c}",
        "numeric": "({c} GLOB '*[^0-9.+-]*' OR {c} NOT GLOB '*[0-9]*' OR {c} GLOB '*.*.*' "
        "OR {c} GLOB '?*[+-]*')",
        "boolean": "{c} NOT IN ('0', '1')",
        "uuid": "(length(replace({c}, '-', '')) <> 32 OR replace({c}, '-', '') GLOB '*[^0-9a-fA-F]*')",
        "json": "NOT json_valid({c})",
        "date": "date({c}) IS NULL",
        "datetime": "datetime({c}) IS NULL",
        "time": "time({c}) IS NULL",
    },
}
# but for the last digits of a binary fraction: 0.1 + 0.2 is 0.3
ROUNDED = {
    "postgresql": "{c}::numeric <> round({c}::numeric, {scale})",
    "mysql": "abs({c} - round({c}, {scale})) > abs({c}) * 1e-14",
    "sqlite": "{c} <> round({c}, {scale})",
}
FRACTION = {
    "postgresql": "{c}::float8::text::numeric <> {c}",
    "mysql": "CAST(CAST({c} AS DOUBLE) AS DECIMAL(65, 30)) <> {c}",
    "sqlite": "",
}
TIME_OF_DAY = {
    "postgresql": "{c}::time <> '00:00'",
    "mysql": "TIME({c}) <> '00:00:00'",
    "sqlite": "time({c}) <> '00:00:00'",
}


def condition(before: str | None, after: str | None, new: Typed, column: str, kind: str) -> str:
    """Return the condition of the rows that cannot become what the column is to hold.

    :param before: the family of the old type, as :func:`.types.family` says it; ``after`` likewise
    :param new: SQLAlchemy's type
    :param column: quoted for SQL
    :param kind: "sqlite", "postgresql" or "mysql"
    :return: "" where no condition tells
    """
    found = ""
    match before, after:
        case "text", "enum" if new.enums:
            listed = ", ".join(map(string, new.enums))
            return f"{column} NOT IN ({listed})"
        case "text", _:
            found = TEXT[kind].get("numeric" if after == "float" else str(after), "")
            found += " AND {c} IS NOT NULL" if "IS NULL" in found or "json" in found else ""
        case (("integer" | "numeric" | "float"), "boolean"):
            found = "{c} NOT IN (0, 1)"
        case (("numeric" | "float"), "integer"):
            found = "{c} <> round({c})"
        case "float", "numeric":
            found = ROUNDED[kind].format(c="{c}", scale=new.scale or 0)
        case "integer", "float":
            single = kind == "mysql" and not isinstance(new, sa.Double)
            found = f"abs({{c}}) > {2 ** (24 if single else 53)}"
        case "numeric", "float":
            found = FRACTION[kind]
        case "datetime", "date":
            found = TIME_OF_DAY[kind]
        case "datetime", "time":
            found = "{c} IS NOT NULL"
        case (one, other) if {one, other} & set(NUMBERS) and {one, other} & set(MOMENTS):
            found = "{c} IS NOT NULL"  # none of them can
    return found.replace("{c}", column)


# the order matters: the first that fits
FAMILIES = (
    ("boolean", sa.Boolean),
    ("uuid", sa.Uuid),
    ("json", sa.JSON),
    ("enum", sa.Enum),
    ("binary", sa.LargeBinary),
    ("binary", sa.types._Binary),
    ("text", sa.String),
    ("integer", sa.Integer),
    ("float", sa.Float),
    ("numeric", sa.Numeric),
    ("datetime", sa.DateTime),
    ("date", sa.Date),
    ("time", sa.Time),
    ("interval", sa.Interval),
)
# in bytes, by the name of the class: MySQL has its own
SIZES = {"TINYINT": 1, "SMALLINT": 2, "MEDIUMINT": 3, "BIGINT": 8}
# what every value of one family becomes in another without a loss
SAFE = {
    ("integer", "numeric"),
    ("boolean", "integer"),
    ("date", "datetime"),
    *((kind, "text") for kind, _ in FAMILIES if kind not in ("text", "binary", "interval")),
}
# characters, at most
PRINTED = {"boolean": 5, "integer": 20, "uuid": 36, "date": 10, "time": 15, "datetime": 32}


def plain(type_: SQLType | type[SQLType], dialect: Dialect) -> SQLType:
    """Return what a type, or its class, is on a database, without decorators and variants."""
    here: SQLType = sa.types.to_instance(type_)
    if isinstance(here, sa.Interval):  # a decorator where the database has none of its own
        here = here.dialect_impl(dialect)
    if isinstance(here, sa.types.TypeDecorator):
        here = here.load_dialect_impl(dialect)
    here = here._variant_mapping.get(dialect.name, here)
    # MySQL has no BOOLEAN, and says TINYINT(1) of what was made as one
    return sa.Boolean() if getattr(here, "display_width", None) == 1 else here


def family(type_: SQLType) -> str | None:
    """Return the family of a type: text, integer, numeric ...; None for one of its own."""
    return next((name for name, kind in FAMILIES if isinstance(type_, kind)), None)


def said(type_: SQLType, dialect: Dialect) -> str:
    """Return a type as the database writes it."""
    try:
        return str(type_.compile(dialect=literals.dialect(dialect)))
    except sa.exc.CompileError:
        return str(type_)


def verdict(old: Typed, new: Typed, column: str, dialect: Dialect) -> tuple[str, str] | None:
    """Return the rule that a change of type breaks and the condition of the rows that lose.

    :param column: quoted for SQL
    :return: ("narrow-type" or "change-type", a condition in SQL, "" where none tells), None when no
        value can be lost
    """
    before, after = family(old), family(new)
    if said(old, dialect) == said(new, dialect):
        return None
    if before != after or before is None:
        if (before, after) in SAFE:
            short = _too_short(before, new, column)
            return ("narrow-type", short) if short else None
        kind = "mysql" if dialect.name == "mariadb" else dialect.name
        return "change-type", condition(before, after, new, column, kind)
    if before == "datetime" and dialect.name == "postgresql" and old.timezone != new.timezone:
        return "change-type", f"{column} IS NOT NULL"
    narrower = _narrower(before, old, new, column, dialect)
    return ("narrow-type", narrower) if narrower else None


def rewrites(old: Typed, new: Typed, dialect: Dialect) -> bool:
    """Whether PostgreSQL or MySQL writes every row again for a change of type.

    https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES
    https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html
    """
    kind = family(old)
    if dialect.name == "sqlite" or said(old, dialect) == said(new, dialect):
        return False
    if kind != family(new):
        return True
    shorter, longer = getattr(old, "length", None), getattr(new, "length", None)
    match kind:
        case "text" if dialect.name == "postgresql":
            return longer is not None and (shorter is None or longer < shorter)
        case "text":
            # up to 255 bytes the length takes one byte, with utf8mb4 63 characters
            if shorter is None or longer is None or longer < shorter:
                return True
            one = [bool(length) and length <= 63 for length in (shorter, longer)]
            return one[0] != one[1]
        case "enum":
            return list(new.enums[: len(old.enums)]) != list(old.enums)
        case "numeric" if dialect.name == "postgresql":
            wider = new.precision is None or (old.precision or 10**6) <= new.precision
            return not (wider and (new.precision is None or old.scale == new.scale))
    return True


def _narrower(kind: str, old: Typed, new: Typed, column: str, dialect: Dialect) -> str | None:
    match kind:
        case "text" | "binary":
            longest, was = getattr(new, "length", None), getattr(old, "length", None)
            if longest and (was is None or longest < was):
                function = (
                    "length" if dialect.name == "sqlite" or kind == "binary" else "char_length"
                )
                return f"{function}({column}) > {longest}"
        case "float" | "datetime" | "time":
            if _precision(new, dialect) < _precision(old, dialect):
                return f"{column} <> CAST({column} AS {said(new, dialect)})"
        case "integer":
            if _size(new) < _size(old):
                most = 2 ** (8 * _size(new) - 1) - 1
                return f"{column} NOT BETWEEN {-most - 1} AND {most}"
        case "numeric":
            return _numeric(old, new, column)
        case "enum":
            gone = sorted(set(old.enums) - set(new.enums))
            if gone:
                values = ", ".join(map(string, gone))
                return f"{column} IN ({values})"
    return None


def _too_short(before: str | None, new: Typed, column: str) -> str | None:
    """A text of some length may not hold what another type prints."""
    length = getattr(new, "length", None)
    if not length or length >= PRINTED.get(before or "", 255):
        return None
    return f"length(CAST({column} AS CHAR(255))) > {length}"


def _size(type_: SQLType) -> int:
    if isinstance(type_, sa.BigInteger | sa.SmallInteger):
        return 8 if isinstance(type_, sa.BigInteger) else 2
    return SIZES.get(type(type_).__name__, 4)


def _precision(type_: Typed, dialect: Dialect) -> int:
    """Digits of a fraction, as far as two types of one family differ in them."""
    mysql = dialect.name in ("mysql", "mariadb")
    if dialect.name == "sqlite":
        return 0
    if isinstance(type_, sa.Float):
        return 7 if said(type_, dialect).partition("(")[0] == ("FLOAT" if mysql else "REAL") else 15
    given = getattr(type_, "fsp" if mysql else "precision", None)
    return (0 if mysql else 6) if given is None else given


def _numeric(old: Typed, new: Typed, column: str) -> str | None:
    if new.precision is None:
        return None
    scale, was = new.scale or 0, old.scale or 0
    found = []
    if old.precision is None or scale < was:
        found.append(f"{column} <> round({column}, {scale})")
    if old.precision is None or new.precision - scale < old.precision - was:
        found.append(f"abs({column}) >= {10 ** (new.precision - scale)}")
    return " OR ".join(found) or None
