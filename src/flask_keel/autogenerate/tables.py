"""Tables that come and go: with all that ``create_all`` would make, in an order that their keys allow.

Alembic drops tables in no order at all, and leaves out of a new one a foreign key with
``use_alter=True``, a CHECK of a column, and on SQLite an index on an expression.
https://docs.sqlalchemy.org/en/21/core/constraints.html#creating-dropping-foreign-key-constraints-via-alter
"""

import ast
import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DefaultClause,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
    false,
    literal_column,
    text,
    true,
)
from sqlalchemy import Index as ModelIndex
from sqlalchemy import Table as Model
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.sql.elements import TextClause, conv

from ..catalog import ReflectedIndex, ReflectedTable, live, mysql, sqlite
from ..lexer import dotted
from ..literals import as_text
from ..sqlite import model as sqlite_model
from ..sqlite import naming
from ..sqlite.introspection import Database, read_table
from ..sqlite.tokenizer import fold, quote
from ..typing import AnyColumn, Convention, Options, Value
from .summary import Place, place_of, table_changes


def of_columns(columns: Iterable[AnyColumn]) -> list[CheckConstraint]:
    """Return the CHECKs that stand within columns, less those of their types."""
    return [
        check
        for column in columns
        for check in sorted(column.constraints, key=lambda check: check._creation_order)
        if isinstance(check, CheckConstraint) and not check._type_bound
    ]


def known(index: ReflectedIndex, there: Model) -> ModelIndex | None:
    """Return the index that is there, as SQLite's text says it or as SQLAlchemy reflected it."""
    if not index.parts:
        return next((found for found in there.indexes if found.name == index.name), None)
    columns = {column.name: column for column in there.c}
    columns |= {quote(name): column for name, column in columns.items()}
    parts: list[Any] = [columns.get(part, literal_column(part)) for part in index.parts]
    where: Options = {"sqlite_where": text(as_text(index.where))} if index.where else {}
    made = ModelIndex(index.name, *parts, unique=index.unique, **where)
    made._set_parent(there)
    there.indexes.discard(made)
    return made


REFLECTED_KINDS = {
    "unique": UniqueConstraint,
    "primary key": PrimaryKeyConstraint,
    "foreign key": ForeignKeyConstraint,
}
WAITING = text("""
    SELECT k.conname, k.condeferred FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.condeferrable AND c.relname = :name
      AND n.nspname = COALESCE(CAST(:schema AS text), current_schema())
""")


def complete(context: AutogenContext, change: ops.ModifyTableOps, there: Model) -> None:
    """Add to a table that goes, and to the drops of its indexes, what was not reflected."""
    for check in there.constraints:
        if isinstance(check, CheckConstraint) and isinstance(check.sqltext, TextClause):
            check.sqltext = text(as_text(check.sqltext.text))
    booleans(there)
    if context.dialect.name == "sqlite":
        _sqlite(context, change, there)
    elif context.dialect.name == "postgresql":
        _postgresql(context, there)
    else:
        found = mysql.real(live(context), there.schema, there.name)
        json_columns(there, found)
        _checks_of_columns(there, found)
    change.ops[:] = [
        ops.DropIndexOp.from_index(exact(op.to_index())) if isinstance(op, ops.DropIndexOp) else op
        for op in change.ops
    ]


TRUTH = {"0": false(), "1": true()}


def boolean(column: AnyColumn) -> None:
    """Let a boolean's default be one where SQLite has a number, which PostgreSQL does not take."""
    said = TRUTH.get(str(getattr(column.server_default, "arg", None)))
    if isinstance(column.type, Boolean) and said is not None:
        column.server_default = DefaultClause(said)


def booleans(there: Model) -> None:
    for column in there.c:
        boolean(column)


def json_columns(there: Model, found: ReflectedTable) -> None:
    """Let a reflected column be JSON where MariaDB, that calls it LONGTEXT, has it so."""
    for name, column in found.columns.items():
        if column.type == "json" and name in there.c:
            there.c[name].type = JSON()


def exact(index: ModelIndex) -> ModelIndex:
    """Return an index with its texts as the database has them, a colon in them being none of ours."""
    options: Options = {
        key: text(as_text(value.text)) if isinstance(value, TextClause) else value
        for key, value in index.kwargs.items()
    }
    made = ModelIndex(index.name, *map(_part, index.expressions), unique=index.unique, **options)
    table = index.table
    assert table is not None
    if made.table is None:
        made._set_parent(table)
    table.indexes.discard(made)
    return made


def _part(part: Value) -> Value:
    for said in (part, getattr(part, "text", None)):  # as it is, or wrapped by Alembic
        if isinstance(said, TextClause):
            return literal_column(said.text)
    return part


def _checks_of_columns(there: Model, found: ReflectedTable) -> None:
    known = {each.name for each in there.constraints if isinstance(each, CheckConstraint)}
    for check in found.checks:
        if check.name not in known:
            there.append_constraint(CheckConstraint(as_text(check.sql), name=conv(str(check.name))))


