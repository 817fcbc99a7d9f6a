"""A wheel in vendor/ that is missing, broken, a stranger's or too old: one sentence, nothing changed."""

import os
import shutil
import sys
import zipfile

import click
import pytest
from installed import Installed
from projects import TEMPLATE

from flask_keel import update

from .test_delivery import vendored
from .test_update import tree

sys.path.append(str(TEMPLATE))
from keel_answers import wheel

pytestmark = pytest.mark.xdist_group("installed")
TARGETS = ["install", "migrate"]


@pytest.fixture(scope="module", autouse=True)
def as_it_was(shared_installation):
    """Other tests use this installation too."""
    yield
    shared_installation.reset()
    shared_installation.make("install").assert_ok()


def rewritten(file, change):
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in change(members).items():
            archive.writestr(name, content)


def add_a_member(members):
    return members | {"keel.pth": b"import os\n"}


def add_a_line(members):
    return members | {"flask_keel/health.py": members["flask_keel/health.py"] + b"\nMORE = True\n"}


def of_something_else(members):
    files = {"other/__init__.py": b"", "other-1.dist-info/METADATA": b"Name: other\nVersion: 1\n"}
    return files | {"other-1.dist-info/RECORD": "".join(f"{name},,\n" for name in files).encode()}


def missing(file):
    file.unlink()


def folder_missing(file):
    shutil.rmtree(file.parent)


def no_zip(file):
    file.write_text("<html>404 not found</html>")


def cut_short(file):
    file.write_bytes(file.read_bytes()[:100_000])


def of_another_version(file):
    file.rename(file.with_name("flask_keel-9-py3-none-any.whl"))


def two(file):
    shutil.copy(file, file.with_name("flask_keel-9-py3-none-any.whl"))


def changed(change):
    return lambda file: rewritten(file, change)


BAD = {
    "missing": (missing, "it is not there"),
    "no folder": (folder_missing, "it is not there"),
    "no zip": (no_zip, "no whole wheel of flask-keel"),
    "cut short": (cut_short, "no whole wheel of flask-keel"),
    "of another version": (of_another_version, "holds vendor/flask_keel-9-py3-none-any.whl"),
    "two": (two, "and vendor/flask_keel-9-py3-none-any.whl"),
    "changed": (changed(add_a_line), "does not hold what its RECORD says"),
    "with more": (changed(add_a_member), "its RECORD is not of what it holds"),
    "of something else": (changed(of_something_else), "no whole wheel of flask-keel"),
}


@pytest.mark.some(3)
@pytest.mark.parametrize("bad", BAD)
def test_nothing_is_installed_from_a_bad_wheel(application, bad):
    spoil, words = BAD[bad]
    spoil(vendored(application))
    before = tree(application)
    os.utime(application.stamp, (0, 0))
    # what is installed already goes on working
    python = str(application.path / ".venv/bin/python")
    application.run(python, "-c", "import flask_keel.extension").assert_ok()
    for target in TARGETS:
        answer = application.make(target)
        assert answer.code != 0
        (said,) = (line for line in answer.err.splitlines() if line.startswith("Error: "))
        assert words in said and "make update from=PATH" in said
        assert "Traceback" not in answer.said
    assert tree(application) == before and application.stamp.stat().st_mtime == 0


@pytest.mark.parametrize("damage", ["the content", "how it is packed", "a mark that it is secret"])
def test_a_wheel_that_cannot_be_unpacked_is_refused(tmp_path, damage):
    file = wheel.write(tmp_path)
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        member, listed = archive.getinfo("flask_keel/health.py"), archive.start_dir
    if damage == "the content":
        content[member.header_offset + 30 + len(member.filename)] = 0xFF
    else:
        content[listed + (10 if damage == "how it is packed" else 8)] ^= 1
    file.write_bytes(content)
    with pytest.raises(click.ClickException, match="no whole wheel of flask-keel"):
        update.look(file)


@pytest.mark.some(1)
@pytest.mark.parametrize("bad", ["no folder", "cut short", "two"])
def test_an_update_mends_a_bad_wheel(application, tmp_path, bad):
    spoil, _ = BAD[bad]
    good = wheel.write(tmp_path / "good")
    spoil(vendored(application))
    application.make("update", f"from={good}").assert_ok()
    assert vendored(application).read_bytes() == good.read_bytes()
    application.make("migrate").assert_ok()


@pytest.mark.some(1)
@pytest.mark.parametrize(
    ("uses", "name"),
    [
        ("import flask_keel\nflask_keel.to_come()", "to_come"),
        ("import flask_keel as keel\nkeel.to_come()", "to_come"),
        ("from flask_keel import (\n    backfill as fill,\n    to_come,\n)", "to_come"),
        ("from flask_keel.later import something", "later"),
        ("import flask_keel.later", "later"),
    ],
)
def test_migrations_that_need_a_newer_one(application, tmp_path, uses, name):
    """An update to one that lacks it is refused; where it was put there by hand, a sentence says so."""
    application.write(
        "my_app/migrations/versions/0001_rows.py",
        f'"""rows"""\n\n{uses}\n\nrevision = "0001"\ndown_revision = "8b27e4a9c610"\n\n\n'
        "def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n",
    )
    before = tree(application)
    answer = application.make("update", f"from={wheel.write(tmp_path / 'good')}")
    (said,) = (line for line in answer.err.splitlines() if line.startswith("Error: "))
    assert f"0001_rows.py uses flask_keel.{name}, which flask-keel" in said
    assert tree(application) == before
    answer = application.db("upgrade").assert_one_sentence(
        "0001_rows.py, line", "it needs a newer flask-keel than", "make update from=PATH"
    )
    assert not application.database.exists()


def test_what_migrations_use_of_it_is_understood_however_it_is_written(application, tmp_path):
    application.write(
        "my_app/migrations/versions/0001_rows.py",
        '"""rows"""\nimport flask_keel as keel\nimport flask_keel.data\n'
        "from flask_keel import backfill as fill\nfrom flask_keel.data import is_rehearsal\n"
        'revision = "0001"\ndown_revision = "8b27e4a9c610"\n\n\n'
        "def upgrade():\n    assert keel.is_rehearsal is flask_keel.data.is_rehearsal is is_rehearsal"
        "\n    assert fill is keel.backfill\n\n\ndef downgrade():\n    pass\n",
    )
    odd = tmp_path / "keel.whl"
    wheel.write(tmp_path / "good").rename(odd)
    application.make("update", f"from={odd}").assert_ok()
    assert vendored(application).name == f"flask_keel-{wheel.version()}-py3-none-any.whl"
    application.make("migrate").assert_ok()


@pytest.mark.drill
def test_a_project_that_takes_it_from_an_index_needs_no_folder(application, tmp_path):
    """As README says: delete vendor/ and the lines that name it."""
    application.replace("pyproject.toml", f"flask-keel=={wheel.version()}", "flask-keel>=0.1")
    text = (application.path / "pyproject.toml").read_text()
    kept = [line for line in text.splitlines() if "vendor/flask_keel" not in line]
    (application.path / "pyproject.toml").write_text("\n".join(kept) + "\n")
    (application.path / "vendor").rename(tmp_path / "index")
    project = Installed(application.path, application.module, application.env)
    assert "pip install" in project.make("-n", "migrate").assert_ok().out
    project.make("migrate", UV_FIND_LINKS=str(tmp_path / "index")).assert_ok()
