"""Nobody waits for an upgrade that has to wait itself, on servers, with real sessions and processes."""

import os
import signal
import time
from contextlib import contextmanager

import clients
import databases
import pytest
from sqlalchemy import make_url

LONG = bool(os.environ.get("LONG_DRILLS"))
HELD = 45 if LONG else 4  # seconds for which a reader holds the table
TIMEOUT = 5 if LONG else 3
TABLES = """for name in ("post", "tag"):
    op.create_table(name, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))
op.execute("INSERT INTO post VALUES (1, 1)")"""
# what holds tag, and then has to wait for post
CHANGES = """op.execute("INSERT INTO tag VALUES (1, 1)")
op.add_column("tag", sa.Column("color", sa.Integer))
op.execute("INSERT INTO tag VALUES (2, 2, 2)")
op.add_column("post", sa.Column("slug", sa.Integer))"""


@pytest.fixture
def project(new_project, server_url):
    return started(new_project, server_url)


def started(new_project, url):
    made = new_project(starter="bare", database=make_url(url).get_backend_name())
    made.env["DEV_DATABASE_URL"] = url
    made.migration("f1", None, TABLES)
    made.db("upgrade").assert_ok()
    made.configure(ZERO_DOWNTIME=False, MIGRATION_LOCK_TIMEOUT=TIMEOUT)
    return made


@pytest.fixture
def postgresql(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        yield started(new_project, url)


@pytest.fixture
def mysql(new_project, mariadb_server):
    with databases.fresh(mariadb_server) as url:
        yield started(new_project, url)


def url_of(project):
    return project.env["DEV_DATABASE_URL"]


def is_postgresql(project):
    return make_url(url_of(project)).get_backend_name() == "postgresql"


@contextmanager
def session(project, *statements):
    """Another session, which gives up by itself where it would wait for ever."""
    bound = "SET lock_timeout = '60s'" if is_postgresql(project) else "SET lock_wait_timeout = 60"
    with databases.engine(url_of(project)).connect() as connection:
        for statement in (bound, *statements):
            connection.exec_driver_sql(statement)
        yield connection
        connection.exec_driver_sql("ROLLBACK")


READS = ("BEGIN", "SELECT * FROM post")


@contextmanager
def upgrading(project, *typed):
    process = project.start(*project.manage, "db", *(typed or ("upgrade",)))
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_it_waits(project, process, what="lock"):
    """Until the server says that the upgrade waits, for a lock or for another's snapshot."""
    if is_postgresql(project):
        event = "virtualxid" if what == "snapshot" else "%"
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'db %%' "
            f"AND wait_event_type = 'Lock' AND wait_event LIKE '{event}'"
        ).replace("%%", "%")
    else:
        query = "SELECT count(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for%lock'"
    ends = time.monotonic() + 60
    with databases.engine(url_of(project)).connect() as looks:
        while not looks.exec_driver_sql(query.replace("%", "%%")).scalar():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < ends
            time.sleep(0.05)


def ended(process, code=0):
    out, err = process.communicate(timeout=180)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    return err


def columns(project, table):
    """The number of columns."""
    return clients.rows(
        url_of(project),
        f"SELECT count(*) FROM information_schema.columns WHERE table_name = '{table}' "
        f"AND table_schema = {'current_schema()' if is_postgresql(project) else 'database()'}",
    )[0][0]


def version(project):
    return clients.rows(url_of(project), "SELECT version_num FROM alembic_version")


@databases.mariadb_alone
def test_writers_on_mariadb_wait_for_less_than_the_second_that_it_counts_in(mysql):
    mysql.configure(ZERO_DOWNTIME=True, MIGRATION_LOCK_TIMEOUT=0.05)
    mysql.migration("f2", "f1", 'op.create_index("ix_post_n", "post", ["n"])')

    def ended_tries():
        return int(clients.rows(url_of(mysql), "SHOW GLOBAL STATUS LIKE 'Com_kill'")[0][1])

    before, written = ended_tries(), 0
    with session(mysql, *READS) as report, upgrading(mysql) as process:
        with session(mysql, "SET autocommit = 1, max_statement_time = 0.7") as writer:
            ends = time.monotonic() + 60
            while ended_tries() < before + 3:  # the last of a second would be refused a writer
                writer.exec_driver_sql("UPDATE post SET n = n + 1")
                written += 1
                assert time.monotonic() < ends
        report.exec_driver_sql("ROLLBACK")
        ended(process)
    assert clients.rows(url_of(mysql), "SELECT n FROM post") == [(written + 1,)]
    assert version(mysql) == [("f2",)]
    assert columns(mysql, "post") == 2


