"""The comparators of columns, CHECKs and indexes: a plugin of Alembic's ``autogenerate_plugins``.

https://alembic.sqlalchemy.org/en/latest/api/plugins.html
"""

import copy
from collections.abc import Callable
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult, sqla_compat
from sqlalchemy import (
    CheckConstraint,
    Computed,
    DefaultClause,
    False_,
    FetchedValue,
    Identity,
    MetaData,
    True_,
    text,
)
from sqlalchemy import Table as Model
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import SchemaType

from .. import catalog, compat, literals
from ..catalog import Compared, ReflectedCheck, ReflectedColumn, ReflectedIndex, pair
from ..literals import as_text, literal
from ..scratch import databases
from ..scratch.cache import COMPARED
from ..sqlite import naming
from ..sqlite.tokenizer import fold
from ..typing import AnyColumn, Options
from . import constraints, keys, render, summary, tables
from .tables import known


def compare_checks(
    context: AutogenContext, change: ops.ModifyTableOps, table: Compared, again: list[str]
) -> None:
    """Add what drops and creates CHECKs so that the table has those of the models.

    :param again: columns that go and come again
    """
    there, model, real = table.there, table.model, table.real.checks
    known = _by_name(context, model)
    chosen = set(known) - {None}
    gone, new = unmatched(real, table.shadow.checks, chosen, {fold(n) for n in again})
    taken = {check.name for check in real} - chosen
    _types_without_checks(change)
    added = {op.column.name for op in change.ops if isinstance(op, ops.AddColumnOp)}
    for check in gone:
        name = check.name or _conventional(check, model)
        old = _check(check.sql, name, there, change.schema)
        if context.run_object_filters(old, name, "check_constraint", True, None):
            # before the columns that it concerns change
            change.ops.insert(0, ops.DropConstraintOp.from_constraint(old))
    for check in new:
        own = _own(check, known.get(check.name, []), context)
        if own is not None and _comes_with_column(own, added):
            continue
        # as the models say it, so that other databases read it too
        sql = literal(own.sqltext, context) if own is not None else check.sql
        # the database made that name up for the shadow, and has given it to another one here
        name = None if check.name in taken else check.name
        made = _check(sql, name, model, change.schema)
        said = own if own is not None else made
        if context.run_object_filters(said, check.name, "check_constraint", False, None):
            change.ops.append(ops.AddConstraintOp.from_constraint(made))


def unmatched(
    real: tuple[ReflectedCheck, ...],
    shadow: tuple[ReflectedCheck, ...],
    chosen: set[str],
    again: set[str],
) -> tuple[list[ReflectedCheck], list[ReflectedCheck]]:
    """Return those that only the one has, and those that only the other has.

    :param chosen: the names that the models give; the database made up the others
    :param again: the columns that take their CHECKs along and do not bring them back
    """
    gone, new = list(real), list(shadow)

    def goes(check: ReflectedCheck) -> bool:
        return bool(again and again & set(map(fold, naming.columns_of_check(check.sql))))

    def same(a: ReflectedCheck, b: ReflectedCheck) -> bool:
        return (a.name, a.plain) == (b.name, b.plain)

    def unnamed(a: ReflectedCheck, b: ReflectedCheck) -> bool:
        return a.plain == b.plain and (not a.name or not b.name or b.name not in chosen)

    for alike in (same, unnamed):
        for check in list(new):
            match = next((old for old in gone if alike(old, check)), None)
            if match and not goes(match):
                gone.remove(match)
                new.remove(check)
    return gone, new


def _by_name(context: AutogenContext, model: Model) -> dict[Any, Any]:
    found: dict[Any, list[Any]] = {}
    for check in compat.checks(model):
        name = sqla_compat._get_constraint_final_name(check, context.dialect)
        found.setdefault(name and str(name), []).append(check)
    return found


def _own(check: ReflectedCheck, named: list[Any], context: AutogenContext) -> Any:
    """Return the model's CHECK: SQLite takes two under one name."""
    for one in named:
        if literal(one.sqltext, context).split() == check.sql.split():
            return one
    return named[-1] if named else None


def _comes_with_column(check: Any, added: set[str]) -> bool:
    """Whether op.add_column makes the CHECK of an Enum or a Boolean along with its column."""
    bound = bool(check._type_bound)
    return bound and any(column.name in added for column in check.columns)


def _types_without_checks(change: ops.ModifyTableOps) -> None:
    """A change of type would make the new CHECK and leave the old one: both are said on their own."""
    for op in change.ops:
        if isinstance(op, ops.AlterColumnOp):
            for which in ("modify_type", "existing_type"):
                kind = getattr(op, which)
                if isinstance(kind, SchemaType) and getattr(kind, "create_constraint", False):
                    bare: Any = kind.copy()  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing of it
                    bare.create_constraint = False
                    setattr(op, which, bare)


