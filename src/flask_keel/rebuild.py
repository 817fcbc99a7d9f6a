"""`make db`: fresh development databases, built beside the old ones, which they replace at the very end."""

import inspect
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click
from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.operations.ops import MigrateOperation
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import (
    URL,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    create_engine,
)
from sqlalchemy import inspect as look_at
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from . import backup, binds, errors, history, literals, multidb, output, stock, urls
from .autogenerate import comparators, constraints, summary
from .backup import online
from .binds import Bind
from .catalog import drift
from .project import (
    LOG_TABLE,
    Project,
    engine_options,
    keep_one_transaction,
    listening,
    not_ours,
    use_engine,
)
from .revisions import AHEAD_TABLE
from .scratch import cache, databases, servers
from .scratch.servers import interruptible
from .sqlite import transaction
from .sqlite.introspection import driver
from .starter_rows import Rows, put, redirected
from .typing import Options

PATIENCE = 5  # seconds
UNTOUCHED = "the database is as it was"
# the application's options that say what is compared
Projects = Mapping[Bind, Project]


def rebuild(sow: Callable[[], str | None]) -> None:
    """Replace development databases by fresh ones; the old ones stay until the new ones are whole.

    Those that the command is for: what the starter rows put into the application's others is thrown away.

    :param sow: puts rows into all databases of the application, and returns what is to be said of them
    :raises CommandError: when the configuration does not allow it, or a host is not local
    """
    told: list[object] = []

    def starter_rows() -> None:
        told.append(sow())

    several = multidb.several()
    every, wanted = (multidb.every(), multidb.chosen()) if several else ([None], [None])
    _require_no_other_is_migrated()
    with interruptible(), _folders(every):
        projects: dict[Bind, Project] = {bind: multidb.project(bind) for bind in every}
        for bind in wanted:
            with multidb.on(bind):
                require_allowed(projects[bind])
        if several:
            multidb.require_apart()
        said, kept = _replace_all(projects, wanted, starter_rows)
    for bind in wanted:
        with multidb.on(bind):
            _tell(projects[bind], said[bind], kept.get(bind))
    if None in wanted and isinstance(told[-1], str):  # of those of another bind nothing is known
        output.say(told[-1])


def _require_no_other_is_migrated() -> None:
    """Stop at an env.py that goes through all binds by itself: those are nobody's to replace.

    :raises CommandError: naming it
    """
    env = history.folder() / "env.py"
    if env.is_file() and stock.is_multidb(env.read_text(encoding="utf-8", errors="replace")):
        raise CommandError(
            f"{env} is Flask-Migrate's own, which would migrate the databases of the binds, too: type db "
            "adopt."
        )


NOT_ALLOWED = (
    "The configuration does not say DB_REBUILD_ALLOWED = True, so {database} is not deleted: say it in "
    "the configuration of development, and in no other."
)


def require_allowed(one: Project) -> None:
    """Stop unless the configuration allows it and the database is on this machine.

    :raises CommandError: saying what forbids it
    """
    if current_app.config.get("DB_REBUILD_ALLOWED") is not True:
        settings = current_app.config.get("SETTINGS")
        if settings is None:
            raise CommandError(NOT_ALLOWED.format(database=one.database))
        raise CommandError(
            f"{settings} does not say DB_REBUILD_ALLOWED = True, so {one.database} is not deleted: "
            "type make db (which uses dev.conf)."
        )
    lead = urls.elsewhere(one.engine.url, one.engine_options)
    if lead:
        raise CommandError(
            f"{one.database} is on another machine ({lead}), so it is not deleted: use a database "
            "on localhost."
        )


@contextmanager
def _folders(every: Sequence[Bind]) -> Iterator[None]:
    """Let a bind that has models and no migration yet have its folder for the while."""
    with ExitStack() as made:
        for bind in every:
            with multidb.on(bind) as folder:
                made.enter_context(multidb.folder_made(Path(folder), bind))
        yield


