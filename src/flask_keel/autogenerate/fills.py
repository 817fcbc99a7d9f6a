"""What stands in a column in the rows that are there: as somebody types it, and as it is suggested."""

import json
import math
import shlex
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

from alembic.util import CommandError
from sqlalchemy import Connection, Index, UniqueConstraint
from sqlalchemy import types as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from ..catalog import Check
from ..rows.plan import Domain, Judge, columns_of, suggestions
from ..rows.values import Kind, accepts, as_text, kind_of, whole_numbers
from ..typing import AnyColumn, SQLType, Value
from . import questioner
from .questioner import Fill
from .renames import families, named

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


READ: dict[type, tuple[Callable[[str], Value], str]] = {
    bool: (lambda text: WORDS[text.strip().lower()], "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    Decimal: (Decimal, "a number"),
    datetime: (datetime.fromisoformat, "a date and time such as 2026-01-31 12:00:00"),
    date: (date.fromisoformat, "a date such as 2026-01-31"),
    time: (time.fromisoformat, "a time such as 12:00:00"),
    timedelta: (lambda text: timedelta(seconds=float(text)), "a number of seconds"),
    uuid.UUID: (uuid.UUID, "a UUID"),
    bytes: (str.encode, "text"),
    dict: (json.loads, "JSON"),
    list: (json.loads, "a JSON list"),
}


def literal_value(name: str, type_: SQLType, text: str) -> Value:
    """Return the value that a literal text stands for in a column of this type.

    :param name: the column, for the sentence
    :raises CommandError: when the text is no such value
    """
    stored = unwrapped(type_)
    try:
        if isinstance(stored, sa.Enum):
            return stored.enums[stored.enums.index(text)]
        return _reading(stored)[0](text)
    except (ValueError, KeyError, InvalidOperation, OverflowError) as error:
        raise _no_value(name, text, _words(stored)) from error


def require(name: str, type_: SQLType, text: str, dialect: Dialect) -> None:
    """Require that a literal text is a value that a column of this type holds as it is.

    SQLite holds what is too long as well; the database that the application moves to does not.

    :raises CommandError: when it is none, with what it is to be
    """
    found, kind = literal_value(name, type_, text), _kind(type_, dialect)
    measured = None if isinstance(found, bool | float) else kind
    infinite = isinstance(found, float | Decimal) and not math.isfinite(found)
    if infinite or (measured is not None and not accepts(measured, found)):
        raise _no_value(name, text, wanted_words(type_, dialect))


def wanted_words(type_: SQLType, dialect: Dialect) -> str:
    """Say what a literal text for a column of this type is to be: "text of at most 20 characters"."""
    words, kind = _words(unwrapped(type_)), _kind(type_, dialect)
    if kind is None:
        return words
    match kind.family:
        case "text" if kind.length:
            return f"{words} of at most {kind.length} characters"
        case "int":
            low, high = whole_numbers(kind)
            return f"{words} from {low} to {high}"
        case "numeric" if kind.precision:
            whole = kind.precision - (kind.scale or 0)
            return f"{words} of at most {whole} digits before the point and {kind.scale} after it"
    return words


def _words(stored: SQLType) -> str:
    if isinstance(stored, sa.Enum):
        return "one of " + ", ".join(stored.enums)
    return _reading(stored)[1]


def _reading(stored: SQLType) -> tuple[Callable[[str], Value], str]:
    """What makes a value of a text, and what it takes, in words."""
    return READ.get(_python_type(stored) or str, (str, "text"))


def _kind(type_: SQLType, dialect: Dialect) -> Kind | None:
    """The limits of a type, where it is SQLAlchemy's own and a literal is held as it is typed."""
    stored = unwrapped(type_)
    measured = isinstance(stored, sa.String | sa.Integer | sa.Numeric)
    if not measured or isinstance(stored, sa.Enum | sa.Float):
        return None
    return kind_of(stored.compile(dialect), dialect.name)


def _no_value(name: str, text: str, wanted: str) -> CommandError:
    return CommandError(
        f"{text!r} is no value for {name}: give {wanted}, or := and an SQL expression."
    )


def code(value: Value, imports: set[str]) -> str:
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


def plain_text(type_: SQLType) -> bool:
    """Whether a Python string needs no type beside it: the column is SQLAlchemy's own text."""
    return isinstance(type_, sa.String) and not isinstance(type_, sa.Enum)


def neutral_value(column: AnyColumn, dialect: Dialect) -> str | None:
    """Return the text that stands for "nothing" in a column, or None where there is no such value."""
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
    kinds = families(column.type, dialect)
    known = [text for name, text in NEUTRAL.items() if name in kinds]
    return known[0] if known else NEUTRAL.get(_python_type(stored))


def uniques(column: AnyColumn) -> Iterator[UniqueConstraint | Index]:
    """The constraints and indexes that let a value of this column stand in one row only."""
    for key in [*column.table.constraints, *column.table.indexes]:
        unique = UniqueConstraint if not getattr(key, "unique", False) else Index
        if isinstance(key, unique) and list(key.columns) == [column]:
            yield key


def unwrapped(type_: SQLType) -> SQLType:
    """Return the type under a TypeDecorator of the application's."""
    while isinstance(type_, sa.TypeDecorator) and not isinstance(type_, sa.Interval):
        type_ = type_.impl_instance
    return type_


def _python_type(type_: SQLType) -> type | None:
    try:
        return type_.python_type
    except NotImplementedError:
        return None


def stand_in(column: AnyColumn, checks: Iterable[str], connection: Connection) -> str | None:
    """Return the text of a neutral value, or of another one where a CHECK forbids that.

    :param checks: the CHECKs that come back with the column
    :returns: None where no value can stand in every row
    """
    dialect = connection.dialect
    text = neutral_value(column, dialect)
    names = {name: name for name in named(column.table)}
    own = [Check(check, check) for check in checks if columns_of(check, names) == [column.name]]
    if text is None or not own:
        return text
    stored = unwrapped(column.type)
    domain = Domain(column.name, kind_of(stored.compile(dialect), dialect.name))
    with_names = [(check, {column.name: column.name}) for check in own]
    judge = Judge(connection, column.table.name, with_names, {column.name: domain})
    for candidate in [text, *map(as_text, suggestions(domain, 0))]:
        if _holds(column, candidate, dialect):
            value = literal_value(column.name, column.type, candidate)
            if not judge.failing({column.name: value}):
                return candidate
    return None


def needed(column: AnyColumn, dialect: Dialect) -> bool:
    """Whether the rows that are there need to be told what to put into a new column."""
    given = column.server_default or column.computed or column.identity
    return not (column.nullable or given or _counted(column, dialect) or column.system)


def _counted(column: AnyColumn, dialect: Dialect) -> bool:
    """Whether the database numbers the rows; SQLite only by what it calls INTEGER, its row number."""
    if column.table is None or column is not column.table._autoincrement_column:
        return False
    return dialect.name != "sqlite" or column.type.compile(dialect) == "INTEGER"


def suggestion(column: AnyColumn, dialect: Dialect) -> Fill:
    """Return a value to begin with: the model's own default, or what such columns often get."""
    each = _each_row(column, dialect)
    default = column.default if isinstance(column.default, ScalarElementColumnDefault) else None
    neutral = neutral_value(column, dialect)
    if each and (_unique(column) or not (default or neutral is not None or column.foreign_keys)):
        return Fill(each, expression=True)
    if column.foreign_keys and not default:
        return Fill("1")
    likely = [_text(default.arg)] if default else []
    if "text" in families(column.type, dialect) and plain_text(column.type):
        likely.append("none")
    likely.append(neutral or "")
    return Fill(next((text for text in likely if _holds(column, text, dialect)), "none"))


def _text(default: Value) -> str:
    """A default of the model, as it is typed."""
    if isinstance(default, dict | list):
        return json.dumps(default)
    return str(getattr(default, "name", default))


def _holds(column: AnyColumn, text: str, dialect: Dialect) -> bool:
    try:
        require("", column.type, text, dialect)
    except CommandError:
        return False
    return True


def _each_row(column: AnyColumn, dialect: Dialect) -> str:
    """An expression that differs from row to row: the primary key."""
    quote = dialect.identifier_preparer.quote
    keys = [quote(key.name) for key in column.table.primary_key if key is not column]
    if len(keys) > 1 and dialect.name == "mysql":
        return f"concat_ws('-', {', '.join(keys)})"
    return " || '-' || ".join(keys)


def _unique(column: AnyColumn) -> bool:
    """Whether a value of the column can stand in one row only, whatever the row."""
    return not all(map(is_partial, uniques(column)))


def is_partial(key: UniqueConstraint | Index) -> bool:
    """Whether a unique key leaves rows out."""
    return any(name.endswith("_where") for name in key.dialect_kwargs)


def ask(name: str, column: AnyColumn, dialect: Dialect) -> Fill:
    def read(text: str) -> Fill:
        if not text:
            raise CommandError(
                f"An empty answer is no value for {name}: type {wanted}, or = and an SQL expression "
                "(='' is an empty text), or Ctrl-C to stop."
            )
        fill = Fill.read(text)
        check(name, column, [column.type], fill, dialect)
        return fill

    wanted = wanted_words(column.type, dialect)
    default = column.default is not None and column.default.is_scalar
    likely = str(suggestion(column, dialect)) if default and not _unique(column) else None
    answer: Fill = questioner.ask(
        f"{name} is new and may not be NULL: what do the rows that are there get?\n  "
        f"({wanted}, or = and an SQL expression)",
        read,
        likely,
    )
    return answer


def check(
    name: str, column: AnyColumn | None, types: list[SQLType], fill: Fill, dialect: Dialect
) -> None:
    """Require a value that the column holds, before and after its type changes, in every row."""
    if fill.expression:
        return
    for type_ in types:
        require(name, type_, fill.text, dialect)
    if column is not None and _unique(column):
        better = Fill(_each_row(column, dialect) or "...", expression=True)
        raise CommandError(
            f"{name} is unique, and {fill.text!r} would stand in every row that needs a value: give "
            ":= and an SQL expression that tells the rows apart, such as "
            f"fill={shlex.quote(f'{name}:{better}')}."
        )
