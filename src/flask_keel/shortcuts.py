"""`db heads`, `db current` and an `db upgrade` with nothing to do, answered without Alembic.

Importing it takes longer than they do. Whatever is not plain is not answered here: the command
itself does it, and says what there is to say.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask

from . import revisions, urls
from .revisions import Revision

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
    known = revisions.read(Path(keel.directory))
    if known is None:
        return None
    heads = revisions.heads(known)
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
        # as in sqlite_file.open_to_read
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as raw:
            raw.execute("PRAGMA query_only=ON")
            names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master")]
            if any(name.startswith(ODD) for name in names):
                return None
            return {row[0] for row in raw.execute(APPLIED)}
    except Exception:
        return None  # the command will say it
