"""A table of an attached file is changed there, whichever way is taken."""

import pytest
import sqlalchemy as sa

from .conftest import Bench

TABLES = """
CREATE TABLE author (id INTEGER PRIMARY KEY);
CREATE TABLE post (id INTEGER PRIMARY KEY, a VARCHAR(9), b INT);
CREATE INDEX ix_b ON post (b);
CREATE VIEW v AS SELECT id FROM post;
INSERT INTO post VALUES (1, 'x', 1), (2, 'y', 2);
"""
SIDE = {"schema": "side"}
CHANGES = {
    "NOT NULL": lambda op: op.alter_column("post", "a", nullable=False, **SIDE),
    "type": lambda op: op.alter_column("post", "a", type_=sa.String(99), **SIDE),
    "default": lambda op: op.alter_column("post", "a", server_default="x", **SIDE),
    "rename": lambda op: op.alter_column("post", "a", new_column_name="c", **SIDE),
    "rename table": lambda op: op.rename_table("post", "article", **SIDE),
    "add column": lambda op: op.add_column("post", sa.Column("c", sa.Integer), **SIDE),
    "drop column": lambda op: op.drop_column("post", "b", **SIDE),
    "check": lambda op: op.create_check_constraint("ck", "post", "post.b > 0", **SIDE),
    "unique": lambda op: op.create_unique_constraint("uq", "post", ["a"], **SIDE),
    "foreign key": lambda op: op.create_foreign_key(
        "fk", "post", "post", ["b"], ["id"], source_schema="side", referent_schema="side"
    ),
    "index": lambda op: op.create_index("ix_a", "post", ["a"], **SIDE),
    "drop index": lambda op: op.drop_index("ix_b", "post", **SIDE),
    "drop table": lambda op: op.drop_table("author", **SIDE),
    "new table": lambda op: op.create_table("x", sa.Column("id", sa.Integer), **SIDE),
}


@pytest.mark.parametrize("edits", [True, False])
@pytest.mark.parametrize("what", CHANGES)
def test_there_and_nowhere_else(bench, tmp_path, what, edits):
    side = Bench(tmp_path / "side.db")
    alone = Bench(tmp_path / "alone.db")
    for database in (bench, side, alone):
        database.make(TABLES)
    before = bench.dump()
    bench.migrate(CHANGES[what], attach={"side": side.path}, sqlite_schema_edits=edits)
    assert bench.dump() == before
    assert side.dump() != alone.dump()
    assert side.is_whole()
    assert side.rows("SELECT count(*) FROM post" if what != "rename table" else "SELECT 2") == [
        (2,)
    ]


@pytest.mark.parametrize("option", ["", " WITHOUT ROWID"])
def test_short_rows_there_keep_what_they_read(bench, tmp_path, option):
    bench.make("CREATE TABLE t (a INTEGER PRIMARY KEY, d TEXT DEFAULT 'main');")
    side = Bench(tmp_path / "side.db")
    side.make(
        f"CREATE TABLE t (a INTEGER PRIMARY KEY){option}; INSERT INTO t VALUES (1), (2);"
        "ALTER TABLE t ADD COLUMN d TEXT DEFAULT 1.10; CREATE INDEX i ON t (d);"
        "CREATE TRIGGER no AFTER UPDATE ON t BEGIN SELECT raise(ABORT, 'fired'); END;"
    )
    before = sorted(side.rows("SELECT name FROM sqlite_master"))
    bench.migrate(
        lambda op: op.alter_column("t", "d", server_default=None, **SIDE),
        attach={"side": side.path},
    )
    assert side.rows("SELECT a, d FROM t") == [(1, "1.10"), (2, "1.10")]
    assert "DEFAULT" not in side.sql("t")
    assert sorted(side.rows("SELECT name FROM sqlite_master")) == before
    assert side.is_whole()
    assert "main" in bench.sql("t")
