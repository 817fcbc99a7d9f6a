"""A database that may only be read: what only looks works, what writes says why it cannot."""

import os
import shutil

import databases
import pytest
from sqlite_contents import beside, rows


def without_rights(*command):
    """A command that file permissions bind, root's too."""
    if os.geteuid():
        return command
    if not shutil.which("setpriv"):
        databases.missing("no setpriv: apt-get install util-linux")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *command)


@pytest.fixture(params=["wal", "delete"])
def read_only(family, request):
    rows(family.database, f"PRAGMA journal_mode={request.param}")
    family.db("current").assert_ok()  # the development key is made
    family.database.chmod(0o444)
    folder = family.database.parent
    folder.chmod(0o555)
    yield family
    folder.chmod(0o755)


@pytest.mark.some(1)
def test_what_only_looks_works(read_only):
    read_only.migration("f2", "f1", "op.execute('CREATE TABLE more (id)')")
    before = beside(read_only.database)
    looked = read_only.run(*without_rights(*read_only.manage, "db", "current")).assert_ok()
    assert "f1" in looked.out
    printed = read_only.run(*without_rights(*read_only.manage, "db", "upgrade", "--sql"))
    assert "CREATE TABLE more" in printed.assert_ok().out
    assert beside(read_only.database) == before


@pytest.mark.some(1)
def test_what_writes_says_why_it_cannot(read_only):
    read_only.migration("f2", "f1", "op.execute('CREATE TABLE more (id)')")
    answer = read_only.run(*without_rights(*read_only.manage, "db", "upgrade"))
    answer.assert_one_sentence("dev.db cannot be written", "permissions")


def test_a_database_whose_last_writes_lie_beside_it_is_not_read_without_them(family):
    rows(family.database, "PRAGMA journal_mode=wal")
    family.db("current").assert_ok()
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        "c.execute('UPDATE alembic_version SET version_num = \"f9\"'); c.commit(); os._exit(0)"
    )
    family.run(family.manage[0], "-c", script, str(family.database)).assert_ok()
    folder = family.database.parent
    (folder / "dev.db-shm").unlink()
    family.database.chmod(0o444)
    folder.chmod(0o555)
    try:
        answer = family.run(*without_rights(*family.manage, "db", "current"))
        assert answer.code == 1 and "f1" not in answer.out, answer.said
        assert "Traceback" not in answer.said
    finally:
        folder.chmod(0o755)