Said = dict[Bind, list[str]]  # what the models of each add to its history
Kept = dict[Bind, Path | None]  # where what was replaced is kept
TOGETHER = "{reason}, and so the databases cannot be made anew together: they are as they were."
AHEAD = (
    "The models are ahead of the history ({said}): {database} has that too, and a migration is due: type "
    "make newmigration."
)


def _replace_all(
    projects: Projects, wanted: Sequence[Bind], starter_rows: Rows
) -> tuple[Said, Kept]:
    said: Said = {}
    kept: Kept = {}
    only = next(iter(projects.values())) if len(projects) == 1 else None
    if only and only.dialect == "sqlite" and transaction.file_of(only.engine.url) is None:
        return {only.bind: _replace_memory(only, starter_rows)}, kept
    try:
        with _beside(projects) as fresh:
            with _led(projects, fresh):
                for bind, url in fresh.items():
                    said[bind] = _build_at(projects[bind], url)
                put(starter_rows, UNTOUCHED)
            with _told_of_others(kept):
                for bind in wanted:
                    with _of(bind):
                        _replace(projects[bind], fresh[bind], kept)
                if left := [bind for bind in wanted if bind not in kept]:
                    _build_in_place(projects, left, said, starter_rows)
    except servers.NotAllowed as denied:
        if only is None:
            raise CommandError(TOGETHER.format(reason=denied.reason)) from denied
        _build_alone(only, denied, starter_rows)
        said = {only.bind: []}
    return said, kept


def _tell(one: Project, said: list[str], kept: Path | None) -> None:
    if said:
        output.say(AHEAD.format(said="; ".join(said), database=one.database))
    else:
        cache.note_agreed(one)
    at = history.at(one.script.get_heads())
    output.say(f"{one.database} is fresh: at {at}, with the starter rows.")
    if kept:
        output.say(f"The one before it is kept: {kept}")


@contextmanager
def _of(bind: Bind, left: str | None = None, url: URL | None = None) -> Iterator[None]:
    """Make a sentence of an error inside, as long as it is known of which database it is.

    :param left: what it leaves
    :param url: where it happens, where that is not the database itself
    """
    with multidb.on(bind):
        try:
            yield
        except servers.NotAllowed:
            raise
        except Exception as error:
            if left:
                error.add_note(output.Left(left))
            failed = errors.as_click(error, url)
            raise failed from (None if failed is error else error)


@contextmanager
def _told_of_others(kept: Kept) -> Iterator[None]:
    """Say with an error inside which databases were replaced before it: nothing puts them back."""
    try:
        yield
    except (click.ClickException, CommandError, servers.NotAllowed) as error:
        if not kept:
            raise
        before = ", ".join(
            binds.shown(bind)
            + (f" (the one before it is kept until the next try: {path})" if path else "")
            for bind, path in kept.items()
        )
        said = f"{error.reason}." if isinstance(error, servers.NotAllowed) else str(error)
        raise CommandError(f"{said} What is fresh already: {before}.") from error


@contextmanager
def _beside(projects: Projects) -> Iterator[dict[Bind, URL]]:
    """Give an empty database for each, gone afterwards."""
    with ExitStack() as made:
        fresh = {}
        for bind, one in projects.items():
            with _of(bind):
                _require_possible(one)
        for bind, one in projects.items():
            with _of(bind):
                made_here = databases.database(one.engine.url, one.engine_options)
                fresh[bind] = made.enter_context(made_here)
        yield fresh


def _require_possible(one: Project) -> None:
    if one.dialect != "sqlite":
        databases.require_isolation(one.engine.url, one.metadata)
        servers.require_own(one.engine.url, one.engine_options)
    elif (path := transaction.file_of(one.engine.url)) is not None:
        transaction.require_folder(path)
    else:
        raise CommandError(
            f"{binds.shown(one.bind)} is a database in memory, and cannot be made anew with others: "
            "give it a file, or leave the bind out (Keel's binds=)."
        )


@contextmanager
def _led(projects: Projects, fresh: Mapping[Bind, URL]) -> Iterator[None]:
    """Let the application's engines lead to those databases."""
    with ExitStack() as led:
        for bind, url in fresh.items():
            one = projects[bind]
            with _of(bind, url=_file(one, url)):
                led.enter_context(redirected(one.engine, url, one.engine_options))
        yield


