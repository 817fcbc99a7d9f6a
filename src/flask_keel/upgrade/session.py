"""One connection and, where the database can, one transaction in which migrations are applied."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from .. import atomic, foreign_keys, guard, history, lent, messages, sqlite_file
from ..rehearsal import is_rehearsal
from ..seam import Seam
from . import outcome, preflight, standing
from .outcome import Run


def migrate(seam: Seam) -> None:
    """Run the command (upgrade, downgrade, stamp, current) on the application's database.

    A caller of Alembic's functions may give a Connection or an Engine in ``config.attributes``.

    :raises CommandError: when the database may not be migrated as it is, before anything is changed
    """
    given = seam.config.attributes.get("connection")
    if isinstance(given, Connection):
        protect = given.dialect.name == "sqlite" and not seam.reading
        with lent.protected(given, patience(seam)) if protect else nullcontext():
            _run(seam, given, Run())
        return
    # who gives an engine knows what it is, and where it is to be left
    run, ours = Run(), given is None
    seam.engine = given or seam.engine
    with (
        outcome.told(seam, run) if ours and not seam.reading else nullcontext(),
        _connect(seam, seam.engine) as connection,
        _schema_file(seam, connection),
    ):
        _run(seam, connection, run)


def _schema_file(seam: Seam, connection: Connection) -> Any:
    if connection.dialect.name == "sqlite" or seam.moving != "upgrade":
        return nullcontext()
    from ..revise import at_head

    return at_head.followed(seam, connection)


@contextmanager
def _connect(seam: Seam, engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            yield connection
    elif sqlite_file.in_memory(engine.url):
        with (
            atomic.borrowed(engine) as borrowed,
            atomic.connect(borrowed, patience(seam)) as connection,
        ):
            yield connection
    elif seam.reading and not seam.config.attributes.get("connection"):
        with sqlite_file.reader(engine.url).connect() as connection:
            yield connection
    else:
        with _file(seam, engine) as connection:
            yield connection


def _run(seam: Seam, connection: Connection, run: Run) -> None:
    sqlite = connection.dialect.name == "sqlite"
    steps: list[Any] = []
    options: dict[str, Any] = {"on_version_apply": _reporters(seam, steps)}
    if sqlite and not seam.reading:
        # the whole upgrade is one transaction: all of it happened, or none
        options |= {"transactional_ddl": True, "transaction_per_migration": False}
    else:
        options |= {"transaction_per_migration": True}
    lent_out = connection.in_transaction()
    seam.configure(connection, **options)
    with seam.context.begin_transaction():
        if sqlite:
            sqlite_file.require(connection.engine.url)  # another process may have unmade it
        applied = set(seam.context.get_context().get_current_heads())
        if seam.moving:
            preflight.check(seam, connection, applied)
        elif not seam.purging:
            history.require_known(applied, seam.script, seam.database)
        if not sqlite and not lent_out:
            connection.rollback()  # looking began a transaction; each revision has one of its own
        run.begin(applied)
        seam.context.get_context().on_version_apply_callbacks += (run.applied,)
        watch = _watch(seam, connection) if sqlite and seam.moving else None
        # on a server another connection does see what was committed; in a rehearsal it is astray
        alone = sqlite or is_rehearsal()
        with (
            guard.guarded(connection, seam.engine) if alone else nullcontext(),
            nullcontext() if sqlite else standing.account(seam, connection, run),
        ):
            seam.context.run_migrations()
        if watch is not None and steps:
            watch.require_whole()
    if seam.moving and not steps:
        at = " and ".join(sorted(applied)) or "the base"
        messages.say(messages.NOTHING_TO_DO, database=seam.database, revision=at)


def _watch(seam: Seam, connection: Connection) -> foreign_keys.Watch:
    lent_out = isinstance(seam.config.attributes.get("connection"), Connection)
    url = connection.engine.url if lent_out else seam.engine.url
    alone = lent_out or sqlite_file.in_memory(url)
    committed = None if alone else partial(sqlite_file.open_to_read, url)
    return foreign_keys.Watch(connection, seam.context.get_context().impl.key_watch, committed)


def _reporters(seam: Seam, steps: list[Any]) -> list[Any]:
    own = seam.options.pop("on_version_apply", None) or []

    def report(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        steps.append(step)
        if step.is_migration and not is_rehearsal():
            revision = step.up_revision
            messages.say(
                messages.STEP,
                direction="upgrade" if step.is_upgrade else "downgrade",
                revision=revision.revision,
                message=history.title(revision),
            )

    return [*([own] if callable(own) else own), report]


def patience(seam: Seam) -> float:
    """Return how many seconds the configuration waits for another writer.

    :raises CommandError: when it says no number
    """
    value = seam.settings.get("MIGRATION_LOCK_TIMEOUT", atomic.PATIENCE)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise CommandError(messages.LOCK_TIMEOUT.format(value=value)) from None


@contextmanager
def _file(seam: Seam, engine: Engine) -> Iterator[Connection]:
    """The application's SQLite file; a file that was made for a run that failed is removed again."""
    path = Path(engine.url.database)
    if seam.moving == "downgrade":
        sqlite_file.require(engine.url)
    new = not path.exists() and sqlite_file.make(path)
    if new:
        messages.say(messages.CREATING, database=path)
    options = seam.settings.get("SQLALCHEMY_ENGINE_OPTIONS")
    try:
        source = atomic.engine(engine.url, options)
        with atomic.connect(source, patience(seam), engine) as connection:
            yield connection
    except BaseException:
        if new:
            with suppress(Exception):
                sqlite_file.unmake(path)
        raise
