"""Database URLs as people write them, and their passwords, which are never printed."""

import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from flask_keel import urls

PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("postgres://localhost/shop", "postgresql+psycopg://localhost/shop"),
        ("postgresql://u:p@h:5432/shop?sslmode=require", None),
        ("mysql://root@localhost/shop", "mysql+pymysql://root@localhost/shop"),
        (
            "mysql://root@localhost/shop?unix_socket=/run/mysqld.sock",
            "mysql+pymysql://root@localhost/shop?ssl_disabled=true&unix_socket=%2Frun%2Fmysqld.sock",
        ),
        (
            "mysql://root@localhost/shop?unix_socket=/s&ssl_ca=ca.pem",
            "mysql+pymysql://root@localhost/shop?ssl_ca=ca.pem&unix_socket=%2Fs",
        ),
        ("mariadb://root@localhost/shop", "mariadb+pymysql://root@localhost/shop"),
        ("postgresql+psycopg://localhost/shop", "postgresql+psycopg://localhost/shop"),
        ("postgres://u:p%40ss@h/shop", "postgresql+psycopg://u:p%40ss@h/shop"),
        ("sqlite:///var/shop.db", "sqlite:////project/var/shop.db"),
        ("sqlite:////srv/shop.db", "sqlite:////srv/shop.db"),
        ("sqlite:///var/shop.db?timeout=3", "sqlite:////project/var/shop.db?timeout=3"),
        ("sqlite://", "sqlite://"),
        ("sqlite:////srv/me@home/shop.db", None),
        ("postgresql://u:p@/shop?host=%40abstract&user=a%40b", None),
    ],
)
def test_a_url_is_given_the_right_driver(written, used):
    url = urls.normalise(written, Path("/project"))
    assert url == make_url(used or written.replace("postgresql://", "postgresql+psycopg://"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"app:{PASSWORD}@localhost/shop", ["cannot be read", "postgresql://user:password@host"]),
        (PASSWORD, ["cannot be read"]),
        (f"postgresql://app:{PASSWORD}@localhost:port/shop", ["postgresql://...", "cannot be"]),
        (f"postgresql://app:a@{PASSWORD}@localhost/shop", ["percent-encoded"]),
        (f"mysql://app:a@{PASSWORD}@localhost/shop", ["percent-encoded"]),
        (f"postgresql://app:a@{PASSWORD}/x@127.0.0.1:1/shop", ["percent-encoded"]),
        (f"mysql://app:a@{PASSWORD}/x@127.0.0.1:1/shop", ["percent-encoded"]),
        (f"postgresql://app:a/{PASSWORD}@127.0.0.1:1/shop", ["percent-encoded"]),
        (f"postgresql://app:a?{PASSWORD}@127.0.0.1:1/shop", ["percent-encoded"]),
        (f"postgresql://app:a#{PASSWORD}@127.0.0.1:1/shop", ["percent-encoded"]),
        (f"postgresql://app:a@{PASSWORD}?x=1@127.0.0.1:1/shop", ["percent-encoded"]),
        (f"postgresql://a/b:{PASSWORD}@127.0.0.1:1/shop", ["percent-encoded"]),
        (f"postgresql://127.0.0.1:1?user=a&password={PASSWORD}@b", ["percent-encoded"]),
        (f"postgresql://127.0.0.1:1/shop?password=a@{PASSWORD}", ["percent-encoded"]),
        (f"embedded@{PASSWORD}", ["cannot be read"]),
        (f"foo://app:{PASSWORD}@localhost/shop", ["no driver for foo://"]),
        (f"postgresql+foo://app:{PASSWORD}@localhost/shop", ["no driver for postgresql+foo://"]),
        (f"postgresql://app:{PASSWORD}@127.0.0.1:1/shop", ["No database server answers", "app@"]),
        (f"mysql://app:{PASSWORD}@127.0.0.1:1/shop", ["No database server answers", "app@"]),
        (f"postgresql://127.0.0.1:1/shop?user=a&password={PASSWORD}", ["No database server"]),
        (f"postgresql://app@127.0.0.1:1/shop?passfile=/{PASSWORD}", ["No database server"]),
        (f"mysql://127.0.0.1:1/shop?user=a&password={PASSWORD}", ["No database server"]),
        (f"mysql://127.0.0.1:1/shop?passwd={PASSWORD}&nonsense={PASSWORD}", ["nonsense"]),
        (f"postgresql://127.0.0.1/shop?nonsense={PASSWORD}", ["nonsense"]),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_its_password(project, url, words):
    answer = project.db("current", DEV_DATABASE_URL=url)
    answer.assert_one_sentence(*words)
    assert PASSWORD not in answer.said


@pytest.mark.parametrize(
    "url",
    [f"postgresql://app:a@{PASSWORD}/x@h/shop", f"mysql://app:a@h:{PASSWORD}/shop", PASSWORD],
)
def test_no_way_in_prints_a_part_of_the_password(project, url):
    serving = [sys.executable, "-c", "import my_app; my_app.create_app()"]
    for answer in (
        project.db("upgrade", "--sql", DEV_DATABASE_URL=url, FLASK_DEBUG="1"),
        project.warm(*serving, DEV_DATABASE_URL=url),
    ):
        assert answer.code != 0
        assert "percent-encoded" in answer.err
        assert PASSWORD not in answer.said


@pytest.mark.parametrize(
    ("url", "driver", "package"),
    [
        ("postgresql+psycopg2://localhost/shop", "psycopg2", "psycopg2-binary"),
        ("mysql+mysqldb://localhost/shop", "mysqldb", "mysqlclient"),
        ("mysql+mysqlconnector://localhost/shop", "mysqlconnector", "mysql-connector-python"),
    ],
)
def test_a_missing_driver_is_named_with_the_command_that_installs_it(project, url, driver, package):
    answer = project.db("current", DEV_DATABASE_URL=url)
    answer.assert_one_sentence(f"The driver {driver} is not installed", f"pip install '{package}'")


@pytest.mark.parametrize(
    ("said", "engine"),
    [
        ("cockroachdb+psycopg", "CockroachDB"),
        ("CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu)", "CockroachDB"),
        ("PostgreSQL 15.2-YB-2.25.1.0-b0 on x86_64-pc-linux-gnu", "YugabyteDB"),
        ("8.0.11-TiDB-v7.5.1", "TiDB"),
        ("PostgreSQL 16.4 on x86_64-pc-linux-gnu citus", "Citus"),
        ("sqlite+libsql", "libSQL"),
        ("10.11.19-MariaDB-0+deb12u1", None),
        ("8.4.3", None),
        ("PostgreSQL 18.4 on x86_64-pc-linux-gnu None", None),
    ],
)
def test_what_speaks_for_another_is_known(said, engine):
    assert urls.unlike(said) == engine


@pytest.mark.parametrize("scheme", ["cockroachdb", "sqlite+libsql"])
def test_an_engine_that_is_not_supported_is_named(scheme):
    with pytest.raises(urls.UrlError, match=r"is (CockroachDB|libSQL), on which"):
        urls.normalise(f"{scheme}://host/shop", Path("/project"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///app",
        "postgresql://me@localhost/app",
        "postgresql://me@127.0.0.1:5432/app",
        "postgresql://me@[::1]/app",
        "postgresql:///app?host=/var/run/postgresql",
        "mysql://me@localhost/app",
        "mysql://me@localhost/app?unix_socket=/run/mysqld/mysqld.sock",
        "mysql://me@localhost/app?read_default_file=/etc/my.cnf",
        "sqlite:////tmp/app.db",
    ],
)
def test_a_database_on_this_machine_is_local(url):
    assert urls.elsewhere(url) is None


@pytest.mark.parametrize(
    "url, options, environment",
    [
        ("postgresql://me@db.example.com/app", {}, {}),
        ("postgresql://me@10.0.0.1/app", {}, {}),
        ("postgresql:///app?host=localhost,db.example.com", {}, {}),
        ("postgresql:///app?host=localhost&host=db.example.com", {}, {}),
        ("postgresql://localhost/app?hostaddr=10.0.0.1", {}, {}),
        ("postgresql:///app?service=production", {}, {}),
        ("postgresql:///app", {}, {"PGHOST": "db.example.com"}),
        ("postgresql://localhost/app", {}, {"PGHOSTADDR": "10.0.0.1"}),
        ("postgresql:///app", {}, {"PGSERVICE": "production"}),
        ("postgresql:///app", {"connect_args": {"host": "db.example.com"}}, {}),
        ("mysql://me@db.example.com/app", {}, {}),
        ("mysql://me@localhost.example.com/app", {}, {}),
        ("mysql:///app?read_default_file=/etc/my.cnf", {}, {}),
    ],
)
def test_a_database_that_may_be_elsewhere_is_not_local(monkeypatch, url, options, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert urls.elsewhere(url, options)
