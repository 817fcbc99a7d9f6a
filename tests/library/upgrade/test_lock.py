"""One migrator at a time, on each database, with real processes."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import clients
import databases
import pymysql
import pytest
from serving import free_port
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from flask_keel import waiting
from flask_keel.errors import sentence

from .waiting_migrations import WAITS, wait_for

ROUNDS = range(20 if os.environ.get("LONG_DRILLS") else 2)
# each a process of its own, forked after the imports so that they meet at the database
EIGHT_AT_ONCE = """
import os, sys
import flask_keel.cli
from my_app.cli import db
sys.argv = ["db", "upgrade"]
children = []
for number in range(8):
    if not (child := os.fork()):
        said = os.open(f"said{number}", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(said, 1), os.dup2(said, 2)
        db()
    children.append(child)
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def rows(project, query):
    url = project.env.get("DEV_DATABASE_URL")
    if url:
        return clients.rows(url, query)
    with closing(sqlite3.connect(project.database)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.one_of_each
@pytest.mark.parametrize("round_", ROUNDS)
@pytest.mark.parametrize("begun", [False, True], ids=["from empty", "from half-way"])
def test_of_eight_at_once_each_revision_runs_once_and_all_end_well(any_database, begun, round_):
    project = any_database
    project.migration("f1", None, "op.create_table('done', sa.Column('step', sa.String(9)))")
    for number in (2, 3):
        project.migration(
            f"f{number}", f"f{number - 1}", f"op.execute(\"INSERT INTO done VALUES ('{number}')\")"
        )
    if begun:
        project.db("upgrade", "f1").assert_ok()
    ran = project.warm(sys.executable, "-c", EIGHT_AT_ONCE, PYTHONPATH=str(project.path))
    said = [(project.path / f"said{number}").read_text() for number in range(8)]
    assert ran.out.split() == ["0"] * 8, said
    assert sum("upgrade f3" in text for text in said) == 1, said
    assert sorted(rows(project, "SELECT step FROM done")) == [("2",), ("3",)]
    assert rows(project, "SELECT version_num FROM alembic_version") == [("f3",)]


@pytest.fixture
def on_a_server(new_project, server_url):
    project = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    project.env["DEV_DATABASE_URL"] = server_url
    return project


@contextmanager
def migrating(project):
    """Another process that is in the middle of revision f1 until the file ``go`` is there."""
    process = project.start(*project.manage, "db", "upgrade", "f1")
    try:
        wait_for(project.path / "begun", process)
        yield process
    finally:
        (project.path / "go").touch()
        process.communicate(timeout=60)


def test_who_waits_says_for_whom_and_gives_up_in_time(on_a_server):
    on_a_server.migration("f1", None, WAITS)
    conf = on_a_server.path / "etc/conf/dev.conf"
    with migrating(on_a_server):
        conf.write_text(f"{conf.read_text()}\nMIGRATION_LOCK_WAIT = 0.3\n")
        answer = on_a_server.db("upgrade").assert_one_sentence(
            "is still being migrated by another session (", "MIGRATION_LOCK_WAIT", "try again"
        )
    waiting = answer.err.splitlines()[0]
    assert "is being migrated by another session (" in waiting and "waiting" in waiting
    on_a_server.db("upgrade").assert_ok()
    assert "f1" in on_a_server.db("current").out


def test_a_waiter_finds_nothing_left_to_do(on_a_server):
    on_a_server.migration("f1", None, WAITS)
    with migrating(on_a_server) as first:
        second = on_a_server.start(*on_a_server.manage, "db", "upgrade")
        assert "waiting" in second.stderr.readline()
        (on_a_server.path / "go").touch()
        _, err = second.communicate(timeout=60)
        assert second.returncode == 0
        assert "is at f1: nothing to do." in err
        first.wait(60)
        assert first.returncode == 0


def test_another_database_of_the_server_is_migrated_meanwhile(on_a_server, server, new_project):
    on_a_server.migration("f1", None, WAITS)
    with migrating(on_a_server), databases.fresh(server) as url:
        other = new_project(starter="bare", database=make_url(url).get_backend_name())
        other.env["DEV_DATABASE_URL"] = url
        other.migration("f1", None, "pass")
        answer = other.db("upgrade").assert_ok()
        assert "waiting" not in answer.err


def test_a_run_with_nothing_to_do_waits_for_nobody(any_database):
    project = any_database
    project.migration("f1", None, "op.create_table('one', sa.Column('id', sa.Integer))")
    project.db("upgrade").assert_ok()
    project.migration("f2", "f1", WAITS)
    process = project.start(*project.manage, "db", "upgrade")
    try:
        wait_for(project.path / "begun", process)
        answer = project.db("upgrade", "f1").assert_ok()
        assert "waiting" not in answer.err and "at f1: nothing to do" in answer.err
    finally:
        (project.path / "go").touch()
        process.communicate(timeout=60)


ORPHAN = {
    "postgresql": "INSERT INTO log SELECT 'orphan', clock_timestamp() FROM pg_sleep(2)",
    "mysql": "INSERT INTO log SELECT 'orphan', SYSDATE(6) FROM (SELECT SLEEP(2)) s",
}
NOW = {"postgresql": "statement_timestamp()", "mysql": "NOW(6)"}
SLOW_ONCE = """
import pathlib
with op.get_context().autocommit_block():
    if not pathlib.Path("begun").exists():
        pathlib.Path("begun").touch()
        op.execute({orphan!r})
    op.execute({second!r})
"""


def test_the_lock_of_a_killed_migrator_is_free_when_its_last_statement_has_ended(on_a_server):
    kind = make_url(on_a_server.env["DEV_DATABASE_URL"]).get_backend_name()
    moment = "TIMESTAMPTZ" if kind == "postgresql" else "DATETIME(6)"
    on_a_server.migration("f1", None, f"op.execute('CREATE TABLE log (who TEXT, at {moment})')")
    on_a_server.db("upgrade").assert_ok()
    second = f"INSERT INTO log VALUES ('second', {NOW[kind]})"
    on_a_server.migration("f2", "f1", SLOW_ONCE.format(orphan=ORPHAN[kind], second=second))
    first = on_a_server.start(*on_a_server.manage, "db", "upgrade")
    wait_for(on_a_server.path / "begun", first)
    time.sleep(0.5)  # the statement is on its way
    first.send_signal(signal.SIGKILL)
    first.communicate()
    on_a_server.db("upgrade").assert_ok()
    order = rows(on_a_server, "SELECT who FROM log ORDER BY at")
    # a server may end what a dead client asked; what it does not end, it ends before the second begins
    assert order in ([("orphan",), ("second",)], [("second",)]), order


@contextmanager
def pooler(url, mode):
    """A PgBouncer in front of the server; give the URL through it."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        databases.missing("no PgBouncer: apt-get install pgbouncer")
    parsed, port = make_url(url), free_port()
    folder = Path(tempfile.mkdtemp(prefix="pooler-"))
    folder.chmod(0o777)
    (folder / "ini").write_text(
        f"[databases]\n* = host={parsed.query['host']} user={parsed.username}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = {mode}\n"
        f"unix_socket_dir =\nlogfile = {folder}/log\npidfile = {folder}/pid\n"
    )
    user = ["-u", Path(parsed.query["host"]).owner()] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, *user, str(folder / "ini")], stderr=subprocess.DEVNULL)
    through = parsed.set(host="127.0.0.1", port=port, query={})
    try:
        ends = time.monotonic() + 30
        while True:
            try:
                databases.engine(str(through)).connect().close()
                break
            except Exception:
                assert process.poll() is None and time.monotonic() < ends
                time.sleep(0.1)
        yield str(through)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_that_shares_sessions_is_named_before_anything_is_changed(
    new_project, postgresql_server, mode
):
    with databases.fresh(postgresql_server) as url, pooler(url, mode) as through:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = through
        project.migration("f1", None, "op.create_table('one', sa.Column('id', sa.Integer))")
        answer = project.db("upgrade")
        if mode == "session":
            answer.assert_ok()
            return
        answer.assert_one_sentence("a pooler in transaction mode", "the server's own address")
        assert clients.rows(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [
            (0,)
        ]


def ended_by_another(number=1213):
    """What PyMySQL says on a Galera cluster of a transaction whose table another node changes."""
    said = pymysql.err.OperationalError(number, "Deadlock found when trying to get lock")
    return OperationalError(None, None, said)


def test_who_only_looks_looks_again_where_another_node_s_ddl_ended_it():
    errors = [ended_by_another(), ended_by_another()]

    def look():
        if errors:
            raise errors.pop()
        return "seen"

    assert waiting.undisturbed(look) == "seen"
    errors.append(ended_by_another(1064))
    with pytest.raises(OperationalError):
        waiting.undisturbed(look)


def test_a_deadlock_is_not_called_a_server_that_does_not_answer():
    said = sentence(ended_by_another(), "mysql://root@localhost/app")
    assert "Deadlock found" in said and "No database server answers" not in said
