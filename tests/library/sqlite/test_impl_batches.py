"""Whatever batch_alter_table takes, in one go over the table."""

import sqlite3
from contextlib import nullcontext

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

POST = """
CREATE TABLE author (id INTEGER NOT NULL, name VARCHAR(20), PRIMARY KEY (id));
CREATE TABLE post (
\tid INTEGER NOT NULL,
\ttitle VARCHAR(50) NOT NULL,
\tbody TEXT,
\tauthor_id INTEGER,
\tPRIMARY KEY (id),
\tCONSTRAINT fk_post_author FOREIGN KEY(author_id) REFERENCES author (id) ON DELETE CASCADE
);
CREATE INDEX ix_post_title ON post (title);
INSERT INTO author VALUES (1, 'Ada');
INSERT INTO post VALUES (1, 'one', 'x', 1), (2, 'two', NULL, 1);
"""


def batch(change, **arguments):
    def migration(op):
        with op.batch_alter_table("post", **arguments) as batch_op:
            change(batch_op)

    return migration


def test_many_operations_are_one_plan(bench, plans):
    bench.make(POST)

    def change(op):
        op.alter_column("title", type_=sa.String(80), existing_type=sa.String(50))
        op.alter_column("body", new_column_name="text", existing_type=sa.Text())
        op.alter_column("text", nullable=False, existing_type=sa.Text(), server_default="")
        op.add_column(sa.Column("slug", sa.String(20), server_default="it's"))
        op.create_unique_constraint("uq_post_slug_id", ["slug", "id"])
        op.create_check_constraint("ck_post_title", sa.column("title") != "")
        op.drop_constraint("fk_post_author", type_="foreignkey")
        op.drop_column("author_id")
        op.drop_index("ix_post_title")
        op.create_index("ix_post_slug", ["slug"])

    bench.run("UPDATE post SET body = 'y' WHERE body IS NULL")
    bench.migrate(batch(change))
    assert bench.columns("post") == ["id", "title", "text", "slug"]
    assert bench.rows("SELECT * FROM post") == [(1, "one", "x", "it's"), (2, "two", "y", "it's")]
    assert [
        name for (name,) in bench.rows("SELECT name FROM sqlite_master WHERE type='index'")
    ] == [
        "sqlite_autoindex_post_1",
        "ix_post_slug",
    ]
    assert len([line for line in plans() if "rebuild" in line]) == 1
    assert bench.is_whole()


def test_a_batch_with_nothing_in_it_does_nothing(bench, plans):
    bench.make(POST)
    bench.migrate(batch(lambda op: None))
    assert plans() == []


def test_recreate_always_rebuilds(bench, plans):
    bench.make(POST)
    before = sorted(bench.dump())
    bench.migrate(batch(lambda op: None, recreate="always"))
    assert plans() == ["post: copy it as it is (rebuild, 2 rows)"]
    assert sorted(bench.dump()) == before


def test_recreate_never_refuses_what_needs_a_rebuild(bench):
    bench.make(POST)
    change = batch(lambda op: op.create_unique_constraint("u", ["title"]), recreate="never")
    with pytest.raises(CommandError, match=r'which recreate="never" forbids'):
        bench.migrate(change)


def test_recreate_never_lets_through_what_sqlite_has_a_statement_for(bench):
    bench.make(POST)
    bench.migrate(batch(lambda op: op.add_column(sa.Column("n", sa.Integer)), recreate="never"))
    assert bench.columns("post")[-1] == "n"


@pytest.mark.parametrize("recreate", ["auto", "always"])
def test_columns_are_inserted_where_they_were_asked_for(bench, recreate):
    bench.make(POST)

    def change(op):
        op.add_column(sa.Column("a", sa.Integer), insert_after="id")
        op.add_column(sa.Column("b", sa.Integer), insert_before="body")
        op.add_column(sa.Column("c", sa.Integer), insert_after="a")
        op.add_column(sa.Column("d", sa.Integer), insert_before="id")
        op.add_column(sa.Column("e", sa.Integer))

    bench.migrate(batch(change, recreate=recreate))
    assert bench.columns("post") == ["d", "id", "a", "c", "title", "b", "body", "author_id", "e"]
    assert bench.rows("SELECT id, title, body, author_id FROM post")[0] == (1, "one", "x", 1)


def test_columns_are_ordered_as_partial_reordering_says(bench):
    bench.make(POST)
    bench.migrate(
        batch(lambda op: None, recreate="always", partial_reordering=[("author_id", "title", "id")])
    )
    columns = bench.columns("post")
    assert columns.index("author_id") < columns.index("title") < columns.index("id")
    assert bench.rows("SELECT author_id, title, id FROM post")[0] == (1, "one", 1)


