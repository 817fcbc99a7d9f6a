"""`db`, `my-app db`, `flask --app my_app db` and `bin/manage.py db`: the same commands everywhere."""

import os
import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("installed")

WAYS = ["db", "my-app db", "flask --app my_app db", '"$0/bin/manage.py" db']
# those that Flask-Migrate documents, and those that are added
COMMANDS = """
    init revision migrate edit merge upgrade downgrade show history heads branches current stamp
    check list-templates rebuild sqlite-safe backup restore
"""


@pytest.fixture(params=WAYS)
def way(request, application):
    """Type a command in an activated environment: ``way("current", cwd=...)``."""
    return lambda command, **env: application.typed(f"{request.param} {command}", **env)


@pytest.mark.some(1)
def test_each_way_lists_the_same_commands(way):
    listed = way("--help").assert_ok().out.partition("Commands:")[2]
    assert set(re.findall(r"^  ([a-z-]+)", listed, re.MULTILINE)) >= set(COMMANDS.split())


@pytest.mark.some(2)
def test_each_way_does_the_same_from_any_folder(application, way, tmp_path):
    answer = way("upgrade", cwd=tmp_path).assert_ok()
    assert "upgrade 8b27e4a9c610  add summary and published_at to post" in answer.err
    assert application.revision == "8b27e4a9c610"
    assert list(tmp_path.iterdir()) == []
    wrong = way("upgrade nowhere", cwd=tmp_path)
    wrong.assert_one_sentence("There is no revision nowhere", "db history")


@pytest.mark.drill
def test_settings_in_front_of_the_command_work_as_typed(application, tmp_path):
    url = f"sqlite:///{tmp_path}/production.db"
    command = "SETTINGS=prod.conf db upgrade && SETTINGS=prod.conf db current"
    answer = application.typed(command, cwd=tmp_path, DATABASE_URL=url).assert_ok()
    assert "8b27e4a9c610 (head)" in answer.out
    assert not application.database.exists()


def test_the_application_has_a_help_of_its_own(application):
    answer = application.typed("my-app --help").assert_ok()
    assert "my-app: run, shell, routes, db and your own commands." in answer.out
    for command in ("db ", "routes ", "run ", "shell "):
        assert f"\n  {command}" in answer.out
    assert "Change the database" in answer.out


def test_a_command_of_ones_own_is_found(application):
    application.replace(
        "my_app/cli.py",
        "def db() -> None:",
        '@main.command()\ndef greet():\n    """Say hello."""\n    click.echo("Hello!")\n\n\n'
        "def db() -> None:",
    )
    assert application.typed("my-app greet").assert_ok().out == "Hello!\n"


def test_manage_uses_the_environment_of_the_project_when_its_python_has_no_flask(application):
    python = Path(sys.executable).resolve()  # without the packages of the tests
    manage = str(application.path / "bin/manage.py")
    application.run(str(python), manage, "db", "upgrade", cwd=Path("/")).assert_ok()
    assert application.revision == "8b27e4a9c610"


def test_manage_says_what_to_type_when_nothing_is_installed(generated):
    python, project = Path(sys.executable).resolve(), generated()
    for _ in range(2):
        answer = project.run(str(python), "bin/manage.py", "db", "upgrade")
        answer.assert_one_sentence("not installed", "make install")
        project.write(".venv/bin/python", "which only another user may run")


def test_manage_is_executable(generated):
    assert os.access(generated().path / "bin/manage.py", os.X_OK)


LATE = """
import sys
import my_app

def late():
    return sorted({name.split(".")[0] for name in sys.modules} & {"alembic", "flask_migrate", "libcst"})

app = my_app.create_app()
print("started", late())
assert app.test_client().get("/").status_code == 200
print("asked", late())
assert app.test_client().get("/readyz").status_code == 200
"""


def test_a_server_starts_and_answers_without_alembic(blog):
    blog.db("upgrade").assert_ok()
    answer = blog.run(sys.executable, "-c", LATE).assert_ok()
    assert answer.out == "started []\nasked []\n"


HEALTH = """
import my_app
answer = my_app.create_app().test_client().get("/readyz")
print(answer.status_code, answer.json)
"""


def test_health_says_whether_the_database_is_what_the_code_expects(blog):
    def health(**env):
        return blog.warm(sys.executable, "-c", HEALTH, **env).assert_ok().out.strip()

    behind = "503 {'database': 'ok', 'schema': 'behind'}"
    assert health() == "503 {'database': 'unreachable'}"  # nothing is made for a question
    blog.db("upgrade", "3f8a1c52d7e0").assert_ok()
    assert health() == behind
    blog.db("upgrade").assert_ok()
    assert health() == "200 {'database': 'ok', 'schema': 'at head'}"
    nowhere = {"DEV_DATABASE_URL": "postgresql://app:hunter2@127.0.0.1:1/shop"}
    assert health(**nowhere) == "503 {'database': 'unreachable'}"
