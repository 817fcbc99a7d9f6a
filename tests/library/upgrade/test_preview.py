"""What would be lost is said before it is: the plan, on what is there, by an account that may only read."""

import json
import sys
from contextlib import contextmanager

import clients
import databases
import pytest
from revising import CTRL_C, at_terminal
from sqlalchemy import make_url

TABLES = """
op.create_table("person", sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(20), nullable=False), sa.Column("nick", sa.String(20)),
    sa.Column("bio", sa.String(20)), sa.Column("age", sa.Integer), sa.Column("code", sa.String(9)))
for name in ("old", "log", "kept", "one", "two"):
    op.create_table(name, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Integer))
op.create_table("bare", sa.Column("id", sa.Integer, primary_key=True))
"""
ROWS = [
    "INSERT INTO person VALUES (1, 'Ada', NULL, 'b', 36, 'x'), (2, 'Grace', NULL, 'c', NULL, NULL)",
    *(f"INSERT INTO {name} VALUES (1, 1), (2, 2), (3, NULL)" for name in ("old", "log", "kept")),
    "INSERT INTO two VALUES (1, NULL)",
]
# what a revision does, and what is said to be lost, one after the other in one run
STORY = [
    ("op.drop_column('person', 'bio')", ["person.bio (2 values)"]),
    (
        "for id in (1, 2):\n    op.execute(f'UPDATE person SET age = 1 WHERE id = {id}')",
        ["what stands in person.age (1 value)"],
    ),
    ("op.drop_column('person', 'nick')", []),
    ("op.drop_table('bare')", []),
    ("op.rename_table('old', 'older')", []),
    ("op.drop_table('older')", ["table old (3 rows)"]),
    (
        "op.add_column('person', sa.Column('mood', sa.String(9)))\n"
        "op.execute(\"UPDATE person SET mood = 'fine'\")",
        [],
    ),
    ("op.drop_column('person', 'mood')", []),
    (
        "op.alter_column('person', 'age', new_column_name='years', existing_type=sa.Integer())",
        [],
    ),
    ("op.execute('UPDATE person SET years = 0')", ["what stands in person.age (1 value)"]),
    ("op.execute(\"UPDATE person SET code = 'y' WHERE code IS NULL\")", []),
    ("op.execute(\"UPDATE person SET code = 'y' WHERE name = 'a:b;%'\")", []),
    ("op.execute('DELETE FROM log WHERE id > 1')", ["rows of log (2 rows)"]),
    ("op.get_bind().execute(sa.text('DELETE FROM log'))", ["rows of log (3 rows)"]),
    (
        "log = sa.table('log', sa.column('id'))\nop.execute(log.delete().where(log.c.id == 1))",
        ["rows of log (ONE OR ALL)"],
    ),
    (
        "with op.batch_alter_table('person') as batch_op:\n    batch_op.drop_column('code')",
        ["person.code (1 value)"],
    ),
    (
        "op.create_table('mine', sa.Column('id', sa.Integer))\n"
        "op.execute('INSERT INTO mine SELECT id FROM person')\nop.drop_table('mine')",
        [],
    ),
    ("op.execute('ALTER TABLE log RENAME TO logs')", []),
    ("op.execute('DROP TABLE logs')", ["table log (3 rows)"]),
    ("for name in ('one', 'two'):\n    op.drop_table(name)", ["table two (1 row)"]),
    (
        "import subprocess\nsubprocess.run(['touch', 'ran'])\nop.drop_table('kept')",
        ["op.drop_table('kept') (rows that cannot be counted)"],
    ),
]


def url_of(project):
    return project.env.get("DEV_DATABASE_URL", f"sqlite:///{project.database}")


def confirming(project):
    conf = project.path / "etc" / "conf" / "dev.conf"
    conf.write_text(f"{conf.read_text()}\nCONFIRM_DATA_LOSS = True\n")
    return project


def story(project, steps, above="f0"):
    for number, body in enumerate(steps, 1):
        project.migration(f"{above[0]}{number:02}x", above, body)
        above = f"{above[0]}{number:02}x"


def plan(project, *arguments):
    return json.loads(project.db("upgrade", "--plan", "--json", *arguments).assert_ok().out)


