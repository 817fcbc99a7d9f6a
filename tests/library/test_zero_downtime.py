"""Plain operations in forms for which nobody waits, with ZERO_DOWNTIME = True on PostgreSQL."""

import json
import os
import re
import signal
import sys

import clients
import databases
import pytest
from sqlalchemy import make_url

LONG = bool(os.environ.get("LONG_DRILLS"))

TABLES = """
op.create_table('team', sa.Column('id', sa.Integer, primary_key=True))
op.create_table('post', sa.Column('id', sa.Integer, nullable=False), sa.Column('n', sa.Integer),
    sa.Column('title', sa.String(80)), sa.Column('team_id', sa.Integer))
op.create_index('ix_old', 'post', ['title'])
op.execute('INSERT INTO team VALUES (1)')
op.execute("INSERT INTO post SELECT i, i, 't' || i, 1 FROM generate_series(1, 30) AS i")
"""
# each of them would fail, or count twice, when it ran a second time
STATEMENTS = [
    "op.create_table('tag', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))",
    "op.create_index('ix_tag', 'tag', ['n'])",
    "op.bulk_insert(sa.table('tag', sa.column('id')), [{'id': 1}, {'id': 2}])",
    "op.create_index('ix_n', 'post', ['n'])",
    "op.execute('UPDATE post SET n = n + 1')",
    "op.create_index('ix_low', 'post', [sa.text('lower(title)')], "
    "postgresql_where=sa.text(\"title LIKE 't%'\"))",
    "op.create_unique_constraint('uq_title', 'post', ['title', 'n'])",
    "op.create_unique_constraint(None, 'post', ['title'])",
    "op.create_primary_key('pk_post', 'post', ['id'])",
    "op.create_foreign_key('fk_team', 'post', 'team', ['team_id'], ['id'], ondelete='CASCADE')",
    "op.create_foreign_key(None, 'post', 'team', ['team_id'], ['id'])",
    "op.create_check_constraint('ck_n', 'post', 'n % 1000 >= 0')",
    "op.alter_column('post', 'title', nullable=False, type_=sa.String(90), existing_type=sa.String(80))",
    "op.add_column('post', sa.Column('key', sa.Uuid, server_default=sa.text('gen_random_uuid()'), "
    "nullable=False, unique=True))",
    "op.add_column('post', sa.Column('up_id', sa.Integer, sa.ForeignKey('team.id')))",
    "op.execute('UPDATE post SET n = n * 2')",
    "op.drop_index('ix_old', 'post')",
]
# after a write past op the rest is one transaction
ALL = [
    *STATEMENTS,
    "op.get_bind().execute(sa.text('UPDATE post SET n = n + 3'))",
    "op.create_index('ix_last', 'post', ['n', 'id'])",
]


