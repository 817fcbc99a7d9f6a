"""The printed SQL, read by a plain sqlite3 program on a database that is not what it was made for."""

import shutil
import sqlite3
import subprocess
from contextlib import closing

import databases
import pytest
import sqlite_contents
from sqlite_contents import contents, rows

from . import families

NOT_NULL = families.REBUILD
TWICE = "op.execute(\"UPDATE parent SET name = name || '!'\")"
TO_INTEGER = """
with op.batch_alter_table("parent") as batch_op:
    batch_op.alter_column("name", existing_type=sa.String(20), type_=sa.Integer())
"""
ENUM = """
with op.batch_alter_table("parent") as batch_op:
    batch_op.alter_column("name", existing_type=sa.String(20), type_=sa.Enum("Ada", "Grace", name="who"))
"""
DELETE = """
op.execute("DELETE FROM cascaded WHERE id IN (1, 2)")
op.execute("DELETE FROM nulled WHERE id = 1")
op.execute("DELETE FROM restricted WHERE id = 1")
op.execute("DELETE FROM parent WHERE id = 1")
"""
# what happens between the print and the run, and a word of what the client says
HAPPENED = {
    "a NULL": (NOT_NULL, "INSERT INTO parent VALUES (3, NULL)", "do not fit"),
    "another column": (NOT_NULL, "ALTER TABLE parent ADD COLUMN mail TEXT", "other columns"),
    "another index": (NOT_NULL, "CREATE INDEX by_name ON parent (name)", "indexes"),
    "a trigger": (
        NOT_NULL,
        "CREATE TRIGGER t AFTER INSERT ON parent BEGIN SELECT 1; END",
        "triggers",
    ),
    "no version table": (NOT_NULL, "DROP TABLE alembic_version", "for a database at f1"),
    "no version": (NOT_NULL, "DELETE FROM alembic_version", "for a database at f1"),
    "another version": (
        NOT_NULL,
        "UPDATE alembic_version SET version_num = 'f0'",
        "for a database at f1",
    ),
    "two versions": (
        NOT_NULL,
        "INSERT INTO alembic_version VALUES ('f0')",
        "for a database at f1",
    ),
    "a value outside of an enum": (ENUM, "INSERT INTO parent VALUES (3, 'Eve')", "do not fit"),
    "a number with zeros in front": (
        TO_INTEGER,
        "INSERT INTO parent VALUES (3, '007')",
        "would change with their type",
    ),
    "a row that points to one that goes": (
        DELETE,
        "INSERT INTO cascaded VALUES (9, 1)",
        "Rows of cascaded would point to nothing",
    ),
}


def sqlite3_program(database, *commands, sql=None):
    """Run the program as a person would: without a word of what to do after an error."""
    if not shutil.which("sqlite3"):
        databases.missing("no sqlite3 program: apt-get install sqlite3")
    command = ["sqlite3", str(database), *commands]
    return subprocess.run(command, input=sql, capture_output=True, text=True)


def printed(project, *command):
    return project.db(*(command or ("upgrade", "--sql"))).assert_ok().out


@pytest.mark.parametrize("what", HAPPENED)
def test_it_changes_nothing_where_something_else_is(family, what):
    code, happened, said = HAPPENED[what]
    if code == TO_INTEGER:
        rows(family.database, "UPDATE parent SET name = id")
    family.migration("f2", "f1", code)
    sql = printed(family)
    sqlite_contents.script(family.database, happened)
    before = contents(family.database)
    ran = sqlite3_program(family.database, sql=sql)
    assert ran.returncode != 0
    assert said in ran.stderr
    assert contents(family.database) == before


WITHOUT_ROWID = """
CREATE TABLE plain (id TEXT PRIMARY KEY, parent_id REFERENCES parent) WITHOUT ROWID;
INSERT INTO plain VALUES ('x', 77);
"""


