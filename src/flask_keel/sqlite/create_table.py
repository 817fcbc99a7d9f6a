"""A CREATE TABLE text that can be read and changed, and keeps all that a change does not name.

Every edit gives a new :class:`CreateTable`, read again from the new text. Outside of the places
that an edit concerns no character of the text changes: comments, spaces, quotes and capitals stay.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from . import editing
from .editing import Change, apply
from .model import Column, Constraint, Definition, NoSuchPart, read
from .tokenizer import Unreadable, fold, identifiers, in_style, quote, same, tokenize, unquote

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
            changes += editing.requalify(self, new_name)
        return self._changed(*changes)

    def set_option(self, strict: bool | None = None, without_rowid: bool | None = None) -> Self:
        """STRICT and WITHOUT ROWID given or taken away; None leaves as it is."""
        table = self
        for name, wanted in (("STRICT", strict), ("WITHOUT ROWID", without_rowid)):
            if wanted is not None:
                table = table._changed(*editing.set_option(table, name, wanted))
        return table

    # -- columns -------------------------------------------------------------------------------

    def set_type(self, column: str, type_text: str) -> Self:
        """The type as it is to be written; "" for none.

        :raises Unreadable: for a text that is more than a type
        """
        table = self._changed(*editing.set_type(self.sql, self.column(column), type_text))
        if table.column(column).type_text != type_text.strip(" \t\n\v\f\r"):
            raise Unreadable(f"this is not the type of a column: {type_text!r}")
        return table

    def set_default(self, column: str, expression: str | None) -> Self:
        """The default as SQL, put in parentheses where SQLite wants them; None for none."""
        value = None if expression is None else editing.default_value(expression)
        return self._set_clause(column, "default", "DEFAULT", value)

    def set_collation(self, column: str, name: str | None) -> Self:
        """The collation by its unquoted name; None for none."""
        value = None if name is None else in_style(name, "bare")
        return self._set_clause(column, "collate", "COLLATE", value)

    def _set_clause(self, column: str, kind: str, clause: str, value: str | None) -> Self:
        definition = self.column(column)
        if value is None:
            return self._without(definition.of_kind(kind))
        return self._changed(*editing.set_clause(definition, kind, clause, value))

    def set_not_null(self, column: str, not_null: bool, on_conflict: str | None = None) -> Self:
        """NOT NULL given or taken away; without ``on_conflict`` a clause that is there stays."""
        definition = self.column(column)
        if not not_null:
            return self._without(definition.of_kind("not null"))
        return self._changed(*editing.set_not_null(definition, on_conflict))

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
        text = editing.whole(definition)
        if place:
            changes = editing.insert_after(self.sql, self.columns[place - 1].span, text)
        else:
            changes = editing.insert_before(self.sql, self.columns[0], text)
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
        return self._changed(*editing.remove_item(self.sql, definition.span))

    def rename_column(self, old: str, new: str) -> Self:
        """The column's name wherever the table's text uses it."""
        return self._changed(*editing.rename_column(self, old, new))

    def reorder(self, column_names: list[str] | tuple[str, ...]) -> Self:
        """The columns in another order, each with its comments; all of them must be named."""
        known = [fold(name) for name in column_names]
        if sorted(known) != sorted(fold(column.name) for column in self.columns):
            raise NoSuchPart(f"an order of table {quote(self.name)} names each column once")
        return self._changed(*editing.reorder(self.sql, self.columns, column_names))

    # -- constraints ---------------------------------------------------------------------------

    def add_constraint(self, text: str) -> Self:
        """A constraint of the table, after all others.

        :raises Unreadable: for a text that is not a constraint of a table
        """
        last = (self.constraints or self.columns)[-1].span
        before, _ = editing.neighbours(tokenize(self.sql), (self.close, self.close))
        item = (last[0], max(last[1], before.end))
        table = self._changed(*editing.insert_after(self.sql, item, editing.whole(text)))
        if len(table.constraints) != len(self.constraints) + 1:
            raise Unreadable(f"this is not one constraint of a table: {text!r}")
        return table

    def drop_constraint(self, constraint: Constraint) -> Self:
        """:raises NoSuchPart: for a constraint of another table"""
        return self._without((self._own(constraint),))

    def replace_constraint(self, constraint: Constraint, text: str) -> Self:
        """The whole constraint, its CONSTRAINT name included, becomes ``text``."""
        return self._changed(*editing.replace_constraint(self.sql, self._own(constraint), text))

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
            table = table._changed(*editing.remove_constraint(table.sql, constraint, column))
        return table

    def _changed(self, *changes: Change) -> Self:
        return type(self).parse(apply(self.sql, *changes)) if changes else self
