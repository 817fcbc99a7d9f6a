"""The history's revisions, read from their files without Alembic.

A file that says its revision otherwise than Alembic's template does is not understood here, and is
left to Alembic: whoever asks gets None, and asks there.
"""

import ast
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask

from . import urls

NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
ASSIGNED = re.compile(
    rf"^({'|'.join(NAMES)})(?:\s*:\s*[^=\n]+)?\s*=[ \t]*"
    r"(None|\"[^\"\n\\]*\"|'[^'\n\\]*'|[(\[][^()\[\]\n\\]*[)\]])[ \t]*(?:#.*)?$",
    re.MULTILINE,
)
SAID = re.compile(rf"^(?:{'|'.join(NAMES)})\b|\b(?:global|exec|globals)\b", re.MULTILINE)
# alembic.ini may say that the files are elsewhere, or of another kind
ELSEWHERE = re.compile(
    r"^\s*(version_locations|recursive_version_locations|sourceless)\b", re.MULTILINE
)


@dataclass(frozen=True)
class Revision:
    """One file of the history."""

    revision: str
    down: tuple[str, ...]
    path: Path


def read(folder: Path) -> Mapping[str, Revision] | None:
    """Return the revisions of a migrations folder by their names, or None where Alembic has to be asked.

    A history with branch labels, dependencies or files that are not understood is Alembic's, and one
    that is broken: it knows what to say of that.

    :param folder: the one that holds ``alembic.ini`` and ``versions``
    """
    try:
        if ELSEWHERE.search((folder / "alembic.ini").read_text(encoding="utf-8")):
            return None
        found = list(_files(folder / "versions"))
    except (OSError, ValueError):
        return None
    known = {one.revision: one for one in found if one is not None}
    if None in found or len(known) < len(found):
        return None
    if any(below not in known for one in known.values() for below in one.down):
        return None
    return known if _has_an_order(known) else None


def heads_of(revisions: Mapping[str, Revision]) -> set[str]:
    """Return the revisions on which no other stands."""
    return set(revisions) - {below for one in revisions.values() for below in one.down}


def _has_an_order(known: Mapping[str, Revision]) -> bool:
    try:
        TopologicalSorter({name: one.down for name, one in known.items()}).prepare()
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
    if len(assigned) != len(SAID.findall(head)) or SAID.search(text[len(head) :]):
        return None
    said = dict(assigned)
    if len(said) < len(assigned) or "revision" not in said or "down_revision" not in said:
        return None
    try:
        values = {name: ast.literal_eval(value) for name, value in said.items()}
    except (SyntaxError, ValueError):
        return None
    down = values["down_revision"] or ()
    below = (down,) if isinstance(down, str) else tuple(down)
    if values.get("branch_labels") or values.get("depends_on"):
        return None
    if not isinstance(values["revision"], str) or not all(isinstance(one, str) for one in below):
        return None
    return Revision(values["revision"], below, path)


# `db heads`, `db current` and a `db upgrade` with nothing to do, answered without Alembic.
#
# Importing it takes longer than they do. Whatever is not plain is not answered here: the command
# itself does it, and says what there is to say.


COMMANDS = (("heads",), ("current",), ("upgrade",), ("upgrade", "head"))
# tables that an upgrade has more to say about
ODD = ("alembic_ahead", "_alembic_tmp_")
AHEAD = "SELECT 1 FROM information_schema.tables WHERE table_name = 'alembic_ahead'"
APPLIED = "SELECT version_num FROM alembic_version"


def answer(app: Flask, arguments: Iterable[str]) -> tuple[list[str], list[str]] | None:
    """Return the lines for stdout and for stderr, or None where the command itself has to be run.

    :param arguments: of ``db``, one of :data:`COMMANDS`
    """
    command = next(iter(arguments))
    keel = app.extensions["keel"]
    if "version_table" in keel.options or "version_table_schema" in keel.options:
        return None
    if not isinstance(app.config.get("MIGRATION_LOCK_TIMEOUT", 0), int | float):
        return None
    known = read(Path(keel.directory))
    if known is None:
        return None
    heads = heads_of(known)
    if command == "heads":
        return ([f"{head} (head)" for head in heads], []) if len(heads) < 2 else None
    with app.app_context():
        engine = keel.db.engine
    applied = _applied(engine)
    if applied is None or len(applied) != 1 or not applied <= set(known):
        return None
    (revision,) = applied
    if command == "current":
        return _current(revision, known, heads)
    if heads != applied:
        return None
    return [], [f"{urls.shown(engine.url)} is at {revision}: nothing to do."]


def _current(
    revision: str, known: dict[str, Revision] | Any, heads: set[str]
) -> tuple[list[str], list[str]] | None:
    above = [one for one in known.values() if revision in one.down]
    if len(above) > 1 or len(known[revision].down) > 1:
        return None  # Alembic names branch points and merge points
    return [f"{revision} (head)" if revision in heads else revision], []


def _applied(engine: Any) -> set[str] | None:
    """The revisions at which the database is; None where it is in any way odd."""
    try:
        if engine.dialect.name != "sqlite":
            with engine.connect() as connection:
                if connection.exec_driver_sql(AHEAD).first():
                    return None
                return {row[0] for row in connection.exec_driver_sql(APPLIED)}
        name = engine.url.database
        if not name or name == ":memory:" or name.startswith("file:") or not Path(name).exists():
            return None
        path = quote(str(Path(name).absolute()))
        # as sqlite.transaction.open_to_read does, which imports Alembic
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as raw:
            raw.execute("PRAGMA query_only=ON")
            names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master")]
            if any(name.startswith(ODD) for name in names):
                return None
            return {row[0] for row in raw.execute(APPLIED)}
    except Exception:
        return None  # the command will say it
