"""The databases of an application: the default one, and one for each of its binds.

https://flask-sqlalchemy.readthedocs.io/en/stable/binds/

A bind has a migrations folder of its own, ``binds/<bind>`` in that of the default, and which database a
folder is for is told by its place alone: whatever runs an env.py runs it for the right one.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import Flask

from .typing import Options, Value

if TYPE_CHECKING:
    from sqlalchemy import Engine, MetaData

Bind = str | None  # None is the default

FOLDER = "binds"
DEFAULT = "default"  # how commands call it
# it is the name of a folder and of files, and stands before a colon
NAME = re.compile(r"\w[\w-]*", re.ASCII)
# settings that may be a mapping by bind
BY_BIND = ("CONFIRM_DATA_LOSS", "SQLITE_SCHEMA_EDITS", "ZERO_DOWNTIME")


GONE = (
    "There is no bind {bind} in SQLALCHEMY_BINDS, so the database of these migrations is not known: give it "
    "a URL there."
)


def of(folder: Path) -> Bind:
    """Return the bind whose migrations a folder holds."""
    folder = folder.absolute()
    above = folder.parent
    # one of them may be missing, and the migrations are not the default's for that
    home = any((above.parent / name).is_file() for name in ("env.py", "alembic.ini"))
    return folder.name if above.name == FOLDER and home else None


def home(folder: Path) -> Path:
    """Return the migrations folder of the default, which holds those of the binds."""
    return folder.absolute().parents[1] if of(folder) is not None else folder


def folder(home: Path, bind: Bind) -> Path:
    """Return the migrations folder of a bind.

    :param home: the default's
    """
    return home if bind is None else home / FOLDER / bind


def shown(bind: Bind) -> str:
    """Return a bind as commands call it."""
    return DEFAULT if bind is None else bind


def engines(app: Flask) -> "Mapping[Bind, Engine]":
    """Return the engines of all databases, ours or not; inside the application's context."""
    found: Mapping[Bind, Engine] = _db(app).engines
    return found


def engine(app: Flask, bind: Bind) -> "Engine":
    """Return the engine of a bind; inside the application's context.

    :raises click.ClickException: when the configuration gives it no URL
    """
    known = engines(app)
    if bind is not None and bind not in known:
        raise click.ClickException(GONE.format(bind=bind))
    if bind is None and None not in known:
        raise click.ClickException(
            "The application has binds alone: give the default database its URL, too "
            "(SQLALCHEMY_DATABASE_URI)."
        )
    return known[bind]


def metadata(app: Flask, bind: Bind) -> "MetaData":
    """Return the models of a bind.

    :raises click.ClickException: for one that is not there
    """
    db = _db(app)
    if bind is not None and bind not in db.metadatas:
        raise click.ClickException(GONE.format(bind=bind))
    models: MetaData = db.metadata if bind is None else db.metadatas[bind]
    return models


def keel(app: Flask) -> Value:
    """Return the application's Keel; what Flask-Migrate has in its place where that was taken out."""
    return app.extensions.get("keel") or app.extensions["migrate"]


def _db(app: Flask) -> Value:
    # not Flask-Migrate's, which would be made for it
    return keel(app).db


def configured(app: Flask) -> list[str]:
    """Return the binds that have a URL, in the order of the configuration."""
    return [key for key in app.config.get("SQLALCHEMY_BINDS") or () if key is not None]


def with_models(app: Flask) -> dict[str, list[str]]:
    """Return the tables of the models that have a ``__bind_key__``, by it."""
    found = getattr(_db(app), "metadatas", {}).items()
    return {key: sorted(it.tables) for key, it in found if key is not None and it.tables}


def left_out(app: Flask) -> list[str]:
    """Return the binds that have a URL or models and are none of ours, by Keel's ``binds``."""
    ours = getattr(keel(app), "binds", None)
    known = dict.fromkeys([*configured(app), *with_models(app)])
    return [] if ours is None else [key for key in known if key not in ours]


def migrated(app: Flask, home: Path) -> list[Bind]:
    """Return the databases that have migrations, the default first: what has none is touched by nothing.

    :param home: the default's folder
    """
    out = left_out(app)
    there = [key for key in configured(app) if key not in out and _has_migrations(home, key)]
    return [None, *there]


