"""The steps of `db rebase`: choose, change the file, prove what moved, write the schema file."""

from importlib.util import cache_from_source
from pathlib import Path

from alembic.util import CommandError

from .. import errors, messages, report, schema_file, servers, whole
from ..revise import proving, rehearsed
from ..revise.project import Project
from . import branches, editing


def run(project: Project, revision: str | None) -> None:
    """Put one of two heads after the other.

    :param revision: the head that is to stand last; None to find it out
    :raises CommandError: when it cannot be done; then the files are as they were
    """
    heads = project.script.get_heads()
    if len(heads) < 2:
        messages.say(messages.REBASE_ONE_HEAD, head=heads[0] if heads else "none")
        return
    head, moved = branches.chosen(project.script, revision)
    path = Path(moved[0].path)
    before = path.read_text(encoding="utf-8")
    text = editing.after(before, head.revision)
    if text is None:
        facts = {"file": path.name, "down": head.revision}
        raise CommandError(messages.REBASE_UNREAD.format(**facts))
    _write(path, text)
    try:
        _prove(Project(project.app, project.config), [one.revision for one in moved])
    except BaseException as error:
        _write(path, before)
        if not isinstance(error, Exception):
            raise
        reason = errors.of_the_application(error)
        facts = {"file": path.name, "head": head.revision, "reason": reason}
        raise CommandError(messages.REBASE_FAILED.format(**facts)) from error
    messages.say(messages.REBASED, file=project.shown(path), head=head.revision)
    messages.say(messages.REBASED_NEXT, first=moved[0].revision, head=head.revision)
    report.add("file", project.shown(path))


def _write(path: Path, text: str) -> None:
    whole.replace(path, text)
    # python knows a source by second and size, and both may be the same
    Path(cache_from_source(str(path))).unlink(missing_ok=True)


def _prove(project: Project, moved: list[str]) -> None:
    """Run the history as it is now, prove what moved, and write the schema file.

    :raises CommandError: for a proof that fails
    """
    try:
        with rehearsed.history(project, []) as (connection, _):
            wanted = schema_file.text(connection, project.version_table)
        for revision in moved:
            proof = proving.prove(project.app, project.config, revision)
            if not proof.ok:
                raise CommandError(messages.PROOF_FAILED.format(sentence=proof.sentence))
            for line in proof.lines:
                messages.say(messages.DETAIL, line=line)
    except servers.NotAllowed as denied:
        messages.say(messages.NOT_JUDGED, reason=denied.reason)
        return
    file = schema_file.path(project.folder, project.dialect)
    if schema_file.write(file, wanted):
        messages.say(messages.WRITTEN, file=project.shown(file))
