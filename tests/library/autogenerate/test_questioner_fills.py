"""The grammar of fill=, and what is said without an answer or with a wrong one."""

import re
import shlex

import projects
import pytest
import revising
from alembic.util import CommandError
from revising import KEY

from flask_keel.autogenerate import questioner
from flask_keel.autogenerate.questioner import Fill

NOTE = KEY + "title: Mapped[str]\nbody: Mapped[str | None]\n"


@pytest.mark.parametrize(
    "typed, fills",
    [
        ("post.slug:none", {"post.slug": Fill("none")}),
        ("post.slug:", {"post.slug": Fill("")}),
        ("post.slug:a:b, c,d", {"post.slug": Fill("a:b, c,d")}),
        ("post.slug:=lower(title)", {"post.slug": Fill("lower(title)", True)}),
        ("post.slug: =x", {"post.slug": Fill(" =x")}),
        ("post.slug:a,post.n:3", {"post.slug": Fill("a"), "post.n": Fill("3")}),
        ("post.slug:a, post.n:3", {"post.slug": Fill("a, post.n:3")}),
        ("post.slug:=f(a,b),post.n:", {"post.slug": Fill("f(a,b)", True), "post.n": Fill("")}),
        ("s.post.slug:a\nb", {"s.post.slug": Fill("a\nb")}),
        ("my post.a-slug:a,my post.a n:3", {"my post.a-slug": Fill("a"), "my post.a n": Fill("3")}),
        ('post.json:{"a":1,"b.c":2}', {"post.json": Fill('{"a":1,"b.c":2}')}),
    ],
)
def test_an_answer_is_literal_text_up_to_the_next_column_and_colon(typed, fills):
    assert questioner.read([f"fill={typed}"]).fills == fills


@pytest.mark.parametrize("typed", ["", "slug:x", "post.slug", "post.slug=x", ",post.slug:x"])
def test_what_is_no_answer_is_said(typed):
    with pytest.raises(CommandError, match="cannot be read"):
        questioner.read([f"fill={typed}"])


def test_two_answers_for_one_column_are_said():
    with pytest.raises(CommandError, match=r"post\.slug twice"):
        questioner.read(["fill=post.slug:a", "fill=post.slug:b"])


def test_the_applications_own_arguments_are_left_alone():
    assert questioner.read(["tenant=a", "verbose"]) == questioner.Answers()


@pytest.fixture(scope="module")
def grown_once(generated, tmp_path_factory):
    bare = projects.copy(generated(starter="bare"), tmp_path_factory.mktemp("grown"))
    bare.model("note", NOTE)
    revising.applied(bare)
    revising.execute(bare, "INSERT INTO note (title) VALUES ('A'), ('B')")
    bare.model(
        "note",
        KEY + "title: Mapped[str]\ntext: Mapped[str | None]\n"
        "slug: Mapped[str] = mapped_column(unique=True)\n"
        "mood: Mapped[str] = mapped_column(default='so $o')\n"
        "stars: Mapped[int]\n",
    )
    return bare


@pytest.fixture
def grown(grown_once, tmp_path):
    """A project whose note got columns that may not be NULL."""
    return projects.copy(grown_once, tmp_path / "grown")


def test_without_an_answer_the_text_to_type_is_said_and_works(grown):
    before = revising.files(grown)
    renamed = "rename=note.body:text"
    answer = grown.db("migrate", "-m", "more", "-x", renamed)
    typed = f"make newmigration m=more {renamed} fill='note.slug:=id,note.mood:so $o,note.stars:0'"
    answer.assert_one_sentence("note.slug, note.mood, note.stars", typed)
    assert revising.files(grown) == before

    words = [word for word in shlex.split(typed)[2:] if not word.startswith("m=")]
    arguments = [part for word in words for part in ("-x", word)]
    revising.applied(grown, "-m", "more", *arguments)
    found = revising.rows(grown, "SELECT slug, mood, stars FROM note ORDER BY id")
    assert found == [("1", "so $o", 0), ("2", "so $o", 0)]
    revising.down_and_up(grown)


