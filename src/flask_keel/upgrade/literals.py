"""Parameters written into a statement as literals, so that the sqlite3 program reads the same back."""

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

# a placeholder, or what only looks like one: strings, quoted names, comments
TOKENS = re.compile(
    r"(?P<text>'(?:[^']|'')*')|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]"
    r"|--[^\n]*|/\*.*?(?:\*/|\Z)"
    r"|\?(?P<number>\d+)?|[:@$](?P<name>\w+)",
    re.DOTALL,
)
# the sqlite3 program reads line by line and drops the carriage return of a line's end; NUL ends it
UNREADABLE = re.compile(r"[\0\r]")
SCHEMA = re.compile(r"\s*(create|alter)\b", re.IGNORECASE)
STEP = 2.0**52


def inline(sql: str, parameters: Any) -> str:
    """Return the statement with its parameters written into it.

    :param parameters: a sequence or a mapping, as :meth:`sqlite3.Cursor.execute` takes them
    """
    position = 0
    named: dict[str, int] = {}

    def value(match: re.Match[str]) -> str:
        nonlocal position
        token = match.group()
        if match["text"]:
            # a default of a column must be one literal, so a schema is left as it is
            odd = UNREADABLE.search(token) and not SCHEMA.match(sql)
            return literal(token[1:-1].replace("''", "'")) if odd else token
        if match["name"] and isinstance(parameters, Mapping):
            return _apart(literal(parameters[match["name"]]), match)
        if token[0] == "?" or (match["name"] and parameters):
            # https://www.sqlite.org/lang_expr.html#varparam: a name takes the next number, once
            index = int(match["number"]) - 1 if match["number"] else position
            index = named.setdefault(token, index) if match["name"] else index
            position = max(position, index + 1)
            return _apart(literal(parameters[index]), match)
        return token

    return TOKENS.sub(value, sql)


def _apart(text: str, match: re.Match[str]) -> str:
    # LIMIT? would be LIMIT5, and a-? with a negative number the beginning of a comment
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    left = " " if re.match(r"[\w-]", before) else ""
    return left + text + (" " if re.match(r"\w", after) else "")


def literal(value: Any) -> str:
    """Return a value as SQLite literal that reads back as the very same value.

    https://www.sqlite.org/lang_expr.html#literal_values_constants_
    """
    match value:
        case None:
            return "NULL"
        case int():
            return int.__repr__(int(value))
        case float():
            return _real(float(value))
        case bytes() | bytearray() | memoryview():
            return f"x'{bytes(value).hex()}'"
        case str():
            return _text(str.__str__(value))
        case _:
            return literal(sqlite3.adapt(value))


def _text(value: str) -> str:
    parts = re.split(f"({UNREADABLE.pattern})", value)
    # not CAST(x'..' AS TEXT): that reads the bytes in the encoding of the database
    said = [
        f"char({ord(part)})" if UNREADABLE.match(part) else "'" + part.replace("'", "''") + "'"
        for part in parts
        if part
    ]
    return said[0] if len(said) == 1 else f"({'||'.join(said)})" if said else "''"


def _real(value: float) -> str:
    if value != value:
        return "NULL"  # SQLite stores NaN as NULL
    if value in (float("inf"), float("-inf")):
        return "9e999" if value > 0 else "-9e999"
    text = float.__repr__(value)
    if _read(text) == value:
        return text
    # SQLite rounds what is far from 1 in its last bit: a product of exact numbers does not
    factors, operator = 0, "/" if abs(value) < 1 else "*"
    while not 1 <= abs(value) < STEP:
        value, factors = value * STEP if operator == "/" else value / STEP, factors + 1
    return f"({value!r}{f' {operator} {STEP!r}' * factors})"


def _read(text: str) -> float:
    return _reader.execute(f"SELECT {text}").fetchone()[0]


_reader = sqlite3.connect(":memory:", check_same_thread=False)
