"""A migration on a database in memory, for tests that draw thousands of tables."""

import sqlite3
from contextlib import contextmanager

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

import flask_keel.sqlite.impl  # noqa: F401  (registers itself)


@contextmanager
def migrating(raw: sqlite3.Connection, **options):
    """The operations of a migration on an open connection in autocommit mode; one transaction."""
    engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
    raw.execute("PRAGMA foreign_keys=OFF")
    with engine.connect() as connection:
        sa.event.listen(connection, "begin", lambda c: raw.execute("BEGIN IMMEDIATE"))
        context = MigrationContext.configure(
            connection, opts={"transactional_ddl": True, **options}
        )
        with context.begin_transaction():
            yield Operations(context)


def schema(raw: sqlite3.Connection) -> set[tuple]:
    rows = raw.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return set(rows)


def rows(raw: sqlite3.Connection, table: str) -> list[tuple]:
    """All rows with the storage classes of their values, in an order of their own."""
    name = '"' + table.replace('"', '""') + '"'
    columns = ["".join(['"', row[1].replace('"', '""'), '"']) for row in info(raw, table)]
    listed = ", ".join(f"{c}, typeof({c})" for c in columns)
    return sorted(raw.execute(f"SELECT {listed} FROM {name}").fetchall(), key=repr)


def info(raw: sqlite3.Connection, table: str) -> list[tuple]:
    name = '"' + table.replace('"', '""') + '"'
    return raw.execute(f"PRAGMA table_xinfo({name})").fetchall()


def what_pragmas_say(raw: sqlite3.Connection, table: str) -> dict[str, list]:
    """Everything that SQLite tells of a table, its automatic and its other indexes included."""
    name = '"' + table.replace('"', '""') + '"'
    found = {}
    for pragma in ("table_xinfo", "foreign_key_list", "index_list", "table_list"):
        listed = raw.execute(f"PRAGMA {pragma}({name})").fetchall()
        found[pragma] = sorted(listed, key=repr) if pragma != "foreign_key_list" else listed
        if pragma == "index_list":
            # the order in which indexes are listed is the order in which they were made
            found[pragma] = sorted(row[1:] for row in listed)
            for row in listed:
                index = '"' + row[1].replace('"', '""') + '"'
                found[row[1]] = raw.execute(f"PRAGMA index_xinfo({index})").fetchall()
    return found