def said(revision):
    found = []
    for loss in revision["loses"]:
        many = "that cannot be counted" if loss["count"] is None else loss["count"]
        unit = loss["unit"] if loss["count"] != 1 else loss["unit"].removesuffix("s")
        number = f"{unit} {many}" if loss["count"] is None else f"{many} {unit}"
        found.append(f"{loss['what']} ({number})")
    return found


def with_rows(project):
    project.migration("f0", None, TABLES)
    project.db("upgrade").assert_ok()
    clients.run(url_of(project), *ROWS)
    return project


@pytest.fixture
def grown(any_database):
    """A project with tables and rows, at revision f0."""
    return with_rows(any_database)


@pytest.fixture
def small(bare):
    """The same, on SQLite alone."""
    return with_rows(bare)


def test_a_plan_follows_what_is_there_through_the_whole_run_and_changes_nothing(grown):
    story(grown, [body for body, _ in STORY])
    before = clients.dump(url_of(grown))
    found = plan(grown)["revisions"]
    sure = "1 row" if url_of(grown).startswith(("postgres", "mysql")) else "3 rows"
    wanted = [[one.replace("ONE OR ALL", sure) for one in loses] for _, loses in STORY]
    assert [said(one) for one in found] == wanted
    told = [one["cannot_be_told"] for one in found]
    assert told[:-1] == [[]] * (len(STORY) - 1)
    assert told[-1] == ["line 12: it calls subprocess.run(), which is not run for a plan"]
    assert clients.dump(url_of(grown)) == before
    assert not (grown.path / "ran").exists()
    assert not (grown.path / "var" / "backups").exists()


# what is about rows that the run itself changes, and what is lost of those that are there
CHANGED = [
    (
        "op.execute('UPDATE person SET age = NULL WHERE id = 1')\n"
        "op.execute('DELETE FROM person WHERE age IS NULL')",
        ["what stands in person.age (1 value)", "rows of person (2 rows)"],
    ),
    (
        "op.execute('UPDATE person SET age = NULL WHERE id = 9')\n"
        "op.execute('DELETE FROM person WHERE age IS NULL')",
        ["rows of person (1 row)"],
    ),
    (
        "op.drop_column('log', 'v')\nop.add_column('log', sa.Column('v', sa.Integer))\n"
        "op.execute('UPDATE log SET v = 7')\nop.execute('DELETE FROM log WHERE v = 7')",
        ["log.v (2 values)", "rows of log (3 rows)"],
    ),
    (
        "op.execute('INSERT INTO kept VALUES (9, 36)')\n"
        "op.execute('DELETE FROM person WHERE age IN (SELECT v FROM kept)')",
        ["rows of person (2 rows)"],
    ),
    (
        "op.bulk_insert(sa.table('kept', sa.column('id'), sa.column('v')), [{'id': 9, 'v': 36}])\n"
        "op.execute('DELETE FROM person WHERE age IN (SELECT v FROM kept)')",
        ["rows of person (2 rows)"],
    ),
    (
        "op.execute('DELETE FROM kept')\n"
        "op.execute('DELETE FROM log WHERE v NOT IN (SELECT v FROM kept WHERE v IS NOT NULL)')",
        ["rows of kept (3 rows)", "rows of log (3 rows)"],
    ),
    (
        "op.rename_table('kept', 'mine')\nop.execute('DELETE FROM mine WHERE id > 2')",
        ["rows of kept (1 row)"],
    ),
]


def test_a_condition_on_what_the_run_changes_is_not_taken_for_one_on_what_is_there(grown):
    for body, loses in CHANGED:
        grown.migration("f1", "f0", body)
        (found,) = plan(grown)["revisions"]
        assert said(found) == loses, body


def test_a_percent_sign_that_is_doubled_for_the_driver_is_one(grown):
    url = url_of(grown)
    raw = "'100%'" if url.startswith("sqlite") else "'100%%'"
    clients.run(url, f"UPDATE person SET nick = {raw} WHERE id = 1")
    delete = "DELETE FROM person WHERE nick = "
    sql = f"{delete}'100%'"
    for body in (
        f"op.execute({sql!r})",
        f"op.get_bind().execute(sa.text({sql!r}))",
        f"op.get_bind().exec_driver_sql({delete + raw!r})",
    ):
        grown.migration("f1", "f0", body)
        (found,) = plan(grown)["revisions"]
        assert said(found) == ["rows of person (1 row)"], body


