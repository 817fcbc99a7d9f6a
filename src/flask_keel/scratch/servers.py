"""Databases that are made and dropped on a PostgreSQL or MySQL server."""

import os
import re
import signal
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from .. import waiting
from ..project import kind
from ..typing import Options

# Being stopped by a signal without leaving anything behind.


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that ``finally`` is reached.

    Ctrl-C needs no help: Python raises KeyboardInterrupt. SIGKILL cannot be helped.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {}
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            before[number] = signal.signal(number, leave)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# PostgreSQL's insufficient_privilege, MySQL's "access denied for user to database"
DENIED = {"42501", 1044}
# under this a connection notes, in its ``info``, that what it runs changes nothing that stays
UNSEEN = "keel_unseen"
PROVIDERS = {"i": ("icu", "ICU_LOCALE"), "b": ("builtin", "BUILTIN_LOCALE")}


class NotAllowed(Exception):
    """There may be no second database: ``reason`` says why, ``grant`` the SQL that allows it."""

    def __init__(self, reason: str, grant: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.grant = grant


def connection_options(options: Options | None) -> Options:
    """Return what of the application's engine options a connection of the tools' own needs."""
    arguments = (options or {}).get("connect_args")
    return {"poolclass": NullPool, **({"connect_args": arguments} if arguments else {})}


@contextmanager
def connected(url: URL, options: Options | None) -> Iterator[Connection]:
    """Give a connection of the tools' own to a database.

    :param options: the application's engine options
    """
    with create_engine(url, **connection_options(options)).connect() as connection:
        yield connection


@contextmanager
def administer(url: URL, options: Options | None = None) -> Iterator[Connection]:
    """Give a connection to the server that stands outside of ``url``'s database where it can.

    :param options: the application's engine options
    """
    # a database cannot be dropped from inside; not every account may enter "postgres"
    homes = ["postgres", url.database] if kind(url) == "postgresql" else ["information_schema"]
    with ExitStack() as stack:
        for home in homes:
            engine = create_engine(
                url.set(database=home), isolation_level="AUTOCOMMIT", **connection_options(options)
            )
            try:
                connection = stack.enter_context(engine.connect())
                break
            except OperationalError:
                if home == homes[-1]:
                    raise
        yield connection


def recreate(url: URL, options: Options | None = None) -> None:
    """Drop a database and create it again, empty, with the locale that it had.

    :raises NotAllowed: when the account may not
    """
    name = url.database or ""
    with administer(url, options) as connection, refusal(connection, name):
        traits = locale(connection, name)
        drop(connection, name)
        create(connection, name, traits)


def locale(connection: Connection, name: str) -> str:
    """Return a database's encoding and collation as CREATE DATABASE takes them; "" for none."""
    if connection.dialect.name != "postgresql":
        schema = text(
            "SELECT default_character_set_name, default_collation_name "
            "FROM information_schema.schemata WHERE schema_name = :name"
        )
        row = connection.execute(schema, {"name": name}).first()
        return f"CHARACTER SET {row[0]} COLLATE {row[1]}" if row else "CHARACTER SET utf8mb4"
    # as JSON, since the columns of the provider differ from version to version
    query = text(
        "SELECT to_jsonb(d) || jsonb_build_object('charset', pg_encoding_to_char(encoding)) "
        "FROM pg_database d WHERE datname = :name"
    )
    row = connection.execute(query, {"name": name}).scalar()
    if row is None:
        return ""
    said = f"ENCODING '{row['charset']}' LC_COLLATE '{row['datcollate']}'"
    said += f" LC_CTYPE '{row['datctype']}'"
    if row.get("datlocprovider") in PROVIDERS:
        provider, word = PROVIDERS[row["datlocprovider"]]
        where = row.get("datlocale") or row.get("daticulocale")
        said += f" LOCALE_PROVIDER {provider} {word} '{where}'"
    return said


def create(
    connection: Connection, name: str, traits: str = "", template: str = "template0"
) -> None:
    """Create a database.

    :param traits: encoding and collation, as :func:`locale` gives them
    :param template: on PostgreSQL, the database whose copy it is; the default is empty, which template1
        need not be: https://www.postgresql.org/docs/current/manage-ag-templatedbs.html
    """
    quote = connection.dialect.identifier_preparer.quote_identifier
    copied = f"TEMPLATE {quote(template)} " if connection.dialect.name == "postgresql" else ""
    connection.exec_driver_sql(f"CREATE DATABASE {quote(name)} {copied}{traits}")


def drop(connection: Connection, name: str, force: bool = True) -> None:
    """Drop a database if it is there.

    :param force: cut the connections to it; without, PostgreSQL refuses while there is one
    """
    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
    postgresql = connection.dialect.name == "postgresql"
    if name not in _names(connection):
        return  # an account that may make none is not seen to try
    if force and not postgresql:
        # DROP would wait for a statement that still runs there, a day long by default
        _kill(connection, name)
    forced = " WITH (FORCE)" if force and postgresql else ""
    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {quoted}{forced}")


def _names(connection: Connection) -> list[str]:
    postgresql = connection.dialect.name == "postgresql"
    query = "SELECT datname FROM pg_database" if postgresql else "SHOW DATABASES"
    return list(connection.exec_driver_sql(query).scalars())


def threads(connection: Connection, name: str) -> list[int]:
    """Return MySQL's numbers of the connections to a database, as far as the account sees them."""
    query = text("SELECT id FROM information_schema.processlist WHERE db = :name")
    return list(connection.execute(query, {"name": name}).scalars())


def _kill(connection: Connection, name: str) -> None:
    for thread in threads(connection, name):
        with suppress(DBAPIError):  # it has ended, or is somebody else's
            connection.exec_driver_sql(f"KILL {thread}")


@contextmanager
def refusal(connection: Connection, database: str) -> Iterator[None]:
    """Turn the server's refusal to create or drop a database into :class:`NotAllowed`.

    :param database: the application's
    """
    try:
        yield
    except DBAPIError as error:
        if DENIED & {getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())[:1]}:
            grant = _grant(connection, database)
            raise NotAllowed(
                "The account may not create a scratch database (an administrator allows it by "
                f"{grant};)",
                grant,
            ) from error
        raise


