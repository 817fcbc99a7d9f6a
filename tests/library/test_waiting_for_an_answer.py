"""A server is not waited for without end, and knows who is there."""

import os
import socket
import threading
from contextlib import contextmanager, suppress

import clients
import databases
import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from flask_keel import waiting

ADDRESS = "127.0.0.1"
NAMED = "current_setting('application_name')"


@pytest.fixture
def project(new_project, server_url):
    made = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    made.env["DEV_DATABASE_URL"] = server_url
    return made


@pytest.mark.one_of_each
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
@pytest.mark.parametrize("command", ["upgrade", "migrate"])
def test_a_server_that_accepts_and_says_nothing_does_not_answer(new_project, kind, command):
    project = new_project(starter="bare", database=kind)
    with socket.create_server((ADDRESS, 0)) as silent:
        url = f"{kind}://shop:secret@{ADDRESS}:{silent.getsockname()[1]}/shop"
        bound = "" if os.environ.get("LONG_DRILLS") else "?connect_timeout=2"
        answer = project.db(command, DEV_DATABASE_URL=url + bound)
    answer.assert_one_sentence(f"No database server answers at {kind}://shop@{ADDRESS}")


@contextmanager
def overheard(url):
    """Stand between a client and its server; give the URL, and what clients said."""
    there, heard = make_url(url), bytearray()

    def carry(source, target, heard=None):
        with suppress(OSError):
            while data := source.recv(4096):
                if heard is not None:
                    heard += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve(listening):
        with suppress(OSError):  # it is closed at the end
            while True:
                client, _ = listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(there.query["unix_socket"])
                for parts in [(client, server, heard), (server, client)]:
                    threading.Thread(target=carry, args=parts, daemon=True).start()

    with socket.create_server((ADDRESS, 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        through = there.set(host=ADDRESS, port=listening.getsockname()[1], query={})
        yield through.render_as_string(hide_password=False), heard


@pytest.mark.parametrize(
    ("typed", "target"), [(["upgrade"], "head"), (["upgrade", "f1"], "f1"), (["stamp", "f1"], "f1")]
)
def test_the_server_knows_the_command_and_its_target(project, server_url, typed, target):
    project.migration("f1", None, "pass")
    said = f"db {typed[0]} {target}"
    if make_url(server_url).get_backend_name() == "mysql":
        # the server shows it where its performance_schema is on
        with overheard(server_url) as (through, heard):
            project.db(*typed, DEV_DATABASE_URL=through).assert_ok()
        assert b"program_name" in heard and said.encode() in heard
        return
    clients.run(
        server_url,
        "CREATE TABLE seen (name TEXT)",
        "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN INSERT INTO seen VALUES ({NAMED}); END $$",
        "CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note()",
    )
    project.db(*typed).assert_ok()
    assert (said,) in clients.rows(server_url, "SELECT name FROM seen")


def test_the_applications_own_name_stands_before_it(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        see = f"CREATE TABLE seen AS SELECT {NAMED} AS name"
        project.migration("f1", None, f'op.execute("{see}")')
        options = {"connect_args": {"application_name": "shop"}}
        conf = project.path / "etc/conf/dev.conf"
        conf.write_text(f"{conf.read_text()}\nSQLALCHEMY_ENGINE_OPTIONS = {options}\n")
        project.db("upgrade").assert_ok()
        assert clients.rows(url, "SELECT name FROM seen") == [("shop: db upgrade head",)]


def test_an_engine_is_afterwards_as_it_was(server_url):
    url = databases.engine(server_url).url.update_query_dict({"connect_timeout": "1"})
    engine = create_engine(url, poolclass=NullPool)
    # longer than a server may take to let somebody in
    slow = f"SELECT {NAMED}" if engine.dialect.name == "postgresql" else "SELECT SLEEP(1.3)"

    def ask():
        with engine.connect() as connection:
            return connection.exec_driver_sql(slow).scalar()

    before = ask()
    with waiting.bounded():
        during = ask()
    assert ask() == before
    assert during == ("db" if engine.dialect.name == "postgresql" else before)
