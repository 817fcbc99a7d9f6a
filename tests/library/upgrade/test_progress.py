"""A revision that cannot be undone as a whole: a second try leaves out exactly what stands."""

import os
import random
import sys

import clients
import databases
import pytest
from sqlalchemy import inspect, make_url

LONG = bool(os.environ.get("LONG_DRILLS"))

TABLE = "op.create_table('post', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))"
# each of them would fail, or count twice, when it ran a second time
STATEMENTS = [
    "op.create_table('tag', sa.Column('id', sa.Integer, primary_key=True))",
    "op.bulk_insert(sa.table('tag', sa.column('id')), [{'id': 1}, {'id': 2}])",
    "op.execute('UPDATE post SET n = n + 1')",
    "op.add_column('post', sa.Column('title', sa.String(80)))",
    "op.execute('UPDATE post SET n = n * 2')",
    'op.execute("INSERT INTO tag VALUES (3)")',
    "op.create_index('ix_title', 'post', ['title'])",
    "op.alter_column('post', 'n', existing_type=sa.Integer(), type_=sa.BigInteger())",
    "op.execute('/* ten */ UPDATE post SET n = n + 10')",
    "op.create_unique_constraint('uq_n', 'post', ['n', 'id'])",
    "op.alter_column('post', 'title', new_column_name='head', existing_type=sa.String(80))",
    "op.execute('-- why\\nALTER TABLE post ADD CONSTRAINT ck_n CHECK (n > 0)')",
    "op.drop_index('ix_title', 'post')",
    "op.rename_table('tag', 'label')",
    "op.execute('UPDATE label SET id = id + 100')",
    "op.execute('CREATE TABLE last AS SELECT n FROM post')",
    "op.execute('INSERT INTO last VALUES (7)')",
]
AUTOCOMMIT = "with op.get_context().autocommit_block():\n"


def block(lines):
    return AUTOCOMMIT + "".join(f"    {line}\n" for line in lines)


def half(server_url, lines):
    """The lines as they stand by themselves: on PostgreSQL in an autocommit block."""
    if make_url(server_url).get_backend_name() == "mysql":
        return "\n".join(lines)
    return "\n".join(lines[:3]) + "\n" + block(lines[3:])


@pytest.fixture
def project(new_project, server_url):
    made = new_project(starter="bare", database=make_url(server_url).get_backend_name())
    made.env["DEV_DATABASE_URL"] = server_url
    made.migration("f1", None, TABLE + "\nop.execute('INSERT INTO post VALUES (1, 1), (2, 5)')")
    made.db("upgrade").assert_ok()
    return made


def content(url):
    """Tables with their columns, indexes and rows."""
    look, found = inspect(databases.engine(url)), {}
    for table in set(look.get_table_names()) - {"alembic_log"}:
        columns = [(column["name"], str(column["type"])) for column in look.get_columns(table)]
        indexes = sorted(str(one["name"]) for one in look.get_indexes(table))
        checks = sorted(str(one["name"]) for one in look.get_check_constraints(table))
        rows = sorted(map(repr, clients.rows(url, f"SELECT * FROM {table}")))
        found[table] = (columns, indexes, checks, rows)
    return found


@pytest.fixture
def wanted(request, server_url, new_project):
    """What an upgrade that nobody disturbs makes of it."""
    kind = make_url(server_url).get_backend_name()
    server = {"postgresql": "postgresql", "mysql": "mariadb"}[kind]
    with databases.fresh(request.getfixturevalue(f"{server}_server")) as url:
        made = new_project(starter="bare", database=kind)
        made.env["DEV_DATABASE_URL"] = url
        made.migration("f1", None, TABLE + "\nop.execute('INSERT INTO post VALUES (1, 1), (2, 5)')")
        made.migration("f2", "f1", half(url, STATEMENTS))
        made.db("upgrade").assert_ok()
        yield content(url)


