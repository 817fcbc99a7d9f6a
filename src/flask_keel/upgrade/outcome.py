"""Where a failed or interrupted run has left the database: it is looked up, not guessed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from alembic.util import CommandError

from .. import aftermath, causes, history, sqlite_file
from ..seam import Seam

AT_ONCE = "expected to match"  # Alembic, when the row of its version is not there any more


@dataclass
class Run:
    """What is known of a run of migrations while it goes on.

    ``before`` is where the database was, None as long as nothing has begun; ``last`` and
    ``reached`` are where it was before and after the revision that ran last; ``stands`` are
    statements of the revision that runs now that no rollback undoes.
    """

    before: set[str] | None = None
    last: set[str] | None = None
    reached: set[str] | None = None
    stands: str = ""

    def begin(self, applied: set[str]) -> None:
        self.before = self.last = self.reached = applied

    def applied(self, heads: set[str], **_: Any) -> None:
        """Alembic's callback, called before the revision is committed."""
        self.last, self.reached = self.reached, heads


class Stopped(click.ClickException):
    """Somebody stopped the run: the sentence says where the database is."""

    def __init__(self, words: str, number: int) -> None:
        super().__init__(words)
        self.exit_code = 128 + number


@contextmanager
def told(seam: Seam, run: Run) -> Iterator[None]:
    """Say of an error that leaves where the database is now, and of an interruption too.

    :raises Stopped: in a command, after Ctrl-C, SIGTERM or SIGHUP
    """
    with _signals() as stopped:
        try:
            yield
        except CommandError as error:
            if run.before is not None:
                _add(error, seam, run)
            raise
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            # a signal may come out of SQLite, or of SQLAlchemy's cleaning up, as any error
            if stopped and click.get_current_context(silent=True):
                raise Stopped(_interrupted(seam, run), stopped[0]) from None
            if run.before is not None:
                aftermath.note(error, _failed(seam, run, error))
            raise


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Note which signal came; SIGTERM and SIGHUP raise, as Ctrl-C does."""
    came: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt

    def end(number: int) -> Any:
        def leave(_: int, frame: Any) -> None:
            came.append(number)
            raise SystemExit(128 + number)

        return leave

    before = {}
    with suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            before[number] = signal.signal(number, end(number))
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _add(error: CommandError, seam: Seam, run: Run) -> None:
    """Say it at the end of a sentence that says already what is to be done."""
    text = " ".join(str(error).split()).removesuffix(".")
    if AT_ONCE in text:
        text = f"{seam.database} was migrated by another process at the same time"
    state = f"{seam.database} is at {_at(_now(seam))}" if "as it was" in text else _state(seam, run)
    error.args = (f"{text}; {state}.",)


def _failed(seam: Seam, run: Run, error: BaseException) -> str:
    now = _now(seam)
    sqlite = seam.engine.dialect.name == "sqlite"  # all of it, or nothing
    if now is not None and now not in (run.before if sqlite else run.last, run.reached):
        return (
            f"another process has migrated {seam.database}, which is at {_at(now)} now: "
            "type db current, and try again when it has ended."
        )
    return f"{_state(seam, run, now)}: {causes.advice(error)}"


def _interrupted(seam: Seam, run: Run) -> str:
    now = _now(seam)
    where = f"{seam.database} is at {_at(now)}"
    if run.before is None or now is None:
        return f"Stopped by hand: {where}."
    if seam.engine.dialect.name == "sqlite":
        if now == run.before:
            return f"Stopped by hand: nothing was changed, {where}."
        return f"Stopped by hand, but all of it was committed before: {where}."
    if run.stands:
        return (
            f"Stopped by hand: of its revision {run.stands} cannot be undone and stands, {where}."
        )
    return f"Stopped by hand: {where}; what was not committed is undone."


def _state(seam: Seam, run: Run, now: set[str] | None = None) -> str:
    now = _now(seam) if now is None else now
    at = _at(now)
    if seam.engine.dialect.name == "sqlite":
        return f"{seam.database} is {'as it was, ' if now == run.before else ''}at {at}"
    if run.stands:
        return (
            f"of this revision {run.stands} cannot be undone and stands, {seam.database} being at "
            f"{at}: undo that by hand or make it harmless to repeat (if_exists=True, "
            "if_not_exists=True)"
        )
    if seam.engine.dialect.name == "postgresql":
        return f"what this revision did is undone, {seam.database} being at {at}"
    return (
        "this try left nothing behind (of an earlier one nothing is undone), "
        f"{seam.database} being at {at}"
    )


def _now(seam: Seam) -> set[str] | None:
    """Return where the database is, as another connection sees it; None when that cannot be told."""
    url = seam.engine.url
    try:
        if seam.engine.dialect.name == "sqlite" and not sqlite_file.in_memory(url):
            if not Path(url.database).exists():
                return set()  # it was made for this run, and removed again
            engine = sqlite_file.reader(url)
        else:
            engine = seam.engine
        with engine.connect() as connection:
            return history.applied(connection)
    except Exception:
        return None


def _at(revisions: set[str] | None) -> str:
    if revisions is None:
        return "a revision that cannot be told now (type db current)"
    return " and ".join(sorted(revisions)) or "the base"
