"""A CREATE TABLE text that can be read and changed, and keeps all that a change does not name.

Every edit gives a new :class:`CreateTable`, read again from the new text. Outside of the places
that an edit concerns no character of the text changes: comments, spaces, quotes and capitals stay.

The changes to a CREATE TABLE text that each edit of a table consists of.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, Self

from ..lexer import closing, depths
from .model import Column, Constraint, Definition, NoSuchPart, read
from .tokenizer import (
    Span,
    Token,
    Unreadable,
    column_tokens,
    fold,
    identifiers,
    in_style,
    lex,
    quote,
    rename_identifier,
    same,
    tokenize,
    unquote,
)

__all__ = [
    "Column",
    "Constraint",
    "CreateTable",
    "NoSuchPart",
    "Unreadable",
    "identifiers",
    "quote",
    "unquote",
]


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


def rename_column(table: Definition, old: str, new: str) -> list[Change]:
    """The column where it is defined, in keys, in expressions and in the table's references to
    itself."""
    sql = table.sql

    def written(span: Span) -> Change:
        return Change(*span, in_style(new, sql[slice(*span)]))

    changes = [written(table.column(old).name_span)]
    for c in table.all_constraints():
        own = zip(c.columns, c.column_names, strict=False) if c.column_names else ()
        changes += [written(span) for name, span in own if same(name, old)]
        if same(c.referred_table, table.name):
            referred = zip(c.referred_columns, c.referred_column_names, strict=True)
            changes += [written(span) for name, span in referred if same(name, old)]
    for c in expressions(table):
        text = sql[slice(*c.value)]
        renamed = rename_identifier(text, old, new, table.name)
        if renamed != text:
            changes.append(Change(c.value[0], c.value[1], renamed))
    return changes


def requalify(table: Definition, new: str) -> Iterator[Change]:
    """``t.a`` in the table's own expressions, when the table is no longer called t."""
    for c in expressions(table):
        start = c.value[0]
        for _, qualifier in column_tokens(table.sql[slice(*c.value)]):
            if qualifier and same(qualifier.name, table.name):
                text = in_style(new, qualifier.text)
                yield Change(start + qualifier.start, start + qualifier.end, text)


def expressions(table: Definition) -> list[Constraint]:
    """The constraints whose text can name columns."""
    return [c for c in table.all_constraints() if c.kind in ("check", "generated")]


_SPACE = " \t\n\v\f\r"


def whole(text: str) -> str:
    """A piece of SQL as it can be put in: with its parentheses closed and its last comment ended.

    :raises Unreadable: for a piece that is empty or that would close what it did not open
    """
    text = text.strip(_SPACE)
    tokens = [token.text for token in tokenize(text)]
    open_ = list(depths(tokens))
    if not tokens or open_[-1] or min(open_) < 0 or ";" in tokens:
        raise Unreadable(f"this is not one piece of a table's definition: {text!r}")
    return text + "\n" if lex(text)[-1].text.startswith("--") else text


def default_value(text: str) -> str:
    """A default as DEFAULT takes it: an expression that is not one value goes in parentheses."""
    text = whole(text)
    tokens = tokenize(text)
    if tokens[0].text in ("+", "-"):
        tokens = tokens[1:]
    single = len(tokens) == 1 and tokens[0].kind not in ("punct", "end")
    parenthesised = closing([token.text for token in tokens]) == len(tokens) - 1
    return text if single or parenthesised else f"({text})"


def neighbours(tokens: Sequence[Token], item: Span) -> tuple[Token, Token]:
    """The tokens around an item."""
    before = bisect_right(tokens, item[0], key=lambda token: token.end)
    after = bisect_left(tokens, item[1], key=lambda token: token.start)
    return tokens[before - 1], tokens[after]


# -- what a column says of itself --------------------------------------------------------------


def set_clause(column: Column, kind: str, clause: str, value: str | None) -> list[Change]:
    """DEFAULT or COLLATE: a value that is there is replaced, and its name and keyword stay."""
    present = column.last(kind)
    if value is None:
        return []
    if present:
        return [Change(present.value[0], present.value[1], value)]
    return [Change(column.head_end, column.head_end, f" {clause} {value}")]


