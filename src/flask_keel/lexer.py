"""SQL cut into tokens, whatever the database: strings, names in quotes, comments, words, signs.

What SQLite itself would cut is :mod:`.sqlite.tokenizer`'s; this reads what people write in migrations
and what servers print.
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
_NAME = r"(?:\"[^\"]+\"|`[^`]+`|\[[^\]]+\]|[\w$]+)"
# a name within a pattern of statements, with its schema
NAME = rf"(?:{_NAME}\.)?{_NAME}"


def tokens(sql: str) -> Iterator[tuple[str, str]]:
    """Give the kind and the text of each: blank, comment, string, name (in quotes), word or sign."""
    for match in TOKEN.finditer(sql):
        yield "string" if match["tag"] is not None else match.lastgroup or "", match[0]


def without_comments(sql: str) -> str:
    """Return the statement with a blank for each comment."""
    return "".join(" " if kind == "comment" else text for kind, text in tokens(sql))


def without_asides(sql: str) -> str:
    """Return the statement without comments, and with empty strings for its strings: words of either
    are no commands."""
    replaced = {"comment": " ", "string": "''"}
    return "".join(replaced.get(kind, text) for kind, text in tokens(sql))


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
