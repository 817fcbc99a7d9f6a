"""What is looked at before a migration runs: a database in an odd state is reported, not touched."""

import shlex

from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from .. import history, locality, messages
from ..seam import AHEAD_TABLE, Seam

LEFTOVER = "_alembic_tmp_"


def check(seam: Seam, connection: Connection, applied: set[str]) -> None:
    """Stop when the database may not be migrated as it is.

    :param applied: the revisions at which the database says it is
    :raises CommandError: for a revision that no file has, tables without a history, what another tool
        left behind, or a database that `make db` put ahead of the history
    """
    history.require_known(applied, seam.script, seam.database)
    tables = set(inspect(connection).get_table_names())
    if AHEAD_TABLE in tables:
        raise CommandError(messages.AHEAD.format(database=seam.database))
    if connection.dialect.name == "sqlite":
        _require_no_leftovers(seam, connection, tables)
    ours = sorted(tables & {table.name for table in seam.metadata.tables.values()})
    if not applied and ours:
        raise CommandError(
            f"{seam.database} has tables ({', '.join(ours)}) but no record of a migration; "
            f"db.create_all() may have made them: type {_fresh(seam)}db stamp REVISION when they "
            "are the tables of that revision."
        )


def _fresh(seam: Seam) -> str:
    """Offer `make db` where it deletes nothing but a development database."""
    options = seam.settings.get("SQLALCHEMY_ENGINE_OPTIONS")
    rebuilt = seam.settings.get("DB_REBUILD_ALLOWED") is True
    if not rebuilt or locality.elsewhere(seam.engine.url, options):
        return ""
    return "make db to build a fresh development database, or "


def _require_no_leftovers(seam: Seam, connection: Connection, tables: set[str]) -> None:
    for leftover in sorted(name for name in tables if name.startswith(LEFTOVER)):
        table = _meant(leftover, tables | set(seam.metadata.tables))
        facts = {
            "database": seam.database,
            "path": shlex.quote(seam.database),
            "leftover": leftover,
            "table": table,
            "left": _count(connection, leftover),
        }
        if table not in tables:
            raise CommandError(messages.LEFTOVER_IS_ALL.format(**facts))
        raise CommandError(messages.LEFTOVER.format(rows=_count(connection, table), **facts))


def _meant(leftover: str, tables: set[str]) -> str:
    # Alembic cuts the name of the copy after fifty characters
    meant = [name for name in sorted(tables) if f"{LEFTOVER}{name}"[:50] == leftover]
    return meant[0] if meant else leftover.removeprefix(LEFTOVER)


def _count(connection: Connection, table: str) -> int:
    quoted = connection.dialect.identifier_preparer.quote_identifier(table)
    return connection.execute(text(f"SELECT count(*) FROM {quoted}")).scalar_one()
