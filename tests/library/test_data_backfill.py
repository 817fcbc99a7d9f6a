"""flask_keel.backfill: rows in batches, again after an interruption, committed where that is safe."""

import databases
import pytest
import revising
from revising import KEY
from sqlalchemy import make_url

NOTE = (
    KEY
    + "title: Mapped[str] = mapped_column(sa.String(40))\n"
    + "slug: Mapped[str | None] = mapped_column(sa.String(40))\n"
)
BACKFILL = (
    "note = sa.table('note', sa.column('title', sa.String), sa.column('slug', sa.String))\n"
    "done = flask_keel.backfill(\n"
    "    note, note.c.slug.is_(None), {'slug': sa.func.lower(note.c.title)}, batch=3\n"
    ")\n"
)


def with_rows(project, count=10):
    project.model("note", NOTE)
    file = revising.applied(project)
    values = ", ".join(f"('T{number}', NULL)" for number in range(count))
    revising.execute(project, f"INSERT INTO note (title, slug) VALUES {values}")
    return file.name.split("_")[0]


def by_hand(project, down, upgrade):
    file = project.migration("b00000000001", down, upgrade)
    text = file.read_text()
    file.write_text(
        text.replace(
            "from alembic import op\n",
            "from alembic import op\nimport flask_keel\n",
        )
    )


def slugs(project):
    return revising.rows(project, "SELECT slug FROM note ORDER BY id")


def test_all_rows_are_reached_and_none_twice(any_database):
    head = with_rows(any_database)
    by_hand(
        any_database, head, BACKFILL + "assert done == (0 if op.get_context().as_sql else 10), done"
    )
    assert "lower(" in any_database.db("upgrade", "--sql").assert_ok().out
    any_database.db("upgrade").assert_ok()
    assert slugs(any_database) == [(f"t{number}",) for number in range(10)]


def test_it_may_stand_in_an_autocommit_block(any_database):
    head = with_rows(any_database)
    inside = "".join(f"    {line}\n" for line in BACKFILL.splitlines())
    by_hand(any_database, head, f"with op.get_context().autocommit_block():\n{inside}")
    any_database.db("upgrade").assert_ok()
    assert slugs(any_database) == [(f"t{number}",) for number in range(10)]


def test_on_a_server_a_batch_stands_when_a_later_one_fails(new_project, server_url):
    kind = "mysql" if server_url.startswith("mysql") else "postgresql"
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = server_url
    head = with_rows(project)
    # one row that the new value does not fit stops it after two batches
    revising.execute(project, "UPDATE note SET title = 'T-far-too-long' WHERE id = 8")
    sql = "CASE WHEN id = 8 THEN NULL ELSE 'n' END"
    revising.execute(project, "ALTER TABLE note ADD COLUMN state VARCHAR(5) NOT NULL DEFAULT 'o'")
    by_hand(
        project,
        head,
        "note = sa.table('note', sa.column('state', sa.String))\n"
        f"flask_keel.backfill(note, note.c.state == 'o', {{'state': sa.literal_column({sql!r})}}, batch=3)",
    )
    project.db("upgrade").assert_one_sentence("b00000000001")
    query = "SELECT count(*) FROM note WHERE state = 'n'"
    assert revising.rows(project, query) == [(6,)]
    file = next(project.versions.glob("b0*"))
    file.write_text(file.read_text().replace("id = 8 THEN NULL", "id = 8 THEN 'm'"))
    project.db("upgrade").assert_ok()
    assert revising.rows(project, query) == [(9,)]