@pytest.mark.parametrize(
    ("code", "happened", "stops"),
    [
        (DELETE, "DELETE FROM cascaded WHERE id = 5; INSERT INTO cascaded VALUES (9, 1)", True),
        (DELETE, "DELETE FROM plain; INSERT INTO plain VALUES ('y', 1)", True),
        (DELETE, "INSERT INTO plain VALUES ('y', 1)", True),
        (DELETE, "INSERT INTO cascaded VALUES (9, 99); INSERT INTO plain VALUES ('y', 99)", False),
        (f'op.rename_table("cascaded", "moved"){DELETE.replace("cascaded", "moved")}', "", False),
        (NOT_NULL, "INSERT INTO cascaded VALUES (9, 99)", False),
    ],
)
def test_rows_that_point_to_nothing_are_told_from_those_that_did_before(
    family, code, happened, stops
):
    def unenforced(sql):
        with closing(sqlite3.connect(family.database)) as connection:
            connection.executescript(sql)

    unenforced(f"INSERT INTO cascaded VALUES (5, 77); {WITHOUT_ROWID}")
    family.migration("f2", "f1", code)
    sql = printed(family)
    unenforced(happened)
    before = contents(family.database)
    ran = sqlite3_program(family.database, sql=sql)
    assert (ran.returncode != 0) == stops, ran.stderr
    assert ("would point to nothing" in ran.stderr) == stops
    assert (contents(family.database) == before) == stops


def test_more_tables_than_a_union_of_sqlites_may_have_are_looked_at(family):
    tables = (f"CREATE TABLE t{n} (p REFERENCES parent);" for n in range(501))
    sqlite_contents.script(family.database, "".join(tables))
    family.migration("f2", "f1", "op.execute('PRAGMA foreign_keys=OFF')" + DELETE)
    sql = printed(family)
    assert sqlite3_program(family.database, sql=sql).returncode == 0


@pytest.mark.parametrize("by", ["stdin", "read"])
def test_a_second_run_changes_nothing(family, by):
    family.migration("f2", "f1", TWICE + NOT_NULL)
    script = family.write("up.sql", printed(family))
    commands = {"stdin": ((), script.read_text()), "read": ((f".read {script}",), None)}
    arguments, text = commands[by]
    first = sqlite3_program(family.database, *arguments, sql=text)
    assert (first.returncode, first.stderr) == (0, "")
    assert rows(family.database, "SELECT name FROM parent") == [("Ada!",), ("Grace!",)]
    before = contents(family.database)
    second = sqlite3_program(family.database, *arguments, sql=text)
    assert second.returncode != 0
    assert "for a database at f1" in second.stderr
    assert contents(family.database) == before


def test_a_second_downgrade_and_a_second_first_upgrade_change_nothing(blog):
    up = printed(blog)
    assert sqlite3_program(blog.database, sql=up).returncode == 0
    down = printed(blog, "downgrade", "--sql", "--", "-1")
    for sql, at in ((up, "the base"), (down, "8b27e4a9c610")):
        if sql == down:
            assert sqlite3_program(blog.database, sql=sql).returncode == 0
        before = contents(blog.database)
        again = sqlite3_program(blog.database, sql=sql)
        assert again.returncode != 0
        assert f"for a database at {at}" in again.stderr
        assert contents(blog.database) == before


