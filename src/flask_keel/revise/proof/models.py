"""The models against a schema: what autogenerate would still write."""

from typing import Any

from sqlalchemy import Connection

from .. import facts
from ..facts import Schema, difference
from .subject import Subject

KEPT = (
    "compare_type",
    "compare_server_default",
    "include_object",
    "include_name",
    "include_schemas",
    "version_table",
    "version_table_schema",
    "autogenerate_plugins",
)


def differences(
    subject: Subject, connection: Connection, schema: Schema, changed: set[str], made: set
) -> list[str]:
    """Say what the models have that the schema has not, or the other way round.

    :param changed: the tables that the migration changed; the others were compared when it was written
    :param made: indexes that MySQL made for foreign keys, and keeps without them
    """
    from alembic.autogenerate import produce_migrations
    from alembic.migration import MigrationContext

    from .. import naming, schemas
    from ..compare import wording
    from ..compare.plugin import OPTIONS

    own = {table.key for table in subject.metadata.tables.values()}
    looked_at = changed | (own ^ set(schema.tables))
    if not looked_at:
        return []
    options = OPTIONS | {key: subject.options[key] for key in KEPT if key in subject.options}
    options |= schemas.comparison(subject.metadata, options)
    options["include_object"] = _only(looked_at, own, options.get("include_object"))
    options["include_name"] = _named(looked_at, options.get("include_name"))
    context = MigrationContext.configure(connection, opts=options)
    wording.install(context.impl)
    found = naming.phrases(produce_migrations(context, subject.metadata).upgrade_ops)
    found = [phrase for phrase in found if not _of_a_key(phrase, made)]
    if found and connection.dialect.name == "sqlite" and _same(subject, schema, looked_at):
        return []
    return found


def _of_a_key(phrase: str, made: set) -> bool:
    """Whether the phrase drops indexes that MySQL made for foreign keys, and nothing else."""
    verb, _, names = phrase.partition(" of ")[0].partition("drop index ")
    return not verb and set(names.replace(" and ", ", ").split(", ")) <= made


def _same(subject: Subject, schema: Schema, tables: set[str]) -> bool:
    """Whether the models, made in an empty database, give these very tables.

    Autogenerate sees differences that are none, as in DEFAULT 'it''s'.
    """
    from sqlalchemy import create_engine

    with create_engine("sqlite://").connect() as empty:
        subject.metadata.create_all(empty)
        made = facts.read(empty, subject.ignored)
    return not difference.between(made, schema).tables & tables


def _only(tables: set[str], own: set[str], include: Any) -> Any:
    def include_object(item: Any, name: str, kind: str, reflected: bool, compared: Any) -> bool:
        if kind == "table" and not reflected and item.key in own and item.key not in tables:
            return False
        return include is None or include(item, name, kind, reflected, compared)

    return include_object


def _named(tables: set[str], include: Any) -> Any:
    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "table":
            schema = parents.get("schema_name")
            if name not in tables and f"{schema}.{name}" not in tables:
                return False
        return include is None or include(name, kind, parents)

    return include_name