def _postgresql(context: AutogenContext, there: Model) -> None:
    place = {"schema": there.schema, "name": there.name}
    waiting: dict[Any, Any] = dict(list(live(context).execute(WAITING, place)))
    for constraint in there.constraints:
        if constraint.name in waiting:
            constraint.deferrable = True
            constraint.initially = "DEFERRED" if waiting[constraint.name] else None


def _sqlite(context: AutogenContext, change: ops.ModifyTableOps, there: Model) -> None:
    said = read_table(Database(live(context), there.schema), there.name)
    facts = sqlite.real(live(context), there.schema, there.name)
    if facts.autoincrement:
        there.dialect_options["sqlite"]["autoincrement"] = True
    for column in said.columns:
        _column(there.c.get(column.name), column)
    for constraint in said.all_constraints():
        _constraint(there, constraint)
    # in its text an index has its directions, collations and expressions
    drops = [known(index, there) for index in facts.indexes.values()]
    change.ops[:] = [op for op in change.ops if not isinstance(op, ops.DropIndexOp)]
    change.ops += [ops.DropIndexOp.from_index(index) for index in drops if index is not None]


def _column(column: AnyColumn | None, said: sqlite_model.Column) -> None:
    if column is None:
        return
    if said.collation and isinstance(column.type, String):
        column.type = text_type = copy.copy(column.type)
        text_type.collation = said.collation
    not_null = said.last("not null")
    if not_null and not_null.on_conflict:
        column.dialect_options["sqlite"]["on_conflict_not_null"] = not_null.on_conflict


def _constraint(there: Model, said: sqlite_model.Constraint) -> None:
    kind, names = REFLECTED_KINDS.get(said.kind), [fold(name) for name in said.columns]
    for each in there.constraints:
        if kind is None or not isinstance(each, kind):
            continue
        if [fold(column.name) for column in getattr(each, "columns", ())] != names:
            continue
        if isinstance(each, ForeignKeyConstraint):
            each.ondelete, each.onupdate = said.on_delete, said.on_update
            each.match = said.match
            if said.deferrable:
                clause, _, initially = said.deferrable.partition(" INITIALLY ")
                each.deferrable, each.initially = clause == "DEFERRABLE", initially or None
        elif said.on_conflict:
            each.dialect_options["sqlite"]["on_conflict"] = said.on_conflict


TableOps = dict[Place, Any]


def complete_indexes(context: AutogenContext, change: ops.ModifyTableOps, model: Model) -> None:
    """Add the indexes of a new table that Alembic leaves out."""
    there = {str(op.index_name) for op in change.ops if isinstance(op, ops.CreateIndexOp)}
    for index in sorted(model.indexes, key=lambda index: str(index.name)):
        if str(index.name) in there:
            continue
        if context.run_object_filters(index, index.name, "index", False, None):
            change.ops.append(ops.CreateIndexOp.from_index(index))


def leave_inherited(context: AutogenContext, upgrade: ops.UpgradeOps) -> None:
    """On PostgreSQL a table has the columns of the one that it inherits from, whose they are."""
    models = context.table_key_to_table
    for change in table_changes(upgrade):
        model = models.get(dotted(*place_of(change)))
        given = () if model is None else _inherited(model.dialect_options["postgresql"]["inherits"])
        parents = [models[name] for name in given if name in models]
        theirs = {column.name for parent in parents for column in parent.columns}
        if theirs:
            change.ops[:] = [
                op
                for op in change.ops
                if not (isinstance(op, ops.DropColumnOp) and op.column_name in theirs)
            ]


def arrange(upgrade: ops.UpgradeOps) -> None:
    """Put what makes, changes and drops tables in an order that every database takes.

    A foreign key is an operation of its own, the first where it goes and the last where it comes,
    when its table cannot have it from its beginning to its end: two new tables that point to each
    other, a change of the columns that it refers to, a table to which it refers and that goes.
    """
    come = {place_of(op): op for op in upgrade.ops if isinstance(op, ops.CreateTableOp)}
    gone = {place_of(op): op for op in upgrade.ops if isinstance(op, ops.DropTableOp)}
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


