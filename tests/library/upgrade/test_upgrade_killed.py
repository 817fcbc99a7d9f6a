"""kill -9 at any moment of an upgrade leaves the schema and the rows as they were."""

import random
import time

import pytest
import sqlite_contents
from sqlite_contents import contents, rows

ROWS = 20_000
KILLS = 3
# rebuilds and rewrites for longer than the longest wait below, and says when it has begun
LONGEST = 0.6  # seconds
LONG = f"""
import pathlib, time
pathlib.Path("begun").touch()
for turn in range(3):
    time.sleep({LONGEST / 3})
    with op.batch_alter_table("parent", recreate="always") as batch_op:
        batch_op.add_column(sa.Column(f"turn_{{turn}}", sa.String(40), server_default="x" * 40))
    op.execute("UPDATE parent SET name = name || 'y'")
op.create_index("ix_parent_name", "parent", ["name"])
"""


@pytest.mark.some(1)
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_kill_9_at_random_moments_leaves_the_database_as_it_was(family, mode):
    database = family.database
    sqlite_contents.script(
        database,
        "INSERT INTO parent WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n "
        f"WHERE i < {ROWS}) SELECT i, 'name ' || i FROM n",
    )
    rows(database, f"PRAGMA journal_mode={mode}")
    family.migration("f2", "f1", LONG)
    begun = family.path / "begun"
    before = contents(database)
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)

    for _ in range(KILLS):
        begun.unlink(missing_ok=True)
        process = family.start(*family.manage, "db", "upgrade")
        while not begun.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        time.sleep(chance.uniform(0, LONGEST))
        process.kill()
        process.communicate()
        assert contents(database) == before

    family.db("upgrade").assert_ok()
    assert rows(database, "SELECT count(*), max(turn_2) FROM parent") == [(ROWS, "x" * 40)]
    assert len(rows(database, "SELECT * FROM cascaded")) == 3
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]


def test_a_database_whose_last_writer_was_killed_can_be_looked_at(family):
    # the first who opens it plays the journal back, for which it must be allowed to write
    family.migration("f2", "f1", LONG)
    process = family.start(*family.manage, "db", "upgrade")
    while not (family.path / "begun").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert "f1" in family.db("current").assert_ok().out
