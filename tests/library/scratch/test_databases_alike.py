"""The scratch database is like the real one in what a migration can notice."""

import clients
import databases
import pytest
from sqlalchemy import make_url

NOTICED = {
    "postgresql": "SELECT datcollate, datctype, encoding FROM pg_database "
    "WHERE datname = current_database()",
    "mysql": "SELECT @@character_set_database, @@collation_database, 1",
}


@pytest.fixture
def project(new_project, server, server_url):
    """A project whose database differs from what the server gives by itself."""
    url = make_url(server_url)
    name, kind = url.database, url.get_backend_name()
    clients.run(server, f"DROP DATABASE {name}")
    if kind == "postgresql":
        clients.run(
            server,
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
        )
    else:
        clients.run(server, f"CREATE DATABASE {name} CHARACTER SET latin2 COLLATE latin2_czech_cs")
    made = new_project(starter="bare", database=kind)
    made.env["DEV_DATABASE_URL"] = server_url
    return made


def test_its_encoding_and_collation_are_those_of_the_database(project, server_url):
    query = NOTICED[make_url(server_url).get_backend_name()]
    expected = clients.rows(server_url, query)
    project.migration(
        "aaaa00000001",
        None,
        "import sys\n"
        f"found = op.get_bind().exec_driver_sql({query!r}).first()\n"
        "import flask_keel\n"
        "print(flask_keel.is_rehearsal(), tuple(found), file=sys.stderr)",
    )
    assert f"True {expected[0]}" in project.db("schema").assert_ok().err
    rebuilt = project.db("rebuild").assert_ok().err
    assert rebuilt.count(f"False {expected[0]}") == 1  # it is not run twice


def test_tables_in_a_schema_of_their_own_work(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.model(
            "event",
            '__table_args__ = {"schema": "audit"}\nid: Mapped[int] = mapped_column(primary_key=True)',
        )
        project.new_migration()
        clients.run(url, "CREATE SCHEMA of_others", "CREATE TABLE of_others.t (id INTEGER)")
        assert "nothing to migrate" in project.db("migrate").assert_ok().err
        project.db("upgrade").assert_ok()
        assert clients.rows(url, "SELECT * FROM audit.event") == []
        project.db("downgrade").assert_ok()
        assert "audit" not in str(clients.dump(url))
        project.model("more", "id: Mapped[int] = mapped_column(primary_key=True)")
        assert "ahead of the history (create more)" in project.db("rebuild").assert_ok().err


def test_on_mysql_a_schema_is_a_real_database_and_no_rehearsal_touches_it(
    new_project, mariadb_server
):
    with databases.fresh(mariadb_server) as url, databases.fresh(mariadb_server) as other:
        name = make_url(other).database
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        project.model(
            "event",
            f'__table_args__ = {{"schema": "{name}"}}\n'
            "id: Mapped[int] = mapped_column(primary_key=True)",
        )
        project.migration(
            "aaaa00000001",
            None,
            f"op.create_table('event', sa.Column('id', sa.Integer, primary_key=True), schema='{name}')",
        )
        project.db("upgrade").assert_ok()
        clients.run(other, "INSERT INTO event VALUES (1)")
        answer = project.db("migrate").assert_ok()
        assert f"a schema is a database of its own ({name})" in answer.err
        assert clients.rows(other, "SELECT id FROM event") == [(1,)]