def set_not_null(column: Column, on_conflict: str | None) -> list[Change]:
    text = "NOT NULL" + (f" ON CONFLICT {on_conflict}" if on_conflict else "")
    present, empty = column.last("not null"), column.last("null")
    if present:
        same_conflict = on_conflict is None or same(on_conflict, present.on_conflict)
        return [] if same_conflict else [Change(*present.body, text)]
    if empty:
        return [Change(*empty.body, text)]
    return [Change(column.head_end, column.head_end, f" {text}")]


def set_type(sql: str, column: Column, type_text: str) -> list[Change]:
    start = column.type_span[0] if column.type_span else column.name_span[1]
    # a "GENERATED ALWAYS" that SQLite leaves out of the type ends at head_end and goes too
    if not type_text.strip(_SPACE):
        return [Change(gap_before(sql, start), column.head_end)]
    text = whole(type_text)
    return [Change(start, column.head_end, text if column.type_span else f" {text}")]


# -- items of the list between the parentheses -------------------------------------------------


def insert_after(sql: str, item: Span, text: str) -> list[Change]:
    """A new item behind another one and behind the comment that ends the other one's line."""
    _, after = neighbours(tokenize(sql), item)
    gap, note = break_before(sql, item), note_after(sql, item[1])
    if after.text != ",":
        return [Change(item[1], item[1], ","), Change(note, note, gap + text)]
    if item[1] < note <= after.start:
        return [Change(note, note, f"\n, {text}")]
    note = note_after(sql, after.end)
    return [Change(note, note, gap + text), Change(note, note, ",")]


def insert_before(sql: str, column: Column, text: str) -> list[Change]:
    """A new item in front of a column and of the comments that lead it."""
    item, _ = _place(sql, tokenize(sql), column)
    return [Change(item[0], item[0], text), Change(item[0], item[0], "," + break_before(sql, item))]


def remove_item(sql: str, item: Span) -> list[Change]:
    """An item goes with one comma and with the comment that ends its line."""
    before, after = neighbours(tokenize(sql), item)
    start, end = item[0], note_after(sql, item[1])
    if after.text == "," and before.text in (",", "("):
        changes = [Change(after.start, after.end)]
        if end == item[1]:
            end, note = item[1], note_after(sql, after.end)
            changes.append(Change(after.end, note))
        begins_line = break_before(sql, item) != " "
        if begins_line:
            start = gap_before(sql, start)
        else:
            last = changes[-1].end
            changes.append(Change(last, _after_space(sql, last)))
        return [Change(start, end), *changes]
    if after.text == ")" and before.text == ",":
        return [Change(before.start, before.end), Change(gap_before(sql, start), end)]
    return [Change(gap_before(sql, start), end)]


def _after_space(sql: str, at: int) -> int:
    while sql[at] in _SPACE:
        at += 1
    return at


def remove_constraint(sql: str, constraint: Constraint, column: Column | None) -> list[Change]:
    if column is None:
        return remove_item(sql, constraint.span)
    spans = [constraint.span, *constraint.apart]
    changes = [Change(gap_before(sql, start), end) for start, end in spans]
    return changes + _freed_generated(sql, constraint, column)


def replace_constraint(sql: str, constraint: Constraint, text: str) -> list[Change]:
    apart = [Change(gap_before(sql, start), end) for start, end in constraint.apart]
    return [Change(*constraint.span, whole(text)), *apart]


def _freed_generated(sql: str, gone: Constraint, column: Column) -> list[Change]:
    """GENERATED ALWAYS must go when a comment comes to stand between it and the type: SQLite takes
    all three for the type then. AS alone means the same."""
    if column.constraints[0] != gone or len(column.constraints) == 1:
        return []
    heir = column.constraints[1]
    words = tokenize(sql[slice(*heir.span)])
    between = sql[column.head_end : gone.span[0]] + sql[gone.span[1] : heir.span[0]]
    if words[0].keyword != "GENERATED" or all(token.kind == "space" for token in lex(between)):
        return []
    return [Change(heir.span[0], heir.span[0] + words[2].start)]


