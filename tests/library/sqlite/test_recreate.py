"""A rebuild carries over whatever belongs to the table, whether SQLAlchemy reflects it or not."""

import sqlite3

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from .conftest import Bench

SHOP = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE "Order Line" ( -- one line of an order
    id INTEGER PRIMARY KEY AUTOINCREMENT, /* never reused */
    "select" VARCHAR(20) COLLATE NOCASE NOT NULL ON CONFLICT REPLACE DEFAULT 'it''s',
    price NUMERIC(10, 2) DEFAULT (1 + 2) CHECK (price >= 0),
    made_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    "it's" INT CONSTRAINT small CHECK ("it's" < 100),
    total INT GENERATED ALWAYS AS (price * 2) STORED,
    half INT AS (price / 2),
    customer_id INT REFERENCES customer ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    parent_id INT REFERENCES "Order Line" (id) ON DELETE CASCADE ON UPDATE CASCADE,
    UNIQUE ("select") ON CONFLICT IGNORE,
    CONSTRAINT unlike CHECK ("Order Line"."select" <> 'never')
);
CREATE TABLE note (
    id INTEGER PRIMARY KEY, line_id INT NOT NULL REFERENCES "Order Line" ON DELETE CASCADE
);
CREATE TABLE log (what TEXT);
CREATE INDEX by_price ON "Order Line" (price DESC, "select" COLLATE BINARY);
CREATE INDEX dear ON "Order Line" (price) WHERE price > 10;
CREATE UNIQUE INDEX lowered ON "Order Line" (lower("select"), "it's");
CREATE VIEW dear_lines AS SELECT id, price FROM "Order Line" WHERE price > 10;
CREATE TRIGGER line_made AFTER INSERT ON "Order Line" BEGIN
    INSERT INTO log VALUES ('made ' || new."select");
END;
CREATE TRIGGER customer_gone BEFORE DELETE ON customer BEGIN
    UPDATE "Order Line" SET price = 0 WHERE customer_id = old.id;
END;
INSERT INTO customer VALUES (1, 'Ada'), (2, 'Bob');
INSERT INTO "Order Line" (id, "select", price, "it's", customer_id, parent_id) VALUES
    (1, 'a', 5, 1, 1, NULL), (2, 'b', 50, 2, 2, 1), (3, 'c', 7, NULL, NULL, 2),
    (9, 'z', 1, 1, 1, 1);