def test_others_go_on_reading_while_an_upgrade_waits_for_a_reader(project):
    project.migration("f2", "f1", CHANGES)
    longest = 0.0
    with session(project, *READS) as reader, upgrading(project) as process:
        wait_until_it_waits(project, process)
        ends = time.monotonic() + HELD
        while longest == 0.0 or time.monotonic() < ends:
            with session(project) as other:  # an answer to each, while the reader is still there
                begun = time.monotonic()
                for table in ("post", "tag"):
                    assert other.exec_driver_sql(f"SELECT max(id) FROM {table}").scalar() in (
                        1,
                        2,
                        None,
                    )
                longest = max(longest, time.monotonic() - begun)
            time.sleep(0.05)
        assert process.poll() is None
        reader.exec_driver_sql("ROLLBACK")
        err = ended(process)
    print(f"the longest SELECT took {longest:.2f} s")
    if LONG:  # what is promised; at other times a busy machine would fail it
        assert longest < TIMEOUT + 1
    assert "'ALTER TABLE post ADD COLUMN slug INTEGER' waits for a lock: " in err
    assert "'ALTER TABLE post ADD COLUMN slug INTEGER' did not get its lock" in err
    known = is_postgresql(project) or databases.MYSQLD  # MariaDB says it of nobody
    assert ("post is held by another session (" in err) == bool(known)
    # and nothing of it is there twice
    assert err.count("upgrade f2") == 1
    log = "SELECT count(*) FROM alembic_log WHERE revision = 'f2'"
    assert clients.rows(url_of(project), log) == [(1,)]
    assert clients.rows(url_of(project), "SELECT id FROM tag ORDER BY id") == [(1,), (2,)]
    assert columns(project, "post") == columns(project, "tag") == 3
    assert version(project) == [("f2",)]


def test_after_the_last_try_the_sentence_says_who_holds_the_lock_and_the_next_upgrade_goes_on(
    project,
):
    project.migration("f2", "f1", 'op.add_column("post", sa.Column("slug", sa.Integer))')
    project.configure(MIGRATION_LOCK_TIMEOUT=2, MIGRATION_RETRIES=1)
    with session(project, *READS):
        answer = project.db("upgrade")
    answer.assert_one_sentence("f2_by_hand.py, line 11", "being at f1, after 2 tries", "wait for")
    if is_postgresql(project):
        assert answer.err.count("post is held by another session (pid ") >= 2
    project.db("upgrade").assert_ok()
    assert version(project) == [("f2",)]


@pytest.mark.one_of_each
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_what_an_upgrade_waits_for_is_free_when_it_was_stopped(project, name):
    project.migration("f2", "f1", CHANGES)
    project.configure(MIGRATION_LOCK_TIMEOUT=50)
    number = getattr(signal, name)
    with session(project, *READS), upgrading(project) as process:
        wait_until_it_waits(project, process)
        process.send_signal(number)
        with session(project) as other:
            if name == "SIGKILL":
                process.wait()
                # the server has to notice it by itself
                bound = (
                    "lock_timeout = '10s'" if is_postgresql(project) else "lock_wait_timeout = 10"
                )
            else:
                err = ended(process, 128 + number)
                assert "Stopped by hand" in err and "is at f1" in err
                bound = "lock_timeout = 500" if is_postgresql(project) else "lock_wait_timeout = 1"
            other.exec_driver_sql(f"SET {bound}")
            other.exec_driver_sql("SELECT * FROM post")
            other.exec_driver_sql("SELECT * FROM tag")


def test_a_downgrade_by_one_that_is_tried_again_goes_down_by_one(project):
    for number, table in ((2, "tag"), (3, "post"), (4, "tag")):
        project.migration(
            f"f{number}",
            f"f{number - 1}",
            f'op.add_column("{table}", sa.Column("c{number}", sa.Integer))',
            f'op.drop_column("{table}", "c{number}")',
        )
    project.db("upgrade").assert_ok()
    project.configure(MIGRATION_LOCK_TIMEOUT=1)
    with session(project, *READS) as reader, upgrading(project, "downgrade", "--", "-2") as process:
        assert any("did not get its lock" in line for line in iter(process.stderr.readline, ""))
        reader.exec_driver_sql("ROLLBACK")
        ended(process)
    assert version(project) == [("f2",)]


OWN = {
    "postgresql": ("SET LOCAL lock_timeout = '7s'", "current_setting('lock_timeout')", "7s", "3s"),
    "mysql": ("SET lock_wait_timeout = 7", "@@lock_wait_timeout", 7, 3),
}


