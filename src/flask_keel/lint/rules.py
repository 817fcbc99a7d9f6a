"""The rules: from what a migration did, and on which tables, to what is to be said about it."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa
from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from sqlalchemy import ClauseElement, Dialect

from .. import lexer, statements
from ..runner import Columns, Event
from ..statements import Effect, Name
from ..typing import AnyColumn, SQLType, Value
from . import types
from .findings import COUNT, LOOK, NOTE, RULES, Facts, Finding


class Scope:
    """What is known of one migration while its events are gone through.

    :param dialect: SQLAlchemy's
    :param online: whether operations run in forms for which nobody waits
    """

    def __init__(self, dialect: Dialect, online: bool = False) -> None:
        self.dialect = dialect
        self.online = online
        self.created: set[tuple[str | None, str]] = set()
        # new columns, and whether they are NOT NULL or have a value from the beginning
        self.added: dict[tuple[str, str], AnyColumn] = {}
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

    def quote(self, name: object) -> str:
        """Return a name as SQL takes it."""
        return str(self.dialect.identifier_preparer.quote(str(name)))

    def sql(self, expression: object) -> str:
        """Return an expression as the database reads it, with its values."""
        if not isinstance(expression, ClauseElement):
            return str(expression)
        options = {"literal_binds": True, "include_table": False}
        return str(expression.compile(dialect=self.dialect, compile_kwargs=options))

    def label(self, table: str, schema: str | None = None) -> str:
        """Return a table's name, with its schema if it has one."""
        return f"{schema}.{table}" if schema else table

    def facts(self, table: str, schema: str | None = None) -> Facts:
        """Return a table for a text, and quoted for SQL."""
        parts = [self.quote(part) for part in (schema, table) if part]
        return {"table": self.label(table, schema), "q_table": ".".join(parts)}


CALL = re.compile(r"(current_(timestamp|date|time)|\w+\(.*\))$", re.IGNORECASE)
# functions that give every row the same value: such a default is kept beside the table
STABLE = re.compile(
    r"\(*(now|current_\w+|transaction_timestamp|statement_timestamp|localtimestamp)\b",
    re.IGNORECASE,
)
Said = tuple[str, Facts]
Key = tuple[str, ...]  # a key by what it says, whatever its name


def new_table(op: ops.CreateTableOp, scope: Scope) -> Iterator[Said]:
    """Judge the columns and the key of a table that the migration creates."""
    made = copy.copy(op)
    # an Index is a part of the table that was made: Alembic cannot put it into a second one
    made.columns = [item for item in op.columns if not isinstance(item, sa.Index)]
    table = made.to_table()
    label = scope.label(op.table_name, op.schema)
    keys = list(table.primary_key.columns)
    if len(keys) == 1 and isinstance(keys[0].type, sa.Integer):
        type_ = types.plain(keys[0].type, scope.dialect)
        if scope.kind == "sqlite" and types.said(type_, scope.dialect) != "INTEGER":
            yield "big-key-on-sqlite", {"table": label, "type": types.said(type_, scope.dialect)}
        elif isinstance(type_, sa.SmallInteger):
            yield "small-key", {"table": label}
    for column in table.columns:
        yield from anywhere(label, column, scope)


def anywhere(label: str, column: AnyColumn, scope: Scope) -> Iterator[Said]:
    """Judge what is as true of a column in a new table as in an old one."""
    default = getattr(column.server_default, "arg", None)
    facts = {"table": label, "column": column.name}
    if isinstance(default, str) and CALL.match(default):
        yield "default-in-quotes", {**facts, "default": default}
    type_ = types.plain(column.type, scope.dialect)
    if scope.kind == "postgresql" and types.said(type_, scope.dialect) == "JSON":
        yield "plain-json", facts


