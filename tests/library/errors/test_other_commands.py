"""The commands of Flask-Migrate that only look, or that mend a history."""

import shlex

from .every_way import HEAD, assert_one_sentence_of_db

FIRST = "3f8a1c52d7e0"


def test_the_commands_that_look(project):
    project.db("downgrade").assert_ok()
    assert project.db("current").assert_ok().out.strip() == FIRST
    history = project.db("history", "-i").assert_ok().out
    assert f"{FIRST} -> {HEAD} (head)" in history
    assert f"<base> -> {FIRST} (current)" in history
    assert f"Rev: {HEAD}" in project.db("show").assert_ok().out
    assert project.db("heads").assert_ok().out.strip() == f"{HEAD} (head)"
    assert project.db("branches").assert_ok().out == ""


def test_two_heads_are_merged_and_applied(project):
    project.migration("x1", HEAD, "op.execute('CREATE TABLE one (id)')")
    project.migration("x2", HEAD, "op.execute('CREATE TABLE two (id)')")
    assert f"{HEAD} (branchpoint)" in project.db("branches").assert_ok().out
    project.db("merge").assert_one_sentence("type db merge heads")
    project.db("merge", "heads", "-m", "both").assert_ok()
    project.db("upgrade").assert_ok()
    assert "(head) (mergepoint)" in project.db("current").assert_ok().out


def test_a_stamp_changes_what_the_database_says_of_itself(project):
    project.db("stamp", FIRST).assert_ok()
    assert project.db("current").assert_ok().out.strip() == FIRST
    project.db("stamp", "head").assert_ok()
    assert HEAD in project.db("current").assert_ok().out


def test_init_on_a_project_that_has_its_migrations(project):
    assert_one_sentence_of_db(project, "init", "migrations already", "type db migrate")


def test_edit_opens_the_editor_and_says_when_there_is_none(project):
    editor = project.write("editor", '#!/bin/sh\ncat "$1"\n')
    editor.chmod(0o755)
    assert "add summary" in project.db("edit", EDITOR=str(editor)).assert_ok().out
    answer = project.db("edit", EDITOR=None, VISUAL=None, PATH="/nowhere")
    answer.assert_one_sentence("No suitable editor found", "type EDITOR=")


def test_a_range_is_for_sql_only(project):
    assert_one_sentence_of_db(project, "upgrade a:b", "--sql")


def test_a_reader_that_has_gone_is_no_error(project):
    command = shlex.join([*project.manage, "db", "log"])
    assert project.run("sh", "-c", f"{command} | true").assert_ok().err == ""


def test_what_is_closed_is_read_as_empty_and_printed_nowhere(project):
    program = shlex.join([*project.manage, "db"])
    answer = project.run("sh", "-c", f"{program} backup >/dev/null && {program} restore <&-")
    answer.assert_one_sentence("--yes")
    for command in ("history >&-", "revision -m one 2>&-"):
        project.run("sh", "-c", f"{program} {command}").assert_ok()