@pytest.mark.parametrize("rest", ["alone", "with its own"])
def test_a_migration_says_itself_how_long_it_waits_and_the_next_one_does_not(project, rest):
    said, asked, theirs, ours = OWN[make_url(url_of(project)).get_backend_name()]
    project.configure(MIGRATION_LOCK_TIMEOUT=3)
    first = f'op.execute("{said}")\n' if rest == "with its own" else ""
    see = 'op.execute("CREATE TABLE seen{} AS SELECT {} AS bound")'
    project.migration("f2", "f1", first + see.format(2, asked))
    project.migration("f3", "f2", see.format(3, asked))
    project.db("upgrade").assert_ok()
    assert clients.rows(url_of(project), "SELECT bound FROM seen2") == [
        (theirs if first else ours,)
    ]
    assert clients.rows(url_of(project), "SELECT bound FROM seen3") == [(ours,)]


INSERTED_ALONE = """with op.get_context().autocommit_block():
    op.execute("INSERT INTO tag VALUES (1, 1)")
"""
SLUG = 'op.add_column("post", sa.Column("slug", sa.Integer))'


def test_what_was_committed_is_not_done_twice_on_postgresql(postgresql):
    postgresql.migration("f2", "f1", INSERTED_ALONE + SLUG)
    postgresql.configure(MIGRATION_LOCK_TIMEOUT=0.3)
    with session(postgresql, *READS):
        postgresql.db("upgrade").assert_one_sentence(
            "LockNotAvailable", "'INSERT INTO tag", "stands", "being at f1"
        )
    assert clients.rows(url_of(postgresql), "SELECT id FROM tag") == [(1,)]


def test_a_statement_outside_of_a_transaction_is_tried_again_by_itself(postgresql):
    postgresql.migration("f2", "f1", f"{INSERTED_ALONE}    {SLUG}")
    postgresql.configure(MIGRATION_LOCK_TIMEOUT=0.3)
    with session(postgresql, *READS) as reader, upgrading(postgresql) as process:
        assert any(
            "it is given up, tried again" in line for line in iter(process.stderr.readline, "")
        )
        reader.exec_driver_sql("ROLLBACK")
        ended(process)
    assert clients.rows(url_of(postgresql), "SELECT id FROM tag") == [(1,)]


def test_all_statements_of_a_transaction_wait_together_as_long_as_one_may(postgresql):
    """Who waits for the first table waits while the second is waited for, too."""
    slow = """op.add_column("post", sa.Column("slug", sa.Integer))
op.execute("SELECT pg_sleep(1.5)")
op.execute("CREATE TABLE seen AS SELECT setting::int AS bound FROM pg_settings "
           "WHERE name = 'lock_timeout'")"""
    postgresql.migration("f2", "f1", slow)
    postgresql.db("upgrade").assert_ok()
    ((bound,),) = clients.rows(url_of(postgresql), "SELECT bound FROM seen")
    assert 1000 <= bound <= (TIMEOUT - 1.5) * 1000


def test_two_that_wait_for_each_other_both_come_to_their_end(postgresql):
    postgresql.migration("f2", "f1", CHANGES)
    postgresql.configure(MIGRATION_LOCK_TIMEOUT=30)
    # the server looks when somebody has waited for so long, and ends that one
    name = make_url(url_of(postgresql)).database
    clients.run(url_of(postgresql), f"ALTER DATABASE {name} SET deadlock_timeout = '3s'")
    patient = "SET deadlock_timeout = '60s'"
    with session(postgresql, patient, *READS) as other, upgrading(postgresql) as process:
        wait_until_it_waits(postgresql, process)
        other.exec_driver_sql("SELECT * FROM tag")
        other.exec_driver_sql("COMMIT")
        assert "all of this revision is given back" in ended(process)
    assert clients.rows(url_of(postgresql), "SELECT id FROM tag ORDER BY id") == [(1,), (2,)]


@pytest.mark.some(1)
@pytest.mark.parametrize("holds", [False, True], ids=["holds nothing", "holds another table"])
def test_validate_may_wait_where_nobody_waits_for_what_is_held(postgresql, holds):
    """A lock that VALIDATE wants lets others read and write; one that was taken before may not."""
    check = "op.execute('ALTER TABLE post ADD CONSTRAINT positive CHECK (n > 0) NOT VALID')"
    postgresql.migration("f2", "f1", check)
    postgresql.db("upgrade").assert_ok()
    first = 'op.add_column("tag", sa.Column("color", sa.Integer))\n' if holds else ""
    validate = "op.execute('ALTER TABLE post VALIDATE CONSTRAINT positive')"
    postgresql.migration("f3", "f2", first + validate)
    postgresql.configure(MIGRATION_LOCK_TIMEOUT=0.3)
    lock = "LOCK TABLE post IN SHARE UPDATE EXCLUSIVE MODE"
    with session(postgresql, "BEGIN", lock) as other, upgrading(postgresql) as process:
        wait_until_it_waits(postgresql, process)
        time.sleep(0.8)
        other.exec_driver_sql("ROLLBACK")
        assert ("did not get its lock" in ended(process)) is holds


