"""What is said of changes to a table that was there before."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from alembic.operations import ops
from sqlalchemy import ClauseElement

from . import tables, types
from .finding import Finding
from .scope import Scope
from .texts import COUNT, LOOK, RULES

Said = tuple[str, dict[str, Any]]


def of_table(event: Any, scope: Scope) -> Iterator[Said]:
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
            yield from tables.new_column(op, scope)
        case ops.AlterColumnOp():
            yield from _column(event, facts, scope)
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
            if scope.kind != "sqlite":
                yield "add-primary-key", {**facts, "name": str(op.constraint_name)}
        case ops.DropConstraintOp() if op.constraint_type == "foreignkey":
            yield "drop-foreign-key", {**facts, "name": op.constraint_name}
        case _ if type(op).__name__ == "CreateExcludeConstraintOp":  # PostgreSQL's own
            yield "add-exclude", facts


def _column(event: Any, facts: dict[str, Any], scope: Scope) -> Iterator[Said]:
    op, label = event.what, facts["table"]
    name = op.column_name
    facts = {**facts, "column": name, "q_column": scope.quote(name)}
    added = scope.added.get((label, name))
    if added is not None:
        # added, filled and made NOT NULL: for the running release it is a NOT NULL column all the same
        if op.modify_nullable is False and added.nullable and added.server_default is None:
            yield "add-not-null", facts
        return
    if op.modify_name and op.modify_name != name:
        yield "rename-column", {**facts, "new": op.modify_name}
    before = event.columns.get(name, {})
    if op.modify_nullable is False and before.get("nullable", True):
        yield "set-not-null", {**facts, "check": f"{name}_not_null"}
    if op.modify_nullable is True and not before.get("nullable", False):
        yield "drop-not-null", facts
    old = op.existing_type if op.existing_type is not None else before.get("type")
    if op.modify_type is not None and old is not None:
        yield from _type(old, op.modify_type, facts, scope)


def _type(old: Any, new: Any, facts: dict[str, Any], scope: Scope) -> Iterator[Said]:
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
    name: Any, columns: Any, facts: dict[str, Any], scope: Scope, where: Any = None
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


def _index(op: ops.CreateIndexOp, facts: dict[str, Any], scope: Scope) -> Iterator[Said]:
    if op.kw.get("postgresql_concurrently") and scope.kind == "postgresql":
        if not op.if_not_exists:
            yield "not-repeatable", {**facts, "name": op.index_name}
    elif op.unique:
        where = op.kw.get(f"{scope.kind}_where")
        yield from _unique(op.index_name, op.columns, facts, scope, where)
    if not op.unique and len(op.columns) > 3:
        yield "wide-index", {**facts, "count": len(op.columns)}


def _key(op: ops.CreateForeignKeyOp, facts: dict[str, Any], scope: Scope) -> Iterator[Said]:
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


def _orphans(op: ops.CreateForeignKeyOp, facts: dict[str, Any], scope: Scope) -> str:
    """The condition of the rows that point to nothing: NOT IN would find none where one is NULL."""
    target = scope.facts(op.referent_table, op.kw.get("referent_schema"))["q_table"]
    own = [f"{facts['q_table']}.{scope.quote(name)}" for name in op.local_cols]
    pairs = zip(own, op.remote_cols, strict=True)
    same = " AND ".join(f"parent.{scope.quote(name)} = {mine}" for mine, name in pairs)
    present = " AND ".join(f"{mine} IS NOT NULL" for mine in own)
    return f"{present} AND NOT EXISTS (SELECT 1 FROM {target} AS parent WHERE {same})"


def made_again(events: list[Any], scope: Scope) -> set[int]:
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
    gone, come = {}, {}
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


def _key_of(event: Any, names: dict[str, str], scope: Scope) -> tuple[Any, Any]:
    """A foreign or unique key by what it says, whatever its name, and what it does."""

    def place(table: Any, schema: Any) -> str:
        label = scope.label(table, schema)
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


def _actions(options: dict[str, Any]) -> dict[str, str]:
    names = ("ondelete", "onupdate", "deferrable", "initially", "match")
    said = {name: str(options[name]).upper() for name in names if options.get(name)}
    return {name: action for name, action in said.items() if action != "NO ACTION"}


def missed_renames(found: list[Finding], events: list[Any], scope: Scope) -> list[Finding]:
    """Turn a dropped column into a rename that may have been missed, where a like one is added."""
    dropped = {
        (scope.label(event.what.table_name, event.what.schema), event.what.column_name): event
        for event in events
        if isinstance(event.what, ops.DropColumnOp)
    }
    free = dict(scope.added)
    result = []
    for finding in found:
        event = dropped.get((finding.facts.get("table"), finding.facts.get("column")))
        like = _like(event, finding.facts["table"], free, scope) if event else None
        column = finding.facts.get("column")
        if like is not None and like == column:
            computed = free.pop((finding.facts["table"], like)).computed is not None
            if event.columns[column].get("computed"):
                continue  # its values follow from the others, before and after
            if computed:
                finding = replace(finding, rule="drop-and-compute")
            result.append(finding)
            continue
        if finding.rule != "drop-column" or like is None:
            result.append(finding)
            continue
        del free[finding.facts["table"], like]
        rule = "drop-and-add"
        facts = {**finding.facts, "added": like}
        result.append(Finding(rule, RULES[rule].severity, finding.line, facts, finding.dialect))
    return result


def _like(event: Any, label: str, free: dict[Any, Any], scope: Scope) -> str | None:
    known = event.columns.get(event.what.column_name)
    if known is None:
        return None
    old = types.family(types.plain(known["type"], scope.dialect))
    for (table, name), column in free.items():
        new = types.family(types.plain(column.type, scope.dialect))
        if table == label and old == new is not None:
            return name
    return None
