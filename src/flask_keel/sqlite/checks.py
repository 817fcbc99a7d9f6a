"""Data that does not fit: found in one pass before anything is written, counted, three shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alembic.util import CommandError

from .database import Database
from .fits import FUNCTION
from .tokens import quote


class Condition(NamedTuple):
    """``broken`` is SQL, true for a row that does not fit. ``sentence`` has {rows} and {examples}.

    ``shows`` are the columns to show, none for the ones that identify the row.
    """

    broken: str
    sentence: str
    shows: tuple[str, ...] = ()
    function: Callable | None = None


class Unique(NamedTuple):
    """Columns, as SQL with their collations, that are to hold no two equal rows."""

    columns: tuple[str, ...]
    sentence: str
    where: str | None = None


@dataclass
class Source:
    """The rows as they will be.

    ``inner`` is a table's name or a SELECT in parentheses, ``alias`` the name that CHECKs may
    qualify their columns with; ``key`` names a row to a reader; ``rows`` is a rough number.
    """

    inner: str
    alias: str
    key: tuple[str, ...] = ()
    rows: int = 0
    conditions: list[Condition] = field(default_factory=list)
    uniques: list[Unique] = field(default_factory=list)

    @property
    def sql(self) -> str:
        return f"{self.inner} AS {quote(self.alias)}"

    @property
    def label(self) -> str:
        return self.alias


def check(db: Database, source: Source) -> None:
    """Look at every row once, for all conditions together.

    :raises CommandError: with the count and three examples of what does not fit
    """
    conditions = source.conditions
    wanted = [
        c
        if c.function is None
        else Condition(
            c.broken.replace(FUNCTION, f"{FUNCTION}_{number}"), c.sentence, c.shows, c.function
        )
        for number, c in enumerate(conditions)
    ]
    for number, c in enumerate(wanted):
        if c.function is not None:
            db.raw.create_function(f"{FUNCTION}_{number}", 2, c.function, deterministic=True)
    decode = db.raw.text_factory
    # whatever bytes there are, they can be shown
    db.raw.text_factory = lambda value: value.decode(errors="backslashreplace")
    try:
        _check(db, source, wanted)
    finally:
        db.raw.text_factory = decode
        for number, c in enumerate(wanted):
            if c.function is not None:
                db.raw.create_function(f"{FUNCTION}_{number}", 2, None)


def _check(db: Database, source: Source, conditions: Sequence[Condition]) -> None:
    if conditions:
        either = " OR ".join(c.broken for c in conditions)
        query = f"SELECT EXISTS (SELECT 1 FROM {source.sql} WHERE {either})"
        if db.run_long(f"{source.label}: checking rows", source.rows, query).fetchone()[0]:
            _complain(db, source, conditions)
    for unique in source.uniques:
        _check_unique(db, source, unique)


def _complain(db: Database, source: Source, conditions: Sequence[Condition]) -> None:
    complaints = []
    for c in conditions:
        count = db.value(f"SELECT count(*) FROM {source.sql} WHERE {c.broken}")
        if not count:
            continue
        shown = [quote(name) for name in (*source.key, *c.shows)]
        listed = ", ".join(shown) or "NULL"
        found = db.rows(f"SELECT {listed} FROM {source.sql} WHERE {c.broken} LIMIT 3")
        examples = ", ".join(_example(source.key, c.shows, row) for row in found)
        rows = f"{count} row" if count == 1 else f"{count} rows"
        complaints.append(c.sentence.format(rows=rows, examples=examples))
    raise CommandError(" ".join(complaints))


def _example(key: Sequence[str], shows: Sequence[str], row: tuple) -> str:
    who = ", ".join(f"{_label(name)} {value!r}" for name, value in zip(key, row, strict=False))
    what = ", ".join(repr(value) for value in row[len(key) :])
    return f"{what} in {who}" if what and who else what or who


def _label(name: str) -> str:
    return "row" if name == ROW else name


ROW = "toolkit row"  # the rowid, under a name that no column has


def _check_unique(db: Database, source: Source, unique: Unique) -> None:
    listed = ", ".join(unique.columns)
    present = " AND ".join(f"{column} IS NOT NULL" for column in unique.columns)
    if unique.where:
        present += f" AND ({unique.where})"
    groups = (
        f"SELECT {listed}, count(*) AS times FROM {source.sql} WHERE {present} "
        f"GROUP BY {listed} HAVING count(*) > 1"
    )
    found = db.run_long(f"{source.label}: checking rows", source.rows, f"{groups} LIMIT 3")
    found = found.fetchall()
    if found:
        count = db.value(f"SELECT count(*) FROM ({groups})")
        examples = ", ".join(f"{_value(row[:-1])} {row[-1]} times" for row in found)
        values = f"{count} value" if count == 1 else f"{count} values"
        raise CommandError(unique.sentence.format(rows=values, examples=examples))


def _value(values) -> str:
    values = tuple(values)
    return repr(values[0]) if len(values) == 1 else repr(values)


def not_null(table: str, column: str, fill: str) -> Condition:
    return Condition(
        f"{quote(column)} IS NULL",
        escaped(f"{table}.{column} cannot be NOT NULL: ")
        + "{rows} without a value ({examples}); "
        + escaped(f"{fill}."),
    )


def escaped(text: str) -> str:
    """Text that goes into a sentence as it is."""
    return text.replace("{", "{{").replace("}", "}}")
