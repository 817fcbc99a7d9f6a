"""`--sql` on SQLite: the revisions run on a copy, and what they did is written down."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.pool import StaticPool

from .. import history, output, runner, waiting
from ..data import rehearsal
from ..project import LOG_TABLE, Environment
from ..sqlite import data_checks, foreign_key_check, transaction
from ..sqlite.foreign_key_check import KeyWatch
from . import recorded, server_script, session

# sqlite3 goes on after an error unless it is told; a rebuild drops the table, and with foreign keys
# on its children would go with it
HEAD = """\
.bail on
.timeout {patience}
PRAGMA foreign_keys=OFF;
BEGIN IMMEDIATE;
"""


def print_sql(project: Environment) -> None:
    """Print the SQL on stdout: all of it, or on a failure none. What migrations print goes to stderr."""
    if project.engine.dialect.name == "sqlite":
        sql = _rehearse(project)
    else:
        sql = server_script.write(project)
    sys.stdout.write(sql)
    sys.stdout.flush()


def _rehearse(project: Environment) -> str:
    """Run the revisions on a copy and write down what they did."""
    script: list[str] = []
    pending: list[str] = []
    watched: list[KeyWatch] = []

    def note(statement: str) -> None:
        if statement.startswith("-- "):
            pending.append(f"{statement}\n")
            return
        # the semicolon must not end up in a comment
        pending.append(f"{statement}\n;\n" if "--" in statement else f"{statement};\n")

    def close(step: MigrationInfo, ctx: MigrationContext, **_: object) -> None:
        watched[:] = [foreign_key_check.watch_of(ctx.impl)]
        revision = step.up_revision
        if isinstance(revision, Script):
            script.append(f"-- {revision.revision} {history.title(revision)}\n")
        script.extend(pending)
        pending.clear()

    with _copy(project, note) as connection, rehearsal(), redirect_stdout(sys.stderr):
        applied = history.applied(connection)
        _require_start(project, applied)
        session.check(project, connection, applied)
        start = data_checks.at_revisions(
            applied, inspect(connection).has_table("alembic_version"), _command(project)
        )
        before = foreign_key_check.broken(connection)
        connection.rollback()
        pending.clear()
        runner.run(
            project,
            connection,
            project.work,
            prints=sys.stderr,
            on_version_apply=close,
            sqlite_portable_sql=True,
        )
        foreign_key_check.require_whole(connection, before, foreign_key_check.broken(connection))
        keys = foreign_key_check.guards(connection, before, watched[0].now() if script else ())
    if not script:
        at = " and ".join(sorted(applied)) or "the base"
        output.say(session.NOTHING_TO_DO.format(database=project.database, revision=at))
        return ""
    head = HEAD.format(patience=int(waiting.patience(project.settings) * 1000))
    begin, end = _ended([*start, *keys.start]), _ended(keys.end)
    return "".join([head, begin, *script, end, "COMMIT;\n"])


def _ended(sql: list[str]) -> str:
    return "".join(f"{statement};\n" for statement in sql)


def _command(project: Environment) -> str:
    return f"db {project.moving or 'stamp'} --sql"


def _require_start(project: Environment, applied: set[str]) -> None:
    """Stop when the SQL is asked from a revision at which the database is not."""
    live = ",".join(sorted(applied)) or "base"
    if not project.start or project.start in (live, *applied):
        return
    start = project.script.get_revision(project.start)
    if (start.revision if start else "base") != live:
        raise CommandError(
            f"{project.database} is at {live}, and the SQL was asked from {project.start}: leave the "
            "start out, so that it begins where the database is."
        )


@contextmanager
def _copy(project: Environment, write: Callable[[str], None]) -> Iterator[Connection]:
    factory = recorded.recorder(write)

    def connect() -> sqlite3.Connection:
        # no name: a database of this connection alone, on disk when it grows
        copy = sqlite3.connect("", factory=factory, check_same_thread=False)
        with transaction.named(project.engine) as source:
            if source is not None:
                source.backup(copy)
        sqlite3.Connection.execute(copy, f"DROP TABLE IF EXISTS {LOG_TABLE}")
        return copy

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    with transaction.connect(engine, app=project.engine) as connection:
        yield connection
