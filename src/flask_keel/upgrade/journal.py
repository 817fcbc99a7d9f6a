"""Keeping ``alembic_log``: each revision in its own transaction, a failure afterwards on its own.

A revision that is to be two: what it writes past ``op`` is committed by what it does then.
"""

import ast
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path

from alembic.runtime.migration import MigrationContext, MigrationInfo, MigrationStep, RevisionStep
from alembic.util import CommandError
from click import ClickException
from sqlalchemy import Connection, inspect, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .. import catalog, errors, history, log, output
from ..project import Environment, Project, Steps
from ..sqlite import foreign_key_check, transaction
from ..statements import DATA, commits, first, says
from ..typing import Options
from .failures import Run, Stopped
from .progress import LoggedProgress

LONGEST_ERROR = 10_000  # characters
WRITES = {"add", "add_all", "bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings"}
RUNS = {"exec_driver_sql", "execute"}
STATEMENTS = {"delete", "insert", "update"}
# of op, what is no DDL
NO_DDL = {"bulk_insert", "execute", "f", "get_bind", "get_context", "inline_literal", "invoke"}


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
        self.run = {"run": uuid.uuid4().hex, **log.who()}
        self.row: Options | None = None  # of the revision that runs now, or ran last
        self.begun = 0.0
        self.waiting: list[Options] = []  # on SQLite all are written at the end
        self.last: int | None = None  # the row that was written last
        self.written: int | None = None  # the row of the revision that runs now, where it has one
        self.committed: int | None = None
        self.progress: LoggedProgress | None = None  # on a server
        self._kept: bool | None = None
        self.applying = self.over = False  # the revision of the row is done, and so is its commit

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
        self.over = self.applying = False
        self.row = {**_said(step), **self.run}
        self.row |= {"started": datetime.now(UTC).replace(tzinfo=None), "outcome": log.DONE}
        self.begun = time.monotonic()
        if self.progress is None:
            return
        direction = self.row["direction"]
        if direction == "stamp":
            former = None  # it says that somebody has looked after that
        elif former and (former.revision, former.direction) != (self.row["revision"], direction):
            self.row = None
            raise of_a_half(self.project, former)
        path, judged = Path(), False
        if isinstance(step, RevisionStep):
            path = Path(step.revision.path)
            judged = bool(self._kept) and step.revision.revision not in self.project.adopted
        if judged:
            require(path, direction, self.progress.mysql)
        self.progress.begin(self if self._kept else None, former, path.name, judged)

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
        self.committed, self.over = self.written, self.applying

    def rolled_back(self) -> None:
        """What was written in this transaction is gone."""
        self.written, self.applying = self.committed, False

    def applied(self, step: MigrationInfo, heads: set[str], **_: object) -> None:
        """Alembic's callback, called in the revision's transaction."""
        assert self.row is not None
        self.row |= {"seconds": time.monotonic() - self.begun, "heads": json.dumps(sorted(heads))}
        if self.progress is not None:
            self.progress.end()
            self.row["statements"] = self.progress.count
        if self.sqlite:
            self.waiting.append(self.row)
        elif self._kept:
            self._put({**self.row, **dict.fromkeys(("digests", "in_flight", "position"))})
            self.last, self.applying = self.written, True

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
        text = catalog.text(self.connection, self.project.version_table)
        return {"catalog": text, "format": catalog.FORMAT}

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
            if error.connection_invalidated:
                raise  # without a log nobody could go on, and the lock is gone
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
        row = {**self.run, "revision": "", "direction": "", "outcome": log.BEGUN}
        row["started"] = datetime.now(UTC).replace(tzinfo=None)
        with self._apart(done=False):
            self.connection.execute(self.table.insert(), row)
            mine = self.table.c.run == self.run["run"]
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
        if self.row is None or self.over or self.lent_out:
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
                    more = self.progress.left_by(connection) if self.progress else {}
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


