"""upgrade --sql on SQLite: read by the sqlite3 program on a copy, it does what `db upgrade` does."""

import shutil
import subprocess

import databases
import pytest
import sqlite_contents
from sqlite_contents import beside, contents, rows

from . import families

CREATE = """
op.create_table(
    "note",
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("real", sa.Float()),
    sa.Column("text", sa.Text()),
    sa.Column("data", sa.LargeBinary()),
    sa.Column("flag", sa.Boolean()),
    sa.Column("at", sa.DateTime()),
    sa.Column("day", sa.Date()),
    sa.Column("big", sa.BigInteger()),
    sa.Column("json", sa.JSON()),
)
op.execute('ALTER TABLE note ADD COLUMN "any" BLOB')
"""
# every kind of value, as parameters of SQLAlchemy's constructs and of the driver
VALUES = """
import datetime, math
note = sa.table("note", *(sa.column(name, kind) for name, kind in (
    ("id", sa.Integer), ("real", sa.Float), ("text", sa.Text), ("data", sa.LargeBinary),
    ("flag", sa.Boolean), ("at", sa.DateTime), ("day", sa.Date), ("big", sa.BigInteger),
    ("json", sa.JSON),
)))
bind = op.get_bind()
op.bulk_insert(note, [
    {"id": 1, "real": 0.1 + 0.2, "text": "it's \\"odd\\" ? :a @b $c -- no /* comment */ ; GO",
     "data": b"\\x00\\xff'", "flag": True, "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 678),
     "day": datetime.date(2026, 1, 2), "big": 2**63 - 1, "json": {"a": ["é", None]}},
    {"id": 2, "real": 5e-324, "text": "NUL \\0 and \\r\\n and \\r and \\t and ünï\\U0001f600 and \\n.quit\\n",
     "data": b"", "flag": False, "at": None, "day": None, "big": -2**63, "json": None},
    {"id": 3, "real": 1e308, "text": "", "data": None, "flag": None, "at": None, "day": None,
     "big": None, "json": []},
])
for number, value in enumerate((math.inf, -math.inf, 1e16, 1.0, -0.5, 2.2606631148481385e-299,
                                123456789.123456789, 1.7976931348623157e308), 10):
    bind.execute(sa.insert(note).values(id=number, real=value))
bind.execute(sa.text("INSERT INTO note (id, text, \\"any\\") VALUES (:id, :text, :any) -- the end?"),
             {"id": 20, "text": "it's :id", "any": b"bytes"})
bind.execute(sa.text("UPDATE note SET \\"any\\" = '? \\\\:x' || :x WHERE id = :id"), {"x": 1, "id": 3})
bind.exec_driver_sql("INSERT INTO note (id, \\"any\\") VALUES (?, ? /* ? */)", (21, 7))
bind.exec_driver_sql("INSERT INTO note (id, \\"any\\") VALUES (?, 1-?)", (22, -7))
bind.exec_driver_sql("INSERT INTO note (id, \\"any\\") VALUES (?2, ?1)", (3.0, 23))
bind.exec_driver_sql("INSERT INTO note (id, \\"any\\") VALUES (:id, $any)", {"id": 24, "any": None})
bind.exec_driver_sql("UPDATE note SET text = 'cr\\r\\nlf' WHERE id = 21")
"""
MANY = """
bind = op.get_bind()
bind.execute(sa.text("INSERT INTO note (id, text) VALUES (:id, :text)"),
             [{"id": 100 + n, "text": f"row {n}"} for n in range(5)])
note = sa.table("note", sa.column("id", sa.Integer), sa.column("text", sa.Text))
given = bind.execute(sa.insert(note).values(text="returned").returning(note.c.id)).scalar_one()
bind.execute(sa.insert(note).values(text=f"after {given}"))
many = bind.execute(sa.insert(note).returning(note.c.id), [{"text": "a"}, {"text": "b"}]).scalars().all()
bind.execute(sa.text("UPDATE note SET text = text || :ids WHERE id = :id"), {"ids": str(many), "id": given})
for id, text in bind.execute(sa.text("SELECT id, text FROM note WHERE text LIKE 'row%'")).all():
    bind.execute(sa.text("UPDATE note SET real = :real WHERE id = :id"), {"real": id / 3, "id": id})
nested = bind.begin_nested()
op.execute("DELETE FROM note")
nested.rollback()
try:
    bind.exec_driver_sql("INSERT INTO note (id) VALUES (?)", [(901,), (902,), (100,), (903,)])
except sa.exc.IntegrityError:
    pass
"""
RAW = """
op.execute("INSERT INTO note (id, text) VALUES (200, 'raw; not the end') ; ")
op.execute("-- why\\n/* and ; how */ UPDATE note SET text = 'said' WHERE id = 200; -- done")
op.execute("UPDATE note SET text = text || '!' WHERE id = 200 -- without an end")
op.execute("WITH RECURSIVE n(i) AS (SELECT 300 UNION ALL SELECT i + 1 FROM n WHERE i < 303) "
           "INSERT INTO note (id) SELECT i FROM n")
op.execute("WITH looked AS (SELECT 1) SELECT * FROM looked")
op.execute("EXPLAIN INSERT INTO note (id) VALUES (999)")
op.execute("REPLACE INTO note (id, text) VALUES (301, 'replaced')")
op.execute("CREATE TABLE log (what TEXT)")
op.execute('''CREATE TRIGGER note_log AFTER UPDATE ON note BEGIN
    INSERT INTO log VALUES ('changed ' || new.id); -- ; inside
    UPDATE note SET flag = 1 WHERE id = new.id;
END''')
op.execute("UPDATE note SET real = 1 WHERE id IN (300, 302)")
op.execute("CREATE TABLE counted AS SELECT count(*) AS n FROM note")
op.execute("CREATE VIEW seen AS SELECT what FROM log")
op.execute("CREATE TEMP TABLE kept AS SELECT 5 AS five")
op.execute("INSERT INTO counted SELECT five FROM kept")
op.execute("PRAGMA user_version = 7")
op.execute("PRAGMA main.application_id(99)")
op.execute("PRAGMA table_info(note)")
op.execute("SELECT * FROM pragma_table_info('note')")
op.execute("PRAGMA foreign_keys = ON")
op.execute("ANALYZE note")
"""
REWORK = """
with op.batch_alter_table("note", recreate="always") as batch_op:
    batch_op.alter_column("text", existing_type=sa.Text(), server_default="it's ?")
    batch_op.add_column(sa.Column("slug", sa.String(20), nullable=False, server_default="a:b"))
    batch_op.create_index("ix_note_slug", ["slug"])
op.rename_table("note", "notes")
"""


