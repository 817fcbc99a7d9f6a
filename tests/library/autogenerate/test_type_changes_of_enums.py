"""PostgreSQL's enum types are made, changed and dropped with the columns that use them."""

import clients
import databases
import pytest
import revising
import sqlalchemy as sa
from revising import KEY


@pytest.fixture
def project(new_project, postgresql_server):
    """A fresh bare project on PostgreSQL."""
    with databases.fresh(postgresql_server) as url:
        made = new_project(starter="bare", database="postgresql")
        made.env["DEV_DATABASE_URL"] = url
        yield made


def mood(*values, name="mood"):
    listed = ", ".join(map(repr, values))
    return f"{name}: Mapped[str | None] = mapped_column(sa.Enum({listed}, name='{name}'))\n"


def labels(project):
    query = "SELECT t.typname, e.enumlabel FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid"
    return revising.rows(project, query + " ORDER BY t.typname, e.enumsortorder")


@pytest.mark.long
def test_values_come_and_go_and_the_rows_live(project):
    project.model("note", KEY + "title: Mapped[str | None]\n")
    revising.applied(project)
    project.model("note", KEY + "title: Mapped[str | None]\n" + mood("good", "bad"))
    revising.applied(project)
    revising.execute(project, "INSERT INTO note (mood) VALUES ('good'), (NULL)")
    revising.down_and_up(project)
    assert labels(project) == [("mood", "good"), ("mood", "bad")]
    revising.execute(project, "UPDATE note SET mood = 'good' WHERE id = 1")

    project.model("note", KEY + "title: Mapped[str | None]\n" + mood("fair", "good", "bad", "odd"))
    revising.applied(project)
    assert [label for _, label in labels(project)] == ["fair", "good", "bad", "odd"]
    revising.down_and_up(project)

    project.model("note", KEY + "title: Mapped[str | None]\n" + mood("good", "odd"))
    text = revising.applied(project).read_text()
    assert "alembic_postgresql_enum" in text
    assert revising.rows(project, "SELECT mood FROM note ORDER BY id") == [("good",), (None,)]
    revising.down_and_up(project)

    project.model("note", KEY + "title: Mapped[str | None]\n")
    revising.applied(project)
    assert labels(project) == []
    revising.down_and_up(project)


ODD = ["it's", "a\\b", "\\:c", ":d e", "f::g", "5%", "h, i", ":joy:", '"q"', "$$", "%(j)s", "'"]


def test_values_that_sql_could_misread_come_and_go(project):
    def model(*values, default):
        listed = ", ".join(map(repr, values))
        project.model(
            "note",
            KEY + f"mood: Mapped[str | None] = mapped_column(sa.Enum({listed}, name='Mood: 5%'),"
            f"    server_default={default!r})\n"
            f"all: Mapped[list | None] = mapped_column(ARRAY(sa.Enum({listed}, name='Mood: 5%')))\n"
            "__table_args__ = (sa.Index('joys', 'id', postgresql_where=sa.text("
            "    \"mood = '\\\\:joy\\\\:'\")),)\n",
            imports="from sqlalchemy.dialects.postgresql import ARRAY",
        )

    def values():
        return [label for _, label in labels(project)]

    model(*ODD, default="it's")
    revising.applied(project)
    assert values() == ODD
    fill = 'INSERT INTO note (mood, "all") SELECT m, ARRAY[m] FROM unnest(enum_range(NULL::"{}")) m'
    revising.execute(project, fill.format("Mood: 5%%"))
    more = ["fine", *ODD[:3], "it's: :all\\:right", *ODD[3:]]
    model(*more, default="it's")
    revising.applied(project)
    assert values() == more
    revising.down_and_up(project)

    less = [*reversed(ODD), "'s"]
    model(*less, default="f::g")
    revising.applied(project)
    assert values() == less
    revising.execute(project, "INSERT INTO note DEFAULT VALUES")
    found = revising.rows(project, 'SELECT mood, "all"::text[] FROM note ORDER BY id')
    assert found == [*((value, [value]) for value in ODD), ("f::g", None)]
    revising.down_and_up(project)


