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
PROVED = "proved on {rows}: {steps} (seed {seed})"
PROVED_EMPTY = "proved on empty tables: {steps}"
FAILED = (
    "{file} fails its proof in the step {step!r}: {difference}; mend {function} in it, then type "
    "make check"
)
AGREE = "; or say in it # proof: {what} because ..., where that is what it is for"
STEPS = "up, down and up again"
IRREVERSIBLE = "up; not down, since {reason}"
SAYS = "it says: irreversible because {reason}"
RAISES = "downgrade() raises {raises}"
WITHOUT_REASON = "say in downgrade() why there is no way back: # irreversible because ..."

DOES_NOTHING = (
    "it does nothing, and the upgrade changes the schema (where that is right, write "
    "# irreversible because ... there)"
)
NOT_RENAMED = "{dropped} is dropped and {made} is new, and the downgrade renames it back: rename it"
KEPT_INDEX = "MySQL keeps the index {index} that it made for the foreign key"
ON_THE_WAY = "loses {what} on the way {way}"
BLOCKED = (
    "cannot be undone while {table} has rows: {column} comes back NOT NULL and downgrade() gives it "
    "no value"
)
NO_ROWS = (
    "no rows could be made for {table} ({reason}); a sample_rows(connection) in the migration can"
)
SAMPLE = " (on made rows: a sample_rows(connection) in the file brings others)"
ORDER = "the downgrade leaves the columns of {table} in another order"
CHANGES = "changes {column} in {rows} ({old} becomes {new})"
SETS = "sets {column} to {new} in {rows}"
NOT_BACK = "{column} keeps what the upgrade has set: the downgrade does not bring it back"
DELETES = "deletes {count} of {rows} rows of {table}, as it says: {sql}"
AGREED = "changes {column}, as it says: because {reason}"
STOPS = "with {what}: the upgrade stops ({error})"
PASSING = re.compile(
    r"\b(lock(ed)?|deadlock|disk|memory|too many connections|gone away|lost connection|readonly)\b",
    re.IGNORECASE,
)
LOCKED = "takes {mode} of {table}: {statement}"
GOES_THROUGH = "with {what}: the upgrade goes through"


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
            said = FAILED.format(
                file=self.file, step=self.step, difference=self.difference, function=function
            )
            return said + (AGREE.format(what=self.agree) if self.agree else "")
        steps = IRREVERSIBLE.format(reason=self.irreversible) if self.irreversible else STEPS
        count = sum(self.rows.values())
        tables = sum(bool(rows) for rows in self.rows.values())
        if not count:
            return PROVED_EMPTY.format(steps=steps)
        rows = f"{count} rows in {tables} table{'s' if tables > 1 else ''}"
        return PROVED.format(rows=rows, steps=steps, seed=self.seed)

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
    rest = len(phrases) - most
    return "; ".join(phrases[:most]) + (f"; and {rest} more" if rest > 0 else "")


def prove(project: Project, revision: str, *, seed: int = SEED) -> Verdict:
    """Prove one migration; the application's own database is not touched.

    :param revision: the migration's identifier
    :param seed: of the made rows
    :raises servers.NotAllowed: when the account may not create a scratch database
    """
    from . import steps

    return steps.take(project, revision, seed)
