"""Databases on a server that are there only for the length of a command."""

import os
import re
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from . import servers
from .interrupts import interruptible

OLD = 24 * 3600  # seconds
SCRATCH = re.compile(r"_scratch_[0-9a-f]{8}_\d+_\d+$", re.IGNORECASE)


@contextmanager
def database(url: Any, options: dict[str, Any] | None = None) -> Iterator[URL]:
    """Give an empty database beside ``url``'s own; it is dropped on Ctrl-C and SIGTERM too.

    Its name says who made it and when, so that the next run removes what a kill -9 left.

    :param options: the application's engine options
    :raises servers.NotAllowed: when the account may not create a database
    """
    url = make_url(url)
    stem = servers.scratch_stem(url.database)
    name = f"{stem}{_host()}_{os.getpid()}_{int(time.time())}"
    with interruptible(), ExitStack() as undo:
        with servers.administer(url, options) as connection:
            sweep(connection, stem)
            # before it is made: the signal may come while the server makes it
            undo.callback(_drop, url, options, name)
            try:
                with servers.refusal(connection, url.database):
                    servers.create(connection, name, servers.locale(connection, url.database))
            except Exception:
                undo.pop_all()  # refused, so not made
                raise
        yield url.set(database=name)


def is_scratch(url: Any) -> bool:
    """Whether it is the URL of a database that :func:`database` made."""
    return bool(SCRATCH.search(make_url(url).database or ""))


def beside(name: str) -> str:
    """Return the name of one more database that :func:`sweep` knows as abandoned when it is.

    :param name: the application's database, or a scratch database
    """
    stem = servers.scratch_stem(name)
    if SCRATCH.search(name):
        stem = SCRATCH.sub("_scratch_", name)
    # an hour ahead, so that it is not the name of a scratch database made in this second
    return f"{stem}{_host()}_{os.getpid()}_{int(time.time()) + 3600}"


def sweep(connection: Connection, stem: str) -> None:
    """Drop what killed commands left: never what a living process made or a connection is in."""
    postgresql = connection.dialect.name == "postgresql"
    query = "SELECT datname FROM pg_database" if postgresql else "SHOW DATABASES"
    pattern = re.compile(re.escape(stem) + r"([0-9a-f]{8})_(\d+)_(\d+)", re.IGNORECASE)
    for name in connection.exec_driver_sql(query).scalars().all():
        found = pattern.fullmatch(name)
        if not found or not _abandoned(*found.groups()):
            continue
        if not postgresql and servers.threads(connection, name):
            continue
        with suppress(DBAPIError):  # it is in use, another's, or swept at this moment
            servers.drop(connection, name, force=False)


def _abandoned(host: str, pid: str, made: str) -> bool:
    if time.time() - int(made) > OLD:
        return True
    return host == _host() and not _alive(int(pid))


def _drop(url: URL, options: dict[str, Any] | None, name: str) -> None:
    # on a connection of its own: the first may have been interrupted, or idle for too long
    with servers.administer(url, options) as connection:
        servers.drop(connection, name)


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but alive
    return True
