"""Revisions that are read without Alembic are the ones that Alembic reads."""

import random

import pytest
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
    "a label": "revision = 'a'\ndown_revision = None\nbranch_labels = ('x',)\n",
    "a dependency": "revision = 'a'\ndown_revision = None\ndepends_on = 'b'\n",
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


def test_a_history_in_other_folders_is_left_to_alembic(folder):
    (folder / "alembic.ini").write_text("[alembic]\nversion_locations = %(here)s/a %(here)s/b\n")
    assert revisions.read(folder) is None


def test_a_history_that_goes_in_a_circle_is_left_to_alembic(folder):
    write(folder, "a", "revision = 'a'\ndown_revision = 'b'\n" + BODY)
    write(folder, "b", "revision = 'b'\ndown_revision = 'a'\n" + BODY)
    write(folder, "c", "revision = 'c'\ndown_revision = None\n" + BODY)
    assert revisions.read(folder) is None
