"""The history's revisions, read from their files without Alembic.

A file that says its revision otherwise than Alembic's template does is not understood here, and is
left to Alembic: whoever asks gets None, and asks there.
"""

import ast
import configparser
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from flask import Flask
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from . import binds, urls
from .sqlite import files
from .typing import Options, Value

NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
ASSIGNED = re.compile(
    rf"^({'|'.join(NAMES)})(?:\s*:\s*[^=\n]+)?\s*=[ \t]*"
    r"(None|\"[^\"\n\\]*\"|'[^'\n\\]*'|[(\[][^()\[\]\n\\]*[)\]])[ \t]*(?:#.*)?$",
    re.MULTILINE,
)
SAID = re.compile(rf"^(?:{'|'.join(NAMES)})\b|\b(?:global|exec|globals)\b", re.MULTILINE)
# without one of these SAID need not be looked for, which takes the longest
HINTS = ("global", "exec(", "exec ", *(f"\n{name}" for name in NAMES))
# alembic.ini may say that the files are of another kind
OTHERWISE = re.compile(r"^\s*(recursive_version_locations|sourceless)\b", re.MULTILINE)
# what stands between two folders, by the word for it:
# https://alembic.sqlalchemy.org/en/latest/branches.html#setting-up-multiple-version-directories
SEPARATORS = {None: r", *| +", "os": re.escape(os.pathsep), "space": " ", "newline": "\n"}
SEPARATORS |= {":": ":", ";": ";"}


@dataclass(frozen=True)
class Revision:
    """One file of the history."""

    revision: str
    down: tuple[str, ...]
    path: Path
    labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()

    @property
    def below(self) -> tuple[str, ...]:
        """The revisions that are applied wherever this one is."""
        return self.down + self.depends_on


def read(folder: Path) -> Mapping[str, Revision] | None:
    """Return the revisions of a migrations folder by their names, or None where Alembic has to be asked.

    A history with files that are not understood is Alembic's, and one that is broken: it knows what
    to say of that.

    :param folder: the one that holds ``alembic.ini``
    """
    try:
        versions = _locations(folder)
        found = [one for place in versions or () for one in _files(place)]
    except (OSError, ValueError, configparser.Error):
        return None
    known = {one.revision: one for one in found if one is not None}
    if versions is None or None in found or len(known) < len(found):
        return None
    if any(below not in known for one in known.values() for below in one.below):
        return None
    return known if _has_an_order(known) else None


def _locations(folder: Path) -> list[Path] | None:
    """The folders that hold the files; None where Alembic would look in another way."""
    text = (folder / "alembic.ini").read_text(encoding="utf-8")
    if OTHERWISE.search(text):
        return None
    here = str(folder.absolute()).replace("%", "%%")
    config = configparser.ConfigParser({"here": here})
    config.read_string(text)
    said = config.get("alembic", "version_locations", fallback=None)
    if not said:
        return [folder / "versions"]
    separator = config.get("alembic", "path_separator", fallback=None)
    separator = separator or config.get("alembic", "version_path_separator", fallback=None)
    if separator not in SEPARATORS:
        return None
    named = [name.strip() for name in re.split(SEPARATORS[separator], said) if name.strip()]
    places = [Path(name) for name in named]
    # a package's folder, `package:folder`, is Alembic's to find
    if any(":" in name for name in named) or len({place.resolve() for place in places}) < len(
        named
    ):
        return None
    return places


def read_all(folder: Path) -> Mapping[str, Revision] | None:
    """Return the revisions as :func:`read` does, by Alembic where it has to be asked.

    :return: None where Alembic cannot read them either
    """
    known = read(folder)
    if known is not None:
        return known
    try:
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        from .history import parents

        config = Config(folder / "alembic.ini")
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        script = ScriptDirectory.from_config(config)
        return {
            one.revision: Revision(one.revision, parents(script, one), Path(one.path))
            for one in script.walk_revisions()
        }
    except Exception:
        return None