@pytest.mark.parametrize("place", range(1, len(STATEMENTS), 1 if LONG else 6))
def test_a_failure_at_any_place_is_mended_behind_what_stands(project, server_url, wanted, place):
    broken = [
        *STATEMENTS[:place],
        "op.execute('INSERT INTO nowhere VALUES (1)')",
        *STATEMENTS[place:],
    ]
    file = project.migration("f2", "f1", half(server_url, broken))
    project.db("upgrade").assert_one_sentence("nowhere", "being at f1", "mend the file")
    project.db("upgrade").assert_one_sentence("nowhere", "being at f1", "mend the file")
    file.unlink()
    project.migration("f2", "f1", half(server_url, STATEMENTS))
    project.db("upgrade").assert_ok()
    assert content(server_url) == wanted
    assert clients.rows(server_url, "SELECT outcome FROM alembic_log ORDER BY id") == [
        ("done",),
        ("failed",),
        ("failed",),
        ("done",),
    ]


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_what_stands_is_known_behind_a_comment_and_with_settings_of_its_own(project, server_url):
    leads = ["-- why\\n", "SET STATEMENT lock_wait_timeout=5 FOR ", "# why\\n", "/* why */ "]
    leads = [lead for lead in leads if not (databases.MYSQLD and lead.startswith("SET"))]
    for number, lead in enumerate(leads if LONG else leads[:2], 2):
        name, below = f"f{number}", f"f{number - 1}"
        alter = f'op.execute("{lead}ALTER TABLE post ADD COLUMN c{number} INTEGER")'
        broken = alter + "\nop.execute('INSERT INTO nowhere VALUES (1)')"
        file = project.migration(name, below, broken)
        for _ in range(2):
            project.db("upgrade").assert_one_sentence("nowhere", f"being at {below}")
        file.unlink()
        project.migration(name, below, alter)
        project.db("upgrade").assert_ok()


# forks after the imports; each try is killed at a statement of the revision or of the log, before it is
# sent or when it has ended
KILLED = """
import os, random, signal, sys
from sqlalchemy import Engine, event
import flask_keel.cli
from my_app.cli import db

chance = random.Random({seed})
sys.argv = ["db", "upgrade"]
killed = 0
for _ in range(200):
    left = chance.randrange(1 + killed, 30 + 5 * killed)
    if not (child := os.fork()):
        said = os.open("said", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(said, 1), os.dup2(said, 2)

        def count(connection, cursor, statement, *_):
            global left
            left -= getattr(sys, "begun", 0)
            if not left:
                open("kills", "a").write(statement.replace(chr(10), " ") + chr(10))
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", count)
        event.listen(Engine, "after_cursor_execute", count)
        db()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != -signal.SIGKILL:
        break
    killed += 1
print(code, killed)
"""
ROUNDS = range(20 if LONG else 1)


@pytest.mark.parametrize("round_", ROUNDS)
def test_killed_at_any_moment_it_goes_on_where_it_was(project, server_url, wanted, round_):
    begun = "import sys; sys.begun = 1\n"
    project.migration("f2", "f1", begun + half(server_url, STATEMENTS))
    seed = int(os.environ.get("KILL_SEED", random.randrange(10**9)))
    code = KILLED.format(seed=seed)
    ran = project.warm(sys.executable, "-c", code, PYTHONPATH=str(project.path), timeout=600)
    said = (project.path / "said").read_text()
    code, killed = map(int, ran.out.split())
    assert code == 0, (seed, said)
    assert killed, seed
    assert content(server_url) == wanted, (seed, killed)


STOPS = "op.execute('INSERT INTO nowhere VALUES (1)')"


def alone(server_url, *lines):
    """Statements that stand by themselves."""
    mysql = make_url(server_url).get_backend_name() == "mysql"
    return "\n".join(lines) if mysql else block(lines)


def test_an_edit_of_what_stands_is_named_with_the_way_out(project, server_url):
    project.migration("f2", "f1", alone(server_url, *STATEMENTS[:4], STOPS))
    project.db("upgrade").assert_one_sentence("nowhere")
    edited = [*STATEMENTS[:3], STATEMENTS[3].replace("title", "name"), *STATEMENTS[4:6]]
    project.migration("f2", "f1", alone(server_url, *edited))
    said = project.db("upgrade").assert_one_sentence("number 4", "ADD COLUMN name", "put it back")
    assert "db stamp" in said.err
    project.migration("f2", "f1", alone(server_url, *STATEMENTS[:2]))
    project.db("upgrade").assert_one_sentence("number 3", "is not there any more")
    assert clients.rows(server_url, "SELECT version_num FROM alembic_version") == [("f1",)]
    # by hand, as the sentence says
    project.db("stamp", "f2").assert_ok()
    project.migration("f3", "f2", "op.execute('UPDATE post SET n = 0')")
    project.db("upgrade").assert_ok()