@pytest.mark.drill
def test_values_that_sql_could_misread_come_and_go_on_mariadb(new_project, mariadb_server):
    def model(*values):
        listed = ", ".join(map(repr, values))
        column = f"mapped_column(sa.Enum({listed}), server_default=\"it's\", comment='5%')\n"
        project.model("note", KEY + f"mood: Mapped[str | None] = {column}")

    with databases.fresh(mariadb_server) as url, databases.fresh(mariadb_server) as twin:
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        model(*ODD[:7])
        revising.applied(project)
        revising.execute(project, "INSERT INTO note () VALUES ()")
        model(*ODD)
        assert "narrower" not in project.db("migrate").assert_ok().err
        project.db("upgrade").assert_ok()
        revising.down_and_up(project)
        mood = sa.table("note", sa.column("mood", sa.Enum(*ODD)))
        with databases.engine(url).begin() as connection:
            connection.execute(mood.insert(), [{"mood": value} for value in ODD])
            assert connection.scalars(sa.select(mood.c.mood)).all() == ["it's", *ODD]
        project.env["DEV_DATABASE_URL"] = twin
        clients.feed(twin, project.db("upgrade", "--sql").assert_ok().out)
        column = "SHOW COLUMNS FROM note LIKE 'mood'"
        assert clients.rows(twin, column) == clients.rows(url, column)


def test_an_enum_is_renamed_on_mariadb_and_becomes_a_text_with_a_check(new_project, mariadb_server):
    with databases.fresh(mariadb_server) as url:
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        project.model("note", KEY + mood("good", "bad"))
        revising.applied(project)
        revising.execute(project, "INSERT INTO note (mood) VALUES ('good'), (NULL)")
        text = mood("good", "bad").replace("')", "', native_enum=False, create_constraint=True)")
        project.model("note", KEY + text.replace("mood:", "temper:"))
        revising.applied(project, "-x", "rename=note.mood:temper")
        assert "varchar" in clients.rows(url, "SHOW COLUMNS FROM note LIKE 'temper'")[0][1]
        assert revising.rows(project, "SELECT temper FROM note ORDER BY id") == [("good",), (None,)]
        revising.down_and_up(project)


def changed(project, model):
    """Let a value come, and one go; give the state behind each, after up, down and up."""
    model("good", "bad")
    revising.applied(project)
    revising.execute(project, "INSERT INTO note (mood) VALUES ('good'), (NULL)")
    for values in (("good", "fair", "bad"), ("bad", "good")):
        model(*values)
        revising.applied(project)
        revising.down_and_up(project)
        assert [label for _, label in labels(project)] == [*values]
        yield


@pytest.mark.drill
def test_what_compares_with_a_value_stays_where_others_come_and_go(project):
    def model(*values):
        project.model(
            "note",
            KEY + mood(*values) + "__table_args__ = (\n"
            "    sa.CheckConstraint(\"mood <> 'bad' OR id > 0\", name='c'),\n"
            "    sa.Index('i', 'id', postgresql_where=sa.text(\"mood = 'good'\")),\n"
            "    postgresql.ExcludeConstraint(('id', '='), name='e', using='btree',\n"
            "        where=sa.text(\"mood = 'good'\")),\n"
            ")\n",
            "from sqlalchemy.dialects import postgresql",
        )

    for _ in changed(project, model):
        assert {"i", "e"} <= revising.names(project, "note")


@pytest.mark.drill
def test_what_is_computed_from_a_value_stays_where_others_come_and_go(project):
    def model(*values):
        project.model(
            "note",
            KEY + mood(*values) + "well: Mapped[bool | None] = mapped_column(\n"
            '    sa.Computed("mood = \'good\'", persisted=True), index=True, comment="it\'s"\n'
            ")\n"
            "__table_args__ = (sa.UniqueConstraint('well', 'id', name='u'),)\n",
        )

    for _ in changed(project, model):
        assert revising.rows(project, "SELECT well FROM note ORDER BY id") == [(True,), (None,)]
        assert revising.names(project, "note") == {"ix_note_well", "u"}


def test_a_text_becomes_an_enum_and_an_enum_is_renamed_with_its_column(project):
    project.model("note", KEY + "mood: Mapped[str | None]\n")
    revising.applied(project)
    revising.execute(project, "INSERT INTO note (mood) VALUES ('good'), (NULL)")
    project.model("note", KEY + mood("good", "bad"))
    revising.applied(project)
    revising.down_and_up(project)
    project.model("note", KEY + mood("good", "bad").replace("mood:", "temper:"))
    revising.applied(project, "-x", "rename=note.mood:temper")
    assert revising.rows(project, "SELECT temper FROM note ORDER BY id") == [("good",), (None,)]
    revising.down_and_up(project)


