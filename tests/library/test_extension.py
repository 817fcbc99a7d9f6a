"""Keel in an application that nobody generated: three edits of what `flask db init` made."""

import sqlite3
import sys
from contextlib import closing

import databases
import plain
import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from flask_keel import Keel, history

AGE = "    age = db.Column(db.Integer)\n"
MAIL = "    mail = db.Column(db.String(80), unique=True)\n"


@pytest.fixture(params=plain.LAYOUTS)
def adopted(request, tmp_path):
    """An application with one migration of stock, after the three edits."""
    return plain.begun(plain.LAYOUTS[request.param](tmp_path)).three_edits()


def columns(application):
    with closing(sqlite3.connect(application.database)) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(user)")]


@pytest.mark.some(2)
def test_every_command_works_wherever_the_migrations_are(adopted):
    first = adopted.db("current").assert_ok().out.split()[0]
    adopted.change(AGE)
    said = adopted.db("migrate").assert_ok().err
    assert f"  {adopted.migrations}/versions/" in said  # as it is typed
    assert "proved on" in said and "type flask db upgrade." in said and "make " not in said
    adopted.db("upgrade").assert_ok()
    assert columns(adopted) == ["id", "name", "age"]
    assert "nothing to migrate" in adopted.db("migrate").assert_ok().err
    assert "2 migrations linted and proved" in adopted.db("check").assert_ok().err
    adopted.db("downgrade").assert_ok()
    assert adopted.db("current").assert_ok().out.split() == [first]
    sql = adopted.db("upgrade", "--sql").assert_ok().out
    with closing(sqlite3.connect(adopted.database, isolation_level=None)) as connection:
        lines = [line for line in sql.splitlines() if not line.startswith(".")]
        connection.executescript("\n".join(lines))
    assert columns(adopted) == ["id", "name", "age"]
    assert "(head)" in adopted.db("current").assert_ok().out
    assert (adopted.path / adopted.migrations / "schema" / "sqlite.sql").exists()
    kept = adopted.path / adopted.migrations / "__pycache__" / "keel"
    assert list(kept.glob("*.db")) and (kept / "proved.json").exists()
    strays = {"var", "schema", "cache"}
    assert not strays & {path.name for path in adopted.path.iterdir()}
    assert not strays & {path.name for path in adopted.path.parent.iterdir()}


def test_of_two_heads_one_is_put_last(adopted):
    first = adopted.db("heads").assert_ok().out.split()[0]
    adopted.change("    b = db.Column(db.Integer)\n    c = db.Column(db.Integer)\n")
    adopted.migration("bbb1", first, 'op.add_column("user", sa.Column("b", sa.Integer))')
    adopted.migration("ccc1", first, 'op.add_column("user", sa.Column("c", sa.Integer))')
    adopted.db("upgrade").assert_one_sentence("2 heads", "flask db rebase", "flask db merge heads")
    adopted.db("rebase", "ccc1").assert_ok()
    adopted.db("upgrade").assert_ok()
    assert columns(adopted) == ["id", "name", "b", "c"]


@pytest.mark.xdist_group("servers")
def test_the_main_commands_on_a_server(server_url, tmp_path):
    application = plain.begun(
        plain.module(tmp_path, APP_DATABASE=plain.url(server_url))
    ).three_edits()
    application.change(AGE)
    assert "proved on" in application.db("migrate").assert_ok().err
    application.db("upgrade").assert_ok()
    assert "nothing to migrate" in application.db("migrate").assert_ok().err
    application.db("check").assert_ok()
    application.db("downgrade").assert_ok()
    assert "ADD COLUMN age" in application.db("upgrade", "--sql").assert_ok().out
    assert "(head)" not in application.db("current").assert_ok().out
    with databases.engine(server_url).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar() == 1


OPTIONS = {
    "version_table": "applied",
    "include_object": lambda item, name, kind, reflected, other: name != "theirs",
    "user_module_prefix": "x.",
}


@pytest.mark.parametrize("late", [False, True], ids=["Keel(app, db)", "init_app"])
@pytest.mark.parametrize(
    ("positional", "named"),
    [
        ((), {}),
        (("elsewhere", "database", False, False), {}),
        ((), {"directory": "elsewhere", "command": "database", "compare_type": False}),
        ((), {"render_as_batch": False, **OPTIONS}),
    ],
)
def test_the_arguments_are_those_of_flask_migrate(positional, named, late):
    """Whatever is given, Flask-Migrate makes of it what it makes without us."""
    made = []
    for extension in (Migrate, Keel):
        app = Flask("app")
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        db = SQLAlchemy(app)
        if late:
            extension().init_app(app, db, *positional, **named)
        else:
            extension(app, db, *positional, **named)
        found = app.extensions["migrate"]
        assert found.db is db
        made.append((found.directory, found.configure_args, set(app.cli.commands)))
    theirs, ours = made
    assert ours == theirs


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("Keel(db, app)", "write Keel(app, db)"),
        ("Keel(app, app)", "write Keel(app, db)"),
        ("Keel('app', db)", "write Keel(app, db)"),
        ("Keel(app, 'db')", "not str: write Keel(app, db)"),
        ("Keel().init_app(db, app)", "write Keel(app, db)"),
        ("Keel().init_app(app)", "write keel.init_app(app, db)"),
    ],
)
def test_what_is_the_wrong_way_round_is_one_sentence(tmp_path, call, words):
    application = plain.module(tmp_path)
    application.replace(
        "app.py", "from flask_migrate import Migrate", "from flask_keel import Keel"
    )
    application.replace("app.py", "migrate = Migrate(app, db)", call)
    application.db("current").assert_one_sentence(words)
    application.flask("routes").assert_one_sentence(words)


