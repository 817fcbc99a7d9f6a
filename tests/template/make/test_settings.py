"""make uses dev.conf, whatever the shell exports; on make's own command line SETTINGS decides."""

import sqlite3
from contextlib import closing

import pytest

pytestmark = pytest.mark.xdist_group("installed")


@pytest.fixture
def production(tmp_path):
    """What a shell may export that was used for production a minute ago."""
    database = tmp_path / "production.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE customer (name TEXT)")
        connection.execute("INSERT INTO customer VALUES ('Ada')")
    before = database.read_bytes()
    url = f"sqlite:///{database}"
    yield {"SETTINGS": "prod.conf", "DATABASE_URL": url, "SECRET_KEY": "k" * 40}
    assert database.read_bytes() == before, "production was touched"


@pytest.mark.some(1)
@pytest.mark.parametrize("target", ["db", "test", "help"])
def test_exported_settings_do_not_reach_make(application, production, target):
    answer = application.make(target, **production).assert_ok()
    assert "prod.conf" not in answer.said
    assert application.database.exists() == (target == "db")


def test_migrations_by_habit_touch_the_development_database_alone(application, production):
    application.make("migrate", **production).assert_ok()
    assert application.revision == "8b27e4a9c610"
    application.make("downgrade", "to=base", **production).assert_ok()
    assert application.revision is None


def test_settings_on_the_command_line_of_make_decide(application, tmp_path):
    url = f"sqlite:///{tmp_path}/production.db"
    application.make("migrate", "SETTINGS=prod.conf", DATABASE_URL=url).assert_ok()
    assert (tmp_path / "production.db").exists()
    assert not application.database.exists()


def test_make_db_never_deletes_production(application, production):
    answer = application.make("db", "SETTINGS=prod.conf", **production)
    assert answer.code != 0
    assert "DB_REBUILD_ALLOWED" in answer.err


def test_the_help_says_which_settings_are_in_use(application):
    assert "etc/conf/dev.conf" in application.make("help", SETTINGS="prod.conf").out
    assert "etc/conf/prod.conf" in application.make("help", "SETTINGS=prod.conf").out
