"""Models of other databases: migrations leave them out, and say so; nothing else breaks on them."""

import sqlite3

import pytest

BOUND = """__bind_key__ = "archive"
id: Mapped[int] = mapped_column(primary_key=True)
name: Mapped[str] = mapped_column(sa.String(40))
"""
ITEM = "id: Mapped[int] = mapped_column(primary_key=True)\n"
SEED = """from .models.item import Item
from .models.letter import Letter


def seed(session):
    session.add_all([Item(), Letter(name="an old one")])
"""


@pytest.fixture
def project(bare):
    """A project with a table in its own database, and one in another."""
    archive = bare.path / "var" / "archive.db"
    with (bare.path / "etc" / "conf" / "dev.conf").open("a") as conf:
        conf.write(f'SQLALCHEMY_BINDS = {{"archive": "sqlite:///{archive}"}}\n')
    bare.model("item", ITEM)
    bare.model("letter", BOUND)
    with sqlite3.connect(archive) as made:
        made.execute("CREATE TABLE letter (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL)")
    return bare


def test_newmigration_and_check_say_which_models_they_leave_out(project):
    answer = project.db("migrate").assert_ok()
    assert "Left out: letter (archive)" in answer.err
    (written,) = project.versions.glob("*.py")
    assert "letter" not in written.read_text() and "item" in written.read_text()
    again = project.db("migrate").assert_ok()
    assert "Left out: letter (archive)" in again.err and "nothing to migrate" in again.err
    project.db("check").assert_one_sentence("Left out: letter (archive)", "__bind_key__")


def test_make_db_and_the_application_work_with_them(project):
    project.new_migration()
    project.write("my_app/seed.py", SEED)
    project.db("rebuild").assert_ok()
    project.db("upgrade").assert_ok()
    code = (
        "from my_app import create_app; from my_app.models.letter import Letter\n"
        "from my_app.extensions import db\n"
        "with create_app('dev.conf').app_context(): print(db.session.query(Letter).one().name)"
    )
    ran = project.run(project.manage[0], "-c", code, SETTINGS="dev.conf")
    assert "an old one" in ran.out, ran.said


def test_a_bind_to_the_very_database_is_led_beside_with_it(project):
    conf = project.path / "etc" / "conf" / "dev.conf"
    conf.write_text(conf.read_text().replace("archive.db", "dev.db"))
    project.migration(
        "aaaa00000001",
        None,
        "op.create_table('item', sa.Column('id', sa.Integer, primary_key=True))\n"
        "op.create_table('letter', sa.Column('id', sa.Integer, primary_key=True),"
        " sa.Column('name', sa.String(40)))",
    )
    # the default's models do not have the table, and would take it away
    project.write("my_app/models/more.py", "")
    project.replace("my_app/models/letter.py", '    __bind_key__ = "archive"\n', "")
    project.write(
        "my_app/seed.py",
        SEED + "    from .extensions import db\n"
        "    with db.engines['archive'].begin() as own:\n"
        "        own.exec_driver_sql(\"INSERT INTO letter VALUES (9, 'by the bind')\")\n"
        "    raise ValueError('no')\n",
    )
    project.db("upgrade").assert_ok()
    project.db("rebuild").assert_one_sentence("seed.py, line 10")
    with sqlite3.connect(project.database) as kept:
        assert kept.execute("SELECT count(*) FROM letter").fetchone() == (0,)
