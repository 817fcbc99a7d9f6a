"""Before the migration: its history, what it will do, and rows for the tables that it concerns."""

import re
from typing import Any

from alembic.operations import ops

from ...rehearsal import rehearsal
from .. import rows
from ..facts import difference
from ..rows import hints
from ..rows.domains import Domain
from ..rows.kinds import kind_of
from ..rows.limits import accepts
from . import mentioned, run, verdict
from .hostile import Hostile
from .journal import Journal
from .lineage import Lineage
from .scene import Scene
from .verdict import Failed, said

MANY, FEW = 6, 4


def build(scene: Scene) -> None:
    """Make the schema as it is before the migration."""
    script, subject = scene.script, scene.subject
    below = tuple(dict.fromkeys(script._versioned_down_revisions + script._resolved_dependencies))
    run.history(subject, scene.connection, below)
    scene.scratch.settle()
    scene.before = scene.read()


def rehearse(scene: Scene) -> Journal:
    """Run up without rows, to know the schema that the rows are to satisfy too.

    :raises Failed: when the migration does not even run on empty tables
    """
    journal = Journal()
    with scene.scratch.attempt() as connection:
        try:
            run.upgrade(scene.subject, connection, scene.script, journal)
            scene.after = scene.read(connection)
        except Exception as error:
            if "autocommit_block" not in scene.source.text or scene.dialect == "sqlite":
                raise Failed("upgrade", said(error, scene.script.path)) from error
            scene.after = scene.before  # it cannot be tried in one transaction
    understand(scene, journal)
    return journal


def understand(scene: Scene, journal: Journal) -> None:
    """Note what changed between the two schemas, and where everything went."""
    scene.changes = difference.between(scene.before, scene.after)
    scene.lineage = Lineage(scene.before, scene.after, journal)


def fill(scene: Scene, journal: Journal) -> None:
    """Put rows into the tables that the migration concerns.

    :raises Failed: when the migration's own ``sample_rows`` raises
    """
    counts = concerned(scene, journal)
    sample = getattr(scene.script.module, "sample_rows", None)
    if sample is not None:
        try:
            with rehearsal():
                sample(scene.connection)
        except Exception as error:
            raise Failed("sample_rows", said(error, scene.script.path)) from error
    given = {label: len(found) for label, found in scene.take(scene.before, counts).items()}
    scene.plans = rows.of_schema(
        scene.before,
        scene.dialect,
        {label: 0 if sample and given[label] else count for label, count in counts.items()},
        scene.after,
        scene.lineage.columns,
        scene.subject.metadata,
    )
    _speak(scene, journal)
    made = rows.fill(scene.connection, scene.plans, scene.verdict.seed)
    scene.scratch.settle()
    scene.verdict.rows = {label: made.rows[label] + given[label] for label in counts}
    for label, reason in made.empty.items():
        scene.note(verdict.NO_ROWS.format(table=label, reason=reason))
    scene.old = scene.take(scene.before, counts)


def _speak(scene: Scene, journal: Journal) -> None:
    """Give columns what the migration reads them as, and the values that it speaks of."""
    for (label, name), place in scene.lineage.columns.items():
        for known in (_modelled(scene, place), journal.types.get((label, name))):
            if label in scene.plans and name in scene.plans[label].domains and known is not None:
                domain = scene.plans[label].domains[name]
                domain.kind = hints.typed(known, domain.kind)
                domain.reader = hints.reader(known, scene.connection.dialect)
    for entry in journal.events:
        if isinstance(entry, ops.AlterColumnOp) and entry.modify_type is not None:
            for (label, name), place in scene.lineage.columns.items():
                names = (entry.column_name, entry.modify_name or entry.column_name)
                if label in scene.plans and place == (_home(entry), names[1]):
                    _retype(scene, scene.plans[label].domains.get(name), entry)
    words = _words(journal)
    for label, plan in scene.plans.items():
        for name, domain in plan.domains.items():
            domain.computed = plan.table.name.lower() in words
            _mention(scene, scene.before.tables[label].columns[name].type, domain)


def _modelled(scene: Scene, place: tuple[str, str]) -> Any:
    table = scene.subject.metadata.tables.get(place[0])
    return table.columns[place[1]].type if table is not None and place[1] in table.columns else None


def _home(entry: ops.AlterColumnOp) -> str:
    return f"{entry.schema}.{entry.table_name}" if entry.schema else entry.table_name


def _retype(scene: Scene, domain: Domain | None, entry: ops.AlterColumnOp) -> None:
    if domain is None:
        return
    if entry.existing_type is not None:
        domain.kind = hints.typed(entry.existing_type, domain.kind)
    domain.later = hints.typed(entry.modify_type, domain.later or domain.kind)


def _mention(scene: Scene, declared: str, domain: Domain) -> None:
    now, target = kind_of(declared, scene.dialect, scene.before), domain.later or domain.kind
    if now.family != "text" or target.family == "text":
        return
    bools = {"true", "false", "0", "1"} if target.family == "bool" else set()
    becomes = {label.lower() for label in target.labels} | bools
    words, complete = mentioned.values(scene.source.text, domain.name, becomes)
    words = [word for word in words if accepts(now, word)]
    if words:
        domain.given = words if complete else [*words, *domain.specials]


def concerned(scene: Scene, journal: Journal) -> dict[str, int]:
    """Return how many rows each table is to have: those that change, their children, their parents."""
    tables, lineage = scene.before.tables, scene.lineage
    words = _words(journal)
    named = {getattr(entry, "table_name", None) for entry in journal.events}
    named |= {entry.table.name for entry in journal.events if isinstance(entry, ops.BulkInsertOp)}
    direct = {
        label
        for label, table in tables.items()
        if label in scene.changes.tables
        or lineage.tables.get(label) != label
        or table.name.lower() in words
        or table.name in named
    }
    children = {
        label
        for label, table in tables.items()
        if any(key.parent in direct for key in table.foreign_keys)
    }
    found = dict.fromkeys(sorted(direct), MANY) | dict.fromkeys(sorted(children - direct), FEW)
    back = {now: was for was, now in lineage.tables.items()}
    waiting = list(found)
    while waiting:
        label = waiting.pop()
        home = scene.after.tables.get(lineage.tables.get(label, ""))
        parents = [key.parent for key in tables[label].foreign_keys]
        parents += [back.get(key.parent, "") for key in (home.foreign_keys if home else ())]
        for parent in parents:
            if parent in tables and parent not in found:
                found[parent] = FEW
                waiting.append(parent)
    for label in found:
        sides = tables[label], scene.after.tables.get(lineage.tables.get(label, ""))
        if any(table is not None and table.excludes for table in sides):
            found[label] = 1  # a row that is alone excludes none
    return found


def _words(journal: Journal) -> set[str]:
    return set(re.findall(r"\w+", " ".join(journal.statements).lower()))


def meet_hostile_rows(scene: Scene) -> None:
    """Report what the upgrade does with rows that its new rules would refuse."""
    hostile = Hostile(scene.before, scene.after, scene.lineage, scene.plans, scene.old)
    for wrong in hostile.wrongs(scene.connection):
        with scene.scratch.attempt() as connection:
            try:
                wrong.spoil(connection)
            except Exception:
                continue  # the database refuses it already
            words = {"what": wrong.what}
            try:
                scene.run(run.upgrade, connection, Journal())
            except Exception as error:
                words["error"] = said(error, scene.script.path)
            text = verdict.STOPS if "error" in words else verdict.GOES_THROUGH
            scene.verdict.hostile.append(text.format(**words))
    scene.scratch.settle()
