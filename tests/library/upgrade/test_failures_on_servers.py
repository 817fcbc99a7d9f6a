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
    made.configure(ZERO_DOWNTIME=False)  # a revision is one transaction where it can be
    made.migration(
        "aaaa00000001",
        None,
        'op.create_table("first", sa.Column("id", sa.Integer, primary_key=True))',
        'op.drop_table("first")',
    )
    return made


def tables(url):
    return set(inspect(databases.engine(url)).get_table_names()) - {
        "alembic_version",
        "alembic_log",
    }


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


CAUSES = {
    "rows": (
        "op.execute('INSERT INTO first VALUES (1)')\nop.execute('INSERT INTO first VALUES (1)')",
        "change the rows that do not fit",
    ),
    "file": ("op.execute('INSERT INTO nowhere VALUES (1)')", "mend the file and try again"),
    "python": ("1 / 0", "ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_the_sentence_says_who_can_mend_it_and_where_the_database_is(project, server_url, cause):
    code, said = CAUSES[cause]
    project.migration("aaaa00000002", "aaaa00000001", code)
    for _ in range(2):  # nothing is undone on a second try either, where nothing is undone
        answer = project.db("upgrade")
        answer.assert_one_sentence("aaaa00000002_by_hand.py, line", said, "being at aaaa00000001")
        undone = "what this revision did is undone" in answer.err
        assert undone is (make_url(server_url).get_backend_name() == "postgresql")
        assert ("mend the file" in answer.err) is (cause != "rows")
    assert clients.rows(server_url, "SELECT * FROM first") == []


def test_a_second_try_on_mysql_does_not_call_undone_what_the_first_one_left(
    new_project, mariadb_server
):
    with databases.fresh(mariadb_server) as url:
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        create = "op.create_table('first', sa.Column('id', sa.Integer))"
        project.migration("aaaa00000001", None, f"{create}\n1 / 0")
        first = project.db("upgrade")
        first.assert_one_sentence("'CREATE TABLE first", "stands", "being at the base")
        second = project.db("upgrade")
        second.assert_one_sentence("division", "1 of an earlier try", "being at the base")
        assert "did is undone" not in second.err


def test_a_missing_privilege_is_for_an_administrator(project, server_url):
    url = make_url(server_url)
    name = "poor" if url.get_backend_name() == "mysql" else "poor_role"
    if url.get_backend_name() == "mysql":
        clients.run(
            server_url,
            f"CREATE USER {name}@localhost",
            f"GRANT SELECT, INSERT, UPDATE, CREATE ON `{url.database}`.* TO {name}@localhost",
        )
        drop = f"DROP USER {name}@localhost"
    else:
        clients.run(
            server_url, f"CREATE ROLE {name} LOGIN", f"GRANT ALL ON SCHEMA public TO {name}"
        )
        drop = f"DROP OWNED BY {name}"
    try:
        project.db("upgrade").assert_ok()
        if url.get_backend_name() == "postgresql":
            clients.run(server_url, f"GRANT ALL ON alembic_version TO {name}")
        project.migration("aaaa00000002", "aaaa00000001", "op.drop_table('first')")
        poor = url.set(username=name).render_as_string(hide_password=False)
        answer = project.db("upgrade", DEV_DATABASE_URL=poor)
        answer.assert_one_sentence("let an administrator grant", "at aaaa00000001")
        assert "mend the file" not in answer.err
    finally:
        clients.run(server_url, drop)
        if url.get_backend_name() == "postgresql":
            clients.run(server_url, f"DROP ROLE {name}")


def test_a_lock_that_somebody_holds_is_no_fault_of_the_file(project, server_url):
    postgresql = make_url(server_url).get_backend_name() == "postgresql"
    project.db("upgrade").assert_ok()
    wait = "SET LOCAL lock_timeout = 200" if postgresql else "SET lock_wait_timeout = 1"
    alter = "op.add_column('first', sa.Column('more', sa.Integer))"
    conf = project.path / "etc/conf/dev.conf"
    conf.write_text(f"{conf.read_text()}\nMIGRATION_RETRIES = 0\n")
    project.migration("aaaa00000002", "aaaa00000001", f"op.execute('{wait}')\n{alter}")
    with databases.engine(server_url).connect() as other:
        other.exec_driver_sql("BEGIN")
        other.exec_driver_sql("INSERT INTO first VALUES (1)")
        answer = project.db("upgrade")
        answer.assert_one_sentence("the session that holds the lock", "being at aaaa00000001")
        assert "mend the file" not in answer.err
        other.exec_driver_sql("ROLLBACK")
    project.db("upgrade").assert_ok()


def test_another_process_that_migrates_meanwhile_is_named(project, server_url):
    project.db("upgrade").assert_ok()
    moved = (
        "from sqlalchemy import create_engine\n"
        "other = create_engine(op.get_bind().engine.url)\n"
        "with other.begin() as connection:\n"
        "    connection.execute(sa.text(\"UPDATE alembic_version SET version_num = 'aaaa00000009'\"))\n"
    )
    project.migration("aaaa00000002", "aaaa00000001", moved)
    project.migration("aaaa00000009", "aaaa00000002", "pass")
    answer = project.db("upgrade")
    answer.assert_one_sentence("another process", "at aaaa00000009", "at the same time")
    assert "mend the file" not in answer.err


def test_what_the_server_refuses_at_the_commit_is_not_taken_for_a_server_that_does_not_answer(
    new_project, postgresql_server
):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.migration(
            "aaaa00000001",
            None,
            "op.execute('CREATE TABLE a (id integer PRIMARY KEY, "
            "b integer REFERENCES a DEFERRABLE INITIALLY DEFERRED)')",
        )
        project.migration(
            "aaaa00000002", "aaaa00000001", "op.execute('INSERT INTO a VALUES (1, 7)')"
        )
        answer = project.db("upgrade")
        answer.assert_one_sentence("violates foreign key", "change the rows", "at aaaa00000001")
        assert clients.rows(url, "SELECT version_num FROM alembic_version") == [("aaaa00000001",)]


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
    for command in (["upgrade", "--sql"], ["check"]):
        answer = project.db(*command)
        answer.assert_one_sentence(f"{reading.name}, line 12: it opens a connection of its own")
        assert answer.out == ""
    # make db runs the history as an upgrade does, on the database that is to take the old one's place
    answer = project.db("rebuild")
    answer.assert_one_sentence(f"{reading.name}, line 12: ResourceClosedError", "is as it was")
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
