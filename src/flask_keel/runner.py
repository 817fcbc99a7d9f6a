"""Runs revisions on any connection, and keeps them on that one."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from functools import partial
from io import StringIO
from itertools import product
from typing import Any

import alembic.context
import alembic.op
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from sqlalchemy import Connection, Engine, Inspector, event

from . import output
from .data import rehearsal
from .project import Subject, engine_options, keep_one_transaction, use_engine
from .recorder import Journal, JournalOperations

# What a migration may not leave: its one connection and, on SQLite, its one transaction.


# what SQLite answers to a statement that the authorizer denies: https://www.sqlite.org/rescode.html#auth
DENIED = "not authorized"
CONNECTING = ("do_connect", "engine_connect")


class Refused(Exception):
    """A migration does what cannot be undone or would not be seen: words for the sentence."""


@contextmanager
def _inspected(connection: Connection, engines: set[Engine], thread: int) -> Iterator[None]:
    """Let an inspector of one of the engines, which only reads, look through ``connection``: what
    the migration has done so far is seen there, as ``sa.inspect(op.get_bind().engine)`` means it."""
    original = Inspector._init_engine

    def init(self: Inspector, engine: Engine) -> None:
        lent = engine in engines and threading.get_ident() == thread
        (self._init_connection if lent else partial(original, self))(connection if lent else engine)

    Inspector._init_engine = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        Inspector._init_engine = original  # type: ignore[method-assign]


@contextmanager
def guarded(connection: Connection, live: Engine) -> Iterator[None]:
    """Keep the migrations that run inside on ``connection``, and on SQLite inside its transaction.

    A second connection does not see what the first has done, and waits for it for ever; from a
    rehearsal it would reach the live database.

    :param live: the application's engine
    :raises Refused: out of the migration, when it opens another connection
    """
    sqlite = connection.dialect.name == "sqlite"
    engines = {live, connection.engine} if sqlite else {live} - {connection.engine}
    thread = threading.get_ident()

    def refuse(*_: Any) -> None:
        if threading.get_ident() == thread:  # the application may serve in others
            raise Refused(output.SECOND_CONNECTION)

    for engine, name in product(engines, CONNECTING):
        event.listen(engine, name, refuse)
    denied: list[int] = []

    def authorize(action: int, *_: Any) -> int:
        # commit, rollback, BEGIN, and executescript, which commits first; savepoints are another action
        if action != sqlite3.SQLITE_TRANSACTION:
            return sqlite3.SQLITE_OK
        denied.append(action)
        return sqlite3.SQLITE_DENY

    if sqlite:
        raw = connection.connection.driver_connection
        raw.set_authorizer(authorize)
    try:
        with _inspected(connection, engines, thread):
            yield
    except Exception as error:
        if DENIED in str(error) and not denied:
            # Ctrl-C came while SQLite asked, and it takes any exception for a no
            raise KeyboardInterrupt from error
        raise
    finally:
        if sqlite:
            with suppress(sqlite3.ProgrammingError):  # after Ctrl-C SQLAlchemy has closed it
                raw.set_authorizer(None)
        for engine, name in product(engines, CONNECTING):
            event.remove(engine, name, refuse)


# One migration run on a scratch database, in an environment of its own.


def upgrade(subject: Subject, connection: Connection, revision: Any, journal: Journal) -> None:
    """Run one revision's ``upgrade()``.

    :param revision: an Alembic ``Script``
    """
    step = MigrationStep.upgrade_from_script(subject.script.revision_map, revision)
    run_steps(subject, connection, lambda applied, context: [step], journal)


def downgrade(subject: Subject, connection: Connection, revision: Any, journal: Journal) -> None:
    """Run one revision's ``downgrade()``."""
    step = MigrationStep.downgrade_from_script(subject.script.revision_map, revision)

    def steps(applied: Any, context: Any) -> Any:
        return [step]

    steps.__name__ = "downgrade"  # as the command's own has it: the engine asks
    run_steps(subject, connection, steps, journal)


def run_steps(subject: Subject, connection: Connection, steps: Any, journal: Journal) -> None:
    sqlite = connection.dialect.name == "sqlite"
    use_engine(connection)
    options = {
        "transactional_ddl": True if sqlite else None,
        "transaction_per_migration": not sqlite,
        **subject.options,
    }
    outer = [getattr(module, "_proxy", None) for module in (alembic.context, alembic.op)]
    try:
        with (
            EnvironmentContext(subject.config, subject.script, fn=steps) as environment,
            rehearsal(),
            redirect_stdout(StringIO()),
            journal.listening(connection),
        ):
            environment.configure(
                connection=connection, target_metadata=subject.metadata, **options
            )
            context = environment.get_context()
            keep_one_transaction(context)
            if connection.info.get("attempt"):  # it is to be rolled back as one
                context.autocommit_block = nullcontext
            recorder = JournalOperations(context, journal)
            live = subject.engine or connection.engine
            with environment.begin_transaction(), guarded(connection, live):
                recorder._install_proxy()
                try:
                    context.run_migrations()
                finally:
                    recorder._remove_proxy()
    finally:
        # inside a run of env.py, that run goes on afterwards
        for proxy in outer:
            if proxy is not None:
                proxy._install_proxy()


def replay(
    seam: Any,
    work: Callable[..., Any],
    connection: Connection,
    recorder: Any = None,
    **options: Any,
) -> None:
    """Run revisions on another database; where that is inside a run of env.py, leave it as it was.

    A nested environment, since migrations may use ``alembic.context`` themselves.

    :param seam: or what has its ``config``, ``script``, ``metadata`` and ``engine``
    :param work: yields the steps, as Alembic's commands do
    :param connection: the other database
    :param recorder: a :class:`.recorder.Recorder`, where what they do is to be written down
    """
    outer = getattr(alembic.context, "_proxy", None)
    use_engine(connection)
    options = {**engine_options(seam.settings), **options}
    try:
        with EnvironmentContext(seam.config, seam.script, fn=work) as inner:
            inner.configure(connection=connection, target_metadata=seam.metadata, **options)
            keep_one_transaction(inner.get_context())
            with inner.begin_transaction(), guarded(connection, seam.engine):
                if recorder is None:
                    inner.run_migrations()
                else:
                    with recorder.recording(inner.get_context()):
                        inner.get_context().run_migrations()
    finally:
        if outer is not None:
            outer._install_proxy()
