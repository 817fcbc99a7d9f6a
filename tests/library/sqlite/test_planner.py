"""The plan takes the cheapest safe way and reads like a sentence."""

import re
import sqlite3

import pytest
import sqlalchemy as sa

from flask_keel.sqlite import draft, planner
from flask_keel.sqlite.draft import Settings
from flask_keel.sqlite.introspection import Database

from .conftest import session

# as SQLAlchemy writes it: each column on a line of its own
POST = """
CREATE TABLE author (id INTEGER NOT NULL PRIMARY KEY);
CREATE TABLE post (
\tid INTEGER NOT NULL,
\tslug VARCHAR(50),
\tn INTEGER CONSTRAINT ck_n CHECK (n > 0),
\tm INTEGER,
\tauthor_id INTEGER,
\tPRIMARY KEY (id),
\tCONSTRAINT fk FOREIGN KEY(author_id) REFERENCES author (id)
);
INSERT INTO post VALUES (1, 'a', 1, 1, NULL), (2, 'b', 2, 2, NULL);
"""
PLANS = {
    "post: rename column slug to path (native)": lambda op: op.alter_column(
        "post", "slug", new_column_name="path"
    ),
    "post: add column x (native)": lambda op: op.add_column("post", sa.Column("x", sa.Integer)),
    "post: drop column m (native)": lambda op: op.drop_column("post", "m"),
    "post: create unique index ix (native)": lambda op: op.create_index(
        "ix", "post", ["slug"], unique=True
    ),
    "post: set NOT NULL on slug (schema text, one scan)": lambda op: op.alter_column(
        "post", "slug", nullable=False
    ),
    "post: drop NOT NULL on id (schema text)": lambda op: op.alter_column(
        "post", "id", nullable=True
    ),
    "post: change type of slug to VARCHAR(80) (schema text)": lambda op: op.alter_column(
        "post", "slug", type_=sa.String(80)
    ),
    "post: set default 'x' on slug (schema text, one scan)": lambda op: op.alter_column(
        "post", "slug", server_default="x"
    ),
    "post: change type of m to VARCHAR(9) (schema text, one scan, rows changed in place)": (
        lambda op: op.alter_column("post", "m", type_=sa.String(9))
    ),
    "post: add CHECK ck (schema text, one scan)": lambda op: op.create_check_constraint(
        "ck", "post", "m > 0"
    ),
    "post: drop CHECK ck_n (schema text)": lambda op: op.drop_constraint("ck_n", "post"),
    "post: drop foreign key fk (schema text)": lambda op: op.drop_constraint("fk", "post"),
    "post: add foreign key f2 (schema text, one scan)": lambda op: op.create_foreign_key(
        "f2", "post", "post", ["m"], ["id"]
    ),
    "post: add UNIQUE uq (rebuild, 2 rows)": lambda op: op.create_unique_constraint(
        "uq", "post", ["slug"]
    ),
    "post: drop column n with CHECK ck_n (native)": lambda op: op.drop_column("post", "n"),
    "post: rename to article (native)": lambda op: op.rename_table("post", "article"),
}


# the edits that SQLite has statements for since 3.53
NEW = sqlite3.sqlite_version_info >= (3, 53)


@pytest.mark.parametrize("line", PLANS)
def test_each_change_goes_its_cheapest_way(bench, plans, line):
    bench.make(POST)
    bench.migrate(PLANS[line])
    if NEW and ("NOT NULL" in line or "drop CHECK" in line):
        line = re.sub(r"schema text.*\)", "native)", line)
    assert plans() == [line]


