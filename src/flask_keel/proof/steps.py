"""The steps: rows, up, models, rows, down, schema, rows, up again; and what hostile rows would meet."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping

from alembic.autogenerate import produce_migrations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Table, create_engine

from .. import catalog, literals, runner
from ..autogenerate import summary
from ..catalog import Schema
from ..history import parents
from ..project import Project, listening
from ..rows import name_of
from ..runner import Recorder, Recording
from ..scratch.databases import stage
from . import Failed, Verdict, listed, passing, said, samples
from .comparison import Judge, Lineage, Outcome, parents_of
from .scene import Scene

# The way down: the downgrade, the schema as the database tells it, the rows.


def downgrade(scene: Scene) -> Recording:
    """Run the downgrade on the rows.

    :raises Failed: with what it raised
    """
    if scene.source.downgrade_is_empty and scene.changes.found:
        raise Failed(
            "downgrade",
            "it does nothing, and the upgrade changes the schema (where that is right, write "
            "# irreversible because ... there)",
        )
    try:
        return scene.step("downgrade", runner.downgrade)
    except Failed:
        columns = list(_without_value(scene))
        # without rows it is to work: only they stand in its way
        if not columns or scene.dialect == "mysql":
            raise
        scene.connection.rollback()
        _take_rows_out(scene)
        scene.blocked = True
        recording = scene.step("downgrade", runner.downgrade)
        for table, name in columns:
            scene.note(
                f"cannot be undone while {table} has rows: {table}.{name} comes back NOT NULL and "
                "downgrade() gives it no value"
            )
        return recording


def _without_value(scene: Scene) -> Iterator[tuple[str, str]]:
    """Columns that are NOT NULL below, and for which nothing above has a value."""
    for label, name in scene.lineage.lost_columns():
        column = scene.before.tables[label].columns[name]
        if scene.old.get(label) and not (column.nullable or column.default or column.generated):
            yield label, name


def _take_rows_out(scene: Scene) -> None:
    homes = [scene.lineage.tables[label] for label in scene.old if label in scene.lineage.tables]
    names = [name_of(scene.connection, scene.after.tables[home]) for home in homes]
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
    found = catalog.between(scene.before, below)
    left = found.found
    if scene.dialect == "mysql":
        remade, kept = set(_remade(scene, below)), _kept(scene, below)
        for index in [kept[phrase] for phrase in left if phrase in kept.keys() - remade]:
            scene.note(f"MySQL keeps the index {index} that it made for the foreign key")
        left = [phrase for phrase in left if phrase not in remade | kept.keys()]
    if left:
        raise Failed("downgrade", listed(left))
    for label in found.order:
        scene.note(f"the downgrade leaves the columns of {label} in another order")
    return below


def _kept(scene: Scene, below: Schema) -> dict[str, str]:
    """What is said of the indexes that MySQL made for foreign keys, and keeps without them: their names."""
    keys = [key.name or "" for table in scene.after.tables.values() for key in table.foreign_keys]
    return {
        f"the index {key} of {label} was left behind": key for label in below.tables for key in keys
    }


def _remade(scene: Scene, below: Schema) -> Iterator[str]:
    """What is said of an index that MySQL made for a foreign key without a name: a key that is made
    again by the name that it got has one of that name. https://mariadb.com/kb/en/foreign-keys/#indexes
    """
    # a table that was called otherwise in between has the index by the key's name of that time
    between = {key.name for table in scene.after.tables.values() for key in table.foreign_keys}
    for label, table in scene.before.tables.items():
        after = below.tables.get(label)
        if after is None:
            continue
        for key in table.foreign_keys:
            again = [
                k for k in after.foreign_keys if (k.name, k.columns) == (key.name, key.columns)
            ]
            index = table.parts.get(f"index {key.columns[0]}")
            for name in between | {key.name} if again and index is not None else ():
                if after.parts.get(f"index {name}") == index:
                    yield f"the index {key.columns[0]} of {label} is missing"
                    yield f"the index {name} of {label} was left behind"


def compare_rows_below(scene: Scene, below: Schema, recording: Recording) -> None:
    """Compare the rows with what they were, as far as the downgrade can bring them back.

    :raises Failed: when one is gone or holds something else
    """
    up, down = scene.lineage, Lineage(scene.after, below, recording)
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
    written = up.rewritten | rewritten
    outcomes = judge.outcomes(
        scene.old,
        scene.take(below, same),
        same,
        {column: column for column in columns},
        written | set(_lost(scene, written)),
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


def _lost(scene: Scene, rewritten: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Where no row can be found by its key, none can be by what was dropped beside it: a key that
    was dropped too comes back with other numbers."""
    lost = list(scene.lineage.lost_columns())
    for label, name in lost:
        key = {(label, each) for each in scene.before.tables[label].primary_key}
        if not key or key & {*lost, *rewritten}:
            scene.lose(f"{label}.{name}", "up")
            yield label, name


