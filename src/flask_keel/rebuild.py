"""`make db`: a fresh development database, built beside the old one, which it replaces at the very end.

The starter rows, put into a fresh database before it takes the place of the old one.
"""

import inspect
import ipaddress
import os
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import CodeType, FrameType

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.operations.ops import MigrateOperation
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import (
    URL,
    Column,
    Connection,
    Dialect,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    make_url,
)
from sqlalchemy import inspect as look_at
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.pool import StaticPool

from . import binds, errors, history, output
from .autogenerate import constraints, summary
from .autogenerate.comparators import OPTIONS
from .backup import copies, online
from .catalog import drift
from .project import (
    LOG_TABLE,
    Project,
    engine_options,
    keep_one_transaction,
    kind,
    listening,
    not_ours,
    options_of,
    use_engine,
)
from .revisions import AHEAD_TABLE
from .scratch import cache, databases, servers
from .scratch.servers import interruptible
from .sqlite import transaction
from .sqlite.introspection import driver
from .typing import Options
from .urls import shown

# what libpq reads where a URL says nothing: https://www.postgresql.org/docs/current/libpq-envars.html
ENVIRONMENT = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "service": "PGSERVICE"}
MOST = 3  # lines that are named


def elsewhere(url: URL, options: Options | None = None) -> str | None:
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


def _leads(url: URL, arguments: Options) -> Iterator[tuple[str, str]]:
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


def file(new: Path, old: Path, backups: Path) -> Path | None:
    """Write a SQLite database over another, and keep the replaced one, as a whole or not at all.

    :param backups: the folder in which it is kept; the copy before it makes room
    :returns: where it is kept; None when there was nothing in it
    :raises CommandError: when another process holds it
    """
    kept = backups / f"{old.stem}.replaced{old.suffix}"
    made: list[Path] = []

    def keep(write: Callable[[Path], None]) -> Path:
        backups.mkdir(parents=True, exist_ok=True)
        with copies.part(backups, old.suffix) as part:
            write(part)
            copies.settle(part, kept)
        made.append(kept)
        return kept

    online.write_over(new, old, keep, PATIENCE)
    return kept if made else None


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


def rebuild(config: Config, starter_rows: Rows) -> None:
    """Replace the development database by a fresh one; the old one stays until the new one is whole.

    :param config: Alembic's
    :param starter_rows: puts rows into the application's database
    :raises CommandError: when the configuration does not allow it, or the host is not local
    """
    engine = current_app.extensions["migrate"].db.engine
    require_allowed(engine.url)
    replace = _replace_file if engine.dialect.name == "sqlite" else _replace_on_server
    said, kept = replace(config, engine, starter_rows)
    if not said:
        cache.note_agreed(Project.of(current_app, config))
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


def require_allowed(url: URL) -> None:
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


def _replace_file(
    config: Config, engine: Engine, starter_rows: Rows
) -> tuple[list[str], Path | None]:
    """Build in a file beside, put the starter rows into it, and then write it over the old one."""
    path = online.file_of(engine)
    if path is None:
        return _replace_memory(config, engine, starter_rows), None
    transaction.require_folder(path)
    with interruptible(), databases.database(engine.url) as url:
        with redirected(engine, url, _engine_options()):
            said = build_file(config, engine, url)
            put(starter_rows, UNTOUCHED)
        kept = file(Path(url.database or ""), path, backups_of(path))
    return said, kept


def backups_of(path: Path) -> Path:
    """Return the folder in which is kept what is replaced.

    :param path: the database
    """
    var = history.root(history.folder().resolve()) / "var"
    return (var if var.is_dir() else path.parent) / "backups"


def build_file(config: Config, engine: Engine, url: URL) -> list[str]:
    """Build a SQLite database; return what the models add to the history.

    :param engine: the application's
    :param url: of the empty file
    """
    with transaction.connect(transaction.engine(url), app=engine) as connection:
        return _build(config, connection)


def _replace_memory(config: Config, engine: Engine, starter_rows: Rows) -> list[str]:
    """Its one connection cannot be another: the old content is kept aside, and comes back."""
    fresh = create_engine("sqlite://", poolclass=StaticPool)
    with (
        transaction.connect(fresh, app=engine) as connection,
        engine.connect() as target,
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as before,
    ):
        said = _build(config, connection)
        live = driver(target.connection)
        live.backup(before)
        driver(connection.connection).backup(live)
        try:
            put(starter_rows, UNTOUCHED)
        except BaseException:
            before.backup(live)
            raise
    return said


