"""Several databases: each with a history, a log and a schema file of its own, one command for all."""

import json
import sqlite3
from contextlib import closing

import pytest
from several import ARCHIVE, NAMED, archived, ask, configure, files, head


@pytest.fixture
def project(two_databases):
    return two_databases


def test_a_second_database_has_a_history_of_its_own_and_changes_no_file_of_the_first(grown):
    project, before = grown
    now = files(project)
    assert before == {name: now[name] for name in before}
    (made,) = archived(project).joinpath("versions").glob("*.py")
    new = {name.replace(made.name, "X") for name in now.keys() - before.keys()}
    own = ("alembic.ini", "env.py", "head.txt", "script.py.mako", "versions/X")
    assert new == {"schema/archive.sqlite.sql", *(f"binds/archive/{name}" for name in own)}
    assert (archived(project) / "head.txt").read_text().strip() == head(project, "archive")
    assert "letter" in now["schema/archive.sqlite.sql"] and "person" not in made.read_text()
    assert ask(project, "archive", "SELECT direction FROM alembic_log") == [("upgrade",)]
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('person', 'letter')"
    assert ask(project, "dev", tables) == [("person",)]
    assert ask(project, "archive", tables) == [("letter",)]


ALIKE = [
    "current",
    *(pytest.param(it, marks=pytest.mark.drill) for it in ("heads", "history", "log")),
]


@pytest.mark.parametrize("command", ALIKE)
def test_a_command_says_it_of_each_database_or_of_the_one_that_is_named(project, command):
    revisions = {"default": head(project), "archive": head(project, "archive")}
    both = project.db(command).assert_ok().out
    assert all(revision in both for revision in revisions.values())
    for name, revision in revisions.items():
        one = project.db(command, "--bind", name).assert_ok().out
        (other,) = set(revisions.values()) - {revision}
        assert revision in one and other not in one


def test_the_log_of_each_database_is_told_once_and_what_was_found_of_it_when_another_fails(project):
    document = json.loads(project.db("log", "--json").assert_ok().out)
    at = [one["log"][-1]["revision"] for one in document["databases"]]
    assert at == [head(project), head(project, "archive")] and "binds" not in document
    archive = next(project.path.glob("var/archive*.db"))
    archive.write_text("a letter to my aunt" * 90)
    failed = project.db("log", "--json")
    (found,) = json.loads(failed.out)["databases"]
    assert failed.code == 1 and found["log"][-1]["revision"] == head(project)


def test_status_and_check_find_a_difference_in_any_of_them(project):
    project.db("check").assert_ok()
    assert project.db("status").assert_ok().err.count("(head), as the last run left it") == 2
    project.model("letter", ARCHIVE + NAMED + "read: Mapped[bool]\n")
    project.db("check").assert_one_sentence("archive: ", "add read to letter")
    found = project.db("status", "--json")
    default, archive = json.loads(found.out)
    assert found.code == 1 and default["models"]["agree"] and "bind" not in default
    assert archive["bind"] == "archive" and archive["models"]["missing"] == ["add read to letter"]
    project.db("status", "--bind", "default").assert_ok()


def test_what_is_for_one_database_wants_its_name(project):
    for command in ("downgrade", "upgrade +1", "stamp base", "upgrade --sql"):
        words = "default, archive", "--bind NAME"
        project.db(*command.split()).assert_one_sentence(*words, code=2)
    before = head(project)
    project.db("downgrade", "--bind", "archive", "--yes").assert_ok()
    assert ask(project, "archive", "SELECT version_num FROM alembic_version") == []
    assert head(project) == before


def test_one_message_goes_into_one_file_for_each_database_that_changed(project):
    project.model("letter", ARCHIVE + NAMED + "read: Mapped[bool | None]\n")
    project.model("person", NAMED + "age: Mapped[int | None]\n")
    project.db("migrate", "-m", "more of both").assert_ok()
    for folder in (project.versions, archived(project) / "versions"):
        assert len(list(folder.glob("*_more_of_both.py"))) == 1
    project.model("person", NAMED + "age: Mapped[int | None]\nsize: Mapped[int | None]\n")
    project.db("migrate", "-m", "one alone").assert_ok()
    assert len(list(project.versions.glob("*_one_alone.py"))) == 1
    assert not list(archived(project).glob("versions/*_one_alone.py"))
    project.db("migrate", "-x", "empty=1", "--bind", "archive", "-m", "by hand").assert_ok()
    assert not list(project.versions.glob("*_by_hand.py"))


