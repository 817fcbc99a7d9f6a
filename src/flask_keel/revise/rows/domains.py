"""What a column may hold so that it is right before a migration and after it."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .kinds import Kind
from .limits import accepts
from .raw import as_text
from .values import GUESSES, moderate, numbered, specials

# keys begin here, by the bytes of their type: a migration that brings rows numbers them from 1
FIRST = {1: 60, 2: 20_000, 3: 1_000_000, 4: 1_000_000, 8: 1_000_000}
NUMBERS = {"int", "numeric", "float", "bool", "year"}
DAYS = {"date", "datetime"}
# how applications store what no type of a database holds
STORED = (
    '{"a": [1, "Zo\\u00eb"]}',
    '["a", "b"]',
    "[]",
    pickle.dumps({"a": [1, 2]}),
    pickle.dumps([]),
)
BY_NAME = {
    "mail": "someone{}@example.org",
    "url": "https://example.org/{}",
    "link": "https://example.org/{}",
    "website": "https://example.org/{}",
    "phone": "+49 30 123456{}",
    "name": "Ada Lovelace{}",
}
FREE = {"name"}  # what may hold any text


@dataclass
class Domain:
    """The values of a column: as it is now, and as the migration will have it.

    :param kind: of the column now
    :param later: of the column after the migration, when that is another
    :param empty: nothing but NULL fits
    :param mined: values that a CHECK names
    :param computed: the migration's own code may compute with what it finds: no extremes
    :param reader: raises for a value that the application cannot read
    :param given: the values that the migration itself speaks of: no others are used
    """

    name: str
    kind: Kind
    later: Kind | None = None
    nullable: bool = True
    unique: bool = False
    empty: bool = False
    mined: list[Any] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)
    computed: bool = False
    reader: Callable[[Any], Any] | None = None

    @cached_property
    def _both(self) -> list[Any]:
        """What lives through the change; empty when nothing does."""
        known = [*specials(self.kind), *(specials(self.later) if self.later else [])]
        fitted = [self._fit(value) for value in known]
        return [value for value in fitted if value is not None]

    @cached_property
    def specials(self) -> list[Any]:
        """The values worth trying, the plainest first."""
        if self.given:
            return self.given
        values = self._both or specials(self.kind)
        if self.computed:
            values = [value for value in values if moderate(self.kind, value)] or values
        if self.reader is not None:
            more = [value for value in (*GUESSES, *STORED) if accepts(self.kind, value)]
            values = [value for value in (*values, *more) if self._reads(value)] or values
        named = self._named(0)
        if named and not any(word in self.name.lower() for word in FREE):
            values = [value for number in range(6) for value in self._named(number)]
        return list({repr(value): value for value in (*named, *values)}.values())

    def numbered(self, number: int) -> Any:
        """Return the value with this number, each another one; None when there are no more."""
        if self.given:
            return self.given[number] if number < len(self.given) else None
        for value in self._named(number):
            return value
        both = self.later is not None and bool(self._both)
        for kind in (self.later, self.kind) if both else (self.kind,):
            for first in (FIRST[kind.size], 0) if kind.family == "int" else (0,):
                value = numbered(kind, first + number)
                fitted = self._fit(value) if both and value is not None else value
                if fitted is not None and self._reads(fitted):
                    return fitted
        return None

    def accepts(self, value: Any) -> bool:
        """Whether the column holds the value now and afterwards."""
        if self.given:
            return value in self.given
        if self.later is None or not self._both:
            return accepts(self.kind, value)
        return self._fit(value) == value

    def _named(self, number: int) -> list[str]:
        """A value of the sort that the column's name speaks of: migrations take such text apart."""
        if self.kind.family != "text" or self.kind.fixed:
            return []
        for word, pattern in BY_NAME.items():
            if word in self.name.lower():
                value = pattern.format(number or "")
                return [value] if self._fit(value) == value else []
        return []

    def _reads(self, value: Any) -> bool:
        try:
            return self.reader is None or bool([self.reader(value)])
        except Exception:
            return False

    def _fit(self, value: Any) -> Any:
        """The value as this column has it now, if it lives through the change; else None."""
        now, later = self.kind, self.later
        if later is None:
            return value if accepts(now, value) else None
        if now.family == later.family or {now.family, later.family} <= NUMBERS:
            return value if accepts(now, value) and accepts(later, value) else None
        if {now.family, later.family} <= DAYS:
            return value if accepts(now, value) and accepts(later, value) else None
        if (now.family, later.family) == ("binary", "text"):
            data = value.encode() if isinstance(value, str) else value
            return data if accepts(now, data) and _is_text(data, later) else None
        if now.family == "text":
            text = as_text(value)
            return text if accepts(later, value) and accepts(now, text) else None
        if later.family == "text":
            return value if accepts(now, value) and accepts(later, as_text(value)) else None
        return value if accepts(now, value) else None


def _is_text(data: bytes, kind: Kind) -> bool:
    """Whether bytes are what a text column takes: databases read them as UTF-8, without NUL."""
    try:
        return b"\0" not in data and accepts(kind, data.decode())
    except UnicodeDecodeError:
        return False
