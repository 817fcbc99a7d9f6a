"""What CONCURRENTLY leaves behind on PostgreSQL when it does not come to its end: an invalid index.

It costs every write and helps no query, and a second CREATE INDEX CONCURRENTLY IF NOT EXISTS takes it for
done. https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
"""

import re
from contextlib import closing
from typing import Any, NamedTuple

from .. import lexer, output

# CREATE INDEX says the table, REINDEX the table or the index, DROP INDEX the index
SAYS = re.compile(
    r"\s*(?P<verb>CREATE|REINDEX|DROP)\b(?:\s+UNIQUE)?(?:\s*\([^)]*\))?\s+(?:INDEX|TABLE)\s+CONCURRENTLY\s+"
    r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
    rf"(?:(?P<name>{lexer.NAME})\s+ON\s+|ON\s+)?(?:ONLY\s+)?(?P<relation>{lexer.NAME})",
    re.IGNORECASE,
)
VALIDATES = re.compile(r"\s*ALTER\s+TABLE\b.*\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE | re.DOTALL)
# an index of a partitioned table is invalid until all its parts are there
INVALID = """
    SELECT index.indexrelid::regclass::text, relname FROM pg_index index
    JOIN pg_class ON pg_class.oid = index.indexrelid AND relkind = 'i'
    WHERE NOT indisvalid AND indrelid IN (
        to_regclass(%(relation)s),
        (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass(%(relation)s)))
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index progress
                    WHERE progress.index_relid = index.indexrelid AND progress.pid <> pg_backend_pid())
    ORDER BY relname
"""
# what REINDEX calls the index that it makes, and the one whose place that has taken
REMADE = re.compile(r"_cc(new|old)\d*$")


class Asked(NamedTuple):
    """What a statement with CONCURRENTLY does, and to what."""

    verb: str
    relation: str
    name: str | None

    @property
    def meant(self) -> str | None:
        """The name of the index as the catalogue has it."""
        name = lexer.parts(self.name)[-1] if self.name else None
        return name.lower() if name and not str(self.name).endswith('"') else name


def asked(statement: str) -> Asked | None:
    """Return what a statement asks for; None where it does no work on indexes CONCURRENTLY."""
    if "CONCURRENTLY" not in statement.upper():
        return None
    found = SAYS.match(lexer.without_comments(statement))
    return Asked(found["verb"].upper(), found["relation"], found["name"]) if found else None


def waits_for_snapshots(statement: str) -> bool:
    """Whether a statement waits for others while nobody waits for it."""
    if "CONCURRENTLY" in statement.upper():
        return "CONCURRENTLY" in lexer.without_asides(statement).upper()
    return validates(statement)


def validates(statement: str) -> bool:
    """Whether a statement looks at the rows of a constraint, while others read and write them."""
    if "VALIDATE" not in statement.upper():
        return False
    return bool(VALIDATES.match(lexer.without_asides(statement)))


def invalid(connection: Any, what: Asked) -> dict[str, str]:
    """Return the invalid indexes of a statement's table, but for those that another session makes.

    :param connection: the driver's, in autocommit
    :return: their names in the catalogue, by what is to be typed
    """
    with closing(connection.cursor()) as cursor:
        cursor.execute(INVALID, {"relation": what.relation})
        return dict(cursor.fetchall())


def swept(connection: Any, what: Asked) -> set[str]:
    """Drop what an interrupted statement of the same kind has left, before it is made anew.

    :return: the other invalid indexes of the table
    """
    found = invalid(connection, what)
    for typed, name in list(found.items()):
        if (
            name == what.meant
            if what.verb == "CREATE"
            else what.verb == "REINDEX" and REMADE.search(name)
        ):
            drop(connection, typed)
            del found[typed]
            output.say(
                f"  {typed} was left invalid by a {what.verb} that did not end: it is dropped"
            )
    return set(found)


def drop(connection: Any, typed: str) -> None:
    """Drop an index while others use its table."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {typed}")


def clear(connection: Any, what: Asked, before: set[str]) -> str:
    """Drop what a statement that failed has left; return the words for a sentence that says it.

    :param before: what :func:`swept` returned
    """
    said = []
    for typed in invalid(connection, what).keys() - before:
        if what.verb == "DROP":
            said.append(f"{typed} is left invalid (the next try drops it)")
            continue
        try:
            drop(connection, typed)
            said.append(f"the invalid index {typed} that was left is dropped")
        except Exception:
            said.append(f"{typed} is left invalid: type DROP INDEX CONCURRENTLY {typed}")
    return "".join(f", {words}" for words in sorted(said))