def compare(known: Mapping[str, Revision] | None, applied: frozenset[str]) -> str:
    """Return how a database stands to the code's revisions: at head, behind, ahead or unknown.

    A revision that no file has was applied by a newer release, and what it stands on cannot be told
    from here; what stands on a revision that is known and last, was not applied.

    :param known: the code's revisions; None where they cannot be read
    :param applied: what the version table holds
    """
    if known is None:
        return "unknown"
    below = {name: one.below for name, one in known.items()}
    missing = set(known) - reached(applied, below)
    if applied <= set(known):
        return "behind" if missing else "at head"
    above: dict[str, list[str]] = {name: [] for name in known}
    for name, stands_on in below.items():
        for one in stands_on:
            above[one].append(name)
    return "behind" if missing & reached(applied, above) else "ahead"


def reached(names: Iterable[str], steps: Mapping[str, Iterable[str]]) -> set[str]:
    """Return these names, as far as they are known, and all to which steps lead from them."""
    found: set[str] = set()
    left = [name for name in names if name in steps]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += steps[name]
    return found


def heads_of(revisions: Mapping[str, Revision]) -> set[str]:
    """Return the revisions on which no other stands."""
    return set(revisions) - {below for one in revisions.values() for below in one.down}


def in_order(known: Mapping[str, Revision]) -> Iterator[Revision]:
    """Return the revisions so that each comes after those on which it stands."""
    order = TopologicalSorter({name: sorted(one.below) for name, one in sorted(known.items())})
    return (known[name] for name in order.static_order())


def _has_an_order(known: Mapping[str, Revision]) -> bool:
    try:
        TopologicalSorter({name: one.below for name, one in known.items()}).prepare()
    except CycleError:
        return False
    return True


def _files(versions: Path) -> Iterator[Revision | None]:
    for path in versions.iterdir():
        # as Alembic's own pattern has it
        if path.suffix == ".py" and not path.name.startswith((".#", "__init__")):
            yield _revision(path)


def _revision(path: Path) -> Revision | None:
    text = path.read_text(encoding="utf-8")
    if "coding" in text[:200] and re.search(r"coding[:=]\s*(?!utf-8)", text[:200]):
        return None
    head = text.partition("\ndef ")[0]
    assigned = ASSIGNED.findall(head)
    # each name once, and nothing else that could set one
    rest = text[len(head) :]
    if len(assigned) != len(SAID.findall(head)) or (
        any(hint in rest for hint in HINTS) and SAID.search(rest)
    ):
        return None
    said = dict(assigned)
    if len(said) < len(assigned) or "revision" not in said or "down_revision" not in said:
        return None
    try:
        values = {name: _value(text) for name, text in said.items()}
        below, labels, needed = (_names(values.get(name)) for name in NAMES[1:])
    except (SyntaxError, TypeError, ValueError):
        return None
    name = values["revision"]
    return Revision(name, below, path, labels, needed) if isinstance(name, str) else None


def _value(text: str) -> object:
    if text == "None":
        return None
    return text[1:-1] if text[0] in "\"'" else ast.literal_eval(text)


def _names(value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list | tuple | set) or not all(
        isinstance(name, str) for name in names
    ):
        raise TypeError(f"{value!r} names no revisions")
    return tuple(names)


# `db heads`, `db current` and a `db upgrade` with nothing to do, answered without Alembic.
#
# Importing it takes longer than they do. Whatever is not plain is not answered here: the command
# itself does it, and says what there is to say.


ELSEWHERE_APPLIED = {"version_table", "version_table_schema"}
PLAIN = ["from flask_keel import env", "env.run()"]  # env.py where it gives no options of its own
COMMANDS = (("heads",), ("current",), ("upgrade",), ("upgrade", "head"))
# settings that an upgrade refuses when they are none
NUMBERS = ("MIGRATION_LOCK_WAIT", "MIGRATION_LOCK_TIMEOUT", "MIGRATION_RETRIES")
AHEAD_TABLE = "alembic_ahead"  # marks a database that `make db` built ahead of the history
# tables that an upgrade has more to say about
ODD = (AHEAD_TABLE, "_alembic_tmp_")
AHEAD = f"SELECT 1 FROM information_schema.tables WHERE table_name = '{AHEAD_TABLE}'"
APPLIED = "SELECT version_num FROM alembic_version"


