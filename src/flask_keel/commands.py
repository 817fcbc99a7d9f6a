"""The `db` commands: all of Flask-Migrate's, and those that are added to them."""

import gc
import os
from typing import Any

import click
import flask_migrate
import flask_migrate.cli
from alembic.util import CommandError
from flask import current_app
from flask.cli import with_appcontext
from flask_migrate import Migrate

from . import errors, history, history_errors, messages, quiet, sqlite_file, whole, writing
from .check import command as check
from .rebase import command as rebase
from .revise import review_hook as review
from .revise import sqlite_safe


class Db(click.Group):
    """A group in which every error becomes one sentence, and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        # what is imported is no garbage: looking through it, at the end too, took a fifth of the time
        gc.freeze()
        try:
            with history_errors.told():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if os.environ.get("FLASK_DEBUG") == "1":
                raise
            raise click.ClickException(errors.of_the_application(error)) from error


def group() -> Db:
    """Return the group."""
    theirs = flask_migrate.cli.db
    _let_errors_through()
    sqlite_safe.register()
    review.register()

    @with_appcontext
    def callback(**options: Any) -> Any:
        current_app.extensions["migrate"].migrate  # noqa: B018  (makes it)
        return theirs.callback(**options)

    db = Db("db", params=theirs.params, callback=callback, help=theirs.help)
    for name, command in theirs.commands.items():
        db.add_command(command, name)
    db.add_command(downgrade)
    db.add_command(merge)
    db.add_command(rebuild)
    db.add_command(sqlite_safe.sqlite_safe_command)
    for command in writing.commands:
        db.add_command(command)
    db.add_command(check.check)
    db.add_command(check.schema)
    db.add_command(rebase.rebase)
    return db


def make_flask_migrate(app: Any, keel: Any) -> Any:
    """Make the application's Flask-Migrate; return what it keeps in ``app.extensions``."""
    commands = dict(app.cli.commands)
    flask_migrate.Config = _Config
    Migrate(app, keel.db, directory=str(keel.directory), **keel.options)
    app.cli.commands.update(commands)  # Flask-Migrate has put its own `db` there
    return app.extensions["migrate"]


class _Config(flask_migrate.Config):
    """Alembic's configuration, for a project whose path holds a percent sign."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        defaults = self.file_config.defaults()
        defaults.update({"here": defaults["here"].replace("%", "%%")})

    def set_main_option(self, name: str, value: str) -> None:
        super().set_main_option(name, value.replace("%", "%%"))


def _let_errors_through() -> None:
    # Flask-Migrate logs a CommandError and exits; the sentence is ours to find
    for name, function in vars(flask_migrate.cli).copy().items():
        if name.startswith("_") and hasattr(function, "__wrapped__"):
            setattr(flask_migrate.cli, name, function.__wrapped__)


def _live() -> str:
    engine = current_app.extensions["migrate"].db.engine
    if engine.dialect.name == "sqlite" and not sqlite_file.in_memory(engine.url):
        engine = sqlite_file.reader(engine.url)
    with engine.connect() as connection:
        return ",".join(sorted(history.applied(connection)))


theirs = flask_migrate.cli.db.commands["downgrade"]


@click.command("downgrade", params=theirs.params, help=theirs.help)
@with_appcontext
def downgrade(sql: bool, revision: str, **options: Any) -> Any:
    if sql and ":" not in revision:
        revision = f"{_live() or 'base'}:{revision}"  # Flask-Migrate would begin at the head
    return theirs.callback(sql=sql, revision=revision, **options)


merges = flask_migrate.cli.db.commands["merge"]


@click.command("merge", params=merges.params, help=merges.help)
@with_appcontext
def merge(revisions: tuple[str, ...], **options: Any) -> Any:
    if not revisions:  # Alembic would write a migration that stands on nothing
        raise CommandError(messages.MERGE_WHAT)
    with quiet.alembic(), whole.migrations(history.folder() / "versions"):
        return merges.callback(revisions=revisions, **options)


@click.command("rebuild")
@with_appcontext
def rebuild() -> None:
    """Delete the development database and build it again, with the starter rows."""
    from . import fresh

    config = current_app.extensions["migrate"].migrate.get_config()
    fresh.rebuild(config, current_app.extensions["keel"].sow)
