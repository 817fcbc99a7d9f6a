"""What `--sql` prints is for the server's own program, which has ideas of its own."""

import subprocess

import clients
import databases
from sqlalchemy import make_url

TABLE = """op.create_table(
    "thing", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer)
)
"""
TRIGGER = """op.execute("CREATE TRIGGER twice BEFORE INSERT ON thing FOR EACH ROW "
           "BEGIN SET NEW.a = 1; SET NEW.a = NEW.a + 1; END;")
op.execute("INSERT INTO thing (id) VALUES (1)")"""
FUNCTION = """op.execute("CREATE FUNCTION two() RETURNS trigger AS $$ BEGIN NEW.a = 1; NEW.a = NEW.a + 1; "
           "RETURN NEW; END; $$ LANGUAGE plpgsql;")
op.execute("CREATE TRIGGER twice BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION two()")
op.execute("INSERT INTO thing (id) VALUES (1)")"""


def test_a_trigger_with_semicolons_in_it_arrives_whole(new_project, server, server_url):
    kind = make_url(server_url).get_backend_name()
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = server_url
    title = project.migration(
        "aaaa00000001", None, TABLE + (TRIGGER if kind == "mysql" else FUNCTION)
    )
    # a title may go on for several lines
    title.write_text(title.read_text().replace("by hand", "by hand\nDROP TABLE thing;"))
    with databases.fresh(server) as twin:
        clients.feed(twin, project.db("upgrade", "--sql").assert_ok().out)
        project.db("upgrade").assert_ok()
        assert clients.rows(twin, "SELECT id, a FROM thing") == [(1, 2)]
        assert clients.dump(twin) == clients.dump(server_url)


TEXTS = ["a\r\nb", "\r\n", "c\r", "back\\\r\n'\r\n", "d\r\n;\r\n\\q\r\nDELIMITER x\r\n-- '\r\n#"]
VALUES = f"""import datetime
thing = op.create_table(
    "thing", sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    *([] if op.get_context().dialect.name == "mysql" else [sa.Column("days", sa.Interval())]),
    sa.Column("a", sa.Text, comment="it's\\r\\nhere"), sa.Column("at", sa.DateTime(timezone=True)),
)
op.bulk_insert(thing, [{{"id": n, "a": a}} for n, a in enumerate({TEXTS!r})])
op.execute("INSERT INTO thing (id, a) VALUES (9, 'x\\r\\ny') -- it's\\r\\n")
at = datetime.datetime(2024, 2, 29, 12, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
op.execute(thing.update().values(at=at))
"""
MORE = {
    "mysql": "op.execute(thing.insert().values(id=10, a='n\\0n'))",
    "postgresql": """op.add_column("thing", sa.Column("long", sa.Interval))
long = sa.table("thing", sa.column("id"), sa.column("long", sa.Interval))
op.execute(long.insert().values(id=10, long=datetime.timedelta(-1, 3, 5)))""",
}


def test_line_ends_comments_and_times_are_what_the_upgrade_makes_of_them(
    new_project, server, server_url
):
    kind = make_url(server_url).get_backend_name()
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = server_url
    project.migration("aaaa00000001", None, VALUES + MORE[kind])
    command = [*project.manage, "db", "upgrade", "--sql"]
    # neither is read as text, by which a carriage return would go
    sql = subprocess.run(
        command, cwd=project.path, env=project.environment(), capture_output=True, check=True
    )
    with databases.fresh(server) as twin:
        subprocess.run(clients._client(twin), input=sql.stdout, check=True)
        project.db("upgrade").assert_ok()
        assert sorted(clients.dump(twin)) == sorted(clients.dump(server_url))
        found = clients.rows(twin, "SELECT a FROM thing ORDER BY id")
        assert [a for (a,) in found][: len(TEXTS) + 1] == [*TEXTS, "x\r\ny"]


LOOSE = """from decimal import Decimal
thing = op.create_table(
    "thing", sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.DateTime), sa.Column("a", sa.String(20)), sa.Column("n", sa.Integer),
)
op.bulk_insert(thing, [
    {"id": 1, "at": "2024-02-29 12:00:00", "a": 7, "n": Decimal("1.5")},
    {"id": 2, "at": "2024-02-29", "a": -7, "n": 2.5},
])
op.execute(thing.update().where(thing.c.a == sa.literal(7, sa.Text)).values(a=8))
op.execute(thing.update().where(thing.c.id == 2).values(at="2024-03-01"))
"""


