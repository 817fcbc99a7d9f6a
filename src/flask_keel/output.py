"""What a command says: lines for a person, ``--json`` for a program, colour at a terminal."""

import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import click

# What a failed migration left behind, told by who knows to who writes the sentence.


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


def paint(text: str, **style: Any) -> str:
    """Return the text in a style of ``click.style``, or as it is."""
    return click.style(text, **style) if wanted() else text


def severity(line: str, name: str) -> str:
    """Return a finding's line with its severity in colour."""
    return line.replace(name, paint(name, fg=SEVERE[name]), 1) if name in SEVERE else line


# Every sentence that a person reads, each with what to type next.


# the history
TWO_HEADS = (
    "The history has {count} heads, {heads}: type make rebase (db rebase) to put one after the other, "
    "or type db merge heads -m 'merge' and look at it."
)
NO_SUCH_REVISION = "There is no revision {revision}: type db history to see those there are."
TWICE = "Revision {revision} stands in {files}: delete the copy, or give it a revision of its own."
MISSING = (
    "{files} stands on revision {revision}, which no file has: fetch the file that has it, or mend "
    "down_revision."
)
CYCLE = "The history goes round in a circle ({files}): mend down_revision in one of them."
TOO_FAR = (
    "There are not as many revisions that way as {step} says: type db current and db history to see "
    "where the database is."
)
MERGE_WHAT = "Which revisions are to be merged: type db merge heads -m 'merge'."
INITIALISED = "this project has its migrations already, type db migrate."
NO_EDITOR = "type EDITOR=nano in front of the command."
ONE_REVISION = "type the revision to reach, or --sql for the SQL of a range."
BROKEN_MIGRATION = "{file}, line {line}: {error}; mend the file and try again."
FAILED_MIGRATION = "{file}, line {line}: {error}; {state}"
AS_IT_WAS = "the database is as it was: mend the file and try again."
NO_SQL = "no SQL is printed, and nothing ran: mend the file and try again."

# the database
NO_DATABASE = "There is no database {database}: type db upgrade to make it."
NO_FOLDER = "The folder of {database} does not exist: type mkdir -p {folder}."
NOT_WRITABLE = (
    "{database} cannot be written: look at its owner and permissions (ls -l), then try again."
)
NOT_MADE = (
    "{database} cannot be made ({reason}): look at the owner and permissions of its folder "
    "(ls -ld {folder}), then try again."
)
FILE = (
    "{file}: {reason}: look at the owner and permissions of it and its folder (ls -ld {folder}), "
    "then try again."
)
NOT_OPENED = "{database} cannot be opened: look at its path, owner and permissions (ls -l)."
LOCKED = (
    "{database} is locked by another process: stop what writes to it (or wait), then try again."
)
NOT_A_DATABASE = (
    "{database} is not a SQLite database: look at SQLALCHEMY_DATABASE_URI, or move it away."
)
DAMAGED = (
    "{database} is damaged: keep a copy of it, and restore a backup (sqlite3 {path} .recover "
    "shows what can be read)."
)
FULL = "The disk of {database} is full: make room, then try again; the database is as it was."
NO_ROOM = "The disk of {folder} is full: make room, then try again; no migration was written."
DISK = (
    "The disk of {database} does not take what is written or give what is read (quota, limit or "
    "damage): mend that, then try again; the database is as it was."
)
NO_SERVER = "No database server answers at {database}: start it, or mend the URL ({reason})."
NO_SERVER_DATABASE = (
    "The server has no database {name}: create it there ({command}), then try again."
)
REFUSED = "The server refuses the account of {database}: look at user and password ({reason})."
LEFTOVER = (
    "{database} holds {leftover}, left by an interrupted migration of another tool; {table} is there "
    "with {rows} rows, {leftover} has {left}: when {table} is whole, type "
    "sqlite3 {path} 'DROP TABLE \"{leftover}\"', then try again."
)
LEFTOVER_IS_ALL = (
    "{database} holds {leftover} ({left} rows), left by an interrupted migration of another tool, and "
    "no table {table}: your rows are in it; type "
    'sqlite3 {path} \'ALTER TABLE "{leftover}" RENAME TO "{table}"\', then try again.'
)
AHEAD = (
    "{database} is ahead of the history, since make db put the models' changes into it: "
    "type make newmigration, then make db again."
)
BROKEN_KEYS = (
    "The migration would leave rows that point to nothing: {rows}; the database is as it was: "
    "mend the migration (or those rows) and try again."
)
KEYS_UNKNOWN = (
    "Rows point to nothing ({rows}), and whether they did before cannot be told, since a migration "
    "writes through the driver's own connection; the database is as it was: use op.execute() there "
    "and try again."
)
KEYS_STAY_ON = (
    "SQLite keeps foreign keys on inside a transaction, and the rows of other tables would go with "
    "a rebuilt one: commit what the given connection has open, then try again."
)
SECOND_CONNECTION = (
    "it opens a connection of its own (db.session, db.engine), which does not see what the migrations "
    "do: use op.get_bind(), or Session(op.get_bind())"
)
ENDS_TRANSACTION = (
    "it would end the one transaction of the migrations (commit, rollback, BEGIN, executescript), "
    "and what fails afterwards could not be undone: use op.execute() for each statement"
)

