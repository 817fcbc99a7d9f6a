"""Where a run that failed or was stopped has left the database, and which of its statements stand."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType

import click
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .. import history, integrity, output
from ..data import PROGRESS
from ..project import Environment, listening
from ..sqlite import transaction
from ..statements import short
from . import losses
from .in_flight import busy
from .progress import Journal, LoggedProgress

Handler = Callable[[int, FrameType | None], None]
LONGEST_END = 60.0  # seconds until a statement that was killed has undone what it did
AT_ONCE = "expected to match"  # Alembic, when the row of its version is not there any more


@dataclass
class Run:
    """What is known of a run of migrations while it goes on.

    ``before`` is where the database was, None as long as nothing has begun; ``last`` and
    ``reached`` are where it was before and after the revision that ran last; ``stands`` are
    statements of the revision that runs now that no rollback undoes, and ``goes_on`` says that the next
    try leaves them out; ``doubt`` is one to which the server has not answered. ``session`` is the server's
    number of the connection. ``left`` is what else is to be said of a failure, and
    ``advice`` what to do about it.
    """

    before: set[str] | None = None
    last: set[str] | None = None
    reached: set[str] | None = None
    stands: str = ""
    goes_on: bool = False
    doubt: str = ""
    session: int | None = None
    journal: Journal | None = None
    left: str = ""
    advice: str = ""

    def begin(self, applied: set[str]) -> None:
        self.before = self.last = self.reached = applied

    def applied(self, heads: set[str], **_: object) -> None:
        """Alembic's callback, called before the revision is committed."""
        if heads != self.reached:  # a commit that failed is tried again
            self.last, self.reached = self.reached, heads


class Stopped(click.ClickException):
    """Somebody stopped the run: the sentence says where the database is."""

    def __init__(self, words: str, number: int) -> None:
        super().__init__(words)
        self.exit_code = 128 + number  # type: ignore[misc]  # click's way, too


@contextmanager
def told(project: Environment, run: Run) -> Iterator[None]:
    """Say of an error that leaves where the database is now, and of an interruption too.

    :raises Stopped: in a command, after Ctrl-C, SIGTERM or SIGHUP
    """
    with _signals() as stopped:
        try:
            yield
        except CommandError as error:
            if run.before is not None:
                _add(error, project, run)
            raise
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            # a signal may come out of SQLite, or of SQLAlchemy's cleaning up, as any error
            if stopped and click.get_current_context(silent=True):
                _end(project, run)
                raise Stopped(_interrupted(project, run), stopped[0]) from None
            first = integrity.said_first(error)
            if run.before is not None:
                first.add_note(output.Left(_failed(project, run, first)))
            if first is error:
                raise
            raise first from None


