"""An account that may make no database: the schema file stands in, or a sentence says the missing right."""

import re
import sys
from contextlib import contextmanager

import clients
import databases
import pytest
from sqlalchemy import make_url

from flask_keel.scratch.servers import kept_name

GRANT = {
    "postgresql": "ALTER ROLE limited CREATEDB;",
    "mysql": r"GRANT ALL ON `{stem}`.* TO 'limited'@'localhost';",
}


DDL = re.compile(r"\s*(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|TRUNCATE)", re.IGNORECASE)
NO_DDL = (
    "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'no DDL here'; END $$",
    "CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse()",
)


@pytest.fixture
def account(server, server_url):
    """The URL of an account that has the database and may create no other."""
    url = make_url(server_url)
    if url.get_backend_name() == "postgresql":
        clients.run(server, "CREATE ROLE limited LOGIN")
        clients.run(server, f"ALTER DATABASE {url.database} OWNER TO limited")
        names = [url.database, kept_name(url.database)]
        forget = [*(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in names)]
        forget.append("DROP ROLE limited")
    else:
        clients.run(server, "CREATE USER limited@localhost")
        clients.run(server, f"GRANT ALL ON {url.database}.* TO limited@localhost")
        forget = ["DROP USER limited@localhost"]
    yield url.set(username="limited").render_as_string(hide_password=False)
    clients.run(server, *forget)


@pytest.fixture
def kind(server_url):
    return make_url(server_url).get_backend_name()


@pytest.fixture
def grant(server_url, kind):
    """The SQL that gives the right."""
    stem = f"{make_url(server_url).database}_scratch_".replace("_", r"\_")
    return GRANT[kind].format(stem=f"{stem}%")


@pytest.fixture
def project(new_project, account, kind):
    made = new_project(database=kind)
    made.env["DEV_DATABASE_URL"] = account
    return made


def add_column(project, name):
    project.replace(
        "my_app/models/post.py", "    author:", f"    {name}: Mapped[int | None]\n\n    author:"
    )


@pytest.mark.long
def test_a_new_project_gets_through_all_of_it_without_a_circle(project, account, kind, grant):
    built = project.db("rebuild").assert_ok()
    assert grant in built.err
    assert clients.rows(account, "SELECT count(*) FROM post") == [(2,)]
    assert "nothing to do" in project.db("upgrade").assert_ok().err
    assert "there is nothing to migrate" in project.db("migrate").assert_ok().err
    checked = project.db("check")
    checked.assert_one_sentence("without one no migration can be checked", grant)
    assert "the models and the history agree" in checked.err

    tested = project.run(sys.executable, "-m", "pytest", "-q", SETTINGS="test.conf")
    assert tested.code == 1 and grant in tested.said and "Error" not in tested.said

    for name in ("age", "weight"):  # the second time, too
        add_column(project, name)
        written = project.db("migrate").assert_ok()
        assert f"add {name} to post" in written.err and "not linted and not proved" in written.err
        project.db("upgrade").assert_ok()
        assert name in (project.package / "migrations" / "schema" / f"{kind}.sql").read_text()
        assert "there is nothing to migrate" in project.db("migrate").assert_ok().err
    if kind == "mysql":  # there an account may drop its database and create it again
        project.db("rebuild").assert_ok()
        assert "there is nothing to migrate" in project.db("migrate").assert_ok().err
    for answer in (built, checked, written):
        assert "1044" not in answer.said and "flask_keel" not in answer.said


def test_models_ahead_of_the_history_send_nobody_in_a_circle(project, account):
    add_column(project, "age")
    project.db("rebuild").assert_one_sentence("add age to post", "make newmigration, then make db")
    project.db("migrate").assert_ok()
    project.db("upgrade").assert_ok()
    assert clients.rows(account, "SELECT count(*), count(age) FROM post") == [(0, 0)]