@pytest.mark.skipif(NEW, reason="some of it is native from SQLite 3.53 on")
def test_what_leaves_the_rows_alone_is_one_edit_however_much_it_is(bench, plans):
    bench.make(POST)

    def change(op):
        with op.batch_alter_table("post") as batch:
            batch.alter_column("slug", type_=sa.String(80), nullable=False, server_default="x")
            batch.create_check_constraint("ck_m", "m > 0")
            batch.drop_constraint("fk")
            batch.alter_column("n", new_column_name="rating")
            batch.add_column(sa.Column("x", sa.Integer))

    bench.migrate(change)
    assert plans() == [
        "post: rename column n to rating (native)",
        "post: change type of slug to VARCHAR(80), set NOT NULL on slug, set default 'x' on slug, "
        "add CHECK ck_m, drop foreign key fk (schema text, one scan)",
        "post: add column x (native)",
    ]


def test_one_change_that_needs_a_rebuild_takes_all_others_along(bench, plans):
    bench.make(POST)

    def change(op):
        with op.batch_alter_table("post") as batch:
            batch.alter_column("slug", nullable=False)
            batch.create_unique_constraint("uq", ["slug"])
            batch.drop_column("m")

    bench.migrate(change)
    assert plans() == ["post: set NOT NULL on slug, add UNIQUE uq, drop column m (rebuild, 2 rows)"]


def test_three_passes_in_place_are_one_rebuild(bench, plans):
    bench.make("CREATE TABLE t (a, b, c, d); INSERT INTO t VALUES (1, 2, 3, 4);")

    def drop(*names):
        def change(op):
            with op.batch_alter_table("t") as batch:
                for name in names:
                    batch.drop_column(name)

        return change

    bench.migrate(drop("a", "b", "c"))
    assert plans() == ["t: drop column a, drop column b, drop column c (rebuild, 1 row)"]
    assert bench.rows("SELECT * FROM t") == [(4,)]


def test_the_configuration_forces_rebuilds(bench, plans):
    bench.make(POST)
    bench.migrate(
        lambda op: op.alter_column("post", "slug", nullable=False), sqlite_schema_edits=False
    )
    assert plans() == ["post: set NOT NULL on slug (rebuild, 2 rows)"]


def test_nothing_to_do_is_no_plan(bench, plans):
    bench.make(POST)
    bench.migrate(lambda op: op.alter_column("post", "slug", type_=sa.String(50), nullable=True))
    assert plans() == []


def test_a_plan_can_be_had_without_being_carried_out(bench):
    bench.make(POST)
    before = bench.dump()
    with session(bench.path) as op:
        db = Database(op.get_bind())
        settings = Settings(op.impl.dialect, text_edits=planner.TEXT_EDITS)
        chosen = planner.plan(db, "post", [draft.SetDefault("slug", "1")], settings)
        assert str(chosen) == "post: set default 1 on slug (schema text, one scan)"
        assert chosen.method == "schema text"
    assert bench.dump() == before


@pytest.mark.parametrize(
    ("script", "change"),
    [
        ("CREATE TABLE t (a VARCHAR(9) UNIQUE);", {"type_": sa.String(80)}),
        ("CREATE TABLE t (a VARCHAR(9) PRIMARY KEY);", {"type_": sa.String(80)}),
        ("CREATE TABLE t (a TEXT) STRICT;", {"type_": sa.BLOB()}),
        ("CREATE TABLE t (a VARCHAR(9), b AS (a));", {"type_": sa.String(80)}),
        ("CREATE TABLE t (a VARCHAR(9)); CREATE INDEX i ON t (lower(a));", {"type_": sa.Text()}),
        ("CREATE TABLE t (a INT); CREATE INDEX i ON t (a);", {"type_": sa.Text()}),
        ("CREATE TABLE t (a INT CHECK (a > 0));", {"type_": sa.Text()}),
        ("CREATE TABLE t (a VARCHAR(9));", {"type_": sa.String(9, collation="NOCASE")}),
        ("CREATE TABLE t (a REAL);", {"type_": sa.Text()}),
    ],
)
def test_what_may_not_be_edited_as_text_is_rebuilt(bench, plans, script, change):
    bench.make(script)
    bench.run("INSERT INTO t (a) VALUES (NULL)")
    bench.migrate(lambda op: op.alter_column("t", "a", **change))
    assert "(rebuild, 1 row)" in plans()[0]
