"""A server's database is copied and given back by its own programs, by an account that may not much."""

import os
import shutil
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

import clients
import databases
import pytest
from revising import KEY
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

PASSWORD = "p\"a\\s #$%&'s "
ITEM = KEY + "name: Mapped[str] = mapped_column(sa.String(200))\n"
TABLE = """op.create_table(
    "item",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_item"),
)
op.execute("INSERT INTO item VALUES (1, 'one'), (2, 'two')")"""
LATER = {
    "postgresql": (
        "CREATE TABLE late (id serial PRIMARY KEY, item_id integer REFERENCES item)",
        "CREATE VIEW later AS SELECT id FROM late",
        "CREATE TYPE mood AS ENUM ('sad')",
        "CREATE FUNCTION now_and_then(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA audit CREATE TABLE log (id int)",
        "UPDATE item SET name = 'changed'",
    ),
    "mysql": (
        "CREATE TABLE late (id INTEGER PRIMARY KEY, item_id INTEGER REFERENCES item (id))",
        "CREATE VIEW later AS SELECT id FROM late",
        "CREATE PROCEDURE now_and_then() SELECT 1",
        "UPDATE item SET name = 'changed'",
    ),
}
# what a plain swap of tables cannot take along, too
ODD = {
    "postgresql": (
        "CREATE VIEW seen AS SELECT id FROM item",
        "CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "CREATE TABLE numbered (id integer GENERATED ALWAYS AS IDENTITY, at vector(3) DEFAULT '[1,2,3]')",
    ),
    "mysql": (
        "CREATE VIEW seen AS SELECT id FROM item",
        "CREATE FUNCTION two() RETURNS INT DETERMINISTIC RETURN 2",
        "CREATE TRIGGER shout BEFORE INSERT ON item FOR EACH ROW SET NEW.name = UPPER(NEW.name)",
        "CREATE TABLE versioned (id INT PRIMARY KEY)"
        + ("" if databases.MYSQLD else " WITH SYSTEM VERSIONING"),
    ),
}
CLIENT, DUMP = ("mysql", "mysqldump") if databases.MYSQLD else ("mariadb", "mariadb-dump")


@pytest.fixture
def kind(server_url):
    return make_url(server_url).get_backend_name()


@pytest.fixture
def account(server, server_url, kind):
    """The URL of an account with a password of odd letters that has its database and no other right."""
    url = make_url(server_url)
    word = PASSWORD.replace("'", "''")
    if kind == "postgresql":
        with databases.engine(server_url).connect() as connection:
            connection.exec_driver_sql("CREATE EXTENSION vector")  # an administrator's
        quoted = word.replace("%", "%%")
        clients.run(server, f"CREATE ROLE limited LOGIN PASSWORD '{quoted}'")
        clients.run(server, f"ALTER DATABASE {url.database} OWNER TO limited")
        forget = [f"DROP DATABASE IF EXISTS {url.database} WITH (FORCE)", "DROP ROLE limited"]
    else:
        quoted = word.replace("\\", "\\\\").replace("%", "%%")
        clients.run(server, f"CREATE USER limited@localhost IDENTIFIED BY '{quoted}'")
        clients.run(server, f"GRANT ALL ON {url.database}.* TO limited@localhost")
        forget = ["DROP USER limited@localhost"]
    yield url.set(username="limited", password=PASSWORD).render_as_string(hide_password=False)
    clients.run(server, *forget)


@pytest.fixture
def project(new_project, account, kind):
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = account
    project.model("item", ITEM)
    project.migration("aaaa00000001", None, TABLE)
    project.db("upgrade").assert_ok()
    return project


def copies(project, pattern: str = "*") -> list[Path]:
    return sorted((project.path / "var" / "backups").glob(pattern))


@pytest.fixture
def listening(project, tmp_path):
    """Programs in front of the real ones, that write down how they were called."""
    folder, log = tmp_path / "bin", tmp_path / "called"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore", "psql", CLIENT, DUMP):
        real = shutil.which(name)
        if name[0] == "p":
            real = clients._postgresql(name)
        program = folder / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" >> "{log}"\nexec "{real}" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    project.env["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return log


def test_an_account_with_no_right_beyond_its_database_gets_all_of_it_back(
    project, server_url, account, kind, listening
):
    clients.run(account, *ODD[kind], "INSERT INTO item VALUES (3, 'three')")
    before = clients.dump(server_url)
    path = project.environment()["PATH"]
    project.db("backup", PATH=path).assert_ok()
    clients.run(account, *LATER[kind])
    after = clients.dump(server_url)
    project.db("restore", "--yes", PATH=path).assert_ok()
    assert clients.dump(server_url) == before
    (replaced,) = copies(project, "*.replaced.*")
    project.db("restore", "--yes", str(replaced), PATH=path).assert_ok()
    assert clients.dump(server_url) == after
    called = listening.read_text()
    assert "dump" in called and PASSWORD not in called and 'p"a' not in called


