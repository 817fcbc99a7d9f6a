"""A scratch database is gone after each command, however it ends, but for the one that is kept."""

import signal
import sys
import time

import databases
import pytest
from sqlalchemy import make_url

# the row in an open transaction would keep MariaDB from dropping the table
HELD = """import os, pathlib, time
op.create_table("held", sa.Column("id", sa.Integer, primary_key=True))
op.execute("INSERT INTO held VALUES (1)")
how = os.environ.get("HOLD")
if how:
    pathlib.Path(os.environ["READY"]).touch()
if how == "server":
    op.execute("SELECT {busy}")
while how == "here" and pathlib.Path(os.environ["READY"]).exists():
    time.sleep(0.05)
if how == "fail":
    raise ValueError("no")"""
# for a minute or more; MariaDB's SLEEP would notice that its client is gone
BUSY = {"postgresql": "pg_sleep(90)", "mysql": "BENCHMARK(400000000, SHA2('a', 256))"}


@pytest.fixture
def project(new_project, server_url):
    kind = make_url(server_url).get_backend_name()
    made = new_project(starter="bare", database=kind)
    made.env["DEV_DATABASE_URL"] = server_url
    made.migration("aaaa00000001", None, HELD.replace("{busy}", BUSY[kind]))
    made.model("held", "id: Mapped[int] = mapped_column(primary_key=True)")
    return made


@pytest.fixture
def scratches(server, server_url):
    """What is there of the scratch databases of this project."""
    stem = f"{make_url(server_url).database}_scratch_"
    return lambda: {name for name in databases.names(server) if name.startswith(stem)}


@pytest.fixture
def passing(scratches):
    """Those that are there for a command alone."""
    return lambda: {name for name in scratches() if "_kept_" not in name}


@pytest.fixture
def begin(project, tmp_path):
    """Start `db check` and wait until its scratch database is in use."""

    def start(name, how):
        ready = tmp_path / name
        process = project.start(*project.manage, "db", "schema", HOLD=how, READY=str(ready))
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.02)
        return process, ready

    return start


def test_success_leaves_the_one_that_is_kept_and_failure_leaves_none(project, scratches, passing):
    project.db("schema", HOLD="fail", READY="/dev/null").assert_one_sentence("ValueError: no")
    assert not scratches()
    project.db("schema").assert_ok()
    assert len(scratches()) == 1 and not passing()


def test_the_tests_of_an_application_leave_none(project, scratches):
    command = sys.executable, "-m", "pytest", "-q", "-k", "definitions_match"
    project.run(*command, SETTINGS="test.conf").assert_ok()
    assert not scratches()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_none(begin, scratches, number):
    process, _ = begin("ready", "server")
    assert len(scratches()) == 1
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in err
    assert not scratches()


def test_the_next_run_removes_what_a_kill_9_left_and_leaves_a_living_process_alone(
    project, begin, scratches, passing
):
    first, one = begin("first", "here")  # it has the one that is kept
    killed, _ = begin("killed", "here")
    left = passing()
    assert len(left) == 1
    killed.kill()
    killed.communicate(timeout=30)
    living, ready = begin("living", "here")  # it sweeps as it begins
    its_own = passing()
    assert len(its_own) == 1 and not its_own & left
    project.db("schema").assert_ok()
    assert passing() == its_own
    for process, held in ((first, one), (living, ready)):
        held.unlink()
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert len(scratches()) == 1 and not passing()
