"""Primary keys: which columns in which order, by which name, numbered by whom."""

from typing import Any

from alembic.autogenerate import render, renderers
from alembic.operations import ops
from alembic.util import PriorityDispatchResult
from alembic.util.sqla_compat import _get_constraint_final_name
from sqlalchemy import Column, ForeignKeyConstraint, MetaData, PrimaryKeyConstraint
from sqlalchemy import Table as Model
from sqlalchemy.sql.elements import conv

from .. import naming, renaming, rendering  # noqa: F401  (their renderers)
from ..renaming import RenamePrimaryKey
from . import facts, numbering, references, twins, uniques
from .twins import Compared

MYSQL = ("mysql", "mariadb")


class AddNumberedKey(ops.AddColumnOp):
    """A new column of the key, of which the database numbers the rows that are there.

    https://www.postgresql.org/docs/current/sql-altertable.html, and the same on MySQL and SQLite.

    :param inline_primary_key: it is the whole key
    """

    def reverse(self) -> "DropNumberedKey":
        return DropNumberedKey(self.table_name, self.column.name, schema=self.schema, _reverse=self)


class DropNumberedKey(ops.DropColumnOp):
    """The key goes with its column: MySQL does not let go of it before."""

    def reverse(self) -> AddNumberedKey:
        assert isinstance(self._reverse, AddNumberedKey)
        return self._reverse


@renderers.dispatch_for(AddNumberedKey)
def _render_numbered(context: Any, op: AddNumberedKey) -> str:
    column = f"{render._render_column(op.column, context)[:-1]}, primary_key=True)"
    batch = context._has_batch
    table = [] if batch else [repr(str(op.table_name))]
    inline = ["inline_primary_key=True"] if op.inline_primary_key else []
    schema = [f"schema={op.schema!r}"] if op.schema and not batch else []
    prefix = render._alembic_autogenerate_prefix(context)
    return f"{prefix}add_column({', '.join([*table, column, *inline, *schema])})"


class NameNumberedKey(RenamePrimaryKey):
    """PostgreSQL gives a key that comes with its column a name of its own.

    :param now: in this direction the column comes, in the other it goes
    """

    def __init__(self, table: Model, name: str, now: bool) -> None:
        super().__init__(table, f"{table.name}_pkey", name)
        self.now = now

    def reverse(self) -> "NameNumberedKey":
        return NameNumberedKey(self.table, self.new, not self.now)


@renderers.dispatch_for(NameNumberedKey)
def _render_name(context: Any, op: NameNumberedKey) -> list[str]:
    return renaming.render(context, op) if op.now else []


@renderers.dispatch_for(ops.CreatePrimaryKeyOp, replace=True)
def _render_key(context: Any, op: ops.CreatePrimaryKeyOp) -> str:
    prefix, batch = render._alembic_autogenerate_prefix(context), context._has_batch
    arguments = [repr(render._render_gen_name(context, op.constraint_name))]
    arguments += [] if batch else [repr(str(op.table_name))]
    arguments.append(repr([str(name) for name in op.columns]))
    arguments += [f"schema={op.schema!r}"] if op.schema and not batch else []
    return f"{prefix}create_primary_key({', '.join(arguments)})"


def compare(context: Any, upgrade: ops.UpgradeOps, *_: Any) -> PriorityDispatchResult:
    """Give every table the key of its model; what refers to the old one goes around it."""
    changed: dict[str, list[tuple[str, ...]]] = {}
    tables = twins.compared(context)
    for table in tables:
        touched: list[tuple[str, ...]] = []
        if table.found.real.key != table.found.twin.key:
            touched += [table.found.real.key, table.found.twin.key]
            _change(context, upgrade, table)
        elif context.dialect.name in MYSQL:
            _count(upgrade, table)
        touched += uniques.compare(context, _of(upgrade, table.there), table)
        if touched:
            changed[table.there.fullname] = touched
        if context.dialect.name == "postgresql":
            _name(context, upgrade, table)
            uniques.excludes(context, upgrade, table)
            before, after = numbering.compare(context, table)
            upgrade.ops[:] = [*before, *upgrade.ops, *after]
    retyped = references.retyped(context.dialect, upgrade)
    if changed or retyped:
        own = context.dialect.name != "postgresql"
        pairs = [(table.there, table.model) for table in tables]
        references.around(
            upgrade,
            pairs,
            lambda key: _joined(changed, key, own) or bool(references.columns(key) & retyped),
        )
    upgrade.ops[:] = [op for op in upgrade.ops if not _is_empty(op)]
    return PriorityDispatchResult.CONTINUE


def _is_empty(op: Any) -> bool:
    return isinstance(op, ops.ModifyTableOps) and not op.ops


def _of(upgrade: ops.UpgradeOps, table: Model) -> ops.ModifyTableOps:
    for op in upgrade.ops:
        home = (table.schema, table.name)
        if isinstance(op, ops.ModifyTableOps) and (op.schema, op.table_name) == home:
            return op
    made = ops.ModifyTableOps(table.name, [], schema=table.schema)
    upgrade.ops.append(made)
    return made