def test_a_base_with_a_version_table_and_one_without_are_told_apart(blog):
    sql = printed(blog)
    blog.db("upgrade").assert_ok()
    blog.db("downgrade", "base").assert_ok()
    assert sqlite3_program(blog.database, sql=sql).returncode != 0
    ran = sqlite3_program(blog.database, sql=printed(blog))
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_lock_that_somebody_holds_stops_it(family):
    family.migration("f2", "f1", TWICE + NOT_NULL)
    conf = family.path / "etc" / "conf" / "dev.conf"
    conf.write_text(f"{conf.read_text()}\nMIGRATION_LOCK_WAIT = 0.2\n")
    sql = printed(family)
    assert ".timeout 200\n" in sql
    before = contents(family.database)
    with closing(sqlite3.connect(family.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        ran = sqlite3_program(family.database, sql=sql)
        writer.execute("ROLLBACK")
    assert ran.returncode != 0
    assert "locked" in ran.stderr
    assert contents(family.database) == before


def test_it_waits_for_a_lock_that_is_given_back(family):
    family.migration("f2", "f1", NOT_NULL)
    sql = printed(family)
    with closing(sqlite3.connect(family.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        command = ["sqlite3", str(family.database)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as waits:
            waits.stdin.write(sql)
            waits.stdin.close()
            with pytest.raises(subprocess.TimeoutExpired):
                waits.wait(0.3)
            writer.execute("ROLLBACK")
            assert waits.wait(30) == 0
    assert rows(family.database, "SELECT version_num FROM alembic_version") == [("f2",)]


def test_columns_in_another_order_keep_their_values(family):
    family.migration("f2", "f1", NOT_NULL)
    sql = printed(family)
    twin = family.path / "var" / "twin.db"
    shutil.copy(family.database, twin)
    sqlite_contents.script(
        twin,
        "DROP TABLE tree; CREATE TABLE tree (parent_id INTEGER, name VARCHAR(20), "
        "id INTEGER PRIMARY KEY, "
        "CONSTRAINT fk_tree FOREIGN KEY (parent_id) REFERENCES tree (id) ON DELETE CASCADE); "
        "INSERT INTO tree VALUES (NULL, 'root', 1), (1, 'branch', 2), (2, 'leaf', 3)",
    )
    query = "SELECT id, name, parent_id FROM tree"
    before = rows(twin, query)
    ran = sqlite3_program(twin, sql=sql)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert rows(twin, query) == before


def test_rows_that_came_later_are_changed_too(family):
    family.migration(
        "f2",
        "f1",
        "import flask_keel\n"
        'parent = sa.table("parent", sa.column("id"), sa.column("name", sa.Text))\n'
        'flask_keel.backfill(parent, parent.c.name.is_(None), {"name": "nobody"}, batch=1)\n'
        + NOT_NULL,
    )
    rows(family.database, "UPDATE parent SET name = NULL")
    sql = printed(family)
    rows(family.database, "INSERT INTO parent VALUES (99, NULL)")
    ran = sqlite3_program(family.database, sql=sql)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert rows(family.database, "SELECT DISTINCT name FROM parent") == [("nobody",)]


def test_of_two_heads_both_are_looked_at(family):
    family.migration("f2", "f1", "op.execute('CREATE TABLE left (id)')")
    family.migration("g2", "f1", "op.execute('CREATE TABLE right (id)')")
    family.db("upgrade", "heads").assert_ok()
    family.migration("f3", ("f2", "g2"), NOT_NULL)
    sql = printed(family)
    twin = family.path / "var" / "twin.db"
    shutil.copy(family.database, twin)
    rows(twin, "DELETE FROM alembic_version WHERE version_num = 'g2'")
    before = contents(twin)
    ran = sqlite3_program(twin, sql=sql)
    assert ran.returncode != 0 and "for a database at f2, g2" in ran.stderr
    assert contents(twin) == before
    ran = sqlite3_program(family.database, sql=sql)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert rows(family.database, "SELECT version_num FROM alembic_version") == [("f3",)]


@pytest.mark.parametrize("mode", ["", "&mode=ro"])
def test_a_database_in_sqlites_own_uri_form_is_where_the_sql_begins(family, mode):
    plain = printed(family)
    assert plain == ""
    family.migration("f2", "f1", NOT_NULL)
    plain = printed(family)
    url = f"sqlite:///file:{family.database}?uri=true{mode}"
    assert family.db("upgrade", "--sql", DEV_DATABASE_URL=url).assert_ok().out == plain


def test_a_uri_that_names_no_file_makes_none(bare):
    bare.migration("n1", None, "op.execute('CREATE TABLE n (id)')")
    url = f"sqlite:///file:{bare.path}/var/other.db?uri=true"
    sql = bare.db("upgrade", "--sql", DEV_DATABASE_URL=url).assert_ok().out
    assert "CREATE TABLE n" in sql
    assert not (bare.path / "var" / "other.db").exists()