def test_whoever_may_only_read_gets_the_plan_and_cannot_upgrade(new_project, server):
    kind = make_url(server).get_backend_name()
    project = new_project(starter="bare", database=kind)
    with databases.fresh(server) as url, reader(server, url) as reading:
        project.env["DEV_DATABASE_URL"] = url
        project.migration("f0", None, TABLES)
        project.db("upgrade").assert_ok()
        clients.run(url, *ROWS, *GRANTS[kind])
        drops = "op.drop_table('log')\nop.drop_column('person', 'bio')\nop.drop_table('old')"
        project.migration("f1", "f0", drops)
        project.env["DEV_DATABASE_URL"] = reading
        (found,) = plan(project)["revisions"]
        old = "3 rows" if kind == "mysql" else "rows that cannot be counted"
        assert said(found) == ["table log (3 rows)", "person.bio (2 values)", f"table old ({old})"]
        project.db("upgrade").assert_one_sentence()
        project.env["DEV_DATABASE_URL"] = url
        assert clients.rows(url, "SELECT version_num FROM alembic_version") == [("f0",)]


GRANTS = {
    "postgresql": [
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO keel_reader",
        # whose rows are hidden, and not to be taken for none
        "ALTER TABLE old ENABLE ROW LEVEL SECURITY",
    ],
    "mysql": [],
}


