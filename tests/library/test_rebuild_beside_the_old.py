"""`make db` builds and seeds beside the old database: at each moment there is the old one or the new one."""

import random
import signal
import sqlite3
import time
from contextlib import suppress

import clients
import databases
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

KEY = "id: Mapped[int] = mapped_column(primary_key=True)\n"
ITEM = KEY + "name: Mapped[str] = mapped_column(sa.String(40), unique=True)\n"
SEED = """import os
import pathlib
import time

from .extensions import db
from .models.item import Item
from .models.part import Part


def seed(session):
    pathlib.Path("begun").touch()
    for number in range(1, 4):
        session.add(Item(id=number, name=f"fresh {number}"))
        session.flush()
        time.sleep(float(os.environ.get("SLOWLY", 0)))
        session.add(Part(item_id=number))
"""
TABLES = """op.create_table(
    "item",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("name", sa.String(40), nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_item"),
    sa.UniqueConstraint("name", name="uq_item_name"),
)
op.create_table(
    "part",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("item_id", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_part"),
    sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_part_item_id_item"),
)"""
OLD = [(7, "precious"), (8, "dear")]
NEW = [(1, "fresh 1"), (2, "fresh 2"), (3, "fresh 3")]


@pytest.fixture
def project(any_database, url):
    """A project whose development database holds rows that somebody typed."""
    project = any_database
    project.model("item", ITEM)
    project.model("part", KEY + 'item_id: Mapped[int] = mapped_column(sa.ForeignKey("item.id"))\n')
    project.migration("aaaa00000001", None, TABLES)
    project.write("my_app/seed.py", SEED)
    project.db("upgrade").assert_ok()
    clients.run(url, *(f"INSERT INTO item (id, name) VALUES ({n}, '{name}')" for n, name in OLD))
    return project


def items(url):
    return clients.rows(url, "SELECT id, name FROM item ORDER BY id")


def insert(project, words):
    project.replace("my_app/seed.py", "        session.flush()\n", words)


def test_starter_rows_that_do_not_fit_are_named_and_the_old_database_stays(project, url):
    before = clients.dump(url)
    insert(project, "        session.add(Item(id=number + 10))\n")  # found by the commit
    failed = project.db("rebuild")
    failed.assert_one_sentence("my_app/seed.py, line 14", "the database is as it was")
    assert clients.dump(url) == before
    assert items(url) == OLD


def test_what_the_models_add_and_cannot_be_made_names_the_model(project, url):
    project.model("item", ITEM + "kind: Mapped[int] = mapped_column(sa.Computed('no_such + 1'))\n")
    failed = project.db("rebuild")
    failed.assert_one_sentence("item", "no_such", "mend the model")
    assert items(url) == OLD


def test_success_replaces_all_of_it_and_leaves_nothing_beside(project, url):
    if not url.startswith("sqlite"):
        clients.run(url, "CREATE TABLE by_hand (id INTEGER)")
    project.db("rebuild").assert_ok()
    assert items(url) == NEW
    assert clients.rows(url, "SELECT count(*) FROM part") == [(3,)]
    assert "by_hand" not in str(clients.dump(url))
    if not url.startswith("sqlite"):
        stem = f"{make_url(url).database}_scratch_"
        left = [name for name in databases.names(url) if name.startswith(stem)]
        assert not [name for name in left if "_kept_" not in name]
    # what was moved still holds together
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        key = ["PRAGMA foreign_keys=ON"] if url.startswith("sqlite") else []
        clients.run(url, *key, "INSERT INTO part (id, item_id) VALUES (100, 999)")
    project.model("item", ITEM.replace("40", "50"))
    project.new_migration()
    project.db("upgrade").assert_ok()
    assert "nothing to migrate" in project.db("migrate").assert_ok().err


