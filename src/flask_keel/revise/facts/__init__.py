"""What a database says of its schema: read without the models, compared fact by fact."""

from importlib import import_module

from sqlalchemy import Connection

from .schema import Check, Column, ForeignKey, Schema, Table, Unique

__all__ = ["Check", "Column", "ForeignKey", "Schema", "Table", "Unique", "read"]

READERS = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}


def read(connection: Connection, ignore: frozenset[str] = frozenset()) -> Schema:
    """Ask the database for its tables and everything that belongs to them.

    :param ignore: names of tables that are not the application's (the version table)
    """
    reader = import_module(f".{READERS[connection.dialect.name]}", __name__)
    return reader.read(connection, ignore)