def _replace(one: Project, url: URL, kept: Kept) -> None:
    """Put it in the place of the old one, where that can be; note what is kept of that."""
    if one.dialect == "sqlite":
        new, old = Path(url.database or ""), transaction.file_of(one.engine.url)
        assert old is not None  # _require_possible has seen it
        kept[one.bind] = _write_over(new, old, _backups_of(old) / (one.bind or ""))
    elif servers.replace(one.engine.url, url, one.engine_options):
        kept[one.bind] = None


def _write_over(new: Path, old: Path, backups: Path) -> Path | None:
    """Write a SQLite database over another, and keep the replaced one, as a whole or not at all.

    :param backups: the folder in which it is kept; the copy before it makes room
    :returns: where it is kept; None when there was nothing in it
    :raises CommandError: when another process holds it
    """
    kept = backups / f"{old.stem}.replaced{old.suffix}"
    made: list[Path] = []

    def keep(write: Callable[[Path], None]) -> Path:
        backup.make_folder(backups)
        with backup.part(backups, old.suffix) as part:
            write(part)
            backup.settle(part, kept)
        made.append(kept)
        return kept

    online.write_over(new, old, keep, PATIENCE)
    return kept if made else None


def _backups_of(path: Path) -> Path:
    var = history.root(history.folder().resolve()) / "var"
    return (var if var.is_dir() else path.parent) / "backups"


def _replace_memory(one: Project, starter_rows: Rows) -> list[str]:
    """Its one connection cannot be another: the old content is kept aside, and comes back."""
    fresh = create_engine("sqlite://", poolclass=StaticPool)
    with (
        transaction.connect(fresh, app=one.engine) as connection,
        one.engine.connect() as target,
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as before,
    ):
        said = _build(one, connection)
        live = driver(target.connection)
        live.backup(before)
        driver(connection.connection).backup(live)
        try:
            put(starter_rows, UNTOUCHED)
        except BaseException:
            before.backup(live)
            raise
    return said


def _build_in_place(
    projects: Projects, left: Sequence[Bind], said: Said, starter_rows: Rows
) -> None:
    """On MySQL, where a database has but one name: build it again, the rows have been tried.

    The others get the rows too, in databases that nobody keeps.
    """
    for one in (projects[bind] for bind in left):
        servers.recreate(one.engine.url, one.engine_options)
        one.engine.dispose()
        state = f"{one.database} holds what the history makes"
        said[one.bind] = _build_at(one, one.engine.url, state)
    others = {bind: one for bind, one in projects.items() if bind not in left}
    built = " and ".join(projects[bind].database for bind in left)
    with _beside(others) as fresh, _led(others, fresh):
        for bind, url in fresh.items():
            _build_at(projects[bind], url)
        put(starter_rows, f"{built} is built, without them")


def _build_alone(one: Project, denied: servers.NotAllowed, starter_rows: Rows) -> None:
    """Build the history where no scratch database is allowed, without what the models would add.

    A database that were ahead of the history could not stand in for a scratch database.

    :raises CommandError: when the starter rows do not fit, or a migration is due before they can
    """
    if one.dialect == "postgresql" and _tables(one):
        # there it may not create it again, either
        raise CommandError(
            f"{denied.reason}, and so cannot make {one.database} anew: it is as it was."
        ) from denied
    output.say(f"{denied.reason}, so {one.database} is built again without a rehearsal.")
    url, options = one.engine.url, one.engine_options
    if one.dialect == "mysql":
        servers.recreate(url, options)
    one.engine.dispose()
    with create_engine(url, **servers.connection_options(options)).connect() as connection:
        _upgrade(one, connection)
        drift.made(one.config, current_app, connection)
        _, script = _compare(one, connection)
        said = summary.phrases(script.upgrade_ops)
    if said:
        raise CommandError(
            f"The models are ahead of the history ({'; '.join(said)}), so {one.database} is built, "
            "without the starter rows: type make newmigration, then make db."
        )
    put(starter_rows, f"{one.database} is built, without them")


