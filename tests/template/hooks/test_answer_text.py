"""How an answer is written into a file: the same text comes back, and nothing else happens."""

import ast
import json
import tomllib

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keel_answers.text import as_json, package_author, quoted

# surrogates are refused before; everything else that Unicode has is fair
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(text=TEXTS)
@example("\x00\x01\x1b\x7f\x80\x85\x9f\xa0\u2028\u2029\ufeff\u202e\u200d\U000e0001🙂\\\"'")
@example("a\r\nb\rc\td\x0b\x0c")
@settings(max_examples=300, deadline=None)
def test_a_quoted_text_is_the_same_in_python_and_in_toml(text):
    literal = quoted(text)
    assert ast.literal_eval(literal) == text
    assert tomllib.loads(f"a = {literal}") == {"a": text}
    assert len(literal.splitlines()) == 1


@given(text=TEXTS)
@settings(max_examples=100, deadline=None)
def test_a_quoted_text_is_the_same_in_yaml(text):
    assert yaml.safe_load(f"a: {quoted(text)}") == {"a": text}


def test_letters_of_other_languages_stay_readable():
    assert quoted("é 日本語 🙂") == '"é 日本語 🙂"'


def test_a_lone_surrogate_is_refused():
    with pytest.raises(ValueError, match="U\\+DCFF"):
        quoted("a\udcff")


@given(answers=st.dictionaries(TEXTS, TEXTS))
@settings(max_examples=50, deadline=None)
def test_json_is_read_back_the_same(answers):
    assert json.loads(as_json(answers)) == answers


@pytest.mark.parametrize(
    ("author", "email", "entry"),
    [
        ("Ann", "ann@example.com", '{ name = "Ann", email = "ann@example.com" }'),
        ('Ann "A" O\'Neil', "", '{ name = "Ann \\"A\\" O\'Neil" }'),
        ("", "ann@example.com", '{ email = "ann@example.com" }'),
        ("Ann\nBob", "ann@example.com", '{ email = "ann@example.com" }'),
        ("Ann", 'q"uo\\te $(id)', '{ name = "Ann" }'),
        ("Ann", "a..b@example.com", '{ name = "Ann" }'),
        ("Ann", "a@b\n", '{ name = "Ann" }'),
        ("Ann", "é@example.com", '{ name = "Ann" }'),
        ("\n", "nobody", ""),
    ],
)
def test_what_a_build_tool_could_not_use_is_left_out_of_the_author(author, email, entry):
    assert package_author(author, email) == entry
    assert not entry or tomllib.loads(f"authors = [{entry}]")
