"""Two texts of a schema: each object that differs is named with both of its texts, and nothing else is."""

import clients
import databases
import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from flask_keel import catalog
from flask_keel.catalog import diff

COMMON = [
    "CREATE TABLE tag (id INTEGER PRIMARY KEY, name VARCHAR(20))",
    "CREATE TABLE post (id INTEGER PRIMARY KEY, slug VARCHAR(20) NOT NULL, status VARCHAR(9) DEFAULT 'a', "
    "tag_id INTEGER, CONSTRAINT ck_status CHECK (status IN ('a', 'b')), CONSTRAINT uq_slug UNIQUE (slug), "
    "CONSTRAINT fk_tag FOREIGN KEY (tag_id) REFERENCES tag (id))",
    "ALTER TABLE tag ADD COLUMN n INTEGER CHECK (n BETWEEN 1 AND 9 AND n <> 5 OR n > 20)",
    "CREATE INDEX ix_status ON post (status)",
    "CREATE VIEW slugs AS SELECT slug FROM post WHERE status IN ('a', 'b')",
]
# by hand; then the whole of what is said of it, in SQLite's, PostgreSQL's and MariaDB's words
CHANGES = {
    "a table": ("CREATE TABLE extra (a INTEGER)", "the table extra was added (a)"),
    "a column": ("ALTER TABLE post ADD COLUMN more INTEGER", "the column post.more was added"),
    "a dropped column": ("ALTER TABLE tag DROP COLUMN name", "the column tag.name is missing"),
    "an index": ("CREATE INDEX by_hand ON post (slug)", "by_hand was added"),
    "a view": ("DROP VIEW slugs", "the view slugs is missing"),
    "a row": ("INSERT INTO tag (id, name) VALUES (1, 'x')", None),
}
ON_SERVERS = {
    "a type": {
        "postgresql": "ALTER TABLE tag ALTER name TYPE VARCHAR(40)",
        "mysql": "ALTER TABLE tag MODIFY name VARCHAR(40)",
        "said": "the column tag.name is {0}(40){1}, and was {0}(20){1}",
    },
    "a default": {
        "postgresql": "ALTER TABLE post ALTER status SET DEFAULT 'b'",
        "mysql": "ALTER TABLE post ALTER status SET DEFAULT 'b'",
        "said": "the column post.status is",
    },
    "a foreign key": {
        "postgresql": "ALTER TABLE post DROP CONSTRAINT fk_tag",
        "mysql": "ALTER TABLE post DROP CONSTRAINT fk_tag",
        "said": "the constraint post.fk_tag is missing",
    },
    "another name": {
        "postgresql": "ALTER TABLE post RENAME CONSTRAINT ck_status TO ck_other",
        "mysql": "ALTER TABLE post DROP CONSTRAINT ck_status, "
        "ADD CONSTRAINT ck_other CHECK (status IN ('a', 'b'))",
        "said": "the constraint post.ck_status is called ck_other now",
    },
}


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def at(request, tmp_path):
    """The URL of a database that holds the schema above."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'a.db'}"
        clients.run(made, *COMMON)
        yield made
        return
    name = {"postgresql": "postgresql_server", "mysql": "mariadb_server"}[request.param]
    with databases.fresh(request.getfixturevalue(name)) as made:
        clients.run(made, *COMMON)
        yield made


def text(url):
    with databases.engine(url).connect() as connection:
        return catalog.text(connection)


def said(url, before):
    kind = make_url(url).get_backend_name()
    return [str(one) for one in diff.between(kind, before, text(url))]


@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_changed_is_said_in_one_line(at, change):
    before = text(at)
    sql, line = CHANGES[change]
    clients.run(at, sql)
    found = said(at, before)
    assert len(found) == bool(line), found
    assert not line or line in found[0]


@pytest.mark.parametrize("change", ON_SERVERS)
def test_what_was_and_what_is_stand_side_by_side(server_url, change):
    clients.run(server_url, *COMMON)
    kind, before = make_url(server_url).get_backend_name(), text(server_url)
    clients.run(server_url, ON_SERVERS[change][kind])
    words = {"postgresql": ("character varying", ""), "mysql": ("varchar", " DEFAULT NULL")}[kind]
    (found,) = said(server_url, before)
    assert found.startswith(ON_SERVERS[change]["said"].format(*words)), found


def test_a_restored_dump_is_no_difference(at, request, tmp_path):
    kind, before = make_url(at).get_backend_name(), text(at)
    if kind == "sqlite":
        other = f"sqlite:///{tmp_path / 'b.db'}"
        clients.feed(other, clients.dumped(at))
        assert not said(other, before)
        return
    name = {"postgresql": "postgresql_server", "mysql": "mariadb_server"}[kind]
    with databases.fresh(request.getfixturevalue(name)) as other:
        first = "SET FOREIGN_KEY_CHECKS = 0;" if kind == "mysql" else ""
        clients.feed(other, first + clients.dumped(at))
        assert not said(other, before)
        if kind == "postgresql":  # which writes such a CHECK in another way then
            assert text(other) != before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a INTEGER PRIMARY KEY", '"a" integer not null, PRIMARY KEY ("a")'),
        ("a INT REFERENCES p", "a INT, FOREIGN KEY (a) REFERENCES p (id) ON DELETE NO ACTION"),
        ("a INT CHECK (a > 0)", "a INT, CONSTRAINT ck CHECK ((a>0))"),
        ("a INT DEFAULT (CURRENT_TIMESTAMP)", "a INT /* x */ DEFAULT CURRENT_TIMESTAMP"),
        ("a INT, b INT", "b INT, a INT"),
    ],
)
def test_two_spellings_of_one_table_are_no_difference_on_sqlite(one, other):
    assert _between(one, other) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a INT REFERENCES p", "a INT REFERENCES p ON DELETE CASCADE"),
        ("a INT REFERENCES p", "a INT REFERENCES p DEFERRABLE INITIALLY DEFERRED"),
        ("a INT CHECK (a > 0)", "a INT CHECK (a > 1)"),
        ("a INT", "a INT COLLATE NOCASE"),
        ("a INT", "a INT NOT NULL"),
        ("a INT UNIQUE", "a INT UNIQUE ON CONFLICT IGNORE"),
        ("a INT", "a INT) STRICT --"),
        ("a INTEGER PRIMARY KEY", "a INTEGER PRIMARY KEY AUTOINCREMENT"),
        ("a INT DEFAULT 'A'", "a INT DEFAULT 'a'"),
        ("a INT, b INT AS (a + 1)", "a INT, b INT AS (a + 2)"),
    ],
)
def test_what_sqlite_takes_otherwise_is_a_difference(one, other):
    assert _between(one, other)
    assert _between(other, one)


def _between(*tables):
    texts = []
    for inside in tables:
        engine = sa.create_engine("sqlite://")
        with engine.connect() as connection:
            for sql in ("CREATE TABLE p (id INTEGER PRIMARY KEY)", f"CREATE TABLE t ({inside})"):
                connection.exec_driver_sql(sql)
            texts.append(catalog.text(connection))
    return [str(one) for one in diff.between("sqlite", *texts)]


def test_all_of_a_table_goes_with_it(at):
    before = text(at)
    clients.run(at, "DROP VIEW slugs", "DROP TABLE post")
    assert [line.partition(" (")[0] for line in said(at, before)] == [
        "the table post is missing",
        "the view slugs is missing",
    ]


def test_another_order_in_a_check_of_postgresql_is_a_difference(postgresql_server):
    both = "CREATE TABLE t (a INT, b INT, c INT, CONSTRAINT ck CHECK ({}))"
    texts = []
    for check in ("(a > 0 OR b > 0) AND c > 0", "a > 0 OR (b > 0 AND c > 0)"):
        with databases.fresh(postgresql_server) as url:
            clients.run(url, both.format(check))
            texts.append(text(url))
    assert len(diff.between("postgresql", *texts)) == 1


def test_an_enum_that_was_added_to_is_named_with_both_lists(postgresql_server):
    with databases.fresh(postgresql_server) as url:
        clients.run(url, "CREATE TYPE mood AS ENUM ('sad')")
        before = text(url)
        clients.run(url, "ALTER TYPE mood ADD VALUE 'ok'")
        assert said(url, before) == ["the enum mood is ('sad', 'ok'), and was ('sad')"]