def test_table_args_add_constraints_and_repeat_none(bench):
    bench.make(
        POST.replace(
            "PRIMARY KEY (id), \n\tCONSTRAINT", "CHECK (id > 0), \n\tPRIMARY KEY (id), CONSTRAINT"
        )
    )
    arguments = (sa.CheckConstraint("id > 0"), sa.UniqueConstraint("title", name="uq_title"))
    bench.migrate(batch(lambda op: None, recreate="always", table_args=arguments))
    assert bench.sql("post").count("id > 0") == 1
    assert bench.sql("post").count("CONSTRAINT uq_title UNIQUE (title)") == 1


def test_table_kwargs_give_autoincrement(bench):
    bench.make(POST)
    options = {"sqlite_autoincrement": True}
    bench.migrate(batch(lambda op: None, recreate="always", table_kwargs=options))
    bench.run("INSERT INTO post (title) VALUES ('three')")
    bench.run("DELETE FROM post WHERE id = 3")
    bench.run("INSERT INTO post (title) VALUES ('four')")
    assert bench.rows("SELECT max(id) FROM post") == [(4,)]


@pytest.mark.parametrize(
    "key",
    [" PRIMARY KEY ON CONFLICT REPLACE)", ", CONSTRAINT pk PRIMARY KEY (id) ON CONFLICT REPLACE)"],
    ids=["column", "table"],
)
def test_a_key_that_becomes_autoincrement_keeps_its_conflict_clause(bench, key):
    bench.make(f"CREATE TABLE pin (id INTEGER{key}; INSERT INTO pin VALUES (1);")

    def change(op):
        options = {"sqlite_autoincrement": True}
        with op.batch_alter_table("pin", recreate="always", table_kwargs=options):
            pass

    bench.migrate(change)
    assert "AUTOINCREMENT" in bench.sql("pin")
    bench.run("INSERT INTO pin VALUES (1)")
    assert bench.rows("SELECT * FROM pin") == [(1,)]


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="STRICT came with 3.37")
def test_table_kwargs_give_strict_and_without_rowid(bench):
    bench.make(
        "CREATE TABLE post (id TEXT NOT NULL PRIMARY KEY, n INTEGER);"
        "INSERT INTO post VALUES ('a', 1);"
    )
    options = {"sqlite_strict": True, "sqlite_with_rowid": False}
    bench.migrate(batch(lambda op: None, recreate="always", table_kwargs=options))
    assert bench.sql("post").endswith(") STRICT, WITHOUT ROWID")
    assert bench.rows("SELECT * FROM post") == [("a", 1)]


def test_copy_from_says_what_the_table_is_like_and_loses_nothing_that_it_leaves_out(bench):
    bench.make(POST.replace("body TEXT", "body TEXT CHECK (body <> '') UNIQUE"))
    stated = sa.Table(
        "post",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(60), nullable=False),
        sa.Column("body", sa.Text, sa.CheckConstraint("body <> ''", name="ck_body")),
        sa.UniqueConstraint("body", name="uq_body"),
    )
    bench.migrate(batch(lambda op: op.drop_constraint("uq_body", type_="unique"), copy_from=stated))
    sql = bench.sql("post")
    assert "CONSTRAINT \"ck_body\" CHECK (body <> '')" in sql
    assert "UNIQUE" not in sql
    assert "VARCHAR(60)" in sql
    assert "ON DELETE CASCADE" in sql
    assert bench.rows("SELECT count(*) FROM post WHERE author_id = 1") == [(2,)]


def test_a_naming_convention_names_the_unnamed(bench):
    bench.make(POST.replace("VARCHAR(50) NOT NULL", "VARCHAR(50) UNIQUE"))
    convention = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
    bench.migrate(
        batch(
            lambda op: op.drop_constraint("uq_post_title", type_="unique"),
            naming_convention=convention,
        )
    )
    assert "UNIQUE" not in bench.sql("post")


def test_reflect_args_and_listeners_are_taken_and_change_nothing(bench):
    bench.make(POST)
    seen = []
    arguments = {
        "reflect_args": [sa.Column("body", sa.Boolean(create_constraint=True))],
        "reflect_kwargs": {"listeners": [("column_reflect", lambda *a: seen.append(a))]},
    }
    bench.migrate(batch(lambda op: op.alter_column("title", server_default="x"), **arguments))
    assert "body TEXT" in bench.sql("post")


def test_an_index_with_expressions_is_made_in_the_batch_that_adds_its_column(bench):
    bench.make(POST)

    def change(op):
        op.add_column(sa.Column("slug", sa.String(20)))
        op.create_unique_constraint("u", ["slug", "id"])
        op.create_index("ix", [sa.text("lower(slug)"), "title"], unique=True, if_not_exists=True)

    bench.migrate(batch(change))
    assert "(lower(slug), title)" in bench.sql("ix")


