"""Names of an adopted history: what is there keeps its name, whatever the models' convention says now."""

from collections.abc import Iterator

from sqlalchemy import (
    Connection,
    ForeignKeyConstraint,
    Inspector,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
)
from sqlalchemy.sql.elements import conv

from ..project import Project
from ..typing import Value


def keep_names(project: Project, connection: Connection) -> None:
    """Give the models' keys, unique constraints and indexes the names that the history made.

    Only those that a naming convention named, and only where the library was adopted: new tables and
    columns are named by the convention.

    :param connection: to a database that the history has made
    """
    if not project.adopted:
        return
    look = inspect(connection)
    for table in project.metadata.tables.values():
        if not look.has_table(table.name, schema=table.schema):
            continue
        there = dict(_there(look, table))
        items: list[Value] = [*table.constraints, *table.indexes]
        for item in items:
            name = there.get(_key(item))
            if name is not None and isinstance(item.name, conv):
                item.name = name


def _key(item: Value) -> Value:
    columns = tuple(column.name for column in item.columns)
    match item:
        case PrimaryKeyConstraint():
            return "primary key"
        case UniqueConstraint():
            return "unique", frozenset(columns)
        case ForeignKeyConstraint():
            return "foreign key", columns, item.referred_table.name
    return "index", columns, bool(getattr(item, "unique", False))


def _there(look: Inspector, table: Table) -> Iterator[tuple[Value, str | None]]:
    of = table.name, table.schema
    yield "primary key", look.get_pk_constraint(*of).get("name")
    for key in look.get_foreign_keys(*of):
        columns = tuple(key["constrained_columns"])
        yield ("foreign key", columns, key["referred_table"]), key.get("name")
    for unique in look.get_unique_constraints(*of):
        yield ("unique", frozenset(unique["column_names"])), unique.get("name")
    for index in look.get_indexes(*of):
        columns = tuple(str(name) for name in index["column_names"])
        yield ("index", columns, bool(index["unique"])), index.get("name")
