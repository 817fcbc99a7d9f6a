"""What an answer may be, rule by rule."""

import ast
import json
import keyword
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keel_answers import rules
from keel_answers.rules import module_name, problems
from keel_answers.taken import COMMANDS, DEPENDENCIES, FOLDERS

from .miniature import ROOT

QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "module",
    ["my_app", "a", "app", "blog2", "match", "case", "x" * 100, "flaskr", "my_flask", "tested"],
)
def test_a_usable_module_passes(module):
    assert problems({"module": module}) == []


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("my-app", "is not a Python name"),
        ("my app", "is not a Python name"),
        ("2048", "is not a Python name"),
        ("a.b", "is not a Python name"),
        ("../up", "is not a Python name"),
        ("a\nb", "holds a control character"),
        ("MyApp", "is not in lower-case ASCII"),
        ("café", "is not in lower-case ASCII"),
        ("ﬁne", "is not in lower-case ASCII"),
        ("_hidden", "is not in lower-case ASCII"),
        ("__init__", "is not in lower-case ASCII"),
        ("class", "is a Python keyword"),
        ("async", "is a Python keyword"),
        ("json", "is a module of Python's standard library"),
        ("email", "is a module of Python's standard library"),
        ("tomllib", "is a module of Python's standard library"),
        ("distutils", "is a module of Python's standard library"),
        ("flask", "is the import name of Flask"),
        ("flask_migrate", "is the import name of Flask-Migrate"),
        ("yaml", "is the import name of PyYAML"),
        ("tests", "is the name of a folder of the project"),
        ("migrations", "is the name of the folder of the migrations"),
        ("flask_keel", "is the import name of flask-keel, which the project installs"),
        ("db", "is the name of the project's database command"),
        ("manage", "is the name of the script bin/manage.py"),
        ("dist", "that pytest, ruff and git skip"),
        ("x" * 101, "has more than 100 characters"),
        ("<<7*7>>", "holds <<, which begins a template"),
        (None, "is not a text"),
    ],
)
def test_an_unusable_module_is_refused_with_its_reason(module, reason):
    (sentence,) = problems({"module": module})
    assert sentence.startswith("module: ") and reason in sentence


@pytest.mark.parametrize(
    "project", ["my-app", "a", "7", "2048-clone", "My.App_2", "flaskr", "db-app", "x" * 100]
)
def test_a_usable_project_passes(project):
    assert problems({"project": project}) == []


@pytest.mark.parametrize(
    ("project", "reason"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("a/b", "looks like a path"),
        ("/tmp/x", "looks like a path"),
        ("a\\b", "looks like a path"),
        ("..", "looks like a path"),
        ("../up", "looks like a path"),
        (".", "looks like a path"),
        (".hidden", "looks like a path"),
        ("~", "looks like a path"),
        ("~root", "looks like a path"),
        ("-rf", "is no name for a package"),
        ("my app", "is no name for a package"),
        ("my-app-", "is no name for a package"),
        ("my-app.", "is no name for a package"),
        ("café", "is no name for a package"),
        ("a$(id)", "is no name for a package"),
        ("my-app\n", "holds a control character"),
        ("a\x1b[31m", "holds a control character"),
        ("a\x7f", "holds a control character"),
        ("x" * 101, "has more than 100 characters"),
        ("flask", "is the name of a package that the project installs (Flask)"),
        ("Flask_Migrate", "is the name of a package that the project installs (Flask-Migrate)"),
        ("db", "is the name of a command that the project uses"),
        ("DB", "is the name of a command that the project uses"),
        ("make", "is the name of a command that the project uses"),
        ("python3.11", "is the name of a command that the project uses"),
        ("a<%b", "holds <%, which begins a template"),
        (["a"], "is not a text"),
    ],
)
def test_an_unusable_project_is_refused_with_its_reason(project, reason):
    (sentence,) = problems({"project": project})
    assert sentence.startswith("project: ") and reason in sentence


@pytest.mark.parametrize("key", rules.TEXTS)
@pytest.mark.parametrize(
    "text",
    ["", "it's \"quoted\" \\ {braces} {{ x }} {% y %} $(id) `id` ${HOME}", "a\nb\r\nc\td",
     "日本語 é 🙂", "a >> b %> c #> d", "'''\"\"\"", "<script>", "\x7f\x85\u2028"],
)  # fmt: skip
def test_a_text_may_hold_anything_else(key, text):
    assert problems({key: text}) == []


@pytest.mark.parametrize("key", rules.TEXTS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a << b", "holds <<"),
        ("<%", "holds <%"),
        ("<# note #>", "holds <#"),
        ("a\0b", "NUL"),
        ("a\udcff", "not UTF-8"),
    ],
)
def test_a_text_that_no_file_could_hold_is_refused(key, text, reason):
    (sentence,) = problems({key: text})
    assert reason in sentence and "\n" not in sentence and "\0" not in sentence


def test_a_choice_outside_of_the_choices_is_refused():
    assert problems({"license": "GPL"}) == [
        "license: 'GPL' is not one of MIT, BSD-3-Clause, Apache-2.0, none; type license=MIT"
    ]


def test_every_bad_answer_gets_one_line_in_the_order_of_the_questions():
    found = problems(
        {"email": "<<", "module": "class", "starter": "x", "project": "", "author": "fine"}
    )
    assert [line.split(":")[0] for line in found] == ["project", "module", "email", "starter"]


@pytest.mark.parametrize("key", ["project", "module"])
@given(answer=st.one_of(st.text(), st.sampled_from([*FOLDERS, *DEPENDENCIES, *COMMANDS])))
@settings(max_examples=30, deadline=None)
def test_what_a_refusal_says_to_type_is_accepted(key, answer):
    for sentence in problems({key: answer}):
        assert "\n" not in sentence
        proposal = sentence.rpartition(f"; type {key}=")[2]
        assert problems({key: proposal}) == []


@given(answer=st.text(alphabet=st.characters(codec="ascii"), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_an_accepted_module_can_be_imported_by_its_name(answer):
    if not problems({"module": answer}):
        ast.parse(f"import {answer}\nfrom {answer}.models import thing")


def test_every_keyword_and_every_standard_module_of_this_python_is_refused():
    for name in [*keyword.kwlist, *sys.stdlib_module_names]:
        assert problems({"module": name}), name


def test_the_questions_are_those_of_the_rules():
    asked = [key for key in QUESTIONS if not key.startswith("_")]
    assert tuple(asked) == rules.QUESTIONS
    assert {key: tuple(QUESTIONS[key]) for key in rules.CHOICES} == rules.CHOICES
    assert set(QUESTIONS["__prompts__"]) == set(asked)


def test_the_defaults_pass():
    defaults = {key: QUESTIONS[key] for key in ("project", *rules.TEXTS)}
    defaults["module"] = module_name(defaults["project"])
    assert problems(defaults) == []


@pytest.mark.parametrize(
    ("project", "module"), [("My-App", "my_app"), ("my app.x", "my_app_x"), ("keel", "keel")]
)
def test_the_module_is_derived_from_the_project(project, module):
    assert module_name(project) == module
