"""SQL cut into statements and into tokens: strings, names in quotes, comments, words, signs.

What people write in migrations, as the database cuts it that will read it; what servers print, and what
is read by nobody in particular, by what all of them have in common. What SQLite's engine has to know of
its own grammar is :mod:`.sqlite.tokenizer`'s.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

TOKEN = re.compile(
    r"""
      (?P<blank>\s+)
    | (?P<comment>--[^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<name>"(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]'",()]*\])
    | (?P<word>[\w$]+)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# PostgreSQL goes on with a string behind a line's end, and nests its comments; what is behind /*! is run
# by MySQL: https://www.postgresql.org/docs/current/sql-syntax-lexical.html,
# https://mariadb.com/kb/en/comment-syntax/, https://www.sqlite.org/lang_expr.html
PATTERNS = {
    "postgresql": r"""
      (?P<comment>--[^\r\n]* | /\*)
    | (?P<string>[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
        (?:(?:[ \t\f\v]|--[^\r\n]*)*[\r\n](?:\s|--[^\r\n]*[\r\n])*'(?:[^'\\]|''|\\.)*(?:'|\Z))*
      | '(?:[^']|'')*(?:'|\Z) | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<name>"(?:[^"]|"")*(?:"|\Z))
    | (?P<word>[^\W\d][\w$]* | \d\w* | \$\d+)
    """,
    "mysql": r"""
      (?P<comment>--(?=[\s\x00-\x1f]|\Z)[^\n]* | \#[^\n]* | /\*M?!(?:\d{5,6})? | /\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^'\\]|''|\\.)*(?:'|\Z) | "(?:[^"\\]|""|\\.)*(?:"|\Z))
    | (?P<name>`(?:[^`]|``)*(?:`|\Z))
    | (?P<word>[\w$]+)
    """,
    "sqlite": r"""
      (?P<comment>--[^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^']|'')*(?:'|\Z))
    | (?P<name>"(?:[^"]|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z) | \[[^\]]*(?:\]|\Z))
    | (?P<word>[\w$]+)
    """,
}
TOKENS = {
    database: re.compile(rf"(?P<blank>\s+)|{pattern}|(?P<sign>.)", re.VERBOSE | re.DOTALL)
    for database, pattern in PATTERNS.items()
}
TOKENS["mariadb"] = TOKENS["mysql"]
# whose body does not run now, and what tells that a statement is none of them
ROUTINES = {"TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "PACKAGE"}
NO_ROUTINES = {"TABLE", "VIEW", "INDEX"}
# behind what BEGIN is a name
NO_BLOCK = {",", "=", "(", "SET", "SELECT", "BY", "WHERE", "AND", "OR", "NOT"}
# of MySQL's bodies; behind what their statements begin, and behind what the first of them does
BLOCKS = {"IF", "LOOP", "WHILE", "REPEAT", "FOR"}
STARTS = {";", ":", "BEGIN", "ATOMIC", "DO", "LOOP", "REPEAT", "string"}
STARTS |= {"FOUND", "SQLEXCEPTION", "SQLWARNING"}
HEADS = {"", ")", "ROW", "DETERMINISTIC", "SQL", "DATA", "DEFINER", "INVOKER"}
_NAME = r"(?:\"[^\"]+\"|`[^`]+`|\[[^\]]+\]|[\w$]+)"
# a name within a pattern of statements, with its schema
NAME = rf"(?:{_NAME}\.)?{_NAME}"


def tokens(sql: str, database: str = "") -> Iterator[tuple[str, str]]:
    """Give the kind and the text of each: blank, comment, string, name (in quotes), word or sign.

    :param database: what it is written for, by SQLAlchemy's name; "" where nobody knows
    """
    pattern, place, runs = TOKENS.get(database, TOKEN), 0, False
    while match := pattern.match(sql, place):
        kind, text = match.lastgroup or "", match[0]
        if runs and sql.startswith("*/", place):
            kind, text, runs = "comment", "*/", False
        elif text == "/*":
            text = sql[place : _end_of_comment(sql, place)]
        elif text.startswith(("/*!", "/*M!")) and not text.endswith("*/"):
            runs = True
        yield kind, text
        place += len(text)


def _end_of_comment(sql: str, place: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(sql, place):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(sql)


def without_comments(sql: str, database: str = "") -> str:
    """Return the statement with a blank for each comment."""
    return "".join(" " if kind == "comment" else text for kind, text in tokens(sql, database))


def without_asides(sql: str, database: str = "") -> str:
    """Return the statement without comments, and with empty strings for its strings: words of either
    are no commands."""
    replaced = {"comment": " ", "string": "''"}
    return "".join(replaced.get(kind, text) for kind, text in tokens(sql, database))


def split(sql: str, database: str = "") -> Iterator[str]:
    """Give the statements of a text, each without its comments.

    :param database: for which it is written, by SQLAlchemy's name; "" where nobody knows
    """
    found: list[str] = []
    body = _Body(database)
    for kind, text in tokens(sql, database):
        if kind not in ("blank", "comment") and body.ends(kind, text):
            yield "".join(found)
            found, body = [], _Body(database)
        else:
            found.append(" " if kind == "comment" else text)
    yield "".join(found)


class _Body:
    """What is open in a statement: a semicolon in the body of a routine does not end it."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.open: list[str] = []  # "case" for one within an expression
        self.before = self.first = ""
        self.routine: bool | None = None
        self.rule = False

    def ends(self, kind: str, text: str) -> bool:
        """Take the next token; return whether it ends the statement."""
        word = {"word": text.upper(), "sign": text}.get(kind, kind)
        if word == ";" and not self.open:
            return True
        self._begins(word)
        if self.rule and word in ("(", ")"):
            self._brackets(word)
        elif self.routine and self.before != ".":
            self._takes(word)
        self.first, self.before = self.first or word, word
        return False

    def _begins(self, word: str) -> None:
        if self.first in ("CREATE", "ALTER"):
            if self.routine is None and word in ROUTINES | NO_ROUTINES:
                self.routine = word in ROUTINES
            self.rule = self.rule or (
                self.database == "postgresql" and self.before != "." and word == "RULE"
            )
        elif self.database not in ("postgresql", "sqlite"):  # what MariaDB runs at once
            if not self.first:
                self.routine = word in BLOCKS or word == "CASE" or None
            elif self.before == self.first == "BEGIN" and word == "NOT":
                self.open.append("BEGIN")
                self.routine = True

    def _brackets(self, word: str) -> None:
        if word == "(":
            self.open.append(word)
        elif self.open:
            self.open.pop()

    def _takes(self, word: str) -> None:
        top, before = self.open[-1] if self.open else "", self.before
        if self.database in ("postgresql", "sqlite"):
            # one block, each of whose statements has its semicolon: other words of that kind are names
            begins = word == ("BEGIN" if self.database == "sqlite" else "ATOMIC")
            if word == "END" and before in (";", "ATOMIC"):
                del self.open[-1:]
            elif begins and not top and (word == "BEGIN" or before == "BEGIN"):
                self.open.append(word)
        elif word == "END":
            if top in ("case", "REPEAT") or before in (";", "BEGIN"):  # else it is a name
                del self.open[-1:]
        elif before == "END":
            return
        elif word == "CASE" or word in BLOCKS:
            starts = before in STARTS or before.isdigit() or (not top and before in HEADS)
            starts = starts or (before in ("THEN", "ELSE") and top != "case")
            if starts or word in ("LOOP", "WHILE", "CASE"):
                self.open.append(word if starts or word != "CASE" else "case")
        elif word == "BEGIN" and before not in NO_BLOCK:
            self.open.append(word)


def unquote(name: str) -> str:
    """Return a name without the quotes of any database."""
    mark = name[:1]
    if mark == "[":
        return name[1:-1]
    return name[1:-1].replace(mark * 2, mark) if mark and mark in "\"`'" else name


def backquoted(name: str) -> str:
    """Return a name between backticks, as MySQL has it."""
    return "`" + name.replace("`", "``") + "`"


def parts(name: str) -> list[str]:
    """Return what the dots of a qualified name divide, without quotes."""
    return [unquote(text) for kind, text in tokens(name) if kind in ("name", "word")]


def dotted(*parts: str | None) -> str:
    """Return a name with its schema, or whatever stands before it; None for what does not."""
    return ".".join(part for part in parts if part)


def string(text: str) -> str:
    """Return a text as a string of SQL's."""
    return "'" + text.replace("'", "''") + "'"


def depths(texts: Iterable[str]) -> Iterator[int]:
    """Give how many parentheses are open behind each token."""
    depth = 0
    for text in texts:
        depth += (text == "(") - (text == ")")
        yield depth


def closing(texts: Sequence[str]) -> int:
    """Return the place of the parenthesis that closes the one at the beginning; -1 for none."""
    if not texts or texts[0] != "(":
        return -1
    return next((place for place, depth in enumerate(depths(texts)) if not depth), -1)


def bare(texts: Sequence[str]) -> Sequence[str]:
    """Return an expression's tokens without the parentheses around all of it."""
    while len(texts) > 1 and closing(texts) == len(texts) - 1:
        texts = texts[1:-1]
    return texts
