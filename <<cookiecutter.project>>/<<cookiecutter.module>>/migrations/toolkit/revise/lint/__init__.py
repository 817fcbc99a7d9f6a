"""Lint: what in a migration loses data, blocks the running release or takes a lock."""

import re
from pathlib import Path
from typing import Any

from . import rules, silence, squawk, texts
from .finding import BLOCKS, LOCKS, LOSES_DATA, NOTE, SEVERITIES, Finding

__all__ = ["BLOCKS", "LOCKS", "LOSES_DATA", "NOTE", "SEVERITIES", "Finding", "check", "texts"]

MODELS = re.compile(r"^\s*(?:from|import)\s+(\S*\bmodels\b\S*)", re.MULTILINE)


def check(
    path: Path, events: list[tuple[int | None, Any]], dialect: str, sql: str = ""
) -> list[Finding]:
    """Return the findings for one migration, the worst first, each with the reason that silences it.

    :param path: its file
    :param events: what its ``upgrade()`` did: line and operation, or line and statement
    :param dialect: "sqlite", "postgresql" or "mysql"
    :param sql: on PostgreSQL, its SQL
    """
    source = path.read_text()
    found = rules.Ruler(dialect).findings(events)
    for match in MODELS.finditer(source):
        line = source.count("\n", 0, match.start(1)) + 1
        facts = {"module": match[1]}
        found.append(
            Finding("models-imported", texts.RULES["models-imported"].severity, line, facts)
        )
    if dialect == "postgresql":
        found += squawk.findings(sql)
    reasons = silence.reasons(source)
    for finding in found:
        finding.silenced = reasons.get(finding.rule)
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
