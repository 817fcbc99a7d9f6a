"""A server that cannot be used: one sentence that says which trouble it is, without the password."""

from contextlib import contextmanager
from pathlib import Path

import clients
import databases
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import InvalidRequestError

from flask_keel import errors

SECRET = "hunter2-secret"
URL = f"mariadb+pymysql://ada:{SECRET}@db/shop"


@pytest.fixture
def project(new_project, server_url):
    made = new_project(database=kind(server_url))
    made.env["DEV_DATABASE_URL"] = server_url
    return made


def kind(url):
    return make_url(url).get_backend_name()


@contextmanager
def account_with_password(server):
    """Give the name of an account that the server lets in with a password only."""
    if kind(server) == "mysql":
        clients.run(server, "CREATE USER locked@localhost IDENTIFIED BY 'right'")
        yield "locked"
        clients.run(server, "DROP USER locked@localhost")
        return
    rules = Path(make_url(server).query["host"]) / "pg_hba.conf"
    before = rules.read_text()
    clients.run(server, "CREATE ROLE locked LOGIN PASSWORD 'right'")
    rules.write_text(f"local all locked scram-sha-256\n{before}")
    clients.run(server, "SELECT pg_reload_conf()")
    yield "locked"
    rules.write_text(before)
    clients.run(server, "SELECT pg_reload_conf()", "DROP ROLE locked")


def test_each_trouble_with_a_server_is_one_sentence_without_the_password(
    project, server, server_url
):
    url = make_url(server_url)
    with_secret = url.set(password=SECRET)
    key = "host" if kind(url) == "postgresql" else "unix_socket"
    elsewhere = with_secret.update_query_dict({key: "/nowhere"})
    tcp = with_secret.set(query={}, host="127.0.0.1", port=1)
    unknown = with_secret.set(query={}, host="no-such-host.invalid")
    missing = url.set(database="no_such_database")
    stranger = url.set(username="nobody_knows_me", password=SECRET)
    with account_with_password(server) as locked:
        wrong = with_secret.set(username=locked)
        for trouble, words in [
            (elsewhere, "No database server answers at"),
            (tcp, "No database server answers at"),
            (unknown, "No database server answers at"),
            (missing, "The server has no database no_such_database: create it there"),
            (stranger, "The server refuses the account of"),
            (wrong, "The server refuses the account of"),
        ]:
            text = trouble.render_as_string(hide_password=False)
            answer = project.db("upgrade", DEV_DATABASE_URL=text)
            answer.assert_one_sentence(words)
            assert SECRET not in answer.said
        answer = project.db("migrate", DEV_DATABASE_URL=text)  # where the scratch would be
        answer.assert_one_sentence("The server refuses the account of")
        assert SECRET not in answer.said


@pytest.mark.skipif(not databases.MYSQLD, reason="a MariaDB is what the URL says")
@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_a_mysql_under_the_name_of_mariadb_is_told_its_scheme(project, server_url):
    project.env["DEV_DATABASE_URL"] = server_url.replace("mysql:", "mariadb:")
    project.db("upgrade").assert_one_sentence("write mysql:// in its URL")


def test_what_sqlalchemy_says_of_such_a_url_is_known():
    said = errors.sentence(
        InvalidRequestError("MySQL version 9.7.4 is not a MariaDB variant."), URL
    )
    assert said == "mariadb://ada@db/shop is a MySQL, and no MariaDB: write mysql:// in its URL."
