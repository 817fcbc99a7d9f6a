"""What a proof needs to know of the application: its history, its models, its kind of database."""

from dataclasses import dataclass, field
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData

from ...seam import AHEAD_TABLE

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