# scratch databases
NO_SCRATCH = (
    "{reason}, so the models are compared with {database}, which is what the schema file says."
)
NO_RIGHT = "The account may not create a scratch database (an administrator allows it by {grant};)"
NOT_ISOLATED = (
    "On MySQL a schema is a database of its own ({schemas}), for which no scratch can stand"
)

# writing a migration
NO_CHANGES = "The models and the history agree: there is nothing to migrate."
OPERATION = "  {operation}"
DIFFERENCES = (
    "The models have what the history has not: {operations}; "
    "type make newmigration (db migrate) to write it."
)

# renames and fills
RENAME_UNREAD = (
    "rename={item} cannot be read: type rename=table.column:new_name, rename=table:new_name "
    "(with commas for several) or rename=none."
)
FILL_UNREAD = (
    "fill={item} cannot be read: type fill=table.column:text, or fill='table.column:=expression' "
    "(with commas for several)."
)
TWO_ANSWERS = "{key}= names {name} twice: leave one of the two answers out."
NO_SUCH_RENAME = (
    "rename={answer} is about nothing that changed: what went is {gone}, what came is {come}; "
    "mend the answer, or leave it out."
)
NOTHING = "nothing"
MAY_BE = "{old} may have become {new}"
RENAMES_OPEN = (
    "{possible}: no file was written, since a rename keeps the rows and a drop loses them; "
    "type {command} (or, to drop, {none})."
)
RENAME_NEEDS_SCRATCH = (
    "{reason}, and a rename is tried on a scratch database first: no file was written; mend that, or "
    "write the rename by hand (make newmigration empty=1)."
)
RENAMED = "{old} went, and {new} came."
IS_NOW = "{old} is now {new}: its values are kept"
IS_DROPPED = "neither: drop {old} with its values"
WHICH = "Which is it?"
LEFT = "Stopped at the question: no file was written; type make newmigration to be asked again."
NOT_A_VALUE = "{text!r} is no value for {name}: give {wanted}, or := and an SQL expression."
NO_SUCH_FILL = (
    "fill={name} is about nothing that takes a value: those that do are {known}; "
    "mend the answer, or leave it out."
)
FILLS_OPEN = (
    "NOT NULL without a default: {columns}; the rows that are there need a value, so no file was "
    "written: type {command} (after the colon stands the text, or := and an SQL expression)."
)
WHICH_VALUE = (
    "{name} is new and may not be NULL: what do the rows that are there get?\n"
    "  ({wanted}, or = and an SQL expression)"
)
IRREVERSIBLE = (
    "irreversible because the values of {name} are gone, and no neutral one can stand in for them"
)
TYPE_UNREAD = (
    "{type} cannot be written into a migration: give it a __repr__ that is the Python "
    "which makes it."
)
FILLED = "  {table}: {done} of {total} rows"
# judging a migration
LINE = "{line}"
DETAIL = "  {line}"
ANSWERED = "  answered: {answers}"
LINT_SILENT = "lint: nothing to say"
WRITTEN = "  {file}"
NOT_JUDGED = "  {reason}, so the migration is not linted and not proved."
MORE_NOTES = "  and {count} notes more: db migrate --json has them all"
PROOF_FAILED = "{sentence}."
SCHEMA_WRITTEN = "{file} is written."
SCHEMA_EQUAL = "{file} is as it was."
BEGUN = "Next: fill in upgrade() and downgrade(), then type make check (db check)."
NEXT = "Next: read the file, then type make migrate (db upgrade)."
CHECK_HEAD = "one head: {head}"
CHECK_AGREE = "the models and the history agree"
CHECK_JUDGED = "{count} migrations linted and proved ({before} of them before)"
CHECK_SCHEMA = "{file} is what they make"
CHECK_FINDING = (
    "{file}: {severity} ({rules}): write what is said above, or "
    "# lint: {rules} because ... in the file"
)
CHECK_MORE = " (and {count} more, see above)"
CHECK_NEEDS_SCRATCH = "{reason}; without one no migration can be checked."
SCHEMA_DIFFERS = (
    "{file} is not what the migrations make: "
    "type db schema to write it, and look at the difference."
)  # one head after the other
REBASE_ONE_HEAD = "The history has one head ({head}): there is nothing to put after another."
REBASE_MANY = (
    "The history has {count} heads, {heads}: make rebase puts one of two after the other; "
    "bring one branch in at a time, or type db merge heads -m 'merge'."
)
REBASE_MERGE = (
    "{file} joins two branches, so its place cannot be changed: type db merge heads -m 'merge'."
)
REBASE_DEPENDS = (
    "{file} has labels or depends on others, so its place cannot be changed: "
    "type db merge heads -m 'merge'."
)
REBASE_WHICH = (
    "Which of the two heads is to stand last, {heads}? Neither git nor the dates in the files tell: "
    "type db rebase REVISION."
)
REBASE_NOT_A_HEAD = "{revision} is no head: type db rebase with one of {heads}."
REBASE_UNREAD = (
    "{file} has no line down_revision = ... that could be changed: change it by hand to {down!r}."
)
REBASE_FAILED = "{file} cannot stand after {head}, so it is as it was: {reason}"
REBASED = "{file} now stands after {head}"
REBASED_NEXT = (
    "Next: a database that has {first} already does not get {head} any more: type make db there. "
    "Then make check (db check)."
)

