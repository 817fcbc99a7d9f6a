"""Lint: what in a migration loses data, blocks the running release or takes a lock."""

import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Dialect

from ..runner import Recording
from . import rules, source
from .findings import BLOCKS, LOCKS, LOSES_DATA, NOTE, SEVERITIES, Finding

What = TypeVar("What")
__all__ = ["BLOCKS", "LOCKS", "LOSES_DATA", "NOTE", "SEVERITIES", "Finding", "check"]


def check(
    path: Path, recording: Recording, dialect: Dialect, online: bool = False
) -> list[Finding]:
    """Return the findings for one migration, the worst first, each with the reason that silences it.

    What cannot be judged is a finding, too: the rest of the migration is judged all the same.

    :param path: its file
    :param recording: what its ``upgrade()`` did (:class:`..runner.Recording`)
    :param dialect: SQLAlchemy's, of the database on which it did that
    :param online: whether operations run in forms for which nobody waits
    """
    with tokenize.open(path) as file:  # it may say its own encoding
        text = file.read()
    found = _judged(rules.Ruler(dialect, online).findings, recording.events)
    found += _judged(source.text_findings, text)
    if dialect.name == "postgresql":
        own = {event.what for event in recording.events if isinstance(event.what, str)}
        sql = [(line, one) for line, one in recording.sql if not online or one in own]
        found += _judged(source.squawk_findings, sql)
    reasons = source.reasons(text)
    for finding in found:
        finding.silenced = source.reason(finding.rule, reasons)
    return sorted(
        found, key=lambda finding: (SEVERITIES.index(finding.severity), finding.line or 0)
    )


def _judged(judge: Callable[[What], list[Finding]], what: What) -> list[Finding]:
    try:
        return judge(what)
    except Exception as error:
        return [Finding.not_judged(None, error)]
