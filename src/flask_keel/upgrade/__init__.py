"""Applies migrations: on one connection and, where the database can, in one transaction."""

import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.runtime.migration import MigrationInfo
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .. import backup, catalog, history, output, runner, urls, waiting
from ..catalog import drift
from ..data import is_rehearsal
from ..project import Environment, Project
from ..revisions import AHEAD_TABLE
from ..scratch.servers import interruptible
from ..sqlite import foreign_key_check, transaction
from ..typing import Options
from . import failures, journal, lock, online_ddl, preview, retries
from .failures import Run
from .preview import Look, Plan

LEFTOVER = "_alembic_tmp_"


def check(project: Project, connection: Connection, applied: set[str]) -> None:
    """Stop when the database may not be migrated as it is.

    :param applied: the revisions at which the database says it is
    :raises CommandError: for a revision that no file has, tables without a history, what another tool
        left behind, or a database that `make db` put ahead of the history
    """
    history.require_known(applied, project.script, project.database)
    tables = set(inspect(connection).get_table_names())
    if AHEAD_TABLE in tables:
        raise CommandError(
            f"{project.database} is ahead of the history, since make db put the models' changes "
            "into it: type make newmigration, then make db again."
        )
    if connection.dialect.name == "sqlite":
        _require_no_leftovers(project, connection, tables)
    ours = sorted(tables & {table.name for table in project.metadata.tables.values()})
    if not applied and ours:
        raise CommandError(
            f"{project.database} has tables ({', '.join(ours)}) but no record of a migration; "
            f"db.create_all() may have made them: type {_fresh(project)}db stamp REVISION when they "
            "are the tables of that revision."
        )


def _fresh(project: Project) -> str:
    """Offer `make db` where it deletes nothing but a development database."""
    rebuilt = project.settings.get("DB_REBUILD_ALLOWED") is True
    if not rebuilt or urls.elsewhere(project.engine.url, project.engine_options):
        return ""
    return "make db to build a fresh development database, or "


def _require_no_leftovers(project: Project, connection: Connection, tables: set[str]) -> None:
    for leftover in sorted(name for name in tables if name.startswith(LEFTOVER)):
        table = _meant(leftover, tables | set(project.metadata.tables))
        left, path = _count(connection, leftover), shlex.quote(project.database)
        if table not in tables:
            raise CommandError(
                f"{project.database} holds {leftover} ({left} rows), left by an interrupted migration of "
                f"another tool, and no table {table}: your rows are in it; type "
                f'sqlite3 {path} \'ALTER TABLE "{leftover}" RENAME TO "{table}"\', then try again.'
            )
        raise CommandError(
            f"{project.database} holds {leftover}, left by an interrupted migration of another tool; "
            f"{table} is there with {_count(connection, table)} rows, {leftover} has {left}: when "
            f"{table} is whole, type sqlite3 {path} 'DROP TABLE \"{leftover}\"', then try again."
        )


def _meant(leftover: str, tables: set[str]) -> str:
    # Alembic cuts the name of the copy after fifty characters
    meant = [name for name in sorted(tables) if f"{LEFTOVER}{name}"[:50] == leftover]
    return meant[0] if meant else leftover.removeprefix(LEFTOVER)


def _count(connection: Connection, table: str) -> int:
    quoted = connection.dialect.identifier_preparer.quote_identifier(table)
    return int(connection.execute(text(f"SELECT count(*) FROM {quoted}")).scalar_one())


def migrate(project: Environment) -> None:
    """Run the command (upgrade, downgrade, stamp, current) on the application's database.

    A caller of Alembic's functions may give a Connection or an Engine in ``config.attributes``.

    :raises CommandError: when the database may not be migrated as it is, before anything is changed
    """
    given = project.config.attributes.get("connection")
    if isinstance(given, Connection):
        protect = given.dialect.name == "sqlite" and not project.reading
        with (
            transaction.protected(given, waiting.patience(project.settings))
            if protect
            else nullcontext()
        ):
            _run(project, given, Run())
        return
    # who gives an engine knows what it is, and where it is to be left
    ours = given is None
    project.engine = given or project.engine
    waiting.require(project.settings)  # what is no number is said before anything else
    if project.reading:
        waiting.undisturbed(partial(_apply, project, ours))
    elif not (ours and project.moving):
        _apply(project, ours)
    elif project.planning:
        look = waiting.undisturbed(partial(_look, project)) or _unmade(project)
        if look.steps:
            preview.show(project, look)
    else:
        _agreed(project)


def _agreed(project: Environment) -> None:
    """Apply what nobody minds; as often as it takes, where another process changes it meanwhile."""
    agreed: set[str] = set()
    work = project.work
    while (look := waiting.undisturbed(partial(_look, project))) is None or look.steps:
        plan = _considered(project, look, agreed) if look else None
        try:
            return _apply(project, True, look, plan)
        except preview.Changed:
            project.follow(lambda _: work)  # as it was before this try followed it


