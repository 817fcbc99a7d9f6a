"""The one scratch database that stays on a server: what the history makes, from command to command.

Who works in it holds a lock of the server. Its mark says which state of the history it holds, and is
taken away before anything in it changes: what a killed command has left is not marked, and made anew.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property, partial
from typing import Any

from alembic.runtime.migration import RevisionStep
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from .. import runner
from ..project import Project, listening
from ..recorder import Recorder
from ..typing import Options
from . import servers
from .cache import Cache
from .mysql_copy import Copy

# what decides how a server understands the SQL of the history
SETTINGS = {
    "postgresql": "SELECT version(), current_user, current_setting('search_path'), "
    "current_setting('default_tablespace'), current_setting('default_table_access_method')",
    "mysql": "SELECT version(), current_user(), @@sql_mode, @@default_storage_engine, "
    "@@innodb_default_row_format, @@explicit_defaults_for_timestamp",
}
LOCKS = {
    "postgresql": "SELECT pg_try_advisory_lock(hashtextextended(:name, 0))",
    "mysql": "SELECT GET_LOCK(:name, 0)",
}
MARKS = {
    "postgresql": "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :name",
    "mysql": "SELECT table_comment FROM information_schema.tables "
    "WHERE table_schema = :name AND table_name = :table",
}
# settings of a database that its copy has not: https://www.postgresql.org/docs/current/manage-ag-templatedbs.html
NOT_COPIED = """
    SELECT 1 FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = :name
