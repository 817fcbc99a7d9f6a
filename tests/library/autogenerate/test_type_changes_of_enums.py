"""PostgreSQL's enum types are made, changed and dropped with the columns that use them."""

import databases
import pytest
import revising
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
