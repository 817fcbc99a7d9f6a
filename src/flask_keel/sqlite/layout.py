"""Changes a text at a few places and proves that nothing else of it changed its meaning."""

import re
from itertools import pairwise
from typing import NamedTuple

from .tokens import Span, Unreadable, lex, tokenize


class Change(NamedTuple):
    """``sql[start:end]`` becomes ``text``."""

    start: int
    end: int
    text: str = ""


def apply(sql: str, *changes: Change) -> str:
    """The text with the changes made; a space or a line's end is put in where two tokens would
    otherwise run into one, or into a comment.

    :raises Unreadable: when the tokens of the result are not those of the kept and the new pieces
    """
    pieces, at = [], 0
    for change in sorted(changes, key=lambda change: (change.start, change.end)):
        pieces += [sql[at : change.start], change.text]
        at = change.end
    pieces.append(sql[at:])
    pieces = [piece for piece in pieces if piece]
    text = pieces[0]
    for left, right in pairwise(pieces):
        text += _glue(left, right) + right
    expected = [token.text for piece in pieces for token in tokenize(piece)]
    if [token.text for token in tokenize(text)] != expected:
        raise Unreadable(f"this change does not fit into the table's text: {changes[0].text!r}")
    return text


def _glue(left: str, right: str) -> str:
    last, first = lex(left)[-1], lex(right)[0]
    if last.kind == "comment" and last.text.startswith("--"):
        return "" if right[0] == "\n" else "\n"
    apart = [token.text for token in lex(last.text + first.text)] == [last.text, first.text]
    number = last.kind == "number" and first.kind in ("word", "number", "blob")
    return "" if apart and not number else " "


def gap_before(sql: str, at: int) -> int:
    """Where the white space before ``at`` begins, less the line's end that a comment needs."""
    start = at
    while start and sql[start - 1] in " \t\n\v\f\r":
        start -= 1
    return start


def note_after(sql: str, at: int) -> int:
    """The end of the comment that follows on the same line and is the last thing on it, else
    ``at``: such a comment speaks of what stands before it."""
    end = at
    match = _NOTE.match(sql, at)
    while match:
        end = match.end()
        match = _NOTE.match(sql, end)
    return end if end > at and _LINE_END.match(sql, end) else at


_NOTE = re.compile(r"[ \t]*(?:--[^\n]*+|/\*(?:[^\n*]|\*(?!/))*+\*/)")
_LINE_END = re.compile(r"[ \t\r]*(?:\n|\Z)")


def break_before(sql: str, item: Span) -> str:
    """The white space that sets an item off from what stands before it: a line's end and the
    indentation where the item begins its line, else a space."""
    line = sql.rfind("\n", 0, item[0])
    indent = sql[line + 1 : item[0]]
    return "\n" + indent if line >= 0 and not indent.strip(" \t") else " "
