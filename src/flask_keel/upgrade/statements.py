"""A SQLite connection that writes down what it runs, as SQL that the sqlite3 program reads back.

SQLite's own trace is not used: it cuts floats to 15 digits and text at NUL, and says the outer
statement again for each trigger.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .literals import TOKENS, inline

WORDS = re.compile(rf"{TOKENS.pattern}|[().=]|\w+", re.DOTALL)
# what the engine says of its plan
COMMENT = re.compile(r"-- [^\n]*")
READS = {"SELECT", "VALUES", "EXPLAIN"}
# what env.py itself wraps around the whole; a savepoint may be rolled back, so it is written down
TRANSACTION = {"BEGIN", "COMMIT", "END", "ROLLBACK"}
AFTER_WITH = {"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"}
# https://www.sqlite.org/pragma.html: those whose argument says what to look at, and our own
LOOKS = re.compile(
    r"(table|index)_x?info|\w+_list|(foreign_key|integrity|quick)_check|busy_timeout",
    re.IGNORECASE,
)


def recorder(write: Callable[[str], None]) -> type[sqlite3.Connection]:
    """Return a connection class that hands each statement that changes something to ``write``."""

    def note(sql: str, parameters: Any) -> None:
        if changes(sql):
            write(inline(sql, parameters).strip().rstrip(";"))
        elif COMMENT.fullmatch(sql):
            write(sql)

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            result = super().execute(sql, parameters)
            note(sql, parameters)
            return result

        def executemany(self, sql: str, sequence: Iterable[Any], /) -> sqlite3.Cursor:
            ran: list[Any] = []

            def feed() -> Iterator[Any]:
                for parameters in sequence:
                    ran.append(parameters)
                    yield parameters

            try:
                return super().executemany(sql, feed())
            except BaseException:
                del ran[-1:]  # a migration may catch it, and those before stand
                raise
            finally:
                for parameters in ran:
                    note(sql, parameters)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> sqlite3.Cursor:
            return super().cursor(factory)

        # the shortcuts of the C class make a plain cursor of their own
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            return self.cursor().execute(sql, parameters)

        def executemany(self, sql: str, sequence: Iterable[Any], /) -> sqlite3.Cursor:
            return self.cursor().executemany(sql, sequence)

    return Connection


def changes(sql: str) -> bool:
    """Whether a statement may change the database, or how the connection treats what follows."""
    words = _words(sql)
    first = next(words, "")
    if first == "WITH":
        first = _after_with(words)
    if first == "PRAGMA":
        return _sets(words)
    if first == "ROLLBACK":
        return "TO" in words
    return first not in READS | TRANSACTION | {""}


def _words(sql: str) -> Iterator[str]:
    for match in WORDS.finditer(sql):
        word = match.group()
        if word[:2] not in ("--", "/*"):
            yield word.upper()


def _after_with(words: Iterator[str]) -> str:
    """Return the verb behind the common table expressions."""
    depth = 0
    for word in words:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and word in AFTER_WITH:
            return word
    return ""


def _sets(words: Iterator[str]) -> bool:
    name, *rest = words
    if rest[:1] == ["."]:  # of an attached database
        _, name, *rest = rest
    return bool(rest or name in ("OPTIMIZE", "INCREMENTAL_VACUUM")) and not LOOKS.fullmatch(name)
