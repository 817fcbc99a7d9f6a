"""What the environment may say: DATABASE_URL and SECRET_KEY to production alone."""

import json
import sys

import pytest

SHOW = """
import json, my_app
config = my_app.create_app().config
url = config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
print(json.dumps([url, config["SECRET_KEY"]]))
"""
LONG = "k" * 40


@pytest.fixture
def configuration(project):
    """The database URL and the secret key that a process gets."""

    def get(cwd=None, **env):
        env["PYTHONPATH"] = str(project.path)
        return json.loads(project.warm(sys.executable, "-c", SHOW, cwd=cwd, **env).assert_ok().out)

    return get


@pytest.mark.parametrize("settings", ["dev.conf", "test.conf"])
def test_database_url_and_secret_key_never_reach_development_and_tests(
    project, configuration, settings
):
    stray = {"DATABASE_URL": "sqlite:////tmp/production.db", "SECRET_KEY": LONG}
    url, key = configuration(SETTINGS=settings, **stray)
    assert url.startswith(f"sqlite:///{project.path}/var/")
    assert key and key != LONG


def test_they_reach_production(configuration):
    url, key = configuration(
        SETTINGS="prod.conf", DATABASE_URL="postgres://u:p@host/shop", SECRET_KEY=LONG
    )
    assert (url, key) == ("postgresql+psycopg://u:p@host/shop", LONG)


@pytest.mark.parametrize("settings", ["dev.conf", "test.conf"])
def test_dev_database_url_reaches_development_and_tests(configuration, settings):
    url, _ = configuration(SETTINGS=settings, DEV_DATABASE_URL="sqlite:////tmp/elsewhere.db")
    assert url == "sqlite:////tmp/elsewhere.db"


def test_dev_database_url_never_reaches_production(project):
    answer = project.db("current", SETTINGS="prod.conf", DEV_DATABASE_URL="sqlite:///var/dev.db")
    answer.assert_one_sentence("prod.conf names no database", "export DATABASE_URL=")


def test_a_mysql_project_without_its_url_names_the_variable_of_development(generated):
    project = generated(database="mysql")
    answer = project.db("current", DATABASE_URL="mysql://root@localhost/production")
    answer.assert_one_sentence("dev.conf names no database", "export DEV_DATABASE_URL=")


def test_a_relative_sqlite_path_belongs_to_the_project_from_any_folder(
    project, configuration, tmp_path
):
    url, _ = configuration(cwd=tmp_path)
    assert url == f"sqlite:///{project.path}/var/dev.db"


def test_a_relative_sqlite_path_of_a_file_elsewhere_belongs_to_its_folder(configuration, tmp_path):
    (tmp_path / "my.conf").write_text(
        f"SQLALCHEMY_DATABASE_URI = 'sqlite:///data/my.db'\nSECRET_KEY = {LONG!r}\n"
    )
    url, _ = configuration(SETTINGS=str(tmp_path / "my.conf"))
    assert url == f"sqlite:///{tmp_path}/data/my.db"


def test_database_commands_in_production_need_no_key(new_project, tmp_path):
    project = new_project()
    production = {"SETTINGS": "prod.conf", "DATABASE_URL": f"sqlite:///{tmp_path}/prod.db"}
    project.db("upgrade", **production).assert_ok()
    assert "8b27e4a9c610" in project.db("current", **production).assert_ok().out
    assert not (project.path / "var" / "secret_key").exists()
