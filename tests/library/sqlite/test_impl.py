"""Plain op.*, outside of any batch, as third-party migrations write it."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

SHOP = """
CREATE TABLE author (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(20));
CREATE TABLE post (id INTEGER NOT NULL PRIMARY KEY, title VARCHAR(50), n INTEGER DEFAULT 1);
CREATE INDEX ix_post_title ON post (title);
INSERT INTO author VALUES (1, 'Ada');
INSERT INTO post VALUES (1, 'one', 1), (2, 'two', 2);
"""


@pytest.fixture
def shop(bench):
    bench.make(SHOP)
    return bench


def test_alter_column_changes_all_that_it_names_at_once(shop, plans):
    shop.migrate(
        lambda op: op.alter_column(
            "post",
            "title",
            nullable=False,
            server_default=sa.text("'x' || 'y'"),
            type_=sa.String(80),
            new_column_name="headline",
        )
    )
    assert "headline VARCHAR(80) DEFAULT ('x' || 'y') NOT NULL" in shop.sql("post").replace('"', "")
    assert len(plans()) <= 2


def test_a_default_is_taken_away(shop):
    shop.migrate(lambda op: op.alter_column("post", "n", server_default=None))
    assert "DEFAULT" not in shop.sql("post")
    assert shop.rows("SELECT n FROM post") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("lower('A')", "a"),
        ("'a' || 'b'", "ab"),
        ("('a') || ('b')", "ab"),
        ("(lower('A'))", "a"),
        ("-1", "-1"),
        ("'it''s (5%)'", "it's (5%)"),
    ],
)
def test_a_default_may_be_an_expression_without_parentheses(bench, said, stored):
    def column(name):
        return sa.Column(name, sa.String(9), server_default=sa.text(said))

    bench.migrate(lambda op: op.create_table("made", sa.Column("id", sa.Integer), column("a")))
    bench.migrate(lambda op: op.alter_column("made", "a", server_default=sa.text(said)))
    bench.migrate(lambda op: op.add_column("made", column("b")))
    bench.make("INSERT INTO made (id) VALUES (1)")
    assert bench.rows("SELECT a, b FROM made") == [(stored, stored)]


def test_a_column_with_a_foreign_key_is_added_whole(shop):
    column = sa.Column("author_id", sa.Integer, sa.ForeignKey("author.id", ondelete="CASCADE"))
    shop.migrate(lambda op: op.add_column("post", column))
    assert "FOREIGN KEY(author_id) REFERENCES author (id) ON DELETE CASCADE" in shop.sql("post")


def test_an_inline_reference_is_a_foreign_key_like_any_other(shop):
    column = sa.Column("author_id", sa.Integer, sa.ForeignKey("author.id", ondelete="CASCADE"))
    shop.migrate(lambda op: op.add_column("post", column, inline_references=True))
    assert shop.rows('SELECT "table", "on_delete" FROM pragma_foreign_key_list(\'post\')') == [
        ("author", "CASCADE")
    ]


def test_a_unique_and_indexed_column_is_added_whole(shop):
    columns = [
        sa.Column("slug", sa.String(20), unique=True),
        sa.Column("code", sa.String(20), index=True),
        sa.Column("flag", sa.Boolean(create_constraint=True), server_default=sa.true()),
        sa.Column("kind", sa.Enum("a", "b", create_constraint=True, name="kind")),
        sa.Column("size", sa.Integer, sa.CheckConstraint("size > 0"), server_default="5"),
        sa.Column("made", sa.DateTime, server_default=sa.func.now()),
        sa.Column("twice", sa.Integer, sa.Computed("n * 2", persisted=True)),
    ]

    def change(op):
        for column in columns:
            op.add_column("post", column)

    shop.migrate(change)
    sql = shop.sql("post")
    for part in ("UNIQUE (slug)", "CHECK (flag IN (0, 1))", "CHECK (kind IN ('a', 'b'))"):
        assert part in sql
    assert "CHECK (size > 0)" in sql
    assert shop.sql("ix_post_code")
    assert shop.rows("SELECT flag, kind, size, twice FROM post") == [
        (1, None, 5, 2),
        (1, None, 5, 4),
    ]
    assert shop.rows("SELECT made > '2020' FROM post") == [(1,), (1,)]


def test_constraints_come_and_go(shop):
    def up(op):
        op.create_unique_constraint("uq", "post", ["title"])
        op.create_check_constraint("ck", "post", "n > 0")
        op.create_foreign_key("fk", "post", "author", ["n"], ["id"], ondelete="SET NULL")

    def down(op):
        op.drop_constraint("fk", "post", type_="foreignkey")
        op.drop_constraint("ck", "post")
        op.drop_constraint("uq", "post", type_="unique")
        op.drop_constraint("uq", "post", type_="unique", if_exists=True)

    shop.make("INSERT INTO author VALUES (2, 'Bob')")
    before = shop.sql("post")
    shop.migrate(up)
    assert "CONSTRAINT fk FOREIGN KEY(n) REFERENCES author (id) ON DELETE SET NULL" in shop.sql(
        "post"
    )
    shop.migrate(down)
    assert shop.sql("post") == before


def test_a_constraint_may_go_without_a_name(shop):
    shop.migrate(lambda op: op.create_unique_constraint(None, "post", ["title"]))
    assert "UNIQUE (title)" in shop.sql("post")


def test_a_primary_key_is_dropped_and_another_one_made(shop):
    def change(op):
        op.drop_constraint("whatever it is called", "post", type_="primary")
        op.create_primary_key("pk_post", "post", ["id", "title"])

    shop.migrate(change)
    assert "title VARCHAR(50) NOT NULL" in shop.sql("post")
    assert "CONSTRAINT pk_post PRIMARY KEY (id, title)" in shop.sql("post")


def test_a_second_primary_key_is_refused(shop):
    with pytest.raises(CommandError, match="already has a PRIMARY KEY"):
        shop.migrate(lambda op: op.create_primary_key("pk", "post", ["title"]))


def test_rename_table_takes_all_references_along(shop):
    shop.make(
        "CREATE TABLE note (post_id INT REFERENCES post);"
        "CREATE VIEW v AS SELECT title FROM post;"
        "CREATE TRIGGER t AFTER DELETE ON post BEGIN DELETE FROM note WHERE post_id = old.id; END;"
    )
    shop.migrate(lambda op: op.rename_table("post", "article"))
    assert 'REFERENCES "article"' in shop.sql("note")
    assert shop.rows("SELECT * FROM v") == [("one",), ("two",)]
    assert '"article"' in shop.sql("t")


def test_a_table_and_a_column_change_their_capitals(shop):
    shop.make(
        "CREATE TABLE note (post_id INT REFERENCES post);"
        "CREATE VIEW v AS SELECT title FROM post; CREATE TABLE _new_post (id INTEGER);"
    )
    shop.migrate(lambda op: op.rename_table("post", "Post"))
    shop.migrate(lambda op: op.alter_column("Post", "title", new_column_name="Title"))
    tables = shop.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
    assert tables == [("Post",), ("_new_post",), ("author",), ("note",)]
    assert 'REFERENCES "Post"' in shop.sql("note") and shop.rows("SELECT Title FROM v") == [
        ("one",),
        ("two",),
    ]
    assert shop.columns("Post") == ["id", "Title", "n"]


def test_rename_table_names_the_view_that_is_in_the_way(shop):
    shop.make("CREATE VIEW lost AS SELECT * FROM nowhere;")
    with pytest.raises(CommandError, match="error in view lost"):
        shop.migrate(lambda op: op.rename_table("post", "article"))


def test_tables_are_made_and_dropped(shop):
    def change(op):
        op.create_table(
            "tag",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("post_id", sa.Integer, sa.ForeignKey("post.id")),
            sa.Column("name", sa.String(20), index=True, comment="not for SQLite"),
            comment="nor this",
        )
        op.bulk_insert(
            sa.table("tag", sa.column("id"), sa.column("name")), [{"id": 1, "name": "x"}]
        )
        op.create_table_comment("tag", "ignored")
        op.alter_column("tag", "name", comment="ignored")
        op.drop_table("author")

    shop.migrate(change)
    assert shop.rows("SELECT id, name FROM tag") == [(1, "x")]
    assert shop.rows("SELECT count(*) FROM sqlite_master WHERE name = 'author'") == [(0,)]


def test_indexes_come_and_go(shop):
    def change(op):
        op.drop_index("ix_post_title")
        op.drop_index("ix_post_title", if_exists=True)
        op.create_index("ix", "post", ["n", sa.text("title DESC")], sqlite_where=sa.text("n > 1"))
        op.create_index("ix", "post", ["n"], if_not_exists=True)
        op.create_index("iu", "post", [sa.text("lower(title)")], unique=True)

    shop.migrate(change)
    assert shop.sql("ix") == "CREATE INDEX ix ON post (n, title DESC) WHERE n > 1"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda op: op.drop_index("nix"), "There is no index 'nix'"),
        (lambda op: op.drop_index("nix", "post"), "has no index 'nix' .it has: ix_post_title"),
        (lambda op: op.drop_constraint("uq", "post"), "has no constraint 'uq' .it has: PRIMARY"),
        (lambda op: op.create_index("ix_post_title", "post", ["n"]), "already an index"),
        (lambda op: op.add_column("post", sa.Column("N", sa.Integer)), "already has a column 'N'"),
        (lambda op: op.drop_column("post", "x"), "has no column 'x' .it has: id, title, n"),
        (lambda op: op.alter_column("nix", "x", nullable=True), "There is no table 'nix'"),
        (lambda op: op.alter_column("v", "id", nullable=True), "'v' is a view"),
        (lambda op: op.create_check_constraint("c", "post", "x > 0"), "no such column: x"),
        (
            lambda op: op.create_foreign_key("f", "post", "author", ["n"], ["name"]),
            r"\(name\) is neither the primary key of 'author' nor UNIQUE",
        ),
        (
            lambda op: op.create_foreign_key("f", "post", "author", ["n"], ["nix"]),
            "table 'author' has no column 'nix'",
        ),
        (
            lambda op: op.alter_column("post", "n", server_default=sa.Computed("1")),
            "holds values of its own",
        ),
        (
            lambda op: op.create_exclude_constraint("x", "post", ("n", "=")),
            "SQLite has no ExcludeConstraint: make it only where",
        ),
        (
            lambda op: op.create_table("z", sa.Column("id", sa.Integer), schema="app"),
            "There is no schema 'app' on SQLite",
        ),
        (
            lambda op: op.drop_column("post", "n", schema="app"),
            "There is no schema 'app' on SQLite",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(shop, change, sentence):
    shop.make("CREATE VIEW v AS SELECT id FROM post;")
    before = shop.dump()
    with pytest.raises(CommandError, match=sentence) as error:
        shop.migrate(change)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)
    assert shop.dump() == before


def test_a_generated_column_gets_another_expression_and_becomes_an_ordinary_one(shop):
    shop.migrate(lambda op: op.add_column("post", sa.Column("d", sa.Integer, sa.Computed("n * 2"))))
    shop.migrate(lambda op: op.alter_column("post", "d", server_default=sa.Computed("n * 3")))
    assert shop.rows("SELECT d FROM post") == [(3,), (6,)]
    shop.migrate(
        lambda op: op.alter_column(
            "post", "d", server_default=None, existing_server_default=sa.Computed("n * 3")
        )
    )
    assert shop.rows("SELECT d FROM post") == [(3,), (6,)]
    assert "GENERATED" not in shop.sql("post")


def test_autocommit_block_leaves_the_upgrade_one_transaction(shop):
    before = shop.dump()

    def change(op):
        with op.get_context().autocommit_block():
            op.drop_column("post", "n")
        raise RuntimeError("late")

    with pytest.raises(RuntimeError):
        shop.migrate(change)
    assert shop.dump() == before


def test_a_collation_in_a_type_is_the_columns_collation(shop):
    text = sa.String(60, collation="NOCASE")
    shop.migrate(lambda op: op.alter_column("post", "title", type_=text))
    assert "title VARCHAR(60) COLLATE NOCASE" in shop.sql("post").replace('"', "")
    shop.migrate(lambda op: op.alter_column("post", "title", type_=sa.String(70)))
    assert "title VARCHAR(70) COLLATE NOCASE" in shop.sql("post").replace('"', "")
    shop.migrate(
        lambda op: op.alter_column("post", "title", type_=sa.String(70), existing_type=text)
    )
    assert "COLLATE" not in shop.sql("post")


def test_an_old_sqlite_is_refused_in_a_sentence(shop, monkeypatch):
    monkeypatch.setattr("flask_keel.sqlite.introspection.Database.version", (3, 34, 1))
    with pytest.raises(CommandError, match=r"SQLite is 3.34.1 here and has to be 3.35 or later"):
        shop.migrate(lambda op: op.drop_column("post", "n"))
