"""The schema table is only ever edited into what describes the rows that are there."""

import contextlib
import sqlite3

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from flask_keel.sqlite import plan, schema_text
from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.database import Database

from .conftest import session

TABLE = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, b INT, c AS (b) STORED)"
)
SCHEMA = f"{TABLE}; INSERT INTO t (a, b) VALUES ('x', 1), ('y', 2);"

OTHER_LAYOUTS = {
    "another order": TABLE.replace("a TEXT UNIQUE, b INT", "b INT, a TEXT UNIQUE"),
    "a column more": TABLE.replace("b INT,", "b INT, d INT,"),
    "a column less": TABLE.replace(" b INT,", "").replace("AS (b)", "AS (a)"),
    "no UNIQUE": TABLE.replace(" UNIQUE", ""),
    "another UNIQUE": TABLE.replace("b INT", "b INT UNIQUE"),
    "a UNIQUE of other columns": TABLE.replace("a TEXT UNIQUE, b INT", "a TEXT, b INT UNIQUE"),
    "another collation of a key": TABLE.replace("TEXT", "TEXT COLLATE NOCASE"),
    "no key": TABLE.replace(" PRIMARY KEY AUTOINCREMENT", ""),
    "no counter": TABLE.replace(" AUTOINCREMENT", ""),
    "a key that is no row number": TABLE.replace("INTEGER PRIMARY KEY AUTO", "INT PRIMARY KEY --"),
    "no longer stored": TABLE.replace(" STORED", ""),
    "WITHOUT ROWID": TABLE.replace(" AUTOINCREMENT", "") + " WITHOUT ROWID",
    "STRICT": TABLE + " STRICT",
}


@pytest.mark.parametrize("what", OTHER_LAYOUTS)
def test_a_text_with_another_layout_is_refused(bench, what):
    bench.make(SCHEMA)
    before = bench.dump()
    sql = OTHER_LAYOUTS[what].replace("--INCREMENT", "")
    assert sql != TABLE
    with pytest.raises(CommandError, match="does not describe the rows that it has"):
        bench.migrate(lambda op: schema_text.write(Database(op.get_bind()), CreateTable.parse(sql)))
    assert bench.dump() == before


def test_a_text_with_the_same_layout_is_taken(bench):
    bench.make(SCHEMA)
    sql = TABLE.replace("b INT", "b BIGINT NOT NULL DEFAULT 5 CHECK (b > 0) /* note */")
    bench.migrate(lambda op: schema_text.write(Database(op.get_bind()), CreateTable.parse(sql)))
    assert bench.sql("t") == sql
    with pytest.raises(sqlite3.IntegrityError):
        bench.run("INSERT INTO t (b) VALUES (-1)")
    assert bench.is_whole()


def test_no_temporary_sqlite_sequence_is_left_in_front_of_the_real_one(bench):
    bench.make(SCHEMA)

    def change(op):
        op.alter_column("t", "b", nullable=False)
        assert op.get_bind().exec_driver_sql("SELECT * FROM sqlite_sequence").all() == [("t", 2)]
        assert op.get_bind().exec_driver_sql("SELECT * FROM sqlite_temp_master").all() == []

    bench.migrate(change)


def test_a_new_constraint_holds_at_once_on_this_connection_and_on_others(bench):
    bench.make(SCHEMA)
    with contextlib.closing(sqlite3.connect(bench.path)) as other:
        insert = "INSERT INTO t (b) VALUES (-1)"
        other.execute(insert)
        other.rollback()

        def change(op):
            op.create_check_constraint("ck", "t", "b > 0")
            with pytest.raises(sa.exc.IntegrityError):
                op.execute(insert)

        bench.migrate(change)
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(insert)


