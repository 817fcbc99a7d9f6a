"""Two schemas side by side: what is missing, what was left behind, what is another."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .schema import Column, Schema, Table


@dataclass
class Differences:
    """``found`` are real differences, ``order`` the tables whose columns only stand elsewhere."""

    found: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)


def between(before: Schema, after: Schema) -> Differences:
    """Compare; every phrase says what ``after`` has or has not, seen from ``before``."""
    differences = Differences()
    for label in sorted({*before.tables, *after.tables}):
        one, other = before.tables.get(label), after.tables.get(label)
        if one is None or other is None:
            state = "was left behind" if one is None else "is missing"
            differences.found.append(f"the table {label} {state}")
            differences.tables.add(label)
            continue
        said = list(_table(one, other))
        if said:
            differences.found += said
            differences.tables.add(label)
        elif list(one.columns) != list(other.columns):
            differences.order.append(label)
    differences.found += _mapping(before.others, after.others, "the {part}")
    return differences


def _table(one: Table, other: Table) -> Iterator[str]:
    for name in one.columns.keys() | other.columns.keys():
        column, changed = one.columns.get(name), other.columns.get(name)
        if column is None or changed is None:
            state = "was left behind" if column is None else "is missing"
            yield f"the column {one.label}.{name} {state}"
        elif column != changed:
            yield from _column(one.label, column, changed)
    yield from _mapping(one.parts, other.parts, f"the {{part}} of {one.label}")
    yield from _names(one, other)
    common = one.options.keys() & other.options.keys()
    yield from _mapping(
        {part: one.options[part] for part in common},
        {part: other.options[part] for part in common},
        f"the {{part}} of {one.label}",
    )


def _column(table: str, one: Column, other: Column) -> Iterator[str]:
    at = f"{table}.{one.name}"
    if one.type != other.type:
        yield f"{at} is {other.type}, and was {one.type}"
    if one.nullable != other.nullable:
        words = {True: "may be NULL", False: "is NOT NULL"}
        yield f"{at} {words[other.nullable]}, and {'was not' if other.nullable else 'might be NULL'}"
    if one.default != other.default:
        yield f"{at} has {_default(other)}, and had {_default(one)}"
    if (one.generated, one.automatic) != (other.generated, other.automatic):
        yield f"{at} is {_made(other)}, and was {_made(one)}"
    yield from _mapping(dict(one.more), dict(other.more), f"the {{part}} of {at}")


def _default(column: Column) -> str:
    return "no default" if column.default is None else f"the default {column.default}"


def _made(column: Column) -> str:
    if column.generated:
        return "generated"
    return "counted by the database" if column.automatic else "an ordinary column"


def _mapping(one: dict[str, str], other: dict[str, str], words: str) -> Iterator[str]:
    for part in sorted({*one, *other}):
        what = words.format(part=part)
        if part not in other:
            yield f"{what} is missing"
        elif part not in one:
            yield f"{what} was left behind"
        elif one[part] != other[part]:
            yield f"{what} is {other[part] or 'gone'}, and was {one[part] or 'not there'}"


def _names(one: Table, other: Table) -> Iterator[str]:
    for part in sorted({*one.names, *other.names}):
        before, after = one.names.get(part), other.names.get(part)
        if part not in other.names:
            yield f"the {part}{f' ({before})' if before else ''} of {one.label} is missing"
        elif part not in one.names:
            yield f"the {part}{f' ({after})' if after else ''} of {one.label} was left behind"
        elif before and after and before != after:  # one without a name matches any
            yield f"the {part} of {one.label} is called {after}, and was {before}"
