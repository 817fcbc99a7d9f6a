"""One migrator at a time on a server: a lock on the connection that does the work.

Not on a connection of its own: that one is free as soon as its process is killed, while the statement
that the process had sent still runs. On SQLite the write lock of the one transaction is the lock.

Whom a statement waits for, and since when: said after two seconds, as far as the server tells it.
"""

import hashlib
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import Event, Thread

from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from .. import lexer, log, output, statements, waiting
from ..project import Environment, kind, listening
from ..typing import Value
from ..urls import NOT_SUPPORTED, unlike

SILENT = 2.0  # seconds
LOOKS = 1.0  # seconds between two looks at a statement that still runs

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
# a row that only one can insert, with a heartbeat: whoever has stopped beating is followed by another.
# https://galeracluster.com/library/kb/best/single-master-setup.html says why locks of a node are no locks
BEATS, EXPIRES = 3, 30  # seconds
# another has it; the cluster gave the other's commit the precedence; it waits for whoever decides
TAKEN = {1062, 1213, 1205}
INSERT = """
    INSERT INTO {table} (id, run, revision, direction, started, host, account, outcome)
    VALUES (:id, :owner, '', 'lease', UTC_TIMESTAMP(), :host, :account, 'begun')
"""
EXPIRED = (
    "DELETE FROM {table} WHERE id = :id AND started < UTC_TIMESTAMP() - INTERVAL :expires SECOND"
)
BEAT = "UPDATE {table} SET started = UTC_TIMESTAMP() WHERE id = :id AND run = :owner"
HELD = "SELECT count(*) FROM {table} WHERE id = :id AND run = :owner"
RELEASE = "DELETE FROM {table} WHERE id = :id AND run = :owner"
LOST = (
    "the connection to {database} was lost, and with it the lock that one migrator has at a time: look why "
    "the server ended it, then try again."
)
HOLDER = "SELECT account, host FROM {table} WHERE id = :id"


@contextmanager
def held(project: Environment, connection: Connection) -> Iterator[None]:
    """Hold the lock of this database's history; wait for whoever holds it.

    :param connection: on which the migrations will run, to a server
    :raises CommandError: when it is not free in time, or cannot be held through what is in between
    """
    lock = _of(project, connection)
    with lock.looking():
        lock.require_supported()
        waiting.undisturbed(lock.require_possible)
        if not waiting.until(lock.take, patience := waiting.patience(project.settings), lock.waits):
            raise CommandError(
                f"{project.database} is still being migrated by {lock.holder()} after {patience:g} s "
                "(MIGRATION_LOCK_WAIT): nothing was changed, try again when it has ended."
            )
    session = lock.session

    def require_same(*_: object) -> None:
        if lock.session is not session:
            raise CommandError(LOST.format(database=project.database))

    try:
        with listening(connection, before_cursor_execute=require_same):
            yield
    finally:
        lock.release()


def _of(project: Environment, connection: Connection) -> "_Lock":
    if kind(connection.engine.url) == "postgresql":
        return PostgresqlLock(project, connection)
    with nullcontext() if connection.in_transaction() else _Lock.looking_at(connection):
        galera = is_galera(connection)
    return (GaleraLock if galera else MysqlLock)(project, connection)


def is_galera(connection: Connection) -> bool:
    """Whether a server is a node of a Galera cluster: there GET_LOCK does not lock.

    :param connection: to MariaDB or MySQL
    """
    row = connection.execute(text("SHOW VARIABLES LIKE 'wsrep_on'")).first()
    return row is not None and str(row[1]).upper() in ("ON", "1")


class _Lock(ABC):
    def __init__(self, project: Environment, connection: Connection) -> None:
        self.project = project
        self.connection = connection
        self.lent_out = connection.in_transaction()
        schema = project.options.get("version_table_schema")
        with self.looking():
            names = [*self._where(), schema or "", project.version_table]
        self.digest = hashlib.sha256("\0".join(names).encode()).digest()

    def looking(self) -> AbstractContextManager[None]:
        """Statements that begin no transaction: see :meth:`looking_at`."""
        # the caller's own transaction
        return nullcontext() if self.lent_out else self.looking_at(self.connection)

    @staticmethod
    @contextmanager
    def looking_at(connection: Connection) -> Iterator[None]:
        """Statements that begin no transaction: who waits inside of one holds a snapshot, for which
        CREATE INDEX CONCURRENTLY waits."""
        before = connection.get_isolation_level()
        connection.rollback()
        connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            yield
        finally:
            connection.rollback()
            connection.execution_options(isolation_level=before)

    def require_supported(self) -> None:
        """Stop at a server that speaks for another.

        :raises CommandError: naming it
        """
        said = " ".join(str(self._one(query)) for query in self.tells)
        if engine := unlike(said):
            said = NOT_SUPPORTED.format(database=self.project.database, engine=engine)
            raise CommandError(said)

    @property
    def session(self) -> Value:
        """The driver's connection: SQLAlchemy makes another where that was lost."""
        return self.connection.connection.dbapi_connection

    def waits(self) -> str:
        return (
            f"{self.project.database} is being migrated by {self.holder()}: waiting until it ends"
        )

    def holder(self) -> str:
        """Say who holds the lock, as far as this account may know it."""
        with suppress(Exception):
            if found := self._holder():
                return found
        return "another process"

    def release(self) -> None:
        """Give the lock back; a connection that cannot is closed, which gives it back too."""
        if self.connection.closed or self.connection.invalidated:
            return
        try:
            with self.looking():
                self._release()
        except Exception:
            with suppress(Exception):
                self.connection.invalidate()

    def _one(self, statement: str, **values: Value) -> Value:
        return self.connection.execute(text(statement), values).scalar()

    tells: tuple[str, ...] = ("SELECT version()",)  # what it is

    @abstractmethod
    def _where(self) -> list[str]: ...

    @abstractmethod
    def _holder(self) -> str | None: ...

    @abstractmethod
    def _release(self) -> None: ...

    @abstractmethod
    def require_possible(self) -> None: ...

    @abstractmethod
    def take(self) -> bool: ...


