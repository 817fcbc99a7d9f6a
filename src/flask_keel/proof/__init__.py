"""The proof: a migration is run up, down and up on a scratch database that has rows in it.

What it found is said as facts and in words.
"""

import re
import traceback
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from .. import errors, output, runner
from ..project import Project
from ..runner import Recording

SEED = 1
PASSING = re.compile(
    r"\b(lock(ed)?|deadlock|disk|memory|too many connections|gone away|lost connection|readonly)\b",
    re.IGNORECASE,
)


@dataclass
class Verdict:
    """What a proof found.

    ``step`` and ``difference`` say what failed, ``notes`` what is worth knowing: what is lost on the
    way, what was deleted on purpose, what hostile rows would meet. ``rows`` counts the made rows by
    table. ``changes`` are the notes that say which values the upgrade rewrites. ``lasting`` is False
    where the surroundings failed: a server that went, a full disk. ``recording`` is what the upgrade
    did on empty tables, ``schema`` what it made of them, as SQL.
    """

    revision: str
    file: str
    seed: int
    ok: bool = True
    step: str | None = None
    difference: str | None = None
    agree: str | None = None
    irreversible: str | None = None
    notes: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    hostile: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    lasting: bool = True
    recording: Recording | None = None
    schema: str | None = None

    @property
    def sentence(self) -> str:
        """The verdict as one sentence, without a full stop."""
        if not self.ok:
            function = "downgrade()" if self.step == "downgrade" else "upgrade()"
            meant = f"# proof: {self.agree} because ..., where that is what it is for"
            return (
                f"{self.file} fails its proof in the step {self.step!r}: {self.difference}; mend "
                f"{function} in it, then type make check"
                + (f"; or say in it {meant}" if self.agree else "")
            )
        down = f"up; not down, since {self.irreversible}"
        steps = down if self.irreversible else "up, down and up again"
        count = sum(self.rows.values())
        tables = sum(bool(rows) for rows in self.rows.values())
        if not count:
            return f"proved on empty tables: {steps}"
        many = "s" if tables > 1 else ""
        return f"proved on {count} rows in {tables} table{many}: {steps} (seed {self.seed})"

    @property
    def lines(self) -> list[str]:
        """The verdict with its notes, a line each."""
        return [self.sentence, *self.notes, *self.hostile]


class Failed(Exception):
    """A step of the proof that fails.

    :param step: "upgrade", "models", "downgrade" or "upgrade again"
    :param difference: what is wrong, in words
    :param agree: what a comment in the migration could name to say that it is meant
    """

    def __init__(self, step: str, difference: str, agree: str | None = None) -> None:
        super().__init__(difference)
        self.step, self.difference, self.agree = step, difference, agree


def passing(error: BaseException | None) -> bool:
    """Whether the surroundings may have raised an error: it need not come a second time."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or bool(PASSING.search(str(error.orig)))
    return isinstance(error, OSError | MemoryError)


def said(error: BaseException, path: object) -> str:
    """Say what a migration raised, and in which of its lines.

    :param path: of the migration's file
    """
    inner = error.orig if isinstance(error, DBAPIError) and error.orig else error
    words = output.plainly(str(inner)) or type(inner).__name__
    if words == runner.DENIED:
        words = errors.ENDS_TRANSACTION
    words = errors.known(error) or words
    if isinstance(inner, KeyError | AttributeError | TypeError | NameError | NotImplementedError):
        words = f"{type(inner).__name__}: {words}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"line {lines[-1]}: {words}".rstrip(".") if lines else words.rstrip(".")


def listed(phrases: list[str], most: int = 4) -> str:
    """Join phrases, the first few of many."""
    return "; ".join(output.listed(phrases, most))


def prove(project: Project, revision: str, *, seed: int = SEED) -> Verdict:
    """Prove one migration; the application's own database is not touched.

    :param revision: the migration's identifier
    :param seed: of the made rows
    :raises servers.NotAllowed: when the account may not create a scratch database
    """
    from . import steps

    return steps.take(project, revision, seed)
