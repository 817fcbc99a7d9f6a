"""Where a proof takes place, and what it has found out so far."""

import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ... import foreign_keys
from .. import facts
from ..facts import Schema
from ..facts.difference import Differences
from ..rows import TablePlan
from . import survival
from .journal import Journal
from .lineage import Lineage
from .source import Source
from .stage import Stage
from .subject import Subject
from .verdict import SAMPLE, Failed, Verdict, listed, said


def _reads(error: Exception) -> bool:
    """Whether python that takes values apart has raised, and no operation."""
    frames = traceback.extract_tb(error.__traceback__)
    operation = any("/alembic/operations/" in frame.filename for frame in frames)
    return not operation and not isinstance(error, DBAPIError | CommandError | NotImplementedError)


class Scene:
    """One migration on its scratch database.

    ``before`` and ``after`` are the schemas, ``lineage`` says what of the one became what of the other,
    ``old`` holds the rows as they were.

    :param subject: the application
    :param revision: the migration's identifier
    :param seed: of the made rows
    """

    before: Schema
    after: Schema
    changes: Differences
    lineage: Lineage
    plans: dict[str, TablePlan]
    old: dict[str, list[survival.Row]]

    def __init__(self, subject: Subject, revision: str, seed: int, scratch: Stage) -> None:
        self.subject, self.scratch, self.connection = subject, scratch, scratch.connection
        self.script = subject.script.get_revision(revision)
        self.source = Source(self.script.path)
        self.verdict = Verdict(self.script.revision, Path(self.script.path).name, seed)
        # columns that come back NOT NULL without a value: only without rows the downgrade goes
        self.blocked = False

    @property
    def dialect(self) -> str:
        """ "sqlite", "postgresql" or "mysql" (MariaDB too)."""
        name = self.connection.dialect.name
        return "mysql" if name == "mariadb" else name

    def read(self, connection: Connection | None = None) -> Schema:
        """Return the schema as it is now."""
        return facts.read(connection or self.connection, self.subject.ignored)

    def take(self, schema: Schema, labels: Iterable[str]) -> dict[str, list[survival.Row]]:
        """Return the rows of some tables as they are now."""
        return survival.take(self.connection, schema, labels)

    def note(self, note: str) -> None:
        """Put a line into the verdict, once."""
        if note not in self.verdict.notes:
            self.verdict.notes.append(note)

    def step(self, name: str, work: Callable[..., None], journal: Journal) -> None:
        """Run ``upgrade()`` or ``downgrade()``, and keep what it did.

        :param name: of the step, for the verdict
        :raises Failed: with what the migration raised, or with the keys that it broke
        """
        self.connection.rollback()  # reading has begun a transaction, which is not the migration's
        try:
            self.run(work, self.connection, journal)
            self.scratch.settle()
        except Failed as failed:
            raise Failed(name, failed.difference) from failed
        except Exception as error:
            difference = said(error, self.script.path)
            if _reads(error) and any(self.verdict.rows.values()):
                difference += SAMPLE
            raise Failed(name, difference) from error

    def run(self, work: Callable[..., None], connection: Connection, journal: Journal) -> None:
        """Run it as the real command does: on SQLite the keys are looked at afterwards."""
        if self.dialect != "sqlite":
            work(self.subject, connection, self.script, journal)
            return
        broken = foreign_keys.broken(connection)
        work(self.subject, connection, self.script, journal)
        found = foreign_keys.newly_broken(connection, broken, foreign_keys.broken(connection))
        if found:
            phrases = [
                f"{count} rows of {child} point to no row of {parent}"
                for (child, parent), count in found.items()
            ]
            raise Failed("", listed(phrases))
