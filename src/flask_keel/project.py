"""The application as the tools see it: its models, database, history and settings."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, wraps
from itertools import product
from pathlib import Path
from typing import Self

import alembic.context
import click
from alembic.autogenerate.api import RevisionContext
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionMap
from alembic.util import CommandError, load_python_file
from flask import Flask, current_app, g
from sqlalchemy import URL, Connection, Engine, MetaData, event, make_url

from . import binds, history, output, revisions
from .revisions import AHEAD_TABLE
from .sqlite import transaction
from .typing import Options, Value
from .urls import shown


def kind(url: str | URL) -> str:
    """Return "sqlite", "postgresql" or "mysql" (MariaDB too)."""
    name = make_url(url).get_backend_name()
    return "mysql" if name == "mariadb" else name


@contextmanager
def listening(
    *targets: object, retval: bool = False, **listeners: Callable[..., object]
) -> Iterator[None]:
    """Listen to SQLAlchemy's events of some engines or connections for what runs inside.

    :param retval: the listeners return what they change
    :param listeners: functions, by the names of the events
    """
    pairs = list(product(targets, listeners.items()))
    options = {"retval": True} if retval else {}  # which not every event takes
    for target, (name, listener) in pairs:
        event.listen(target, name, listener, **options)
    try:
        yield
    finally:
        for target, (name, listener) in pairs:
            event.remove(target, name, listener)


# What the application gives Alembic: to Keel, and in env.py where it is a function that lives there.


OURS = re.compile(r"\bflask_keel\b.*\brun\(", re.DOTALL)
_declared: ContextVar[Options | None] = ContextVar("declared", default=None)


def declaring(given: Options) -> bool:
    """Whether env.py is run for what it gives alone; then that is noted."""
    wanted = _declared.get()
    if wanted is not None:
        wanted |= given
    return wanted is not None


def options_of(
    app: Flask, config: Config, given: Options | None = None
) -> tuple[Options, MetaData]:
    """Return the options for Alembic's ``configure``, and the models.

    :param given: what env.py gives; None to ask it
    :raises CommandError: when the models are not one MetaData, or one has the name of a tools' table
    """
    bind = bind_of(config)
    options = {**app.extensions["migrate"].configure_args}
    if bind is not None:  # what the application gives are the models of the default
        options.pop("target_metadata", None)
    options |= _in_env(config) if given is None else given
    models = options.pop("target_metadata", binds.metadata(app, bind))
    if not isinstance(models, MetaData):
        raise CommandError(
            "target_metadata is to be one MetaData: the models of one database, in one history."
        )
    if taken := {table.name.lower() for table in models.tables.values()} & OWN_TABLES:
        raise CommandError(
            f"A model has the table {min(taken)}, which is the name of a table that db upgrade keeps: give "
            "the model another __tablename__."
        )
    return options, models


def bind_of(config: Config) -> binds.Bind:
    """Return the bind whose migrations these are."""
    return binds.of(Path(str(config.get_main_option("script_location"))))


def _in_env(config: Config) -> Options:
    """What env.py gives to ``env.run``: it is run for that, where it gives anything."""
    script = ScriptDirectory.from_config(config)
    folder = Path(script.dir)
    if revisions.plain_env(folder) or not OURS.search((folder / "env.py").read_text("utf-8")):
        return {}
    wanted: Options = {}
    outer = getattr(alembic.context, "_proxy", None)
    token = _declared.set(wanted)
    try:
        with EnvironmentContext(config, script, fn=lambda *_: ()):
            script.run_env()
    finally:
        _declared.reset(token)
        if outer is not None:  # inside a run of env.py, that run goes on afterwards
            outer._install_proxy()
    return wanted


NO_APPLICATION = (
    "env.py needs the Flask application: type flask --app NAME db ... in place of this command."
)


def require_application() -> None:
    """Stop where env.py runs outside of an application that has Keel.

    :raises CommandError: saying how it is to be run
    """
    if not current_app:
        raise CommandError(NO_APPLICATION)
    if "keel" not in current_app.extensions:
        raise CommandError(
            "env.py calls flask_keel, and the application has no Keel: write Keel(app, db) where it "
            "makes Flask-Migrate's Migrate(app, db)."
        )


# yields the steps to run, of the revisions at which a database is
Steps = Callable[..., Iterable[MigrationStep]]
LOG_TABLE = "alembic_log"
OWN_TABLES = frozenset({AHEAD_TABLE, LOG_TABLE})
# what the application gives Flask-Migrate for its real database, and what is no business of a rehearsal
NOT_FOR_A_REHEARSAL = ("process_revision_directives", "on_version_apply", "render_item")


@dataclass
class Project:
    """The application as the tools see it: its history, its models, its kind of database.

    :param config: Alembic's
    :param metadata: the models
    :param engine: the application's, which no rehearsal may reach
    :param options: the application's own for Alembic's ``configure``: compare_type, version_table ...
    :param settings: the application's configuration
    :param app: the Flask application
    :param bind: the bind whose database it is; None for the default
    """

    config: Config
    metadata: MetaData
    engine: Engine
    options: Options = field(default_factory=dict)
    settings: Mapping[str, Value] = field(default_factory=dict)
    app: Flask | None = None
    bind: binds.Bind = None

    def __post_init__(self) -> None:
        self.script = ScriptDirectory.from_config(self.config)
        output.unfounded()

    @classmethod
    def of(cls, app: Flask, config: Config, given: Options | None = None) -> Self:
        """Return the project that a Flask application is.

        :param config: Alembic's, as Flask-Migrate's ``get_config`` gives it
        :param given: the options that env.py gives; None to ask it
        :raises CommandError: when the models are not one MetaData
        """
        options, metadata = options_of(app, config, given)
        bind = bind_of(config)
        engine, settings = binds.engine(app, bind), binds.settings(app, bind)
        return cls(config, metadata, engine, options, settings, app, bind)

    @property
    def dialect(self) -> str:
        """ "sqlite", "postgresql" or "mysql" (MariaDB too)."""
        return kind(self.engine.url)

    @property
    def others(self) -> set[Engine]:
        """The engines of the application's other databases, which no rehearsal may reach either."""
        if self.app is None or not binds.configured(self.app):
            return set()
        return set(binds.engines(self.app).values()) - {self.engine}

    @property
    def reader(self) -> Engine:
        """The database as who only looks opens it: no file is made, and no lock is taken.

        :raises CommandError: when it is a file, and is not there
        """
        if self.engine.dialect.name != "sqlite" or transaction.file_of(self.engine.url) is None:
            return self.engine
        return transaction.reader(self.engine.url)

    def applied(self, connection: Connection) -> set[str]:
        """Return the revisions at which a database is: none for one without a version table."""
        said = {"version_table_schema": self.options.get("version_table_schema")}
        opts = {"version_table": self.version_table, **said}
        return set(MigrationContext.configure(connection, opts=opts).get_current_heads())

    def reached(self, applied: Iterable[str]) -> set[str]:
        """Return these revisions and those below them, as far as files have them."""
        scripts = self.script.walk_revisions()
        below = {one.revision: history.parents(self.script, one) for one in scripts}
        return revisions.reached(applied, below)

    @property
    def database(self) -> str:
        """The database as text for people: a path, or a URL without its password."""
        return shown(self.engine.url)

    @property
    def folder(self) -> Path:
        """The folder of the migrations."""
        return Path(self.script.dir)

    @property
    def root(self) -> Path:
        """The folder of the project."""
        return history.root(self.folder)

    @property
    def version_table(self) -> str:
        """The table in which Alembic notes where a database is."""
        return str(self.options.get("version_table", "alembic_version"))

    @property
    def ignored(self) -> frozenset[str]:
        """Tables that are the tools', not the application's."""
        return OWN_TABLES | {self.version_table}

    @property
    def engine_options(self) -> Options:
        """The application's arguments for ``create_engine``."""
        return self.settings.get("SQLALCHEMY_ENGINE_OPTIONS") or {}

    @property
    def for_a_rehearsal(self) -> Options:
        """The options for ``configure`` where migrations run on another database."""
        own = {key: it for key, it in self.options.items() if key not in NOT_FOR_A_REHEARSAL}
        return {**own, **engine_options(self.settings)}

    @cached_property
    def adopted(self) -> frozenset[str]:
        """The revisions that were there when the library was adopted."""
        return history.adopted(self.config, self.script)

    def named_as_adopted(self, steps: Steps) -> Steps:
        """Let adopted revisions name what has no name as they did then, whatever the models say now.

        :param steps: yields them, as Alembic's commands do
        """
        said = (self.config.get_section(history.SECTION) or {}).get("naming_convention")
        if not self.adopted or said is None:
            return steps
        then = MetaData(naming_convention=json.loads(said) or None)
        if then.naming_convention == self.metadata.naming_convention:
            return steps

        @wraps(steps)
        def named(applied: object, context: MigrationContext) -> Iterator[MigrationStep]:
            models = context.opts["target_metadata"]
            try:
                for step in steps(applied, context):
                    script = getattr(step, "revision", None)  # none where it only stamps
                    old = script is not None and script.revision in self.adopted
                    context.opts["target_metadata"] = then if old else models
                    yield step
            finally:
                context.opts["target_metadata"] = models

        return named

    @property
    def zero_downtime(self) -> bool:
        """Whether the configuration says that a release runs while the next one migrates."""
        return self.settings.get("ZERO_DOWNTIME") is True

    @property
    def online(self) -> bool:
        """Whether operations run in forms for which nobody waits (:mod:`.zero_downtime`)."""
        return self.zero_downtime and self.dialect == "postgresql"

    def shown(self, path: Path | str) -> str:
        """Return a path as it is typed in the project's folder."""
        path = Path(path)
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def revision_of(self, path: str | Path) -> str:
        """Return the revision whose file this is.

        :raises LookupError: when no revision of the history has that file
        """
        for revision in self.script.walk_revisions():
            if Path(revision.path).resolve() == Path(path).resolve():
                return revision.revision
        raise LookupError(f"{path} is no migration of this history")


