"""Random changes of columns."""

from copy import deepcopy
from random import Random

import kinds
from change import Change, Marks, require, require_known, require_new_names, retire, some_table
from drawn import Column, Schema, Table


def add_column(random: Random, schema: Schema) -> Change:
    table = some_table(random, schema)
    column = schema.draw_column(random, table)
    place = random.choice([len(table.columns), random.randint(0, len(table.columns))])
    text = column.kind.text(random.randint(0, 9))
    if column.kind.family == "integer" and not column.default and random.random() < 0.2:
        column.scalar = repr(column.kind.value(1))

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        new = deepcopy(column)
        if not new.nullable and new.default is None and uid <= marks.since:
            value = _of_each_row(table, new) if new.unique else text
            new.unique = value is not None and new.unique
            marks.fills[f"{table.name}.{new.name}"] = value or text
            marks.narrow |= value is not None and new.kind.name == "SmallInteger"
            marks.asked = True
            marks.filled.add((uid, new.uid))
        table.columns.insert(min(place, len(table.columns)), new)
        require_new_names(table, marks)

    uid = table.uid
    return Change(f"{column.name} to {table.name}", do)


def _of_each_row(table: Table, column: Column) -> str | None:
    """An expression with another value in each row, as it is typed."""
    primary = [table.column(uid) for uid in table.primary]
    counted = [c.name for c in primary] == ["id"] and primary[0].kind.name == "Integer"
    return "=id" if counted and column.kind.family in ("integer", "text") else None


def drop_column(random: Random, schema: Schema) -> Change | None:
    table = some_table(random, schema)
    able = [c for c in table.free() if len(table.columns) > 1 and table.uid]
    if not able:
        return None
    column = random.choice(able)

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        found = table.column(column.uid)
        require(found in table.free() and not _is_renamed(marks, table, found))
        require((uid, found.uid) not in marks.filled)  # the answer would be about nothing
        marks.lost.add((uid, column.uid))
        retire(marks, uid, found.name)
        drop(table, found)

    uid = table.uid
    return Change(f"{column.name} of {table.name}", do)


def drop(table: Table, column: Column) -> None:
    table.columns.remove(column)
    table.indexes = [i for i in table.indexes if column.uid not in i.columns]
    table.mixin &= column.name != "created"


def rename_column(random: Random, schema: Schema) -> Change | None:
    table = some_table(random, schema)
    able = [c for c in table.columns if not (table.mixin and c.name == "created")]
    if not able:
        return None
    column = random.choice(able)
    name = schema.name(random, [c.name for c in table.columns])
    if random.random() < 0.1:
        name = column.name.swapcase()

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        found = table.column(column.uid)
        require(
            found.uid <= marks.since and name != found.name and (uid, found.uid) not in marks.filled
        )
        require(found.name not in {n for u, n in marks.retired if u == uid})
        require(not _is_renamed(marks, table, found))
        retire(marks, uid, found.name)
        marks.renames[f"{table.name}.{found.name}"] = name
        found.name = name
        require_new_names(table, marks)

    uid = table.uid
    return Change(f"{table.name}.{column.name} to {name}", do)


def _is_renamed(marks: Marks, table: Table, column: Column) -> bool:
    """Whether a column was renamed in the same migration, which takes one answer for it."""
    renames = marks.renames.items()
    return any(old.startswith(f"{table.name}.") and new == column.name for old, new in renames)


def change_type(random: Random, schema: Schema) -> Change | None:
    table = some_table(random, schema)
    able = [c for c in table.free() if not c.computed and not c.default]
    able = [c for c in able if c.kind.name in kinds.WIDER or c.kind.name in kinds.OTHER]
    if not able:
        return None
    column = random.choice(able)
    wide = column.kind.name in kinds.WIDER and random.random() < 0.6
    names = kinds.WIDER[column.kind.name] if wide else kinds.OTHER.get(column.kind.name)
    names = [name for name in names or [] if name not in schema.off]
    if not names:
        return None
    new = kinds.of(random.choice(names), random)
    if wide and new.arguments and column.kind.arguments:
        new = kinds.of(new.name)
        new.arguments = (column.kind.arguments[0] + random.choice([5, 40]),)
    if new.name == "CheckedEnum" and column.kind.name == "Enum":
        new.arguments = column.kind.arguments

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        found = table.column(column.uid)
        require(found in table.free() and found.kind.name == column.kind.name)
        require((uid, found.uid) not in marks.filled)
        if not new.indexed(schema.dialect):
            found.unique = found.index = False
            table.indexes = [i for i in table.indexes if found.uid not in i.columns]
        marks.loose.add((uid, found.uid))
        if not wide:
            marks.narrow = True
        found.kind = deepcopy(new)

    uid = table.uid
    said = f"{column.kind.name}{column.kind.arguments} to {new.name}{new.arguments}"
    return Change(f"{table.name}.{column.name}: {said}", do)