def test_a_percent_sign_is_said_as_it_was_written(project, server_url):
    half = """op.execute("INSERT INTO post SELECT 3, 3 WHERE 'a' LIKE '%b%'")"""
    project.migration("f2", "f1", alone(server_url, half, STATEMENTS[0], STOPS))
    said = project.db("upgrade").assert_one_sentence("nowhere", "LIKE '%b%'")
    assert "%%" not in said.err


def test_the_sql_of_a_revision_that_stands_by_half_is_not_printed(project, server_url):
    project.migration("f2", "f1", alone(server_url, *STATEMENTS[:4], STOPS))
    project.db("upgrade").assert_one_sentence("nowhere")
    said = project.db("upgrade", "--sql").assert_one_sentence("stopped in the middle", "db upgrade")
    assert not said.out
    project.db("upgrade", "f1:f2", "--sql").assert_ok()  # who says where to begin has looked


def test_another_way_is_closed_until_the_half_is_finished(project, server_url):
    project.migration("f2", "f1", alone(server_url, *STATEMENTS[:4], STOPS))
    project.db("upgrade").assert_one_sentence("nowhere")
    project.db("downgrade").assert_one_sentence("upgrade of f2 stopped", "db upgrade to finish it")
    clients.run(server_url, "DROP TABLE tag", "ALTER TABLE post DROP COLUMN title")
    project.db("stamp", "--purge", "f1").assert_ok()
    project.migration("f2", "f1", alone(server_url, *STATEMENTS[:4]))
    project.db("upgrade").assert_ok()


def test_a_half_of_a_downgrade_is_gone_on_with_as_well(project, server_url):
    back = alone(server_url, "op.drop_column('post', 'title')", "op.drop_table('tag')")
    half_back = alone(server_url, "op.drop_column('post', 'title')", STOPS)
    up = "\n".join((STATEMENTS[0], STATEMENTS[3]))
    project.migration("f2", "f1", up, half_back)
    project.db("upgrade").assert_ok()
    project.db("downgrade").assert_one_sentence("nowhere", "being at f2")
    project.migration("f2", "f1", up, back)
    project.db("downgrade").assert_ok()
    assert set(content(server_url)) == {"post", "alembic_version"}


@pytest.mark.one_of_each
@pytest.mark.parametrize(
    "write",
    [
        "bind = op.get_bind()\nbind.execute(sa.text('UPDATE post SET n = 8'))",
        "from sqlalchemy.orm import Session\n"
        "with Session(op.get_bind()) as rows:\n"
        "    rows.execute(sa.table('post', sa.column('n')).update().values(n=8))",
        "def write(bind):\n    bind.execute(sa.text('UPDATE post SET n = 8'))\nwrite(op.get_bind())",
    ],
    ids=["the connection", "a Session", "a function"],
)
def test_what_could_not_be_left_out_is_to_be_split(project, server_url, write):
    after = alone(server_url, STATEMENTS[0])
    project.migration("f2", "f1", f"{write}\n{after}")
    said = project.db("upgrade").assert_one_sentence("op.execute()", "f2_by_hand.py, line 1")
    assert "split" in said.err or "revision of its own" in said.err
    assert clients.rows(server_url, "SELECT n FROM post ORDER BY n") == [(1,), (5,)]
    # the other way round nothing is lost
    project.migration("f2", "f1", f"{after}\n{write}\n{STOPS}")
    project.db("upgrade").assert_one_sentence("nowhere")
    project.migration("f2", "f1", f"{after}\n{write}")
    project.db("upgrade").assert_ok()
    assert clients.rows(server_url, "SELECT n FROM post") == [(8,), (8,)]


