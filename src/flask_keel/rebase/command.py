"""The command `db rebase`."""

import click
import flask_migrate.cli
from flask import current_app
from flask.cli import with_appcontext

REVISION = click.Argument(["revision"], required=False)


@click.command("rebase", params=[*flask_migrate.cli.db.commands["check"].params, REVISION])
@with_appcontext
def rebase(directory: str | None, revision: str | None) -> None:
    """Put one of two heads after the other: REVISION, or the one that is not on the main branch."""
    from ..revise.project import Project
    from . import run

    migrate = current_app.extensions["migrate"].migrate
    run.run(Project(current_app, migrate.get_config(directory)), revision)
