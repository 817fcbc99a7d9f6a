"""A database in memory, and a Connection or Engine from the caller: the same care."""

import sys

import pytest
from sqlite_contents import contents

from .families import BROKEN, REBUILD, ROWS, TABLES

START = """
import flask_migrate
import sqlalchemy as sa
from alembic import command
from my_app import create_app
from my_app.extensions import db

app = create_app("dev.conf")
context = app.app_context()
context.push()
config = app.extensions["migrate"].migrate.get_config()
attributes = config.attributes

def keys(connection):
    return connection.exec_driver_sql("PRAGMA foreign_keys").scalar()
"""
# the ways in which a caller hands over a connection with foreign keys on
PLAIN = """
engine = sa.create_engine(db.engine.url)
@sa.event.listens_for(engine, "connect")
def on(raw, record):
    raw.execute("PRAGMA foreign_keys=ON")
"""
WAYS = {
    "the cookbook's way, on the application's engine": """
with db.engine.begin() as connection:
    attributes["connection"] = connection
    command.upgrade(config, "head")
with db.engine.connect() as connection:
    print("keys", keys(connection))
""",
    "the cookbook's way, on an engine in the driver's own mode": f"""{PLAIN}
with engine.begin() as connection:
    attributes["connection"] = connection
    command.upgrade(config, "head")
with engine.connect() as connection:
    print("keys", keys(connection))
""",
    "a connection without a transaction": """
with db.engine.connect() as connection:
    attributes["connection"] = connection
    command.upgrade(config, "head")
    print("keys", keys(connection))
""",
    "an engine, as pytest-alembic does": """
attributes["connection"] = db.engine
command.upgrade(config, "head")
with db.engine.connect() as connection:
    print("keys", keys(connection))
""",
}


def python(project, code, **env):
    return project.warm(sys.executable, "-c", START + code, **env)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_children_survive_and_foreign_keys_come_back(family, way):
    family.migration("f2", "f1", REBUILD)
    before = contents(family.database)
    answer = python(family, way).assert_ok()
    assert answer.out == "keys 1\n"
    after = contents(family.database)
    assert after["alembic_version"] != before["alembic_version"]
    for table in ("cascaded", "nulled", "restricted", "tree", "parent"):
        assert after[table] == before[table]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_failure_leaves_the_database_as_it_was(family, way):
    family.migration("f2", "f1", BROKEN)
    before = contents(family.database)
    answer = python(family, way)
    assert answer.code == 1
    assert "no such table: missing" in answer.err
    assert contents(family.database) == before


def test_what_the_caller_rolls_back_is_undone(family):
    family.migration("f2", "f1", REBUILD)
    before = contents(family.database)
    answer = python(
        family,
        """
with db.engine.connect() as connection:
    transaction = connection.begin()
    attributes["connection"] = connection
    command.upgrade(config, "head")
    transaction.rollback()
    print("keys", keys(connection))
""",
    ).assert_ok()
    assert answer.out == "keys 1\n"
    assert contents(family.database) == before


def test_a_caller_that_changed_something_is_asked_to_commit_it(family):
    family.migration("f2", "f1", REBUILD)
    before = contents(family.database)
    answer = python(
        family,
        """
with db.engine.begin() as connection:
    connection.execute(sa.text("DELETE FROM nulled"))
    attributes["connection"] = connection
    command.upgrade(config, "head")
""",
    )
    assert "SQLite keeps foreign keys on inside a transaction" in answer.err
    assert contents(family.database) == before


def test_a_database_in_memory_is_migrated(bare):
    bare.migration("f1", None, TABLES)
    bare.migration("f2", "f1", f"for row in {ROWS.split(';')!r}:\n    op.execute(row)")
    bare.migration("f3", "f2", REBUILD)
    answer = python(
        bare,
        """
flask_migrate.upgrade()
print(db.session.execute(sa.text("SELECT count(*) FROM cascaded")).scalar())
print(db.session.execute(sa.text("PRAGMA foreign_keys")).scalar())
db.session.remove()
flask_migrate.downgrade(revision="f2")
flask_migrate.upgrade()
flask_migrate.current()
""",
        DEV_DATABASE_URL="sqlite://",
    )
    assert answer.assert_ok().out.split() == ["3", "1", "f3", "(head)"]
    assert not bare.database.exists()