def _inherited(given: str | Iterable[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _keys(made: ops.CreateTableOp) -> list[ForeignKeyConstraint]:
    found = [part for part in made.columns if isinstance(part, ForeignKeyConstraint)]
    return sorted(found, key=lambda key: [column.name for column in key.columns])


def _take_out(
    made: TableOps,
    order: list[Place],
    changes: Callable[[ForeignKeyConstraint], bool] | None = None,
) -> list[ops.ModifyTableOps]:
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
        home, names = key.table, (naming.CONVENTION, key.table.name, op.local_cols)
        op.constraint_name = conv(naming.name("fk", *names, schema=home.schema, referred=referred))
    return op


def _operation(place: Place, *changes: ops.MigrateOperation) -> ops.ModifyTableOps:
    return ops.ModifyTableOps(place[1], list(changes), schema=place[0])


def _complete(parts: Iterable[Value]) -> list[Value]:
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


def _literal(info: Convention) -> Convention:
    """Return what a file can say of the models' notes to themselves, which no database sees."""
    try:
        return info if ast.literal_eval(repr(info)) == info else {}
    except (ValueError, SyntaxError):
        return {}


def _keys_of_changes(
    upgrade: ops.UpgradeOps, gone: TableOps
) -> tuple[list[ops.ModifyTableOps], list[ops.ModifyTableOps]]:
    """Take the keys out of the changes that refer to what goes, or to what changes itself."""
    first: list[ops.ModifyTableOps] = []
    last: list[ops.ModifyTableOps] = []
    for change in table_changes(upgrade):
        for op in list(change.ops):
            made = _key_of(op)
            if made is None:
                continue
            to = (made.kw.get("referent_schema"), made.referent_table)
            made.kw.pop("use_alter", None)
            if to == place_of(change) or not (
                to in gone or _changes(upgrade, to, made.remote_cols)
            ):
                continue
            change.ops.remove(op)
            (last if op is made else first).append(_operation(place_of(change), op))
    upgrade.ops[:] = [
        op for op in upgrade.ops if not isinstance(op, ops.ModifyTableOps) or not op.is_empty()
    ]
    return first, last


def _key_of(op: MigrateOperation) -> ops.CreateForeignKeyOp | None:
    made = op._reverse if isinstance(op, ops.DropConstraintOp) else op
    return made if isinstance(made, ops.CreateForeignKeyOp) else None


def _changes(upgrade: ops.UpgradeOps, place: Place, columns: Iterable[str]) -> bool:
    """Whether a table that is there before and after changes in some columns, or in their keys."""
    said = {
        name
        for change in table_changes(upgrade)
        if place_of(change) == place
        for op in change.ops
        for name in _columns_of(op)
    }
    return bool(said & set(columns))


def _columns_of(op: MigrateOperation) -> Iterator[str]:
    match op:
        case ops.AddColumnOp():
            yield op.column.name
        case ops.AlterColumnOp() if op.modify_type is not None or op.modify_name:
            yield op.column_name
        case ops.DropColumnOp():
            yield op.column_name
        case ops.CreateUniqueConstraintOp() | ops.CreateIndexOp() | ops.CreatePrimaryKeyOp():
            unique = not isinstance(op, ops.CreateIndexOp) or op.unique
            yield from [str(getattr(c, "name", c)) for c in op.columns] if unique else []
        case ops.DropConstraintOp() | ops.DropIndexOp() if op._reverse is not None:
            yield from _columns_of(op._reverse)


def _regroup(upgrade: ops.UpgradeOps, order: list[Place]) -> None:
    """Put the operations on some tables in an order, where the first of them stands."""
    groups: dict[Place, list[MigrateOperation]] = {place: [] for place in order}
    rest: list[MigrateOperation] = []
    start = None
    tables = (ops.CreateTableOp, ops.DropTableOp, ops.ModifyTableOps)
    for op in upgrade.ops:
        if isinstance(op, tables) and place_of(op) in groups:
            start = len(rest) if start is None else start
            groups[place_of(op)].append(op)
        else:
            rest.append(op)
    grouped = [op for place in order for op in groups[place]]
    upgrade.ops[:] = [*rest[:start], *grouped, *rest[len(rest) if start is None else start :]]


def compute_last(change: ops.ModifyTableOps) -> None:
    """A generated column goes before the columns that it is computed from, and comes after them.

    PostgreSQL gives those no other type while it is there.
    """
    drops = [op for op in change.ops if isinstance(op, ops.DropColumnOp)]
    adds = [op for op in change.ops if isinstance(op, ops.AddColumnOp)]
    alters = [op for op in change.ops if isinstance(op, ops.AlterColumnOp)]
    alters = [op for op in alters if op.modify_type is not None]
    for drop in filter(is_computed, drops):
        for other in [*[op for op in drops if not is_computed(op)][:1], *alters[:1]]:
            move(change, drop, other, 0)
    for add in filter(is_computed, reversed(adds)):
        for other in [*[op for op in adds if not is_computed(op)][-1:], *alters[-1:]]:
            move(change, add, other, 1)


def move(
    change: ops.ModifyTableOps, op: MigrateOperation, other: MigrateOperation, behind: int
) -> None:
    """Move an operation before another, or behind it, where it does not stand there anyhow."""
    place, wanted = change.ops.index(op), change.ops.index(other)
    if (place < wanted) if behind else (place > wanted):
        change.ops.remove(op)
        change.ops.insert(change.ops.index(other) + behind, op)


def is_computed(op: MigrateOperation) -> bool:
    """Whether a generated column comes or goes."""
    made = op._reverse if isinstance(op, ops.DropColumnOp) else op
    return isinstance(made, ops.AddColumnOp) and made.column.computed is not None
