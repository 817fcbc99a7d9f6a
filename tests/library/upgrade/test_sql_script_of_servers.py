"""The printed SQL, read by a plain psql or mariadb on a database that is not what it was made for."""

import subprocess
import time

import clients
import databases
import pytest
import sqlalchemy as sa
from sqlalchemy import create_mock_engine, make_url

from flask_keel.upgrade import sql_script

TABLE = """
op.create_table(
    "thing", sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(20)), sa.Column("n", sa.Integer)
)
op.execute("INSERT INTO thing VALUES (1, 'a', 1), (2, 'b', 1)")
"""
DOUBLE = "op.execute('UPDATE thing SET n = n * 2')\n"
NOT_NULL = "op.alter_column('thing', 'name', existing_type=sa.String(20), nullable=False)\n"
LATER = "op.execute('DROP TABLE thing')"
ALL = "SELECT id, name, n FROM thing ORDER BY id"
VERSION = "SELECT version_num FROM alembic_version"

ON_POSTGRESQL = pytest.mark.parametrize("server", ["postgresql"], indirect=True)
ON_MARIADB = pytest.mark.parametrize("server", ["mariadb"], indirect=True)


@pytest.fixture
def thing(new_project, server, server_url):
    """A project whose database has the table thing, at revision a1."""
    kind = make_url(server_url).get_backend_name()
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = project.url = server_url
    project.transactional = kind == "postgresql"
    project.migration("a1", None, TABLE, "op.drop_table('thing')")
    project.db("upgrade").assert_ok()
    return project


def printed(project, *command):
    return project.db(*(command or ("upgrade", "--sql"))).assert_ok().out


def assert_stops(project, sql, *words):
    ran = clients.program(project.url, sql)
    assert ran.returncode != 0, ran.stdout
    for word in words:
        plain = word.replace(", and", " and").replace(", ", " and ")  # a comma would end MySQL's
        assert word in ran.stderr or plain in ran.stderr
    return ran


def test_nothing_to_do_prints_no_sql_and_says_so(thing):
    for span in ("head", "base"):
        answer = thing.db("upgrade", "--sql", span).assert_ok()
        assert answer.out == "" and "is at a1: nothing to do." in answer.err


def test_a_row_that_does_not_fit_stops_all_that_follows(thing):
    thing.migration("a2", "a1", DOUBLE + NOT_NULL)
    thing.migration("a3", "a2", LATER)
    sql = printed(thing)
    clients.run(thing.url, "INSERT INTO thing VALUES (3, NULL, 1)")
    ran = assert_stops(thing, sql)
    assert clients.rows(thing.url, VERSION) == [("a1",)]
    once = 1 if thing.transactional else 2
    assert clients.rows(thing.url, ALL) == [(1, "a", once), (2, "b", once), (3, None, once)]
    # and again: what stands of it is not done a second time
    again = assert_stops(thing, sql)
    if thing.transactional:
        assert again.stderr == ran.stderr
    else:
        assert "begun: upgrade a1 -> a2" in again.stderr
        assert "ALTER TABLE alembic_version COMMENT = ''" in again.stderr
    assert clients.rows(thing.url, ALL) == [(1, "a", once), (2, "b", once), (3, None, once)]


def test_a_second_run_changes_nothing(thing):
    thing.migration("a2", "a1", DOUBLE)
    sql = printed(thing)
    clients.feed(thing.url, sql)
    assert_stops(thing, sql, "for a database at a1, and this one is at a2", "db upgrade --sql")
    assert clients.rows(thing.url, ALL) == [(1, "a", 2), (2, "b", 2)]


def test_two_runs_at_once_do_it_once(thing):
    slow = "SELECT pg_sleep(0.7)" if thing.transactional else "DO SLEEP(0.7)"
    thing.migration("a2", "a1", DOUBLE + f"op.execute('{slow}')")
    sql = printed(thing)
    command = clients._client(thing.url)
    started = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(2)
    ]
    for process in started:
        process.stdin.write(sql)
        process.stdin.close()
        process.stdin = None
        time.sleep(0.3)
    said = [process.communicate(timeout=60)[1] for process in started]
    assert sorted(process.returncode == 0 for process in started) == [False, True], said
    assert clients.rows(thing.url, ALL) == [(1, "a", 2), (2, "b", 2)]


