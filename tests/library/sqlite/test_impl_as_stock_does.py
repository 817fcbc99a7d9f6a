"""What Alembic's own batches do, and histories rely on."""

from datetime import datetime
from math import inf

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

TABLES = """
CREATE TABLE author (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(20));
CREATE TABLE post (
    id INTEGER NOT NULL, title VARCHAR(50) NOT NULL, n INTEGER, author_id INTEGER,
    CONSTRAINT pk_post PRIMARY KEY (id),
    CONSTRAINT uq_n UNIQUE (n),
    CONSTRAINT ck_n CHECK (n > 0),
    UNIQUE (n, title),
    CONSTRAINT fk FOREIGN KEY(author_id) REFERENCES author (id)
);
CREATE INDEX ix_n ON post (n);
CREATE UNIQUE INDEX ux_n ON post (n, id);
CREATE INDEX ix_title ON post (title);
INSERT INTO author VALUES (1, 'Ada');
INSERT INTO post VALUES (1, 'one', 1, 1), (2, 'two', 2, NULL);
"""


@pytest.fixture
def post(bench):
    bench.make(TABLES)
    return bench


def batch(*calls, table="post", **options):
    def change(op):
        with op.batch_alter_table(table, **options) as opened:
            for call in calls:
                call(opened)

    return change


# -- before its column -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda b: b.create_index("new", ["n", "m"]), "CREATE INDEX new ON post (n, m)"),
        (lambda b: b.create_unique_constraint("new", ["m"]), "CONSTRAINT new UNIQUE (m)"),
        (lambda b: b.create_check_constraint("new", sa.text("m > 0")), "CONSTRAINT new CHECK"),
        (lambda b: b.create_foreign_key("new", "author", ["m"], ["id"]), "CONSTRAINT new FOREIGN"),
    ],
)
def test_what_a_batch_makes_of_a_column_may_stand_before_it(post, made, said):
    post.migrate(batch(made, lambda b: b.add_column(sa.Column("m", sa.Integer)), recreate="always"))
    assert said in "".join(sql for (sql,) in post.rows("SELECT sql FROM sqlite_master") if sql)


# -- gone with a column ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "after"),
    [
        ("n", lambda b: b.drop_constraint("uq_n", type_="unique")),
        ("n", lambda b: b.drop_constraint("uq_n")),
        ("n", lambda b: b.drop_constraint("ck_n", type_="check")),
        ("n", lambda b: b.drop_index("ix_n")),
        ("n", lambda b: b.drop_index("ux_n")),
        ("n", lambda b: b.drop_constraint("ux_n", type_="unique")),
        ("n", lambda b: b.drop_constraint("uq_post_n_title", type_="unique")),
        ("author_id", lambda b: b.drop_constraint("fk", type_="foreignkey")),
        ("id", lambda b: b.drop_constraint("pk_post", type_="primary")),
    ],
)
def test_what_went_with_its_column_needs_no_drop_of_its_own(post, column, after):
    names = {"uq": "uq_%(table_name)s_%(column_0_N_name)s"}
    with_it = batch(lambda b: b.drop_column(column), after, naming_convention=names)
    post.migrate(with_it)
    assert column not in post.columns("post")
    assert "ix_title" in {name for (name,) in post.rows("SELECT name FROM sqlite_master")}


@pytest.mark.parametrize(
    "calls",
    [
        (lambda b: b.drop_column("n"), lambda b: b.drop_constraint("fk", type_="unique")),
        (lambda b: b.drop_column("n"), lambda b: b.drop_constraint("nix", type_="unique")),
        (lambda b: b.drop_constraint("uq_n"), lambda b: b.drop_constraint("uq_n")),
        (
            lambda b: b.drop_constraint("uq_n"),
            lambda b: b.drop_column("n"),
            lambda b: b.drop_constraint("uq_n"),
        ),
    ],
)
def test_what_was_never_there_is_still_a_mistake(post, calls):
    with pytest.raises(CommandError, match="has no"):
        post.migrate(batch(*calls))


