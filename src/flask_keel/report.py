"""`db report`: what a branch does to the schema, for the one who reviews it."""

import difflib
import html
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Dialect

from . import catalog, check, errors, history, output, revisions, runner, statements
from .check import Judged
from .lint import SEVERITIES, Finding
from .project import Project
from .scratch import servers
from .upgrade import sql_script

Item = TypeVar("Item")
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB or MySQL"}
SINCE = "since {reference} ({commit})"
EDITED = (
    "It was edited after it had been shipped, and a database that has it does not run it again: type "
    "git checkout {commit} -- {path}, and write the change into a migration of its own."
)
GONE = (
    "{path} is gone, and a database that has it cannot be migrated any more: type git checkout {commit} "
    "-- {path}, and undo it by a migration of its own."
)
MOVED = "{path} is now {new}: its revision is the same."
UNSAID = "git does not say what has changed: type git status, and mend what it says."
NO_SCHEMA_DIFF = "{file} is as it was."
DEPENDS = "What it does depends on the rows that are there ({why}): read its file."
ADOPTED = (
    "It is older than the adoption of flask-keel (adopted_at in alembic.ini): it is not judged."
)


@dataclass
class Change:
    """One migration that is new, or not what it was.

    :param did: what its upgrade does, each a phrase or a statement of its own
    :param lint: findings, each in its lines; the first says what, the last what to write instead
    :param proof: what the proof said, its verdict first
    :param sql: of its upgrade; None where it cannot be printed, which ``trouble`` says
    :param edits: how its file differs from the one that was shipped
    """

    revision: str
    title: str
    file: str
    did: list[check.Done] = field(default_factory=list)
    lint: list[tuple[Finding, bool]] = field(default_factory=list)
    proof: list[str] = field(default_factory=list)
    proved: bool | None = None
    sql: str | None = None
    trouble: str | None = None
    edited: str | None = None
    edits: str = ""

    @property
    def verdict(self) -> str:
        """The proof in two words, for a table."""
        return {True: "proved", False: "fails", None: "not judged"}[self.proved]

    @property
    def found(self) -> str:
        """What the lint found, counted, for a table."""
        open_ = [one.severity for one, _ in self.lint if one.silenced is None]
        counted = [f"{open_.count(name)} {name}" for name in SEVERITIES if name in open_]
        silenced = len(self.lint) - len(open_)
        return ", ".join([*counted, *([f"{silenced} silenced"] if silenced else [])]) or (
            "nothing" if self.proved is not None else ""
        )


@dataclass
class Report:
    """What a branch does to the schema.

    :param since: the branch and the commit with which it is compared
    :param changes: the oldest migration first
    :param asides: sentences about the whole: files that are gone, several heads
    :param diff: of the schema file
    """

    database: str
    since: str
    changes: list[Change]
    asides: list[str]
    file: str
    diff: str

    @property
    def heading(self) -> str:
        """What there is, in one sentence."""
        count = len(self.changes)
        if not count:
            what = "No new migration" if self.asides else "No change of the schema"
            what = "The schema file differs, and no migration" if self.diff else what
            return f"{what} {self.since}."
        edited = sum(one.edited is not None for one in self.changes)
        counted = {"new": count - edited, "edited": edited}
        what = " and ".join(f"{number} {kind}" for kind, number in counted.items() if number)
        return f"{what} migration{'s' if count > 1 else ''} {self.since}, on {self.database}."


def of(project: Project, reference: str | None) -> Report:
    """Return what the branch does, seen from where it left the main branch.

    :param reference: another branch or commit in the place of the main branch
    :raises CommandError: when git does not tell what is new, or there may be no scratch database
    """
    base, since = _base(project.folder, reference)
    file = catalog.path(project.folder, project.dialect)
    found = history.changes(base, *project.script._version_locations, file.parent)
    if found is None:
        raise CommandError(UNSAID)
    walked = list(project.script.walk_revisions())
    scripts = [one for one in reversed(walked) if Path(one.path).resolve() in found]
    changes = list(_changes(project, scripts)) if scripts else []
    for change, script in zip(changes, scripts, strict=True):
        if found[Path(script.path).resolve()] != "A":
            change.edited = EDITED.format(commit=base[:10], path=shlex.quote(change.file))
            change.edits = _difference(project, base, Path(script.path))
    asides = list(_asides(project, base, found, scripts))
    diff = _difference(project, base, file) if file.resolve() in found else ""
    name = NAMES[project.dialect] + (f" ({project.bind})" if project.bind else "")
    return Report(name, since, changes, asides, project.shown(file), diff)


