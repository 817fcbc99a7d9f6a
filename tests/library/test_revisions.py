"""Revisions that are read without Alembic are the ones that Alembic reads."""

import random

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from flask_keel import revisions

FORMS = [
    'revision = "{0}"\ndown_revision = {1}\nbranch_labels = None\ndepends_on = None\n',
    "revision = '{0}'\ndown_revision = {1}\n",
    'from typing import Sequence, Union\n\nrevision: str = "{0}"\n'
    "down_revision: Union[str, Sequence[str], None] = {1}\n"
    "branch_labels: Union[str, Sequence[str], None] = None\ndepends_on = None\n",
    "down_revision = {1}  # the one before\nrevision = '{0}'  # this one\n",
]
BODY = "\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
ODD = {
    "a name that is computed": "revision = 'a' + 'b'\ndown_revision = None\n",
    "a second name": "revision = 'a'\nrevision = 'b'\ndown_revision = None\n",
    "a name that is set later": "revision = 'a'\ndown_revision = None\n"
    + BODY
    + "\nrevision = 'b'\n",
    "several lines": "revision = 'a'\ndown_revision = (\n    None\n)\n",
    "a dependency on nobody": "revision = 'a'\ndown_revision = None\ndepends_on = 'b'\n",
    "a label that is computed": "revision = 'a'\ndown_revision = None\nbranch_labels = ('x',) * 2\n",
    "a name that is no text": "revision = 'a'\ndown_revision = (1, 2)\n",
    "nobody below": "revision = 'a'\ndown_revision = 'gone'\n",
    "no name": "down_revision = None\n",
    "another coding": "# -*- coding: latin-1 -*-\nrevision = 'a'\ndown_revision = None\n",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "versions").mkdir()
    (tmp_path / "alembic.ini").write_text("[alembic]\n")
    (tmp_path / "env.py").write_text("")
    return tmp_path


def write(folder, name, text):
    (folder / "versions" / f"{name}.py").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("seed", range(12))
def test_any_history_has_the_heads_that_alembic_finds(folder, seed):
    draw = random.Random(seed)
    made: list[str] = []
    for number in range(draw.randint(1, 30)):
        name = f"{number:04x}{draw.randrange(16**6):06x}"
        below = draw.sample(made, min(len(made), draw.choice([0, 1, 1, 1, 1, 2])))
        down = repr(below[0]) if len(below) == 1 else repr(tuple(below) or None)
        write(
            folder,
            f"{name}_x",
            f'"""Number {number}."""\n\n{draw.choice(FORMS).format(name, down)}{BODY}',
        )
        made.append(name)
    known = revisions.read(folder)
    theirs = ScriptDirectory(str(folder))
    assert set(known) == {script.revision for script in theirs.walk_revisions()}
    assert revisions.heads_of(known) == set(theirs.get_heads())


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_is_not_plain_is_left_to_alembic(folder, text):
    write(folder, "odd", text if "def upgrade" in text else text + BODY)
    assert revisions.read(folder) is None


def test_two_files_of_one_revision_are_left_to_alembic(folder):
    for name in ("a", "b"):
        write(folder, name, "revision = 'a'\ndown_revision = None\n" + BODY)
    assert revisions.read(folder) is None


def test_labels_and_dependencies_are_read(folder):
    write(folder, "a", "revision = 'a'\ndown_revision = None\nbranch_labels = ('x',)\n" + BODY)
    write(folder, "b", "revision = 'b'\ndown_revision = None\ndepends_on = 'a'\n" + BODY)
    known = revisions.read(folder)
    assert known["a"].labels == ("x",)
    assert known["b"].below == ("a",)


@pytest.mark.parametrize(
    ("separator", "between"),
    [("os", ":"), ("space", " "), ("newline", "\n  "), (":", ":"), (";", "; "), (None, ", ")],
)
@pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning")
def test_a_history_in_several_folders_is_the_one_that_alembic_finds(folder, separator, between):
    (folder / "more").mkdir()
    (folder / "more" / "b.py").write_text("revision = 'b'\ndown_revision = 'a'\n" + BODY)
    write(folder, "a", "revision = 'a'\ndown_revision = None\n" + BODY)
    said = f"path_separator = {separator}\n" if separator else ""
    locations = between.join(["%(here)s/versions", "%(here)s/more"])
    (folder / "alembic.ini").write_text(f"[alembic]\n{said}version_locations = {locations}\n")
    config = Config(folder / "alembic.ini")
    config.set_main_option("script_location", str(folder))
    theirs = ScriptDirectory.from_config(config)
    assert set(revisions.read(folder)) == {one.revision for one in theirs.walk_revisions()}


@pytest.mark.parametrize(
    "said",
    [
        "version_locations = package:folder",
        "version_locations = %(here)s/gone",
        "path_separator = tab\nversion_locations = %(here)s/versions",
        "version_locations = %(here)s/versions %(here)s/versions",
        "recursive_version_locations = true",
        "sourceless = true",
    ],
)
def test_folders_that_are_not_plain_are_left_to_alembic(folder, said):
    write(folder, "a", "revision = 'a'\ndown_revision = None\n" + BODY)
    (folder / "alembic.ini").write_text(f"[alembic]\n{said}\n")
    assert revisions.read(folder) is None


def test_a_history_that_goes_in_a_circle_is_left_to_alembic(folder):
    write(folder, "a", "revision = 'a'\ndown_revision = 'b'\n" + BODY)
    write(folder, "b", "revision = 'b'\ndown_revision = 'a'\n" + BODY)
    write(folder, "c", "revision = 'c'\ndown_revision = None\n" + BODY)
    assert revisions.read(folder) is None
