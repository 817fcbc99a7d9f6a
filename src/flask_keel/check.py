"""`db check`: one head, models and history, lint and proof of what is new, the schema file."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from io import StringIO
from itertools import groupby
from pathlib import Path

from alembic import command
from alembic.operations import ops
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Connection, Dialect, make_url
from sqlalchemy.exc import DBAPIError

from . import binds, catalog, diagram, heads, history, lint, output, revisions
from .autogenerate import summary
from .lint.findings import Finding, briefly
from .project import Project
from .proof import Verdict, prove
from .runner import Recorder, Recording
from .scratch import cache, databases, servers
from .scratch.cache import Seen
from .typing import Options


@dataclass
class Proved:
    """What a proof found, in words.

    :param sentence: without a full stop
    :param lines: the sentence, and what is worth knowing
    :param changes: those of the lines that say which values the upgrade rewrites
    :param lasting: whether a second proof of the same thing would say the same
    """

    ok: bool
    sentence: str
    lines: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    lasting: bool = True

    @classmethod
    def of(cls, verdict: Verdict) -> "Proved":
        return cls(
            verdict.ok, verdict.sentence, verdict.lines, verdict.changes, lasting=verdict.lasting
        )


def findings(project: Project, revision: str, verdict: Verdict | None = None) -> list[Finding]:
    """Return what the lint says of one migration.

    :param verdict: of its proof, where it has run already; else it runs for the lint alone
    :raises servers.NotAllowed: when the account may not create a scratch database
    """
    return _linted(project, revision, _did(project, revision, verdict))


def _did(project: Project, revision: str, verdict: Verdict | None) -> Recording:
    if verdict is not None and verdict.recording is not None:
        return verdict.recording
    recorder = Recorder([project.script.get_revision(revision)])
    with databases.at_head(project, recorder):
        return recorder.recordings[revision]


def _linted(project: Project, revision: str, did: Recording) -> list[Finding]:
    path = Path(project.script.get_revision(revision).path)
    return lint.check(path, did, did.dialect or project.engine.dialect, project.online)


NOT_PROVED = "{file} cannot be proved ({error}): mend what it imports, or say so to those who make this proof"


Done = tuple[str, str]  # "phrase" or "sql", and the words


@dataclass
class Judged:
    """One migration: what the lint found, and what the proof said.

    ``proof`` is None for a migration on the main branch: what it does was decided there.

    :param did: what its upgrade does: phrases, and the statements of its own
    """

    revision: str
    path: Path
    findings: list[Finding]
    proof: Proved | None
    before: bool
    did: list[Done] = field(default_factory=list)


def judge(project: Project, new: set[str] | None) -> list[Judged]:
    """Judge the history, the oldest migration first.

    :param new: the names of the files to judge, since the main branch has not decided on them; None
        for all
    :raises CommandError: when there may be no scratch database
    """
    seen = Seen(project)
    revisions = list(reversed(list(project.script.walk_revisions())))
    wanted = [
        one.revision
        for one in revisions
        if one.revision not in project.adopted and (new is None or Path(one.path).name in new)
    ]
    open_ = [revision for revision in wanted if seen.get(revision) is None]
    try:
        fresh = _judge(project, open_) if open_ else {}
    except servers.NotAllowed as denied:
        raise CommandError(NEEDS_SCRATCH.format(reason=denied.reason)) from denied
    for revision, verdict in fresh.items():
        seen.put(revision, verdict)
    seen.save()
    judged = []
    for one in revisions:
        verdict = fresh.get(one.revision) or seen.get(one.revision) or {}
        if one.revision not in wanted:
            judged.append(Judged(one.revision, Path(one.path), [], None, False))
            continue
        found = [Finding(**finding) for finding in verdict["findings"]]
        proof = Proved(**verdict["proof"])
        before = one.revision not in fresh
        did = [tuple(said) for said in verdict["did"]]
        judged.append(Judged(one.revision, Path(one.path), found, proof, before, did))
    return judged


def _judge(project: Project, revisions: list[str]) -> dict[str, Options]:
    found = {}
    for revision in revisions:
        verdict, proved = _prove(project, revision)
        try:
            did = _did(project, revision, verdict)
            said = _linted(project, revision, did)
        except Exception as error:
            if proved.ok or _gone(error):
                raise
            did, said = Recording(), []  # why it does not run, its proof says
        found[revision] = {"findings": list(map(asdict, said)), "proof": asdict(proved)}
        found[revision]["did"] = list(_phrases(did))
    return found


def _phrases(recording: Recording) -> Iterator[Done]:
    for is_sql, events in groupby(recording.did, lambda event: isinstance(event, str)):
        if is_sql:
            yield from (("sql", str(sql)) for sql in events)
        else:
            operations = [event for event in events if not isinstance(event, str)]
            said = summary.phrases(ops.UpgradeOps(operations))
            yield from (("phrase", phrase) for phrase in said)


def _gone(error: Exception) -> bool:
    """Whether the server is gone, for other migrations too."""
    return isinstance(error, DBAPIError) and (error.connection_invalidated or not error.statement)


def _prove(project: Project, revision: str) -> tuple[Verdict | None, Proved]:
    """Prove one migration; where the proof itself stumbles, that is said of it, and not kept."""
    one = project.script.get_revision(revision)
    if one.is_merge_point:
        return None, Proved(True, "it joins two heads", [])
    try:
        verdict = prove(project, revision)
        return verdict, Proved.of(verdict)
    except servers.NotAllowed:
        raise
    except Exception as error:
        if _gone(error):
            raise
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        sentence = NOT_PROVED.format(file=Path(one.path).name, error=said)
        return None, Proved(False, sentence, [sentence], lasting=False)


MOST = 6  # lines of the proof


def judge_new(project: Project, revision: str) -> None:
    """Say what lint and proof find in a migration, and write the schema file.

    :raises CommandError: when its proof fails
    """
    output.add("revision", revision)
    try:
        proof = prove(project, revision)
        _say_findings(findings(project, revision, proof))
        wanted = _schema_at_head(project, proof)
    except servers.NotAllowed as denied:
        output.say(NOT_JUDGED.format(reason=denied.reason))
        return
    output.add("proof", {"ok": proof.ok, "lines": proof.lines})
    if not proof.ok:
        raise CommandError(f"{proof.sentence}.")
    for line in proof.lines[:MOST]:
        output.say(f"  {line}")
    if proof.lines[MOST:]:
        output.say(f"  and {len(proof.lines) - MOST} notes more: db migrate --json has them all")
    if project.script.get_heads() == [revision]:  # the proof has compared it with the models
        cache.note_agreed(project)
    file = catalog.path(project.folder, project.dialect)
    if wanted is not None and catalog.write(file, wanted):
        output.say(f"  {project.shown(file)}")
    output.add("schema", project.shown(file))


def _schema_at_head(project: Project, proof: Verdict) -> str | None:
    if project.script.get_heads() == [proof.revision] or not proof.ok:
        return proof.schema
    with databases.at_head(project) as connection:
        return catalog.text(connection, project.version_table)


def _say_findings(found: list[Finding]) -> None:
    output.add("findings", [finding.as_facts() for finding in found])
    for line in briefly(found):
        named = next((one.severity for one in found if f", {one.severity}]" in line), "")
        output.say(f"  {output.severity(line, named)}")
    if not found:
        output.say("  lint: nothing to say")


NO_MODELS = (
    "The history makes tables, and there are no models to compare them with (lint and proof ran all "
    "the same): import the models where the application is made, then type make check (db check)"
)
NOT_JUDGED = "  {reason}, so the migration is not linted and not proved."
NEEDS_SCRATCH = "{reason}; without one no migration can be checked."
AGREE_HERE = "the models and the history agree in what SQLite holds"


def run(project: Project) -> None:
    """Check everything; say each step, and what is wrong in all of the migrations.

    :raises CommandError: with the first thing that is wrong
    """
    unknown = not project.metadata.tables
    wanted = _made(project) if unknown else _agree(project)
    alone = unknown and wanted != catalog.HEADER
    _say_head(project, "heads" if project.script.get_heads()[1:] else "one head")
    if not alone:
        output.say(
            AGREE_HERE
            if "unheld" in project.config.attributes
            else "the models and the history agree"
        )
    others = [*head_file(project), *filter(None, [diagram.wrong(project)])]
    wrong = [NO_MODELS] * alone + _migrations(project) + others
    for sentence in wrong[1:]:
        if sentence in others:
            output.say(f"{sentence}.")
    _require_nothing(wrong)
    _schema(project, wanted)


def _say_head(project: Project, title: str) -> None:
    head = ", ".join(project.script.get_heads()) or "none"
    output.say(f"{title}: {head}")
    output.add("head", head)


def _require_nothing(wrong: list[str]) -> None:
    """Raise CommandError with the first thing that is wrong, and how many there are beside it."""
    if wrong:
        more = f" (and {len(wrong) - 1} more, see above)" if wrong[1:] else ""
        raise CommandError(f"{wrong[0]}{more}.")


def head_file(project: Project) -> list[str]:
    """Return what is wrong with head.txt, in no or one sentence."""
    known = revisions.read_all(project.folder)
    wrong = heads.wrong(project.folder, known) if known is not None else None
    return [wrong] if wrong else []


def _made(project: Project) -> str:
    """Return the schema that the history makes, where there are no models to compare it with.

    :raises CommandError: for two heads that nobody meant, or when there may be no scratch database
    """
    if not heads.meant(project.folder, project.script.get_heads()):
        history.require_one_head(project.script)
    try:
        with databases.at_head(project) as connection:
            return catalog.text(connection, project.version_table)
    except servers.NotAllowed as denied:
        raise CommandError(NEEDS_SCRATCH.format(reason=denied.reason)) from denied


def _agree(project: Project) -> str | None:
    """Compare models and history, in the run of env.py that newmigration has; return the schema."""
    texts: list[str] = []
    config = project.config

    def look(connection: Connection) -> None:
        texts.append(catalog.text(connection, project.version_table))

    config.attributes["at_head"] = look
    config.stdout = StringIO()  # "No new upgrade operations detected."
    command.check(config)
    cache.note_agreed(project)
    return texts[0] if texts else None


def _migrations(project: Project) -> list[str]:
    """Say what lint and proof found, and return a sentence without full stop for what fails."""
    wrong = []
    judged = judge(project, history.not_on_main_branch(*project.script._version_locations))
    for one in judged:
        failing = [finding for finding in one.findings if finding.fails(project.zero_downtime)]
        _tell(project, one)
        if failing:
            wrong.append(_failing(one, failing))
        if one.proof is not None and not one.proof.ok:
            wrong.append(one.proof.sentence)
    own = [one for one in judged if one.proof is not None]
    if judged and not wrong:
        old = len(project.adopted)
        before, main = sum(one.before for one in own), len(judged) - len(own) - old
        decided = f"; {main} more on the main branch, where they were decided" if main else ""
        decided += f"; {old} from before flask-keel was adopted" if old else ""
        output.say(f"{len(own)} migrations linted and proved ({before} of them before){decided}")
    return wrong


UNTOLD = "not all of it can be told without a database ({why}): make check does"


def quick(project: Project) -> None:
    """Check what needs no database: one head, and the lint of the migrations that are new or changed.

    :raises CommandError: with the first thing that is wrong
    """
    _say_head(project, "head")
    wrong, changed, dialect = head_file(project), _changed(project), _dialect(project)
    for one in changed:
        found, stopped = lint.offline(project, one, dialect)
        judged = Judged(one.revision, Path(one.path), found, None, False)
        _tell(project, judged, main=False)
        if stopped:
            output.say(f"{project.shown(one.path)}: {UNTOLD.format(why=stopped)}")
        failing = [finding for finding in found if finding.loses_data and not finding.silenced]
        wrong += [_failing(judged, failing)] if failing else []
    _require_nothing(wrong)
    count = f"{len(changed)} changed migration{'s' if len(changed) != 1 else ''}"
    output.say(f"{count} linted, without a database: make check proves them")


def _changed(project: Project) -> list[Script]:
    """The migrations that the main branch has not as they are; all, where git does not tell."""
    folders = project.script._version_locations
    base = history.merge_base(project.folder, history.main_branch(project.folder) or "HEAD")
    new = history.changes(base, *folders) if base else None
    return [
        one
        for one in reversed(list(project.script.walk_revisions()))
        if one.revision not in project.adopted and (new is None or Path(one.path).resolve() in new)
    ]


def _dialect(project: Project) -> Dialect:
    """The dialect of the application's database; of the schema file, where no database is named."""
    bind, here = project.bind, binds.home(project.folder) / "schema"
    named = [file.stem.rpartition(".") for file in here.glob("*.sql")]
    kinds = [kind for of, _, kind in named if of == (bind or "")]
    if str(project.engine.url) == "sqlite://" and len(kinds) == 1:
        return make_url(f"{kinds[0]}://").get_dialect()()
    return project.engine.dialect


