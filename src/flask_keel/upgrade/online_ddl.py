"""MariaDB's and MySQL's ways to change a table while others use it, the lightest first.

Each statement is run alone, and as often as it may be tried.

https://mariadb.com/kb/en/innodb-online-ddl-overview/ and
https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from threading import Event, Thread

from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from .. import integrity, lexer, output, statements
from ..lexer import NAME
from ..typing import Value
from ..waiting import number
from . import losses
from .dry_run import COPIES, FEW, STANDSTILLS
from .retries import LOCKED, TIMED_OUT, Patience, Send, codes, pause

ALGORITHMS = ("ALGORITHM=INSTANT", "ALGORITHM=NOCOPY, LOCK=NONE", "ALGORITHM=INPLACE, LOCK=NONE")
# takes another time than an index alone, and leaves the same
ANEW = ", FORCE, ALGORITHM=INPLACE, LOCK=NONE"
BUILDS = re.compile(r"ALGORITHM=(NOCOPY|INPLACE),? LOCK=NONE")
# an index that is built with what was asked for, so that it takes longer, and dropped at once
LONGER = "keel_longer"
FIRST = (
    "SHOW INDEX FROM {table} WHERE Key_name = 'PRIMARY' AND Seq_in_index = 1 AND Sub_part IS NULL"
)
LEFT = (
    "SELECT DISTINCT table_name FROM information_schema.statistics "
    f"WHERE table_schema = DATABASE() AND index_name = '{LONGER}'"
)
INDEX = re.compile(
    rf"\s*CREATE\s+(?P<index>(?:UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?{NAME})\s+ON\s+"
    rf"(?P<table>{NAME})\s*(?P<columns>\(.*)",
    re.IGNORECASE | re.DOTALL,
)
# whether a table that is written anew takes little room, and keeps its file and the format of its rows
SAME = """
    SELECT 1 FROM information_schema.tables WHERE table_schema = {schema} AND table_name = {name}
    AND engine = 'InnoDB' AND data_length + index_length <= {most} AND @@innodb_file_per_table
    AND create_options NOT LIKE '%partitioned%'
    AND (create_options LIKE '%row_format=%' OR row_format = @@innodb_default_row_format)
