"""Lint and proof of each migration that was not judged before."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alembic.util import CommandError

from .. import messages, servers
from ..revise import proving, rehearsed
from ..revise.lint import Finding
from ..revise.project import Project
from .seen import Seen


@dataclass
class Judged:
    """One migration: what the lint found, and what the proof said."""

    revision: str
    path: Path
    findings: list[Finding]
    proof: proving.Proved
    before: bool


def judge(project: Project) -> list[Judged]:
    """Judge the whole history, the oldest migration first.

    :raises CommandError: when there may be no scratch database
    """
    seen = Seen(project)
    revisions = list(reversed(list(project.script.walk_revisions())))
    open_ = [one.revision for one in revisions if seen.get(one.revision) is None]
    try:
        fresh = _judge(project, open_) if open_ else {}
    except servers.NotAllowed as denied:
        raise CommandError(messages.CHECK_NEEDS_SCRATCH.format(reason=denied.reason)) from denied
    for revision, verdict in fresh.items():
        if verdict["proof"]["ok"]:
            seen.put(revision, verdict)
    seen.save()
    judged = []
    for one in revisions:
        verdict = fresh.get(one.revision) or seen.get(one.revision) or {}
        findings = [Finding(**finding) for finding in verdict["findings"]]
        proof = proving.Proved(**verdict["proof"])
        before = one.revision not in fresh
        judged.append(Judged(one.revision, Path(one.path), findings, proof, before))
    return judged


def _judge(project: Project, revisions: list[str]) -> dict[str, dict[str, Any]]:
    found = {}
    with rehearsed.history(project, revisions) as (connection, did):
        for revision in revisions:
            findings = rehearsed.findings(project, connection, revision, did[revision])
            found[revision] = {"findings": [asdict(finding) for finding in findings]}
    for revision in revisions:
        found[revision]["proof"] = asdict(_prove(project, revision))
    return found


def _prove(project: Project, revision: str) -> proving.Proved:
    one = project.script.get_revision(revision)
    if one.is_merge_point:
        return proving.Proved(True, "it joins two heads", [])
    return proving.prove(project.app, project.config, revision)
