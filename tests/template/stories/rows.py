"""A SQLite database as somebody at the sqlite3 prompt uses it."""

import sqlite3
from contextlib import closing


def sql(database, statement, *values):
    """Run a statement and return its rows."""
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def columns(database, table):
    return [row[1] for row in sql(database, f"PRAGMA table_info({table})")]
