"""The arrows between the rooms of the library point down, and a server pays for none of them."""

import subprocess
import sys
from pathlib import Path

from projects import TEMPLATE

LIBRARY = TEMPLATE / "src" / "flask_keel"


def test_imports_point_downwards():
    lint = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([lint, "--no-cache"], cwd=TEMPLATE, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_two_modules_have_one_name():
    names = [path.stem for path in LIBRARY.rglob("*.py") if not path.stem.startswith("__")]
    packages = [path.parent.name for path in LIBRARY.rglob("__init__.py") if path.parent != LIBRARY]
    again = {name for name in names if names.count(name) > 1} | set(names) & set(packages)
    # a catalog reader has the name of its database, as Alembic's ddl/ has them; the others are to go
    assert again <= {"sqlite", "constraints", "rebuild"}


def test_neither_the_library_nor_a_server_imports_alembic(blog):
    look = "print([name for name in sys.modules if 'alembic' in name])"
    for start in ("import sys, flask_keel", "import sys, my_app; my_app.create_app('dev.conf')"):
        answer = blog.run(sys.executable, "-c", f"{start}; {look}", PYTHONPATH=str(blog.path))
        assert answer.assert_ok().out == "[]\n"
