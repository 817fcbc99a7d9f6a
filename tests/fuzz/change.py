"""A change of a schema, and what it means for the rows and for the one who answers.

A change is picked once, by the uids of what it is about, so that it can be done to a smaller
schema again when a failure is made short. It raises Missing there when that has not what it needs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from drawn import Schema, Table


class Missing(Exception):
    """The schema does not have what the change is about."""


@dataclass
class Marks:
    """What the changes of one migration do to rows, by (table, column) uids.

    :param lost: values that do not come back on the way down
    :param loose: values that are another type's afterwards
    :param filled: columns whose NULLs get a value
    :param narrow: whether the rows that are there may not fit
    :param renames: old name to new name, as they are typed
    :param fills: column to value, as they are typed
    :param since: what has a higher uid came with these changes
    :param asked: whether nothing is written without an answer
    :param retired: the names that went, by table uid (None for tables)
    """

    since: int
    asked: bool = False
    lost: set = field(default_factory=set)
    loose: set = field(default_factory=set)
    filled: set = field(default_factory=set)
    narrow: bool = False
    renames: dict[str, str] = field(default_factory=dict)
    fills: dict[str, str] = field(default_factory=dict)
    retired: set = field(default_factory=set)


@dataclass
class Change:
    """What is changed, in words, and the doing of it."""

    said: str
    do: Callable[[Schema, Marks], None]

    def apply(self, schema: Schema, marks: Marks) -> None:
        """Change the schema, note in the marks what that means.

        :raises Missing: when there is nothing to change
        """
        try:
            self.do(schema, marks)
        except (StopIteration, ValueError) as error:
            raise Missing(self.said) from error


def some_table(random: Random, schema: Schema) -> Table:
    return random.choice(schema.tables)


def require(condition: object) -> None:
    if not condition:
        raise ValueError


def retire(marks: Marks, uid: int | None, name: str) -> None:
    marks.retired.add((uid, name))


def require_new_names(table: Table, marks: Marks) -> None:
    """Require that no name of the table is one that went in the same migration."""
    names = [column.name.casefold() for column in table.columns]
    require(len(names) == len(set(names)))
    require(not {n for u, n in marks.retired if u == table.uid} & {c.name for c in table.columns})


def require_known(table: Table) -> None:
    """Require that what expressions name is there."""
    names = {f"c{c.uid}": "" for c in table.columns}
    for text in table.expressions():
        try:
            text.format(**names)
        except KeyError as error:
            raise ValueError(text) from error