@contextmanager
def reader(server, url):
    """An account that may read all of one database; give the URL by which it does."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        clients.run(server, "DROP ROLE IF EXISTS keel_reader", "CREATE ROLE keel_reader LOGIN")
        yield parsed.set(username="keel_reader").render_as_string(hide_password=False)
        clients.run(url, "DROP OWNED BY keel_reader")
        clients.run(server, "DROP ROLE keel_reader")
    else:
        clients.run(
            server,
            "DROP USER IF EXISTS keel_reader@localhost",
            "CREATE USER keel_reader@localhost",
            f"GRANT SELECT ON {parsed.database}.* TO keel_reader@localhost",
        )
        yield parsed.set(username="keel_reader").render_as_string(hide_password=False)
        clients.run(server, "DROP USER keel_reader@localhost")


REASON = "# lint: drop-column because nobody reads it\nop.drop_column('person', 'bio')"


def test_an_upgrade_whose_file_says_why_runs_unattended(grown):
    confirming(grown).migration("f1", "f0", REASON)
    assert plan(grown)["asks"] is False
    grown.db("upgrade").assert_ok()
    assert clients.rows(url_of(grown), "SELECT version_num FROM alembic_version") == [("f1",)]


def test_an_upgrade_that_loses_without_a_reason_touches_nothing_until_it_is_told_to(grown):
    confirming(grown).migration("f1", "f0", "op.drop_column('person', 'bio')")
    before = clients.dump(url_of(grown))
    assert plan(grown)["asks"] is True
    grown.db("upgrade").assert_one_sentence(
        "would lose person.bio (2 values), f1_by_hand.py line 11",
        "nobody is here to be asked: nothing was changed",
        "db upgrade --yes",
        "# lint: drop-column because ... into f1_by_hand.py",
    )
    assert clients.dump(url_of(grown)) == before
    assert not (grown.path / "var" / "backups").exists()
    grown.db("upgrade", "--yes").assert_ok()
    assert clients.rows(url_of(grown), "SELECT version_num FROM alembic_version") == [("f1",)]


DROPS = "\n".join(
    f"op.drop_table({name!r})" for name in ("person", "old", "log", "kept", "one", "two", "bare")
)


def test_a_downgrade_to_the_base_of_a_database_with_rows_always_asks(any_database):
    confirming(any_database).migration("f0", None, TABLES, f"# lint: drop-table because\n{DROPS}")
    any_database.migration("f1", "f0", "pass", "# lint: drop-column because I say so\npass")
    any_database.db("upgrade").assert_ok()
    url = url_of(any_database)
    any_database.db("downgrade", "base").assert_ok()  # there is no row that could be lost
    any_database.db("upgrade").assert_ok()
    clients.run(url, *ROWS)
    before = clients.dump(url)
    for to in ("base", "-2"):
        any_database.db("downgrade", "--", to).assert_one_sentence(
            "would lose table person (2 rows), f0_by_hand.py line 22; table old (3 rows)",
            "and 2 more (db downgrade --plan says all of it)",
            f"db downgrade --yes {'-- ' * (to == '-2')}{to}",
        )
    assert clients.dump(url) == before
    any_database.db("downgrade").assert_ok()  # of f1 alone, which loses nothing
    any_database.db("downgrade", "--yes", "base").assert_ok()
    assert clients.rows(url, "SELECT version_num FROM alembic_version") == []


def at(project):
    return clients.rows(url_of(project), "SELECT version_num FROM alembic_version")


@pytest.mark.parametrize("any_database", ["postgresql", "mariadb"], indirect=True)
def test_a_history_that_drops_is_planned_and_applied_where_nothing_is_yet(any_database):
    confirming(any_database)
    any_database.migration(
        "f01x", None, "op.create_table('t', sa.Column('a', sa.Integer), sa.Column('b', sa.Integer))"
    )
    any_database.migration("f02x", "f01x", "op.drop_column('t', 'b')")
    assert [one["revision"] for one in plan(any_database)["revisions"]] == ["f01x", "f02x"]
    any_database.db("upgrade").assert_ok()
    assert at(any_database) == [("f02x",)]


def test_who_says_no_at_the_question_has_lost_nothing_and_who_says_yes_has(small):
    confirming(small).migration("f1", "f0", "op.drop_column('person', 'bio')")
    before = clients.dump(url_of(small))
    command = (*small.manage, "db", "upgrade")
    for key in ("\n", CTRL_C, "\x04"):
        answer = at_terminal(small, *command, keys=[key])
        stopped = "\nError: Stopped at the question: nothing was changed."
        assert answer.code == 1 and stopped in answer.out, answer.out
        assert "  person.bio (2 values), f1_by_hand.py line 11\n" in answer.out
    assert clients.dump(url_of(small)) == before
    assert at_terminal(small, *command, keys=["y\n"]).code == 0
    assert at(small) == [("f1",)]


def test_no_writer_waits_for_a_person_and_what_is_there_since_is_asked_for_anew(grown):
    confirming(grown).migration(
        "f1", "f0", "op.drop_column('person', 'bio')\nop.drop_column('person', 'nick')"
    )
    url = url_of(grown)

    def write():
        clients.run(url, "UPDATE person SET nick = 'since'", "INSERT INTO kept VALUES (4, 4)")
        return "y\n"

    answer = at_terminal(grown, *grown.manage, "db", "upgrade", keys=[write, "n\n"])
    assert answer.code == 1, answer.out
    first, second = answer.out.split("Go on with the upgrade?", 1)
    assert "person.bio" in first and "person.nick" not in first
    assert "person.nick (2 values)" in second
    assert at(grown) == [("f0",)]


def test_what_another_process_has_done_meanwhile_is_not_done_again(small):
    confirming(small).migration("f1", "f0", "op.drop_column('person', 'bio')")

    def upgrade():
        small.db("upgrade", "--yes").assert_ok()
        return "y\n"

    answer = at_terminal(small, *small.manage, "db", "upgrade", keys=[upgrade])
    assert answer.code == 0 and "is at f1: nothing to do" in answer.out, answer.out


def test_without_the_setting_nothing_is_asked(small):
    small.migration("f1", "f0", "op.drop_column('person', 'bio')", "pass")
    small.db("upgrade").assert_ok()
    small.db("downgrade").assert_ok()


GIVES = """
import my_app
from alembic import command
from flask_keel import history
app = my_app.create_app()
with app.app_context():
    config = history.config()
    with app.extensions["migrate"].db.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
