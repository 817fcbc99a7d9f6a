"""A finding in words: where and what; why it matters here; what to write instead."""

from collections import Counter
from collections.abc import Iterable

from .finding import Finding
from .texts import RULES, Words


def first(finding: Finding) -> str:
    """Say where and what, the name of the rule and how bad it is."""
    where = f"line {finding.line}: " if finding.line else ""
    text = RULES.get(finding.rule)
    # squawk's own words, where the rule is squawk's
    what = text.what.format(**finding.facts) if text else finding.facts["what"]
    silenced = f"; silenced because {finding.silenced}" if finding.silenced else ""
    return f"{where}{what} [{finding.rule}, {finding.severity}{silenced}]"


def why(finding: Finding) -> str:
    """Say why it matters here; "" where squawk has said it already."""
    text = RULES.get(finding.rule)
    return _here(text.why, finding) if text else ""


def instead(finding: Finding) -> str:
    """Say what to write instead; "" for nothing."""
    text = RULES.get(finding.rule)
    return _here(text.instead, finding) if text else finding.facts["instead"]


def lines(finding: Finding) -> list[str]:
    """Say a finding in one to three lines."""
    said = [first(finding)]
    if why(finding):
        said.append(f"  {why(finding)}")
    if instead(finding):
        said.append(f"  instead: {instead(finding)}")
    return said


def briefly(findings: Iterable[Finding], most: int = 6) -> list[str]:
    """Say findings on a screen: each rule is explained once, and what is silenced is only counted."""
    explained: set[str] = set()
    open_ = [finding for finding in findings if finding.silenced is None]
    said: list[str] = []
    for finding in open_[:most]:
        said += [first(finding)] if finding.rule in explained else lines(finding)
        explained.add(finding.rule)
    if open_[most:]:
        rest = Counter(finding.severity for finding in open_[most:])
        counted = ", ".join(f"{count} [{severity}]" for severity, count in rest.items())
        said.append(f"and more: {counted}; db check --json has them all")
    return said


def as_facts(finding: Finding) -> dict[str, object]:
    """Return a finding for a machine."""
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "line": finding.line,
        "what": first(finding),
        "why": why(finding),
        "instead": instead(finding),
        "silenced": finding.silenced,
    }


def _here(words: Words, finding: Finding) -> str:
    chosen = words.get(finding.dialect, words.get("", "")) if isinstance(words, dict) else words
    return chosen.format(**finding.facts)
