"""On a server the history is run once: one scratch database of the project is kept there."""

import json

import clients
import databases
import pytest
from sqlalchemy import make_url

ID = "id: Mapped[int] = mapped_column(primary_key=True)"
COUNT = """
from pathlib import Path
with Path({file!r}).open("a") as ran:
    ran.write("x")
op.create_table("{table}", sa.Column("id", sa.Integer(), primary_key=True){more})
"""
MUCH = """
op.create_table("kind",
    sa.Column("id", sa.Integer(), primary_key=True, comment="its number"),
    sa.Column("name", sa.String(20), nullable=False),
    sa.Column("size", sa.Enum("small", "big", name="size")), comment="kinds")
op.create_table("item",
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("kind_id", sa.Integer(), sa.ForeignKey("kind.id", name="fk_item_kind_id_kind")),
    sa.Column("note", sa.Text()))
op.create_index("ix_item_kind_id", "item", ["kind_id"])
op.execute("INSERT INTO kind (name, size) VALUES ('a', 'small'), ('b', 'big')")
op.execute("CREATE VIEW kinds AS SELECT name FROM kind")
"""
NUMBERS = """
op.execute("CREATE SEQUENCE numbers START 7")
op.execute("SELECT NEXTVAL(numbers)")
"""
MORE = {
    "postgresql": """
op.execute("CREATE SEQUENCE numbers START 7")
op.execute("SELECT nextval('numbers')")
op.execute("CREATE EXTENSION IF NOT EXISTS vector")
op.execute("ALTER TABLE kind ADD COLUMN place vector(3)")
op.execute("CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n'")
""",
    "mysql": ("" if databases.MYSQLD else NUMBERS)
    + """
op.execute("CREATE TRIGGER named BEFORE INSERT ON kind FOR EACH ROW SET NEW.name = LOWER(NEW.name)")
op.execute("CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN 2 * n")
""",
}


@pytest.fixture
def project(new_project, server_url):
    made = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    made.env["DEV_DATABASE_URL"] = server_url
    return made


@pytest.fixture
def scratches(server, server_url):
    """The names of this project's scratch databases."""
    stem = f"{make_url(server_url).database}_scratch_"
    return lambda: [name for name in databases.names(server) if name.startswith(stem)]


@pytest.fixture
def kept(server_url, scratches):
    """The URL of the one that is kept."""

    def url():
        (name,) = scratches()
        return make_url(server_url).set(database=name).render_as_string(hide_password=False)

    return url


def counted(project, revision, down, table, more=""):
    """A migration that makes a table and counts how often it ran."""
    file = project.path / f"{table}.ran"
    code = COUNT.format(file=str(file), table=table, more=more)
    path = project.migration(revision, down, code, f"op.drop_table({table!r})")
    project.model(table, ID)
    return path, lambda: len(file.read_text()) if file.exists() else 0


def state(url):
    """All that is in a database, its sequences and functions too."""
    if url.startswith("postgresql"):
        return clients.dump(url)
    said = "SELECT routine_name, routine_definition FROM information_schema.routines"
    return clients.dump(url), clients.rows(url, f"{said} WHERE routine_schema = DATABASE()")


def test_a_history_that_did_not_change_is_run_once(project, scratches, kept):
    _, times = counted(project, "a1", None, "first")
    project.db("schema").assert_ok()
    before = state(kept())
    named = "\nname: Mapped[str | None] = mapped_column(sa.String(20){more})"
    for more in (", index=True", ""):  # a table that is made to compare has an index, too
        project.model("first", ID + named.format(more=more))
        project.new_migration().unlink()
    project.db("check")
    assert times() == 1
    assert len(scratches()) == 1
    assert state(kept()) == before


def test_a_new_migration_runs_on_top_of_what_is_kept(project):
    _, first = counted(project, "a1", None, "first")
    project.db("schema").assert_ok()
    _, second = counted(project, "b2", "a1", "second")
    project.db("schema").assert_ok()
    assert (first(), second()) == (1, 1)


