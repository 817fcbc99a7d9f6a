"""The generated project's wheel, in an environment that has never seen the source tree."""

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import projects
import pytest
from installed import with_uv
from projects import Project
from serving import free_port, get, served

pytestmark = pytest.mark.xdist_group("wheel")

PARTS = """
    my_app/migrations/alembic.ini
    my_app/migrations/env.py
    my_app/migrations/script.py.mako
    my_app/migrations/versions/3f8a1c52d7e0_create_user_and_post.py
    my_app/migrations/versions/8b27e4a9c610_add_summary_and_published_at_to_post.py
    my_app/static/style.css
    my_app/templates/base.html
    my_app/templates/blog/index.html
"""


@dataclass
class Deployed(Project):
    """A wheel in an environment of its own; ``path`` is a folder that is not the project's."""

    environment_folder: Path = field(default_factory=Path)

    def command(self, name: str) -> str:
        return str(self.environment_folder / "bin" / name)

    def environment(self, **env: str | None) -> dict[str, str]:
        return super().environment(**{"PYTHONDONTWRITEBYTECODE": None, **env})

    def db(self, *arguments: str, **env: str | None) -> projects.Answer:
        return self.run(self.command("db"), *arguments, **env)


def run(*command, cwd=None):
    env = {**os.environ, "PATH": with_uv()}
    env.pop("PYTHONPATH", None)
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="session")
def wheel(generated, tmp_path_factory):
    source = projects.copy(generated(), tmp_path_factory.mktemp("source"))
    folder = tmp_path_factory.mktemp("wheel")
    build = sys.executable, "-m", "build", "--wheel", "--installer", "uv"
    run(*build, "--outdir", str(folder), str(source.path))
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def environment(wheel, generated, tmp_path_factory):
    """An environment that holds the wheel and what it asks for, and no tool of development."""
    folder = tmp_path_factory.mktemp("deployed") / "environment"
    run("uv", "venv", "--quiet", "--python", sys.executable, str(folder))
    vendor = generated().path / "vendor"
    install = "uv", "pip", "install", "--quiet", "--python", str(folder / "bin/python")
    run(*install, "--find-links", str(vendor), str(wheel))
    return folder


@pytest.fixture
def deployed(environment, generated, tmp_path):
    """The deployed application on a settings file of /somewhere."""
    (tmp_path / "elsewhere").mkdir()
    conf = tmp_path / "somewhere" / "prod.conf"
    conf.parent.mkdir()
    conf.write_text((generated().path / "etc" / "conf" / "prod.conf").read_text())
    env = {
        "SETTINGS": str(conf),
        "DATABASE_URL": f"sqlite:///{tmp_path}/prod.db",
        "SECRET_KEY": "k" * 40,
    }
    return Deployed(tmp_path / "elsewhere", env=env, environment_folder=environment)


def test_the_wheel_holds_everything_that_a_migration_needs(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert set(PARTS.split()) <= packed
    assert not any(name.startswith(("tests/", "etc/", "var/", "vendor/")) for name in packed)


def test_migrations_and_the_server_run_without_the_source_tree(deployed, tmp_path):
    assert "8b27e4a9c610" in deployed.db("upgrade").assert_ok().err
    assert "8b27e4a9c610 (head)" in deployed.db("current").assert_ok().out
    assert (tmp_path / "prod.db").exists()
    assert list(deployed.path.iterdir()) == []

    port = free_port()
    command = deployed.command("gunicorn"), "my_app.wsgi:app", "--bind", f"127.0.0.1:{port}"
    with served(command, deployed.path, deployed.environment(), port) as url:
        assert get(f"{url}/readyz") == (200, '{"database":"ok","schema":"at head"}\n')
        assert "No posts yet." in get(url)[1]
        assert get(f"{url}/static/style.css")[0] == 200


@pytest.mark.parametrize("settings", ["prod.conf", None])
def test_without_a_path_there_are_no_settings(deployed, settings):
    answer = deployed.db("current", SETTINGS=settings)
    answer.assert_one_sentence("No settings file", "give a path: SETTINGS=/etc/prod.conf")


def test_the_sql_can_be_looked_at_before(deployed, tmp_path):
    sql = deployed.db("upgrade", "--sql").assert_ok().out
    assert "CREATE TABLE user" in sql
    assert not (tmp_path / "prod.db").exists()


@pytest.fixture
def source(deployed, blog):
    """A source tree that is used with the environment of production."""
    blog.env = {"DEV_DATABASE_URL": deployed.env["DATABASE_URL"]}
    blog.python = deployed.command("python")
    return blog


def test_a_migration_is_written_where_nothing_can_edit_it(source):
    source.model("note", "id: Mapped[int] = mapped_column(primary_key=True)")
    source.run(source.python, "bin/manage.py", "db", "migrate").assert_ok()
    assert len(list(source.versions.glob("*_create_note.py"))) == 1


def test_a_hook_that_cannot_edit_says_so_and_fails_nothing(source):
    mako = source.package / "migrations" / "script.py.mako"
    mako.write_text(mako.read_text() + "    op.drop_column('post', 'summary')\n")
    answer = source.run(source.python, "bin/manage.py", "db", "revision", "-m", "plain")
    assert "libcst" in answer.assert_ok().err
    assert "Traceback" not in answer.said
    (file,) = source.versions.glob("*_plain.py")
    answer = source.run(source.python, "bin/manage.py", "db", "sqlite-safe", str(file))
    answer.assert_one_sentence("libcst", "is not installed", "make install")


@pytest.mark.some(1)
@pytest.mark.parametrize(
    ("name", "version", "wanted"),
    [
        ("alembic", "1.21.0", ">=1.18.4,<1.21"),
        ("alembic", "1.17.2", ">=1.18.4,<1.21"),
        ("alembic", "1.18.3", ">=1.18.4,<1.21"),
        ("SQLAlchemy", "2.2.0b1", ">=2.0.32,<2.2"),
        ("SQLAlchemy", "2.0.31", ">=2.0.32,<2.2"),
        ("SQLAlchemy", "1.4.54", ">=2.0.32,<2.2"),
        ("Flask", "2.3.3", ">=3.0,<4"),
        ("Flask-Migrate", "5.0", ">=4.0.2,<5"),
        ("Flask-Migrate", "4.0.1", ">=4.0.2,<5"),
    ],
)
def test_a_version_outside_of_the_range_is_one_sentence(blog, tmp_path, name, version, wanted):
    information = tmp_path / "first" / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    answer = blog.run(*blog.manage, "db", "upgrade", PYTHONPATH=str(information.parent))
    answer.assert_one_sentence(f"{name} {version} is installed", f"pip install '{name}{wanted}'")
    assert not blog.database.exists()
