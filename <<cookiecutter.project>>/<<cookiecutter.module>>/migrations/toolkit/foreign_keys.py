"""Rows that point to nothing: SQLite's foreign keys are off while migrations run, so they are counted."""

from collections import Counter
from dataclasses import dataclass

from alembic.util import CommandError
from sqlalchemy import Connection

from . import messages


@dataclass(frozen=True)
class Broken:
    """The tables of a database, and how many rows point to nothing for each child and parent."""

    tables: frozenset[str]
    rows: Counter


def broken(connection: Connection) -> Broken:
    """Count the rows that point to nothing: https://www.sqlite.org/pragma.html#pragma_foreign_key_check

    A table whose keys cannot be checked (its parent has no such key) counts as one, with the reason.
    """
    rows: Counter = Counter()
    names = "SELECT name FROM sqlite_master WHERE type = 'table'"
    tables = connection.exec_driver_sql(names).scalars().all()
    raw = connection.connection.driver_connection
    for table in tables:
        quoted = table.replace('"', '""')
        try:
            found = raw.execute(f'PRAGMA foreign_key_check("{quoted}")').fetchall()
        except Exception as error:
            rows[(table, str(error))] += 1
        else:
            rows.update((child, parent) for child, _, parent, _ in found)
    return Broken(frozenset(tables), rows)


def require_whole(connection: Connection, before: Broken) -> None:
    """Stop when rows point to nothing that did not before.

    :param before: what :func:`broken` said before the migrations
    :raises CommandError: naming the tables and how many rows
    """
    now = broken(connection)
    new, healed = now.rows - before.rows, before.rows - now.rows
    # a table that was renamed took its broken rows along
    gone = sum(count for pair, count in healed.items() if set(pair) - now.tables)
    moved = sum(count for pair, count in new.items() if set(pair) - before.tables)
    if new and not (moved == new.total() and moved <= gone):
        rows = ", ".join(
            f"{count} of {child} to {parent}" for (child, parent), count in new.items()
        )
        raise CommandError(messages.BROKEN_KEYS.format(rows=rows))
