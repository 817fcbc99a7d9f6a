"""Tables that come and go: with all that ``create_all`` would make, in an order that their keys allow.

Alembic drops tables in no order at all, and leaves out of a new one a foreign key with
``use_alter=True``, a CHECK of a column, and on SQLite an index on an expression.
https://docs.sqlalchemy.org/en/21/core/constraints.html#creating-dropping-foreign-key-constraints-via-alter
"""

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from alembic.operations import ops
from sqlalchemy import Column, ForeignKeyConstraint
from sqlalchemy import Table as Model
from sqlalchemy.exc import NoReferenceError
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
        given = () if model is None else _inherited(model.dialect_options["postgresql"]["inherits"])
        parents = [models[name] for name in given if name in models]
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
    created = _in_order(come)
    last += _take_out(come, created, lambda key: _changes(upgrade, *_referred(key)))
    for op in come.values():
        op.columns = _complete(op.columns)
        op.info = _literal(op.info)
    # what goes is made again by its reverse
    made = {place: op._reverse for place, op in gone.items()}
    dropped = _in_order(made)
    first += [op.reverse() for op in _take_out(made, dropped)]
    for places in (created, list(reversed(dropped))):
        _regroup(upgrade, places)
    upgrade.ops[:] = [*first, *upgrade.ops, *last]


def _place(op: Any) -> Place:
    return op.schema, op.table_name


def _key(place: Place) -> str:
    return ".".join(part for part in place if part)


def _in_order(made: TableOps) -> list[Place]:
    """Return the places in the order of their keys; where these go in a circle, one is left over.

    :param made: the creation of each table
    """
    ordered: list[Place] = []

    def visit(place: Place, waiting: tuple[Place, ...]) -> None:
        if place in made and place not in ordered and place not in waiting:
            for parent in _parents_of(made[place]):
                visit(parent, (*waiting, place))
            ordered.append(place)

    for place in made:
        visit(place, ())
    return ordered


def _parents_of(made: ops.CreateTableOp) -> list[Place]:
    keys = [key for key in _keys(made) if not key.use_alter]
    inherited = _inherited(made.kw.get("postgresql_inherits"))
    return [*((made.schema, name) for name in inherited), *(_referred(key)[0] for key in keys)]


def _inherited(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _keys(made: ops.CreateTableOp) -> list[ForeignKeyConstraint]:
    found = [part for part in made.columns if isinstance(part, ForeignKeyConstraint)]
    return sorted(found, key=lambda key: [column.name for column in key.columns])


def _take_out(made: TableOps, order: list[Place], changes: Any = None) -> list[ops.ModifyTableOps]:
    """Take the keys out of their tables' creation that cannot be made yet; return their operations.

    :param changes: says of a key whether what it refers to is only made by a change
    """
    found = []
    for rank, place in enumerate(order):
        for key in _keys(made[place]):
            if _referred(key)[0] in order[rank + 1 :] or (changes and changes(key)):
                made[place].columns = [part for part in made[place].columns if part is not key]
                found.append(_operation(place, _create(key)))
    return found


def _referred(key: ForeignKeyConstraint) -> tuple[Place, list[str]]:
    """Return the table and the columns; of what was reflected SQLAlchemy need not have seen them."""
    with suppress(NoReferenceError):
        table = key.referred_table
        return (table.schema, table.name), [element.column.name for element in key.elements]
    specs = [element._get_colspec().split(".") for element in key.elements]
    schema = ".".join(specs[0][:-2]) or None
    return (schema, specs[0][-2]), [spec[-1] for spec in specs]


def _create(key: ForeignKeyConstraint) -> ops.CreateForeignKeyOp:
    op = ops.CreateForeignKeyOp.from_constraint(key)
    op.kw.pop("use_alter", None)
    if op.constraint_name is None:
        referred = (*_referred(key)[0], op.remote_cols)
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
