"""A revision that fails on a server: what stands is said, and the retry works."""

import clients
import databases
import pytest
from sqlalchemy import inspect, make_url

FAILING = """op.create_table("second", sa.Column("id", sa.Integer, primary_key=True), if_not_exists=True)
op.execute("INSERT INTO second VALUES (1)")
op.execute("INSERT INTO nowhere VALUES (1)")"""


@pytest.fixture
def project(new_project, server_url):
    made = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    made.env["DEV_DATABASE_URL"] = server_url
    made.migration(
        "aaaa00000001",
        None,
        'op.create_table("first", sa.Column("id", sa.Integer, primary_key=True))',
        'op.drop_table("first")',
    )
    return made


def tables(url):
    return set(inspect(databases.engine(url)).get_table_names()) - {"alembic_version"}


def test_the_revisions_before_it_stand_and_the_sentence_says_what_of_it_does(project, server_url):
    failing = project.migration("aaaa00000002", "aaaa00000001", FAILING)
    answer = project.db("upgrade")
    answer.assert_one_sentence("aaaa00000002_by_hand.py, line 13", "being at aaaa00000001")
    if make_url(server_url).get_backend_name() == "postgresql":
        assert tables(server_url) == {"first"}
        assert "what this revision did is undone" in answer.err
    else:
        assert tables(server_url) == {"first", "second"}
        assert "of this revision 'CREATE TABLE IF NOT EXISTS second" in answer.err
        assert "INSERT INTO second" not in answer.err  # the rollback undid it
        assert clients.rows(server_url, "SELECT * FROM second") == []
    failing.write_text(
        failing.read_text().replace("INTO nowhere VALUES (1)", "INTO first VALUES (1)")
    )
    project.db("upgrade").assert_ok()
    assert clients.rows(server_url, "SELECT first.id, second.id FROM first, second") == [(1, 1)]


def test_sql_is_printed_whole_or_not_at_all_and_nothing_runs(project, server_url):
    reading = project.migration(
        "aaaa00000002",
        "aaaa00000001",
        "count = op.get_bind().execute(sa.text('SELECT count(*) FROM first')).scalar()\nprint(count)",
    )
    answer = project.db("upgrade", "--sql")
    answer.assert_one_sentence(f"{reading.name}, line 11: it wants scalar", "no SQL is printed")
    assert answer.out == ""

    # past op: this would run at once
    reading.write_text(
        reading.read_text()
        .replace("op.get_bind()", "db.session")
        .replace("from alembic", "from my_app.extensions import db\nfrom alembic")
        .replace("SELECT count(*) FROM first", "CREATE TABLE astray (id INTEGER)")
    )
    for command in (["upgrade", "--sql"], ["check"], ["rebuild"]):
        answer = project.db(*command)
        answer.assert_one_sentence(f"{reading.name}, line 12: it opens a connection of its own")
        assert answer.out == ""
    assert tables(server_url) == set()


CONCURRENTLY = """op.create_table(
    "thing", sa.Column("id", sa.Integer), sa.PrimaryKeyConstraint("id", name="pk_thing")
)
with op.get_context().autocommit_block():
    op.create_index(
        "ix_thing_id", "thing", ["id"], postgresql_concurrently=True, if_not_exists=True
    )"""
HALF_OUTSIDE = FAILING.replace(
    'op.execute("INSERT INTO second',
    'with op.get_context().autocommit_block():\n    op.execute("INSERT INTO second',
)


def test_what_runs_outside_of_the_transaction_on_postgresql_works_and_is_named_on_a_failure(
    new_project, postgresql_server
):
    with databases.fresh(postgresql_server) as url, databases.fresh(postgresql_server) as twin:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.model("thing", "id: Mapped[int] = mapped_column(primary_key=True, index=True)")
        project.migration("aaaa00000001", None, CONCURRENTLY)
        failing = project.migration("aaaa00000002", "aaaa00000001", HALF_OUTSIDE)
        project.db("upgrade").assert_one_sentence(
            "of this revision 'CREATE TABLE IF NOT EXISTS second",
            "'INSERT INTO second VALUES (1)' cannot be undone",
            "being at aaaa00000001",
        )
        failing.unlink()
        project.db("schema").assert_ok()  # in a scratch database, too
        clients.feed(twin, project.db("upgrade", "--sql", "base:head").assert_ok().out)
        assert "INDEX ix_thing_id" in str(clients.dump(url))
        assert "INDEX ix_thing_id" in str(clients.dump(twin))
