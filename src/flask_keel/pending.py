"""In development what is not migrated is a page, and a line where the server starts: no traceback.

A server imports no Alembic: what is pending is read from the files. Whether the models are ahead of the
history is found out by a process of its own, once when the server starts.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread

import click
from flask import Flask, request
from flask.helpers import get_debug_flag
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException
from werkzeug.serving import is_running_from_reloader

from . import binds, health, output, revisions, urls
from .binds import Bind
from .revisions import Revision
from .sqlite import files

MOST = 10  # lines of a page
PATIENCE = 60.0  # seconds in which the models are compared, on whatever machine
MIGRATE = "make migrate (db upgrade)"
GENERATE = "make newmigration (db migrate)"
# what a server has in its environment, and a command has not
OF_SERVERS = ("FLASK_DEBUG", "FLASK_RUN_FROM_CLI", "WERKZEUG_RUN_MAIN", "WERKZEUG_SERVER_FD")


def init_app(app: Flask) -> None:
    """In development, answer each request with what is pending, as long as there is something.

    Where ``DEVELOPMENT`` is not set, as in production and in tests, nothing is done: there ``/readyz`` tells.

    :param app: after it was given its Keel
    """
    if app.config.get("DEVELOPMENT") is not True or app.config.get("TESTING"):
        return
    if "keel" not in app.extensions:  # it was taken out
        return
    home = Path(app.extensions["keel"].directory)
    watches = [Watch(app, bind) for bind in binds.migrated(app, home)]
    for watch in watches:
        app.before_request(watch.stop_request)
        if _runs():
            watch.start()
    if DBAPIError not in app.error_handler_spec[None][None]:
        app.register_error_handler(DBAPIError, partial(_explain, app, watches))


def _runs() -> bool:
    """Whether this process is `run` and answers itself: one that only reloads has another that answers."""
    context = click.get_current_context(silent=True)
    if context is None or context.info_name != "run":
        return False
    given = context.params.get("reload")
    reloads = get_debug_flag() if given is None else given
    return not reloads or is_running_from_reloader()


def _explain(app: Flask, watches: "list[Watch]", error: Exception) -> ResponseReturnValue:
    """Answer a query that failed over what the models are ahead; it may still be found out.

    :raises Exception: the error, where it is another's and the application has no answer to it
    """
    for watch in watches:
        watch.wait()
        if found := watch.pending():
            return app.handle_http_exception(found)
    handlers = app.error_handler_spec[None][None]
    for kind in type(error).__mro__:
        if kind in handlers and kind is not DBAPIError:
            answer: ResponseReturnValue = app.ensure_sync(handlers[kind])(error)
            return answer
    raise error


class Pending(HTTPException):
    """What is pending, as a page: the application's own page for errors is what shows it."""

    code = 503

    @property
    def name(self) -> str:
        """The headline."""
        return "Migrations are pending"


class Watch:
    """What one application's database and models lack.

    :param app: itself, not the proxy
    :param bind: whose database and models; None for the default
    """

    def __init__(self, app: Flask, bind: Bind = None) -> None:
        self._app = app
        self._bind = bind
        self._folder = binds.folder(Path(app.extensions["keel"].directory), bind)
        self._history: Mapping[str, Revision] | None = None
        self._read_at: dict[Path, int] = {}
        # what the models had that these heads have not
        self._models: list[str] = []
        self._heads: set[str] = set()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Say on stderr what is pending, in a thread: the server does not wait for it."""
        self._thread = Thread(target=self._say, name="pending", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the models are compared."""
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _say(self) -> None:
        with self._app.app_context():
            self._print(self._lacking())
            self._compare_models()
            self._print(self._ahead())

    def _print(self, found: tuple[str, list[str], str] | None) -> None:
        if found is not None:
            sentence, names, command = found
            said = ", ".join(output.listed(names, MOST))
            click.echo(f"{sentence} ({said}): type {command}.", err=True)

    def stop_request(self) -> None:
        """Stop a request while something is pending; files of ``static/`` are answered.

        :raises Pending: with the page
        """
        if self._thread is None:
            self.start()
        if (request.endpoint or "").rpartition(".")[2] == "static":
            return
        if found := self.pending():
            raise found

    def pending(self) -> Pending | None:
        """Return the page that says what is pending."""
        found = self._lacking() or (None if self._made_anew() else self._ahead())
        if found is None:
            return None
        sentence, names, command = found
        page = Markup("{}:<br>{}<br>Type <code>{}</code> ({}, then load this page again.")
        lines = Markup("<br>").join(output.listed(names, MOST))
        return Pending(page.format(sentence, lines, *command.split(" (")))

    def _lacking(self) -> tuple[str, list[str], str] | None:
        """What the database lacks of the history: a sentence, names, and the command."""
        known = self._known()
        applied = self._applied()
        if known is None or applied is None or revisions.compare(known, applied) != "behind":
            return None
        there = revisions.reached(applied, {name: one.below for name, one in known.items()})
        names = [one.path.name for one in revisions.in_order(known) if one.revision not in there]
        count = "a migration" if len(names) == 1 else f"{len(names)} migrations"
        return f"{self._shown} lacks {count}", names, MIGRATE

    def _ahead(self) -> tuple[str, list[str], str] | None:
        """What the models have and the history has not, as it was when the server started.

        A new migration may be it.
        """
        known = self._known()
        if not self._models or known is None or revisions.heads_of(known) != self._heads:
            return None
        return "The models have what no migration makes", self._models, GENERATE

    def _made_anew(self) -> bool:
        """Whether the database has what the models add, from `make db`: it is one to work on."""
        if not self._models:
            return False
        with suppress(Exception):  # one that does not answer says so itself
            return bool(inspect(self._engine).has_table(revisions.AHEAD_TABLE))
        return False

    @property
    def _shown(self) -> str:
        return urls.shown(self._engine.url)

    @property
    def _engine(self) -> Engine:
        return binds.engine(self._app, self._bind)

    def _applied(self) -> frozenset[str] | None:
        file = files.file_of(self._engine.url)
        if file is not None and not file.exists():
            return frozenset()
        return health.probe(self._app, self._bind).applied()

    def _known(self) -> Mapping[str, Revision] | None:
        """The history, read again where a file has come or gone."""
        places = {self._folder, *self._read_at}
        now = {place: place.stat().st_mtime_ns for place in places if place.is_dir()}
        if now != self._read_at:
            self._history = revisions.read(self._folder)
            found = self._history or {}
            places = {self._folder, self._folder / "versions"}
            places |= {one.path.parent for one in found.values()}
            self._read_at = {place: place.stat().st_mtime_ns for place in places if place.is_dir()}
        return self._history

    @property
    def _status(self) -> list[str]:
        several = bool(self._app.config.get("SQLALCHEMY_BINDS"))
        named = ["--bind", binds.shown(self._bind)] if several else []
        return ["status", "--json", *named]

    def _compare_models(self) -> None:
        """Let a process of its own compare them; where it cannot tell, nothing is said."""
        root = Path(self._app.root_path)
        env = {key: value for key, value in os.environ.items() if key not in OF_SERVERS}
        command = [sys.executable, "-m", "flask", "--app", self._app.import_name]
        known = self._known()
        with suppress(OSError, ValueError, LookupError, TypeError):
            ran = subprocess.run(
                [*command, self._app.extensions["keel"].command, *self._status],
                cwd=root.parent if (root / "__init__.py").exists() else root,
                env={**env, "SETTINGS": str(self._app.config.get("SETTINGS", ""))},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            self._models = list(json.loads(ran.stdout)[0]["models"]["missing"])
            self._heads = revisions.heads_of(known or {})