# in click's context: --plan and --yes
PLANNED, AGREED = "flask_keel.plan", "flask_keel.yes"


class Environment(Project):
    """A project while Alembic runs its env.py: it knows the command, too.

    :param context: ``alembic.context``, as env.py sees it
    """

    context: EnvironmentContext

    @classmethod
    def of_context(cls, context: EnvironmentContext, app: Flask, given: Options) -> Self:
        """Return what env.py runs for.

        :param app: the Flask application
        :param given: the options that env.py gives
        """
        made = g.keel_environment = cls.of(app, context.config, given)
        made.context, made.script = context, context.script
        return made

    @property
    def _opts(self) -> Options:
        # there is no public way to ask which command runs: this property is the one place that looks
        proxy: EnvironmentContext = getattr(self.context, "_proxy", self.context)
        return proxy.context_opts

    @property
    def comparing(self) -> bool:
        """Whether the command compares the models with a schema: migrate, check, --autogenerate."""
        revision = self._opts.get("revision_context")
        return revision is not None and bool(revision.command_args["autogenerate"])

    @property
    def writing(self) -> bool:
        """Whether a migration file is to be written, and not only compared (check)."""
        return bool(getattr(self.config.cmd_opts, "autogenerate", False))

    @property
    def head_asked(self) -> str:
        """The head on which a new revision is to stand ("head" unless the command says otherwise)."""
        return str(self._opts["revision_context"].command_args["head"])

    @property
    def revision_context(self) -> RevisionContext:
        """What Alembic knows of the revision that is to be written or compared."""
        found: RevisionContext = self._opts["revision_context"]
        return found

    @property
    def reading(self) -> bool:
        """Whether the command only looks: current, history --indicate-current, edit."""
        return not self._opts.get("destination_rev")

    @property
    def destination(self) -> str:
        """The revision that the command was given: "head", "-1", a part of a name ..."""
        return str(self._opts["destination_rev"])

    @property
    def planning(self) -> bool:
        """Whether the command only says what it would do: --plan."""
        return _typed(PLANNED)

    @property
    def agreed(self) -> bool:
        """Whether whoever typed the command agrees to what it loses: --yes."""
        return _typed(AGREED)

    @property
    def purging(self) -> bool:
        """Whether the command forgets what the database says of itself: stamp --purge."""
        return bool(self._opts.get("purge"))

    @property
    def work(self) -> Steps:
        """The function by which the command yields the steps to run."""
        work: Steps = self._opts["fn"]
        return work

    def follow(self, around: Callable[[Steps], Steps]) -> None:
        """Let the steps pass through what a function makes of the one that yields them."""
        self._opts["fn"] = around(self.work)

    @property
    def start(self) -> str | None:
        """The revision from which the command wants SQL, when it says one."""
        return self._opts.get("starting_rev")

    @property
    def moving(self) -> str | None:
        """ "upgrade" or "downgrade" when the command moves the database through the history."""
        name = getattr(self.work, "__name__", "")
        return name if name in ("upgrade", "downgrade") else None

    def configure(self, connection: Connection | None = None, **options: Value) -> None:
        """Configure the run, with the application's own options under ``options``."""
        given = {**self.options, **options}
        use_engine(self.engine)
        say_url(self.config, connection.engine if connection is not None else self.engine)
        self._opts["fn"] = self.named_as_adopted(self.work)
        self.context.configure(
            connection=connection,
            target_metadata=self.metadata,
            include_object=not_ours(given.pop("include_object", None)),
            **engine_options(self.settings),
            **given,
        )
        if connection is not None:
            keep_one_transaction(self.context.get_context())


