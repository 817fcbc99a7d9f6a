"""Text answers: whatever they hold, the files hold the same, and nothing is executed."""

import ast
import json
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cookiecutter.main import cookiecutter
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keel_answers.text import quoted

from .miniature import build_template

HOSTILE = [
    "it's \"quoted\"",
    "back\\slash \\n \\x41 \\",
    "{braces} {{ cookiecutter.project }} {% if %} {# #}",
    '$(touch owned) `touch owned` ${HOME} $$ %s %(x)s',
    "two\nlines",
    "carriage\r\nreturn\r",
    "tab\tand\x7fdel\x1b[31m",
    "日本語 é 🙂 \u2028 \u202e \ufeff",
    '"""); import os; os.system("touch owned") #',
    "'''",
    "a >> b %> c #> d <",
    "]\n[tool.evil]\nx = 1",
    "-f",
    " leading and trailing ",
    "<script>alert(1)</script>",
    "key=value=more",
]  # fmt: skip


def texts_of(project):
    """The three answers as each kind of file has them."""
    module = ast.parse((project / "my_app/__init__.py").read_bytes())
    python = {line.targets[0].id: ast.literal_eval(line.value) for line in module.body}
    toml = tomllib.loads((project / "about.toml").read_bytes().decode())
    answers = json.loads((project / ".cookiecutter.json").read_bytes())["answers"]
    kept = {key: answers[key] for key in ("description", "author", "email")}
    return python, toml, kept, (project / "README.md").read_bytes().decode()


def holds(project, description, author, email):
    texts = {"description": description, "author": author, "email": email}
    return texts_of(project) == (texts, texts, texts, description)


@pytest.mark.parametrize("first", range(0, len(HOSTILE), 3))
def test_hostile_texts_arrive_as_they_were_typed(template, bakery, first):
    texts = (HOSTILE + HOSTILE)[first : first + 3]
    answers = zip(("description", "author", "email"), texts, strict=True)
    bakery.generate(template, *(f"{key}={text}" for key, text in answers))
    assert holds(bakery.output / "my-app", *texts)
    assert not list(bakery.output.parent.rglob("owned"))


def test_a_hostile_text_from_a_configuration_file_arrives_too(template, bakery, tmp_path):
    config = tmp_path / "config.yaml"
    text = quoted("\n".join(HOSTILE))
    config.write_text(f"default_context:\n  author: {text}\n", encoding="utf-8")
    bakery.generate(template, "--config-file", config, "description=x", "email=y")
    assert holds(bakery.output / "my-app", "x", "\n".join(HOSTILE), "y")


def test_a_hostile_text_from_the_prompts_arrives_too(template, bakery):
    text = 'it\'s "a" \\ {{ b }} $(touch owned) [bold] é'
    baked = bakery.bake(template, typed=f"\n\n{text}\n{text}\n{text}\n\n\n\n")
    assert baked.returncode == 0, baked.stdout
    assert holds(bakery.output / "my-app", text, text, text)


@pytest.fixture(scope="module")
def one_template(tmp_path_factory):
    return build_template(tmp_path_factory.mktemp("once") / "keel")


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(description=TEXTS, author=TEXTS, email=TEXTS)
@settings(max_examples=12, deadline=None)
def test_any_text_arrives_as_it_was_given(one_template, description, author, email):
    answers = {"description": description, "author": author, "email": email}
    assume(not any(mark in text for mark in ("<<", "<%", "<#") for text in answers.values()))
    with TemporaryDirectory() as place:
        cookiecutter(
            str(one_template),
            no_input=True,
            extra_context=dict(answers),
            output_dir=place,
            default_config={"replay_dir": f"{place}/replay"},
            accept_hooks=False,
        )
        assert holds(Path(place) / "my-app", **answers)
