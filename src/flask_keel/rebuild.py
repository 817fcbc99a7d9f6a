"""`make db`: a fresh development database, built beside the old one, which it replaces at the very end."""

import inspect
import ipaddress
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Column, Connection, MetaData, String, Table, create_engine, make_url, text
from sqlalchemy import inspect as look_at
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from . import errors, history, output, seed
from .autogenerate import adopted, at_head, constraints, summary
from .autogenerate.comparators import OPTIONS
from .project import (
    AHEAD_TABLE,
    Project,
    engine_options,
    keep_one_transaction,
    kind,
    options_of,
    use_engine,
)
from .scratch import databases, servers
from .scratch.servers import interruptible
from .sqlite import transaction
from .urls import shown

# what libpq reads where a URL says nothing: https://www.postgresql.org/docs/current/libpq-envars.html
ENVIRONMENT = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "service": "PGSERVICE"}


def elsewhere(url: Any, options: dict[str, Any] | None = None) -> str | None:
    """Return what leads to another machine ("host db.example.com"), or None for a local database.

    Nothing is looked up and nobody is asked: a name other than localhost is another machine.

    :param options: the application's engine options, whose connect_args win over the URL
    """
    for key, value in _leads(make_url(url), (options or {}).get("connect_args") or {}):
        if key not in ("host", "hostaddr"):
            return f"{key} {value}"
        for host in value.split(","):
            if host and not _is_local(host):
                return f"host {host}"
    return None


