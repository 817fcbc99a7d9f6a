"""Two branches of the history: do they make the same in either order, and if not, on what do they meet?"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from alembic.script import Script
from sqlalchemy import Connection

from .. import catalog, runner
from ..catalog import Schema
from ..project import Project
from ..runner import Recorder, Recording
from ..scratch.databases import stage
from . import comparison, steps
from .scene import Scene
from .verdict import said

SEED = 1
SCHEMA = "the other way round the schema would be another"
ROWS = "the other way round the rows would hold something else"
STOPS = "the other way round it stops: {error}"


@dataclass
class Meeting:
    """On what two branches meet; ``how`` is what the other order would do, without a full stop."""

    objects: list[str] = field(default_factory=list)
    how: str = ""


def meeting(
    project: Project, base: tuple[str, ...], first: list[Script], last: list[Script]
) -> Meeting | None:
    """Run two branches in both orders, on rows, and compare what they leave; None where it is the same.

    :param project: in which both branches stand on the base
    :param base: the revisions that both have below them
    :param first: the branch that is to stand first, its first migration first
    :param last: the branch that is to stand after it
    :raises servers.NotAllowed: when the account may not create a scratch database
    :raises Exception: what the first order raises
    """
    with warnings.catch_warnings(), stage(project, base) as scratch:
        warnings.simplefilter("ignore")  # each was shown when the real command ran
        scene = Scene(project, last[0], SEED, scratch)
        scene.before = scene.read()
        did = _rehearse(scene, [*first, *last])
        steps.understand(scene, did)
        steps.fill(scene, did)
        wanted = _End.of(scene, [*first, *last])
        try:
            other = _End.of(scene, [*last, *first])
        except Exception as error:
            touched = [_End.of(scene, branch).tables(scene.before) for branch in (first, last)]
            both = sorted(set.intersection(*touched))
            return Meeting(both, STOPS.format(error=said(error, first[0].path)))
        if schema := list(_between(wanted.schema, other.schema)):
            return Meeting(schema, SCHEMA)
        if differ := wanted.unlike(other):
            # a value that each run makes anew, such as the time, is no meeting
            again = wanted.unlike(_End.of(scene, [*first, *last]))
            differ = wanted.unlike(other, again)
        return Meeting(sorted(differ), ROWS) if differ else None


def _rehearse(scene: Scene, order: list[Script]) -> Recording:
    """Run the branches without rows, to know what the rows are to satisfy; return what they did."""
    recorder = Recorder(order)
    with scene.scratch.attempt() as connection:
        for script in order:
            runner.upgrade(scene.project, connection, script, recorder)
        scene.after = scene.read(connection)
    whole = Recording(dialect=scene.connection.dialect)
    for one in recorder.recordings.values():
        whole.events += one.events
        whole.sql += one.sql
        whole.types |= one.types
    return whole


@dataclass
class _End:
    """What an order leaves: the schema, and the rows of its tables."""

    schema: Schema
    rows: dict[str, list[comparison.Row]]

    @classmethod
    def of(cls, scene: Scene, order: Iterable[Script]) -> "_End":
        with scene.scratch.attempt() as connection:
            for script in order:
                runner.upgrade(scene.project, connection, script)
            return cls._read(scene, connection)

    @classmethod
    def _read(cls, scene: Scene, connection: Connection) -> "_End":
        schema = scene.read(connection)
        return cls(schema, comparison.take(connection, schema, schema.tables))

    def tables(self, before: Schema) -> set[str]:
        return catalog.between(before, self.schema).tables

    def unlike(self, other: "_End", without: Iterable[str] = ()) -> set[str]:
        """Name the columns, or the tables, whose rows are others there."""
        left_out, found = set(without), set()
        for label in self.rows:
            columns = self.schema.tables[label].columns
            names = [name for name in columns if f"{label}.{name}" not in left_out]
            if label in left_out or self._values(label, names) == other._values(label, names):
                continue
            odd = [
                one for one in names if self._values(label, [one]) != other._values(label, [one])
            ]
            found |= {f"{label}.{name}" for name in odd} or {label}
        return found

    def _values(self, label: str, names: list[str]) -> Counter[tuple[str, ...]]:
        return Counter(tuple(repr(row[name]) for name in names) for row in self.rows[label])


def _between(one: Schema, other: Schema) -> Iterator[str]:
    """Name the columns, the tables and the rest in which two schemas differ."""
    found = catalog.between(one, other)
    for label in sorted(found.tables):
        sides = [schema.tables[label].columns for schema in (one, other) if label in schema.tables]
        names = {name for side in sides for name in side}
        odd = [name for name in names if len({repr(side.get(name)) for side in sides}) > 1]
        yield from (f"{label}.{name}" for name in sorted(odd)) if odd else (label,)
    yield from (name for name, text in one.others.items() if other.others.get(name) != text)
    yield from sorted(other.others.keys() - one.others.keys())
