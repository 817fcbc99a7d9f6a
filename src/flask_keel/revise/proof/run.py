"""One migration run on a scratch database, in an environment of its own."""

from contextlib import nullcontext, redirect_stdout
from io import StringIO
from typing import Any

import alembic.context
import alembic.op
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from sqlalchemy import Connection

from ... import guard
from ...cache import Cache
from ...rehearsal import rehearsal
from ...seam import keep_one_transaction, use_engine
from .journal import Journal, Recorder
from .subject import Subject


def upgrade(subject: Subject, connection: Connection, revision: Any, journal: Journal) -> None:
    """Run one revision's ``upgrade()``.

    :param revision: an Alembic ``Script``
    """
    step = MigrationStep.upgrade_from_script(subject.script.revision_map, revision)
    _run(subject, connection, lambda applied, context: [step], journal)


def downgrade(subject: Subject, connection: Connection, revision: Any, journal: Journal) -> None:
    """Run one revision's ``downgrade()``."""
    step = MigrationStep.downgrade_from_script(subject.script.revision_map, revision)

    def steps(applied: Any, context: Any) -> Any:
        return [step]

    steps.__name__ = "downgrade"  # as the command's own has it: the engine asks
    _run(subject, connection, steps, journal)


def history(subject: Subject, connection: Connection, revisions: tuple[str, ...]) -> None:
    """Run the history on an empty database up to some revisions, from the newest kept state."""
    kept, raw = Cache(subject.script, subject.metadata), connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        kept.restore(raw, revisions, set())
    for revision in revisions:

        def steps(applied: Any, context: Any, revision: str = revision) -> Any:
            return subject.script._upgrade_revs(revision, applied)

        _run(subject, connection, steps, Journal())
    if connection.dialect.name == "sqlite":
        connection.commit()
        kept.keep(raw, revisions)


def _run(subject: Subject, connection: Connection, steps: Any, journal: Journal) -> None:
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
            recorder = Recorder(context, journal)
            live = subject.engine or connection.engine
            with environment.begin_transaction(), guard.guarded(connection, live):
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
