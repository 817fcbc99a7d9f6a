"""Scratch databases on SQLite, kept in var/cache, so that a history is run once and not each time.

A kept database is known by the content of its migrations and of all that stand before them, of the
modules that they import, of this toolkit, by the naming convention of the models, and by the
versions of SQLite, Alembic and SQLAlchemy.
"""

import hashlib
import inspect
import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from functools import cache
from importlib import util
from pathlib import Path
from typing import Any

import alembic
import sqlalchemy

MOST = 12  # files that are kept
IMPORT = re.compile(rb"^\s*(?:from|import)\s+([\w.]+)", re.MULTILINE)
OUR_OWN = {"alembic", "sqlalchemy", *sys.stdlib_module_names}


class Cache:
    """The kept databases of one history.

    :param script: Alembic's script directory
    :param metadata: the models, whose naming convention names what a migration does not
    """

    def __init__(self, script: Any, metadata: Any = None) -> None:
        self.script = script
        self.convention = _convention(getattr(metadata, "naming_convention", None) or {})
        self.folder = Path(script.dir).resolve().parent.parent / "var" / "cache"
        self._keys: dict[str, str] = {}

    @property
    def _usable(self) -> bool:
        return self.folder.parent.is_dir()  # an installed wheel has no var

    def restore(self, raw: sqlite3.Connection, heads: Iterable[str], without: set[str]) -> None:
        """Put the newest kept database on the way to ``heads`` into an empty one, if there is one.

        :param raw: the empty database
        :param without: revisions that are to be run, so that nothing after them will do
        """
        if not self._usable or not self.folder.is_dir():
            return
        kept = {file.stem for file in self.folder.glob("*.db")}
        if not kept:
            return
        for state in self._states(tuple(heads), without):
            name = self.name(state)
            if name in kept and self._read(self.folder / f"{name}.db", raw):
                return

    def keep(self, raw: sqlite3.Connection, heads: Iterable[str]) -> None:
        """Keep a database that holds the history up to ``heads``; where it cannot be, it is not."""
        name = self.name(tuple(heads))
        if not self._usable or (self.folder / f"{name}.db").exists():
            return
        with suppress(OSError, sqlite3.Error):
            self.folder.mkdir(exist_ok=True)
            part = self.folder / f"{name}.{os.getpid()}.part"
            with closing(sqlite3.connect(part)) as file:
                file.execute("PRAGMA synchronous=OFF")
                raw.backup(file)
            part.replace(self.folder / f"{name}.db")
            files = sorted(self.folder.glob("*.db"), key=lambda file: file.stat().st_mtime)
            for old in files[:-MOST]:
                old.unlink(missing_ok=True)

    def read_facts(self, revision: str) -> Any:
        """Return what was kept of the history up to a revision besides its schema; None for nothing."""
        try:
            return json.loads(self._facts(revision).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def keep_facts(self, revision: str, facts: Any) -> None:
        """Keep what is known of the history up to a revision; where it cannot be kept, it is not."""
        if not self._usable:
            return
        with suppress(OSError):
            self.folder.mkdir(exist_ok=True)
            part = self.folder / f"{os.getpid()}.facts.part"
            part.write_text(json.dumps(facts), encoding="utf-8")
            part.replace(self._facts(revision))
            files = sorted(self.folder.glob("*.json.facts"), key=lambda file: file.stat().st_mtime)
            for old in files[:-MOST]:
                old.unlink(missing_ok=True)

    def _facts(self, revision: str) -> Path:
        return self.folder / f"{self.name((revision,))}.json.facts"

    def _read(self, file: Path, raw: sqlite3.Connection) -> bool:
        try:
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as kept:
                kept.backup(raw)
            os.utime(file)
        except (OSError, sqlite3.Error):
            return False
        return True

    def _states(self, heads: tuple[str, ...], without: set[str]) -> Iterable[tuple[str, ...]]:
        """The heads themselves, then one revision after the other on the way down."""
        reached = not without
        if reached:
            yield heads
        if len(heads) != 1:
            return
        revision = self.script.get_revision(heads[0])
        while revision is not None:
            below = revision._all_down_revisions
            without = without - {revision.revision}
            reached = reached or not without
            if len(below) != 1:
                return
            if reached:
                yield below
            revision = self.script.get_revision(below[0])

    def name(self, heads: tuple[str, ...]) -> str:
        """Return the name of the history's state at some heads, by all that makes it what it is."""
        keys = [self._key(head) for head in sorted(heads)]
        return hashlib.sha256(
            "".join([_surroundings(), self.convention, *keys]).encode()
        ).hexdigest()[:32]

    def _key(self, revision: str) -> str:
        """The key of a revision: its content, and the keys of those before it."""
        todo = [revision]
        while todo:
            script = self.script.get_revision(todo[-1])
            missing = [name for name in script._all_down_revisions if name not in self._keys]
            if missing:
                todo += missing
                continue
            content = Path(script.path).read_bytes()
            digest = hashlib.sha256(content)
            for module in sorted(set(IMPORT.findall(content))):
                digest.update(_imported(module.decode()))
            for name in script._all_down_revisions:
                digest.update(self._keys[name].encode())
            self._keys[todo.pop()] = digest.hexdigest()
        return self._keys[revision]


def _convention(given: Any) -> str:
    """What tells one naming convention from another: its patterns, and the text of its functions."""
    said = []
    for key, pattern in sorted(given.items(), key=str):
        with suppress(OSError, TypeError):  # a function without a file
            pattern = inspect.getsource(pattern) if callable(pattern) else pattern
        said.append(f"{key}={pattern}")
    return "\n".join(said)


def _imported(module: str) -> bytes:
    """What tells one state of a module from another: its file's content."""
    if module.split(".")[0] in OUR_OWN:
        return b""
    try:
        found = util.find_spec(module)
        return Path(found.origin).read_bytes() if found and found.origin else b""
    except (ImportError, OSError, ValueError):
        return b""


@cache
def _surroundings() -> str:
    digest = hashlib.sha256()
    toolkit = Path(__file__).resolve().parent
    for file in sorted(toolkit.rglob("*.py")):
        digest.update(file.read_bytes())
    versions = (sqlite3.sqlite_version, alembic.__version__, sqlalchemy.__version__, sys.version)
    return digest.hexdigest() + "".join(versions)
