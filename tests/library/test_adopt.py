"""`flask db adopt`: a history of one's own under this library, and back again."""

import sqlite3
import subprocess
from contextlib import closing

import plain
import pytest

AGE = "    age = db.Column(db.Integer)\n"
MORE = """

class Post(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(80), unique=True)
    user_id = db.Column(db.ForeignKey("user.id"))
"""
CONVENTION = (
    "from sqlalchemy import MetaData\nfrom flask_keel import naming_convention\n"
    "db = SQLAlchemy(app, metadata=MetaData(naming_convention=naming_convention))\n"
)
PERSON = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")


def git(application, *arguments):
    subprocess.run(
        ["git", "-C", application.path, *PERSON, *arguments], check=True, capture_output=True
    )


def remembered(application):
    """Put it into git, as an application of somebody is."""
    application.write(".gitignore", "instance/\n__pycache__/\n*.pyc\n")
    git(application, "init", "--quiet")
    git(application, "add", "--all")
    git(application, "commit", "--quiet", "--message", "as it was")
    return application


def tree(application):
    outside = ("instance", ".git", "__pycache__")
    return {
        str(path.relative_to(application.path)): path.read_bytes()
        for path in application.path.rglob("*")
        if path.is_file() and not set(outside) & set(path.relative_to(application.path).parts)
    }


@pytest.fixture
def application(tmp_path):
    """One file, one migration by stock, and Keel in the place of Migrate."""
    made = plain.module(tmp_path)
    made.write("app.py", plain.MODULE + MORE)
    return plain.with_keel(plain.begun(made))


@pytest.mark.some(2)
@pytest.mark.parametrize("layout", plain.LAYOUTS)
def test_it_does_the_edits_and_undo_puts_them_back_byte_for_byte(tmp_path, layout):
    application = remembered(plain.with_keel(plain.begun(plain.LAYOUTS[layout](tmp_path))))
    before = tree(application)
    said = application.db("adopt", "--dry-run").assert_ok().err
    assert "Nothing was changed" in said and tree(application) == before
    said = application.db("adopt").assert_ok().err
    assert "the history of 1 migrations makes the same schema as under stock" in said
    assert len(said.splitlines()) < 24 and "INFO" not in said
    folder = application.path / application.migrations
    assert (folder / "env.py").read_text() == "from flask_keel import env\n\nenv.run()\n"
    assert (folder / "env.py.before-keel").read_bytes() == before[
        f"{application.migrations}/env.py"
    ]
    application.db("current").assert_ok()
    application.change(AGE)
    assert "proved on" in application.db("migrate").assert_ok().err
    new = {name for name in tree(application) if name.endswith("_add_age_to_user.py")}
    application.db("adopt").assert_one_sentence("calls flask_keel already", "--undo")
    application.db("adopt", "--undo").assert_ok()
    git(application, "checkout", application.models)
    after = tree(application)
    assert {name: after[name] for name in after if name not in new} == before
    application.db("adopt", "--undo").assert_one_sentence("nothing to put back")


def test_what_was_born_here_is_not_told_to_undo_an_adoption_that_never_was(blog):
    said = blog.db("adopt").assert_one_sentence("calls flask_keel already, so there is nothing")
    assert "--undo" not in said.err


def test_hooks_and_line_ends_of_ones_own_stay(application):
    ini = application.path / "migrations" / "alembic.ini"
    text = (
        ini.read_text()
        + "\n[post_write_hooks]\n# ours\nhooks = black\nblack.type = console_scripts\n"
    )
    ini.write_bytes(text.replace("\n", "\r\n").encode())
    before = tree(remembered(application))
    application.db("adopt").assert_ok()
    changed = ini.read_bytes()
    assert b"\r\nhooks = sqlite_safe, black, review\r\n" in changed
    assert changed.count(b"\n") == changed.count(b"\r\n")
    application.db("adopt", "--undo").assert_ok()
    assert tree(application) == before


def test_what_was_changed_since_is_not_thrown_away(application):
    remembered(application).db("adopt").assert_ok()
    with (application.path / "migrations" / "alembic.ini").open("a") as file:
        file.write("; a note\n")
    after = tree(application)
    application.db("adopt", "--undo").assert_one_sentence("alembic.ini was changed since")
    assert tree(application) == after


ENV_CHANGES = [
    (
        "target_db = current_app",
        "theirs = config.get_section('theirs')['tables'].split()\n\n\n"
        "def is_theirs(name):\n    return name in theirs\n\n\n"
        "def include_object(item, name, kind, reflected, compared):\n"
        "    return not (kind == 'table' and is_theirs(name))\n\n\ntarget_db = current_app",
    ),
    (
        "            connection=connection,\n",
        "            connection=connection,\n            include_object=include_object,\n"
        "            compare_server_default=True,\n            version_table='applied',\n",
    ),
    (
        "    with connectable.connect() as connection:",
        "    os.environ.setdefault('MIGRATING', '1')\n    with connectable.connect() as connection:",
    ),
    ("from alembic import context", "import os\n\nfrom alembic import context"),
]


