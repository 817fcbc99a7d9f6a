"""kill -9, a server that stops, a full disk: a true sentence, and an upgrade that goes on afterwards."""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import clients
import databases
import pytest
from sqlalchemy import make_url

LONG = bool(os.environ.get("LONG_DRILLS"))
KILLS = 12 if LONG else 2
ROWS = 20_000 if LONG else 2_000
# for longer than the longest wait below, in steps that each database carries out in its own way
LONGEST = 0.5  # seconds
FIRST = f"""op.create_table("post", sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("title", sa.String(40)))
numbers = sa.table("post", sa.column("id"), sa.column("title"))
op.bulk_insert(numbers, [{{"id": n, "title": f"title {{n}}"}} for n in range(1, {ROWS} + 1)])"""
SLEEP = {
    "postgresql": f'op.execute("SELECT pg_sleep({LONGEST / 4})")',
    "mysql": f'op.execute("SELECT SLEEP({LONGEST / 4})")',
}
BEGUN = 'import pathlib, time\npathlib.Path("begun").touch()\n'


def kind_of(project):
    return make_url(project.env.get("DEV_DATABASE_URL", "sqlite://")).get_backend_name()


def rows(project, query="SELECT id, title FROM post ORDER BY id"):
    return clients.rows(project.env.get("DEV_DATABASE_URL", f"sqlite:///{project.database}"), query)


def version(project):
    return rows(project, "SELECT version_num FROM alembic_version")


def begin(project):
    """Start an upgrade, and wait until its migration has begun."""
    begun = project.path / "begun"
    begun.unlink(missing_ok=True)
    process = project.start(*project.manage, "db", "upgrade")
    while not begun.exists() and process.poll() is None:
        time.sleep(0.005)
    return process


@pytest.fixture
def served(new_project, server):
    with databases.fresh(server) as url:
        made = new_project(starter="bare", database=make_url(url).get_backend_name())
        made.env["DEV_DATABASE_URL"] = url
        made.configure(ZERO_DOWNTIME=False)  # a revision is one transaction where it can be
        made.migration("f1", None, FIRST)
        made.db("upgrade").assert_ok()
        yield made


def test_kill_9_at_random_moments_loses_no_row(served):
    # on SQLite: test_upgrade_killed.py
    """One change of the schema in each revision, which every database does whole or not at all."""
    before = rows(served)
    sleep = SLEEP[kind_of(served)]
    for number in range(2, 6):
        add = f'op.add_column("post", sa.Column("c{number}", sa.Integer))'
        served.migration(f"f{number}", f"f{number - 1}", f"{BEGUN}{sleep}\n{add}")
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(KILLS):
        process = begin(served)
        time.sleep(chance.uniform(0, LONGEST))
        process.kill()
        process.communicate()
    answer = served.db("upgrade")
    if answer.code and kind_of(served) == "mysql":
        # between a change and its entry: the sentence says so, and the file can be made to
        assert "Duplicate column name" in answer.err and "mend the file" in answer.err
        for file in served.versions.glob("f[2-5]_*.py"):
            file.write_text(
                re.sub(r"sa.Integer\)\)", "sa.Integer), if_not_exists=True)", file.read_text())
            )
        answer = served.db("upgrade")
    answer.assert_ok()
    assert version(served) == [("f5",)]
    assert rows(served) == before
    assert rows(served, "SELECT max(c2), max(c3), max(c4), max(c5) FROM post") == [(None,) * 4]


def test_a_server_that_stops_in_the_middle(served, server):
    before = rows(served)
    sleep = {"postgresql": "pg_sleep(30)", "mysql": "SLEEP(30)"}[kind_of(served)]
    add = 'op.add_column("post", sa.Column("more", sa.Integer))'
    change = "op.execute(\"UPDATE post SET title = 'lost'\")"
    file = served.migration("f2", "f1", f'{change}\n{BEGUN}op.execute("SELECT {sleep}")\n{add}')
    process = begin(served)
    with databases.stopped(server):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1 and "Traceback" not in err
        assert [line.startswith("Error: f2_by_hand.py") for line in err.splitlines()] == [True]
        # which it cannot tell any more
        assert "type db current" in err and "mend the file" not in err, err
        served.db("upgrade").assert_one_sentence("No database server answers at")
    assert version(served) == [("f1",)] and rows(served) == before
    file.write_text(file.read_text().replace(f'op.execute("SELECT {sleep}")', "pass"))
    served.db("upgrade").assert_ok()
    assert set(rows(served, "SELECT title FROM post")) == {("lost",)}