def test_it_can_be_stopped_at_any_moment(project, url):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    begun = project.path / "begun"
    for how in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        begun.unlink(missing_ok=True)
        before = items(url)
        process = project.start(*project.manage, "db", "rebuild", SLOWLY="0.1")
        while not begun.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.5))
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        assert items(url) in (before, NEW)
        assert clients.rows(url, "SELECT count(*) FROM part") == [(3 if items(url) == NEW else 0,)]
    project.db("rebuild").assert_ok()
    assert items(url) == NEW
    if not url.startswith("sqlite"):
        stem = f"{make_url(url).database}_scratch_"
        left = [name for name in databases.names(url) if name.startswith(stem)]
        assert not [name for name in left if "_kept_" not in name]


def test_a_connection_that_somebody_has_open_does_not_stop_it(project, url):
    with suppress(DBAPIError), databases.engine(url).connect() as connection:
        connection.exec_driver_sql("SELECT id FROM item")
        project.db("rebuild").assert_ok()
    assert items(url) == NEW


def test_what_mysql_cannot_move_is_built_in_its_place(new_project, mariadb_server):
    with databases.fresh(mariadb_server) as url:
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        project.model("item", KEY)
        project.migration(
            "aaaa00000001",
            None,
            "op.create_table('item', sa.Column('id', sa.Integer, primary_key=True))\n"
            "op.execute('CREATE TRIGGER t BEFORE INSERT ON item FOR EACH ROW SET NEW.id = NEW.id')\n"
            "op.execute('CREATE VIEW seen AS SELECT id FROM item')",
        )
        for _ in range(2):
            project.db("rebuild").assert_ok()
            clients.run(url, "INSERT INTO item VALUES (5)")
            assert clients.rows(url, "SELECT id FROM seen") == [(5,)]
            assert "TRIGGER" in str(clients.dump(url))


