"""Revisions gone through without a change: what each would do, before anybody has agreed to it.

On SQLite they run on a copy of the schema without rows, so that the engine plans each of them on what
those before it have made. On a server, where an account may not make a copy, their operations are
written down and not carried out, and what they read they read in a transaction that writes nothing.

What a migration's file tells unrun: that it keeps every value, or what in it is not ours to run.

A plan runs the calls of a file without carrying them out. What calls anything but Alembic, SQLAlchemy
and plain Python might do something else in the world, and is not run for that.
"""

import ast
import builtins
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path

from alembic.operations import MigrateOperation, ops
from alembic.runtime.migration import MigrationStep, RevisionStep
from alembic.script import Script
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from .. import output, runner, statements
from ..lint import Finding, rules, source
from ..project import Environment, Project, listening
from ..runner import Recorder, Recording
from ..sqlite import introspection, transaction
from ..typing import Options, Params
from . import losses
from .losses import Key, Live, Loss, Losses, Rows

SECONDS = 60  # that a question to a server may take: a plan waits for nobody
LIMITS = {
    "postgresql": [
        f"SET LOCAL statement_timeout = '{SECONDS}s'",
        "SET LOCAL lock_timeout = '5s'",
        # rows that are hidden from this account are to be an error, not a zero
        "SET LOCAL row_security = off",
    ],
    "mysql": [
        f"SET SESSION max_execution_time = {SECONDS * 1000}, lock_wait_timeout = 5",
        "SET SESSION TRANSACTION READ ONLY",
    ],
    "mariadb": [
        f"SET SESSION max_statement_time = {SECONDS}, lock_wait_timeout = 5",
        "SET SESSION TRANSACTION READ ONLY",
    ],
}
# what passes on a connection that is to change nothing
PASSING = ("SAVEPOINT", "RELEASE", "ROLLBACK TO")
NOTHING = "SELECT 1 FROM (SELECT 1 AS one) AS nothing WHERE 1 = 0"
# what the lint says of operations for which everybody, or the running release, waits or breaks
FEW = 1000  # rows, which are copied before anybody notices
RENAMES = {"rename-column", "rename-table"}
STANDSTILLS = {"rewrite-table", "add-exclude"} | RENAMES
COPIES = {"add-foreign-key", "add-check"}  # MariaDB and MySQL copy the table for them
MOST = 1000  # statements of its own that one revision may have
# operations that neither lose nor rewrite a value, in a batch too
KEEPING = {
    *("add_column", "batch_alter_table", "bulk_insert", "create_index", "create_table"),
    *("create_table_comment", "drop_index", "drop_table_comment", "f"),
}
LOSING = {
    "drop_table": ("drop-table",),
    "drop_column": ("drop-column", "drop-and-add", "drop-and-compute"),
    "execute": ("drop-in-sql", "delete-rows", "update-rows"),
}
WORDS = ("drop", "delete", "truncate", "update")
# they change nothing outside of the process
HARMLESS = {
    *("alembic", "alembic_postgresql_enum", "flask_keel", "geoalchemy2", "sqlalchemy"),
    *("sqlalchemy_utils", "base64", "collections", "dataclasses", "datetime", "decimal"),
    *("enum", "functools", "hashlib", "itertools", "json", "logging", "math", "operator"),
    *("re", "string", "textwrap", "typing", "unicodedata", "uuid", "warnings"),
}
STRANGE = {
    *("__import__", "breakpoint", "compile", "eval", "exec", "exit", "globals", "input"),
    *("open", "quit", "setattr", "vars"),
}
ENGINES = {"create_engine", "create_async_engine", "engine_from_config"}
PLAIN = set(vars(builtins)) - STRANGE
TYPES = {"sqlalchemy", "alembic"}  # among whose arguments a type of the application's own may stand


@dataclass
class Standstill:
    """What has others wait, or the running release stumble, and has no other form.

    :param brief: whether nobody feels it for long: few rows are soon copied, a name is changed at once
    """

    finding: Finding
    brief: bool


