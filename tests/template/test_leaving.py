"""A project's history without the library: Flask-Migrate and Alembic as they are, with their env.py."""

import shutil
import sqlite3
import sys

import pytest

APP = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{database}"
db = SQLAlchemy(app)
Migrate(app, db)
"""
COMMENT = """id: Mapped[int] = mapped_column(primary_key=True)
post_id: Mapped[int] = mapped_column(sa.ForeignKey("post.id", ondelete="CASCADE"), index=True)
body: Mapped[str] = mapped_column(sa.Text)
"""


@pytest.fixture
def history(blog):
    """A project with migrations of several kinds, made as a person makes them."""
    blog.model("comment", COMMENT)
    blog.new_migration()
    blog.replace("my_app/models/user.py", "String(80)", "String(80), unique=True")
    blog.model("comment", COMMENT.replace("sa.Text", "sa.String(500)"))
    blog.new_migration()
    blog.replace(
        "my_app/models/post.py",
        "    summary: Mapped[str | None] = mapped_column(String(500))\n",
        "",
    )
    blog.new_migration()
    blog.db("upgrade").assert_ok()
    return blog


def schema(path):
    """The tables, columns, keys and indexes of a database, by SQLite's own account."""
    connection = sqlite3.connect(path)
    tables = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if name not in ("alembic_version", "alembic_log")
    ]
    found = {}
    for table in tables:
        columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
        keys = connection.execute(f'PRAGMA foreign_key_list("{table}")').fetchall()
        indexes = connection.execute(f'PRAGMA index_list("{table}")').fetchall()
        found[table] = (
            # by name, type, NOT NULL and key; a default may be written in two ways
            sorted((column[1], column[2], column[3], column[5]) for column in columns),
            sorted(key[2:7] for key in keys),
            sorted((index[2], index[3]) for index in indexes),
        )
    connection.close()
    return found


def only_the_versions(history, folder):
    """Copy the migrations, and nothing else of the project."""
    for path in history.versions.glob("*.py"):
        shutil.copy(path, folder / "versions")


def up_and_down(run, database, wanted):
    run("upgrade", "head")
    assert schema(database) == wanted
    run("downgrade", "base")
    assert schema(database) == {}
    run("upgrade", "head")
    assert schema(database) == wanted


@pytest.mark.drill
def test_the_history_runs_under_stock_flask_migrate(history, tmp_path):
    folder, database = tmp_path / "stock", tmp_path / "stock" / "stock.db"
    folder.mkdir()
    (folder / "app.py").write_text(APP.format(database=database))

    def run(*command):
        flask = (sys.executable, "-m", "flask", "--app", "app", "db", *command)
        history.run(*flask, cwd=folder, SETTINGS=None, PYTHONPATH=None).assert_ok()

    run("init")
    only_the_versions(history, folder / "migrations")
    up_and_down(run, database, schema(history.database))


@pytest.mark.drill
def test_the_history_runs_under_stock_alembic(history, tmp_path):
    folder, database = tmp_path / "plain", tmp_path / "plain" / "plain.db"
    folder.mkdir()

    def run(*command):
        alembic = (sys.executable, "-m", "alembic", *command)
        history.run(*alembic, cwd=folder, SETTINGS=None, PYTHONPATH=None).assert_ok()

    run("init", "migrations")
    ini = folder / "alembic.ini"
    text = ini.read_text()
    assert "driver://user:pass@localhost/dbname" in text
    ini.write_text(text.replace("driver://user:pass@localhost/dbname", f"sqlite:///{database}"))
    only_the_versions(history, folder / "migrations")
    up_and_down(run, database, schema(history.database))


def test_no_migration_of_the_starter_asks_anything_of_the_library(blog):
    for path in blog.versions.glob("*.py"):
        assert "flask_keel" not in path.read_text()
        assert "my_app" not in path.read_text()