def test_what_is_said_of_names_with_blanks_and_hyphens_works_too(bare):
    odd = "__tablename__ = 'my note'\n" + KEY
    bare.model("note", odd)
    revising.applied(bare)
    revising.execute(bare, 'INSERT INTO "my note" (id) VALUES (1)')
    bare.model("note", odd + "new: Mapped[int] = mapped_column('is-new')\n")
    said = bare.db("migrate").err
    (answer,) = (word for word in shlex.split(said) if word.startswith("fill="))
    assert answer == "fill=my note.is-new:0"
    revising.applied(bare, "-x", answer)
    assert revising.rows(bare, 'SELECT "is-new" FROM "my note"') == [(0,)]


@pytest.mark.parametrize(
    "fill, words",
    [
        ("note.slog:x", ["note.slog", "note.slug", "note.mood", "note.stars"]),
        ("note.title:x", ["note.title is about nothing"]),
        ("note.stars:many", ["'many' is no value for note.stars", "a whole number"]),
        ("note.slug", ["cannot be read"]),
        ("note.slug:a,note.slug:b", ["note.slug twice"]),
        ("note.slug:a,note.stars:1", ["note.slug is unique, and 'a'", "fill=note.slug:=id"]),
    ],
)
def test_an_answer_that_fits_nothing_is_a_sentence(grown, fill, words):
    before = revising.files(grown)
    arguments = ["-x", "rename=note.body:text", "-x", f"fill={fill}"]
    grown.db("migrate", *arguments).assert_one_sentence(*words)
    assert revising.files(grown) == before


@pytest.mark.some(4)
@pytest.mark.parametrize(
    "type_, typed, wanted",
    [
        ("sa.String(5)", "longer", "text of at most 5 characters"),
        ("sa.SmallInteger", "40000", "a whole number from -32768 to 32767"),
        ("sa.Integer", "-2147483649", "a whole number from -2147483648 to 2147483647"),
        ("sa.Numeric(5, 2)", "1234", "at most 3 digits before the point and 2 after it"),
        ("sa.Numeric(5, 2)", "1.234", "at most 3 digits before the point and 2 after it"),
        ("sa.Numeric(5, 2)", "NaN", "at most 3 digits before the point and 2 after it"),
        ("sa.Float", "inf", "a number"),
        ("sa.Enum('a', 'b', native_enum=False)", "c", "one of a, b"),
    ],
)
def test_a_value_that_does_not_fit_into_the_column_is_said_on_sqlite_too(
    bare, type_, typed, wanted
):
    bare.model("note", NOTE)
    bare.new_migration()
    before = revising.files(bare)
    bare.model("note", NOTE + f"more: Mapped[object] = mapped_column({type_}, nullable=False)\n")
    answer = bare.db("migrate", "-x", f"fill=note.more:{typed}")
    answer.assert_one_sentence(f"{typed!r} is no value for note.more: give", wanted)
    assert revising.files(bare) == before


def test_a_value_has_to_fit_the_column_before_and_after_a_change_of_its_type(bare):
    bare.model("note", NOTE + "more: Mapped[str | None] = mapped_column(sa.String(9))\n")
    bare.new_migration()
    bare.model("note", NOTE + "more: Mapped[str] = mapped_column(sa.String(5))\n")
    answer = bare.db("migrate", "-x", "fill=note.more:longer")
    answer.assert_one_sentence("text of at most 5 characters")


def test_one_value_for_the_nulls_of_a_unique_column_is_refused(bare):
    code = "code: Mapped[str{}] = mapped_column(sa.String(9), unique=True)\n"
    bare.model("note", NOTE + code.format(" | None"))
    bare.new_migration()
    before = revising.files(bare)
    bare.model("note", NOTE + code.format(""))
    answer = bare.db("migrate", "-x", "fill=note.code:x")
    answer.assert_one_sentence("note.code is unique, and 'x' would stand in every row")
    assert revising.files(bare) == before
    assert bare.new_migration("-x", "fill=note.code:=id")


