"""One connection and, where the database can, one transaction in which migrations are applied."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, text

from .. import history, output, rebuild, runner
from ..data import is_rehearsal
from ..project import AHEAD_TABLE, Seam
from ..sqlite import foreign_key_check, transaction
from . import failures
from .failures import Run

# What is looked at before a migration runs: a database in an odd state is reported, not touched.


LEFTOVER = "_alembic_tmp_"


def check(seam: Seam, connection: Connection, applied: set[str]) -> None:
    """Stop when the database may not be migrated as it is.

    :param applied: the revisions at which the database says it is
    :raises CommandError: for a revision that no file has, tables without a history, what another tool
        left behind, or a database that `make db` put ahead of the history
    """
    history.require_known(applied, seam.script, seam.database)
    tables = set(inspect(connection).get_table_names())
    if AHEAD_TABLE in tables:
        raise CommandError(output.AHEAD.format(database=seam.database))
    if connection.dialect.name == "sqlite":
        _require_no_leftovers(seam, connection, tables)
    ours = sorted(tables & {table.name for table in seam.metadata.tables.values()})
    if not applied and ours:
        raise CommandError(
            f"{seam.database} has tables ({', '.join(ours)}) but no record of a migration; "
            f"db.create_all() may have made them: type {_fresh(seam)}db stamp REVISION when they "
            "are the tables of that revision."
        )


def _fresh(seam: Seam) -> str:
    """Offer `make db` where it deletes nothing but a development database."""
    options = seam.settings.get("SQLALCHEMY_ENGINE_OPTIONS")
    rebuilt = seam.settings.get("DB_REBUILD_ALLOWED") is True
    if not rebuilt or rebuild.elsewhere(seam.engine.url, options):
        return ""
    return "make db to build a fresh development database, or "


def _require_no_leftovers(seam: Seam, connection: Connection, tables: set[str]) -> None:
    for leftover in sorted(name for name in tables if name.startswith(LEFTOVER)):
        table = _meant(leftover, tables | set(seam.metadata.tables))
        facts = {
            "database": seam.database,
            "path": shlex.quote(seam.database),
            "leftover": leftover,
            "table": table,
            "left": _count(connection, leftover),
        }
        if table not in tables:
            raise CommandError(output.LEFTOVER_IS_ALL.format(**facts))
        raise CommandError(output.LEFTOVER.format(rows=_count(connection, table), **facts))


def _meant(leftover: str, tables: set[str]) -> str:
    # Alembic cuts the name of the copy after fifty characters
    meant = [name for name in sorted(tables) if f"{LEFTOVER}{name}"[:50] == leftover]
    return meant[0] if meant else leftover.removeprefix(LEFTOVER)


def _count(connection: Connection, table: str) -> int:
    quoted = connection.dialect.identifier_preparer.quote_identifier(table)
    return connection.execute(text(f"SELECT count(*) FROM {quoted}")).scalar_one()


def migrate(seam: Seam) -> None:
    """Run the command (upgrade, downgrade, stamp, current) on the application's database.

    A caller of Alembic's functions may give a Connection or an Engine in ``config.attributes``.

    :raises CommandError: when the database may not be migrated as it is, before anything is changed
    """
    given = seam.config.attributes.get("connection")
    if isinstance(given, Connection):
        protect = given.dialect.name == "sqlite" and not seam.reading
        with transaction.protected(given, patience(seam)) if protect else nullcontext():
            _run(seam, given, Run())
        return
    # who gives an engine knows what it is, and where it is to be left
    run, ours = Run(), given is None
    seam.engine = given or seam.engine
    with (
        failures.told(seam, run) if ours and not seam.reading else nullcontext(),
        _connect(seam, seam.engine) as connection,
        _schema_file(seam, connection),
    ):
        _run(seam, connection, run)


def _schema_file(seam: Seam, connection: Connection) -> Any:
    if connection.dialect.name == "sqlite" or seam.moving != "upgrade":
        return nullcontext()
    from ..autogenerate import run as autogenerate_run

    return autogenerate_run.followed(seam, connection)


@contextmanager
def _connect(seam: Seam, engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            yield connection
    elif transaction.in_memory(engine.url):
        with (
            transaction.borrowed(engine) as borrowed,
            transaction.connect(borrowed, patience(seam)) as connection,
        ):
            yield connection
    elif seam.reading and not seam.config.attributes.get("connection"):
        with transaction.reader(engine.url).connect() as connection:
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
            transaction.require(connection.engine.url)  # another process may have unmade it
        applied = set(seam.context.get_context().get_current_heads())
        if seam.moving:
            check(seam, connection, applied)
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
            runner.guarded(connection, seam.engine) if alone else nullcontext(),
            nullcontext() if sqlite else failures.account(seam, connection, run),
        ):
            seam.context.run_migrations()
        if watch is not None and steps:
            watch.require_whole()
    if seam.moving and not steps:
        at = " and ".join(sorted(applied)) or "the base"
        output.say(output.NOTHING_TO_DO, database=seam.database, revision=at)


def _watch(seam: Seam, connection: Connection) -> foreign_key_check.Watch:
    lent_out = isinstance(seam.config.attributes.get("connection"), Connection)
    url = connection.engine.url if lent_out else seam.engine.url
    alone = lent_out or transaction.in_memory(url)
    committed = None if alone else partial(transaction.open_to_read, url)
    return foreign_key_check.Watch(connection, seam.context.get_context().impl.key_watch, committed)


def _reporters(seam: Seam, steps: list[Any]) -> list[Any]:
    own = seam.options.pop("on_version_apply", None) or []

    def report(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        steps.append(step)
        if step.is_migration and not is_rehearsal():
            revision = step.up_revision
            output.say(
                output.STEP,
                direction="upgrade" if step.is_upgrade else "downgrade",
                revision=revision.revision,
                message=history.title(revision),
            )

    return [*([own] if callable(own) else own), report]


def patience(seam: Seam) -> float:
    """Return how many seconds the configuration waits for another writer.

    :raises CommandError: when it says no number
    """
    value = seam.settings.get("MIGRATION_LOCK_TIMEOUT", transaction.PATIENCE)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise CommandError(output.LOCK_TIMEOUT.format(value=value)) from None


@contextmanager
def _file(seam: Seam, engine: Engine) -> Iterator[Connection]:
    """The application's SQLite file; a file that was made for a run that failed is removed again."""
    path = Path(engine.url.database)
    if seam.moving == "downgrade":
        transaction.require(engine.url)
    new = not path.exists() and transaction.make(path)
    if new:
        output.say(output.CREATING, database=path)
    options = seam.settings.get("SQLALCHEMY_ENGINE_OPTIONS")
    try:
        source = transaction.engine(engine.url, options)
        with transaction.connect(source, patience(seam), engine) as connection:
            yield connection
    except BaseException:
        if new:
            with suppress(Exception):
                transaction.unmake(path)
        raise