def _require_same_renames(up: Lineage, down: Lineage) -> None:
    """What the downgrade renames back the upgrade must have renamed, or the values are lost."""
    lost_columns, lost_tables = up.lost_columns(), up.lost_tables()
    for now in sorted(down.columns.keys() - set(up.columns.values())):
        if down.columns[now] in lost_columns:
            raise _not_renamed(".".join(down.columns[now]), ".".join(now))
    for table in sorted(down.tables.keys() - set(up.tables.values())):
        if down.tables[table] in lost_tables:
            raise _not_renamed(f"the table {down.tables[table]}", f"the table {table}")


def _not_renamed(dropped: str, made: str) -> Failed:
    return Failed(
        "upgrade",
        f"{dropped} is dropped and {made} is new, and the downgrade renames it back: rename it",
    )


def _forgive(
    scene: Scene, label: str, outcomes: dict[str, Outcome], emptied: dict[str, str]
) -> None:
    """Take out what the upgrade has lost or set itself: the downgrade need not bring it back."""
    up, outcome = scene.lineage, outcomes[label]
    if label not in up.tables:
        if outcome.gone or outcome.changed:
            scene.lose(f"the table {label}", "up")
        del outcomes[label]
        return
    if (
        outcome.gone
        and label not in emptied
        and any(one in up.emptied for one in parents_of(scene.before, label))
    ):
        outcome.gone = 0
    for name in list(outcome.changed):
        at = f"{label}.{name}"
        if (label, name) not in up.columns:
            scene.lose(at, "up")
        elif (label, name) in up.rewritten:
            scene.note(f"{at} keeps what the upgrade has set: the downgrade does not bring it back")
        elif at not in scene.source.agreed and label not in scene.source.agreed:
            continue
        del outcome.changed[name]
    if label in scene.source.agreed:
        outcome.gone = 0


def _note_what_goes(scene: Scene) -> None:
    """What the upgrade adds goes when it is undone."""
    homes, columns = set(scene.lineage.tables.values()), set(scene.lineage.columns.values())
    for label, table in scene.after.tables.items():
        if label not in homes:
            scene.lose(f"the table {label}", "down")
            continue
        for name, column in table.columns.items():
            if (label, name) not in columns and not column.generated:
                scene.lose(f"{label}.{name}", "down")


# The models against a schema: what autogenerate would still write.


VERSION_TABLE = ("version_table", "version_table_schema")


def differences(
    project: Project, connection: Connection, schema: Schema, changed: set[str], made: set[str]
) -> list[str]:
    """Say what the models have that the schema has not, or the other way round.

    :param changed: the tables that the migration changed; the others were compared when it was written
    :param made: indexes that MySQL made for foreign keys, and keeps without them
    """
    from ..autogenerate import comparators, constraints

    own = {table.key for table in project.metadata.tables.values()}
    looked_at = changed | (own ^ set(schema.tables))
    if not looked_at:
        return []
    constraints.keep_names(project, connection)
    given = project.options
    options = comparators.options(project.metadata, given)
    options |= {key: given[key] for key in VERSION_TABLE if key in given}
    options["include_object"] = _only(looked_at, own, options.get("include_object"))
    options["include_name"] = _named(looked_at, options.get("include_name"))
    context = MigrationContext.configure(connection, opts=options)
    literals.install(context.impl)
    with listening(Table, column_reflect=literals.read_column):
        found = summary.phrases(produce_migrations(context, project.metadata).upgrade_ops)
    found = [phrase for phrase in found if not _of_a_key(phrase, made)]
    if found and connection.dialect.name == "sqlite" and _same(project, schema, looked_at):
        return []
    return found


def _of_a_key(phrase: str, made: set[str]) -> bool:
    """Whether the phrase drops indexes that MySQL made for foreign keys, and nothing else."""
    verb, _, names = phrase.partition(" of ")[0].partition("drop index ")
    return not verb and set(names.replace(" and ", ", ").split(", ")) <= made


def _same(project: Project, schema: Schema, tables: set[str]) -> bool:
    """Whether the models, made in an empty database, give these very tables.

    Autogenerate sees differences that are none, as in DEFAULT 'it''s'.
    """
    with create_engine("sqlite://").connect() as empty:
        project.metadata.create_all(empty)
        made = catalog.read(empty, project.ignored)
    return not catalog.between(made, schema).tables & tables


Include = Callable[..., bool]