def test_a_unique_column_s_own_default_is_not_what_is_typed_for_it(bare):
    bare.model("note", NOTE)
    bare.new_migration()
    bare.model("note", NOTE + "more: Mapped[str] = mapped_column(unique=True, default='x')\n")
    answer = bare.db("migrate").assert_one_sentence("fill=note.more:=id")
    assert "note.more:x" not in answer.said


MORE = [
    "sa.Uuid",
    "sa.Uuid, unique=True",
    "sa.String(2)",
    "sa.String(3), default='much'",
    "sa.Numeric(3, 1), default=10.25",
    "sa.LargeBinary",
    "sa.JSON, default={'a': [1]}",
    "sa.Enum('a', 'b', native_enum=False)",
    "sa.Interval",
    "sa.Time",
    "sa.ForeignKey('note.id')",
    "sa.ForeignKey('note.id'), unique=True",
]


def test_what_is_said_to_type_is_taken(bare):
    bare.model("note", NOTE)
    bare.new_migration()
    more = (
        f"more_{number}: Mapped[object] = mapped_column({column}, nullable=False)\n"
        for number, column in enumerate(MORE)
    )
    bare.model("note", NOTE + "".join(more))
    names = (f"note.more_{number}" for number in range(len(MORE)))
    answer = bare.db("migrate").assert_one_sentence(*names)
    typed = re.search(r"type make newmigration (.*) \(after the colon", answer.err)[1]
    again = bare.db("migrate", *(part for word in shlex.split(typed) for part in ("-x", word)))
    assert "is no value" not in again.err and "cannot be read" not in again.err
    assert len(revising.files(bare)) == 2


def test_a_column_with_a_default_needs_no_answer(bare):
    bare.model("note", NOTE)
    revising.applied(bare)
    revising.execute(bare, "INSERT INTO note (title) VALUES ('A')")
    bare.model("note", NOTE + "stars: Mapped[int] = mapped_column(server_default='5')\n")
    revising.applied(bare)
    assert revising.rows(bare, "SELECT stars FROM note") == [(5,)]
    revising.down_and_up(bare)


def test_a_question_takes_text_or_an_expression_and_asks_again_for_what_is_no_value(grown):
    keys = ["\n", "\n", "=lower(title)\n", "\n", "many\n", "4\n"]
    arguments = [*grown.manage, "db", "migrate"]
    answer = revising.at_terminal(grown, *arguments, keys=keys).assert_ok()
    assert answer.out.count("An empty answer is no value for note.slug: type text, or =") == 1
    assert "note.stars is new and may not be NULL" in answer.out
    assert (
        "(a whole number from -2147483648 to 2147483647, or = and an SQL expression)" in answer.out
    )
    assert "'many' is no value" in answer.out
    grown.db("upgrade").assert_ok()
    found = revising.rows(grown, "SELECT slug, mood, stars FROM note ORDER BY id")
    assert found == [("a", "so $o", 4), ("b", "so $o", 4)]


def test_make_hands_the_answers_over_as_they_were_typed(grown):
    folder = grown.path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "db").write_text(f'#!/bin/sh\nexec {shlex.join(grown.manage)} db "$@"\n')
    (folder / "db").chmod(0o755)
    (grown.path / ".venv" / ".installed").touch()
    odd = "a$b #c 'd' \"e\" $(f) `g` \\n, h:i"
    grown.run(
        "make",
        "newmigration",
        "m=odd",
        "rename=note.body:text",
        f"fill=note.mood:{odd},note.slug:=id || '$x',note.stars:1",
    ).assert_ok()
    grown.db("upgrade").assert_ok()
    assert revising.rows(grown, "SELECT mood, slug FROM note") == [(odd, "1$x"), (odd, "2$x")]
