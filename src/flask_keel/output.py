"""What a command says: lines for a person, ``--json`` for a program, colour at a terminal."""

import json
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .typing import Options, Value

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


class Left(str):
    """A note on an error (https://peps.python.org/pep-0678/): what it left behind."""

    @classmethod
    def by(cls, error: BaseException) -> str | None:
        """Return what was said of an error."""
        notes = getattr(error, "__notes__", [])
        return next((note for note in reversed(notes) if isinstance(note, cls)), None)


# Colour, for a terminal only, and not where https://no-color.org says so.


SEVERE = {"loses data": "red", "blocks the running release": "yellow", "takes a lock": "yellow"}


def wanted() -> bool:
    """Whether stderr, on which people are spoken to, is a terminal that may be coloured."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stderr.isatty()


def paint(text: str, **style: Value) -> str:
    """Return the text in a style of ``click.style``, or as it is."""
    return click.style(text, **style) if wanted() else text


def severity(line: str, name: str) -> str:
    """Return a finding's line with its severity in colour."""
    return line.replace(name, paint(name, fg=SEVERE[name]), 1) if name in SEVERE else line


STOPPED = "Stopped by hand."


# How the commands that a sentence names are typed here: with make in a project that has the targets,
# otherwise with the program that was called.


MAKES = {"newmigration": "migrate", "migrate": "upgrade", "db": "rebuild"}
MAKES |= {
    name: name for name in ("check", "status", "rebase", "downgrade", "sqlite-safe", "diagram")
}
# of make's arguments, those that are options of the command
OPTIONS = {
    "m": "-m ",
    "bind": "--bind ",
    "rename": "-x rename=",
    "fill": "-x fill=",
    "empty": "-x empty=",
}
COMMAND = re.compile(
    rf"\bmake ({'|'.join(MAKES)})\b((?: \w+=(?:'[^']*'|\"[^\"]*\"|[^\s'\")(.,;:]|[.,;:](?=\S))+)*)"
    r"(?: \(db [^)]*\))?|(?<![\w./-])(?<!flask )db (?=[a-z])"
)
# what is for one database, by make and without it
FOR_A_BIND = (
    re.compile(r"\bmake (?:downgrade|rebase|newmigration(?= \w+=))\b(?! bind=)"),
    re.compile(
        r"(?<![\w./-])db (?:stamp|downgrade|merge|rebase|restore|shell|log|upgrade --sql)\b"
        r"(?! --bind)"
    ),
)
_typed: ContextVar[str | None] = ContextVar("typed", default=None)
_bind: ContextVar[str | None] = ContextVar("bind", default=None)


@contextmanager
def typed_as(program: str | None) -> Iterator[None]:
    """Say commands as ``program``, such as ``flask db``, for what runs inside; None for make's targets."""
    token = _typed.set(program)
    try:
        yield
    finally:
        _typed.reset(token)


@contextmanager
def on_bind(name: str | None) -> Iterator[None]:
    """Say commands that are for one database with the one that they are for, for what runs inside.

    :param name: None where there is but one
    """
    token = _bind.set(name)
    try:
        yield
    finally:
        _bind.reset(token)


def as_typed(text: str) -> str:
    """Return a sentence with its commands as they are typed in this project."""
    program, bind = _typed.get(), _bind.get()
    if bind is not None:
        text = FOR_A_BIND[0].sub(rf"\g<0> bind={bind}", text)
        text = FOR_A_BIND[1].sub(rf"\g<0> --bind {bind}", text)
    return COMMAND.sub(lambda found: _command(program, found), text) if program else text


def _command(program: str, found: re.Match[str]) -> str:
    if found[1] is None:
        return f"{program} "
    given = re.sub(r" (\w+)=", lambda it: f" {OPTIONS.get(it[1], '')}", found[2])
    return f"{program} {MAKES[found[1]]}{given}"


def say(text: str) -> None:
    """Print a line for the person at the terminal: on stderr, so that stdout stays for results."""
    click.echo(as_typed(text), err=True)


