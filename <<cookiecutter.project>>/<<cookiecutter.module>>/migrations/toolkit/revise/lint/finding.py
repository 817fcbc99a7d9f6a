"""A finding: a rule that a migration breaks, where, and how bad it is."""

from dataclasses import dataclass, field
from typing import Any

LOSES_DATA = "loses data"
BLOCKS = "blocks the running release"
LOCKS = "takes a lock"
NOTE = "note"
SEVERITIES = (LOSES_DATA, BLOCKS, LOCKS, NOTE)


@dataclass
class Finding:
    """One rule, broken at one place.

    :param rule: its name, as a comment in the file silences it: "drop-column"
    :param line: of the migration's file, None when it cannot be told
    :param facts: what the rule's text names: table, column, type ...
    :param silenced: the reason that the file gives, or None
    """

    rule: str
    severity: str
    line: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    silenced: str | None = None

    @property
    def loses_data(self) -> bool:
        """Whether rows or values are gone after it."""
        return self.severity == LOSES_DATA
