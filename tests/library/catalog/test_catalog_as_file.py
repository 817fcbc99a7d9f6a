"""The schema file: the same schema gives the same text, and everything of it is in there."""

import shutil

import clients
import databases
import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from flask_keel import catalog
from flask_keel.catalog import postgresql as catalog_postgresql
from flask_keel.catalog import sqlite as catalog_sqlite

SQLITE = [
    "CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT DEFAULT 'a, b' COLLATE NOCASE)",
    "ALTER TABLE parent ADD COLUMN more NUMERIC(10, 2) DEFAULT 0",
    "CREATE INDEX ix_lower ON parent (lower(name)) WHERE name IS NOT NULL",
    "CREATE TRIGGER tr AFTER INSERT ON parent BEGIN UPDATE parent SET name = 'x'; END",
    "CREATE VIEW names AS SELECT name FROM parent",
    "CREATE TABLE alembic_version (version_num VARCHAR(32))",
]
SQLITE_TEXT = (
    catalog.HEADER
    + """
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT DEFAULT 'a, b' COLLATE NOCASE,
    more NUMERIC(10, 2) DEFAULT 0);

CREATE INDEX ix_lower ON parent (lower(name)) WHERE name IS NOT NULL;

CREATE TRIGGER tr AFTER INSERT ON parent BEGIN UPDATE parent SET name = 'x'; END;

CREATE VIEW names AS SELECT name FROM parent;
"""
)
POSTGRESQL = [
    "CREATE TYPE mood AS ENUM ('sad', 'it''s ok')",
    "CREATE SEQUENCE ticket START 5",
    "CREATE DOMAIN plus AS integer CHECK (VALUE > 0)",
    "CREATE TABLE parent (id serial PRIMARY KEY, m mood DEFAULT 'sad' NOT NULL, p plus,"
    " n bigint GENERATED ALWAYS AS IDENTITY, UNIQUE (m, p), CHECK (n > 0))",
    "CREATE TABLE child (id bigserial PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE,"
    ' "Odd Name" text, double numeric GENERATED ALWAYS AS (1 + 1) STORED)',
    'CREATE INDEX ix_odd ON child (lower("Odd Name")) WHERE parent_id > 100 AND "Odd Name" LIKE \'a%\'',
    "COMMENT ON COLUMN child.parent_id IS 'it''s 100%'",
    'CREATE VIEW names AS SELECT "Odd Name" FROM child',
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER tr BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
]
MARIADB = [
    "CREATE TABLE parent (id INTEGER AUTO_INCREMENT PRIMARY KEY, flag BOOL NOT NULL DEFAULT 0,"
    " made DATETIME DEFAULT now(), mood ENUM('sad', 'int(11)') COMMENT 'it''s 100% int(11)')",
    "CREATE TABLE child (id BIGINT PRIMARY KEY, parent_id INTEGER,"
    " CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parent (id))",
    "INSERT INTO parent (flag) VALUES (1)",
    "CREATE VIEW names AS SELECT mood FROM parent",
    "CREATE TRIGGER tr BEFORE INSERT ON child FOR EACH ROW SET NEW.parent_id = 1",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
]


def run(url, statements):
    """Run statements on a new database and return its schema text."""
    engine = databases.engine(url) if "sqlite" not in url else sa.create_engine(url)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(
                statement.replace("%", "%%") if "sqlite" not in url else statement
            )
        return catalog.text(connection)


def test_sqlites_text_has_a_line_for_each_column_and_everything_else():
    assert run("sqlite://", SQLITE) == SQLITE_TEXT


