"""One connection and, where the database can, one transaction in which migrations are applied."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from .. import atomic, history, messages, sqlite_file
from ..seam import Seam
from . import preflight


def migrate(seam: Seam) -> None:
    """Run the command (upgrade, downgrade, stamp, current) on the application's database.

    :raises CommandError: when the database may not be migrated as it is, before anything is changed
    """
    given = seam.config.attributes.get("connection")
    if isinstance(given, Connection):
        with atomic.keys_off(given) if given.dialect.name == "sqlite" else nullcontext():
            _run(seam, given)
        return
    engine = given or seam.engine
    with ExitStack() as stack:
        if engine.dialect.name != "sqlite":
            connection = stack.enter_context(engine.connect())
        elif sqlite_file.in_memory(engine.url):
            lent = stack.enter_context(atomic.borrowed(engine))
            connection = stack.enter_context(atomic.connect(lent))
        elif seam.reading:
            connection = stack.enter_context(_reading(engine).connect())
        else:
            connection = stack.enter_context(_file(seam, engine))
        _run(seam, connection)


def _run(seam: Seam, connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    steps: list[Any] = []
    options: dict[str, Any] = {"on_version_apply": _reporters(seam, steps)}
    if sqlite and not seam.reading:
        # the whole upgrade is one transaction: all of it happened, or none
        options |= {"transactional_ddl": True, "transaction_per_migration": False}
    else:
        options |= {"transaction_per_migration": True}
    seam.configure(connection, **options)
    with seam.context.begin_transaction():
        applied = set(seam.context.get_context().get_current_heads())
        if seam.moving:
            preflight.check(seam, connection, applied)
            if not sqlite:
                connection.commit()  # looking began a transaction; each revision has one of its own
        before = atomic.broken_keys(connection) if sqlite and seam.moving else None
        seam.context.run_migrations()
        if before is not None and steps:
            atomic.require_whole_keys(connection, before)
    if seam.moving and not steps:
        at = " and ".join(sorted(applied)) or "the base"
        messages.say(messages.NOTHING_TO_DO, database=seam.database, revision=at)


def _reporters(seam: Seam, steps: list[Any]) -> list[Any]:
    own = seam.options.pop("on_version_apply", None) or []

    def report(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        steps.append(step)
        if step.is_migration:
            revision = step.up_revision
            messages.say(
                messages.STEP,
                direction="upgrade" if step.is_upgrade else "downgrade",
                revision=revision.revision,
                message=history.title(revision),
            )

    return [*([own] if callable(own) else own), report]


def _reading(engine: Engine) -> Engine:
    """An engine that makes no file and takes no lock."""
    sqlite_file.require(engine.url)
    return create_engine(
        "sqlite://", creator=lambda: sqlite_file.open_to_read(engine.url), poolclass=NullPool
    )


@contextmanager
def _file(seam: Seam, engine: Engine) -> Iterator[Connection]:
    """The application's SQLite file; a file that was made for a run that failed is removed again."""
    path = Path(engine.url.database)
    new = not path.exists()
    if new and seam.moving == "downgrade":
        raise CommandError(messages.NO_DATABASE.format(database=path))
    if new:
        sqlite_file.require_folder(path)
        messages.say(messages.CREATING, database=path)
    patience = float(seam.settings.get("MIGRATION_LOCK_TIMEOUT", 60))
    options = seam.settings.get("SQLALCHEMY_ENGINE_OPTIONS") or {}
    try:
        with atomic.connect(atomic.engine(engine.url, patience, **options)) as connection:
            yield connection
    except BaseException:
        if new:
            sqlite_file.remove(path)
        raise
