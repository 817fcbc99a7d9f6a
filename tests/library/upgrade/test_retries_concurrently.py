"""CREATE INDEX CONCURRENTLY on PostgreSQL: it may wait, and what it leaves behind is cleared away."""

import time

import clients
import databases
import pytest

from .test_retries import ended, session, started, upgrading, url_of, wait_until_it_waits

INDEX = """with op.get_context().autocommit_block():
    op.create_index("ix_post_n", "post", ["n"], postgresql_concurrently=True, if_not_exists=True{more})"""
# a snapshot of another table is all that it takes
READS = ("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT * FROM tag")


@pytest.fixture
def project(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        made = started(new_project, url)
        made.migration("f2", "f1", INDEX.format(more=""))
        yield made


def indexes(project):
    """The indexes of the table, each with whether it is valid."""
    return clients.rows(
        url_of(project),
        "SELECT relname, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
        "WHERE indrelid = 'post'::regclass AND NOT indisprimary",
    )


def test_it_waits_longer_than_for_a_lock_since_nobody_waits_for_it(project):
    project.configure(MIGRATION_LOCK_TIMEOUT=0.1)
    with session(project, *READS) as reader, upgrading(project) as process:
        wait_until_it_waits(project, process, "snapshot")
        # it says so after two seconds, with whom it waits for
        line = process.stderr.readline()
        assert "waits for a lock: another session (pid" in line and "has to end first" in line, line
        with session(project) as other:
            other.exec_driver_sql("INSERT INTO post VALUES (7, 7)")
        reader.exec_driver_sql("ROLLBACK")
        assert "did not get its lock" not in ended(process)
    assert indexes(project) == [("ix_post_n", True)]


@pytest.mark.some(1)
@pytest.mark.parametrize("if_not_exists", [True, False])
def test_after_kill_9_the_next_upgrade_makes_the_index_that_was_left_invalid_anew(
    project, if_not_exists
):
    if not if_not_exists:
        project.replace("my_app/migrations/versions/f2_by_hand.py", ", if_not_exists=True", "")
    with session(project, *READS) as reader:
        with upgrading(project) as process:
            wait_until_it_waits(project, process, "snapshot")
            process.kill()
            query = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'db %%'"
            while clients.rows(url_of(project), query):
                time.sleep(0.05)  # the server has to notice
        assert indexes(project) == [("ix_post_n", False)]
        reader.exec_driver_sql("ROLLBACK")
    # IF NOT EXISTS would take it for done
    answer = project.db("upgrade").assert_ok()
    assert "ix_post_n was left invalid by a CREATE that did not end: it is dropped" in answer.err
    assert indexes(project) == [("ix_post_n", True)]


def test_an_index_that_somebody_else_is_making_is_left_alone(project):
    """It is invalid, too, until it is finished."""
    with session(project, *READS) as reader:
        psql = project.start(
            "psql", "-d", url_of(project), "-c", "CREATE INDEX CONCURRENTLY ix_post_n ON post (n)"
        )
        query = "SELECT count(*) FROM pg_stat_progress_create_index"
        while not clients.rows(url_of(project), query)[0][0]:
            assert psql.poll() is None, psql.communicate()
        with upgrading(project) as process:
            wait_until_it_waits(project, process)
            reader.exec_driver_sql("ROLLBACK")
            assert psql.wait(60) == 0
            assert "left invalid" not in ended(process)  # it is there, as IF NOT EXISTS says
    assert indexes(project) == [("ix_post_n", True)]


def test_when_it_has_waited_for_as_long_as_anybody_the_sentence_says_what_is_left(project):
    project.configure(MIGRATION_LOCK_TIMEOUT=0.3, MIGRATION_LOCK_WAIT=0.3)
    with session(project, *READS):
        project.db("upgrade").assert_one_sentence(
            "being at f1, the invalid index ix_post_n that was left is dropped: wait for the session"
        )
    assert indexes(project) == []
    with session(project, "BEGIN", "INSERT INTO post VALUES (9, 9)"):  # in the way of that, too
        project.db("upgrade").assert_one_sentence(
            "ix_post_n is left invalid: type DROP INDEX CONCURRENTLY ix_post_n", "being at f1"
        )
    project.db("upgrade").assert_ok()
    assert indexes(project) == [("ix_post_n", True)]


def test_rows_that_do_not_fit_leave_no_index_behind(project):
    project.versions.joinpath("f2_by_hand.py").unlink()
    project.migration("f2", "f1", INDEX.format(more=", unique=True"))
    clients.run(url_of(project), "INSERT INTO post VALUES (8, 1)")
    project.db("upgrade").assert_one_sentence(
        "is duplicated", "the invalid index ix_post_n that was left is dropped", "change the rows"
    )
    assert indexes(project) == []
    clients.run(url_of(project), "DELETE FROM post WHERE id = 8")
    project.db("upgrade").assert_ok()
    assert indexes(project) == [("ix_post_n", True)]
