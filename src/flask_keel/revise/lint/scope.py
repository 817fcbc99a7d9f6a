"""What a migration has made so far: what it does to that concerns nobody's rows."""

from typing import Any

from sqlalchemy import ClauseElement


class Scope:
    """What is known of one migration while its events are gone through.

    :param dialect: SQLAlchemy's
    """

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect
        self.created: set[tuple[str | None, str]] = set()
        # new columns, and whether they are NOT NULL or have a value from the beginning
        self.added: dict[tuple[str, str], Any] = {}
        self.rows: list[tuple[int, str]] = []
        self.schema = False

    @property
    def kind(self) -> str:
        """ "sqlite", "postgresql" or "mysql" (MariaDB too)."""
        return "mysql" if self.dialect.name == "mariadb" else self.dialect.name

    def creates(self, schema: str | None, table: str) -> None:
        """Note a new table."""
        self.created.add((schema, table))

    def is_new(self, table: str, schema: str | None = None) -> bool:
        """Whether the migration itself has made the table, under its name with or without schema."""
        return (schema, table) in self.created or any(
            f"{place}.{name}" == table for place, name in self.created
        )

    def quote(self, name: Any) -> str:
        """Return a name as SQL takes it."""
        return self.dialect.identifier_preparer.quote(str(name))

    def sql(self, expression: Any) -> str:
        """Return an expression as the database reads it, with its values."""
        if not isinstance(expression, ClauseElement):
            return str(expression)
        options = {"literal_binds": True, "include_table": False}
        return str(expression.compile(dialect=self.dialect, compile_kwargs=options))

    def label(self, table: str, schema: str | None = None) -> str:
        """Return a table's name, with its schema if it has one."""
        return f"{schema}.{table}" if schema else table

    def facts(self, table: str, schema: str | None = None) -> dict[str, Any]:
        """Return a table for a text, and quoted for SQL."""
        parts = [self.quote(part) for part in (schema, table) if part]
        return {"table": self.label(table, schema), "q_table": ".".join(parts)}
