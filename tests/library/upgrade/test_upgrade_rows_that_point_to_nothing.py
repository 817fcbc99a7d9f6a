"""A migration may not leave rows that point to nothing; rows that did before are no obstacle."""

import sqlite3
from contextlib import closing

import pytest
from sqlite_contents import contents, rows, script

from .families import REBUILD

ORPHANS = "INSERT INTO nulled VALUES (7, 77), (8, 88)"


def break_rows(path, more=""):
    """As an application does that never turned foreign keys on."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(f"{ORPHANS}; {more}")


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


LOST = {
    "a comment in front": ("-- test accounts\nDELETE FROM parent WHERE id = 1", "2 of cascaded"),
    "insert or replace": (
        "INSERT OR REPLACE INTO named (id, name) VALUES (9, 'a')",
        "1 of namesake to named",
    ),
    "an upsert": (
        "INSERT INTO named (id, name) VALUES (9, 'a') ON CONFLICT (name) DO UPDATE SET id = 9",
        "1 of namesake to named",
    ),
    "a table that replaces": (
        "INSERT INTO replacing (id, name) VALUES (9, 'a')",
        "1 of replaced to replacing",
    ),
    "update or replace": (
        "UPDATE OR REPLACE named SET name = 'a' WHERE id = 2",
        "1 of namesake to named",
    ),
    "a query in front": (
        "WITH gone AS (SELECT 1 AS id) DELETE FROM parent WHERE id IN (SELECT id FROM gone)",
        "2 of cascaded",
    ),
    "a trigger": ("INSERT INTO acting VALUES (1)", "2 of cascaded"),
    "the index that makes a key of a column": (
        "DROP INDEX by_code",
        "leave table 'coded' with a foreign key that SQLite cannot check (foreign key mismatch",
    ),
}
MORE = """
CREATE TABLE named (id INTEGER PRIMARY KEY, name TEXT UNIQUE, code INT);
CREATE UNIQUE INDEX by_code ON named (code);
CREATE TABLE namesake (id INTEGER PRIMARY KEY, named_id INT REFERENCES named);
CREATE TABLE coded (id INTEGER PRIMARY KEY, code INT REFERENCES named (code));
CREATE TABLE replacing (id INTEGER PRIMARY KEY, name TEXT UNIQUE ON CONFLICT REPLACE);
CREATE TABLE replaced (id INTEGER PRIMARY KEY, replacing_id INT REFERENCES replacing);
CREATE TABLE acting (id INTEGER PRIMARY KEY);
CREATE TRIGGER acts AFTER INSERT ON acting BEGIN DELETE FROM parent WHERE id = 1; END;
INSERT INTO named VALUES (1, 'a', 1), (2, 'b', 2); INSERT INTO namesake VALUES (1, 1);
INSERT INTO coded VALUES (1, 1);
INSERT INTO replacing VALUES (1, 'a'); INSERT INTO replaced VALUES (1, 1);
"""


@pytest.mark.parametrize("how", LOST)
def test_a_parent_is_missed_however_it_went(family, how):
    script(family.database, MORE)
    statement, said = LOST[how]
    family.migration("f2", "f1", f"op.execute({statement!r})")
    before = contents(family.database)
    family.db("upgrade").assert_one_sentence(said, "as it was")
    assert contents(family.database) == before


WITHOUT_ROWID = """
CREATE TABLE plain (code TEXT PRIMARY KEY, n INT REFERENCES parent (id)) WITHOUT ROWID;
CREATE TABLE twice (id INTEGER PRIMARY KEY, a INT REFERENCES parent, b INT REFERENCES parent);
INSERT INTO plain VALUES ('a', 77), ('b', 1), ('c', 1), ('d', NULL);
INSERT INTO twice VALUES (1, 77, 1), (2, 1, 1);
"""
MOVED = {
    "one row is mended and another broken": (
        "UPDATE nulled SET parent_id = CASE id WHEN 7 THEN 1 ELSE 77 END WHERE id IN (1, 7)",
        "1 of nulled to parent",
    ),
    "also without a rowid": (
        "UPDATE plain SET n = CASE code WHEN 'a' THEN 1 ELSE 77 END WHERE code IN ('a', 'b')",
        "1 of plain to parent",
    ),
    "one key of a row is mended and the other broken": (
        "UPDATE twice SET a = b, b = a WHERE id = 1",
        "1 of twice to parent",
    ),
}
KEPT = {
    "another broken value": "UPDATE nulled SET parent_id = 99 WHERE id = 7",
    "another number of the row": "UPDATE nulled SET id = id + 10",
    "another key of the row": "UPDATE plain SET code = 'x' || code",
    "a mended row": "UPDATE plain SET n = 1",
    "a column by another name": "ALTER TABLE plain RENAME COLUMN n TO m",
    "a parent by another name": "ALTER TABLE parent RENAME TO parents",
    "a table by another name": "ALTER TABLE plain RENAME TO plainer",
}


@pytest.mark.parametrize("how", MOVED)
def test_one_row_mended_does_not_hide_another_one_broken(family, how):
    break_rows(family.database, WITHOUT_ROWID)
    statement, said = MOVED[how]
    family.migration("f2", "f1", f"op.execute({statement!r})")
    before = contents(family.database)
    for arguments in (["upgrade"], ["upgrade", "--sql"]):
        family.db(*arguments).assert_one_sentence(said, "as it was")
    assert contents(family.database) == before


@pytest.mark.parametrize("how", KEPT)
def test_rows_that_were_broken_are_known_again(family, how):
    break_rows(family.database, WITHOUT_ROWID)
    family.migration("f2", "f1", f"op.execute({KEPT[how]!r})")
    family.db("upgrade").assert_ok()


@pytest.mark.parametrize("renamed", ["loose", "keyless"])
def test_a_foreign_key_that_never_had_its_key_is_no_obstacle_under_another_name(family, renamed):
    keyless = "CREATE TABLE keyless (id INTEGER PRIMARY KEY, code INT);"
    script(family.database, f"{keyless} CREATE TABLE loose (code INT REFERENCES keyless (code))")
    everything = "op.execute('PRAGMA foreign_keys=OFF')"  # as far as can be told
    family.migration("f2", "f1", f"{everything}\nop.rename_table({renamed!r}, 'other')")
    family.db("upgrade").assert_ok()
