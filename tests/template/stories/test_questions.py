"""The questions that Flask-Migrate's users asked its author for years."""

import databases
import pytest

from .rows import columns, sql

IDENTITY = "id: Mapped[int] = mapped_column(primary_key=True)\n"
NAME = "name: Mapped[str | None] = mapped_column(sa.String(50))\n"

JSON_TYPE = """
import json

from sqlalchemy import Text, TypeDecorator


class JsonType(TypeDecorator):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return json.dumps(value)
"""


def test_a_type_of_ones_own_is_imported_by_the_migration(bare):
    bare.write("my_app/utils/__init__.py", "")
    bare.write("my_app/utils/customDataType.py", JSON_TYPE)
    bare.model(
        "settings",
        IDENTITY + "extra: Mapped[dict | None] = mapped_column(JsonType)\n",
        "from my_app.utils.customDataType import JsonType",
    )
    file = bare.new_migration()
    assert "import my_app.utils.customDataType" in file.read_text()
    bare.db("upgrade").assert_ok()
    bare.db("check").assert_ok()


def test_a_type_of_another_package_is_imported_by_the_migration(bare):
    bare.model(
        "machine",
        "id: Mapped[object] = mapped_column(UUIDType(binary=False), primary_key=True)\n",
        "from sqlalchemy_utils import UUIDType",
    )
    file = bare.new_migration()
    assert "import sqlalchemy_utils" in file.read_text()
    bare.db("upgrade").assert_ok()
    assert "nothing to migrate" in bare.db("migrate").assert_ok().said


def test_a_model_that_nobody_imports_is_found(bare):
    bare.write("my_app/models/shop/__init__.py", "")
    bare.model("order", IDENTITY)
    bare.model("shop/item", IDENTITY).write_text(
        bare.model("item", IDENTITY).read_text().replace("'item'", "'shop_item'")
    )
    file = bare.new_migration()
    for table in ("'order'", "'item'", "'shop_item'"):
        assert f"op.create_table({table}" in file.read_text().replace('"', "'")


def test_a_boolean_on_mysql_is_not_found_again_and_again(new_project, mariadb_server):
    project = new_project(starter="bare", database="mysql")
    with databases.fresh(mariadb_server) as url:
        project.env["DEV_DATABASE_URL"] = url
        project.model("circuits", IDENTITY + "is_child: Mapped[bool | None]\n")
        project.new_migration()
        project.db("upgrade").assert_ok()
        assert "nothing to migrate" in project.db("migrate").assert_ok().said


def test_a_new_system_is_made_by_the_migrations_custom_statements_included(bare):
    bare.model("country", IDENTITY + NAME)
    first = bare.new_migration().name.split("_")[0]
    insert = "op.execute(\"INSERT INTO country (name) VALUES ('Norway')\")"
    bare.migration("c0ffee000002", first, insert)
    bare.db("upgrade").assert_ok()
    assert sql(bare.database, "SELECT name FROM country") == [("Norway",)]


@pytest.fixture
def tasks(bare):
    """Two tables, one of which somebody dropped by hand, and a migration that needs it."""
    bare.model("task", IDENTITY + NAME)
    payload = "payload_json: Mapped[str | None] = mapped_column({})\n"
    bare.model("result", IDENTITY + payload.format("sa.String(50)"))
    bare.new_migration()
    bare.db("upgrade").assert_ok()
    sql(bare.database, "INSERT INTO task (name) VALUES ('mine')")
    sql(bare.database, "DROP TABLE result")
    bare.model("result", IDENTITY + payload.format("sa.Text"))
    return bare


def test_a_table_dropped_by_hand_is_one_sentence_and_nothing_is_changed(tasks):
    file = tasks.new_migration()
    assert "create_table" not in file.read_text(), "the drop by hand got into the migration"
    tasks.db("upgrade").assert_one_sentence("result", file.name)
    assert sql(tasks.database, "SELECT name FROM task") == [("mine",)]


def test_starting_over_is_one_command(tasks):
    tasks.new_migration()
    answer = tasks.db("rebuild").assert_ok()
    assert "is fresh" in answer.err
    assert columns(tasks.database, "result") == ["id", "payload_json"]
    assert sql(tasks.database, "SELECT * FROM task") == []
    assert "nothing to migrate" in tasks.db("migrate").assert_ok().said


def test_two_people_who_wrote_a_migration_each_are_told_how_to_merge(bare):
    bare.model("post", IDENTITY + NAME)
    first = bare.new_migration().name.split("_")[0]
    add = "op.add_column('post', sa.Column('{}', sa.Integer()))"
    bare.migration("c0ffee000003", first, add.format("hers"))
    bare.migration("c0ffee000004", first, add.format("his"))
    bare.db("upgrade").assert_one_sentence("2 heads", "db merge heads")
    bare.db("merge", "heads", "-m", "merge").assert_ok()
    bare.db("upgrade").assert_ok()
    assert {"hers", "his"} <= set(columns(bare.database, "post"))


def test_the_repository_is_there_already(bare):
    bare.db("init").assert_one_sentence("migrations", "already exists")


def test_a_driver_that_is_not_installed_is_named_with_what_installs_it(bare):
    answer = bare.db("current", DEV_DATABASE_URL="mysql+mysqldb://root@localhost/shop")
    answer.assert_one_sentence("pip install 'mysqlclient'")
