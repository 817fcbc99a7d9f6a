"""Each pair of options together in some project: generated whole, its style and its tests pass."""

import json
import os
import sys
from itertools import combinations, product

import databases
import projects
import pytest
from projects import TEMPLATE

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text())
OPTIONS = {
    key: choices
    for key, choices in QUESTIONS.items()
    if isinstance(choices, list) and not key.startswith("_")
}
MARKS = (b"<<", b"<%", b"<#")


def covering():
    """A small set of projects that holds each pair of options."""
    rows = product(enumerate(OPTIONS["license"]), enumerate(OPTIONS["database"]))
    for (i, license), (j, database) in rows:
        starter = OPTIONS["starter"][(i + j) % 3]
        yield {"license": license, "database": database, "starter": starter}


def one_of(answers):
    # those of one database together, so that its server is started once
    group = pytest.mark.xdist_group(f"matrix-{answers['database']}")
    return pytest.param(answers, id="-".join(answers.values()), marks=group)


def few():
    """Some of those, with each option."""
    rows = list(covering())
    return [rows[number] for number in (0, 4, 8, 9)]


ALL = list(covering())
LOOKED_AT, RUN = (ALL, ALL) if os.environ.get("LONG_DRILLS") else (few(), few()[1:3])
# the blog's own tests run in the story of every target
EACH_KIND = pytest.mark.parametrize("answers", [one_of(a) for a in RUN], indirect=True)


@pytest.fixture(params=[one_of(answers) for answers in LOOKED_AT])
def answers(request):
    return request.param


@pytest.fixture
def project(answers, generated):
    return generated(**answers)


def test_each_pair_of_options_is_in_some_project():
    rows = list(covering())
    assert set(rows[0]) == set(OPTIONS)
    for one, other in combinations(OPTIONS, 2):
        there = {(row[one], row[other]) for row in rows}
        assert there == set(product(OPTIONS[one], OPTIONS[other]))
    for key, choices in OPTIONS.items():
        assert {row[key] for row in few()} == set(choices)
    assert "blog" not in {row["starter"] for row in few()[1:3]}


def test_no_mark_of_the_template_is_left(project):
    for path in project.path.rglob("*"):
        name = str(path.relative_to(project.path)).encode()
        assert not any(mark in name for mark in MARKS)
        assert not path.is_symlink()
        if path.is_file() and path.suffix != ".whl" and "__pycache__" not in path.parts:
            content = path.read_bytes()
            assert not any(mark in content for mark in MARKS), path


def test_only_what_was_asked_for_is_there(project, answers):
    files = {str(path.relative_to(project.path)) for path in project.path.rglob("*")}
    assert ("LICENSE" in files) == (answers["license"] != "none")
    own = {
        "blog": {"my_app/blog.py", "my_app/templates/blog", "tests/test_blog.py"},
        "accounts": {"my_app/accounts.py", "my_app/templates/admin", "tests/test_accounts.py"},
    }
    assert files & set().union(*own.values()) == own.get(answers["starter"], set())
    history = [name for name in files if "versions/" in name and name.endswith(".py")]
    assert len(history) == (0 if answers["starter"] == "bare" else 2)


def test_its_style_is_right(project):
    ruff = sys.executable, "-m", "ruff"
    project.run(*ruff, "check", ".").assert_ok()
    project.run(*ruff, "format", "--check", ".").assert_ok()


@EACH_KIND
def test_it_is_imported_without_a_warning(project):
    script = "import my_app, my_app.cli, my_app.seed; my_app.import_all('my_app.models')"
    answer = project.run(sys.executable, "-W", "error", "-c", script).assert_ok()
    assert answer.said == ""


@pytest.fixture
def database(answers, request):
    """What a test run needs in its environment: a server's URL, where none is embedded."""
    if answers["database"] != "mysql":
        yield {}
        return
    with databases.fresh(request.getfixturevalue("mariadb_server")) as url:
        yield {"DEV_DATABASE_URL": url}


@EACH_KIND
def test_its_own_tests_pass(generated, open_folder, answers, database):
    project = projects.copy(generated(**answers), open_folder)
    command = sys.executable, "-m", "pytest", "-q"
    pytest_run = project.run(*command, timeout=600, SETTINGS="test.conf", **database)
    pytest_run.assert_ok()
    assert " passed" in pytest_run.out
    assert "skipped" not in pytest_run.out and "warning" not in pytest_run.out