def _conventional(check: ReflectedCheck, model: Model) -> str | None:
    """Return the name that the convention gives to a CHECK without one."""
    convention = model.metadata.naming_convention
    try:
        return naming.name("ck", convention, model.name, text=as_text(check.sql))
    except naming.Unnameable:
        return None


def _check(sql: str, name: str | None, table: Model, schema: str | None) -> CheckConstraint:
    made = CheckConstraint(as_text(sql), name=conv(name) if name else None)
    made._set_parent_with_dispatch(Model(table.name, MetaData(), schema=schema))
    return made


CONTINUE = PriorityDispatchResult.CONTINUE
STOP = PriorityDispatchResult.STOP


def _of_column(compare: Callable[..., PriorityDispatchResult]) -> Callable[..., Any]:
    """Have a column compared by what the database says of its two sides."""

    def comparator(
        context: AutogenContext,
        op: ops.AlterColumnOp,
        schema: str | None,
        table: str,
        name: str,
        there: AnyColumn,
        model: AnyColumn,
    ) -> PriorityDispatchResult:
        tables.boolean(there)
        found = pair(context, model.table, table, schema)
        real, shadow = found.real.columns.get(name), found.shadow.columns.get(name)
        return compare(context, op, there, model, real, shadow) if real and shadow else CONTINUE

    return comparator


def _are_types_compared(context: AutogenContext) -> bool:
    return context.migration_context.opts.get("compare_type", True) is not False


@_of_column
def same_type(
    context: AutogenContext,
    op: ops.AlterColumnOp,
    there: AnyColumn,
    model: AnyColumn,
    real: ReflectedColumn,
    shadow: ReflectedColumn,
) -> PriorityDispatchResult:
    """Stop before Alembic guesses, when the database writes both types in the same way."""
    if not _are_types_compared(context):
        return CONTINUE
    tables.json_columns(there.table, pair(context, model.table).real)
    if real.stored != shadow.stored:
        return CONTINUE
    # what SQLite has of an Enum or a UUID is a text, which MySQL would make of the column
    more = context.dialect.name == "sqlite" and render.is_more(model.type, there.type)
    op.existing_type = model.type if more else there.type
    return STOP


@_of_column
def other_type(
    context: AutogenContext,
    op: ops.AlterColumnOp,
    there: AnyColumn,
    model: AnyColumn,
    real: ReflectedColumn,
    shadow: ReflectedColumn,
) -> PriorityDispatchResult:
    """Add what Alembic does not see: a collation, and on a server any other difference."""
    if not _are_types_compared(context):
        return CONTINUE
    collated = real.collation != shadow.collation
    # SQLite keeps a type as it was typed, so that INT and INTEGER differ there alone
    if collated or (context.dialect.name != "sqlite" and real.type != shadow.type):
        op.modify_type = model.type
    known: Any = there.type  # a string, a domain: whatever has a collation
    if collated and hasattr(known, "collation") and real.collation != known.collation:
        op.existing_type = known = copy.copy(known)
        known.collation = real.collation
    return CONTINUE


@_of_column
def server_default(
    context: AutogenContext,
    op: ops.AlterColumnOp,
    there: AnyColumn,
    model: AnyColumn,
    real: ReflectedColumn,
    shadow: ReflectedColumn,
) -> PriorityDispatchResult:
    """Say whether the default is another one; generated columns have comparators of their own."""
    wanted = model.server_default
    if model.table._autoincrement_column is model:
        op.kw["autoincrement"] = True
    elif isinstance(model.autoincrement, bool):  # it may be "auto" or "ignore_fk"
        op.kw["autoincrement"] = model.autoincrement
    if real.counts or shadow.counts or isinstance(wanted, Identity):
        # where an Identity is none, and where .numbering changes one into something else
        same = real.counts == shadow.counts == "identity"
        # Alembic looks past NULL where either side is an Identity
        nullable = bool(model.nullable) and shadow.counts != "identity"
        if not same and there.nullable != nullable:
            op.modify_nullable = nullable
        return CONTINUE if same else STOP
    if real.generated or shadow.generated:
        if isinstance(there.server_default, Computed):
            op.existing_server_default = there.server_default
        return STOP
    op.existing_server_default = False
    if isinstance(there.server_default, DefaultClause):
        said = there.server_default.arg
        if not isinstance(said, True_ | False_):
            said = text(as_text(literal(said, context)))
        op.existing_server_default = DefaultClause(said)
    counted = model.table._autoincrement_column is model and wanted is None
    unknown = isinstance(wanted, FetchedValue) and not isinstance(wanted, DefaultClause)
    if real.default != shadow.default and not counted and not unknown:
        op.modify_server_default = wanted
        if op.existing_server_default is False:
            op.existing_server_default = None
    return STOP