def change_key_type(random: Random, schema: Schema) -> Change | None:
    """A primary key that is one column, and all that refer to it."""
    able = [t for t in schema.tables if len(t.primary) == 1]
    # SQLite's own row number has one type
    names = ["String"] if schema.dialect == "sqlite" else ["String", "Integer"]
    able = [t for t in able if t.column(t.primary[0]).kind.name in names]
    if not able:
        return None
    table = random.choice(able)
    column = table.column(table.primary[0])
    new = kinds.of("BigInteger")
    if column.kind.name == "String":
        new = kinds.of("String")
        new.arguments = (column.kind.arguments[0] + 7,)

    def do(schema: Schema, marks: Marks) -> None:
        changed = _referring(schema, table.uid, column.uid)
        held = [uid for t, c in changed for uid in t.primary if uid == c.uid and t.uid != table.uid]
        for each, found in changed:
            require(found.uid <= marks.since and found.kind.name == column.kind.name)
            require(not held and not each.autoincrement)
            found.kind = deepcopy(new)
            marks.loose.add((each.uid, found.uid))

    return Change(f"{table.name}.{column.name} to {new.name}{new.arguments}", do)


def change_identity(random: Random, schema: Schema) -> Change | None:
    """What numbers the rows: SERIAL or an identity, which only PostgreSQL tells apart."""
    able = [t for t in schema.tables if [t.column(u).name for u in t.primary] == ["id"]]
    able = [t for t in able if t.column(t.primary[0]).kind.name == "Integer"]
    if not able:
        return None
    table = random.choice(able)

    def do(schema: Schema, marks: Marks) -> None:
        column = schema.table(table.uid).column(table.primary[0])
        require(column.uid <= marks.since and column.kind.name == "Integer")
        column.identity = not column.identity

    return Change(f"of {table.name}", do)


def change_primary(random: Random, schema: Schema) -> Change | None:
    """The primary key moves to a unique column, or an association gets a number for each row."""
    able = [t for t in schema.tables if not schema.points_to(t.uid) and not t.autoincrement]
    if not able:
        return None
    table = random.choice(able)
    unique = [c for c in table.free() if c.unique and not c.nullable and not c.default]
    number = Column(schema.uid(), "id", kinds.of("Integer"), nullable=False)

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(table.uid)
        require(found.uid <= marks.since and not schema.points_to(found.uid))
        require(not found.autoincrement)
        for uid in found.primary:
            found.column(uid).nullable = found.column(uid).identity = False
        if unique:
            column = found.column(unique[0].uid)
            require(column.unique and not column.nullable)
            column.unique = False
            found.primary = [column.uid]
        else:
            require("id" not in [c.name for c in found.columns])
            found.columns.append(deepcopy(number))
            found.primary = [number.uid]
            require_new_names(found, marks)

    return Change(f"of {table.name}", do)


def _referring(schema: Schema, uid: int, column: int) -> list[tuple[Table, Column]]:
    """A column of a key, and those that refer to it."""
    found = [(schema.table(uid), schema.table(uid).column(column))]
    for table, key in schema.points_to(uid):
        place = schema.table(uid).primary.index(column)
        found.append((table, table.column(key.columns[place])))
    return found


def change_enum(random: Random, schema: Schema) -> Change | None:
    able = [(t, c) for t in schema.tables for c in t.free() if c.kind.family == "enum"]
    if not able:
        return None
    table, column = random.choice(able)
    values = list(column.kind.arguments)
    left = [value for value in kinds.LETTERS if value not in values]
    less = len(values) > 1 and (not left or random.random() < 0.4)
    if less:
        gone = random.choice(values)
        values.remove(gone)
        if column.default == repr(gone):
            return None
    else:
        values.insert(random.randint(0, len(values)), random.choice(left))

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(uid).column(column.uid)
        filled = marks.fills.get(f"{schema.table(uid).name}.{found.name}")
        require(filled is None or filled in values)
        marks.narrow |= less
        found.kind = deepcopy(found.kind)
        require(found.kind.family == "enum")
        found.kind.arguments = tuple(values)

    uid = table.uid
    return Change(f"{table.name}.{column.name} to {values}", do)


