"""Nobody waits for an upgrade: a lock is waited for a short time, then given up and tried again.

Who waits for a table's lock stands before all who come later, readers too. So every lock that is held
is given back before the next try: on PostgreSQL the revision's transaction is rolled back and run anew
(after ROLLBACK TO SAVEPOINT others wait on: it was tried); MySQL has committed what stood before a
statement of DDL, so that this one alone is run again.
"""

import math
import random
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial, wraps
from itertools import count

from alembic.runtime.migration import MigrationContext, MigrationStep
from sqlalchemy import Connection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

from .. import lexer, output, waiting
from ..project import Environment, Steps, listening
from ..typing import Value
from ..waiting import number
from ..zero_downtime import ladder
from . import concurrently, failures, statements
from .dry_run import COPIES, FEW, STANDSTILLS
from .failures import Run
from .lock import Bound, Watch, short
from .standing import Standing

FIRST, GROWS, LONGEST = 0.5, 1.6, 15.0  # seconds between two tries
ONLINE = 0.1, 1.2, 5.0  # where each is short, so that nobody feels it
SAID = 10  # of such tries each tenth is told
FLOOR = 1.0  # seconds that a statement may wait, however long others of its transaction have waited
LATE = 3  # tries that were ended when all was built, after which another form takes its turns
BUILDS = 0.15, 10.0  # seconds: what takes longer does not take twice the same time
CHECK = "2000"  # ms in which PostgreSQL 14 notices that its client has gone
# https://www.postgresql.org/docs/current/errcodes-appendix.html: lock_not_available, deadlock_detected,
# serialization_failure; https://mariadb.com/kb/en/mariadb-error-codes/: a lock wait, a deadlock
TIMED_OUT = {"55P03", 1205}
LOCKED = TIMED_OUT | {"40P01", "40001", 1213}
THERE = "42P07"  # duplicate_table, said of an index too
ENDED = 1317  # by KILL QUERY
# what a rollback could not undo: of another engine's tables, of temporary tables
NOT_UNDONE = {1196, 1751, 1752}
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


def run_migrations(project: Environment, connection: Connection, run: Run) -> None:
    """Run a command's migrations on a server, with short waits for locks and with retries.

    A caller's own transaction is run through as it is: it is not ours to roll back.
    """
    lent_out = connection.in_transaction()
    with failures.account(project, connection, run) as standing:
        if lent_out:
            project.context.run_migrations()
            return
        kind = Postgresql if connection.dialect.name == "postgresql" else Mysql
        with kind(project, connection, run, standing).patient() as patience:
            project.context.get_context().on_version_apply_callbacks += (patience.next_revision,)
            while True:
                try:
                    project.context.run_migrations()
                    return
                except DBAPIError as error:
                    if not patience.again(error):
                        raise
                time.sleep(patience.pause)


