"""A database file and a migration session made as the upgrade makes it."""

import sqlite3
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError

import flask_keel.sqlite.impl  # noqa: F401  (registers itself)
from flask_keel import runner


@contextmanager
def session(path, attach: dict | None = None, **options):
    """One connection, one transaction: yields the operations of a migration.

    :param attach: files to attach, by the names of their schemas
    """
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=sa.NullPool,
        connect_args={"timeout": 60},
    )
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.isolation_level = None
        raw.execute("PRAGMA foreign_keys=OFF")
        for name, file in (attach or {}).items():
            raw.execute(f"ATTACH ? AS {name}", [str(file)])
        sa.event.listen(connection, "begin", lambda c: raw.execute("BEGIN IMMEDIATE"))
        orphans = raw.execute("PRAGMA foreign_key_check").fetchall()
        context = MigrationContext.configure(
            connection, opts={"transactional_ddl": True, **options}
        )
        context.autocommit_block = nullcontext
        with context.begin_transaction():
            with runner.guarded(connection, engine):
                yield Operations(context)
            new = [row for row in raw.execute("PRAGMA foreign_key_check") if row not in orphans]
            if new:
                raise CommandError(f"rows refer to nothing: {new}")


class Bench:
    """A database file with its schema, to migrate and to look at."""

    def __init__(self, path: Path):
        self.path = path
        self.options: dict = {}
        self.keys_to_check: set | None = None

    def make(self, script: str, *more: str) -> None:
        with closing(sqlite3.connect(self.path)) as raw:
            raw.execute("PRAGMA synchronous=OFF")
            raw.executescript("\n".join([script, *more]))

    def migrate(self, change, **options) -> None:
        """Run ``change(op)`` as a migration."""
        with session(self.path, **{**self.options, **options}) as op:
            change(op)
            self.keys_to_check = op.impl.keys_to_check

    def rows(self, query: str, *parameters) -> list[tuple]:
        with closing(sqlite3.connect(self.path)) as raw:
            raw.text_factory = lambda value: value.decode(errors="backslashreplace")
            return raw.execute(query, parameters).fetchall()

    def run(self, statement: str, *parameters) -> None:
        """One statement of an application: with foreign keys enforced."""
        with closing(sqlite3.connect(self.path)) as raw, raw:
            raw.execute("PRAGMA foreign_keys=ON")
            raw.execute(statement, parameters)

    def sql(self, name: str) -> str:
        return self.rows("SELECT sql FROM sqlite_master WHERE name = ?", name)[0][0]

    def dump(self) -> list[str]:
        """The schema and every row of every table, one to a line."""
        schema = self.rows("SELECT type, name, tbl_name, sql FROM sqlite_master")
        found = list(map(repr, schema))
        for kind, table, *_ in schema:
            if kind == "table":
                rows = self.rows(f"""SELECT * FROM "{table.replace('"', '""')}" """)
                found += [f"{table}: {row!r}" for row in rows]
        return found

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self.rows(f'PRAGMA table_xinfo("{table}")')]

    def is_whole(self) -> bool:
        return self.rows("PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path / "app.db")


@pytest.fixture
def plans(caplog):
    """The lines of the plans that were carried out."""
    caplog.set_level("INFO", logger="alembic.sqlite")
    return lambda: [r.getMessage() for r in caplog.records if r.name == "alembic.sqlite"]
