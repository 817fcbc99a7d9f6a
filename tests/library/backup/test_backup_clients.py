"""`db shell`: the database's own client, on the configured database."""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import databases
import pytest
from revising import KEY
from sqlalchemy import make_url

PASSWORD = "s3cret's \\word"
QUERY = "SELECT version_num FROM alembic_version;\n"


def opened(project, *arguments, given=QUERY, **env):
    """`db shell` as a new process, which reads what is given."""
    return subprocess.run(
        [*project.manage, "db", "shell", *arguments],
        cwd=project.path,
        env=project.environment(**env),
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


def command_lines():
    """What others see of the processes that run."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def test_each_client_answers_from_the_configured_database(any_database):
    project = any_database
    project.model("note", KEY)
    head = project.new_migration().name.partition("_")[0]
    project.db("upgrade").assert_ok()
    ran = opened(project)
    assert (ran.returncode, head in ran.stdout) == (0, True), ran.stderr
    assert opened(project, given="SELECT nonsense;\n").stderr.count("nonsense") >= 1


def test_arguments_are_handed_on_and_the_exit_code_comes_back(blog):
    blog.db("upgrade").assert_ok()
    assert opened(blog, "--", "-json").stdout.startswith('[{"version_num"')
    assert opened(blog, "--", "-bail", given="SELECT nonsense;\n").returncode == 1
    kept = opened(
        blog, given="INSERT INTO post (id, user_id, title, slug, body) VALUES (9, 9, '', '', '');\n"
    )
    assert "FOREIGN KEY constraint failed" in kept.stderr


def account(server, url):
    """An account with a password, and the database's URL for it."""
    name, quoted = f"u_{os.urandom(4).hex()}", PASSWORD.replace("'", "''")
    with databases.engine(server).connect() as connection:
        if server.startswith("postgres"):
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{quoted}'")
        else:
            escaped = quoted.replace("\\", "\\\\")
            connection.exec_driver_sql(f"CREATE USER {name}@localhost IDENTIFIED BY '{escaped}'")
            connection.exec_driver_sql(f"GRANT ALL ON *.* TO {name}@localhost")
    made = make_url(url).set(username=name, password=PASSWORD)
    return made.render_as_string(hide_password=False)


def test_no_password_is_on_the_command_line(server, server_url, new_project):
    kind = "postgresql" if server.startswith("postgres") else "mysql"
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = account(server, server_url)
    client = project.start(*project.manage, "db", "shell", stdin=subprocess.PIPE)
    try:
        program = {"postgresql": "psql", "mysql": "--defaults-file="}[kind]
        seen: list[str] = []
        while not any(program in line for line in seen) and client.poll() is None:
            time.sleep(0.05)
            seen = list(command_lines())
        assert any(program in line for line in seen)
        assert not any("s3cret" in line for line in seen)
        out, err = client.communicate("SELECT 41 + 1;\n", timeout=30)
        assert "42" in out, err
    finally:
        client.kill()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DEV_DATABASE_URL": "sqlite:///var/none.db"}, ["There is no database", "none.db"]),
        ({"DEV_DATABASE_URL": "sqlite://"}, ["in memory"]),
        ({"PATH": "/nowhere"}, ["no program sqlite3", "apt-get install sqlite3"]),
    ],
)
def test_what_is_not_there_is_a_sentence(blog, env, words):
    blog.db("upgrade").assert_ok()
    blog.db("shell", **env).assert_one_sentence(*words)
    assert not (blog.path / "var" / "none.db").exists()
