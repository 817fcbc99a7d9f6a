"""`make install` and `make install-prod`: what uv.lock says, with the tools and without them."""

import importlib.metadata
import os
import tomllib

import projects
import pytest
from installed import Installed, with_uv

pytestmark = pytest.mark.xdist_group("installed")


@pytest.fixture(scope="module")
def server(generated, tmp_path_factory):
    """A checkout on a server, installed by uv from its lock file, with an extra."""
    copy = projects.copy(generated(), tmp_path_factory.mktemp("server"))
    project = Installed(copy.path, copy.module, {"PATH": with_uv()})
    project.run("uv", "lock", "--quiet").assert_ok()
    project.make("install-prod", "extras=sentry", "SETTINGS=prod.conf").assert_ok()
    return project


def packages(project):
    (site,) = (project.path / ".venv/lib").glob("python3*/site-packages")
    found = importlib.metadata.distributions(path=[str(site)])
    return {one.metadata["Name"].lower().replace("_", "-"): one.version for one in found}


def test_uv_writes_a_lock_file_that_is_up_to_date(application):
    application.typed("uv lock --check").assert_ok()
    lock = tomllib.loads((application.path / "uv.lock").read_text())
    locked = {one["name"]: one["version"] for one in lock["package"]}
    there = packages(application)
    assert {"flask", "flask-keel", "pytest", "ruff"} <= set(there)
    assert {name: locked.get(name) for name in there} == there


def test_a_lock_file_of_somebody_else_is_installed_by_the_next_target(application):
    for path in (application.path / "pyproject.toml", *application.path.glob("vendor/*")):
        os.utime(path, (0, 0))
    os.utime(application.stamp, (1, 1))
    os.utime(application.path / "uv.lock", (1, 1))
    assert "uv sync" not in application.make("-n", "migrate").assert_ok().out
    os.utime(application.path / "uv.lock", (2, 2))
    assert "uv sync" in application.make("-n", "migrate").assert_ok().out


def test_a_server_has_the_application_its_extra_and_no_tool(server):
    there = packages(server)
    assert {"flask", "flask-keel", "gunicorn", "my-app", "sentry-sdk"} <= set(there)
    assert not {"pytest", "ruff", "libcst"} & set(there)
    server.run("uv", "pip", "check", "--python", ".venv/bin/python").assert_ok()


def test_a_server_migrates_without_the_tools(server, tmp_path):
    url = f"sqlite:///{tmp_path}/prod.db"
    server.make("migrate", "SETTINGS=prod.conf", DATABASE_URL=url).assert_ok()
    assert server.make("status", "SETTINGS=prod.conf", DATABASE_URL=url).assert_ok()
    answer = server.make("lint", "SETTINGS=prod.conf")
    assert answer.code != 0 and "type make install" in answer.err


@pytest.mark.drill
def test_tools_that_were_there_go(application):
    application.make("install-prod").assert_ok()
    try:
        assert not {"pytest", "ruff", "libcst"} & set(packages(application))
        assert not application.stamp.exists()
    finally:
        application.make("install").assert_ok()
    assert "pytest" in packages(application)
    assert not application.stamp.with_name(".installed-prod").exists()


def test_a_server_refuses_a_lock_file_that_is_not_of_this_pyproject(server):
    before = packages(server)
    text = (server.path / "pyproject.toml").read_text()
    server.replace("pyproject.toml", '"gunicorn>=23"', '"gunicorn>=23", "itsdangerous>=2"')
    answer = server.make("install-prod")
    server.write("pyproject.toml", text)
    assert answer.code != 0 and "uv lock" in answer.err
    assert packages(server) == before


@pytest.mark.parametrize("extras", ["a b", "$(touch {0})", "sentry;touch {0}", "`touch {0}`"])
def test_what_is_no_list_of_extras_is_a_sentence(application, tmp_path, extras):
    file = tmp_path / "executed"
    answer = application.make("install", f"extras={extras.format(file)}")
    assert answer.code != 0 and "Traceback" not in answer.said
    (said,) = (line for line in answer.err.splitlines() if line.startswith("Error: "))
    assert "is no list of names" in said and not file.exists()


def test_an_extra_that_is_not_there_is_a_sentence_and_nothing_is_installed(application):
    before = application.stamp.stat().st_mtime_ns
    answer = application.make("install", "extras=Sentry,sentri")
    assert answer.code != 0 and "pyproject.toml has no extra sentri under" in answer.err
    assert "but sentry, postgresql, mysql: type extras=" in answer.err
    assert application.stamp.stat().st_mtime_ns == before


@pytest.mark.drill
def test_within_a_workspace_of_uv_a_project_has_an_environment_of_its_own(generated, tmp_path):
    members = '[project]\nname = "all"\nversion = "0"\nrequires-python = ">=3.11"\n\n'
    members += '[tool.uv.workspace]\nmembers = ["my-*"]\n'
    (tmp_path / "pyproject.toml").write_text(members)
    copy = projects.copy(generated(), tmp_path)
    project = Installed(copy.path, copy.module, {"PATH": with_uv()})
    project.make("migrate").assert_ok()
    assert "flask" in packages(project) and not (tmp_path / ".venv").exists()
