"""`flask db adopt` of a history begun with --multidb: one for each database, all rows where they were."""

import shutil
import sqlite3
from contextlib import closing

import plain
import pytest

from flask_keel import stock

from .test_adopt import git, remembered, tree

BINDS = (
    'app.config["SQLALCHEMY_BINDS"] = {"archive": "sqlite:///archive.db"}\n\ndb = SQLAlchemy(app)'
)
LETTER = """

class Letter(db.Model):
    __bind_key__ = "archive"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(40))
"""
FIRST, SECOND = "    age = db.Column(db.Integer)\n", "    read = db.Column(db.Boolean)\n"


def write_row(application, name, sql):
    with closing(sqlite3.connect(application.path / "instance" / f"{name}.db")) as database:
        database.execute(sql)
        database.commit()


def contents(application, name):
    with closing(sqlite3.connect(application.path / "instance" / f"{name}.db")) as database:
        return [line for line in database.iterdump() if "alembic_log" not in line]


@pytest.fixture(scope="session")
def begun(tmp_path_factory):
    """Stock Flask-Migrate's, with three revisions and rows in both databases; then Keel in its place."""
    made = plain.module(tmp_path_factory.mktemp("multidb"))
    made.write("app.py", plain.MODULE.replace("db = SQLAlchemy(app)", BINDS) + LETTER)
    made.db("init", "--multidb").assert_ok()
    for column, old in (
        (None, None),
        (FIRST, plain.COLUMN),
        (SECOND, "    name = db.Column(db.String(40))\n"),
    ):
        if column:
            made.replace("app.py", old, old + column)
        made.db("migrate", "-m", f"with {column and column.split()[0]}").assert_ok()
        made.db("upgrade").assert_ok()
        write_row(made, "app", "INSERT INTO user (name) VALUES ('Ada')")
        write_row(made, "archive", "INSERT INTO letter (name) VALUES ('an old one')")
    return remembered(plain.with_keel(made))


@pytest.fixture
def application(begun, tmp_path):
    made = plain.Plain(tmp_path / "app")
    shutil.copytree(begun.path, made.path)
    return made


def test_each_database_gets_its_history_and_keeps_its_rows(application):
    before = tree(application)
    rows = {name: contents(application, name) for name in ("app", "archive")}
    said = application.db("adopt", "--dry-run").assert_ok().err
    assert "Nothing was changed" in said and tree(application) == before
    said = application.db("adopt").assert_ok().err
    assert "3 migrations of --multidb become a history for each database (default, archive)" in said
    assert said.count("the history of 3 migrations makes the same schema as under stock") == 2
    assert "not understood" not in said and "disagree" not in said
    assert rows == {name: contents(application, name) for name in rows}
    assert application.db("current").assert_ok().out.count("(head)") == 2
    assert application.db("upgrade").assert_ok().err.count("nothing to do") == 2
    application.db("check").assert_ok()
    assert len(set(application.db("heads").out.split())) == 2  # one revision, and (head)
    application.replace("app.py", SECOND, SECOND + "    by = db.Column(db.String(9))\n")
    assert "proved on" in application.db("migrate").assert_ok().err
    application.db("upgrade").assert_ok()
    application.db("downgrade", "base", "--bind", "archive", "--yes").assert_ok()
    application.db("upgrade").assert_ok()
    assert [line for line in contents(application, "app") if "INSERT" in line] == [
        line for line in rows["app"] if "INSERT" in line
    ]


def test_undo_puts_it_back_byte_for_byte(application):
    before = tree(application)
    application.db("adopt").assert_ok()
    application.db("adopt", "--undo").assert_ok()
    assert tree(application) == before


SPOILT = {
    "dispatch": (
        "def upgrade(engine_name):\n",
        "def upgrade(engine_name):\n    print(1)\n",
        "does more",
    ),
    "asks": (
        "def upgrade_():\n",
        "def upgrade_():\n    print(engine_name)\n",
        "engine_name is asked for",
    ),
    "called": (
        "def upgrade_():\n",
        "def upgrade_():\n    upgrade_archive()\n",
        "upgrade_archive is asked",
    ),
    "one": ("def upgrade(engine_name):\n", "def upgrade():\n", r"has no upgrade\(engine_name\)"),
    "arguments": ("def upgrade_archive():", "def upgrade_archive(more=1):", "takes arguments"),
    "python": ("def upgrade_():\n", "def upgrade_(:\n", "invalid syntax"),
}


def test_what_cannot_be_split_is_named_and_nothing_is_changed(application):
    file = sorted(application.versions.glob("*.py"))[1]
    whole = file.read_text()
    for old, new, words in SPOILT.values():
        assert old in whole
        with pytest.raises((stock.NotSplit, SyntaxError), match=words):
            stock.split(whole.replace(old, new), ["archive"])
    old, new, words = SPOILT["called"]
    file.write_text(whole.replace(old, new))
    git(application, "commit", "-qam", "spoilt")
    before = tree(application)
    application.db("adopt").assert_one_sentence(file.name, words)
    assert tree(application) == before


@pytest.mark.drill
def test_a_bind_that_came_later_has_nothing_in_older_files_and_one_that_went_is_said(application):
    application.replace(
        "app.py", '"sqlite:///archive.db"}', '"sqlite:///archive.db", "new": "sqlite:///new.db"}'
    )
    application.write(
        "app.py",
        (application.path / "app.py").read_text()
        + LETTER.replace("archive", "new").replace("Letter", "Later"),
    )
    git(application, "commit", "-qam", "a third")
    said = application.db("adopt").assert_ok().err
    assert "(default, archive, new)" in said
    assert "disagree" in said and "create later" in said
    new = application.path / "migrations/binds/new/versions"
    assert all("    pass\n" in file.read_text() for file in new.glob("*.py"))
    application.db("adopt", "--undo").assert_ok()
    application.replace(
        "app.py",
        '{"archive": "sqlite:///archive.db", "new": "sqlite:///new.db"}',
        '{"new": "sqlite:///new.db"}',
    )
    application.replace("app.py", '__bind_key__ = "archive"', '__bind_key__ = "new"')
    git(application, "commit", "-qam", "renamed")
    said = application.db("adopt", "--dry-run").assert_ok().err
    assert "what it does to archive, which is no bind of ours" in said


def test_make_db_touches_no_other_database_before_the_adoption(application):
    """The env.py of --multidb goes through all of them, wherever the first is."""
    application.replace(
        "app.py",
        "\n\ndb = SQLAlchemy(app)",
        "\napp.config['DB_REBUILD_ALLOWED'] = True\n\ndb = SQLAlchemy(app)",
    )
    git(application, "commit", "-qam", "allowed")
    before = contents(application, "archive")
    application.db("rebuild").assert_one_sentence("env.py is Flask-Migrate's own", "flask db adopt")
    assert contents(application, "archive") == before
    application.db("adopt").assert_ok()
    assert application.db("rebuild").assert_ok().err.count("is fresh") == 2
    assert (application.path / "instance/backups/.gitignore").read_text() == "*\n"
