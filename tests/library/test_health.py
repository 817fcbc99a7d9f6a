"""/healthz and /readyz: a process is ready where the database has what its code needs."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import databases
import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from flask_keel import Keel, health, revisions, urls

FILE = "revision = {0!r}\ndown_revision = {1!r}\n\n\ndef upgrade():\n    pass\n"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/app.db"
        return
    with databases.fresh(request.getfixturevalue(f"{request.param}_server")) as fresh:
        yield urls.normalise(fresh, tmp_path).render_as_string(hide_password=False)


@pytest.fixture
def folder(tmp_path):
    """The migrations of this code: a, and b on top of it."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\n")
    (folder / "env.py").write_text("")
    write(folder, "a", None)
    write(folder, "b", "a")
    return folder


def write(folder, name, down):
    (folder / "versions" / f"{name}.py").write_text(FILE.format(name, down))


def application(folder, url, engine_options=None, extension=Keel, **options):
    app = Flask("tried")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options or {}
    db = SQLAlchemy(app)
    extension(app, db, directory=folder, **options)
    app.register_blueprint(health.bp)
    return app


def run(url, *statements):
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def put_at(url, *names, table="alembic_version"):
    run(
        url,
        f"DROP TABLE IF EXISTS {table}",
        f"CREATE TABLE {table} (version_num VARCHAR(32))",
        *(f"INSERT INTO {table} VALUES ('{name}')" for name in names),
    )


def ready(app):
    answer = app.test_client().get("/readyz")
    return answer.status_code, answer.json.get("schema", answer.json["database"])


HISTORY = {"a": [], "b": ["a"], "c": ["b"], "d": ["b"], "e": ["c", "d"]}


@pytest.mark.parametrize(
    ("known", "applied", "schema"),
    [
        ("", "", "at head"),
        ("a", "", "behind"),
        ("ab", "b", "at head"),
        ("ab", "a", "behind"),
        ("ab", "x", "ahead"),
        ("abcd", "cd", "at head"),
        ("abcd", "c", "behind"),
        ("abcde", "e", "at head"),
        ("abcde", "cd", "behind"),
        # x stands on d or on nothing that this code knows: c is applied and e, above it, is not
        ("abcde", "cx", "behind"),
        ("abcd", "cx", "ahead"),
    ],
)
def test_a_database_stands_so_to_the_codes_revisions(known, applied, schema):
    files = {
        name: revisions.Revision(name, tuple(HISTORY[name]), Path(f"{name}.py")) for name in known
    }
    assert revisions.compare(files, frozenset(applied)) == schema


def test_a_database_is_behind_then_at_head_then_ahead(folder, url):
    app = application(folder, url)
    run(url, "CREATE TABLE something (id INTEGER)")
    assert ready(app) == (503, "behind")
    for name, expected in [("a", 503), ("b", 200)]:
        put_at(url, name)
        assert ready(app) == (expected, "behind" if expected == 503 else "at head")
    put_at(url, "of_a_newer_release")
    assert ready(app) == (200, "ahead")


def test_a_database_is_told_of_where_flask_migrate_is_back(folder, url):
    app = application(folder, url, extension=Migrate, version_table="versions")
    put_at(url, "a", table="versions")
    assert ready(app) == (503, "behind")
    put_at(url, "b", table="versions")
    assert ready(app) == (200, "at head")


def test_a_version_table_of_another_name_is_heeded(folder, url):
    app = application(folder, url, version_table="versions")
    put_at(url, "b", table="versions")
    assert ready(app) == (200, "at head")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ('env.run(version_table="versions")', (200, "at head")),
        ('TABLE = "versions"\nenv.run(version_table=TABLE)', (200, "at head")),
        ('env.run(version_table="of_another")', (503, "behind")),
        ("env.run(version_table=computed())", (200, "unknown")),
        ('context.configure(version_table="versions")', (200, "at head")),
    ],
)
def test_a_version_table_that_env_py_names_is_heeded(folder, tmp_path, env, expected):
    (folder / "env.py").write_text(f"from flask_keel import env\n\n{env}\n")
    url = f"sqlite:///{tmp_path}/app.db"
    put_at(url, "b", table="versions")
    assert ready(application(folder, url)) == expected


def test_a_version_table_in_another_schema_is_heeded(folder, postgresql_server, tmp_path):
    with databases.fresh(postgresql_server) as fresh:
        url = urls.normalise(fresh, tmp_path).render_as_string(hide_password=False)
        run(url, "CREATE SCHEMA ours")
        put_at(url, "b", table="ours.alembic_version")
        app = application(folder, url, version_table_schema="ours")
        assert ready(app) == (200, "at head")


def assert_head_is_c(app, url):
    put_at(url, "b")
    assert ready(app) == (503, "behind")
    put_at(url, "c")
    assert ready(app) == (200, "at head")


def test_files_in_several_folders_are_heeded(folder, url):
    more = folder / "more"
    more.mkdir()
    (folder / "alembic.ini").write_text(
        "[alembic]\npath_separator = os\nversion_locations = %(here)s/versions:%(here)s/more\n"
    )
    (more / "c.py").write_text(FILE.format("c", "b"))
    assert_head_is_c(application(folder, url), url)


def test_files_that_only_alembic_understands_are_read_by_it(folder, url):
    (folder / "versions" / "c.py").write_text("name = 'c'\nrevision = name\ndown_revision = 'b'\n")
    assert revisions.read(folder) is None
    assert_head_is_c(application(folder, url), url)