def of_a_half(project: Project, former: log.Unfinished) -> CommandError:
    """Name the revision of which a part stands, for what can only be done behind it."""
    return CommandError(
        f"The {former.direction} of {former.revision} stopped in the middle on {project.database}, where "
        f"{len(former.digests)} of its statements stand: type db {former.direction} to finish it first, or "
        "undo it by hand and type db stamp --purge with the revision at which the database is then."
    )


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
        "revision": ", ".join(getattr(step, "to_", ())) or "base",
        "direction": "stamp",
        "message": None,
        "checksum": None,
    }


def _sentence(error: BaseException) -> str:
    if isinstance(error, ClickException):
        return error.format_message()
    return errors.of_the_application(error)


@contextmanager
def kept(run: Run) -> Iterator[None]:
    """Note an error that leaves in the log of the run, once all else is done about it."""
    try:
        yield
    except BaseException as error:
        if run.journal is not None:
            run.journal.failed(error)
        raise


def require(file: Path, direction: str, mysql: bool) -> None:
    """Stop at a revision that writes through ``op.get_bind()`` or a Session, and whose next step commits
    that, before anything of it runs: where it stops after that, nobody could go on.

    What stands under a condition is looked at when it runs.

    :param direction: "upgrade" or "downgrade"
    :param mysql: whether each DDL statement commits; on PostgreSQL an autocommit block does
    :raises CommandError: naming both lines
    """
    database = "mysql" if mysql else "postgresql"
    source = file.read_bytes()
    if not any(word in source for word in (b"get_bind", b"Session", b".bind")):
        return
    steps = [
        step
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == direction
        for step in _inside(node)
    ]
    written: int | None = None
    binds: set[str] = set()
    for node in steps:
        binds |= _bound(node)
        if written is None and isinstance(node, ast.Call) and _writes(node, binds, database):
            written = node.lineno
        elif written is not None and node.lineno > written and _commits(node, mysql):
            raise CommandError(
                f"{file.name}, line {written}, writes past op, and line {node.lineno} commits that by "
                "itself, so that nobody could go on where it stops after that: use op.execute() in line "
                f"{written} (or flask_keel.backfill), or split the file there; nothing of it was run."
            )


def _inside(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Give what runs in any case, in its order."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.IfExp | ast.Try | ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.expr | ast.stmt):
            yield child
        yield from _inside(child)


def _bound(node: ast.AST) -> set[str]:
    """The names that a step gives to the connection, or to a Session on it."""
    if isinstance(node, ast.Assign) and _is_bind(node.value):
        return {name.id for name in node.targets if isinstance(name, ast.Name)}
    if isinstance(node, ast.With):
        return {
            item.optional_vars.id
            for item in node.items
            if isinstance(item.optional_vars, ast.Name) and _is_bind(item.context_expr)
        }
    return set()


def _is_bind(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
    return called in ("get_bind", "Session")


def _writes(call: ast.Call, binds: set[str], database: str) -> bool:
    method = call.func
    if not isinstance(method, ast.Attribute):
        return False
    of = method.value
    if not (isinstance(of, ast.Name) and of.id in binds) and not _is_bind(of):
        return False
    if method.attr in WRITES:
        return True
    return method.attr in RUNS and bool(call.args) and _changes(call.args[0], database)


def _changes(statement: ast.expr, database: str) -> bool:
    for node in ast.walk(statement):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return says(DATA, node.value, database) and first(node.value, database) != "WITH"
        if {getattr(node, "attr", None), getattr(node, "id", None)} & STATEMENTS:
            return True
    return False


def _commits(node: ast.AST, mysql: bool) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if not mysql:
        return node.func.attr == "autocommit_block"
    if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "op"):
        return False
    if node.func.attr == "execute" and node.args:
        texts = [one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)]
        return bool(texts) and commits(str(texts[0]))
    return node.func.attr not in NO_DDL
