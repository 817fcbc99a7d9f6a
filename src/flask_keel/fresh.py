"""`make db`: a fresh development database: the history, what the models add, the starter rows."""

import inspect
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Column, Connection, MetaData, String, Table, create_engine
from sqlalchemy import inspect as look_at
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from . import (
    aftermath,
    atomic,
    history,
    locality,
    messages,
    scratch,
    servers,
    sqlite_file,
    starter,
    swap,
)
from .interrupts import interruptible
from .revise import at_head, naming, schemas
from .revise.compare import unnamed
from .revise.compare.plugin import OPTIONS
from .seam import AHEAD_TABLE, engine_options, keep_one_transaction, use_engine
from .urls import shown

UNTOUCHED = "the database is as it was"
Rows = Callable[[], None]
# the application's options that say what is compared
COMPARISON = (
    "autogenerate_plugins",
    "compare_type",
    "compare_server_default",
    "include_name",
    "include_object",
    "include_schemas",
)


def rebuild(config: Any, starter_rows: Rows) -> None:
    """Replace the development database by a fresh one; the old one stays until the new one is whole.

    :param config: Alembic's
    :param starter_rows: puts rows into the application's database
    :raises CommandError: when the configuration does not allow it, or the host is not local
    """
    engine = current_app.extensions["migrate"].db.engine
    require_allowed(engine.url)
    replace = _replace_file if engine.dialect.name == "sqlite" else _replace_on_server
    said, kept = replace(config, engine, starter_rows)
    at = " and ".join(sorted(history.heads()))
    if said:
        messages.say(messages.MODELS_AHEAD, operations="; ".join(said), database=shown(engine.url))
    messages.say(messages.REBUILT, database=shown(engine.url), revision=at or "the base")
    if kept:
        messages.say("The one before it is kept: {file}", file=kept)


def require_allowed(url: Any) -> None:
    """Stop unless the configuration allows it and the database is on this machine.

    :raises CommandError: saying what forbids it
    """
    if current_app.config.get("DB_REBUILD_ALLOWED") is not True:
        settings = current_app.config.get("SETTINGS", "The configuration")
        raise CommandError(messages.REBUILD_REFUSED.format(settings=settings, database=shown(url)))
    lead = locality.elsewhere(url, _engine_options())
    if lead:
        raise CommandError(messages.REBUILD_NOT_LOCAL.format(database=shown(url), lead=lead))


def _replace_file(config: Any, engine: Any, starter_rows: Rows) -> tuple[list[str], Path | None]:
    """Build in a file beside, put the starter rows into it, and then write it over the old one."""
    path = _file(engine)
    if path is None:
        return _replace_memory(config, engine, starter_rows), None
    sqlite_file.require_folder(path)
    with interruptible(), scratch.database(engine.url) as url:
        with starter.redirected(engine, url, _engine_options()):
            with atomic.connect(atomic.engine(url), app=engine) as connection:
                said = _build(config, connection)
            starter.put(starter_rows, UNTOUCHED)
        var = Path(config.get_main_option("script_location")).resolve().parent.parent / "var"
        backups = (var if var.is_dir() else path.parent) / "backups"
        kept = swap.file(Path(url.database), path, backups)
    return said, kept


def _file(engine: Any) -> Path | None:
    """Return the file of the database, also where SQLite's own URI names it; None for memory."""
    if not sqlite_file.in_memory(engine.url):
        return Path(engine.url.database)
    if not (engine.url.database or "").startswith("file:"):
        return None
    with engine.connect() as connection:
        found = atomic.main_file(connection.connection.driver_connection)
    return Path(found) if found else None


def _replace_memory(config: Any, engine: Any, starter_rows: Rows) -> list[str]:
    """Its one connection cannot be another: the old content is kept aside, and comes back."""
    fresh = create_engine("sqlite://", poolclass=StaticPool)
    with (
        atomic.connect(fresh, app=engine) as connection,
        engine.connect() as target,
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as before,
    ):
        said = _build(config, connection)
        live = target.connection.driver_connection
        live.backup(before)
        connection.connection.driver_connection.backup(live)
        try:
            starter.put(starter_rows, UNTOUCHED)
        except BaseException:
            before.backup(live)
            raise
    return said


