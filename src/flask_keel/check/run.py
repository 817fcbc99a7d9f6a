"""The steps of `db check`: one head, models and history, lint and proof, the schema file."""

from io import StringIO
from typing import Any

from alembic import command
from alembic.util import CommandError

from .. import colours, history, messages, report, schema_file, servers
from ..revise import binds, rehearsed
from ..revise.lint import Finding, words
from ..revise.project import Project
from . import migrations

NO_MODELS = (
    "The history makes tables, and there are no models to compare them with (lint and proof ran all "
    "the same): import the models where the application is made, then type make check (db check)"
)
AGREE_HERE = "the models and the history agree in what SQLite holds"
ON_MAIN = "; {count} more on the main branch, where they were decided"


def run(project: Project) -> None:
    """Check everything; say each step, and what is wrong in all of the migrations.

    :raises CommandError: with the first thing that is wrong
    """
    unknown = not project.metadata.tables
    wanted = _made(project) if unknown else _agree(project)
    alone = unknown and wanted != schema_file.HEADER
    head = ", ".join(project.script.get_heads()) or "none"
    messages.say(messages.CHECK_HEAD, head=head)
    if not alone:
        messages.say(AGREE_HERE if "unheld" in project.config.attributes else messages.CHECK_AGREE)
    report.add("head", head)
    left_out = binds.left_out(project.app)
    wrong = [NO_MODELS] * alone + _migrations(project) + ([left_out] if left_out else [])
    if wrong:
        more = messages.CHECK_MORE.format(count=len(wrong) - 1) if wrong[1:] else ""
        raise CommandError(f"{wrong[0]}{more}.")
    _schema(project, wanted)


def _made(project: Project) -> str:
    """Return the schema that the history makes, where there are no models to compare it with.

    :raises CommandError: for two heads, or when there may be no scratch database
    """
    history.require_one_head(project.script)
    try:
        with rehearsed.history(project, []) as (connection, _):
            return schema_file.text(connection, project.version_table)
    except servers.NotAllowed as denied:
        raise CommandError(messages.CHECK_NEEDS_SCRATCH.format(reason=denied.reason)) from denied


def _agree(project: Project) -> str | None:
    """Compare models and history, in the run of env.py that newmigration has; return the schema."""
    texts: list[str] = []
    config = project.config

    def look(connection: Any) -> None:
        texts.append(schema_file.text(connection, project.version_table))

    config.attributes["at_head"] = look
    config.stdout = StringIO()  # "No new upgrade operations detected."
    command.check(config)
    return texts[0] if texts else None


def _migrations(project: Project) -> list[str]:
    """Say what lint and proof found, and return a sentence without full stop for what fails."""
    wrong = []
    judged = migrations.judge(project)
    for one in judged:
        failing = [finding for finding in one.findings if finding.fails(project.zero_downtime)]
        _tell(project, one)
        if failing:
            wrong.append(_failing(one, failing))
        if one.proof is not None and not one.proof.ok:
            wrong.append(one.proof.sentence)
    own = [one for one in judged if one.proof is not None]
    if judged and not wrong:
        before, main = sum(one.before for one in own), len(judged) - len(own)
        decided = ON_MAIN.format(count=main) if main else ""
        messages.say(messages.CHECK_JUDGED + decided, count=len(own), before=before)
    return wrong


def _failing(one: migrations.Judged, failing: list[Finding]) -> str:
    line = f", line {failing[0].line}" if failing[0].line else ""
    rules = ", ".join(dict.fromkeys(finding.rule for finding in failing))
    words_ = {"file": one.path.name + line, "rules": rules}
    return messages.CHECK_FINDING.format(severity=failing[0].severity, **words_)


def _tell(project: Project, one: migrations.Judged) -> None:
    proof = one.proof
    report.add(
        "migrations",
        [
            {
                "revision": one.revision,
                "file": project.shown(one.path),
                "findings": [words.as_facts(finding) for finding in one.findings],
                "proof": proof and {key: getattr(proof, key) for key in ("ok", "lines", "changes")},
                "on_main_branch": proof is None,
                "judged_before": one.before,
            }
        ],
    )
    failed = proof is not None and not proof.ok
    changes = proof.changes if proof is not None else []
    open_ = [finding for finding in one.findings if finding.silenced is None]
    if open_ or failed or changes:
        messages.say(messages.LINE, line=project.shown(one.path))
        for line in [*words.briefly(open_), *changes]:
            messages.say(messages.DETAIL, line=line)
        if failed:
            messages.say(messages.DETAIL, line=colours.paint(proof.sentence, fg="red"))


def _schema(project: Project, wanted: str | None) -> None:
    """Hold the schema file equal to what the history makes.

    :raises CommandError: when it is another
    """
    file = schema_file.path(project.folder, project.dialect)
    if wanted is None:
        return  # there was no scratch database, which was said
    if not schema_file.is_equal(file, wanted):
        raise CommandError(messages.SCHEMA_DIFFERS.format(file=project.shown(file)))
    report.add("schema", project.shown(file) if file.exists() else None)
    if file.exists():
        messages.say(messages.CHECK_SCHEMA, file=project.shown(file))