def around(
    change: ops.ModifyTableOps, column: AnyColumn, update: str, becomes_ordinary: bool
) -> tuple[list[MigrateOperation], list[MigrateOperation]]:
    """Return what goes before the change of a table, and what goes after it.

    :param column: the ordinary one; NOT NULL has to wait until it has its values
    :param becomes_ordinary: by the upgrade; otherwise it was and is again after a downgrade
    """
    fill: list[MigrateOperation] = [constraints.execute(update)]
    ways = (fill, []) if becomes_ordinary else ([], fill)
    found: list[MigrateOperation] = [constraints.Steps(*ways, ("change", change.table_name, ""))]
    if not column.nullable:
        default = column.server_default
        alter = ops.AlterColumnOp(
            change.table_name,
            column.name,
            schema=change.schema,
            existing_type=column.type,
            existing_nullable=becomes_ordinary,
            existing_comment=column.comment,  # MySQL would lose both
            existing_server_default=default if isinstance(default, DefaultClause) else False,
            modify_nullable=not becomes_ordinary,
        )
        nullable = ops.ModifyTableOps(change.table_name, [alter], schema=change.schema)
        found.insert(1 if becomes_ordinary else 0, nullable)
    return ([], found) if becomes_ordinary else (found, [])


# Generated columns: the expression of one cannot be changed everywhere, so it goes and comes again.
#
# Its values follow from the others; where it becomes an ordinary column they are kept. PostgreSQL before
# 17 has no other way.


Around = tuple[list[MigrateOperation], list[MigrateOperation]]


def generated_otherwise(
    context: AutogenContext, change: ops.ModifyTableOps, table: Compared
) -> list[str]:
    """Return the columns that go and come again, since they are generated in another way.

    PostgreSQL gives a column no other type while another one is computed from it; what is written on
    SQLite is to run there too.
    """
    there, model, real = table.there.c, table.model.c, table.real.columns
    own = context.dialect.name in ("postgresql", "sqlite")
    mysql = context.dialect.name in ("mysql", "mariadb")
    retyped = {op.column_name for op in _retyped(change) if own}
    other = [
        name
        for name, shadow in table.shadow.columns.items()
        if name in real and name in there
        if real[name].generated != shadow.generated
        or retyped & _sources(there[name])
        or (mysql and real[name].generated and real[name].type != shadow.type)  # no MODIFY of one
    ]
    asked = context.run_object_filters
    return [name for name in other if asked(model[name], name, "column", False, there[name])]


def compare_generated(
    context: AutogenContext, change: ops.ModifyTableOps, table: Compared, again: list[str]
) -> Around:
    """Add what drops the columns that are generated in another way, and adds them again.

    :param again: these columns
    :returns: what goes before the change of the table, and what goes after it
    """
    before: list[MigrateOperation] = []
    after: list[MigrateOperation] = []
    for name in again:
        real, shadow = table.real.columns[name], table.shadow.columns[name]
        alters = [
            op for op in change.ops if isinstance(op, ops.AlterColumnOp) and op.column_name == name
        ]
        change.ops[:] = [op for op in change.ops if op not in alters]
        _without_indexes(change, table, name)
        old, new = table.there.c[name], table.model.c[name]
        if not (real.generated and shadow.generated):
            computed, ordinary = (old, new) if real.generated else (new, old)
            more = around(change, ordinary, _update(context, computed), bool(real.generated))
            before, after = more[0] + before, after + more[1]
            old, new = (_nullable(c) if c is ordinary else c for c in (old, new))
        home = change.schema, table.model.name
        drop = ops.DropColumnOp.from_column_and_tablename(*home, old)
        add = ops.AddColumnOp.from_column_and_tablename(*home, new)
        place = sum(isinstance(op, ops.DropIndexOp | ops.DropConstraintOp) for op in change.ops)
        change.ops[place:place] = [drop, add]
        for op in _retyped(change)[-1:]:
            tables.move(change, add, op, 1)
    return before, after


def _retyped(change: ops.ModifyTableOps) -> list[ops.AlterColumnOp]:
    alters = [op for op in change.ops if isinstance(op, ops.AlterColumnOp)]
    return [op for op in alters if op.modify_type is not None]