def test_a_column_can_be_dropped_and_another_of_its_name_added(bench):
    bench.make(POST)

    def change(op):
        op.drop_column("body")
        op.add_column(sa.Column("body", sa.Integer))

    bench.migrate(batch(change))
    assert bench.rows("SELECT body FROM post") == [(None,), (None,)]
    assert bench.columns("post") == ["id", "title", "author_id", "body"]


def test_two_columns_can_swap_their_names(bench):
    bench.make(POST)

    def change(op):
        op.alter_column("title", new_column_name="tmp")
        op.alter_column("body", new_column_name="title")
        op.alter_column("tmp", new_column_name="body")

    bench.migrate(batch(change))
    assert bench.rows("SELECT title, body FROM post") == [("x", "one"), (None, "two")]


def test_a_renamed_column_goes_by_both_names_in_its_batch(bench):
    bench.make(POST)

    def change(op):
        op.alter_column("title", new_column_name="headline")
        op.alter_column("title", type_=sa.String(99))
        op.create_unique_constraint("u", ["headline"])

    bench.migrate(batch(change))
    assert "headline VARCHAR(99)" in bench.sql("post").replace('"', "")


def test_insert_after_goes_through_add_column_of_the_same_batch_in_any_order(bench):
    bench.make(POST)

    def change(op):
        op.add_column(sa.Column("z", sa.Integer, primary_key=False), insert_after="author_id")
        op.drop_column("author_id")

    bench.migrate(batch(change))
    assert bench.columns("post") == ["id", "title", "body", "z"]


def test_offline_batches_are_alembics_own(bench):
    import io

    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    out = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="sqlite", opts={"as_sql": True, "output_buffer": out}
    )
    stated = sa.Table("post", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    with Operations(context).batch_alter_table("post", copy_from=stated) as op:
        op.add_column(sa.Column("n", sa.Integer))
        op.create_unique_constraint("u", ["n"])
    assert "_alembic_tmp_post" in out.getvalue()


@pytest.mark.parametrize("recreate", ["auto", "always"])
@pytest.mark.parametrize("later", [None, "'new'", "CURRENT_TIMESTAMP"])
def test_old_rows_keep_the_default_that_a_column_was_added_with(bench, recreate, later):
    bench.make("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);")

    def change(op):
        with op.batch_alter_table("t", recreate=recreate) as batch:
            old = sa.text("1.10")
            batch.add_column(sa.Column("v", sa.String(9), server_default=old, nullable=False))
            batch.alter_column("v", server_default=later and sa.text(later))

    bench.migrate(change)
    assert bench.rows("SELECT v, typeof(v) FROM t") == [("1.10", "text")] * 2


@pytest.mark.parametrize("recreate", ["auto", "always"])
def test_a_rebuild_gives_old_rows_what_add_column_gives_them(bench, recreate):
    bench.make("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);")

    def change(op):
        with op.batch_alter_table("t", recreate=recreate) as batch:
            batch.add_column(sa.Column("v", sa.String(9), server_default=sa.text("1.10")))

    bench.migrate(change)
    assert bench.rows("SELECT v, typeof(v) FROM t") == [("1.10", "text")]


def test_an_index_is_made_when_the_rowid_or_its_name_has_gone(bench):
    bench.make("CREATE TABLE t (a INTEGER NOT NULL PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x');")

    def change(op):
        with op.batch_alter_table("t") as batch:
            batch.add_column(sa.Column("_rowid_", sa.String(9), server_default="x"))
            batch.create_index("i", ["_rowid_"])
        with op.batch_alter_table("t") as batch:
            batch.alter_column("b", new_column_name="rowid")
            batch.drop_column("_rowid_")
        with op.batch_alter_table("t", table_kwargs={"sqlite_with_rowid": False}) as batch:
            batch.create_index("j", ["rowid"])

    bench.migrate(change)
    assert bench.rows("SELECT a, rowid FROM t") == [(1, "x")]
    assert bench.is_whole()


USES = {
    "a unique constraint": lambda batch: batch.create_unique_constraint("u", ["b"]),
    "an index": lambda batch: batch.create_index("u", ["b"]),
    "a unique index": lambda batch: batch.create_index("u", ["b"], unique=True),
    "a check": lambda batch: batch.create_check_constraint("u", "b IS NOT 'z'"),
    "a foreign key": lambda batch: batch.create_foreign_key("u", "p", ["b"], ["id"]),
    "a computed column": lambda batch: batch.add_column(
        sa.Column("u", sa.Integer, sa.Computed("b"))
    ),
}


@pytest.mark.parametrize("what", USES)
def test_what_uses_a_column_may_come_before_its_rename_in_a_batch(bench, what):
    bench.make(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2);"
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 1), (2, 2);"
    )

    def change(op):
        with op.batch_alter_table("t") as batch:
            USES[what](batch)
            batch.alter_column("b", new_column_name="c")

    bench.migrate(change)
    assert bench.rows("SELECT a, c FROM t") == [(1, 1), (2, 2)]
    assert any("u" in row[0] for row in bench.rows("SELECT sql FROM sqlite_master"))
    assert bench.is_whole()


