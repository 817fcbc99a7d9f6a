"""`make update from=PATH`: another version of the library, and nothing else of the project."""

import shutil
import subprocess
import sys
import zipfile

import pytest
from projects import TEMPLATE

from .test_delivery import copy_of_the_template, vendored

pytestmark = pytest.mark.xdist_group("installed")


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    """A checkout of the template whose library is a later one."""
    template = copy_of_the_template(tmp_path_factory.mktemp("newer"))
    (template / "src/flask_keel/VERSION").write_text("9.8.7\n")
    return template


@pytest.fixture(scope="module", autouse=True)
def as_it_was(shared_installation):
    """Other tests use this installation too."""
    yield
    shared_installation.reset()
    shared_installation.make("install").assert_ok()


def tree(project):
    kept = (path for path in project.path.rglob("*") if path.is_file())
    outside = (".venv", ".git", "var", "__pycache__")
    return {
        str(path.relative_to(project.path)): path.read_bytes()
        for path in kept
        if not set(outside) & set(path.relative_to(project.path).parts)
    }


def test_a_newer_checkout_is_taken_in_one_step(application, newer):
    before, old = tree(application), vendored(application)
    application.make("update", f"from={newer}").assert_ok()
    new = vendored(application)
    assert new.name.startswith("flask_keel-9.8.7+k") and not old.exists()
    changed = {name for name, content in tree(application).items() if before.get(name) != content}
    assert changed == {"pyproject.toml", f"vendor/{new.name}", "uv.lock"}
    lock = (application.path / "uv.lock").read_text()
    assert new.name in lock and old.name not in lock
    text = (application.path / "pyproject.toml").read_text()
    assert text.count(new.name) == 1 and f"flask-keel=={new.name.split('-')[1]}" in text
    show = "import importlib.metadata as m; print(m.version('flask-keel'))"
    python = str(application.path / ".venv/bin/python")
    assert application.run(python, "-c", show).assert_ok().out.startswith("9.8.7+k")
    application.make("migrate").assert_ok()
    assert "nothing to do" in application.make("update", f"from={new}").assert_ok().out


def refused(project, source, *words):
    before = tree(project)
    answer = project.make("update", f"from={source}")
    assert answer.code != 0 and "Traceback" not in answer.said
    (said,) = (line for line in answer.err.splitlines() if line.startswith("Error: "))
    for word in words:
        assert word in said
    assert tree(project) == before


def test_what_is_no_wheel_of_flask_keel_is_refused(application, newer, tmp_path):
    refused(application, tmp_path / "nowhere", "neither a checkout of the template nor a wheel")
    refused(application, "", "Say which", "make update from=PATH")
    text = tmp_path / "flask_keel-9-py3-none-any.whl"
    text.write_text("not a zip")
    refused(
        application,
        text,
        "no whole wheel of flask-keel (File is not a zip file)",
        "nothing was changed",
    )
    other = tmp_path / "other-1-py3-none-any.whl"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr(
            "other-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: other\nVersion: 1\n"
        )
    refused(application, other, "no whole wheel of flask-keel (it is of something else)")


def test_a_wheel_that_was_tampered_with_is_refused(application, tmp_path):
    changed = tmp_path / vendored(application).name
    with zipfile.ZipFile(vendored(application)) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            more = b"\n# more\n" if name == "flask_keel/health.py" else b""
            target.writestr(name, source.read(name) + more)
    refused(application, changed, "does not hold what its RECORD says")


def test_a_library_that_lacks_what_a_migration_uses_is_refused(application, newer, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(newer, older, symlinks=True)
    package = older / "src/flask_keel/__init__.py"
    package.write_text(package.read_text().replace('    "backfill": "data",\n', ""))
    application.write(
        "my_app/migrations/versions/0001_rows.py",
        '"""rows"""\n\nimport flask_keel\n\nrevision = "0001"\ndown_revision = "8b27e4a9c610"\n\n\n'
        "def upgrade():\n    flask_keel.backfill(None, None, {})\n\n\ndef downgrade():\n    pass\n",
    )
    refused(application, older, "0001_rows.py uses flask_keel.backfill", "give a newer one")


def test_without_uv_it_is_said_that_the_lock_file_stays_behind(application, newer):
    before = (application.path / "uv.lock").read_bytes()
    python = str(application.path / ".venv/bin/python")
    answer = application.run(python, "-m", "flask_keel.update", "--", str(newer), PATH="/nowhere")
    assert "uv.lock names the older one: type uv lock" in answer.assert_ok().err
    assert (application.path / "uv.lock").read_bytes() == before
    assert application.typed("uv lock --check").code != 0


def test_the_library_is_updated_without_an_application(newer, tmp_path):
    """It has to work where the application does not start any more."""
    command = [sys.executable, "-m", "flask_keel.update", "--", str(newer)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1 and "pyproject.toml" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert newer != TEMPLATE
