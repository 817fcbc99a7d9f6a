"""The session asks which foreign keys it has to look at before the commit."""

import contextlib
import os
import sqlite3

import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from hypothesis import given, settings
from hypothesis import strategies as st

from .memory import migrating

FAMILY = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(20) UNIQUE, code INT UNIQUE, n INT);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INT REFERENCES parent, code INT);
CREATE TABLE other (id INTEGER PRIMARY KEY);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
INSERT INTO parent VALUES (1, 'a', 1, 1);
CREATE INDEX plain ON parent (n);
CREATE TABLE taking (id INTEGER PRIMARY KEY, n INT UNIQUE ON CONFLICT REPLACE);
CREATE TABLE taken (id INTEGER PRIMARY KEY, taking_id INT REFERENCES taking);
CREATE TABLE waiting (id INTEGER PRIMARY KEY, gone_id INT REFERENCES gone);
CREATE TABLE cash$ (id INTEGER PRIMARY KEY);
CREATE TABLE spent (id INTEGER PRIMARY KEY, cash_id INT REFERENCES cash$);
"""


def raw_update(op):
    raw = op.get_bind().connection.driver_connection
    raw.execute("UPDATE parent SET name = 'z'")


def the_schema(op):
    op.get_bind().connection.driver_connection.execute("PRAGMA writable_schema=ON")
    op.execute("DELETE FROM sqlite_master WHERE 0")


QUIET = {
    "type": lambda op: op.alter_column("parent", "name", type_=sa.String(50)),
    "default": lambda op: op.alter_column("parent", "name", server_default="x"),
    "rename": lambda op: op.alter_column("parent", "name", new_column_name="title"),
    "rename table": lambda op: op.rename_table("parent", "parents"),
    "rebuild": lambda op: op.create_unique_constraint("u", "parent", ["name"]),
    "drop column": lambda op: op.drop_column("parent", "n"),
    "new table": lambda op: op.create_table("x", sa.Column("id", sa.Integer, primary_key=True)),
    "foreign key": lambda op: op.create_foreign_key("f", "child", "parent", ["code"], ["code"]),
    "reading": lambda op: op.get_bind().execute(sa.text("SELECT * FROM parent")).all(),
    "version": lambda op: op.execute("INSERT INTO alembic_version VALUES ('1')"),
    "index": lambda op: op.execute("CREATE INDEX i ON parent (name)"),
    "comment": lambda op: op.execute("-- nothing"),
    "comments and a question": lambda op: op.execute("-- who\n/* is */ SELECT 1 FROM parent"),
    "with": lambda op: op.execute("WITH x AS (SELECT 1 AS a) SELECT a FROM x"),
    "pragma that tells": lambda op: op.execute("PRAGMA foreign_key_list(child)"),
    "pragma without a value": lambda op: op.execute("PRAGMA foreign_keys"),
    "table by hand": lambda op: op.execute("CREATE TABLE x (id INT REFERENCES parent)"),
    "drop index": lambda op: op.drop_index("plain", "parent"),
}
LOUD = {
    "insert": (lambda op: op.execute("INSERT INTO child VALUES (1, 1, 1)"), {"child"}),
    "bulk": (
        lambda op: op.bulk_insert(sa.table("child", sa.column("id")), [{"id": 1}, {"id": 2}]),
        {"child"},
    ),
    "delete": (lambda op: op.execute('DELETE FROM "parent"'), {"parent", "child"}),
    "update": (lambda op: op.execute("update parent set id = 2"), {"parent", "child"}),
    "drop table": (lambda op: op.drop_table("parent"), {"child"}),
    "key's type": (lambda op: op.alter_column("child", "parent_id", type_=sa.Text()), {"child"}),
    "a key of another affinity": (
        lambda op: op.create_foreign_key("f", "child", "parent", ["code"], ["name"]),
        {"child"},
    ),
    "a comment and a write": (
        lambda op: op.execute("-- test accounts\nDELETE FROM parent"),
        {"parent", "child"},
    ),
    "comments of both kinds": (
        lambda op: op.execute("/* test\n-- */ -- accounts\n ; UPDATE parent SET id = 2"),
        {"parent", "child"},
    ),
    "a name with a dollar": (lambda op: op.execute("DELETE FROM cash$"), {"cash$", "spent"}),
    "a name as a string": (lambda op: op.execute("UPDATE OR REPLACE 'parent' SET id = 2"), None),
    "a comment in between": (lambda op: op.execute("DELETE /* all */ FROM parent"), None),
    "insert or replace": (
        lambda op: op.execute("INSERT OR REPLACE INTO parent (id, name) VALUES (2, 'a')"),
        {"parent", "child"},
    ),
    "replace": (
        lambda op: op.execute("REPLACE INTO parent (id, name) VALUES (2, 'a')"),
        {"parent", "child"},
    ),
    "upsert": (
        lambda op: op.execute(
            "INSERT INTO parent (id, name) VALUES (2, 'a') ON CONFLICT (name) DO UPDATE SET id = 2"
        ),
        {"parent", "child"},
    ),
    "update or replace": (
        lambda op: op.execute("UPDATE OR REPLACE parent SET code = 1"),
        {"parent", "child"},
    ),
    "a table that replaces": (
        lambda op: op.execute("INSERT INTO taking VALUES (1, 1)"),
        {"taking", "taken"},
    ),
    "the table that a key waits for": (
        lambda op: op.create_table("gone", sa.Column("id", sa.Integer, primary_key=True)),
        {"waiting"},
    ),
    "that table by hand": (
        lambda op: op.execute("CREATE TABLE gone (id INTEGER PRIMARY KEY)"),
        {"waiting"},
    ),
    "that table by another name": (lambda op: op.rename_table("other", "gone"), {"waiting"}),
    "pragma": (lambda op: op.execute("PRAGMA writable_schema=ON"), None),
    "the schema": (the_schema, None),
    "drop index by hand": (lambda op: op.execute("DROP INDEX plain"), None),
    "a temporary trigger": (
        lambda op: op.execute(
            "CREATE TEMP TRIGGER t AFTER INSERT ON other BEGIN DELETE FROM parent; END"
        ),
        None,
    ),
    "drop by hand": (lambda op: op.execute("DROP TABLE parent"), None),
    "with": (lambda op: op.execute("WITH x AS (SELECT 1) DELETE FROM parent"), None),
    "the driver itself": (raw_update, None),
}


@pytest.mark.parametrize("what", QUIET)
def test_what_touches_no_key_and_no_row_needs_no_check(bench, what):
    bench.make(FAMILY)
    bench.migrate(QUIET[what])
    assert bench.keys_to_check == set()


@pytest.mark.parametrize("what", LOUD)
def test_what_touches_keys_is_known(bench, what):
    bench.make(FAMILY, "DELETE FROM parent;" if "drop" in what else "")
    change, concerned = LOUD[what]
    bench.migrate(change)
    assert bench.keys_to_check == concerned


def test_a_table_with_triggers_can_reach_anywhere(bench):
    bench.make(FAMILY, "CREATE TRIGGER t AFTER INSERT ON other BEGIN DELETE FROM parent; END;")
    bench.migrate(lambda op: op.execute("INSERT INTO other VALUES (1)"))
    assert bench.keys_to_check is None


INSERT = "INSERT INTO other (id) VALUES (NULL)"
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON other BEGIN UPDATE child SET parent_id = 9; END"


def test_a_trigger_that_comes_between_two_inserts_is_seen(bench):
    bench.make(FAMILY)

    def change(op):
        for sql in (INSERT, INSERT, TRIGGER):
            op.execute(sql)
        assert op.impl.keys_to_check == {"other"}
        op.execute(INSERT)

    bench.migrate(change)
    assert bench.keys_to_check is None


def test_a_trigger_that_comes_after_another_was_rolled_back_is_seen(bench):
    bench.make(FAMILY)

    def change(op):
        op.execute("SAVEPOINT s")
        op.execute("CREATE TABLE harmless (id INTEGER)")
        op.execute(INSERT)
        op.execute("ROLLBACK TO s")
        op.execute(TRIGGER)
        op.execute(INSERT)

    bench.migrate(change)
    assert bench.keys_to_check is None


NAMED = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT, up AS (upper(name)) STORED);
CREATE UNIQUE INDEX by_name ON parent (name);
CREATE UNIQUE INDEX by_up ON parent (up);
CREATE TABLE child (id INTEGER PRIMARY KEY, name TEXT REFERENCES parent (name));
CREATE TABLE other (id INTEGER PRIMARY KEY, up TEXT REFERENCES parent (up));
INSERT INTO parent (name) VALUES ('a');
CREATE TABLE whole (id INTEGER CONSTRAINT pk PRIMARY KEY, n INT, UNIQUE (id));
CREATE TABLE part (id INTEGER PRIMARY KEY, whole_id INT REFERENCES whole);
"""
CHANGED_KEYS = {
    "the collation of a key": (
        lambda op: op.alter_column("parent", "name", type_=sa.String(collation="NOCASE")),
        {"child", "other"},
    ),
    "what a key is computed by": (
        lambda op: op.alter_column(
            "parent", "up", server_default=sa.Computed("lower(name)", persisted=True)
        ),
        {"other"},
    ),
    "the key that a foreign key means when it names no column": (
        lambda op: op.drop_constraint("pk", "whole", type_="primary"),
        {"part"},
    ),
    "the index that makes a column a key": (
        lambda op: op.drop_index("by_name", "parent"),
        {"child", "other"},
    ),
}


