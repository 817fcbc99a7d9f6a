"""Databases that are not there, not databases, locked, damaged, full, or not to be written."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress

import databases
import pytest
from sqlite_contents import contents

from .every_way import (
    HEAD,
    assert_one_sentence,
    assert_one_sentence_of_db,
    files,
    room,
    without_power,
)

FILL = """
op.execute("CREATE TABLE filled (data BLOB)")
op.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
           "INSERT INTO filled SELECT randomblob(4000) FROM n")
"""
HOLDER = """
import sqlite3, time
connection = sqlite3.connect("var/dev.db", isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(600)
"""
ELSEWHERE = {"DEV_DATABASE_URL": "sqlite:////no/such folder/app.db"}


@pytest.mark.parametrize("command", ["current", "downgrade"])
def test_a_database_that_is_not_there(project, command):
    project.database.unlink()
    assert_one_sentence(project, command, "no database", "dev.db: type db upgrade")


@pytest.mark.parametrize("command", ["history -i", "downgrade --sql"])
def test_no_command_that_only_looks_makes_a_database(project, command):
    project.database.unlink()
    assert_one_sentence_of_db(project, command, "no database", "dev.db: type db upgrade")


@pytest.mark.parametrize(
    ("command", "words"),
    [("upgrade", "type mkdir -p '/no/such folder'"), ("current", "type db upgrade")],
)
def test_a_folder_that_is_not_there(project, command, words):
    assert_one_sentence(project, command, words, **ELSEWHERE)


def test_a_file_that_is_no_database(project):
    project.database.write_text("this is no database at all. " * 40)
    assert_one_sentence(project, "upgrade", "dev.db is not a SQLite database", "move it away")
    assert_one_sentence_of_db(project, "current", "dev.db is not a SQLite database")


def test_a_folder_in_place_of_the_database(project):
    project.database.unlink()
    project.database.mkdir()
    assert_one_sentence_of_db(project, "upgrade", "dev.db cannot be opened", "look at its path")


def test_a_damaged_database(project):
    whole = project.database.read_bytes()
    project.database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert_one_sentence_of_db(project, "upgrade", "dev.db is damaged", "restore a backup")


def test_a_locked_database(project):
    project.migration("x1", HEAD, "op.execute('CREATE TABLE more (id)')")
    conf = project.path / "etc" / "conf" / "dev.conf"
    conf.write_text(f"{conf.read_text()}\nMIGRATION_LOCK_WAIT = 0\n")
    # a process of its own: the lock of a process goes when it closes any handle of the file
    process = project.start(sys.executable, "-c", HOLDER)
    try:
        assert process.stdout.readline() == "held\n"
        assert_one_sentence(project, "upgrade", "dev.db is locked by another process", "try again")
    finally:
        process.kill()
        process.communicate()


def test_a_database_that_is_opened_to_read(project):
    url = f"sqlite:///file:{project.database}?mode=ro&uri=true"
    assert_one_sentence(
        project, "downgrade", "cannot be written", "permissions", DEV_DATABASE_URL=url
    )


def test_a_database_without_the_permission_to_write(project):
    before = contents(project.database)
    project.database.chmod(0o444)
    answer = project.run(*without_power(), *project.manage, "db", "downgrade")
    answer.assert_one_sentence("dev.db cannot be written", "permissions")
    project.run(*without_power(), *project.manage, "db", "upgrade").assert_ok()
    assert contents(project.database) == before


def test_a_folder_without_the_permission_to_write(project):
    project.database.unlink()
    project.database.parent.chmod(0o555)
    try:
        answer = project.run(*without_power(), *project.manage, "db", "upgrade")
    finally:
        project.database.parent.chmod(0o755)
    answer.assert_one_sentence("dev.db cannot be made (Permission denied)", "ls -ld")
    assert not project.database.exists()


def test_a_limit_on_the_size_of_files(project):
    project.migration("x1", HEAD, FILL)
    before = contents(project.database)
    limited = ["bash", "-c", 'ulimit -f 500; exec "$@"', "bash"]
    answer = project.run(*limited, *project.manage, "db", "upgrade")
    answer.assert_one_sentence("dev.db", "quota, limit or damage", "as it was")
    assert contents(project.database) == before
    project.db("upgrade").assert_ok()


@contextmanager
def small_disk(disk, size):
    """Mount one in that folder; where that is not allowed the test is skipped."""
    disk.mkdir(exist_ok=True)
    if not room(disk, size):
        pytest.skip("no small disk: mount needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(project, tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        database = disk / "app.db"
        with closing(sqlite3.connect(project.database)) as source:
            source.execute(f"VACUUM INTO '{database}'")
        project.migration("x1", HEAD, FILL)
        before = contents(database)
        answer = project.db("upgrade", DEV_DATABASE_URL=f"sqlite:///{database}")
        answer.assert_one_sentence(f"The disk of {database} is full", "make room", "as it was")
        assert contents(database) == before


def test_a_value_that_is_malformed_is_no_damage_of_the_database(project):
    project.migration("x1", HEAD, "op.execute(\"SELECT json('{')\")")
    project.db("upgrade").assert_one_sentence("x1_by_hand.py, line", "malformed JSON")


def test_a_full_disk_on_which_make_db_builds_is_the_one_that_is_named(project, tmp_path):
    with small_disk(tmp_path / "disk", "16k") as disk:
        again = "env", f"TMPDIR={disk}", *project.manage, "db", "rebuild"  # read when Python starts
        project.run(*again).assert_one_sentence(f"The disk of {disk}/keel-scratch", "as it was")
        assert not [*disk.iterdir()]


def test_a_filesystem_that_is_mounted_to_be_read_gives_what_is_read_and_names_itself(
    project, tmp_path
):
    with small_disk(tmp_path / "disk", "1m") as disk:
        database = disk / "app.db"
        with closing(sqlite3.connect(project.database)) as source:
            source.execute(f"VACUUM INTO '{database}'")
        with closing(sqlite3.connect(database)) as made:
            made.execute("PRAGMA journal_mode=WAL")
        project.migration("x1", HEAD, FILL)
        (disk / "backups").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        url = {"DEV_DATABASE_URL": f"sqlite:///{database}"}
        assert HEAD in project.db("current", **url).assert_ok().out
        project.db("upgrade", **url).assert_one_sentence(f"{database} lies on", "mounted read-only")
        (project.path / "var" / "backups").symlink_to(disk / "backups")
        project.db("backup", **url).assert_one_sentence("backups/", "mounted read-only")


def test_a_versions_folder_that_takes_no_file(project):
    project.model("thing", "id: Mapped[int] = mapped_column(primary_key=True)")
    before = files(project)
    project.versions.chmod(0o555)
    try:
        answer = project.run(*without_power(), *project.manage, "db", "migrate")
    finally:
        project.versions.chmod(0o755)
    answer.assert_one_sentence("create_thing.py: Permission denied", "ls -ld")
    assert files(project) == before


@pytest.mark.parametrize("command", ["migrate", "revision"])
def test_a_full_disk_while_a_migration_is_written(project, tmp_path, command):
    project.model("thing", "id: Mapped[int] = mapped_column(primary_key=True)")
    before = files(project)
    kept = tmp_path / "kept"
    shutil.copytree(project.versions, kept)
    with small_disk(project.versions, "64k"):
        shutil.copytree(kept, project.versions, dirs_exist_ok=True)
        with suppress(OSError), (project.versions / "filled").open("wb", buffering=0) as filled:
            while filled.write(b"x" * 1024):
                pass
        answer = project.db(command, "-m", "a thing")
        answer.assert_one_sentence("The disk of", "versions is full", "no migration was written")
        (project.versions / "filled").unlink()
        assert sorted(file.name for file in project.versions.glob("*.py")) == sorted(
            file.name for file in kept.glob("*.py")
        )
        project.db(command, "-m", "a thing").assert_ok()
    assert files(project) == before


def test_the_error_of_many_rows_is_said_once_by_postgresql(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        bag = "sa.table('bag', sa.column('v'), sa.column('w'))"
        insert = f"op.bulk_insert({bag}, [{{'v': 1, 'w': 'w' * 9999}}] * 999)"
        create = "op.execute('CREATE TABLE bag (v INTEGER UNIQUE, w TEXT)')"
        project.migration("f1", None, f"{create}\n{insert}")
        # more than is sent at once, so that psycopg meets the error while it sends
        answer = project.db("upgrade").assert_one_sentence("UniqueViolation", "(v)=(1)")
    assert answer.err.startswith("Error: ")
