"""MariaDB's lightest ways, with ZERO_DOWNTIME = True."""

import clients
import databases
import pytest

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
