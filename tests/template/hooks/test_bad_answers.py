"""Bad answers, given in every way there is: sentences, exit code 1, nothing on disk."""

import json
import re

import pytest


@pytest.mark.parametrize(
    "answers",
    [["project=<<7*7>>", "module=<<answers_are_text()>>", "description=<% if %>", "author=<#",
      "email=<<"],
     ["project=a << b", "description=<% raw %>", "author=<<cookiecutter.project>>",
      "email=<<module_name(cookiecutter.project)>>"],
     ["project=<<module_name(1)>>"]],
)  # fmt: skip
def test_a_template_in_an_answer_is_not_rendered_but_refused(template, bakery, answers):
    said = bakery.refuse(template, "--no-input", *answers)
    for key, _, text in (answer.partition("=") for answer in answers):
        mark = text[text.index("<") :][:2]
        assert f"{key}: {text!r} holds {mark}, which begins a template" in said


def test_an_answer_that_repeats_the_check_itself_is_refused(template, bakery):
    said = bakery.refuse(template, "--no-input", "description=<<refuse_bad_answers()>>")
    assert "'<<refuse_bad_answers()>>', holds <<, which begins a template" in said


@pytest.mark.parametrize(
    "project, module",
    [("", "class"), ("../up", "json"), ("-x", "flask"), ("my app", "tests"), ("db", "Ünï")],
)
def test_bad_names_are_refused(template, bakery, project, module):
    said = bakery.refuse(template, "--no-input", f"project={project}", f"module={module}")
    for line in ("project", "module"):
        assert re.search(rf"^  {line}: .*; type {line}=", said, re.MULTILINE), said


def test_every_problem_is_listed_at_once(template, bakery):
    said = bakery.refuse(
        template, "--no-input", "project=a/b", "module=class", "description=<<x>>", "email=<%"
    )
    assert said.splitlines() == [
        "4 answers cannot be used, and nothing was written:",
        "  project: 'a/b' looks like a path, and it has to be a name (-o says in which folder it"
        " goes); type project=a-b",
        "  module: 'class' is a Python keyword; type module=class_app",
        "  description: '<<x>>' holds <<, which begins a template; type description=... without it",
        "  email: '<%' holds <%, which begins a template; type email=... without it",
    ]


def test_nothing_of_a_refused_answer_is_kept_for_a_replay(template, bakery):
    bakery.refuse(template, "--no-input", "project=a/b")
    assert not list(bakery.home.rglob("*"))


def test_bytes_that_are_not_utf_8_are_refused(template, bakery):
    said = bakery.refuse(template, "--no-input", b"author=a\xff")
    assert "author: 'a\\udcff' holds something that is not UTF-8" in said


def test_a_terminal_that_cannot_show_a_letter_still_gets_the_sentence(template, bakery):
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    said = bakery.refuse(template, "--no-input", "project=café", environment=ascii_only)
    assert "project: 'caf\\xe9' is no name for a package" in said


def test_answers_typed_at_the_prompts_are_checked(template, bakery):
    said = bakery.refuse(template, typed="my app\nclass\na << b\n\n\n\n\n\n")
    assert "3 answers cannot be used" in said
    assert "description: 'a << b' holds <<" in said


def test_answers_from_a_configuration_file_are_checked(template, bakery, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(
        "default_context:\n  project: <<7*7>>\n  author: 5\n  email: null\n  module: [class, a]\n",
        encoding="utf-8",
    )
    said = bakery.refuse(template, "--no-input", "--config-file", config)
    assert "3 answers cannot be used" in said
    assert "project: '<<7*7>>'" in said and "module: 'class'" in said
    assert "email: None is not a text" in said


@pytest.fixture
def replay_file(template, bakery):
    """Generate a project and change its answers for a replay."""
    bakery.generate(template, "project=first")
    recorded = bakery.replay_folder / "keel.json"

    def change(**answers):
        context = json.loads(recorded.read_text(encoding="utf-8"))
        context["cookiecutter"].update(answers)
        recorded.write_text(json.dumps(context), encoding="utf-8")
        return recorded

    return change


def test_a_replay_gives_a_project(template, bakery, replay_file):
    replay_file(project="again", author='"\n{}')
    assert bakery.bake(template, "--replay").returncode == 0
    assert (bakery.output / "again" / "Makefile").is_file()


def test_answers_of_a_replay_are_checked(template, bakery, replay_file):
    replay_file(project="../up", module="<<7*7>>", license="GPL")
    said = bakery.refuse(template, "--replay")
    assert "3 answers cannot be used" in said and "license: 'GPL' is not one of MIT" in said


def test_answers_of_a_replay_file_are_checked(template, bakery, replay_file, tmp_path):
    copy = replay_file(email="<%").rename(tmp_path / "mine.json")
    said = bakery.refuse(template, "--replay-file", copy)
    assert "email: '<%' holds <%" in said


def test_a_replay_file_that_holds_the_answers_alone_is_checked_too(template, bakery, tmp_path):
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"cookiecutter": {"project": "a/b", "module": "ok"}}))
    said = bakery.refuse(template, "--replay-file", mine, typed="\n" * 8)
    assert "project: 'a/b' looks like a path" in said


def test_a_replay_without_the_checks_stops_at_the_last_door(template, bakery, replay_file):
    replay_file(project="other", _extensions=[])
    baked = bakery.bake(template, "--replay")
    assert baked.returncode == 1
    assert "This replay file does not name the template's own checks" in baked.stdout
    assert not (bakery.output / "other").exists()


def test_a_folder_that_cookiecutter_would_render_is_refused(template, bakery):
    folder = bakery.output / "a<<b"
    folder.mkdir()
    said = bakery.refuse(template, "--no-input", "-o", folder)
    assert "folder: " in said and "say another folder with -o FOLDER" in said


def test_a_choice_outside_of_the_choices_is_refused_in_cookiecutters_words(template, bakery):
    baked = bakery.bake(template, "--no-input", "license=GPL")
    assert baked.returncode == 1
    assert "the choices are ['MIT', 'BSD-3-Clause', 'Apache-2.0', 'none']" in baked.stdout
    assert not list(bakery.output.iterdir())
