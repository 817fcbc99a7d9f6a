"""The commands: `db`, the application's own, and bin/manage.py's."""

import click
from flask.cli import FlaskGroup

from . import create_app
from .extensions import keel


@click.group(cls=FlaskGroup, create_app=create_app)
def main() -> None:
    """<<cookiecutter.project>>: run, shell, routes, db and your own commands."""


def db() -> None:
    """Run `db ...`."""
    keel.main(create_app)