def _change(context: Any, upgrade: ops.UpgradeOps, table: Compared) -> None:
    """Drop the old key before whatever else changes in its table, and make the new one after it."""
    change, real, twin = _of(upgrade, table.there), table.found.real, table.found.twin
    mysql = context.dialect.name in MYSQL
    name = _final_name(context, table.model) or f"{table.model.name}_pkey"
    first: list[Any] = []
    last: list[Any] = []
    dropped = _taken(change, ops.DropColumnOp, real) if len(real.key) == 1 else None
    added = _taken(change, ops.AddColumnOp, twin)
    whole = added is not None and len(twin.key) == 1
    if dropped is not None:
        first.append(_numbered(dropped.reverse(), True).reverse())
        _named(upgrade, change, table.there, real.key_name or name, False)
    elif real.key:
        first += _auto(table, real, False) if mysql else []
        old = _key(table.there, real.key, real.key_name or name)
        first.append(ops.DropConstraintOp.from_constraint(old))
        naming.leave_unsaid(first[-1])
    if added is not None:
        (first if whole else last).append(_numbered(added, whole))
    if whole:
        _named(upgrade, change, table.model, name, True)
    elif twin.key:
        last.append(ops.CreatePrimaryKeyOp.from_constraint(_key(table.model, twin.key, name)))
        naming.say_instead(last[-1], ("change the key of", table.model.name, ""))
        last += _auto(table, twin, True) if mysql else []
    if mysql:
        _without_autoincrement(change)
    change.ops[:] = [*first, *change.ops, *last]


def _named(
    upgrade: ops.UpgradeOps, change: ops.ModifyTableOps, table: Model, name: str, comes: bool
) -> None:
    if name != f"{table.name}_pkey":
        place = upgrade.ops.index(change) + comes
        upgrade.ops.insert(place, NameNumberedKey(table, name, comes))


def _taken(change: ops.ModifyTableOps, kind: type, table: facts.Table) -> Any:
    """Take out the operation on the column of the key that the database numbers."""
    for op in change.ops:
        if isinstance(op, kind):
            name = op.column.name if isinstance(op, ops.AddColumnOp) else op.column_name
            if name in table.key and table.columns[name].counts:
                change.ops.remove(op)
                return op
    return None


def _numbered(op: Any, whole: bool) -> AddNumberedKey:
    return AddNumberedKey(op.table_name, op.column, schema=op.schema, inline_primary_key=whole)


def _final_name(context: Any, model: Model) -> str | None:
    name = _get_constraint_final_name(model.primary_key, context.dialect)
    return str(name) if name else None


def _key(table: Model, columns: tuple[str, ...], name: str) -> PrimaryKeyConstraint:
    # a table of its own: Alembic's operations rename that of the constraint
    made = Model(
        table.name,
        MetaData(),
        *(Column(column, table.c[column].type) for column in columns),
        schema=table.schema,
    )
    key = PrimaryKeyConstraint(*(made.c[column] for column in columns), name=conv(name))
    made.append_constraint(key)
    return key


def _auto(table: Compared, said: facts.Table, on: bool) -> list[numbering.SetAutoIncrement]:
    return [
        _set_auto(table, name, on)
        for name, column in said.columns.items()
        if column.counts and name in said.key and name in table.there.c
    ]


def _set_auto(table: Compared, name: str, on: bool) -> numbering.SetAutoIncrement:
    sides = table.found.real.columns.get(name), table.found.twin.columns.get(name)
    same = all(sides) and len({side.type for side in sides if side}) == 1
    known = table.model if on or same else table.there
    op = numbering.SetAutoIncrement(
        table.there.name,
        name,
        schema=table.there.schema,
        existing_type=known.c[name].type,
        existing_nullable=False,
        existing_comment=known.c[name].comment,
        autoincrement=on,
    )
    naming.leave_unsaid(op)
    return op


def _count(upgrade: ops.UpgradeOps, table: Compared) -> None:
    """AUTO_INCREMENT comes or goes on a key that stays, apart from a change of its type."""
    for name in table.found.real.key:
        now = table.found.twin.columns[name].counts
        if name in table.there.c and table.found.real.columns[name].counts != now:
            op, change = _set_auto(table, name, bool(now)), _of(upgrade, table.there)
            naming.say_instead(op, ("change", table.model.name, name))
            _without_autoincrement(change)
            change.ops.insert(len(change.ops) if now else 0, op)


def _without_autoincrement(change: ops.ModifyTableOps) -> None:
    for op in change.ops:
        if isinstance(op, ops.AlterColumnOp):
            op.kw.pop("autoincrement", None)


def _name(context: Any, upgrade: ops.UpgradeOps, table: Compared) -> None:
    """On PostgreSQL a key has a name that other things can collide with."""
    old, new = table.found.real.key_name, _final_name(context, table.model)
    if old and new and old != new and table.found.real.key == table.found.twin.key:
        rename = RenamePrimaryKey(table.model, old, new)
        naming.say_instead(rename, ("rename", old, new))
        upgrade.ops.append(rename)


def _joined(
    changed: dict[str, list[tuple[str, ...]]], key: ForeignKeyConstraint, own: bool
) -> bool:
    """Whether a foreign key needs a key that changes: to refer to it, or on MySQL as its index.

    :param changed: the columns of the keys, by their table
    :param own: whether the file is to run on MySQL
    """
    parent, columns = references.target(key)
    if any(set(columns) <= set(side) for side in changed.get(parent, ())):
        return True
    names = tuple(column.name for column in key.columns)
    return own and any(names == side[: len(names)] for side in changed.get(key.table.fullname, ()))
