"""Where a proof takes place, and what it has found out so far."""

import ast
import re
import tokenize
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .. import catalog
from ..catalog import Differences, Schema
from ..project import Project, listening
from ..rows.plan import TablePlan
from ..runner import Recorder, Recording
from ..scratch.databases import Stage
from ..sqlite import foreign_key_check
from . import Failed, Verdict, comparison, listed, said
from .comparison import Lineage

# What a migration's text says to the proof: comments with a reason, a downgrade that does nothing.


IRREVERSIBLE = re.compile(r"#\s*irreversible\s+because\s+(\S.*)", re.IGNORECASE)
AGREED = re.compile(r"#\s*proof:\s*(\S+(?:\s*,\s*\S+)*)\s+because\s+(\S.*)", re.IGNORECASE)


class Source:
    """The text of a migration.

    :param path: of its file
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with tokenize.open(path) as file:  # it may say its own encoding
            self.text = file.read()
        self.functions = {
            node.name: node
            for node in ast.parse(self.text).body
            if isinstance(node, ast.FunctionDef)
        }

    @property
    def irreversible(self) -> str | None:
        """The reason for which the downgrade is not to be run, from ``# irreversible because ...``."""
        found = IRREVERSIBLE.search(self._of("downgrade"))
        return found[1].strip() if found else None

    @property
    def raises(self) -> str | None:
        """What a downgrade raises that does nothing else: it is not to be run either."""
        match self._lines("downgrade"):
            case [ast.Raise(exc=ast.AST() as raised)]:
                return " ".join(ast.unparse(raised).split())
        return None

    @property
    def agreed(self) -> dict[str, str]:
        """What may change although nothing else says so, with the reason: a table, or table.column."""
        return {
            name.strip(): reason.strip()
            for names, reason in AGREED.findall(self.text)
            for name in names.split(",")
        }

    @property
    def downgrade_is_empty(self) -> bool:
        """Whether ``downgrade`` is missing, or a ``pass``."""
        return not self._lines("downgrade")

    def _lines(self, name: str) -> list[ast.stmt]:
        """What a function does: neither its docstring nor a ``pass``."""
        function = self.functions.get(name)
        return [
            line
            for line in (function.body if function else ())
            if not isinstance(line, ast.Pass)
            and not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        ]

    def _of(self, name: str) -> str:
        """A function's text, with the comments at its end."""
        function = self.functions.get(name)
        if function is None:
            return ""
        lines = self.text.splitlines()
        end = function.end_lineno or function.lineno
        while end < len(lines) and (not lines[end].strip() or lines[end][:1] in (" ", "\t", "#")):
            end += 1
        return "\n".join(lines[function.lineno - 1 : end])


# Which locks a migration takes that others feel, as the server says it while it runs.


# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES, the strongest first
MODES = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")
HELD = f"""
    SELECT relation::regclass::text, mode FROM pg_locks JOIN pg_class ON pg_class.oid = relation
    WHERE pid = pg_backend_pid() AND granted AND relkind IN ('r', 'p', 'm') AND mode IN {MODES}
"""
LONGEST = 70


@contextmanager
def locks_taken(
    connection: Connection, tables: Iterable[str]
) -> Iterator[dict[str, tuple[str, str]]]:
    """Give, by table, the strongest lock and the statement that took it, once what runs inside has run.

    :param connection: to PostgreSQL
    :param tables: those of which it is to be noted: the others nobody else knows
    """
    found: dict[str, tuple[str, str]] = {}
    there = set(tables)

    def look(live: Connection, cursor: object, statement: str, *_: object) -> None:
        with closing(live.connection.cursor()) as own:
            own.execute(HELD)
            held = own.fetchall()
        for table, mode in held:
            name = table.replace('"', "")
            if name in there and (
                name not in found or MODES.index(mode) < MODES.index(found[name][0])
            ):
                said = " ".join(statement.split())
                found[name] = mode, said if len(said) <= LONGEST else f"{said[:LONGEST]}..."

    with listening(connection, after_cursor_execute=look):
        yield found


def _reads(error: Exception) -> bool:
    """Whether python that takes values apart has raised, and no operation."""
    frames = traceback.extract_tb(error.__traceback__)
    operation = any("/alembic/operations/" in frame.filename for frame in frames)
    return not operation and not isinstance(error, DBAPIError | CommandError | NotImplementedError)


class Scene:
    """One migration on its scratch database.

    ``before`` and ``after`` are the schemas, ``lineage`` says what of the one became what of the other,
    ``old`` holds the rows as they were.

    :param project: the application
    :param script: the migration, Alembic's ``Script``
    :param seed: of the made rows
    """

    before: Schema
    after: Schema
    changes: Differences
    lineage: Lineage
    plans: dict[str, TablePlan]
    old: dict[str, list[comparison.Row]]

    def __init__(self, project: Project, script: Script, seed: int, scratch: Stage) -> None:
        self.project, self.scratch, self.connection = project, scratch, scratch.connection
        self.script = script
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
        return catalog.read(connection or self.connection, self.project.ignored)

    def take(self, schema: Schema, labels: Iterable[str]) -> dict[str, list[comparison.Row]]:
        """Return the rows of some tables as they are now."""
        return comparison.take(self.connection, schema, labels)

    def note(self, note: str) -> None:
        """Put a line into the verdict, once."""
        if note not in self.verdict.notes:
            self.verdict.notes.append(note)

    def lose(self, what: str, way: str) -> None:
        """Note what is lost on the way up or down."""
        self.note(f"loses {what} on the way {way}")

    def understand(self, recording: Recording) -> None:
        """Note what changed between the two schemas, and where everything went."""
        self.changes = catalog.between(self.before, self.after)
        self.lineage = Lineage(self.before, self.after, recording)

    def step(self, name: str, work: Callable[..., None]) -> Recording:
        """Run ``upgrade()`` or ``downgrade()``, and keep it; return what it did.

        :param name: of the step, for the verdict
        :raises Failed: with what the migration raised, or with the keys that it broke
        """
        self.connection.rollback()  # reading has begun a transaction, which is not the migration's
        try:
            with self._locks() if name == "upgrade" else nullcontext():
                recording = self.run(work, self.connection)
            self.scratch.settle()
            return recording
        except Failed as failed:
            raise Failed(name, failed.difference) from failed
        except Exception as error:
            difference = said(error, self.script.path)
            if _reads(error) and any(self.verdict.rows.values()):
                difference += " (on made rows: a sample_rows(connection) in the file brings others)"
            raise Failed(name, difference) from error

    @contextmanager
    def _locks(self) -> Iterator[None]:
        """Note which locks others would feel, where that is what matters."""
        if not self.project.online:
            yield
            return
        with locks_taken(self.connection, self.before.tables) as held:
            yield
        for table, (mode, statement) in sorted(held.items()):
            self.note(f"takes {mode} of {table}: {statement}")

    def run(self, work: Callable[..., None], connection: Connection) -> Recording:
        """Run it as the real command does: on SQLite the keys are looked at afterwards."""
        recorder = Recorder([self.script], looks=self.verdict.schema is None)
        recording = recorder.recordings[self.script.revision]
        if self.dialect != "sqlite":
            work(self.project, connection, self.script, recorder)
            return recording
        broken = foreign_key_check.broken(connection)
        work(self.project, connection, self.script, recorder)
        found = foreign_key_check.newly_broken(
            connection, broken, foreign_key_check.broken(connection)
        )
        if found:
            phrases = [
                f"{count} rows of {child} point to no row of {parent}"
                for (child, parent), count in found.items()
            ]
            raise Failed("", listed(phrases))
        return recording