def _end(project: Environment, run: Run) -> None:
    """End what the server still does: it goes on with a statement whose client has gone, for a lock of
    which others wait, and MySQL would let it stand. https://mariadb.com/kb/en/kill/
    """
    if run.session is None:
        return
    postgresql = project.engine.dialect.name == "postgresql"
    kill = f"SELECT pg_terminate_backend({run.session})" if postgresql else f"KILL {run.session}"
    ends = time.monotonic() + LONGEST_END
    with suppress(Exception), project.engine.connect() as other:
        # within a transaction PostgreSQL tells for ever what it told first
        other.execution_options(isolation_level="AUTOCOMMIT")
        if busy(other, run.session):
            with suppress(DBAPIError):  # it has ended
                other.exec_driver_sql(kill)
        while busy(other, run.session) and time.monotonic() < ends:
            time.sleep(0.05)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Note which signal came; SIGTERM and SIGHUP raise, as Ctrl-C does."""
    came: list[int] = []

    def raising(number: int, error: Callable[[], BaseException]) -> Handler:
        def handle(_: int, frame: FrameType | None) -> None:
            came.append(number)
            raise error()

        return handle

    before = {}
    with suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            stop = raising(signal.SIGINT, KeyboardInterrupt)
            before[signal.SIGINT] = signal.signal(signal.SIGINT, stop)
        for number in (signal.SIGTERM, signal.SIGHUP):
            end = raising(number, partial(SystemExit, 128 + number))
            before[number] = signal.signal(number, end)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _add(error: CommandError, project: Environment, run: Run) -> None:
    """Say it at the end of a sentence that says already what is to be done."""
    text = " ".join(str(error).split()).removesuffix(".")
    if AT_ONCE in text:
        text = f"{project.database} was migrated by another process at the same time"
    state = (
        f"{project.database} is at {_at(_now(project))}"
        if "as it was" in text
        else _state(project, run)
    )
    error.args = (f"{text}; {state}.",)


def _failed(project: Environment, run: Run, error: BaseException) -> str:
    now = _now(project)
    sqlite = project.engine.dialect.name == "sqlite"  # all of it, or nothing
    if now is not None and now not in (run.before if sqlite else run.last, run.reached):
        return (
            f"another process has migrated {project.database}, which is at {_at(now)} now: "
            "type db current, and try again when it has ended."
        )
    return f"{_state(project, run, now)}{run.left}: {run.advice or integrity.advice(error)}"


def _interrupted(project: Environment, run: Run) -> str:
    now = _now(project)
    where = f"{project.database} is at {_at(now)}"
    if run.before is None or now is None:
        return f"Stopped by hand: {where}."
    if project.engine.dialect.name == "sqlite":
        if now == run.before:
            return f"Stopped by hand: nothing was changed, {where}."
        return f"Stopped by hand, but all of it was committed before: {where}."
    if run.stands:
        return (
            f"Stopped by hand: of its revision {run.stands} cannot be undone and stands, {where}"
            f"{run.left}."
        )
    return f"Stopped by hand: {where}; what was not committed is undone{run.left}."


def _state(project: Environment, run: Run, now: set[str] | None = None) -> str:
    now = _now(project) if now is None else now
    at = _at(now)
    if project.engine.dialect.name == "sqlite":
        return f"{project.database} is {'as it was, ' if now == run.before else ''}at {at}"
    doubt = f"; whether {run.doubt} stands, the next try finds out" if run.doubt else ""
    if doubt and not run.stands:
        return f"{project.database} is at {at}{doubt}"
    if run.stands:
        rest = (
            "; the next try leaves that out"
            if run.goes_on
            else ": undo that by hand or make it harmless to repeat (if_exists=True, if_not_exists=True)"
        )
        return (
            f"of this revision {run.stands} cannot be undone and stands, {project.database} being at "
            f"{at}{rest}{doubt}"
        )
    if project.engine.dialect.name == "postgresql":
        return f"what this revision did is undone, {project.database} being at {at}"
    return (
        "this try left nothing behind (of an earlier one nothing is undone), "
        f"{project.database} being at {at}"
    )


def _now(project: Environment) -> set[str] | None:
    """Return where the database is, as another connection sees it; None when that cannot be told."""
    url = project.engine.url
    try:
        file = transaction.file_of(url)
        if file is not None:
            if not file.exists():
                return set()  # it was made for this run, and removed again
            engine = transaction.reader(url)
        else:
            engine = project.engine
        with engine.connect() as connection:
            return project.applied(connection)
    except Exception:
        return None


def _at(revisions: set[str] | None) -> str:
    if revisions is None:
        return "a revision that cannot be told now (type db current)"
    return history.at(revisions)


@contextmanager
def account(project: Environment, connection: Connection, run: Run) -> Iterator[LoggedProgress]:
    """Run migrations on a server; when an error leaves, ``run`` knows what stands of the revision."""
    context = project.context.get_context()
    own = not connection.in_transaction()
    progress = LoggedProgress(connection, context.version_table, own and project.online)
    progress.follow(context)
    if run.journal is not None:
        run.journal.progress = context.opts[PROGRESS] = progress
    if own:
        asks = "pg_backend_pid" if connection.dialect.name == "postgresql" else "connection_id"
        run.session = connection.exec_driver_sql(f"SELECT {asks}()").scalar_one()
        progress.session = run.session
        connection.rollback()  # asking began a transaction
    with (
        losses.refused(connection) if project.moving == "upgrade" else nullcontext(),
        listening(
            connection,
            before_cursor_execute=progress.before,
            after_cursor_execute=progress.ran,
            commit=progress.committing,
            rollback=progress.rolled_back,
        ),
        # SQLAlchemy takes these nowhere else
        listening(
            connection.engine,
            handle_error=progress.failed,
            do_execute=progress.execute,
            do_executemany=progress.execute,
            do_execute_no_params=progress.execute,
        ),
        integrity.explained(connection),
    ):
        try:
            yield progress
        except BaseException as error:
            run.advice = progress.reads.advice(error)
            run.stands, run.goes_on = progress.after(error), progress.goes_on
            run.doubt = short(progress.sent) if progress.sent and run.goes_on else ""
            raise