def test_a_second_downgrade_and_another_way_back_change_nothing(thing):
    thing.migration("a2", "a1", DOUBLE, "op.execute('UPDATE thing SET n = n / 2')")
    thing.db("upgrade").assert_ok()
    sql = printed(thing, "downgrade", "--sql", "--", "-1")
    clients.feed(thing.url, sql)
    assert_stops(thing, sql, "for a database at a2, and this one is at a1", "db downgrade --sql")
    assert clients.rows(thing.url, ALL) == [(1, "a", 1), (2, "b", 1)]
    to_base = printed(thing, "downgrade", "--sql", "a1:base")
    clients.feed(thing.url, to_base)
    assert_stops(thing, to_base, "this one is at the base")
    with databases.engine(thing.url).connect() as connection:
        # Alembic before 1.20 prints that the table goes too
        there = sa.inspect(connection).has_table("alembic_version")
    assert not there or clients.rows(thing.url, VERSION) == []


def test_a_first_upgrade_runs_with_and_without_an_empty_version_table(thing, server):
    thing.migration("a2", "a1", DOUBLE)
    whole = printed(thing, "upgrade", "--sql", "base:head")
    with databases.fresh(server) as twin:
        clients.feed(twin, whole)
        assert clients.rows(twin, VERSION) == [("a2",)]
        ran = clients.program(twin, whole)
        assert ran.returncode != 0 and "for a database at the base" in ran.stderr
    assert_stops(thing, whole, "for a database at the base, and this one is at a1")
    thing.db("downgrade", "base").assert_ok()
    clients.feed(thing.url, printed(thing))
    assert clients.rows(thing.url, ALL) == [(1, "a", 2), (2, "b", 2)]


def test_a_range_runs_where_it_begins_and_nowhere_else(thing, server):
    thing.migration("a2", "a1", DOUBLE)
    thing.migration("a3", "a2", DOUBLE)
    assert_stops(thing, printed(thing, "upgrade", "--sql", "a2:a3"), "for a database at a2")
    assert clients.rows(thing.url, ALL) == [(1, "a", 1), (2, "b", 1)]
    clients.feed(thing.url, printed(thing, "upgrade", "--sql", "a1:a2"))
    clients.feed(thing.url, printed(thing, "upgrade", "--sql", "a2:a3"))
    assert clients.rows(thing.url, ALL) == [(1, "a", 4), (2, "b", 4)]
    with databases.fresh(server) as empty:
        ran = clients.program(empty, printed(thing, "downgrade", "--sql", "a3:a1"))
        assert ran.returncode != 0 and "this one is at the base" in ran.stderr


def test_what_asks_the_database_is_said_to_run_in_an_upgrade_alone(thing):
    asks = "op.get_bind().execute(sa.text('SELECT n FROM thing')).fetchall()"
    for question, name in ((asks, "fetchall"), ("sa.inspect(op.get_bind())", "inspect")):
        thing.migration("a2", "a1", question)
        refused = thing.db("upgrade", "--sql")
        refused.assert_one_sentence(f"it wants {name} of the database, which --sql does not ask")
        assert "NoInspection" not in refused.err and "fault of flask-keel" not in refused.err
    thing.db("upgrade").assert_ok()