class _Patience(ABC):
    """One run's: how long its statements wait, what is tried again, and who is waited for."""

    def __init__(
        self, project: Environment, connection: Connection, run: Run, standing: Standing
    ) -> None:
        self.project = project
        self.connection = connection
        self.run = run
        self.standing = standing
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
    def patient(self) -> Iterator["_Patience"]:
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
        if self.spent or error.orig is not self.error or not LOCKED & _codes(error.orig):
            return False
        if self.standing.stood or not self.undoable or not self._undone():
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
        first, grows, longest = ONLINE if online else (FIRST, GROWS, LONGEST)
        self.pause = min(longest, first * grows ** (tried - 1)) * random.uniform(0.7, 1.3)
        if not online or tried % SAID == 0:
            output.say(
                f"  {short(statement) if statement else 'COMMIT'} did not get its lock{held}: {given}, "
                f"tried again in {self.pause:.1f} s ({tried} of {self.tries})"
            )
        return True

    def _whole(self, error: BaseException, statement: str) -> bool:
        """Whether a statement that failed did nothing, and may be run again as it is."""
        if not LOCKED & _codes(error) or statements.first(statement) not in WHOLE:
            return False
        return not AT_ONCE.search(lexer.without_asides(statement))

    # what SQLAlchemy calls

    def _begins(self, live: Connection, cursor: object, statement: str, *_: object) -> None:
        self.running = statement
        if "_timeout" in statement.lower() and THEIRS.search(statement):
            self.theirs = True
        self.watch.begins(statement)

    def _ends(self, live: Connection, cursor: object, statement: str, *_: object) -> None:
        self.watch.ends()
        if statements.first(statement) in ENDS:  # past SQLAlchemy: what stood before it stands now
            self.undoable = False
        self.running = ""

    def _elsewhere(self, live: Connection, cursor: object, statement: str, *_: object) -> None:
        """A migration that writes through another connection: no rollback here undoes that."""
        ours = live is self.connection or threading.get_ident() != self.thread
        if not ours and statements.changes(statement):
            self.undoable = False

    def _failed(self, context: ExceptionContext) -> None:
        if context.connection is self.connection:
            self.error = context.original_exception
            self.watch.ends()

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
        def run(said: str = statement) -> None:
            context.dialect.do_execute_no_params(cursor, said, context)

        return self._ours(context) and self._carry_out(statement, run)

    def _execute(
        self,
        cursor: DBAPICursor,
        statement: str,
        parameters: Value,
        context: DefaultExecutionContext,
    ) -> bool | None:
        def run(said: str = statement) -> None:
            context.dialect.do_execute(cursor, said, parameters, context)

        return self._ours(context) and self._carry_out(statement, run)

    def _ours(self, context: DefaultExecutionContext) -> bool:
        return context is not None and context.root_connection is self.connection

    # what the databases do differently

    @abstractmethod
    def _begin(self) -> dict[str, str]:
        """Set the session's variables; return what they were."""

    @abstractmethod
    def _carry_out(self, statement: str, run: Callable[..., None]) -> bool | None:
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


class Postgresql(_Patience):
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

    def _carry_out(self, statement: str, run: Callable[..., None]) -> bool | None:
        inside = not self._driver().autocommit
        if inside and not self.standing.alone:
            self._allow(statement)
            return None
        self.undoable = False
        snapshots = concurrently.waits_for_snapshots(statement) and not self.theirs
        try:
            self._by_itself(statement, run, self._endless("LOCAL " * inside) if snapshots else {})
        finally:
            if snapshots and not inside:
                with suppress(Exception):  # the connection is closed
                    self._set(self.own | {"statement_timeout": self.statement})
        return True

    def _by_itself(
        self, statement: str, run: Callable[..., None], limits: Mapping[str, str]
    ) -> None:
        what = concurrently.asked(statement)
        before = concurrently.invalid(self._driver(), what) if what else {}
        for tried in count(1):
            try:
                self._set(limits)
                run()
                if what and concurrently.sweep(self._driver(), what, before):
                    run()  # IF NOT EXISTS took it for done
                return
            except Exception as error:
                there = what is not None and THERE in _codes(error)
                if what and there and concurrently.sweep(self._driver(), what, before):
                    continue
                if what and self._last(what, before, error):
                    raise
                if not self._whole(error, statement) or not self._pauses(
                    statement, tried, "it is given up"
                ):
                    raise
            except BaseException:
                if what:
                    self.run.left += f", {what.name or what.relation} may be left invalid"
                raise
            self.standing.anew()  # no lock is kept during the pause
            time.sleep(self.pause)

    def _last(self, what: concurrently.Asked, before: dict[str, str], error: Exception) -> bool:
        """Clear away what CONCURRENTLY has left; return whether that was the last try of it.

        It has waited for as long as anybody waits.
        """
        left = ""
        with suppress(Exception):  # the connection is closed
            if not self.theirs:
                self._set(self.own)
            left = concurrently.clear(self._driver(), what, before)
            if not self.theirs:
                self._set(self._endless())
        self.run.left += left
        return bool(left or TIMED_OUT & _codes(error))

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
        endless = concurrently.validates(statement) and not self._raw(HOLDS)
        allowed = self.longest
        if not endless:
            if self.since is None and statements.first(statement) not in ROWS:
                self.since = time.monotonic()
            waited = time.monotonic() - self.since if self.since is not None else 0.0
            allowed = max(min(FLOOR, self.seconds), self.seconds - waited)
        if abs(allowed - self.limit) > FLOOR / 4:
            self.limit = allowed
            values = {"lock_timeout": _milliseconds(allowed)}
            values["statement_timeout"] = "0" if endless else self.statement
            self._set({f"LOCAL {name}": value for name, value in values.items()})