@dataclass
class Planned:
    """What one revision would do.

    :param ways: the engine's plan on SQLite
    :param rewrites: the tables whose rows are written again
    :param losses: what may be lost
    :param untold: what cannot be told
    :param raw: whether it runs statements of its own
    :param standstills: what has others wait, and has no other form
    """

    step: RevisionStep
    ways: list[str] = field(default_factory=list)
    rewrites: list[Key] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    raw: bool = False
    standstills: list[Standstill] = field(default_factory=list)

    @property
    def script(self) -> Script:
        found: Script = self.step.revision
        return found

    @property
    def lost(self) -> list[Loss]:
        """What may be lost, but for what was looked for and is not there."""
        return [loss for loss in self.losses if loss.count != 0]


@contextmanager
def looked_at(project: Project) -> Iterator[Connection]:
    """Give a connection to the application's database by which nothing in it changes."""
    if project.dialect == "sqlite":
        engine = transaction.reader(project.engine.url)
        with engine.connect() as connection:
            transaction.hand_over(project.engine, introspection.driver(connection.connection))
            yield connection
        return
    options: Options = {}
    if project.dialect == "postgresql":  # whatever the application wants of its own
        options = {"postgresql_readonly": True, "isolation_level": "READ COMMITTED"}
    with project.engine.connect() as connection:
        # not an engine's of its own, whose connections take no listener in SQLAlchemy 2.0.32
        connection.execution_options(**options)
        connection.detach()  # what is set here is for nobody else
        name = connection.dialect.name
        mariadb = getattr(connection.dialect, "is_mariadb", False)
        for statement in LIMITS["mariadb" if mariadb else name]:
            connection.execute(text(statement))
        if name != "postgresql":
            connection.rollback()  # read only from the next transaction on
        yield connection


def run(project: Environment, live: Live | None, steps: list[MigrationStep]) -> list[Planned]:
    """Go through revisions, and return what each would do.

    :param live: the database before them; None for one that is not there yet
    """
    with _stage(project, live) as connection:
        live = live or Live(connection)
        return _Run(project, live, connection, steps).planned


@contextmanager
def _stage(project: Environment, live: Live | None) -> Iterator[Connection]:
    if project.dialect != "sqlite":
        assert live is not None, "a server has its database"
        yield live.connection
        return
    # no pool: one that shares its connection would close it for who asks for a second
    memory = create_engine("sqlite://", poolclass=NullPool)
    with transaction.connect(memory, app=project.engine) as connection:
        if live is not None:
            source = introspection.Database(live.connection)
            _copy_schema(source, introspection.driver(connection.connection))
        yield connection


def _copy_schema(source: introspection.Database, raw: sqlite3.Connection) -> None:
    objects = introspection.objects(source)
    for kind in ("table", "index", "view", "trigger"):
        for found in objects:
            if found.type == kind and found.sql and not found.name.startswith("sqlite_"):
                with suppress(sqlite3.Error):  # it needs what is not here, or came with another
                    raw.execute(found.sql)


