"""What an upgrade or a downgrade would do, said before it does: the plan, and the question.

Nobody waits for a person: the question is asked before the lock is taken. Under the lock the answer is
held against what is there then, and asked for anew where that is more.
"""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click
from alembic.runtime.migration import MigrationStep, RevisionStep
from alembic.util import CommandError
from sqlalchemy import Connection

from .. import history, output
from ..lint import Finding, source
from ..project import Environment
from ..typing import Options
from . import dry_run
from .dry_run import File, Planned
from .lock import is_galera
from .losses import MOST, Key, Live, Loss, Rows, counted

TOI = (
    "Each of its statements of DDL runs on all nodes of this Galera cluster in the same place of the order: "
    "until it has ended, a commit to any table waits on the others, too."
)
FEW = 3  # losses that a sentence names


class Changed(Exception):
    """The database is not what the plan was made for: it is to be made anew."""


class Look(NamedTuple):
    """What is to be done, as it was without a lock.

    :param heads: where the database was
    :param there: whether there is a database with tables in it
    """

    heads: frozenset[str]
    steps: list[MigrationStep]
    there: bool

    @property
    def keeps_all(self) -> bool:
        """Whether the files say that no value is lost or rewritten, whatever the database holds."""
        revisions = (step for step in self.steps if isinstance(step, RevisionStep))
        return not self.there or all(File(step).keeps_all() for step in revisions)


@dataclass
class Plan:
    """What a run would do to a database.

    :param rows: how many rows each table has that is written again
    """

    project: Environment
    revisions: list[Planned]
    rows: dict[Key, int | None]

    @classmethod
    def of(cls, project: Environment, look: Look, whole: bool = False) -> "Plan":
        """Make the plan.

        :param whole: whether all is counted, and not only what is asked for
        """
        if not look.there and project.dialect == "sqlite":  # a server has its database
            made = cls(project, dry_run.run(project, None, look.steps), {})
            for loss in made._all():
                loss.count = 0
            return made
        with dry_run.looked_at(project) as connection:
            live = Live(connection)
            made = cls(project, dry_run.run(project, live, look.steps), {})
            for loss in made._all():
                if loss.rows and (whole or made._asks(loss)):
                    loss.count = live.count(loss.rows)
            if whole:
                tables = dict.fromkeys(key for one in made.revisions for key in one.rewrites)
                made.rows = {key: live.count(Rows(key)) for key in tables}
            return made

    @property
    def changes_rows(self) -> bool:
        """Whether it loses or rewrites something, or runs statements of its own."""
        doubtful = any(one.raw or one.untold for one in self.revisions)
        return doubtful or any(count != 0 for count in self.rows.values()) or any(self.losses)

    @property
    def losses(self) -> Iterator[tuple[Planned, Loss]]:
        """What would be lost."""
        return ((one, loss) for one in self.revisions for loss in one.lost)

    @property
    def questions(self) -> list["Question"]:
        """What is to be asked: of an upgrade that for which its file gives no reason."""
        found = [
            Question(f"{one.script.revision} {loss.what}", f"{loss}, {_where(one, loss)}")
            for one, loss in self.losses
            if self._asks(loss)
        ]
        doubts = self.revisions if self.project.moving == "downgrade" else []
        return found + [
            Question(
                f"{one.script.revision} {said}", f"what cannot be told ({said}), {_where(one)}"
            )
            for one in doubts
            for said in one.untold
        ]

    def require_current(self, connection: Connection) -> None:
        """Look again, under the lock, at what had nothing to lose.

        :raises Changed: when it has something now
        """
        live = Live(connection)
        for loss in self._all():
            if loss.count == 0 and loss.rows and live.count(loss.rows) != 0:
                raise Changed

    def require_no_standstill(self) -> None:
        """Stop before anything runs at what has others wait, and for which there is no other form.

        What is over in a moment is only said. Not where the file says why that is right, and not on the
        way down.

        :raises CommandError: with what to write instead
        """
        for one in self.revisions:
            if not one.step.is_upgrade or one.script.revision in self.project.adopted:
                continue
            reasons = source.reasons(source.text(Path(one.script.path)))
            for found in one.standstills:
                if found.finding.rule in reasons:
                    continue
                if not found.brief:
                    raise CommandError(_standstill(one, found.finding))
                if found.finding.rule in dry_run.RENAMES:
                    output.say(
                        f"  {_place(one, found.finding)} while a release may run that reads it"
                    )

    def _asks(self, loss: Loss) -> bool:
        return self.project.moving == "downgrade" or loss.reason is None

    def _all(self) -> Iterator[Loss]:
        return (loss for one in self.revisions for loss in one.losses)

    def _rewritten(self, one: Planned) -> list[tuple[Key, int | None]]:
        return [(table, count) for table in one.rewrites if (count := self.rows.get(table, 0)) != 0]

    def lines(self) -> Iterator[str]:
        """Say the plan."""
        for one in self.revisions:
            yield f"  {self.project.moving} {one.script.revision}  {history.title(one.script)}"
            yield from (f"    {way}" for way in one.ways)
            for table, count in self._rewritten(one):
                yield f"    rewrites {table} ({counted(count, 'rows')})"
            for loss in one.lost:
                because = f", because {loss.reason}" if loss.reason else ""
                yield f"    loses {loss}{because}"
            yield from (f"    cannot be told: {what}" for what in one.untold)

    def facts(self) -> list[Options]:
        """Return the plan for a program."""
        return [
            {
                "revision": one.script.revision,
                "direction": self.project.moving,
                "message": history.title(one.script),
                "file": self.project.shown(one.script.path),
                "plan": one.ways,
                "rewrites": [
                    {"table": str(table), **_number("rows", count)}
                    for table, count in self._rewritten(one)
                ],
                "loses": [
                    {"what": loss.what, **_number("count", loss.count), "unit": loss.unit}
                    | {"line": loss.line, "reason": loss.reason}
                    for loss in one.lost
                ],
                "cannot_be_told": one.untold,
            }
            for one in self.revisions
        ]


