"""What a migration asks: at a terminal, or answered by ``-x rename=...``, ``-x fill=...``, ``-x empty=1``."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import click
from alembic.util import CommandError

from ..typing import Value

TWO_ANSWERS = "{key}= names {name} twice: leave one of the two answers out."


def at_a_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def choose(question: str, choices: Sequence[str]) -> int:
    """Ask which of the choices it is; the first is what an empty answer takes.

    :returns: the index of the choice
    :raises CommandError: when the question is left with Ctrl-C
    """
    click.echo(question, err=True)
    for number, choice in enumerate(choices, 1):
        click.echo(f"  {number}  {choice}", err=True)
    numbers = click.IntRange(1, len(choices))
    with _left():
        return click.prompt("Which is it?", type=numbers, default=1, err=True) - 1


def ask(question: str, read: Callable[[str], Value], default: str | None) -> Value:
    """Ask for a text until ``read`` accepts it.

    :param read: raises CommandError with the sentence that is shown before the question comes again;
        it is given an empty answer, too, where there is no default
    :param default: what an empty answer takes, where there is such a value
    :raises CommandError: when the question is left with Ctrl-C
    """

    def value(text: str) -> Value:
        try:
            return read(text)
        except CommandError as error:
            raise click.UsageError(str(error)) from error

    with _left():
        return click.prompt(
            question, value_proc=value, default=default or "", show_default=bool(default), err=True
        )


@contextmanager
def _left() -> Iterator[None]:
    try:
        yield
    except (click.Abort, KeyboardInterrupt, EOFError) as error:
        click.echo(err=True)
        raise CommandError(
            "Stopped at the question: no file was written; type make newmigration to be asked "
            "again."
        ) from error


# a comma begins the next answer only where a column and a colon follow it
# a name may hold blanks and hyphens; what begins like JSON or a string is a text that goes on
NAMES = r"""[^\s:,=."'{}[\]][^:,=."'{}[\]]*(?:\.[^\s:,=."'{}[\]][^:,=."'{}[\]]*)+"""
NEXT_FILL = re.compile(rf",(?={NAMES}:)")
FILL = re.compile(rf"({NAMES}):(.*)", re.DOTALL)
NONE = "none"


@dataclass(frozen=True)
class Fill:
    """What the rows that are there get in a column: a literal text, or a SQL expression."""

    text: str
    expression: bool = False

    @classmethod
    def read(cls, text: str) -> "Fill":
        """Read what follows the first colon: ``=`` begins an expression, all else is literal."""
        return cls(text[1:], True) if text.startswith("=") else cls(text)

    def __str__(self) -> str:
        return f"={self.text}" if self.expression else self.text


@dataclass
class Answers:
    """The answers as they were typed.

    :param renames: old name to new name: ``{"user.bio": "profile", "post": "article"}``
    :param nothing_else: what has no answer is no rename (``none``)
    :param fills: column to value: ``{"post.slug": Fill("none")}``
    :param empty: whether a file without a comparison is asked for
    :param message: what was given with ``-m``
    """

    renames: dict[str, str] = field(default_factory=dict)
    nothing_else: bool = False
    fills: dict[str, Fill] = field(default_factory=dict)
    empty: bool = False
    message: str | None = None

    def command(self, renames: dict[str, str], fills: dict[str, Fill]) -> str:
        """Return the command that gives these answers too, quoted for the shell."""
        renames = {**self.renames, **renames}
        fills = {**self.fills, **fills}
        arguments = {"m": self.message} if self.message else {}
        listed = [f"{old}:{new}" for old, new in renames.items()]
        if self.nothing_else:
            listed.append(NONE)
        if listed:
            arguments["rename"] = ",".join(listed)
        if fills:
            arguments["fill"] = ",".join(f"{name}:{fill}" for name, fill in fills.items())
        quoted = [f"{key}={shlex.quote(value)}" for key, value in arguments.items()]
        return " ".join(["make newmigration", *quoted])


def read(arguments: list[str], message: str | None = None) -> Answers:
    """Read the answers from the ``-x`` arguments; those with other keys are the application's own.

    :param arguments: as ``context.get_x_argument()`` gives them, a repeated key included
    :raises CommandError: for an answer that cannot be read, and two answers for one thing
    """
    answers = Answers(message=message)
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "rename":
            _read_renames(answers, value)
        elif key == "fill":
            _read_fills(answers, value)
        elif key == "empty":
            answers.empty = value not in ("", "0")
    return answers


def _read_renames(answers: Answers, value: str) -> None:
    for item in value.split(","):
        old, colon, new = (part.strip() for part in item.partition(":"))
        if old == NONE and not colon:
            answers.nothing_else = True
            continue
        if not (old and colon and new) or ":" in new:
            raise CommandError(
                f"rename={item.strip()} cannot be read: type rename=table.column:new_name, "
                "rename=table:new_name (with commas for several) or rename=none."
            )
        if old in answers.renames or new in _targets(answers, old):
            twice = old if old in answers.renames else new
            raise CommandError(TWO_ANSWERS.format(name=twice, key="rename"))
        answers.renames[old] = new


def _targets(answers: Answers, old: str) -> set[str]:
    """The new names that were given in the table of ``old``."""
    table = old.rpartition(".")[0]
    return {new for other, new in answers.renames.items() if other.rpartition(".")[0] == table}


def _read_fills(answers: Answers, value: str) -> None:
    for item in NEXT_FILL.split(value):
        found = FILL.fullmatch(item)
        if not found:
            raise CommandError(
                f"fill={item} cannot be read: type fill=table.column:text, or "
                "fill='table.column:=expression' (with commas for several)."
            )
        name, text = found.groups()
        if name in answers.fills:
            raise CommandError(TWO_ANSWERS.format(name=name, key="fill"))
        answers.fills[name] = Fill.read(text)
