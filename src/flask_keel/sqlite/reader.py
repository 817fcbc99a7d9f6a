"""Reads a CREATE TABLE text into columns and constraints, by the grammar of SQLite's parse.y.

The text has been through SQLite's own parser, or is about to go, so what is read here is where
things are, not whether SQLite would take them.
"""

from dataclasses import replace

from .clauses import column_constraint, table_constraint
from .cursor import Cursor
from .definition import Column, Constraint
from .expressions import identifiers
from .tokens import Span, Unreadable, fold, words

_COLUMN_CONSTRAINTS = words(
    "CONSTRAINT DEFAULT NULL NOT PRIMARY UNIQUE CHECK REFERENCES DEFERRABLE COLLATE AS"
)
_TABLE_CONSTRAINTS = words("CONSTRAINT PRIMARY UNIQUE CHECK FOREIGN")


def read(sql: str) -> dict:
    """The fields of a :class:`~.create_table.CreateTable`.

    :raises Unreadable: for what is not the text of a table with its columns
    """
    cursor = Cursor(sql)
    fields = {"sql": sql, **_head(cursor)}
    columns, constraints = _body(cursor)
    fields["close"] = cursor.here.start
    cursor.needs(")")
    fields["options"] = _options(cursor)
    fields["columns"] = tuple(_with_key(column, constraints) for column in columns)
    fields["constraints"] = tuple(_with_columns_used(c, columns) for c in constraints)
    return fields


def _head(cursor: Cursor) -> dict:
    cursor.needs("CREATE")
    if cursor.sees("VIRTUAL"):
        raise Unreadable("a virtual table has no columns of its own to change: recreate it whole")
    temporary = cursor.takes("TEMP") or cursor.takes("TEMPORARY")
    cursor.needs("TABLE")
    unless = cursor.takes("IF", "NOT", "EXISTS")
    schema, name = None, cursor.name()
    if cursor.takes("."):
        schema, name = name.name, cursor.name()
    if cursor.sees("AS"):
        raise Unreadable("CREATE TABLE ... AS names no columns: read what SQLite has stored of it")
    return {
        "name": name.name,
        "name_span": name.span,
        "schema": schema,
        "temporary": temporary,
        "if_not_exists": unless,
    }


def _body(cursor: Cursor) -> tuple[list[Column], list[Constraint]]:
    """What stands between the parentheses: SQLite wants all columns before the first constraint,
    and lets the commas between constraints be left out."""
    columns, constraints = [], []
    cursor.needs("(")
    while True:
        columns.append(_column(cursor))
        if not cursor.takes(","):
            return columns, constraints
        if cursor.here.keyword in _TABLE_CONSTRAINTS:
            break
    while not cursor.sees(")"):
        if constraint := table_constraint(cursor):
            constraints.append(constraint)
        cursor.takes(",")
    return columns, constraints


def _column(cursor: Cursor) -> Column:
    name = cursor.name()
    type_span = _type(cursor)
    head_end = cursor.behind.end
    constraints: list[Constraint] = []
    while not (cursor.sees(",") or cursor.sees(")")):
        column_constraint(cursor, name.name, constraints)
    return Column(
        name=name.name,
        type_text=cursor.sql[slice(*type_span)] if type_span else "",
        span=(name.start, cursor.behind.end),
        constraints=tuple(constraints),
        primary_key=any(c.kind == "primary key" for c in constraints),
        autoincrement=any(c.autoincrement for c in constraints),
        name_span=name.span,
        type_span=type_span,
        head_end=head_end,
    )


def _type(cursor: Cursor) -> Span | None:
    found = []
    while cursor.here.is_name and not _ends_type(cursor):
        found.append(cursor.next())
    # SQLite's own rule: a type that ends in these two words ends before them
    if [word.keyword for word in found[-2:]] == ["GENERATED", "ALWAYS"]:
        found = found[:-2]
    elif found and cursor.sees("("):
        cursor.parentheses()
        return found[0].start, cursor.behind.end
    return (found[0].start, found[-1].end) if found else None


def _ends_type(cursor: Cursor) -> bool:
    return cursor.here.keyword in _COLUMN_CONSTRAINTS or cursor.sees("GENERATED", "ALWAYS", "AS")


def _options(cursor: Cursor) -> dict[str, Span]:
    """The words after the closing parenthesis, each with its place."""
    found = {}
    while cursor.here.kind != "end" and not cursor.sees(";"):
        start, first = cursor.here.start, cursor.at
        cursor.takes("WITHOUT")
        cursor.name()
        found[cursor.words_from(first)] = (start, cursor.behind.end)
        if not cursor.takes(","):
            break
    cursor.takes(";")
    if cursor.here.kind != "end":
        cursor.fail("the end")
    return found


def _with_key(column: Column, constraints: list[Constraint]) -> Column:
    for key in constraints:
        if key.kind == "primary key" and fold(column.name) in map(fold, key.columns):
            return replace(column, primary_key=True, autoincrement=key.autoincrement)
    return column


def _with_columns_used(constraint: Constraint, columns: list[Column]) -> Constraint:
    if constraint.kind != "check":
        return constraint
    used = {fold(name) for name in identifiers(constraint.expression)}
    names = tuple(c.name for c in columns if fold(c.name) in used)
    return replace(constraint, columns=names)