def test_a_copy_that_does_not_load_to_its_end_changes_nothing(project, server_url, account, kind):
    clients.run(account, *ODD[kind][:1])
    clients.run(account, *(f"INSERT INTO item VALUES ({n}, '{n}')" for n in range(10, 60)))
    made = Path(project.db("backup").assert_ok().out.strip())
    clients.run(account, *LATER[kind])
    before = clients.dump(server_url)
    if kind == "postgresql":
        content = made.read_bytes()
        made.write_bytes(content[: len(content) - 40])
    else:
        text = made.read_text()
        made.write_text(text.replace("-- Dump completed", "SELECT no_such;\n-- Dump completed"))
    failed = project.db("restore", "--yes")
    failed.assert_one_sentence("nothing was changed")
    assert clients.dump(server_url) == before
    assert copies(project, "*.replaced.*") == []


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_what_the_account_may_not_restore_changes_nothing_and_is_named(
    project, server_url, account
):
    rights = "GRANT ALL ON ALL TABLES IN SCHEMA public TO limited"
    clients.run(server_url, "ALTER TABLE item OWNER TO CURRENT_USER", rights)
    clients.run(server_url, rights.replace("TABLES", "SEQUENCES"))
    made = Path(project.db("backup").assert_ok().out.strip())
    clients.run(server_url, "ALTER TABLE item OWNER TO limited")
    before = clients.dump(server_url)
    project.db("restore", "--yes").assert_one_sentence("SET ROLE", "nothing was changed")
    assert clients.dump(server_url) == before
    assert copies(project) == [made]


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_large_objects_are_given_back_with_all_the_rest_or_not_at_all(project, server_url, account):
    clients.run(
        account,
        "SELECT lo_from_bytea(4242, 'large')",
        "CREATE PROCEDURE ends() LANGUAGE plpgsql AS 'begin\nCOMMIT;\nend'",
    )
    before = clients.dump(server_url)
    project.db("backup").assert_ok()
    clients.run(account, "SELECT lo_unlink(4242)", "DROP PROCEDURE ends", "DELETE FROM item")
    project.db("restore", "--yes").assert_ok()
    assert clients.dump(server_url) == before
    # what an administrator alone may make comes after all the rest
    made = "CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end'"
    clients.run(account, made)
    clients.run(server_url, "CREATE EVENT TRIGGER t ON sql_drop EXECUTE FUNCTION on_ddl()")
    project.db("backup").assert_ok()
    clients.run(account, "DELETE FROM item")
    before = clients.dump(server_url)
    project.db("restore", "--yes").assert_one_sentence("event trigger", "nothing was changed")
    assert clients.dump(server_url) == before


