"""Migrations that cannot be read or run, and histories that do not fit together."""

import sqlite3
from contextlib import closing

import pytest
from sqlite_contents import script

from .every_way import HEAD, answers, assert_one_sentence, assert_one_sentence_of_db, files


def test_a_migration_with_a_syntax_error(project):
    file = project.migration("x1", HEAD, "pass")
    file.write_text(f"{file.read_text()}\ndef broken(:\n")
    assert_one_sentence(project, "upgrade", "x1_by_hand.py, line 17", "SyntaxError", "mend")
    assert_one_sentence_of_db(project, "migrate", "x1_by_hand.py, line 17", "SyntaxError", "mend")


def test_a_migration_that_raises(project):
    project.migration("x1", HEAD, "raise ValueError('no\\nway')")
    assert_one_sentence(project, "upgrade", "x1_by_hand.py, line 11: ValueError: no way", "mend")
    assert_one_sentence_of_db(project, "check", "x1_by_hand.py, line 11: ValueError: no way")


def test_what_nobody_meant_and_came_out_of_the_library_may_be_its_own_fault(project):
    project.migration("x1", HEAD, "import flask_keel\nflask_keel.backfill(None, None, {})")
    project.db("upgrade").assert_one_sentence("x1_by_hand.py, line 12", "a fault of flask-keel")
    project.migration("x1", HEAD, "None.nothing")
    answer = project.db("upgrade").assert_one_sentence("line 11: AttributeError", "mend the file")
    assert "flask-keel" not in answer.err


def test_a_migration_that_drops_a_constraint_without_a_name(project):
    batch = 'with op.batch_alter_table("post") as batch_op:\n    batch_op.'
    project.migration("x1", HEAD, f"{batch}drop_constraint(None, type_='foreignkey')")
    words = "drops a constraint without a name (None)", "write the name that it has in the database"
    assert_one_sentence_of_db(project, "upgrade", "x1_by_hand.py, line 12", *words)


def test_a_migration_that_does_not_import(project):
    file = project.migration("x1", HEAD, "pass")
    file.write_text(f"import not_installed\n{file.read_text()}")
    assert_one_sentence_of_db(project, "upgrade", "x1_by_hand.py, line 1", "not_installed")


def test_a_migration_without_its_function(project):
    file = project.migration("x1", HEAD, "pass")
    file.write_text(file.read_text().replace("def upgrade", "def upgrad"))
    assert_one_sentence_of_db(project, "upgrade", "x1_by_hand.py", "no attribute 'upgrade'", "mend")


@pytest.mark.parametrize("command", ["upgrade", "migrate", "check"])
def test_two_heads(project, command):
    project.migration("x1", HEAD, "pass")
    project.migration("x2", HEAD, "pass")
    assert_one_sentence(
        project, command, "x1 (x1_by_hand.py) and x2 (x2_by_hand.py)", "make rebase"
    )


def test_a_copied_migration(project):
    file = project.migration("x1", HEAD, "pass")
    file.with_name("x1 copy.py").write_text(file.read_text())
    assert_one_sentence_of_db(project, "upgrade", "x1 copy.py and x1_by_hand.py", "delete the copy")


def test_a_migration_that_stands_on_nothing(project):
    project.migration("x1", "gone", "pass")
    assert_one_sentence_of_db(
        project, "upgrade", "x1_by_hand.py", "revision gone, which no file has"
    )


def test_a_circle(project):
    project.migration("x1", "x2", "pass")
    project.migration("x2", "x1", "pass")
    assert_one_sentence_of_db(
        project, "upgrade", "x1_by_hand.py and x2_by_hand.py", "down_revision"
    )


def test_a_file_that_is_no_migration(project):
    (project.versions / "helper.py").write_text("x = 1\n")
    assert_one_sentence_of_db(project, "upgrade", "helper.py", "'revision' variable")


@pytest.mark.parametrize("command", ["upgrade", "current", "stamp head"])
def test_a_database_at_a_revision_that_no_file_has(project, command):
    script(project.database, "UPDATE alembic_version SET version_num = 'gone'")
    assert_one_sentence(
        project, command, "dev.db is at revision gone, which no file in", "fetch the branch", code=4
    )


def test_a_purge_lets_a_database_forget_a_revision_that_no_file_has(project):
    script(project.database, "UPDATE alembic_version SET version_num = 'gone'")
    project.db("stamp", "--purge", HEAD).assert_ok()
    assert HEAD in project.db("current").assert_ok().out


@pytest.mark.parametrize("command", ["upgrade nope", "stamp nope", "upgrade --sql nope"])
def test_an_unknown_revision(project, command):
    assert_one_sentence(project, command, "no revision nope", "type db history")


@pytest.mark.parametrize("command", ["upgrade +5", "downgrade -- -7"])
def test_more_steps_than_there_are(project, command):
    assert_one_sentence_of_db(project, command, command.split()[-1], "type db current")


def test_tables_without_a_history(project):
    script(project.database, "DROP TABLE alembic_version")
    words = "has tables (post, user)", "type make db", "db stamp REVISION"
    assert_one_sentence(project, "upgrade", *words)
    assert_one_sentence_of_db(project, "downgrade", *words)
    prod = {"SETTINGS": "prod.conf", "DATABASE_URL": f"sqlite:///{project.database}"}
    answer = project.db("upgrade", **prod)
    answer.assert_one_sentence("has tables (post, user)", "db stamp REVISION")
    assert "make db" not in answer.err
    project.db("stamp", HEAD).assert_ok()
    project.db("upgrade").assert_ok()


def test_flask_debug_shows_the_traceback_of_what_nobody_expects(project):
    project.db("upgrade", "nope", FLASK_DEBUG="1").assert_one_sentence("no revision nope")
    project.migration("x1", HEAD, "1 / 0")
    before = files(project)
    for answer in answers(project, "upgrade", FLASK_DEBUG="1").values():
        assert answer.code == 1
        assert "Traceback" in answer.err
        assert "ZeroDivisionError" in answer.err
    assert files(project) == before


def test_a_sentence_is_all_that_a_failing_migration_prints_of_itself(project):
    project.migration("x1", HEAD, "op.execute('CREATE TABLE post (id INTEGER)')")
    answer = project.db("upgrade")
    answer.assert_one_sentence("table post already exists")
    assert "sqlalche.me" not in answer.said
    with closing(sqlite3.connect(project.database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]


def test_a_migration_of_the_time_before_the_library_is_told_the_line_to_write(project):
    file = project.migration("x1", HEAD, "pass")
    file.write_text(f"from my_app.migrations import {'toolkit'}\n{file.read_text()}")
    words = "x1_by_hand.py, line 1", "write import flask_keel in place of this line"
    assert_one_sentence(project, "upgrade", *words)


@pytest.mark.parametrize(
    ("docstring", "said"),
    [
        ("Revision ID: x1\nRevises: y\n", "x1  by hand"),
        ("\n\nRevision ID: x1\n", "x1  by hand"),
        ("", "x1  by hand"),
        ("\n\nIt has words\n\nRevision ID: x1\n", "x1  It has words"),
    ],
)
def test_a_migration_without_a_message_is_called_by_its_file(docstring, said, project):
    file = project.migration("x1", HEAD, "pass")
    file.write_text(file.read_text().replace('"""x1 by hand"""', f'"""{docstring}"""'))
    assert f"  upgrade {said}\n" in project.db("upgrade").assert_ok().err.replace(
        "x1            ", "x1  "
    )
