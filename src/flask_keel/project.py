"""The application as the tools see it: its models, database, history and settings."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, make_url

from . import output
from .urls import shown


def kind(url: Any) -> str:
    """Return "sqlite", "postgresql" or "mysql" (MariaDB too)."""
    name = make_url(url).get_backend_name()
    return "mysql" if name == "mariadb" else name


# Models of other databases: ``__bind_key__``, https://flask-sqlalchemy.readthedocs.io/en/stable/binds/.


def left_out(app: Any) -> str | None:
    """Say which models belong to other databases, for which no migrations are written; None for none.

    :param app: the Flask application
    :returns: a sentence without its full stop
    """
    metadatas = getattr(app.extensions["migrate"].db, "metadatas", {})
    tables = [
        f"{table} ({key})"
        for key, metadata in metadatas.items()
        if key is not None
        for table in sorted(metadata.tables)
    ]
    if not tables:
        return None
    return (
        f"Left out: {', '.join(tables)}: migrations are for the default database alone, and these models "
        "have a __bind_key__ of another; make their tables there yourself"
    )


# What the commands need to know of the application outside of a run of env.py.


@dataclass
class Project:
    """The application, its history and its kind of database.

    :param app: the Flask application
    :param config: Alembic's
    """

    app: Any
    config: Any

    def __post_init__(self) -> None:
        self.script = ScriptDirectory.from_config(self.config)
        migrate = self.app.extensions["migrate"]
        self.metadata: MetaData = migrate.db.metadata
        self.engine: Engine = migrate.db.engine
        self.settings = self.app.config
        output.unfounded()

    @property
    def dialect(self) -> str:
        """ "sqlite", "postgresql" or "mysql" (MariaDB too)."""
        return kind(self.engine.url)

    @property
    def folder(self) -> Path:
        """The folder of the migrations."""
        return Path(self.script.dir)

    @property
    def root(self) -> Path:
        """The folder of the project: that of the package which holds the migrations."""
        return self.folder.parent.parent

    @property
    def version_table(self) -> str:
        """The table in which Alembic notes where a database is."""
        options = self.app.extensions["migrate"].configure_args
        return options.get("version_table", "alembic_version")

    @property
    def zero_downtime(self) -> bool:
        """Whether the configuration says that a release runs while the next one migrates."""
        return self.settings.get("ZERO_DOWNTIME") is True

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


AHEAD_TABLE = "alembic_ahead"


class Seam:
    """One run of env.py.

    :param context: ``alembic.context``, as env.py sees it
    :param app: the Flask application
    """

    def __init__(self, context: Any, app: Any) -> None:
        self.context = context
        self.config = context.config
        self.script = context.script
        migrate = app.extensions["migrate"]
        self.metadata = migrate.db.metadata
        self.engine = migrate.db.engine
        self.options = dict(migrate.configure_args)
        self.settings = app.config
        output.unfounded()

    @property
    def _opts(self) -> dict[str, Any]:
        # there is no public way to ask which command runs: this property is the one place that looks
        return self.context._proxy.context_opts

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
        return self._opts["revision_context"].command_args["head"]

    @property
    def revision_context(self) -> Any:
        """What Alembic knows of the revision that is to be written or compared."""
        return self._opts["revision_context"]

    @property
    def reading(self) -> bool:
        """Whether the command only looks: current, history --indicate-current, edit."""
        return not self._opts.get("destination_rev")

    @property
    def purging(self) -> bool:
        """Whether the command forgets what the database says of itself: stamp --purge."""
        return bool(self._opts.get("purge"))

    @property
    def work(self) -> Callable[..., Any]:
        """The function by which the command yields the steps to run."""
        return self._opts["fn"]

    @property
    def start(self) -> str | None:
        """The revision from which the command wants SQL, when it says one."""
        return self._opts.get("starting_rev")

    @property
    def moving(self) -> str | None:
        """ "upgrade" or "downgrade" when the command moves the database through the history."""
        name = getattr(self.work, "__name__", "")
        return name if name in ("upgrade", "downgrade") else None

    @property
    def database(self) -> str:
        """The database as text for people: a path, or a URL without its password."""
        return shown(self.engine.url)

    def configure(self, connection: Connection | None = None, **options: Any) -> None:
        """Configure the run, with the application's own options under ``options``."""
        given = {**self.options, **options}
        use_engine(self.engine)
        self.context.configure(
            connection=connection,
            target_metadata=self.metadata,
            include_object=_not_ours(given.pop("include_object", None)),
            **engine_options(self.settings),
            **given,
        )
        if connection is not None:
            keep_one_transaction(self.context.get_context())


def use_engine(bind: Any) -> None:
    """Let the library's engine carry out Alembic's operations on SQLite, and no other database pay for it.

    :param bind: a connection or an engine
    """
    if bind.dialect.name == "sqlite":
        from .sqlite import impl  # noqa: F401  (registers itself)  # noqa: F401  (registers itself)


def engine_options(settings: Any) -> dict[str, Any]:
    """Return what the engine reads of the application's configuration."""
    return {"sqlite_schema_edits": settings.get("SQLITE_SCHEMA_EDITS", True)}


def keep_one_transaction(migration_context: Any) -> None:
    """Make ``autocommit_block`` do nothing on SQLite, where it would commit half of an upgrade."""
    if migration_context.dialect.name == "sqlite":
        migration_context.autocommit_block = nullcontext


def _not_ours(include: Callable[..., bool] | None) -> Callable[..., bool]:
    def include_object(item: Any, name: str, kind: str, reflected: bool, compared: Any) -> bool:
        if kind == "table" and name == AHEAD_TABLE:
            return False
        return include is None or include(item, name, kind, reflected, compared)

    return include_object


# What a proof needs to know of the application: its history, its models, its kind of database.


# what the application gives Flask-Migrate for its real database, and what is no business of a rehearsal
NOT_FOR_A_REHEARSAL = ("process_revision_directives", "on_version_apply", "render_item")


@dataclass
class Subject:
    """The application as the proof sees it.

    :param config: Alembic's
    :param metadata: the models
    :param url: of the application's database: its kind, and the server on which a scratch is made
    :param engine_options: more arguments for ``create_engine``
    :param options: for Alembic's ``configure``: compare_type, version_table, include_object ...
    :param engine: the application's, which no migration may reach from here
    """

    config: Any
    metadata: MetaData
    url: Any
    engine_options: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    engine: Engine | None = None

    def __post_init__(self) -> None:
        self.script = ScriptDirectory.from_config(self.config)
        self.options = {
            key: value for key, value in self.options.items() if key not in NOT_FOR_A_REHEARSAL
        }

    @property
    def ignored(self) -> frozenset[str]:
        """Tables that are the tools', not the application's."""
        return frozenset({self.options.get("version_table", "alembic_version"), AHEAD_TABLE})

    @classmethod
    def of(cls, app: Any, config: Any) -> "Subject":
        """Return the subject that a Flask application is.

        :param config: Alembic's, as Flask-Migrate's ``get_config`` gives it
        """
        migrate = app.extensions["migrate"]
        edits = app.config.get("SQLITE_SCHEMA_EDITS", True)
        return cls(
            config=config,
            metadata=migrate.db.metadata,
            url=migrate.db.engine.url,
            engine_options=app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {},
            options={**migrate.configure_args, "sqlite_schema_edits": edits},
            engine=migrate.db.engine,
        )
