"""SQLite reads a word in double quotes as a string as long as no column has its name."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

THINGS = {
    "index": 'CREATE INDEX thing ON t (a) WHERE b = "new";',
    "unique index on an expression": 'CREATE UNIQUE INDEX thing ON t (a || "new");',
    "view": 'CREATE VIEW thing AS SELECT a FROM t WHERE b = "new";',
    "trigger": (
        "CREATE TRIGGER thing AFTER UPDATE ON t WHEN new.b = 'x' BEGIN "
        'INSERT INTO u SELECT id, "new" FROM t; END;'
    ),
    "CHECK": 'CREATE TABLE v (id INTEGER PRIMARY KEY, a TEXT CHECK (a <> "new"), b TEXT);',
}
TABLES = """
CREATE TABLE u (id INTEGER, b TEXT);
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT);
INSERT INTO t VALUES (1, 'x', 'new'), (2, 'y', 'old');
"""


@pytest.mark.parametrize("what", THINGS)
@pytest.mark.parametrize("way", ["add", "rename"])
def test_a_name_that_is_a_string_elsewhere_is_no_name_for_a_column(bench, what, way):
    bench.make(TABLES, THINGS[what])
    table = "v" if what == "CHECK" else "t"
    before = bench.dump()

    def change(op):
        if way == "add":
            op.add_column(table, sa.Column("NEW", sa.Text))
        else:
            op.alter_column(table, "b", new_column_name="new")

    with pytest.raises(CommandError, match="as a string, which SQLite would then read") as error:
        bench.migrate(change)
    assert ("a CHECK" if what == "CHECK" else "'thing'") in str(error.value)
    assert bench.dump() == before


def test_a_name_in_double_quotes_that_is_a_name_is_in_nobodys_way(bench):
    bench.make(
        'CREATE TABLE "t" ("id" INTEGER PRIMARY KEY, "a" TEXT CHECK ("a" <> \'new\'));'
        'CREATE TABLE "u" ("new" TEXT); CREATE INDEX "i" ON "t" ("a") WHERE "a" <> \'new\';'
        'CREATE VIEW "new" AS SELECT "a" AS "new" FROM "t";'
        'CREATE VIEW "w" AS SELECT "u"."new" FROM "u";'
    )
    bench.migrate(lambda op: op.add_column("t", sa.Column("new", sa.Text)))
    assert bench.columns("t") == ["id", "a", "new"]


@pytest.mark.parametrize("recreate", ["auto", "always"])
def test_a_column_that_a_view_names_in_double_quotes_does_not_become_a_string(bench, recreate):
    bench.make(TABLES, 'CREATE VIEW w AS SELECT "b" FROM t;')

    def change(op):
        with op.batch_alter_table("t", recreate=recreate) as batch:
            batch.drop_column("b")

    with pytest.raises(CommandError, match="The view 'w' would no longer work"):
        bench.migrate(change)
