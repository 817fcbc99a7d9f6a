"""The schema file: what the history makes, as SQL in ``migrations/schema/<dialect>.sql``.

A review sees the change of the schema as a diff; it is read by people, and not run.
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection

from .. import whole
from ..seam import AHEAD_TABLE

HEADER = "-- The schema that the migrations make. Written by newmigration, held equal by check.\n"
WRITERS = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}


def path(folder: Path, dialect: str) -> Path:
    """Return where the file is.

    :param folder: of the migrations
    :param dialect: "sqlite", "postgresql" or "mysql" (MariaDB too)
    """
    return folder / "schema" / f"{WRITERS[dialect]}.sql"


def text(
    connection: Connection,
    version_table: str = "alembic_version",
    others: Iterable[str] = (),
) -> str:
    """Return the schema of a database as SQL, the same for the same schema.

    :param version_table: Alembic's, which is no part of it
    :param others: the names of tables that are no part of it either
    """
    writer = import_module(f".{WRITERS[connection.dialect.name]}", __name__)
    statements = writer.statements(connection, {version_table, AHEAD_TABLE, *others})
    return HEADER + "".join(f"\n{statement.strip()};\n" for statement in statements)


def is_equal(file: Path, wanted: str) -> bool:
    """Whether the file holds that schema; a project without tables needs no file."""
    if not file.exists():
        return wanted == HEADER
    return file.read_text(encoding="utf-8") == wanted


def write(file: Path, wanted: str) -> bool:
    """Write the file, and return whether it was another."""
    if is_equal(file, wanted):
        return False
    file.parent.mkdir(exist_ok=True)
    whole.replace(file, wanted)
    return True
