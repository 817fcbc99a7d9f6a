"""What a migration does: its operations, and in words, for its message and the file's name."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from alembic.operations import ops
from sqlalchemy import Table

Place = tuple[str | None, str]  # a schema and a table
LONGEST = 60


def leave_unsaid(op: ops.MigrateOperation) -> None:
    """Keep an operation out of the words: it comes along with one that is said."""
    say_instead(op)


def say_instead(op: ops.MigrateOperation, *said: tuple[str, str, str]) -> None:
    """Say something else of an operation than what its kind would say.

    :param said: verb, target and name: ``("add", "mood", "good")`` is "add good to mood"
    """
    setattr(op, "said", said)  # noqa: B010  (Alembic's own operations have no such attribute)


def directions(script: ops.MigrationScript) -> tuple[ops.UpgradeOps, ops.DowngradeOps]:
    """The way up and the way down of a migration: for one database it has one of each."""
    return script.upgrade_ops_list[-1], script.downgrade_ops_list[-1]


def place_of(op: Any) -> Place:
    """Return the table that an operation is about."""
    return op.schema, op.table_name


def changed(table: Table, *changes: ops.MigrateOperation) -> ops.ModifyTableOps:
    """Return changes of a table as one operation."""
    return ops.ModifyTableOps(table.name, list(changes), schema=table.schema)


def table_changes(*containers: ops.OpContainer) -> list[ops.ModifyTableOps]:
    """Return the changes of tables among the operations."""
    every = [op for container in containers for op in container.ops]
    return [op for op in every if isinstance(op, ops.ModifyTableOps)]


def changes_of(container: ops.OpContainer, table: Table) -> ops.ModifyTableOps:
    """Return the changes of a table that are there already; else new ones, put behind all others."""
    home = table.schema, table.name
    found = next((op for op in table_changes(container) if place_of(op) == home), None)
    if found is None:
        found = changed(table)
        container.ops.append(found)
    return found


def name_of(op: ops.MigrateOperation) -> str:
    """Return the name of the constraint or the index that an operation is about."""
    return str(getattr(op, "index_name", None) or getattr(op, "constraint_name", None))


def phrases(container: ops.OpContainer | None) -> list[str]:
    """Say what each operation does: "create comment", "add slug to post", "drop post.summary".

    The indexes and constraints that come with a new table or column are not said again.
    """
    said = list(_operations(container)) if container else []
    new = {target for verb, target, _ in said if verb == "create"}
    added = {f"{table}.{column}" for verb, table, column in said if verb == "add"}
    kept = [
        item for item in said if item[0] in ("create", "add") or not _comes_along(item, new, added)
    ]
    return [_phrase(list(group)) for _, group in groupby(kept, _together)]


def shorten(said: list[str]) -> str:
    """Join the phrases to one line, cut where a reader still understands it."""
    line = "; ".join(said)
    if len(line) <= LONGEST:
        return line
    kept = [said[0][:LONGEST]]
    for phrase in said[1:]:
        if len("; ".join([*kept, phrase])) > LONGEST - len("; and 99 more"):
            break
        kept.append(phrase)
    rest = len(said) - len(kept)
    return "; ".join([*kept, f"and {rest} more"]) if rest else kept[0]


def _operations(container: ops.OpContainer) -> Iterator[tuple[str, str, str]]:
    again = _made_again(container)
    for op in container.ops:
        if hasattr(op, "said"):
            yield from op.said
            continue
        name = name_of(op)
        if name in again:
            if isinstance(op, ops.DropConstraintOp | ops.DropIndexOp):
                kind = "index" if isinstance(op, ops.DropIndexOp) else "constraint"
                yield f"change {kind}", op.table_name or "", name
            continue
        match op:
            case ops.OpContainer():
                yield from _operations(op)
            case ops.CreateTableOp():
                yield "create", op.table_name, ""
            case ops.DropTableOp():
                yield "drop", op.table_name, ""
            case ops.RenameTableOp():
                yield "rename", op.table_name, op.new_table_name
            case ops.AddColumnOp():
                yield "add", op.table_name, op.column.name
            case ops.DropColumnOp():
                yield "drop column", op.table_name, op.column_name
            case ops.AlterColumnOp() if op.modify_name:
                yield "rename column", f"{op.table_name}.{op.column_name}", op.modify_name
            case ops.AlterColumnOp():
                yield "change", op.table_name, op.column_name
            case ops.CreateIndexOp():
                columns = ", ".join(getattr(c, "name", None) or str(c) for c in op.columns)
                yield ("make unique" if op.unique else "index"), op.table_name, columns
            case ops.CreateUniqueConstraintOp():
                yield "make unique", op.table_name, ", ".join(op.columns)
            case ops.CreateForeignKeyOp():
                yield "link", op.source_table, ", ".join(op.local_cols)
            case ops.CreateCheckConstraintOp() | ops.CreatePrimaryKeyOp():
                yield "constrain", op.table_name, str(op.constraint_name or "")
            case ops.BulkInsertOp():
                yield "insert into", op.table.name, ""
            case ops.DropIndexOp():
                yield "drop index", op.table_name or "", str(op.index_name)
            case ops.DropConstraintOp():
                yield "drop constraint", op.table_name, str(op.constraint_name)
            case _:
                name = getattr(op, "table_name", "") or getattr(op, "name", "")
                gone = type(op).__name__.startswith("Drop")
                yield "drop" if gone else "change", name or type(op).__name__, ""


def _made_again(container: ops.OpContainer) -> set[str]:
    """The constraints and indexes that are dropped and made again under their name."""
    made = (ops.AddConstraintOp, ops.CreateIndexOp)
    gone = (ops.DropConstraintOp, ops.DropIndexOp)
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for op in container.ops:
        if isinstance(op, (*made, *gone)) and not hasattr(op, "said"):
            names[isinstance(op, gone)].add(name_of(op))
    return names[True] & names[False] - {"None"}


def _comes_along(item: tuple[str, str, str], new: set[str], added: set[str]) -> bool:
    verb, table, columns = item
    if table in new:
        return True
    return verb in ("index", "make unique", "link") and all(
        f"{table}.{column}" in added for column in columns.split(", ")
    )


def _together(item: tuple[str, str, str]) -> tuple[str, str]:
    verb, target, _ = item
    return verb, "" if verb in ("create", "drop") else target


def _phrase(group: list[tuple[str, str, str]]) -> str:
    verb, target, _ = group[0]
    names = [item[1] if verb in ("create", "drop") else item[2] for item in group]
    dotted = ", ".join(f"{target}.{name}" if name else target for name in names)
    match verb:
        case "create" | "drop":
            return f"{verb} {_listed(names)}"
        case "rename" | "rename column":
            return f"rename {target} to {_listed(names)}"
        case "add":
            return f"add {_listed(names)} to {target}"
        case "drop column":
            return f"drop {dotted}"
        case "drop index" | "drop constraint" | "change index" | "change constraint":
            return f"{verb} {_listed(names)}" + (f" of {target}" if target else "")
        case "link":
            return f"add a foreign key to {dotted}"
        case "constrain":
            said = f"constraint {_listed(names)}" if all(names) else "a constraint"
            return f"add {said} to {target}"
        case _:
            return f"{verb} {dotted}"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
