"""Which statements of a revision stand where no rollback undoes them, so that a second try goes on.

MySQL commits each DDL statement by itself, PostgreSQL all that is in an autocommit block, and, where
``ZERO_DOWNTIME`` is on, we each whose lock others feel. Before and after each such statement the log is
told how far the revision is; rows are changed in one transaction with that, and so is the schema where
it can be. A second try leaves out exactly what the log calls done.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import Any, Protocol

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, Delete, Insert, Update
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from .. import statements
from ..data import Progress
from ..integrity import ALONE, autocommit, first_said
from ..log import LOST, Unfinished, as_position, key_of
from ..output import say
from ..runner import Refused
from ..statements import changes, commits, says, short
from ..typing import Options, Row, Value
from . import in_flight

NOT_PARSED = 1064  # refused before anything was committed
MOST = 5  # statements that a sentence names
PAST = "~"  # before the digest of a DDL statement that does not come from op

WHOLE = "  {path}: {first} and what follows is one transaction, and others may wait"
WITH = (
    "  {path}: {written} goes to the database past op, so that {first} and what follows is one transaction "
    "with it, and others may wait: op.execute() (or flask_keel.backfill) in its place commits by itself"
)
SPLIT = (
    "{written} goes to the database past op, so it could not be left out where the migration has to be "
    "gone on with, and {next} commits it: use op.execute() for the first (or flask_keel.backfill), or put "
    "what comes after it into a revision of its own"
)


def digest(statement: str) -> str:
    """Return what the log keeps of a statement in its place."""
    return hashlib.sha256(statement.encode()).hexdigest()[:15]


class Journal(Protocol):
    """Where it is written how far a revision is."""

    progress: "LoggedProgress | None"

    def note(self, values: Options) -> None:
        """Write it, on the connection that does the work."""

    def committing(self) -> None:
        """What was written stays."""

    def rolled_back(self) -> None:
        """What was written in this transaction is gone."""

    def failed(self, error: BaseException) -> None:
        """Write that the revision that was running failed."""


class LoggedProgress(Progress):
    """The statements of the revision that runs now, apart: those that a rollback undoes, and the others.

    :param version_table: Alembic's own table
    :param each: whether on PostgreSQL each statement is to stand whose lock others feel
    """

    def __init__(self, connection: Connection, version_table: str, each: bool = False) -> None:
        super().__init__(connection)
        self.version_table = version_table
        self.each = each
        self.session: int | None = None  # the server's number of the connection
        self.journal: Journal | None = None
        self.database = connection.dialect.name
        self.mysql = self.database in ("mysql", "mariadb")
        self.quiet = self.depth = 0
        self.begin(None)
        self.running = False

    def begin(
        self,
        journal: Journal | None,
        former: Unfinished | None = None,
        path: str = "",
        judged: bool = False,
    ) -> None:
        """A revision begins.

        :param journal: None where no log is kept
        :param former: where an earlier try of it ended
        :param path: its file
        :param judged: whether it is to stop where nobody could go on later
        :raises CommandError: when nobody can go on there
        """
        if former is not None and former.in_flight == LOST:
            raise CommandError(
                f"{path} stopped in the middle, and used what only its connection had (a temporary table, "
                f"a lock, a variable), so it cannot be gone on with: {in_flight.BY_HAND}"
            )
        self.running, self.path, self.journal, self.judged = True, path, journal, judged
        self.done: list[str] = list(former.digests) if former else []
        self.earlier = len(self.done)
        self.left = deque(self.done)  # what this try has not met yet
        self.unsure = former.in_flight if former else None
        self.position = former.position if former else None
        self.pending: list[str] = []  # what a rollback undoes
        self.said: list[str] = []  # what stands by this try
        # what runs now, and stands when it has ended; and what the server did not do
        self.sent: str | None = None
        self.refused: str | None = None
        self.key = ""  # under which that one is noted
        self.foreign, self.lost, self.skipping, self.block = "", False, False, False
        self.asked = ""  # what the file asked for, where that takes several statements
        self.outside, self.felt = False, True
        # what it set for its transaction, whether that has ended, and whether there is to be but one
        self.local: list[tuple[str, Value]] = []
        self.over = self.whole = self.unsaid = False
        self.reads = in_flight.Reads(self.database)

    def end(self) -> None:
        """The revision is applied: nothing of it is to follow.

        :raises CommandError: when an earlier try did more than this file does
        """
        if self.unsure is not None or self.behind:
            raise self._differs(None)
        self.running = False

    @property
    def goes_on(self) -> bool:
        """Whether a second try leaves out what stands."""
        return self.journal is not None and not self.lost

    @property
    def stood(self) -> bool:
        """Whether a rollback leaves anything of this revision."""
        return bool(self.done or self.said)

    @property
    def online(self) -> bool:
        """Whether each statement stands whose lock others feel: a log has to say which did."""
        return self.each and self.journal is not None and not self.whole

    @property
    def alone(self) -> bool:
        """Whether the statement that runs is a transaction by itself."""
        return bool(self.connection.info.get(ALONE))

    @property
    def count(self) -> int:
        """How many statements are done."""
        return len(self.done) + len(self.pending)

    def follow(self, context: MigrationContext) -> None:
        """Tell Alembic's own statements from those that go past it: their result nobody looks at."""
        impl: Any = context.impl  # three of its methods give way to ours

        def inside(method: Callable[..., Value]) -> Callable[..., Value]:
            def run(construct: Value, *arguments: Value, **keywords: Value) -> Value:
                if isinstance(construct, Insert | Update | Delete):
                    if getattr(construct.table, "name", None) == self.version_table:
                        with self.ours():
                            return method(construct, *arguments, **keywords)
                    if isinstance(
                        construct, Insert
                    ):  # the key that it would return is of no use here
                        construct = construct.inline()
                self.depth += 1
                try:
                    return method(construct, *arguments, **keywords)
                finally:
                    self.depth -= 1

            return run

        for name in ("_exec", "create_table", "drop_table"):
            setattr(impl, name, inside(getattr(impl, name)))
        block = context.autocommit_block

        def autocommit_block() -> AbstractContextManager[None]:
            if self.running and self.journal is not None:
                self._require_own("an autocommit_block")  # which commits what came before it
            return first_said(block())

        context.autocommit_block = autocommit_block  # type: ignore[method-assign, assignment]

    @contextmanager
    def ours(self) -> Iterator[None]:
        """What runs inside is no statement of the migration."""
        self.quiet += 1
        try:
            yield
        finally:
            self.quiet -= 1

    # listeners

    def before(
        self, _: object, cursor: object, statement: str, parameters: Value = None, *more: object
    ) -> None:
        ours = self.running and not self.quiet
        if ours and self.online and says(statements.IN_ONE, statement, self.database):
            self.whole = True
            say(WHOLE.format(path=self.path, first=short(statement)))
        self._before(statement)
        if ours and self.running and self.each and self.journal is not None:
            self._set_again()
            if says(statements.SETS, statement, self.database):
                self.local.append((statement, parameters))

    def _set_again(self) -> None:
        if not self.over or self.outside or self._autocommit:
            return
        self.over = False
        for statement, parameters in self.local:
            self._raw(statement, parameters)

    def _before(self, statement: str) -> None:
        if not self.quiet:
            self.connection.info.pop(ALONE, None)
        session = says(statements.OF_THE_SESSION, statement, self.database)
        if not self._is_work(statement):
            self.lost |= session and self.running and not self.quiet  # SET @name
            if (self.left or self.unsure is not None) and not self.quiet:
                self.reads.read(statement)
            return
        if self.left or self.unsure is not None:
            self.skipping = self._meets(statement)
            if self.skipping:
                return
        self.lost |= session
        self.refused = None
        data = says(statements.DATA, statement, self.database)
        if data:
            self.reads.require_fresh(statement)
        if not self.depth and (data or not self._stands(statement)):
            self.foreign = self.foreign or statement
            if self.online and not self._autocommit:  # a rollback is to undo it
                self.whole = self.unsaid = True
        elif self.whole and self.unsaid and self.felt and commits(statement, self.database):
            self.unsaid = False
            say(WITH.format(path=self.path, written=short(self.foreign), first=short(statement)))
        elif self._stands(statement) and self.journal is not None:
            self._sends(statement)

    def _is_work(self, statement: str) -> bool:
        counts = self.running and not self.quiet and changes(statement, self.database)
        return counts and not says(statements.SETTING, statement, self.database)

    def _meets(self, statement: str) -> bool:
        """Whether an earlier try has done this statement."""
        key = self._key(statement)
        while self.left and self.left[0].startswith(PAST) and self.left[0] != key:
            self.left.popleft()  # what is there already is not always made by a second try
        if self.left:
            if self.left[0] != key:
                raise self._differs(statement)
            self.left.popleft()
            self.reads.skipped(statement)
            return True
        unsure, self.unsure = self.unsure, None
        if unsure is None:
            return False
        if unsure != key:
            raise self._differs(statement)
        with self.ours():
            ran = in_flight.ran(self.connection, statement)
        if ran is None:
            raise Refused(
                f"whether {short(statement)} had run when the migration stopped cannot be told: look at "
                f"the database, {in_flight.BY_HAND}"
            )
        if ran:
            self.reads.skipped(statement)
            self.done.append(key)
            if self._stands(statement):
                self._write(None)
                self._commit()
        return ran

    def _key(self, statement: str) -> str:
        if self.asked:
            return digest(self.asked)
        return digest(statement) if self.depth else PAST + digest(statement)

    def _stands(self, statement: str) -> bool:
        """Whether no rollback undoes a statement once it has ended."""
        if self._autocommit or (self.mysql and commits(statement, self.database)):
            return True
        return self.online and self.felt and (self.depth > 0 or commits(statement, self.database))

    @property
    def _autocommit(self) -> bool:
        return autocommit(self.connection)

    def _sends(self, statement: str) -> None:
        self._require_own(short(statement))
        if self._autocommit and says(statements.DATA, statement, self.database):
            self._raw("BEGIN")
            self.block = True
            return
        if self.online and not self._autocommit:
            self._begins_alone(statement)
            return
        self.sent, self.key = statement, self._key(statement)
        self._flush()
        self._write(self.key)
        self._commit()

    def _begins_alone(self, statement: str) -> None:
        """A transaction of its own: with its row in the log, or none where it cannot be in one."""
        waiting = bool(self.pending)
        self._flush()
        if waiting or self.outside:
            self._write(self._key(statement) if self.outside else None)
        self._commit()
        self.connection.info[ALONE] = True
        if self.outside:
            self.sent, self.key = statement, self._key(statement)
            self._driver.autocommit = True

    def _require_own(self, next: str) -> None:
        if self.foreign and self.judged:
            raise Refused(SPLIT.format(written=short(self.foreign), next=next))
        self.lost = self.lost or bool(self.foreign)

    def _flush(self) -> None:
        self.done += [digest(one) for one in self.pending]
        self.said += self.pending
        self.pending = []

    def ran(self, _: object, cursor: object, statement: str, *more: object) -> None:
        if self.skipping:
            self.skipping = False
            return
        if not self._is_work(statement):
            return
        if not self._stands(statement):
            if self.depth:
                self.pending.append(statement)
            return
        self._flush()
        if self.depth or not says(statements.DATA, statement, self.database):
            self.done.append(self._key(statement))
        self.said.append(statement)
        self.sent = None
        if self.outside and self.alone:
            self._driver.autocommit = False
        if self.lost and says(statements.LOCKS, statement, self.database):
            self.journal = None  # the log's table is not one of those that are locked
        if self.journal is not None:
            self._write(None)
            self._commit()

    def execute(self, cursor: object, statement: str, *more: Any) -> bool | None:
        """SQLAlchemy asks who executes a statement: nobody does, where it is done already."""
        return (self.skipping and more[-1].root_connection is self.connection) or None

    def anew(self) -> None:
        """A statement that failed is sent again: so is what began its transaction."""
        if self.block:
            self._raw("ROLLBACK")
            self._raw("BEGIN")
        elif self.alone and not self.outside:
            self._driver.rollback()
            self.over = True
            self._set_again()

    def committing(self, *_: object) -> None:
        """A migration commits what it did: what is done of it is written with that."""
        if self.running and self.pending:
            self._flush()
            self._write(None)
        if self.journal is not None:
            self.journal.committing()

    def rolled_back(self, *_: object) -> None:
        self.pending, self.foreign = [], ""
        if self.journal is not None:
            self.journal.rolled_back()

    def failed(self, context: ExceptionContext) -> None:
        if context.connection is not self.connection or self.quiet:
            return
        self.skipping = False
        if context.statement is None:
            return  # of cleaning up on a connection that is lost
        if isinstance(context.original_exception, Exception) and not context.is_disconnect:
            self.refused, self.sent = self.sent, None  # the server has answered
        if self.block:
            self.block = False
            with suppress(Exception):
                self._raw("ROLLBACK")
        if self.outside and self.alone:
            with suppress(Exception):
                self._driver.autocommit = False

    # the steps of one operation, see zero_downtime

    def met(self, asked: str) -> int | None:
        number = 0
        while self.left and self.left[0] == digest(f"{asked} #{number + 1}"):
            self.left.popleft()
            number += 1
        if self.left and self.left[0] == digest(asked):
            self.left.popleft()
            self.reads.skipped(asked)
            return None
        return number

    def is_sent(self, asked: str, number: int) -> bool:
        return not self.left and self.unsure == digest(f"{asked} #{number}")

    @contextmanager
    def step(self, asked: str, number: int | None, outside: bool) -> Iterator[None]:
        self.asked, self.outside = f"{asked} #{number}" if number else asked, outside
        try:
            yield
        finally:
            self.asked, self.outside = "", False

    @contextmanager
    def unfelt(self) -> Iterator[None]:
        """What nobody waits for is committed with what comes next."""
        self.felt = False
        try:
            yield
        finally:
            self.felt = True

    def take_back(self, statements: Sequence[str], number: int) -> None:
        """Undo the last steps of an operation: rows do not let it come to its end."""
        with suppress(Exception):  # then the next try goes on behind them
            self._driver.rollback()
            for statement in statements:
                self._raw(statement)
            if number:
                del self.done[-number:], self.said[-number:]
                self._write(None)
            self._commit()

    def settle(self) -> None:
        """Let what came before a backfill stand, so that its batches can be committed."""
        if self.online and not self._autocommit and not self.foreign:
            if self.pending:
                self._flush()
                self._write(None)
            self._commit()

    @property
    def behind(self) -> bool:
        return any(not one.startswith(PAST) for one in self.left)

    # backfill: batches, each with the key that it ended at

    def backfilled(self, what: str) -> bool:
        """Whether an earlier try has done this backfill; if not, it begins behind :attr:`position`."""
        if not self.running:
            return False
        self.depth += 1
        try:
            if self.left:
                return self._meets(what)
            if self.unsure is not None and self.unsure != self._own(what):
                raise self._differs(what)
        finally:
            self.depth -= 1
        if self.unsure is None:
            self.position = None
        self.unsure = None
        if self._autocommit and self.journal is not None:
            self._require_own(short(what))
            self._write(self._own(what))
            self.journal.committing()
        return False

    def _own(self, what: str) -> str:
        return digest(self.asked or what)

    @property
    def last(self) -> Row | None:
        return None if self.position is None else key_of(self.position)

    @contextmanager
    def batch(self, what: str, last: Row | None) -> Iterator[None]:
        """One batch of it, with the key that it ends at."""
        alone = self.running and self._autocommit and self.journal is not None
        with self.ours():
            if not alone:
                yield
                return
            self._raw("BEGIN")
            self.block = True
            try:
                yield
                self.position = None if last is None else as_position(last)
                self._write(self._own(what))
                self._raw("COMMIT")
            except BaseException:
                with suppress(Exception):
                    self._raw("ROLLBACK")
                raise
            finally:
                self.block = False

    def ended(self, what: str) -> None:
        if not self.running:
            return
        self.position = None
        if not self._autocommit:
            self.pending.append(what)
            return
        self.done.append(self._own(what))
        self.said.append(what)
        self._write(None)
        if self.journal is not None:
            self.journal.committing()

    # writing

    def _write(self, sent: str | None) -> None:
        """Write how far the revision is, where a log is kept."""
        if self.journal is not None:
            values = {"in_flight": LOST if self.lost else sent, "position": self.position}
            with self.ours():
                self.journal.note(self._done | values)

    @property
    def _done(self) -> Options:
        return {"statements": len(self.done), "digests": " ".join(self.done)}

    def _commit(self) -> None:
        """Past SQLAlchemy, which takes the transaction for one until the revision ends."""
        assert self.journal is not None
        if self.block:
            self._raw("COMMIT")
            self.block = False
        elif (self.mysql or self.online) and not self._autocommit:
            self._driver.commit()
            self.over = True
        self.journal.committing()

    @property
    def _driver(self) -> Any:
        return self.connection.connection.driver_connection

    def _raw(self, word: str, parameters: Value = None) -> None:
        with closing(self.connection.connection.cursor()) as cursor:
            cursor.execute(word, parameters or None)

    def left_by(self, connection: Connection) -> Options:
        """Return what the log is to say of the statement that ran when the revision stopped.

        :param connection: another one, on which nothing is open
        """
        if self.refused is not None:
            return {} if self.lost else {"in_flight": None}
        if self.sent is None or self.lost or in_flight.busy(connection, self.session):
            return {}
        ran = in_flight.ran(connection, self.sent)
        if ran is None:
            return {}
        self.done += [self.key] if ran else []
        return {"in_flight": None, **self._done}

    # what is said

    def after(self, error: BaseException) -> str:
        """Return what stands after an error, in the words of a sentence; "" for nothing."""
        if self.journal is None and self.pending and self.mysql:
            said_by = error.orig if isinstance(error, DBAPIError) else None
            statement = getattr(error, "statement", None) or ""
            parsed = getattr(said_by, "args", ())[:1] != (NOT_PARSED,)
            if commits(statement, self.database) and parsed:
                self._flush()  # a commit comes before such a statement, too
        earlier = min(self.earlier, len(self.done))
        said = [f"{earlier} of an earlier try"] if earlier else []
        said += [short(statement) for statement in self.said]
        rest = f" and {len(said) - MOST} more" if len(said) > MOST else ""
        return ", ".join(said[:MOST]) + rest

    def _differs(self, statement: str | None) -> CommandError:
        number = self.earlier - len(self.left) + 1
        found = "is not there any more" if statement is None else f"is {short(statement)} now"
        return CommandError(
            f"{self.path}: {self.earlier} of its statements stand since an earlier try, and number "
            f"{number}, which {'was running' if number > self.earlier else 'is one of them'}, {found}: "
            f"put it back as it was, {in_flight.BY_HAND}"
        )
