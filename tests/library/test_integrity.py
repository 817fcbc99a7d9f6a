"""Rows that a change cannot take, on servers: their number and three examples, as on SQLite."""

import clients
import pytest
from sqlalchemy import make_url

TABLES = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True))
op.create_table(
    "thing", sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(20)), sa.Column("n", sa.Integer), sa.Column("order", sa.Integer)
)
"""
NAME = "existing_type=sa.String(20)"
CHANGES = {
    "not null": (
        f"op.alter_column('thing', 'name', {NAME}, nullable=False)",
        "2 of its rows (None in id 4, None in id 5) do not fit thing.name",
    ),
    "unique": (
        "op.create_unique_constraint('uq', 'thing', ['n', 'order'])",
        "1 of its values stand there several times (7, 1 4 times)",
    ),
    "unique index": (
        "op.create_index('ix', 'thing', ['n'], unique=True)",
        "1 of its values stand there several times (7 4 times)",
    ),
    "check": (
        "op.create_check_constraint('ck', 'thing', \"n < 5 OR name LIKE 'x%'\")",
        "2 of its rows (id 1, id 2) break it",
    ),
    "foreign key": (
        "op.create_foreign_key('fk', 'thing', 'parent', ['n'], ['id'])",
        "4 of its rows (7 in id 1, 7 in id 2, 7 in id 4) point to nothing in parent",
    ),
    "shorter": (
        f"op.alter_column('thing', 'name', {NAME}, type_=sa.String(3))",
        "2 of its rows ('100% wrong' in id 2, 'long' in id 3) do not fit thing.name",
    ),
    "added just now": (
        "op.add_column('thing', sa.Column('new', sa.Integer))\n"
        "op.execute('UPDATE thing SET new = 1 WHERE id = 3')\n"
        "op.alter_column('thing', 'new', existing_type=sa.Integer(), nullable=False)",
        "4 of its rows (None in id 1, None in id 2, None in id 4) do not fit thing.new",
    ),
}
ROWS = (
    "(1, 'a', 7, 1), (2, '100%% wrong', 7, 1), (3, 'long', 1, 1), (4, NULL, 7, 1), (5, NULL, 7, 1)"
)


@pytest.fixture
def thing(new_project, server_url):
    project = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    project.env["DEV_DATABASE_URL"] = project.url = server_url
    project.migration("a1", None, TABLES)
    project.db("upgrade").assert_ok()
    clients.run(server_url, "INSERT INTO parent VALUES (1)", f"INSERT INTO thing VALUES {ROWS}")
    return project


def test_their_number_and_three_are_said_and_what_to_do(thing):
    for change, said in CHANGES.values():
        thing.migration("a2", "a1", change)
        answer = thing.db("upgrade")
        answer.assert_one_sentence(said, "being at a1", "change the rows that do not fit")
        assert "mend the file" not in answer.err
        if "new" in change and "mysql" in thing.url:
            clients.run(thing.url, "ALTER TABLE thing DROP COLUMN new")


def test_a_migration_may_look_at_the_schema_before(thing):
    change, said = CHANGES["unique"]
    look = "sa.inspect(op.get_bind()).get_columns('thing')\n"
    thing.migration("a2", "a1", look + change)
    answer = thing.db("upgrade")
    answer.assert_one_sentence(said, "being at a1", "change the rows that do not fit")
    assert "SHOW" not in answer.err


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_an_error_that_a_migration_catches_leaves_the_rest_of_it_to_run(thing):
    """As it does without the look at the rows: on PostgreSQL inside of a savepoint of its own."""
    caught = (
        "try:\n    with op.get_bind().begin_nested():\n"
        "        op.create_unique_constraint('uq', 'thing', ['n'])\n"
        "except sa.exc.IntegrityError:\n"
        "    op.execute('UPDATE thing SET n = id')\n"
        "op.create_unique_constraint('uq', 'thing', ['n'])"
    )
    thing.migration("a2", "a1", caught)
    thing.db("upgrade").assert_ok()
    assert clients.rows(thing.url, "SELECT n FROM thing ORDER BY id") == [(n,) for n in range(1, 6)]


def test_a_text_that_is_no_number_is_found_on_postgresql(thing):
    if "mysql" in thing.url:
        cast = ""
    else:
        cast = ", postgresql_using='name::integer'"
    thing.migration(
        "a2", "a1", f"op.alter_column('thing', 'name', {NAME}, type_=sa.Integer(){cast})"
    )
    answer = thing.db("upgrade")
    answer.assert_one_sentence("change the rows that do not fit", "being at a1")
    assert ("3 of its rows ('a' in id 1" in answer.err) is bool(cast)


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_outside_of_a_transaction_they_are_counted_too(thing):
    code = (
        "with op.get_context().autocommit_block():\n"
        "    op.create_index('ix', 'thing', ['n'], unique=True, postgresql_concurrently=True)"
    )
    thing.migration("a2", "a1", code)
    answer = thing.db("upgrade")
    answer.assert_one_sentence("(7 4 times)", "change the rows that do not fit", "at a1")
