"""_alembic_tmp_post, left by an older tool: reported with what to type, never dropped blindly."""

import re
import subprocess

import pytest
import sqlite_contents
from sqlite_contents import contents, rows, tables

LONG_NAME = "a_table_whose_name_is_longer_than_alembic_keeps"


@pytest.fixture
def interrupted(bare):
    bare.migration("f1", None, "op.execute('CREATE TABLE post (id INTEGER, title TEXT)')")
    bare.db("upgrade").assert_ok()
    bare.migration("f2", "f1", "op.add_column('post', sa.Column('slug', sa.Text()))")
    return bare


def type_it(answer):
    """Type the command that the sentence names."""
    (command,) = re.findall(r"type (sqlite3 .*?'), then", answer.err)
    ran = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_a_leftover_beside_its_table_is_named_with_both_counts(interrupted):
    sqlite_contents.script(
        interrupted.database,
        "INSERT INTO post VALUES (1, 'one'), (2, 'two'); CREATE TABLE _alembic_tmp_post (id)",
    )
    before = contents(interrupted.database)
    answer = interrupted.db("upgrade")
    answer.assert_one_sentence("holds _alembic_tmp_post", "with 2 rows, _alembic_tmp_post has 0")
    assert contents(interrupted.database) == before
    type_it(answer)
    interrupted.db("upgrade").assert_ok()
    assert rows(interrupted.database, "SELECT title FROM post") == [("one",), ("two",)]


def test_a_leftover_that_holds_all_the_rows_is_given_its_name_back(interrupted):
    sqlite_contents.script(
        interrupted.database,
        "INSERT INTO post VALUES (1, 'one'); ALTER TABLE post RENAME TO _alembic_tmp_post",
    )
    before = contents(interrupted.database)
    answer = interrupted.db("upgrade")
    answer.assert_one_sentence("_alembic_tmp_post (1 rows)", "no table post", "your rows are in it")
    assert contents(interrupted.database) == before
    type_it(answer)
    interrupted.db("upgrade").assert_ok()
    assert rows(interrupted.database, "SELECT title FROM post") == [("one",)]


def test_a_leftover_whose_name_was_cut_is_matched_with_its_table(interrupted):
    leftover = f"_alembic_tmp_{LONG_NAME}"[:50]
    sqlite_contents.script(
        interrupted.database, f"CREATE TABLE {LONG_NAME} (id); CREATE TABLE {leftover} (id)"
    )
    answer = interrupted.db("upgrade")
    answer.assert_one_sentence(f"{LONG_NAME} is there")
    type_it(answer)
    assert leftover not in tables(interrupted.database)
    assert LONG_NAME in tables(interrupted.database)