def _number(key: str, count: int | None) -> Options:
    many = count is not None and count > MOST
    return {key: MOST if many else count, "more": many}


class Question(NamedTuple):
    """Something that would be lost.

    :param key: tells it from others, whatever its number is by now
    """

    key: str
    said: str


def _place(one: Planned, finding: Finding) -> str:
    file, line = Path(one.script.path).name, f", line {finding.line}," if finding.line else ""
    return f"{file}{line} {finding.what}"


def _standstill(one: Planned, finding: Finding) -> str:
    return (
        f"{_place(one, finding)}, and with ZERO_DOWNTIME nobody is to wait for that: nothing was changed; "
        f"write {finding.instead}, or say in the file # lint: {finding.rule} because ..."
    )


def _where(one: Planned, loss: Loss | None = None) -> str:
    line = f" line {loss.line}" if loss else ""
    return f"{Path(one.script.path).name}{line}"


def show(project: Environment, look: Look) -> None:
    """Print the plan: with ``--json`` for a program, and for a person on stderr then."""
    plan = Plan.of(project, look, whole=True)
    command = click.get_current_context(silent=True)
    as_json = bool(command and command.params.get("as_json"))
    asked = plan.questions if confirms(project) else []
    many = f"{len(plan.revisions)} revision{'s' if len(plan.revisions) != 1 else ''}"
    lines = [
        f"{project.database} is at {history.at(look.heads)}: {many} to {project.moving}.",
        *plan.lines(),
    ]
    if asked:
        lines.append(f"Before that db {project.moving} asks, or wants --yes.")
    if look.there and project.dialect == "mysql":
        with dry_run.looked_at(project) as connection:
            lines += [TOI] if is_galera(connection) else []
    for line in lines:
        click.echo(output.as_typed(line), err=as_json)
    output.add("revisions", plan.facts())
    output.add("asks", bool(asked))


def confirms(project: Environment) -> bool:
    """Whether the configuration wants to be asked before data is lost."""
    return project.settings.get("CONFIRM_DATA_LOSS") is True


def require_agreement(plan: Plan, agreed: set[str]) -> None:
    """Ask whether it may be lost; nobody has to wait meanwhile.

    :param agreed: what was agreed to before, and what is now
    :raises CommandError: when the answer is no, or nobody is here to be asked
    """
    questions = plan.questions
    keys = {question.key for question in questions}
    if keys <= agreed:
        return
    moving, database = plan.project.moving, plan.project.database
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError(_refusal(plan, questions))
    output.say(f"This {moving} of {database} loses")
    for question in questions:
        output.say(f"  {question.said}")
    if not output.agreed(f"Go on with the {moving}?"):
        raise CommandError("Stopped at the question: nothing was changed.")
    agreed |= keys


def _refusal(plan: Plan, questions: list[Question]) -> str:
    moving = plan.project.moving
    where = f" (db {moving} --plan says all of it)"
    said = "; ".join(output.listed([question.said for question in questions], FEW, where))
    reason = ""
    if moving == "upgrade":
        first = next(one for one, loss in plan.losses if loss.reason is None)
        open_ = [loss for one, loss in plan.losses if one is first and loss.reason is None]
        rules = dict.fromkeys(loss.rules[0] for loss in open_)
        file = Path(first.script.path).name
        reason = f", or write # lint: {', '.join(rules)} because ... into {file}"
    return (
        f"The {moving} of {plan.project.database} would lose {said}, and nobody is here to be asked: "
        f"nothing was changed; type {_again(plan.project)}{reason}."
    )


def _again(project: Environment) -> str:
    """The command, with --yes."""
    to = project.destination
    usual = "head" if project.moving == "upgrade" else "-1"
    rest = "" if to == usual else f" {'-- ' if to.startswith('-') else ''}{shlex.quote(to)}"
    return f"db {project.moving} --yes{rest}"
