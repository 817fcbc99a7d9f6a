"""SQLite, PostgreSQL and MariaDB in one application: each migrated as it is alone, one after the other."""

import databases
import pytest
from several import NAMED, ask, configure, head
from sqlalchemy import make_url, text

SEED = """from .models.archive import Archive
from .models.person import Person
from .models.report import Report


def seed(session):
    session.add_all([Person(name="Ada"), Archive(name="an old one"), Report(name="of today")])
"""


@pytest.fixture
def urls(postgresql_server, mariadb_server):
    with databases.fresh(postgresql_server) as first, databases.fresh(mariadb_server) as second:
        yield {"archive": first, "report": second}


@pytest.fixture
def project(bare, urls):
    """One with SQLite as its default, and two servers beside it; nothing is migrated yet."""
    configure(bare, f"SQLALCHEMY_BINDS = {urls!r}\n")
    bare.model("person", NAMED)
    for name in urls:
        bare.model(name, f"__bind_key__ = {name!r}\n{NAMED}")
    bare.write("my_app/seed.py", SEED)
    return bare


def rows(url, query):
    engine = databases.engine(url)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_each_kind_has_its_own_files_proof_lock_and_rows(project, urls):
    said = project.db("migrate").assert_ok().err
    assert said.count("proved on empty tables") == 3
    schemas = {path.name for path in (project.package / "migrations/schema").iterdir()}
    assert schemas == {"sqlite.sql", "archive.postgresql.sql", "report.mysql.sql"}
    project.db("upgrade").assert_ok()
    project.db("check").assert_ok()
    configure(project, 'MIGRATION_LOCK_TIMEOUT = {"archive": 0.2}\nMIGRATION_RETRIES = 0\n')
    for name in ("person", *urls):
        bind = "" if name == "person" else f"__bind_key__ = {name!r}\n"
        project.model(name, f"{bind}{NAMED}age: Mapped[int | None]\n")
    project.db("migrate").assert_ok()
    archive = databases.engine(urls["archive"])
    with archive.connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT * FROM archive")  # its lock stays until that ends
        stopped = project.db("upgrade").assert_one_sentence("archive that stopped", "default is at")
    assert head(project) in stopped.err and "report was not begun" in stopped.err
    assert [column[1] for column in ask(project, "dev", "PRAGMA table_info(person)")][-1] == "age"
    project.db("upgrade").assert_ok()
    for name, url in urls.items():
        assert rows(url, f"SELECT age FROM {name}") == []
        assert rows(url, "SELECT count(*) FROM alembic_log WHERE outcome = 'done'") == [(2,)]
    assert project.db("status").assert_ok().err.count("(head), as the last run left it") == 3


@pytest.mark.drill
def test_make_db_makes_all_of_them_anew(project, urls):
    project.db("migrate").assert_ok()
    for _ in range(2):
        assert project.db("rebuild").assert_ok().err.count("is fresh") == 3
    for name, url in urls.items():
        assert rows(url, f"SELECT count(*) FROM {name}") == [(1,)], name
    assert ask(project, "dev", "SELECT count(*) FROM person") == [(1,)]
    names = {database for url in urls.values() for database in databases.names(url)}
    assert not {name for name in names if "_scratch_" in name and "_kept_" not in name}


@pytest.mark.drill
def test_two_urls_of_one_server_that_lead_to_one_schema_are_refused(project, urls):
    """Asked of the server: a host by another name, or a user, says nothing."""
    project.db("migrate").assert_ok()
    for bind, url in urls.items():
        again = make_url(url).update_query_dict(
            {"application_name": "x"} if bind == "archive" else {"charset": "utf8mb4"}
        )
        said = again.render_as_string(hide_password=False)
        other = "report" if bind == "archive" else "archive"
        configure(project, f"SQLALCHEMY_BINDS = { ({bind: url, other: said})!r}\n")
        project.db("upgrade").assert_one_sentence("archive", "report", "one and the same")


TWICE = """import pathlib

from .models.person import Person


def seed(session):
    session.add(Person(name="Ada"))
    if pathlib.Path("tried").exists():
        raise ValueError("no")
    pathlib.Path("tried").touch()
"""


def test_rows_that_fail_where_mysql_is_built_in_its_place_say_what_was_replaced_before(
    bare, mariadb_server
):
    """A trigger cannot be moved to another database."""
    with databases.fresh(mariadb_server) as url:
        configure(bare, f"SQLALCHEMY_BINDS = { ({'report': url})!r}\n")
        bare.model("person", NAMED)
        bare.model("report", f"__bind_key__ = 'report'\n{NAMED}")
        bare.db("migrate").assert_ok()
        bare.db("rebuild").assert_ok()
        with databases.engine(url).connect() as connection:
            trigger = "CREATE TRIGGER t BEFORE INSERT ON report FOR EACH ROW SET NEW.id = NEW.id"
            connection.exec_driver_sql(trigger)
        bare.write("my_app/seed.py", TWICE)
        stopped = bare.db("rebuild").assert_one_sentence(
            "is built, without them", "seed.py, line 9"
        )
        assert "fresh already: default (the one before it is kept" in stopped.err
        assert ask(bare, "dev", "SELECT name FROM person") == [("Ada",)]