def reorder(sql: str, columns: Sequence[Column], names: Sequence[str]) -> list[Change]:
    """Each column moves with the comments in front of it and the one that ends its line."""
    tokens = tokenize(sql)
    places = [_place(sql, tokens, column) for column in columns]
    known = {fold(column.name): place for place, column in enumerate(columns)}
    order = [known[fold(name)] for name in names]
    changes = []
    for (item, note), source in zip(places, order, strict=True):
        moved, moved_note = places[source]
        changes.append(Change(*item, sql[slice(*moved)]))
        changes.append(Change(*note, sql[slice(*moved_note)]))
    return changes


def _place(sql: str, tokens: Sequence[Token], column: Column) -> tuple[Span, Span]:
    before, after = neighbours(tokens, column.span)
    start = _after_space(sql, note_after(sql, before.end))
    end = column.span[1]
    note = note_after(sql, end)
    if note == end and after.text == ",":
        return (start, end), (after.end, note_after(sql, after.end))
    return (start, end), (end, note)


# -- options -----------------------------------------------------------------------------------


def set_option(table: Definition, name: str, wanted: bool) -> list[Change]:
    """STRICT and WITHOUT ROWID, after the closing parenthesis."""
    sql, options = table.sql, table.options
    if (name in options) == wanted:
        return []
    if wanted:
        end = max([table.close + 1, *(span[1] for span in options.values())])
        return [Change(end, end, f", {name}" if options else f" {name}")]
    tokens = [token for token in tokenize(sql) if token.start > table.close]
    start, end = options[name]
    commas = [token for token in tokens if token.text == ","]
    if not commas:
        return [Change(gap_before(sql, start), end)]
    behind = [comma for comma in commas if comma.end <= start]
    if behind:
        return [Change(*behind[-1].span), Change(gap_before(sql, start), end)]
    return [Change(start, end), Change(commas[0].start, _after_space(sql, commas[0].end))]


