"""Where a proof takes place, and what it has found out so far."""

import ast
import re
import tokenize
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .. import catalog
from ..catalog import Differences, Schema
from ..project import Project
from ..rows.plan import TablePlan
from ..runner import Recorder, Recording
from ..scratch.databases import Stage
from ..sqlite import foreign_key_check
from ..zero_downtime import locks
from . import comparison
from .comparison import Lineage
from .verdict import LOCKED, SAMPLE, Failed, Verdict, listed, said

# The values of a column that a migration speaks of: what it maps, and what it compares with.
#
# Text that becomes an Enum or a Boolean holds such words in real databases, and no others.


TEXT = r"'((?:[^']|'')*)'"
CASE = re.compile(r"\bCASE\b(.*?)\bEND\b", re.IGNORECASE | re.DOTALL)
WHEN = re.compile(rf"\bWHEN\s+{TEXT}\s+THEN\b", re.IGNORECASE)
ELSE = re.compile(r"\bELSE\s+(?!NULL\b)", re.IGNORECASE)
# what an UPDATE sets is not what it finds
SET = re.compile(r"\bSET\b.*?(?=\bWHERE\b|\Z)", re.IGNORECASE | re.DOTALL)


def values(text: str, column: str, becomes: set[str]) -> tuple[list[str], bool]:
    """Return the values that the way up of a migration names for a column, and whether they are all.

    They are all where everything else would be lost: a CASE without ELSE, a dictionary.

    :param becomes: what they may become, for the values of a dictionary
    """
    tree, complete = ast.parse(text), False
    found: list[str] = []
    # the way back finds what the way up has made
    tree.body = [part for part in tree.body if getattr(part, "name", None) != "downgrade"]
    for sql in _strings(tree):
        words, whole = _of_sql(sql, column)
        found, complete = [*found, *words], complete or whole
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and (keys := _mapped(node, becomes)):
            found, complete = [*found, *keys], True
        found += _compared(node, column)
    return list(dict.fromkeys(found)), complete


def _strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _of_sql(sql: str, column: str) -> tuple[list[str], bool]:
    name = rf"[(\s\"`\[.]+{re.escape(column)}[\"`\]]?(?:::\w+)?\)*\s*"
    complete = False
    found: list[str] = []
    for case in CASE.findall(sql):
        simple = re.match(rf"(?:[\s\"\w]*\.)?{name}WHEN\b", case, re.IGNORECASE)
        words = WHEN.findall(case) if simple else _conditions(case, name)
        found, complete = [*found, *words], complete or bool(words and not ELSE.search(case))
    found += _conditions(SET.sub(" ", CASE.sub(" ", f" {sql}")), name)
    return [word.replace("''", "'") for word in found], complete


def _conditions(sql: str, name: str) -> list[str]:
    found = re.findall(rf"{name}(?:=|<>|!=)\s*{TEXT}", sql, re.IGNORECASE)
    for words in re.findall(rf"{name}(?:NOT\s+)?IN\s*\(([^)]*)\)", sql, re.IGNORECASE):
        found += re.findall(TEXT, words)
    return found


def _mapped(node: ast.Dict, becomes: set[str]) -> list[str]:
    """The keys of a dictionary that leads to what the column may become."""
    pairs = [
        (key.value, value.value)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    ]
    whole = len(pairs) == len(node.keys) and bool(pairs)
    fits = all(str(value).lower() in becomes for _, value in pairs if value is not None)
    return [key for key, _ in pairs if isinstance(key, str)] if whole and fits else []


def _compared(node: ast.AST, column: str) -> list[str]:
    """What ``row.a == "x"``, ``row["a"] in ("x", "y")`` and ``t.c.a.in_(["x"])`` compare with."""
    match node:
        case ast.Compare(left=left, comparators=[other]) if _name(left) == column:
            return _words(other)
        case ast.Call(func=ast.Attribute(value=left, attr="in_"), args=[other, *_]) if (
            _name(left) == column
        ):
            return _words(other)
    return []


def _name(node: ast.AST) -> object:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=name)):
            return name
    return None


def _words(node: ast.AST) -> list[str]:
    items = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [
        item.value for item in items if isinstance(item, ast.Constant) and type(item.value) is str
    ]


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
                difference += SAMPLE
            raise Failed(name, difference) from error

    @contextmanager
    def _locks(self) -> Iterator[None]:
        """Note which locks others would feel, where that is what matters."""
        if not self.project.online:
            yield
            return
        with locks.noted(self.connection, self.before.tables) as held:
            yield
        for table, (mode, statement) in sorted(held.items()):
            self.note(LOCKED.format(table=table, mode=mode, statement=statement))

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
