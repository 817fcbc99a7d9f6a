"""What a migration's upgrade would do where there is no database: its operations are only written down."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from alembic.operations import ops
from alembic.script import Script
from sqlalchemy import Connection, Dialect
from sqlalchemy.engine.mock import MockConnection

from .. import runner
from ..project import Project
from ..runner import Recorder
from ..typing import Options, Value
from . import check
from .findings import Finding


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


def findings(
    project: Project, script: Script, dialect: Dialect
) -> tuple[list[Finding], str | None]:
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