def _replace_on_server(
    config: Any, engine: Any, starter_rows: Rows
) -> tuple[list[str], Path | None]:
    """Build in a scratch database, with the starter rows, and let it take the place of the old one."""
    options, url = _engine_options(), engine.url
    try:
        schemas.require_isolation(url, current_app.extensions["migrate"].db.metadata)
        with scratch.database(url, options) as fresh:
            try:
                with starter.redirected(engine, fresh, options):
                    said = _build_at(config, fresh)
                    starter.put(starter_rows, UNTOUCHED)
            except servers.NotAllowed:
                raise
            except Exception as error:
                aftermath.note(error, messages.AS_IT_WAS)
                raise
            if swap.server(url, fresh, options):
                return said, None
    except servers.NotAllowed as denied:
        if servers.kind(url) == "postgresql" and _tables(engine):
            # there it may not create it again, either
            raise CommandError(
                f"{denied.reason}, and so cannot make {shown(url)} anew: it is as it was."
            ) from denied
        messages.say(messages.NO_REHEARSAL, database=shown(url), reason=denied.reason)
        _build_alone(config, engine, starter_rows)
        return [], None
    servers.recreate(url, options)
    return _build_in_place(config, engine, starter_rows), None


def _tables(engine: Any) -> list[str]:
    with engine.connect() as connection:
        return look_at(connection).get_table_names()


def _build_alone(config: Any, engine: Any, starter_rows: Rows) -> None:
    """Build the history where no scratch database is allowed, without what the models would add.

    A database that were ahead of the history could not stand in for a scratch database.

    :raises CommandError: when the starter rows do not fit, or a migration is due before they can
    """
    url = engine.url
    if servers.kind(url) == "mysql":
        servers.recreate(url, _engine_options())
    engine.dispose()
    options = servers.connection_options(_engine_options())
    with create_engine(url, **options).connect() as connection:
        _upgrade(config, connection)
        at_head.made(config, current_app, connection)
        _, script = _compare(connection)
        said = naming.phrases(script.upgrade_ops)
    if said:
        raise CommandError(
            f"The models are ahead of the history ({'; '.join(said)}), so {shown(url)} is built, "
            "without the starter rows: type make newmigration, then make db."
        )
    starter.put(starter_rows, f"{shown(url)} is built, without them")


def _build_in_place(config: Any, engine: Any, starter_rows: Rows) -> list[str]:
    engine.dispose()
    said = _build_at(config, engine.url, f"{shown(engine.url)} holds what the history makes")
    starter.put(starter_rows, f"{shown(engine.url)} is built, without them")
    return said


def _build_at(config: Any, url: Any, state: str = UNTOUCHED) -> list[str]:
    options = servers.connection_options(_engine_options())
    with create_engine(url, **options).connect() as connection:
        return _build(config, connection, state)


def _engine_options() -> dict[str, Any]:
    return current_app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}


def _build(config: Any, connection: Connection, state: str = UNTOUCHED) -> list[str]:
    """Run the history, then what the models add; return what that was."""
    _upgrade(config, connection)
    context, script = _compare(connection)
    said = naming.phrases(script.upgrade_ops)
    with context.begin_transaction():
        schemas.create_first(context, None, [script])
        if said:
            _apply(Operations(context), script.upgrade_ops, state)
            mark = Table(AHEAD_TABLE, MetaData(), Column("of", String(32), primary_key=True))
            mark.create(connection)
    connection.commit()
    return said


def _upgrade(config: Any, connection: Connection) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
    connection.commit()


def _compare(connection: Connection) -> tuple[MigrationContext, ops.MigrationScript]:
    """Return what the models add to the history."""
    use_engine(connection)
    context = MigrationContext.configure(connection, opts=_options(connection))
    keep_one_transaction(context)
    metadata = current_app.extensions["migrate"].db.metadata
    with context.begin_transaction():
        context.opts["target_metadata"] = metadata
        script = produce_migrations(context, metadata)
    return context, script


def _options(connection: Connection) -> dict[str, Any]:
    given = dict(current_app.extensions["migrate"].configure_args)
    keep = OPTIONS | {key: given[key] for key in COMPARISON if key in given}
    keep |= schemas.comparison(current_app.extensions["migrate"].db.metadata, given)
    if connection.dialect.name == "sqlite":
        keep |= {"transactional_ddl": True, **engine_options(current_app.config)}
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


def _apply_one(operations: Operations, op: Any) -> None:
    if not isinstance(op, ops.ModifyTableOps):
        operations.invoke(op)
        return
    told = {"naming_convention": unnamed.assumed(op)} if unnamed.assumed(op) else {}
    with operations.batch_alter_table(op.table_name, schema=op.schema, **told) as batch:
        for change in op.ops:
            batch.invoke(change)


def _model_of(op: Any) -> str:
    """Return the file of the model whose table an operation changes."""
    name = getattr(op, "table_name", None) or getattr(op, "source_table", None)
    for mapper in current_app.extensions["migrate"].db.Model.registry.mappers:
        file = inspect.getsourcefile(mapper.class_)
        if getattr(mapper.local_table, "name", None) == name and file:
            root = Path(current_app.root_path).parent
            return str(Path(file).relative_to(root) if Path(file).is_relative_to(root) else file)
    return f"The model of {name}" if name else "The models"
