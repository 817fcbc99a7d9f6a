"""Which tables PostgreSQL can make at once for a moment, each as if the others were not there.

What it names by itself, and what it finds by a name, may be another's otherwise: a temporary table, its
sequences and its type are found before all others, and of two equal names it changes the second.
https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    Dialect,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import CreateColumn

# tables at a time, since each takes some of the server's locks
MOST = 100
# bytes of the names of a table and of its columns, up to which the server shortens no table's name in
# that of a sequence or constraint: https://www.postgresql.org/docs/current/limits.html
SHORT, SHORT_TOGETHER = 26, 52
NAMED = re.compile(r'\b(?:CONSTRAINT|INDEX)\s+("(?:[^"]|"")+"|\w+)')
WORD = re.compile(r"\w+")


@dataclass
class Group:
    """Tables that have nothing to do with each other.

    :param makes: names of what they make; those that the server chooses begin with one, and "_"
    :param begins: the beginnings of all names that they make, or may look for
    """

    tables: list[Table]
    makes: set[str]
    begins: set[str]

    def takes(self, other: "Group") -> bool:
        """Whether neither makes what the other makes or may look for."""
        alike = self.makes & other.begins or other.makes & self.begins
        return not alike and len(self.tables) < MOST

    def add(self, other: "Group") -> None:
        """Put the other's tables to these."""
        self.tables += other.tables
        self.makes |= other.makes
        self.begins |= other.begins


def groups(made: Mapping[Table, list[str]], dialect: Dialect) -> list[list[Table]]:
    """Divide tables into groups, each of which can be made at once.

    :param made: the SQL of each: of the table, and of its indexes in their order
    """
    alone = [table for table in made if _is_odd(table)]
    found: list[Group] = []
    for table in [table for table in made if table not in alone]:
        own = _group(table, made[table], dialect)
        fitting = next((group for group in found if group.takes(own)), None)
        if fitting is None:
            found.append(own)
        else:
            fitting.add(own)
    return [*([table] for table in alone), *(group.tables for group in found)]


def _is_odd(table: Table) -> bool:
    """Whether its name is no word, or may be shortened in another, which then begins otherwise."""
    columns = [len(column.name.encode()) for column in table.columns]
    kinds = (PrimaryKeyConstraint, ForeignKeyConstraint)
    others = [one for one in table.constraints if not isinstance(one, kinds)]
    # one without a name is named after all its columns
    without = any(not isinstance(one.name, str) for one in others)
    longest = sum(columns) + len(columns) if without else max(columns, default=0)
    own = len(table.name.encode())
    shortened = own > SHORT and own + longest > SHORT_TOGETHER
    return shortened or not WORD.fullmatch(table.name)


def _group(table: Table, made: list[str], dialect: Dialect) -> Group:
    makes = {name.strip('"').lower() for name in NAMED.findall("\n".join(made))}
    makes.add(table.name.lower())
    looks = WORD.findall("\n".join(_looks(table, made, dialect)).lower())
    return Group([table], makes, {one for name in (*makes, *looks) for one in _beginnings(name)})


def _looks(table: Table, made: list[str], dialect: Dialect) -> Iterator[str]:
    """Give the SQL in which there may be names of tables, sequences and types: not those of columns."""
    plain = (PrimaryKeyConstraint, UniqueConstraint, ForeignKeyConstraint)
    if _has_options(table) or not all(isinstance(one, plain) for one in table.constraints):
        yield made[0]
    for column in table.columns:
        name = dialect.identifier_preparer.format_column(column)
        yield str(CreateColumn(column).compile(dialect=dialect)).strip().removeprefix(name)
    for index, sql in zip(table.indexes, made[1:], strict=True):
        if _has_options(index) or not all(isinstance(one, Column) for one in index.expressions):
            yield sql


def _has_options(item: Table | Index) -> bool:
    return any(key.startswith("postgresql_") for key in item.kwargs)


def _beginnings(name: str) -> Iterator[str]:
    """Give what stands before each underscore, and the whole; the type of an array begins with one."""
    yield from (name[:place] for place, sign in enumerate(name) if sign == "_")
    yield from (name, name.lstrip("_"))