ROWS = """op.execute("INSERT INTO {table} VALUES (1, 1)")
op.execute("UPDATE post SET n = 2")"""


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_rows_that_cannot_be_undone_are_not_written_twice_on_mysql(mysql, engine):
    clients.run(url_of(mysql), f"CREATE TABLE kept (id INTEGER, n INTEGER) ENGINE={engine}")
    mysql.migration("f2", "f1", ROWS.format(table="kept"))
    mysql.configure(MIGRATION_LOCK_TIMEOUT=1)
    with session(mysql, "BEGIN", "UPDATE post SET n = 7") as writer:
        if engine == "MyISAM":
            mysql.db("upgrade").assert_one_sentence("Lock wait timeout", "being at f1", "wait for")
        else:
            with upgrading(mysql) as process:
                lines = iter(process.stderr.readline, "")
                assert any("all of this revision is given back" in line for line in lines)
                writer.exec_driver_sql("COMMIT")
                ended(process)
    assert clients.rows(url_of(mysql), "SELECT id FROM kept") == [(1,)]


def test_a_statement_of_its_own_on_mysql_is_tried_again_though_others_stand(mysql):
    mysql.migration("f2", "f1", f"{CHANGES}\nop.execute('UPDATE post SET n = n + 1')")
    mysql.configure(MIGRATION_LOCK_TIMEOUT=1)
    # the rows are free for the ALTER, and taken again behind it
    mysql.replace(
        "my_app/migrations/versions/f2_by_hand.py",
        "    op.execute('UPDATE",
        "    import pathlib, time\n"
        "    pathlib.Path('begun').touch()\n"
        "    while not pathlib.Path('go').exists(): time.sleep(0.02)\n"
        "    op.execute('UPDATE",
    )
    with upgrading(mysql) as process:
        while not (mysql.path / "begun").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        with session(mysql, "BEGIN", "UPDATE post SET n = 7") as writer:
            (mysql.path / "go").touch()
            assert any("did not get its lock" in line for line in iter(process.stderr.readline, ""))
            writer.exec_driver_sql("COMMIT")
        ended(process)
    assert clients.rows(url_of(mysql), "SELECT n FROM post") == [(8,)]
    assert clients.rows(url_of(mysql), "SELECT id FROM tag ORDER BY id") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"MIGRATION_LOCK_TIMEOUT": "5s"},
            "MIGRATION_LOCK_TIMEOUT is '5s': write a number of seconds",
        ),
        ({"MIGRATION_RETRIES": "ten"}, "MIGRATION_RETRIES is 'ten': write a whole number"),
    ],
)
def test_a_setting_that_is_no_number_is_said_before_anything_else(project, settings, words):
    project.configure(**settings)
    project.db("upgrade").assert_one_sentence(words)


def test_the_connection_of_the_application_waits_afterwards_as_before(new_project, server_url):
    """An application that upgrades its database when it starts goes on with the same connections."""
    project = started(new_project, server_url)
    project.migration("f2", "f1", 'op.add_column("post", sa.Column("slug", sa.Integer))')
    asked = OWN[make_url(server_url).get_backend_name()][1]
    start = (
        "import my_app, flask_migrate\n"
        "from my_app.extensions import db\n"
        "with my_app.create_app('dev.conf').app_context():\n"
        f"    look = lambda: db.session.execute(db.text('''SELECT {asked}''')).scalar()\n"
        "    before = look(); db.session.remove()\n"
        "    flask_migrate.upgrade()\n"
        "    assert look() == before, (look(), before)\n"
    )
    project.warm(project.manage[0], "-c", start, PYTHONPATH=str(project.path)).assert_ok()
    assert version(project) == [("f2",)]


def test_a_migration_does_not_wait_for_itself(project):
    writes = "from my_app.extensions import db\nop.execute('UPDATE post SET n = 2')\n{bind}.execute(sa.text("
    writes += "'ALTER TABLE post ADD COLUMN slug INTEGER'))\n"
    project.migration("f2", "f1", writes.format(bind="db.session"))
    said = project.db("upgrade", timeout=30).assert_one_sentence("own (db.session", "being at f1")
    assert "use op.get_bind()" in said.err
    project.migration("f2", "f1", writes.format(bind="op.get_bind()"))
    project.db("upgrade").assert_ok()
    assert clients.rows(url_of(project), "SELECT n, slug FROM post") == [(2, None)]