def test_what_somebody_changed_by_hand_is_named_and_does_not_leak(
    project, server, account, kind, grant
):
    project.db("migrate").assert_one_sentence("is not at the head", "db upgrade", grant)
    project.db("upgrade").assert_ok()
    files = set(project.versions.iterdir())
    column = "ALTER TABLE post ADD COLUMN summary VARCHAR(500)"
    clients.run(
        account, "ALTER TABLE post DROP COLUMN summary", "ALTER TABLE post ADD extra INTEGER"
    )
    clients.run(
        account,
        "CREATE INDEX by_hand ON post (body(9))"
        if kind == "mysql"
        else "CREATE INDEX by_hand ON post (body)",
    )
    add_column(project, "age")
    for command in ("migrate", "check"):
        drifted = project.db(command)
        drifted.assert_one_sentence("post.summary is missing", "post.extra was added", "by_hand")
        drifted.assert_one_sentence("changed by hand", grant)
    assert set(project.versions.iterdir()) == files

    dropped = "DROP INDEX by_hand ON post" if kind == "mysql" else "DROP INDEX by_hand"
    column += " AFTER created_at" if kind == "mysql" else ""
    clients.run(account, dropped, column, "ALTER TABLE post DROP COLUMN extra")
    if kind == "postgresql":  # its columns have an order of their own
        clients.run(
            account,
            "ALTER TABLE post DROP COLUMN published_at",
            "ALTER TABLE post ADD published_at TIMESTAMP",
        )
    clients.run(account, "CREATE TABLE of_another (id INTEGER, user_id INTEGER)")
    written = project.new_migration()
    assert "add_age_to_post" in written.name
    assert "of_another" not in written.read_text()

    # the right that is named is the one that is missing
    written.unlink()
    clients.run(server, grant.rstrip(";").replace("%", "%%"))
    answer = project.db("check")
    answer.assert_one_sentence("add age to post")
    assert "scratch" not in answer.err


def test_a_database_that_is_no_development_database_is_only_looked_at(
    project, server, server_url, account, kind, grant
):
    project.db("upgrade").assert_ok()
    before, there = clients.dump(account), databases.names(server)
    add_column(project, "age")
    with refused(server, server_url, kind) as sent:
        for command in ("check", "migrate"):
            answer = project.db(command, SETTINGS="prod.conf", DATABASE_URL=account)
            answer.assert_one_sentence("is no development database", grant)
        project.db("current", SETTINGS="prod.conf", DATABASE_URL=account).assert_ok()
    # the attempt to make a scratch database, which the server refuses
    assert [sql for sql in sent if not sql.startswith("CREATE DATABASE")] == []
    assert clients.dump(account) == before and databases.names(server) == there


@contextmanager
def refused(server, server_url, kind):
    """Let PostgreSQL refuse any DDL in the database; give what MySQL was sent of it by the account."""
    sent = []
    if kind == "postgresql":
        clients.run(server_url, *NO_DDL)
        yield sent
        clients.run(server_url, "DROP EVENT TRIGGER refuse", "DROP FUNCTION refuse")
        return
    clients.run(server, "SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log")
    clients.run(server, "SET GLOBAL general_log = 1")
    yield sent
    clients.run(server, "SET GLOBAL general_log = 0")
    query = "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE user_host LIKE 'limited%%'"
    logged = [sql for (sql,) in clients.rows(server, query)]
    assert [sql for sql in logged if "alembic_version" in sql]  # it is this that was logged
    sent += [sql for sql in logged if DDL.match(sql)]


def test_postgresql_is_sent_no_ddl_where_it_is_only_looked_at(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        project = new_project(database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.db("upgrade").assert_ok()
        clients.run(url, *NO_DDL)
        project.db("check").assert_ok()  # all of it happens on a scratch database
        assert "nothing to migrate" in project.db("migrate").assert_ok().err


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_the_readme_of_the_project_says_the_right(new_project, kind):
    text = (new_project(database=kind).path / "README.md").read_text()
    wanted = {"postgresql": "ALTER ROLE user CREATEDB", "mysql": r"ON `my\_app\_scratch\_%`.* TO"}
    assert wanted[kind] in text


def test_who_does_not_own_a_database_is_told_before_another_is_replaced(bare, postgresql_server):
    """Only its owner may rename it, whoever may make databases."""
    with databases.fresh(postgresql_server) as url:
        clients.run(postgresql_server, "CREATE ROLE maker LOGIN CREATEDB")
        own = make_url(url).set(username="maker").render_as_string(hide_password=False)
        try:
            clients.run(url, "GRANT ALL ON SCHEMA public TO maker")
            with (bare.path / "etc/conf/dev.conf").open("a") as conf:
                conf.write(f"SQLALCHEMY_BINDS = {{'archive': {own!r}}}\n")
            key = "id: Mapped[int] = mapped_column(primary_key=True)\n"
            bare.model("person", key)
            bare.model("letter", f"__bind_key__ = 'archive'\n{key}")
            for command in ("migrate", "upgrade"):
                bare.db(command).assert_ok()
            before = bare.database.read_bytes()
            name = make_url(url).database
            grant = f"ALTER DATABASE {name} OWNER TO maker"
            bare.db("rebuild").assert_one_sentence(grant, "they are as they were")
            assert bare.database.read_bytes() == before
            clients.run(postgresql_server, grant)
            assert bare.db("rebuild").assert_ok().err.count("is fresh") == 2
        finally:
            clients.run(
                postgresql_server,
                f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)",
                f"DROP DATABASE IF EXISTS {kept_name(make_url(url).database)} WITH (FORCE)",
                "DROP ROLE maker",
            )
