"""A failure made short: fewer changes of a smaller schema, and a report of it."""

from collections.abc import Iterator
from random import Random

import sqlalchemy as sa
import written
from change import Change, Marks, Missing
from column_changes import drop
from drawn import Schema
from story import Fault, Refused, Story


def attempt(
    story: Story, schema: Schema, changes: list[Change], seed: int
) -> tuple[Fault | None, Schema, Marks]:
    """Live one change from its beginning; give the fault, if there is one."""
    after, marks = schema.copy(), Marks(schema.last)
    try:
        for change in changes:
            change.apply(after, marks)
    except Missing:
        return None, after, marks
    story.commands = []
    try:
        story.begin(schema, Random(seed))
        story.change(schema, after, marks, Random(seed))
    except Fault as fault:
        return fault, after, marks
    except (Refused, KeyError, sa.exc.SQLAlchemyError):
        pass
    return None, after, marks


def shorten(
    story: Story, fault: Fault, schema: Schema, changes: list[Change], seed: int, tries: int = 60
) -> tuple[Fault, Schema, list[Change]] | None:
    """Find fewer changes and a smaller schema that fail in the same place; None when it is gone."""

    def fails(schema: Schema, changes: list[Change]) -> Fault | None:
        nonlocal tries
        tries -= 1
        found = attempt(story, schema, changes, seed)[0] if tries >= 0 else None
        return found if found is not None and found.stage == fault.stage else None

    found = fails(schema, changes)
    if found is None:
        return None
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for less in _less(schema, changes):
            again = fails(*less)
            if again is not None:
                found, (schema, changes), smaller = again, less, True
                break
    return found, schema, changes


def _less(schema: Schema, changes: list[Change]) -> Iterator[tuple[Schema, list[Change]]]:
    for place in range(len(changes)):
        if len(changes) > 1:
            yield schema, changes[:place] + changes[place + 1 :]
    for table in schema.tables:
        if len(schema.tables) > 1 and all(t is table for t, _ in schema.points_to(table.uid)):
            less = schema.copy()
            less.tables.remove(less.table(table.uid))
            yield less, changes
    for table in schema.tables:
        for name in ("rules", "indexes", "keys"):
            for place in range(len(getattr(table, name))):
                less = schema.copy()
                del getattr(less.table(table.uid), name)[place]
                yield less, changes
        for column in table.free():
            if len(table.columns) > 1 and len(table.columns) > len(table.primary) + 1:
                less = schema.copy()
                drop(less.table(table.uid), less.table(table.uid).column(column.uid))
                yield less, changes


def report(
    dialect: str,
    seed: int,
    fault: Fault,
    before: Schema,
    after: Schema | None,
    story: Story,
    changes: list[Change],
) -> str:
    """What a person needs to see the fault again."""
    said = [
        f"FUZZ_SEED={seed} on {dialect}: {fault.stage}",
        f"models before:\n{written.source(before)}",
        "changes: " + ("; ".join(change.said for change in changes) or "none"),
        f"models after:\n{written.source(after)}" if after else "",
        "commands: " + "\n  ".join(story.commands),
        f"the migration:\n{story.file}",
        f"{fault.stage}:\n{fault.said}",
    ]
    return "\n\n".join(part for part in said if part)