def _grant(connection: Connection, database: str) -> str:
    if connection.dialect.name == "postgresql":
        user = connection.exec_driver_sql("SELECT quote_ident(current_user)").scalar_one()
        return f"ALTER ROLE {user} CREATEDB"
    user, _, host = connection.exec_driver_sql("SELECT CURRENT_USER()").scalar_one().rpartition("@")
    # an underscore alone would stand for any character
    pattern = scratch_stem(database).replace("_", r"\_")
    return f"GRANT ALL ON `{pattern}%`.* TO '{user}'@'{host}'"


def scratch_stem(database: str) -> str:
    """Return what the names of a database's scratch databases begin with: ASCII, at most 33 bytes."""
    return re.sub(r"\W", "_", database[:24], flags=re.ASCII) + "_scratch_"


# Databases on a server that are there only for the length of a command.


OLD = 24 * 3600  # seconds
SCRATCH = re.compile(r"_scratch_(?:[0-9a-f]{8}_\d+_\d+|kept_[0-9a-f]{8})$", re.IGNORECASE)


@contextmanager
def database(
    url: URL, options: Options | None = None, template: str = "template0"
) -> Iterator[URL]:
    """Give a new database beside ``url``'s own; it is dropped on Ctrl-C and SIGTERM too.

    Its name says who made it and when, so that the next run removes what a kill -9 left.

    :param options: the application's engine options
    :param template: the database whose copy it is, as for :func:`create`
    :raises servers.NotAllowed: when the account may not create a database
    """
    home = url.database or ""
    stem = scratch_stem(home)
    name = f"{stem}{waiting.host()}_{os.getpid()}_{int(time.time())}"
    with interruptible(), ExitStack() as undo:
        with administer(url, options) as connection:
            sweep(connection, stem)
            # before it is made: the signal may come while the server makes it
            undo.callback(_drop, url, options, name)
            try:
                with refusal(connection, home):
                    create(connection, name, locale(connection, home), template)
            except Exception:
                undo.pop_all()  # refused, so not made
                raise
        yield url.set(database=name)