# applying
STEP = "  {direction} {revision}  {message}"
NOTHING_TO_DO = "{database} is at {revision}: nothing to do."
CREATING = "creating {database}"
SQL_FROM_ELSEWHERE = (
    "{database} is at {live}, and the SQL was asked from {start}: leave the start out, "
    "so that it begins where the database is."
)
ONLY_ONLINE = "it wants {name} of the database, which --sql does not ask (db upgrade does)"
DRIVER_PARAMETERS = "--sql writes no parameters of exec_driver_sql: use execute(text(...), ...)"
NO_VALUE = "the parameter {name} has no value"

# make db
REBUILD_REFUSED = (
    "{settings} does not say DB_REBUILD_ALLOWED = True, so {database} is not deleted: "
    "type make db (which uses dev.conf)."
)
REBUILD_NOT_LOCAL = (
    "{database} is on another machine ({lead}), so it is not deleted: use a database on localhost."
)
NO_REHEARSAL = "{reason}, so {database} is built again without a rehearsal."
REBUILT = "{database} is fresh: at {revision}, with the starter rows."
MODELS_AHEAD = (
    "The models are ahead of the history ({operations}): {database} has that too, "
    "and a migration is due: type make newmigration."
)

# versions
STOPPED = "Stopped by hand."
UNEXPECTED = "{error} (FLASK_DEBUG=1 in front of the command shows where)"