def test_an_index_on_a_column_that_is_not_there_is_one_sentence(bench):
    bench.make("CREATE TABLE t (a INTEGER PRIMARY KEY, b INT);")
    with pytest.raises(CommandError, match=r"Table 't' has no column 'd' \(it has: a, b\)"):
        bench.migrate(lambda op: op.create_index("i", "t", ["d"]))


TYPED_TWICE = {
    "a number by way of a float": ("INT", "0", sa.Float(), sa.Text()),
    "text by way of a number": ("TEXT", "'12'", sa.Float(), sa.Text()),
    "a UUID with dashes": (
        "VARCHAR(36)",
        "'C0FFEE00-1234-4abc-8def-0123456789AB'",
        sa.Uuid(),
        sa.String(36),
    ),
}


@pytest.mark.parametrize("declared, value, one, other", TYPED_TWICE.values(), ids=TYPED_TWICE)
@pytest.mark.parametrize("names", ["aa", "ba", "bb"])
def test_two_types_of_one_column_in_a_batch_follow_each_other(
    bench, declared, value, one, other, names
):
    tables = [f"CREATE TABLE {t} (a {declared}); INSERT INTO {t} VALUES ({value});" for t in "tu"]
    bench.make(*tables)

    def change(op):
        op.alter_column("u", "a", type_=one)
        op.alter_column("u", "a", type_=other)
        with op.batch_alter_table("t") as batch:
            batch.alter_column("a", type_=one, new_column_name=names[0])
            batch.alter_column(names[1], type_=other, nullable=True)
            batch.alter_column(names[1], server_default="x")

    bench.migrate(change)
    now = bench.rows(f"SELECT {names[0]}, typeof({names[0]}) FROM t")
    assert now == bench.rows("SELECT a, typeof(a) FROM u")


def test_a_new_column_gets_another_type_in_the_batch_that_adds_it(bench):
    bench.make("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);")

    def change(op):
        with op.batch_alter_table("t") as batch:
            batch.add_column(sa.Column("v", sa.Float, server_default="5"))
            batch.alter_column("v", type_=sa.String(9))

    bench.migrate(change)
    assert bench.rows("SELECT v, typeof(v) FROM t") == [("5.0", "text")]


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="STRICT came with 3.37")
@pytest.mark.parametrize(
    ("value", "kept"),
    [("'007'", False), ("'1e3'", False), ("' 5'", False), ("1.0", False), ("'x7'", True)]
    + [(value, True) for value in ("7", "1.5", "x'3037'", "'7 a'", "NULL", "''")],
)
@pytest.mark.parametrize("portable", [False, True])
def test_a_column_of_any_type_keeps_its_values_when_strict_goes(bench, value, kept, portable):
    bench.make(f'CREATE TABLE t ("a b" ANY, n INT) STRICT; INSERT INTO t VALUES ({value}, 1);')
    before = bench.rows('SELECT typeof("a b"), quote("a b"), n FROM t')

    def change(op):
        with op.batch_alter_table("t", table_kwargs={"sqlite_strict": False}):
            pass

    if kept:
        bench.migrate(change, sqlite_portable_sql=portable)
        assert "STRICT" not in bench.sql("t")
    else:
        with pytest.raises(CommandError, match="1 row would have another value"):
            bench.migrate(change, sqlite_portable_sql=portable)
    assert bench.rows('SELECT typeof("a b"), quote("a b"), n FROM t') == before


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="STRICT came with 3.37")
@pytest.mark.parametrize(("value", "kept"), [("1.0", False), ("1.5", True)])
def test_a_computed_column_of_any_type_reads_the_same_when_strict_goes(bench, value, kept):
    bench.make(
        f"CREATE TABLE t (r REAL, a ANY AS (abs(r))) STRICT; INSERT INTO t VALUES ({value});"
    )
    before = bench.rows("SELECT typeof(a), a FROM t")

    def change(op):
        with op.batch_alter_table("t", table_kwargs={"sqlite_strict": False}):
            pass

    with nullcontext() if kept else pytest.raises(CommandError, match="another value"):
        bench.migrate(change)
    assert bench.rows("SELECT typeof(a), a FROM t") == before