def new_column(op: ops.AddColumnOp, scope: Scope) -> Iterator[Said]:
    """Judge a column that is added to a table that may have rows."""
    column, label = op.column, scope.label(op.table_name, op.schema)
    facts = {"table": label, "column": column.name}
    filled = column.server_default is not None or column.computed is not None
    numbered = column.identity is not None or bool(op.inline_primary_key)
    if not column.nullable and not filled and not numbered:
        yield "add-not-null", facts
    if scope.kind != "sqlite":
        reason = "every row gets a number in" if numbered else _rewrite(column, scope.online)
        if reason:
            yield "rewrite-table", {"table": label, "reason": f"{reason} {column.name}"}
    if scope.kind == "mysql" and getattr(op, "inline_references", False):
        yield "inline-references", facts
    yield from anywhere(label, column, scope)


def _rewrite(column: AnyColumn, online: bool) -> str | None:
    if column.computed is not None and column.computed.persisted is not False:
        return "every row gets a value in"
    default = getattr(column.server_default, "arg", None)
    if default is None or isinstance(default, str) or online:
        return None
    if "(" in str(default) and not STABLE.match(str(default)):
        return "every row gets a default of its own in"
    return None


def of_table(event: Event, scope: Scope) -> Iterator[Said]:
    """Judge an operation on a table, if the table was there before the migration."""
    op = event.what
    table = getattr(op, "table_name", None) or getattr(op, "source_table", None)
    schema = getattr(op, "schema", None) or getattr(op, "kw", {}).get("source_schema")
    if table is None or scope.is_new(table, schema):
        return
    scope.schema = True
    facts = scope.facts(table, schema)
    label = facts["table"]
    match op:
        case ops.DropColumnOp():
            if (label, op.column_name) not in scope.added:
                yield "drop-column", {**facts, "column": op.column_name}
        case ops.AddColumnOp():
            scope.added[label, op.column.name] = op.column
            yield from new_column(op, scope)
        case ops.AlterColumnOp():
            yield from _column(op, event.columns, facts, scope)
        case ops.CreateUniqueConstraintOp():
            yield from _unique(op.constraint_name, op.columns, facts, scope)
        case ops.CreateIndexOp():
            yield from _index(op, facts, scope)
        case ops.CreateCheckConstraintOp():
            if not op.kw.get("postgresql_not_valid"):
                condition = scope.sql(op.condition)
                yield "add-check", {**facts, "condition": condition, "name": op.constraint_name}
        case ops.CreateForeignKeyOp():
            yield from _key(op, facts, scope)
        case ops.CreatePrimaryKeyOp():
            if scope.kind != "sqlite" and not scope.online:
                yield "add-primary-key", {**facts, "name": str(op.constraint_name)}
        case ops.DropConstraintOp() if op.constraint_type == "foreignkey":
            yield "drop-foreign-key", {**facts, "name": op.constraint_name}
        case _ if type(op).__name__ == "CreateExcludeConstraintOp":  # PostgreSQL's own
            yield "add-exclude", facts


def _column(op: ops.AlterColumnOp, columns: Columns, facts: Facts, scope: Scope) -> Iterator[Said]:
    label = facts["table"]
    name = op.column_name
    facts = {**facts, "column": name, "q_column": scope.quote(name)}
    added = scope.added.get((label, name))
    if added is not None:
        # added, filled and made NOT NULL: for the running release it is a NOT NULL column all the same
        given = added.server_default is not None or not isinstance(
            op.existing_server_default, bool | None
        )
        if op.modify_nullable is False and added.nullable and not given:
            yield "add-not-null", facts
        return
    if op.modify_name and op.modify_name != name:
        yield "rename-column", {**facts, "new": op.modify_name}
    before = columns.get(name, {})
    if op.modify_nullable is False and before.get("nullable", True):
        yield "set-not-null", {**facts, "check": f"{name}_not_null"}
    if op.modify_nullable is True and not before.get("nullable", False):
        yield "drop-not-null", facts
    old = op.existing_type if op.existing_type is not None else before.get("type")
    if op.modify_type is not None and old is not None:
        yield from _type(old, op.modify_type, facts, scope)


