"""`make db`: a fresh development database, or the old one as it was; never another machine's."""

import socket
import tempfile
from pathlib import Path

import clients
import pytest

ITEM = "id: Mapped[int] = mapped_column(primary_key=True)\n"


def test_models_ahead_of_the_history_are_built_marked_and_then_migrated(any_database, url):
    project = any_database
    project.model("item", ITEM)
    project.new_migration()
    project.db("rebuild").assert_ok()

    project.model("item", ITEM + "age: Mapped[int | None]\n")
    assert "ahead of the history (add age to item)" in project.db("rebuild").assert_ok().err
    clients.run(url, "INSERT INTO item (id, age) VALUES (1, 20)")
    project.db("upgrade").assert_one_sentence("ahead of the history", "make newmigration")

    written = project.new_migration()
    project.db("rebuild").assert_ok()
    clients.run(url, "INSERT INTO item (id, age) VALUES (2, 20)")
    assert "nothing to do" in project.db("upgrade").assert_ok().err

    # the third revision does not run: what there was stays
    project.migration("aaaa00000003", written.name[:12], "op.drop_table('no_such_table')")
    failed = project.db("rebuild")
    failed.assert_one_sentence("aaaa00000003_by_hand.py", "the database is as it was")
    assert clients.rows(url, "SELECT id, age FROM item") == [(2, 20)]


def test_production_is_refused(new_project, server_url):
    kind = "postgresql" if server_url.startswith("postgres") else "mysql"
    project = new_project(database=kind)
    clients.run(server_url, "CREATE TABLE precious (id INTEGER)", "INSERT INTO precious VALUES (1)")
    answer = project.db("rebuild", SETTINGS="prod.conf", DATABASE_URL=server_url)
    answer.assert_one_sentence("prod.conf does not say DB_REBUILD_ALLOWED = True", "make db")
    assert clients.rows(server_url, "SELECT id FROM precious") == [(1,)]


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_another_machine_is_refused_before_anybody_connects(new_project, kind):
    project = new_project(database=kind)
    # this machine, by a name that does not say so
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.settimeout(0)
        url = f"{kind}://me@0.0.0.0:{listener.getsockname()[1]}/app"
        answer = project.db("rebuild", DEV_DATABASE_URL=url)
        answer.assert_one_sentence("another machine (host 0.0.0.0)")
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_next_one_removes_what_a_killed_one_left_and_leaves_a_living_process_alone(blog):
    waits = "import os, time\nif 'WAIT' in os.environ:\n    open('begun', 'w').close()\n    time.sleep(60)\n"
    blog.write("my_app/seed.py", (blog.path / "my_app/seed.py").read_text() + waits)
    process = blog.start(*blog.manage, "db", "rebuild", WAIT="1")
    while not (blog.path / "begun").exists():
        assert process.poll() is None

    def left():
        return [*Path(tempfile.gettempdir()).glob(f"keel-scratch-*-{process.pid}-*")]

    blog.db("rebuild").assert_ok()
    assert len(left()) == 1
    process.kill()
    process.communicate()
    blog.db("rebuild").assert_ok()
    assert not left()