class PostgresqlLock(_Lock):
    """https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS"""

    tells = ("SELECT version()", "SELECT extname FROM pg_extension WHERE extname = 'citus'")

    @property
    def key(self) -> int:
        return int.from_bytes(self.digest[:8], signed=True)

    def _where(self) -> list[str]:  # these locks are a database's own
        return [] if self.project.options.get("version_table_schema") else [self._schema()]

    def _schema(self) -> str:
        return self._one("SELECT current_schema()") or ""

    def take(self) -> bool:
        of = "xact_" if self.lent_out else ""
        return bool(self._one(f"SELECT pg_try_advisory_{of}lock(:key)", key=self.key))

    def _release(self) -> None:
        if not self.lent_out:  # else it ends with the transaction
            self._one("SELECT pg_advisory_unlock(:key)", key=self.key)

    def _holder(self) -> str | None:
        row = self.connection.execute(
            text(
                "SELECT a.pid, a.usename, a.application_name, now() - a.backend_start "
                "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
                "JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() "
                "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
                "AND l.classid::bigint = :high AND l.objid::bigint = :low"
            ),
            {"high": (self.key >> 32) & 0xFFFFFFFF, "low": self.key & 0xFFFFFFFF},
        ).first()
        if row is None:
            return None
        program = f"{row[2]}, " if row[2] else ""
        since = int(row[3].total_seconds()) if row[3] is not None else 0
        return f"another session ({program}pid {row[0]} of {row[1]}, begun {since} s ago)"

    def require_possible(self) -> None:
        """Stop where sessions are shared: the lock would be another client's a moment later.

        A pooler invents the number of the session that it tells the client, and in transaction mode
        gives the next statement to any of its own: https://www.pgbouncer.org/features.html
        """
        driver = self.connection.connection.driver_connection
        told = getattr(getattr(driver, "info", None), "backend_pid", None)
        mine = self._one("SELECT pg_backend_pid()")
        if self.lent_out or told is None or told == mine:
            return
        with self.connection.engine.connect() as other, other.begin():
            for _ in range(5):
                theirs = other.execute(text("SELECT pg_backend_pid()")).scalar()
                if theirs == mine or self._one("SELECT pg_backend_pid()") != mine:
                    raise CommandError(
                        f"{self.project.database} is reached through a pooler in transaction mode, "
                        "where no lock can be held: nothing was changed, give DATABASE_URL the "
                        "server's own address (or a pool in session mode) for db upgrade."
                    )


class MysqlLock(_Lock):
    """https://mariadb.com/kb/en/get_lock/: names are valid for the whole server."""

    @property
    def name(self) -> str:
        return f"keel_{self.digest.hex()[:40]}"

    def _where(self) -> list[str]:
        return [self._one("SELECT database()") or ""]

    def take(self) -> bool:
        return bool(self._one("SELECT GET_LOCK(:name, 0)", name=self.name))

    def _release(self) -> None:
        self._one("SELECT RELEASE_LOCK(:name)", name=self.name)

    def _holder(self) -> str | None:
        holder = self._one("SELECT IS_USED_LOCK(:name)", name=self.name)
        if holder is None:
            return None
        row = self.connection.execute(
            text("SELECT user, time FROM information_schema.processlist WHERE id = :id"),
            {"id": holder},
        ).first()
        who = f" of {row[0]}" if row else ""
        return f"another session (connection {holder}{who})"

    def require_possible(self) -> None:
        """It always is."""


