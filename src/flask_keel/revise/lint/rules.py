"""The rules: from what a migration did to what is to be said about it."""

from collections.abc import Iterator
from typing import Any

from alembic.operations import ops

from . import changes, sql, tables
from .finding import NOTE, Finding
from .scope import Scope
from .texts import RULES

LONGEST = 63  # bytes
Said = tuple[str, dict[str, Any]]


class Ruler:
    """Goes through the events of one migration.

    :param dialect: SQLAlchemy's
    """

    def __init__(self, dialect: Any) -> None:
        self.scope = Scope(dialect)

    def findings(self, events: list[Any]) -> list[Finding]:
        """Return what the rules say, in the order of the file.

        :param events: of a :class:`..recorded.Recording`
        """
        found: list[Finding] = []
        again = changes.made_again(events, self.scope)
        for number, event in enumerate(events):
            if number in again:
                continue
            judge = self._statement if isinstance(event.what, str) else self._operation
            try:
                found += [self._finding(rule, event.line, facts) for rule, facts in judge(event)]
            except Exception as error:
                found.append(Finding.not_judged(event.line, error))
        found = changes.missed_renames(found, events, self.scope)
        kept = {finding.rule for finding in found}
        if self.scope.rows and self.scope.schema and "update-every-row" not in kept:
            line, table = self.scope.rows[0]
            if self.scope.kind == "postgresql":
                found.append(self._finding("rows-and-schema", line, {"table": table}))
        return found

    def _finding(self, rule: str, line: int, facts: dict[str, Any]) -> Finding:
        severity = RULES[rule].severity
        if rule == "narrow-type" and self.scope.kind == "sqlite":
            severity = NOTE  # SQLite keeps every value: https://www.sqlite.org/datatype3.html
        words = {key: str(value) for key, value in facts.items()}  # they are kept as JSON
        return Finding(rule, severity, line, words, self.scope.kind)

    def _statement(self, event: Any) -> Iterator[Said]:
        scope = self.scope
        short = " ".join(event.what.split())
        facts = {"sql": short if len(short) <= 80 else f"{short[:77]}..."}
        scope.created |= {(None, table) for table in sql.created(event.what)}
        for rule, table, every_row in sql.deeds(event.what):
            if scope.is_new(table) or (rule == "copy-in-sql" and scope.kind != "mysql"):
                continue
            if rule == "copy-in-sql":
                facts = {"table": "a table", "reason": facts["sql"]}
                yield "rewrite-table", facts
            elif rule == "update-rows":
                scope.rows.append((event.line, table))
                if every_row and scope.kind != "sqlite":
                    yield "update-every-row", {"table": table}
            else:
                if rule == "delete-rows":
                    scope.rows.append((event.line, table))
                yield rule, facts

    def _operation(self, event: Any) -> Iterator[Said]:
        op, scope = event.what, self.scope
        for name in _names(op):
            if len(str(name).encode()) > LONGEST:
                yield "long-name", {"name": name, "length": len(str(name).encode())}
        match op:
            case ops.CreateTableOp():
                scope.creates(op.schema, op.table_name)
                yield from tables.new_table(op, scope)
            case ops.DropTableOp():
                if not scope.is_new(op.table_name, op.schema):
                    scope.schema = True
                    table = scope.label(op.table_name, op.schema)
                    yield "drop-table", {"table": table, "dropped": f"dropped_{op.table_name}"}
            case ops.RenameTableOp():
                if scope.is_new(op.table_name, op.schema):
                    scope.creates(op.schema, op.new_table_name)
                else:
                    yield "rename-table", {"table": op.table_name, "new": op.new_table_name}
            case ops.BulkInsertOp():
                return
            case _:
                yield from changes.of_table(event, scope)


def _names(op: Any) -> list[Any]:
    given = [
        getattr(op, key, None)
        for key in ("constraint_name", "index_name", "modify_name", "new_table_name")
    ]
    if isinstance(op, ops.DropConstraintOp | ops.DropIndexOp):
        return []
    if isinstance(op, ops.CreateTableOp):
        given.append(op.table_name)
    if isinstance(op, ops.AddColumnOp):
        given.append(op.column.name)
    return [name for name in given if name]
