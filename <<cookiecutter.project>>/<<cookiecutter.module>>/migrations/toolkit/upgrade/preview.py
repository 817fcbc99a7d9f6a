"""`upgrade --sql`: the SQL that brings a database from where it is to where it is asked to be."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from .. import atomic, history, messages, sqlite_file
from ..rehearsal import rehearsal
from ..seam import Seam, replay
from . import preflight, statements


def print_sql(seam: Seam) -> None:
    """Print the SQL on stdout: all of it, or on a failure none. What migrations print goes to stderr."""
    if seam.engine.dialect.name == "sqlite":
        sql = _rehearse(seam)
    else:
        sql = _offline(seam)
    sys.stdout.write(sql)
    sys.stdout.flush()


def _rehearse(seam: Seam) -> str:
    """Run the revisions on a copy in memory and write down what they did."""
    lines: list[str] = []
    with _copy(seam, lines.append) as connection, rehearsal(), redirect_stdout(sys.stderr):
        applied = history.applied(connection)
        live = ",".join(sorted(applied)) or "base"
        if seam.start and seam.start not in (live, *applied):
            start = seam.script.get_revision(seam.start)
            if (start.revision if start else "base") != live:
                raise CommandError(
                    messages.SQL_FROM_ELSEWHERE.format(
                        database=seam.database, live=live, start=seam.start
                    )
                )
        preflight.check(seam, connection, applied)
        connection.rollback()
        lines.clear()
        begun = [0]

        def head(step: Any, **_: Any) -> None:
            # called after a step: its title goes before what it did
            revision = step.up_revision
            lines.insert(begun[-1], f"-- {revision.revision} {history.title(revision)}")
            begun.append(len(lines))

        replay(seam, seam.work, connection, transactional_ddl=True, on_version_apply=head)
    # a table rebuild drops the table: with foreign keys on, its children would go with it
    body = "".join(f"{line}\n" if line.startswith("--") else f"{line};\n" for line in lines)
    return f"PRAGMA foreign_keys=OFF;\nBEGIN IMMEDIATE;\n{body}COMMIT;\n" if lines else ""


@contextmanager
def _copy(seam: Seam, write) -> Iterator:
    factory = statements.recorder(write)

    def connect() -> sqlite3.Connection:
        copy = sqlite3.connect(":memory:", factory=factory, check_same_thread=False)
        path = seam.engine.url.database
        if not sqlite_file.in_memory(seam.engine.url) and Path(path).exists():
            source = sqlite_file.open_to_read(seam.engine.url)
            try:
                source.backup(copy)
            finally:
                source.close()
        return copy

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    with atomic.connect(engine) as connection:
        yield connection


def _offline(seam: Seam) -> str:
    """Let Alembic write the SQL, from the revision at which the database is."""
    start = seam.start
    if start is None:
        with seam.engine.connect() as connection:
            applied = history.applied(connection)
            preflight.check(seam, connection, applied)
        start = ",".join(sorted(applied)) or None
    out = StringIO()
    seam.configure(
        dialect_name=seam.engine.dialect.name,
        literal_binds=True,
        starting_rev=start,
        transaction_per_migration=True,
        output_buffer=out,
        dialect_opts={"paramstyle": "named"},
    )
    with redirect_stdout(sys.stderr), seam.context.begin_transaction():
        seam.context.run_migrations()
    return out.getvalue()
