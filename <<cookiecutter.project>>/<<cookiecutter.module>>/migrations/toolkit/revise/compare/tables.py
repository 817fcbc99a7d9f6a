"""Tables that come and go: with all that ``create_all`` would make, in an order that their keys allow.

Alembic drops tables in no order at all, and leaves out of a new one a foreign key with
``use_alter=True``, a CHECK of a column, and on SQLite an index on an expression.
https://docs.sqlalchemy.org/en/21/core/constraints.html#creating-dropping-foreign-key-constraints-via-alter
"""

import ast
from collections.abc import Iterable, Iterator
from typing import Any

from alembic.operations import ops
from sqlalchemy import Column, ForeignKeyConstraint
from sqlalchemy import Table as Model
from sqlalchemy.schema import sort_tables_and_constraints
from sqlalchemy.sql.elements import conv

from ..batches import names
from .checks import of_columns

Place = tuple[str | None, str]
TableOps = dict[Place, Any]


def complete_indexes(context: Any, change: ops.ModifyTableOps, model: Model) -> None:
    """Add the indexes of a new table that Alembic leaves out."""
    there = {str(op.index_name) for op in change.ops if isinstance(op, ops.CreateIndexOp)}
    for index in sorted(model.indexes, key=lambda index: str(index.name)):
        if str(index.name) in there:
            continue
        if context.run_object_filters(index, index.name, "index", False, None):
            change.ops.append(ops.CreateIndexOp.from_index(index))


def leave_inherited(context: Any, upgrade: ops.UpgradeOps) -> None:
    """On PostgreSQL a table has the columns of the one that it inherits from, whose they are."""
    models = context.table_key_to_table
    for change in [op for op in upgrade.ops if isinstance(op, ops.ModifyTableOps)]:
        model = models.get(_key(_place(change)))
        parents = (
            [models[name] for name in _parents(model) if name in models]
            if model is not None
            else []
        )
        theirs = {column.name for parent in parents for column in parent.columns}
        if theirs:
            change.ops[:] = [op for op in change.ops if not _drops(op, theirs)]


def _drops(op: Any, columns: set[str]) -> bool:
    return isinstance(op, ops.DropColumnOp) and op.column_name in columns


def arrange(upgrade: ops.UpgradeOps) -> None:
    """Put what makes, changes and drops tables in an order that every database takes.

    A foreign key is an operation of its own, the first where it goes and the last where it comes,
    when its table cannot have it from its beginning to its end: two new tables that point to each
    other, a change of the columns that it refers to, a table to which it refers and that goes.
    """
    come = {_place(op): op for op in upgrade.ops if isinstance(op, ops.CreateTableOp)}
    gone = {_place(op): op for op in upgrade.ops if isinstance(op, ops.DropTableOp)}
    first, last = _keys_of_changes(upgrade, gone)
    created = _in_order(come.values(), lambda op: op)
    last += _take_out(upgrade, come, created, lambda op: op)
    for op in come.values():
        op.columns = _complete(op.columns)
        op.info = _literal(op.info)
    dropped = _in_order(gone.values(), lambda op: op._reverse)
    first += [op.reverse() for op in _take_out(upgrade, gone, dropped, lambda op: op._reverse)]
    for places in (created, list(reversed(dropped))):
        _regroup(upgrade, places)
    upgrade.ops[:] = [*first, *upgrade.ops, *last]


def _place(op: Any) -> Place:
    return op.schema, op.table_name


def _key(place: Place) -> str:
    return ".".join(part for part in place if part)


def _in_order(found: Iterable[Any], creation: Any) -> list[Place]:
    """Return the places in the order of their keys; where these go in a circle, one is left over."""
    models = {_place(op): creation(op)._namespace_metadata.tables[_key(_place(op))] for op in found}
    by_key = {_key(place): model for place, model in models.items()}
    inherited = [
        (by_key[parent], model)
        for model in models.values()
        for parent in _parents(model)
        if parent in by_key
    ]
    ordered = sort_tables_and_constraints(models.values(), extra_dependencies=inherited)
    places = {model: place for place, model in models.items()}
    return [places[model] for model, _ in ordered if model is not None]


def _parents(model: Model) -> tuple[str, ...]:
    given = model.dialect_options["postgresql"]["inherits"]
    return given if isinstance(given, tuple) else (given,) if given else ()


def _take_out(
    upgrade: ops.UpgradeOps, tables: TableOps, order: list[Place], creation: Any
) -> list[ops.ModifyTableOps]:
    """Take the keys out of their tables' creation that cannot be made yet; return their operations."""
    found = []
    for rank, place in enumerate(order):
        made = creation(tables[place])
        for key in [part for part in made.columns if isinstance(part, ForeignKeyConstraint)]:
            to = _referred(key)
            later = to in order[rank + 1 :]
            if later or _changes(upgrade, to, [e.column.name for e in key.elements]):
                made.columns = [part for part in made.columns if part is not key]
                found.append(_operation(place, _create(key)))
    return found