"""
IN_USE = "55006"  # PostgreSQL's object_in_use: somebody looks at it
WRITES = text("SELECT txid_current_if_assigned() IS NOT NULL")
# statements by which nothing in a database of MySQL changes
HARMLESS = re.compile(
    r"\s*(SELECT|SHOW|SET|EXPLAIN|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE"
    r"|(CREATE|DROP)\s+(TEMPORARY|DATABASE))\b",
    re.IGNORECASE,
)


@contextmanager
def claimed(project: Project) -> Iterator["Kept | None"]:
    """Give the kept database of a project to this command alone; None while another one has it."""
    url = project.engine.url
    name = servers.kept_name(url.database or "")
    with servers.interruptible(), servers.administer(url, project.engine_options) as server:
        servers.sweep(server, servers.scratch_stem(url.database or ""))
        free = server.execute(text(LOCKS[project.dialect]), {"name": name}).scalar()
        yield Kept(project, server, name) if free else None


class Kept:
    """The kept database of a project, locked.

    :param server: a connection that holds the lock
    """

    def __init__(self, project: Project, server: Connection, name: str) -> None:
        self.project, self.server, self.name = project, server, name
        self.url = project.engine.url.set(database=name)
        self.home = project.engine.url.database or ""
        self.mark = ""
        self.revisions: tuple[str, ...] = ()
        self.copy: Copy | None = None
        self.changing = False

    @cached_property
    def _cache(self) -> Cache:
        said = [*self.server.exec_driver_sql(SETTINGS[self.project.dialect]).one(), self._traits]
        return Cache(self.project, "\n".join(map(str, said)))

    @cached_property
    def _traits(self) -> str:
        return servers.locale(self.server, self.home)

    def hold(self, revisions: tuple[str, ...]) -> None:
        """Make it what the history makes up to some revisions, from what it is, or anew.

        :raises servers.NotAllowed: when the account may not create it
        """
        self.revisions = revisions
        mark, self.mark = self._mark(), self._cache.name(revisions)
        if mark == self.mark:
            return
        below = self._cache.states(revisions, set())
        if mark and any(self._cache.name(state) == mark for state in below):
            self._sign(self.server, None)
        else:
            with servers.refusal(self.server, self.home):
                servers.drop(self.server, self.name)
                servers.create(self.server, self.name, self._traits)
        try:
            with self._connected() as connection:
                build(self.project, connection, revisions)
        except BaseException:
            with suppress(DBAPIError):
                servers.drop(self.server, self.name)
            raise
        self._sign(self.server, self.mark)

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """Give a connection to it, to look at it; what is changed all the same is undone.

        On PostgreSQL by never committing: who does commits a database that is not kept any more.
        """
        with self._connected() as connection:
            listener: Options = {"commit": self._forget}
            if self.project.dialect == "mysql":
                listener = {"before_cursor_execute": self._before}
            with self._undone(connection), listening(connection, **listener):
                yield connection

    @contextmanager
    def copied(self) -> Iterator[Connection]:
        """Give a connection to a copy of it; on MySQL to itself, which is put back."""
        options = self.project.engine_options
        if self.project.dialect == "mysql":
            with self._connected() as connection:
                self._remember(connection)
                with self._undone(connection):
                    yield connection
            return
        with ExitStack() as stack:
            begin = partial(servers.database, self.project.engine.url, options)
            try:
                copy = stack.enter_context(begin(self.name))
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != IN_USE:
                    raise
                copy = None
            url = copy or stack.enter_context(begin())
            connection = stack.enter_context(servers.connected(url, options))
            if copy is None:
                build(self.project, connection, self.revisions)
            yield connection

    @contextmanager
    def _undone(self, connection: Connection) -> Iterator[None]:
        try:
            yield
        except Exception:
            with suppress(Exception):  # the first error is the one to be told
                self._put_back(connection)
            raise
        self._put_back(connection)

    def _put_back(self, connection: Connection) -> None:
        if self.copy is None:
            return
        connection.rollback()
        self.copy.restore()
        connection.commit()
        if Copy(connection).is_like(self.copy):
            self._sign(connection, self.mark)

    def _forget(self, connection: Connection) -> None:
        """It is no state of the history any more, if this transaction has written anything."""
        if connection.execute(WRITES).scalar():
            self._sign(connection, None)

    def _before(
        self, connection: Connection, _cursor: object, statement: str, *_more: object
    ) -> None:
        if not self.changing and not HARMLESS.match(statement):
            self._remember(connection)

    def _remember(self, connection: Connection) -> None:
        self.changing = True
        self._sign(connection, None)
        self.copy = Copy(connection)

    def _connected(self) -> Any:
        return servers.connected(self.url, self.project.engine_options)

    def _mark(self) -> str | None:
        names = {"name": self.name, "table": self.project.version_table}
        return self.server.execute(text(MARKS[self.project.dialect]), names).scalar()

    def _sign(self, connection: Connection, mark: str | None) -> None:
        quote = connection.dialect.identifier_preparer.quote_identifier
        said = f"'{mark}'" if mark else "NULL"
        if self.project.dialect == "postgresql":
            if mark and self.server.execute(text(NOT_COPIED), {"name": self.name}).first():
                return
            connection.exec_driver_sql(f"COMMENT ON DATABASE {quote(self.name)} IS {said}")
            return
        table = f"{quote(self.name)}.{quote(self.project.version_table)}"
        with suppress(DBAPIError):  # it keeps its version elsewhere, and is made anew each time
            connection.exec_driver_sql(f"ALTER TABLE {table} COMMENT = '{mark or ''}'")


def build(
    project: Project,
    connection: Connection,
    revisions: tuple[str, ...],
    recorder: Recorder | None = None,
) -> None:
    """Bring a database to some revisions; an empty one of SQLite from the newest state that is kept.

    :param recorder: writes down what its revisions do, which have to run for it
    """
    cache: Cache | None = None
    raw: Any = None
    if project.dialect == "sqlite":
        cache, raw = Cache(project), connection.connection.driver_connection
        cache.restore(raw, revisions, set(recorder.recordings if recorder else ()))

    def steps(applied: str, context: object) -> list[RevisionStep]:
        return project.script._upgrade_revs(revisions, applied)  # type: ignore[arg-type]

    runner.run(project, connection, steps, recorder)
    if connection.in_transaction():
        connection.commit()
    if cache is not None:
        cache.keep(raw, revisions)