def _type(old: SQLType, new: SQLType, facts: Facts, scope: Scope) -> Iterator[Said]:
    old, new = types.plain(old, scope.dialect), types.plain(new, scope.dialect)
    was, now = (types.said(type_, scope.dialect) for type_ in (old, new))
    verdict = types.verdict(old, new, facts["q_column"], scope.dialect)
    if verdict:
        rule, misfits = verdict
        count = (COUNT if misfits else LOOK).format(**facts) + misfits
        yield rule, {**facts, "old": was, "new": now, "count": count}
    if types.rewrites(old, new, scope.dialect):
        reason = f"{facts['column']} changes from {was} to {now}"
        yield "rewrite-table", {**facts, "reason": reason}


def _unique(
    name: object, columns: Sequence[object], facts: Facts, scope: Scope, where: object = None
) -> Iterator[Said]:
    names = [getattr(column, "name", None) or str(column) for column in columns]
    # new columns that hold NULL in every row have no duplicates
    added = [scope.added.get((facts["table"], name)) for name in names]
    if any(column is not None and column.server_default is None for column in added):
        updated = {table for _, table in scope.rows}
        if facts["table"] not in updated:
            return
    # an expression stands there as it is; rows with NULL are no duplicates
    quoted = [
        scope.sql(column) if isinstance(column, ClauseElement) and not hasattr(column, "table")
        else scope.quote(name)
        for column, name in zip(columns, names, strict=True)
    ]  # fmt: skip
    present = [f"{each} IS NOT NULL" for each in quoted]
    listed = {
        "columns": ", ".join(names),
        "q_columns": ", ".join(quoted),
        "present": " AND ".join(
            [*present, *([f"({scope.sql(where)})"] if where is not None else [])]
        ),
        "name": str(name),
    }
    yield "add-unique", {**facts, **listed}


def _index(op: ops.CreateIndexOp, facts: Facts, scope: Scope) -> Iterator[Said]:
    if op.kw.get("postgresql_concurrently") and scope.kind == "postgresql":
        if not op.if_not_exists:
            yield "not-repeatable", {**facts, "name": op.index_name}
    elif op.unique:
        where = op.kw.get(f"{scope.kind}_where")
        yield from _unique(op.index_name, op.columns, facts, scope, where)
    if not op.unique and len(op.columns) > 3:
        yield "wide-index", {**facts, "count": len(op.columns)}


def _key(op: ops.CreateForeignKeyOp, facts: Facts, scope: Scope) -> Iterator[Said]:
    column = op.local_cols[0]
    added = scope.added.get((facts["table"], column))
    updated = {table for _, table in scope.rows}
    if op.kw.get("postgresql_not_valid"):
        return
    if added is not None and added.server_default is None and facts["table"] not in updated:
        return  # NULL in every row
    yield (
        "add-foreign-key",
        {
            **facts,
            "column": column,
            "target": op.referent_table,
            "orphans": _orphans(op, facts, scope),
            "name": str(op.constraint_name),
        },
    )


def _orphans(op: ops.CreateForeignKeyOp, facts: Facts, scope: Scope) -> str:
    """The condition of the rows that point to nothing: NOT IN would find none where one is NULL."""
    target = scope.facts(op.referent_table, op.kw.get("referent_schema"))["q_table"]
    own = [f"{facts['q_table']}.{scope.quote(name)}" for name in op.local_cols]
    pairs = zip(own, op.remote_cols, strict=True)
    same = " AND ".join(f"parent.{scope.quote(name)} = {mine}" for mine, name in pairs)
    present = " AND ".join(f"{mine} IS NOT NULL" for mine in own)
    return f"{present} AND NOT EXISTS (SELECT 1 FROM {target} AS parent WHERE {same})"


def made_again(events: list[Event], scope: Scope) -> set[int]:
    """Return the places of the events by which a key only gets another name, or another action.

    What every row satisfies already cannot stop an upgrade on SQLite; servers look at all rows again.
    """
    names = {
        scope.label(event.what.table_name, event.what.schema): scope.label(
            event.what.new_table_name, event.what.schema
        )
        for event in events
        if isinstance(event.what, ops.RenameTableOp)
    }
    gone: dict[Key, tuple[int, object]] = {}
    come: dict[Key, tuple[int, object]] = {}
    for number, event in enumerate(events):
        key, actions = _key_of(event, names, scope)
        if key is not None:
            drops = isinstance(event.what, ops.DropConstraintOp | ops.DropIndexOp)
            (gone if drops else come)[key] = number, actions
    found = set()
    for key in gone.keys() & come.keys():
        same = gone[key][1] == come[key][1]
        found |= {gone[key][0]} | ({come[key][0]} if same and scope.kind == "sqlite" else set())
    return found


