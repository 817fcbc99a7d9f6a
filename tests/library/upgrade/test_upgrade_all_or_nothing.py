"""An upgrade on SQLite is one transaction: all of it happened, or none."""

import signal
import time

import pytest
from sqlite_contents import contents, tables

from .families import BROKEN, REBUILD

PARTS = {
    "f2": REBUILD,
    "f3": "op.add_column('parent', sa.Column('born', sa.Integer()))\n"
    "op.execute('UPDATE parent SET born = 1815')",
    "f4": "op.create_table('grandchild', sa.Column('id', sa.Integer(), primary_key=True))",
}
STOP = "op.execute('INSERT INTO missing VALUES (1)')"
END_THE_TRANSACTION = {
    "commit": "op.get_bind().commit()",
    "rollback": "op.get_bind().rollback()",
    "the driver's commit": "op.get_bind().connection.commit()",
    "COMMIT": "op.execute('COMMIT')",
    "BEGIN": "op.execute('BEGIN')",
    "executescript": "op.get_bind().connection.executescript('SELECT 1')",
}
CONNECT_AGAIN = {
    "db.session": "from my_app.extensions import db\ndb.session.execute(sa.text('SELECT 1'))",
    "db.engine": "from my_app.extensions import db\ndb.engine.connect()",
    "the engine of the connection": "op.get_bind().engine.connect()",
}


@pytest.mark.parametrize("broken", PARTS)
def test_a_failing_revision_undoes_all_of_them_and_the_retry_works(family, broken):
    previous = "f1"
    for revision, code in PARTS.items():
        family.migration(revision, previous, f"{code}\n{STOP}" if revision == broken else code)
        previous = revision
    before = contents(family.database)

    answer = family.db("upgrade")
    answer.assert_one_sentence(f"{broken}_by_hand.py, line", "missing", "as it was", "try again")
    assert contents(family.database) == before
    assert not any(name.startswith("_alembic_tmp_") for name in tables(family.database))

    family.replace(f"my_app/migrations/versions/{broken}_by_hand.py", STOP, "pass")
    family.db("upgrade").assert_ok()
    assert "grandchild" in tables(family.database)


def test_an_autocommit_block_does_not_commit_half_of_an_upgrade(family):
    block = "with op.get_context().autocommit_block():\n    op.execute('CREATE TABLE half (id)')\n"
    family.migration("f2", "f1", f"{REBUILD}\n{block}{STOP}")
    before = contents(family.database)
    family.db("upgrade").assert_one_sentence("f2_by_hand.py")
    assert contents(family.database) == before
    family.replace("my_app/migrations/versions/f2_by_hand.py", STOP, "pass")
    family.db("upgrade").assert_ok()
    assert "half" in tables(family.database)


@pytest.mark.parametrize("code", END_THE_TRANSACTION.values(), ids=END_THE_TRANSACTION)
def test_a_migration_may_not_end_the_transaction(family, code):
    family.migration("f2", "f1", f"{REBUILD}\n{code}\nop.execute('CREATE TABLE half (id)')")
    before = contents(family.database)
    family.db("upgrade").assert_one_sentence("f2_by_hand.py, line", "one transaction", "op.execute")
    assert contents(family.database) == before


@pytest.mark.parametrize("code", CONNECT_AGAIN.values(), ids=CONNECT_AGAIN)
def test_a_migration_may_not_open_a_second_connection(family, code):
    family.migration("f2", "f1", f"{REBUILD}\n{code}")
    before = contents(family.database)
    family.db("upgrade").assert_one_sentence("f2_by_hand.py, line", "op.get_bind()", "as it was")
    assert contents(family.database) == before


def test_sessions_and_savepoints_on_the_one_connection_work(family):
    family.migration(
        "f2",
        "f1",
        "from sqlalchemy.orm import Session\n"
        "session = Session(op.get_bind())\n"
        "session.execute(sa.text('UPDATE parent SET name = name || 1'))\n"
        "session.commit()\n"
        "nested = op.get_bind().begin_nested()\n"
        "op.execute('DELETE FROM parent')\n"
        "nested.rollback()\n"
        "with op.get_bind().begin_nested():\n"
        "    op.execute('DELETE FROM tree WHERE id = 3')",
    )
    family.db("upgrade").assert_ok()
    found = contents(family.database)
    assert [row[2] for row in found["parent"]] == [b"Ada1", b"Grace1"]
    assert len(found["tree"]) == 2


@pytest.mark.some(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_upgrade_leaves_the_database_as_it_was(family, number):
    wait = "from pathlib import Path\nimport time\nPath('reached').touch()\ntime.sleep(60)"
    family.migration("f2", "f1", f"{REBUILD}\n{wait}")
    before = contents(family.database)
    process = family.start(*family.manage, "db", "upgrade")
    while not (family.path / "reached").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in err
    assert contents(family.database) == before
    family.migration("f2", "f1", REBUILD)
    family.db("upgrade").assert_ok()


def test_nothing_to_do_is_one_line(family):
    answer = family.db("upgrade").assert_ok()
    assert answer.said.strip().splitlines() == [f"{family.database} is at f1: nothing to do."]


def test_a_failed_first_upgrade_leaves_no_file(bare):
    bare.migration("f1", None, BROKEN)
    bare.db("upgrade").assert_one_sentence("f1_by_hand.py")
    assert list(bare.database.parent.glob("dev.db*")) == []


def test_a_stamp_or_upgrade_to_an_unknown_revision_leaves_no_file(bare):
    bare.migration("f1", None, "pass")
    for command in ("stamp", "upgrade"):
        bare.db(command, "nowhere").assert_one_sentence("no revision nowhere", "db history")
    assert list(bare.database.parent.glob("dev.db*")) == []
