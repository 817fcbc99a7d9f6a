"""Nobody waits for an upgrade: a lock is waited for a short time, then given up and tried again.

Who waits for a table's lock stands before all who come later, readers too. So every lock that is held
is given back before the next try: on PostgreSQL the revision's transaction is rolled back and run anew
(after ROLLBACK TO SAVEPOINT others wait on: it was tried); MySQL has committed what stood before a
statement of DDL, so that this one alone is run again.
"""

import random
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import wraps
from itertools import count

from alembic.runtime.migration import MigrationContext, MigrationStep
from sqlalchemy import Connection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DBAPIError

from .. import lexer, output, statements, waiting
from ..project import Environment, Steps, listening
from ..runner import Refused
from ..typing import Value
from .failures import Run
from .lock import Watch
from .progress import LoggedProgress

Send = Callable[[str], object]  # sends a statement to the server
PAUSES = 0.5, 1.6, 15.0  # seconds between two tries: the first, by what they grow, the longest
ONLINE = 0.1, 1.2, 5.0  # where each is short, so that nobody feels it
SAID = 10  # of such tries each tenth is told
FLOOR = 1.0  # seconds that a statement may wait, however long others of its transaction have waited
CHECK = "2000"  # ms in which PostgreSQL 14 notices that its client has gone
# https://www.postgresql.org/docs/current/errcodes-appendix.html: lock_not_available, deadlock_detected,
# serialization_failure; https://mariadb.com/kb/en/mariadb-error-codes/: a lock wait, a deadlock
TIMED_OUT = {"55P03", 1205}
LOCKED = TIMED_OUT | {"40P01", "40001", 1213}
THERE = "42P07"  # duplicate_table, said of an index too
# what has done nothing when it fails: CALL and DO may commit in their middle
WHOLE = {
    *("ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE", "COMMENT", "GRANT", "REVOKE", "ANALYZE"),
    *("REINDEX", "REFRESH", "INSERT", "UPDATE", "DELETE", "REPLACE", "SELECT", "WITH"),
}
ROWS = {"INSERT", "UPDATE", "DELETE", "REPLACE", "SELECT", "WITH", "VALUES", "SET", "COPY"}
ENDS = {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"}
THEIRS = re.compile(
    r"\bset(_config)?\b.*\b(lock_timeout|lock_wait_timeout|statement_timeout)\b",
    re.IGNORECASE | re.DOTALL,
)
AT_ONCE = re.compile(r"\b(NOWAIT|WAIT\s+\d+|SKIP\s+LOCKED)\b|;\s*\S", re.IGNORECASE)
# locks of this transaction that others feel: https://www.postgresql.org/docs/current/explicit-locking.html
HOLDS = """
    SELECT 1 FROM pg_locks WHERE pid = pg_backend_pid() AND granted AND locktype = 'relation' AND mode
    IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') LIMIT 1
"""
# CREATE INDEX says the table, REINDEX the table or the index, DROP INDEX the index
SAYS = re.compile(
    r"\s*(?P<verb>CREATE|REINDEX|DROP)\b(?:\s+UNIQUE)?(?:\s*\([^)]*\))?\s+(?:INDEX|TABLE)\s+CONCURRENTLY\s+"
    r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
    rf"(?:(?P<name>{lexer.NAME})\s+ON\s+|ON\s+)?(?:ONLY\s+)?(?P<relation>{lexer.NAME})",
    re.IGNORECASE,
)
VALIDATES = re.compile(r"\s*ALTER\s+TABLE\b.*\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE | re.DOTALL)
# an index of a partitioned table is invalid until all its parts are there
INVALID = """
    SELECT index.indexrelid::regclass::text, relname FROM pg_index index
    JOIN pg_class ON pg_class.oid = index.indexrelid AND relkind = 'i'
    WHERE NOT indisvalid AND indrelid IN ({table}) ORDER BY relname
"""
TABLE = """
    to_regclass(%(relation)s), (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass(%(relation)s))
"""
# whoever makes an index of the table holds this one until it is finished
OTHERS = """
    SELECT 1 FROM pg_locks WHERE granted AND pid <> pg_backend_pid() AND relation IN ({table})
    AND mode IN ('ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock') LIMIT 1
"""
NUMBER = {"postgresql": "SELECT pg_backend_pid()"}
NUMBER |= dict.fromkeys(("mysql", "mariadb"), "SELECT connection_id()")
SESSION = "keel_session"  # in Connection.info: the server's number of it
ITSELF = (
    "{statement} waits, as far as the server tells, for another connection of this migration's own "
    "(db.session, db.engine): use op.get_bind(), or Session(op.get_bind()), for all that it does"
)
# what REINDEX calls the index that it makes, and the one whose place that has taken
REMADE = re.compile(r"_cc(new|old)\d*$")


def going_on(work: Steps) -> Steps:
    """Let the steps of a command be asked for again; those that are done are not given twice.

    They are counted once, from where the database was at first: ``downgrade -1`` from one revision
    below is another one.
    """
    left: list[MigrationStep] | None = None

    @wraps(work)
    def steps(applied: object, context: MigrationContext) -> Iterator[MigrationStep]:
        nonlocal left
        if left is None:
            left = list(work(applied, context))
        while left:
            yield left[0]
            left.pop(0)  # committed, or nobody would ask for the next

    return steps


class Patience(ABC):
    """One run's: how long its statements wait, what is tried again, and who is waited for."""

    def __init__(
        self, project: Environment, connection: Connection, run: Run, progress: LoggedProgress
    ) -> None:
        self.project = project
        self.connection = connection
        self.database = connection.dialect.name
        self.run = run
        self.progress = progress
        self.thread = threading.get_ident()
        self.seconds = waiting.timeout(project.settings)
        self.tries = waiting.retries(project.settings)
        self.own: dict[str, str] = {}  # what the session's variables are to be
        self.watch = Watch(project.engine, run.session or 0)
        self.running = ""  # the statement that has begun and not ended
        self.error: BaseException | None = None  # of this connection
        self.tried = 0  # times that the transaction of this revision was begun anew
        self.pause = 0.0
        self.spent = False
        self.undoable = True  # a rollback undoes all that this revision has done
        self.theirs = False  # the migration says itself how long it waits
        self.applied = False

    @contextmanager
    def patient(self) -> Iterator["Patience"]:
        """Let the session's statements wait as long as the settings say, for what runs inside."""
        before = self._begin()
        live = self.connection
        with ExitStack() as stack:
            stack.callback(self._restore, before)
            self.watch.start()
            stack.callback(self.watch.stop)
            stack.enter_context(
                listening(
                    live,
                    before_cursor_execute=self._begins,
                    after_cursor_execute=self._ends,
                    commit=self._committed,
                    rollback=self._rolled_back,
                )
            )
            stack.enter_context(
                listening(
                    live.engine,
                    before_cursor_execute=self._begins_elsewhere,
                    after_cursor_execute=self._elsewhere,
                    handle_error=self._failed,
                    do_execute=self._execute,
                    do_execute_no_params=self._execute_plainly,
                )
            )
            yield self

    def next_revision(self, **_: object) -> None:
        """Alembic's callback, called before a revision is committed."""
        self.applied = True
        if self.theirs:
            self._set(self.own)
            self.theirs = False

    def again(self, error: DBAPIError) -> bool:
        """Whether the revision, whose transaction is rolled back, is to be run again after a pause."""
        if self.spent or error.orig is not self.error or not LOCKED & codes(error.orig):
            return False
        if self.progress.stood or not self.undoable or not self._undone():
            return False
        self.tried += 1
        return self._pauses(self.running, self.tried, "all of this revision is given back")

    def _pauses(self, statement: str, tried: int, given: str) -> bool:
        """Say that there will be another try, and after which pause; False where it was the last."""
        held = f" ({self.watch.held})" if self.watch.held else ""
        if tried > self.tries:
            self.spent = True
            self.run.left += f", after {tried} tries{held}" if self.tries else held
            return False
        online = self.project.zero_downtime
        self.pause = pause(tried, online)
        if not online or tried % SAID == 0:
            plain = lexer.without_comments(statement, self.database)
            said = statements.short(plain) if statement else "COMMIT"
            output.say(
                f"  {said} did not get its lock{held}: {given}, "
                f"tried again in {self.pause:.1f} s ({tried} of {self.tries})"
            )
        return True

    def _whole(self, error: BaseException, statement: str) -> bool:
        """Whether a statement that failed did nothing, and may be run again as it is."""
        if not LOCKED & codes(error) or statements.first(statement, self.database) not in WHOLE:
            return False
        return not AT_ONCE.search(lexer.without_asides(statement, self.database))

    # what SQLAlchemy calls

    def _begins(self, live: Connection, cursor: object, statement: str, *_: object) -> None:
        self.running = statement
        if "_timeout" in statement.lower() and THEIRS.search(statement):
            self.theirs = True
        self.watch.begins(statement)

    def _ends(self, live: Connection, cursor: object, statement: str, *_: object) -> None:
        self.watch.ends()
        if statements.first(statement, self.database) in ENDS:
            self.undoable = False  # past SQLAlchemy: what stood before it stands now
        self.running = ""

    def _is_elsewhere(self, live: Connection | None) -> bool:
        return live is not self.connection and threading.get_ident() == self.thread

    def _begins_elsewhere(self, live: Connection, _: object, statement: str, *more: object) -> None:
        if not self._is_elsewhere(live):
            return
        if SESSION not in live.info:
            with suppress(Exception), closing(live.connection.cursor()) as cursor:
                cursor.execute(NUMBER[live.dialect.name])
                ((live.info[SESSION],),) = cursor.fetchall()
        if number := live.info.get(SESSION):
            self.watch.begins(statement, number)

    def _elsewhere(self, live: Connection, cursor: object, statement: str, *_: object) -> None:
        """A migration that writes through another connection: no rollback here undoes that."""
        if self._is_elsewhere(live):
            self.watch.ends()
            self.undoable &= not statements.changes(statement, live.dialect.name)

    def _failed(self, context: ExceptionContext) -> None:
        if context.connection is self.connection:
            self.error = context.original_exception
        if context.connection is self.connection or self._is_elsewhere(context.connection):
            self.watch.ends()
            if self.watch.itself:
                self.watch.itself = False
                raise Refused(
                    ITSELF.format(statement=statements.short(context.statement or "COMMIT"))
                )

    def _committed(self, *_: object) -> None:
        if self.applied:
            self.tried, self.undoable = 0, True
        self._over()

    def _rolled_back(self, *_: object) -> None:
        self.theirs = False
        self._over()

    def _over(self) -> None:
        self.applied = False

    def _execute_plainly(
        self, cursor: DBAPICursor, statement: str, context: DefaultExecutionContext
    ) -> bool | None:
        return self._ours(context) and self._carry_out(
            statement, lambda said: context.dialect.do_execute_no_params(cursor, said, context)
        )

    def _execute(
        self,
        cursor: DBAPICursor,
        statement: str,
        parameters: Value,
        context: DefaultExecutionContext,
    ) -> bool | None:
        return self._ours(context) and self._carry_out(
            statement, lambda said: context.dialect.do_execute(cursor, said, parameters, context)
        )

    def _ours(self, context: DefaultExecutionContext) -> bool:
        return context is not None and context.root_connection is self.connection

    # what the databases do differently

    @abstractmethod
    def _begin(self) -> dict[str, str]:
        """Set the session's variables; return what they were."""

    @abstractmethod
    def _carry_out(self, statement: str, run: Send) -> bool | None:
        """Run a statement as often as it may be tried alone; None leaves it to SQLAlchemy."""

    @abstractmethod
    def _set(self, values: Mapping[str, str]) -> None: ...

    def _undone(self) -> bool:
        """Whether the rollback has undone all that the transaction did."""
        return True

    def _restore(self, before: Mapping[str, str]) -> None:
        with suppress(Exception):
            if not self.connection.closed and not self.connection.invalidated:
                self.connection.rollback()
                self._set(before)
                self._driver().commit()

    def _raw(self, statement: str) -> list[Value]:
        """Run a statement of our own between two of the migration's, which nobody notes."""
        with closing(self._driver().cursor()) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def _driver(self) -> Value:
        return self.connection.connection.driver_connection


class Concurrently:
    """Work on an index CONCURRENTLY, and what it leaves where it does not come to its end: an invalid one.

    That costs every write and helps no query, and a second CREATE INDEX CONCURRENTLY IF NOT EXISTS takes it
    for done. https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY

    :param connection: the driver's, in autocommit
    :param said: how :data:`SAYS` matches the statement
    """

    def __init__(self, connection: DBAPIConnection, said: re.Match[str]) -> None:
        self.connection = connection
        self.verb, self.relation, self.name = said["verb"].upper(), said["relation"], said["name"]
        self.before = self._invalid()

    @classmethod
    def of(cls, connection: DBAPIConnection, statement: str) -> "Concurrently | None":
        """Return what a statement does; None where it does no work on indexes CONCURRENTLY."""
        if "CONCURRENTLY" not in statement.upper():
            return None
        said = SAYS.match(lexer.without_comments(statement, "postgresql"))
        return cls(connection, said) if said else None

    def _invalid(self) -> dict[str, str]:
        """The names of its table's invalid indexes in the catalogue, by what is to be typed."""
        return dict(self._asked(INVALID))

    def _asked(self, query: str) -> list[tuple[str, str]]:
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(query.format(table=TABLE), {"relation": self.relation})
            return list(cursor.fetchall())

    def sweep(self) -> bool:
        """Drop what an interrupted statement of the same kind has left; return whether there was anything.

        After the statement, which has had the lock that whoever makes such an index holds: so nobody does.
        """
        again = [
            typed
            for typed, name in self._invalid().items()
            if typed in self.before and self._makes(name)
        ]
        for typed in again:
            self._drop(typed)
            output.say(
                f"  {typed} was left invalid by a {self.verb} that did not end: it is dropped"
            )
        return bool(again)

    def _makes(self, name: str) -> bool:
        if self.verb != "CREATE":
            return self.verb == "REINDEX" and bool(REMADE.search(name))
        meant = lexer.parts(self.name)[-1] if self.name else None
        return name == (meant.lower() if meant and not self.name.endswith('"') else meant)

    def _drop(self, typed: str) -> None:
        """Drop an index while others use its table."""
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {typed}")

    def clear(self) -> str:
        """Drop what it has left when it failed; return the words for a sentence that says it.

        What another session may be making is only named.
        """
        said = []
        for typed in sorted(self._invalid().keys() - self.before.keys()):
            try:
                if self.verb == "DROP" or self._asked(OTHERS):
                    raise LookupError
                self._drop(typed)
                said.append(f", the invalid index {typed} that was left is dropped")
            except Exception:
                said.append(f", {typed} is left invalid: type DROP INDEX CONCURRENTLY {typed}")
        return "".join(said)


def waits_for_snapshots(statement: str) -> bool:
    """Whether a statement waits for others while nobody waits for it."""
    if "CONCURRENTLY" in statement.upper():
        return "CONCURRENTLY" in lexer.without_asides(statement, "postgresql").upper()
    return validates(statement)


def validates(statement: str) -> bool:
    """Whether a statement looks at the rows of a constraint, while others read and write them."""
    if "VALIDATE" not in statement.upper():
        return False
    return bool(VALIDATES.match(lexer.without_asides(statement, "postgresql")))


class Postgresql(Patience):
    """One transaction for each revision, which is run again; in autocommit each statement by itself."""

    def _begin(self) -> dict[str, str]:
        names = ("lock_timeout", "statement_timeout", "client_connection_check_interval")
        before = dict(self._raw(f"SELECT name, setting FROM pg_settings WHERE name IN {names}"))
        theirs = int(before["lock_timeout"]) / 1000
        if theirs and "MIGRATION_LOCK_TIMEOUT" not in self.project.settings:
            self.seconds = theirs
        self.statement = before.pop("statement_timeout")
        self.longest = waiting.patience(self.project.settings)
        self.own = {"lock_timeout": _milliseconds(self.seconds) if self.seconds else "0"}
        self._set(self.own)
        self._driver().commit()
        if before.get("client_connection_check_interval") == "0":
            with suppress(Exception):  # not every system can tell
                self._set({"client_connection_check_interval": CHECK})
                self._driver().commit()
            self._driver().rollback()
        self._over()
        return before

    def _set(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self._raw(f"SET {name} = {value}")

    def _over(self) -> None:
        super()._over()
        self.limit = self.seconds  # of the statements that come
        self.since: float | None = None  # when this transaction began to hold what others feel

    def _carry_out(self, statement: str, run: Send) -> bool | None:
        inside = not self._driver().autocommit
        if inside and not self.progress.alone:
            self._allow(statement)
            return None
        self.undoable = False
        snapshots = waits_for_snapshots(statement) and not self.theirs
        try:
            self._by_itself(statement, run, self._endless("LOCAL " * inside) if snapshots else {})
        finally:
            if snapshots and not inside:
                with suppress(Exception):  # the connection is closed
                    self._set(self.own | {"statement_timeout": self.statement})
        return True

    def _by_itself(self, statement: str, run: Send, limits: Mapping[str, str]) -> None:
        index = Concurrently.of(self._driver(), statement)
        for tried in count(1):
            try:
                self._set(limits)
                run(statement)
                if index and index.sweep():
                    run(statement)  # IF NOT EXISTS took it for done
                return
            except Exception as error:
                if index and THERE in codes(error) and index.sweep():
                    continue
                if index and self._last(index, error):
                    raise
                if not self._whole(error, statement) or not self._pauses(
                    statement, tried, "it is given up"
                ):
                    raise
            except BaseException:
                if index:
                    self.run.left += f", {index.name or index.relation} may be left invalid"
                raise
            self.progress.anew()  # no lock is kept during the pause
            time.sleep(self.pause)

    def _last(self, index: Concurrently, error: Exception) -> bool:
        """Clear away what CONCURRENTLY has left; return whether that was the last try of it.

        It has waited for as long as anybody waits.
        """
        left = ""
        with suppress(Exception):  # the connection is closed
            if not self.theirs:
                self._set(self.own)
            left = index.clear()
            if not self.theirs:
                self._set(self._endless())
        self.run.left += left
        return bool(left or TIMED_OUT & codes(error))

    def _endless(self, of: str = "") -> dict[str, str]:
        """The server keeps this bound, whether we live or not; nobody waits for what waits like this."""
        longest = _milliseconds(self.longest)
        return {f"{of}lock_timeout": longest, f"{of}statement_timeout": "0"}

    def _allow(self, statement: str) -> None:
        """Say how long a statement in a transaction may wait: all of its statements together.

        Who waits for the first table waits through the second's, too.
        """
        if self.theirs or not self.seconds:
            return
        endless = validates(statement) and not self._raw(HOLDS)
        allowed = self.longest
        if not endless:
            if self.since is None and statements.first(statement, self.database) not in ROWS:
                self.since = time.monotonic()
            waited = time.monotonic() - self.since if self.since is not None else 0.0
            allowed = max(min(FLOOR, self.seconds), self.seconds - waited)
        if abs(allowed - self.limit) > FLOOR / 4:
            self.limit = allowed
            values = {"lock_timeout": _milliseconds(allowed)}
            values["statement_timeout"] = "0" if endless else self.statement
            self._set({f"LOCAL {name}": value for name, value in values.items()})


def pause(tried: int, online: bool) -> float:
    """Return the seconds before another try: two that wait for each other are not to come at once again."""
    first, grows, longest = ONLINE if online else PAUSES
    return min(longest, first * grows ** (tried - 1)) * random.uniform(0.7, 1.3)


def codes(error: BaseException | None) -> set[object]:
    """What a driver's error says of itself: PostgreSQL's five characters, MySQL's number."""
    found = {getattr(error, "sqlstate", None), getattr(error, "pgcode", None)}
    return found | set(getattr(error, "args", ())[:1])


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))  # 0 would be without end