def _considered(project: Environment, look: Look, agreed: set[str]) -> Plan | None:
    """Ask before values are lost, and copy before they are changed; without a lock.

    :return: the plan; None where nothing depends on one
    """
    sqlite = project.engine.dialect.name == "sqlite"
    asks = preview.confirms(project) and not project.agreed
    with interruptible():
        plan = None
        nobody_waits = project.zero_downtime and not sqlite
        copies = sqlite and backup.wanted(project) == "auto"
        if (not look.keeps_all and (asks or copies)) or (nobody_waits and look.there):
            plan = waiting.undisturbed(partial(Plan.of, project, look, whole=sqlite))
        if plan and nobody_waits:
            plan.require_no_standstill()
        if plan and asks:
            preview.require_agreement(plan, agreed)
        losing = plan is not None and plan.changes_rows and _writable(project.engine)
        backup.before(project, f"before the {project.moving}", losing=losing)
    return plan


def _apply(
    project: Environment, ours: bool, look: Look | None = None, plan: Plan | None = None
) -> None:
    run = Run()
    with (
        journal.kept(run),
        failures.told(project, run) if ours and not project.reading else nullcontext(),
        _connect(project, project.engine) as connection,
        _locked(project, connection),
        _schema_file(project, connection),
    ):
        _run(project, connection, run, look, plan)
        if ours and not project.reading:
            _say_what_was_never_made(project, connection)


MOST_DIFFERENCES = 4
NOT_WHAT_IT_SAYS = (
    "{database} is not what {file} says ({found}), though it is at the head: it was stamped, made by "
    "db.create_all(), changed by hand or migrated before make rebase; type make status (db status)."
)


def _say_what_was_never_made(project: Environment, connection: Connection) -> None:
    """Recognise a database that is at the head, and was brought there by a word and not by migrations.

    All that was to be done is done: it is said, and no failure.
    """
    look = drift.never_made if project.moving else drift.from_file
    try:
        applied = set(project.context.get_context().get_current_heads())
        found = [str(one) for one in look(project, connection, applied)]
        connection.rollback()
    except (CommandError, SQLAlchemyError):
        return  # db status says why
    if found and project.moving != "downgrade":
        file = project.shown(catalog.path(project.folder, project.dialect))
        said = "; ".join(output.listed(found, MOST_DIFFERENCES))
        output.say(NOT_WHAT_IT_SAYS.format(database=project.database, file=file, found=said))


def _locked(project: Environment, connection: Connection) -> AbstractContextManager[None]:
    if connection.dialect.name == "sqlite" or project.reading:
        return nullcontext()  # on SQLite the one transaction is the lock
    return lock.held(project, connection)


def _look(project: Environment) -> Look | None:
    """Look without a lock, and say where there is nothing to do: nothing waits, nothing is written.

    :return: what there is to do; None where there is no database yet, or nobody else sees it
    """
    engine = project.engine
    if engine.dialect.name == "sqlite":
        file = transaction.file_of(engine.url)
        if file is None or not file.exists():
            return None
        engine = transaction.reader(engine.url)
    with engine.connect() as connection:
        options: Options = {"version_table": project.version_table}
        options["version_table_schema"] = project.options.get("version_table_schema")
        context = MigrationContext.configure(connection, opts=options)
        heads = context.get_current_heads()
        check(project, connection, set(heads))
        steps = list(project.work(heads, context))
        there = bool(heads or set(inspect(connection).get_table_names()) - project.ignored)
    if not steps:
        say_nothing_to_do(project, heads)
    return Look(frozenset(heads), steps, there)


def _unmade(project: Environment) -> Look:
    """What there is to do where there is no database yet."""
    if project.moving == "downgrade":
        transaction.require(project.engine.url)
    with transaction.engine(make_url("sqlite://")).connect() as connection:
        steps = list(project.work((), MigrationContext.configure(connection)))
    return Look(frozenset(), steps, False)


def _writable(engine: Engine) -> bool:
    """Whether the upgrade could begin at all: what hinders it is said by that, not by the copy."""
    path = transaction.file_of(engine.url)
    return path is not None and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def say_nothing_to_do(project: Environment, heads: Iterable[str]) -> None:
    """Say where the database is, and that nothing is to be done."""
    output.say(f"{project.database} is at {history.at(heads)}: nothing to do.")


def _schema_file(project: Environment, connection: Connection) -> AbstractContextManager[None]:
    if connection.dialect.name == "sqlite" or project.moving != "upgrade":
        return nullcontext()
    return drift.followed(project, connection)