def test_a_function_can_change_the_configuration_of_alembic(tmp_path):
    application = plain.begun(plain.module(tmp_path)).three_edits()
    with (application.path / "app.py").open("a") as file:
        file.write(
            "\n\n@migrate.configure\ndef shorter(config):\n"
            '    config.set_main_option("file_template", "%%(rev)s")\n    return config\n'
        )
    application.change(AGE)
    application.db("migrate").assert_ok()
    assert sorted(len(path.stem) for path in application.versions.glob("*.py"))[0] == 12


IN_ENV = """from flask_keel import env
from alembic import context

theirs = context.config.get_section("theirs")["tables"].split()


def include_object(item, name, kind, reflected, other):
    return not (kind == "table" and name in theirs)


env.run(include_object=include_object, version_table="applied")
"""


def test_what_env_py_gives_is_known_to_every_command(tmp_path):
    application = plain.module(tmp_path)
    application.db("init").assert_ok()
    application.three_edits()
    application.write("migrations/env.py", IN_ENV)
    with (application.path / "migrations" / "alembic.ini").open("a") as ini:
        ini.write("\n[theirs]\ntables = legacy other\n")
    application.db("migrate").assert_ok()
    application.db("upgrade").assert_ok()
    with closing(sqlite3.connect(application.database)) as connection:
        names = {row[0] for row in connection.execute("SELECT tbl_name FROM sqlite_master")}
    assert names == {"user", "applied", "alembic_log"}
    assert "(head)" in application.db("current").assert_ok().out
    first = application.db("heads").assert_ok().out.split()[0]
    application.migration("aaa1", first, 'op.create_table("legacy", sa.Column("id", sa.Integer))')
    # the proof leaves their table out, too, and the schema file the table of the applied revisions
    application.db("schema").assert_ok()
    assert "applied" not in (application.path / "migrations/schema/sqlite.sql").read_text()
    application.db("check").assert_ok()
    application.db("upgrade").assert_ok()
    assert "nothing to migrate" in application.db("migrate").assert_ok().err


def test_models_of_another_base_are_given_as_target_metadata(tmp_path):
    application = plain.module(tmp_path)
    application.replace("app.py", "migrate = Migrate(app, db)", "")
    application.replace(
        "app.py", "from flask_migrate import Migrate", "from flask_keel import Keel"
    )
    with (application.path / "app.py").open("a") as file:
        file.write(
            "\n\nfrom sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n"
            "    pass\n\n\nclass Book(Base):\n    __tablename__ = 'book'\n"
            "    id = db.Column(db.Integer, primary_key=True)\n\n\n"
            "keel = Keel(app, db, target_metadata=Base.metadata)\n"
        )
    application.db("init").assert_ok()
    application.write("migrations/env.py", "from flask_keel import env\n\nenv.run()\n")
    application.db("migrate").assert_ok()
    (written,) = application.versions.glob("*.py")
    assert "'book'" in written.read_text() and "'user'" not in written.read_text()
    application.replace("app.py", "=Base.metadata", "=[Base.metadata]")
    application.db("check").assert_one_sentence("target_metadata is to be one MetaData")


@pytest.mark.parametrize(
    ("files", "migrations", "root"),
    [
        ([], "migrations", "."),
        (["shop/__init__.py"], "shop/migrations", "."),
        (["shop/__init__.py"], "shop/db/migrations", "."),
        (["shop/__init__.py", "shop/db/__init__.py"], "shop/db/migrations", "."),
        (["pyproject.toml", "src/shop/__init__.py"], "src/shop/migrations", "."),
        (["setup.py"], "server/migrations", "."),
        (["Makefile", "site-packages/shop/__init__.py"], "site-packages/shop/m", "site-packages"),
    ],
)
def test_the_folder_of_the_project_is_found_from_that_of_the_migrations(
    tmp_path, files, migrations, root
):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / migrations).mkdir(parents=True)
    assert history.root(tmp_path / migrations) == tmp_path / root


def missing(application):
    (application.path / "migrations").rename(application.path / "away")


def a_file(application):
    missing(application)
    application.write("migrations", "")