# -- under a name that is there ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "gone", "there"),
    [
        (
            lambda b: b.create_primary_key("pk_post", ["id", "title"]),
            "PRIMARY KEY (id),",
            "CONSTRAINT pk_post PRIMARY KEY (id, title)",
        ),
        (
            lambda b: b.create_primary_key("other", ["title"]),
            "pk_post",
            "CONSTRAINT other PRIMARY KEY (title)",
        ),
        (
            lambda b: b.create_foreign_key(
                "fk", "author", ["author_id"], ["id"], ondelete="CASCADE"
            ),
            "REFERENCES author (id),",
            "CONSTRAINT fk FOREIGN KEY(author_id) REFERENCES author (id) ON DELETE CASCADE",
        ),
        (
            lambda b: b.create_unique_constraint("uq_n", ["title"]),
            "UNIQUE (n),",
            "CONSTRAINT uq_n UNIQUE (title)",
        ),
        (lambda b: b.create_check_constraint("ck_n", "n >= 0"), "(n > 0)", "ck_n CHECK (n >= 0)"),
        (
            lambda b: b.create_index("ix_n", ["n", "title"]),
            "ON post (n);",
            "ix_n ON post (n, title)",
        ),
    ],
)
@pytest.mark.parametrize("recreate", ["auto", "always"])
def test_a_batch_replaces_what_has_the_name_already(post, call, gone, there, recreate):
    post.migrate(batch(call, recreate=recreate))
    schema = ";\n".join(sql for (sql,) in post.rows("SELECT sql FROM sqlite_master") if sql)
    assert there in schema and gone not in schema
    assert post.rows("SELECT * FROM post") == [(1, "one", 1, 1), (2, "two", 2, None)]


def test_the_same_primary_key_again_is_nothing_to_do(post, plans):
    post.migrate(batch(lambda b: b.create_primary_key("pk_post", ["id"])))
    post.migrate(batch(lambda b: b.create_primary_key(None, ["id"])))
    assert plans() == []


def test_a_key_that_is_referred_to_is_not_replaced(post):
    post.make("CREATE TABLE note (post_id INTEGER REFERENCES post);")
    with pytest.raises(CommandError, match="'note' refers to it: drop that foreign key first"):
        post.migrate(batch(lambda b: b.create_primary_key("pk", ["title"])))


def test_a_name_on_another_table_is_not_replaced(post):
    with pytest.raises(CommandError, match="already an index 'ix_name', on table 'author'"):
        post.make("CREATE INDEX ix_name ON author (name);")
        post.migrate(batch(lambda b: b.create_index("ix_name", ["n"])))


# -- a default of Python's ---------------------------------------------------------------------


class Code(sa.TypeDecorator):
    impl = sa.String(9)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return f"<{value}>"


@pytest.mark.parametrize(
    ("type_", "default", "stored"),
    [
        (sa.Integer(), 5, 5),
        (sa.Boolean(), False, 0),
        (sa.Boolean(), True, 1),
        (sa.Float(), 0.1, 0.1),
        (sa.Float(), -inf, -inf),
        (sa.String(9), "it's", "it's"),
        (sa.String(9), "a\0b", "a\0b"),
        (sa.DateTime(), datetime(2024, 1, 2), "2024-01-02 00:00:00.000000"),
        (sa.LargeBinary(), b"\x00'", b"\x00'"),
        (sa.JSON(), {"a": [1]}, '{"a": [1]}'),
        (Code(), "x", "<x>"),
        (sa.Integer(), lambda: 7, 7),
        (sa.Integer(), sa.text("1 + 1"), 2),
    ],
)
@pytest.mark.parametrize("portable", [False, True])
def test_a_default_of_pythons_fills_a_column_that_is_not_null(
    post, type_, default, stored, portable
):
    column = sa.Column("x", type_, nullable=False, default=default)
    post.migrate(lambda op: op.add_column("post", column), sqlite_portable_sql=portable)
    assert post.rows("SELECT x FROM post") == [(stored,), (stored,)]
    assert "NOT NULL" in post.sql("post").split("x ")[1] and "DEFAULT" not in post.sql("post")


@pytest.mark.parametrize(
    ("more", "arguments", "stored"),
    [
        (None, {"recreate": "always"}, 5),
        (lambda b: b.alter_column("title", nullable=True), {}, 5),
        (lambda b: b.create_unique_constraint("u", ["x", "id"]), {}, 5),
        (lambda b: b.create_index("i", ["x"]), {}, None),
        (None, {}, None),
    ],
)
def test_it_fills_a_nullable_column_where_alembic_would_rebuild_the_table(
    post, more, arguments, stored
):
    add = lambda b: b.add_column(sa.Column("x", sa.Integer, default=5))  # noqa: E731
    post.migrate(batch(*filter(None, [add, more]), **arguments))
    assert post.rows("SELECT x FROM post") == [(stored,), (stored,)]


