"""What one run of env.py has to go on: the command, the models, the database."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import alembic.context
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection

from . import guard, quiet
from .urls import shown

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
        quiet.unfounded()

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
    """Let the toolkit's engine carry out Alembic's operations on SQLite, and no other database pay for it.

    :param bind: a connection or an engine
    """
    if bind.dialect.name == "sqlite":
        from .sqlite import impl  # noqa: F401  (registers itself)


def engine_options(settings: Any) -> dict[str, Any]:
    """Return what the engine reads of the application's configuration."""
    return {"sqlite_schema_edits": settings.get("SQLITE_SCHEMA_EDITS", True)}


def keep_one_transaction(migration_context: Any) -> None:
    """Make ``autocommit_block`` do nothing on SQLite, where it would commit half of an upgrade."""
    if migration_context.dialect.name == "sqlite":
        migration_context.autocommit_block = nullcontext


def replay(
    seam: Any,
    work: Callable[..., Any],
    connection: Connection,
    recorder: Any = None,
    **options: Any,
) -> None:
    """Run revisions on another database; where that is inside a run of env.py, leave it as it was.

    A nested environment, since migrations may use ``alembic.context`` themselves.

    :param seam: or what has its ``config``, ``script``, ``metadata`` and ``engine``
    :param work: yields the steps, as Alembic's commands do
    :param connection: the other database
    :param recorder: a :class:`.revise.recorded.Recorder`, where what they do is to be written down
    """
    outer = getattr(alembic.context, "_proxy", None)
    use_engine(connection)
    options = {**engine_options(seam.settings), **options}
    try:
        with EnvironmentContext(seam.config, seam.script, fn=work) as inner:
            inner.configure(connection=connection, target_metadata=seam.metadata, **options)
            keep_one_transaction(inner.get_context())
            with inner.begin_transaction(), guard.guarded(connection, seam.engine):
                if recorder is None:
                    inner.run_migrations()
                else:
                    with recorder.recording(inner.get_context()):
                        inner.get_context().run_migrations()
    finally:
        if outer is not None:
            outer._install_proxy()


def _not_ours(include: Callable[..., bool] | None) -> Callable[..., bool]:
    def include_object(item: Any, name: str, kind: str, reflected: bool, compared: Any) -> bool:
        if kind == "table" and name == AHEAD_TABLE:
            return False
        return include is None or include(item, name, kind, reflected, compared)

    return include_object
