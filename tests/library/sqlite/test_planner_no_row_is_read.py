"""A change that concerns no row costs the same, however many rows there are."""

import pytest
import sqlalchemy as sa

from .conftest import session

TABLE = """
CREATE TABLE author (id INTEGER NOT NULL PRIMARY KEY);
CREATE TABLE post (
    id INTEGER NOT NULL PRIMARY KEY,
    slug VARCHAR(50) NOT NULL,
    n INTEGER DEFAULT 1 CONSTRAINT ck_n CHECK (n > 0),
    author_id INTEGER,
    CONSTRAINT fk FOREIGN KEY(author_id) REFERENCES author (id)
){kind};
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i LIMIT {rows})
INSERT INTO post SELECT n, 'a' || n, n, NULL FROM i;
"""
CHANGES = {
    "widen": lambda op: op.alter_column("post", "slug", type_=sa.String(80)),
    "nullable": lambda op: op.alter_column("post", "slug", nullable=True),
    "drop a check": lambda op: op.drop_constraint("ck_n", "post"),
    "drop a foreign key": lambda op: op.drop_constraint("fk", "post"),
    "rename": lambda op: op.alter_column("post", "slug", new_column_name="path"),
    "add": lambda op: op.add_column("post", sa.Column("x", sa.Integer)),
}


def steps(path, change) -> int:
    """How many instructions SQLite's virtual machine takes for the change."""
    count = 0

    def called():
        nonlocal count
        count += 1

    with session(path) as op:
        raw = op.get_bind().connection.driver_connection
        raw.set_progress_handler(called, 1)
        change(op)
        raw.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize("kind", ["", " WITHOUT ROWID"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_schema_alone_takes_no_longer_with_more_rows(bench, tmp_path, kind, name):
    taken = []
    for rows in (1000, 9000):
        bench.path = tmp_path / f"{rows}.db"
        bench.make(TABLE.format(kind=kind, rows=rows))
        taken.append(steps(bench.path, CHANGES[name]))
    few, many = taken
    assert 0 < many < few + 100, f"{few} steps with 1000 rows, {many} with 9000"
