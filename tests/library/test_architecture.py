"""The arrows between the rooms of the library point down, a server pays for none, tests have their names."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path

from projects import TEMPLATE

LIBRARY = TEMPLATE / "src" / "flask_keel"
TESTS = Path(__file__).parent


def test_imports_point_downwards_and_in_no_circle():
    lint = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([lint, "--no-cache"], cwd=TEMPLATE, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_two_modules_have_one_name():
    names = [path.stem for path in LIBRARY.rglob("*.py") if not path.stem.startswith("__")]
    packages = [path.parent.name for path in LIBRARY.rglob("__init__.py") if path.parent != LIBRARY]
    again = {name for name in names if names.count(name) > 1} | set(names) & set(packages)
    # a catalog reader has the name of its database, as Alembic's ddl/ has them
    assert again == {"sqlite"}


def test_neither_the_library_nor_a_server_imports_alembic_or_what_only_accounts_need(blog):
    look = "print([name for name in ('alembic', 'flask_admin', 'flask_security') if name in sys.modules])"
    for start in ("import sys, flask_keel", "import sys, my_app; my_app.create_app('dev.conf')"):
        answer = blog.run(sys.executable, "-c", f"{start}; {look}", PYTHONPATH=str(blog.path))
        assert answer.assert_ok().out == "[]\n"


def _rooms():
    """The folders of tests/library, each with the names that its files may begin with."""
    for folder in [TESTS, *(p for p in TESTS.rglob("*") if p.is_dir() and p.name != "__pycache__")]:
        room = LIBRARY / folder.relative_to(TESTS)
        if room.is_dir():
            rooms = [path for path in room.iterdir() if path.suffix == ".py" or path.is_dir()]
            yield folder, {room.name, *(path.stem for path in rooms)}
        else:
            assert room.with_suffix(".py").exists(), f"{folder}: the library has no such room"


def test_each_test_has_the_name_of_the_room_that_it_is_about():
    for folder, names in _rooms():
        for file in folder.glob("test_*.py"):
            words = file.stem.split("_")[1:]
            begun = {"_".join(words[:end]) for end in range(1, len(words) + 1)}
            assert begun & names or file.samefile(__file__), f"{file}: no room has that name"


def test_what_a_docstring_refers_to_is_there():
    for file in LIBRARY.rglob("*.py"):
        home = ".".join(file.relative_to(LIBRARY.parent).with_suffix("").parts)
        package = home.rpartition(".")[0]
        for name in re.findall(r":\w+:`~?(\.[\w.]+)`", file.read_text(encoding="utf-8")):
            assert _is_there(resolve_name(name, package)), f"{home}: {name}"


def _is_there(name):
    try:
        import_module(name)
    except ModuleNotFoundError:
        above, _, last = name.rpartition(".")
        return hasattr(import_module(above), last)
    return True