def test_files_that_nobody_can_read_take_no_process_out(folder, url):
    (folder / "versions" / "c.py").write_text("this is no Python")
    app = application(folder, url)
    put_at(url, "b")
    assert ready(app) == (200, "unknown")


def test_a_pool_that_is_used_up_is_not_asked(folder, url):
    app = application(folder, url, {"pool_size": 1, "max_overflow": 0, "pool_timeout": 1})
    put_at(url, "b")
    with app.app_context(), app.extensions["sqlalchemy"].engine.connect():
        assert ready(app) == (200, "at head")


def test_the_process_lives_without_a_database(folder, tmp_path):
    missing = tmp_path / "gone" / "app.db"
    app = application(folder, f"sqlite:///{missing}")
    assert app.test_client().get("/healthz").status_code == 200
    assert ready(app) == (503, "unreachable")
    assert not missing.exists()


@pytest.mark.parametrize("url", ["sqlite:///{}/app.db", "sqlite:///file:{}/app.db?uri=true"])
def test_no_file_is_made_for_a_question(folder, tmp_path, url):
    app = application(folder, url.format(tmp_path))
    assert ready(app) == (503, "unreachable")
    assert not (tmp_path / "app.db").exists()


def test_a_database_in_memory_is_asked_where_it_is(folder):
    app = application(folder, "sqlite://")
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR)"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('b')"))
    assert ready(app) == (200, "at head")


def test_a_file_in_sqlites_own_uri_form_is_asked_as_any_other(folder, tmp_path):
    with sqlite3.connect(tmp_path / "app.db") as raw:
        raw.execute("CREATE TABLE alembic_version (version_num)")
        raw.execute("INSERT INTO alembic_version VALUES ('b')")
    app = application(folder, f"sqlite:///file:{tmp_path}/app.db?uri=true")
    assert ready(app) == (200, "at head")


@contextmanager
def watching(url):
    """Give what tells the sessions of the database, but for the one that asks."""
    postgres = make_url(url).get_backend_name() == "postgresql"
    query = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
        if postgres
        else "SELECT id FROM information_schema.processlist WHERE db = database() "
        "AND id <> connection_id()"
    )
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield lambda: list(connection.execute(text(query)).scalars())


def kept_connections(url):
    """The sessions of the database, but for the one that asks."""
    with watching(url) as sessions:
        return sessions()


@contextmanager
def frozen(url):
    """Stop the server's processes, as a machine out of breath does, and let them go on at the end."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            data = connection.execute(text("SHOW data_directory")).scalar_one()
            main = int((Path(data) / "postmaster.pid").read_text().split()[0])
        else:
            pid_file = Path(connection.execute(text("SELECT @@pid_file")).scalar_one())
            main = int(pid_file.read_text())
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    pids = [main, *map(int, children)]

    def send(number):
        for pid in pids:
            with suppress(ProcessLookupError):  # a session that was ending
                os.kill(pid, number)

    try:
        send(signal.SIGSTOP)
        yield
    finally:
        send(signal.SIGCONT)


@pytest.mark.parametrize("asked_before", [True, False], ids=["kept", "new"])
def test_a_server_that_says_nothing_is_unreachable_until_it_speaks(
    folder, server_url, tmp_path, asked_before
):
    url = urls.normalise(server_url, tmp_path).render_as_string(hide_password=False)
    put_at(url, "b")
    app = application(folder, url)
    if asked_before:
        assert ready(app) == (200, "at head")
    answers = []
    with frozen(url):
        asking = [
            threading.Thread(target=lambda: answers.append(ready(app)), daemon=True)
            for _ in range(4)
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(60)
        assert answers == [(503, "unreachable")] * 4
        assert app.test_client().get("/healthz").status_code == 200
    app.extensions["keel.probe"]._attempt.join(60)
    assert ready(app) == (200, "at head")
    ends = time.monotonic() + 30
    with watching(url) as sessions:  # by one session: those of who asks again and again end late
        while len(sessions()) > 1:  # the server looks at those that were given up
            assert time.monotonic() < ends
            time.sleep(0.05)


def test_a_session_that_the_server_ended_is_begun_again(folder, server_url, tmp_path):
    url = urls.normalise(server_url, tmp_path).render_as_string(hide_password=False)
    put_at(url, "b")
    app = application(folder, url)
    assert ready(app) == (200, "at head")
    (session,) = kept_connections(url)
    postgres = url.startswith("postgresql")
    run(url, f"SELECT pg_terminate_backend({session})" if postgres else f"KILL {session}")
    assert ready(app) == (200, "at head")
    assert kept_connections(url) != [session]


def test_the_question_imports_no_alembic(folder, tmp_path):
    url = f"sqlite:///{tmp_path}/app.db"
    put_at(url, "b")
    script = (
        "import sys\nfrom flask import Flask\nfrom flask_sqlalchemy import SQLAlchemy\n"
        "from flask_keel import Keel, health\napp = Flask('x')\n"
        f"app.config['SQLALCHEMY_DATABASE_URI'] = {url!r}\n"
        f"Keel(app, SQLAlchemy(app), directory={str(folder)!r})\n"
        "app.register_blueprint(health.bp)\n"
        "print(app.test_client().get('/readyz').json['schema'], 'alembic' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "at head False\n"


def test_a_reader_that_holds_the_version_table_delays_nobody(folder, url):
    """The old release stays ready while the new one migrates: its row is written, not committed."""
    app = application(folder, url)
    put_at(url, "b")
    if url.startswith("sqlite"):
        run(url, "PRAGMA journal_mode=WAL")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'newer'"))
        assert ready(app) == (200, "at head")
    assert ready(app) == (200, "ahead")