LETTER = """__bind_key__ = "archive"
id: Mapped[int] = mapped_column(primary_key=True)
name: Mapped[str] = mapped_column(sa.String(40), unique=True)
"""


READY = """
from my_app import create_app
print(create_app("dev.conf").test_client().get("/readyz").status_code, end="")
"""


def for_the_bind(env):
    """What the README has one write in a bind's env.py."""
    text = env.read_text()
    for old, new in (
        (".engine\n", '.engines["archive"]\n'),
        (".get_engine()", '.get_engine("archive")'),
        ("metadatas[None]", 'metadatas["archive"]'),
    ):
        assert old in text
        text = text.replace(old, new)
    env.write_text(text)


@pytest.mark.long
def test_the_readme_says_how_to_leave_and_it_works(history):
    """What "Leaving" of the project's README says, step by step."""
    folder = history.package / "migrations"
    archive = history.path / "var" / "archive.db"
    with (history.path / "etc/conf/dev.conf").open("a") as conf:
        conf.write('SQLALCHEMY_BINDS = {"archive": "sqlite:///var/archive.db"}\n')
    history.model("letter", LETTER)
    history.db("migrate").assert_ok()
    history.db("upgrade").assert_ok()
    before, apart = schema(history.database), schema(archive)
    flask = (sys.executable, "-m", "flask", "--app", "my_app", "db")
    plain = {"PYTHONPATH": str(history.path)}
    history.run(*flask, "init", "-d", "stock", **plain).assert_ok()
    for name in ("env.py", "alembic.ini", "script.py.mako"):
        shutil.copy(history.path / "stock" / name, folder / name)
        shutil.copy(history.path / "stock" / name, folder / "binds" / "archive" / name)
    for_the_bind(folder / "binds" / "archive" / "env.py")
    extensions = (history.package / "extensions.py").read_text()
    kept, _, _ = extensions.partition("keel = Keel(")
    history.write(
        "my_app/extensions.py",
        kept.replace(
            "from flask_keel import Keel, SQLAlchemy, naming_convention",
            "from flask_keel import naming_convention\nfrom flask_migrate import Migrate\n"
            "from flask_sqlalchemy import SQLAlchemy",
        )
        + 'migrate = Migrate(db=db, directory=Path(__file__).parent / "migrations")\n',
    )
    history.replace("my_app/__init__.py", "import db, keel", "import db, migrate")
    history.replace("my_app/__init__.py", "keel.init_app(app)", "migrate.init_app(app)")
    shutil.rmtree(folder / "schema")

    bind = ("-d", "my_app/migrations/binds/archive")
    for place in ((), bind):
        assert "(head)" in history.run(*flask, "current", *place, **plain).assert_ok().out
    history.run(*flask, "downgrade", *bind, "base", **plain).assert_ok()
    assert schema(archive) == {} and schema(history.database) == before
    history.run(*flask, "upgrade", *bind, **plain).assert_ok()
    assert schema(archive) == apart
    history.run(*flask, "downgrade", "base", **plain).assert_ok()
    history.run(*flask, "upgrade", **plain).assert_ok()
    assert schema(history.database) == before
    history.replace("my_app/models/user.py", "String(80), unique=True", "String(80)")
    history.run(*flask, "migrate", "-m", "by stock", **plain).assert_ok()
    (written,) = history.versions.glob("*_by_stock.py")
    assert "flask_keel" not in written.read_text()
    # as the README says of it
    assert "op.drop_table('alembic_log')" in written.read_text()
    written.unlink()
    # what goes on as it is
    history.replace("my_app/models/user.py", "String(80)", "String(80), unique=True")
    asked = history.run(sys.executable, "-c", READY, cwd=history.path.parent, **plain)
    assert asked.assert_ok().out == "200"
    own = ("-m", "pytest", "-q", "tests/test_app.py", "tests/test_migrations.py")
    history.run(sys.executable, *own, SETTINGS="test.conf", **plain).assert_ok()
