"""The statements of a rehearsal can be replayed by any SQLite from 3.35 on, on a database that has
moved on since."""

import contextlib
import re
import shutil
import sqlite3

import pytest
import sqlalchemy as sa

from .conftest import Bench, session
from .memory import rows, schema, what_pragmas_say
from .test_recreate import SHOP

READS = re.compile(
    r"\s*(SELECT|BEGIN|COMMIT|--\s*PRAGMA|PRAGMA\s+(\S+\.)?\w+\s*(\(|$)|EXPLAIN)", re.I
)


def change(op):
    with op.batch_alter_table("Order Line") as batch:
        batch.alter_column("price", nullable=False, new_column_name="cost")
        batch.create_check_constraint("ck_new", "cost < 1000")
        batch.drop_constraint("unlike")
        batch.add_column(sa.Column("more", sa.String(9), server_default="it's 100%"))
    op.drop_column("note", "line_id", if_exists=True)


@pytest.fixture
def script(bench, tmp_path) -> str:
    bench.make(SHOP)
    rehearsed = tmp_path / "rehearsal.db"
    shutil.copy(bench.path, rehearsed)
    said = []
    with session(rehearsed, sqlite_portable_sql=True) as op:
        raw = op.get_bind().connection.driver_connection
        raw.set_trace_callback(said.append)
        change(op)
        raw.set_trace_callback(None)
    return [statement for statement in said if not READS.match(statement)]


def test_it_edits_no_schema_table_and_uses_no_new_statement(script):
    text = "\n".join(script)
    assert "sqlite_master SET" not in text and "writable_schema" not in text
    assert "SAVEPOINT" not in text
    assert not re.search(r"ALTER COLUMN|ADD CONSTRAINT|DROP CONSTRAINT", text)
    assert 'CREATE TABLE "_new_Order Line"' in text


def test_replayed_it_has_the_result_of_the_upgrade(bench, script, tmp_path):
    replayed = Bench(tmp_path / "replayed.db")
    shutil.copy(bench.path, replayed.path)
    extra = 'INSERT INTO "Order Line" ("select", price) VALUES (\'later\', 3)'
    for database in (bench, replayed):
        database.run(extra)
        database.run('DELETE FROM "Order Line" WHERE "select" = \'later\'')
    with contextlib.closing(sqlite3.connect(replayed.path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        for statement in script:
            raw.execute(statement)
        raw.execute("COMMIT")
    bench.migrate(change)
    assert everything(replayed) == everything(bench)
    assert replayed.is_whole()
    replayed.run('INSERT INTO "Order Line" ("select") VALUES (\'last\')')
    assert replayed.rows('SELECT max(id) FROM "Order Line"') == [(11,)]


def everything(bench) -> dict:
    """Rows and whatever PRAGMA says: the text of a script's result has other quotes."""
    with contextlib.closing(sqlite3.connect(bench.path)) as raw:
        found = {"others": sorted(row for row in schema(raw) if row[0] != "table")}
        for table in ("Order Line", "note", "customer", "log", "sqlite_sequence", "sqlite_stat1"):
            found[table] = rows(raw, table), what_pragmas_say(raw, table)
        checks = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'Order Line'").fetchone()
        found["checks"] = checks[0].count("CHECK"), checks[0].count("--"), checks[0].count("/*")
        return found


def test_a_comment_says_what_a_live_upgrade_would_do(bench, tmp_path):
    bench.make(SHOP)
    said = []
    with session(bench.path, sqlite_portable_sql=True) as op:

        @sa.event.listens_for(op.get_bind(), "before_cursor_execute")
        def note(connection, cursor, statement, *rest):
            said.append(statement)

        op.alter_column("note", "line_id", server_default="1")
    comments = [statement for statement in said if statement.startswith("--")]
    assert comments == [
        "-- note: set default '1' on line_id (rebuild, 3 rows)",
        "-- a live upgrade does it cheaper: "
        "note: set default '1' on line_id (schema text, one scan)",
    ]


def test_a_negative_zero_in_text_becomes_a_number_in_a_script_as_it_does_live(bench):
    rows = "('-0.0'), ('-0'), ('1.50'), ('-2.0')"
    tables = [f"CREATE TABLE {t} (a TEXT); INSERT INTO {t} VALUES {rows};" for t in "tu"]
    bench.make(*tables)
    for table, portable in (("t", True), ("u", False)):
        change = [table, "a"]
        bench.migrate(
            lambda op, change=change: op.alter_column(*change, type_=sa.Numeric()),
            sqlite_portable_sql=portable,
        )
    assert bench.rows("SELECT a, typeof(a) FROM t") == bench.rows("SELECT a, typeof(a) FROM u")