def _base(folder: Path, reference: str | None) -> tuple[str, str]:
    """Return the commit in which the branch began, and what is said of it.

    :raises CommandError: when git does not know it
    """
    if history.git(folder, "rev-parse", "--git-dir") is None:
        if any((one / ".git").exists() for one in folder.resolve().parents):
            raise CommandError(UNSAID)  # such as a checkout of another owner's
        raise CommandError(
            f"{folder} is in no git repository, or git is not installed, so nothing says which "
            "migrations are new: type git init and commit what was shipped."
        )
    if history.commit(folder, "HEAD") is None:
        raise CommandError("Nothing is committed yet, so all is new: type git commit first.")
    wanted = reference or history.main_branch(folder)
    if wanted is None:
        raise CommandError(
            "git knows no main branch here (no origin/HEAD, no main and no master): type "
            "db report --base REF with the branch or commit to compare with."
        )
    commit = history.commit(folder, wanted)
    if commit is None:
        raise CommandError(
            f"git knows no commit {wanted}: type git fetch origin, or db report --base with another one."
        )
    base = history.merge_base(folder, commit)
    if base is None and history.git(folder, "rev-parse", "--is-shallow-repository") == ["true\n"]:
        raise CommandError(
            f"This clone is shallow, and what it has of the branch and of {wanted} has no commit in "
            "common: type git fetch --unshallow (in a workflow: fetch-depth: 0)."
        )
    if base is None:
        raise CommandError(
            f"The branch has no commit in common with {wanted}: type db report --base REF with the "
            "commit from which on its migrations are new."
        )
    return base, SINCE.format(reference=wanted, commit=base[:10])


def _changes(project: Project, scripts: list[Script]) -> Iterator[Change]:
    judged = {
        one.revision: one for one in check.judge(project, {Path(one.path).name for one in scripts})
    }
    with _server(project) as server:
        for script in scripts:
            yield _change(project, script, judged[script.revision], server)


@contextmanager
def _server(project: Project) -> Iterator[Dialect | None]:
    if project.dialect == "sqlite":
        yield None
        return
    with servers.administer(project.engine.url, project.engine_options) as server:
        yield server.dialect


def _change(project: Project, script: Script, judged: Judged, server: Dialect | None) -> Change:
    path = Path(script.path)
    change = Change(script.revision, history.title(script), project.shown(path))
    explained: set[str] = set()
    for finding in judged.findings:
        change.lint.append((finding, finding.rule not in explained))
        explained.add(finding.rule)
    for kind, said in judged.did:
        if kind != "sql":
            change.did.append((kind, said))
        elif statements.changes(said, project.dialect):
            # the drivers of servers want each percent sign twice
            change.did.append(
                (kind, said if project.dialect == "sqlite" else said.replace("%%", "%"))
            )
    if judged.proof is None:
        change.proof = [ADOPTED]
    else:
        change.proof = list(map(output.as_typed, judged.proof.lines or [judged.proof.sentence]))
        change.proved = judged.proof.ok
    try:
        change.sql = sql_script.of_one(project, script, server)
    except runner.Refused as refused:
        change.trouble = DEPENDS.format(why=refused)
    except Exception as error:
        if change.proved is not False:  # it has said so
            change.trouble = errors.of_the_application(error)
    return change


def _asides(
    project: Project, base: str, found: dict[Path, str], scripts: list[Script]
) -> Iterator[str]:
    if wrong := check.head_file(project):
        yield f"{output.as_typed(wrong[0])}."
    there = {one.revision: project.shown(one.path) for one in scripts}
    for path, state in found.items():
        if state != "D" or path.suffix != ".py":
            continue
        text = history.text_at(project.folder, base, path)
        revision = dict(revisions.ASSIGNED.findall(text)).get("revision", "").strip("\"'")
        shown = project.shown(path)
        if revision in there:
            yield MOVED.format(path=shown, new=there[revision])
        elif revision:
            yield GONE.format(path=shlex.quote(shown), commit=base[:10])


def _difference(project: Project, base: str, path: Path) -> str:
    old, new = history.text_at(project.folder, base, path), ""
    if path.exists():
        new = path.read_text(encoding="utf-8", errors="replace")
    one, other = (f"{side}/{project.shown(path)}" for side in "ab")
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), one, other, lineterm="")
    return "\n".join(lines)


# For a terminal.


def plain(report: Report) -> str:
    """Return the report as text for a terminal."""
    lines = [report.heading, *report.asides]
    for one in report.changes:
        lines += ["", f"{one.revision} {one.title}", f"  {one.file}"]
        lines += [f"  {one.edited}"] if one.edited else []
        lines += [f"  - {' '.join(said.split())}" for _, said in one.did]
        for finding, explain in one.lint:
            said = finding.lines if explain else [finding.first]
            lines += [f"  {line}" for line in said]
        lines += [f"  {line}" for line in one.proof]
        lines += [f"  {one.trouble}"] if one.trouble else []
        lines += ["", *(f"    {line}" for line in (one.sql or "").splitlines())] if one.sql else []
    if report.changes or report.diff:
        lines += ["", report.diff or NO_SCHEMA_DIFF.format(file=report.file)]
    return _clean("\n".join(lines)) + "\n"


# For GitHub: what a job puts into the file that GITHUB_STEP_SUMMARY names is shown on the run's page.


MOST = 900_000  # bytes, of the 1 MiB after which GitHub shows nothing
MOST_CODE = 60_000  # characters of one block
MOST_LINES = 50  # of findings or notes for one migration
LONGEST = 600  # characters of one of them
MOST_ROWS = 100  # of the table
NO_ROOM = "{count} more migrations have no room here: `db report` without `--markdown` prints them."
# what means something in a line of Markdown, and in HTML
SIGNS = re.compile(r"([\\`*_\[\]<>|~#!])")