@pytest.mark.parametrize("what", CHANGED_KEYS)
def test_a_key_that_is_compared_in_another_way_is_looked_at(bench, what):
    bench.make(NAMED, "DROP TABLE child;" if "index" in what else "")
    change, concerned = CHANGED_KEYS[what]
    with contextlib.suppress(sqlite3.OperationalError):  # the session here fails at its own check
        bench.migrate(change)
    assert bench.keys_to_check == concerned - ({"child"} if "index" in what else set())


@pytest.mark.parametrize("child", ["own", "other"])
def test_a_key_that_a_foreign_key_needs_is_not_dropped(bench, child):
    column = "x INT CONSTRAINT fk REFERENCES own (n)"
    own = f", {column}" if child == "own" else ""
    bench.make(
        f"CREATE TABLE own (id INTEGER PRIMARY KEY, n INT CONSTRAINT uq UNIQUE{own});"
        + (f"CREATE TABLE other ({column});" if child == "other" else "")
    )
    with pytest.raises(CommandError, match=f"The key .n. of table 'own' .* of table '{child}'"):
        bench.migrate(lambda op: op.drop_constraint("uq", "own", type_="unique"))

    def both(op):
        with op.batch_alter_table(child) as batch:
            batch.drop_constraint("fk", type_="foreignkey")
            if child == "own":
                batch.drop_constraint("uq", type_="unique")

    bench.migrate(both)