def test_options_and_functions_of_env_py_go_on(tmp_path):
    """include_object lives in env.py, with the names that it needs; what else is done there is said."""
    application = plain.module(tmp_path)
    application.db("init").assert_ok()
    for old, new in ENV_CHANGES:
        application.replace("migrations/env.py", old, new)
    with (application.path / "migrations" / "alembic.ini").open("a") as ini:
        ini.write("\n[theirs]\ntables = legacy other\n")
    application.db("migrate").assert_ok()
    application.db("upgrade").assert_ok()
    with closing(sqlite3.connect(application.database)) as connection:
        connection.execute("CREATE TABLE legacy (id INTEGER)")
    said = remembered(plain.with_keel(application)).db("adopt").assert_ok().err
    assert "options taken over: compare_server_default, include_object, version_table" in said
    assert "os.environ.setdefault('MIGRATING', '1')" in said.partition("not understood in it:")[2]
    env = (application.path / "migrations" / "env.py").read_text()
    assert "include_object=include_object" in env and "def is_theirs(name):" in env
    assert "MIGRATING" not in env and "process_revision_directives" not in env
    assert "(head)" in application.db("current").assert_ok().out
    application.change(AGE)
    application.db("migrate").assert_ok()
    application.db("upgrade").assert_ok()
    application.db("check").assert_ok()
    with closing(sqlite3.connect(application.database)) as connection:
        tables = {row[0] for row in connection.execute("SELECT tbl_name FROM sqlite_master")}
    assert tables == {"user", "applied", "legacy", "alembic_log"}


def two_heads(application):
    first = application.db("heads").out.split()[0]
    application.migration("bbb1", first, "pass")
    application.migration("ccc1", first, "pass")
    git(application, "add", "--all")
    git(application, "commit", "-qm", "two")


def no_models(application):
    text = (application.path / "app.py").read_text()
    application.write("app.py", text.partition("\n\nclass ")[0] + "\n")
    git(application, "commit", "-qam", "none")


def no_migration(application):
    for path in application.versions.glob("*.py"):
        path.unlink()
    git(application, "commit", "-qam", "none")


