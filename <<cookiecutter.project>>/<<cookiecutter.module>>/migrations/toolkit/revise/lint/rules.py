"""The rules: from what a migration did to what is to be said about it."""

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from . import types
from .finding import Finding
from .texts import RULES

DELETE = re.compile(r"\s*(DELETE\s+FROM|TRUNCATE)\b", re.IGNORECASE)
UPDATE = re.compile(r"\s*UPDATE\s+[\"`\[]?(?P<table>\w+)", re.IGNORECASE)
DROP = re.compile(
    r"\s*(DROP\s+(TABLE|SCHEMA|DATABASE)|ALTER\s+TABLE\b.*\bDROP\s+(COLUMN\b|(?!CONSTRAINT|INDEX|FOREIGN|PRIMARY|CHECK|DEFAULT)\w))",
    re.IGNORECASE | re.DOTALL,
)
WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)
TRANSACTION = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|START\s+TRANSACTION)\b", re.IGNORECASE)
CALL_IN_QUOTES = re.compile(r"(current_(timestamp|date|time)|now\(\)|\w+\(.*\))$", re.IGNORECASE)
LONGEST = 63


class Ruler:
    """Goes through the events of one migration.

    :param dialect: "sqlite", "postgresql" or "mysql"
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.created: set[str] = set()
        self.added: set[tuple[str, str]] = set()
        self.rows = self.schema = False

    def findings(self, events: list[tuple[int | None, Any]]) -> list[Finding]:
        """Return what the rules say, in the order of the file.

        :param events: line and operation, or line and statement
        """
        found: list[Finding] = []
        for line, event in events:
            judge = self._statement if isinstance(event, str) else self._operation
            for rule, facts in judge(event):
                found.append(Finding(rule, RULES[rule].severity, line, facts))
        found += self._missed_renames(events)
        if self.rows and self.schema and self.dialect != "sqlite":
            found.append(Finding("rows-and-schema", RULES["rows-and-schema"].severity))
        return found

    def _statement(self, sql: str) -> Iterator[tuple[str, dict[str, Any]]]:
        short = " ".join(sql.split())[:80]
        if TRANSACTION.match(sql):
            yield "own-transaction", {"sql": short}
        elif DELETE.match(sql):
            self.rows = True
            yield "delete-rows", {"sql": short}
        elif DROP.match(sql):
            self.schema = True
            yield "drop-in-sql", {"sql": short}
        elif update := UPDATE.match(sql):
            table = update["table"]
            self.rows = True
            if not WHERE.search(sql) and table not in self.created and self.dialect != "sqlite":
                yield "update-every-row", {"sql": short, "table": table}

    def _operation(self, op: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        table = getattr(op, "table_name", None) or getattr(op, "source_table", None)
        self.schema = self.schema or not isinstance(op, ops.CreateTableOp | ops.BulkInsertOp)
        for name in _names(op):
            if len(str(name).encode()) > LONGEST:
                yield "long-name", {"name": name, "length": len(str(name).encode())}
        match op:
            case ops.CreateTableOp():
                self.created.add(table)
                yield from self._new_table(op)
            case ops.DropTableOp() if table not in self.created:
                yield "drop-table", {"table": table, "dropped": f"dropped_{table}"}
            case ops.RenameTableOp():
                yield "rename-table", {"table": table, "new": op.new_table_name}
            case _ if table in self.created:
                return
            case ops.DropColumnOp() if (table, op.column_name) not in self.added:
                yield "drop-column", {"table": table, "column": op.column_name}
            case ops.AddColumnOp():
                self.added.add((table, op.column.name))
                yield from self._new_column(table, op.column)
            case ops.AlterColumnOp():
                yield from self._changed_column(table, op)
            case ops.CreateUniqueConstraintOp():
                yield "add-unique", {"table": table, "columns": ", ".join(op.columns)}
            case ops.CreateIndexOp():
                columns = [getattr(column, "name", None) or str(column) for column in op.columns]
                if op.unique:
                    yield "add-unique", {"table": table, "columns": ", ".join(columns)}
                elif len(columns) > 3:
                    yield "wide-index", {"table": table, "count": len(columns)}
            case ops.CreateCheckConstraintOp():
                yield "add-check", {"table": table, "condition": op.condition}
            case ops.CreateForeignKeyOp():
                yield from self._new_key(op)
            case ops.DropConstraintOp() if op.constraint_type == "foreignkey":
                yield "drop-foreign-key", {"table": table, "name": op.constraint_name}

    def _new_table(self, op: ops.CreateTableOp) -> Iterator[tuple[str, dict[str, Any]]]:
        table = op.to_table()
        keys = [
            c
            for c in table.primary_key.columns
            if isinstance(c.type, sa.BigInteger | sa.SmallInteger)
        ]
        if self.dialect == "sqlite" and len(keys) == 1 == len(table.primary_key.columns):
            variant = keys[0].type.dialect_impl(sa.create_mock_engine("sqlite://", None).dialect)
            if not type(variant).__name__.upper() == "INTEGER":
                yield "big-key-on-sqlite", {"table": op.table_name, "type": keys[0].type}
        for column in table.columns:
            yield from self._default(op.table_name, column)

    def _new_column(self, table: str, column: sa.Column) -> Iterator[tuple[str, dict[str, Any]]]:
        if not column.nullable and column.server_default is None and column.computed is None:
            yield "add-not-null", {"table": table, "column": column.name}
        yield from self._default(table, column)

    def _default(self, table: str, column: sa.Column) -> Iterator[tuple[str, dict[str, Any]]]:
        default = getattr(column.server_default, "arg", None)
        if isinstance(default, str) and CALL_IN_QUOTES.match(default):
            yield "default-in-quotes", {"table": table, "column": column.name, "default": default}

    def _changed_column(
        self, table: str, op: ops.AlterColumnOp
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        facts = {"table": table, "column": op.column_name}
        mine = (table, op.column_name) in self.added
        if op.modify_name:
            yield "rename-column", {**facts, "new": op.modify_name}
        if op.modify_nullable is False and not mine:
            yield "set-not-null", facts
        if op.modify_nullable is True:
            yield "drop-not-null", facts
        if op.modify_type is not None and not mine:
            said = types.verdict(op.existing_type, op.modify_type, op.column_name)
            if said:
                rule, misfits = said
                yield (
                    rule,
                    {**facts, "old": op.existing_type, "new": op.modify_type, "misfits": misfits},
                )
            if self.dialect == "mysql":
                yield "copy-table", {"table": table, "reason": f"the type of {op.column_name}"}

    def _new_key(self, op: ops.CreateForeignKeyOp) -> Iterator[tuple[str, dict[str, Any]]]:
        if (op.source_table, op.local_cols[0]) not in self.added and self.dialect != "sqlite":
            yield (
                "add-foreign-key",
                {
                    "table": op.source_table,
                    "target": op.referent_table,
                    "column": op.local_cols[0],
                    "referred": op.remote_cols[0],
                },
            )

    def _missed_renames(self, events: list[tuple[int | None, Any]]) -> Iterator[Finding]:
        dropped = [(line, op) for line, op in events if isinstance(op, ops.DropColumnOp)]
        added = [op for _, op in events if isinstance(op, ops.AddColumnOp)]
        for line, drop in dropped:
            original = getattr(drop._reverse, "column", None) if drop._reverse else None
            for add in added:
                same = original is not None and types.family(original.type) == types.family(
                    add.column.type
                )
                if same and add.table_name == drop.table_name and add.schema == drop.schema:
                    facts = {
                        "table": drop.table_name,
                        "column": drop.column_name,
                        "added": add.column.name,
                    }
                    yield Finding("drop-and-add", RULES["drop-and-add"].severity, line, facts)


def _names(op: Any) -> list[Any]:
    given = [
        getattr(op, key, None)
        for key in ("constraint_name", "index_name", "modify_name", "new_table_name")
    ]
    if isinstance(op, ops.CreateTableOp):
        given.append(op.table_name)
    if isinstance(op, ops.AddColumnOp):
        given.append(op.column.name)
    return [name for name in given if name]
