"""A constraint without a name is dropped by the name that the naming convention gives it."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
POST = """
CREATE TABLE author (id INTEGER PRIMARY KEY);
CREATE TABLE post (
  id INT, slug TEXT UNIQUE, a INT, b INT, n INT CHECK (n > 0),
  author_id INT REFERENCES author, editor_id INT REFERENCES author (id) ON DELETE CASCADE,
  PRIMARY KEY (id), UNIQUE (a, b), UNIQUE (b, a), CHECK (a < b)
);
"""


@pytest.fixture
def post(bench):
    bench.make(POST)
    bench.options = {"target_metadata": sa.MetaData(naming_convention=CONVENTION)}
    return bench


@pytest.mark.parametrize(
    ("name", "kind", "gone"),
    [
        ("uq_post_slug", "unique", " UNIQUE,"),
        ("uq_post_a", "unique", " UNIQUE (a, b),"),
        ("uq_post_b", "unique", " UNIQUE (b, a),"),
        ("fk_post_author_id_author", "foreignkey", " REFERENCES author,"),
        ("fk_post_editor_id_author", "foreignkey", " REFERENCES author (id) ON DELETE CASCADE,"),
        ("ck_post_n", "check", " CHECK (n > 0),"),
        ("ck_post_a", "check", " CHECK (a < b)"),
        ("ck_post_a", None, " CHECK (a < b)"),
        ("pk_post", "primary", " PRIMARY KEY (id),"),
    ],
)
def test_each_kind_is_matched_by_its_columns_and_its_target(post, name, kind, gone):
    before = post.sql("post")
    assert gone in before

    def change(op):
        op.drop_constraint(op.f(name), "post", type_=kind)

    post.migrate(change)
    after = post.sql("post")
    assert after.count(gone.strip(" ,")) == before.count(gone.strip(" ,")) - 1
    assert len(before) - len(after) <= len(gone) + 3


def test_the_short_name_of_a_check_is_put_through_the_convention_as_alembic_does(bench):
    convention = {"ck": "ck_%(table_name)s_%(constraint_name)s"}
    bench.make("CREATE TABLE t (n INT, CONSTRAINT ck_t_positive CHECK (n > 0));")
    bench.migrate(
        lambda op: op.drop_constraint("positive", "t", type_="check"),
        target_metadata=sa.MetaData(naming_convention=convention),
    )
    assert "CHECK" not in bench.sql("t")


def test_the_unnamed_check_of_an_enum_is_found_by_what_it_says(bench):
    bench.make("CREATE TABLE t (v VARCHAR(1), CHECK (\"v\" in ('a','b')));")
    kind = sa.Enum("a", "b", create_constraint=True)
    bench.migrate(lambda op: op.alter_column("t", "v", type_=sa.String(5), existing_type=kind))
    assert "CHECK" not in bench.sql("t")


def test_a_unique_constraint_that_is_an_index_here_is_dropped_as_one(post):
    post.make("CREATE UNIQUE INDEX uq_post_n ON post (n);")
    post.migrate(lambda op: op.drop_constraint("uq_post_n", "post", type_="unique"))
    assert post.rows("SELECT count(*) FROM sqlite_master WHERE name = 'uq_post_n'") == [(0,)]


def test_without_a_convention_the_sentence_says_what_there_is(bench):
    bench.make(POST)
    with pytest.raises(CommandError, match=r"it has: UNIQUE \(slug\); UNIQUE \(a, b\)") as error:
        bench.migrate(lambda op: op.drop_constraint("uq_post_slug", "post", type_="unique"))
    assert "the name that the naming convention gives" in str(error.value)


def test_no_name_at_all_is_refused(bench):
    bench.make(POST)
    with pytest.raises(CommandError, match="has no name in the migration: write its name"):
        bench.migrate(lambda op: op.drop_constraint(None, "post", type_="unique"))


def test_a_name_of_another_kind_is_refused(post):
    with pytest.raises(CommandError, match="has no foreign key 'uq_post_slug'"):
        post.migrate(lambda op: op.drop_constraint("uq_post_slug", "post", type_="foreignkey"))