READ = "rows = op.get_bind().execute(sa.text('SELECT id, n FROM {}')).fetchall()"
COPIED = [
    "op.create_table('copy', sa.Column('id', sa.Integer), sa.Column('n', sa.Integer))",
    "op.bulk_insert(sa.table('copy', sa.column('id'), sa.column('n')), [row._asdict() for row in rows])",
]


def test_what_a_half_has_renamed_is_read_by_its_new_name_as_the_sentence_says(project, server_url):
    moved = "op.rename_table('post', 'article')"
    for stops in (STOPS, "pass"):
        lines = [READ.format("post"), moved, COPIED[0], stops, COPIED[1]]
        project.migration("f2", "f1", alone(server_url, *lines))
        said = project.db("upgrade").assert_one_sentence("being at f1")
    assert "let that line read what is there now" in said.err
    project.migration("f2", "f1", alone(server_url, READ.format("article"), moved, *COPIED))
    project.db("upgrade").assert_ok()
    assert clients.rows(server_url, "SELECT id, n FROM copy ORDER BY id") == [(1, 1), (2, 5)]


def test_what_a_half_has_changed_is_not_written_as_what_was_read(project, server_url):
    lines = [READ.format("post"), STATEMENTS[2], COPIED[0]]
    project.migration("f2", "f1", alone(server_url, *lines, STOPS, COPIED[1]))
    project.db("upgrade").assert_one_sentence("nowhere")
    project.migration("f2", "f1", alone(server_url, *lines, COPIED[1]))
    said = project.db("upgrade").assert_one_sentence("'SELECT id, n FROM post' was read again")
    assert "type db stamp with its revision" in said.err
    assert clients.rows(server_url, "SELECT id, n FROM copy") == []
    # where it needs nothing of that
    project.migration("f2", "f1", alone(server_url, *lines[1:], STATEMENTS[4]))
    project.db("upgrade").assert_ok()


def test_what_went_with_its_connection_is_not_gone_on_with(project, server_url):
    temporary = "op.execute('CREATE TEMPORARY TABLE aside (id INTEGER)')"
    lines = [temporary, *STATEMENTS[3:5], STOPS]
    project.migration("f2", "f1", alone(server_url, *lines))
    project.db("upgrade").assert_one_sentence("undo that by hand")
    project.migration("f2", "f1", alone(server_url, *lines[:3]))
    project.db("upgrade").assert_one_sentence("only its connection had", "db stamp")


BACKFILL = """import flask_keel
post = sa.table('post', sa.column('id'), sa.column('n'))
flask_keel.backfill(post, None, {'n': post.c.n + 1}, batch=2)
"""


def test_a_backfill_changes_each_row_once(project, server_url):
    rows = ", ".join(f"({number}, {number == 13:d})" for number in range(1, 21))
    clients.run(server_url, "DELETE FROM post", f"INSERT INTO post VALUES {rows}")
    clients.run(server_url, "ALTER TABLE post ADD CHECK (n < 2)")
    project.migration("f2", "f1", BACKFILL)
    project.db("upgrade").assert_one_sentence("change the rows that do not fit")
    assert clients.rows(server_url, "SELECT count(*) FROM post WHERE n = 1") == [(13,)]
    clients.run(server_url, "UPDATE post SET n = 0 WHERE id = 13")
    project.db("upgrade").assert_ok()
    assert clients.rows(server_url, "SELECT DISTINCT n FROM post") == [(1,)]


