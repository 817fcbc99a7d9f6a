"""The table alembic_log, as db upgrade keeps it on each database, and as db log prints it."""

import hashlib
import json
import re
import sqlite3
import uuid

import clients
import databases
import pytest
from sqlalchemy import make_url

from flask_keel import log

TABLE = "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True))"
COLUMN = "op.add_column('a', sa.Column('b', sa.String(9)))"
DROPS = "op.drop_table('a')"


def rows(url, columns="revision, direction, outcome", where="1 = 1"):
    return clients.rows(url, f"SELECT {columns} FROM alembic_log WHERE {where} ORDER BY id")


def tables(url):
    from sqlalchemy import inspect

    return set(inspect(databases.engine(url)).get_table_names())


@pytest.fixture
def project(any_database):
    any_database.migration("f1", None, TABLE, DROPS)
    any_database.migration("f2", "f1", COLUMN, "op.drop_column('a', 'b')")
    return any_database


def test_each_revision_of_a_run_has_a_row(project, url):
    project.db("upgrade").assert_ok()
    found = rows(url, "run, revision, direction, message, checksum, outcome, heads")
    sums = [
        hashlib.sha256((project.versions / f"{name}_by_hand.py").read_bytes()).hexdigest()
        for name in ("f1", "f2")
    ]
    assert [row[1:] for row in found] == [
        ("f1", "upgrade", "f1 by hand", sums[0], "done", '["f1"]'),
        ("f2", "upgrade", "f2 by hand", sums[1], "done", '["f2"]'),
    ]
    assert found[0][0] == found[1][0]
    assert all(seconds >= 0 and host for seconds, host in rows(url, "seconds, host"))