def test_after_other_changes_a_failure_leaves_nothing_on_postgresql(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.configure(ZERO_DOWNTIME=False)  # a revision is one transaction where it can be
        head = with_rows(project)
        by_hand(
            project,
            head,
            "op.add_column('note', sa.Column('more', sa.Integer))\n"
            + BACKFILL
            + "raise ValueError('no')",
        )
        project.db("upgrade").assert_one_sentence("no")
        assert slugs(project) == [(None,)] * 10
        assert "more" not in revising.columns(project, "note")


def test_keys_of_two_columns_and_tables_without_a_key(bare):
    bare.model("note", NOTE)
    bare.model(
        "pair",
        "a: Mapped[int] = mapped_column(primary_key=True)\n"
        "b: Mapped[str] = mapped_column(primary_key=True)\nslug: Mapped[str | None]\n",
    )
    head = revising.applied(bare).name.split("_")[0]
    values = ", ".join(f"({n % 3}, 'k{n}')" for n in range(11))
    revising.execute(
        bare, f"INSERT INTO pair (a, b) VALUES {values}", "CREATE TABLE bag (slug TEXT)"
    )
    revising.execute(bare, "INSERT INTO bag VALUES (NULL), ('x')")
    by_hand(
        bare,
        head,
        "pair = sa.table('pair', sa.column('slug'))\n"
        "assert flask_keel.backfill(pair, None, {'slug': 'p'}, batch=2) == 11\n"
        "bag = sa.table('bag', sa.column('slug'))\n"
        "if not flask_keel.is_rehearsal():\n"
        "    assert flask_keel.backfill(bag, bag.c.slug.is_(None), {'slug': 'b'}) == 1",
    )
    bare.db("upgrade").assert_ok()
    assert revising.rows(bare, "SELECT count(*) FROM pair WHERE slug = 'p'") == [(11,)]
    assert revising.rows(bare, "SELECT slug FROM bag ORDER BY slug") == [("b",), ("x",)]


def filled(project, column, key, rows, **env):
    """Fill a table that another tool made, whose key the migration lists with a type of its own."""
    project.migration("a00000000001", None, "pass")
    project.db("upgrade").assert_ok()
    values = ", ".join(f"({value})" for value in rows)
    made = f"CREATE TABLE bag (k {column} PRIMARY KEY, v INTEGER)"
    revising.execute(project, made, f"INSERT INTO bag (k) VALUES {values}")
    by_hand(
        project,
        "a00000000001",
        f"bag = sa.table('bag', {key}, sa.column('v'))\n"
        "if not flask_keel.is_rehearsal():\n"
        f"    assert flask_keel.backfill(bag, bag.c.v.is_(None), {{'v': 1}}, batch=2) == {len(rows)}",
    )
    project.db("upgrade", **env).assert_ok()
    assert revising.rows(project, "SELECT count(*) FROM bag WHERE v = 1") == [(len(rows),)]


UUIDS = [f"'{number:08}-0000-4000-8000-00000000000b'" for number in range(5)]


@pytest.mark.parametrize("rows", [["NULL", "NULL", "NULL", "'a'"], ["NULL", "'a'", "'b'"]])
def test_rows_whose_key_is_null_are_reached_where_sqlite_lets_it_be(bare, rows):
    filled(bare, "VARCHAR(9)", "sa.column('v2')", rows)


@pytest.mark.parametrize(
    "column, key, rows",
    [
        ("DATETIME", "sa.column('k', sa.DateTime)", ["'2020-01-01 00:00:00'", "'2020-01-02'"]),
        ("VARCHAR(36)", "sa.column('k', sa.Uuid)", UUIDS),
    ],
)
def test_a_key_that_is_written_otherwise_than_its_type_says_is_found_on_sqlite(
    bare, column, key, rows
):
    filled(bare, column, key, rows)


def test_a_key_that_is_larger_than_the_migration_says_is_found(any_database):
    filled(any_database, "BIGINT", "sa.column('k', sa.Integer)", ["1", "5000000000", "6000000000"])


WORDS = ["'sad'", "'ok'", "'glad'", "'angry'", "'zen'"]


@pytest.mark.some(3)
@pytest.mark.parametrize(
    "column, rows",
    [
        (f"ENUM({', '.join(WORDS)})", WORDS),
        ("BIT(8)", ["1", "2", "130", "255"]),
        ("FLOAT", ["0.3", "1e-5", "16777217", "3.14159274"]),
        ("FLOAT(10, 2)", ["0.1", "0.3", "16777.21"]),
        ("TIME(6)", ["'-00:00:01.5'", "'-10:00:05'", "'838:59:59'", "'10:00:00.000001'"]),
    ],
)
def test_a_key_of_mariadb_is_compared_in_the_order_in_which_it_is_read(
    new_project, mariadb_server, column, rows
):
    with databases.fresh(mariadb_server) as url:
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        filled(project, column, "sa.column('v2')", rows)


@pytest.mark.some(3)
@pytest.mark.parametrize(
    "column, rows",
    [
        ("mood", ["'sad'", "'ok'", "'glad'"]),
        ("boolean", ["true", "false"]),
        ("inet", ["'10.0.0.2'", "'10.0.0.10'", "'10.0.0.0/8'", "'::1'"]),
        ("int4range", ["'[1,5)'", "'empty'", "'(,9)'"]),
        ("date", ["'infinity'", "'-infinity'", "'0044-01-01 BC'", "'2020-01-01'"]),
        ("time", ["'24:00'", "'10:00'", "'11:00'"]),
        ("jsonb", ["'1'", "'[1]'", "'null'", "'{}'"]),
        ("int[]", ["'{1}'", "'{1,2}'", "'{}'"]),
        ("place", ["'(9,b)'", "'(10,a)'", "'(10,)'"]),
        ("temper", ["'sad'", "'ok'", "'glad'"]),
        ("character(3)", ["'ab'", "'abc'", "'b'"]),
    ],
)
def test_a_key_of_postgresql_is_compared_as_what_it_is(
    new_project, postgresql_server, column, rows
):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        revising.execute(
            project,
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad')",
            "CREATE TYPE place AS (number integer, street text)",
            "CREATE DOMAIN temper AS mood",
        )
        filled(project, column, "sa.column('v2')", rows)


# a zone of its own, whose clocks go back by an hour at 01:00 UTC on 31 October 2021
CLOCKS_GO_BACK = (
    "REPLACE INTO mysql.time_zone VALUES (9001, 'N')",
    "REPLACE INTO mysql.time_zone_name VALUES ('Keel/Autumn', 9001)",
    "REPLACE INTO mysql.time_zone_transition VALUES (9001, 1616893200, 1), (9001, 1635642000, 0)",
    "REPLACE INTO mysql.time_zone_transition_type VALUES (9001, 0, 3600, 0, 'W'), (9001, 1, 7200, 1, 'S')",
)


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMP(6)", "DATETIME(6)"])
def test_the_rows_of_the_hour_that_comes_twice_are_reached_on_mariadb(
    new_project, mariadb_server, kind
):
    clock = [(30, 23), (31, 0), (31, 1), (31, 2)]
    moments = [
        f"'2021-10-{day} {hour:02}:{minute}:00'" for day, hour in clock for minute in (10, 50)
    ]
    with databases.fresh(mariadb_server) as url:
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        revising.execute(project, *CLOCKS_GO_BACK)
        there = make_url(url).update_query_dict({"init_command": "SET time_zone = 'Keel/Autumn'"})
        zoned = there.render_as_string(hide_password=False)
        filled(project, kind, "sa.column('v2')", moments, DEV_DATABASE_URL=zoned)


def test_each_row_is_changed_once_where_a_length_of_time_is_the_key(new_project, server_url):
    kind, length = (
        ("mysql", "TIME") if server_url.startswith("mysql") else ("postgresql", "interval")
    )
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = server_url
    project.migration("a00000000001", None, "pass")
    project.db("upgrade").assert_ok()
    values = ", ".join(f"('{hours}:00:01', {hours})" for hours in range(-4, 4))
    revising.execute(
        project,
        f"CREATE TABLE bag (k {length} PRIMARY KEY, w INTEGER, v INTEGER NOT NULL DEFAULT 0)",
        f"INSERT INTO bag (k, w) VALUES {values}",
    )
    by_hand(
        project,
        "a00000000001",
        "bag = sa.table('bag', sa.column('v'))\n"
        "more = sa.literal_column('CASE WHEN w = 3 THEN NULL ELSE v + 1 END')\n"
        "flask_keel.backfill(bag, None, {'v': more}, batch=2)",
    )
    project.db("upgrade").assert_one_sentence("b00000000001")
    assert revising.rows(project, "SELECT sum(v) FROM bag") == [(6,)]
    revising.execute(project, "UPDATE bag SET w = 0")
    project.db("upgrade").assert_ok()
    assert revising.rows(project, "SELECT v, count(*) FROM bag GROUP BY v") == [(1, 8)]


@pytest.mark.parametrize(
    "message, table, column", [("backfill slugs", "post", "slug"), ("users", "user", "name")]
)
def test_the_skeleton_runs_as_it_stands_and_changes_nothing(blog, message, table, column):
    file = blog.new_migration("-x", "empty=1", "-m", message)
    text = file.read_text()
    assert f"{table} = sa.table(" in text and f"sa.column('{column}'" in text
    assert "flask_keel.backfill(" in text and "models" not in text.partition("def upgrade")[0]
    assert "# irreversible because" in text.partition("def downgrade")[2]
    blog.db("rebuild").assert_ok()
    query = f"SELECT * FROM {table} ORDER BY id"
    before = revising.rows(blog, query)
    blog.db("downgrade").assert_ok()
    blog.db("upgrade").assert_ok()
    assert revising.rows(blog, query) == before
    revising.assert_nothing_left(blog)


def test_a_skeleton_needs_no_models(bare):
    bare.new_migration("-x", "empty=1", "-m", "nothing yet")
    bare.db("upgrade").assert_ok()
    bare.db("downgrade").assert_ok()