def folders(app: Flask) -> list[Path]:
    """Return the migrations folders of the databases that have one, the default's first."""
    home = Path(keel(app).directory)
    return [folder(home, bind) for bind in migrated(app, home)]


def _has_migrations(home: Path, bind: str) -> bool:
    return bool(NAME.fullmatch(bind)) and (folder(home, bind) / "env.py").is_file()


def every(app: Flask, home: Path) -> list[Bind]:
    """Return the databases that are ours, and have migrations or models; the default first.

    :param home: the default's folder
    :raises click.ClickException: for a bind without a URL, or of a name that a folder cannot have
    """
    out, models = left_out(app), with_models(app)
    _require_known(app)
    if lacking := [key for key in models if key not in configured(app) and key not in out]:
        where = app.config.get("SETTINGS") or "the configuration"
        raise click.ClickException(
            f"{', '.join(models[lacking[0]])} (__bind_key__ {lacking[0]}) has no database: give it a URL in "
            f'{where}, SQLALCHEMY_BINDS = {{"{lacking[0]}": "sqlite:///var/{lacking[0]}.db"}}.'
        )
    found = [
        key
        for key in configured(app)
        if key not in out and (key in models or _has_migrations(home, key))
    ]
    for key in found:
        if not NAME.fullmatch(key) or key == DEFAULT:
            raise click.ClickException(
                f"SQLALCHEMY_BINDS has the key {key!r}, which commands and folders cannot be called by: "
                f"use letters, digits, _ and -, and not {DEFAULT}."
            )
    return [None, *found]


def _require_known(app: Flask) -> None:
    known = {*configured(app), *with_models(app)}
    for key in app.extensions["keel"].binds or ():
        if key not in known:
            raise click.ClickException(
                f"Keel's binds= names {key}, which SQLALCHEMY_BINDS does not have: give it a URL there, or "
                "leave it out."
            )


def notes(app: Flask, home: Path) -> Iterator[str]:
    """Say what is touched by no command though it looks as if: sentences without their full stop.

    :param home: the default's folder
    """
    known, out = configured(app), left_out(app)
    for place in sorted((home / FOLDER).glob("*/env.py")):
        name = place.parent.name
        if name not in known:
            yield (
                f"{name} is no bind any more (SQLALCHEMY_BINDS), though {home.name}/{FOLDER}/{name} "
                "holds its migrations: its database is not touched"
            )
    for key in known:
        if key not in out and key not in with_models(app) and not _has_migrations(home, key):
            yield (
                f"The bind {key} has no model (__bind_key__) and no migration: its database is not touched"
            )


def settings(app: Flask, bind: Bind) -> Mapping[str, Value]:
    """Return the configuration as it is for one database.

    Its engine's options are those of ``SQLALCHEMY_BINDS``, and a setting that is a mapping by bind has
    the bind's value, that of ``"default"`` or None for the default, and is not set where it has none.

    :raises click.ClickException: for a mapping that names something else
    """
    config: Options = app.config
    names = [key for key in config if key.startswith("MIGRATION_") or key in BY_BIND]
    mapped = {key: config[key] for key in names if isinstance(config[key], Mapping)}
    if bind is None and not mapped:
        return config
    found = {key: value for key, value in config.items() if key not in mapped}
    for key, value in mapped.items():
        if strange := [one for one in value if one not in (None, DEFAULT, *configured(app))]:
            raise click.ClickException(
                f"{key} names {strange[0]}, which is no bind: write one of "
                f"{', '.join([DEFAULT, *configured(app)])}."
            )
        wanted = [bind] if bind is not None else [DEFAULT, None]
        for one in wanted:
            if one in value:
                found[key] = value[one]
    if bind is not None:
        found["SQLALCHEMY_ENGINE_OPTIONS"] = _options(config["SQLALCHEMY_BINDS"].get(bind))
    return found


def _options(value: Value) -> Options:
    if not isinstance(value, Mapping):
        return {}
    return {key: it for key, it in value.items() if key != "url"}