@pytest.fixture
def project(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        yield started(new_project, url)


def started(new_project, url, online=True):
    made = new_project(starter="bare", database="postgresql")
    made.env["DEV_DATABASE_URL"] = url
    made.migration("f1", None, TABLES)
    made.db("upgrade").assert_ok()
    made.configure(ZERO_DOWNTIME=online)
    return made


def url_of(project):
    return project.env["DEV_DATABASE_URL"]


def content(url):
    """What is in the catalogue, as PostgreSQL says it, and the rows."""
    objects = clients.rows(
        url,
        "SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid), convalidated "
        "FROM pg_constraint c WHERE connamespace = 'public'::regnamespace UNION ALL "
        "SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), "
        "indisvalid AND indisready FROM pg_index WHERE indrelid::regclass::text IN ('post', 'tag', 'team') "
        "UNION ALL SELECT table_name, column_name, data_type || coalesce(column_default, ''), "
        "is_nullable = 'NO' FROM information_schema.columns WHERE table_schema = 'public' "
        "AND table_name <> 'alembic_log'",
    )
    rows = clients.rows(url, "SELECT id, n, title, team_id FROM post ORDER BY id")
    return sorted(map(repr, objects)), rows


@pytest.fixture
def wanted(new_project, postgresql_server):
    """What stock Alembic makes of it."""
    with databases.fresh(postgresql_server) as url:
        made = started(new_project, url, online=False)
        made.migration("f2", "f1", "\n".join(ALL))
        made.db("upgrade").assert_ok()
        yield content(url)


def test_the_safe_forms_make_what_the_plain_ones_make(project, wanted):
    project.migration("f2", "f1", "\n".join(ALL))
    project.db("upgrade").assert_ok()
    assert content(url_of(project)) == wanted


UNNAMED = """
op.create_primary_key(None, 'post', ['id'])
op.create_unique_constraint(None, 'post', ['title'])
op.create_foreign_key(None, 'post', 'team', ['team_id'], ['id'])
op.create_check_constraint(None, 'post', 'n > 0')
op.add_column('post', sa.Column('up_id', sa.Integer, sa.ForeignKey('team.id')))
"""


def test_what_has_no_name_where_there_is_no_convention_gets_the_servers(
    project, new_project, postgresql_server
):
    with databases.fresh(postgresql_server) as url:
        plain = started(new_project, url, online=False)
        for one in (plain, project):
            given = "MetaData(naming_convention=naming_convention)"
            one.replace(f"{one.module}/extensions.py", given, "MetaData()")
            one.migration("f2", "f1", UNNAMED)
            one.db("upgrade").assert_ok()
        assert content(url_of(project)) == content(url)


def test_what_a_write_past_op_holds_up_is_said_where_somebody_else_has_the_table(project):
    written = "op.get_bind().execute(sa.text('UPDATE post SET n = n + 1'))"
    table = "op.create_table('tag', sa.Column('id', sa.Integer))"
    project.migration("f2", "f1", f"{written}\n{table}\nop.create_index('ix_tag', 'tag', ['id'])")
    assert "past op" not in project.db("upgrade").assert_ok().said
    project.migration("f3", "f2", f"{written}\nop.create_index('ix_n', 'post', ['n'])")
    said = project.db("upgrade").assert_ok().said
    assert "past op" in said and "one transaction" in said and "op.execute()" in said


PATH = "op.execute('CREATE SCHEMA apart')\nop.execute('SET LOCAL search_path = apart, public')\n"
OF_THE_TRANSACTION = {
    "a write past op": f"{PATH}op.create_index('ix_n', 'post', ['n'])\n"
    "op.get_bind().execute(sa.text('UPDATE post SET n = n + 5'))",
    "SET LOCAL and LOCK": f"{PATH}op.create_index('ix_n', 'post', ['n'])\nop.execute('LOCK TABLE post')",
    "SET CONSTRAINTS": "op.create_foreign_key('fk', 'post', 'team', ['team_id'], ['id'], deferrable=True)\n"
    "op.execute('SET CONSTRAINTS ALL DEFERRED')\nop.execute('UPDATE post SET team_id = 7')\n"
    "op.execute('INSERT INTO team VALUES (7)')",
    "a savepoint": "with op.get_bind().begin_nested():\n    op.create_index('ix_n', 'post', ['n'])\n"
    "    op.execute('UPDATE post SET n = 0')",
    "SET LOCAL": PATH,
    "set_config": "op.execute('CREATE SCHEMA apart')\nop.get_bind().execute("
    "sa.text(\"SELECT set_config('search_path', :path, true)\"), {'path': 'apart, public'})",
    "ON COMMIT": "op.execute('CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT id FROM post')\n"
    "op.create_index('ix_n', 'post', ['n'])\n"
    "op.execute('UPDATE post SET n = 0 WHERE id IN (SELECT id FROM kept)')",
    "LOCK": "op.execute('LOCK TABLE post')\nop.create_index('ix_n', 'post', ['n'])",
}


@pytest.mark.some(3)
@pytest.mark.parametrize("said", OF_THE_TRANSACTION)
def test_what_a_file_says_of_its_transaction_means_what_it_meant(
    project, new_project, postgresql_server, said
):
    after = "\nop.create_index('ix_team', 'team', ['id'])\nop.execute('CREATE TABLE seen AS SELECT 1 AS n')"
    after += "\nop.execute('INSERT INTO seen SELECT n FROM post')"
    with databases.fresh(postgresql_server) as url:
        plain = started(new_project, url, online=False)
        for one in (plain, project):
            one.migration("f2", "f1", OF_THE_TRANSACTION[said] + after)
            one.db("upgrade").assert_ok()
        seen = "SELECT to_regclass('apart.seen')::text, to_regclass('seen')::text"
        for look in (content, lambda url: clients.rows(url, seen)):
            assert look(url_of(project)) == look(url)


# counts the moments before and after each statement and each COMMIT of an upgrade, and dies at one
DRILL = """
import json, os, signal, sys
import psycopg
from sqlalchemy import Engine, event, make_url
import flask_keel.cli
from my_app.cli import db

sys.argv = ["db", "upgrade"]
base = make_url(os.environ["DEV_DATABASE_URL"])
admin = psycopg.connect(base.set(database="postgres").render_as_string(False), autocommit=True)


def upgrade(url, edge):
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = os.open("said", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(said, 1), os.dup2(said, 2)
    os.environ["DEV_DATABASE_URL"] = url
    left = edge

    def count(*_):
        nonlocal left
        begun = getattr(sys, "begun", 0)
        left -= begun
        if begun and not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def commit(self, plain=psycopg.Connection.commit):
        count()
        plain(self)
        count()

    psycopg.Connection.commit = commit
    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "after_cursor_execute", count)
    try:
        db()
    finally:
        open("left", "w").write(str(left))


first, every, most = map(int, sys.argv_of_drill)
for edge in range(first, most, every):
    name = f"{base.database}_{edge}"
    admin.execute(f"CREATE DATABASE {name} TEMPLATE {base.database}")
    url = base.set(database=name).render_as_string(False)
    killed = upgrade(url, edge)
    tries = 1
    code = killed
    while code == -signal.SIGKILL:  # and its second try is killed once, too
        code = upgrade(url, edge // 2 if tries == 1 and edge > 3 else 0)
        tries += 1
    print(json.dumps([edge, killed, tries, code, name, open("said").read()]), flush=True)
    if killed != -signal.SIGKILL:
        break
"""


def drilled(project, first, every, most):
    code = DRILL.replace("sys.argv_of_drill", repr((first, every, most)))
    ran = project.warm(sys.executable, "-c", code, PYTHONPATH=str(project.path), timeout=3600)
    assert ran.out.strip(), ran
    return [json.loads(line) for line in ran.out.splitlines()]


def test_killed_at_an_edge_it_goes_on_where_it_was(project, wanted):
    """kill -9 before and after each statement and each COMMIT, and once more in the second try."""
    project.migration("f2", "f1", "\n".join(["import sys; sys.begun = 1", *ALL]))
    parts = [(at, 1, at + 40) for at in range(1, 1000, 40)] if LONG else [(33, 60, 160)]
    killed = tries = 0
    for part in parts:
        for code, tried in followed(project, part, wanted):
            killed, tries = killed + (code == -signal.SIGKILL), tries + tried
        if not code:
            break
    assert killed > (150 if LONG else 1)
    print(f"{killed} edges, {tries} tries")


def followed(project, part, wanted):
    server = make_url(url_of(project))
    for edge, first, tries, code, name, said in drilled(project, *part):
        url = server.set(database=name).render_as_string(False)
        assert code == 0, (edge, tries, said)
        assert content(url) == wanted, (edge, tries, said)
        clients.run(url_of(project), f"DROP DATABASE {name} WITH (FORCE)")
        yield first, tries


WATCHED = (
    "CREATE TABLE ran (number serial, query text, xact text)",
    "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ran (query, xact) "
    "VALUES (current_query(), pg_current_xact_id()::text); END $$",
    "CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note()",
)


def ran(project):
    found = clients.rows(
        url_of(project), "SELECT query, xact FROM ran WHERE query !~ 'alembic_' ORDER BY number"
    )
    return [" ".join(query.split()) for query, _ in found], [xact for _, xact in found]


def test_each_statement_that_others_feel_is_a_transaction_by_itself(project):
    clients.run(url_of(project), *WATCHED)
    project.migration("f2", "f1", "\n".join(STATEMENTS))
    project.db("upgrade").assert_ok()
    said, transactions = ran(project)
    # a new table and its index wait for what comes next
    assert said[:3] == [
        "CREATE TABLE tag ( id SERIAL NOT NULL, n INTEGER, CONSTRAINT pk_tag PRIMARY KEY (id) )",
        "CREATE INDEX ix_tag ON tag (n)",
        "CREATE INDEX CONCURRENTLY ix_n ON post (n)",
    ]
    assert transactions[0] == transactions[1]
    assert len(set(transactions[1:])) == len(transactions) - 1
    for statement in said[2:]:
        assert not statement.startswith("CREATE INDEX") or "CONCURRENTLY" in statement
        assert "FOREIGN KEY" not in statement or statement.endswith("NOT VALID")
    assert sum("VALIDATE" in statement for statement in said) == 7


@pytest.mark.parametrize(
    ("rows", "operation", "sentence"),
    [
        ("UPDATE post SET n = NULL WHERE id = 7", "op.alter_column('post', 'n', nullable=False)",
         "1 of its rows"),
        ("UPDATE post SET title = 't1' WHERE id = 7", "op.create_unique_constraint('u', 'post', ['title'])",
         "'t1' 2 times"),
        ("UPDATE post SET team_id = 9 WHERE id = 7",
         "op.create_foreign_key('fk', 'post', 'team', ['team_id'], ['id'])", "point to nothing in team"),
        ("UPDATE post SET n = -1 WHERE id = 7", "op.create_check_constraint('ck', 'post', 'n > 0')",
         "1 of its rows break it"),
        ("UPDATE post SET n = NULL WHERE id = 7",
         "op.create_primary_key('pk', 'post', ['team_id', 'id', 'n'])",
         "1 of its rows"),
    ],
    ids=["NOT NULL", "UNIQUE", "FOREIGN KEY", "CHECK", "PRIMARY KEY"],
)  # fmt: skip
def test_what_rows_refuse_leaves_no_half_behind(project, rows, operation, sentence):
    """A CHECK that is NOT VALID would already refuse what the running release writes."""
    before = content(url_of(project))[0]
    clients.run(url_of(project), rows)
    project.migration("f2", "f1", f"{operation}\nop.create_index('ix_n', 'post', ['n'])")
    project.db("upgrade").assert_one_sentence(sentence, "what this revision did is undone")
    assert content(url_of(project))[0] == before
    clients.run(url_of(project), "DELETE FROM post WHERE id = 7")
    project.db("upgrade").assert_ok()
    assert clients.rows(url_of(project), "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [
        (0,)
    ]


IN_PARTS = (
    "CREATE TABLE log (id int, at date) PARTITION BY RANGE (at)",
    "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
    "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') "
    "PARTITION BY RANGE (at)",
    "CREATE TABLE log_3 PARTITION OF log_2 FOR VALUES FROM ('2026-02-01') TO ('2026-02-10')",
    "INSERT INTO team VALUES (2)",
    "INSERT INTO log VALUES (1, '2026-01-01'), (2, '2026-02-01')",
)


def test_partitions_get_their_indexes_one_by_one(project):
    url = url_of(project)
    clients.run(url, *IN_PARTS, *WATCHED)
    project.migration("f2", "f1", "op.create_index('ix_log', 'log', ['id'])")
    project.db("upgrade").assert_ok()
    assert clients.rows(url, "SELECT count(*), bool_and(indisvalid) FROM pg_index "
        "WHERE indrelid::regclass::text ~ '^log' AND indkey::text = '1'") == [(4, True)]  # fmt: skip
    said, _ = ran(project)
    assert [one.split(" ON ")[1] for one in said if one.startswith("CREATE")] == [
        "ONLY log (id)",
        "log_1 (id)",
        "ONLY log_2 (id)",
        "log_3 (id)",
    ]


KEYS_OF_PARTS = {
    "u": "op.create_unique_constraint({name}, 'log', ['id', 'at'])",
    "p": "op.create_primary_key({name}, 'log', ['id', 'at'])",
    "f": "op.create_foreign_key({name}, 'log', 'team', ['id'], ['id'])",
}


@pytest.mark.one_of_each
@pytest.mark.parametrize("name", ["'of_log'", "None"], ids=["named", "unnamed"])
@pytest.mark.parametrize("kind", KEYS_OF_PARTS)
def test_partitions_get_their_keys_one_by_one(project, kind, name):
    url = url_of(project)
    clients.run(url, *IN_PARTS, *WATCHED)
    project.migration("f2", "f1", KEYS_OF_PARTS[kind].format(name=name))
    project.db("upgrade").assert_ok()
    found = (
        "SELECT count(*), bool_and(convalidated), count(nullif(conparentid, 0)) FROM pg_constraint "
    )
    found += f"WHERE conrelid::regclass::text ~ '^log' AND contype = '{kind}'"
    assert clients.rows(url, found) == [(4, True, 3)]
    said, transactions = ran(project)
    assert len(set(transactions)) == len(transactions)
    for part in ("log_1", "log_3"):
        wanted = "NOT VALID" if kind == "f" else f"CONCURRENTLY .* ON {part} "
        assert any(re.search(wanted, one) and part in one for one in said), said
    # what reads every row does so in a part alone, and with a lock that nobody feels
    assert not re.search("SET NOT NULL|UNIQUE|PRIMARY", said[0]) or "ONLY log" in said[0]


@pytest.mark.parametrize("kind", KEYS_OF_PARTS)
def test_a_row_of_the_last_part_leaves_no_half_behind(project, kind):
    url = url_of(project)
    row = "(9, '2026-02-02')" if kind == "f" else "(2, '2026-02-01')"
    clients.run(url, *IN_PARTS, f"INSERT INTO log VALUES {row}")
    before = content(url)[0]
    project.migration("f2", "f1", KEYS_OF_PARTS[kind].format(name="'of_log'"))
    project.db("upgrade").assert_one_sentence("what this revision did is undone")
    assert content(url)[0] == before
    clients.run(
        url, f"DELETE FROM log WHERE (id, at) = {row}", "INSERT INTO log VALUES (2, '2026-02-01')"
    )
    project.db("upgrade").assert_ok()


@pytest.mark.some(2)
@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        ("op.alter_column('post', 'n', type_=sa.BigInteger())", "n changes from INTEGER to BIGINT"),
        ("op.create_exclude_constraint('ex', 'post', ('n', '='), using='btree')", "exclusion constraint"),
        ("op.add_column('post', sa.Column('two', sa.Integer, sa.Computed('n * 2', persisted=True)))",
         "every row gets a value in two"),
    ],
    ids=["type", "exclude", "stored"],
)  # fmt: skip
def test_what_has_no_safe_form_is_said_before_anything_runs(project, operation, sentence):
    many = "INSERT INTO post SELECT i, i, 't', 1 FROM generate_series(100, 1200) AS i"
    clients.run(url_of(project), many)
    file = project.migration("f2", "f1", f"op.create_index('ix_n', 'post', ['n'])\n{operation}")
    said = project.db("upgrade").assert_one_sentence(
        sentence, "line", "nothing was changed", "# lint:"
    )
    assert clients.rows(url_of(project), "SELECT to_regclass('ix_n')::text") == [(None,)]
    rule = said.err.split("# lint: ")[1].split()[0]
    file.write_text(file.read_text() + f"\n# lint: {rule} because nobody is there at night\n")
    project.db("upgrade").assert_ok()


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        ("op.alter_column('post', 'n', new_column_name='m')", "renames post.n to m"),
        ("op.rename_table('post', 'article')", "renames post to article"),
    ],
)
def test_a_new_name_is_said_and_given(project, operation, sentence):
    """Nobody waits for it; whether a release reads the old one, only its people know."""
    project.migration("f2", "f1", operation)
    assert sentence in project.db("upgrade").assert_ok().err


