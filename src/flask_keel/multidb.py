"""One command on several databases: which they are, in which order, and how they stand when one fails."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NoReturn

import click
from alembic.util import CommandError
from flask import Flask, current_app
from sqlalchemy import Connection, ForeignKey, MetaData, text
from sqlalchemy.exc import ArgumentError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.orm import configure_mappers

from . import binds, errors, heads, history, output
from .autogenerate import questioner
from .binds import Bind
from .project import Project
from .sqlite import transaction
from .typing import Value

NAMED = "flask_keel.bind"  # in click's context: what --bind says


def _note(context: click.Context, param: click.Parameter, value: str | None) -> None:
    context.meta[NAMED] = value


OPTION = click.Option(
    ["--bind"],
    metavar="NAME",
    expose_value=False,
    callback=_note,
    help="One database alone: default, or a bind of SQLALCHEMY_BINDS.",
)


def _named() -> str | None:
    command = click.get_current_context(silent=True)
    return command.meta.get(NAMED) if command else None


def _app() -> Flask:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy's
    return app


def chosen() -> list[Bind]:
    """Return the databases that the current command is for, the default first.

    :raises click.ClickException: for a bind that is not there, is left out or has nothing to migrate
    """
    app, folder, named = _app(), history.folder(), _named()
    if named is None and not binds.configured(app) and not binds.with_models(app):
        return [None]
    if (bind := binds.of(folder)) is not None and named in (None, bind):
        return [bind]
    home = binds.home(folder)
    if not _ours(home):
        if named is not None:
            raise click.ClickException(
                f"{home / 'env.py'} is Flask-Migrate's own, which knows no --bind: type db adopt."
            )
        return [None]
    every = binds.every(app, home)
    if named is None:
        return every
    if named not in map(binds.shown, every):
        _refuse(app, named, every)
    return [None if named == binds.DEFAULT else named]


def several() -> bool:
    """Whether the application has several databases that are ours, whatever the command is for."""
    app, home = _app(), binds.home(history.folder())
    has_binds = binds.configured(app) or binds.with_models(app)
    return bool(has_binds) and _ours(home) and len(every()) > 1


def every() -> list[Bind]:
    """Return all databases that are ours, the default first."""
    return binds.every(_app(), binds.home(history.folder()))


def _ours(home: Path) -> bool:
    try:
        return "flask_keel" in (home / "env.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True  # the command says it


def _refuse(app: Flask, named: str, every: Sequence[Bind]) -> NoReturn:
    if named in binds.left_out(app):
        raise click.ClickException(
            f"{named} is left out (Keel's binds=), so no command touches it: name it there first."
        )
    if named in binds.configured(app):
        raise click.ClickException(
            f"{named} has no model and no migration: give a model __bind_key__ = {named!r} first."
        )
    there = ", ".join(map(binds.shown, every))
    raise click.ClickException(f"There is no bind {named}: type --bind with one of {there}.")


def only(what: str) -> None:
    """Stop where the command is for several databases, and none is named.

    :param what: what is done to one, as the begin of a sentence
    :raises click.UsageError: naming them
    """
    found = chosen()
    if len(found) > 1:
        names = ", ".join(map(binds.shown, found))
        raise click.UsageError(f"{what}, and there are {names}: name it, --bind NAME (bind=NAME).")


@contextmanager
def on(bind: Bind, several: bool = False) -> Iterator[str]:
    """Let the migrations folder of the command be that of one database.

    :param several: whether the command is for more of them, so that sentences have to name it
    """
    command = click.get_current_context()
    before = command.meta.get(history.DIRECTORY)
    several = several or bind is not None or bool(binds.configured(_app()))
    folder = str(binds.folder(binds.home(history.folder()), bind))
    command.meta[history.DIRECTORY] = folder
    try:
        with output.on_bind(binds.shown(bind) if several else None):
            yield folder
    finally:
        command.meta[history.DIRECTORY] = before


def project(bind: Bind) -> Project:
    """Return the project that one database of the current application is."""
    with on(bind):
        return Project.of(_app(), history.config())


# takes the migrations folder, None for what the command was given
Turn = Callable[[str | None], object]


def in_turn(
    run: Turn,
    directory: str | None = None,
    *,
    moves: bool = False,
    collects: bool = False,
    writes: bool = False,
) -> list[object]:
    """Do a command's work for each of its databases, one after the other; return what each returned.

    :param directory: what was typed as --directory
    :param moves: whether databases are changed, so that a failure says how the others stand
    :param collects: whether the others are looked at, too, after a failure
    :param writes: whether a bind that has models and no migrations folder is given one
    """
    every = chosen()
    if every == [None] and _named() is None:
        return [run(directory)]
    if moves:
        require_apart()
    failed, answers = list[tuple[Bind, click.ClickException]](), list[object]()
    for number, bind in enumerate(every):
        try:
            answers += _turn(run, bind, len(every) > 1, collects, writes)
        except click.ClickException as error:
            if moves and len(every) > 1:
                _say_more(error, f"{error.message} {_others(every, number)}")
            if not collects or isinstance(error, click.UsageError):
                raise
            failed.append((bind, error))
    if failed:
        raise _joined(failed) if len(every) > 1 else failed[0][1]
    return answers


def _turn(run: Turn, bind: Bind, several: bool, required: bool, writes: bool) -> list[object]:
    if several:
        output.say(f"{output.paint(binds.shown(bind), bold=True)}:")
    with on(bind, several) as name, output.beside(bind if several else None):
        folder = Path(name)
        try:
            with folder_made(folder, bind) if writes else nullcontext():
                if (folder / "env.py").is_file():
                    return [run(name)]
                return _without_migrations(bind, required)
        except Exception as error:  # as long as it is known whose it is
            failed = errors.as_click(error)
            raise failed from (None if failed is error else error)


NO_MIGRATIONS = (
    "{bind} has models ({tables}) and no migration: type make newmigration (db migrate)."
)


def _without_migrations(bind: Bind, required: bool) -> list[object]:
    tables = ", ".join(binds.with_models(_app()).get(bind or "", ()))
    said = NO_MIGRATIONS.format(bind=binds.shown(bind), tables=tables)
    if required:
        raise CommandError(said)
    output.say(said)
    return []


def _joined(failed: list[tuple[Bind, click.ClickException]]) -> click.ClickException:
    """Return the first of several errors, which says whose it is, once the others are said."""
    (bind, first), *others = failed
    for other, error in others:
        output.say(f"{binds.shown(other)}: {error.format_message()}")
    names = ", ".join(binds.shown(other) for other, _ in others)
    more = f" ({names} failed, too: see above)" if others else ""
    return _say_more(first, f"{binds.shown(bind)}: {first.message}{more}")


def _say_more(error: click.ClickException, message: str) -> click.ClickException:
    error.message = message  # type: ignore[misc]  # its exit code is to stay
    return error


def _others(every: Sequence[Bind], number: int) -> str:
    """Say how the databases stand before and after the one that stopped."""
    parts = [f"{binds.shown(one)} is {_state(one)}" for one in every[:number]]
    parts += [f"{binds.shown(one)} was not begun ({_state(one)})" for one in every[number + 1 :]]
    return f"It was {binds.shown(every[number])} that stopped; {', '.join(parts)}."


def _state(bind: Bind) -> str:
    home = binds.home(history.folder())
    if not (binds.folder(home, bind) / "env.py").is_file():
        return "without a migration yet"
    with suppress(Exception):
        applied = applied_of(project(bind))
        return f"at {history.at(applied)}"
    return "without an answer"


def applied_of(one: Project) -> set[str]:
    """Return where a database is: nowhere for a file that is not there."""
    file = transaction.file_of(one.engine.url)
    if file is not None and not file.exists():
        return set()
    with one.reader.connect() as connection:
        return one.applied(connection)


# What a bind's migrations folder is made of.

OF_THE_DEFAULT = re.compile(
    r"^(?:version_locations|script_location|adopted_at|naming_convention)[ \t]*[=:].*\n"
    r"(?:[ \t]+\S.*\n)*",
    re.MULTILINE,
)
ENV = "from flask_keel import env\n\nenv.run()\n"


@contextmanager
def folder_made(folder: Path, bind: Bind) -> Iterator[None]:
    """Give a bind its migrations folder; it goes again where no migration comes into it.

    :param folder: the one that it is to have
    """
    if bind is None or (folder / "env.py").is_file():
        yield
        return
    home, first = folder.parent.parent, not folder.parent.exists()
    try:
        (folder / "versions").mkdir(parents=True, exist_ok=True)
        if not (folder / "alembic.ini").is_file():  # env.py alone may be missing
            ini = (home / "alembic.ini").read_text(encoding="utf-8")
            (folder / "alembic.ini").write_text(OF_THE_DEFAULT.sub("", ini), encoding="utf-8")
        (folder / "env.py").write_text(ENV, encoding="utf-8")
        shutil.copyfile(home / "script.py.mako", folder / "script.py.mako")
        if heads.path(home).is_file():
            heads.path(folder).touch()
        yield
    finally:
        if not any((folder / "versions").glob("*.py")):
            shutil.rmtree(folder.parent if first else folder, ignore_errors=True)


# Two histories that would keep their revisions in one table: the databases are asked, since two URLs may
# lead to one.

CLUSTER = "SELECT system_identifier FROM pg_control_system()"
STARTED = "SELECT pg_postmaster_start_time()"  # where that is not for everybody
IN_SCHEMA = (
    "SELECT relnamespace::regnamespace::text FROM pg_class "
    "WHERE oid = to_regclass(quote_ident(:name))"
)
ON_MYSQL = "SELECT @@hostname, @@port, @@datadir, lower(database())"


def require_apart() -> None:
    """Stop where two databases of ours are one.

    :raises CommandError: naming both
    """
    known: dict[tuple[Value, ...], Bind] = {}
    home = binds.home(history.folder())
    there = binds.migrated(_app(), home)
    for one in map(project, there if len(there) > 1 else ()):
        where = place(one)
        if where is not None and where in known:
            both = f"{binds.shown(known[where])} and {one.bind}"
            raise CommandError(
                f"{both} keep their revisions in one and the same {one.version_table} ({one.database}): give "
                "one of them a database of its own, or leave the bind out (Keel's binds=)."
            )
        if where is not None:
            known[where] = one.bind


def place(one: Project) -> tuple[Value, ...] | None:
    """Return what tells where a database keeps its revisions from any other place; None where it does not
    answer."""
    if one.dialect == "sqlite":
        return _file(one)
    try:
        with one.reader.connect() as connection:
            if one.dialect == "mysql":
                return tuple(connection.exec_driver_sql(ON_MYSQL).one())
            return _of_postgresql(one, connection)
    except SQLAlchemyError:
        return None  # whatever needs it says so


def _file(one: Project) -> tuple[Value, ...] | None:
    url = one.engine.url
    path = transaction.file_of(url)
    if path is None:
        shared = "cache=shared" in str(url) or url.query.get("cache") == "shared"
        return (url.database,) if shared else None
    with suppress(OSError):  # another name of the file is the same one, too
        found = path.stat()
        return found.st_dev, found.st_ino
    return (str(path.resolve()),)


def _of_postgresql(one: Project, connection: Connection) -> tuple[Value, ...]:
    try:
        server = connection.exec_driver_sql(CLUSTER).scalar()
    except SQLAlchemyError:
        connection.rollback()
        server = connection.exec_driver_sql(STARTED).scalar()
    schema = one.options.get("version_table_schema")
    schema = schema or connection.execute(text(IN_SCHEMA), {"name": one.version_table}).scalar()
    ask = "SELECT current_database(), current_schema()"
    database, current = connection.exec_driver_sql(ask).one()
    return server, database, schema or current


# What newmigration asks of the models of several databases.


def require_own_keys() -> None:
    """Stop at a foreign key from one database to another; say which relationships lead there.

    :raises CommandError: naming the column and both databases
    """
    models: dict[Bind, MetaData] = dict(_db().metadatas)
    for bind, own in models.items():
        for table in own.tables.values():
            for key in table.foreign_keys:
                _require_own(key, bind, own, models)
    _say_relationships()


def _db() -> Value:
    return current_app.extensions["keel"].db


def _require_own(key: ForeignKey, bind: Bind, own: MetaData, models: dict[Bind, MetaData]) -> None:
    target = key.target_fullname.rpartition(".")[0]
    there = [other for other, it in models.items() if it is not own and target in it.tables]
    if target in own.tables or not there:
        return
    raise CommandError(
        f"{key.parent.table.name}.{key.parent.name} ({binds.shown(bind)}) has a foreign key to {target} "
        f"({binds.shown(there[0])}), and no database can hold a key to another: leave the ForeignKey out, or "
        "give both models one __bind_key__."
    )


NO_JOIN = re.compile(r"relationship (\w+\.\w+)")


def _say_relationships() -> None:
    try:
        configure_mappers()
    except (ArgumentError, InvalidRequestError) as error:
        found = NO_JOIN.search(str(error))
        raise CommandError(
            f"{found[1] if found else 'A relationship'} cannot be set up ({output.plainly(str(error))}): "
            "from one bind to another no key leads: look it up by a query, or give primaryjoin=."
        ) from error
    for mapper in _db().Model.registry.mappers:
        own = mapper.local_table.metadata
        for one in mapper.relationships:
            sides = [
                one.mapper.local_table,
                *([one.secondary] if one.secondary is not None else []),
            ]
            for side in sides:
                if side.metadata is not own:
                    _say_relationship(f"{mapper.class_.__name__}.{one.key}", own, side.metadata)


def _say_relationship(name: str, here: MetaData, there: MetaData) -> None:
    first, second = (binds.shown(one.info.get("bind_key")) for one in (here, there))
    output.say(
        f"{name} leads from {first} to {second}: no key holds it and no join can follow it, each side is "
        "loaded by a query of its own."
    )


def say_what_a_run_touches() -> None:
    """Say that no transaction spans the databases which one run would change."""
    changed = [one.bind for one in map(project, chosen()) if _behind(one)]
    if len(changed) > 1:
        output.say(
            f"{len(changed)} databases change ({', '.join(map(binds.shown, changed))}), in this order and no "
            "transaction spans two: where one fails, those before it stay migrated, and a second run goes on."
        )


def _behind(one: Project) -> bool:
    return applied_of(one) != set(one.script.get_heads())


def say_what_moves(tables: dict[Bind, tuple[set[str], set[str]]]) -> None:
    """Say which tables go from one database to another.

    :param tables: which were made and which dropped, by the new migrations of each database
    """
    for here, (_, dropped) in tables.items():
        for there, (made, _) in tables.items():
            for table in sorted(dropped & made if here != there else ()):
                first, second = binds.shown(here), binds.shown(there)
                output.say(
                    f"{table} goes from {first} to {second}, and its rows are not moved: type make migrate "
                    f"bind={second} (db upgrade --bind {second}), copy them, then make migrate (db upgrade)."
                )


def answers(given: Sequence[str]) -> Callable[[Bind], tuple[str, ...]]:
    """Return which of the answers of ``-x`` are for a database: those that name it, or one of its tables.

    :raises CommandError: for an answer whose table several of them have
    """
    every = chosen()
    if every == [None] and _named() is None:
        return lambda _: tuple(given)
    own: dict[Bind, dict[str, list[str]]] = {bind: {} for bind in every}
    for one in given:
        key, _, value = one.partition("=")
        for item in _items(key, value, every):
            bare = item.partition(":")[2] if _prefix(item, every) else item
            for bind in _whose(key, item, every):
                own[bind].setdefault(key, []).append(bare)
    return lambda bind: tuple(
        f"{key}={one}"
        for key, items in own[bind].items()
        for one in ([",".join(items)] if key in KEYS else items)
    )


KEYS = ("rename", "fill")


def _items(key: str, value: str, every: Sequence[Bind]) -> list[str]:
    if key == "rename":
        return [item.strip() for item in value.split(",")]
    if key != "fill":
        return [value]
    names = "|".join(re.escape(binds.shown(bind)) for bind in every)
    return re.split(rf",(?=(?:(?:{names}):)?{questioner.NAMES}:)", value)


def _prefix(item: str, every: Sequence[Bind]) -> str | None:
    """The database that an answer names, as in ``rename=archive:user.bio:text``."""
    first, _, rest = item.partition(":")
    return first if first in map(binds.shown, every) and ":" in rest else None


def _whose(key: str, item: str, every: Sequence[Bind]) -> Sequence[Bind]:
    if key == "empty":
        return every[:1]
    if key not in KEYS or item == questioner.NONE or len(every) < 2:
        return every
    if prefix := _prefix(item, every):
        return [None if prefix == binds.DEFAULT else prefix]
    old, _, new = item.partition(":")
    named = {old.rpartition(".")[0]} if "." in old else {old, new}
    found = [bind for bind in every if named & set(binds.metadata(_app(), bind).tables)]
    if len(found) > 1:
        both = " or ".join(f"{key}={binds.shown(bind)}:{item}" for bind in found)
        raise CommandError(f"Which database is it? Type {both}.")
    return found or every[:1]
