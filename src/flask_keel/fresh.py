"""`make db`: a fresh development database: the history, what the models add, the starter rows."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Column, Connection, MetaData, String, Table, create_engine
from sqlalchemy.pool import StaticPool

from . import aftermath, atomic, history, locality, messages, servers, sqlite_file, temporary
from .rehearsal import rehearsal
from .revise import naming, schemas
from .revise.compare.plugin import OPTIONS
from .seam import AHEAD_TABLE, engine_options, keep_one_transaction, shown, use_engine

PATIENCE = 5  # seconds
# the application's options that say what is compared
COMPARISON = (
    "autogenerate_plugins",
    "compare_type",
    "compare_server_default",
    "include_name",
    "include_object",
    "include_schemas",
)


def rebuild(config: Any, starter_rows: Callable[[], None]) -> None:
    """Replace the development database by a fresh one; the old one stays until the new one is whole.

    :param config: Alembic's
    :param starter_rows: puts rows into the application's database
    :raises CommandError: when the configuration does not allow it, or the host is not local
    """
    engine = current_app.extensions["migrate"].db.engine
    require_allowed(engine.url)
    if engine.dialect.name == "sqlite":
        said = _replace_file(config, engine)
    else:
        said = _replace_on_server(config, engine)
    starter_rows()
    at = " and ".join(sorted(history.heads()))
    if said:
        messages.say(messages.MODELS_AHEAD, operations="; ".join(said), database=shown(engine.url))
    messages.say(messages.REBUILT, database=shown(engine.url), revision=at or "the base")


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


def _replace_file(config: Any, engine: Any) -> list[str]:
    """Build in memory, then write the whole over the file in one transaction of SQLite's backup.

    A server that has the file open sees the new content, not a deleted file.
    """
    memory = create_engine("sqlite://", poolclass=StaticPool)
    with atomic.connect(memory) as connection:
        said = _build(config, connection)
        raw = connection.connection.driver_connection
        if sqlite_file.in_memory(engine.url):
            with engine.connect() as target:
                raw.backup(target.connection.driver_connection)
            return said
        path = Path(engine.url.database)
        sqlite_file.require_folder(path)
        engine.dispose()
        try:
            _copy_over(raw, path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # not a database at all
            sqlite_file.remove(path)
            _copy_over(raw, path)
    return said


def _replace_on_server(config: Any, engine: Any) -> list[str]:
    """Build in a scratch database first, so that a history that fails does not cost the old one."""
    engine.dispose()
    metadata = current_app.extensions["migrate"].db.metadata
    try:
        schemas.require_isolation(engine.url, metadata)
        with (
            temporary.database(engine.url, _engine_options()) as url,
            create_engine(url, **servers.connection_options(_engine_options())).connect() as trial,
            rehearsal(),
        ):
            _build(config, trial)
    except servers.NotAllowed as denied:
        if servers.kind(engine.url) == "postgresql":  # there it may not create any other either
            raise CommandError(f"{denied.reason}.") from denied
        messages.say(messages.NO_REHEARSAL, database=shown(engine.url), reason=denied.reason)
    except Exception as error:
        aftermath.note(error, messages.AS_IT_WAS)
        raise
    servers.recreate(engine.url, _engine_options())
    with engine.connect() as connection:
        return _build(config, connection)


def _engine_options() -> dict[str, Any]:
    return current_app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}


def _copy_over(raw: sqlite3.Connection, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE

    def give_up(status: int, remaining: int, total: int) -> None:
        # the backup would try for ever: https://www.sqlite.org/c3ref/backup_finish.html
        if time.monotonic() > deadline:
            raise CommandError(messages.LOCKED.format(database=path))

    target = sqlite3.connect(path)
    try:
        raw.backup(target, progress=give_up)
    finally:
        target.close()


def _build(config: Any, connection: Connection) -> list[str]:
    """Run the history, then what the models add; return what that was."""
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
    connection.commit()
    use_engine(connection)
    context = MigrationContext.configure(connection, opts=_options(connection))
    keep_one_transaction(context)
    migrate = current_app.extensions["migrate"]
    with context.begin_transaction():
        context.opts["target_metadata"] = migrate.db.metadata
        script = produce_migrations(context, migrate.db.metadata)
        said = naming.phrases(script.upgrade_ops)
        schemas.create_first(context, None, [script])
        if said:
            _apply(Operations(context), script.upgrade_ops)
            mark = Table(AHEAD_TABLE, MetaData(), Column("of", String(32), primary_key=True))
            mark.create(connection)
    connection.commit()
    return said


def _options(connection: Connection) -> dict[str, Any]:
    given = dict(current_app.extensions["migrate"].configure_args)
    keep = OPTIONS | {key: given[key] for key in COMPARISON if key in given}
    keep |= schemas.comparison(current_app.extensions["migrate"].db.metadata, given)
    if connection.dialect.name == "sqlite":
        keep |= {"transactional_ddl": True, **engine_options(current_app.config)}
    return keep


def _apply(operations: Operations, container: ops.OpContainer) -> None:
    """Run autogenerate's operations at once, without a file."""
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps):
            with operations.batch_alter_table(op.table_name, schema=op.schema) as batch:
                for change in op.ops:
                    batch.invoke(change)
        elif isinstance(op, ops.OpContainer):
            _apply(operations, op)
        else:
            operations.invoke(op)
