"""SQLite's only safe protocol for migrations: foreign keys off before BEGIN, one transaction.

Measured against the others: with foreign keys on, DROP TABLE deletes the children of a rebuilt
table; inside a transaction the PRAGMA that turns them off does nothing; without BEGIN the first
half of a failed rebuild stays. https://www.sqlite.org/lang_altertable.html#otheralter
"""

import os
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, StaticPool

from .. import waiting
from ..typing import Options
from .files import file_of as file_of
from .files import open_to_read as open_to_read
from .introspection import driver

KEYS_STAY_ON = (
    "SQLite keeps foreign keys on inside a transaction, and the rows of other tables would go with "
    "a rebuilt one: commit what the given connection has open, then try again."
)

# Functions and collations that an application registers on each connection to its SQLite database.
#
# Its connect listeners do much else (PRAGMAs, how a transaction begins), which is not for migrations:
# they are run on a stand-in that lets nothing else through.


PASSED_ON = {
    "create_aggregate",
    "create_collation",
    "create_function",
    "create_window_function",
    "enable_load_extension",
    "load_extension",
}


class _Registering:
    """A connection on which functions and collations can be registered, and that says nothing."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.__dict__["raw"] = raw

    # listeners ask by isinstance whether it is SQLite that they are on
    __class__ = sqlite3.Connection  # type: ignore[assignment]

    def __getattr__(self, name: str) -> object:
        return getattr(self.raw, name) if name in PASSED_ON else _Nothing()

    def __setattr__(self, name: str, value: object) -> None:
        pass


class _Nothing:
    """The answer to whatever else a listener does."""

    def __getattr__(self, name: str) -> Self:
        return self

    def __call__(self, *arguments: object, **keywords: object) -> Self:
        return self

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def hand_over(engine: Engine, raw: sqlite3.Connection) -> None:
    """Register on ``raw`` what the connect listeners of ``engine`` register on theirs.

    :param engine: the application's
    """
    stand_in = _Registering(raw)
    for listener in engine.pool.dispatch.connect:
        if str(getattr(listener, "__module__", "")).startswith("sqlalchemy."):
            continue  # its own looks at the database, and are there on every engine
        with suppress(Exception):  # it wants an answer that only a database can give
            listener(stand_in, _Nothing())


LONGEST_COMMIT = 60.0  # seconds in which readers may end
BUSY = "is busy: waiting for the other process"
# how the application pools its connections and begins its transactions is not ours
THEIRS = {"poolclass", "isolation_level", "max_overflow", "timeout", "autocommit"}


def engine(url: URL, options: Options | None = None) -> Engine:
    """Return an engine for migrations: none of the application's listeners, no pool.

    :param url: the database's URL
    :param options: the application's arguments for ``create_engine``
    """
    memory = not url.database or url.database == ":memory:"
    kept = _without_theirs(options or {})
    kept["connect_args"] = _without_theirs(kept.get("connect_args", {}))
    return create_engine(url, poolclass=StaticPool if memory else NullPool, **kept)


def _without_theirs(options: Options) -> Options:
    return {
        key: value
        for key, value in options.items()
        if key not in THEIRS and not key.startswith("pool_")
    }


@contextmanager
def connect(
    source: Engine, patience: float = waiting.DEFAULT, app: Engine | None = None
) -> Iterator[Connection]:
    """Connect so that foreign keys are off and a transaction begins with BEGIN IMMEDIATE.

    :param source: an engine without listeners of its own, as :func:`engine` and :func:`borrowed` make
    :param patience: how long to wait for another writer, in seconds
    :param app: the application's engine, where its functions and collations are wanted
    :raises CommandError: when foreign keys cannot be turned off
    """
    with source.connect() as connection:
        raw = driver(connection.connection)
        if app is not None:
            hand_over(app, raw)
        level, raw.isolation_level = raw.isolation_level, None
        keys = foreign_keys_off(raw)

        @event.listens_for(connection, "begin")
        def begin(_: Connection) -> None:
            begin_immediate(raw, patience)

        try:
            yield connection
        finally:
            connection.rollback()
            with suppress(sqlite3.ProgrammingError):  # after Ctrl-C SQLAlchemy has closed it
                raw.execute(f"PRAGMA foreign_keys={int(keys)}")
                raw.isolation_level = level


def foreign_keys_off(raw: sqlite3.Connection) -> bool:
    """Turn foreign keys off and return whether they were on.

    :raises CommandError: when they stay on, as they do inside a transaction
        (https://www.sqlite.org/pragma.html#pragma_foreign_keys)
    """
    before = _foreign_keys(raw)
    raw.execute("PRAGMA foreign_keys=OFF")
    if _foreign_keys(raw):
        raise CommandError(KEYS_STAY_ON)
    return before


def begin_immediate(raw: sqlite3.Connection, patience: float = waiting.DEFAULT) -> None:
    """Take the write lock; wait for another writer, and say so.

    Not by SQLite's own patience, in which no signal is heard: only a COMMIT waits in that, for readers.

    :raises sqlite3.OperationalError: when the other one still holds it after ``patience`` seconds
    """
    locked: list[sqlite3.OperationalError] = []

    def attempt() -> bool:
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            locked.append(error)
            return False
        return True

    raw.execute("PRAGMA busy_timeout=0")
    try:
        if not waiting.until(attempt, patience, lambda: f"{main_file(raw)} {BUSY}"):
            raise locked[-1]
    finally:
        raw.execute(f"PRAGMA busy_timeout={int(min(patience, LONGEST_COMMIT) * 1000)}")


def main_file(raw: sqlite3.Connection) -> str:
    """Return the path of the database, "" for one in memory."""
    return str(raw.execute("PRAGMA database_list").fetchone()[2])


@contextmanager
def borrowed(source: Engine) -> Iterator[Engine]:
    """Give an engine on the one connection of a database in memory, without its listeners."""
    with closing(source.raw_connection()) as pooled:
        raw = driver(pooled)
        yield create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)


def _foreign_keys(raw: sqlite3.Connection) -> bool:
    return bool(raw.execute("PRAGMA foreign_keys").fetchone()[0])


@contextmanager
def protected(connection: Connection, patience: float = waiting.DEFAULT) -> Iterator[None]:
    """Put what runs inside into one transaction with foreign keys off; a failure undoes all of it.

    A transaction that the caller began is the caller's to commit, as in Alembic's cookbook:
    https://alembic.sqlalchemy.org/en/latest/cookbook.html#connection-sharing
    Foreign keys come back with its end.

    :param patience: how long to wait for another writer, in seconds
    :raises CommandError: when the caller has changed something already, with foreign keys on
    """
    own = None if connection.in_transaction() else connection.begin()
    raw = driver(connection.connection)
    if raw.in_transaction and _keys_on(raw) and _nothing_written(connection, raw):
        raw.execute("ROLLBACK")
    if foreign_keys_off(raw):
        _turn_on_at_the_end(connection, raw)
    if not raw.in_transaction:
        begin_immediate(raw, patience)
    raw.execute("SAVEPOINT migrations")
    try:
        yield
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK TO migrations")
        if own:
            own.rollback()
        raise
    raw.execute("RELEASE migrations")
    if own:
        own.commit()


def _keys_on(raw: sqlite3.Connection) -> bool:
    return bool(raw.execute("PRAGMA foreign_keys").fetchone()[0])


def _nothing_written(connection: Connection, raw: sqlite3.Connection) -> bool:
    """Whether the open transaction may be begun anew: nobody, so not it either, has the write lock."""
    path = main_file(raw)
    if connection.in_nested_transaction() or not path:
        return False
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise CommandError(KEYS_STAY_ON) from error
        other.execute("ROLLBACK")
    return True


def _turn_on_at_the_end(connection: Connection, raw: sqlite3.Connection) -> None:
    # SQLAlchemy tells before it commits, and the PRAGMA works only afterwards
    on = [False]

    def end(word: str) -> Callable[[Connection], None]:
        def listener(_: Connection) -> None:
            if not on[0]:
                on[0] = True
                if raw.in_transaction:
                    raw.execute(word)
                raw.execute("PRAGMA foreign_keys=ON")
                raw.execute("BEGIN")  # for the COMMIT or ROLLBACK that follows

        return listener

    event.listen(connection, "commit", end("COMMIT"))
    event.listen(connection, "rollback", end("ROLLBACK"))


def require(url: URL) -> None:
    """Stop when there is no file.

    :raises CommandError: naming it
    """
    file = file_of(url)
    if file is not None and not file.exists():
        raise CommandError(f"There is no database {url.database}: type db upgrade to make it.")


def require_folder(path: Path) -> None:
    """Stop when the folder of a database to be made is not there.

    :raises CommandError: naming the folder
    """
    if not path.parent.is_dir():
        folder = shlex.quote(str(path.parent))
        raise CommandError(f"The folder of {path} does not exist: type mkdir -p {folder}.")


@contextmanager
def named(engine: Engine) -> Iterator[sqlite3.Connection | None]:
    """Give the database that an engine names, to read: SQLite's own URI form too.

    None when there is no file. Memory is given as the engine holds it, for nobody else sees it.
    """
    file = file_of(engine.url)
    if file is None:
        with closing(engine.raw_connection()) as pooled:
            yield driver(pooled)
    elif not file.exists():
        yield None
    else:
        with closing(open_to_read(engine.url)) as raw:
            yield raw


def reader(url: URL) -> Engine:
    """Return an engine that makes no file and takes no lock.

    :raises CommandError: when there is no file
    """
    require(url)
    return create_engine("sqlite://", creator=lambda: open_to_read(url), poolclass=NullPool)


def make(path: Path) -> bool:
    """Make an empty file; return whether it was this call that did.

    :raises CommandError: when its folder is not there, or takes no file
    """
    require_folder(path)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
    except FileExistsError:
        return False
    except OSError as error:
        raise CommandError(
            f"{path} cannot be made ({error.strerror}): look at the owner and permissions of its "
            f"folder (ls -ld {shlex.quote(str(path.parent))}), then try again."
        ) from error
    return True


def unmake(path: Path) -> None:
    """Remove a file that :func:`make` made, unless another process has put something into it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(
            "BEGIN EXCLUSIVE"
        )  # who waits for the lock sees afterwards that the file is gone
        if path.stat().st_size == 0:
            path.unlink()


def remove(path: Path) -> None:
    """Remove a database and the files that SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