DELETE FROM "Order Line" WHERE id = 9;
INSERT INTO note VALUES (1, 1), (2, 1), (3, 2);
DELETE FROM log;
ANALYZE;
"""


def rebuild(op):
    with op.batch_alter_table("Order Line", recreate="always"):
        pass


def test_nothing_of_the_schema_or_the_rows_changes(bench):
    bench.make(SHOP)
    before = sorted(bench.dump())
    bench.migrate(rebuild)
    assert sorted(bench.dump()) == before
    assert bench.is_whole()


def test_a_second_rebuild_changes_nothing_either(bench):
    bench.make(SHOP)
    bench.migrate(rebuild)
    before = bench.dump()
    bench.migrate(rebuild)
    assert sorted(bench.dump()) == sorted(before)


def test_children_survive_a_rebuild_of_their_parent(bench):
    bench.make(SHOP)
    bench.migrate(rebuild)
    assert bench.rows("SELECT * FROM note") == [(1, 1), (2, 1), (3, 2)]
    bench.run('DELETE FROM "Order Line" WHERE id = 2')
    assert bench.rows("SELECT * FROM note") == [(1, 1), (2, 1)]


def test_rows_of_a_table_that_refers_to_itself_survive(bench):
    bench.make(SHOP)
    bench.migrate(rebuild)
    assert bench.rows('SELECT id, parent_id FROM "Order Line"') == [(1, None), (2, 1), (3, 2)]
    bench.run('DELETE FROM "Order Line" WHERE id = 1')
    assert bench.rows('SELECT * FROM "Order Line"') == []


def test_no_id_is_handed_out_twice(bench):
    bench.make(SHOP)
    bench.migrate(rebuild)
    bench.run('INSERT INTO "Order Line" ("select") VALUES (\'new\')')
    assert bench.rows('SELECT max(id) FROM "Order Line"') == [(10,)]


def test_no_id_is_handed_out_twice_when_the_table_is_empty(bench):
    bench.make(SHOP, 'DELETE FROM "Order Line";')
    bench.migrate(rebuild)
    bench.run('INSERT INTO "Order Line" ("select") VALUES (\'new\')')
    assert bench.rows('SELECT id FROM "Order Line"') == [(10,)]


def test_triggers_on_the_table_and_elsewhere_go_on_working(bench):
    bench.make(SHOP)
    bench.migrate(rebuild)
    bench.run('INSERT INTO "Order Line" ("select") VALUES (\'new\')')
    bench.run("DELETE FROM customer WHERE id = 2")
    assert bench.rows("SELECT * FROM log") == [("made new",)]
    assert bench.rows('SELECT price FROM "Order Line" WHERE id = 2') == [(0,)]


def test_views_go_on_working(bench):
    bench.make(SHOP)
    bench.migrate(rebuild)
    assert bench.rows("SELECT * FROM dear_lines") == [(2, 50)]


def test_no_trigger_fires_during_a_rebuild(bench):
    bench.make(SHOP)
    bench.migrate(rebuild)
    assert bench.rows("SELECT * FROM log") == []


def test_on_conflict_clauses_go_on_working(bench):
    bench.make(SHOP)
    bench.migrate(rebuild)
    bench.run('INSERT INTO "Order Line" ("select", price) VALUES (\'A\', 99)')
    assert bench.rows('SELECT count(*) FROM "Order Line" WHERE price = 99') == [(0,)]


def test_tables_that_refer_to_each_other_survive(bench):
    bench.make(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INT REFERENCES b ON DELETE CASCADE);"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INT REFERENCES a ON DELETE CASCADE);"
        "INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 2), (2, 1);"
    )
    before = bench.dump()

    def change(op):
        for name in ("a", "b"):
            with op.batch_alter_table(name, recreate="always"):
                pass

    bench.migrate(change)
    assert sorted(bench.dump()) == sorted(before)


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="STRICT came with 3.37")
def test_a_strict_table_and_one_without_rowid_stay_so(bench):
    bench.make(
        "CREATE TABLE s (a INTEGER PRIMARY KEY, b ANY) STRICT;"
        "CREATE TABLE w (a TEXT PRIMARY KEY DESC, b) WITHOUT ROWID;"
        "INSERT INTO s VALUES (1, 'x'), (2, 3); INSERT INTO w VALUES ('x', 1), ('y', 2);"
    )
    before = bench.dump()

    def change(op):
        for name in ("s", "w"):
            with op.batch_alter_table(name, recreate="always"):
                pass

    bench.migrate(change)
    assert sorted(bench.dump()) == sorted(before)


def test_rowids_of_a_table_without_a_key_stay(bench):
    bench.make("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3); DELETE FROM t WHERE a = 2;")

    def change(op):
        with op.batch_alter_table("t", recreate="always") as batch:
            batch.add_column(sa.Column("b", sa.Integer), insert_before="a")

    bench.migrate(change)
    assert bench.rows("SELECT rowid, a FROM t") == [(1, 1), (3, 3)]


def test_a_column_may_be_called_rowid(bench):
    bench.make(
        "CREATE TABLE t (rowid TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO t VALUES ('a', 'b', 'c');"
    )

    def change(op):
        with op.batch_alter_table("t") as batch:
            batch.create_unique_constraint("u", ["oid"])
            batch.alter_column("rowid", nullable=False)

    bench.migrate(change)
    assert bench.rows("SELECT * FROM t") == [("a", "b", "c")]


def test_names_may_hold_anything(bench):
    bench.make(
        'CREATE TABLE "a ""b"" [c] \'d\' %s :x" ("x ""y""" INT, "order" TEXT);'
        'INSERT INTO "a ""b"" [c] \'d\' %s :x" VALUES (1, \'%(a)s :b\');'
    )

    def change(op):
        with op.batch_alter_table("a \"b\" [c] 'd' %s :x") as batch:
            batch.create_unique_constraint("u :z %", ['x "y"'])
            batch.alter_column("order", new_column_name="gr öße")

    bench.migrate(change)
    assert bench.rows('SELECT "gr öße" FROM "a ""b"" [c] \'d\' %s :x"') == [("%(a)s :b",)]


def test_tables_are_found_whatever_the_case_of_their_name(bench):
    bench.make(SHOP)

    def change(op):
        with op.batch_alter_table("order line") as batch:
            batch.create_unique_constraint("u", ["PRICE", "Made_At"])

    bench.migrate(change)
    assert "UNIQUE" in bench.sql("Order Line")


def test_a_table_in_an_attached_file_is_rebuilt_there(bench, tmp_path):
    other = Bench(tmp_path / "other.db")
    other.make(SHOP)
    before = sorted(other.dump())
    bench.make('CREATE TABLE "Order Line" (x); INSERT INTO "Order Line" VALUES (\'main\');')

    def change(op):
        with op.batch_alter_table("Order Line", schema="side", recreate="always"):
            pass

    bench.migrate(change, attach={"side": other.path})
    assert sorted(other.dump()) == before
    assert bench.rows('SELECT * FROM "Order Line"') == [("main",)]


def test_the_statistics_of_analyze_stay(bench):
    bench.make(SHOP)
    before = bench.rows("SELECT * FROM sqlite_stat1 ORDER BY 1, 2")
    assert len(before) > 4
    bench.migrate(rebuild)
    assert bench.rows("SELECT * FROM sqlite_stat1 ORDER BY 1, 2") == before


def test_a_leftover_of_another_tool_is_left_alone(bench):
    bench.make(SHOP, 'CREATE TABLE "_new_Order Line" (x); CREATE TABLE "_alembic_tmp_x" (y);')
    bench.migrate(rebuild)
    assert bench.sql("_new_Order Line") == 'CREATE TABLE "_new_Order Line" (x)'


def test_rows_that_a_conflict_clause_would_leave_out_are_an_error(bench):
    bench.make("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2), (1, 3);")
    before = bench.dump()

    def change(op):
        with op.batch_alter_table("t") as batch:
            batch.create_unique_constraint("u", ["a"], sqlite_on_conflict="IGNORE")

    with pytest.raises(CommandError, match=r"1 value of \(a\) more than once"):
        bench.migrate(change)
    assert bench.dump() == before
