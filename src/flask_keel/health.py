"""/healthz and /readyz: is the process there, and may requests be sent to it?

For a rolling deploy, in which releases of two ages stand on one database: a release is not ready where
the database lacks a revision that its code needs, and is ready where the database is ahead of it.
"""

import socket
import sqlite3
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

from flask import Blueprint, Flask, current_app, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine, column, select, table

from . import binds, revisions, waiting
from .binds import Bind
from .revisions import Revision
from .sqlite import files
from .typing import Options

bp = Blueprint("health", __name__)
PATIENCE = 2  # seconds in which a database has to answer
# what bounds connecting and reading, where the driver can
BOUNDS: dict[str, Options] = {
    "psycopg": {"connect_timeout": PATIENCE, "tcp_user_timeout": PATIENCE * 1000},
    "psycopg2": {"connect_timeout": PATIENCE, "tcp_user_timeout": PATIENCE * 1000},
    "pymysql": dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), PATIENCE),
    "mysqldb": dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), PATIENCE),
}
# no such table: https://www.postgresql.org/docs/current/errcodes-appendix.html, and MySQL's number
NO_TABLE = {"42P01", "3F000", 1146}


READY = ("at head", "ahead", "unknown")


class State(NamedTuple):
    """What a database says to this code: ``schema`` is None where it does not answer."""

    schema: str | None
    applied: frozenset[str] = frozenset()

    @property
    def ready(self) -> bool:
        """Whether this code can work with it; what cannot be told is no reason to stand still."""
        return self.schema in READY


@bp.get("/healthz")
def healthz() -> dict[str, str]:
    """Answer 200: the process lives. A database that is away is no reason to restart it."""
    return {"process": "ok"}


@bp.get("/readyz")
def readyz() -> tuple[Options, int]:
    """Answer 200 when the database is there and has what this code needs, else 503 and why.

    So with each bind that has migrations.
    """
    probes = _probes(current_app._get_current_object())  # type: ignore[attr-defined]  # a proxy's
    for one in probes.values():
        one.begin()  # they are asked at once
    states = {bind: one.look() for bind, one in probes.items()}
    said = _said(states.pop(None))
    if states:
        said["binds"] = {bind: _said(state) for bind, state in states.items()}
    ready = all(state.ready for state in states.values()) and said.get("schema") in READY
    return said, 200 if ready else 503


def _said(state: State) -> Options:
    if state.schema is None:
        return {"database": "unreachable"}
    return {"database": "ok", "schema": state.schema}


@bp.record_once
def _before_all_else(state: BlueprintSetupState) -> None:
    """A probe asks by an address and over http: it is answered before a host, a token or a redirect."""
    prefix = state.url_prefix or ""
    views: dict[str, Callable[[], ResponseReturnValue]] = {
        f"{prefix}/healthz": healthz,
        f"{prefix}/readyz": readyz,
    }

    def answer() -> ResponseReturnValue | None:
        view = views.get(request.path) if request.method in ("GET", "HEAD") else None
        return view() if view else None

    state.app.before_request_funcs.setdefault(None, []).insert(0, answer)


def probe(app: Flask, bind: Bind = None) -> "Probe":
    """Return the one probe of a database of an application.

    :param app: itself and not the proxy, since another thread asks
    """
    key = "keel.probe" if bind is None else f"keel.probe.{bind}"
    found: Probe = app.extensions.setdefault(key, Probe(app, bind))
    return found


def _probes(app: Flask) -> dict[Bind, "Probe"]:
    """Return those of all databases that have migrations, as they were when the process began."""
    if "keel.probes" not in app.extensions:
        home = Path(binds.keel(app).directory)
        made = {bind: probe(app, bind) for bind in binds.migrated(app, home)}
        app.extensions["keel.probes"] = made
    found: dict[Bind, Probe] = app.extensions["keel.probes"]
    return found


