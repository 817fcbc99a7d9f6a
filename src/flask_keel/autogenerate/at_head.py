"""Where no scratch database may be made: the development database, once it is what the schema file says.

The file is what the history makes. A database at the head of the history that says the very same stands
in for it: nothing that somebody changed by hand gets into a comparison.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alembic.config import Config
from alembic.util import CommandError
from flask import Flask
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SQLAlchemyError

from .. import catalog, output
from .. import history as history_module
from ..catalog import diff
from ..project import AHEAD_TABLE, Environment, Project
from ..scratch import servers

MOST_DIFFERENCES = 4


def require(project: Environment, connection: Connection, denied: servers.NotAllowed) -> set[str]:
    """Stop unless the application's database may stand in for the scratch database.

    :param denied: why there is no scratch database
    :returns: the names of the tables of others in it
    :raises CommandError: saying what is in the way, and what to type
    """
    if project.settings.get("DB_REBUILD_ALLOWED") is not True:
        raise CommandError(
            f"{denied.reason}; {project.database} is no development database (DB_REBUILD_ALLOWED), and is "
            "not used in its place: let an administrator do that, or use SETTINGS=dev.conf."
        )
    if inspect(connection).has_table(AHEAD_TABLE):
        raise CommandError(
            f"{denied.reason}, and {project.database} is ahead of the history, so it cannot stand in for "
            "one: type make db, which builds the history alone, then make newmigration."
        )
    if history_module.applied(connection) != set(project.script.get_heads()):
        raise CommandError(
            f"{denied.reason}, and {project.database} is not at the head of the history, so it cannot "
            "stand in for one: type make migrate (db upgrade), then try again."
        )
    file = _file(project)
    found = _live(project, connection, file)
    if not catalog.is_equal(file, found):
        wanted = file.read_text("utf-8") if file.exists() else ""
        said = [str(one) for one in diff.between(project.dialect, wanted, found)]
        rest = f"; and {len(said) - MOST_DIFFERENCES} more" if said[MOST_DIFFERENCES:] else ""
        raise CommandError(
            f"{denied.reason}, and {project.database} is not what {project.shown(file)} says "
            f"({'; '.join(said[:MOST_DIFFERENCES])}{rest}), so it was changed by hand or the file is "
            f"older than the history: {_remedy(project, denied)}, then try again."
        )
    return _others(project, connection, file)


def _remedy(project: Environment, denied: servers.NotAllowed) -> str:
    """What to type: a PostgreSQL account that may make no database cannot make this one anew."""
    grant = f"let an administrator type {denied.grant};" if denied.grant else ""
    if project.engine.dialect.name == "postgresql":
        return f"put that back, or {grant}"
    return f"type make db, which builds both anew{', or ' + grant if grant else ''}"


@contextmanager
def followed(project: Environment, connection: Connection) -> Iterator[None]:
    """Let the schema file follow an upgrade of a development database that equals it.

    newmigration writes the file from its scratch database; here is none.
    """
    moves = project.settings.get("DB_REBUILD_ALLOWED") is True and project.moving == "upgrade"
    if not moves or connection.dialect.name == "sqlite":
        yield
        return
    file, equal = _file(project), False
    with suppress(SQLAlchemyError):  # what cannot be read is not followed
        equal = catalog.is_equal(file, _live(project, connection, file))
    connection.rollback()
    yield
    if not equal or history_module.applied(connection) != set(project.script.get_heads()):
        return
    found = _live(project, connection, file)
    connection.rollback()
    if not catalog.is_equal(file, found) and not _may_make_databases(project):
        catalog.write(file, found)
        output.say(f"  {project.shown(file)}")


def _may_make_databases(project: Environment) -> bool:
    try:
        with servers.database(project.engine.url, project.engine_options):
            return True
    except servers.NotAllowed:
        return False


def _file(project: Environment) -> Path:
    return catalog.path(project.folder, project.dialect)


def _live(project: Environment, connection: Connection, file: Path) -> str:
    """Return the schema of the application's database without the tables of others."""
    return catalog.text(connection, project.version_table, _others(project, connection, file))


def _others(project: Environment, connection: Connection, file: Path) -> set[str]:
    """Return the tables that neither the file nor the models name."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    ours = {name.rpartition(".")[2] for name in diff.tables(project.dialect, text)}
    ours |= {table.name for table in project.metadata.tables.values()}
    return set(inspect(connection).get_table_names()) - ours


def made(config: Config, app: Flask, connection: Connection) -> None:
    """Write the schema file from a database that the history has just made from nothing.

    :param config: Alembic's
    :param app: the Flask application
    """
    project = Project.of(app, config)
    file = catalog.path(project.folder, project.dialect)
    if catalog.write(file, catalog.text(connection, project.version_table)):
        output.say(f"  {project.shown(file)}")
