"""A column takes along what is its own; what would be left broken is named and nothing is done."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

POST = """
CREATE TABLE author (id INTEGER PRIMARY KEY, code TEXT UNIQUE);
CREATE TABLE post (
  id INTEGER PRIMARY KEY,
  slug TEXT, -- in the address
  n INT CHECK (n > 0),
  author_id INT,
  "Up" INT DEFAULT 3,
  CONSTRAINT fk_author FOREIGN KEY (author_id) REFERENCES author,
  CONSTRAINT ck_both CHECK (n < 100 OR "Up" IS NOT NULL),
  CONSTRAINT uq_both UNIQUE (slug, author_id)
);
CREATE INDEX ix_up ON post ("Up");
CREATE INDEX ix_part ON post (n) WHERE "Up" > 1;
CREATE INDEX ix_expr ON post (abs("Up"), n);
CREATE INDEX ix_n ON post (n);
INSERT INTO post VALUES (1, 'a', 1, NULL, 1), (2, 'b', 2, NULL, 2);
"""


@pytest.fixture
def post(bench):
    bench.make(POST)
    return bench


def test_indexes_and_constraints_that_involve_it_go_with_it_and_are_named(post, plans):
    post.migrate(lambda op: op.drop_column("post", "Up"))
    assert plans()[0].startswith(
        "post: drop column Up with index ix_up, index ix_part, index ix_expr, CHECK ck_both"
    )
    assert "ck_both" not in post.sql("post")
    assert "CHECK (n > 0)" in post.sql("post")
    assert post.rows("SELECT name FROM sqlite_master WHERE type='index' AND sql NOT NULL") == [
        ("ix_n",)
    ]
    assert post.rows("SELECT * FROM post") == [(1, "a", 1, None), (2, "b", 2, None)]
    assert post.is_whole()


def test_a_key_and_a_foreign_key_go_with_it(post):
    post.migrate(lambda op: op.drop_column("post", "author_id"))
    assert "uq_both" not in post.sql("post") and "fk_author" not in post.sql("post")
    assert "-- in the address" in post.sql("post")


def test_its_own_check_goes_with_it(post, plans):
    post.migrate(lambda op: op.drop_column("post", "n"))
    assert "CHECK (n > 0)" in plans()[0] and "CHECK ck_both" in plans()[0]
    assert "CHECK" not in post.sql("post")


def test_the_primary_key_goes_with_its_column(post):
    post.migrate(lambda op: op.drop_column("post", "id"))
    assert "PRIMARY KEY" not in post.sql("post")


def test_a_self_reference_goes_with_either_end(bench):
    bench.make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT UNIQUE, up TEXT REFERENCES t (code));"
        "INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', 'a');"
    )
    bench.migrate(lambda op: op.drop_column("t", "code"))
    assert bench.rows("SELECT * FROM t") == [(1, None), (2, "a")]
    assert "REFERENCES" not in bench.sql("t")


def test_a_plain_column_is_dropped_by_sqlite_itself(bench, plans):
    bench.make("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2);")
    bench.migrate(lambda op: op.drop_column("t", "b"))
    assert plans() == ["t: drop column b (native)"]


def test_what_does_not_exist_need_not_be_dropped(post):
    post.migrate(lambda op: op.drop_column("post", "nix", if_exists=True))


IN_THE_WAY = {
    "CREATE VIEW v AS SELECT upper(slug) FROM post": "The view 'v' would no longer work",
    "CREATE VIEW a AS SELECT * FROM post; CREATE VIEW b AS SELECT slug FROM a": "The view 'b'",
    "CREATE TRIGGER t AFTER INSERT ON post BEGIN SELECT new.slug; END": "The trigger 't'",
    "CREATE TRIGGER t AFTER UPDATE OF slug ON post BEGIN SELECT 1; END": "The trigger 't'",
    "CREATE TRIGGER t AFTER INSERT ON author BEGIN INSERT INTO post (slug) VALUES (1); END": (
        "The trigger 't'"
    ),
    "CREATE TRIGGER t AFTER DELETE ON author BEGIN UPDATE post SET slug = 1; END": (
        "The trigger 't'"
    ),
    "CREATE VIEW w AS SELECT id FROM post;"
    "CREATE TRIGGER t INSTEAD OF INSERT ON w BEGIN INSERT INTO post (slug) VALUES (1); END": (
        "The trigger 't'"
    ),
}


@pytest.mark.parametrize("script", IN_THE_WAY)
def test_a_view_or_a_trigger_that_uses_it_is_named_and_nothing_is_done(post, script):
    post.make(f"{script};")
    before = post.dump()
    with pytest.raises(CommandError, match=IN_THE_WAY[script]) as error:
        post.migrate(lambda op: op.drop_column("post", "slug"))
    assert "drop it before and create it again after" in str(error.value)
    assert post.dump() == before


def test_views_and_triggers_that_use_other_columns_stay(post):
    post.make(
        "CREATE VIEW v AS SELECT n, 'slug' AS slug, count(*) FROM post GROUP BY n;"
        "CREATE VIEW everything AS SELECT * FROM post;"
        "CREATE TRIGGER t AFTER UPDATE OF n ON post BEGIN SELECT new.id; END;"
        "CREATE VIEW broken AS SELECT slug FROM nowhere;"
    )
    post.migrate(lambda op: op.drop_column("post", "slug"))
    assert post.rows("SELECT count(*) FROM everything") == [(2,)]


def test_a_view_that_counts_on_functions_of_the_application_is_no_obstacle(post):
    post.make("CREATE VIEW v AS SELECT slugify(n) FROM post;")
    post.migrate(lambda op: op.drop_column("post", "Up"))
    with pytest.raises(CommandError, match="The view 'v'"):
        post.migrate(lambda op: op.drop_column("post", "n"))


def test_a_generated_column_that_is_computed_from_it_is_named(bench):
    bench.make("CREATE TABLE t (a, b, c AS (a + 1));")
    with pytest.raises(CommandError, match="since the generated column 'c' is computed from it"):
        bench.migrate(lambda op: op.drop_column("t", "a"))

    def change(op):
        with op.batch_alter_table("t") as batch:
            batch.drop_column("c")
            batch.drop_column("a")

    bench.migrate(change)
    assert bench.columns("t") == ["b"]


def test_a_foreign_key_elsewhere_that_refers_to_it_is_named(post):
    post.make("CREATE TABLE note (code TEXT REFERENCES author (code));")
    with pytest.raises(
        CommandError, match=r"the foreign key \(code\) of table 'note' refers to it"
    ):
        post.migrate(lambda op: op.drop_column("author", "code"))
    with pytest.raises(CommandError, match=r"the foreign key \(author_id\) of table 'post'"):
        post.migrate(lambda op: op.drop_column("author", "id"))


def test_a_key_that_a_foreign_key_elsewhere_needs_is_not_dropped(post):
    post.make("CREATE TABLE note (code TEXT REFERENCES author (code));")
    with pytest.raises(CommandError, match=r"The key \(code\) of table 'author' cannot be dropped"):
        post.migrate(
            lambda op: op.drop_constraint("uq_author_code", "author", type_="unique"),
            target_metadata=sa.MetaData(
                naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s"}
            ),
        )


def test_the_last_column_is_not_dropped(bench):
    bench.make("CREATE TABLE t (a);")
    with pytest.raises(CommandError, match="since it is the only one: drop the table"):
        bench.migrate(lambda op: op.drop_column("t", "a"))


def test_a_column_that_a_positional_insert_in_a_trigger_does_not_know_is_refused(post):
    post.make("CREATE TRIGGER t AFTER INSERT ON author BEGIN INSERT INTO log VALUES (1, 2); END;")
    post.make("CREATE TABLE log (a, b);")
    with pytest.raises(CommandError, match="The trigger 't' would no longer work"):
        post.migrate(lambda op: op.add_column("log", sa.Column("c", sa.Integer)))


# -- renames ---------------------------------------------------------------------------------------


def test_a_rename_reaches_views_triggers_indexes_checks_and_foreign_keys(post):
    post.make(
        "CREATE VIEW v AS SELECT code FROM author;"
        "CREATE TRIGGER t AFTER DELETE ON author BEGIN UPDATE author SET code = 'x'; END;"
        "CREATE INDEX ix_code ON author (lower(code));"
        "CREATE TABLE note (code TEXT REFERENCES author (code));"
        "INSERT INTO author VALUES (1, 'a');"
    )
    post.migrate(lambda op: op.alter_column("author", "code", new_column_name="key"))
    assert post.rows("SELECT * FROM v") == [("a",)]
    assert '"key"' in post.sql("t") and '"key"' in post.sql("ix_code")
    assert '"key"' in post.sql("note")


def test_a_trigger_that_sqlite_cannot_rewrite_is_named(post):
    post.make(
        "CREATE VIEW v AS SELECT id, slug FROM post;"
        "CREATE TRIGGER t INSTEAD OF UPDATE ON v BEGIN SELECT new.slug; END;"
    )
    before = post.dump()
    with pytest.raises(CommandError, match="error in trigger t"):
        post.migrate(lambda op: op.alter_column("post", "slug", new_column_name="path"))
    assert post.dump() == before


def test_a_dropped_table_that_a_view_uses_is_named(post):
    post.make("CREATE VIEW v AS SELECT slug FROM post;")
    with pytest.raises(CommandError, match="since the view 'v' uses it: drop 'v' first"):
        post.migrate(lambda op: op.drop_table("post"))


@pytest.mark.parametrize("rule, holds", [("place > ''", True), ("place <> 'b'", False)])
@pytest.mark.parametrize("way", ["renamed", "added"])
def test_a_check_that_came_before_it_went_is_still_asked_of_the_rows(post, way, rule, holds):
    def change(op):
        with op.batch_alter_table("post") as batch:
            if way == "renamed":
                batch.alter_column("slug", new_column_name="place")
            else:
                batch.add_column(sa.Column("place", sa.Text, server_default="b"))
            batch.create_check_constraint("asked", rule)
            batch.drop_column("place")

    if not holds:
        with pytest.raises(CommandError, match="asked"):
            post.migrate(change)
        return
    post.migrate(change)
    assert "place" not in post.sql("post") and "asked" not in post.sql("post")
    assert post.is_whole()
