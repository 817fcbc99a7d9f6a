"""SQL as it is run: what a statement changes, and what a connection to SQLite ran of it."""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from .. import lexer
from ..literals import inline
from ..typing import Value

# A SQLite connection that writes down what it runs, as SQL that the sqlite3 program reads back.
#
# SQLite's own trace is not used: it cuts floats to 15 digits and text at NUL, and says the outer
# statement again for each trigger.


# what the engine says of its plan
COMMENT = re.compile(r"-- [^\n]*")
READS = {"SELECT", "VALUES", "EXPLAIN", "SHOW", "DESCRIBE", "DESC"}
# what env.py itself wraps around the whole; a savepoint may be rolled back, so it is written down
TRANSACTION = {"BEGIN", "COMMIT", "END", "ROLLBACK"}
AFTER_WITH = {"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"}
# https://www.sqlite.org/pragma.html: those whose argument says what to look at, and our own
LOOKS = re.compile(
    r"(table|index)_x?info|\w+_list|(foreign_key|integrity|quick)_check|busy_timeout",
    re.IGNORECASE,
)
# https://mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit/
COMMITS = re.compile(
    r"\s*(ALTER|ANALYZE|CREATE(?!\s+(OR\s+REPLACE\s+)?TEMPORARY)|DROP(?!\s+TEMPORARY)|FLUSH|GRANT|LOCK"
    r"|OPTIMIZE|RENAME|REPAIR|REVOKE|TRUNCATE)\b",
    re.IGNORECASE,
)


def recorder(write: Callable[[str], None]) -> type[sqlite3.Connection]:
    """Return a connection class that hands each statement that changes something to ``write``."""

    def note(sql: str, parameters: Value) -> None:
        if changes(sql):
            write(inline(sql, parameters).strip().rstrip(";"))
        elif COMMENT.fullmatch(sql):
            write(sql)

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Value = (), /) -> Self:
            super().execute(sql, parameters)
            note(sql, parameters)
            return self

        def executemany(self, sql: str, sequence: Iterable[Value], /) -> Self:
            ran: list[Value] = []

            def feed() -> Iterator[Value]:
                for parameters in sequence:
                    ran.append(parameters)
                    yield parameters

            try:
                super().executemany(sql, feed())
                return self
            except BaseException:
                del ran[-1:]  # a migration may catch it, and those before stand
                raise
            finally:
                for parameters in ran:
                    note(sql, parameters)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        # the shortcuts of the C class make a plain cursor of their own
        def execute(self, sql: str, parameters: Value = (), /) -> sqlite3.Cursor:
            ran: sqlite3.Cursor = self.cursor().execute(sql, parameters)
            return ran

        def executemany(self, sql: str, sequence: Iterable[Value], /) -> sqlite3.Cursor:
            ran: sqlite3.Cursor = self.cursor().executemany(sql, sequence)
            return ran

    return Connection


def changes(sql: str) -> bool:
    """Whether a statement may change the database, or how the connection treats what follows."""
    words = _words(sql)
    first = next(words, "")
    while first == "(":
        first = next(words, "")
    if first == "SELECT":
        return "INTO" in words  # a table, a file or a variable
    if first == "WITH":
        first = _after_with(words)
    if first == "PRAGMA":
        return _sets(words)
    if first == "ROLLBACK":
        return "TO" in words
    return first not in READS | TRANSACTION | {""}


def first(sql: str) -> str:
    """Return the word with which a statement begins, in capitals."""
    return next(_words(sql), "")


def commits(sql: str) -> bool:
    """Whether MySQL commits a statement by itself, and before it what came before it."""
    return bool(COMMITS.match(sql))


def _words(sql: str) -> Iterator[str]:
    for kind, text in lexer.tokens(sql):
        if kind not in ("blank", "comment") and (kind != "sign" or text in "().="):
            yield text.upper()


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
