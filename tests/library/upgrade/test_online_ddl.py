"""MariaDB's lightest ways, with ZERO_DOWNTIME = True."""

import random
import time
from contextlib import contextmanager

import clients
import databases
import pytest

from flask_keel.upgrade import online_ddl

TABLES = """
op.create_table('team', sa.Column('id', sa.Integer, primary_key=True))
op.create_table('post', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer),
    sa.Column('title', sa.String(80)), sa.Column('team_id', sa.Integer))
op.execute("INSERT INTO post VALUES (1, 1, 'a', NULL), (2, 2, 'b', NULL)")
"""
LIGHT = [
    "op.add_column('post', sa.Column('at', sa.Integer, server_default='5', nullable=False))",
    "op.create_index('ix_n', 'post', ['n'])",
    "op.create_unique_constraint('uq_title', 'post', ['title'])",
    "op.alter_column('post', 'n', existing_type=sa.Integer, nullable=False)",
    "op.drop_index('ix_n', 'post')",
    "op.drop_column('post', 'at')",
    "op.create_table('new', sa.Column('id', sa.Integer, primary_key=True), sa.Column('post_id', sa.Integer))",
    "op.create_foreign_key('fk_new', 'new', 'post', ['post_id'], ['id'])",
    "op.execute('ALTER TABLE post COMMENT = \\'a; b\\'')",
]


@pytest.fixture
def project(new_project, mariadb_server):
    with databases.fresh(mariadb_server) as url:
        made = new_project(starter="bare", database="mysql")
        made.env["DEV_DATABASE_URL"] = url
        made.migration("f1", None, TABLES)
        made.db("upgrade").assert_ok()
        yield made


def test_each_statement_goes_the_lightest_way(project):
    """The server is told which way, and would refuse another."""
    url = project.env["DEV_DATABASE_URL"]
    clients.run(url, "SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = ON")
    try:
        project.migration("f2", "f1", "\n".join(LIGHT))
        project.db("upgrade").assert_ok()
    finally:
        clients.run(url, "SET GLOBAL general_log = OFF")
    said = [
        str(argument)
        for (argument,) in clients.rows(
            url,
            "SELECT argument FROM mysql.general_log WHERE argument REGEXP 'ALGORITHM|^ALTER|^CREATE.*INDEX'"
            " AND user_host REGEXP 'root' AND argument REGEXP 'post|fk_new' AND argument NOT REGEXP 'SELECT'",
        )
    ]
    ways = [one.split("ALGORITHM=")[1] if "ALGORITHM=" in one else "" for one in said]
    assert ways[0] == "INSTANT"
    assert "NOCOPY LOCK=NONE" in ways and "INPLACE, LOCK=NONE" in ways
    # a table without rows is nobody's concern
    assert [one for one, way in zip(said, ways, strict=True) if not way] == [
        "ALTER TABLE new ADD CONSTRAINT fk_new FOREIGN KEY(post_id) REFERENCES post (id)"
    ]
    found = clients.rows(url, "SELECT id, n, title FROM post ORDER BY id")
    assert found == [(1, 1, "a"), (2, 2, "b")]


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        ("op.create_foreign_key('fk', 'post', 'team', ['team_id'], ['id'])", "adds a foreign key"),
        ("op.create_check_constraint('ck', 'post', 'n > 0')", "adds a CHECK"),
        (
            "op.alter_column('post', 'n', type_=sa.BigInteger(), existing_type=sa.Integer())",
            "BIGINT",
        ),
        (
            "op.execute('ALTER TABLE post MODIFY title TEXT')",
            "'ALTER TABLE post MODIFY title TEXT'",
        ),
    ],
    ids=["foreign key", "check", "type", "its own SQL"],
)
def test_what_needs_a_copy_is_said_before_anything_runs(project, operation, sentence):
    url = project.env["DEV_DATABASE_URL"]
    clients.run(url, "INSERT INTO post SELECT seq, seq, seq, NULL FROM seq_10_to_2000")
    file = project.migration("f2", "f1", operation)
    said = project.db("upgrade").assert_one_sentence(sentence, "# lint:")
    assert clients.rows(url, "SELECT version_num FROM alembic_version") == [("f1",)]
    rule = said.err.split("# lint: ")[1].split()[0]
    file.write_text(file.read_text() + f"\n# lint: {rule} because nobody is there at night\n")
    project.db("upgrade").assert_ok()


