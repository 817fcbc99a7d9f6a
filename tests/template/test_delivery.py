"""How the library reaches a project: a wheel in vendor/, and nothing else by that name."""

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import projects
import pytest
from installed import Installed, with_uv, without_uv
from projects import TEMPLATE

sys.path.append(str(TEMPLATE))
from keel_answers import wheel

pytestmark = pytest.mark.xdist_group("delivery")
# pip takes 25 s of processor for it


def vendored(project) -> Path:
    (found,) = (project.path / "vendor").glob("*.whl")
    return found


def copy_of_the_template(folder: Path) -> Path:
    """The files of the template that git knows, as they are now."""
    listed = subprocess.run(
        ["git", "-C", TEMPLATE, "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (TEMPLATE / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, folder / name, follow_symlinks=False)
    return folder


@pytest.fixture
def template(tmp_path):
    return copy_of_the_template(tmp_path / "template")


def bake(source: str, folder: Path, home: Path, *arguments: str) -> Path:
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", str(folder), source]
    env = {**os.environ, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([*command, *arguments], env=env, check=True, capture_output=True)
    (found,) = (folder / "my-app" / "vendor").iterdir()
    return found


def test_the_wheel_is_the_same_from_a_folder_a_tag_and_a_clone_that_was_kept(template, tmp_path):
    person = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        [*person, "commit", "-qm", "all"],
        ["tag", "v1"],
    ):
        subprocess.run(["git", "-C", template, *command], check=True)
    (template / "notes.txt").write_text("a dirty tree")
    (template / "src/flask_keel/__pycache__").mkdir(exist_ok=True)
    (template / "src/flask_keel/__pycache__/x.pyc").write_bytes(b"\0")
    home = tmp_path / "home"
    home.mkdir()
    from_folder = bake(str(template), tmp_path / "1", home)
    from_tag = bake(f"git+file://{template}", tmp_path / "2", home, "-c", "v1")
    kept = home / ".cookiecutters" / "template"
    from_clone = bake(str(kept), tmp_path / "3", home)
    assert from_folder.name == from_tag.name == from_clone.name
    assert from_folder.read_bytes() == from_tag.read_bytes() == from_clone.read_bytes()


def test_the_version_changes_with_the_library_and_with_nothing_else(template):
    before = wheel.version(template)
    (template / "README.md").write_text("another README")
    (template / "hooks/post_gen_project.py").write_text("")
    assert wheel.version(template) == before
    module = template / "src/flask_keel/health.py"
    module.write_text(module.read_text() + "\n")
    changed = wheel.version(template)
    assert changed != before
    with (template / "pyproject.toml").open("a") as file:
        file.write("\n[tool.other]\n")
    assert wheel.version(template) == changed
    text = (template / "pyproject.toml").read_text()
    (template / "pyproject.toml").write_text(text.replace('"Flask>=3.0,<4"', '"Flask>=3.2,<4"'))
    assert wheel.version(template) != changed


def test_metadata_says_what_pyproject_says(tmp_path):
    import tomllib
    from importlib.metadata import PathDistribution

    written = wheel.write(tmp_path)
    with zipfile.ZipFile(written) as archive:
        archive.extractall(tmp_path / "unpacked")
    (information,) = (tmp_path / "unpacked").glob("*.dist-info")
    metadata = PathDistribution(information).metadata
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"]]
    wanted += [f'{name}; extra == "{extra}"' for extra, names in extras.items() for name in names]
    assert metadata.get_all("Requires-Dist") == wanted
    assert metadata.get_all("Provides-Extra") == list(extras)
    assert metadata["Summary"] == project["description"]
    assert metadata["License-Expression"] == project["license"]
    assert metadata["Requires-Python"] == project["requires-python"]
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", written], check=True)


@contextmanager
def served(folder):
    """Give the URL of an index that is this folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def strangers(tmp_path):
    """An index that offers flask-keel 99, the vendored version without its label, and with it."""
    folder = tmp_path / "index" / "flask-keel"
    folder.mkdir(parents=True)
    number = wheel.version().partition("+")[0]
    for version in ("99", number):
        name = f"flask_keel-{version}-py3-none-any.whl"
        information = f"flask_keel-{version}.dist-info"
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("flask_keel/__init__.py", "raise SystemExit('a stranger')\n")
            archive.writestr(
                f"{information}/METADATA",
                f"Metadata-Version: 2.1\nName: flask-keel\nVersion: {version}\n",
            )
            archive.writestr(
                f"{information}/WHEEL",
                "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            archive.writestr(f"{information}/RECORD", "")
    file = wheel.write(tmp_path / "made")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(folder / file.name, "w") as target:
        for name in source.namelist():
            more = b"stranger.pth,,\n" if name.endswith("/RECORD") else b""
            target.writestr(name, source.read(name) + more)
        target.writestr("stranger.pth", "")
    with served(tmp_path / "index") as url:
        yield url


INSTALLERS = [
    "uv",
    *(pytest.param(one, marks=pytest.mark.drill) for one in ("pip", "pip of .venv alone")),
]


@pytest.mark.parametrize("installer", INSTALLERS)
def test_no_stranger_of_that_name_gets_in(installer, generated, strangers, tmp_path):
    path = with_uv() if installer == "uv" else without_uv(tmp_path / "bin")
    if installer == "pip of .venv alone":
        bare = tmp_path / "without pip"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
        path = os.pathsep.join([str(bare / "bin"), path])
    copy = projects.copy(generated(), tmp_path)
    project = Installed(copy.path, copy.module, {"PATH": path})
    offered = {"PIP_EXTRA_INDEX_URL": strangers, "UV_INDEX": f"strangers={strangers}"}
    project.make("install", **offered).assert_ok()
    answer = project.typed("db heads", **offered).assert_ok()
    assert "8b27e4a9c610 (head)" in answer.out
    show = "import importlib.metadata as m; print(m.version('flask-keel'))"
    python = str(project.path / ".venv/bin/python")
    installed = project.run(python, "-c", show).assert_ok().out.strip()
    assert installed == wheel.version()
    (site,) = (project.path / ".venv/lib").glob("python3*/site-packages")
    assert not (site / "stranger.pth").exists()
    # typed by hand, it gets in by its version; make sees it and puts it right
    by_hand = ["pip", "install", "--no-deps", f"flask-keel=={installed}"]
    forced = [*by_hand, "--refresh", "--reinstall"] if installer == "uv" else [*by_hand, "--force"]
    tool = ["uv"] if installer == "uv" else [python, "-m"]
    place = ["--python", python] if installer == "uv" else []
    project.run(*tool, *forced, *place, **offered).assert_ok()
    assert (site / "stranger.pth").exists()
    project.make("install", **offered).assert_ok()
    assert not (site / "stranger.pth").exists()


def changed_under_its_old_name(application):
    file, record = vendored(application), f"flask_keel-{wheel.version()}.dist-info/RECORD"
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    before = wheel._hash(members["flask_keel/health.py"])
    members["flask_keel/health.py"] += b"\nCHANGED = True\n"
    after = wheel._hash(members["flask_keel/health.py"])
    members[record] = members[record].replace(before.encode(), after.encode())
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def test_a_wheel_that_was_changed_under_its_old_name_is_not_what_was_locked(application):
    file = changed_under_its_old_name(application)
    answer = application.make("migrate")
    assert answer.code != 0 and not application.database.exists()
    (said,) = (line for line in answer.err.splitlines() if line.startswith("Error: "))
    assert f"vendor/{file.name} is not the file that uv.lock was written for" in said
    application.typed("uv lock --quiet -P flask-keel").assert_ok()
    application.make("migrate").assert_ok()
    assert application.revision


def test_a_wheel_that_was_changed_under_its_old_name_is_installed_by_the_next_target(application):
    changed_under_its_old_name(application)
    (application.path / "uv.lock").unlink()
    application.make("migrate").assert_ok()
    python = str(application.path / ".venv/bin/python")
    application.run(python, "-c", "from flask_keel.health import CHANGED").assert_ok()


def test_a_migration_is_made_safe_where_there_is_no_application(tmp_path):
    """In an environment that holds the library alone, and a folder that holds one file."""
    file = wheel.write(tmp_path / "wheels")
    uv = shutil.which("uv", path=with_uv())
    subprocess.run([uv, "venv", "--quiet", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", python, f"{file}[dev]"]
    subprocess.run(install, check=True)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "0001_mail.py").write_text(
        'from alembic import op\nimport sqlalchemy as sa\n\nrevision = "0001"\ndown_revision = None\n'
        '\n\ndef upgrade():\n    op.create_unique_constraint("uq_user_mail", "user", ["mail"])\n'
    )
    command = [python, "-m", "flask_keel.sqlite_safe"]
    env = {key: value for key, value in os.environ.items() if key not in projects.STRANGERS}
    env.pop("PYTHONPATH", None)
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # the first run compiles for the others

    def run(*arguments):
        asked = [*command, *arguments]
        return subprocess.run(asked, cwd=folder, env=env, capture_output=True, text=True)

    assert run("--check", "0001_mail.py").returncode == 1
    ran = run("0001_mail.py")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "0001_mail.py: made safe for SQLite\n"
    text = (folder / "0001_mail.py").read_text()
    assert 'with op.batch_alter_table("user"' in text and "create_unique_constraint" in text
    assert run("--check", "0001_mail.py").returncode == 0
    assert "give the path of a migration file" in run("nothing.py").stderr
    assert sorted(path.name for path in folder.iterdir()) == ["0001_mail.py"]
