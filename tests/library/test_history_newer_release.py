"""A database that a newer release has migrated, met by an older one; and waiting for a migration."""

import pytest

HEAD = "8b27e4a9c610"


@pytest.fixture
def newer(blog):
    """A blog whose database is one revision ahead of its files."""
    file = blog.migration("newer1", HEAD, "op.create_table('extra', sa.Column('id', sa.Integer))")
    blog.db("upgrade").assert_ok()
    blog.removed = file.read_text()
    file.unlink()
    return blog


def test_an_older_release_says_so_with_an_exit_code_of_its_own(newer):
    answer = newer.db("upgrade").assert_one_sentence(
        "is at revision newer1, which no file in", "--allow-newer", code=4
    )
    assert answer.out == ""


def test_an_entrypoint_of_an_older_release_goes_on(newer):
    before = newer.database.read_bytes()
    answer = newer.db("upgrade", "--allow-newer").assert_ok()
    assert "newer than this release, nothing to do" in answer.err
    assert newer.database.read_bytes() == before


def test_where_the_older_release_needs_something_newer_is_not_allowed(newer):
    """Its own last revision stands on one that is applied, and is not."""
    newer.migration("mine1", "3f8a1c52d7e0", "pass")
    newer.run("sqlite3", str(newer.database), "INSERT INTO alembic_version VALUES ('3f8a1c52d7e0')")
    newer.db("upgrade", "--allow-newer").assert_one_sentence("newer1", code=4)


def test_allowing_a_newer_one_still_upgrades_an_older_database(blog):
    blog.db("upgrade", "3f8a1c52d7e0").assert_ok()
    blog.db("upgrade", "--allow-newer").assert_ok()
    assert HEAD in blog.db("current").out


def test_a_branch_that_has_the_files_is_named_with_what_brings_them(newer):
    def git(*arguments):
        who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
        return newer.run("git", *who, *arguments).assert_ok()

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "feature")
    file = newer.versions / "newer1_by_hand.py"
    file.write_text(newer.removed)
    second = newer.migration("newer2", "newer1", "pass")
    newer.db("upgrade").assert_ok()
    git("add", ".")
    git("commit", "-qm", "two")
    git("checkout", "-q", "main")
    answer = newer.db("upgrade").assert_one_sentence("branch feature has it", code=4)
    command = answer.err.partition(": type ")[2].strip().rstrip(".")
    newer.run(*command.split()).assert_ok()
    newer.db("upgrade").assert_ok()
    # and where one of them alone is here
    git("rm", "-qf", str(file))
    assert second.exists()
    answer = newer.db("upgrade").assert_one_sentence("newer2_by_hand.py stands on revision newer1")
    newer.run(*answer.err.partition(": type ")[2].partition(", or ")[0].split()).assert_ok()
    newer.db("downgrade", "--yes", HEAD).assert_ok()


def test_waiting_ends_when_somebody_has_migrated(blog):
    blog.db("upgrade", "3f8a1c52d7e0").assert_ok()
    waiting = blog.start(*blog.manage, "db", "wait")
    assert "is behind: waiting" in waiting.stderr.readline()
    assert waiting.poll() is None
    blog.db("upgrade").assert_ok()
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0 and "is at head" in err


def test_waiting_for_nobody_ends_with_a_sentence(blog):
    blog.db("upgrade", "3f8a1c52d7e0").assert_ok()
    blog.db("wait", "--timeout", "0.1").assert_one_sentence("still is behind", "type db upgrade")