def test_the_half_of_an_index_is_swept_away(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        made = new_project(starter="bare", database="postgresql")
        made.env["DEV_DATABASE_URL"] = url
        made.migration("f1", None, TABLE + "\nop.execute('INSERT INTO post VALUES (1, 1), (2, 1)')")
        index = "op.create_index('ux', 'post', ['n'], unique=True, postgresql_concurrently=True)"
        made.migration("f2", "f1", block([index]))
        made.db("upgrade").assert_one_sentence("change the rows that do not fit", "being at f1")
        clients.run(url, "UPDATE post SET n = id")
        made.db("upgrade").assert_ok()
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ux'::regclass"
        assert clients.rows(url, valid) == [(True,)]


# whether each stands is looked up in the catalogue
LOOKS = [
    "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER)",
    "ALTER TABLE a ADD COLUMN s VARCHAR(9)",
    "ALTER TABLE a ADD t VARCHAR(9)",
    "CREATE UNIQUE INDEX ix_s ON a (s)",
    "ALTER TABLE a ADD CONSTRAINT uq_t UNIQUE (t)",
    "ALTER TABLE a ADD CONSTRAINT ck_n CHECK (n > 0)",
    "CREATE TABLE b (id INTEGER, a_id INTEGER)",
    "ALTER TABLE b ADD PRIMARY KEY (id)",
    "ALTER TABLE b ADD CONSTRAINT fk_a FOREIGN KEY (a_id) REFERENCES a (id)",
    "ALTER TABLE a RENAME COLUMN s TO u",
    "CREATE VIEW v AS SELECT id, n FROM a",
    "ALTER TABLE a DROP CONSTRAINT ck_n",
    "ALTER TABLE b DROP CONSTRAINT fk_a",
    "ALTER TABLE a DROP COLUMN u",
    "ALTER TABLE b RENAME TO c",
    "DROP VIEW v",
    "DROP TABLE c",
]
LOOKS_OF = {
    "mysql": {
        1: "/*!40101 ALTER TABLE a ADD COLUMN s VARCHAR(9) */",
        4: "# why\nSET STATEMENT lock_wait_timeout=9 FOR ALTER TABLE a ADD CONSTRAINT uq_t UNIQUE (t)",
        5: "ALTER TABLE a ADD CONSTRAINT ck_n CHECK (n > '0\\', -- ' OR n > 0) -- why",
        7: "ALTER TABLE b DROP PRIMARY KEY, ADD PRIMARY KEY (id)",
        12: "ALTER TABLE b DROP FOREIGN KEY fk_a",
        14: "RENAME TABLE b TO c",
    },
    "postgresql": {
        1: "/* why /* and */ how */ ALTER TABLE a ADD COLUMN s VARCHAR(9)",
        3: 'CREATE UNIQUE INDEX CONCURRENTLY "ix_s" ON public.a (s)',
    },
}


def test_the_catalogue_says_whether_a_statement_stands(server_url):
    from flask_keel.upgrade import in_flight

    kind = make_url(server_url).get_backend_name()
    statements = [LOOKS_OF[kind].get(number, said) for number, said in enumerate(LOOKS)]
    if databases.MYSQLD:
        statements = [
            said.replace("SET STATEMENT lock_wait_timeout=9 FOR ", "") for said in statements
        ]
    with databases.engine(server_url).connect() as connection:
        if kind == "mysql":
            statements[7:7] = ["ALTER TABLE b ADD PRIMARY KEY (a_id)"]
        for statement in statements:
            assert in_flight.ran(connection, statement) is False, statement
            connection.exec_driver_sql(statement)
            assert in_flight.ran(connection, statement) is True, statement
        # once more is the same
        assert in_flight.ran(connection, "TRUNCATE TABLE a") is False
        assert in_flight.ran(connection, "ALTER TABLE a ALTER COLUMN n SET DEFAULT 3") is False
        # what has no name cannot be told from one that was there
        assert in_flight.ran(connection, "ALTER TABLE a ADD UNIQUE (n)") is None
        assert in_flight.ran(connection, "CALL something()") is None


# which are not told from one that was there before, and what stands in another place
TOLD = {
    "mysql": [
        ("CREATE OR REPLACE VIEW v AS SELECT id, n FROM a", False),
        ("ALTER TABLE p DROP PARTITION p0", None),
        ("ALTER TABLE a ADD COLUMN key_id INTEGER", True),
        ("ALTER TABLE a ADD checked INTEGER", True),
        ("ALTER TABLE a ADD COLUMN `50%%` INTEGER", True),
        ("ALTER TABLE a DROP INDEX IF EXISTS nowhere, ADD INDEX other (n)", False),
        ("ALTER TABLE a DROP INDEX ix, ADD INDEX ix (n, id)", False),
        ("ALTER TABLE a DROP COLUMN n, ADD COLUMN n TEXT", None),
        ("ALTER TABLE a CHANGE n id INT, CHANGE id n INT", None),
        ("ALTER TABLE a ADD COLUMN IF NOT EXISTS n INT, ADD COLUMN m INT", False),
        ("ALTER TABLE a ADD COLUMN m INT, ALGORITHM=INSTANT", False),
        ("ALTER TABLE gone RENAME TO a, ADD COLUMN n INT", True),
        ("ALTER TABLE IF EXISTS gone ADD COLUMN n INT", False),
    ],
    "postgresql": [
        ("CREATE OR REPLACE VIEW v AS SELECT id, n FROM a", False),
        ("ALTER TABLE a ADD COLUMN key_id INTEGER", True),
        ('ALTER TABLE a ADD COLUMN "50%%" INTEGER', True),
        ("ALTER TABLE a DROP CONSTRAINT IF EXISTS ck, ADD CONSTRAINT ck CHECK (n > 0)", False),
        ("ALTER TABLE a ALTER COLUMN n TYPE BIGINT USING n * 100", None),
        ("ALTER TABLE a DROP CONSTRAINT ex", False),
        ("ALTER TYPE two.mood ADD VALUE 'b'", False),
        ("ALTER TYPE one.mood ADD VALUE 'b'", True),
        ("CREATE TYPE two.other AS ENUM ('a')", False),
        ("CREATE TRIGGER touch BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION f()", False),
        ("DROP TRIGGER touch ON p", True),
        ("CREATE TRIGGER touch BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f()", True),
        ("CREATE INDEX CONCURRENTLY ON a (id)", None),
    ],
}
THERE = {
    "mysql": [
        "CREATE TABLE a (id INTEGER, n INTEGER, key_id INTEGER, checked INTEGER, `50%%` INTEGER, "
        "INDEX ix (n))",
        "CREATE TABLE p (id INTEGER) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (5))",
        "CREATE VIEW v AS SELECT id FROM a",
    ],
    "postgresql": [
        'CREATE TABLE a (id INTEGER, n INTEGER, key_id INTEGER, "50%%" INTEGER, '
        "CONSTRAINT ck CHECK (n > 1), CONSTRAINT ex EXCLUDE (id WITH =))",
        "CREATE TABLE p (id INTEGER)",
        "CREATE VIEW v AS SELECT id FROM a",
        "CREATE SCHEMA one",
        "CREATE SCHEMA two",
        "CREATE TYPE one.mood AS ENUM ('a', 'b')",
        "CREATE TYPE two.mood AS ENUM ('a')",
        "CREATE TYPE one.other AS ENUM ('a')",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER touch BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f()",
    ],
}


def test_a_statement_is_not_taken_for_one_that_ran_by_what_was_there_before(server_url):
    from flask_keel.upgrade import in_flight

    kind = make_url(server_url).get_backend_name()
    with databases.engine(server_url).connect() as connection:
        for statement in THERE[kind]:
            connection.exec_driver_sql(statement)
        for statement, ran in TOLD[kind]:
            assert in_flight.ran(connection, statement) is ran, statement


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_a_view_that_was_to_be_replaced_when_the_process_was_killed_is_replaced(
    project, server_url
):
    replaced = "CREATE OR REPLACE VIEW v AS SELECT id, n FROM post"
    project.migration("f2", "f1", "op.execute('CREATE VIEW v AS SELECT id FROM post')")
    project.db("upgrade").assert_ok()
    project.migration(
        "f3",
        "f2",
        "import os, pymysql\nrun = pymysql.cursors.Cursor.execute\n"
        "def execute(self, query, *more):\n"
        "    if 'REPLACE VIEW' in query and os.environ.get('ENDS'):\n"
        "        os._exit(9)\n"
        "    return run(self, query, *more)\n"
        "pymysql.cursors.Cursor.execute = execute\n"
        f"op.execute('{replaced}')",
    )
    assert project.db("upgrade", ENDS="1").code == 9
    project.db("upgrade").assert_ok()
    assert clients.rows(server_url, "SELECT n FROM v ORDER BY n") == [(1,), (5,)]