def sqlite3_program(database, sql):
    """Feed SQL to the sqlite3 program, as a person would."""
    if not shutil.which("sqlite3"):
        databases.missing("no sqlite3 program: apt-get install sqlite3")
    command = ["sqlite3", str(database)]
    ran = subprocess.run(command, input=sql.encode(), capture_output=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == b""


def copy_of(database, name):
    target = database.parent / name
    shutil.copy(database, target)
    return target


def assert_sql_does_the_same(project, direction="upgrade", revision="head"):
    """Compare what the SQL does to a copy with what the command does; return the SQL."""
    twin = copy_of(project.database, "twin.db")
    before = beside(project.database)
    answer = project.db(direction, "--sql", "--", revision).assert_ok()
    assert beside(project.database) == before, "the live database was touched"
    sqlite3_program(twin, answer.out)
    project.db(direction, "--", revision).assert_ok()
    assert plain(contents(twin)) == plain(contents(project.database))
    return answer.out


def plain(found):
    """The same without the quotes that SQLite's own ALTER TABLE ... RENAME puts around a table's name."""
    schema = [
        (kind, name, table, sql and sql.replace(b'TABLE "%s"' % name, b"TABLE " + name))
        for kind, name, table, sql in found["schema"]
    ]
    return {**found, "schema": schema}


@pytest.fixture
def notes(bare):
    bare.migration("n1", None, CREATE)
    bare.db("upgrade").assert_ok()
    return bare


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_rebuild_of_a_parent(family, journal):
    rows(family.database, f"PRAGMA journal_mode={journal}")
    family.migration("f2", "f1", families.REBUILD)
    assert_sql_does_the_same(family)
    assert len(rows(family.database, "SELECT * FROM cascaded")) == 3


def test_values_of_every_kind(notes):
    notes.migration("n2", "n1", VALUES)
    assert_sql_does_the_same(notes)
    found = rows(notes.database, "SELECT hex(text) FROM note WHERE id = 2")
    assert found == [
        ("NUL \0 and \r\n and \r and \t and ünï\U0001f600 and \n.quit\n".encode().hex().upper(),)
    ]


def test_executemany_returning_loops_and_savepoints(notes):
    notes.migration("n2", "n1", MANY)
    sql = assert_sql_does_the_same(notes)
    assert "SELECT id, text" not in sql


def test_statements_of_every_kind_and_a_rebuild_after_them(notes):
    notes.migration("n2", "n1", MANY + RAW)
    notes.migration("n3", "n2", REWORK)
    sql = assert_sql_does_the_same(notes)
    for read in ("looked", "EXPLAIN", "table_info"):
        assert read not in sql
    assert rows(notes.database, "SELECT what FROM log") == [("changed 300",), ("changed 302",)]
    assert rows(notes.database, "PRAGMA user_version") == [(7,)]


def test_a_first_upgrade_and_a_way_back(blog):
    sql = blog.db("upgrade", "--sql").assert_ok().out
    assert not blog.database.exists()
    twin = blog.path / "var" / "twin.db"
    sqlite3_program(twin, sql)
    blog.db("upgrade").assert_ok()
    assert contents(twin) == contents(blog.database)
    twin.unlink()
    assert_sql_does_the_same(blog, "downgrade", "3f8a1c52d7e0")
    (blog.path / "var" / "twin.db").unlink()
    sql = assert_sql_does_the_same(blog, "downgrade", "-1")
    assert "3f8a1c52d7e0" in sql and "8b27e4a9c610" not in sql


def test_the_sql_begins_at_the_present_revision_and_nowhere_else(blog):
    blog.db("upgrade", "3f8a1c52d7e0").assert_ok()
    before = beside(blog.database)
    sql = blog.db("upgrade", "--sql").assert_ok().out
    assert "-- 8b27e4a9c610" in sql and "-- 3f8a1c52d7e0" not in sql
    assert blog.db("upgrade", "--sql", "3f8a1c52d7e0:head").assert_ok().out == sql
    for direction, span in (("upgrade", "base:head"), ("downgrade", "8b27e4a9c610:3f8a1c52d7e0")):
        refused = blog.db(direction, "--sql", span)
        refused.assert_one_sentence("is at 3f8a1c52d7e0", f"from {span.split(':')[0]}")
        assert refused.out == ""
    assert beside(blog.database) == before


def test_nothing_to_do_prints_no_sql(family):
    answer = family.db("upgrade", "--sql").assert_ok()
    assert answer.out == ""
    assert "nothing to do" in answer.err


def test_what_migrations_print_is_not_among_the_sql(family):
    family.migration("f2", "f1", "print('not SQL at all')\nop.execute('CREATE TABLE more (id)')")
    answer = family.db("upgrade", "--sql").assert_ok()
    assert "not SQL" not in answer.out
    assert "not SQL at all" in answer.err


def test_a_failure_prints_no_sql_at_all(family):
    family.migration("f2", "f1", families.BROKEN)
    before = beside(family.database)
    answer = family.db("upgrade", "--sql")
    answer.assert_one_sentence("f2_by_hand.py", "missing")
    assert answer.out == ""
    assert beside(family.database) == before


@pytest.mark.parametrize("command", [["upgrade", "--sql"], ["check"]], ids=" ".join)
def test_a_rehearsal_does_not_reach_the_live_database_by_another_connection(family, command):
    family.migration(
        "f2",
        "f1",
        "from my_app.extensions import db\n"
        "db.session.execute(sa.text('DELETE FROM parent'))\n"
        "db.session.commit()",
    )
    before = beside(family.database)
    answer = family.db(*command)
    answer.assert_one_sentence("f2_by_hand.py", "op.get_bind()")
    assert answer.out == ""
    assert beside(family.database) == before


@pytest.mark.parametrize(
    "code",
    ["op.get_bind().connection.executescript('DELETE FROM parent')", "op.get_bind().commit()"],
    ids=["executescript", "commit"],
)
def test_a_rehearsal_refuses_what_ends_the_transaction(family, code):
    family.migration("f2", "f1", code)
    answer = family.db("upgrade", "--sql")
    answer.assert_one_sentence("f2_by_hand.py", "one transaction")
    assert answer.out == ""


def test_a_migration_can_tell_a_rehearsal(family):
    code = (
        "import flask_keel\n"
        "import pathlib\n"
        "if not flask_keel.is_rehearsal():\n"
        "    pathlib.Path('mail').touch()"
    )
    family.migration("f2", "f1", code)
    family.db("upgrade", "--sql").assert_ok()
    assert not (family.path / "mail").exists()
    family.db("upgrade").assert_ok()
    assert (family.path / "mail").exists()


def test_the_sql_is_read_by_a_database_in_another_encoding(bare):
    sqlite_contents.script(bare.database, "PRAGMA encoding='UTF-16le'; CREATE TABLE old (id)")
    bare.migration("n1", None, CREATE)
    bare.migration("n2", "n1", VALUES)
    assert_sql_does_the_same(bare)
    assert contents(bare.database)["encoding"] == (b"UTF-16le",)


def test_a_rebuild_says_what_it_is_for(family):
    family.migration("f2", "f1", families.REBUILD)
    sql = family.db("upgrade", "--sql").assert_ok().out
    assert "\n-- parent: set NOT NULL on name (rebuild" in sql
    assert "writable_schema" not in sql