def _replace_on_server(
    config: Config, engine: Engine, starter_rows: Rows
) -> tuple[list[str], Path | None]:
    """Build in a scratch database, with the starter rows, and let it take the place of the old one."""
    options, url = _engine_options(), engine.url
    try:
        databases.require_isolation(url, _models())
        with databases.database(url, options) as fresh:
            try:
                with redirected(engine, fresh, options):
                    said = build_at(config, fresh)
                    put(starter_rows, UNTOUCHED)
            except servers.NotAllowed:
                raise
            except Exception as error:
                error.add_note(output.Left(errors.AS_IT_WAS))
                raise
            if servers.replace(url, fresh, options):
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


def _tables(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [name for name in look_at(connection).get_table_names() if name != LOG_TABLE]


def _build_alone(config: Config, engine: Engine, starter_rows: Rows) -> None:
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
        drift.made(config, current_app, connection)
        _, script = _compare(connection)
        said = summary.phrases(script.upgrade_ops)
    if said:
        raise CommandError(
            f"The models are ahead of the history ({'; '.join(said)}), so {shown(url)} is built, "
            "without the starter rows: type make newmigration, then make db."
        )
    put(starter_rows, f"{shown(url)} is built, without them")


def _build_in_place(config: Config, engine: Engine, starter_rows: Rows) -> list[str]:
    engine.dispose()
    said = build_at(config, engine.url, f"{shown(engine.url)} holds what the history makes")
    put(starter_rows, f"{shown(engine.url)} is built, without them")
    return said


def build_at(config: Config, url: URL, state: str = UNTOUCHED) -> list[str]:
    """Build a server's database, which is empty; return what the models add to the history.

    :param state: what an error leaves, in the words of a sentence
    """
    options = servers.connection_options(_engine_options())
    with create_engine(url, **options).connect() as connection:
        return _build(config, connection, state)


def _engine_options() -> Options:
    settings = binds.settings(current_app, binds.of(history.folder()))
    return settings.get("SQLALCHEMY_ENGINE_OPTIONS") or {}


def _build(config: Config, connection: Connection, state: str = UNTOUCHED) -> list[str]:
    """Run the history, then what the models add; return what that was."""
    _upgrade(config, connection)
    context, script = _compare(connection)
    said = summary.phrases(script.upgrade_ops)
    with context.begin_transaction():
        databases.create_first(context, None, [script])
        if said:
            _apply(Operations(context), script.upgrade_ops_list[-1], state)
            mark = Table(AHEAD_TABLE, MetaData(), Column("of", String(32), primary_key=True))
            mark.create(connection)
    connection.commit()
    return said


def _upgrade(config: Config, connection: Connection) -> None:
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
        constraints.keep_names(Project.of(current_app, history.config()), connection)
        context.opts["target_metadata"] = metadata
        script = produce_migrations(context, metadata)
    return context, script


def _options(connection: Connection) -> Options:
    given, metadata = options_of(current_app, history.config())
    keep = OPTIONS | {key: given[key] for key in COMPARISON if key in given}
    keep |= databases.comparison(metadata, given)
    keep["include_object"] = not_ours(given.get("include_object"))
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


@contextmanager
def redirected(engine: Engine, url: str | URL, options: Options) -> Iterator[None]:
    """Let the application's engine, with all that listens to it, connect to another database.

    :param url: of the other database
    :param options: the application's engine options
    :raises CommandError: when the application makes its connections itself
    """
    url = make_url(url)
    arguments, keywords = engine.dialect.create_connect_args(url)
    keywords = {**keywords, **(options.get("connect_args") or {})}

    def connect(dialect: Dialect, *_: object) -> DBAPIConnection:
        return dialect.connect(*arguments, **keywords)

    db = current_app.extensions["migrate"].db
    same = [
        one for one in db.engines.values() if one.url == engine.url
    ]  # a bind may lead there, too
    _let_go(same)
    before = current_app.config.get("SQLALCHEMY_DATABASE_URI")
    if engine is db.engine:
        current_app.config["SQLALCHEMY_DATABASE_URI"] = url.render_as_string(hide_password=False)
    try:
        with listening(*same, do_connect=connect):
            _require_there(engine, url)
            yield
    finally:
        current_app.config["SQLALCHEMY_DATABASE_URI"] = before
        _let_go(same)


def _let_go(engines: list[Engine]) -> None:
    current_app.extensions["migrate"].db.session.remove()
    for engine in engines:
        engine.dispose()


def _require_there(engine: Engine, url: URL) -> None:
    queries = {"sqlite": "SELECT file FROM pragma_database_list WHERE name = 'main'"}
    queries["postgresql"] = "SELECT current_database()"
    with engine.connect() as connection:
        query = queries.get(engine.dialect.name, "SELECT DATABASE()")
        found = connection.exec_driver_sql(query).scalar() or ""
    if engine.dialect.name == "sqlite":
        found = str(Path(found).resolve())
        wanted = str(Path(url.database or "").resolve())
    else:
        wanted = url.database or ""
    if found != wanted:
        raise CommandError(
            "The application makes its database connections itself (creator or pool in "
            "SQLALCHEMY_ENGINE_OPTIONS), so the starter rows cannot be tried beside the database: "
            "the database is as it was; give SQLALCHEMY_DATABASE_URI and connect_args instead."
        )


def put(starter_rows: Callable[[], None], state: str) -> None:
    """Put the starter rows into the application's database.

    :param state: what an error leaves, in the words of a sentence
    :raises CommandError: naming the file and the line of the rows that fail
    """
    with _noted() as made:
        try:
            starter_rows()
        except Exception as error:
            where = _where(error, starter_rows, made)
            inner = error.orig if isinstance(error, DBAPIError) else error
            said = error.msg if isinstance(error, SyntaxError) else " ".join(str(inner).split())
            raise CommandError(
                f"{where}: the starter rows do not fit ({type(inner).__name__}: {said}); {state}: "
                "mend the line and try again."
            ) from error
        finally:
            current_app.extensions["migrate"].db.session.remove()


class _Made:
    """The objects that were made of models, each with its place, and those that are being written."""

    def __init__(self) -> None:
        self.places: dict[int, tuple[object, str, int]] = {}
        self.writing: list[object] = []

    def made(self, target: object, *_: object) -> None:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if _own(frame.f_code.co_filename):
                self.places[id(target)] = (target, frame.f_code.co_filename, frame.f_lineno)
                return
            frame = frame.f_back

    def written(self, mapper: object, connection: object, target: object) -> None:
        if self.writing and not isinstance(target, type(self.writing[-1])):
            self.writing.clear()
        self.writing.append(target)


@contextmanager
def _noted() -> Iterator[_Made]:
    """Note where objects are made: a row that does not fit is found only when all are written."""
    made = _Made()
    written = made.written
    with listening(Mapper, init=made.made, before_insert=written, before_update=written):
        yield made


def _where(error: BaseException, starter_rows: Callable[[], None], made: _Made) -> str:
    if isinstance(error, SyntaxError) and error.filename and _own(error.filename):
        return f"{_shown(error.filename)}, line {error.lineno}"
    code = getattr(starter_rows, "__code__", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _own(f.filename)]
    inside = [f for f in frames if code is None or (f.filename, f.name) != _name(code)]
    if inside:
        entry = [frame for frame in inside if frame.filename == inside[0].filename][-1]
        where = f"{_shown(entry.filename)}, line {entry.lineno}"
        deepest = inside[-1]
        if deepest.filename != entry.filename:
            where += f" (in {_shown(deepest.filename)}, line {deepest.lineno})"
        return where
    places = [made.places[id(one)][1:] for one in _failing(error, made) if id(one) in made.places]
    if places:
        file = places[0][0]
        lines = list(dict.fromkeys(str(line) for name, line in places if name == file))
        word = "line" if len(lines) == 1 else "one of the lines"
        return f"{_shown(file)}, {word} {', '.join(lines[:MOST])}"
    return f"{_shown(frames[-1].filename)}, line {frames[-1].lineno}" if frames else "The seed"


def _failing(error: BaseException, made: _Made) -> list[object]:
    """Return the objects that may be in the statement that failed."""
    if not isinstance(error, StatementError):
        return []
    lacking = [one for one in made.writing if _lacks_a_value(one)]
    params = error.params
    values = list(params.values()) if isinstance(params, dict) else list(params or ())
    if lacking or not values or isinstance(values[0], dict | tuple | list):  # several rows at once
        return lacking or made.writing
    alike = {id(one): sum(v in values for v in _values(one)) for one in made.writing}
    most = max(alike.values(), default=0)
    return [one for one in made.writing if alike[id(one)] == most]


def _lacks_a_value(one: object) -> bool:
    state = _state(one)
    needed = [
        column
        for column in state.mapper.local_table.columns
        if not (column.nullable or column.primary_key or column.default or column.server_default)
    ]
    keys = [state.mapper.get_property_by_column(column).key for column in needed]
    return any(state.dict.get(key) is None for key in keys)


def _state(one: object) -> InstanceState[object]:
    state: InstanceState[object] = look_at(one, raiseerr=True)
    return state


def _values(one: object) -> list[object]:
    return [value for value in _state(one).dict.values() if value is not None]


def _name(code: CodeType) -> tuple[str, str]:
    return code.co_filename, code.co_name


def _own(filename: str) -> bool:
    return Path(filename).is_relative_to(Path(current_app.root_path))


def _shown(filename: str) -> str:
    return str(Path(filename).relative_to(Path(current_app.root_path).parent))