# How the commands that a sentence names are typed here: with make in a project that has the targets,
# otherwise with the program that was called.


MAKES = {"newmigration": "migrate", "migrate": "upgrade", "db": "rebuild"}
MAKES |= {name: name for name in ("check", "rebase", "downgrade", "sqlite-safe")}
# of make's arguments, those that are options of the command
OPTIONS = {"m": "-m ", "rename": "-x rename=", "fill": "-x fill=", "empty": "-x empty="}
COMMAND = re.compile(
    rf"\bmake ({'|'.join(MAKES)})\b((?: \w+=(?:'[^']*'|\"[^\"]*\"|[^\s'\")(.,;:]|[.,;:](?=\S))+)*)"
    r"(?: \(db [^)]*\))?|(?<![\w./-])(?<!flask )db (?=[a-z])"
)
_typed: ContextVar[str | None] = ContextVar("typed", default=None)


@contextmanager
def typed_as(program: str | None) -> Iterator[None]:
    """Say commands as ``program``, such as ``flask db``, for what runs inside; None for make's targets."""
    token = _typed.set(program)
    try:
        yield
    finally:
        _typed.reset(token)


def as_typed(text: str) -> str:
    """Return a sentence with its commands as they are typed in this project."""
    program = _typed.get()
    return COMMAND.sub(lambda found: _command(program, found), text) if program else text


def _command(program: str, found: re.Match[str]) -> str:
    if found[1] is None:
        return f"{program} "
    given = re.sub(r" (\w+)=", lambda it: f" {OPTIONS.get(it[1], '')}", found[2])
    return f"{program} {MAKES[found[1]]}{given}"


def say(text: str, **facts) -> None:
    """Print a line for the person at the terminal: on stderr, so that stdout stays for results."""
    click.echo(as_typed(text.format(**facts)), err=True)


NO_TYPE = re.compile(
    r"Compiler <[\w.]*?(\w+)TypeCompiler\w* object at 0x[0-9a-f]+> can't render element of type (\w+)"
)


DIALECTS = {"PG": "PostgreSQL", "MySQL": "MySQL"}


LINK = re.compile(r" *\(Background on this error at: \S+\)")


def plainly(text: str) -> str:
    """Return what a library says without addresses of memory and of its documentation, in one line."""
    said = NO_TYPE.sub(r"\1 has no type \2", " ".join(LINK.sub("", text).split()))
    return re.sub(r"\b(PG|MySQL)(?= has no type)", lambda it: DIALECTS[it[0]], said)


# What the libraries say and nobody is to read: progress lines, warnings that have no ground here.


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

    def status(*_: Any, **__: Any) -> Any:
        return nullcontext()

    theirs, util.status = util.status, status
    try:
        yield
    finally:
        util.status = theirs


_report: ContextVar[dict[str, Any] | None] = ContextVar("report", default=None)


def add(key: str, value: Any) -> None:
    """Put a fact into the report; a list is added to the one that is there."""
    report = _report.get()
    if report is None:
        return
    if isinstance(value, list) and isinstance(report.get(key), list):
        report[key] += value
    else:
        report[key] = value


@contextmanager
def printed(wanted: bool, empty: dict[str, Any], sentence: Any) -> Iterator[None]:
    """Print the report of what runs inside as one JSON document on stdout, failed or not.

    :param wanted: whether ``--json`` was typed
    :param empty: the report's keys with what they hold when nothing is added
    :param sentence: makes the sentence of an exception
    """
    if not wanted:
        yield
        return
    report = {"ok": True, **empty, "error": None}
    token = _report.set(report)
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
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))


def _said(error: BaseException, sentence: Any) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, click.Abort) or not isinstance(error, Exception):
        return STOPPED
    return sentence(error)
