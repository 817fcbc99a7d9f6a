"""The way down: the downgrade, the schema as the database tells it, the rows."""

import re
from collections.abc import Iterator

from ..facts import Schema, difference
from . import run, verdict
from .journal import Journal
from .judge import Judge, parents_of
from .lineage import Lineage
from .scene import Scene
from .survival import Outcome
from .verdict import Failed, listed


def downgrade(scene: Scene) -> Journal:
    """Run the downgrade on the rows.

    :raises Failed: with what it raised
    """
    if scene.source.downgrade_is_empty and scene.changes.found:
        raise Failed("downgrade", verdict.DOES_NOTHING)
    journal = Journal()
    try:
        scene.step("downgrade", run.downgrade, journal)
    except Failed:
        columns = list(_without_value(scene))
        # without rows it is to work: only they stand in its way
        if not columns or scene.dialect == "mysql":
            raise
        scene.connection.rollback()
        _take_rows_out(scene)
        journal, scene.blocked = Journal(), True
        scene.step("downgrade", run.downgrade, journal)
        for table, name in columns:
            scene.note(verdict.BLOCKED.format(table=table, column=f"{table}.{name}"))
    return journal


def _without_value(scene: Scene) -> Iterator[tuple[str, str]]:
    """Columns that are NOT NULL below, and for which nothing above has a value."""
    for label, name in scene.lineage.lost_columns():
        column = scene.before.tables[label].columns[name]
        if scene.old.get(label) and not (column.nullable or column.default or column.generated):
            yield label, name


def _take_rows_out(scene: Scene) -> None:
    preparer = scene.connection.dialect.identifier_preparer
    homes = [scene.lineage.tables[label] for label in scene.old if label in scene.lineage.tables]
    names = [
        ".".join(preparer.quote_identifier(part) for part in (table.schema, table.name) if part)
        for table in map(scene.after.tables.get, homes)
    ]
    if scene.dialect == "postgresql":
        scene.connection.exec_driver_sql(f"TRUNCATE {', '.join(names)} CASCADE")
    else:
        for name in names:
            scene.connection.exec_driver_sql(f"DELETE FROM {name}")
    scene.scratch.settle()


def compare_schema(scene: Scene) -> Schema:
    """Compare the schema with what it was; return it.

    :raises Failed: with the differences, but not for the order of columns
    """
    below = scene.read()
    found = difference.between(scene.before, below)
    keys = {key.name for table in scene.after.tables.values() for key in table.foreign_keys}
    left = []
    for phrase in found.found:
        index = re.fullmatch(r"the index (\S+) of \S+ was left behind", phrase)
        if index and index[1] in keys and scene.dialect == "mysql":
            scene.note(verdict.KEPT_INDEX.format(index=index[1]))
        else:
            left.append(phrase)
    if left:
        raise Failed("downgrade", listed(left))
    for label in found.order:
        scene.note(verdict.ORDER.format(table=label))
    return below


def compare_rows(scene: Scene, below: Schema, journal: Journal) -> None:
    """Compare the rows with what they were, as far as the downgrade can bring them back.

    :raises Failed: when one is gone or holds something else
    """
    up, down = scene.lineage, Lineage(scene.after, below, journal)
    _require_same_renames(up, down)
    _note_what_goes(scene)
    if scene.blocked:
        return
    same = {label: label for label in scene.old if label in below.tables}
    columns = [(label, name) for label in same for name in scene.before.tables[label].columns]
    back = {now: was for was, now in up.columns.items()}
    rewritten = {back[now] for now in down.rewritten if now in back}
    homes = {now: was for was, now in up.tables.items()}
    emptied = {homes[now]: sql for now, sql in down.emptied.items() if now in homes}
    judge = Judge(scene.connection, scene.before, below, scene.source.agreed)
    outcomes = judge.outcomes(
        scene.old,
        scene.take(below, same),
        same,
        {column: column for column in columns},
        up.rewritten | rewritten | set(_lost_keys(scene)),
        _through(scene),
    )
    for label in list(outcomes):
        _forgive(scene, label, outcomes, emptied)
    judge.judge("downgrade", outcomes, emptied, rewritten)
    for note in judge.notes:
        scene.note(note)


def _through(scene: Scene) -> set[tuple[str, str]]:
    """The columns to which the upgrade gave another type."""
    before, after = scene.before.tables, scene.after.tables
    return {
        (label, name)
        for (label, name), (table, now) in scene.lineage.columns.items()
        if before[label].columns[name].type != after[table].columns[now].type
    }


def _lost_keys(scene: Scene) -> Iterator[tuple[str, str]]:
    """A key that was dropped comes back with other numbers: no row can be found by it."""
    for label, name in scene.lineage.lost_columns():
        if name in scene.before.tables[label].primary_key:
            scene.note(verdict.ON_THE_WAY.format(what=f"{label}.{name}", way="up"))
            yield label, name


def _require_same_renames(up: Lineage, down: Lineage) -> None:
    """What the downgrade renames back the upgrade must have renamed, or the values are lost."""
    new = {now for now in down.columns if now not in up.columns.values()}
    for now in sorted(new):
        was = down.columns[now]
        if was in up.lost_columns():
            dropped, made = ".".join(was), ".".join(now)
            said = verdict.NOT_RENAMED.format(dropped=dropped, made=made)
            raise Failed("upgrade", said)
    for now in sorted(set(down.tables) - set(up.tables.values())):
        if down.tables[now] in up.lost_tables():
            dropped, made = f"the table {down.tables[now]}", f"the table {now}"
            raise Failed("upgrade", verdict.NOT_RENAMED.format(dropped=dropped, made=made))


def _forgive(
    scene: Scene, label: str, outcomes: dict[str, Outcome], emptied: dict[str, str]
) -> None:
    """Take out what the upgrade has lost or set itself: the downgrade need not bring it back."""
    up, outcome = scene.lineage, outcomes[label]
    if label not in up.tables:
        if outcome.gone or outcome.changed:
            scene.note(verdict.ON_THE_WAY.format(what=f"the table {label}", way="up"))
        del outcomes[label]
        return
    if label not in emptied and any(one in up.emptied for one in parents_of(scene.before, label)):
        outcome.gone = 0
    for name in list(outcome.changed):
        at = f"{label}.{name}"
        if (label, name) not in up.columns:
            scene.note(verdict.ON_THE_WAY.format(what=at, way="up"))
        elif (label, name) in up.rewritten:
            scene.note(verdict.NOT_BACK.format(column=at))
        elif at not in scene.source.agreed and label not in scene.source.agreed:
            continue
        del outcome.changed[name]
    if label in scene.source.agreed:
        outcome.gone = 0


def _note_what_goes(scene: Scene) -> None:
    """What the upgrade adds goes when it is undone."""
    homes, columns = set(scene.lineage.tables.values()), set(scene.lineage.columns.values())
    lost = []
    for label, table in scene.after.tables.items():
        if label not in homes:
            lost.append(f"the table {label}")
            continue
        for name, column in table.columns.items():
            if (label, name) not in columns and not column.generated:
                lost.append(f"{label}.{name}")
    for what in lost:
        scene.note(verdict.ON_THE_WAY.format(what=what, way="down"))