def test_an_answer_names_the_database_where_two_have_a_table_of_that_name(project):
    twin = '__bind_key__ = "archive"\n__tablename__ = "person"\n' + NAMED
    project.model("person_there", twin)
    project.db("migrate", "--bind", "archive").assert_ok()
    project.model("person", NAMED.replace("name:", "bio:"))
    project.model("person_there", twin.replace("name:", "label:"))
    both = "rename=default:person.name:bio,archive:person.name:label"
    refused = project.db("migrate", "-x", "rename=person.name:bio")
    refused.assert_one_sentence("rename=default:person.name:bio", "rename=archive:person.name:bio")
    project.db("migrate", "-x", both).assert_ok()
    for folder, new in ((project.versions, "bio"), (archived(project) / "versions", "label")):
        (file,) = folder.glob(f"*_rename_person_name_to_{new}.py")
        assert f"new_column_name='{new}'" in file.read_text()


FAILS = "op.execute('INSERT INTO nowhere VALUES (1)')"


def test_a_failure_stops_what_comes_after_says_where_all_are_and_is_gone_on_with(project):
    configure(project, 'SQLALCHEMY_BINDS["reports"] = "sqlite:///var/reports.db"\n')
    project.model("report", '__bind_key__ = "reports"\n' + NAMED)
    project.model("person", NAMED + "age: Mapped[int | None]\n")
    project.model("letter", ARCHIVE + NAMED + "read: Mapped[bool | None]\n")
    before, begun = head(project), head(project, "archive")
    project.db("migrate").assert_ok()
    (file,) = archived(project).glob("versions/*_add_read_to_letter.py")
    whole = file.read_text()
    file.write_text(whole.replace("def upgrade():\n", f"def upgrade():\n    {FAILS}\n"))
    stopped = project.db("upgrade").assert_one_sentence(
        file.name, "nowhere", "archive that stopped"
    )
    assert f"default is at {head(project)}" in stopped.err and head(project) != before
    assert "reports was not begun (at the base)" in stopped.err
    assert head(project, "archive") == begun and not (project.path / "var/reports.db").exists()
    file.write_text(whole)
    project.db("upgrade").assert_ok()
    project.db("status").assert_ok()
    assert ask(project, "reports", "SELECT * FROM report") == []


def test_a_plan_says_that_no_transaction_spans_the_databases(project):
    project.db("downgrade", "--bind", "archive", "--yes").assert_ok()
    assert "transaction" not in project.db("upgrade", "--plan").assert_ok().err
    project.db("downgrade", "--bind", "default", "--yes").assert_ok()
    one = project.db("upgrade", "--sql", "--bind", "default").assert_ok().out
    assert "(db upgrade --sql --bind default)" in one
    both = project.db("upgrade", "--plan").assert_ok().err
    assert "2 databases change (default, archive)" in both and "no transaction spans two" in both


def test_the_sql_of_all_goes_into_a_folder(project, tmp_path):
    project.db("downgrade", "--bind", "archive", "--yes").assert_ok()
    project.db("upgrade", "--sql", "--output", str(tmp_path / "sql")).assert_ok()
    one = project.db("upgrade", "--sql", "--bind", "archive").assert_ok().out
    assert "(db upgrade --sql --bind archive)" in one
    assert (tmp_path / "sql/archive.sql").read_text() == one and "CREATE TABLE letter" in one
    assert "CREATE TABLE" not in (tmp_path / "sql/default.sql").read_text()


SEED = """from .models.letter import Letter
from .models.person import Person


def seed(session):
    session.add_all([Person(name="Ada"), Letter(name="an old one")])
"""


def test_make_db_builds_all_and_replaces_those_that_are_named(project):
    project.write("my_app/seed.py", SEED)
    project.model("letter", ARCHIVE + NAMED + "read: Mapped[bool | None]\n")
    ran = project.db("rebuild").assert_ok()
    assert "add read to letter" in ran.err and ran.err.count("is fresh") == 2
    assert ask(project, "archive", "SELECT name, read FROM letter") == [("an old one", None)]
    with closing(sqlite3.connect(project.database)) as database:
        database.execute("INSERT INTO person (name) VALUES ('by hand')")
        database.commit()
    project.db("rebuild", "--bind", "archive").assert_ok()
    assert ask(project, "dev", "SELECT count(*) FROM person") == [(2,)]
    assert ask(project, "archive", "SELECT count(*) FROM letter") == [(1,)]
    project.write("my_app/seed.py", SEED + "    session.flush()\n    raise ValueError('no')\n")
    project.db("rebuild").assert_one_sentence("seed.py, line 8", "as it was")
    assert ask(project, "dev", "SELECT count(*) FROM person") == [(2,)]


def test_make_db_names_the_file_of_a_bind_that_stops_it(project):
    (path,) = archived(project).joinpath("versions").glob("*.py")
    text = path.read_text()
    first = "def upgrade():\n"
    path.write_text(text.replace(first, f"{first}    op.execute('no SQL')\n"))
    project.db("rebuild").assert_one_sentence(path.name, "line ", "as it was: mend the file")
    path.write_text(text + "def (\n")
    project.db("rebuild").assert_one_sentence(path.name, "SyntaxError", "mend the file")