def _typed(option: str) -> bool:
    command = click.get_current_context(silent=True)
    return bool(command and command.meta.get(option))


def with_new(project: Project, path: str) -> Project:
    """Return the project with a migration whose file is new.

    Where env.py has just run, the rest of the history is not read from its files again.
    """
    before = g.get("keel_environment")
    if before is not None:
        module = load_python_file(*os.path.split(path))
        new = Script(module, module.revision, path)
        known = [*before.script.walk_revisions(), new]
        project.script.revision_map = RevisionMap(lambda: known)
    return project


def use_engine(bind: Connection | Engine) -> None:
    """Let the library's engine carry out Alembic's operations on SQLite, and no other database pay for it.

    :param bind: a connection or an engine
    """
    if bind.dialect.name == "sqlite":
        from .sqlite import impl  # noqa: F401  (registers itself)


def say_url(config: Config, engine: Engine) -> None:
    """Let a migration that reads ``sqlalchemy.url``, as Flask-Migrate's env.py sets it, find the database
    on which it runs.

    :param config: Alembic's
    """
    if url := getattr(engine, "url", None):  # where SQL is printed it may be nobody's
        said = url.render_as_string(hide_password=False)
        config.set_main_option("sqlalchemy.url", said.replace("%", "%%"))


def engine_options(settings: Mapping[str, Value]) -> Options:
    """Return what the engine reads of the application's configuration."""
    return {"sqlite_schema_edits": settings.get("SQLITE_SCHEMA_EDITS", True)}


def keep_one_transaction(migration_context: MigrationContext) -> None:
    """Make ``autocommit_block`` do nothing on SQLite, where it would commit half of an upgrade."""
    if migration_context.dialect.name == "sqlite":
        migration_context.autocommit_block = nullcontext  # type: ignore[method-assign, assignment]


def not_ours(include: Callable[..., bool] | None) -> Callable[..., bool]:
    """Return ``include_object`` for Alembic without the tables that are the tools'.

    :param include: the application's own
    """

    def include_object(
        item: object, name: str | None, kind: str, reflected: bool, compared: object
    ) -> bool:
        if kind == "table" and name in OWN_TABLES:
            return False
        return include is None or include(item, name, kind, reflected, compared)

    return include_object
