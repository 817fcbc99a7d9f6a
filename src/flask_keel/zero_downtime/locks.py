"""Which locks a migration takes that others feel, as the server says it while it runs."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection

from ..project import listening

# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES, the strongest first
MODES = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")
HELD = f"""
    SELECT relation::regclass::text, mode FROM pg_locks JOIN pg_class ON pg_class.oid = relation
    WHERE pid = pg_backend_pid() AND granted AND relkind IN ('r', 'p', 'm') AND mode IN {MODES}
"""
LONGEST = 70


@contextmanager
def noted(connection: Connection, tables: Iterable[str]) -> Iterator[dict[str, tuple[str, str]]]:
    """Give, by table, the strongest lock and the statement that took it, once what runs inside has run.

    :param connection: to PostgreSQL
    :param tables: those of which it is to be noted: the others nobody else knows
    """
    found: dict[str, tuple[str, str]] = {}
    there = set(tables)

    def look(live: Connection, cursor: object, statement: str, *_: object) -> None:
        with closing(live.connection.cursor()) as own:
            own.execute(HELD)
            held = own.fetchall()
        for table, mode in held:
            name = table.replace('"', "")
            if name in there and (
                name not in found or MODES.index(mode) < MODES.index(found[name][0])
            ):
                said = " ".join(statement.split())
                found[name] = mode, said if len(said) <= LONGEST else f"{said[:LONGEST]}..."

    with listening(connection, after_cursor_execute=look):
        yield found