def test_postgresqls_catalogue_is_written_whole(postgresql_server):
    with databases.fresh(postgresql_server) as url:
        text = run(url, POSTGRESQL)
    for line in [
        "CREATE TYPE mood AS ENUM ('sad', 'it''s ok');",
        "CREATE SEQUENCE ticket AS bigint START 5 INCREMENT 1;",
        "CREATE DOMAIN plus AS integer CONSTRAINT plus_check CHECK ((VALUE > 0));",
        "    id serial NOT NULL,",
        "    n bigint GENERATED ALWAYS AS IDENTITY NOT NULL,",
        "    m mood DEFAULT 'sad'::mood NOT NULL,",
        "    CONSTRAINT parent_m_p_key UNIQUE (m, p),",
        "    double numeric GENERATED ALWAYS AS ((1 + 1)) STORED,",
        "COMMENT ON COLUMN child.parent_id IS 'it''s 100%';",
    ]:
        assert line in text.splitlines(), text
    for words in [
        "CREATE VIEW names AS",
        "CREATE OR REPLACE FUNCTION",
        "CREATE TRIGGER tr",
        "ix_odd",
    ]:
        assert words in text
    assert "alembic_version" not in text
    assert text.index("CREATE TABLE child") < text.index("CREATE TABLE parent")
    assert text.index("CREATE TABLE parent") < text.index("FOREIGN KEY (parent_id)")


def test_what_postgresql_prints_makes_the_same_schema_again(postgresql_server):
    with databases.fresh(postgresql_server) as url:
        text = run(url, POSTGRESQL)
    with databases.fresh(postgresql_server) as url:
        assert run(url, [text]) == text


NOT_NULL = [
    *POSTGRESQL,
    "CREATE DOMAIN filled AS text CONSTRAINT is_there NOT NULL CHECK (VALUE <> '')",
    "ALTER TABLE child ALTER parent_id SET NOT NULL",
    "CREATE VIEW both_tables AS SELECT c.id FROM child AS c JOIN parent AS p ON p.id = c.parent_id",
]


def test_an_old_postgresql_gives_the_text_and_the_facts_of_a_new_one(postgresql_server):
    """The new one has a constraint in its catalogue for each NOT NULL."""
    found = []
    with databases.postgresql(postgres_version=16) as old:
        for server in (old, postgresql_server):
            with databases.fresh(server) as url:
                text = run(url, NOT_NULL)
                with databases.engine(url).connect() as connection:
                    found.append((text, catalog.read(connection)))
                query = "SELECT count(*) FROM pg_constraint WHERE contype = 'n'"
                assert bool(clients.rows(url, query)[0][0]) == (server != old)
    (old_text, old_facts), (text, facts) = found
    assert text == old_text
    assert catalog.between(old_facts, facts).found == []


def test_the_text_is_the_same_wherever_one_sits(postgresql_server):
    settings = ("TimeZone = 'Asia/Tokyo'", "DateStyle = 'German, DMY'", "IntervalStyle = iso_8601")
    table = (
        "CREATE TABLE t (at timestamptz DEFAULT '2020-01-01 00:00+02' CHECK (at > '2020-01-01 00:00+02'), "
        "day date DEFAULT '2020-03-02', span interval DEFAULT '1 day 03:04')"
    )
    with databases.fresh(postgresql_server) as url:
        text = run(url, [table])
        assert "'2019-12-31 22:00:00+00'" in text and "'2020-03-02'" in text
        for setting in settings:
            clients.run(url, f'ALTER DATABASE "{make_url(url).database}" SET {setting}')
        assert clients.rows(url, "SHOW TimeZone") == [("Asia/Tokyo",)]
        with databases.engine(url).connect() as connection:
            assert catalog.text(connection) == text
            assert connection.exec_driver_sql("SHOW DateStyle").scalar() == "German, DMY"