class Probe:
    """Asks the database for its revision, on a connection of its own and one question at a time.

    The pool's connections are the requests': a probe that waited for one would call a busy
    application dead, and one that never ends would hold it.
    """

    def __init__(self, app: Flask, bind: Bind = None) -> None:
        self._app = app
        self._bind = bind
        self._lock = Lock()
        self._attempt: _Attempt | None = None
        self._known: list[Mapping[str, Revision] | None] = []
        self._kept: Any = None
        self._said = ""

    def look(self) -> State:
        """Return the state of the database, after :data:`PATIENCE` seconds at the latest."""
        applied = self.applied()
        if applied is None:
            return State(None)
        if not self._known:
            told = self._in_env is not None
            self._known.append(revisions.read_all(self._folder) if told else None)
        return State(revisions.compare(self._known[0], applied), applied)

    def applied(self) -> frozenset[str] | None:
        """Return what the version table holds; None where the database does not answer in time."""
        attempt = self.begin()
        attempt.read = True
        if not attempt.ended.wait(PATIENCE):
            self._hang_up()
            attempt.error = TimeoutError(f"no answer within {PATIENCE} seconds")
        self._log(str(attempt.error or ""))
        return None if attempt.error else attempt.applied

    def begin(self) -> "_Attempt":
        """Begin to ask, and wait for nothing."""
        with self._lock:
            attempt = self._attempt
            if attempt is None or (attempt.ended.is_set() and attempt.read):
                attempt = self._attempt = _Attempt(self)
                attempt.start()
        return attempt

    @property
    def _folder(self) -> Path:
        return binds.folder(Path(binds.keel(self._app).directory), self._bind)

    @cached_property
    def _in_env(self) -> Options | None:
        return revisions.where_applied(self._folder)

    def ask(self) -> frozenset[str]:
        """Return what the version table holds, from the attempt's thread."""
        with self._app.app_context():
            keel = binds.keel(self._app)
            engine = binds.engine(self._app, self._bind)
            options = getattr(keel, "alembic_ctx_kwargs", None) or keel.configure_args
            given = options | (self._in_env or {})
            name, schema = (given.get(f"version_table{part}") for part in ("", "_schema"))
            versions = table(name or "alembic_version", column("version_num"), schema=schema)
            query = str(select(versions).compile(engine))
            if engine.dialect.name == "sqlite":
                return _ask_file(engine, query)
            return self._ask_server(engine, query)

    def _ask_server(self, engine: Engine, query: str) -> frozenset[str]:
        error: Exception
        for _ in range(3):  # what is kept may have ended since
            fresh = self._kept is None
            try:
                if fresh:
                    self._kept = _connect(engine, self._bind)
                with closing(self._kept.cursor()) as cursor:
                    cursor.execute(query)
                    return frozenset(row[0] for row in cursor.fetchall())
            except Exception as raised:
                error = raised
                if _no_table(error):
                    return frozenset()
                self._drop()
                if fresh and waiting.number(error) != waiting.DEADLOCK:
                    break
        raise error

    def _drop(self) -> None:
        kept, self._kept = self._kept, None
        with suppress(Exception):
            kept.close()

    def _hang_up(self) -> None:
        """End the wait of an attempt that nobody waits for any more."""
        with suppress(Exception), socket.socket(fileno=socket.dup(self._kept.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)

    def _log(self, error: str) -> None:
        if error != self._said:
            self._said = error
            if error:
                name = "the database" if self._bind is None else self._bind
                self._app.logger.warning("readyz: %s does not answer: %s", name, error)


class _Attempt(Thread):
    """One question; it may outlive the request that asked it, and stands in the way of no other."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(name="readyz", daemon=True)
        self._probe = probe
        self.ended = Event()
        self.read = False  # whether somebody waited for the answer
        self.applied: frozenset[str] = frozenset()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.applied = self._probe.ask()
        except Exception as error:
            # a connection that was never made is closed now, not when somebody looks for garbage
            traceback.clear_frames(error.__traceback__)
            self.error = error.with_traceback(None)
        finally:
            self.ended.set()


def _ask_file(engine: Engine, query: str) -> frozenset[str]:
    if files.file_of(engine.url) is None:
        with engine.connect() as connection:
            return _rows(connection.connection.driver_connection, query)
    with closing(files.open_to_read(engine.url, PATIENCE)) as raw:
        return _rows(raw, query)


def _rows(raw: Any, query: str) -> frozenset[str]:
    try:
        return frozenset(row[0] for row in raw.execute(query))
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return frozenset()
        raise


def _connect(engine: Engine, bind: Bind) -> Any:
    """A connection as the engine makes them, that ends when the database does not answer."""
    dialect = engine.dialect
    arguments, options = dialect.create_connect_args(engine.url)
    settings = binds.settings(current_app, bind).get("SQLALCHEMY_ENGINE_OPTIONS") or {}
    options |= settings.get("connect_args", {}) | BOUNDS.get(dialect.driver, {})
    for listener in dialect.dispatch.do_connect:
        made = listener(dialect, None, arguments, options)
        if made is not None:
            break
    else:
        made = dialect.connect(*arguments, **options)
    dialect.set_isolation_level(made, "AUTOCOMMIT")  # no snapshot is held between two questions
    return made


def _no_table(error: Exception) -> bool:
    codes = {getattr(error, name, None) for name in ("sqlstate", "pgcode")}
    return bool(NO_TABLE & (codes | set(error.args[:1])))
