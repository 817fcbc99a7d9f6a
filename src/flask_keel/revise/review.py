"""What is done with a migration once its file is written: findings, proof, schema file, what to type."""

from alembic.util import CommandError

from .. import colours, messages, report, schema_file, servers
from . import proving, rehearsed
from .lint import Finding, words
from .project import Project

MOST = 6  # lines of the proof


def judge(project: Project, revision: str) -> None:
    """Say what lint and proof find in a migration, and write the schema file.

    :raises CommandError: when its proof fails
    """
    report.add("revision", revision)
    try:
        with rehearsed.history(project, [revision]) as (connection, did):
            found = rehearsed.findings(project, connection, revision, did[revision])
            wanted = schema_file.text(connection, project.version_table)
        _say_findings(found)
        proof = proving.prove(project.app, project.config, revision)
    except servers.NotAllowed as denied:
        messages.say(messages.NOT_JUDGED, reason=denied.reason)
        return
    report.add("proof", {"ok": proof.ok, "lines": proof.lines})
    if not proof.ok:
        raise CommandError(messages.PROOF_FAILED.format(sentence=proof.sentence))
    for line in proof.lines[:MOST]:
        messages.say(messages.DETAIL, line=line)
    if proof.lines[MOST:]:
        messages.say(messages.MORE_NOTES, count=len(proof.lines) - MOST)
    file = schema_file.path(project.folder, project.dialect)
    if schema_file.write(file, wanted):
        messages.say(messages.WRITTEN, file=project.shown(file))
    report.add("schema", project.shown(file))


def _say_findings(found: list[Finding]) -> None:
    report.add("findings", [words.as_facts(finding) for finding in found])
    for line in words.briefly(found):
        named = next((one.severity for one in found if f", {one.severity}]" in line), "")
        messages.say(messages.DETAIL, line=colours.severity(line, named))
    if not found:
        messages.say(messages.DETAIL, line=messages.LINT_SILENT)
