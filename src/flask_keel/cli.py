"""The group `db`: how its commands are found and told of a folder, and how their errors end."""

import gc
import re
from pathlib import Path
from typing import Any

import click
import flask_migrate
import flask_migrate.cli
from flask import Flask, current_app
from flask.cli import ScriptInfo, with_appcontext
from flask_migrate import Migrate

from . import commands, errors, history, output, sqlite_safe, waiting
from .typing import Value


class Db(click.Group):
    """A group in which every error becomes one sentence, and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        # what is imported is no garbage: looking through it, at the end too, took a fifth of the time
        gc.freeze()
        output.take_all_letters()
        with waiting.bounded(), errors.never_dropped():
            app = ctx.ensure_object(ScriptInfo).load_app()
            with output.typed_as(None if _has_targets(app) else ctx.command_path):
                return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> object:
        try:
            with history.told():
                if unreached := ctx.meta.get(waiting.UNREACHED):
                    raise unreached
                return super().invoke(ctx)
        except Exception as error:
            failed = errors.as_click(error)
            raise failed from (None if failed is error else error)


def _has_targets(app: Flask) -> bool:
    """Whether the project has the Makefile that sentences speak of."""
    makefile = history.root(Path(app.extensions["keel"].directory)) / "Makefile"
    try:
        return "\nnewmigration:" in makefile.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


NO_FOLDER = (
    "{folder} is no migrations folder, it has no {name}: type db init to make one, or say where it is "
    "(Keel's directory=, --directory)."
)
STOCK = "{env} is Flask-Migrate's own, so nothing is made safe, linted or proved: type db adopt."
NO_HOOKS = (
    "{ini} has no hooks = sqlite_safe, review, so nothing is linted or proved: type db adopt."
)
HOOKS = re.compile(r"^hooks\s*=.*\breview\b", re.MULTILINE)


def group() -> Db:
    """Return the group."""
    theirs = flask_migrate.cli.db
    _let_errors_through()
    sqlite_safe.register()
    commands.register()

    @with_appcontext
    def callback(**options: Value) -> object:
        current_app.extensions["migrate"].migrate  # noqa: B018  (makes it)
        return theirs.callback(**options)

    for param in theirs.params:
        if param.name == "directory":
            param.callback = _note_directory_of_all
    db = Db("db", params=theirs.params, callback=callback, help=theirs.help)
    for name, command in theirs.commands.items():
        for param in command.params:
            if param.name == "directory":
                param.callback = _note_directory
        db.add_command(command, name)
    for command in (*commands.ALL, sqlite_safe.sqlite_safe_command):
        db.add_command(command)
    return db


def make_flask_migrate(app: Flask, keel: Any) -> object:
    """Make the application's Flask-Migrate; return what it keeps in ``app.extensions``."""
    commands = dict(app.cli.commands)
    flask_migrate.Config = _Config
    made = Migrate(app, keel.db, keel.directory, keel.command, **keel.alembic_ctx_kwargs)
    made.configure_callbacks = keel.configure_callbacks
    app.cli.commands.update(commands)  # Flask-Migrate has put its own `db` there
    return app.extensions["migrate"]


class _Config(flask_migrate.Config):  # type: ignore[misc]  # it has no types
    """Alembic's configuration, for a project whose path holds a percent sign."""

    def __init__(self, *args: Value, **options: Value) -> None:
        super().__init__(*args, **options)
        defaults = self.file_config.defaults()
        defaults.update({"here": defaults["here"].replace("%", "%%")})

    def set_main_option(self, name: str, value: str) -> None:
        super().set_main_option(
            name, value.replace("%", "%%") if name == "script_location" else value
        )


def _let_errors_through() -> None:
    # Flask-Migrate logs a CommandError and exits; the sentence is ours to find
    for name, function in vars(flask_migrate.cli).copy().items():
        if name.startswith("_") and hasattr(function, "__wrapped__"):
            setattr(flask_migrate.cli, name, function.__wrapped__)


WRITING = ("migrate", "revision", "merge")


def _note_directory(context: click.Context, param: click.Parameter, value: Value) -> Value:
    """Keep what --directory says, and look at the folder before anything is done.

    :raises click.ClickException: when it is no migrations folder
    """
    value = value or context.meta.get(history.DIRECTORY)
    context.meta[history.DIRECTORY] = value
    if context.info_name in ("init", "adopt") or context.resilient_parsing:
        return value
    app = context.ensure_object(ScriptInfo).load_app()
    folder = Path(value or app.extensions["keel"].directory)
    writing = context.info_name in WRITING
    for name in ("env.py", "alembic.ini", "script.py.mako")[: 3 if writing else 1]:
        if not (folder / name).is_file():
            raise click.ClickException(output.as_typed(NO_FOLDER.format(folder=folder, name=name)))
    _say_what_is_stock(folder, writing)
    return value


def _note_directory_of_all(context: click.Context, param: click.Parameter, value: Value) -> Value:
    """Keep what `db --directory` says for the command that follows."""
    context.meta[history.DIRECTORY] = value
    return value


def _say_what_is_stock(folder: Path, writing: bool) -> None:
    if "flask_keel" not in (folder / "env.py").read_text(encoding="utf-8", errors="replace"):
        output.say(STOCK.format(env=folder / "env.py"))
    elif writing and not HOOKS.search((folder / "alembic.ini").read_text(encoding="utf-8")):
        output.say(NO_HOOKS.format(ini=folder / "alembic.ini"))