class GaleraLock(MysqlLock):
    """A row of ``alembic_log``, with an owner, a heartbeat and an expiry."""

    def __init__(self, project: Environment, connection: Connection) -> None:
        super().__init__(project, connection)
        self.owner = uuid.uuid4().hex
        self.table = log.table(project.options.get("version_table_schema"))
        self.name_of_table = connection.dialect.identifier_preparer.format_table(self.table)
        self.heart: Heart | None = None
        self.before = 0

    def _run(self, statement: str, **values: object) -> int:
        said = text(statement.format(table=self.name_of_table))
        return self.connection.execute(said, {"id": log.LEASE, **values}).rowcount

    def require_possible(self) -> None:
        """Let what is read be what the others have committed, and make the table."""
        self.before = self._one("SELECT @@SESSION.wsrep_sync_wait")
        self.connection.execute(text("SET SESSION wsrep_sync_wait = 1"))
        # a statement of DDL ends the transactions of others that use its table, on all nodes
        if not inspect(self.connection).has_table(self.table.name, schema=self.table.schema):
            self.connection.execute(CreateTable(self.table, if_not_exists=True))

    def take(self) -> bool:
        try:
            self._run(EXPIRED, expires=EXPIRES)
            self._run(INSERT, owner=self.owner, **log.who())
        except DBAPIError as error:
            if waiting.number(error.orig) in TAKEN:
                return False
            raise
        session = self._one("SELECT connection_id()")
        self.heart = Heart(self.project.engine, self.name_of_table, self.owner, session)
        self.heart.start()
        return True

    def _release(self) -> None:
        if self.heart is not None:
            self.heart.stop()
        self._run(RELEASE, owner=self.owner)
        self.connection.execute(text(f"SET SESSION wsrep_sync_wait = {int(self.before)}"))

    def _holder(self) -> str | None:
        said = text(HOLDER.format(table=self.name_of_table))
        row = self.connection.execute(said, {"id": log.LEASE}).first()
        return f"another process ({row[0]}@{row[1]})" if row else None


class Heart(Thread):
    """Beats while the migrator works; ends its session where another has taken the lease over.

    :param session: the server's number of the connection that does the work
    """

    def __init__(self, engine: Engine, table: str, owner: str, session: int) -> None:
        super().__init__(name="lease", daemon=True)
        self.engine, self.table, self.session = engine, table, session
        self.values = {"id": log.LEASE, "owner": owner}
        self.ended = Event()

    def stop(self) -> None:
        self.ended.set()
        self.join(BEATS)

    def run(self) -> None:
        while not self.ended.wait(BEATS):
            # a DDL statement has the whole cluster wait, this one too: then nobody can take it over
            with suppress(DBAPIError), self.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                beaten = connection.execute(text(BEAT.format(table=self.table)), self.values)
                if beaten.rowcount or self.ended.is_set():
                    continue
                held = connection.execute(text(HELD.format(table=self.table)), self.values)
                if not held.scalar():
                    connection.exec_driver_sql(f"KILL {self.session}")
                    return


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
        self._running: tuple[str, float, int] | None = None
        self._told = ""
        self.held = ""
        self.own = {session}  # of the thread that migrates
        self.itself = False  # one of them waits for another, and was stopped

    def begins(self, statement: str, session: int | None = None) -> None:
        """Note that a statement is on its way.

        :param session: of another connection of the same thread
        """
        self.held = ""
        self.own |= {session or self._session}
        self._running = statement, time.monotonic(), session or self._session

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

    def _look(self, connection: Connection, statement: str, begun: float, session: int) -> None:
        who, since, holder = _holder(connection, session)
        if not who or self._running != (statement, begun, session):
            return
        sure = "perhaps" not in who or time.monotonic() - begun >= SILENT
        if holder in self.own and sure:
            self.itself = True
            postgresql = connection.dialect.name == "postgresql"
            end = "SELECT pg_cancel_backend({})" if postgresql else "KILL QUERY {}"
            connection.exec_driver_sql(end.format(session))
            return
        self.held = who + since
        if time.monotonic() - begun >= SILENT and who != self._told:
            self._told = who
            said = statements.short(lexer.without_comments(statement, self._engine.dialect.name))
            output.say(f"  {said} waits for a lock: {self.held}")


def _holder(connection: Connection, session: int) -> tuple[str, str, int]:
    """Say who holds what a session waits for, for how long, and its number; nothing for one that works."""
    values = {"session": session}
    if connection.dialect.name == "postgresql":
        row = connection.execute(POSTGRESQL, values).first()
        return (*_said("pid", *row), row[1]) if row else ("", "", 0)
    waits = connection.execute(WAITS, values).first()
    for number, query in enumerate(MYSQL):
        if number and not waits:
            break  # it works, or waits for a row
        with suppress(DBAPIError):
            if row := connection.execute(text(OF_MYSQL.format(query=query)), values).first():
                return (*_said("connection", *row), row[1])
    return ("the server does not say whose" if waits else "", "", 0)


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
