"""Ctrl-C and SIGTERM on a server: the sentence is true, and the next upgrade goes on."""

import signal
import time

import clients
import databases
import pytest
from sqlalchemy import inspect, make_url

SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"]
)
BEGUN = """op.create_table("second", sa.Column("id", sa.Integer, primary_key=True), if_not_exists=True)
op.execute("INSERT INTO first VALUES (7)")
import pathlib, time
pathlib.Path("begun").touch()
"""
# where the signal finds it: in Python, in a query, in a statement that MySQL commits by itself
WAITS = {
    "Python": {"postgresql": "time.sleep(60)", "mysql": "time.sleep(60)"},
    "a query": {
        "postgresql": 'op.execute("SELECT pg_sleep(60)")',
        "mysql": 'op.execute("SELECT SLEEP(60)")',
    },
    "a statement": {
        "postgresql": 'op.execute("CREATE TABLE third AS SELECT 1 AS x FROM pg_sleep(60)")',
        "mysql": 'op.execute("CREATE TABLE third AS SELECT SLEEP(60) AS x")',
    },
}


@pytest.fixture
def project(new_project, server_url):
    made = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    made.env["DEV_DATABASE_URL"] = server_url
    made.configure(ZERO_DOWNTIME=False)  # a revision is one transaction where it can be
    first = 'op.create_table("first", sa.Column("id", sa.Integer, primary_key=True))'
    made.migration("aaaa00000001", None, first)
    made.db("upgrade").assert_ok()
    return made


def tables(url):
    return set(inspect(databases.engine(url)).get_table_names()) - {
        "alembic_version",
        "alembic_log",
    }


@pytest.mark.one_of_each
@SIGNALS
@pytest.mark.parametrize("where", WAITS)
def test_the_sentence_says_what_stands_and_the_next_upgrade_goes_on(
    project, server_url, where, number
):
    kind = make_url(server_url).get_backend_name()
    if databases.MYSQLD and where == "a statement":
        pytest.skip("Oracle's server takes an interrupted SLEEP for one that has ended")
    file = project.migration("aaaa00000002", "aaaa00000001", BEGUN + WAITS[where][kind])
    process = project.start(*project.manage, "db", "upgrade")
    while not (project.path / "begun").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(0.3)  # until the server has the statement
    process.send_signal(number)
    _, err = process.communicate(timeout=40)
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err and err.count("Error: ") == 1
    assert "Stopped by hand" in err and "is at aaaa00000001" in err
    stands = {"first"} if kind == "postgresql" else {"first", "second"}
    assert tables(server_url) == stands
    assert ("'CREATE TABLE IF NOT EXISTS second" in err) == (kind == "mysql"), err
    # a statement that MySQL commits by itself commits what came before it first
    committed = kind == "mysql" and where == "a statement"
    assert ("'INSERT INTO first" in err) == committed, err
    assert clients.rows(server_url, "SELECT * FROM first") == [(7,)] * committed
    file.write_text(file.read_text().replace(WAITS[where][kind], ""))
    project.db("upgrade").assert_ok()
    assert clients.rows(server_url, "SELECT * FROM first") == [(7,)]
    assert tables(server_url) == {"first", "second"}


# what happens to the statement that makes the table third, in a migration that has begun
PATCHED = """
import os, psycopg, pymysql, signal, socket, threading
driver = op.get_bind().connection.driver_connection
def stop():
    os.kill(os.getpid(), signal.SIGTERM)
def cut():
    number = driver._sock.fileno() if hasattr(driver, "_sock") else driver.pgconn.socket
    socket.socket(fileno=os.dup(number)).shutdown(socket.SHUT_RDWR)
def late(cursor):
    run = cursor.execute
    def execute(self, query, *more):
        if "third" in str(query) and os.environ.get("HOW") == "cut":
            threading.Timer(0.5, cut).start()
        ran = run(self, query, *more)
        if "third" in str(query) and os.environ.get("HOW") == "stop":
            stop()
        return ran
    cursor.execute = execute
late(pymysql.cursors.Cursor), late(psycopg.Cursor)
with op.get_context().autocommit_block():
    op.execute("{statement}")
op.execute("INSERT INTO first VALUES (7)")
"""


@pytest.mark.parametrize("how", ["stop", "cut"])
def test_what_came_to_its_end_behind_the_back_of_who_sent_it_is_left_out(project, server_url, how):
    sleep = {"postgresql": "pg_sleep(1.5)", "mysql": "SLEEP(1.5)"}
    select = f"SELECT 1 AS x FROM (SELECT {sleep[make_url(server_url).get_backend_name()]}) AS s"
    body = PATCHED.format(statement=f"CREATE TABLE third AS {select}")
    project.migration("aaaa00000002", "aaaa00000001", body)
    answer = project.db("upgrade", HOW=how)
    assert answer.code == (1 if how == "cut" else 143), answer.said
    if how == "cut":
        answer.assert_one_sentence(
            "whether 'CREATE TABLE third", "why the server ended the connection"
        )
    project.db("upgrade").assert_ok()
    assert tables(server_url) == {"first", "third"}
    assert clients.rows(server_url, "SELECT * FROM third") == [(1,)]
    assert clients.rows(server_url, "SELECT * FROM first") == [(7,)]
