"""Lint: what in a migration loses data, blocks the running release or takes a lock."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from alembic.operations import ops
from alembic.script import Script
from sqlalchemy import Connection, Dialect
from sqlalchemy.engine.mock import MockConnection

from .. import runner
from ..project import Project
from ..runner import Recorder, Recording
from ..typing import Options, Value
from . import rules, source
from .findings import BLOCKS, LOCKS, LOSES_DATA, NOTE, SEVERITIES, Finding

What = TypeVar("What")
__all__ = ["BLOCKS", "LOCKS", "LOSES_DATA", "NOTE", "SEVERITIES", "Finding", "check", "offline"]


def check(
    path: Path, recording: Recording, dialect: Dialect, online: bool = False
) -> list[Finding]:
    """Return the findings for one migration, the worst first, each with the reason that silences it.

    What cannot be judged is a finding, too: the rest of the migration is judged all the same.

    :param path: its file
    :param recording: what its ``upgrade()`` did (:class:`..runner.Recording`)
    :param dialect: SQLAlchemy's, of the database on which it did that
    :param online: whether operations run in forms for which nobody waits
    """
    text = source.text(path)
    found = _judged(partial(rules.findings, dialect=dialect, online=online), recording.events)
    found += _judged(source.text_findings, text)
    if dialect.name == "postgresql":
        own = {event.what for event in recording.events if isinstance(event.what, str)}
        sql = [(line, one) for line, one in recording.sql if not online or one in own]
        found += _judged(source.squawk_findings, sql)
    reasons = source.reasons(text)
    for finding in found:
        finding.silenced = source.reason(finding.rule, reasons)
    return sorted(
        found, key=lambda finding: (SEVERITIES.index(finding.severity), finding.line or 0)
    )


def _judged(judge: Callable[[What], list[Finding]], what: What) -> list[Finding]:
    try:
        return judge(what)
    except Exception as error:
        return [Finding.not_judged(None, error)]


# Where there is no database, a migration's operations are only written down.


class Unasked(AttributeError):
    """A migration wants to know what only a database can tell."""


class Offline(MockConnection):
    """Stands where the connection would be: it answers as a database without rows.

    :param recorder: writes down what is run on it
    """

    def __init__(self, dialect: Dialect, recorder: Recorder) -> None:
        super().__init__(dialect, self.execute)
        self.recorder = recorder

    def execute(self, statement: Any, *_: Value, **__: Value) -> "NoRows":  # type: ignore[override]
        said = statement if isinstance(statement, str) else statement.compile(dialect=self.dialect)
        self.recorder.note(str(said))
        return NoRows()

    exec_driver_sql = execute

    def begin_nested(self) -> nullcontext[None]:
        return nullcontext()

    def __getattr__(self, name: str) -> Any:
        raise Unasked(f"it wants {name} of the database")


# what is asked of a result, by what one without rows answers
ONE = {"first", "fetchone", "scalar", "one_or_none", "scalar_one_or_none"}
SEVERAL = {"all", "fetchall", "fetchmany", "partitions"}
ITSELF = {"scalars", "mappings", "unique", "tuples"}


class NoRows:
    """The result of what was not run."""

    rowcount = 0

    def __iter__(self) -> Iterator[Mapping[str, Value]]:
        return iter(())

    def __getattr__(self, name: str) -> Any:
        for names, answer in ((ONE, None), (SEVERAL, []), (ITSELF, self)):
            if name in names:
                return lambda *_, **__: answer
        raise Unasked(f"it wants {name} of the database")


def offline(project: Project, script: Script, dialect: Dialect) -> tuple[list[Finding], str | None]:
    """Return what the lint says of a migration, and what kept it from going through to its end.

    A type or a key that the file does not name is not judged: only a database knows it.

    :param dialect: SQLAlchemy's, of the database for which it is
    """
    recorder = Recorder([script], looks=False, runs=False)
    connection = cast(Connection, Offline(dialect, recorder))
    options: Options = {"as_sql": True, "transaction_per_migration": False}
    stopped = None
    with runner.environment(project, connection, lambda *_: [], **options) as nested:
        context = nested.get_context()
        impl: Any = context.impl
        context.connection = impl.connection = connection
        context.autocommit_block = nullcontext  # type: ignore[method-assign, assignment]
        with (
            recorder.recording(context),
            runner.guarded(connection, project.engine, project.others),
        ):
            try:
                script.module.upgrade()
            except Exception as error:
                stopped = f"{type(error).__name__}: {' '.join(str(error).split())}"
    recording = recorder.recordings[script.revision]
    # what is added again may be computed, and lose nothing
    again = {
        (".".join(filter(None, (op.schema, op.table_name))), op.column.name)
        for op in recording.did
        if isinstance(op, ops.AddColumnOp)
    }
    found = [
        finding
        for finding in check(Path(script.path), recording, dialect, project.online)
        if (finding.facts.get("table"), finding.facts.get("column")) not in again
        or finding.rule != "drop-column"
    ]
    return found, stopped
