"""Questions at the terminal. Ctrl-C at one of them stops the command before anything is written."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from alembic.util import CommandError

from .. import messages


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
        return click.prompt(messages.WHICH, type=numbers, default=1, err=True) - 1


def ask(question: str, read: Callable[[str], Any], default: str | None) -> Any:
    """Ask for a text until ``read`` accepts it.

    :param read: raises CommandError with the sentence that is shown before the question comes again;
        it is given an empty answer, too, where there is no default
    :param default: what an empty answer takes, where there is such a value
    :raises CommandError: when the question is left with Ctrl-C
    """

    def value(text: str) -> Any:
        try:
            return read(text)
        except CommandError as error:
            raise click.UsageError(str(error)) from error

    with _left():
        return click.prompt(
            question,
            value_proc=value,
            default=default or "",
            show_default=bool(default),
            err=True,
        )


@contextmanager
def _left() -> Iterator[None]:
    try:
        yield
    except (click.Abort, KeyboardInterrupt, EOFError) as error:
        click.echo(err=True)
        raise CommandError(messages.LEFT) from error
