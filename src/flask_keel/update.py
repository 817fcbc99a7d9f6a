"""`make update from=PATH`: another version of this library, and nothing else of the project.

The wheel in ``vendor/``, the requirement and the source in ``pyproject.toml`` change together, and the
lock file where there is one; what is wrong with the new wheel is said before anything is written.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import click

from . import vendored
from .history import replace

SOURCE = re.compile(r"flask_keel-[^/\"'\s]+-py3-none-any\.whl")
MIGRATIONS = ("*/versions/*.py", "*/*/versions/*.py", "*/*/*/versions/*.py")
WRITE = """\
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from keel_answers import wheel

wheel.write(Path(sys.argv[2]), Path(sys.argv[1]))
"""


class Wheel(NamedTuple):
    """A wheel that was looked through."""

    path: Path
    version: str
    public: frozenset[str]

    @property
    def name(self) -> str:
        """Its file's name, as installers want it."""
        return f"flask_keel-{self.version}-py3-none-any.whl"


@click.command()
@click.argument("source", metavar="PATH")
def main(source: str) -> None:
    """Take the library from PATH: a checkout of the template, or a wheel."""
    if not source:
        raise click.ClickException(
            "Say which: type make update from=PATH (a checkout, or a wheel)."
        )
    project = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="update-") as folder:
        new = look(_wheel(Path(source).expanduser(), Path(folder)))
        _require_what_migrations_use(new, project)
        changed = update(project, new)
    click.echo(
        f"flask-keel {new.version} is in vendor/" if changed else f"{new.version}: nothing to do"
    )


def update(project: Path, new: Wheel) -> bool:
    """Put a wheel in the place of the vendored one; return whether it was another.

    :raises click.ClickException: when pyproject.toml does not name the library as it was generated
    """
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8") if pyproject.is_file() else ""
    there = SOURCE.search(text) or (project / "vendor").is_dir()
    if not vendored.REQUIREMENT.search(text) or not there:
        raise click.ClickException(
            f"{pyproject} does not require flask-keel==VERSION from vendor/: nothing was changed; "
            "where it comes from an index, change its version there."
        )
    written = SOURCE.sub(new.name, vendored.REQUIREMENT.sub(rf"\g<1>{new.version}", text))
    target = project / "vendor" / new.name
    older = [path for path in target.parent.glob("flask_keel-*.whl") if path != target]
    same = target.exists() and target.read_bytes() == new.path.read_bytes()
    if written == text and same and not older:
        return False
    target.parent.mkdir(exist_ok=True)
    beside = target.with_suffix(".new")
    shutil.copyfile(new.path, beside)
    beside.replace(target)
    replace(pyproject, written)
    for path in older:
        path.unlink()
    _lock(project)
    return True


def look(path: Path) -> Wheel:
    """Look through a wheel.

    :raises click.ClickException: when it is broken, or of something else
    """
    try:
        members = vendored.read(path)
    except vendored.BROKEN as error:
        raise click.ClickException(
            f"{path} is no whole wheel of flask-keel ({error}): nothing was changed; give another."
        ) from error
    (information,) = (name for name in members if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(members[information].decode())
    init = members["flask_keel/__init__.py"].decode()
    public = re.findall(r'^    "(\w+)": "', init, re.MULTILINE)
    modules = re.findall(
        r"^flask_keel/(\w+)(?:\.py|/__init__\.py)$", "\n".join(members), re.MULTILINE
    )
    return Wheel(path, str(metadata["Version"]), frozenset([*public, *modules]))


def _wheel(source: Path, folder: Path) -> Path:
    """Return a wheel: the one that was given, or one made of a checkout of the template."""
    if source.is_file():
        return source
    if not (source / "keel_answers" / "wheel.py").is_file():
        raise click.ClickException(
            f"{source} is neither a checkout of the template nor a wheel: type make update from=PATH."
        )
    command = [sys.executable, "-c", WRITE, str(source.resolve()), str(folder)]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    made = subprocess.run(command, env=env, capture_output=True, text=True)
    if made.returncode:
        said = made.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise click.ClickException(f"{source} makes no wheel ({said[0]}): nothing was changed.")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _require_what_migrations_use(new: Wheel, project: Path) -> None:
    for path in sorted(found for pattern in MIGRATIONS for found in project.glob(pattern)):
        text = path.read_text(encoding="utf-8", errors="replace")
        missing = set(_used(text) if "flask_keel" in text else ()) - new.public
        if missing:
            raise click.ClickException(
                f"{path.relative_to(project)} uses flask_keel.{min(missing)}, which flask-keel "
                f"{new.version} does not have: nothing was changed; give a newer one."
            )


def _used(text: str) -> Iterator[str]:
    """The names of the library that a migration uses; none where it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return
    called = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "flask_keel":
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("flask_keel."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            ours = [one for one in node.names if one.name.split(".")[0] == "flask_keel"]
            called |= {
                one.asname or "flask_keel" for one in ours if "." not in one.name or not one.asname
            }
            yield from (one.name.split(".")[1] for one in ours if "." in one.name)
    attributes = (node for node in nodes if isinstance(node, ast.Attribute))
    yield from (node.attr for node in attributes if getattr(node.value, "id", None) in called)


def _lock(project: Path) -> None:
    uv = shutil.which("uv")
    if not (project / "uv.lock").exists():
        return
    if not uv:
        click.echo(
            "uv.lock names the older one: type uv lock where uv is, before CI reads it.", err=True
        )
    elif subprocess.run([uv, "lock", "--quiet", "--project", str(project)]).returncode:
        raise click.ClickException("The wheel is in vendor/, and uv.lock is not: type uv lock.")


if __name__ == "__main__":
    main(prog_name="make update")
