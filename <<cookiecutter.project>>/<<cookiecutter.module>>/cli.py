"""The commands: `db`, the application's own, and bin/manage.py's."""

import click
from flask.cli import FlaskGroup, ScriptInfo


class Database(click.Command):
    """`db`, loaded when it is called: a server never imports Alembic."""

    def make_context(self, info_name, args, parent=None, **extra):
        return group().make_context(info_name, args, parent, **extra)

    def invoke(self, context):
        return context.command.invoke(context)


def group():
    """Return the toolkit's `db` commands.

    :raises click.ClickException: when a library's version is outside of what works
    """
    from alembic.util import CommandError

    from .migrations.toolkit import requirements

    try:
        requirements.check()  # before the rest, which some versions could not even import
    except CommandError as error:
        raise click.ClickException(str(error)) from error

    from .migrations.toolkit import commands

    return commands.group(starter_rows)


def starter_rows():
    """Put the starter rows into a fresh development database."""
    from . import seed
    from .extensions import db

    seed.seed(db.session)
    db.session.commit()


def init_app(app):
    """Give the application its commands."""
    app.cli.add_command(Database("db", help="Change the database: upgrade, migrate, downgrade ..."))


def db():
    """Run `db ...`."""
    Database("db").main(prog_name="db", obj=ScriptInfo(create_app=_create_app))


def _create_app():
    from . import create_app

    return create_app()


@click.group(cls=FlaskGroup, create_app=_create_app)
def main():
    """<<cookiecutter.project>>: run, shell, routes, db and your own commands."""