class TestOnSqlite:
    """What only a file has."""

    @pytest.fixture
    def any_database(self, new_project):
        return new_project(starter="bare")

    @pytest.mark.parametrize(
        "line, words",
        [
            (14, "        session.add(Item(id=9, title='renamed'))\n"),
            (15, "        session.add(Item(id=number, name='twice'))\n        session.flush()\n"),
            (14, "        db.session.execute(db.text('INSERT INTO item VALUES (1)'))\n"),
            (14, "        import no_such_module\n"),
            (14, "        session.add(\n"),
            (14, "        raise SystemExit(0)\n"),  # as what click runs ends
        ],
        ids=["renamed", "key", "sql", "import", "syntax", "exit"],
    )
    def test_the_line_that_fails_is_named(self, project, url, line, words):
        insert(project, words)
        project.db("rebuild").assert_one_sentence(f"my_app/seed.py, line {line}", "as it was")
        assert items(url) == OLD

    def test_the_replaced_file_is_kept_once(self, project, url):
        kept = project.path / "var" / "backups" / "dev.replaced.db"
        answer = project.db("rebuild").assert_ok()
        assert str(kept) in answer.err
        assert items(f"sqlite:///{kept}") == OLD
        clients.run(url, "DELETE FROM part", "DELETE FROM item")
        project.db("rebuild").assert_ok()
        assert items(f"sqlite:///{kept}") == []
        assert [file.name for file in kept.parent.iterdir()] == [kept.name]

    def test_a_first_database_and_an_empty_one_leave_what_is_kept_alone(self, project):
        kept = project.path / "var" / "backups" / "dev.replaced.db"
        project.db("rebuild").assert_ok()
        for content in (None, b""):
            project.database.unlink()
            if content is not None:
                project.database.write_bytes(content)
            project.db("rebuild").assert_ok()
            assert items(f"sqlite:///{kept}") == OLD

    def test_rows_that_stand_in_the_log_only_are_kept_too(self, project, url):
        with sqlite3.connect(project.database) as held:
            held.execute("PRAGMA journal_mode=WAL")
            held.execute("INSERT INTO item VALUES (9, 'in the log')")
            held.commit()
            project.db("rebuild").assert_ok()
            kept = project.path / "var" / "backups" / "dev.replaced.db"
            assert (9, "in the log") in items(f"sqlite:///{kept}")
            # who had the file open sees the new content
            assert held.execute("SELECT id, name FROM item ORDER BY id").fetchall() == NEW

    def test_what_is_no_database_is_kept_as_it_is(self, project, url):
        project.database.write_bytes(b"a letter to my aunt" * 100)
        project.db("rebuild").assert_ok()
        kept = project.path / "var" / "backups" / "dev.replaced.db"
        assert kept.read_bytes() == b"a letter to my aunt" * 100
        assert items(url) == NEW

    def test_a_locked_file_stays(self, project, url):
        with sqlite3.connect(project.database) as held:
            held.execute("BEGIN IMMEDIATE")
            project.db("rebuild").assert_one_sentence("locked by another process")
        assert items(url) == OLD

    def test_what_the_starter_rows_say_is_said_when_they_are_there(self, project, url):
        seed = project.path / "my_app" / "seed.py"
        seed.write_text(seed.read_text() + "    return 'Ada, password: secret'\n")
        with sqlite3.connect(project.database) as held:
            held.execute("BEGIN IMMEDIATE")
            assert "secret" not in project.db("rebuild").said
        *_, fresh, _, said = project.db("rebuild").assert_ok().err.splitlines()
        assert "is fresh" in fresh and said == "Ada, password: secret"

    def test_the_starter_rows_meet_foreign_keys_as_the_application_does(self, project, url):
        insert(project, "        session.add(Part(item_id=999))\n        session.flush()\n")
        project.db("rebuild").assert_one_sentence("seed.py, line 15", "FOREIGN KEY")
        assert items(url) == OLD

    def test_starter_rows_through_a_connection_of_their_own_reach_the_new_one(self, project, url):
        insert(
            project,
            "        session.commit()\n"
            "        import sqlalchemy, flask\n"
            "        made = sqlalchemy.create_engine(flask.current_app.config['SQLALCHEMY_DATABASE_URI'])\n"
            "        with made.begin() as own:\n"
            "            own.exec_driver_sql('INSERT INTO item VALUES (?, ?)', (number + 50, str(number)))\n"
            "        if number == 3: raise ValueError('no')\n",
        )
        project.db("rebuild").assert_one_sentence("seed.py, line 19")
        assert items(url) == OLD

    def test_connections_that_the_application_makes_itself_are_refused(self, project, url):
        with (project.path / "etc" / "conf" / "dev.conf").open("a") as conf:
            conf.write(
                "import sqlite3\n"
                "SQLALCHEMY_ENGINE_OPTIONS = {'creator': lambda: sqlite3.connect('var/dev.db')}\n"
            )
        project.db("rebuild").assert_one_sentence("creator", "as it was")
        assert items(url) == OLD

    def test_sqlites_own_uri_names_a_file_too(self, project, url):
        project.replace(
            "etc/conf/dev.conf",
            '"sqlite:///var/dev.db"',
            f'"sqlite:///file:{project.database}?uri=true"',
        )
        insert(project, "        raise ValueError('no')\n")
        project.db("rebuild").assert_one_sentence("seed.py, line 14")
        assert items(url) == OLD
        project.write("my_app/seed.py", SEED)
        project.db("rebuild").assert_ok()
        assert items(url) == NEW

    def test_a_model_that_refuses_a_row_is_named_beside_the_line_of_the_row(self, project, url):
        project.replace(
            "my_app/models/item.py",
            "    name:",
            "    @db.validates('name')\n    def check(self, key, value):\n"
            "        raise ValueError('no name fits')\n    name:",
        )
        imports = "import sqlalchemy as sa"
        project.replace("my_app/models/item.py", imports, f"{imports}\nfrom sqlalchemy import orm")
        project.replace("my_app/models/item.py", "@db.validates", "@orm.validates")
        failed = project.db("rebuild")
        failed.assert_one_sentence(
            "my_app/seed.py, line 13 (in my_app/models/item.py", "no name fits"
        )
        assert items(url) == OLD