ASK = """
import sys, my_app
from my_app.extensions import db
app = my_app.create_app("prod.conf")
for line in sys.stdin:
    try:
        with app.app_context():
            said = db.session.execute(db.text("SELECT count(*) FROM post")).scalar()
    except Exception as error:
        said = type(error).__name__
    print(said, flush=True)
"""


@contextmanager
def application(project, **env):
    """A process of the application, which asks its database whenever it is told to."""
    env |= {"SETTINGS": "prod.conf", "SECRET_KEY": "k" * 40, "PYTHONPATH": str(project.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", ASK],
        cwd=project.path,
        env=project.environment(**env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask():
        process.stdin.write("\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        yield ask
    finally:
        process.kill()
        process.communicate()


def test_an_application_goes_on_when_its_server_was_restarted_under_it(served, server):
    with application(served, DATABASE_URL=served.env["DEV_DATABASE_URL"]) as ask:
        assert ask() == str(ROWS)
        with databases.stopped(server):
            assert ask() == "OperationalError"
        assert ask() == str(ROWS)
        with databases.stopped(server):
            pass  # nobody asked meanwhile
        assert ask() == str(ROWS)


def test_the_settings_of_production_do_for_sqlite_too(bare):
    bare.migration("f1", None, FIRST)
    url = {"DATABASE_URL": f"sqlite:///{bare.database}"}
    bare.db("upgrade", SETTINGS="prod.conf", **url).assert_ok()
    with application(bare, **url) as ask:
        assert ask() == ask() == str(ROWS)


@databases.mariadb_alone
def test_a_server_whose_disk_is_full(served, open_folder):
    """A small disk for one table, as a tablespace or a data directory of its own."""
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(open_folder), "-o"]
    if subprocess.run([*mount, "size=6m,mode=777"], capture_output=True).returncode:
        pytest.skip("no small disk: mount needs root")
    before, url = rows(served), served.env["DEV_DATABASE_URL"]
    try:
        where = f"DATA DIRECTORY='{open_folder}'"
        if kind_of(served) == "postgresql":
            inside = open_folder / "space"
            inside.mkdir(mode=0o700)
            shutil.chown(inside, Path(make_url(url).query["host"]).owner())
            clients.run(url, f"CREATE TABLESPACE small LOCATION '{inside}'")
            where = "TABLESPACE small"
        clients.run(url, f"CREATE TABLE big (id INTEGER, filler TEXT) {where}")
        served.migration(
            "f2",
            "f1",
            "op.execute(\"UPDATE post SET title = 'filled'\")\n"
            "for turn in range(10):\n"
            "    op.execute(\"INSERT INTO big SELECT id, repeat('x', 900) FROM post WHERE id < 1001\")",
        )
        answer = served.db("upgrade")
        answer.assert_one_sentence("f2_by_hand.py, line 13", "being at f1", "make room")
        assert "mend the file" not in answer.err
        assert rows(served) == before and rows(served, "SELECT count(*) FROM big") == [(0,)]
        subprocess.run([*mount, "remount,size=80m"], check=True)
        served.db("upgrade").assert_ok()
        assert rows(served, "SELECT count(*) FROM big") == [(10_000,)]
        assert set(rows(served, "SELECT title FROM post")) == {("filled",)}
    finally:
        clients.run(url, "DROP TABLE IF EXISTS big")
        if kind_of(served) == "postgresql":
            clients.run(url, "DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", "-l", str(open_folder)], check=True)