def test_a_few_rows_are_copied_all_the_same(project):
    operation = "op.create_check_constraint('ck', 'post', 'n > 0')"
    project.migration("f2", "f1", operation)
    project.db("upgrade").assert_ok()


# with all of what a table that is written anew could come out of otherwise
FULL = """CREATE TABLE post (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT DEFAULT 3, title VARCHAR(80) COLLATE utf8mb4_bin,
    twice INT AS (n * 2) VIRTUAL, thrice INT AS (n * 3) STORED,
    at TIMESTAMP NOT NULL DEFAULT current_timestamp() COMMENT 'a; b',
    CONSTRAINT ck CHECK (n > 0), KEY old (n, title(10))) {options} COMMENT = 'c, d'"""
BUILDS = [
    "CREATE INDEX ix_n ON post (n)",
    "CREATE UNIQUE INDEX IF NOT EXISTS `ix;n` ON post (id, n) COMMENT 'FORCE'; -- why",
    "ALTER TABLE post ADD CONSTRAINT uq UNIQUE (title)",
    "ALTER TABLE post ADD INDEX a (n), ADD KEY b (title)",
    "CREATE INDEX ix_thrice ON post (thrice, title(5))",
]


WAYS = (
    lambda statement: [statement],
    lambda statement: [online_ddl.anew(statement)],
    lambda statement: [online_ddl.longer(statement, "id"), online_ddl.shorter("post")],
)


@pytest.mark.parametrize("options", ["", "ROW_FORMAT=COMPACT", "AUTO_INCREMENT=1000"])
def test_each_way_that_takes_another_time_leaves_what_the_index_alone_would_leave(
    mariadb_server, options
):
    left = []
    for way in WAYS:
        with databases.fresh(mariadb_server) as url:
            fill = "INSERT INTO post (n, title, at) SELECT seq, seq, '2026-01-01' FROM seq_1_to_50"
            added = "ALTER TABLE post ADD COLUMN late INT NOT NULL DEFAULT 7, ALGORITHM=INSTANT"
            clients.run(
                url, FULL.format(options=options), fill, "DELETE FROM post WHERE n > 40", added
            )
            assert clients.rows(url, online_ddl.same(BUILDS[0]).replace("%", "%%"))
            clients.run(url, *(said.replace("%", "%%") for one in BUILDS for said in way(one)))
            clients.run(url, "INSERT INTO post (n, title, at) VALUES (1, 'x', '2026-01-01')")
            form = "SELECT engine, row_format, create_options FROM information_schema.tables"
            left.append((clients.dump(url), clients.rows(url, f"{form} WHERE table_name = 'post'")))
    assert left[0] == left[1] == left[2]


@pytest.mark.parametrize(
    ("options", "format_"),
    [
        ("PARTITION BY HASH (id) PARTITIONS 2", "dynamic"),
        ("ENGINE=Aria ROW_FORMAT=PAGE", "dynamic"),
        ("", "compact"),
    ],
    ids=["partitions", "another engine", "an older format of rows"],
)
def test_what_would_come_out_otherwise_is_not_written_anew(mariadb_server, options, format_):
    with databases.fresh(mariadb_server) as url:
        default = "SET GLOBAL innodb_default_row_format = "
        try:
            made = f"CREATE TABLE `odd ''name%%` (id INT PRIMARY KEY) {options}"
            clients.run(url, f"{default}{format_}", made)
        finally:
            clients.run(url, f"{default}dynamic")
        clients.run(url, "CREATE TABLE `odd ''name%%2` (id INT PRIMARY KEY)")
        for which, kept in (("`odd ''name%`", []), ("`odd ''name%2`", [(1,)])):
            query = online_ddl.same(f"CREATE INDEX ix ON {which} (id)")
            assert clients.rows(url, query.replace("%", "%%")) == kept


# what is said of an index alone, and of two
AGAIN = f"^CREATE INDEX.*NOCOPY|^ALTER.*{online_ddl.LONGER}.*NOCOPY"