def without(name):
    return lambda application: (application.path / "migrations" / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "commands", "words"),
    [
        (missing, ["heads", "current", "upgrade", "check", "rebase", "migrate"], "no env.py"),
        (a_file, ["heads", "upgrade", "history"], "no env.py"),
        (without("env.py"), ["heads", "upgrade --sql", "check", "stamp"], "no env.py"),
        (without("alembic.ini"), ["migrate", "revision", "merge heads"], "no alembic.ini"),
        (without("script.py.mako"), ["migrate", "revision", "merge heads"], "no script.py.mako"),
    ],
    ids=["missing", "a file", "without env.py", "without alembic.ini", "without script.py.mako"],
)
def test_a_folder_that_is_no_migrations_folder(tmp_path, spoil, commands, words):
    application = plain.module(tmp_path)
    application.db("init").assert_ok()
    application.three_edits()
    spoil(application)
    before = sorted(application.path.rglob("*"))
    for command in commands:
        answer = application.db(*command.split())
        answer.assert_one_sentence("migrations is no migrations folder", words, "flask db init")
    assert sorted(application.path.rglob("*")) == before


def test_the_folder_that_a_command_names_is_the_one_that_is_meant(tmp_path):
    application = plain.begun(plain.module(tmp_path)).three_edits()
    (application.path / "migrations").rename(application.path / "other")
    application.db("heads").assert_one_sentence("migrations is no migrations folder")
    application.change(AGE)
    said = application.db("migrate", "-d", "other").assert_ok().err
    assert "other/versions/" in said and "proved on" in said and "other/schema/sqlite.sql" in said
    application.db("upgrade", "-d", "other").assert_ok()
    application.db("check", "-d", "other").assert_ok()
    broken = application.path / "other" / "versions" / "bbb1_broken.py"
    broken.write_text("revision = 'bbb1'\ndown_revision = None\nimport nothing_of_that_name\n")
    application.db("check", "-d", "other").assert_one_sentence("bbb1_broken.py, line 3")


def test_migrations_in_a_folder_that_alembic_ini_names(tmp_path):
    application = plain.module(tmp_path)
    application.db("init").assert_ok()
    application.three_edits()
    ini = application.path / "migrations" / "alembic.ini"
    folder = application.path / "history"
    folder.mkdir()
    ini.write_text(ini.read_text().replace("[alembic]", f"[alembic]\nversion_locations = {folder}"))
    application.db("migrate").assert_ok()
    assert len(list(folder.glob("*.py"))) == 1
    application.db("upgrade").assert_ok()
    application.db("check").assert_ok()
    (folder / "bbb1_broken.py").write_text(
        f"revision = 'bbb1'\ndown_revision = {next(folder.glob('*.py')).stem.split('_')[0]!r}\n\n\n"
        "def upgrade():\n    1 / 0\n"
    )
    application.db("upgrade").assert_one_sentence("bbb1_broken.py, line 6", "ZeroDivisionError")


ALEMBIC = """from alembic import command
from alembic.config import Config

config = Config("migrations/alembic.ini")
config.set_main_option("script_location", "migrations")
command.upgrade(config, "head")
"""


def test_env_py_without_an_application_is_one_sentence(tmp_path):
    application = plain.begun(plain.module(tmp_path)).three_edits()
    said = "env.py needs the Flask application: type flask --app NAME db"
    ran = application.warm(sys.executable, "migrations/env.py")
    assert (ran.code, ran.err.count("\n")) == (1, 1) and said in ran.err
    application.write("program.py", ALEMBIC)
    assert f"CommandError: {said}" in application.warm(sys.executable, "program.py").err
    ini = application.path / "migrations" / "alembic.ini"
    ini.write_text(ini.read_text().replace("[alembic]", "[alembic]\nscript_location = migrations"))
    alembic = (sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "upgrade", "head")
    ran = application.run(*alembic)
    assert ran.code != 0 and "Traceback" not in ran.said and said in ran.said


def test_a_step_that_was_forgotten_is_said(tmp_path):
    application = plain.begun(plain.module(tmp_path))
    stock = (application.path / "migrations" / "env.py").read_text()
    ini = (application.path / "migrations" / "alembic.ini").read_text()
    application.three_edits()
    application.write("migrations/env.py", stock)
    said = application.db("current").assert_ok().err
    assert "migrations/env.py is Flask-Migrate's own" in said and "type flask db adopt" in said
    application.write("migrations/env.py", "from flask_keel import env\n\nenv.run()\n")
    application.write("migrations/alembic.ini", ini)
    said = application.db("migrate").assert_ok().err
    assert "migrations/alembic.ini has no hooks = sqlite_safe, review" in said
    application.replace(
        "app.py", "from flask_keel import Keel", "from flask_migrate import Migrate"
    )
    application.replace("app.py", "Keel(app, db)", "Migrate(app, db)")
    said = application.db("upgrade", "base").said
    assert "the application has no Keel: write Keel(app, db)" in said and "Traceback" not in said


def test_what_is_expected_is_a_sentence_where_an_application_is_debugged(tmp_path):
    """Many applications say FLASK_DEBUG=1 in .flaskenv."""
    application = plain.begun(plain.module(tmp_path)).three_edits()
    application.database.unlink()
    application.db("current", FLASK_DEBUG="1").assert_one_sentence("type flask db upgrade")
    first = application.db("heads").assert_ok().out.split()[0]
    application.migration("bbb1", first, "1 / 0")
    assert "Traceback" in application.db("upgrade", FLASK_DEBUG="1").err