def _referred(key: ForeignKeyConstraint) -> Place:
    return key.referred_table.schema, key.referred_table.name


def _create(key: ForeignKeyConstraint) -> ops.CreateForeignKeyOp:
    op = ops.CreateForeignKeyOp.from_constraint(key)
    op.kw.pop("use_alter", None)
    if op.constraint_name is None:
        schema, table = _referred(key)
        referred = (schema, table, op.remote_cols)
        options = {"schema": key.table.schema, "referred": referred}
        op.constraint_name = conv(names.name("fk", {}, key.table.name, op.local_cols, **options))
    return op


def _operation(place: Place, *changes: ops.MigrateOperation) -> ops.ModifyTableOps:
    return ops.ModifyTableOps(place[1], list(changes), schema=place[0])


def _complete(parts: Iterable[Any]) -> list[Any]:
    """Return what a new table is made of, with the CHECKs of its columns, and every key at once.

    MariaDB takes no named CHECK within a column, and does not drop one without a name.
    """
    found, checks = [], []
    for part in parts:
        if isinstance(part, Column) and of_columns([part]):
            checks += [check._copy() for check in of_columns([part])]
            part = part._copy()
            part.constraints.clear()
        elif isinstance(part, ForeignKeyConstraint) and part.use_alter:
            part = part._copy()
            part.use_alter = False
        found.append(part)
    return found + checks


def _literal(info: dict[Any, Any]) -> dict[Any, Any]:
    """Return what a file can say of the models' notes to themselves, which no database sees."""
    try:
        return info if ast.literal_eval(repr(info)) == info else {}
    except (ValueError, SyntaxError):
        return {}


def _keys_of_changes(upgrade: ops.UpgradeOps, gone: TableOps) -> Any:
    """Take the keys out of the changes that refer to what goes, or to what changes itself."""
    first, last = [], []
    for change in [op for op in upgrade.ops if isinstance(op, ops.ModifyTableOps)]:
        for op in list(change.ops):
            made = _key_of(op)
            if made is None:
                continue
            to = (made.kw.get("referent_schema"), made.referent_table)
            made.kw.pop("use_alter", None)
            if to == _place(change) or not (to in gone or _changes(upgrade, to, made.remote_cols)):
                continue
            change.ops.remove(op)
            (last if op is made else first).append(_operation(_place(change), op))
    upgrade.ops[:] = [
        op for op in upgrade.ops if not isinstance(op, ops.ModifyTableOps) or not op.is_empty()
    ]
    return first, last


def _key_of(op: Any) -> ops.CreateForeignKeyOp | None:
    if isinstance(op, ops.DropConstraintOp):
        op = op._reverse
    return op if isinstance(op, ops.CreateForeignKeyOp) else None


def _changes(upgrade: ops.UpgradeOps, place: Place, columns: Iterable[str]) -> bool:
    """Whether a table that is there before and after changes in some columns, or in their keys."""
    said = {
        name
        for change in upgrade.ops
        if isinstance(change, ops.ModifyTableOps) and _place(change) == place
        for op in change.ops
        for name in _columns_of(op)
    }
    return bool(said & set(columns))


def _columns_of(op: Any) -> Iterator[str]:
    match op:
        case ops.AddColumnOp():
            yield op.column.name
        case ops.AlterColumnOp() if op.modify_type is not None or op.modify_name:
            yield op.column_name
        case ops.DropColumnOp():
            yield op.column_name
        case ops.CreateUniqueConstraintOp() | ops.CreateIndexOp() | ops.CreatePrimaryKeyOp():
            unique = not isinstance(op, ops.CreateIndexOp) or op.unique
            yield from [getattr(c, "name", c) for c in op.columns] if unique else []
        case ops.DropConstraintOp() | ops.DropIndexOp() if op._reverse is not None:
            yield from _columns_of(op._reverse)


def _regroup(upgrade: ops.UpgradeOps, order: list[Place]) -> None:
    """Put the operations on some tables in an order, where the first of them stands."""
    groups: dict[Place, list[Any]] = {place: [] for place in order}
    rest: list[Any] = []
    start = None
    tables = (ops.CreateTableOp, ops.DropTableOp, ops.ModifyTableOps)
    for op in upgrade.ops:
        if isinstance(op, tables) and _place(op) in groups:
            start = len(rest) if start is None else start
            groups[_place(op)].append(op)
        else:
            rest.append(op)
    grouped = [op for place in order for op in groups[place]]
    upgrade.ops[:] = [*rest[:start], *grouped, *rest[len(rest) if start is None else start :]]
