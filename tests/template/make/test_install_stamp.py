"""The environment: made once, free for every other target, never made for production."""

import os
import shutil

import pytest
from installed import Installed, with_uv, without_uv

pytestmark = pytest.mark.xdist_group("installed")


def commands(application, target):
    """What make would run, and nothing that it ran to find that out: there is no PATH."""
    answer = application.run(shutil.which("make"), "-n", target, PATH="/nowhere").assert_ok()
    assert answer.err == ""
    return [line.rstrip() for line in answer.out.splitlines()]


def make_older(stamp):
    """As if pyproject.toml had changed since."""
    os.utime(stamp, (0, 0))


def test_these_tests_share_one_installation_on_several_workers_too(request):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("there is one process")
    assert request.node.nodeid.endswith("@installed"), "each worker installs it: see pyproject.toml"


def test_a_fresh_stamp_starts_no_process(application):
    assert commands(application, "migrate") == [".venv/bin/db upgrade"]
    assert commands(application, "db") == [".venv/bin/db rebuild"]


def test_a_changed_pyproject_installs_again(application):
    make_older(application.stamp)
    planned = commands(application, "migrate")
    assert any("pip install" in line for line in planned)
    assert planned[-1] == ".venv/bin/db upgrade"


@pytest.mark.parametrize("target", ["migrate", "install", "server", "shell"])
def test_nothing_is_installed_for_production(application, target):
    make_older(application.stamp)
    answer = application.make(target, "SETTINGS=prod.conf", DATABASE_URL="sqlite:////nowhere/x.db")
    assert answer.code != 0
    errors = [line for line in answer.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "SETTINGS=prod.conf" in errors[0] and "type make install" in errors[0]
    assert application.stamp.stat().st_mtime == 0


def test_test_conf_may_install(application):
    make_older(application.stamp)
    answer = application.make("-n", "migrate", "SETTINGS=test.conf").assert_ok()
    assert "pip install" in answer.out


def test_targets_run_in_the_order_in_which_they_are_typed_with_j4_too(application):
    # in parallel, the second would find no database
    application.make("-j4", "db", "downgrade").assert_ok()
    assert application.revision == "3f8a1c52d7e0"


@pytest.mark.parametrize("name", ['a"b', "a$b", "a`b", "a\\b"])
def test_pip_refuses_a_folder_in_which_its_commands_would_not_start(generated, tmp_path, name):
    project = Installed(tmp_path / name, env={"PATH": without_uv(tmp_path / "bin")})
    shutil.copytree(generated().path, project.path, symlinks=True)
    answer = project.make("install")
    assert answer.code != 0
    assert "rename it, or install uv" in answer.err
    assert not (project.path / ".venv").exists()


def test_without_a_python_that_is_new_enough_a_sentence_says_so(generated, tmp_path):
    project = Installed(tmp_path / "project")
    shutil.copytree(generated().path, project.path, symlinks=True)
    tools = tmp_path / "bin"
    without_uv(tools)
    (tools / "python3").unlink()
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    answer = project.make("install", PATH=str(tools))
    assert answer.code != 0
    assert "Python 3.11 or newer is not here" in answer.err


def test_an_install_that_fails_leaves_no_stamp(generated, tmp_path):
    project = Installed(tmp_path / "project", env={"PATH": with_uv()})
    shutil.copytree(generated().path, project.path, symlinks=True)
    project.replace("pyproject.toml", '"gunicorn>=23"', '"gunicorn>=23", "no such thing"')
    assert project.make("install").code != 0
    assert not project.stamp.exists()


@pytest.mark.drill
def test_an_environment_that_works_stays_and_one_whose_python_is_gone_is_made_anew(
    generated, tmp_path
):
    """Another Python would leave half of itself in it, and neither would start."""
    project = Installed(tmp_path / "project", env={"PATH": without_uv(tmp_path / "bin")})
    shutil.copytree(generated().path, project.path, symlinks=True)
    project.replace("pyproject.toml", '"gunicorn>=23"', '"gunicorn>=23", "no such thing"')
    python, config = project.path / ".venv/bin/python", project.path / ".venv/pyvenv.cfg"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nowhere/python")
    project.make("install")
    project.run(str(python), "-c", "import math").assert_ok()
    config.write_text(f"{config.read_text()}ours = 1\n")
    project.make("install")
    assert "ours = 1" in config.read_text()