class _Run:
    def __init__(
        self, project: Environment, live: Live, connection: Connection, steps: list[MigrationStep]
    ) -> None:
        self.project, self.live, self.connection = project, live, connection
        self.sqlite = connection.dialect.name == "sqlite"
        self.steps = [step for step in steps if isinstance(step, RevisionStep)]
        self.losses = Losses(live)
        self.current: Planned | None = None
        self.events = 0
        scripts = [step.revision for step in self.steps]
        self.recorder = Recorder(scripts, looks=project.online, runs=self.sqlite)
        self.planned = list(self._all())

    def _all(self) -> Iterator[Planned]:
        @wraps(self.project.work)  # the engine asks for its name
        def named(*_: object) -> Iterator[MigrationStep]:
            yield from self.steps

        options: Options = {"dry_run": True}
        if self.sqlite:
            options |= {"sqlite_rows": self._rows, "sqlite_planned": self._note}
        with runner.environment(self.project, self.connection, named, **options) as nested:
            context = nested.get_context()
            if not self.sqlite:
                context.autocommit_block = nullcontext  # type: ignore[method-assign, assignment]
            if not self.connection.in_transaction():
                self.connection.begin()
            with (
                self.recorder.recording(context),
                runner.guarded(
                    self.connection, self.project.engine, self.project.others, alone=True
                ),
                self._held_back(),
            ):
                for step in self.project.named_as_adopted(named)((), context):
                    if isinstance(step, RevisionStep):
                        yield self._one(step)

    def _one(self, step: RevisionStep) -> Planned:
        found = self.current = Planned(step)
        self.losses.found, self.losses.untold = found.losses, found.untold
        self.losses.rewritten, self.losses.updated, self.events = found.rewrites, [], 0
        recording = self.recorder.recordings[step.revision.revision]
        file = File(step)
        if stranger := file.stranger():
            found.untold.append(f"{stranger}, which is not run for a plan")
            found.raw, whole = True, False
        else:
            whole = self._carry_out(step, found)
            self._take(recording)
        if not whole:
            seen = {event.line for event in recording.events}
            unseen = (one for one in file.losing() if one[0] not in seen)
            found.losses += [Loss(what, of, line, unit="rows") for line, what, of in unseen]
        found.raw = found.raw or any(
            isinstance(event.what, str)
            and statements.changes(event.what, self.connection.dialect.name)
            for event in recording.events
        )
        if not self.sqlite:
            self._judge_rewrites(recording)
        if self.project.online:
            found.ways += ways(recording.did)
        if self.project.zero_downtime and not self.sqlite:
            found.ways += self._held_rows()
        if step.is_upgrade:
            reasons = source.reasons(source.text(Path(step.revision.path)))
            for loss in found.losses:
                loss.reason = next((reasons[rule] for rule in loss.rules if rule in reasons), None)
        return found

    def _held_rows(self) -> Iterator[str]:
        """Say which UPDATEs hold so many rows that somebody waits for their end."""
        for rows in self.losses.updated:
            count = self.live.count(rows)
            if count is None or count > FEW:
                held = f"one UPDATE locks {losses.counted(count, 'rows')} until it ends"
                yield f"{rows.table}: {held}, flask_keel.backfill a few at a time"

    def _carry_out(self, step: RevisionStep, found: Planned) -> bool:
        """Run a revision; return whether it ran to its end."""
        try:
            with self._undone_if_it_fails():
                step.migration_fn()
        except Exception as error:
            found.untold.append(f"what follows where a plan stops ({_plainly(error)})")
            return False
        return True

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        if self.live.kind not in ("sqlite", "postgresql"):
            yield
            return
        self.connection.exec_driver_sql("SAVEPOINT keel_plan")
        try:
            yield
        except BaseException:
            self.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT keel_plan")
            raise
        self.connection.exec_driver_sql("RELEASE SAVEPOINT keel_plan")

    def _take(self, recording: Recording) -> None:
        """Follow what the revision has done so far."""
        for event in recording.events[self.events :]:
            self.events += 1
            postgresql = self.live.kind == "postgresql"
            try:
                with self.connection.begin_nested() if postgresql else nullcontext():
                    self.losses.take(event)
            except Exception as error:  # the table is locked, or hidden
                what = f"what line {event.line} is about: {_plainly(error)}"
                every = tuple(rule for rules in LOSING.values() for rule in rules)
                self.losses.found.append(Loss(what, every, event.line, unit="rows"))

    def _rows(self, table: str) -> int | None:
        """Say how many rows the engine is to take a table to have; None for one of the run's own."""
        if self.current:
            self._take(self.recorder.recordings[self.current.script.revision])
        home = self.losses.origin(self.live.key(None, table))
        return self.live.count(Rows(home)) if home else None

    def _note(self, lines: list[str], table: str, rewrites: bool) -> None:
        assert self.current is not None
        many = f"{losses.MOST + 1} rows", f"more than {losses.MOST} rows"
        self.current.ways += [line.replace(*many) for line in lines]
        if rewrites:
            self.losses.rewrite(self.live.key(None, table))

    def _judge_rewrites(self, recording: Recording) -> None:
        """Ask the lint which tables a server writes again."""
        dialect, online = self.connection.dialect, self.project.online
        for finding in rules.findings(recording.events, dialect, online):
            copies = self.live.kind != "postgresql" and finding.rule in COPIES
            if finding.rule not in STANDSTILLS and not copies:
                continue
            *schema, name = finding.facts["table"].split(".")
            table = self.live.key(schema[0] if schema else None, name)
            if finding.rule == "rewrite-table":
                self.losses.rewrite(table)
            # a table is looked up by the name that it had before, too
            home = self.losses.origin(table) or (table if self.live.name(table) else None)
            rows = self.live.count(Rows(home)) if home else 0
            if self.current and rows != 0:
                few = rows is not None and rows <= FEW
                self.current.standstills.append(Standstill(finding, few or finding.rule in RENAMES))

    @contextmanager
    def _held_back(self) -> Iterator[None]:
        """On a server, let nothing through that does more than read."""
        if self.sqlite:
            yield
            return
        ran: list[str] = []

        def hold(
            _: object, cursor: object, sql: str, parameters: Params, *more: object
        ) -> tuple[str, Params]:
            passing = sql.lstrip().upper().startswith(PASSING)
            if passing or not statements.changes(sql, self.connection.dialect.name):
                return sql, parameters
            ran.append(sql)
            if len(ran) > MOST:
                raise runner.Refused(f"more than {MOST} statements of its own")
            return NOTHING, ()

        with listening(self.connection, retval=True, before_cursor_execute=hold):
            yield


