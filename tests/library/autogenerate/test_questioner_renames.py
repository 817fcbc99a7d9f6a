"""Where nobody can be asked: the answers, and what is said without one."""

import shlex

import projects
import pytest
import revising
from revising import KEY

USER = KEY + "bio: Mapped[str | None] = mapped_column(sa.String(80))\nage: Mapped[int | None]\n"


@pytest.fixture(scope="module")
def renamed_once(generated, tmp_path_factory):
    bare = projects.copy(generated(starter="bare"), tmp_path_factory.mktemp("renamed"))
    bare.model("user", USER)
    revising.applied(bare)
    revising.execute(bare, "INSERT INTO user (bio, age) VALUES ('tall', 3)")
    bare.model(
        "user",
        KEY + "age: Mapped[int | None]\nabout: Mapped[str | None]\n"
        "profile_description: Mapped[str | None] = mapped_column(sa.String(80))\n",
    )
    return bare


@pytest.fixture
def renamed(renamed_once, tmp_path):
    """A project whose user.bio became profile_description, or about."""
    return projects.copy(renamed_once, tmp_path / "renamed")


def test_without_an_answer_no_file_is_written_and_the_text_to_type_is_said(renamed):
    before = revising.files(renamed)
    answer = renamed.db("migrate", "-m", "it's done")
    typed = "make newmigration m='it'\"'\"'s done' rename=user.bio:profile_description"
    both = "user.bio may have become user.profile_description or user.about"
    answer.assert_one_sentence(typed, "rename=none", both)
    assert revising.files(renamed) == before

    name, *words = shlex.split(typed)[1:]
    arguments = [part for word in words for part in ("-x", word) if not word.startswith("m=")]
    assert name == "newmigration"
    revising.applied(renamed, "-m", "it's done", *arguments)
    assert revising.rows(renamed, "SELECT profile_description, about FROM user") == [("tall", None)]
    revising.down_and_up(renamed)
    assert revising.rows(renamed, "SELECT profile_description, about FROM user") == [("tall", None)]


def test_a_plain_rename_is_native_on_sqlite(renamed):
    renamed.new_migration("-x", "rename=user.bio:profile_description")
    sql = renamed.db("upgrade", "--sql").assert_ok().out
    assert 'RENAME COLUMN "bio" TO "profile_description"' in sql
    assert "_new_" not in sql


def test_none_drops_the_column(renamed):
    text = renamed.new_migration("-x", "rename=none").read_text()
    assert "drop_column('bio')" in text.partition("def downgrade")[0]


def test_what_none_leaves_out_can_stand_beside_an_answer(renamed):
    renamed.replace(
        "my_app/models/user.py", "    age: Mapped[int | None]\n", "    old: Mapped[int | None]\n"
    )
    answer = renamed.db("migrate", "-x", "rename=user.age:old")
    answer.assert_one_sentence(
        "rename=user.age:old,user.bio:profile_description", "user.age:old,none"
    )
    upgrade = renamed.new_migration("-x", "rename=user.age:old,none").read_text()
    assert "new_column_name='old'" in upgrade and "drop_column('bio')" in upgrade


def test_types_of_another_family_are_renamed_only_when_asked_for(bare):
    bare.model("user", USER)
    revising.applied(bare)
    revising.execute(bare, "INSERT INTO user (bio, age) VALUES ('tall', 3)")
    bare.model("user", KEY + "bio: Mapped[str | None]\nborn: Mapped[date | None]\n")
    assert "drop_column('age')" in revising.applied(bare).read_text()
    bare.model("user", KEY + "bio: Mapped[str | None]\nyears: Mapped[str | None]\n")
    revising.applied(bare, "-x", "rename=user.born:years")
    assert revising.columns(bare, "user").keys() == {"id", "bio", "years"}


