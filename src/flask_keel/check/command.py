"""The commands `db check` and `db schema`."""

from typing import Any

import click
import flask_migrate.cli
from flask import current_app
from flask.cli import with_appcontext

theirs = flask_migrate.cli.db.commands["check"]
JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout.")


@click.command("check", params=[*theirs.params, JSON])
@with_appcontext
def check(directory: str | None, as_json: bool) -> None:
    """Check the history for CI: one head, equal to the models, linted and proved."""
    from .. import errors, report
    from . import run

    empty: dict[str, Any] = {"head": None, "migrations": [], "schema": None}
    with report.printed(as_json, empty, errors.of_the_application):
        run.run(_project(directory))


@click.command("schema", params=theirs.params)
@with_appcontext
def schema(directory: str | None) -> None:
    """Write the schema file anew, as the migrations make it."""
    from .. import messages, schema_file
    from ..revise import rehearsed

    project = _project(directory)
    file = schema_file.path(project.folder, project.dialect)
    with rehearsed.history(project, []) as (connection, _):
        changed = schema_file.write(file, schema_file.text(connection, project.version_table))
    message = messages.SCHEMA_WRITTEN if changed else messages.SCHEMA_EQUAL
    messages.say(message, file=project.shown(file))


def _project(directory: str | None) -> Any:
    from ..revise.project import Project

    migrate = current_app.extensions["migrate"].migrate
    return Project(current_app, migrate.get_config(directory))