def test_make_db_says_what_it_had_replaced_when_another_database_is_locked(project):
    project.write("my_app/seed.py", SEED)
    with closing(sqlite3.connect(project.database)) as database:
        database.execute("INSERT INTO person (name) VALUES ('by hand')")
        database.commit()
    with closing(sqlite3.connect(project.path / "var/archive.db")) as held:
        held.execute("BEGIN IMMEDIATE")
        stopped = project.db("rebuild")
    kept = project.path / "var/backups/dev.replaced.db"
    stopped.assert_one_sentence("archive.db is locked", "fresh already: default", str(kept))
    assert ask(project, "backups/dev.replaced", "SELECT name FROM person") == [("by hand",)]
    assert ask(project, "dev", "SELECT name FROM person") == [("Ada",)]


def test_an_env_py_that_is_gone_is_written_again_and_the_alembic_ini_beside_it_stays(project):
    ini, env = archived(project) / "alembic.ini", archived(project) / "env.py"
    ini.write_text(ini.read_text() + "# ours\n")
    env.unlink()
    for command in ("rebuild", "migrate"):
        project.db(command).assert_ok()
        assert env.is_file() and ini.read_text().endswith("# ours\n"), command
        env.unlink()


@pytest.mark.drill
def test_each_is_copied_and_given_back(project):
    ((person,),) = ask(project, "dev", "SELECT count(*) FROM person")
    made = project.db("backup").assert_ok().out.splitlines()
    assert [line.rpartition("var/")[2].rpartition("/")[0] for line in made] == [
        "backups",
        "backups/archive",
    ]
    for name, table in (("dev", "person"), ("archive", "letter")):
        with closing(sqlite3.connect(project.path / "var" / f"{name}.db")) as database:
            database.execute(f"INSERT INTO {table} (name) VALUES ('later')")
            database.commit()
    project.db("restore", made[0], "--yes").assert_one_sentence("--bind NAME", code=2)
    project.db("restore", "--bind", "archive", "--yes").assert_ok()
    assert ask(project, "archive", "SELECT count(*) FROM letter") == [(0,)]
    assert ask(project, "dev", "SELECT count(*) FROM person") == [(person + 1,)]
    project.db("restore", "--yes").assert_ok()
    assert ask(project, "dev", "SELECT count(*) FROM person") == [(person,)]


def test_none_is_given_back_where_one_of_them_has_no_backup(project):
    project.db("backup", "--bind", "default").assert_ok()
    with closing(sqlite3.connect(project.path / "var/dev.db")) as database:
        database.execute("INSERT INTO person (name) VALUES ('later')")
        database.commit()
    said = project.db("restore", "--yes").assert_one_sentence("no backup", "db backup")
    assert "archive" in said.err
    assert ask(project, "dev", "SELECT count(*) FROM person WHERE name = 'later'") == [(1,)]


@pytest.mark.drill
def test_two_heads_of_one_history_are_put_in_order_and_the_other_is_left_alone(project):
    project.remember()
    first = head(project, "archive")
    for name, column in (("theirs", "read"), ("ours", "size")):
        project.git("checkout", "--quiet", "-b", name, "main")
        project.model("letter", ARCHIVE + NAMED + f"{column}: Mapped[int | None]\n")
        project.db("migrate").assert_ok()
        report = project.db("report").assert_ok().out
        assert f"add {column} to letter" in report and "SQLite (archive)" in report
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", name)
    assert project.run("git", "merge", "theirs").code == 1
    both = "read: Mapped[int | None]\nsize: Mapped[int | None]\n"
    project.model("letter", ARCHIVE + NAMED + both)
    project.db("check").assert_one_sentence("archive: ", "make rebase bind=archive")
    said = project.db("rebase").assert_ok().err
    assert "default:" in said and "git add my_app/migrations && git merge --continue" in said
    project.git("add", "--all")
    project.db("upgrade").assert_ok()
    project.db("check").assert_ok()
    assert head(project, "archive") != first
    columns = [line[1] for line in ask(project, "archive", "PRAGMA table_info(letter)")]
    assert {"read", "size"} <= set(columns)


def test_a_migration_that_writes_to_another_database_leaves_it_alone_where_make_db_fails(project):
    project.write("my_app/seed.py", SEED)
    project.db("rebuild").assert_ok()
    project.db("revision", "--bind", "archive", "-m", "ada").assert_ok()
    (written,) = (project.path / "my_app/migrations/binds/archive/versions").glob("*_ada.py")
    words = (
        "from my_app.extensions import db\n\n    db.session.execute(db.text('DELETE FROM person'))"
    )
    text = written.read_text().replace("pass", f"{words}\n    db.session.commit()", 1)
    written.write_text(text)
    project.write("my_app/seed.py", SEED + "    session.flush()\n    raise ValueError('no')\n")
    project.db("rebuild").assert_one_sentence("seed.py, line 8", "as it was")
    assert ask(project, "dev", "SELECT name FROM person") == [("Ada",)]
