"""What somebody changed in a database behind the migrations' back.

A database is compared with what the last run left in it, as the log has it. Where the log does not say
that, it is compared with the schema file, as long as it is at the head of the history. Nothing is
written, made or locked for it: an account that may SELECT is enough.

Where no scratch database may be made: the development database, once it is what the schema file says.

The file is what the history makes. A database at the head of the history that says the very same stands
in for it: nothing that somebody changed by hand gets into a comparison.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from alembic.config import Config
from alembic.script import Script
from alembic.util import CommandError
from flask import Flask
from sqlalchemy import Column, Connection, MetaData, Table, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .. import catalog, log, output, waiting
from ..output import plainly
from ..project import Environment, Project
from ..revisions import AHEAD_TABLE
from ..scratch import servers
from ..typing import AnyColumn
from . import diff
from .diff import Difference

LAST_RUN, FILE = "what the last run left", "the schema file"
NOT_SAID = "the log does not say what the last run left there"
MOST_DIFFERENCES = 4


@dataclass
class Drift:
    """What was found: ``against`` is None where it cannot be told, and ``why`` says why."""

    against: str | None = None
    why: str | None = None
    found: list[Difference] = field(default_factory=list)


def look(project: Project, connection: Connection, applied: set[str]) -> Drift:
    """Compare a database that has a history with what it is to be.

    :param applied: the revisions at which it is
    :raises DBAPIError: when another's DDL has ended the look, see :func:`waiting.undisturbed`
    """
    try:
        return _look(project, connection, applied)
    except SQLAlchemyError as error:
        if waiting.disturbed(error):
            raise
        connection.rollback()  # PostgreSQL answers nothing more in this transaction
        said = plainly(str(getattr(error, "orig", error))).rstrip(".")
        return Drift(why=f"its catalogue cannot be read ({said})")


def _look(project: Project, connection: Connection, applied: set[str]) -> Drift:
    run = log.last_run(connection, project.options.get("version_table_schema"))
    if run is not None and run[0] == applied and run[2] == catalog.FORMAT:
        drift = _compare(project, connection, applied, LAST_RUN, run[1])
        missing = never_made(project, connection, applied)
        if not drift.found and missing:
            return Drift(FILE, drift.why, missing)  # the run left it so: nobody changed it
        known = {one.part.key for one in drift.found}
        drift.found += [one for one in missing if one.part.key not in known]
        return drift
    if not applied:
        return Drift()  # nothing was to be made in it
    if applied != set(project.script.get_heads()):
        return Drift(why=f"{NOT_SAID}, and the schema file is of the head")
    wanted = _text(project)
    if wanted is None:
        file = project.shown(_file(project))
        return Drift(why=f"{NOT_SAID}, and there is no {file}: type db schema to write it")
    return _compare(project, connection, applied, FILE, wanted)


def from_file(project: Project, connection: Connection, applied: set[str]) -> list[Difference]:
    """Return what the schema file says otherwise: nothing where there is none, and off the head."""
    wanted = _text(project) if applied == set(project.script.get_heads()) else None
    return [] if wanted is None else _compare(project, connection, applied, FILE, wanted).found


def never_made(project: Project, connection: Connection, applied: set[str]) -> list[Difference]:
    """Return the tables and columns of the schema file that a database at the head has not.

    What was made by runs that the log has, all of it, lacks none, and a file that says so is older than
    the history. A database that was stamped may.
    """
    if applied != set(project.script.get_heads()):
        return []
    logged = log.checksums(connection, project.options.get("version_table_schema"))
    if all(revision in logged for revision in project.reached(applied)):
        return []
    found = from_file(project, connection, applied)
    return [it for it in found if it.change == "missing" and it.part.kind in ("table", "column")]


def edited(project: Project, connection: Connection, applied: set[str]) -> list[Script]:
    """Return the migrations whose files are not what they were when they were applied.

    :param applied: the revisions at which the database is
    """
    said = log.checksums(connection, project.options.get("version_table_schema"))
    reached = project.reached(applied) if said else set()
    scripts = [project.script.get_revision(name) for name in sorted(reached & set(said))]
    return [one for one in scripts if said[one.revision] != log.checksum(Path(one.path))]


def _text(project: Project) -> str | None:
    """The schema file; a project without tables needs none."""
    file = _file(project)
    if not file.exists() and not project.metadata.tables:
        return catalog.HEADER
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _compare(
    project: Project, connection: Connection, applied: set[str], against: str, wanted: str
) -> Drift:
    now, hidden = _now(project, connection)
    found = diff.between(project.dialect, wanted, now)
    unseen = sorted({one.part.kind for one in found if one.part.kind in hidden})
    why = " and ".join(hidden[kind] for kind in unseen) or None
    if found:
        strangers = _Strangers(project, connection, applied, (wanted, now))
        found = [one for one in found if one.part.kind not in unseen and not strangers.own(one)]
    return Drift(against, why, found)


HIDDEN = "this account is not shown {kind}s (GRANT {right} ON {database}.*)"
RIGHTS = """
SELECT privilege_type FROM information_schema.user_privileges UNION
SELECT privilege_type FROM information_schema.schema_privileges WHERE DATABASE() LIKE table_schema
"""

VIEWS = "SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()"


def _now(project: Project, connection: Connection) -> tuple[str, dict[str, str]]:
    """Return the schema as it is, and of which kinds this account is shown nothing.

    MySQL and MariaDB show a trigger, and the text of a view, only to who might change them:
    https://mariadb.com/kb/en/show-triggers/, https://mariadb.com/kb/en/show-create-view/
    """
    if project.dialect != "mysql":
        return catalog.text(connection, project.version_table), {}
    rights = set(connection.execute(text(RIGHTS)).scalars())
    wanted = {"trigger": "TRIGGER", "view": "SHOW VIEW"}
    database = project.engine.url.database
    hidden = {
        kind: HIDDEN.format(kind=kind, right=right, database=database)
        for kind, right in wanted.items()
        if right not in rights
    }
    try:
        said = catalog.text(connection, project.version_table)
        return said, {kind: why for kind, why in hidden.items() if kind == "trigger"}
    except DBAPIError:
        if "view" not in hidden:
            raise
    views = connection.execute(text(VIEWS)).scalars()
    return catalog.text(connection, project.version_table, views), hidden


# those that a job makes and drops, for the months that come and have gone
PARTITIONS = (
    "SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')"
)


class _Strangers:
    """What is in a database and no business of the history.

    A table that neither the schema file nor a model names, if it was there already when the last run
    ended, and one that the application's ``include_object`` leaves out; a schema that the history does not
    name, where Alembic compares the default one alone; new extensions and partitions.
    """

    def __init__(
        self, project: Project, connection: Connection, applied: set[str], texts: tuple[str, str]
    ) -> None:
        self.project = project
        self.home = connection.dialect.default_schema_name
        before, now = (diff.tables(project.dialect, one) for one in texts)
        self.tables = before | now
        self.known = _known(project, applied)
        self.schemas = {_schema(name) for name in (before if self.known is None else self.known)}
        self.partitions: set[str] = set()
        if project.dialect == "postgresql":
            self.partitions = set(connection.execute(text(PARTITIONS)).scalars())

    def own(self, one: Difference) -> bool:
        part = one.part
        if part.kind == "extension":
            return one.change == "added"
        place = part.name if part.kind == "schema" else _schema(part.table or part.name or "")
        if place and place != self.home and place not in self.schemas:
            return not self.project.options.get("include_schemas")
        label = part.name if part.kind == "table" else part.table
        if label is None:
            return False
        if (part.kind, one.change) == ("table", "added"):
            return label in self.partitions or not self._is_included(label)
        return self._is_unknown(label) or not self._is_included(label)

    def _is_unknown(self, label: str) -> bool:
        return self.known is not None and label not in self.known

    def _is_included(self, label: str) -> bool:
        include = self.project.options.get("include_object")
        if include is None:
            return True
        columns: list[AnyColumn] = [Column(name) for name in self.tables.get(label, ())]
        made = Table(label.rpartition(".")[2], MetaData(), *columns, schema=_schema(label) or None)
        return bool(include(made, made.name, "table", True, None))


def _known(project: Project, applied: set[str]) -> set[str] | None:
    """Return the tables of the schema file and the models; None where that is not of this revision."""
    wanted = _text(project) if applied == set(project.script.get_heads()) else None
    if wanted is None:
        return None
    models = project.metadata.tables.values()
    return {*diff.tables(project.dialect, wanted), *(one.fullname for one in models)}


def _schema(label: str) -> str:
    return label.partition("(")[0].rpartition(".")[0]


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
    if project.applied(connection) != set(project.script.get_heads()):
        raise CommandError(
            f"{denied.reason}, and {project.database} is not at the head of the history, so it cannot "
            "stand in for one: type make migrate (db upgrade), then try again."
        )
    file = _file(project)
    found = _live(project, connection, file)
    if not catalog.is_equal(file, found):
        wanted = file.read_text("utf-8") if file.exists() else ""
        said = [str(one) for one in diff.between(project.dialect, wanted, found)]
        raise CommandError(
            f"{denied.reason}, and {project.database} is not what {project.shown(file)} says "
            f"({'; '.join(output.listed(said, MOST_DIFFERENCES))}), so it was changed by hand or the file is "
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
    if not equal or project.applied(connection) != set(project.script.get_heads()):
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


def _file(project: Project) -> Path:
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
    file = _file(project)
    if catalog.write(file, catalog.text(connection, project.version_table)):
        output.say(f"  {project.shown(file)}")