REFUSED = {
    "dirty": (lambda it: it.change(AGE), ["git sees changes", "app.py", "commit or stash"]),
    "a new file": (lambda it: it.write("migrations/x.py", ""), ["git sees changes", "x.py"]),
    "two heads": (two_heads, ["2 heads", "flask db rebase"]),
    "no models": (no_models, ["no models"]),
    "no migration": (no_migration, ["no migration yet"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_adopted_is_one_sentence_and_nothing_is_changed(application, case):
    spoil, words = REFUSED[case]
    spoil(remembered(application))
    before = tree(application)
    application.db("adopt").assert_one_sentence(*words)
    application.db("adopt", "--dry-run").assert_one_sentence(*words)
    assert tree(application) == before


def test_what_was_there_is_never_judged_and_what_comes_is(application):
    first = application.db("heads").assert_ok().out.split()[0]
    application.migration("bbb1", first, 'op.drop_column("user", "name")', "pass")
    remembered(application)
    said = application.db("adopt").assert_ok().err
    assert "the models and the history disagree:\n  add name to user" in said
    said = application.db("migrate").assert_ok().err
    assert "add name to user" in said and "proved on" in said
    said = application.db("check").assert_ok().err
    assert "1 migrations linted and proved" in said and "2 from before flask-keel" in said
    ini = application.path / "migrations" / "alembic.ini"
    noted = ini.read_text()
    ini.write_text(noted.replace("adopted_at = bbb1", "adopted_at = zzz1"))
    for command in ("check", "upgrade", "migrate"):
        application.db(command).assert_one_sentence("adopted_at = zzz1, which no migration is")
    ini.write_text(noted)
    # without the note of it, what bbb1 loses is said
    ini.write_text(ini.read_text().replace("adopted_at = bbb1", ""))
    assert "drop-column" in application.db("check").err


def names(application):
    with closing(sqlite3.connect(application.database)) as connection:
        return "\n".join(
            row[0] or "" for row in connection.execute("SELECT sql FROM sqlite_master")
        )


def test_a_naming_convention_counts_for_new_migrations_only(application):
    remembered(application).db("adopt").assert_ok()
    application.replace("app.py", "db = SQLAlchemy(app)\n", CONVENTION)
    assert "nothing to migrate" in application.db("migrate").assert_ok().err
    application.change("    mail = db.Column(db.String(80), unique=True)\n")
    application.db("migrate").assert_ok()
    application.database.unlink()
    application.db("upgrade").assert_ok()
    assert "CONSTRAINT uq_user_mail UNIQUE" in names(application)
    assert "uq_post_title" not in names(application) and "pk_user" not in names(application)
    application.db("check").assert_ok()
    sql = application.path / "printed.db"
    application.database.unlink()
    said = application.db("upgrade", "--sql").assert_ok().out
    lines = [line for line in said.splitlines() if not line.startswith(".")]
    with closing(sqlite3.connect(sql, isolation_level=None)) as connection:
        connection.executescript("\n".join(lines))
        made = "\n".join(
            row[0] or "" for row in connection.execute("SELECT sql FROM sqlite_master")
        )
    assert "uq_user_mail" in made and "uq_post_title" not in made
    application.db("upgrade").assert_ok()
    for _ in range(2):
        application.db("downgrade").assert_ok()
    assert "CREATE TABLE user" not in names(application)


def test_where_stock_stops_and_this_library_does_not(application):
    first = application.db("heads").assert_ok().out.split()[0]
    application.migration("bbb1", first, 'op.create_unique_constraint("uq_u", "user", ["name"])')
    application.replace("app.py", "db.String(128)", "db.String(128), unique=True")
    said = remembered(application).db("adopt").assert_ok().err
    assert (
        "the history of 2 migrations runs whole; under stock it stops:\n  bbb1_by_hand.py" in said
    )
    application.db("upgrade").assert_ok()


ODD = {
    "from app import User": "imports app, which changes with the time",
    "op.get_bind().engine.dialect": "what connects to op.get_bind().engine does not see the migration",
    "bind = op.get_bind(); bind.engine.url": "what connects to bind.engine does not see the migration",
}


@pytest.mark.parametrize("line", ODD)
def test_what_rests_on_something_that_changes_is_listed(application, line):
    first = application.db("heads").assert_ok().out.split()[0]
    application.migration("bbb1", first, line)
    said = remembered(application).db("adopt").assert_ok().err
    assert f"bbb1_by_hand.py, line 11: {ODD[line]}" in said.partition("to look at:")[2]


def test_what_stops_is_listed_with_its_mend(application):
    first = application.db("heads").assert_ok().out.split()[0]
    application.migration("bbb1", first, 'op.drop_constraint(None, "user", type_="unique")')
    said = remembered(application).db("adopt", "--dry-run").assert_ok().err
    stops = said.partition("the history stops on a scratch database:")[2]
    assert "bbb1_by_hand.py, line 11" in stops and "write its name" in stops
    assert "it stops under stock, too" in said
    assert "drops a constraint without a name (None): write" in said.partition("to look at:")[2]


def test_the_script_is_offered_for_what_no_server_has(application):
    remembered(application)
    git(application, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(application, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    first = application.db("heads").assert_ok().out.split()[0]
    application.migration("bbb1", first, 'op.create_unique_constraint("uq_u", "user", ["name"])')
    git(application, "add", "--all")
    git(application, "commit", "-qm", "new")
    said = application.db("adopt").assert_ok().err
    offered = "flask db sqlite-safe migrations/versions/bbb1_by_hand.py"
    assert f"bbb1_by_hand.py is on no server yet: type {offered}" in said
    application.db(*offered.split()[2:]).assert_ok()
    assert "batch_alter_table" in (application.versions / "bbb1_by_hand.py").read_text()


@pytest.mark.xdist_group("servers")
def test_a_history_on_a_server(server_url, tmp_path):
    made = plain.module(tmp_path, APP_DATABASE=plain.url(server_url))
    made.write("app.py", plain.MODULE + MORE)
    application = remembered(plain.with_keel(plain.begun(made)))
    said = application.db("adopt").assert_ok().err
    assert "the history of 1 migrations makes the same schema as under stock" in said
    assert "disagree" not in said
    application.replace("app.py", "db = SQLAlchemy(app)\n", CONVENTION)
    assert "nothing to migrate" in application.db("migrate").assert_ok().err
    application.change("    mail = db.Column(db.String(80), unique=True)\n")
    application.db("migrate").assert_ok()
    application.db("upgrade").assert_ok()
    application.db("check").assert_ok()
    application.db("downgrade").assert_ok()


OWN_ENGINE = """from alembic import context
from flask import current_app
from sqlalchemy import create_engine, text

db = current_app.extensions["migrate"].db
with create_engine(db.engine.url).connect() as connection:
    connection.execute(text("CREATE TABLE touched (id INTEGER)"))
    context.configure(connection=connection, target_metadata=db.metadata)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
"""


def test_an_env_py_that_makes_its_own_engine_does_not_reach_the_database(application):
    """The history runs under stock, too, but never through the old env.py."""
    application.write("migrations/env.py", OWN_ENGINE)
    application.db("downgrade", "base").assert_ok()
    before = tree(remembered(application)), application.database.read_bytes()
    said = application.db("adopt", "--dry-run").assert_ok().err
    assert "the history of 1 migrations makes the same schema as under stock" in said
    assert "touched" in said.partition("not understood in it:")[2]
    assert (tree(application), application.database.read_bytes()) == before
    application.db("adopt").assert_ok()
    assert application.database.read_bytes() == before[1]