def _key_of(event: Event, names: dict[str, str], scope: Scope) -> tuple[Key | None, object]:
    """A foreign or unique key by what it says, whatever its name, and what it does."""

    def place(table: str | None, schema: str | None) -> str:
        label = scope.label(table or "", schema)
        return names.get(label, label)

    op, dropped = event.what, getattr(event, "dropped", None)
    match op:
        case ops.CreateForeignKeyOp():
            own = place(op.source_table, op.kw.get("source_schema"))
            other = place(op.referent_table, op.kw.get("referent_schema"))
            return (own, *op.local_cols, other, *op.remote_cols), _actions(op.kw)
        case ops.CreateUniqueConstraintOp() | ops.CreateIndexOp() if getattr(op, "unique", True):
            columns = [getattr(column, "name", None) or str(column) for column in op.columns]
            where = [str(value) for key, value in op.kw.items() if key.endswith("_where")]
            return (place(op.table_name, op.schema), *columns), where
        case ops.DropConstraintOp() | ops.DropIndexOp() if dropped is not None:
            own = place(op.table_name, op.schema)
            if "referred_table" in dropped:
                other = place(dropped["referred_table"], dropped["referred_schema"])
                key = (own, *dropped["constrained_columns"], other, *dropped["referred_columns"])
                return key, _actions(dropped["options"])
            options = dropped.get("dialect_options") or {}
            where = [str(value) for name, value in options.items() if name.endswith("_where")]
            return (own, *map(str, dropped["column_names"])), where
    return None, None


def _actions(options: Facts) -> dict[str, str]:
    names = ("ondelete", "onupdate", "deferrable", "initially", "match")
    said = {name: str(options[name]).upper() for name in names if options.get(name)}
    return {name: action for name, action in said.items() if action != "NO ACTION"}


def missed_renames(found: list[Finding], events: list[Event], scope: Scope) -> list[Finding]:
    """Turn a dropped column into a rename that may have been missed, where a like one is added."""
    dropped = {
        (scope.label(event.what.table_name, event.what.schema), event.what.column_name): (
            event.columns.get(event.what.column_name)
        )
        for event in events
        if isinstance(event.what, ops.DropColumnOp)
    }
    free = dict(scope.added)
    result = []
    for finding in found:
        table, column = (finding.facts.get(name, "") for name in ("table", "column"))
        known = dropped.get((table, column))
        like = _like(known, table, free, scope) if known else None
        if known and like is not None and like == column:
            computed = free.pop((table, like)).computed is not None
            if known.get("computed"):
                continue  # its values follow from the others, before and after
            if computed:
                finding = replace(finding, rule="drop-and-compute")
        elif like is not None and finding.rule == "drop-column":
            del free[table, like]
            finding = replace(finding, rule="drop-and-add", facts={**finding.facts, "added": like})
        result.append(finding)
    return result


def _like(
    known: Mapping[str, Value], label: str, free: Mapping[tuple[str, str], AnyColumn], scope: Scope
) -> str | None:
    old = types.family(types.plain(known["type"], scope.dialect))
    for (table, name), column in free.items():
        new = types.family(types.plain(column.type, scope.dialect))
        if table == label and old == new is not None:
            return name
    return None


LONGEST = 63  # bytes
ADDS_A_RULE = {"set-not-null", "add-unique", "add-check", "add-foreign-key"}


