"""Random changes of tables, constraints and indexes; and several changes at once."""

from contextlib import suppress
from copy import deepcopy
from random import Random

import column_changes
from change import (
    Change,
    Marks,
    Missing,
    require,
    require_known,
    require_new_names,
    retire,
    some_table,
)
from drawn import ACTIONS, Schema


def pick(random: Random, schema: Schema) -> Change | None:
    """One change of the schema, or None when the dice found nothing to change."""
    names = [name for name in CHANGES if name not in schema.off]
    name = random.choices(names, [CHANGES[name][1] for name in names])[0]
    change = CHANGES[name][0](random, schema)
    if change is not None:
        change.said = f"{name}: {change.said}"
    return change


def add_index(random: Random, schema: Schema) -> Change | None:
    table = deepcopy(some_table(random, schema))
    index = schema.draw_index(random, table)
    if index is None:
        return None

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(index.table)
        require(not schema.held(table, set(index.columns)))
        for uid in index.columns:
            require(table.column(uid).kind.indexed(schema.dialect))
        marks.narrow |= index.unique
        table.indexes.append(deepcopy(index))

    index.table = table.uid
    return Change(f"{index.unique=} {index.constraint=} on {table.name}", do)


def drop_index(random: Random, schema: Schema) -> Change | None:
    able = [(t, i) for t in schema.tables for i in t.indexes]
    if not able:
        return None
    table, index = random.choice(able)

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        table.indexes.remove(next(i for i in table.indexes if i.uid == index.uid))

    uid = table.uid
    return Change(f"number {index.uid} of {table.name}", do)


def add_rule(random: Random, schema: Schema) -> Change | None:
    table = deepcopy(some_table(random, schema))
    rule = schema.draw_rule(random, table)
    if rule is None:
        return None

    def do(schema: Schema, marks: Marks) -> None:
        schema.table(uid).rules.append(deepcopy(rule))
        require_known(schema.table(uid))

    uid = table.uid
    return Change(f"{rule.sql} on {table.name}", do)


def change_rule(random: Random, schema: Schema) -> Change | None:
    able = [(t, rule) for t in schema.tables for rule in t.rules]
    if not able:
        return None
    table, rule = random.choice(able)
    drop = random.random() < 0.5

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        found = next(r for r in table.rules if r.uid == rule.uid)
        if drop:
            table.rules.remove(found)
        else:
            found.sql = f"{found.sql} OR 1 > 2"

    uid = table.uid
    return Change(f"{'drop' if drop else 'more of'} {rule.sql} of {table.name}", do)


def add_key(random: Random, schema: Schema) -> Change | None:
    table = deepcopy(some_table(random, schema))
    parents = [t for t in schema.tables if t.primary]
    parent = random.choice(parents) if parents else None
    before = len(table.columns)
    key = schema.draw_key(random, table, parent) if parent else None
    if key is None or table.style == "table":
        return None
    columns = table.columns[before:]

    def do(schema: Schema, marks: Marks) -> None:
        table, parent = schema.table(uid), schema.table(key.table)
        require(
            [parent.column(p).kind.name for p in parent.primary] == [c.kind.name for c in columns]
        )
        require(not {c.name for c in columns} & {c.name for c in table.columns})
        table.columns += deepcopy(columns)
        table.keys.append(deepcopy(key))
        require_new_names(table, marks)

    uid = table.uid
    return Change(f"from {table.name} to {parent.name}", do)


def change_key(random: Random, schema: Schema) -> Change | None:
    able = [(t, key) for t in schema.tables for key in t.keys]
    if not able:
        return None
    table, key = random.choice(able)
    action = random.choice(ACTIONS)
    drop = random.random() < 0.4

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        found = next(k for k in table.keys if k.uid == key.uid)
        if drop:
            table.keys.remove(found)
            return
        strict = any(not table.column(c).nullable for c in found.columns)
        found.ondelete = None if strict and action == "SET NULL" else action

    uid = table.uid
    return Change(f"{'drop' if drop else f'{key.ondelete} to {action}'} of {table.name}", do)


def add_table(random: Random, schema: Schema) -> Change:
    table = schema.draw_table(random)

    def do(schema: Schema, marks: Marks) -> None:
        for key in table.keys:
            if key.table != table.uid:
                require(len(schema.table(key.table).primary) == len(key.columns))
        require(table.name not in [t.name for t in schema.tables])
        require((None, table.name) not in marks.retired)
        schema.tables.append(deepcopy(table))

    return Change(table.name, do)


