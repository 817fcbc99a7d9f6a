"""The extension: an application's models, its migrations folder and the commands `db ...`."""

import gc
import sqlite3
from collections.abc import Callable, Collection
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask import Flask
from flask.cli import ScriptInfo
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from . import loading, output, revisions, waiting
from .typing import Value

if TYPE_CHECKING:
    from alembic.config import Config

    Configure = Callable[[Config], Config]

# first version that works, first that was not tried
WANTED = {
    "alembic": ((1, 18, 4), (1, 21)),
    "SQLAlchemy": ((2, 0, 32), (2, 2)),
    "Flask": ((3, 0), (4,)),
    "Flask-SQLAlchemy": ((3, 1), (4,)),
    "Flask-Migrate": ((4, 0, 2), (5,)),
}


@cache
def require_versions() -> None:
    """Stop when a library is outside of the range that works.

    :raises click.ClickException: naming the library, its version and what installs the right one
    """
    if sqlite3.sqlite_version_info < (3, 35):
        raise click.ClickException(
            f"SQLite {sqlite3.sqlite_version} is too old, 3.35 is the first that works: use a newer Python."
        )
    for name, (first, beyond) in WANTED.items():
        version = metadata.version(name)
        if not first <= _parts(version) < beyond:
            wanted = f">={_text(first)},<{_text(beyond)}"
            raise click.ClickException(
                f"{name} {version} is installed, and this application needs {wanted}: "
                f"type pip install '{name}{wanted}'."
            )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _text(parts: tuple[int, ...]) -> str:
    return ".".join(map(str, parts))


Seed = str | Callable[[Session], str | None]