# what 15 prints of a view, and what 18 prints of the same
VIEWS = [
    (
        " SELECT parent.id,\n    parent.status\n   FROM parent\n  WHERE (parent.n > 5);",
        " SELECT id,\n    status\n   FROM parent\n  WHERE (n > 5);",
    ),
    (
        " SELECT p.id,\n    ( SELECT max(c.id) AS max\n           FROM child c\n"
        "          WHERE (c.parent_id = p.id)) AS m\n   FROM ONLY parent p;",
        " SELECT id,\n    ( SELECT max(c.id) AS max\n           FROM child c\n"
        "          WHERE (c.parent_id = p.id)) AS m\n   FROM ONLY parent p;",
    ),
    (
        " SELECT EXTRACT(year FROM p.d) AS y, p.*, lower(p.a) AS a\n   FROM audit.p\n  ORDER BY p.d;",
        " SELECT EXTRACT(year FROM d) AS y, p.*, lower(a) AS a\n   FROM audit.p\n  ORDER BY d;",
    ),
    (
        ' SELECT "a b"."Odd" AS o\n   FROM generate_series(1, 3) "a b"("Odd");',
        ' SELECT "Odd" AS o\n   FROM generate_series(1, 3) "a b"("Odd");',
    ),
    (
        " WITH q AS (\n         SELECT c.id\n           FROM child c\n        )\n SELECT q.id\n   FROM q;",
        " WITH q AS (\n         SELECT c.id\n           FROM child c\n        )\n SELECT id\n   FROM q;",
    ),
    (
        " SELECT c.id\n   FROM (child c\n     JOIN parent p ON ((p.id = c.id)));",
        " SELECT c.id\n   FROM (child c\n     JOIN parent p ON ((p.id = c.id)));",
    ),
    (
        " SELECT parent.id\n   FROM parent\nUNION\n SELECT child.id\n   FROM child;",
        " SELECT parent.id\n   FROM parent\nUNION\n SELECT child.id\n   FROM child;",
    ),
]


@pytest.mark.parametrize(("old", "new"), VIEWS)
def test_a_view_is_written_as_new_postgresqls_write_it(old, new):
    assert catalog_postgresql.unqualified(old) == new
    assert catalog_postgresql.unqualified(new) == new


def test_mysql_is_written_in_words_that_mariadb_has_too(mariadb_server):
    with databases.fresh(mariadb_server) as url:
        text = run(url, MARIADB)
    for line in [
        "    `id` int NOT NULL AUTO_INCREMENT,",
        "    `flag` tinyint(1) NOT NULL DEFAULT 0,",
        "    `made` datetime DEFAULT CURRENT_TIMESTAMP,",
        "    `id` bigint NOT NULL,",
    ]:
        assert line in text.splitlines(), text
    assert "COMMENT 'it''s 100% int(11)'" in text
    for word in ["AUTO_INCREMENT=", "DEFINER", "ENGINE", "app_", "alembic_version"]:
        assert word not in text
    assert "CREATE VIEW `names`" in text
    assert "TRIGGER" in text


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql"])
def test_a_project_gets_the_file_of_its_database_alone(kind, generated):
    folder = generated(database=kind).package / "migrations" / "schema"
    assert [path.name for path in folder.iterdir()] == [f"{kind}.sql"]
    assert "<<" not in (folder / f"{kind}.sql").read_text()


def test_two_builds_of_one_history_give_one_text(blog):
    blog.db("schema").assert_ok()
    file = blog.package / "migrations" / "schema" / "sqlite.sql"
    before = file.read_bytes()
    said = [blog.db("schema").assert_ok().err for _ in range(2)]
    assert said == ["my_app/migrations/schema/sqlite.sql is as it was.\n"] * 2
    assert file.read_bytes() == before


def test_no_warning_of_a_library_is_printed(any_database):
    any_database.model("note", "id: Mapped[int] = mapped_column(primary_key=True)\n")
    any_database.new_migration()
    any_database.model("note", "number: Mapped[int] = mapped_column(primary_key=True)\n")
    file = any_database.new_migration("-x", "rename=note.id:number")
    file.write_text(f"{file.read_text()}\n# lint: rename-column because nothing runs yet\n")
    shutil.rmtree(any_database.path / "var" / "cache", ignore_errors=True)
    for command in ("schema", "check"):
        assert "Warning" not in any_database.db(command).assert_ok().said


def test_a_moment_reads_the_same_whichever_sqlalchemy_wrote_it():
    written = "CREATE TABLE t (a DATETIME DEFAULT {}, b TEXT DEFAULT 'DEFAULT (CURRENT_DATE)')"
    of_2_0 = catalog_sqlite.tidy(written.format("(CURRENT_TIMESTAMP)"))
    assert of_2_0 == catalog_sqlite.tidy(written.format("CURRENT_TIMESTAMP"))
    assert "'DEFAULT (CURRENT_DATE)'" in of_2_0
    other = written.format("(CURRENT_TIMESTAMP || 'x')")
    assert "(CURRENT_TIMESTAMP || 'x')" in catalog_sqlite.tidy(other)
