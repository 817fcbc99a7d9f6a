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
