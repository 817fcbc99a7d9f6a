"""The way up: the upgrade, the models, the rows."""

import re

from ..facts import difference
from . import models, run, verdict
from .journal import Journal
from .judge import Judge
from .prepare import understand
from .scene import Scene
from .verdict import Failed, listed


def upgrade(scene: Scene) -> None:
    """Run the upgrade on the rows.

    :raises Failed: with what it raised
    """
    journal = Journal()
    scene.step("upgrade", run.upgrade, journal)
    scene.after = scene.read()
    understand(scene, journal)


def compare_models(scene: Scene) -> None:
    """Compare with the models, when there are some and the migration is the head.

    :raises Failed: with what autogenerate would still write
    """
    head = scene.script.revision in scene.subject.script.get_heads()
    if not head or not scene.subject.metadata.tables:
        return
    changed = {label for label in scene.changes.tables if label in scene.after.tables}
    changed |= {now for was, now in scene.lineage.tables.items() if was != now}
    ours = {key.name for table in scene.before.tables.values() for key in table.foreign_keys}
    made_for_keys = ours if scene.dialect == "mysql" else set()
    found = models.differences(scene.subject, scene.connection, scene.after, changed, made_for_keys)
    scene.connection.rollback()
    if found:
        raise Failed("models", f"the models still want: {listed(found)}")


def compare_rows(scene: Scene) -> None:
    """Compare the rows with what they were.

    :raises Failed: when one is gone or holds something else, and the migration does not say so
    """
    lineage = scene.lineage
    judge = Judge(scene.connection, scene.before, scene.after, scene.source.agreed)
    homes = {lineage.tables[label] for label in scene.old if label in lineage.tables}
    outcomes = judge.outcomes(
        scene.old,
        scene.take(scene.after, homes),
        lineage.tables,
        lineage.columns,
        lineage.rewritten,
    )
    judge.judge("upgrade", outcomes, lineage.emptied, lineage.rewritten)
    scene.verdict.changes = list(judge.changes)
    for note in judge.notes:
        scene.note(note)


def stay(scene: Scene) -> None:
    """Say what is lost for good by an upgrade that is not to be undone."""
    reason, raises = scene.source.irreversible, scene.source.raises
    if reason:
        scene.verdict.irreversible = verdict.SAYS.format(reason=reason)
    else:
        scene.verdict.irreversible = verdict.RAISES.format(raises=raises)
        if not re.search("['\"]", raises):
            scene.note(verdict.WITHOUT_REASON)
    lost = [f"the table {label}" for label in scene.lineage.lost_tables()]
    lost += [f"{label}.{name}" for label, name in scene.lineage.lost_columns()]
    for what in lost:
        scene.note(verdict.ON_THE_WAY.format(what=what, way="up"))


def upgrade_again(scene: Scene) -> None:
    """Run the upgrade on what the downgrade has left.

    :raises Failed: with what it raised, or when the schema is not what it was the first time
    """
    scene.step("upgrade again", run.upgrade, Journal())
    found = difference.between(scene.after, scene.read()).found
    scene.connection.rollback()
    if found:
        raise Failed("upgrade again", listed(found))