def is_scratch(url: URL) -> bool:
    """Whether it is the URL of a scratch database: one for a command, or the one that is kept."""
    return bool(SCRATCH.search(url.database or ""))


def kept_name(database: str) -> str:
    """Return the name of the scratch database that is kept for an application's database."""
    return f"{scratch_stem(database)}kept_{zlib.crc32(database.encode()):08x}"


def beside(name: str) -> str:
    """Return the name of one more database that :func:`sweep` knows as abandoned when it is.

    :param name: the application's database, or a scratch database
    """
    stem = scratch_stem(name)
    if SCRATCH.search(name):
        stem = SCRATCH.sub("_scratch_", name)
    # an hour ahead, so that it is not the name of a scratch database made in this second
    return f"{stem}{waiting.host()}_{os.getpid()}_{int(time.time()) + 3600}"


def sweep(connection: Connection, stem: str) -> None:
    """Drop what killed commands left: never what a living process made or a connection is in."""
    postgresql = connection.dialect.name == "postgresql"
    pattern = re.compile(re.escape(stem) + r"([0-9a-f]{8})_(\d+)_(\d+)", re.IGNORECASE)
    for name in _names(connection):
        found = pattern.fullmatch(name)
        if not found or not _abandoned(*found.groups()):
            continue
        if not postgresql and threads(connection, name):
            continue
        with suppress(DBAPIError):  # it is in use, another's, or swept at this moment
            drop(connection, name, force=False)


def _abandoned(host: str, pid: str, made: str) -> bool:
    if time.time() - int(made) > OLD:
        return True
    return host == waiting.host() and not waiting.alive(int(pid))


def _drop(url: URL, options: Options | None, name: str) -> None:
    # on a connection of its own: the first may have been interrupted, or idle for too long
    with administer(url, options) as connection:
        drop(connection, name)


# A finished scratch database takes the place of another: at each moment there is the one or the other.


PATIENCE = 5  # seconds
IN_USE = "55006"  # PostgreSQL's object_in_use
# what RENAME TABLE cannot take to another database, or would leave behind
UNMOVABLE = text("""
    SELECT (SELECT count(*) FROM information_schema.views WHERE table_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.routines WHERE routine_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.events WHERE event_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.tables WHERE table_schema IN (:old, :new)
            AND table_type NOT IN ('BASE TABLE', 'VIEW'))
""")
TABLES = text(
    "SELECT table_name FROM information_schema.tables "
    "WHERE table_schema = :name AND table_type = 'BASE TABLE' ORDER BY table_name"
)


NOT_OWNED = text(
    "SELECT format('ALTER DATABASE %I OWNER TO %I', datname, current_user) FROM pg_database "
    "WHERE datname = current_database() AND NOT pg_has_role(datdba, 'USAGE')"
)


def require_own(url: URL, options: Options | None) -> None:
    """Stop where the account may not replace a database: PostgreSQL lets its owner alone.

    :raises NotAllowed: with what an administrator types
    """
    if kind(url) != "postgresql":
        return
    with connected(url, options) as connection:
        if grant := connection.execute(NOT_OWNED).scalar():
            raise NotAllowed(
                f"The account does not own the database (an administrator allows it by {grant};)",
                grant,
            )


def replace(old: URL, new: URL, options: Options | None) -> bool:
    """Put a database in the place of another on its server, in one statement or transaction.

    :param old: the URL of the one that goes
    :param new: the URL of the one that comes
    :param options: the application's engine options
    :returns: False when MySQL cannot do that with what is in them; nothing has changed then
    :raises NotAllowed: when the account may not
    """
    going, coming = old.database or "", new.database or ""
    away = beside(going)
    with administer(old, options) as connection, refusal(connection, going):
        if kind(old) == "postgresql":
            _rename_databases(connection, going, coming, away)
            moved = True
        else:
            create(connection, away, locale(connection, going))
            moved = _rename_tables(connection, going, coming, away)
        with suppress(DBAPIError):  # the next run sweeps it
            drop(connection, away)
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
    _kill(connection, old)
    try:
        if moves:
            connection.exec_driver_sql(f"RENAME TABLE {', '.join(moves)}")
    except DBAPIError:
        return False
    return True