class Mysql(_Patience):
    """A statement of DDL is committed, and so is what stood before it: this one alone is run again."""

    ran = False  # something, since the last commit
    bound: Bound | None = None  # where seconds are too long
    way = ""  # the statement as it was sent last
    built = 0.0  # seconds for which the last try read the whole table, before it was ended

    def _begin(self) -> dict[str, str]:
        names = ("lock_wait_timeout", "innodb_lock_wait_timeout")
        columns = ", ".join(f"@@SESSION.{name}" for name in names)
        (row,) = self._raw(f"SELECT {columns}, @@innodb_rollback_on_timeout")
        before = {name: str(value) for name, value in zip(names, row, strict=False)}
        self.keeps = not row[-1]  # after a lock wait all but the statement stands
        whole = max(1, math.ceil(self.seconds)) if self.seconds else 0
        explicit = "MIGRATION_LOCK_TIMEOUT" in self.project.settings
        self.own = {
            name: str(whole if whole and (explicit or whole < int(value)) else value)
            for name, value in before.items()
        }
        if self.seconds % 1 and getattr(self.connection.dialect, "is_mariadb", False):
            try:
                self.bound = Bound(self.project.engine, self.run.session or 0, self.seconds)
                self.bound.start()
            except DBAPIError:  # at once, or not at all: others would queue behind it
                self.own["lock_wait_timeout"] = str(int(self.seconds))
        self._set(self.own)
        if self.bound:  # by one that was killed
            for (table,) in self._raw(ladder.LEFT):
                self._shorter(lexer.backquoted(table))
        self._driver().rollback()
        return before

    def _restore(self, before: Mapping[str, str]) -> None:
        if self.bound:
            self.bound.stop()
        super()._restore(before)

    def _set(self, values: Mapping[str, str]) -> None:
        self._raw("SET " + ", ".join(f"SESSION {name} = {value}" for name, value in values.items()))

    def _ends(self, live: Connection, cursor: object, statement: str, *rest: object) -> None:
        super()._ends(live, cursor, statement, *rest)
        self.ran = not statements.commits(statement) and not self._autocommit()

    def _over(self) -> None:
        super()._over()
        self.ran = False

    def _autocommit(self) -> bool:
        options = self.connection.get_execution_options()
        return options.get("isolation_level") == "AUTOCOMMIT"

    def _carry_out(self, statement: str, run: Callable[..., None]) -> bool | None:
        late = 0
        others: list[Callable[[], None] | None] = []  # ways that take another time, and its own
        climb = partial(ladder.climb, run=partial(self._bounded, run), code=number)
        for tried in count(1):
            self.built = 0.0
            try:
                rows = self._rows(statement)
                other = others[(late - LATE) % len(others)] if others else None
                if not rows:
                    self._bounded(run, statement)
                elif other is None or not self._taken(other):
                    others = [one for one in others if one is None or one is not other]
                    climb(statement, few=rows <= FEW)
                return True
            except Exception as error:
                shortest, longest = BUILDS
                late += self.built > shortest
                if not self._alone(error, statement):
                    raise
                if not self._pauses(statement, tried, "it is given up"):
                    self.run.left += f", {late} times when all was built" if late else ""
                    raise
                if late == LATE and not others and shortest < self.built < longest:
                    others = [*self._others(statement, run, climb), None]
            time.sleep(self.pause)
            self.standing.anew()
        return None

    def _others(
        self, statement: str, run: Callable[..., None], climb: Callable[..., None]
    ) -> Iterator[Callable[[], None]]:
        """Give other ways of what reads the whole table, whose time may fit between those who hold it
        where its own does not, and which leave the same."""
        ways: list[str] = []
        table = str(ladder.table(statement))
        found: list[Value] = []
        with suppress(Exception):
            found = self._raw(ladder.FIRST.format(table=table))
        if found and "%" not in f"{found[0][4]}{table}":
            ways.append("with a second index for a moment")
            more = ladder.longer(statement, found[0][4])
            yield partial(self._longer, partial(climb, more, few=False), table)
        anew = ladder.anew(statement) if "NOCOPY" in self.way else None  # else it is anyway
        with suppress(Exception):
            if anew and self._raw(ladder.same(statement)):
                ways.append("with the table written anew")
                yield partial(self._bounded, run, anew)
        if ways:
            output.say(
                f"  {short(statement)} was built {LATE} times, and its table was held each time: in turns "
                f"it is tried {' and '.join(ways)}, which takes another time"
            )

    def _longer(self, climb: Callable[[], None], table: str) -> None:
        climb()
        self._shorter(table)

    def _shorter(self, table: str) -> None:
        """Drop the index for which a build took longer; where that cannot be, the next upgrade does it."""
        drop = ladder.shorter(table)
        for tried in range(self.tries + 1):
            try:
                return self._bounded(self._raw, drop)
            except Exception as error:
                if not LOCKED & _codes(error):
                    break
            first, grows, longest = ONLINE
            time.sleep(min(longest, first * grows**tried))
        output.say(f"  {ladder.LONGER} is left on {table}: the next db upgrade drops it")

    def _taken(self, other: Callable[[], None]) -> bool:
        """Go another way; False where the server does not do it so, or has no room for it."""
        try:
            other()
        except Exception as error:
            if (LOCKED | {ENDED}) & _codes(error):
                raise
            return False
        return True

    def _bounded(self, run: Callable[..., object], statement: str) -> None:
        """Run a statement; what waited for longer than it may ends as if its time were over."""
        if not self.bound or self.theirs or not statements.commits(statement):
            run(statement)
            return
        begun, self.way = time.monotonic(), statement
        try:
            with self.bound.on(statement):
                run(statement)
        except Exception as error:
            if not self.bound.ended or number(error) != ENDED:
                raise
            if ladder.builds(statement):
                self.built = time.monotonic() - begun - self.seconds
            raise type(error)(
                1205, "Lock wait timeout exceeded; try restarting transaction"
            ) from error

    def _rows(self, statement: str) -> int:
        """Return how many rows the table has that a statement changes; 0 where nobody minds the way."""
        table = ladder.table(statement) if self.project.zero_downtime else None
        if table is None or (STANDSTILLS | COPIES) & failures.silenced().keys():
            return 0
        with suppress(Exception):  # it is no table
            return len(self._raw(f"SELECT 1 FROM {table} LIMIT {FEW + 1}"))
        return 0

    def _alone(self, error: BaseException, statement: str) -> bool:
        """Whether a statement that failed may be run again by itself, and give back its locks."""
        if not self._whole(error, statement):
            return False
        if statements.commits(statement):
            return True
        if not self.ran:  # it keeps the locks of the rows that it came to
            self._raw("ROLLBACK")
            return self._undone()
        # the rows before it are undone with the revision, where all of it can be run again; else the
        # statement is tried while they stay locked: half of a revision is worse
        whole = self.undoable and not self.standing.stood
        return not whole and self.keeps and bool(TIMED_OUT & _codes(error))

    def _undone(self) -> bool:
        return not NOT_UNDONE & {row[1] for row in self._raw("SHOW WARNINGS")}


def _codes(error: BaseException | None) -> set[object]:
    """What a driver's error says of itself: PostgreSQL's five characters, MySQL's number."""
    found = {getattr(error, "sqlstate", None), getattr(error, "pgcode", None)}
    return found | set(getattr(error, "args", ())[:1])


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))  # 0 would be without end