def _sources(column: AnyColumn) -> set[str]:
    """Return the columns that a generated one is computed from; of another none."""
    computed = column.server_default
    return (
        set(naming.columns_of_check(str(computed.sqltext)))
        if isinstance(computed, Computed)
        else set()
    )


def _update(context: AutogenContext, column: AnyColumn) -> str:
    quote = literals.dialect(context.dialect).identifier_preparer
    computed = column.server_default
    assert isinstance(computed, Computed)
    table = quote.format_table(column.table)
    return f"UPDATE {table} SET {quote.quote(column.name)} = {literal(computed.sqltext, context)}"


def _nullable(column: AnyColumn) -> AnyColumn:
    copied = column._copy()
    copied.nullable = True
    if isinstance(copied.server_default, Identity):  # which is NOT NULL, and comes after the values
        copied.server_default = copied.identity = None
    Model(column.table.name, column.table.metadata.__class__(), copied, schema=column.table.schema)
    return copied


def _without_indexes(change: ops.ModifyTableOps, table: Compared, column: str) -> None:
    """An index on the column would go with it, on some databases in silence."""
    real = table.real.indexes
    for index in table.model.indexes:
        name = str(index.name)
        if name not in real or column not in [*index.columns.keys(), *constraints.named(index)]:
            continue
        if _index_of(change, ops.DropIndexOp, name):
            continue
        old = known(real[name], table.there)
        if old is not None:
            change.ops.insert(0, ops.DropIndexOp.from_index(old))
            change.ops.append(ops.CreateIndexOp.from_index(index))


def compare_indexes(context: AutogenContext, change: ops.ModifyTableOps, table: Compared) -> None:
    """Correct what Alembic made of the indexes: by what the database says of them."""
    there, models = table.there, {str(index.name): index for index in table.model.indexes}
    real, shadow = table.real.indexes, table.shadow.indexes
    for name in sorted(real.keys() | shadow.keys()):
        if name in real and name in shadow and real[name].plain == shadow[name].plain:
            _forget(change, name)
        elif context.dialect.name in ("mysql", "mariadb") and not (
            name in real and name in shadow and name in models
        ):
            continue  # Alembic knows which indexes MySQL made for itself
        elif name in real and name in shadow:
            _drop(context, change, real[name], there)
            _create(context, change, name, models)
        elif name in shadow:
            _create(context, change, name, models)
        elif _ours(context, name, there):
            _drop(context, change, real[name], there)


def _drop_indexes_first(change: ops.ModifyTableOps) -> None:
    """What is indexed may get a type that has no index: MySQL's TEXT, PostgreSQL's JSON."""
    first = next(iter(_retyped(change)), None)
    drops = [op for op in change.ops if isinstance(op, ops.DropIndexOp | ops.DropConstraintOp)]
    for drop in drops:
        if first is not None and constraints.index_columns(drop) is not None:
            tables.move(change, drop, first, 0)


def _index_of(change: ops.ModifyTableOps, kind: type, name: str) -> list[MigrateOperation]:
    return [op for op in change.ops if isinstance(op, kind) and summary.name_of(op) == name]


def _forget(change: ops.ModifyTableOps, name: str) -> None:
    for kind in (ops.DropIndexOp, ops.CreateIndexOp):
        for op in _index_of(change, kind, name):
            change.ops.remove(op)


def _create(
    context: AutogenContext, change: ops.ModifyTableOps, name: str, models: Options
) -> None:
    index = models.get(name)
    if index is None or _index_of(change, ops.CreateIndexOp, name):
        return
    if context.run_object_filters(index, name, "index", False, None):
        change.ops.append(ops.CreateIndexOp.from_index(index))


def _drop(
    context: AutogenContext, change: ops.ModifyTableOps, index: ReflectedIndex, there: Model
) -> None:
    if _index_of(change, ops.DropIndexOp, index.name):
        return
    old = known(index, there)
    if old is not None and context.run_object_filters(old, index.name, "index", True, None):
        change.ops.insert(0, ops.DropIndexOp.from_index(old))


def _ours(context: AutogenContext, name: str, there: Model) -> bool:
    parents: Any = {"table_name": there.name, "schema_name": there.schema}
    return bool(context.run_name_filters(name, "index", parents))


NAME = "flask_keel.compare"
# what is compared unless the application says otherwise
OPTIONS = {
    "compare_type": True,
    "compare_server_default": True,
    "autogenerate_plugins": ["alembic.autogenerate.*", NAME],
}


def options(metadata: MetaData, given: Options) -> Options:
    """Return the options by which models are compared.

    :param given: the application's, most of which are about other things
    """
    kept = OPTIONS | {key: given[key] for key in COMPARED if key in given}
    return kept | databases.comparison(metadata, kept)


