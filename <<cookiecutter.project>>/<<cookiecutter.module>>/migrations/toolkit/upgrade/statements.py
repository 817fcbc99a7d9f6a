"""A SQLite connection that writes down what it runs, as SQL that the sqlite3 program reads back.

SQLite's own trace is not used: it cuts floats to 15 digits and text at NUL, and says the outer
statement again for each trigger.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# what reads, and what env.py itself wraps around the whole
SILENT = re.compile(
    r"\s*(--[^\n]*\n\s*|/\*.*?\*/\s*)*"
    r"(SELECT|EXPLAIN|VALUES|BEGIN|COMMIT|ROLLBACK|END|SAVEPOINT|RELEASE|PRAGMA)\b",
    re.IGNORECASE | re.DOTALL,
)
# a placeholder, or what only looks like one: strings, quoted names, comments
TOKENS = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]"
    r"|--[^\n]*|/\*.*?\*/"
    r"|\?(?P<number>\d+)?|[:@$](?P<name>\w+)",
    re.DOTALL,
)


def recorder(write: Callable[[str], None]) -> type[sqlite3.Connection]:
    """Return a connection class that hands each statement that changes something to ``write``."""

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            result = super().execute(sql, parameters)
            _note(write, sql, parameters)
            return result

        def executemany(self, sql: str, sequence: Iterable[Any], /) -> sqlite3.Cursor:
            rows = list(sequence)
            result = super().executemany(sql, rows)
            for parameters in rows:
                _note(write, sql, parameters)
            return result

        def executescript(self, script: str, /) -> sqlite3.Cursor:
            result = super().executescript(script)
            write(script.strip().rstrip(";"))
            return result

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> sqlite3.Cursor:
            return super().cursor(factory)

        # the shortcuts of the C class make a plain cursor of their own
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            return self.cursor().execute(sql, parameters)

        def executemany(self, sql: str, sequence: Iterable[Any], /) -> sqlite3.Cursor:
            return self.cursor().executemany(sql, sequence)

        def executescript(self, script: str, /) -> sqlite3.Cursor:
            return self.cursor().executescript(script)

    return Connection


def _note(write: Callable[[str], None], sql: str, parameters: Any) -> None:
    if not SILENT.match(sql):
        write(inline(sql, parameters).strip().rstrip(";"))


def inline(sql: str, parameters: Any) -> str:
    """Return the statement with its parameters written into it."""
    if not parameters:
        return sql
    position = 0

    def value(match: re.Match[str]) -> str:
        nonlocal position
        token = match.group()
        if token[0] == "?":
            index = int(match["number"]) - 1 if match["number"] else position
            position = index + 1
            return literal(parameters[index])
        if match["name"] and isinstance(parameters, Mapping):
            return literal(parameters[match["name"]])
        return token

    return TOKENS.sub(value, sql)


def literal(value: Any) -> str:
    """Return a value as SQLite literal that reads back as the very same value.

    https://www.sqlite.org/lang_expr.html#literal_values_constants_
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return str(int(value))
        case int():
            return str(value)
        case float():
            if value != value:
                return "NULL"  # SQLite stores NaN as NULL
            if value in (float("inf"), float("-inf")):
                return "9e999" if value > 0 else "-9e999"
            return repr(value)
        case bytes() | bytearray() | memoryview():
            return f"x'{bytes(value).hex()}'"
        case str() if "\0" in value:
            return f"CAST(x'{value.encode().hex()}' AS TEXT)"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            adapted = sqlite3.adapt(value)
            return literal(adapted)
