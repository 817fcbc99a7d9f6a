"""What a column may hold so that it is right before a migration and after it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .kinds import Kind
from .limits import accepts
from .raw import as_text
from .values import numbered, specials

NUMBERS = {"int", "numeric", "float", "bool", "year"}
DAYS = {"date", "datetime"}
BY_NAME = {
    "mail": "someone{}@example.org",
    "url": "https://example.org/{}",
    "link": "https://example.org/{}",
    "website": "https://example.org/{}",
    "phone": "+49 30 123456{}",
    "name": "Ada Lovelace{}",
}


@dataclass
class Domain:
    """The values of a column: as it is now, and as the migration will have it.

    :param kind: of the column now
    :param later: of the column after the migration, when that is another
    :param empty: nothing but NULL fits
    :param mined: values that a CHECK names
    """

    name: str
    kind: Kind
    later: Kind | None = None
    nullable: bool = True
    unique: bool = False
    empty: bool = False
    mined: list[Any] = field(default_factory=list)

    @cached_property
    def _both(self) -> list[Any]:
        """What lives through the change; empty when nothing does."""
        known = [*specials(self.kind), *(specials(self.later) if self.later else [])]
        fitted = [self._fit(value) for value in known]
        return [value for value in fitted if value is not None]

    @cached_property
    def specials(self) -> list[Any]:
        """The values worth trying, the plainest first."""
        values = self._both or specials(self.kind)
        return list({repr(value): value for value in (*self._named(0), *values)}.values())

    def numbered(self, number: int) -> Any:
        """Return the value with this number, each another one; None when there are no more."""
        for value in self._named(number):
            return value
        if self.later is None or not self._both:
            return numbered(self.kind, number)
        for value in (numbered(self.later, number), numbered(self.kind, number)):
            fitted = None if value is None else self._fit(value)
            if fitted is not None:
                return fitted
        return None

    def accepts(self, value: Any) -> bool:
        """Whether the column holds the value now and afterwards."""
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

    def _fit(self, value: Any) -> Any:
        """The value as this column has it now, if it lives through the change; else None."""
        now, later = self.kind, self.later
        if later is None:
            return value if accepts(now, value) else None
        if now.family == later.family or {now.family, later.family} <= NUMBERS:
            return value if accepts(now, value) and accepts(later, value) else None
        if {now.family, later.family} <= DAYS:
            return value if accepts(now, value) and accepts(later, value) else None
        if now.family == "text":
            text = as_text(value)
            return text if accepts(later, value) and accepts(now, text) else None
        if later.family == "text":
            return value if accepts(now, value) and accepts(later, as_text(value)) else None
        return value if accepts(now, value) else None
