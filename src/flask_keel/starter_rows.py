"""The starter rows: put into a database beside the real one, and what is said where they do not fit."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

from alembic.util import CommandError
from flask import current_app
from sqlalchemy import URL, Dialect, Engine, inspect, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import InstanceState, Mapper

from . import errors
from .project import listening
from .typing import Options

MOST = 3  # lines that are named
Rows = Callable[[], None]


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


def put(starter_rows: Rows, state: str) -> None:
    """Put the starter rows into the application's database.

    :param state: what an error leaves, in the words of a sentence
    :raises CommandError: naming the file and the line of the rows that fail
    """
    with _noted() as made:
        try:
            starter_rows()
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
                raise  # a signal's
            if errors.surroundings(error):
                url = current_app.config["SQLALCHEMY_DATABASE_URI"]  # as it is redirected
                raise CommandError(errors.sentence(error, url)) from error
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


def _where(error: BaseException, starter_rows: Rows, made: _Made) -> str:
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
    state: InstanceState[object] = inspect(one, raiseerr=True)
    return state


def _values(one: object) -> list[object]:
    return [value for value in _state(one).dict.values() if value is not None]


def _name(code: CodeType) -> tuple[str, str]:
    return code.co_filename, code.co_name


def _own(filename: str) -> bool:
    return Path(filename).is_relative_to(Path(current_app.root_path))


def _shown(filename: str) -> str:
    return str(Path(filename).relative_to(Path(current_app.root_path).parent))