"""


def test_a_program_that_gives_a_connection_is_not_asked(small):
    confirming(small).migration("f1", "f0", "op.drop_column('person', 'bio')")
    assert small.warm(sys.executable, "-c", GIVES, PYTHONPATH=str(small.path)).code == 0
    assert at(small) == [("f1",)]


def test_heads_that_are_merged_are_planned_as_they_would_run(small):
    small.migration("l1", "f0", "op.drop_table('old')", "pass")
    small.migration("r1", "f0", "op.drop_table('log')", "pass")
    small.migration("m1", ("l1", "r1"), "pass", "op.drop_column('kept', 'v')")
    for to, wanted in (("m1", ["l1", "r1"]), ("heads", ["l1", "r1"]), ("r1", ["r1"]), ("f0", [])):
        lost = {"l1": ["table old (3 rows)"], "r1": ["table log (3 rows)"], "m1": []}
        found = {one["revision"]: said(one) for one in plan(small, to)["revisions"]}
        assert {name for name in found if found[name]} == set(wanted)
        assert found.items() <= lost.items()
    confirming(small).db("upgrade", "--yes").assert_ok()
    small.db("downgrade", "f0").assert_one_sentence(
        "lose kept.v (2 values), m1_by_hand.py line 15,"
    )
    small.db("downgrade").assert_one_sentence("-1", "db downgrade REVISION")


def test_a_stamp_changes_no_row_and_asks_nothing(small):
    confirming(small).migration("f1", "f0", "op.drop_table('kept')", "pass")
    small.db("stamp", "f1").assert_ok()
    assert plan(small)["revisions"] == []
    assert "nothing to do" in small.db("upgrade", "--plan").assert_ok().err


def test_what_goes_with_deleted_rows_is_named(server, new_project):
    kind = make_url(server).get_backend_name()
    project = new_project(starter="bare", database=kind)
    with databases.fresh(server) as url:
        project.env["DEV_DATABASE_URL"] = url
        project.migration("f0", None, TABLES)
        project.db("upgrade").assert_ok()
        child = "CREATE TABLE child (person_id INT, FOREIGN KEY (person_id) REFERENCES person (id)"
        clients.run(url, *ROWS, f"{child} ON DELETE CASCADE)")
        project.migration("f1", "f0", "op.execute('DELETE FROM person WHERE id = 2')")
        (found,) = plan(project)["revisions"]
        assert said(found) == ["rows of person with what refers to them in child (1 row)"]


BACKFILLS = """import flask_keel
op.add_column('person', sa.Column('slug', sa.String(20)))
person = sa.table('person', sa.column('id'), sa.column('name'), sa.column('slug'), sa.column('age'))
flask_keel.backfill(person, person.c.slug.is_(None), {'slug': sa.func.lower(person.c.name)})
flask_keel.backfill(person, person.c.age.is_(None), {'age': 7})
flask_keel.backfill(person, None, {'age': 8})"""


def test_a_backfill_loses_what_it_writes_over(grown):
    grown.migration("f1", "f0", BACKFILLS)
    (found,) = plan(grown)["revisions"]
    assert said(found) == ["what stands in person.age (1 value)"]
    assert found["cannot_be_told"] == []
    assert found["rewrites"] == [{"table": "person", "rows": 2, "more": False}]


ODD = {
    "a table of a schema that is not there": "op.drop_table('x', schema='nowhere')",
    "rows that are wanted": "name = op.get_bind().execute(sa.text("
    "'SELECT name FROM person WHERE id = 77')).scalar_one()\nop.drop_column('person', name)",
    "a statement that cannot be read": "op.execute('CALL tidy()')",
    "a loop that ends where rows say so": "while op.get_bind().execute(sa.text('SELECT 1')).scalar():\n"
    "    pass",
    "a connection of its own": "op.get_bind().engine.connect()",
    "what a library of its own does": "from my_app import extensions\nextensions.db.drop_all()",
}


def test_what_cannot_be_told_is_said_and_stops_no_plan(grown):
    above = "f0"
    for number, body in enumerate(ODD.values()):
        grown.migration(f"o{number}", above, body, "pass")
        above = f"o{number}"
    grown.migration("last", above, "op.drop_column('person', 'bio')", "pass")
    found = plan(grown)["revisions"]
    for one, name in zip(found, ODD, strict=False):
        assert one["cannot_be_told"] or said(one), name
    assert said(found[1]) == ["op.drop_column('person', name) (rows that cannot be counted)"]
    assert said(found[-1]) == ["person.bio (2 values)"]


SCHEMAS = [
    "CREATE SCHEMA audit",
    "CREATE TABLE audit.person (id INT PRIMARY KEY, name TEXT, small INT, twice INT "
    "GENERATED ALWAYS AS (small * 2) STORED)",
    "INSERT INTO audit.person (id, name, small) VALUES (1, 'a', 5), (2, 'b', 70000)",
    'CREATE TABLE "Person" (id INT)',
    'INSERT INTO "Person" VALUES (1)',
    "CREATE VIEW seen AS SELECT * FROM audit.person",
]
IN_SCHEMAS = [
    ("op.execute('DROP VIEW seen')", []),
    ("op.drop_column('person', 'twice', schema='audit')", []),
    (
        "op.alter_column('person', 'small', type_=sa.SmallInteger(), "
        "existing_type=sa.Integer(), schema='audit')",
        ["audit.person.small from INTEGER to SMALLINT (1 value)"],
    ),
    (
        "op.execute('DELETE FROM audit.person WHERE name LIKE $$a%$$')",
        ["rows of audit.person (1 row)"],
    ),
    ("op.execute('ALTER TABLE audit.person SET SCHEMA public')", []),
    ("op.drop_column('person', 'name')", ["audit.person.name (2 values)"]),
    ("op.execute('DROP TABLE \"Person\"')", ["table Person (1 row)"]),
    ("op.execute('DROP TABLE PERSON')", ["table audit.person (2 rows)"]),
    (
        "op.execute('DO $$ BEGIN DELETE FROM x; END $$')",
        ["DO $$ BEGIN DELETE FROM x; END $$ (rows)"],
    ),
    ("op.execute('DROP SCHEMA audit CASCADE')", ["DROP SCHEMA audit CASCADE (rows)"]),
]


def test_schemas_views_computed_columns_and_quoted_names_of_postgresql(
    new_project, postgresql_server
):
    project = new_project(starter="bare", database="postgresql")
    with databases.fresh(postgresql_server) as url:
        project.env["DEV_DATABASE_URL"] = url
        project.migration("f0", None, "pass")
        project.db("upgrade").assert_ok()
        clients.run(url, *SCHEMAS)
        story(project, [body for body, _ in IN_SCHEMAS])
        found = plan(project)["revisions"]
        assert [said(one) for one in found] == [
            [one.replace("(rows)", "(rows that cannot be counted)") for one in loses]
            for _, loses in IN_SCHEMAS
        ]
        assert [one["cannot_be_told"] for one in found] == [[]] * len(found)


LOCKS = {
    "postgresql": ["BEGIN", "LOCK TABLE log IN ACCESS EXCLUSIVE MODE"],
    "mysql": ["LOCK TABLES log WRITE"],
}


def test_a_plan_does_not_wait_for_a_table_that_somebody_has_locked(server, new_project):
    kind = make_url(server).get_backend_name()
    project = new_project(starter="bare", database=kind)
    with databases.fresh(server) as url:
        project.env["DEV_DATABASE_URL"] = url
        project.migration("f0", None, TABLES)
        project.db("upgrade").assert_ok()
        clients.run(url, *ROWS)
        project.migration("f1", "f0", "op.drop_column('log', 'v')")
        project.migration("f2", "f1", "op.drop_table('kept')")
        with databases.engine(url).connect() as other:
            for statement in LOCKS[kind]:
                other.exec_driver_sql(statement)
            first, second = plan(confirming(project))["revisions"]
            assert [loss["count"] for loss in first["loses"]] == [None]
            assert said(second) == ["table kept (3 rows)"]


MANY = """INSERT INTO log WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 1000010)
SELECT i, i FROM n"""


def test_an_enormous_table_is_counted_to_a_million(small):
    clients.run(url_of(small), MANY)
    small.migration("f1", "f0", "op.drop_column('log', 'v')")
    (found,) = plan(small)["revisions"]
    assert found["rewrites"] == [{"table": "log", "rows": 1_000_000, "more": True}]
    assert [(loss["count"], loss["more"]) for loss in found["loses"]] == [(1_000_000, True)]
    assert "loses log.v (more than 1000000 values)" in small.db("upgrade", "--plan").out


def test_the_engine_says_the_same_way_for_each_table_in_the_plan_as_when_it_runs(small):
    bodies = [
        "op.alter_column('person', 'age', type_=sa.Text(), existing_type=sa.Integer())",
        "with op.batch_alter_table('person', recreate='always') as b:\n    b.drop_column('nick')",
        "op.rename_table('old', 'older')",
        "op.alter_column('older', 'v', nullable=False, server_default='7')",
        "with op.batch_alter_table('log') as b:\n"
        "    b.add_column(sa.Column('w', sa.Integer, server_default='1', nullable=False))\n"
        "    b.create_check_constraint('ck_w', 'w > 0')",
    ]
    clients.run(url_of(small), "UPDATE old SET v = 1")
    story(small, bodies)
    planned = [way for one in plan(small)["revisions"] for way in one["plan"]]
    code = "import logging; logging.basicConfig(format='%(message)s'); "
    code += "logging.getLogger('alembic.sqlite').setLevel('INFO'); from my_app.cli import db; "
    code += "import sys; sys.argv = ['db', 'upgrade']; db()"
    ran = small.warm(sys.executable, "-c", code, PYTHONPATH=str(small.path))
    assert ran.code == 0, ran.said
    assert [line for line in ran.err.splitlines() if line in planned] == planned, ran.said
    assert len(planned) >= len(bodies) and any("rebuild, 2 rows" in way for way in planned)


CASES = [
    'CREATE TABLE "Order" (Id INTEGER PRIMARY KEY, Note TEXT, Size INT)',
    "INSERT INTO \"Order\" VALUES (1, 'a', 1), (2, 'b', NULL)",
]


def test_sqlite_takes_names_in_any_case_and_the_plan_says_them_as_they_are(small):
    clients.run(url_of(small), *CASES)
    story(
        small,
        [
            "op.drop_column('ORDER', 'note')",
            "op.alter_column('order', 'size', new_column_name='SIZE')",
            "op.rename_table('order', 'Orders')",
            "op.drop_column('orders', 'Size')",
            "op.execute('DROP TABLE ORDERS')",
        ],
    )
    found = plan(small)["revisions"]
    assert [said(one) for one in found] == [
        ["Order.Note (2 values)"],
        [],
        [],
        ["Order.Size (1 value)"],
        ["table Order (2 rows)"],
    ]
    assert [one["cannot_be_told"] for one in found] == [[]] * len(found)


def test_mariadb_tells_tables_from_one_another_by_the_case_of_their_names(
    new_project, mariadb_server
):
    project = new_project(starter="bare", database="mysql")
    with databases.fresh(mariadb_server) as url:
        project.env["DEV_DATABASE_URL"] = url
        project.migration("f0", None, "pass")
        project.db("upgrade").assert_ok()
        clients.run(
            url,
            "CREATE TABLE item (id INT)",
            "CREATE TABLE Item (id INT)",
            "INSERT INTO Item VALUES (1)",
        )
        story(project, ["op.drop_table('item')", "op.execute('DROP TABLE Item')"])
        assert [said(one) for one in plan(project)["revisions"]] == [[], ["table Item (1 row)"]]


def test_a_plan_of_a_database_that_is_not_there_loses_nothing_and_makes_none(bare):
    story(
        bare,
        [
            "op.execute('CREATE TABLE t (a INT, b INT)')\nop.execute('INSERT INTO t VALUES (1, 2)')",
            "op.drop_column('t', 'b')\nimport os\nos.getpid()",
            "op.drop_table('t')",
        ],
        above="base",
    )
    (bare.versions / "b01x_by_hand.py").write_text(
        (bare.versions / "b01x_by_hand.py").read_text().replace("'base'", "None")
    )
    assert [said(one) for one in plan(bare)["revisions"]] == [[], [], []]
    assert not bare.database.exists()
    bare.db("upgrade").assert_ok()
