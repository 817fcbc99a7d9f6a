"""What CONCURRENTLY leaves behind on PostgreSQL when it does not come to its end: an invalid index.

It costs every write and helps no query, and a second CREATE INDEX CONCURRENTLY IF NOT EXISTS takes it for
done. https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
"""

import re
from contextlib import closing
from typing import NamedTuple

from sqlalchemy.engine.interfaces import DBAPIConnection

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
    WHERE NOT indisvalid AND indrelid IN ({table}) ORDER BY relname
"""
TABLE = """
    to_regclass(%(relation)s), (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass(%(relation)s))
"""
# whoever makes an index of the table holds this one until it is finished
OTHERS = """
    SELECT 1 FROM pg_locks WHERE granted AND pid <> pg_backend_pid() AND relation IN ({table})
    AND mode IN ('ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock') LIMIT 1
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


def invalid(connection: DBAPIConnection, what: Asked) -> dict[str, str]:
    """Return the invalid indexes of a statement's table.

    :param connection: the driver's, in autocommit
    :return: their names in the catalogue, by what is to be typed
    """
    return dict(_asked(connection, INVALID, what))


def _asked(connection: DBAPIConnection, query: str, what: Asked) -> list[tuple[str, str]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(query.format(table=TABLE), {"relation": what.relation})
        return list(cursor.fetchall())


def sweep(connection: DBAPIConnection, what: Asked, before: dict[str, str]) -> bool:
    """Drop what an interrupted statement of the same kind has left; return whether there was anything.

    After the statement, which has had the lock that whoever makes such an index holds: so nobody does.

    :param before: the invalid indexes of the table before it
    """
    again = [
        typed
        for typed, name in invalid(connection, what).items()
        if typed in before
        and (
            name == what.meant
            if what.verb == "CREATE"
            else what.verb == "REINDEX" and REMADE.search(name)
        )
    ]
    for typed in again:
        drop(connection, typed)
        output.say(f"  {typed} was left invalid by a {what.verb} that did not end: it is dropped")
    return bool(again)


def drop(connection: DBAPIConnection, typed: str) -> None:
    """Drop an index while others use its table."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {typed}")


def clear(connection: DBAPIConnection, what: Asked, before: dict[str, str]) -> str:
    """Drop what a statement that failed has left; return the words for a sentence that says it.

    What another session may be making is only named.

    :param before: the invalid indexes of the table before it ran
    """
    said = []
    for typed in sorted(invalid(connection, what).keys() - before.keys()):
        try:
            if what.verb == "DROP" or _asked(connection, OTHERS, what):
                raise LookupError
            drop(connection, typed)
            said.append(f", the invalid index {typed} that was left is dropped")
        except Exception:
            said.append(f", {typed} is left invalid: type DROP INDEX CONCURRENTLY {typed}")
    return "".join(said)
