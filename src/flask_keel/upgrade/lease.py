"""One migrator at a time on a Galera cluster, where each node gives GET_LOCK's locks away for itself.

A row that only one can insert, with a heartbeat: whoever has stopped beating is followed by another.
https://galeracluster.com/library/kb/best/single-master-setup.html says why locks of a node are no locks.
"""

import uuid
from contextlib import suppress
from threading import Event, Thread

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from .. import log
from ..project import Environment
from ..waiting import number
from .lock import MysqlLock

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
HOLDER = "SELECT account, host FROM {table} WHERE id = :id"


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
        from .journal import who

        try:
            self._run(EXPIRED, expires=EXPIRES)
            self._run(INSERT, owner=self.owner, **who())
        except DBAPIError as error:
            if number(error.orig) in TAKEN:
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