"""
MOST = 2**30  # bytes
# not in this way, for no reason and for one; a way that this server does not know
NOT_SO = {1845, 1846, 1800}
NOT_PARSED = 1064
ALTERS = re.compile(
    rf"\s*(?:(?P<alter>ALTER\s+TABLE)\s+(?:IF\s+EXISTS\s+)?|(?:CREATE|DROP)\b.*?\bINDEX\b.*?\bON\s+)"
    rf"(?P<table>{NAME})",
    re.IGNORECASE | re.DOTALL,
)
ALTER = re.compile(r"\s*ALTER", re.IGNORECASE)
WORDS = re.compile(r"ALTER|INDEX", re.IGNORECASE)  # one of which it has
SAID = re.compile(r"\b(ALGORITHM|LOCK)\s*=?\s*\w+", re.IGNORECASE)
NEEDS_A_COPY = (
    "{statement} can only be done while nobody writes to {table} (the server refuses INSTANT, NOCOPY and "
    "INPLACE with LOCK=NONE): it was not run; expand and contract in its place, or say in the file "
    "# lint: rewrite-table because ... where others may wait."
)
# the number is MariaDB's alone: https://mariadb.com/kb/en/information-schema-processlist-table/
QUERY = text(
    "SELECT query_id, info FROM information_schema.processlist WHERE id = :session "
    "AND state LIKE 'Waiting for%lock'"
)
SOON = 0.01  # seconds between two looks
LATE = 3  # tries that were ended when all was built, after which another form takes its turns
TAKES = 0.15, 10.0  # seconds: what takes longer does not take twice the same time
ENDED = 1317  # by KILL QUERY
# what a rollback could not undo: of another engine's tables, of temporary tables
NOT_UNDONE = {1196, 1751, 1752}


class Mysql(Patience):
    """A statement of DDL is committed, and so is what stood before it: this one alone is run again."""

    ran = False  # something, since the last commit
    bound: "Bound | None" = None  # where seconds are too long
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
            for (table,) in self._raw(LEFT):
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
        self.ran = not statements.commits(statement) and not integrity.autocommit(self.connection)

    def _over(self) -> None:
        super()._over()
        self.ran = False

    def _carry_out(self, statement: str, run: Send) -> bool | None:
        late = 0
        others: list[Callable[[], None] | None] = []  # ways that take another time, and its own
        for tried in count(1):
            self.built = 0.0
            try:
                rows = self._rows(statement)
                other = others[(late - LATE) % len(others)] if others else None
                if not rows:
                    self._bounded(run, statement)
                elif other is None or not self._taken(other):
                    others = [one for one in others if one is None or one is not other]
                    self._climb(statement, run, few=rows <= FEW)
                return True
            except Exception as error:
                shortest, longest = TAKES
                late += self.built > shortest
                if not self._alone(error, statement):
                    raise
                if not self._pauses(statement, tried, "it is given up"):
                    self.run.left += f", {late} times when all was built" if late else ""
                    raise
                if late == LATE and not others and shortest < self.built < longest:
                    others = [*self._others(statement, run), None]
            time.sleep(self.pause)
            self.progress.anew()
        return None

    def _climb(self, statement: str, run: Send, few: bool) -> None:
        """Run a statement in the lightest way in which the server does it.

        :param few: whether the table has so few rows that nobody feels a copy
        :raises CommandError: when others would have to wait
        """
        plain = _plain(statement)
        altering = ALTER.match(plain)
        for algorithm in ALGORITHMS:
            try:
                way = f", {algorithm}" if altering else f" {algorithm.replace(',', '')}"
                return self._bounded(run, plain + way)
            except Exception as error:
                if number(error) == NOT_PARSED:
                    return self._bounded(run, statement)
                if number(error) not in NOT_SO:
                    raise
        if few:
            return self._bounded(run, statement)
        table = lexer.unquote(str(altered(statement)))
        raise CommandError(NEEDS_A_COPY.format(statement=statements.short(plain), table=table))

    def _others(self, statement: str, run: Send) -> Iterator[Callable[[], None]]:
        """Give other ways of what reads the whole table, whose time may fit between those who hold it
        where its own does not, and which leave the same."""
        ways: list[str] = []
        table = str(altered(statement))
        found: list[Value] = []
        with suppress(Exception):
            found = self._raw(FIRST.format(table=table))
        more = longer(statement, found[0][4]) if found else None
        if more and "%" not in f"{found[0][4]}{table}":
            ways.append("with a second index for a moment")
            yield partial(self._longer, more, run, table)
        written = anew(statement) if "NOCOPY" in self.way else None  # else it is anyway
        with suppress(Exception):
            if written and self._raw(same(statement)):
                ways.append("with the table written anew")
                yield partial(self._bounded, run, written)
        if ways:
            said = statements.short(lexer.without_comments(statement, "mysql"))
            output.say(
                f"  {said} was built {LATE} times, and its table was held each time: in turns "
                f"it is tried {' and '.join(ways)}, which takes another time"
            )

    def _longer(self, statement: str, run: Send, table: str) -> None:
        self._climb(statement, run, few=False)
        self._shorter(table)

    def _shorter(self, table: str) -> None:
        """Drop the index for which a build took longer; where that cannot be, the next upgrade does it."""
        drop = shorter(table)
        for tried in range(1, self.tries + 2):
            try:
                return self._bounded(self._raw, drop)
            except Exception as error:
                if not LOCKED & codes(error):
                    break
            time.sleep(pause(tried, online=True))
        output.say(f"  {LONGER} is left on {table}: the next db upgrade drops it")

    def _taken(self, other: Callable[[], None]) -> bool:
        """Go another way; False where the server does not do it so, or has no room for it."""
        try:
            other()
        except Exception as error:
            if (LOCKED | {ENDED}) & codes(error):
                raise
            return False
        return True

    def _bounded(self, run: Send, statement: str) -> None:
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
            if builds(statement):
                self.built = time.monotonic() - begun - self.seconds
            raise type(error)(
                1205, "Lock wait timeout exceeded; try restarting transaction"
            ) from error

    def _rows(self, statement: str) -> int:
        """Return how many rows the table has that a statement changes; 0 where nobody minds the way."""
        table = altered(statement) if self.project.zero_downtime else None
        if table is None or (STANDSTILLS | COPIES) & losses.silenced().keys():
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
        whole = self.undoable and not self.progress.stood
        return not whole and self.keeps and bool(TIMED_OUT & codes(error))

    def _undone(self) -> bool:
        return not NOT_UNDONE & {row[1] for row in self._raw("SHOW WARNINGS")}


class Bound(Thread):
    """Ends what waits for its table longer than it may, where MariaDB knows whole seconds alone.

    The query is named by its number (https://mariadb.com/kb/en/kill/): what comes after it on the same
    connection is never meant.

    :param session: the server's number of the connection whose statements are bounded
    :param seconds: how long each may wait
    :raises DBAPIError: when there is no second connection
    """

    def __init__(self, engine: Engine, session: int, seconds: float) -> None:
        super().__init__(name="bound", daemon=True)
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._session = session
        self._seconds = seconds
        self._statement: str | None = None
        self._begun, self._over = Event(), False
        self.ended = False  # the statement that ran last, by this

    @contextmanager
    def on(self, statement: str) -> Iterator[None]:
        """Bound a statement, while it runs inside."""
        self.ended, self._statement = False, statement
        self._begun.set()
        try:
            yield
        finally:
            self._begun.clear()
            self._statement = None

    def stop(self) -> None:
        """End the thread, and its connection."""
        self._over = True
        self._begun.set()
        self.join(1)

    def run(self) -> None:
        waiting, since = None, 0.0
        with suppress(Exception), self._connection as connection:
            while self._begun.wait() and not self._over:
                statement, query = self._statement, self._waiting()
                if query != waiting:
                    waiting, since = query, time.monotonic()
                elif query and statement and time.monotonic() - since >= self._seconds:
                    self.ended = statement == self._statement
                    with suppress(DBAPIError):  # it has its lock, or has ended
                        connection.exec_driver_sql(f"KILL QUERY ID {query}")
                time.sleep(SOON)

    def _waiting(self) -> int | None:
        """Return the number of the statement, if it waits and is this one: a proxy may lead elsewhere."""
        row = self._connection.execute(QUERY, {"session": self._session}).first()
        same = row is not None and _comparable(row[1]) == _comparable(self._statement)
        return row[0] if row is not None and same else None


def _comparable(statement: str | None) -> str:
    # drivers halve a percent sign, and the server shows three bytes of a character
    return "".join(c for c in (statement or "").strip() if c.isascii() and c != "%")


def altered(statement: str) -> str | None:
    """Return the table that a statement alters, as it is written; None where it is none of these.

    Who says himself how it is to be done, is not spoken for.
    """
    if not WORDS.search(statement):  # most are told at a glance
        return None
    found = ALTERS.match(lexer.without_comments(statement, "mysql"))
    if found is None or SAID.search(lexer.without_asides(statement, "mysql")):
        return None
    return found["table"]


def builds(said: str) -> bool:
    """Whether a statement, said for one of these ways, reads the table from its beginning to its end."""
    return BUILDS.search(said) is not None


def anew(statement: str) -> str | None:
    """Return what has the table written anew together with the index that a statement builds."""
    altering = _altering(statement)
    return f"{altering}{ANEW}" if altering else None


def longer(statement: str, column: str) -> str | None:
    """Return a statement with an index more, which :func:`shorter` drops.

    :param column: of the table, with which its primary key begins
    """
    altering = _altering(statement)
    return f"{altering}, ADD INDEX {LONGER} ({lexer.backquoted(column)})" if altering else None


def shorter(table: str) -> str:
    """Return what drops the index of :func:`longer`, which reads no row.

    :param table: in quotes
    """
    return f"ALTER TABLE {table} DROP INDEX {LONGER}, {ALGORITHMS[1]}"


def _altering(statement: str) -> str | None:
    """The statement as ALTER TABLE; None where it is none."""
    plain = _plain(statement)
    if found := INDEX.fullmatch(plain):
        return f"ALTER TABLE {found['table']} ADD {found['index']} {found['columns']}"
    return plain if ALTER.match(plain) else None


def same(statement: str) -> str:
    """Return the query that finds a row where :func:`anew` changes nothing else."""
    parts = lexer.parts(str(altered(statement)))
    schema = lexer.string(parts[-2]) if parts[1:] else "DATABASE()"
    return SAME.format(schema=schema, name=lexer.string(parts[-1]), most=MOST)


def _plain(statement: str) -> str:
    return lexer.without_comments(statement, "mysql").rstrip("; \n")
