"""Unique constraints that keep their name, and EXCLUDE: seen, written, up and down."""

import databases
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from .compared import Bench, model


def two(*parts):
    return model(sa.Column("x", sa.Integer), sa.Column("y", sa.Integer), *parts)


def unique(*columns, **options):
    return sa.UniqueConstraint(*columns, name="uq", **options)


def test_the_order_of_a_unique_constraint(bench):
    bench.create(two(unique("x", "y")))
    bench.run("INSERT INTO t (id, x, y) VALUES (1, 1, 2), (2, 2, 2)")
    lines = bench.round_trip(two(unique("x", "y")), two(unique("y", "x")), "create_unique")
    assert len(lines) == 3


def test_a_unique_constraint_that_a_foreign_key_needs_as_its_index(bench):
    def make(*order):
        return two(unique(*order), sa.ForeignKeyConstraint(["x"], ["t.id"], name="fk"))

    bench.create(make("x", "y"))
    bench.run("INSERT INTO t (id, x, y) VALUES (1, 1, 2)")
    bench.round_trip(make("x", "y"), make("y", "x"), "create_unique")


def test_a_unique_constraint_to_which_a_foreign_key_refers(bench):
    if bench.kind == "mysql":
        pytest.skip("MariaDB wants the columns in the order of the foreign key's")

    def make(*order):
        metadata = two(unique(*order))
        sa.Table(
            "child",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("x", sa.Integer),
            sa.Column("y", sa.Integer),
            sa.ForeignKeyConstraint(["x", "y"], ["t.x", "t.y"]),
        )
        return metadata

    bench.create(make("x", "y"))
    bench.run("INSERT INTO t (id, x, y) VALUES (1, 1, 2)")
    bench.run("INSERT INTO child (id, x, y) VALUES (1, 1, 2)")
    bench.round_trip(make("x", "y"), make("y", "x"), "create_unique")


def test_what_a_unique_constraint_does_on_conflict_on_sqlite(sqlite_bench):
    before, after = two(unique("x")), two(unique("x", sqlite_on_conflict="REPLACE"))
    sqlite_bench.round_trip(before, after, "sqlite_on_conflict='REPLACE'")


@pytest.fixture
def bench_of_postgresql(postgresql_server):
    with databases.fresh(postgresql_server) as url:
        engine = databases.engine(url).execution_options(isolation_level="READ COMMITTED")
        yield Bench(engine)
        engine.dispose()


@pytest.mark.parametrize("deferred", [None, "DEFERRED"])
def test_a_unique_constraint_becomes_deferrable(bench_of_postgresql, deferred):
    before, after = two(unique("x")), two(unique("x", deferrable=True, initially=deferred))
    bench_of_postgresql.create(before)
    bench_of_postgresql.run("INSERT INTO t (id, x) VALUES (1, 1), (2, 2)")
    bench_of_postgresql.round_trip(before, after, "deferrable=True")
    bench_of_postgresql.run("SET CONSTRAINTS ALL DEFERRED", "UPDATE t SET x = 3 - x")


def test_a_foreign_key_becomes_deferrable(bench_of_postgresql):
    def make(**options):
        return two(sa.ForeignKeyConstraint(["x"], ["t.id"], name="fk", **options))

    lines = bench_of_postgresql.round_trip(make(), make(deferrable=True), "deferrable=True")
    assert len(lines) == 3


def test_an_exclude_constraint_comes_changes_and_goes(bench_of_postgresql):
    def make(*elements):
        column = sa.Column("r", postgresql.INT4RANGE)
        if not elements:
            return model(column)
        return model(column, postgresql.ExcludeConstraint(*elements, name="ex: 5%", using="gist"))

    overlaps, same = (sa.column("r"), "&&"), (sa.column("r"), "=")
    bench_of_postgresql.round_trip(make(), make(overlaps), "EXCLUDE USING gist")
    bench_of_postgresql.run("INSERT INTO t (id, r) VALUES (1, '[1,3)')")
    bench_of_postgresql.round_trip(make(overlaps), make(same), "DROP CONSTRAINT")
    bench_of_postgresql.round_trip(make(same), make(), "DROP CONSTRAINT")


@pytest.mark.parametrize(
    "new",
    [
        [],
        [sa.Column("r", sa.String(20))],
        [sa.Column("r", postgresql.INT4RANGE), sa.UniqueConstraint("r", name="apart")],
    ],
    ids=["gone", "text", "unique"],
)
def test_an_exclude_constraint_goes_before_its_column_changes_and_comes_after_it(
    bench_of_postgresql, new
):
    span = sa.Column("r", postgresql.INT4RANGE)
    old = model(span, postgresql.ExcludeConstraint(("r", "&&"), name="apart", using="gist"))
    bench_of_postgresql.round_trip(model(), old, "EXCLUDE USING gist")
    bench_of_postgresql.round_trip(old, model(*new), "DROP CONSTRAINT")


@pytest.mark.parametrize(
    "kind, column, options",
    [
        (sa.Index, "id", {"postgresql_where": sa.text("n > 5")}),
        (sa.Index, "n + 1", {}),
        (postgresql.ExcludeConstraint, ("n", "="), {"using": "btree"}),
        (postgresql.ExcludeConstraint, ("id", "="), {"using": "btree", "where": sa.text("n > 5")}),
    ],
    ids=["condition", "expression", "exclude", "exclude with a condition"],
)
def test_what_names_a_column_that_is_generated_otherwise_comes_again_with_it(
    bench_of_postgresql, kind, column, options
):
    def make(computed):
        number = sa.Column("n", sa.Integer, sa.Computed(computed, persisted=True))
        if kind is sa.Index:
            part = sa.Index("part", sa.text(f"({column})"), **options)
        else:
            part = kind(column, name="part", **options)
        return model(sa.Column("o", sa.Integer), number, part)

    bench_of_postgresql.round_trip(make("o"), make("o + 1"), "part")