def test_a_value_of_another_type_than_its_column_is_what_the_upgrade_makes_of_it(
    new_project, server, server_url
):
    kind = make_url(server_url).get_backend_name()
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = server_url
    project.migration("aaaa00000001", None, LOOSE)
    with databases.fresh(server) as twin:
        clients.feed(twin, project.db("upgrade", "--sql").assert_ok().out)
        project.db("upgrade").assert_ok()
        assert clients.dump(twin) == clients.dump(server_url)
        found = clients.rows(twin, "SELECT a, n FROM thing ORDER BY id")
        assert found == [("8", 2), ("-7", 2)]


ENV = "from flask_keel import env\n\nenv.run({options})\n"
THING = "op.create_table('thing', sa.Column('id', sa.Integer, primary_key=True))"


def with_version_table(project, **options):
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    (project.versions.parent / "env.py").write_text(ENV.format(options=given))
    project.migration("a1", None, THING)
    project.db("upgrade").assert_ok()
    project.migration("a2", "a1", "op.add_column('thing', sa.Column('n', sa.Integer))")


def assert_goes_on(project, url, table):
    sql = project.db("upgrade", "--sql").assert_ok().out
    assert "CREATE TABLE thing" not in sql
    clients.feed(url, sql)
    assert clients.rows(url, f"SELECT version_num FROM {table}") == [("a2",)]
    assert clients.rows(url, "SELECT n FROM thing") == []
    again = clients.program(url, sql)
    assert again.returncode != 0 and "for a database at a1" in again.stderr
    project.migration("a3", "a2", "op.execute('SELECT nothing')")
    project.db("upgrade").assert_one_sentence("at a2", "mend the file and try again")


def test_a_version_table_of_another_name_says_where_the_database_is(any_database):
    url = any_database.env.get("DEV_DATABASE_URL", f"sqlite:///{any_database.database}")
    with_version_table(any_database, version_table="Applied here")
    name = '"Applied here"' if not url.startswith("mysql") else "`Applied here`"
    assert_goes_on(any_database, url, name)


def test_a_version_table_in_another_schema_says_where_the_database_is(
    new_project, server, server_url
):
    project = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    project.env["DEV_DATABASE_URL"] = server_url
    schema = f"{make_url(server_url).database}_ours"
    clients.run(server_url, f"CREATE SCHEMA {schema}")
    try:
        with_version_table(project, version_table_schema=schema)
        assert_goes_on(project, server_url, f"{schema}.alembic_version")
    finally:
        if server_url.startswith("mysql"):
            clients.run(server_url, f"DROP SCHEMA {schema}")


FIRST = "mood = sa.Enum('a', 'b:c', \"it's\", name='mood')\n"
ENUMS = """op.create_table("thing", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", mood))
op.create_table("other", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", mood))"""
COLUMNS = """op.add_column("thing", sa.Column("b", mood))
op.add_column("other", sa.Column("c", sa.Enum('x', name='new')))
op.execute("INSERT INTO thing (id, b) VALUES (1, 'b:c')")"""


def test_an_enum_as_sqlite_writes_it_is_made_once(new_project, postgresql_server):
    project = new_project(starter="bare", database="postgresql")
    project.migration("aaaa00000001", None, FIRST + ENUMS)
    project.migration("aaaa00000002", "aaaa00000001", FIRST + COLUMNS)
    fresh = databases.fresh
    with fresh(postgresql_server) as url, fresh(postgresql_server) as twin:
        project.env["DEV_DATABASE_URL"] = url
        for to in ("aaaa00000001", "head"):  # the second is printed where the first has been run
            clients.feed(twin, project.db("upgrade", "--sql", to).assert_ok().out)
            project.db("upgrade", to).assert_ok()
        assert clients.rows(twin, "SELECT id, b FROM thing") == [(1, "b:c")]
        assert clients.dump(twin) == clients.dump(url)
