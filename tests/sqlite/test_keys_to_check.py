"""The session asks which foreign keys it has to look at before the commit."""

import pytest
import sqlalchemy as sa

FAMILY = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(20) UNIQUE, code INT UNIQUE, n INT);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INT REFERENCES parent, code INT);
CREATE TABLE other (id INTEGER PRIMARY KEY);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
INSERT INTO parent VALUES (1, 'a', 1, 1);
"""


def raw_update(op):
    raw = op.get_bind().connection.driver_connection
    raw.execute("UPDATE parent SET name = 'z'")


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