def _tables(one: Project) -> list[str]:
    with one.engine.connect() as connection:
        return [name for name in look_at(connection).get_table_names() if name != LOG_TABLE]


def _build_at(one: Project, url: URL, state: str = UNTOUCHED) -> list[str]:
    """Build a database, which is empty; return what the models add to the history.

    :param state: what an error leaves, in the words of a sentence
    """
    left = errors.AS_IT_WAS if state is UNTOUCHED else None
    with _of(one.bind, left, _file(one, url)):
        if one.dialect == "sqlite":
            opened = transaction.connect(transaction.engine(url), app=one.engine)
            with opened as connection:
                return _build(one, connection, state)
        options = servers.connection_options(one.engine_options)
        with create_engine(url, **options).connect() as connection:
            return _build(one, connection, state)


def _file(one: Project, url: URL) -> URL | None:
    return url if one.dialect == "sqlite" else None


def _build(one: Project, connection: Connection, state: str = UNTOUCHED) -> list[str]:
    """Run the history, then what the models add; return what that was."""
    _upgrade(one, connection)
    context, script = _compare(one, connection)
    said = summary.phrases(script.upgrade_ops)
    with context.begin_transaction():
        databases.create_first(context, script)
        if said:
            _apply(Operations(context), script.upgrade_ops_list[-1], state)
            mark = Table(AHEAD_TABLE, MetaData(), Column("of", String(32), primary_key=True))
            mark.create(connection)
    connection.commit()
    return said


def _upgrade(one: Project, connection: Connection) -> None:
    one.config.attributes["connection"] = connection
    command.upgrade(one.config, "heads")
    connection.commit()


def _compare(one: Project, connection: Connection) -> tuple[MigrationContext, ops.MigrationScript]:
    """Return what the models add to the history."""
    use_engine(connection)
    context = MigrationContext.configure(connection, opts=_options(one, connection))
    keep_one_transaction(context)
    with context.begin_transaction():
        constraints.keep_names(one, connection)
        context.opts["target_metadata"] = one.metadata
        with listening(Table, column_reflect=literals.read_column):
            script = produce_migrations(context, one.metadata)
    return context, script


def _options(one: Project, connection: Connection) -> Options:
    keep = comparators.options(one.metadata, one.options)
    keep["include_object"] = not_ours(one.options.get("include_object"))
    if connection.dialect.name == "sqlite":
        keep |= {"transactional_ddl": True, **engine_options(one.settings)}
    return keep


def _apply(operations: Operations, container: ops.OpContainer, state: str) -> None:
    """Run autogenerate's operations at once, without a file.

    :param state: what an error leaves, in the words of a sentence
    :raises CommandError: naming the model whose table cannot be made so
    """
    for op in container.ops:
        if isinstance(op, ops.OpContainer) and not isinstance(op, ops.ModifyTableOps):
            _apply(operations, op, state)
            continue
        try:
            _apply_one(operations, op)
        except (SQLAlchemyError, CommandError) as error:
            said = " ".join(str(getattr(error, "orig", error)).split()).rstrip(".")
            raise CommandError(
                f"{_model_of(op)}: what it adds to the history cannot be made ({said}); {state}: "
                "mend the model and try again."
            ) from error


def _apply_one(operations: Operations, op: MigrateOperation) -> None:
    if not isinstance(op, ops.ModifyTableOps):
        operations.invoke(op)
        return
    assumed = constraints.assumed(op) or None
    with operations.batch_alter_table(
        op.table_name, schema=op.schema, naming_convention=assumed
    ) as batch:
        for change in op.ops:
            batch.invoke(change)


def _model_of(op: MigrateOperation) -> str:
    """Return the file of the model whose table an operation changes."""
    name = getattr(op, "table_name", None) or getattr(op, "source_table", None)
    for mapper in current_app.extensions["migrate"].db.Model.registry.mappers:
        file = inspect.getsourcefile(mapper.class_)
        if getattr(mapper.local_table, "name", None) == name and file:
            root = Path(current_app.root_path).parent
            return str(Path(file).relative_to(root) if Path(file).is_relative_to(root) else file)
    return f"The model of {name}" if name else "The models"