def answer(app: Flask, arguments: Iterable[str]) -> tuple[list[str], list[str]] | None:
    """Return the lines for stdout and for stderr, or None where the command itself has to be run.

    :param arguments: of ``db``, one of :data:`COMMANDS`
    :raises DBAPIError: when a server cannot be reached
    """
    command = next(iter(arguments))
    keel = app.extensions["keel"]
    if not ELSEWHERE_APPLIED.isdisjoint(keel.alembic_ctx_kwargs) or keel.configure_callbacks:
        return None
    if binds.configured(app) or binds.with_models(app):
        return None
    if not all(isinstance(app.config.get(name, 0), int | float) for name in NUMBERS):
        return None
    if not plain_env(Path(keel.directory)):
        return None
    applied: set[str] = set()
    if command != "heads":
        with app.app_context():
            engine = keel.db.engine
        found = _applied(engine)
        if found is None or len(found) != 1:  # before all of the files are read
            return None
        applied = found
    known = read(Path(keel.directory))
    if known is None or any(one.labels or one.depends_on for one in known.values()):
        return None  # Alembic names labels, and what a dependency stands on
    heads = heads_of(known)
    if command == "heads":
        return ([f"{head} (head)" for head in heads], []) if len(heads) < 2 else None
    if not applied <= set(known):
        return None
    (revision,) = applied
    if command == "current":
        return _current(revision, known, heads)
    if heads != applied:
        return None
    return [], [f"{urls.shown(engine.url)} is at {revision}: nothing to do."]


def where_applied(migrations: Path) -> Options | None:
    """Return what env.py itself says of the version table, by Alembic's names; None where it is computed.

    :param migrations: their folder
    """
    try:
        tree = ast.parse((migrations / "env.py").read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return {}
    known, said = dict[str, Value](), dict[str, Value]()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                known[name] = value
            case ast.Call(func=ast.Attribute(attr="run" | "configure"), keywords=given):
                said |= {one.arg: one.value for one in given if one.arg in ELSEWHERE_APPLIED}
    values: list[Value] = [known.get(getattr(one, "id", ""), one) for one in said.values()]
    if not all(isinstance(one, ast.Constant) for one in values):
        return None
    return {name: one.value for name, one in zip(said, values, strict=True)}


def plain_env(migrations: Path) -> bool:
    """Whether env.py is the two lines, and gives no options of its own.

    :param migrations: their folder
    """
    try:
        lines = (migrations / "env.py").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return [line for line in lines if line.strip() and not line.startswith("#")] == PLAIN


def _current(
    revision: str, known: dict[str, Revision] | Value, heads: set[str]
) -> tuple[list[str], list[str]] | None:
    above = [one for one in known.values() if revision in one.down]
    if len(above) > 1 or len(known[revision].down) > 1:
        return None  # Alembic names branch points and merge points
    return [f"{revision} (head)" if revision in heads else revision], []


def _applied(engine: Engine) -> set[str] | None:
    """The revisions at which the database is; None where it is in any way odd.

    :raises DBAPIError: where a server does not answer: nobody waits for it twice
    """
    try:
        if engine.dialect.name != "sqlite":
            return _applied_there(engine.connect())
        file = files.file_of(engine.url)
        if file is None or not file.exists():
            return None
        with closing(files.open_to_read(engine.url)) as raw:
            names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master")]
            if any(name.startswith(ODD) for name in names):
                return None
            return {row[0] for row in raw.execute(APPLIED)}
    except Exception as error:
        if isinstance(error, DBAPIError) and error.statement is None:
            raise
        return None  # the command will say it


def _applied_there(connection: Connection) -> set[str] | None:
    with suppress(Exception), connection:
        if not connection.exec_driver_sql(AHEAD).first():
            return {row[0] for row in connection.exec_driver_sql(APPLIED)}
    return None
