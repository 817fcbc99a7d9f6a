"""Lint: what in a migration loses data, blocks the running release or takes a lock."""

from pathlib import Path
from typing import Any

from . import rules, silence, source, squawk, texts
from .finding import BLOCKS, LOCKS, LOSES_DATA, NOTE, SEVERITIES, Finding

__all__ = ["BLOCKS", "LOCKS", "LOSES_DATA", "NOTE", "SEVERITIES", "Finding", "check", "texts"]


def check(path: Path, recording: Any, dialect: Any) -> list[Finding]:
    """Return the findings for one migration, the worst first, each with the reason that silences it.

    :param path: its file
    :param recording: what its ``upgrade()`` did (:class:`..recorded.Recording`)
    :param dialect: SQLAlchemy's, of the database on which it did that
    """
    text = path.read_text(encoding="utf-8")
    ruler = rules.Ruler(dialect)
    found = ruler.findings(recording.events)
    found += source.findings(text)
    if dialect.name == "postgresql":
        found += squawk.findings(recording.sql)
    reasons = silence.reasons(text)
    for finding in found:
        finding.silenced = silence.reason(finding.rule, reasons)
    return sorted(
        found, key=lambda finding: (SEVERITIES.index(finding.severity), finding.line or 0)
    )
