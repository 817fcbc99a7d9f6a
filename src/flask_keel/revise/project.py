"""What the commands need to know of the application outside of a run of env.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import MetaData
from sqlalchemy.engine import Engine

from .. import quiet, servers


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
        quiet.unfounded()

    @property
    def dialect(self) -> str:
        """ "sqlite", "postgresql" or "mysql" (MariaDB too)."""
        return servers.kind(self.engine.url)

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
