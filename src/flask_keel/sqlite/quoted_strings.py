"""Strings in double quotes: SQLite reads ``"x"`` as a string as long as no column is called x.

A column of that name changes what an index, a CHECK, a view or a trigger says, and the column's
end makes a string of what named it: https://sqlite.org/quirks.html#dblquote
"""

from collections.abc import Iterable
from dataclasses import replace

from alembic.util import CommandError

from . import mirror
from .facts import SchemaObject
from .tokens import Unreadable, quote, same, tokenize


def require_no_string(objects: Iterable[SchemaObject], table: str, column: str) -> None:
    """Stop before a column comes whose name something holds as a string.

    :param objects: the schema without the column
    :raises CommandError: naming what would be read otherwise
    """
    objects = list(objects)
    for found in objects:
        concerned = found.type in ("view", "trigger") or same(found.table, table)
        named = as_name(found, column) if concerned else found
        if named != found and _breaks(objects, found, named):
            where = "a CHECK" if found.type == "table" else f"the {found.type} {found.name!r}"
            raise CommandError(
                f'Table {table!r} cannot have a column {column!r}: {where} holds "{column}" as a '
                "string, which SQLite would then read as the column: write the string in single "
                "quotes there first."
            )


def as_name(found: SchemaObject, column: str) -> SchemaObject:
    """The object with ``"column"`` in quotes that SQLite takes for a name only."""
    sql = found.sql or ""
    if quote(column).lower() not in sql.lower():
        return found
    try:
        tokens = [t for t in tokenize(sql) if t.text[:1] == '"' and same(t.name, column)]
    except Unreadable:
        return found
    for token in reversed(tokens):
        name = "`" + token.name.replace("`", "``") + "`"
        sql = sql[: token.start] + name + sql[token.end :]
    return replace(found, sql=sql) if tokens else found


def _breaks(objects: list[SchemaObject], found: SchemaObject, named: SchemaObject) -> bool:
    """Whether something does not work once the word can be a name only."""
    if found.type in ("view", "trigger"):
        after = [named if other is found else other for other in objects]
        return found.name in mirror.newly_broken(objects, after)
    without = mirror.Mirror([] if found.type == "table" else [o for o in objects if o is not found])
    try:
        return "no such column" in (without.error_of(named.sql or "") or "")
    finally:
        without.close()
