"""The engine under somebody else's connection, with foreign keys enforced."""

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError

FAMILY = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INT REFERENCES parent ON DELETE CASCADE);
CREATE TABLE tree (id INTEGER PRIMARY KEY, up INT REFERENCES tree ON DELETE CASCADE);
INSERT INTO parent VALUES (1, 'a'); INSERT INTO child VALUES (1, 1), (2, 1);
INSERT INTO tree VALUES (1, NULL), (2, 1);
"""


def stock(path, change, *, begin: bool) -> None:
    """A migration as Flask-Migrate's own env.py runs it."""
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", lambda raw, record: raw.execute("PRAGMA foreign_keys=ON"))
    if begin:

        @sa.event.listens_for(engine, "connect")
        def no_legacy(raw, record):
            raw.isolation_level = None

        sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        with context.begin_transaction():
            change(Operations(context))
        connection.commit()


def rebuild(table):
    def change(op):
        with op.batch_alter_table(table, recreate="always"):
            pass

    return change


@pytest.mark.parametrize("table", ["parent", "tree"])
def test_within_a_transaction_a_rebuild_of_a_referenced_table_is_refused(bench, table):
    bench.make(FAMILY)
    before = bench.dump()
    with pytest.raises(CommandError, match=f"Rebuilding table '{table}' while foreign keys are"):
        stock(bench.path, rebuild(table), begin=True)
    assert bench.dump() == before


@pytest.mark.parametrize("table", ["parent", "child", "tree"])
def test_before_a_transaction_enforcement_is_turned_off_and_on_again(bench, table):
    bench.make(FAMILY)
    before = sorted(bench.dump())
    stock(bench.path, rebuild(table), begin=False)
    assert sorted(bench.dump()) == before


def test_a_table_that_nothing_refers_to_is_rebuilt_either_way(bench):
    bench.make(FAMILY)
    before = sorted(bench.dump())
    stock(bench.path, rebuild("child"), begin=True)
    assert sorted(bench.dump()) == before


def test_dropping_a_referenced_table_does_not_delete_from_others(bench):
    bench.make(FAMILY)
    with pytest.raises(CommandError, match="Dropping table 'parent' while foreign keys"):
        stock(bench.path, lambda op: op.drop_table("parent"), begin=True)
    assert bench.rows("SELECT count(*) FROM child") == [(2,)]
    stock(bench.path, lambda op: op.drop_table("parent"), begin=False)
    assert bench.rows("SELECT count(*) FROM child") == [(2,)]


def test_a_failure_leaves_nothing_behind_without_a_session_of_ours(bench):
    bench.make(FAMILY)
    before = bench.dump()

    def change(op):
        with op.batch_alter_table("child") as batch:
            batch.create_unique_constraint("u", ["parent_id"])

    with pytest.raises(CommandError, match="more than once"):
        stock(bench.path, change, begin=False)
    assert bench.dump() == before
