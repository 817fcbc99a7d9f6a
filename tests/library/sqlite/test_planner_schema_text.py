"""The schema table is only ever edited into what describes the rows that are there."""

import contextlib
import sqlite3

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from flask_keel.sqlite import planner, recreate
from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.introspection import Database

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
        bench.migrate(lambda op: recreate.write(Database(op.get_bind()), CreateTable.parse(sql)))
    assert bench.dump() == before


def test_a_text_with_the_same_layout_is_taken(bench):
    bench.make(SCHEMA)
    sql = TABLE.replace("b INT", "b BIGINT NOT NULL DEFAULT 5 CHECK (b > 0) /* note */")
    bench.migrate(lambda op: recreate.write(Database(op.get_bind()), CreateTable.parse(sql)))
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
    monkeypatch.setattr(recreate, "is_possible", lambda db: False)
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


def test_the_kinds_of_edits_are_a_list_of_few():
    assert {"not null", "default", "type", "check", "foreign key"} >= planner.TEXT_EDITS