def test_the_plan_names_the_forms(project):
    project.migration("f2", "f1", "\n".join(STATEMENTS))
    said = project.db("upgrade", "--plan").assert_ok().out
    assert "post: its index ix_n is built CONCURRENTLY" in said
    assert "post: FOREIGN KEY fk_team NOT VALID, then VALIDATE" in said
    assert "ix_tag" not in said
    printed = project.db("upgrade", "--sql").assert_ok().out
    assert "These are the plain statements, for whose locks others wait" in printed


def test_the_plan_names_an_update_of_many_rows_and_what_to_write_instead(project):
    clients.run(
        url_of(project),
        "INSERT INTO post (id, n) SELECT i, i FROM generate_series(100, 1200) AS i",
    )
    batches = (
        "import flask_keel\nt = sa.table('post', sa.column('n'), sa.column('title'))\n"
        "flask_keel.backfill(t, t.c.title.is_(None), {'title': 'x'})"
    )
    project.migration("f2", "f1", "op.create_primary_key('pk', 'post', ['id'])")
    project.migration("f3", "f2", "op.execute('UPDATE post SET n = 1 WHERE n > 1')")
    project.migration("f4", "f3", "op.execute('UPDATE post SET n = 2 WHERE id < 9')")
    project.migration("f5", "f4", batches)
    said = project.db("upgrade", "--plan").assert_ok().out
    assert "post: one UPDATE locks 1130 rows until it ends, flask_keel.backfill a few" in said
    assert said.count("one UPDATE") == 1