def table(
    context: AutogenContext,
    change: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    there: Model,
    model: Model,
) -> PriorityDispatchResult:
    """Compare a table that both have: its CHECKs, indexes and generated columns."""
    if there is None and model is not None:
        tables.complete_indexes(context, change, model)
    if there is not None and model is None:
        tables.complete(context, change, there)
    if there is None or model is None:
        return CONTINUE
    sides = pair(context, model, name, schema)
    found = Compared(there, model, sides.real, sides.shadow)
    catalog.remember(context, found)
    tables.booleans(there)
    tables.json_columns(there, found.real)
    again = generated_otherwise(context, change, found)
    compare_checks(context, change, found, again)
    compare_indexes(context, change, found)
    _drop_indexes_first(change)
    if context.dialect.name == "sqlite":
        constraints.compare_unnamed(context, change, there, model)
    constraints.lift(change, there, model, set(again))
    if context.dialect.name == "sqlite":
        constraints.name_dropped(context, change, there, model)
    if context.dialect.name in ("mysql", "mariadb"):
        constraints.follow(change, there, model)
        constraints.compare_needed_indexes(change, there, model)
    # found again by `values`, which may put operations beside this one
    setattr(change, "around", compare_generated(context, change, found, again))  # noqa: B010
    return CONTINUE


def new_tables(
    context: AutogenContext, upgrade: ops.UpgradeOps, *_: object
) -> PriorityDispatchResult:
    """Stop before a table is written that this database cannot have."""
    for op in upgrade.ops:
        if isinstance(op, ops.CreateTableOp):
            catalog.require_makeable(context, op.to_table())
    return CONTINUE


def values(context: AutogenContext, upgrade: ops.UpgradeOps, *_: object) -> PriorityDispatchResult:
    """Put what keeps the values of generated columns around the changes of their tables."""
    for op in summary.table_changes(upgrade):
        before, after = getattr(op, "around", ([], []))
        place = upgrade.ops.index(op)
        late = _read_later(op) if after else []
        if late:
            op.ops[:] = [part for part in op.ops if part not in late]
            after = [*after, ops.ModifyTableOps(op.table_name, late, schema=op.schema)]
        upgrade.ops[place : place + 1] = [*before, op, *after]
    return CONTINUE


def _read_later(change: ops.ModifyTableOps) -> list[MigrateOperation]:
    """What drops the columns from which one that becomes ordinary gets its values."""
    drops = [op for op in change.ops if isinstance(op, ops.DropColumnOp)]
    columns = [op._reverse.column for op in drops if op._reverse is not None]
    read = {name for column in columns for name in _sources(column)}
    keys = {column.name for column in columns if column.primary_key}
    return [op for op in drops if op.column_name in read - keys and not tables.is_computed(op)]


def arrange(context: AutogenContext, upgrade: ops.UpgradeOps, *_: object) -> PriorityDispatchResult:
    """Put all operations in order."""
    tables.leave_inherited(context, upgrade)
    tables.arrange(upgrade)
    for change in summary.table_changes(upgrade):
        tables.compute_last(change)
    return CONTINUE


def names(context: AutogenContext, upgrade: ops.UpgradeOps, *_: object) -> PriorityDispatchResult:
    """Name what the models leave without a name, after everything else."""
    constraints.name_new(context, upgrade)
    return CONTINUE


def _register() -> None:
    plugin = Plugin(NAME)
    first, last = DispatchPriority.FIRST, DispatchPriority.LAST
    plugin.add_autogenerate_comparator(same_type, "column", "types", priority=first)
    plugin.add_autogenerate_comparator(other_type, "column", "collation", priority=last)
    plugin.add_autogenerate_comparator(server_default, "column", "server_default", priority=first)
    plugin.add_autogenerate_comparator(table, "table", "flask_keel", priority=last)
    plugin.add_autogenerate_comparator(values, "autogenerate", "values", priority=last)
    plugin.add_autogenerate_comparator(new_tables, "autogenerate", "new", priority=last)
    plugin.add_autogenerate_comparator(
        keys.autoincrement, "autogenerate", "flask_keel", qualifier="sqlite", priority=last
    )
    plugin.add_autogenerate_comparator(arrange, "autogenerate", "order", priority=last)
    plugin.add_autogenerate_comparator(
        keys.compare_primary_keys, "autogenerate", "keys", priority=last
    )
    plugin.add_autogenerate_comparator(
        keys.compare, "autogenerate", "sequences", qualifier="postgresql", priority=last
    )
    plugin.add_autogenerate_comparator(names, "autogenerate", "names", priority=last)


_register()
