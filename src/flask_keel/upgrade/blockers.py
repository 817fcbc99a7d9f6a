"""Whom a statement waits for, and since when: said after two seconds, as far as the server tells it."""

import time
from contextlib import suppress
from threading import Event, Thread

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from .. import lexer, output

SILENT = 2.0  # seconds
LOOKS = 1.0  # seconds between two looks at a statement that still runs
LONGEST = 60

# https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION: 0 is a prepared
# transaction; an account that may not see a session sees its number, name and program
POSTGRESQL = text("""
    SELECT (SELECT string_agg(DISTINCT relation::regclass::text, ', ') FROM pg_locks
            WHERE pid = :session AND relation IS NOT NULL AND (NOT granted OR locktype = 'tuple')),
        blocker.pid, coalesce(nullif(application_name, ''), nullif(backend_type, 'client backend')),
        usename, extract(epoch FROM clock_timestamp() - xact_start)
    FROM unnest(pg_blocking_pids(:session)) AS blocker (pid)
    LEFT JOIN pg_stat_activity activity ON activity.pid = blocker.pid
    ORDER BY xact_start LIMIT 1
""")
# whether a statement waits for what DDL locks: an account sees this of itself
WAITS = text(
    "SELECT 1 FROM information_schema.processlist WHERE id = :session AND state LIKE 'Waiting for%lock'"
)
# the first that the server has and lets this account see: rows; tables, by a plugin of MariaDB's or
# where performance_schema is on; whoever has a transaction open. https://mariadb.com/kb/en/sys-schema/
# and https://mariadb.com/kb/en/metadata-lock-info-plugin/
MYSQL = (
    "SELECT locked_table AS holds, blocking_pid AS session FROM sys.innodb_lock_waits "
    "WHERE waiting_pid = :session",
    "SELECT theirs.table_name AS holds, theirs.thread_id AS session "
    "FROM information_schema.metadata_lock_info ours "
    "JOIN information_schema.metadata_lock_info theirs ON theirs.table_schema = ours.table_schema "
    "AND theirs.table_name = ours.table_name AND theirs.thread_id <> ours.thread_id "
    "WHERE ours.thread_id = :session AND ours.table_name <> ''",
    "SELECT object_name AS holds, blocking_pid AS session FROM sys.schema_table_lock_waits "
    "WHERE waiting_pid = :session AND blocking_pid <> waiting_pid",
    "SELECT NULL AS holds, trx_mysql_thread_id AS session FROM information_schema.innodb_trx "
    "WHERE trx_mysql_thread_id <> :session",
)
OF_MYSQL = """
    SELECT held.holds, held.session, '', user, TIMESTAMPDIFF(SECOND, trx_started, NOW())
    FROM ({query}) held
    LEFT JOIN information_schema.innodb_trx ON trx_mysql_thread_id = held.session
    LEFT JOIN information_schema.processlist ON id = held.session ORDER BY trx_started LIMIT 1
"""


def short(statement: str) -> str:
    """Return a statement in quotes and in one line, cut where it is long."""
    line = " ".join(lexer.without_comments(statement).split())
    return f"'{line}'" if len(line) <= LONGEST else f"'{line[:LONGEST]}...'"


class Watch(Thread):
    """Looks, from a connection of its own, at the statement that runs on another.

    Without such a connection nothing is said, and nothing else is lost.

    :param session: the server's number of the connection that is looked at
    """

    def __init__(self, engine: Engine, session: int) -> None:
        super().__init__(name="blockers", daemon=True)
        self._engine = engine
        self._session = session
        self._ended = Event()
        self._running: tuple[str, float] | None = None
        self._told = ""
        self.held = ""

    def begins(self, statement: str) -> None:
        """Note that a statement is on its way."""
        self.held = ""
        self._running = statement, time.monotonic()

    def ends(self) -> None:
        self._running = None

    def stop(self) -> None:
        """End the watch, and its connection."""
        self._ended.set()
        self.join(LOOKS)

    def run(self) -> None:
        connection = None
        with suppress(Exception):
            while not self._ended.wait(LOOKS / 4):
                running = self._running
                if running and time.monotonic() - running[1] >= LOOKS:
                    connection = connection or self._connect()
                    self._look(connection, *running)
                    self._ended.wait(LOOKS)
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _connect(self) -> Connection:
        return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _look(self, connection: Connection, statement: str, begun: float) -> None:
        who, since = _holder(connection, self._session)
        if not who or self._running != (statement, begun):
            return
        self.held = who + since
        if time.monotonic() - begun >= SILENT and who != self._told:
            self._told = who
            output.say(f"  {short(statement)} waits for a lock: {self.held}")


def _holder(connection: Connection, session: int) -> tuple[str, str]:
    """Say who holds what a session waits for, and for how long; nothing for a session that works."""
    values = {"session": session}
    if connection.dialect.name == "postgresql":
        row = connection.execute(POSTGRESQL, values).first()
        return _said("pid", *row) if row else ("", "")
    waits = connection.execute(WAITS, values).first()
    for number, query in enumerate(MYSQL):
        if number and not waits:
            break  # it works, or waits for a row
        with suppress(DBAPIError):
            if row := connection.execute(text(OF_MYSQL.format(query=query)), values).first():
                return _said("connection", *row)
    return ("the server does not say whose", "") if waits else ("", "")


def _said(
    number: str,
    table: str | None,
    session: int,
    program: str,
    user: str | None,
    seconds: float | None,
) -> tuple[str, str]:
    program = f"{program}, " if program else ""
    of = f" of {user}" if user else ""
    who = f"another session ({program}{number} {session}{of})"
    since = f", whose transaction is {seconds:.0f} s old" if seconds is not None else ""
    if table:
        return f"{lexer.parts(table)[-1]} is held by {who}", since
    if number == "pid":  # a snapshot, for which CONCURRENTLY waits
        return f"{who} has to end first", since
    return f"the server does not say whose, perhaps of {who}", since