def markdown(report: Report) -> str:
    """Return the report as Markdown, with nothing in it that a name or a value could make of it."""
    ends = [_whole_diff(report)] if report.changes or report.diff else []
    begins = ["## The schema", _text(report.heading), *map(_text, report.asides)]
    if report.changes:
        begins.append(_table(report.changes))
    sections: list[str] = []
    size = sum(len(part.encode()) + 2 for part in begins + ends)
    for one in report.changes:
        section = _section(one, report.database)
        size += len(section.encode()) + 2
        if size > MOST:
            sections.append(NO_ROOM.format(count=len(report.changes) - len(sections)))
            break
        sections.append(section)
    return "\n\n".join(begins + sections + ends) + "\n"


def _table(changes: list[Change]) -> str:
    rows = ["| migration | what it does | lint | proof |", "|---|---|---|---|"]
    for one in changes[:MOST_ROWS]:
        did = _text("; ".join(said for kind, said in one.did if kind == "phrase")[:LONGEST])
        if any(kind == "sql" for kind, _ in one.did):
            did = f"{did}; SQL of its own" if did else "SQL of its own"
        found = _text(one.found)
        found = (
            f"**{found}**" if any(f.loses_data and not f.silenced for f, _ in one.lint) else found
        )
        proof = one.verdict if one.proved else f"**{one.verdict}**"
        cells = [
            f"{_code(one.revision)} {_text(one.title)}",
            did or ("nothing" if one.proved else ""),
            found,
            proof,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    if changes[MOST_ROWS:]:
        rows.append(f"| and {len(changes) - MOST_ROWS} more | | | |")
    return "\n".join(rows)


def _section(one: Change, database: str) -> str:
    parts = [f"### {_code(one.revision)} {_text(one.title)}", _code(one.file)]
    if one.edited:
        parts += [f"**{_text(one.edited)}**", _folded("What was edited", one.edits, "diff")]
    nothing = ["It does nothing."] if one.proved else []  # of what does not run nothing is known
    parts += ["What it does:", _listed(one.did, _operation)] if one.did else nothing
    silent = ["Lint: nothing to say."] if one.proved is not None else []
    parts += ["Lint:", _listed(one.lint, _finding)] if one.lint else silent
    verdict = _text(one.proof[0])
    parts.append(f"Proof: {verdict if one.proved is not False else f'**{verdict}**'}")
    parts.append(_listed(one.proof[1:], _text))
    if one.trouble:
        parts.append(f"SQL for {database}: {_text(one.trouble)}")
    elif one.sql:
        parts.append(_folded(f"SQL for {database}", one.sql, "sql"))
    return "\n\n".join(part for part in parts if part)


def _operation(done: check.Done) -> str:
    kind, said = done
    return _text(said) if kind == "phrase" else _code(said)


def _finding(found: tuple[Finding, bool]) -> str:
    finding, explain = found
    first = _text(finding.first)
    if finding.loses_data and finding.silenced is None:
        first = f"**{first}**"
    if not explain or finding.silenced is not None:
        return first
    said = f"{first}: {_text(finding.why)}" if finding.why else first
    return f"{said}<br>instead: {_code(finding.instead)}" if finding.instead else said


def _whole_diff(report: Report) -> str:
    if not report.diff:
        return NO_SCHEMA_DIFF.format(file=_code(report.file))
    return f"### {_code(report.file)}\n\n{_fenced(report.diff, 'diff', 3 * MOST_CODE)}"


def _listed(items: list[Item], say: Callable[[Item], str]) -> str:
    return "\n".join(f"- {said}" for said in output.listed([*map(say, items)], MOST_LINES))


def _folded(title: str, text: str, language: str) -> str:
    inside = _fenced(text, language, MOST_CODE)
    return f"<details><summary>{html.escape(title)}</summary>\n\n{inside}\n\n</details>"


def _fenced(text: str, language: str, most: int) -> str:
    """Put text into a block of code whose fence is longer than any in it."""
    whole = text.rstrip("\n")
    text = _clean(whole[:most])
    if len(whole) > most:
        text = text.rpartition("\n")[0] or text
        text += "\n-- cut here: db report without --markdown prints all of it"
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    """Put text into a line as code."""
    text = _shortened(text)
    fence = "`" * (1 + max(map(len, re.findall(r"`+", text)), default=0))
    room = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{room}{text}{room}{fence}" if text else ""


def _text(text: str) -> str:
    """Put text into a line as it is: no markup in it, nobody called by @name."""
    signs = SIGNS.sub(r"\\\1", _shortened(text)).replace("&", "&amp;")
    return signs.replace("@", "@<!-- -->").replace("://", ":<!-- -->//")


def _shortened(text: str) -> str:
    said = " ".join(_clean(text[: 2 * LONGEST]).split())
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."


def _clean(text: str) -> str:
    """Take out what is no text: signs that steer a terminal, halves of signs, bytes of no encoding."""
    kept = "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in text)
    return kept.encode("utf-8", "replace").decode("utf-8")
