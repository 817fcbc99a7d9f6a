"""Two upgrades at once, and a writer that does not let go."""

import sqlite3
from contextlib import closing

import pytest
from sqlite_contents import beside, contents, rows

from flask_keel.sqlite import transaction

from .families import REBUILD
from .waiting_migrations import WAITS, wait_for


def test_of_two_upgrades_at_once_the_second_waits_and_has_nothing_to_do(family):
    family.migration("f2", "f1", REBUILD + WAITS)
    first = family.start(*family.manage, "db", "upgrade")
    wait_for(family.path / "begun", first)
    second = family.start(*family.manage, "db", "upgrade")
    assert any("waiting for the other process" in line for line in iter(second.stderr.readline, ""))
    (family.path / "go").touch()
    _, said_first = first.communicate(timeout=60)
    _, said_second = second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), said_first + said_second
    assert "upgrade f2" in said_first
    assert f"{family.database} is at f2: nothing to do." in said_second


@pytest.mark.drill
def test_of_two_first_upgrades_at_once_both_succeed(bare):
    bare.migration("f1", None, "op.execute('CREATE TABLE once (id INTEGER)')")
    started = [bare.start(*bare.manage, "db", "upgrade") for _ in range(3)]
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert sum("upgrade f1" in text for text in said) == 1
    assert rows(bare.database, "SELECT version_num FROM alembic_version") == [("f1",)]


def test_an_upgrade_that_gives_up_does_not_remove_the_database_of_the_one_that_goes_on(bare):
    bare.migration("f1", None, WAITS)
    impatient = bare.write(
        "etc/conf/impatient.conf",
        (bare.path / "etc/conf/dev.conf").read_text() + "\nMIGRATION_LOCK_WAIT = 0.1\n",
    )
    first = bare.start(*bare.manage, "db", "upgrade")
    wait_for(bare.path / "begun", first)
    bare.db("upgrade", SETTINGS=impatient.name).assert_one_sentence("locked")
    (bare.path / "go").touch()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert rows(bare.database, "SELECT version_num FROM alembic_version") == [("f1",)]


def test_a_file_that_another_process_has_written_into_is_not_removed(tmp_path):
    path = tmp_path / "app.db"
    assert transaction.make(path)
    assert not transaction.make(path)
    rows(path, "CREATE TABLE theirs (id INTEGER)")
    transaction.unmake(path)
    assert path.exists()

    other = tmp_path / "other.db"
    transaction.make(other)
    transaction.unmake(other)
    assert not other.exists()


def test_a_writer_that_holds_the_lock_is_named_after_the_time_that_the_settings_say(family):
    family.migration("f2", "f1", REBUILD)
    conf = family.path / "etc" / "conf" / "dev.conf"
    conf.write_text(f"{conf.read_text()}\nMIGRATION_LOCK_WAIT = 0.2\n")
    before, files = contents(family.database), beside(family.database)
    with closing(sqlite3.connect(family.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        # nothing else opens the file here: the lock of a process goes with any of its handles
        for command in ("upgrade", "stamp"):
            family.db(command).assert_one_sentence(
                f"{family.database} is locked by another process", "try again"
            )
    assert beside(family.database) == files
    assert contents(family.database) == before
    family.db("upgrade").assert_ok()


def test_who_only_reads_is_no_obstacle(family):
    rows(family.database, "PRAGMA journal_mode=WAL")
    family.migration("f2", "f1", REBUILD)
    with closing(sqlite3.connect(family.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM parent").fetchone() == (2,)
        family.db("upgrade").assert_ok()
    assert rows(family.database, "SELECT version_num FROM alembic_version") == [("f2",)]


def test_the_engine_options_of_the_application_do_not_disturb(family):
    family.migration("f2", "f1", REBUILD)
    conf = family.path / "etc" / "conf" / "dev.conf"
    options = '{"pool_size": 3, "pool_pre_ping": True, "connect_args": {"timeout": 1}}'
    conf.write_text(f"{conf.read_text()}\nSQLALCHEMY_ENGINE_OPTIONS = {options}\n")
    family.db("upgrade").assert_ok()


def test_what_is_waited_for_without_end_may_be_infinity(any_database):
    any_database.migration(
        "a1", None, "op.create_table('t', sa.Column('id', sa.Integer))", "op.drop_table('t')"
    )
    for seconds in ('float("inf")', "10**8"):
        with (any_database.path / "etc/conf/dev.conf").open("a") as conf:
            conf.write(f"\nMIGRATION_LOCK_WAIT = MIGRATION_LOCK_TIMEOUT = {seconds}\n")
        any_database.db("upgrade", "--sql").assert_ok()
        any_database.db("upgrade").assert_ok()
        any_database.db("downgrade", "base").assert_ok()