def test_pragmas_are_as_before_even_after_an_error(bench):
    bench.make(SCHEMA)
    names = ("writable_schema", "legacy_alter_table", "foreign_keys")
    with contextlib.suppress(RuntimeError), session(bench.path) as op:

        def values():
            return [op.get_bind().exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        before = values()
        op.alter_column("t", "b", nullable=False)
        with pytest.raises(CommandError):
            op.create_check_constraint("ck", "t", "b > 1")
        op.create_unique_constraint("u", "t", ["b"])
        with pytest.raises(CommandError):
            op.create_unique_constraint("v", "t", ["nix"])
        assert values() == before
        raise RuntimeError


def test_a_defensive_library_makes_rebuilds(bench, plans, monkeypatch):
    bench.make(SCHEMA)
    monkeypatch.setattr(schema_text, "is_possible", lambda db: False)
    bench.migrate(lambda op: op.alter_column("t", "b", server_default="3"))
    assert plans() == ["t: set default '3' on b (rebuild, 2 rows)"]
    assert bench.is_whole()


@pytest.mark.skipif(not hasattr(sqlite3.Connection, "setconfig"), reason="Python 3.12 and later")
def test_a_really_defensive_library_makes_rebuilds(bench, plans):
    bench.make(SCHEMA)

    def change(op):
        raw = op.get_bind().connection.driver_connection
        raw.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        op.alter_column("t", "b", server_default="3")
        op.create_unique_constraint("u", "t", ["b"])

    bench.migrate(change)
    assert plans()[0] == "t: set default '3' on b (rebuild, 2 rows)"
    assert bench.is_whole()


# -- rows that were written before their column was there ------------------------------------------


ADDED = {
    "another default": ("INT DEFAULT 5", "7", [5, 5]),
    "a default for none": ("INT", "7", [None, None]),
    "no default for one": ("INT DEFAULT 5", None, [5, 5]),
    "a word": ("TEXT DEFAULT word", "'x'", ["word", "word"]),
    "a quoted word": ('TEXT DEFAULT "a b"', "'x'", ["a b", "a b"]),
    "a number in a text column": ("TEXT DEFAULT 5", "'x'", ["5", "5"]),
    "NULL": ("TEXT DEFAULT NULL", "'x'", [None, None]),
}


@pytest.mark.parametrize("what", ADDED)
@pytest.mark.parametrize("trigger", [False, True])
def test_old_rows_keep_the_default_that_they_were_given(bench, what, trigger):
    declared, new, kept = ADDED[what]
    bench.make(SCHEMA, f"ALTER TABLE t ADD COLUMN d {declared};")
    if trigger:
        bench.make("CREATE TRIGGER no AFTER UPDATE ON t BEGIN SELECT raise(ABORT, 'fired'); END;")
    default = None if new is None else sa.text(new)
    bench.migrate(lambda op: op.alter_column("t", "d", server_default=default))
    bench.run("INSERT INTO t (a) VALUES ('z')")
    assert [row[0] for row in bench.rows("SELECT d FROM t WHERE a < 'z'")] == kept
    assert bench.rows(f"SELECT d IS {new or 'NULL'} FROM t WHERE a = 'z'") == [(1,)]


def test_a_default_of_a_column_that_was_always_there_is_changed_without_a_scan(bench, plans):
    bench.make("CREATE TABLE t (\n\ta INT,\n\tb INT DEFAULT 1\n); INSERT INTO t (a) VALUES (1);")
    bench.migrate(lambda op: op.alter_column("t", "b", server_default="2"))
    assert plans() == ["t: set default '2' on b (schema text)"]
    assert bench.rows("SELECT b FROM t") == [(1,)]


def test_rows_copied_as_they_were_by_somebodys_own_rebuild_keep_their_default(bench):
    """INSERT ... SELECT * copies short rows as they are, into a text that does not look it."""
    bench.make(
        "CREATE TABLE o (a INT); INSERT INTO o VALUES (1), (2);"
        "ALTER TABLE o ADD COLUMN b INT DEFAULT 5;"
        "CREATE TABLE t (\n\ta INT,\n\tb INT DEFAULT 5\n); INSERT INTO t SELECT * FROM o;"
    )
    bench.migrate(lambda op: op.alter_column("t", "b", server_default="7"))
    assert bench.rows("SELECT b FROM t") == [(5,), (5,)]


def test_the_kinds_of_edits_are_a_list_of_few():
    assert {"not null", "default", "type", "check", "foreign key"} >= plan.TEXT_EDITS