@contextmanager
def reading_at_the_end_of_each_build(url, builds="^CREATE INDEX.*NOCOPY"):
    """A report that is there whenever an index that is built beside its table is done."""
    query = (
        f"SELECT count(*) FROM information_schema.processlist WHERE info RLIKE '{builds}' "
        "AND state NOT LIKE 'Waiting%%'"
    )

    def read(over):
        with (
            databases.engine(url).connect() as looks,
            databases.engine(url).connect() as report,
        ):
            while not over.is_set():
                if looks.exec_driver_sql(query).scalar():
                    report.exec_driver_sql("BEGIN")
                    report.exec_driver_sql("SELECT count(*) FROM post WHERE id < 10")
                    while looks.exec_driver_sql(query.split(" AND state")[0]).scalar():
                        time.sleep(0.01)
                    report.exec_driver_sql("ROLLBACK")
                time.sleep(0.005)

    with clients.meanwhile(read):
        yield


@pytest.fixture
def large(project):
    url = project.env["DEV_DATABASE_URL"]
    clients.run(url, "INSERT INTO post SELECT seq, seq, seq, NULL FROM seq_10_to_500000")
    project.migration(
        "f2", "f1", "op.create_index('ix_n', 'post', ['n'])\nopen('through', 'w').close()"
    )
    return project


def shape(url):
    return [clients.rows(url, f"{one} post") for one in ("SHOW CREATE TABLE", "CHECKSUM TABLE")]


@pytest.mark.drill
def test_an_index_whose_build_always_ends_in_a_report_gets_through_another_way(large):
    url = large.env["DEV_DATABASE_URL"]
    large.configure(MIGRATION_RETRIES=20)
    with reading_at_the_end_of_each_build(url):
        said = large.db("upgrade").assert_ok().err
    assert "written anew" in said
    assert "KEY `ix_n` (`n`)" in shape(url)[0][0][1]


@pytest.mark.drill
def test_what_never_gets_through_says_how_often_all_was_built(large):
    url = large.env["DEV_DATABASE_URL"]
    before = shape(url)
    large.configure(MIGRATION_RETRIES=5)
    with reading_at_the_end_of_each_build(url, f"{AGAIN}|^ALTER.*FORCE"):
        said = large.db("upgrade").assert_one_sentence("after 6 tries", "times when all was built")
    assert "written anew" in said.err and shape(url) == before


def test_what_a_killed_process_left_for_a_moment_is_dropped_by_the_next(project):
    url = project.env["DEV_DATABASE_URL"]
    clients.run(url, f"CREATE INDEX {online_ddl.LONGER} ON post (id)")
    project.migration("f2", "f1", "pass")
    project.db("upgrade").assert_ok()
    assert online_ddl.LONGER not in shape(url)[0][0][1]


@pytest.mark.drill
@pytest.mark.parametrize(
    ("way", "builds"),
    [(f"ADD%%{online_ddl.LONGER}%%", "^CREATE INDEX.*NOCOPY"), ("%%FORCE, ALG%%", AGAIN)],
    ids=["for a moment", "written anew"],
)
def test_a_process_that_is_killed_while_it_goes_another_way_leaves_nothing(large, way, builds):
    """kill -9 at 5 moments of the other form, each time in another place; the second try ends it."""
    url = large.env["DEV_DATABASE_URL"]
    left, before = [], shape(url)
    other = f"SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'ALTER%%{way}'"
    for moment in range(6):
        with reading_at_the_end_of_each_build(url, builds):
            process = large.start(*large.manage, "db", "upgrade")
            ends = time.monotonic() + 120
            while not clients.rows(url, other)[0][0]:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < ends
                time.sleep(0.005)
            time.sleep(random.uniform(0, 0.3 * moment))
            if moment:
                process.kill()
            process.communicate(timeout=120)
        large.db("upgrade").assert_ok()
        left.append(shape(url))
        assert left[-1] == left[0], moment
        assert clients.rows(url, "SELECT version_num FROM alembic_version") == [("f2",)]
        files = "SELECT name FROM information_schema.innodb_sys_tables WHERE name LIKE '%%#sql%%'"
        assert clients.rows(url, files) == []
        clients.run(
            url,
            "DROP INDEX ix_n ON post",
            "UPDATE alembic_version SET version_num = 'f1'",
            "DELETE FROM alembic_log WHERE revision = 'f2'",
        )
        assert shape(url) == before
