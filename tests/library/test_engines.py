"""The running application's SQLite, as a request sees it."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from serving import free_port, get, gunicorn, served

PROBE = '''
"""What a request sees of the database."""

from flask import Blueprint
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from .extensions import db

bp = Blueprint("probe", __name__)


def scalar(sql):
    return db.session.execute(text(sql)).scalar()


@bp.get("/settings")
def settings():
    names = ("foreign_keys", "journal_mode", "busy_timeout")
    return {name: scalar(f"PRAGMA {name}") for name in names}


@bp.get("/orphan")
def orphan():
    try:
        db.session.execute(text(
            "INSERT INTO post (user_id, title, slug, body) VALUES (99, 'a', 'a', 'a')"
        ))
        return {"refused": False}
    except IntegrityError:
        return {"refused": True}


@bp.get("/ddl")
def ddl():
    db.session.execute(text("CREATE TABLE rolled_back (id INTEGER)"))
    db.session.rollback()
    return {"tables": scalar("SELECT count(*) FROM sqlite_master WHERE name = 'rolled_back'")}


@bp.get("/savepoint")
def savepoint():
    db.session.execute(text("CREATE TABLE kept (id INTEGER)"))
    with db.session.begin_nested() as inner:
        db.session.execute(text("INSERT INTO kept VALUES (1)"))
        inner.rollback()
    with db.session.begin_nested():
        db.session.execute(text("INSERT INTO kept VALUES (2)"))
    seen = scalar("SELECT group_concat(id) FROM kept")
    db.session.rollback()
    return {"rows": seen, "after": scalar("SELECT count(*) FROM sqlite_master WHERE name = 'kept'")}


@bp.get("/snapshot")
def snapshot():
    before = scalar("SELECT count(*) FROM user")
    with db.engine.connect() as other:
        other.execute(text("INSERT INTO user (name, email) VALUES ('Bob', 'b@example.com')"))
        other.commit()
    inside = scalar("SELECT count(*) FROM user")
    db.session.rollback()
    return {"before": before, "inside": inside, "after": scalar("SELECT count(*) FROM user")}
'''


def test_a_request_sees_safe_settings_and_real_transactions(blog):
    blog.write("my_app/probe.py", PROBE)
    blog.replace("my_app/__init__.py", "import blog", "import blog, probe")
    blog.replace(
        "my_app/__init__.py",
        "    return app\n",
        "    app.register_blueprint(probe.bp)\n    return app\n",
    )
    blog.db("upgrade").assert_ok()
    port = free_port()
    command = gunicorn(blog, "--bind", f"127.0.0.1:{port}")
    with served(command, blog.path, blog.environment(), port) as url:

        def ask(page):
            status, text = get(f"{url}/{page}")
            assert status == 200, text
            return json.loads(text)

        assert ask("settings") == {
            "foreign_keys": 1,
            "journal_mode": "wal",
            "busy_timeout": 5000,
        }
        assert ask("orphan") == {"refused": True}
        assert ask("ddl") == {"tables": 0}
        assert ask("savepoint") == {"rows": "2", "after": 0}
        assert ask("snapshot") == {"before": 0, "inside": 0, "after": 1}


def test_a_writer_waits_for_another_writer_instead_of_failing(blog):
    blog.db("rebuild").assert_ok()
    write = (
        "import sys, my_app\n"
        "from my_app.extensions import db\n"
        "with my_app.create_app().app_context():\n"
        "    print('writing', flush=True)\n"
        "    db.session.execute(db.text(\"UPDATE user SET name = name || '!'\"))\n"
        "    print('written', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    db.session.commit()\n"
    )

    def start(*seen):
        process = subprocess.Popen(
            [sys.executable, "-c", write],
            cwd=blog.path,
            env=blog.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in seen:
            assert process.stdout.readline() == f"{line}\n"
        return process

    first = start("writing", "written")  # holds the lock until it is told to go on
    second = start("writing")
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.5)
    for process in (first, second):
        process.communicate("go on\n", timeout=60)
        assert process.returncode == 0
    with closing(sqlite3.connect(blog.database)) as connection:
        assert connection.execute("SELECT name FROM user").fetchone() == ("Ada!!",)