def test_such_a_column_takes_part_in_the_checks_of_its_batch(post):
    def add(opened):
        opened.add_column(sa.Column("x", sa.Integer, nullable=False, default=5))

    with pytest.raises(CommandError, match="2 rows would break it"):
        post.migrate(batch(add, lambda b: b.create_check_constraint("ck_x", "x > 5")))
    post.migrate(batch(add, lambda b: b.create_check_constraint("ck_x", "x = 5")))
    post.migrate(batch(lambda b: b.drop_column("x")))
    post.migrate(batch(add, lambda b: b.drop_column("x")))
    assert "x" not in post.columns("post")


def test_without_rows_there_is_nothing_to_fill(post, plans):
    post.run("DELETE FROM post")
    column = sa.Column("x", sa.Integer, nullable=False, default=5)
    post.migrate(lambda op: op.add_column("post", column))
    assert "in every row" not in plans()[0]


# -- the rest ----------------------------------------------------------------------------------


def test_autoincrement_means_nothing_to_a_key_of_several_columns(post):
    many = lambda b: b.create_primary_key("pk_post", ["id", "title"])  # noqa: E731
    post.migrate(batch(many, table_kwargs={"sqlite_autoincrement": True}))
    assert "AUTOINCREMENT" not in post.sql("post")


@pytest.mark.parametrize(
    "column", ["TEXT PRIMARY KEY", "INTEGER", "INTEGER PRIMARY KEY REFERENCES post"]
)
def test_autoincrement_means_nothing_to_a_table_whose_rows_it_does_not_number(post, column):
    post.run(f"CREATE TABLE other (a {column}, b INTEGER)")
    options = {"sqlite_autoincrement": True}
    post.migrate(batch(table="other", recreate="always", table_kwargs=options))
    assert "AUTOINCREMENT" not in post.sql("other")


def test_autoincrement_of_a_key_that_is_no_integer_for_sqlite_says_what_to_do(post):
    post.run("CREATE TABLE other (a BIGINT PRIMARY KEY, b INTEGER)")
    options = {"sqlite_autoincrement": True}
    with pytest.raises(CommandError, match="give its key the type"):
        post.migrate(batch(table="other", recreate="always", table_kwargs=options))


def test_an_inspector_of_the_engine_sees_what_the_migration_has_done(post):
    seen = []

    def change(op):
        op.add_column("post", sa.Column("x", sa.Integer))
        engine = op.get_bind().engine
        seen.append([c["name"] for c in sa.inspect(engine).get_columns("post")])
        with pytest.warns(sa.exc.SADeprecationWarning):
            old_way = sa.Inspector.from_engine(engine)
        seen.append([c["name"] for c in old_way.get_columns("post")])
        seen.append([c.name for c in sa.Table("post", sa.MetaData(), autoload_with=engine).columns])

    post.migrate(change)
    assert seen == [["id", "title", "n", "author_id", "x"]] * 3
    engine = sa.create_engine(f"sqlite:///{post.path}", poolclass=sa.NullPool)
    assert sa.inspect(engine).get_table_names() == ["author", "post"]


def test_a_second_connection_is_refused_all_the_same(post):
    with pytest.raises(Exception, match="connection"):
        post.migrate(lambda op: op.get_bind().engine.connect())


def test_a_virtual_table_is_renamed(bench):
    bench.make(
        "CREATE VIRTUAL TABLE words USING fts5 (text); INSERT INTO words VALUES ('some words');"
        "CREATE TABLE t (id INTEGER);"
    )
    bench.migrate(lambda op: op.rename_table("words", "texts"))
    assert bench.rows("SELECT * FROM texts WHERE texts MATCH 'words'") == [("some words",)]
    with pytest.raises(CommandError, match="There is no table 'words'"):
        bench.migrate(lambda op: op.rename_table("words", "texts"))
    with pytest.raises(CommandError, match="virtual table"):
        bench.migrate(lambda op: op.add_column("texts", sa.Column("x", sa.Integer)))