def test_a_database_of_another_encoding_is_given_back(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        name = make_url(url).database
        clients.run(
            postgresql_server,
            f"DROP DATABASE {name}",
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
        )
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.model("item", ITEM)
        project.migration("aaaa00000001", None, TABLE)
        project.db("upgrade").assert_ok()
        clients.run(url, 'CREATE TABLE "tête" (id INT)', "INSERT INTO item VALUES (3, 'é')")
        project.db("backup").assert_ok()
        clients.run(url, "DELETE FROM item", 'DROP TABLE "tête"', 'CREATE TABLE "fête" (id INT)')
        project.db("restore", "--yes").assert_ok()
        assert clients.rows(url, "SELECT name FROM item WHERE id = 3") == [("é",)]
        there = "SELECT tablename FROM pg_tables WHERE tablename ~ 'ête'"
        assert clients.rows(url, there) == [("tête",)]


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_one_restore_waits_for_another(project, server_url, account, kind):
    clients.run(account, *ODD[kind][:1])
    before = clients.dump(server_url)
    project.db("backup").assert_ok()
    started = [project.start(*project.manage, "db", "restore", "--yes") for _ in range(4)]
    ended = [one.communicate(timeout=120) for one in started]
    assert [one.returncode for one in started] == [0] * 4, ended
    assert clients.dump(server_url) == before


@pytest.mark.parametrize("what", ["letter", "half", "unknown", "no record"])
def test_what_is_no_backup_is_refused(project, server_url, account, kind, what):
    if what == "no record":
        clients.run(account, "ALTER TABLE alembic_version RENAME TO versions")
    elif what == "unknown":
        clients.run(account, "UPDATE alembic_version SET version_num = 'ffff00000009'")
    made = Path(project.db("backup").assert_ok().out.strip())
    if what == "letter":
        made.write_bytes(b"a letter to my aunt" * 90)
    elif what == "half":
        made.write_bytes(made.read_bytes()[: 3 if kind == "postgresql" else 900])
    before = clients.dump(server_url)
    answer = project.db("restore", "--yes", str(made))
    words = {"unknown": "ffff00000009, which no file", "no record": "holds no alembic_version"}
    answer.assert_one_sentence(words.get(what, "no "), "nothing was changed")
    assert clients.dump(server_url) == before


def test_a_dump_that_names_its_database_reaches_neither_that_one_nor_this(
    new_project, mariadb_server
):
    with databases.fresh(mariadb_server) as url, databases.fresh(mariadb_server) as another:
        project = new_project(starter="bare", database="mysql")
        project.model("item", ITEM)
        project.migration("aaaa00000001", None, TABLE)
        for one in (another, url):
            project.env["DEV_DATABASE_URL"] = one
            project.db("upgrade").assert_ok()
        made = Path(project.db("backup").assert_ok().out.strip())
        made.write_text(f"USE `{make_url(another).database}`;\n{made.read_text()}")
        clients.run(another, "INSERT INTO item VALUES (7, 'seven')")
        before = clients.dump(url), clients.dump(another)
        project.db("restore", "--yes").assert_one_sentence("--databases", "nothing was changed")
        assert (clients.dump(url), clients.dump(another)) == before


def test_where_a_scratch_is_allowed_nothing_is_touched_before_all_of_it_is_loaded(
    new_project, mariadb_server
):
    with databases.fresh(mariadb_server) as url:
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        project.model("item", ITEM)
        project.migration("aaaa00000001", None, TABLE)
        project.db("upgrade").assert_ok()
        made = Path(project.db("backup").assert_ok().out.strip())
        clients.run(url, "DELETE FROM item WHERE id = 1", "CREATE TABLE late (id INT PRIMARY KEY)")
        # DDL cannot be undone there: without it nobody can tell that a table was made anew
        born = "SELECT table_name, create_time FROM information_schema.tables WHERE table_schema = DATABASE()"
        before, had = clients.dump(url), sorted(clients.rows(url, born))
        text = made.read_text()
        made.write_text(text.replace("-- Dump completed", "SELECT no_such;\n-- Dump completed"))
        project.db("restore", "--yes").assert_one_sentence("no_such", "nothing was changed")
        assert clients.dump(url) == before and sorted(clients.rows(url, born)) == had
        made.write_text(text)
        project.db("restore", "--yes").assert_ok()
        assert clients.rows(url, "SELECT id FROM item ORDER BY id") == [(1,), (2,)]
        assert "late" not in str(clients.dump(url))
        stem = f"{make_url(url).database}_scratch_"
        assert not [name for name in databases.names(url) if name.startswith(stem)]


OTHER_PROGRAMS = """
from my_app import create_app; from flask import current_app; from alembic.util import CommandError
from flask_keel import backup; from flask_keel.backup import dumps; from flask_keel.project import Project
dumps._programs = lambda name: {found!r}
with create_app("dev.conf").app_context():
    config = current_app.extensions["migrate"].migrate.get_config()
    try:
        backup.of(Project.of(current_app, config)).make()
    except CommandError as error:
        print(error)
"""


@pytest.mark.parametrize("what", ["missing", "old"])
def test_a_program_that_is_missing_or_too_old_is_named_with_what_brings_it(
    project, kind, tmp_path, what
):
    if kind == "mysql":
        answer = project.db("backup", PATH=str(tmp_path))
        answer.assert_one_sentence(f"There is no program {DUMP}", "mariadb-client")
    else:  # the embedded server has its own where nobody can take them away
        old = tmp_path / "pg_dump"
        old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
        old.chmod(0o755)
        code = OTHER_PROGRAMS.format(found=[str(old)] if what == "old" else [])
        ran = project.warm(sys.executable, "-c", code, PYTHONPATH=str(project.path)).assert_ok()
        says = (
            "pg_dump 9 is too old for the server"
            if what == "old"
            else "There is no program pg_dump"
        )
        assert ran.out.startswith(says) and "apt-get install postgresql-client-" in ran.out
    assert copies(project) == []


def test_nothing_that_was_committed_is_lost_while_others_write(postgresql_server, new_project):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.model("item", ITEM)
        project.migration("aaaa00000001", None, TABLE)
        project.db("upgrade").assert_ok()
        project.db("backup").assert_ok()
        committed = set()

        def write(stop):
            number = 100
            while not stop.is_set():
                number += 1
                with suppress(DBAPIError), databases.engine(url).connect() as connection:
                    connection.exec_driver_sql(f"INSERT INTO item VALUES ({number}, 'w')")
                    committed.add(number)

        with clients.meanwhile(write):
            project.db("restore", "--yes").assert_ok()
            here = len(committed)
            while len(committed) < here + 3:
                time.sleep(0.05)
        live = {number for (number,) in clients.rows(url, "SELECT id FROM item")}
        (replaced,) = copies(project, "*.replaced.dump")
        project.db("restore", "--yes", str(replaced)).assert_ok()
        before = {number for (number,) in clients.rows(url, "SELECT id FROM item")}
        assert committed <= live | before
        assert not (live & before) - {1, 2}


@pytest.mark.drill
def test_a_table_that_others_hold_is_waited_for_and_then_left_alone(
    project, server_url, account, kind
):
    project.db("backup").assert_ok()
    before = clients.dump(server_url)
    with databases.engine(server_url).connect() as held:
        held.exec_driver_sql("BEGIN")
        held.exec_driver_sql("UPDATE item SET name = 'held'")
        answer = project.db("restore", "--yes")
        answer.assert_one_sentence("in use", "nothing was changed")
        held.exec_driver_sql("ROLLBACK")
    assert clients.dump(server_url) == before
