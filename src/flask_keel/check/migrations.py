"""Lint and proof of each migration that is not on the main branch and was not judged before."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from .. import messages, servers
from ..revise import proving, rehearsed
from ..revise.lint import Finding
from ..revise.project import Project
from . import main_branch
from .seen import Seen

NOT_PROVED = "{file} cannot be proved ({error}): mend what it imports, or say so to those who make this proof"


@dataclass
class Judged:
    """One migration: what the lint found, and what the proof said.

    ``proof`` is None for a migration on the main branch: what it does was decided there.
    """

    revision: str
    path: Path
    findings: list[Finding]
    proof: proving.Proved | None
    before: bool


def judge(project: Project) -> list[Judged]:
    """Judge the history, as far as it is not on the main branch, the oldest migration first.

    :raises CommandError: when there may be no scratch database
    """
    seen, new = Seen(project), main_branch.new(project.folder)
    revisions = list(reversed(list(project.script.walk_revisions())))
    wanted = [one.revision for one in revisions if new is None or Path(one.path).name in new]
    open_ = [revision for revision in wanted if seen.get(revision) is None]
    try:
        fresh = _judge(project, open_) if open_ else {}
    except servers.NotAllowed as denied:
        raise CommandError(messages.CHECK_NEEDS_SCRATCH.format(reason=denied.reason)) from denied
    for revision, verdict in fresh.items():
        seen.put(revision, verdict)
    seen.save()
    judged = []
    for one in revisions:
        verdict = fresh.get(one.revision) or seen.get(one.revision) or {}
        if one.revision not in wanted:
            judged.append(Judged(one.revision, Path(one.path), [], None, False))
            continue
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
    """Prove one migration; where the proof itself stumbles, that is said of it, and not kept."""
    one = project.script.get_revision(revision)
    if one.is_merge_point:
        return proving.Proved(True, "it joins two heads", [])
    try:
        return proving.prove(project.app, project.config, revision)
    except servers.NotAllowed:
        raise
    except Exception as error:
        if isinstance(error, DBAPIError) and (error.connection_invalidated or not error.statement):
            raise  # the server is gone, for the others too
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        sentence = NOT_PROVED.format(file=Path(one.path).name, error=said)
        return proving.Proved(False, sentence, [sentence], lasting=False)
