"""Databases that come and go on a PostgreSQL or MySQL server."""

import os
import re
import signal
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

# PostgreSQL's insufficient_privilege, MySQL's "access denied for user to database"
DENIED = {"42501", 1044}
GRANTS = {
    "postgresql": "ALTER ROLE {user} CREATEDB",
    "mysql": "GRANT ALL ON `{database}_scratch_%`.* TO '{user}'@'%'",
}
OLD = 24 * 3600


class NotAllowed(Exception):
    """The account may not create databases; ``grant`` is the SQL that allows it."""

    def __init__(self, grant: str) -> None:
        super().__init__(grant)
        self.grant = grant


def kind(url: Any) -> str:
    """Return "sqlite", "postgresql" or "mysql" (MariaDB too)."""
    name = make_url(url).get_backend_name()
    return "mysql" if name == "mariadb" else name


@contextmanager
def temporary(url: Any, options: dict[str, Any] | None = None) -> Iterator[URL]:
    """Create an empty database beside ``url``'s own and drop it afterwards, on Ctrl-C and SIGTERM too.

    Its name says who made it and when, so that the next one removes what a kill -9 left.

    :param options: more arguments for ``create_engine``
    :raises NotAllowed: when the account may not create a database
    """
    url = make_url(url)
    name = f"{url.database[:24]}_scratch_{_host()}_{os.getpid()}_{int(time.time())}"
    with _administer(url, options or {}) as connection, _interruptible():
        _sweep(connection, url.database[:24])
        try:
            create(connection, name, like=url.database)
        except DBAPIError as error:
            if _code(error) in DENIED:
                grant = GRANTS[kind(url)].format(user=url.username, database=url.database[:24])
                raise NotAllowed(grant) from error
            raise
        try:
            yield url.set(database=name)
        finally:
            drop(connection, name)


def recreate(url: Any, options: dict[str, Any] | None = None) -> None:
    """Drop a database and create it again, empty.

    :raises NotAllowed: when the account may not
    """
    url = make_url(url)
    with _administer(url, options or {}) as connection:
        try:
            drop(connection, url.database)
            create(connection, url.database)
        except DBAPIError as error:
            if _code(error) in DENIED:
                raise NotAllowed(
                    GRANTS[kind(url)].format(user=url.username, database=url.database)
                ) from error
            raise


def create(connection: Connection, name: str, like: str | None = None) -> None:
    """Create a database, on MySQL with the character set and collation of ``like``."""
    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
    if connection.dialect.name == "postgresql":
        # template1 may hold what somebody put there: https://www.postgresql.org/docs/current/manage-ag-templatedbs.html
        connection.execute(text(f"CREATE DATABASE {quoted} TEMPLATE template0"))
        return
    schema = text(
        "SELECT default_character_set_name, default_collation_name "
        "FROM information_schema.schemata WHERE schema_name = :name"
    )
    row = connection.execute(schema, {"name": like}).first() if like else None
    charset = f" CHARACTER SET {row[0]} COLLATE {row[1]}" if row else " CHARACTER SET utf8mb4"
    connection.execute(text(f"CREATE DATABASE {quoted}{charset}"))


def drop(connection: Connection, name: str) -> None:
    """Drop a database if it is there, and on PostgreSQL the connections to it."""
    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
    force = " WITH (FORCE)" if connection.dialect.name == "postgresql" else ""
    connection.execute(text(f"DROP DATABASE IF EXISTS {quoted}{force}"))


@contextmanager
def _administer(url: URL, options: dict[str, Any]) -> Iterator[Connection]:
    # a database cannot be dropped from inside: PostgreSQL has "postgres", MySQL needs none
    options = {**options, "poolclass": NullPool}
    for key in ("pool_size", "max_overflow", "pool_timeout", "pool_recycle", "pool_pre_ping"):
        options.pop(key, None)
    home = url.set(database="postgres" if kind(url) == "postgresql" else "information_schema")
    engine: Engine = create_engine(home, isolation_level="AUTOCOMMIT", **options)
    with engine.connect() as connection:
        yield connection


def _sweep(connection: Connection, stem: str) -> None:
    if connection.dialect.name == "postgresql":
        names = connection.execute(text("SELECT datname FROM pg_database")).scalars().all()
    else:
        names = connection.execute(text("SHOW DATABASES")).scalars().all()
    pattern = re.compile(re.escape(stem) + r"_scratch_([0-9a-f]+)_(\d+)_(\d+)$", re.IGNORECASE)
    for name in names:
        found = pattern.match(name)
        if not found:
            continue
        host, pid, made = found.groups()
        gone = not _alive(int(pid)) if host == _host() else time.time() - int(made) > OLD
        if gone:
            drop(connection, name)


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _code(error: DBAPIError) -> Any:
    return getattr(error.orig, "sqlstate", None) or (error.orig.args or [None])[0]


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that ``finally`` is reached."""

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    signals = (signal.SIGTERM, signal.SIGHUP)
    try:
        before = {number: signal.signal(number, leave) for number in signals}
    except ValueError:  # not the main thread
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
