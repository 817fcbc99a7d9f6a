"""Keeping ``alembic_log``: each revision in its own transaction, a failure afterwards on its own."""

import getpass
import json
import platform
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path

from alembic.runtime.migration import MigrationContext, MigrationInfo, MigrationStep, RevisionStep
from alembic.util import CommandError
from click import ClickException
from sqlalchemy import Connection, inspect, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .. import errors, history, log, output
from ..catalog import schema
from ..project import Environment, Steps
from ..sqlite import foreign_key_check, transaction
from ..typing import Options
from . import splits
from .failures import Run, Stopped
from .standing import Standing

LONGEST_ERROR = 10_000  # characters


class Journal:
    """The log of one run.

    :param connection: on which the migrations run
    """

    def __init__(self, project: Environment, connection: Connection) -> None:
        self.project = project
        self.connection = connection
        self.sqlite = connection.dialect.name == "sqlite"
        self.lent_out = connection.in_transaction()  # whose transaction is the caller's to end
        self.table = log.table(project.options.get("version_table_schema"))
        self.run = uuid.uuid4().hex
        self.row: Options | None = None  # of the revision that runs now, or ran last
        self.begun = 0.0
        self.waiting: list[Options] = []  # on SQLite all are written at the end
        self.last: int | None = None  # the row that was written last
        self.written: int | None = None  # the row of the revision that runs now, where it has one
        self.committed: int | None = None
        self.standing: Standing | None = None  # on a server
        self._kept: bool | None = None

    def following(self, steps: Steps) -> Steps:
        """Return the steps, each noted before it runs."""

        @wraps(steps)
        def followed(applied: object, context: MigrationContext) -> Iterator[MigrationStep]:
            former: log.Unfinished | None = None
            first = True
            for step in steps(applied, context):
                if not self.sqlite and self._kept is None:
                    self._kept = self._ready()
                if self._kept and first:
                    former = log.unfinished(self.connection, self.table.schema)
                first = False
                self._begins(step, former)
                former = None
                yield step

        return followed

    def _begins(self, step: MigrationStep, former: log.Unfinished | None) -> None:
        self.written = self.committed = None
        self.row = {**_said(step), "run": self.run, **_who()}
        self.row |= {"started": datetime.now(UTC).replace(tzinfo=None), "outcome": log.DONE}
        self.begun = time.monotonic()
        if self.standing is None:
            return
        if self.row["direction"] == "stamp":
            former = None  # it says that somebody has looked after that
        elif former is not None and not _is(former, self.row):
            raise self._unfinished(former)
        path, judged = Path(), False
        if isinstance(step, RevisionStep):
            path = Path(step.revision.path)
            judged = bool(self._kept) and step.revision.revision not in self.project.adopted
        if judged:
            splits.require(path, self.row["direction"], self.standing.mysql)
        self.standing.begin(self if self._kept else None, former, path.name, judged)

    def _unfinished(self, former: log.Unfinished) -> CommandError:
        self.row = None
        number = len(former.digests)
        return CommandError(
            f"The {former.direction} of {former.revision} stopped in the middle on {self.project.database}, "
            f"where {number} of its statements stand: type db {former.direction} to finish it first, or "
            "undo it by hand and type db stamp --purge with the revision at which the database is then."
        )

    def note(self, values: Options) -> None:
        """Write how far the revision is that runs now."""
        assert self.row is not None
        values["seconds"] = time.monotonic() - self.begun
        self._put({**values, "outcome": log.BEGUN})

    def _put(self, values: Options) -> None:
        if self.written is None:
            done = self.connection.execute(self.table.insert(), {**(self.row or {}), **values})
            (self.written,) = done.inserted_primary_key or (None,)
        else:
            chosen = self.table.c.id == self.written
            self.connection.execute(update(self.table).where(chosen).values(values))

    def committing(self) -> None:
        """What was written stays."""
        self.committed = self.written

    def rolled_back(self) -> None:
        """What was written in this transaction is gone."""
        self.written = self.committed

    def applied(self, step: MigrationInfo, heads: set[str], **_: object) -> None:
        """Alembic's callback, called in the revision's transaction."""
        assert self.row is not None
        self.row |= {"seconds": time.monotonic() - self.begun, "heads": json.dumps(sorted(heads))}
        if self.standing is not None:
            self.standing.end()
            self.row["statements"] = self.standing.count
        if self.sqlite:
            self.waiting.append(self.row)
        elif self._kept:
            self._put({**self.row, **dict.fromkeys(("digests", "in_flight", "position"))})
            self.last = self.written

    def end(self) -> None:
        """Write where the run has left the database: on SQLite in its transaction, else in one more.

        A run that did nothing writes nothing.
        """
        if self.row is None:
            return
        if not self.sqlite:
            self._end_on_server()
            return
        context = self.project.context.get_context()
        with foreign_key_check.watch_of(context.impl):
            self._kept = self._ready()
            if self._kept:
                catalog = self._catalog()
                self.waiting[-1] |= catalog
                rows = [{**dict.fromkeys(catalog), **row} for row in self.waiting]
                self.connection.execute(self.table.insert(), rows)

    def _end_on_server(self) -> None:
        if not self._kept or self.last is None:
            return
        try:
            with self._apart():
                if catalog := self._catalog():
                    chosen = self.table.c.id == self.last
                    self.connection.execute(update(self.table).where(chosen).values(catalog))
        except SQLAlchemyError:  # what cannot be read is not kept
            return

    def _catalog(self) -> Options:
        """After a stamp nothing: what a person says of a database is not what a run made of it."""
        if not self.project.moving:
            return {}
        text = schema.text(self.connection, self.project.version_table)
        return {"catalog": text, "format": schema.FORMAT}

    def _ready(self) -> bool:
        """Make the table where there is none; say where that, or writing to it, is not allowed."""
        name = self.table.name
        try:
            with self._apart():
                look = inspect(self.connection)
                there = look.has_table(name, schema=self.table.schema)
                if not there:
                    self.table.create(self.connection)
            if there and not self.sqlite and not self.lent_out:
                self._try()
        except DBAPIError as error:
            said = " ".join(str(error.orig).split()).rstrip(".")
            output.say(f"  {name} is not kept: {said}")
            return False
        if there and self.sqlite:
            missing = {column.name for column in self.table.c} - {
                column["name"] for column in look.get_columns(name, schema=self.table.schema)
            }
            if missing:
                output.say(f"  {name} is not kept: it has no column {min(missing)}")
                return False
        return True

    def _try(self) -> None:
        """Write a row, and undo that.

        :raises DBAPIError: when that is not allowed
        """
        row = {**_who(), "run": self.run, "revision": "", "direction": "", "outcome": log.BEGUN}
        row["started"] = datetime.now(UTC).replace(tzinfo=None)
        with self._apart(done=False):
            self.connection.execute(self.table.insert(), row)
            mine = self.table.c.run == self.run
            self.connection.execute(update(self.table).where(mine).values(message=""))

    @contextmanager
    def _apart(self, done: bool = True) -> Iterator[None]:
        """A transaction of its own; inside of the caller's, and on SQLite, a part of that."""
        if self.sqlite or self.lent_out:
            postgresql = self.connection.dialect.name == "postgresql"
            with self.connection.begin_nested() if postgresql else nullcontext():
                yield
            return
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit() if done else self.connection.rollback()

    def failed(self, error: BaseException) -> None:
        """Write that the revision that was running failed, on a connection of its own.

        Where there is no table none is made.
        """
        if self.row is None or self.lent_out:
            return
        by_hand = isinstance(error, Stopped | KeyboardInterrupt | SystemExit)
        self.row |= {"outcome": log.STOPPED if by_hand else log.FAILED, "heads": None}
        self.row["seconds"] = time.monotonic() - self.begun
        with suppress(Exception), self._alone() as connection:
            if inspect(connection).has_table(self.table.name, schema=self.table.schema):
                self.row["error"] = _sentence(error)[:LONGEST_ERROR]
                if self.committed is None:
                    connection.execute(self.table.insert(), self.row)
                else:
                    more = self.standing.left_by(connection) if self.standing else {}
                    chosen = update(self.table).where(self.table.c.id == self.committed)
                    connection.execute(chosen.values({**self.row, **more}))
                connection.commit()

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        engine = self.project.engine
        if self.sqlite:
            transaction.require(engine.url)  # it may have been unmade
            engine = transaction.engine(engine.url, self.project.engine_options)
        with engine.connect() as connection:
            yield connection


def _said(step: MigrationStep) -> Options:
    """Return what a row says of a step, before it runs."""
    if isinstance(step, RevisionStep):
        revision = step.revision
        return {
            "revision": revision.revision,
            "direction": "upgrade" if step.is_upgrade else "downgrade",
            "message": history.title(revision),
            "checksum": log.checksum(Path(revision.path)),
        }
    return {
        "revision": _named(getattr(step, "to_", ())),
        "direction": "stamp",
        "message": None,
        "checksum": None,
    }


def _named(revisions: Iterable[str]) -> str:
    return ", ".join(revisions) or "base"


def _is(former: log.Unfinished, row: Options) -> bool:
    return (former.revision, former.direction) == (row["revision"], row["direction"])


def _sentence(error: BaseException) -> str:
    if isinstance(error, ClickException):
        return error.format_message()
    return errors.of_the_application(error)


def _who() -> Options:
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        account = ""
    return {"host": platform.node()[:255], "account": account[:255]}


@contextmanager
def kept(run: Run) -> Iterator[None]:
    """Note an error that leaves in the log of the run, once all else is done about it."""
    try:
        yield
    except BaseException as error:
        if run.journal is not None:
            run.journal.failed(error)
        raise
