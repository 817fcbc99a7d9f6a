"""What is kept in var/cache: scratch databases of SQLite, and the verdicts of check.

A kept database is known by the content of its migrations and of all that stand before them, of the
modules that they import, of this library, by the naming convention of the models, and by the
versions of SQLite, Alembic and SQLAlchemy.
"""

import hashlib
import inspect
import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from functools import cache, cached_property
from importlib import metadata, util
from pathlib import Path
from typing import Any

import alembic
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from .. import binds, history
from ..project import Project
from ..typing import Options, Value

MOST = 12  # files that are kept
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([^\n#]*))",
    re.MULTILINE,
)
OUR_OWN = {"alembic", "sqlalchemy", *sys.stdlib_module_names}


def folder(migrations: Path) -> Path:
    """Return the folder for what can be made again; where the one above it is not, nothing is kept.

    It is var/cache of a project that has var. Another one's lies where Python keeps its own, which
    nobody has in git; an installed application's does not have either.

    :param migrations: their folder
    """
    bind = binds.of(migrations)
    migrations = binds.home(migrations).resolve()
    var = history.root(migrations) / "var"
    inside = (binds.FOLDER, bind) if bind is not None else ()
    if var.is_dir() or "site-packages" in migrations.parts:
        return (var / "cache").joinpath(*inside)
    return (migrations / "__pycache__" / "keel").joinpath(*inside)


class Cache:
    """The kept databases of one project's history.

    :param server: what tells the server from others, and from itself once it is set up in another way
    """

    def __init__(self, project: Project, server: str = "") -> None:
        self.script = project.script
        self.ground = f"{project.dialect} {project.version_table} {server}"
        self.convention = _convention(project.metadata.naming_convention)
        self.folder = folder(project.folder)
        self._keys: dict[str, str] = {}

    @property
    def usable(self) -> bool:
        """Whether anything is kept: an installed application has no place for it."""
        place = next(one for one in self.folder.parents if one.name in ("var", "__pycache__"))
        return place.is_dir() or place.name == "__pycache__"

    def restore(self, raw: sqlite3.Connection, heads: Iterable[str], without: set[str]) -> None:
        """Put the newest kept database on the way to ``heads`` into an empty one, if there is one.

        :param raw: the empty database
        :param without: revisions that are to be run, so that nothing after them will do
        """
        kept = {file.stem for file in self.folder.glob("*.db")} if self.usable else set()
        for state in self.states(tuple(heads), without) if kept else ():
            name = self.name(state)
            if name in kept and self._read(self.folder / f"{name}.db", raw):
                return

    def keep(self, raw: sqlite3.Connection, heads: Iterable[str]) -> None:
        """Keep a database that holds the history up to ``heads``; where it cannot be, it is not."""
        name = self.name(tuple(heads))
        if not self.usable or (self.folder / f"{name}.db").exists():
            return
        with suppress(OSError, sqlite3.Error):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f"{name}.{os.getpid()}.part"
            with closing(sqlite3.connect(part)) as file:
                file.execute("PRAGMA synchronous=OFF")
                raw.backup(file)
            part.replace(self.folder / f"{name}.db")
            self._forget("*.db")

    def read_facts(self, revision: str) -> Value:
        """Return what was kept of the history up to a revision besides its schema; None for nothing."""
        return _kept(self._facts(revision))

    def keep_facts(self, revision: str, facts: Value) -> None:
        """Keep what is known of the history up to a revision; where it cannot be kept, it is not."""
        if self.usable:
            _keep(self._facts(revision), facts)
            with suppress(OSError):
                self._forget("*.json.facts")

    def file(self, name: str) -> Path | None:
        """Return where something else is kept; None for nowhere."""
        return self.folder / name if self.usable else None

    def _facts(self, revision: str) -> Path:
        return self.folder / f"{self.name((revision,))}.json.facts"

    def _forget(self, pattern: str) -> None:
        files = sorted(self.folder.glob(pattern), key=lambda file: file.stat().st_mtime)
        for old in files[:-MOST]:
            old.unlink(missing_ok=True)

    def _read(self, file: Path, raw: sqlite3.Connection) -> bool:
        try:
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as kept:
                kept.backup(raw)
            os.utime(file)
        except (OSError, sqlite3.Error):
            return False
        return True

    def states(self, heads: tuple[str, ...], without: set[str]) -> Iterable[tuple[str, ...]]:
        """Return the heads themselves, then one revision after the other on the way down.

        :param without: revisions that are not to be in it
        """
        if not without:
            yield heads
        while len(heads) == 1:
            revision = self.script.get_revision(heads[0])
            without = without - {revision.revision}
            heads = history.parents(self.script, revision)
            if len(heads) == 1 and not without:
                yield heads

    def name(self, heads: tuple[str, ...]) -> str:
        """Return the name of the history's state at some heads, by all that makes it what it is."""
        keys = [self._key(head) for head in sorted(heads)]
        return hashlib.sha256(
            "".join([_surroundings(), self.ground, self.convention, *keys]).encode()
        ).hexdigest()[:32]

    def _key(self, revision: str) -> str:
        """The key of a revision: its content, and the keys of those before it."""
        todo = [revision]
        while todo:
            script = self.script.get_revision(todo[-1])
            below = history.parents(self.script, script)
            missing = [name for name in below if name not in self._keys]
            if missing:
                todo += missing
                continue
            content = Path(script.path).read_bytes()
            digest = hashlib.sha256(content)
            for imported in _imported(content, "", set()):
                digest.update(imported)
            for name in below:
                digest.update(self._keys[name].encode())
            self._keys[todo.pop()] = digest.hexdigest()
        return self._keys[revision]


def _kept(file: Path | None) -> Value:
    """What a file keeps; None for nothing that can be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8")) if file else None
    except (OSError, ValueError):
        return None


def _keep(file: Path, what: Value) -> None:
    """Keep it in a file that is whole at each moment; a disk that is full is no error."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(f".{os.getpid()}.part")
        beside.write_text(json.dumps(what, indent=1), encoding="utf-8")
        beside.replace(file)


def _convention(given: Mapping[Any, object]) -> str:
    """What tells one naming convention, or other options, from another: the texts of functions, too."""
    said = []
    for key, pattern in sorted(given.items(), key=str):
        with suppress(OSError, TypeError):  # a function without a file
            pattern = inspect.getsource(pattern) if callable(pattern) else pattern
        said.append(f"{key}={pattern}")
    return "\n".join(said)


def _imported(content: bytes, package: str, seen: set[str]) -> Iterator[bytes]:
    """Give the modules that a file imports, and what those import; not what their packages do.

    :param package: in which the file is
    """
    for name in sorted(_names(content.decode(errors="replace"), package) - seen):
        seen.add(name)
        try:
            found = util.find_spec(name)
            path = Path(found.origin) if found and found.origin else None
            inside = path.read_bytes() if path else b""
        except (ImportError, OSError, ValueError, AttributeError):
            continue
        yield inside
        if path and path.name != "__init__.py":
            yield from _imported(inside, name.rpartition(".")[0], seen)


def _names(text: str, package: str) -> set[str]:
    """Return what may be modules of somebody else's in the imports of a file."""
    found = set()
    for source, names, plain in IMPORT.findall(text):
        words = [word.split()[0] for word in re.split(r"[,()]", names or plain) if word.split()]
        if source.startswith("."):
            above = package.split(".")[: len(package.split(".")) - source.count(".") + 1]
            source = ".".join([*above, *filter(None, [source.lstrip(".")])])
        found |= {source, *(f"{source}.{word}" for word in words)} if names else set(words)
    return {name for name in found if name and name.split(".")[0] not in OUR_OWN}


@cache
def _surroundings() -> str:
    versions = (sqlite3.sqlite_version, alembic.__version__, sqlalchemy.__version__, sys.version)
    return _library() + "".join(versions)


def _library() -> str:
    """What tells one state of this library from another: its version, in a checkout its files."""
    home = Path(__file__).resolve().parents[1]
    with suppress(metadata.PackageNotFoundError):
        installed = metadata.distribution("flask-keel")
        if Path(str(installed.locate_file("flask_keel"))).resolve() == home:
            return installed.version
    files = sorted(home.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


# What check has seen already: a migration is judged once for each state of all that it rests on.


NOT_DATA = ("versions", "schema", binds.FOLDER, "__pycache__")


class Seen:
    """The verdicts of earlier runs, in ``proved.json`` of :func:`folder`.

    A verdict is known by the dialect, the migration's file and what it imports, those before it, the
    library, and the libraries' versions. One that failed rests on more, by which it could be mended:
    the models, the files beside the migrations, and the application's code where it imports that.
    """

    def __init__(self, project: Project) -> None:
        self.project, self.dialect = project, project.dialect
        self.file = Cache(project).file("proved.json")
        self.keys = keys(project)
        found = _kept(self.file)
        self.verdicts: dict[str, Options] = found if isinstance(found, dict) else {}

    def get(self, revision: str) -> Options | None:
        """Return what was found of a migration, when all that it rests on is as it was."""
        found = self.verdicts.get(self.keys[revision])
        if found is None or found["proof"]["ok"] or found["rests_on"] == self._more(revision):
            return found
        return None

    def put(self, revision: str, verdict: Options) -> None:
        """Keep what was found of a migration, unless another try may find something else."""
        proof = verdict["proof"]
        if proof["lasting"]:
            more = {
                "dialect": self.dialect,
                "rests_on": "" if proof["ok"] else self._more(revision),
            }
            self.verdicts[self.keys[revision]] = {**verdict, **more}

    def save(self) -> None:
        """Write the file, without what is of no use any more."""
        if self.file is None:
            return
        live = set(self.keys.values())
        kept = {
            key: verdict
            for key, verdict in self.verdicts.items()
            if key in live or verdict["dialect"] != self.dialect
        }
        _keep(self.file, kept)

    def _more(self, revision: str) -> str:
        content = Path(self.project.script.get_revision(revision).path).read_bytes()
        package = self._package.name
        names = _names(content.decode(errors="replace"), package)
        own = any(name.split(".")[0] == package for name in names)
        return self._around + (self._code if own else "")

    @cached_property
    def _around(self) -> str:
        settings = self.project.settings.get("SQLITE_SCHEMA_EDITS")
        data = [
            path
            for path in self.project.folder.rglob("*")
            if path.relative_to(self.project.folder).parts[0] not in NOT_DATA
        ]
        return _checksum([repr(settings).encode(), *_models(self.project), *_files(data)])

    @cached_property
    def _code(self) -> str:
        return _checksum(_files(self._package.rglob("*.py")))

    @property
    def _package(self) -> Path:
        return binds.home(self.project.folder).parent


def keys(project: Project) -> dict[str, str]:
    """Return a checksum for each revision: of its file, its ancestors, this library and the versions."""
    ground = [
        f"{project.dialect} {project.online}".encode(),
        metadata.version("Flask-Migrate").encode(),
    ]
    kept = Cache(project)
    return {
        one.revision: _checksum([*ground, kept.name((one.revision,)).encode()])
        for one in project.script.walk_revisions()
    }


# Whether the models and the history agree, as a comparison on a scratch database has found it: who may
# make none can still tell.


MOST_AGREED = 20
# what else says what is compared
COMPARED = (
    *("compare_type", "compare_server_default", "include_name", "include_object"),
    *("include_schemas", "autogenerate_plugins"),
)


def note_agreed(project: Project, options: Options | None = None) -> None:
    """Keep that the models and the history agree, as they are now.

    :param options: the application's own for Alembic, where the project's have become others
    """
    if file := Cache(project).file("agreed.json"):
        key = _agreed_key(project, project.options if options is None else options)
        _keep(file, [*(one for one in _agreed(file) if one != key), key][-MOST_AGREED:])


def have_agreed(project: Project) -> bool:
    """Whether it was found that the models and the history, as they are now, agree."""
    return _agreed_key(project, project.options) in _agreed(Cache(project).file("agreed.json"))


def _agreed(file: Path | None) -> list[str]:
    found = _kept(file)
    return found if isinstance(found, list) else []


def _agreed_key(project: Project, options: Options) -> str:
    said = [
        _convention({key: options.get(key) for key in COMPARED}).encode(),
        metadata.version("Flask-Migrate").encode(),
    ]
    name = Cache(project).name(tuple(project.script.get_heads()))
    return _checksum([*said, name.encode(), *_models(project)])


def _models(project: Project) -> Iterable[bytes]:
    """What the models make, and the types that a database does not tell from others."""
    # what one learns of a server is not in it: another one's models are these, too
    dialect = project.engine.url.get_dialect()()
    for _, table in sorted(project.metadata.tables.items()):
        said = [(column.name, column.type, column.comment) for column in table.columns]
        yield repr([table.comment, *said]).encode()
        with suppress(SQLAlchemyError):  # a type of another database
            yield str(CreateTable(table).compile(dialect=dialect)).encode()
            made = [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
            yield "".join(sorted(made)).encode()


def _files(paths: Iterable[Path]) -> Iterable[bytes]:
    for path in sorted(paths):
        if path.is_file():
            yield from (str(path).encode(), path.read_bytes())


def _checksum(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()