def drop_table(random: Random, schema: Schema) -> Change | None:
    able = [t for t in schema.tables if all(o is t for o, _ in schema.points_to(t.uid))]
    if not able or len(schema.tables) < 2:
        return None
    table = random.choice(able)

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(table.uid)
        require(all(other is found for other, _ in schema.points_to(table.uid)))
        require(found.uid <= marks.since and found.name not in marks.renames.values())
        require(found.uid not in [table for table, _ in marks.filled])
        retire(marks, None, found.name)
        marks.lost.add((found.uid, None))
        schema.tables.remove(found)
        for answers in (marks.renames, marks.fills):  # about a table that is gone
            for name in [name for name in answers if name.startswith(f"{found.name}.")]:
                del answers[name]

    return Change(table.name, do)


def rename_table(random: Random, schema: Schema) -> Change:
    table = some_table(random, schema)
    name = schema.name(random, [t.name for t in schema.tables])

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(table.uid)
        before = f"{found.name}."
        require(not any(n.startswith(before) for n in [*marks.renames, *marks.fills]))
        require(found.uid <= marks.since)
        require(name not in [t.name for t in schema.tables])
        require((None, name) not in marks.retired)
        require(found.name not in marks.renames.values())
        retire(marks, None, found.name)
        marks.renames[found.name] = name
        found.name = name

    return Change(f"{table.name} to {name}", do)


def change_comment(random: Random, schema: Schema) -> Change | None:
    if schema.dialect == "sqlite":
        return None
    table = some_table(random, schema)
    column = random.choice([None, *table.columns])
    text = random.choice([None, "new", "it's 5%: \\ 'q'"])

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        (table if column is None else table.column(column.uid)).comment = text

    uid = table.uid
    return Change(f"of {table.name}.{column and column.name}", do)


def change_autoincrement(random: Random, schema: Schema) -> Change | None:
    able = [t for t in schema.tables if [t.column(u).kind.name for u in t.primary] == ["Integer"]]
    if schema.dialect != "sqlite" or not able:
        return None
    table = random.choice(able)

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(table.uid)
        found.autoincrement = not found.autoincrement

    return Change(f"{table.name}, was {table.autoincrement}", do)


# each kind of change, and how often
CHANGES = {
    "add column": (column_changes.add_column, 8),
    "drop column": (column_changes.drop_column, 4),
    "rename column": (column_changes.rename_column, 5),
    "change type": (column_changes.change_type, 6),
    "change key type": (column_changes.change_key_type, 2),
    "change identity": (column_changes.change_identity, 1),
    "change primary key": (column_changes.change_primary, 2),
    "change enum": (column_changes.change_enum, 3),
    "change null": (column_changes.change_null, 4),
    "change default": (column_changes.change_default, 4),
    "change unique": (column_changes.change_unique, 3),
    "add index": (add_index, 4),
    "drop index": (drop_index, 2),
    "add check": (add_rule, 3),
    "change check": (change_rule, 3),
    "add key": (add_key, 3),
    "change key": (change_key, 3),
    "add table": (add_table, 3),
    "drop table": (drop_table, 1),
    "rename table": (rename_table, 3),
    "add computed": (column_changes.add_computed, 2),
    "change computed": (column_changes.change_computed, 1),
    "change computed to plain": (column_changes.change_plain, 1),
    "change comment": (change_comment, 2),
    "change autoincrement": (change_autoincrement, 1),
    "move column": (column_changes.move_column, 1),
}


def several(random: Random, schema: Schema) -> tuple[list[Change], Schema, Marks]:
    """A few changes at once: they, the schema afterwards, and what they mean."""
    changes: list[Change] = []
    after, marks = schema.copy(), Marks(schema.last)
    count = random.choice([1, 1, 1, 2, 2, 3, 5])
    while len(changes) < count:
        change = pick(random, after)
        if change is None:
            continue
        trial, noted = after.copy(), deepcopy(marks)
        with suppress(Missing):
            change.apply(trial, noted)
            trial.last = max(trial.last, after.last)
            changes.append(change)
            after, marks = trial, noted
    return changes, after, marks
