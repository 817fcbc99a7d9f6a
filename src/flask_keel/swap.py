"""A finished database takes the place of the old one: at each moment there is the one or the other."""

import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from . import messages, servers, sqlite_file, temporary

PATIENCE = 5  # seconds
IN_USE = "55006"  # PostgreSQL's object_in_use
# what RENAME TABLE cannot take to another database, or would leave behind
UNMOVABLE = text("""
    SELECT (SELECT count(*) FROM information_schema.views WHERE table_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.routines WHERE routine_schema IN (:old, :new))
         + (SELECT count(*) FROM information_schema.events WHERE event_schema IN (:old, :new))
""")
TABLES = text(
    "SELECT table_name FROM information_schema.tables "
    "WHERE table_schema = :name AND table_type = 'BASE TABLE' ORDER BY table_name"
)


def file(new: Path, old: Path, backups: Path) -> Path | None:
    """Write a SQLite database over another, in one transaction of SQLite's backup.

    A server that has the file open sees the new content, not a deleted file.

    :param backups: the folder in which the replaced one is kept
    :returns: where it is kept; None when there was nothing in it
    :raises CommandError: when another process holds it
    """
    kept = _keep(old, backups)
    try:
        _copy(new, old)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # not a database at all
        part = old.with_name(f".{old.name}.part")
        _copy(new, part)
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{old}{suffix}").unlink(missing_ok=True)
        part.replace(old)
    return kept


def _keep(old: Path, backups: Path) -> Path | None:
    """Keep a copy of a database, as a whole or not at all; the copy before it makes room."""
    if not old.exists() or not old.stat().st_size:
        return None
    backups.mkdir(exist_ok=True)
    kept = backups / f"{old.stem}.replaced{old.suffix}"
    part = backups / f".{kept.name}.part"
    part.unlink(missing_ok=True)
    try:
        try:
            _copy(old, part)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # whatever it is, it was somebody's
            sqlite_file.remove(part)
            shutil.copyfile(old, part)
        part.replace(kept)
    finally:
        sqlite_file.remove(part)
    return kept


def _copy(source: Path, target: Path) -> None:
    deadline = time.monotonic() + PATIENCE

    def give_up(status: int, remaining: int, total: int) -> None:
        # the backup would try for ever: https://www.sqlite.org/c3ref/backup_finish.html
        if time.monotonic() > deadline:
            raise CommandError(messages.LOCKED.format(database=target))

    with closing(sqlite3.connect(source)) as reads, closing(sqlite3.connect(target)) as writes:
        reads.backup(writes, progress=give_up)


def server(old: Any, new: Any, options: dict[str, Any] | None) -> bool:
    """Put a database in the place of another on its server, in one statement or transaction.

    :param old: the URL of the one that goes
    :param new: the URL of the one that comes
    :param options: the application's engine options
    :returns: False when MySQL cannot do that with what is in them; nothing has changed then
    :raises servers.NotAllowed: when the account may not
    """
    old, new = make_url(old), make_url(new)
    away = temporary.beside(old.database)
    with (
        servers.administer(old, options) as connection,
        servers.refusal(connection, old.database),
    ):
        if servers.kind(old) == "postgresql":
            _rename_databases(connection, old.database, new.database, away)
            moved = True
        else:
            servers.create(connection, away, servers.locale(connection, old.database))
            moved = _rename_tables(connection, old.database, new.database, away)
        with suppress(DBAPIError):  # the next run sweeps it
            servers.drop(connection, away)
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
    for thread in servers.threads(connection, old):
        with suppress(DBAPIError):  # it has ended, or is somebody else's
            connection.exec_driver_sql(f"KILL {thread}")
    try:
        if moves:
            connection.exec_driver_sql(f"RENAME TABLE {', '.join(moves)}")
    except DBAPIError:
        return False
    return True