def _failing(one: Judged, failing: list[Finding]) -> str:
    line = f", line {failing[0].line}" if failing[0].line else ""
    rules = ", ".join(dict.fromkeys(finding.rule for finding in failing))
    return (
        f"{one.path.name}{line}: {failing[0].severity} ({rules}): write what is said above, or "
        f"# lint: {rules} because ... in the file"
    )


def _tell(project: Project, one: Judged, main: bool = True) -> None:
    proof = one.proof
    output.add(
        "migrations",
        [
            {
                "revision": one.revision,
                "file": project.shown(one.path),
                "findings": [finding.as_facts() for finding in one.findings],
                "proof": proof and {key: getattr(proof, key) for key in ("ok", "lines", "changes")},
                "on_main_branch": main and proof is None,
                "judged_before": one.before,
            }
        ],
    )
    failed = proof.sentence if proof is not None and not proof.ok else None
    changes = proof.changes if proof is not None else []
    open_ = [finding for finding in one.findings if finding.silenced is None]
    if open_ or failed or changes:
        output.say(project.shown(one.path))
        for line in [*briefly(open_), *changes]:
            output.say(f"  {line}")
        if failed is not None:
            output.say(f"  {output.paint(failed, fg='red')}")


def _schema(project: Project, wanted: str | None) -> None:
    """Hold the schema file equal to what the history makes.

    :raises CommandError: when it is another
    """
    file = catalog.path(project.folder, project.dialect)
    if wanted is None:
        return  # there was no scratch database, which was said
    if not catalog.is_equal(file, wanted):
        raise CommandError(
            f"{project.shown(file)} is not {'what the migrations make' if file.exists() else 'there'}: "
            "type db schema to write it, and look at the difference."
        )
    output.add("schema", project.shown(file) if file.exists() else None)
    if file.exists():
        output.say(f"{project.shown(file)} is what they make")
