"""What would end the upgrade's transaction half-way is refused in a sentence."""

import contextlib
import sqlite3
import sys

import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from toolkit.sqlite.driver import GuardedConnection


def raw_of(op):
    return op.get_bind().connection.driver_connection


def with_block(op):
    with raw_of(op):
        pass


def set_isolation_level(op):
    raw_of(op).isolation_level = ""


WAYS = {
    "executescript": lambda op: raw_of(op).executescript("SELECT 1"),
    "executescript of a cursor": lambda op: raw_of(op).cursor().executescript("SELECT 1"),
    "commit()": lambda op: raw_of(op).commit(),
    "rollback()": lambda op: raw_of(op).rollback(),
    "COMMIT": lambda op: op.execute("COMMIT"),
    "commit in a comment's shadow": lambda op: op.execute("-- now\n /* */ commit;"),
    "END": lambda op: raw_of(op).execute("END TRANSACTION"),
    "ROLLBACK": lambda op: op.execute("ROLLBACK"),
    "BEGIN": lambda op: raw_of(op).cursor().execute("BEGIN"),
    "commit of SQLAlchemy": lambda op: op.get_bind().commit(),
    "rollback of SQLAlchemy": lambda op: op.get_bind().rollback(),
    "a with block": with_block,
    "isolation_level": set_isolation_level,
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_refused_and_nothing_is_kept(bench, way):
    bench.make("CREATE TABLE t (a);")
    before = bench.dump()

    def change(op):
        op.execute("INSERT INTO t VALUES (1)")
        WAYS[way](op)

    with pytest.raises(CommandError, match=r"would end the upgrade's transaction half-way: .*\."):
        bench.migrate(change)
    assert bench.dump() == before


@pytest.mark.skipif(sys.version_info < (3, 12), reason="autocommit came with Python 3.12")
def test_autocommit_is_refused(bench):
    def change(op):
        raw_of(op).autocommit = True

    with pytest.raises(CommandError, match="a change of autocommit"):
        bench.migrate(change)


def test_savepoints_and_everything_else_go_through(bench):
    def change(op):
        op.execute("CREATE TABLE t (a)")
        raw_of(op).execute("INSERT INTO t VALUES (?)", (1,))
        raw_of(op).executemany("INSERT INTO t VALUES (?)", [(2,), (3,)])
        with op.get_bind().begin_nested():
            op.execute("INSERT INTO t VALUES (4)")
        nested = op.get_bind().begin_nested()
        op.execute("DELETE FROM t")
        nested.rollback()
        op.execute("SAVEPOINT x")
        op.execute("DELETE FROM t")
        op.execute("ROLLBACK TO x")
        op.execute(sa.text("UPDATE t SET a = 'COMMIT' WHERE a = 4"))

    bench.migrate(change)
    assert bench.rows("SELECT a FROM t") == [(1,), (2,), (3,), ("COMMIT",)]


def test_outside_of_migrations_it_is_an_ordinary_connection(tmp_path):
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path, factory=GuardedConnection)) as raw:
        raw.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        with raw:
            raw.execute("INSERT INTO t VALUES (2)")
        raw.execute("INSERT INTO t VALUES (3)")
        raw.rollback()
        raw.isolation_level = None
        assert raw.isolation_level is None
        with raw.guarded(), pytest.raises(CommandError):
            raw.commit()
        assert raw.execute("SELECT a FROM t").fetchall() == [(1,), (2,)]