def test_of_two_heads_both_are_looked_at(thing):
    thing.migration("a2", "a1", DOUBLE)
    thing.migration("b2", "a1", "op.execute('SELECT 1')")
    thing.db("upgrade", "heads").assert_ok()
    clients.feed(thing.url, printed(thing, "downgrade", "--sql", "a1"))
    assert clients.rows(thing.url, VERSION) == [("a1",)]
    clients.feed(thing.url, printed(thing, "upgrade", "--sql", "heads"))
    thing.migration("a3", ("a2", "b2"), DOUBLE)
    sql = printed(thing)
    clients.run(thing.url, "DELETE FROM alembic_version WHERE version_num = 'b2'")
    assert_stops(thing, sql, "for a database at a2, b2, and this one is at a2")
    clients.run(thing.url, "INSERT INTO alembic_version VALUES ('b2')")
    clients.feed(thing.url, sql)
    assert clients.rows(thing.url, VERSION) == [("a3",)]
    assert clients.rows(thing.url, ALL) == [(1, "a", 8), (2, "b", 8)]


def test_a_lock_that_somebody_holds_stops_it(thing, monkeypatch):
    thing.migration("a2", "a1", DOUBLE + NOT_NULL)
    thing.migration("a3", "a2", LATER)
    sql = printed(thing)
    if thing.transactional:
        monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=200")
    else:
        sql = "SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1;\n" + sql
    with databases.engine(thing.url).connect() as other:
        other.exec_driver_sql("BEGIN")
        other.exec_driver_sql("UPDATE thing SET n = n")
        assert_stops(thing, sql, "lock" if thing.transactional else "Lock")
        other.exec_driver_sql("ROLLBACK")
    assert clients.rows(thing.url, VERSION) == [("a1",)]
    assert clients.rows(thing.url, ALL) == [(1, "a", 1), (2, "b", 1)]


@ON_POSTGRESQL
def test_a_revision_that_stopped_behind_an_autocommit_block_is_not_begun_again(thing):
    block = "with op.get_context().autocommit_block():\n    op.execute({!r})\n"
    index = "CREATE UNIQUE INDEX CONCURRENTLY once ON thing (n)"
    thing.migration("a2", "a1", DOUBLE + block.format(index) + DOUBLE)
    thing.migration("a3", "a2", LATER)
    sql = printed(thing)
    assert_stops(thing, sql, "could not create unique index")
    assert clients.rows(thing.url, ALL) == [(1, "a", 2), (2, "b", 2)]
    assert_stops(thing, sql, "begun: upgrade a1 -> a2", "COMMENT ON TABLE alembic_version IS NULL")
    # a client that goes on, all the same, does not come to the second part without the first
    clients.run(thing.url, "COMMENT ON TABLE alembic_version IS NULL", "DROP INDEX once")
    broken = sql.replace("ON_ERROR_STOP on", "ON_ERROR_STOP off").replace("n * 2", "n / 0", 1)
    clients.program(thing.url, broken)
    assert clients.rows(thing.url, VERSION) == [("a1",)]
    assert clients.rows(thing.url, ALL) == [(1, "a", 2), (2, "b", 2)]


@ON_POSTGRESQL
def test_an_autocommit_block_that_works_leaves_no_mark(thing, server):
    block = "with op.get_context().autocommit_block():\n    op.execute({!r})\n"
    code = block.format("CREATE INDEX CONCURRENTLY ix ON thing (n)")
    thing.migration("a2", "a1", DOUBLE + code + DOUBLE)
    with databases.fresh(server) as twin:
        clients.feed(twin, printed(thing, "upgrade", "--sql", "base:head"))
        thing.db("upgrade").assert_ok()
        assert clients.dump(twin) == clients.dump(thing.url)


@ON_MARIADB
def test_mysql_that_raises_nothing_stops_too(thing):
    """Its guard, on MariaDB, which reads the same statements."""
    dialect = create_mock_engine("mysql://", lambda *_: None).dialect
    sql = sql_script.Guards(dialect, "db upgrade --sql")
    clients.feed(thing.url, sql.at({"a1"}))
    assert_stops(
        thing, sql.at({"a2"}), "This SQL is for a database at a2 and this one is at a1 (run twice?)"
    )
    assert_stops(thing, sql.at(set()), "This SQL is for a database at the base")
    clients.run(thing.url, sql.mark("upgrade a1 -> a2"))
    assert_stops(thing, sql.at({"a1"}), "Printed SQL stopped in the middle")