@pytest.mark.parametrize(
    "answers, words",
    [
        (["rename=user.boi:about"], ["user.boi:about", "user.bio", "user.profile_description"]),
        (["rename=user.bio:prof"], ["user.bio:prof", "user.bio", "user.about"]),
        (["rename=user.bio:about,user.bio:profile_description"], ["user.bio twice"]),
        (["rename=user.bio:about", "rename=user.bio:about"], ["user.bio twice"]),
        (["rename=user.bio:about,user.age:about"], ["about twice"]),
        (["rename=user.bio"], ["rename=user.bio cannot be read"]),
        (["rename="], ["cannot be read"]),
        (["rename=account:user"], ["account:user"]),
    ],
)
def test_an_answer_that_fits_nothing_is_a_sentence_with_what_there_is(renamed, answers, words):
    before = revising.files(renamed)
    arguments = [part for answer in answers for part in ("-x", answer)]
    renamed.db("migrate", *arguments).assert_one_sentence(*words)
    assert revising.files(renamed) == before


def test_a_table_with_like_columns_is_a_candidate(bare):
    bare.model("tag", KEY + "label: Mapped[str]\n")
    bare.model("user", USER)
    revising.applied(bare)
    (bare.package / "models" / "user.py").unlink()
    bare.model("account", USER.replace("bio", "words") + "mail: Mapped[str | None]\n")
    bare.model("log", KEY + "at: Mapped[datetime]\nsize: Mapped[float]\n")
    text = "rename=user:account,user.bio:words"
    bare.db("migrate").assert_one_sentence("user may have become account", text)
    revising.applied(bare, "-x", text)
    assert revising.columns(bare, "account").keys() == {"id", "words", "age", "mail"}
    revising.down_and_up(bare)


def test_a_database_without_scratch_is_left_as_it_was(new_project, postgresql_server):
    import databases
    from sqlalchemy import make_url

    with databases.fresh(postgresql_server) as url:
        name = make_url(url).database
        with databases.engine(postgresql_server).connect() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
            connection.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO {name}")
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = (
            make_url(url).set(username=name, password="x").render_as_string(hide_password=False)
        )
        project.model("note", KEY + "size: Mapped[str | None]\n")
        revising.applied(project)
        revising.execute(project, "INSERT INTO note (size) VALUES ('42')")
        project.model("note", KEY + "length: Mapped[str | None] = mapped_column(index=True)\n")
        project.new_migration("-x", "rename=note.size:length")
        assert revising.columns(project, "note").keys() == {"id", "size"}
        project.db("upgrade").assert_ok()
        assert revising.rows(project, "SELECT length FROM note") == [("42",)]
        revising.down_and_up(project)


def test_where_the_old_name_is_still_used_is_said(renamed):
    renamed.write("my_app/seed.py", "def seed(session):\n    session.add(User(bio='tall'))\n")
    renamed.write("my_app/templates/page.html", "{{ user.bio }}\n{{ user.biography }}\n")
    renamed.write("my_app/static/page.html", "bio\n")
    said = renamed.db("migrate", "-x", "rename=user.bio:about").assert_ok().err
    (line,) = [line for line in said.splitlines() if "still stands" in line]
    assert line == (
        "  bio still stands in my_app/seed.py:2, my_app/templates/page.html:1: "
        "is it the one that is now about?"
    )


def test_where_an_old_name_is_used_often_a_few_places_are_said(renamed):
    renamed.write("my_app/seed.py", "def seed(session):\n" + "    bio = 1\n" * 9)
    said = renamed.db("migrate", "-x", "rename=user.bio:about").assert_ok().err
    assert "bio still stands in my_app/seed.py:2, " in said
    assert "my_app/seed.py:5 and 5 more: is it" in said


def test_nothing_is_said_of_a_name_that_is_used_nowhere(renamed):
    said = renamed.db("migrate", "-x", "rename=user.bio:about").assert_ok().err
    assert "still stands" not in said


def test_two_columns_that_changed_places_are_a_sentence(renamed):
    answer = renamed.db("migrate", "-x", "rename=user.id:age,user.age:id")
    answer.assert_one_sentence(
        "That user.id and user.age changed places cannot be said", "make newmigration empty=1"
    )
