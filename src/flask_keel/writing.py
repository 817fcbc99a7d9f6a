"""The commands that write a migration: Flask-Migrate's, with our lines in place of Alembic's."""

import gc
from typing import Any

import click
import flask_migrate.cli
from flask import g
from flask.cli import with_appcontext

theirs = flask_migrate.cli.db.commands
JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout.")


@click.command("migrate", params=[*theirs["migrate"].params, JSON], help=theirs["migrate"].help)
@with_appcontext
def migrate(as_json: bool, **options: Any) -> Any:
    from . import errors, history, messages, quiet, report, whole

    gc.freeze()  # the models are here by now, and stay
    given = dict(item.partition("=")[::2] for item in options["x_arg"] or g.x_arg)
    empty: dict[str, Any] = {"operations": [], "answers": given, "file": None, "revision": None}
    empty |= {"findings": [], "proof": None, "schema": None, "next": None}
    with (
        report.printed(as_json, empty, errors.of_the_application),
        quiet.alembic(),
        whole.migrations(history.folder() / "versions"),
    ):
        if given:
            said = ", ".join(f"{key}={value}" for key, value in given.items())
            messages.say(messages.ANSWERED, answers=said)
        return theirs["migrate"].callback(**options)


@click.command("revision", params=theirs["revision"].params, help=theirs["revision"].help)
@with_appcontext
def revision(**options: Any) -> Any:
    from . import history, quiet, whole

    with quiet.alembic(), whole.migrations(history.folder() / "versions"):
        return theirs["revision"].callback(**options)


commands = [migrate, revision]
