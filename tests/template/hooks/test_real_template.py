"""The whole template, for what holds however its files change."""

import json
import zipfile

import pytest

from keel_answers.extension import BEGIN, DERIVE, REFUSE
from keel_answers.left_out import LEFT_OUT
from keel_answers.origin import LINKS, lost_links

from .miniature import PROJECT, ROOT

QUESTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))


def test_the_links_point_at_the_two_files_above():
    assert lost_links(ROOT) == []
    for link, target in LINKS.items():
        place = ROOT / PROJECT / link
        assert place.is_symlink() and str(place.readlink()) == target


def test_each_template_in_the_questions_is_known_to_the_extension():
    texts = {text for text in QUESTIONS.values() if isinstance(text, str)}
    assert {text for text in texts if "<<" in text} == {BEGIN, DERIVE, REFUSE}
    assert next(iter(QUESTIONS)) == "__answers", "answers before it would be rendered"
    asked = [key for key in QUESTIONS if not key.startswith("_")]
    assert list(QUESTIONS).index("__checked") > list(QUESTIONS).index(asked[-1])


@pytest.mark.parametrize("pattern", [p for group in LEFT_OUT.values() for p in group])
def test_each_file_that_an_answer_leaves_out_is_there(pattern):
    assert list((ROOT / PROJECT).glob(pattern.rstrip("/"))), pattern


def test_no_input_gives_a_project_without_a_mark_of_the_template(bakery):
    bakery.generate(ROOT)
    project = bakery.output / "my-app"
    for path in project.rglob("*"):
        assert not any(mark in str(path.relative_to(project)) for mark in ("<<", "<%", "<#"))
        if path.is_file() and path.suffix != ".whl":
            text = path.read_text(encoding="utf-8")
            assert not any(mark in text for mark in ("<<", "<%", "<#")), path


def test_the_wheel_holds_the_library_byte_for_byte(bakery):
    bakery.generate(ROOT)
    (wheel,) = (bakery.output / "my-app/vendor").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        theirs = {
            name: archive.read(name) for name in archive.namelist() if "dist-info" not in name
        }
    library = ROOT / "src"
    ours = {
        str(path.relative_to(library)): path.read_bytes()
        for path in library.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert theirs == ours