def test_lint_and_proof_know_the_forms(project):
    plain = [one for one in STATEMENTS if "op.execute" not in one]
    body = "\n".join([*plain, "op.execute('CREATE INDEX ix_own ON post (n)')"])
    project.migration("f2", "f1", body, "pass  # irreversible because of the test")
    (found,) = [
        one
        for one in json.loads(project.db("check", "--json").out)["migrations"]
        if one["revision"] == "f2"
    ]
    # what the file says in SQL of its own runs as it stands there
    locks = [one for one in found["findings"] if "takes a lock" in one["what"]]
    assert [one["rule"] for one in locks] == ["require-concurrent-index-creation"]
    assert locks[0]["line"] > max(one["line"] for one in found["findings"] if one not in locks)
    assert not [one for one in found["findings"] if "blocks the running release" in one["what"]]
    assert found["proof"]["ok"]
    (seen,) = [one for one in found["proof"]["lines"] if "Lock of post" in one]
    assert seen.startswith("takes AccessExclusiveLock of post: ALTER TABLE post")


def test_a_fill_is_written_in_batches(new_project, postgresql_server):
    """One UPDATE of many rows holds them for as long as it takes."""
    project = new_project(starter="bare", database="postgresql")
    with databases.fresh(postgresql_server) as url:
        project.env["DEV_DATABASE_URL"] = url
        _fills(project)