def _plainly(error: Exception) -> str:
    said = output.plainly(str(getattr(error, "orig", None) or error)).rstrip(".")
    return said or type(error).__name__


class File:
    """One function of a migration's file.

    :param step: a revision, up or down
    """

    def __init__(self, step: RevisionStep) -> None:
        self.tree = ast.parse(Path(step.revision.path).read_bytes())
        self.wanted = "upgrade" if step.is_upgrade else "downgrade"
        self.functions = {
            node.name: node
            for node in self.tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        made = [node for node in self.tree.body if getattr(node, "name", None) == self.wanted]
        self.whole = len(made) == 1 and isinstance(made[0], ast.FunctionDef)

    def keeps_all(self) -> bool:
        """Whether no value is lost or rewritten; False where there is a doubt."""
        if not self.whole:
            return False
        calls = (node for node in ast.walk(self._function) if isinstance(node, ast.Call))
        return all(self._keeps(call) for call in calls)

    def _keeps(self, call: ast.Call) -> bool:
        root = call.func
        while isinstance(root, ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name):
            return False
        if root.id in self._operations:
            return isinstance(call.func, ast.Attribute) and call.func.attr in KEEPING
        return self._imported.get(root.id) == "sqlalchemy"

    def stranger(self) -> str | None:
        """Say what is not run without carrying it out; None where all of it can be."""
        if not self.whole:
            return f"its {self.wanted}() is no plain function"
        return next(self._strangers(self._function, {self.wanted}), None)

    def losing(self) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """Give the calls by which values may go: line, text and the rules that speak of it."""
        for node in ast.walk(self._function if self.whole else self.tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            rules = LOSING.get(node.func.attr)
            text = ast.unparse(node)
            if rules and (node.func.attr != "execute" or any(one in text.lower() for one in WORDS)):
                yield node.lineno, text if len(text) <= 60 else f"{text[:57]}...", rules

    @property
    def _function(self) -> ast.AST:
        return self.functions[self.wanted]

    @cached_property
    def _operations(self) -> set[str]:
        """The names of ``op`` and of the batches within."""
        names = {
            item.optional_vars.id
            for node in ast.walk(self.tree)
            if isinstance(node, ast.With)
            for item in node.items
            if isinstance(item.optional_vars, ast.Name)
        }
        return {"op"} | names

    @cached_property
    def _imported(self) -> dict[str, str]:
        """The names that are imported, and the packages that they come from."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                named = [(alias.name, alias) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                named = [("." * node.level + (node.module or ""), alias) for alias in node.names]
            else:
                continue
            for module, alias in named:
                name = alias.asname or alias.name.partition(".")[0]
                found[name] = module.partition(".")[0]
        return found

    @cached_property
    def _assigned(self) -> set[str]:
        """The names of variables, but for those that a stranger has made."""
        # one may be made of those above it
        known = vars(self)["_assigned"] = _variables(self.tree)
        for node in self.tree.body:
            made = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if made and any(self._strangers(made, set())):
                known -= _variables(node)
        return known

    def _strangers(self, node: ast.AST, seen: set[str], among_types: bool = False) -> Iterator[str]:
        if isinstance(node, ast.While):
            yield f"line {node.lineno}: its loop ends where rows say so"
        if isinstance(node, ast.Call):
            root = node.func
            while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
                root = root.func if isinstance(root, ast.Call) else root.value
            if isinstance(root, ast.Name):
                home = self._imported.get(root.id)
                if root.id in self.functions and home is None:
                    if root.id not in seen:
                        yield from self._strangers(self.functions[root.id], seen | {root.id})
                elif not self._is_known(root.id, home, ast.unparse(node.func), among_types):
                    yield f"line {node.lineno}: it calls {ast.unparse(node.func)}()"
                among_types = among_types or home in TYPES or root.id in self._operations
        for child in ast.iter_child_nodes(node):
            yield from self._strangers(child, seen, among_types)

    def _is_known(self, name: str, home: str | None, called: str, among_types: bool) -> bool:
        if called.rpartition(".")[2] in ENGINES:
            return False
        if home is not None:
            type_ = among_types and called.rpartition(".")[2][:1].isupper()
            return home in HARMLESS or type_
        return name in PLAIN or name in self._operations or name in self._assigned


def _variables(node: ast.AST) -> set[str]:
    return {
        one.arg if isinstance(one, ast.arg) else one.id
        for one in ast.walk(node)
        if isinstance(one, ast.arg)
        or (isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
    }


# What a plan says of the forms for which nobody waits: see zero_downtime.

FORMS = {
    ops.CreateIndexOp: "its index {name} is built CONCURRENTLY",
    ops.DropIndexOp: "its index {name} is dropped CONCURRENTLY",
    ops.CreateUniqueConstraintOp: "the index of {name} is built CONCURRENTLY, then it is UNIQUE",
    ops.CreatePrimaryKeyOp: "the index of {name} is built CONCURRENTLY, then it is the PRIMARY KEY",
    ops.CreateForeignKeyOp: "FOREIGN KEY {name} NOT VALID, then VALIDATE",
    ops.CreateCheckConstraintOp: "CHECK {name} NOT VALID, then VALIDATE",
}


def ways(operations: Iterable[MigrateOperation | str]) -> Iterator[str]:
    """Say how the operations of a revision run on the tables that were there before it."""
    made: set[str] = set()
    for op in operations:
        table = str(getattr(op, "table_name", None) or getattr(op, "source_table", None) or "")
        if isinstance(op, ops.CreateTableOp):
            made.add(table)
        elif table not in made and (form := _form(op)):
            yield f"{table}: {form}" if table else form.removeprefix("its ")


def _form(op: MigrateOperation | str) -> str | None:
    if isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False:
        return f"a CHECK of {op.column_name} NOT VALID, then VALIDATE, then SET NOT NULL"
    said = next((said for kind, said in FORMS.items() if isinstance(op, kind)), None)
    name = getattr(op, "constraint_name", None) or getattr(op, "index_name", None)
    return said.format(name=name or "without a name") if said else None