def agreed(question: str) -> bool:
    """Ask the person at the terminal; who leaves at the question does not agree."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def listed(items: Sequence[str], most: int, where: str = "") -> list[str]:
    """Return the first of some items, and how many more there are.

    :param where: says where all of them are, in the words of a sentence
    """
    rest = len(items) - most
    return [*items[:most], f"and {rest} more{where}"] if rest > 0 else [*items]


NO_TYPE = re.compile(
    r"Compiler <[\w.]*?(\w+)TypeCompiler\w* object at 0x[0-9a-f]+> can't render element of type (\w+)"
)


DIALECTS = {"PG": "PostgreSQL", "MySQL": "MySQL"}


LINK = re.compile(r" *\(Background on this error at: \S+\)")


def plainly(text: str) -> str:
    """Return what a library says without addresses of memory and of its documentation, in one line."""
    said = NO_TYPE.sub(r"\1 has no type \2", " ".join(LINK.sub("", text).split()))
    return re.sub(r"\b(PG|MySQL)(?= has no type)", lambda it: DIALECTS[it[0]], said)


# of what is done all the same: what a file says for MySQL, indexes on expressions, keys in a circle
UNFOUNDED = (
    "autoincrement and existing_autoincrement",
    "autogenerate skipping metadata-specified expression-based index",
    "Skipped unsupported reflection of expression-based index",
    "Autogenerate rendered a drop_constraint",  # sqlite_safe names both sides of it
    "Cannot correctly sort tables; there are unresolvable cycles",
)


def unfounded() -> None:
    """Silence warnings of what is done all the same, for the rest of the process."""
    for message in UNFOUNDED:
        warnings.filterwarnings("ignore", message=message)


@contextmanager
def quiet_alembic() -> Iterator[None]:
    """Silence ``alembic.util.status``, which prints to stdout, for what runs inside."""
    from alembic import util

    @contextmanager
    def status(*_: object, **__: object) -> Iterator[None]:
        yield

    theirs, util.status = util.status, status
    try:
        yield
    finally:
        util.status = theirs


_report: ContextVar[Options | None] = ContextVar("report", default=None)
_empty: ContextVar[Options] = ContextVar("empty")


@contextmanager
def beside(bind: str | None) -> Iterator[None]:
    """Put what is added inside into a report of its own, under ``binds`` of the first one.

    :param bind: whose it is; None for the first one itself
    """
    whole = _report.get()
    if whole is None or bind is None:
        yield
        return
    own = whole.setdefault("binds", {})[bind] = deepcopy(_empty.get())
    token = _report.set(own)
    try:
        yield
    finally:
        _report.reset(token)


def add(key: str, value: Value) -> None:
    """Put a fact into the report; a list is added to the one that is there."""
    report = _report.get()
    if report is None:
        return
    if isinstance(value, list) and isinstance(report.get(key), list):
        report[key] += value
    else:
        report[key] = value


def open_what_is_closed() -> None:
    """Let what reads, or prints, do so where whoever started this has closed stdin, stdout or stderr."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  (for the whole process)


def take_all_letters(encoding: str | None = None) -> None:
    """Let stdout take what the locale has no letter for: escaped, or as this encoding has it."""
    if isinstance(sys.stdout, TextIOWrapper) and (encoding or sys.stdout.errors == "strict"):
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


@contextmanager
def printed(
    wanted: bool, empty: Options, sentence: Callable[[BaseException], str], several: bool = False
) -> Iterator[None]:
    """Print the report of what runs inside as one JSON document on stdout, failed or not.

    :param wanted: whether ``--json`` was typed
    :param empty: the report's keys with what they hold when nothing is added
    :param sentence: makes the sentence of an exception
    :param several: print a list with the report in it, to which others may come
    """
    if not wanted:
        yield
        return
    report = {"ok": True, **deepcopy(empty), "error": None}
    token, before = _report.set(report), _empty.set(empty)
    try:
        yield
    except click.exceptions.Exit as left:
        report["ok"] = left.exit_code == 0
        raise
    except BaseException as error:
        report |= {"ok": False, "error": _said(error, sentence)}
        raise
    finally:
        _report.reset(token)
        _empty.reset(before)
        document: Value = report
        if not any(report.get("binds", {}).values()):
            report.pop("binds", None)
        if several:
            binds = report.pop("binds", {})
            document = [report, *({"bind": name, **facts} for name, facts in binds.items())]
        take_all_letters("utf-8")
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _said(error: BaseException, sentence: Callable[[BaseException], str]) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, click.Abort) or not isinstance(error, Exception):
        return STOPPED
    return sentence(error)


# How far long work is.


QUIET_SECONDS = 1.0
SECONDS_BETWEEN_LINES = 5.0


class Bar:
    """A bar at a terminal, a line every few seconds elsewhere; nothing at all for short work."""

    def __init__(self, label: str, rows: int, unit: str = "rows"):
        self.label, self.rows, self.unit = label, rows, unit
        self.started = self.said = time.monotonic()
        self.bar: ProgressBar[int] | None = None
        self.shown = 0

    def at(self, done: int, finished: bool = False) -> None:
        now = time.monotonic()
        if now - self.started < QUIET_SECONDS or (finished and self.bar is None):
            return
        done = self.rows if finished else min(done, self.rows - 1)
        if sys.stderr.isatty():
            self._draw(done)
        elif now - self.said >= SECONDS_BETWEEN_LINES:
            self.said = now
            self._say(done, now - self.started)

    def _draw(self, done: int) -> None:
        if self.bar is None:
            self.bar = bar = click.progressbar(
                length=self.rows, label=self.label, show_pos=True, file=sys.stderr
            )
            bar.__enter__()
            bar.start -= time.monotonic() - self.started
            bar.last_eta = 0  # the time left is known at once
        if done > self.shown:
            self.bar.update(done - self.shown)
            self.shown = done

    def _say(self, done: int, seconds: float) -> None:
        left = f", about {seconds * (self.rows - done) / done:.0f} s left" if done else ""
        print(f"{self.label}: {done} of {self.rows} {self.unit}{left}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None