def _fills(project):
    key = "id: Mapped[int] = mapped_column(primary_key=True)"
    project.model("note", key)
    project.db("migrate").assert_ok()
    project.db("upgrade").assert_ok()
    clients.run(url_of(project), "INSERT INTO note SELECT i FROM generate_series(1, 3000) AS i")
    project.model("note", f"{key}\nstars: Mapped[int]")
    project.db("migrate", "-x", "fill=note.stars:3").assert_ok()
    written = max(project.versions.glob("*.py"), key=lambda path: path.stat().st_mtime).read_text()
    assert "flask_keel.backfill(" in written and "op.execute" not in written, written
    project.db("upgrade").assert_ok()
    assert clients.rows(url_of(project), "SELECT DISTINCT stars FROM note") == [(3,)]


def test_a_server_that_is_no_postgresql_is_named_before_anything_runs(project):
    """As CockroachDB and YugabyteDB say it: by their version."""
    url = url_of(project)
    name = make_url(url).database
    said = "CREATE FUNCTION public.version() RETURNS text LANGUAGE sql AS $$ SELECT 'CockroachDB CCL v24' $$"
    clients.run(url, said, f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
    project.migration("f2", "f1", "op.create_index('ix_n', 'post', ['n'])")
    project.db("upgrade").assert_one_sentence("is CockroachDB", "nothing was changed")
    assert clients.rows(url, "SELECT version_num FROM alembic_version") == [("f1",)]