@pytest.mark.drill
def test_a_column_is_renamed_whose_enum_gets_a_value(project):
    body = "{}: Mapped[str{}] = mapped_column(sa.Enum({}, name='mood'))\n"
    project.model("note", KEY + body.format("mood", " | None", "'good'"))
    revising.applied(project)
    revising.execute(project, "INSERT INTO note (mood) VALUES ('good'), (NULL)")
    project.model("note", KEY + body.format("temper", "", "'good', 'new'"))
    revising.applied(project, "-x", "rename=note.mood:temper", "-x", "fill=note.temper:new")
    project.db("downgrade").assert_ok()
    assert revising.rows(project, "SELECT mood FROM note ORDER BY id") == [("good",), (None,)]
    project.db("upgrade").assert_ok()
    assert revising.rows(project, "SELECT temper FROM note ORDER BY id") == [("good",), ("new",)]


def test_a_new_enum_that_may_not_be_null_is_filled(project):
    project.model("note", KEY + "title: Mapped[str | None]\n")
    revising.applied(project)
    revising.execute(project, "INSERT INTO note (title) VALUES ('a')")
    project.model(
        "note",
        KEY + "title: Mapped[str | None]\n" + mood("good", "bad").replace("str | None", "str"),
    )
    project.db("migrate").assert_one_sentence("fill=note.mood:good")
    project.db("migrate", "-x", "fill=note.mood:worse").assert_one_sentence("one of good, bad")
    revising.applied(project, "-x", "fill=note.mood:bad")
    assert revising.rows(project, "SELECT mood FROM note") == [("bad",)]
    revising.down_and_up(project)


def test_a_type_that_a_history_of_sqlites_left_behind_goes_by_its_name(project):
    project.model("note", KEY)
    project.new_migration("-m", "note")
    head = (project.package / "migrations/head.txt").read_text().strip()
    kind = "op.execute(\"CREATE TYPE kind AS ENUM ('a')\")"
    project.migration("aaaa00000001", head, kind)
    assert project.new_migration().name.endswith("_drop_kind.py")


def test_only_projects_on_postgresql_depend_on_the_package(new_project):
    def required(project):
        text = (project.path / "pyproject.toml").read_text()
        return text.partition("[project.optional-dependencies]")[0]

    assert "flask-keel[postgresql]==" in required(
        new_project(starter="bare", database="postgresql")
    )
    sqlite = new_project(starter="bare")
    assert "flask-keel==" in required(sqlite)
    sqlite.model("note", KEY + mood("good", "bad"))
    assert "alembic_postgresql_enum" not in sqlite.new_migration().read_text()


@pytest.mark.some(1)
@pytest.mark.parametrize("use", ["default", "fill", "check"])
def test_a_new_value_is_used_by_the_migration_that_adds_it(project, use):
    """PostgreSQL wants it committed before."""
    project.model("note", KEY + mood("bad", "good"))
    revising.applied(project)
    revising.execute(project, "INSERT INTO note (mood) VALUES ('good'), (NULL)")
    body, arguments = KEY + mood("bad", "fair: 5%", "good"), []
    if use == "default":
        body = body.replace("name='mood')", "name='mood'), server_default='fair: 5%'")
    elif use == "fill":
        body = body.replace("str | None", "str")
        arguments = ["-x", "fill=note.mood:fair: 5%"]
    else:
        body += (
            "__table_args__ = (sa.CheckConstraint(\"mood <> 'fair: 5%' OR id > 0\", name='c'),)\n"
        )
    project.model("note", body)
    text = revising.applied(project, *arguments).read_text()
    assert "autocommit_block" in text
    assert [label for _, label in labels(project)] == ["bad", "fair: 5%", "good"]
    if use == "default":
        revising.execute(project, "INSERT INTO note DEFAULT VALUES")
        assert revising.rows(project, "SELECT mood FROM note WHERE id = 3") == [("fair: 5%",)]
        revising.execute(project, "DELETE FROM note WHERE id = 3")
    if use == "fill":
        revising.execute(project, "UPDATE note SET mood = 'good'")
    revising.down_and_up(project)
