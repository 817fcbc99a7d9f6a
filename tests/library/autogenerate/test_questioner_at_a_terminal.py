"""At a terminal each rename is a question, and Return loses nothing."""

import pytest
import revising
from revising import KEY


@pytest.fixture
def renamed(bare):
    """A project whose user.bio became profile_description, or about."""
    bare.model("user", KEY + "bio: Mapped[str | None] = mapped_column(sa.String(80))\n")
    revising.applied(bare)
    revising.execute(bare, "INSERT INTO user (bio) VALUES ('tall')")
    bare.model(
        "user",
        KEY + "about: Mapped[str | None]\n"
        "profile_description: Mapped[str | None] = mapped_column(sa.String(80))\n",
    )
    return bare


def test_return_takes_the_likeliest(renamed):
    answer = revising.at_terminal(
        renamed, *renamed.manage, "db", "migrate", keys=["\n"]
    ).assert_ok()
    assert answer.out.index("user.profile_description: its values") < answer.out.index(
        "user.about: its values"
    )
    renamed.db("upgrade").assert_ok()
    assert revising.rows(renamed, "SELECT profile_description FROM user") == [("tall",)]


def test_another_choice_and_neither_can_be_picked(renamed):
    arguments = [*renamed.manage, "db", "migrate"]
    revising.at_terminal(renamed, *arguments, keys=["7\n", "2\n"]).assert_ok()
    (file,) = renamed.versions.glob("*rename_user_bio_to_about*")
    file.unlink()
    revising.at_terminal(renamed, *arguments, keys=["3\n"]).assert_ok()
    renamed.db("upgrade").assert_ok()
    assert revising.rows(renamed, "SELECT about, profile_description FROM user") == [(None, None)]


def test_ctrl_c_at_the_question_writes_no_file(renamed):
    before = revising.files(renamed)
    answer = revising.at_terminal(renamed, *renamed.manage, "db", "migrate", keys=["\x03"])
    assert answer.code == 1
    assert "Traceback" not in answer.out
    assert "Error: Stopped at the question: no file was written" in answer.out
    assert revising.files(renamed) == before


def test_the_answer_of_one_question_is_no_choice_of_the_next(bare):
    bare.model("user", KEY + "one: Mapped[str | None]\ntwo: Mapped[str | None]\n")
    revising.applied(bare)
    bare.model("user", KEY + "uno: Mapped[str | None]\ndue: Mapped[str | None]\n")
    arguments = [*bare.manage, "db", "migrate"]
    answer = revising.at_terminal(bare, *arguments, keys=["\n", "\n"]).assert_ok()
    second = answer.out.partition("two")[2] if "one went" in answer.out else answer.out
    assert "neither" in second
    text = next(bare.versions.glob("*rename*")).read_text()
    assert "drop_column" not in text