def _leads(url: Any, arguments: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if url.get_backend_name() == "sqlite":
        return
    said = {**url.query, **arguments}
    said["host"] = said.get("host") or url.host
    if url.get_backend_name() == "postgresql":
        for key, variable in ENVIRONMENT.items():
            said[key] = said.get(key) or os.environ.get(variable)
    elif said["host"] or said.get("unix_socket"):
        said.pop("read_default_file", None)
    for key in ("service", "read_default_file", "host", "hostaddr"):
        value = said.get(key)
        if value:
            yield key, value if isinstance(value, str) else ",".join(value)


def _is_local(host: str) -> bool:
    if host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


PATIENCE = 5  # seconds
IN_USE = "55006"  # PostgreSQL's object_in_use
# what RENAME TABLE cannot take to another database, or would leave behind
UNMOVABLE = text("""
    SELECT (SELECT count(*) FROM information_schema.views WHERE table_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.routines WHERE routine_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.events WHERE event_schema IN (:old, :new))
""")
TABLES = text(
    "SELECT table_name FROM information_schema.tables "
    "WHERE table_schema = :name AND table_type = 'BASE TABLE' ORDER BY table_name"
)


def file(new: Path, old: Path, backups: Path) -> Path | None:
    """Write a SQLite database over another, in one transaction of SQLite's backup.

    A server that has the file open sees the new content, not a deleted file.

    :param backups: the folder in which the replaced one is kept
    :returns: where it is kept; None when there was nothing in it
    :raises CommandError: when another process holds it
    """
    kept = _keep(old, backups)
    try:
        _copy(new, old)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # not a database at all
        part = old.with_name(f".{old.name}.part")
        _copy(new, part)
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{old}{suffix}").unlink(missing_ok=True)
        part.replace(old)
    return kept


def _keep(old: Path, backups: Path) -> Path | None:
    """Keep a copy of a database, as a whole or not at all; the copy before it makes room."""
    if not old.exists() or not old.stat().st_size:
        return None
    backups.mkdir(exist_ok=True)
    kept = backups / f"{old.stem}.replaced{old.suffix}"
    part = backups / f".{kept.name}.part"
    part.unlink(missing_ok=True)
    try:
        try:
            _copy(old, part)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # whatever it is, it was somebody's
            transaction.remove(part)
            shutil.copyfile(old, part)
        part.replace(kept)
    finally:
        transaction.remove(part)
    return kept


def _copy(source: Path, target: Path) -> None:
    deadline = time.monotonic() + PATIENCE

    def give_up(status: int, remaining: int, total: int) -> None:
        # the backup would try for ever: https://www.sqlite.org/c3ref/backup_finish.html
        if time.monotonic() > deadline:
            raise CommandError(errors.LOCKED.format(database=target))

    with closing(sqlite3.connect(source)) as reads, closing(sqlite3.connect(target)) as writes:
        reads.backup(writes, progress=give_up)


def server(old: Any, new: Any, options: dict[str, Any] | None) -> bool:
    """Put a database in the place of another on its server, in one statement or transaction.

    :param old: the URL of the one that goes
    :param new: the URL of the one that comes
    :param options: the application's engine options
    :returns: False when MySQL cannot do that with what is in them; nothing has changed then
    :raises servers.NotAllowed: when the account may not
    """
    old, new = make_url(old), make_url(new)
    away = servers.beside(old.database)
    with (
        servers.administer(old, options) as connection,
        servers.refusal(connection, old.database),
    ):
        if kind(old) == "postgresql":
            _rename_databases(connection, old.database, new.database, away)
            moved = True
        else:
            servers.create(connection, away, servers.locale(connection, old.database))
            moved = _rename_tables(connection, old.database, new.database, away)
        with suppress(DBAPIError):  # the next run sweeps it
            servers.drop(connection, away)
    return moved


def _rename_databases(connection: Connection, old: str, new: str, away: str) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    deadline = time.monotonic() + PATIENCE
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    while True:
        connection.execute(cut, {"name": old})
        connection.exec_driver_sql("BEGIN")
        try:
            connection.exec_driver_sql(f"ALTER DATABASE {quote(old)} RENAME TO {quote(away)}")
            connection.exec_driver_sql(f"ALTER DATABASE {quote(new)} RENAME TO {quote(old)}")
            connection.exec_driver_sql("COMMIT")
            return
        except OperationalError as error:  # somebody has connected again
            connection.exec_driver_sql("ROLLBACK")
            if getattr(error.orig, "sqlstate", None) != IN_USE or time.monotonic() > deadline:
                raise
        except BaseException:
            with suppress(DBAPIError):
                connection.exec_driver_sql("ROLLBACK")
            raise


def _rename_tables(connection: Connection, old: str, new: str, away: str) -> bool:
    if connection.execute(UNMOVABLE, {"old": old, "new": new}).scalar():
        return False
    quote = connection.dialect.identifier_preparer.quote_identifier
    moves = [
        f"{quote(source)}.{quote(table)} TO {quote(target)}.{quote(table)}"
        for source, target in ((old, away), (new, old))
        for table in connection.execute(TABLES, {"name": source}).scalars()
    ]
    for thread in servers.threads(connection, old):
        with suppress(DBAPIError):  # it has ended, or is somebody else's
            connection.exec_driver_sql(f"KILL {thread}")
    try:
        if moves:
            connection.exec_driver_sql(f"RENAME TABLE {', '.join(moves)}")
    except DBAPIError:
        return False
    return True


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
        output.say(
            f"The models are ahead of the history ({'; '.join(said)}): {shown(engine.url)} has "
            "that too, and a migration is due: type make newmigration."
        )
    output.say(f"{shown(engine.url)} is fresh: at {at or 'the base'}, with the starter rows.")
    if kept:
        output.say(f"The one before it is kept: {kept}")


NOT_ALLOWED = (
    "The configuration does not say DB_REBUILD_ALLOWED = True, so {database} is not deleted: say it in "
    "the configuration of development, and in no other."
)


def require_allowed(url: Any) -> None:
    """Stop unless the configuration allows it and the database is on this machine.

    :raises CommandError: saying what forbids it
    """
    if current_app.config.get("DB_REBUILD_ALLOWED") is not True:
        settings = current_app.config.get("SETTINGS")
        if settings is None:
            raise CommandError(NOT_ALLOWED.format(database=shown(url)))
        raise CommandError(
            f"{settings} does not say DB_REBUILD_ALLOWED = True, so {shown(url)} is not deleted: "
            "type make db (which uses dev.conf)."
        )
    lead = elsewhere(url, _engine_options())
    if lead:
        raise CommandError(
            f"{shown(url)} is on another machine ({lead}), so it is not deleted: use a database "
            "on localhost."
        )


def _replace_file(config: Any, engine: Any, starter_rows: Rows) -> tuple[list[str], Path | None]:
    """Build in a file beside, put the starter rows into it, and then write it over the old one."""
    path = _file(engine)
    if path is None:
        return _replace_memory(config, engine, starter_rows), None
    transaction.require_folder(path)
    with interruptible(), databases.database(engine.url) as url:
        with seed.redirected(engine, url, _engine_options()):
            with transaction.connect(transaction.engine(url), app=engine) as connection:
                said = _build(config, connection)
            seed.put(starter_rows, UNTOUCHED)
        var = history.root(Path(config.get_main_option("script_location")).resolve()) / "var"
        backups = (var if var.is_dir() else path.parent) / "backups"
        kept = file(Path(url.database), path, backups)
    return said, kept


def _file(engine: Any) -> Path | None:
    """Return the file of the database, also where SQLite's own URI names it; None for memory."""
    if not transaction.in_memory(engine.url):
        return Path(engine.url.database)
    if not (engine.url.database or "").startswith("file:"):
        return None
    with engine.connect() as connection:
        found = transaction.main_file(connection.connection.driver_connection)
    return Path(found) if found else None


def _replace_memory(config: Any, engine: Any, starter_rows: Rows) -> list[str]:
    """Its one connection cannot be another: the old content is kept aside, and comes back."""
    fresh = create_engine("sqlite://", poolclass=StaticPool)
    with (
        transaction.connect(fresh, app=engine) as connection,
        engine.connect() as target,
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as before,
    ):
        said = _build(config, connection)
        live = target.connection.driver_connection
        live.backup(before)
        connection.connection.driver_connection.backup(live)
        try:
            seed.put(starter_rows, UNTOUCHED)
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
        databases.require_isolation(url, _models())
        with databases.database(url, options) as fresh:
            try:
                with seed.redirected(engine, fresh, options):
                    said = _build_at(config, fresh)
                    seed.put(starter_rows, UNTOUCHED)
            except servers.NotAllowed:
                raise
            except Exception as error:
                error.add_note(output.Left(errors.AS_IT_WAS))
                raise
            if server(url, fresh, options):
                return said, None
    except servers.NotAllowed as denied:
        if kind(url) == "postgresql" and _tables(engine):
            # there it may not create it again, either
            raise CommandError(
                f"{denied.reason}, and so cannot make {shown(url)} anew: it is as it was."
            ) from denied
        output.say(f"{denied.reason}, so {shown(url)} is built again without a rehearsal.")
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
    if kind(url) == "mysql":
        servers.recreate(url, _engine_options())
    engine.dispose()
    options = servers.connection_options(_engine_options())
    with create_engine(url, **options).connect() as connection:
        _upgrade(config, connection)
        at_head.made(config, current_app, connection)
        _, script = _compare(connection)
        said = summary.phrases(script.upgrade_ops)
    if said:
        raise CommandError(
            f"The models are ahead of the history ({'; '.join(said)}), so {shown(url)} is built, "
            "without the starter rows: type make newmigration, then make db."
        )
    seed.put(starter_rows, f"{shown(url)} is built, without them")


def _build_in_place(config: Any, engine: Any, starter_rows: Rows) -> list[str]:
    engine.dispose()
    said = _build_at(config, engine.url, f"{shown(engine.url)} holds what the history makes")
    seed.put(starter_rows, f"{shown(engine.url)} is built, without them")
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
    said = summary.phrases(script.upgrade_ops)
    with context.begin_transaction():
        databases.create_first(context, None, [script])
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
    metadata = _models()
    with context.begin_transaction():
        adopted.keep_names(Project.of(current_app, history.config()), connection)
        context.opts["target_metadata"] = metadata
        script = produce_migrations(context, metadata)
    return context, script


def _options(connection: Connection) -> dict[str, Any]:
    given, metadata = options_of(current_app, history.config())
    keep = OPTIONS | {key: given[key] for key in COMPARISON if key in given}
    keep |= databases.comparison(metadata, given)
    if connection.dialect.name == "sqlite":
        keep |= {"transactional_ddl": True, **engine_options(current_app.config)}
    return keep


def _models() -> MetaData:
    return options_of(current_app, history.config())[1]


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
    told = {"naming_convention": constraints.assumed(op)} if constraints.assumed(op) else {}
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
