"""The tokens of SQLite's SQL, as its own tokenizer cuts them, and the names among them.

Source of the rules: https://sqlite.org/lang_keywords.html and SQLite's ``src/tokenize.c``: an
identifier may hold any character from U+0080 on (so a no-break space is a letter), an ASCII space
is the only space, a name compares without regard to case for ASCII alone.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ..lexer import bare, depths
from ..lexer import unquote as unquote  # the engine takes it from here

Span = tuple[int, int]


class Unreadable(ValueError):
    """A CREATE TABLE text that cannot be read; its argument is one sentence."""


class Token(NamedTuple):
    """A token and its place: ``sql[start:end] == text``.

    ``kind`` is one of word, quoted (an identifier in ".." or `..` or [..]), string, number, blob,
    punct, end. ``keyword`` is a bare word in capitals, and empty for everything else.
    """

    kind: str
    text: str
    start: int
    end: int
    keyword: str = ""

    @property
    def span(self) -> Span:
        return self.start, self.end

    @property
    def is_name(self) -> bool:
        """SQLite takes a string where it waits for a name, so a string counts as one."""
        return self.kind in ("word", "quoted", "string")

    @property
    def name(self) -> str:
        return unquote(self.text)


# a letter is what is no other ASCII character: a range up to U+10FFFF takes milliseconds to compile
_TOKEN = re.compile(
    r"""
      (?P<space>[\ \t\n\f\r\ufeff][\ \t\n\v\f\r]*+)
    | (?P<comment>--[^\n]*+ | /\*(?s:.)*?(?:\*/|\Z))
    | (?P<blob>[xX]'[0-9A-Fa-f]*+')
    | (?P<string>'(?:[^']|'')*+')
    | (?P<quoted>"(?:[^"]|"")*+" | `(?:[^`]|``)*+` | \[[^\]]*+\])
    | (?P<number>0[xX][0-9A-Fa-f_]++
               | (?:[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][+-]?[0-9][0-9_]*+)?)
    | (?P<word>[^\x00-@\[-^`{-\x7f][^\x00-\x23%-/:-@\[-^`{-\x7f]*+)
    | (?P<punct>[^"'`\[])
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=512)
def lex(sql: str) -> tuple[Token, ...]:
    """Every token, with the kinds ``space`` and ``comment`` among them; a text is cut once.

    :raises Unreadable: for a quote that is never closed.
    """
    found, at = [], 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise Unreadable(f"the quote {sql[at]} is never closed: {sql[at : at + 40]!r}")
        kind, text = match.lastgroup or "", match.group()
        keyword = upper(text) if kind == "word" else ""
        found.append(Token(kind, text, at, match.end(), keyword))
        at = match.end()
    return tuple(found)


@lru_cache(maxsize=512)
def tokenize(sql: str) -> tuple[Token, ...]:
    """The tokens that mean something: no spaces, no comments.

    :raises Unreadable: for a quote that is never closed.
    """
    return tuple(token for token in lex(sql) if token.kind not in ("space", "comment"))


@lru_cache(maxsize=4000)
def plain(sql: str) -> tuple[str, ...]:
    """The tokens without what makes no difference: comments, spaces, capitals, quotes of names, and
    the parentheses around all of it.

    :raises Unreadable: for a quote that is never closed
    """
    tokens = tokenize(sql)
    found = [fold(t.name) if t.kind in ("word", "quoted") else t.text for t in tokens]
    return tuple(bare(found))


def same_words(one: str, other: str) -> bool:
    """Whether two pieces of SQL differ in spaces, comments and capitals only."""
    texts = [[fold(token.text) for token in tokenize(text)] for text in (one, other)]
    return texts[0] == texts[1]


_UPPER = {c: c - 32 for c in range(ord("a"), ord("z") + 1)}
_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}


def upper(word: str) -> str:
    """Capitals for ASCII letters alone: str.upper() would turn a dotless i into a keyword's I."""
    return word.upper() if word.isascii() else word.translate(_UPPER)


def fold(name: str) -> str:
    """The form in which two names are equal for SQLite."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


def same(one: str | None, other: str | None) -> bool:
    """Whether two unquoted names are the same name for SQLite."""
    if one is None or other is None:
        return one is other
    return fold(one) == fold(other)


def quote(name: str) -> str:
    """The name between double quotes, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def in_style(name: str, written: str) -> str:
    """``name`` as bare as ``written`` was, where SQLite allows a bare word, else quoted."""
    bare = written[:1] not in "\"'`[" and _PLAIN.fullmatch(name) and upper(name) not in KEYWORDS
    return name if bare else quote(name)


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# what SQLite never takes for a name, so that it cannot be an operand of an expression either
RESERVED = words(
    """ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE
    DEFAULT DEFERRABLE DELETE DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN FROM GROUP
    HAVING IN INDEX INSERT INTERSECT INTO IS ISNULL JOIN LIMIT NOT NOTHING NOTNULL NULL ON
    OR ORDER PRIMARY REFERENCES RETURNING SELECT SET TABLE THEN TO TRANSACTION UNION UNIQUE
    UPDATE USING VALUES WHEN WHERE"""
)

# words that SQLite knows and lets pass as names where nothing else fits
FALLBACK = words(
    """ABORT ACTION AFTER ALWAYS ANALYZE ASC ATTACH BEFORE BEGIN BY CASCADE CAST COLUMN CONFLICT
    CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE DEFERRED DESC DETACH
    DO EACH END EXCLUDE EXCLUSIVE EXPLAIN FAIL FALSE FILTER FIRST FOLLOWING FOR FULL
    GENERATED GLOB GROUPS IF IGNORE IMMEDIATE INDEXED INITIALLY INNER INSTEAD KEY LAST LEFT
    LIKE MATCH MATERIALIZED NATURAL NO NULLS OF OFFSET OTHERS OUTER OVER PARTITION PLAN
    PRAGMA PRECEDING QUERY RAISE RANGE RECURSIVE REGEXP REINDEX RELEASE RENAME REPLACE
    RESTRICT RIGHT ROLLBACK ROW ROWID ROWS SAVEPOINT STORED STRICT TEMP TEMPORARY TIES
    TRIGGER TRUE UNBOUNDED VACUUM VIEW VIRTUAL WINDOW WITH WITHIN WITHOUT"""
)

KEYWORDS = RESERVED | FALLBACK


# after an operand these words leave the operand complete; every other word is an operator
_POSTFIX = words("ISNULL NOTNULL END ASC DESC NULLS FIRST LAST")
_LITERALS = words("NULL CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP")


def identifiers(expression: str) -> set[str]:
    """The names in an expression that can be columns, unquoted, their case as written.

    Strings, functions, keywords, collations, the types of a CAST and the tables that qualify a
    name are left out. A double-quoted word counts: it is a column where a column has its name.

    :param expression: the text of a CHECK, of a generated column, of an index's column, of a WHERE
    :raises Unreadable: for a quote that is never closed
    """
    return {column.name for column, _ in column_tokens(expression)}


def rename_identifier(expression: str, old: str, new: str, table: str | None = None) -> str:
    """The expression with every use of column ``old`` written as ``new``.

    :param table: the only table that may qualify the column; without it, any
    """
    pieces, at = [], 0
    for column, qualifier in column_tokens(expression):
        if same(column.name, old) and (
            qualifier is None or table is None or same(qualifier.name, table)
        ):
            pieces += [expression[at : column.start], in_style(new, column.text)]
            at = column.end
    return "".join([*pieces, expression[at:]])


def column_tokens(expression: str) -> Iterator[tuple[Token, Token | None]]:
    """The tokens that name columns, each with the token of the table that qualifies it, if any.

    A word can be a name and a keyword (END, KEY, LIKE ...); which one it is follows from
    whether the expression waits for an operand or for an operator.
    """
    tokens = [*tokenize(expression), Token("end", "", len(expression), len(expression))]
    operand, at = True, 0
    while (token := tokens[at]).kind != "end":
        after = tokens[at + 1]
        at += 1
        if token.kind == "punct":
            operand = token.text != ")"
        elif operand and token.is_name and after.text == "." and tokens[at + 1].is_name:
            while tokens[at].text == "." and tokens[at + 1].is_name:
                at += 2
            yield tokens[at - 1], tokens[at - 3]
            operand = False
        elif token.kind in ("number", "string", "blob") or (operand and token.keyword in _LITERALS):
            operand = False
        elif operand:
            if token.keyword in RESERVED or after.text == "(":
                continue
            yield token, None
            operand = False
        elif token.keyword == "COLLATE":
            at += 1
        elif token.keyword == "AS":
            # to the parenthesis that ends a CAST, from within its type
            texts = [token.text for token in tokens[at:-1]]
            at += next((n for n, depth in enumerate(depths(texts)) if depth < 0), len(texts))
        elif token.keyword not in _POSTFIX:
            operand = True