@pytest.mark.parametrize("by", ["a constraint", "an index"])
def test_what_is_unique_by_another_collation_is_no_key_for_a_foreign_key(bench, by):
    unique = ", UNIQUE (code COLLATE NOCASE)" if by == "a constraint" else ""
    bench.make(f"CREATE TABLE p (code TEXT{unique}); CREATE TABLE c (x TEXT);")
    if by == "an index":
        bench.make("CREATE UNIQUE INDEX u ON p (code COLLATE NOCASE)")
    with pytest.raises(CommandError, match=r"\(code\) is neither .* nor UNIQUE there .in its own"):
        bench.migrate(lambda op: op.create_foreign_key("fk", "c", "p", ["x"], ["code"]))


def test_a_key_is_not_dropped_for_one_by_another_collation(bench):
    bench.make(
        "CREATE TABLE p (code TEXT CONSTRAINT uq UNIQUE); CREATE TABLE c (x REFERENCES p (code));"
        "CREATE UNIQUE INDEX u ON p (code COLLATE NOCASE)"
    )
    with pytest.raises(CommandError, match=r"The key .code. of table 'p' .* of table 'c'"):
        bench.migrate(lambda op: op.drop_constraint("uq", "p", type_="unique"))


def test_a_foreign_key_that_never_had_its_key_keeps_no_other_key_from_going():
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.execute("CREATE TABLE p (code TEXT, n INT CONSTRAINT uq UNIQUE)")
    raw.execute("CREATE TABLE c (x REFERENCES p (code))")
    with migrating(raw) as op:
        op.drop_constraint("uq", "p", type_="unique")
    assert not raw.execute("PRAGMA index_list(p)").fetchall()


def test_a_key_that_its_batch_makes_is_one_for_its_foreign_key(bench):
    bench.make("CREATE TABLE p (code TEXT, up TEXT); INSERT INTO p VALUES ('a', 'a')")

    def change(op):
        with op.batch_alter_table("p") as batch:
            batch.create_index("u", ["code"], unique=True)
            batch.create_foreign_key("fk", "p", ["up"], ["code"])

    bench.migrate(change)
    with pytest.raises(sqlite3.IntegrityError):
        bench.run("INSERT INTO p VALUES ('b', 'nobody')")


def test_a_trigger_that_was_temporary_and_there_before_is_seen(bench):
    bench.make(FAMILY)

    def change(op):
        raw = op.get_bind().connection.driver_connection
        raw.execute("CREATE TEMP TRIGGER t AFTER INSERT ON other BEGIN DELETE FROM parent; END")
        op.execute("INSERT INTO other VALUES (1)")

    bench.migrate(change)
    assert bench.keys_to_check is None


# -- whatever is written: a row that comes to point to nothing is in a table that is looked at -----

