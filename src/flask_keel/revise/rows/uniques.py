"""Keys that are taken: no two rows with the same values in the columns of a unique key."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any


class Taken:
    """The values that the unique keys of one table hold so far."""

    def __init__(self, keys: Iterable[tuple[str, ...]], primary: tuple[str, ...]) -> None:
        self.keys = list(dict.fromkeys(keys))
        self.primary = primary
        self.held: dict[tuple[str, ...], set[tuple]] = {key: set() for key in self.keys}

    def add(self, row: Mapping[str, Any]) -> None:
        """Note a row that the table holds."""
        for key in self.keys:
            self.held[key].add(self._of(row, key))

    def broken(self, row: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """Return the keys that the row would break."""
        return [key for key in self.keys if self._of(row, key) in self.held[key]]

    def _of(self, row: Mapping[str, Any], key: tuple[str, ...]) -> tuple:
        values = tuple(comparable(row.get(name)) for name in key)
        # rows with NULL are all different, but not in a primary key
        return (object(),) if None in values and key != self.primary else values


def comparable(value: Any) -> Any:
    """Return a value so that two are equal if any collation takes them for equal."""
    if isinstance(value, str):
        letters = unicodedata.normalize("NFKD", value)
        plain = "".join(c for c in letters if not unicodedata.combining(c))
        return plain.casefold().rstrip()
    return value if value is None or isinstance(value, bytes) else str(value)
