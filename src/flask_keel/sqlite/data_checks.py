"""Data that does not fit: found in one pass, counted, three shown; and the guards of printed SQL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alembic.util import CommandError

from ..lexer import string
from ..typing import Row, Value
from .create_table import CreateTable
from .introspection import Database, affinity
from .tokenizer import fold, quote

FUNCTION = "keel_fits"  # stands in a condition for the function that comes with it


class Condition(NamedTuple):
    """``broken`` is SQL, true for a row that does not fit. ``sentence`` has {rows} and {examples}.

    ``shows`` are the columns to show, none for the ones that identify the row.
    """

    broken: str
    sentence: str
    shows: tuple[str, ...] = ()
    function: Callable[..., bool] | None = None


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
        ((found,),) = db.run_long(f"{source.label}: checking rows", source.rows, query)
        if found:
            _complain(db, source, conditions)
    for unique in source.uniques:
        _check_unique(db, source, unique)


def _complain(db: Database, source: Source, conditions: Sequence[Condition]) -> None:
    complaints = []
    for c in conditions:
        count = db.value(f"SELECT count(*) FROM {source.sql} WHERE {c.broken}")
        if not count:
            continue
        # what is no column by itself is not converted by a connection that detects types
        shown = [f"+{quote(name)}" for name in (*source.key, *c.shows)]
        listed = ", ".join(shown) or "NULL"
        found = db.rows(f"SELECT {listed} FROM {source.sql} WHERE {c.broken} LIMIT 3")
        examples = ", ".join(_example(source.key, c.shows, row) for row in found)
        rows = f"{count} row" if count == 1 else f"{count} rows"
        complaints.append(c.sentence.format(rows=rows, examples=examples))
    raise CommandError(" ".join(complaints))


def _example(key: Sequence[str], shows: Sequence[str], row: Row) -> str:
    who = ", ".join(f"{_label(name)} {value!r}" for name, value in zip(key, row, strict=False))
    what = ", ".join(repr(value) for value in row[len(key) :])
    return f"{what} in {who}" if what and who else what or who


def _label(name: str) -> str:
    return "row" if name == ROW else name


ROW = "keel row"  # the rowid, under a name that no column has


def _check_unique(db: Database, source: Source, unique: Unique) -> None:
    listed = ", ".join(unique.columns)
    present = " AND ".join(f"{column} IS NOT NULL" for column in unique.columns)
    if unique.where:
        present += f" AND ({unique.where})"
    shown = ", ".join(f"+({column})" for column in unique.columns)
    groups = (
        f"SELECT {shown}, count(*) AS times FROM {source.sql} WHERE {present} "
        f"GROUP BY {listed} HAVING count(*) > 1"
    )
    found = [*db.run_long(f"{source.label}: checking rows", source.rows, f"{groups} LIMIT 3")]
    if found:
        count = db.value(f"SELECT count(*) FROM ({groups})")
        examples = ", ".join(f"{_value(row[:-1])} {row[-1]} times" for row in found)
        values = f"{count} value" if count == 1 else f"{count} values"
        raise CommandError(unique.sentence.format(rows=values, examples=examples))


def _value(values: Sequence[Value]) -> str:
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


# Guards in printed SQL: it goes on where it finds what it was made for, and stops anywhere else.
#
# A temporary table whose CHECK is named after the sentence: the client says the name. What stops
# there is the client (``.bail on``), since no SQL of SQLite's can.


TABLE = "temp.keel_guard"


def guard(sentence: str, query: str, expected: object) -> list[str]:
    """Return the statements that fail with the sentence unless the query gives what is expected.

    :param expected: a text, a number or None
    """
    return [
        f"CREATE TABLE {TABLE} (found, CONSTRAINT {quote(sentence)} CHECK (found IS {_said(expected)}))",
        f"INSERT INTO {TABLE} {query}",
        f"DROP TABLE {TABLE}",
    ]


def at_revisions(revisions: set[str], table: str, has_table: bool, again: str) -> list[str]:
    """Return the guard for the revisions at which the database was.

    :param table: Alembic's own
    :param has_table: whether it was there: it may be empty
    :param again: the command that prints the SQL anew
    """
    live = ", ".join(sorted(revisions))
    sentence = (
        f"This SQL is for a database at {live or 'the base'}, and this one is elsewhere (run twice?): "
        f"nothing was changed; print it anew from this database ({again})"
    )
    named = f"type = 'table' AND name = {string(table)}"
    there = f"SELECT count(*) FROM main.sqlite_master WHERE {named}"
    found = guard(sentence, there, int(has_table))
    if has_table:
        said = f"SELECT version_num FROM main.{quote(table)} ORDER BY version_num"
        found += guard(
            sentence, f"SELECT group_concat(version_num, ', ') FROM ({said})", live or None
        )
    return found


def require_same_table(db: Database, table: str) -> None:
    """Let the script stop at a table that has or lacks what a rebuild would drop or make up.

    The order of the columns may be another one.
    """
    schema, name = _said(db.schema or "main"), _said(table)
    query = (
        "SELECT group_concat(part, ', ') FROM ("
        "SELECT lower(name || ' ' || replace(type, ' ', '')) || CASE hidden WHEN 0 THEN '' "
        f"ELSE ' generated' END AS part FROM pragma_table_xinfo({name}, {schema}) "
        f"UNION ALL SELECT type || ' ' || lower(name) FROM {db.catalogue} "
        f"WHERE tbl_name = {name} COLLATE NOCASE AND type IN ('index', 'trigger') ORDER BY 1)"
    )
    sentence = (
        f"Table {table} has other columns, types, indexes or triggers than where this SQL was made: "
        "nothing was changed; print it anew from this database"
    )
    _run(db, guard(sentence, query, db.value(query)))


def require_fitting(db: Database, table: str, source: str, conditions: list[Condition]) -> None:
    """Let the script stop at rows that do not fit: those that came after it was made.

    :param source: what the rows are read from, as SQL
    """
    broken = " OR ".join(c.broken for c in conditions if c.function is None)
    if broken:
        query = f"SELECT EXISTS (SELECT 1 FROM {source} WHERE {broken})"
        sentence = (
            f"Table {table} has rows that do not fit any more: nothing was changed; "
            "db upgrade says which"
        )
        _run(db, guard(sentence, query, 0))


def require_unchanged(
    db: Database, table: str, copy: str, rowid: str, types: list[tuple[str, str, str]]
) -> None:
    """Let the script stop where a value was copied into another type and is not the same there.

    :param copy: the table that has the rows now
    :param types: of each column that became another: name, declared type before, and after
    """
    changed = [
        _changed(quote(name), affinity(after))
        for name, before, after in types
        if affinity(before) != affinity(after) and affinity(after) != "BLOB"
    ]
    if changed:
        query = (
            f"SELECT EXISTS (SELECT 1 FROM {db.name(table)} AS old JOIN {db.name(copy)} AS new "
            f"ON old.{rowid} = new.{rowid} WHERE {' OR '.join(changed)})"
        )
        sentence = (
            f"Table {table} has values that would change with their type: nothing was changed; "
            "db upgrade says which"
        )
        _run(db, guard(sentence, query, 0))


def _changed(column: str, after: str) -> str:
    old, new = f"old.{column}", f"new.{column}"
    if after == "TEXT":
        return f"(typeof({old}) <> typeof({new}) AND CAST({new} AS NUMERIC) <> {old})"
    texts = _plain(old), _plain(f"CAST({new} AS TEXT)")
    return (
        f"CASE WHEN typeof({old}) = typeof({new}) THEN 0 "
        f"WHEN typeof({old}) = 'text' THEN {texts[0]} <> {texts[1]} ELSE {old} <> {new} END"
    )


def _plain(text: str) -> str:
    # 1.50 may become 1.5, 2.0 become 2, and -0.0 become 0
    cut = f"CASE WHEN instr({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
    return f"coalesce(nullif({cut}, '-0'), '0')"


def changed_types(before: CreateTable, after: CreateTable) -> list[tuple[str, str, str]]:
    """Return name, declared type before and after of the columns that both tables store."""
    old = {fold(column.name): column for column in before.columns if not column.generated}
    return [
        (column.name, old[fold(column.name)].type_text, column.type_text)
        for column in after.columns
        if fold(column.name) in old and not column.generated
    ]


def _said(value: object) -> str:
    if isinstance(value, str):
        return string(value)
    return "NULL" if value is None else str(value)


def _run(db: Database, statements: list[str]) -> None:
    for statement in statements:
        db.run(statement)