def findings(events: list[Event], dialect: Dialect, online: bool = False) -> list[Finding]:
    """Return what the rules say of one migration, in the order of the file.

    :param events: of a :class:`..runner.Recording`
    :param dialect: SQLAlchemy's
    :param online: whether operations run in forms for which nobody waits
    """
    scope = Scope(dialect, online)
    found: list[Finding] = []
    again = made_again(events, scope)
    for number, event in enumerate(events):
        if number in again:
            continue
        try:
            found += [
                _finding(rule, event.line, facts, scope) for rule, facts in _said(event, scope)
            ]
        except Exception as error:
            found.append(Finding.not_judged(event.line, error))
    found = missed_renames(found, events, scope)
    kept = {finding.rule for finding in found}
    if scope.rows and scope.schema and "update-every-row" not in kept:
        line, table = scope.rows[0]
        if scope.kind == "postgresql" and not scope.online:
            found.append(_finding("rows-and-schema", line, {"table": table}, scope))
    return found


def _finding(rule: str, line: int, facts: Facts, scope: Scope) -> Finding:
    severity, kind = RULES[rule].severity, scope.kind
    if rule == "narrow-type" and kind == "sqlite":
        severity = NOTE  # SQLite keeps every value: https://www.sqlite.org/datatype3.html
    if rule in ADDS_A_RULE and scope.online:
        severity, kind = NOTE, "online"  # it takes no lock, and rows may still refuse it
    words = {key: str(value) for key, value in facts.items()}  # they are kept as JSON
    return Finding(rule, severity, line, words, kind)


def _said(event: Event, scope: Scope) -> Iterator[Said]:
    if isinstance(event.what, str):
        return _statement(event.line, event.what, scope)
    return _operation(event, event.what, scope)


# what the lint says of an effect; what cannot be counted is told by the word that loses it
OF_EFFECTS = {
    "delete": "delete-rows",
    "update": "update-rows",
    **dict.fromkeys(("drop", "drop table", "drop column", "drop schema"), "drop-in-sql"),
    **dict.fromkeys(("rename", "rename table", "rename column"), "rename-in-sql"),
    "copy": "rewrite-table",
    "transaction": "own-transaction",
    **dict.fromkeys(("DELETE", "TRUNCATE"), "delete-rows"),
    "UPDATE": "update-rows",
}


def rule_of(effect: Effect) -> str | None:
    """Return the rule that speaks of what a statement does."""
    return OF_EFFECTS.get(effect.by) or OF_EFFECTS.get(effect.verb)


def _statement(line: int, sql: str, scope: Scope) -> Iterator[Said]:
    short = " ".join(sql.split())
    short = short if len(short) <= 80 else f"{short[:77]}..."
    said = set()
    for statement in lexer.split(sql, scope.kind):
        for effect in statements.effects(statement, scope.kind):
            rule, table = rule_of(effect), _label(effect.table)
            if scope.is_new(table):
                if effect.verb == "rename table":
                    scope.creates(None, _label(effect.new))
            elif effect.verb == "create table":
                scope.creates(None, table)
            elif rule and (rule, table) not in said:
                said.add((rule, table if rule == "update-rows" else ""))
                yield from _of_effect(rule, table, effect.every, line, short, scope)


def _label(name: Name | None) -> str:
    return lexer.dotted(name.schema, name.name) if name else ""


def _of_effect(
    rule: str, table: str, every: bool, line: int, sql: str, scope: Scope
) -> Iterator[Said]:
    if rule in ("delete-rows", "update-rows") and table:
        scope.rows.append((line, table))
    if rule == "rewrite-table":
        if scope.kind == "mysql":
            yield rule, {"table": "a table", "reason": sql}
    elif rule != "update-rows":
        yield rule, {"sql": sql}
    elif every and scope.kind != "sqlite" and table:
        yield "update-every-row", {"table": table}


def _operation(event: Event, op: MigrateOperation, scope: Scope) -> Iterator[Said]:
    for name in _names(op):
        if len(str(name).encode()) > LONGEST:
            yield "long-name", {"name": name, "length": len(str(name).encode())}
    match op:
        case ops.CreateTableOp():
            scope.creates(op.schema, op.table_name)
            yield from new_table(op, scope)
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
            yield from of_table(event, scope)


def _names(op: MigrateOperation) -> list[str]:
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