def test_the_checksum_is_the_same_for_every_way_to_end_lines(project, url):
    for path in project.versions.glob("f*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    project.db("upgrade").assert_ok()
    for path in project.versions.glob("f*.py"):
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
        (found,) = rows(url, "checksum", f"revision = '{path.name[:2]}'")
        assert found == (hashlib.sha256(path.read_bytes()).hexdigest(),)


def test_the_last_row_of_a_run_has_the_schema_as_the_schema_file_has_it(project, url):
    project.db("upgrade").assert_ok()
    project.db("schema").assert_ok()
    (file,) = (project.package / "migrations" / "schema").glob("*.sql")
    with databases.engine(url).connect() as connection:
        assert log.last_run(connection) == ({"f2"}, file.read_text(), 1)
    assert rows(url, "catalog", "revision = 'f1'") == [(None,)]


def test_a_run_with_nothing_to_do_writes_nothing(project, url):
    project.db("upgrade").assert_ok()
    before = rows(url, "*")
    project.db("upgrade").assert_ok()
    project.db("upgrade", "f2").assert_ok()
    project.db("stamp", "f2").assert_ok()
    project.db("current").assert_ok()
    assert rows(url, "*") == before


def test_a_downgrade_and_a_stamp_are_in_it(project, url):
    project.db("upgrade").assert_ok()
    project.db("downgrade", "base").assert_ok()
    project.db("stamp", "f1").assert_ok()
    found = rows(url, "revision, direction, heads")
    assert found[2:] == [
        ("f2", "downgrade", '["f1"]'),
        ("f1", "downgrade", "[]"),
        ("f1", "stamp", '["f1"]'),
    ]
    with databases.engine(url).connect() as connection:
        assert log.last_run(connection) is None, "what a stamp says, no run has made"
        assert log.checksums(connection) == {}


def test_the_checksums_are_those_of_what_is_applied(project, url):
    project.db("upgrade").assert_ok()
    project.db("downgrade").assert_ok()
    file = project.versions / "f2_by_hand.py"
    file.write_text(file.read_text() + "# another end\n")
    with databases.engine(url).connect() as connection:
        assert set(log.checksums(connection)) == {"f1"}
    project.db("upgrade").assert_ok()
    with databases.engine(url).connect() as connection:
        assert log.checksums(connection)["f2"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_branches_and_what_joins_them_are_logged_with_the_heads_of_each_moment(project, url):
    project.migration("g1", "f1", "op.create_table('g', sa.Column('id', sa.Integer))")
    project.migration("m1", ("f2", "g1"), "pass")
    project.db("upgrade", "heads").assert_ok()
    found = [set(json.loads(heads)) for (heads,) in rows(url, "heads")]
    assert found[0] == {"f1"} and found[3] == {"m1"}
    assert found[1] in ({"f2"}, {"g1"}) and found[2] == {"f2", "g1"}


def test_a_failure_is_written_after_it_was_undone(project, url):
    project.db("upgrade").assert_ok()
    project.migration("f3", "f2", COLUMN.replace("'b'", "'c'"))
    project.migration("f4", "f3", "op.execute('SELECT nonsense FROM nowhere')")
    said = project.db("upgrade").assert_one_sentence("f4").err
    sqlite = url.startswith("sqlite")
    (*before, (revision, outcome, error)) = rows(url, "revision, outcome, error")
    assert (revision, outcome) == ("f4", "failed")
    assert error and f"Error: {error}" in said
    # on SQLite f3 was undone with it
    assert [row[0] for row in before] == ["f1", "f2"] + ([] if sqlite else ["f3"])
    with databases.engine(url).connect() as connection:
        found = log.last_run(connection)
    assert (found and found[0]) == ({"f2"} if sqlite else None)


def test_a_first_failure_makes_no_file_and_leaves_no_table_on_sqlite(bare):
    bare.migration("f1", None, "op.execute('SELECT nonsense')")
    bare.db("upgrade").assert_one_sentence("nonsense")
    assert not bare.database.exists()
    sqlite3.connect(bare.database).close()
    bare.db("upgrade").assert_one_sentence("nonsense")
    assert tables(f"sqlite:///{bare.database}") == set()


def test_what_is_said_in_any_language_is_kept(project, url):
    if url.startswith("mysql"):
        clients.run(url, f"ALTER DATABASE {make_url(url).database} CHARACTER SET latin1")
    path = project.versions / "f1_by_hand.py"
    path.write_text(path.read_text().replace("f1 by hand", "f1 größer, 更大 \U0001f600"))
    project.db("upgrade").assert_ok()
    assert rows(url, "message", "revision = 'f1'") == [("f1 größer, 更大 \U0001f600",)]
    assert "更大" in project.db("log").assert_ok().out


def test_db_log_prints_the_newest_last_and_json_all_of_it(project, url):
    project.db("upgrade").assert_ok()
    lines = project.db("log").assert_ok().out.splitlines()
    assert [re.split(r"  +", line)[1:4] for line in lines] == [
        ["upgrade", "f1", "done"],
        ["upgrade", "f2", "done"],
    ]
    assert len(project.db("log", "-n", "1").out.splitlines()) == 1
    document = json.loads(project.db("log", "--json").assert_ok().out)
    (database,) = document["databases"]
    assert [entry["heads"] for entry in database["log"]] == [["f1"], ["f2"]]
    assert "catalog" not in database["log"][0]


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999"])
def test_a_number_of_entries_that_is_none_is_refused(project, number):
    project.db("upgrade").assert_ok()
    answer = project.db("log", "-n", number)
    assert answer.code == 2 and "is not in the range" in answer.err


def test_a_database_without_a_log_is_said_to_have_none(project, url):
    project.db("upgrade").assert_ok()
    clients.run(url, "DROP TABLE alembic_log")
    assert "has no log" in project.db("log").assert_ok().err


def test_a_database_that_holds_only_the_log_counts_as_empty(project, url):
    project.db("upgrade").assert_ok()
    project.db("downgrade", "base").assert_ok()
    clients.run(url, "DROP TABLE alembic_version")
    assert tables(url) == {"alembic_log"}
    project.db("upgrade").assert_ok()
    assert [row[0] for row in rows(url)] == ["f1", "f2", "f2", "f1", "f1", "f2"]
    project.db("check").assert_one_sentence("a")  # the models have no table a; the log is not named
    assert "alembic_log" not in project.db("check").said


def test_a_model_with_its_name_is_refused(bare):
    bare.model("alembic_log", "id: Mapped[int] = mapped_column(primary_key=True)")
    for command in ("migrate", "upgrade", "check"):
        bare.db(command).assert_one_sentence("alembic_log", "__tablename__")


def test_printed_sql_says_nothing_of_it(project, url):
    project.db("upgrade", "f1").assert_ok()
    assert "alembic_log" not in project.db("upgrade", "--sql").assert_ok().out
    assert "alembic_log" not in project.db("downgrade", "--sql", "base").assert_ok().out
    assert len(rows(url)) == 1


def test_a_table_of_another_tool_with_its_name_is_left_alone(project, url):
    clients.run(url, "CREATE TABLE alembic_log (mine INTEGER)")
    assert "alembic_log is not kept" in project.db("upgrade").assert_ok().err
    assert clients.rows(url, "SELECT count(*) FROM alembic_log") == [(0,)]
    assert clients.rows(url, "SELECT version_num FROM alembic_version") == [("f2",)]
    assert "no log" in project.db("log").assert_ok().err


def test_an_account_that_may_not_keep_it_migrates_all_the_same(new_project, server_url):
    """Its tables are there, and it may make no other."""
    at, name = make_url(server_url), f"poor_{uuid.uuid4().hex[:8]}"
    project = new_project(starter="bare", database=at.get_backend_name())
    project.env["DEV_DATABASE_URL"] = server_url
    project.migration("f1", None, TABLE, DROPS)
    project.db("upgrade").assert_ok()
    clients.run(server_url, "DROP TABLE alembic_log")
    project.migration("f2", "f1", "op.execute('INSERT INTO a VALUES (1)')")
    if at.get_backend_name() == "mysql":
        rights = f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{at.database}`.* TO {name}@localhost"
        clients.run(server_url, f"CREATE USER {name}@localhost", rights)
        leave = [f"DROP USER {name}@localhost"]
    else:
        rights = f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}"
        clients.run(server_url, f"CREATE ROLE {name} LOGIN", rights)
        leave = [f"DROP OWNED BY {name}", f"DROP ROLE {name}"]
    try:
        poor = at.set(username=name).render_as_string(hide_password=False)
        said = project.db("upgrade", DEV_DATABASE_URL=poor).assert_ok().err
        assert said.count("alembic_log is not kept") == 1
        assert "denied" in said
    finally:
        clients.run(server_url, *leave)
    assert clients.rows(server_url, "SELECT id FROM a") == [(1,)]
    assert "alembic_log" not in tables(server_url)