RELATIONS = """
CREATE TABLE a (id INTEGER PRIMARY KEY, u TEXT UNIQUE, r INT UNIQUE ON CONFLICT REPLACE, w INT);
CREATE UNIQUE INDEX by_w ON a (w);
CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INT REFERENCES a, u TEXT REFERENCES a (u), n INT);
CREATE TABLE c (k TEXT PRIMARY KEY, b_id INT REFERENCES b) WITHOUT ROWID;
CREATE TABLE d (id INTEGER PRIMARY KEY, w INT REFERENCES a (w), up INT REFERENCES d);
CREATE TABLE e (id INTEGER PRIMARY KEY);
CREATE VIEW v AS SELECT id, u FROM a;
CREATE TRIGGER into_v INSTEAD OF DELETE ON v BEGIN DELETE FROM a WHERE id = old.id; END;
CREATE TRIGGER into_e AFTER INSERT ON e BEGIN UPDATE b SET a_id = 99 WHERE id = new.id; END;
INSERT INTO a VALUES (1, 'x', 1, 1), (2, 'y', 2, 2), (3, 'z', 3, 3);
INSERT INTO b VALUES (1, 1, 'x', 1), (2, 2, 'y', 2), (3, 77, NULL, 3);
INSERT INTO c VALUES ('p', 1), ('q', 2), ('r', 88);
INSERT INTO d VALUES (1, 1, NULL), (2, 2, 1);
"""
LEADS = ["", "-- it's\n", "/* ; -- */", " ;\n", "\t-- a\n\n/* b */ -- c\n"]
WRITES = (
    """
DELETE FROM {a} WHERE id = {n}|DELETE FROM {b} WHERE id < {n}|DELETE FROM v WHERE id = {n}
UPDATE {a} SET id = id + {n}0|UPDATE OR REPLACE {a} SET r = {n}|UPDATE {b} SET a_id = {n}
UPDATE OR IGNORE {a} SET u = 'x'|UPDATE {d} SET up = {n}|UPDATE {a} SET w = w + 10 WHERE id = {n}
INSERT INTO {b} VALUES (9, {n}5, NULL, 1)|INSERT INTO {a} VALUES (9, 'n', {n}, 9)
INSERT OR REPLACE INTO {a} VALUES (9, 'x', 9, 9)|REPLACE INTO {a} VALUES ({n}, 'new', 8, 8)
INSERT INTO {a} (id, u) VALUES (9, 'x') ON CONFLICT (u) DO UPDATE SET id = 9
INSERT INTO {a} (id, u) VALUES (8, 'k') ON CONFLICT DO NOTHING|INSERT INTO e VALUES ({n})
INSERT INTO {c} SELECT 'k' || id, id + {n} FROM b|UPDATE {c} SET b_id = b_id + {n}
WITH g AS (SELECT {n} AS id) DELETE FROM {a} WHERE id IN g
WITH g AS (SELECT 1) INSERT OR REPLACE INTO {a} VALUES (9, 'z', 9, 9)
WITH g AS (SELECT {n} AS i) SELECT i FROM g|SELECT replace('delete', 'insert', 'update')
DROP TABLE {a}|DROP INDEX by_w|DROP TRIGGER into_e|DROP VIEW v
ALTER TABLE {a} RENAME COLUMN u TO uu|ALTER TABLE {a} RENAME TO aa
CREATE TEMP TRIGGER t{n} AFTER DELETE ON c BEGIN DELETE FROM b; END
DELETE FROM {c} WHERE k = 'p'|PRAGMA recursive_triggers=ON|PRAGMA table_info(a)
CREATE TRIGGER n{n} BEFORE UPDATE ON c BEGIN DELETE FROM a WHERE id = {n}; END
""".strip()
    .replace("\n", "|")
    .split("|")
)


def spelled(table: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            table,
            table.upper(),
            f'"{table}"',
            f"[{table}]",
            f"`{table}`",
            f"main.{table}",
            f"'{table}'",
        ]
    )


@st.composite
def statements(draw) -> str:
    names = {table: draw(spelled(table)) for table in "abcd"}
    text = draw(st.sampled_from(WRITES)).format(n=draw(st.integers(1, 3)), **names)
    if draw(st.booleans()):
        text = text.replace(" ", draw(st.sampled_from(["\n", "  ", " /* in */ ", "\t"])), 1)
    return draw(st.sampled_from(LEADS)) + text


def pointing_to_nothing(raw) -> dict[str, list]:
    found = {}
    for (table,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        try:
            found[table] = raw.execute(f'PRAGMA foreign_key_check("{table}")').fetchall()
        except sqlite3.Error as error:
            found[table] = [str(error)]
    return found


@given(st.lists(statements(), min_size=1, max_size=4))
@settings(deadline=None, max_examples=int(os.environ.get("KEEL_EXAMPLES", "30")))
def test_no_write_breaks_a_key_that_is_not_looked_at(written):
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.executescript(RELATIONS)
    before = pointing_to_nothing(raw)
    with migrating(raw) as op:
        for statement in written:
            with contextlib.suppress(sa.exc.DBAPIError):
                op.execute(sa.text(statement.replace(":", "\\:")))
        looked_at = op.impl.keys_to_check
    for table, rows in pointing_to_nothing(raw).items():
        new = [row for row in rows if row not in before.get(table, [])]
        assert not new or looked_at is None or table in {name.lower() for name in looked_at}
    raw.close()