@dataclass(frozen=True)
class CreateTable(Definition):
    """The table that a CREATE TABLE text declares, and the changes that can be made to it."""

    @classmethod
    @lru_cache(maxsize=2000)
    def parse(cls, sql: str) -> Self:
        """Read a CREATE TABLE text, as ``sqlite_master.sql`` holds it or as it was typed; once.

        :raises Unreadable: for a virtual table, for CREATE TABLE ... AS SELECT, for other text
        """
        return cls(**read(sql))

    # -- the table as a whole ------------------------------------------------------------------

    def rename(self, new_name: str, qualifiers: bool = False) -> Self:
        """Another name for the table; its columns' and keys' own mentions of it stay.

        :param qualifiers: change ``t.a`` in the table's expressions as well
        """
        start, end = self.name_span
        changes = [Change(start, end, in_style(new_name, self.sql[start:end]))]
        if qualifiers:
            changes += requalify(self, new_name)
        return self._changed(*changes)

    def set_option(self, strict: bool | None = None, without_rowid: bool | None = None) -> Self:
        """STRICT and WITHOUT ROWID given or taken away; None leaves as it is."""
        table = self
        for name, wanted in (("STRICT", strict), ("WITHOUT ROWID", without_rowid)):
            if wanted is not None:
                table = table._changed(*set_option(table, name, wanted))
        return table

    # -- columns -------------------------------------------------------------------------------

    def set_type(self, column: str, type_text: str) -> Self:
        """The type as it is to be written; "" for none.

        :raises Unreadable: for a text that is more than a type
        """
        table = self._changed(*set_type(self.sql, self.column(column), type_text))
        if table.column(column).type_text != type_text.strip(" \t\n\v\f\r"):
            raise Unreadable(f"this is not the type of a column: {type_text!r}")
        return table

    def set_default(self, column: str, expression: str | None) -> Self:
        """The default as SQL, put in parentheses where SQLite wants them; None for none."""
        value = None if expression is None else default_value(expression)
        return self._set_clause(column, "default", "DEFAULT", value)

    def set_collation(self, column: str, name: str | None) -> Self:
        """The collation by its unquoted name; None for none."""
        value = None if name is None else in_style(name, "bare")
        return self._set_clause(column, "collate", "COLLATE", value)

    def _set_clause(self, column: str, kind: str, clause: str, value: str | None) -> Self:
        definition = self.column(column)
        if value is None:
            return self._without(definition.of_kind(kind))
        return self._changed(*set_clause(definition, kind, clause, value))

    def set_not_null(self, column: str, not_null: bool, on_conflict: str | None = None) -> Self:
        """NOT NULL given or taken away; without ``on_conflict`` a clause that is there stays."""
        definition = self.column(column)
        if not not_null:
            return self._without(definition.of_kind("not null"))
        return self._changed(*set_not_null(definition, on_conflict))

    def add_column(
        self, definition: str, before: str | None = None, after: str | None = None
    ) -> Self:
        """A column, put after the last one unless ``before`` or ``after`` names another place.

        :raises Unreadable: for a text that does not define exactly one column
        """
        known = [column.name for column in self.columns]
        place = len(known)
        if neighbour := before or after:
            place = known.index(self.column(neighbour).name) + bool(after)
        text = whole(definition)
        if place:
            changes = insert_after(self.sql, self.columns[place - 1].span, text)
        else:
            changes = insert_before(self.sql, self.columns[0], text)
        table = self._changed(*changes)
        found = [column.name for column in table.columns]
        if found[:place] + found[place + 1 :] != known:
            raise Unreadable(f"this does not define one column: {definition!r}")
        return table

    def drop_column(self, column: str) -> Self:
        """The definition goes, with its own constraints; those of the table that name it stay."""
        definition = self.column(column)
        if len(self.columns) == 1:
            raise NoSuchPart(f"table {quote(self.name)} would have no column left")
        return self._changed(*remove_item(self.sql, definition.span))

    def rename_column(self, old: str, new: str) -> Self:
        """The column's name wherever the table's text uses it."""
        return self._changed(*rename_column(self, old, new))

    def reorder(self, column_names: list[str] | tuple[str, ...]) -> Self:
        """The columns in another order, each with its comments; all of them must be named."""
        known = [fold(name) for name in column_names]
        if sorted(known) != sorted(fold(column.name) for column in self.columns):
            raise NoSuchPart(f"an order of table {quote(self.name)} names each column once")
        return self._changed(*reorder(self.sql, self.columns, column_names))

    # -- constraints ---------------------------------------------------------------------------

    def add_constraint(self, text: str) -> Self:
        """A constraint of the table, after all others.

        :raises Unreadable: for a text that is not a constraint of a table
        """
        last = (self.constraints or self.columns)[-1].span
        before, _ = neighbours(tokenize(self.sql), (self.close, self.close))
        item = (last[0], max(last[1], before.end))
        table = self._changed(*insert_after(self.sql, item, whole(text)))
        if len(table.constraints) != len(self.constraints) + 1:
            raise Unreadable(f"this is not one constraint of a table: {text!r}")
        return table

    def drop_constraint(self, constraint: Constraint) -> Self:
        """:raises NoSuchPart: for a constraint of another table"""
        return self._without((self._own(constraint),))

    def replace_constraint(self, constraint: Constraint, text: str) -> Self:
        """The whole constraint, its CONSTRAINT name included, becomes ``text``."""
        return self._changed(*replace_constraint(self.sql, self._own(constraint), text))

    def _own(self, constraint: Constraint) -> Constraint:
        """The same constraint in this text, when it was read from the text before an edit."""
        known = self.all_constraints()
        if constraint in known:
            return constraint
        for own in known:
            if own.text == constraint.text and same(own.column, constraint.column):
                return own
        raise NoSuchPart(f"table {quote(self.name)} has no constraint {constraint.text!r}")

    def _without(self, constraints: tuple[Constraint, ...]) -> Self:
        table = self
        for constraint in reversed(constraints):
            column = None if constraint.column is None else table.column(constraint.column)
            table = table._changed(*remove_constraint(table.sql, constraint, column))
        return table

    def _changed(self, *changes: Change) -> Self:
        return type(self).parse(apply(self.sql, *changes)) if changes else self