def test_what_a_migration_or_its_import_says_otherwise_is_run_again(project):
    path, times = counted(project, "a1", None, "first")
    helper = project.write("my_app/helper.py", "LENGTH = 1\n")
    text = path.read_text().replace(
        "import sqlalchemy", "from my_app import helper\nimport sqlalchemy"
    )
    path.write_text(text)
    project.db("schema").assert_ok()
    helper.write_text("LENGTH = 2\n")
    project.db("schema").assert_ok()
    assert times() == 2
    path.write_text(text + "\n# changed\n")
    project.db("schema").assert_ok()
    assert times() == 3


def test_it_is_what_a_fresh_build_gives_after_migrations_were_tried_in_it(project, kept):
    kind = make_url(project.env["DEV_DATABASE_URL"]).get_backend_name()
    project.migration("a1", None, MUCH + MORE[kind])
    project.db("schema").assert_ok()
    fresh, url = state(kept()), kept()
    for change in (
        "op.add_column('kind', sa.Column('more', sa.Integer()))\n"
        "op.execute(\"INSERT INTO kind (name) VALUES ('C')\")",
        "op.drop_column('item', 'note')",
        "op.execute('DELETE FROM item')\nop.execute('DELETE FROM kind')",
        "raise ValueError('in the middle')",
    ):
        path = project.migration("b2", "a1", change, "pass")
        project.db("check")  # there are no models: proved all the same
        path.unlink()
    project.db("schema").assert_ok()
    assert kept() == url and state(url) == fresh


def test_a_rename_is_tried_and_undone(project, kept):
    counted(project, "a1", None, "first", ', sa.Column("old", sa.String(20))')
    project.model("first", ID + "\nold: Mapped[str | None] = mapped_column(sa.String(20))")
    project.db("schema").assert_ok()
    before = clients.dump(kept())
    project.model("first", ID + "\nnew: Mapped[str | None] = mapped_column(sa.String(20))")
    written = project.new_migration("-x", "rename=first.old:new")
    assert "new_column_name" in written.read_text()
    written.unlink()
    project.db("migrate").assert_one_sentence("rename")
    assert clients.dump(kept()) == before


def test_what_a_kill_9_left_in_it_is_made_anew(project, kept, tmp_path):
    counted(project, "a1", None, "first")
    project.db("schema").assert_ok()
    ready = tmp_path / "ready"
    wait = (
        "import os, pathlib, time\nop.create_table('half', sa.Column('id', sa.Integer()))\n"
        "if os.environ.get('READY'):\n    pathlib.Path(os.environ['READY']).touch()\n    time.sleep(60)"
    )
    project.migration("b2", "a1", wait, "op.drop_table('half')")
    process = project.start(*project.manage, "db", "schema", READY=str(ready))
    while not ready.exists():
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=30)
    project.migration("b2", "a1", "op.create_table('whole', sa.Column('id', sa.Integer()))", "pass")
    project.db("schema").assert_ok()
    said = str(clients.dump(kept()))
    assert "whole" in said and "half" not in said


def test_two_commands_at_once_do_not_meet_in_it(project, scratches):
    counted(project, "a1", None, "first")
    project.model("first", ID + "\nname: Mapped[str | None] = mapped_column(sa.String(20))")
    processes = [project.start(*project.manage, "db", "check", "--json") for _ in range(3)]
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert len({json.loads(answer)["error"] for answer in answers}) == 1
    assert "add name to first" in answers[0]
    assert len(scratches()) == 1


def test_projects_with_like_names_keep_one_each(new_project, server):
    name = "a_name_that_is_rather_long_for_a_database"
    engine = databases.engine(server)
    urls = [make_url(server).set(database=f"{name}_{n}") for n in (1, 2)]
    try:
        for url in urls:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {url.database}")
            made = new_project(starter="bare", database=url.get_backend_name())
            made.env["DEV_DATABASE_URL"] = url.render_as_string(hide_password=False)
            _, times = counted(made, "a1", None, "first")
            for _ in range(2):
                made.db("schema").assert_ok()
            assert times() == 1
        assert len({one for one in databases.names(server) if "_scratch_kept_" in one}) >= 2
    finally:
        with engine.connect() as connection:
            for one in databases.names(server):
                if one.startswith(name[:24]):
                    connection.exec_driver_sql(f"DROP DATABASE {one}")