@contextmanager
def _connect(project: Environment, engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            yield connection
    elif transaction.file_of(engine.url) is None:
        with (
            transaction.borrowed(engine) as borrowed,
            transaction.connect(borrowed, waiting.patience(project.settings)) as connection,
        ):
            yield connection
    elif project.reading and not project.config.attributes.get("connection"):
        with transaction.reader(engine.url).connect() as connection:
            yield connection
    else:
        with _file(project, engine) as connection:
            yield connection


def _run(
    project: Environment,
    connection: Connection,
    run: Run,
    look: Look | None = None,
    plan: Plan | None = None,
) -> None:
    sqlite = connection.dialect.name == "sqlite"
    steps: list[MigrationInfo] = []
    options: Options = {"on_version_apply": _reporters(project, steps)}
    if sqlite and not project.reading:
        # the whole upgrade is one transaction: all of it happened, or none
        options |= {"transactional_ddl": True, "transaction_per_migration": False}
    else:
        options |= {"transaction_per_migration": True}
    lent_out = connection.in_transaction()
    if not sqlite:
        project.follow(retries.going_on)
    kept = None
    if not project.reading and not is_rehearsal():
        kept = run.journal = journal.Journal(project, connection)
        project.follow(kept.following)
        options["on_version_apply"] += [kept.applied]
    if project.online:
        from .. import zero_downtime  # noqa: F401  (registers itself)

        options["zero_downtime"] = True
    project.configure(connection, **options)
    with project.context.begin_transaction():
        if sqlite:
            transaction.require(connection.engine.url)  # another process may have unmade it
        applied = _looked_again(project, connection, look, plan)
        if not sqlite and not lent_out:
            connection.rollback()  # looking began a transaction; each revision has one of its own
        run.begin(applied)
        project.context.get_context().on_version_apply_callbacks += (run.applied,)
        watch = _watch(project, connection) if sqlite and project.moving else None
        # on a server another connection does see what was committed; in a rehearsal it is astray
        alone = sqlite or is_rehearsal()
        others = project.others if is_rehearsal() else ()
        with runner.guarded(connection, project.engine, others) if alone else nullcontext():
            if sqlite:
                project.context.run_migrations()
            else:
                _on_a_server(project, connection, run)
        if watch is not None and steps:
            watch.require_whole()
        if kept is not None:
            kept.end()
    if project.moving and not steps:
        say_nothing_to_do(project, applied)


def _looked_again(
    project: Environment, connection: Connection, look: Look | None, plan: Plan | None
) -> set[str]:
    """Return where the database is, under the lock.

    :raises preview.Changed: when it is not what was looked at before
    """
    applied = set(project.context.get_context().get_current_heads())
    if project.moving:
        check(project, connection, applied)
    elif not project.purging:
        history.require_known(applied, project.script, project.database)
    if look is not None and look.heads != applied:
        raise preview.Changed
    if plan is not None:
        plan.require_current(connection)
    return applied


def _on_a_server(project: Environment, connection: Connection, run: Run) -> None:
    """Run a command's migrations on a server, with short waits for locks and with retries.

    A caller's own transaction is run through as it is: it is not ours to roll back.
    """
    lent_out = connection.in_transaction()
    with failures.account(project, connection, run) as progress:
        if lent_out:
            project.context.run_migrations()
            return
        kind = retries.Postgresql if connection.dialect.name == "postgresql" else online_ddl.Mysql
        with kind(project, connection, run, progress).patient() as patience:
            project.context.get_context().on_version_apply_callbacks += (patience.next_revision,)
            while True:
                try:
                    project.context.run_migrations()
                    return
                except DBAPIError as error:
                    if not patience.again(error):
                        raise
                time.sleep(patience.pause)


def _watch(project: Environment, connection: Connection) -> foreign_key_check.Watch:
    lent_out = isinstance(project.config.attributes.get("connection"), Connection)
    url = connection.engine.url if lent_out else project.engine.url
    alone = lent_out or transaction.file_of(url) is None
    committed = None if alone else partial(transaction.open_to_read, url)
    impl = project.context.get_context().impl
    return foreign_key_check.Watch(connection, foreign_key_check.watch_of(impl), committed)


def _reporters(project: Environment, steps: list[MigrationInfo]) -> list[Callable[..., None]]:
    own = project.options.get("on_version_apply") or []

    def report(
        ctx: MigrationContext, step: MigrationInfo, heads: set[str], run_args: object
    ) -> None:
        revision = step.up_revision
        if step.is_migration and steps and steps[-1].up_revision is revision:
            return  # its commit is tried again
        steps.append(step)
        if step.is_migration and isinstance(revision, Script) and not is_rehearsal():
            way = "upgrade" if step.is_upgrade else "downgrade"
            output.say(f"  {way} {revision.revision}  {history.title(revision)}")

    return [*([own] if callable(own) else own), report]


@contextmanager
def _file(project: Environment, engine: Engine) -> Iterator[Connection]:
    """The application's SQLite file; a file that was made for a run that failed is removed again."""
    path = transaction.file_of(engine.url) or Path()
    if project.moving == "downgrade":
        transaction.require(engine.url)
    new = not path.exists() and transaction.make(path)
    if new:
        output.say(f"creating {path}")
    options = project.engine_options
    try:
        source = transaction.engine(engine.url, options)
        with transaction.connect(source, waiting.patience(project.settings), engine) as connection:
            yield connection
    except BaseException:
        if new:
            with suppress(Exception):
                transaction.unmake(path)
        raise
