"""A bar for a statement that takes long: rows done, rows to do and the time left.

SQLite calls back every so many steps of its virtual machine. How many steps a row takes is read
from EXPLAIN, so that the rows done are an estimate, near enough for a bar, and the statement runs
as fast as it would unwatched.
"""

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

WORTH_WATCHING = 20_000  # rows; fewer are over before a bar could be read
QUIET_SECONDS = 1.0
SECONDS_BETWEEN_LINES = 5.0
_STEPS_BETWEEN_CALLS = 50_000
_LOOP_ENDS = frozenset({"Next", "Prev", "SorterNext", "VNext"})


@contextmanager
def watched(db, label: str, rows: int, sql: str, parameters: tuple = ()) -> Iterator[None]:
    """Show the progress of the one statement that runs inside.

    An interrupt from the keyboard is noticed while the statement runs, and raised here.

    :param db: the :class:`~.database.Database` that it runs on
    :param rows: how many rows the statement goes over
    """
    set_handler = getattr(db.raw, "set_progress_handler", None)
    if rows < WORTH_WATCHING or set_handler is None:
        yield
        return
    report = Report(label, rows)
    steps_per_row = _steps_per_row(db, sql, parameters)
    calls = 0

    def called() -> int:
        nonlocal calls
        calls += 1
        with suppress(OSError):
            report.at(calls * _STEPS_BETWEEN_CALLS // steps_per_row)
        return 0

    set_handler(called, _STEPS_BETWEEN_CALLS)
    try:
        yield
    except Exception as error:
        # Ctrl-C is raised in the callback, which the driver turns into an error of its own
        if _is_interruption(error):
            raise KeyboardInterrupt from None
        raise
    else:
        report.at(rows, finished=True)
    finally:
        set_handler(None, 0)
        report.close()


def _is_interruption(error: Exception) -> bool:
    original = getattr(error, "orig", error)
    return isinstance(original, sqlite3.OperationalError) and "interrupted" in str(original)


def _steps_per_row(db, sql: str, parameters: tuple) -> int:
    """The lengths of the statement's outermost loops, added up."""
    loops = [
        (row[3], row[0])
        for row in db.rows(f"EXPLAIN {sql}", *parameters)
        if row[1] in _LOOP_ENDS and row[3] < row[0]
    ]
    outer = [a for a in loops if not any(b[0] < a[0] and a[1] < b[1] for b in loops)]
    return max(1, sum(end - start + 1 for start, end in outer))


class Report:
    """A bar at a terminal, a line every few seconds elsewhere; nothing at all for short work."""

    def __init__(self, label: str, rows: int):
        self.label, self.rows = label, rows
        self.started = self.said = time.monotonic()
        self.bar = None
        self.shown = 0

    def at(self, done: int, finished: bool = False) -> None:
        now = time.monotonic()
        if now - self.started < QUIET_SECONDS or (finished and self.bar is None):
            return
        done = self.rows if finished else min(done, self.rows - 1)
        if sys.stderr.isatty():
            self._draw(done)
        elif now - self.said >= SECONDS_BETWEEN_LINES:
            self.said = now
            self._say(done, now - self.started)

    def _draw(self, done: int) -> None:
        if self.bar is None:
            import click

            self.bar = click.progressbar(
                length=self.rows, label=self.label, show_pos=True, file=sys.stderr
            )
            self.bar.__enter__()
            self.bar.start -= time.monotonic() - self.started
            self.bar.last_eta = 0  # the time left is known at once
        if done > self.shown:
            self.bar.update(done - self.shown)
            self.shown = done

    def _say(self, done: int, seconds: float) -> None:
        left = f", about {seconds * (self.rows - done) / done:.0f} s left" if done else ""
        print(f"{self.label}: {done} of {self.rows} rows{left}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None
