"""The grammar of fill=, and what is said without an answer or with a wrong one."""

import shlex

import pytest
import revising
from alembic.util import CommandError
from revising import KEY

from flask_keel.revise import answers
from flask_keel.revise.answers import Fill

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
    ],
)
def test_an_answer_is_literal_text_up_to_the_next_column_and_colon(typed, fills):
    assert answers.read([f"fill={typed}"]).fills == fills


@pytest.mark.parametrize("typed", ["", "slug:x", "post.slug", "post.slug=x", ",post.slug:x"])
def test_what_is_no_answer_is_said(typed):
    with pytest.raises(CommandError, match="cannot be read"):
        answers.read([f"fill={typed}"])


def test_two_answers_for_one_column_are_said():
    with pytest.raises(CommandError, match=r"post\.slug twice"):
        answers.read(["fill=post.slug:a", "fill=post.slug:b"])


def test_the_applications_own_arguments_are_left_alone():
    assert answers.read(["tenant=a", "verbose"]) == answers.Answers()


@pytest.fixture
def grown(bare):
    """A project whose note got columns that may not be NULL."""
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


@pytest.mark.parametrize(
    "fill, words",
    [
        ("note.slog:x", ["note.slog", "note.slug", "note.mood", "note.stars"]),
        ("note.title:x", ["note.title is about nothing"]),
        ("note.stars:many", ["'many' is no value for note.stars", "a whole number"]),
        ("note.slug", ["cannot be read"]),
        ("note.slug:a,note.slug:b", ["note.slug twice"]),
    ],
)
def test_an_answer_that_fits_nothing_is_a_sentence(grown, fill, words):
    before = revising.files(grown)
    arguments = ["-x", "rename=note.body:text", "-x", f"fill={fill}"]
    grown.db("migrate", *arguments).assert_one_sentence(*words)
    assert revising.files(grown) == before


def test_a_column_with_a_default_needs_no_answer(bare):
    bare.model("note", NOTE)
    revising.applied(bare)
    revising.execute(bare, "INSERT INTO note (title) VALUES ('A')")
    bare.model("note", NOTE + "stars: Mapped[int] = mapped_column(server_default='5')\n")
    revising.applied(bare)
    assert revising.rows(bare, "SELECT stars FROM note") == [(5,)]
    revising.down_and_up(bare)


def test_a_question_takes_text_or_an_expression_and_asks_again_for_what_is_no_value(grown):
    keys = ["\n", "=lower(title)\n", "\n", "many\n", "4\n"]
    arguments = [*grown.manage, "db", "migrate"]
    answer = revising.at_terminal(grown, *arguments, keys=keys).assert_ok()
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
