"""The connection that does the work is lost, or the process is stopped, between the statements of a file."""

import clients
import databases
import pytest
from sqlalchemy import inspect, make_url

# in env.py: what ends the connection, or the process, when one says AT, and, with LATE, has the lock or
# has written the version
ENDS = """import os
import signal

from sqlalchemy import Engine, create_engine, event

OTHERS = {
    True: "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    False: "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
}
@event.listens_for(Engine, "before_cursor_execute")
def ends(connection, cursor, statement, *more):
    if os.environ.get("LATE", "") in statement:
        os.environ["LATE"] = ""
    if os.environ.get("LATE") or os.environ.get("AT", "?") not in statement:
        return
    del os.environ["AT"]  # once
    postgresql = connection.dialect.name == "postgresql"
    with create_engine(connection.engine.url).connect() as other:
        for (number,) in other.exec_driver_sql(OTHERS[postgresql]).all():
            end = f"SELECT pg_terminate_backend({number})" if postgresql else f"KILL {number}"
            other.exec_driver_sql(end)


@event.listens_for(Engine, "begin")
def stops(connection):
    if os.environ.get("LATE") == "" and os.environ.pop("STOPS", None):
        os.kill(os.getpid(), signal.SIGTERM)


"""
LOCK = {"postgresql": "pg_try_advisory_lock", "mysql": "GET_LOCK"}
FIRST = (
    "op.create_table('post', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))"
    "\nop.execute('INSERT INTO post VALUES (1, 1), (2, 5)')"
)
# with what a plan begins
LIMITS = {"postgresql": "SET LOCAL row_security", "mysql": "SET SESSION TRANSACTION READ ONLY"}
STOPS = "op.execute('INSERT INTO nowhere VALUES (1)')"


@pytest.fixture
def kind(server_url):
    return make_url(server_url).get_backend_name()


@pytest.fixture
def project(new_project, server_url, kind):
    made = new_project(starter="bare", database=kind)
    made.env["DEV_DATABASE_URL"] = server_url
    made.migration("f1", None, FIRST)
    made.db("upgrade").assert_ok()
    env = made.package / "migrations" / "env.py"
    env.write_text(ENDS + env.read_text())
    return made


def alone(*lines):
    """Statements that stand by themselves."""
    return "\n    ".join(["with op.get_context().autocommit_block():", *lines])


def numbers(url):
    return clients.rows(url, "SELECT n FROM post ORDER BY id")


@pytest.mark.parametrize("at", ["INSERT INTO alembic_log", "FROM alembic_log"])
def test_nothing_goes_on_without_the_lock_and_the_log(project, server_url, kind, at):
    half = ["op.execute('UPDATE post SET n = n + 1')", "op.create_index('ix_n', 'post', ['n'])"]
    project.migration("f2", "f1", alone(*half, STOPS))
    project.db("upgrade").assert_one_sentence("nowhere")
    assert numbers(server_url) == [(2,), (6,)]
    project.migration("f2", "f1", alone(*half))
    lost = project.db("upgrade", AT=at, LATE=LOCK[kind])
    lost.assert_one_sentence("why the server ended")
    assert numbers(server_url) == [(2,), (6,)]
    project.db("upgrade").assert_ok()
    assert numbers(server_url) == [(2,), (6,)]


def test_a_connection_that_is_lost_while_a_plan_is_made_is_said_in_one_sentence(project, kind):
    project.migration("f2", "f1", "op.drop_column('post', 'n')")
    project.configure(ZERO_DOWNTIME=True)
    lost = project.db("upgrade", AT=LIMITS[kind])
    lost.assert_one_sentence("why the server ended the connection")
    assert "PendingRollback" not in lost.err


def test_a_revision_that_is_done_stays_done_where_the_run_is_stopped_behind_it(project, server_url):
    back = "op.drop_column('post', 'm')"
    project.migration("f2", "f1", "op.add_column('post', sa.Column('m', sa.Integer))", back)
    stopped = project.db("upgrade", LATE="UPDATE alembic_version", STOPS="1")
    assert stopped.code == 143, stopped.said
    assert "f2" in project.db("current").out
    outcomes = clients.rows(server_url, "SELECT outcome FROM alembic_log ORDER BY id")
    assert outcomes == [("done",), ("done",)]
    project.db("downgrade", "f1").assert_ok()
    columns = inspect(databases.engine(server_url)).get_columns("post")
    assert [one["name"] for one in columns] == ["id", "n"]


def test_a_backfill_that_is_done_needs_its_table_no_more(project, server_url):
    fill = "import flask_keel\npost = sa.table('post', sa.column('id'), sa.column('n'))\n"
    fill += "flask_keel.backfill(post, None, {'n': post.c.n + 1})\n"
    steps = [fill, "op.execute('CREATE TABLE kept AS SELECT n FROM post')", "op.drop_table('post')"]
    after = "\n".join((steps[0], alone(*steps[1:], STOPS)))
    project.migration("f2", "f1", after)
    project.db("upgrade").assert_one_sentence("nowhere")
    project.migration("f2", "f1", after.removesuffix(f"\n    {STOPS}"))
    project.db("upgrade").assert_ok()
    assert sorted(clients.rows(server_url, "SELECT n FROM kept")) == [(2,), (6,)]


def test_what_was_required_before_a_step_that_stands_is_not_asked_again(project, server_url):
    after = alone(
        "import flask_keel",
        "flask_keel.require_no_nulls('post', 'n')",
        "op.alter_column('post', 'n', nullable=False, existing_type=sa.Integer())",
        "op.alter_column('post', 'n', new_column_name='m', existing_type=sa.Integer())",
        STOPS,
    )
    project.migration("f2", "f1", after)
    project.db("upgrade").assert_one_sentence("nowhere")
    project.migration("f2", "f1", after.removesuffix(f"\n    {STOPS}"))
    project.db("upgrade").assert_ok()
    assert clients.rows(server_url, "SELECT m FROM post ORDER BY id") == [(1,), (5,)]


def test_what_stands_of_an_earlier_try_is_said_before_the_next_has_met_it(project):
    steps = ["op.execute('UPDATE post SET n = n + 1')", STOPS]
    project.migration("f2", "f1", alone(*steps))
    project.db("upgrade").assert_one_sentence("nowhere")
    project.migration("f2", "f1", "op.get_bind().execute(sa.text('SELECT x'))\n" + alone(*steps))
    project.db("upgrade").assert_one_sentence(
        "of this revision 1 of an earlier try cannot be undone"
    )


# before the server is told that each statement is to stand
ENDED = """own = op.get_bind()
driver, dialect, number = own.connection.driver_connection, own.dialect, own.execute(sa.text({asks})).scalar()
sets, other = dialect.set_isolation_level, sa.create_engine(own.engine.url)
def ends(connection, level):
    if connection is driver or connection is getattr(driver, "driver_connection", None):
        with other.connect() as there:
            there.execute(sa.text({end} % number))
    sets(connection, level)
dialect.set_isolation_level = ends
with op.get_context().autocommit_block():
    op.execute("SELECT 1")
"""
ENDING = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s)"),
    "mysql": ("SELECT connection_id()", "KILL %s"),
}


def test_a_connection_that_ends_before_a_block_is_no_fault_of_the_file(project, kind):
    asks, end = map(repr, ENDING[kind])
    project.migration("f2", "f1", ENDED.format(asks=asks, end=end))
    project.db("upgrade").assert_one_sentence("look why the server ended the connection")