def change_null(random: Random, schema: Schema) -> Change | None:
    table = some_table(random, schema)
    able = [c for c in table.free() if not c.computed and not (table.mixin and c.name == "created")]
    if not able:
        return None
    column = random.choice(able)
    text = column.kind.text(random.randint(0, 9))
    answered = random.random() < 0.7

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        found = table.column(column.uid)
        require(found.uid <= marks.since and (uid, found.uid) not in marks.loose)
        twice = (uid, f"the NULL of {found.uid}")
        require(twice not in marks.retired)  # back again, and an answer would be about nothing
        require((uid, found.uid) not in marks.filled)
        marks.retired.add(twice)
        require(f"{table.name}.{found.name}" not in marks.renames.values())
        if found.nullable:
            if answered and not table.alone(found.uid):
                marks.fills[f"{table.name}.{found.name}"] = text
                marks.filled.add((uid, found.uid))
            else:
                marks.narrow = True
        found.nullable = not found.nullable

    uid = table.uid
    return Change(f"{table.name}.{column.name}, was {column.nullable}", do)


def change_default(random: Random, schema: Schema) -> Change | None:
    table = some_table(random, schema)
    able = [c for c in table.free() if not c.computed and not (table.mixin and c.name == "created")]
    if not able:
        return None
    column = random.choice(able)
    default = None
    if column.default is None or random.random() < 0.6:
        default = column.kind.server_default(random, schema.dialect)
        default = schema.next_number(random, column.kind) or default
    if default == column.default:
        return None

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(uid).column(column.uid)
        require(found.kind.name == column.kind.name)
        require((uid, found.uid) not in marks.filled)  # with a default nothing would be asked
        found.default = default
        # one value in all rows
        marks.narrow |= found.unique and found.uid > marks.since and default is not None

    uid = table.uid
    return Change(f"{table.name}.{column.name}: {column.default} to {default}", do)


def change_unique(random: Random, schema: Schema) -> Change | None:
    table = some_table(random, schema)
    able = [c for c in table.columns if c.kind.indexed(schema.dialect) and c.kind.many]
    able = [c for c in able if not c.computed and c.uid not in table.primary]
    if not able:
        return None
    column = random.choice(able)
    which = random.choice(["unique", "index"])

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(uid).column(column.uid)
        other = {"unique": "index", "index": "unique"}[which]
        require(found.kind.indexed(schema.dialect))
        require(not any(i.columns == [found.uid] for i in schema.table(uid).indexes))
        setattr(found, which, not getattr(found, which))
        setattr(found, other, False)
        marks.narrow |= found.unique

    uid = table.uid
    return Change(f"{which} of {table.name}.{column.name}", do)


def add_computed(random: Random, schema: Schema) -> Change | None:
    table = deepcopy(some_table(random, schema))
    column = schema.draw_computed(random, table)
    if column is None:
        return None

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        table.columns.append(deepcopy(column))
        require_new_names(table, marks)
        require_known(table)

    uid = table.uid
    return Change(f"{column.name} AS {column.computed} to {table.name}", do)


def change_computed(random: Random, schema: Schema) -> Change | None:
    able = [(t, c) for t in schema.tables for c in t.free() if c.computed]
    if not able:
        return None
    table, column = random.choice(able)

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(uid).column(column.uid)
        number = found.kind.family == "integer"
        found.computed = found.computed + " + 5" if number else f"trim({found.computed})"
        marks.lost.add((uid, column.uid))

    uid = table.uid
    return Change(f"{table.name}.{column.name}", do)


def change_plain(random: Random, schema: Schema) -> Change | None:
    able = [(t, c) for t in schema.tables for c in t.free() if c.computed and c.stored]
    if not able:
        return None
    table, column = random.choice(able)

    def do(schema: Schema, marks: Marks) -> None:
        found = schema.table(uid).column(column.uid)
        require(found.uid <= marks.since and found.computed == column.computed)
        require((uid, found.uid) not in marks.lost)
        found.computed, found.nullable = None, True

    uid = table.uid
    return Change(f"{table.name}.{column.name} is computed no more", do)


def move_column(random: Random, schema: Schema) -> Change:
    table = some_table(random, schema)
    column = random.choice(table.columns)

    def do(schema: Schema, marks: Marks) -> None:
        table = schema.table(uid)
        found = table.column(column.uid)
        table.columns.remove(found)
        table.columns.insert(0, found)

    uid = table.uid
    return Change(f"{table.name}.{column.name} to the front", do)