def _only(tables: set[str], own: set[str], include: Include | None) -> Include:
    def include_object(
        item: object, name: str, kind: str, reflected: bool, compared: object
    ) -> bool:
        key = item.key if isinstance(item, Table) else None
        if kind == "table" and not reflected and key in own and key not in tables:
            return False
        return include is None or include(item, name, kind, reflected, compared)

    return include_object


def _named(tables: set[str], include: Include | None) -> Include:
    def include_name(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        if kind == "table":
            schema = parents.get("schema_name")
            if name not in tables and f"{schema}.{name}" not in tables:
                return False
        return include is None or include(name, kind, parents)

    return include_name


# Before the migration: what it will do.


def rehearse(scene: Scene) -> Recording:
    """Run up without rows, to know the schema that the rows are to satisfy too, and for the lint.

    :raises Failed: when the migration does not even run on empty tables
    """
    recorder = Recorder([scene.script])
    recording = scene.verdict.recording = recorder.recordings[scene.script.revision]
    with scene.scratch.attempt() as connection:
        try:
            runner.upgrade(scene.project, connection, scene.script, recorder)
            scene.after = scene.read(connection)
            scene.verdict.schema = catalog.text(connection, scene.project.version_table)
        except Exception as error:
            if "autocommit_block" not in scene.source.text or scene.dialect == "sqlite":
                raise Failed("upgrade", said(error, scene.script.path)) from error
            scene.after = scene.before  # it cannot be tried in one transaction
    scene.understand(recording)
    return recording


# The way up: the upgrade, the models, the rows.


def upgrade(scene: Scene) -> None:
    """Run the upgrade on the rows.

    :raises Failed: with what it raised
    """
    recording = scene.step("upgrade", runner.upgrade)
    scene.after = scene.read()
    if scene.verdict.schema is None:  # it was not to be tried before
        scene.verdict.recording = recording
        scene.verdict.schema = catalog.text(scene.connection, scene.project.version_table)
    scene.understand(recording)


def compare_models(scene: Scene) -> None:
    """Compare with the models, when there are some and the migration is the one head.

    :raises Failed: with what autogenerate would still write
    """
    head = scene.project.script.get_heads() == [scene.script.revision]
    if not head or not scene.project.metadata.tables:
        return
    changed = {label for label in scene.changes.tables if label in scene.after.tables}
    changed |= {now for was, now in scene.lineage.tables.items() if was != now}
    ours = {key.name for table in scene.before.tables.values() for key in table.foreign_keys}
    made_for_keys = {name for name in ours if name and scene.dialect == "mysql"}
    found = differences(scene.project, scene.connection, scene.after, changed, made_for_keys)
    scene.connection.rollback()
    if found:
        raise Failed("models", f"the models still want: {listed(found)}")


def compare_rows_above(scene: Scene) -> None:
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
        scene.verdict.irreversible = f"it says: irreversible because {reason}"
    else:
        scene.verdict.irreversible = f"downgrade() raises {raises}"
        if not re.search("['\"]", raises or ""):
            scene.note("say in downgrade() why there is no way back: # irreversible because ...")
    for label in scene.lineage.lost_tables():
        scene.lose(f"the table {label}", "up")
    for label, name in scene.lineage.lost_columns():
        scene.lose(f"{label}.{name}", "up")


def upgrade_again(scene: Scene) -> None:
    """Run the upgrade on what the downgrade has left.

    :raises Failed: with what it raised, or when the schema is not what it was the first time
    """
    scene.step("upgrade again", runner.upgrade)
    found = catalog.between(scene.after, scene.read()).found
    scene.connection.rollback()
    if found:
        raise Failed("upgrade again", listed(found))


def take(project: Project, revision: str, seed: int) -> Verdict:
    """Take the steps until one fails."""
    script = project.script.get_revision(revision)
    below = parents(project.script, script)
    with warnings.catch_warnings(), stage(project, below) as scratch:
        warnings.simplefilter("ignore")  # each was shown when the real command ran
        scene = Scene(project, script, seed, scratch)
        try:
            _take(scene)
        except Failed as failed:
            verdict = scene.verdict
            verdict.ok, verdict.step = False, failed.step
            verdict.difference, verdict.agree = failed.difference, failed.agree
            verdict.lasting = not passing(failed.__cause__)
    return scene.verdict


def _take(scene: Scene) -> None:
    scene.before = scene.read()
    rehearsed = rehearse(scene)
    samples.fill(scene, rehearsed)
    samples.meet_hostile_rows(scene)
    upgrade(scene)
    compare_models(scene)
    compare_rows_above(scene)
    if scene.source.irreversible or scene.source.raises:
        stay(scene)
        return
    recording = downgrade(scene)
    below = compare_schema(scene)
    compare_rows_below(scene, below, recording)
    upgrade_again(scene)