class Keel:
    """A drop-in for ``flask_migrate.Migrate`` that loads Alembic when a command asks for it.

    The arguments are Flask-Migrate's own, in its order:
    https://flask-migrate.readthedocs.io/en/latest/#api-reference

    :param app: the Flask application; or call :meth:`init_app` later
    :param db: the ``flask_sqlalchemy.SQLAlchemy`` object
    :param directory: the migrations folder
    :param command: the name of the group of commands
    :param seed: what puts rows into a fresh development database: a function that takes a session,
        or where it is, as ``"my_app.seed:seed"``; what it returns is said when they are there
    :param binds: the binds whose databases are migrated, too; None for all that ``SQLALCHEMY_BINDS`` has. One
        that is left out is touched by no command
    :param options: for Alembic's ``configure``: ``include_object``, ``version_table`` and the rest;
        ``target_metadata`` for models that are not those of ``db``
    :raises click.ClickException: when the application and ``db`` are not what they are to be
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: SQLAlchemy | None = None,
        directory: str | Path = "migrations",
        command: str = "db",
        compare_type: object = True,
        render_as_batch: bool = True,
        *,
        seed: Seed | None = None,
        binds: Collection[str] | None = None,
        **options: Value,
    ) -> None:
        _require_order(app, db)
        self.db = db
        self.directory = str(directory)
        self.command = command
        self.seed = seed
        self.binds = None if binds is None else list(binds)
        given = {"compare_type": compare_type, "render_as_batch": render_as_batch}
        self.alembic_ctx_kwargs = {**options, **given}
        self.configure_callbacks: list[Callable[[Config], Config]] = []
        if app is not None and db is not None:
            self.init_app(app)

    def init_app(
        self,
        app: Flask,
        db: SQLAlchemy | None = None,
        directory: str | Path | None = None,
        command: str | None = None,
        compare_type: object = None,
        render_as_batch: bool | None = None,
        **options: Value,
    ) -> None:
        """Give the application its commands, and Flask-Migrate what it looks for there.

        :raises click.ClickException: when the application and ``db`` are not what they are to be
        """
        _require_order(app, db)
        self.db = db or self.db
        if self.db is None:
            raise click.ClickException("Keel has no models yet: write keel.init_app(app, db).")
        self.directory = str(directory or self.directory)
        self.command = command or self.command
        given = {"compare_type": compare_type, "render_as_batch": render_as_batch}
        self.alembic_ctx_kwargs |= options
        self.alembic_ctx_kwargs |= {key: it for key, it in given.items() if it is not None}
        app.extensions["keel"] = self
        app.extensions["migrate"] = Deferred(app, self)
        app.cli.add_command(
            Database(self.command, help="Change the database: upgrade, migrate, downgrade ...")
        )

    def configure(self, function: "Configure") -> "Configure":
        """Let a function change Alembic's configuration, as Flask-Migrate's ``configure`` does."""
        self.configure_callbacks.append(function)
        return function

    def main(self, create_app: Callable[[], Flask]) -> None:
        """Run ``db ...`` as a command of its own, for a script of the application's package.

        :param create_app: the application factory
        """
        Database("db").main(prog_name="db", obj=ScriptInfo(create_app=create_app))

    def sow(self) -> str | None:
        """Put the starter rows into the database of the current application; return what they say."""
        seed, said = self.seed, None
        if isinstance(seed, str):
            module, _, name = seed.partition(":")
            seed = getattr(import_module(module), name)
        if seed is not None and self.db is not None:
            said = seed(self.db.session())
            self.db.session.commit()
        return said


def _require_order(app: object, db: object) -> None:
    if isinstance(db, Flask) or (app is not None and not isinstance(app, Flask)):
        raise click.ClickException(
            "Keel takes the Flask application first, then the SQLAlchemy object: write Keel(app, db)."
        )
    if db is not None and not hasattr(db, "metadata"):
        raise click.ClickException(
            f"Keel takes Flask-SQLAlchemy's object as db, not {type(db).__name__}: write Keel(app, db)."
        )


class Deferred:
    """Stands in ``app.extensions["migrate"]`` until something is asked of Flask-Migrate.

    Not made at start-up: a server has no use for Alembic.
    """

    def __init__(self, app: Flask, keel: Keel) -> None:
        self._app = app
        self._keel = keel

    def __getattr__(self, name: str) -> Any:
        from . import cli

        made = self._app.extensions["migrate"]
        if made is self:
            made = cli.make_flask_migrate(self._app, self._keel)
        return getattr(made, name)


class Database(click.Command):
    """`db`, loaded when it is called: a server never imports Alembic, nor does a plain question."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        output.open_what_is_closed()  # before Alembic is imported, which notes stdout
        if tuple(args) not in revisions.COMMANDS:
            return _group().make_context(info_name, args, parent, **extra)
        context = click.Context(self, info_name=info_name, parent=parent, **extra)
        context.args = args
        return context

    def invoke(self, context: click.Context) -> object:
        if context.command is not self:
            return context.command.invoke(context)
        require_versions()
        with waiting.bounded():
            app = context.ensure_object(ScriptInfo).load_app()
            try:
                answer = revisions.answer(app, context.args)
            except DBAPIError as error:
                return self._in_full(context, app, error)
            if answer is None:
                return self._in_full(context)
        for lines, err in zip(answer, (False, True), strict=True):
            for line in lines:
                click.echo(line, err=err)
        gc.freeze()  # or Python looks through all that was imported when it ends: a fourth of the time
        return None

    def _in_full(
        self, context: click.Context, app: Flask | None = None, error: Exception | None = None
    ) -> object:
        """Run the command, or have it say the error that it would meet again."""
        group = _group()
        options = {"parent": context.parent, "obj": context.obj}
        with group.make_context(context.info_name, list(context.args), **options) as whole:
            if app is not None and error is not None:
                whole.with_resource(app.app_context())
                whole.meta[waiting.UNREACHED] = error
            return group.invoke(whole)


def _group() -> click.Group:
    require_versions()  # before the rest, which some versions could not even import
    with loading.quietly():
        from . import cli

        return cli.group()
