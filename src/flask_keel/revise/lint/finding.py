"""A finding: a rule that a migration breaks, where, and how bad it is."""

from dataclasses import dataclass, field
from typing import Any

UNKNOWN = "cannot be told"
LOSES_DATA = "loses data"
BLOCKS = "blocks the running release"
LOCKS = "takes a lock"
NOTE = "note"
SEVERITIES = (UNKNOWN, LOSES_DATA, BLOCKS, LOCKS, NOTE)


@dataclass
class Finding:
    """One rule, broken at one place.

    :param rule: its name, as a comment in the file silences it: "drop-column"
    :param line: of the migration's file, None when it cannot be told
    :param facts: what the rule's text names: table, column, type ...
    :param dialect: "sqlite", "postgresql" or "mysql": why it matters differs
    :param silenced: the reason that the file gives, or None
    """

    rule: str
    severity: str
    line: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    dialect: str = "sqlite"
    silenced: str | None = None

    @classmethod
    def not_judged(cls, line: int | None, error: Exception) -> "Finding":
        """Return what is said of a place that could not be judged: the others were.

        :param error: what the lint raised over it
        """
        said = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")
        return cls("not-judged", UNKNOWN, line, {"error": said})

    @property
    def loses_data(self) -> bool:
        """Whether rows or values are gone after it."""
        return self.severity == LOSES_DATA

    def fails(self, zero_downtime: bool) -> bool:
        """Whether ``db check`` fails on it; a note is only said.

        :param zero_downtime: whether the configuration says ``ZERO_DOWNTIME = True``
        """
        if self.silenced is not None or self.severity == NOTE:
            return False
        return self.loses_data or self.severity == UNKNOWN or zero_downtime
