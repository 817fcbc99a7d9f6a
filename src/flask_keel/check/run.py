"""The steps of `db check`: one head, models and history, lint and proof, the schema file."""

from io import StringIO
from typing import Any

from alembic import command
from alembic.util import CommandError

from .. import colours, messages, report, schema_file
from ..revise.lint import words
from ..revise.project import Project
from . import main_branch, migrations


def run(project: Project) -> None:
    """Check everything; say each step, and what is wrong in all of the migrations.

    :raises CommandError: with the first thing that is wrong
    """
    wanted = _agree(project)
    head = ", ".join(project.script.get_heads()) or "none"
    messages.say(messages.CHECK_HEAD, head=head)
    messages.say(messages.CHECK_AGREE)
    report.add("head", head)
    wrong = _migrations(project)
    if wrong:
        more = messages.CHECK_MORE.format(count=len(wrong) - 1) if wrong[1:] else ""
        raise CommandError(f"{wrong[0]}{more}.")
    _schema(project, wanted)


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
    judged = migrations.judge(project)
    new = main_branch.new(project.folder)
    wrong = []
    for one in judged:
        on_main = new is not None and one.path.name not in new
        failing = [f for f in one.findings if not on_main and f.fails(project.zero_downtime)]
        _tell(project, one, [f for f in one.findings if f.silenced is None and not on_main])
        if failing:
            rules = ", ".join(dict.fromkeys(finding.rule for finding in failing))
            line = failing[0].line
            words_ = {"file": one.path.name, "line": line, "rules": rules}
            wrong.append(messages.CHECK_FINDING.format(severity=failing[0].severity, **words_))
        if not one.proof.ok:
            wrong.append(one.proof.sentence)
    before = sum(one.before for one in judged)
    if judged and not wrong:
        messages.say(messages.CHECK_JUDGED, count=len(judged), before=before)
    return wrong


def _tell(project: Project, one: migrations.Judged, open_: list[Any]) -> None:
    report.add(
        "migrations",
        [
            {
                "revision": one.revision,
                "file": project.shown(one.path),
                "findings": [words.as_facts(finding) for finding in one.findings],
                "proof": {"ok": one.proof.ok, "lines": one.proof.lines},
                "judged_before": one.before,
            }
        ],
    )
    if open_ or not one.proof.ok:
        messages.say(messages.LINE, line=project.shown(one.path))
        for line in words.briefly(open_):
            messages.say(messages.DETAIL, line=line)
        if not one.proof.ok:
            messages.say(messages.DETAIL, line=colours.paint(one.proof.sentence, fg="red"))


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
