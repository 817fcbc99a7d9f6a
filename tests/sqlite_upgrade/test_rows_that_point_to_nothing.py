"""A migration may not leave rows that point to nothing; rows that did before are no obstacle."""

import sqlite3
from contextlib import closing

from families import REBUILD
from sqlite_contents import contents, rows

ORPHANS = "INSERT INTO nulled VALUES (7, 77), (8, 88)"


def break_rows(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(ORPHANS)


def test_a_migration_that_leaves_orphans_is_refused_and_undone(family):
    family.migration("f2", "f1", f"{REBUILD}\nop.execute('DELETE FROM parent WHERE id = 1')")
    before = contents(family.database)
    answer = family.db("upgrade")
    answer.assert_one_sentence("point to nothing", "2 of cascaded to parent", "as it was")
    assert contents(family.database) == before
    for arguments in (["upgrade", "--sql"], ["upgrade", "f2"]):
        refused = family.db(*arguments)
        refused.assert_one_sentence("2 of cascaded to parent")
        assert refused.out == ""


def test_rows_that_were_broken_before_are_no_obstacle(family):
    break_rows(family.database)
    family.migration("f2", "f1", REBUILD)
    family.migration("f3", "f2", "op.rename_table('nulled', 'set_free')")
    family.db("upgrade").assert_ok()
    assert rows(family.database, "SELECT id FROM set_free WHERE id > 3") == [(7,), (8,)]


def test_more_broken_rows_than_before_are_refused(family):
    break_rows(family.database)
    family.migration("f2", "f1", "op.execute('INSERT INTO nulled VALUES (9, 99)')")
    family.db("upgrade").assert_one_sentence("1 of nulled to parent")


def test_a_downgrade_is_held_to_the_same(family):
    family.migration("f2", "f1", "pass", "op.execute('DELETE FROM parent')")
    family.db("upgrade").assert_ok()
    before = contents(family.database)
    family.db("downgrade").assert_one_sentence("3 of cascaded to parent", "as it was")
    assert contents(family.database) == before


RAW = """
driver = op.get_bind().connection.driver_connection
driver.execute("INSERT INTO nulled VALUES (9, {parent})")
"""


def test_what_a_migration_does_behind_the_back_of_sqlalchemy_is_counted_too(family):
    break_rows(family.database)
    family.migration("f2", "f1", RAW.format(parent=99))
    before = contents(family.database)
    family.db("upgrade").assert_one_sentence("1 of nulled to parent")
    assert contents(family.database) == before
    family.migration("f2", "f1", RAW.format(parent=1))
    family.db("upgrade").assert_ok()


def test_a_table_that_is_changed_and_renamed_keeps_its_broken_rows(family):
    break_rows(family.database)
    family.migration("f2", "f1", "op.execute('UPDATE nulled SET id = id + 10')")
    family.migration("f3", "f2", "op.rename_table('nulled', 'set_free')")
    family.migration("f4", "f3", "op.execute('INSERT INTO set_free VALUES (1, 99)')")
    family.db("upgrade").assert_one_sentence("of set_free to parent")
    family.migration("f4", "f3", "pass")
    family.db("upgrade").assert_ok()
