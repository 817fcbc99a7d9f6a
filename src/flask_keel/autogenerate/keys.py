"""Primary keys: which columns in which order, by which name, numbered by whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations, ops
from alembic.util import PriorityDispatchResult
from alembic.util.sqla_compat import _get_constraint_final_name
from sqlalchemy import (
    Column,
    DefaultClause,
    ForeignKeyConstraint,
    Identity,
    MetaData,
    PrimaryKeyConstraint,
    text,
)
from sqlalchemy import Table as Model
from sqlalchemy.dialects.postgresql import DOMAIN, CreateDomainType
from sqlalchemy.schema import CreateSequence, ExecutableDDLElement
from sqlalchemy.sql.elements import conv

from .. import catalog, compat, literals
from ..catalog import Compared, live
from ..catalog.postgresql_shadow import named_types, of_table
from ..lexer import string
from ..literals import as_text, literal
from ..typing import AnyColumn, DiffTuple, ServerDefault
from . import constraints, rename_ops, summary, type_changes
from . import render as autogenerate_render  # noqa: F401  (their renderers)
from .constraints import execute
from .rename_ops import RenamePrimaryKey
from .summary import changes_of

# How a database numbers new rows: AUTO_INCREMENT of MySQL, SERIAL and Identity of PostgreSQL.
#
# A SERIAL is no type but a default, a sequence and who owns it, so a column that is there becomes one in
# three statements: https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-SERIAL


@dataclass(frozen=True)
class Serial:
    """The sequence behind a SERIAL, as SQL, and its type."""

    sequence: str
    kind: str


ColumnOp = TypeVar("ColumnOp", ops.AddColumnOp, ops.DropColumnOp)
State = Serial | Identity | DefaultClause | None


class SetAutoIncrement(ops.AlterColumnOp):
    """``autoincrement=`` of ``op.alter_column``, which Alembic's own reverse leaves as it is."""

    def reverse(self) -> "SetAutoIncrement":
        kw = {**self.kw, "autoincrement": not self.kw["autoincrement"]}
        return SetAutoIncrement(
            self.table_name,
            self.column_name,
            schema=self.schema,
            existing_type=self.existing_type,
            existing_nullable=False,
            **kw,
        )


@dataclass(frozen=True)
class Numbering:
    """A column of PostgreSQL that is numbered in another way.

    :param table: its name and its column's as SQL has them
    """

    column: AnyColumn
    table: tuple[str, str]
    schema: str | None

    def change(self, was: State, now: State) -> constraints.Steps:
        """Return what takes the old way away and brings the new one."""
        said = ("change", self.column.table.name, self.column.name)
        return constraints.Steps([*self._steps(was, now)], [*self._steps(now, was)], said)

    def _steps(self, was: State, now: State) -> Iterator[MigrateOperation]:
        table, column = self.table
        if isinstance(was, Serial) and isinstance(now, Serial):
            yield execute(f"ALTER SEQUENCE {now.sequence} AS {now.kind}")
            return
        if was is not None:
            yield self._default(None, was)
        if isinstance(was, Serial):
            yield execute(f"DROP SEQUENCE {was.sequence}")
        last = f"(SELECT max({column}) FROM {table})"
        if isinstance(now, Serial):
            sequence = f"{now.sequence} AS {now.kind} OWNED BY {table}.{column}"
            yield execute(f"CREATE SEQUENCE {sequence}")
            yield self._default(_next(now), None)
            yield execute(f"SELECT setval({string(now.sequence)}, {last})")
        elif now is not None:
            yield self._default(now, None)
        if isinstance(now, Identity):
            counter = f"pg_get_serial_sequence({string(table)}, {string(self.column.name)})"
            yield execute(f"SELECT setval({counter}, {last})")

    def _default(self, new: ServerDefault, old: State) -> ops.AlterColumnOp:
        return ops.AlterColumnOp(
            self.column.table.name,
            self.column.name,
            schema=self.schema,
            existing_type=self.column.type,
            existing_nullable=self.column.nullable,
            existing_server_default=_next(old) if isinstance(old, Serial) else old or False,
            modify_server_default=new,
        )


Changes = list[MigrateOperation]


def compare_numbering(
    context: AutogenContext, change: ops.ModifyTableOps, table: Compared
) -> tuple[Changes, Changes]:
    """Return what makes PostgreSQL number the rows of a table as the models say.

    A column that comes or goes brings its own numbers along.

    :returns: what goes before the table's other changes, and what goes after them: another type may
        come in between
    """
    there, model = table.there, table.model
    before: Changes = []
    after: Changes = []
    for name, shadow in table.shadow.columns.items():
        real = table.real.columns.get(name)
        if real is None or real.counts == shadow.counts or name not in there.c:
            continue
        if not context.run_object_filters(model.c[name], name, "column", False, there.c[name]):
            continue
        quote = literals.dialect(context.dialect).identifier_preparer
        home = quote.format_table(model)
        own = real.sequence if real.counts and real.sequence else _free(quote, model, name)
        was, now = (
            _state(context, real, there.c[name], own),
            _state(context, shadow, model.c[name], own),
        )
        names, schema = (home, quote.quote(name)), there.schema
        if isinstance(was, Serial) and isinstance(now, Serial):
            after.append(Numbering(model.c[name], names, schema).change(was, now))
            continue
        for op in change.ops:
            if isinstance(op, ops.AlterColumnOp) and op.column_name == name:
                op.existing_server_default = False  # it is gone by then, both ways
        if was is not None:
            before.append(Numbering(there.c[name], names, schema).change(was, None))
        if now is not None:
            after.append(Numbering(model.c[name], names, schema).change(None, now))
            if was is not None:
                summary.leave_unsaid(before[-1])
    return before, after


def _state(
    context: AutogenContext, column: catalog.ReflectedColumn, known: AnyColumn, sequence: str
) -> State:
    if column.counts == "identity":
        assert isinstance(known.server_default, Identity)
        return known.server_default
    if column.counts:
        return Serial(sequence, column.counts.removeprefix("serial "))
    if column.default is None or column.generated:
        return None
    default = known.server_default
    said = literal(default.arg, context) if isinstance(default, DefaultClause) else column.default
    return DefaultClause(text(as_text(said)))


def _free(quote: Any, model: Model, column: str) -> str:
    """The name that PostgreSQL itself gives to the sequence of a SERIAL."""
    name = quote.quote(f"{model.name[:29]}_{column[:29]}_seq")
    return f"{quote.quote_schema(model.schema)}.{name}" if model.schema else name


def _next(serial: Serial) -> DefaultClause:
    return DefaultClause(text(as_text(f"nextval({string(serial.sequence)})")))


def compare(context: AutogenContext, upgrade: ops.UpgradeOps, *_: object) -> PriorityDispatchResult:
    """Create the sequences and the domains that are missing, before everything else."""
    dialect = literals.dialect(context.dialect)
    has: Any = context.dialect  # PostgreSQL's, where there is a domain
    prepare: Any = dialect.identifier_preparer
    found: dict[tuple[str, str], constraints.Steps] = {}

    def need(kind: str, name: str, there: bool, create: ExecutableDDLElement) -> None:
        if (kind, name) not in found and not there:
            sql = str(create.compile(dialect=dialect)).strip()
            drop = execute(f"DROP {kind.upper()} {name}")
            said = ("create", f"{kind} {name}", "")
            found[kind, name] = constraints.Steps([execute(sql)], [drop], said)

    for model in context.sorted_tables:
        for each in [*of_table(model), *model.metadata._sequences.values()]:
            there = has.has_sequence(live(context), each.name, schema=each.schema)
            need("sequence", prepare.format_sequence(each), there, CreateSequence(each))
        for kind in named_types(model, has):
            if not isinstance(kind, DOMAIN):
                continue
            there = has.has_type(live(context), kind.name, schema=kind.schema)
            need("domain", prepare.format_type(kind), there, CreateDomainType(kind))
    upgrade.ops[:0] = found.values()
    return PriorityDispatchResult.CONTINUE


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
def _render_numbered(context: AutogenContext, op: AddNumberedKey) -> str:
    column = f"{render._render_column(op.column, context)[:-1]}, primary_key=True)"
    inline = ["inline_primary_key=True"] if op.inline_primary_key else []
    return compat.call(context, op, "add_column", [], [column, *inline])


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
def _render_name(context: AutogenContext, op: NameNumberedKey) -> list[str]:
    return rename_ops.render(context, op) if op.now else []


@renderers.dispatch_for(ops.CreatePrimaryKeyOp, replace=True)
def _render_key(context: AutogenContext, op: ops.CreatePrimaryKeyOp) -> str:
    name = repr(render._render_gen_name(context, op.constraint_name))
    columns = repr([str(column) for column in op.columns])
    return compat.call(context, op, "create_primary_key", [name], [columns])


def compare_primary_keys(
    context: AutogenContext, upgrade: ops.UpgradeOps, *_: object
) -> PriorityDispatchResult:
    """Give every table the key of its model; what refers to the old one goes around it."""
    changed: dict[str, list[tuple[str, ...]]] = {}
    tables = catalog.compared(context)
    for table in tables:
        touched: list[tuple[str, ...]] = []
        if table.real.key != table.shadow.key:
            touched += [table.real.key, table.shadow.key]
            _change(context, upgrade, table)
        elif context.dialect.name in MYSQL:
            _count(upgrade, table)
        touched += constraints.compare_uniques(context, changes_of(upgrade, table.there), table)
        if touched:
            changed[table.there.fullname] = touched
        if context.dialect.name == "postgresql":
            _name(context, upgrade, table)
            constraints.excludes(context, upgrade, table)
            before, after = compare_numbering(context, changes_of(upgrade, table.there), table)
            upgrade.ops[:] = [*before, *upgrade.ops, *after]
    retyped = type_changes.retyped(context.dialect, upgrade)
    if changed or retyped:
        own = context.dialect.name != "postgresql"
        type_changes.around(
            upgrade,
            tables,
            lambda key: _joined(changed, key, own) or bool(type_changes.columns(key) & retyped),
        )
    upgrade.ops[:] = [op for op in upgrade.ops if not isinstance(op, ops.ModifyTableOps) or op.ops]
    return PriorityDispatchResult.CONTINUE


def _change(context: AutogenContext, upgrade: ops.UpgradeOps, table: Compared) -> None:
    """Drop the old key before whatever else changes in its table, and make the new one after it."""
    change, real, shadow = changes_of(upgrade, table.there), table.real, table.shadow
    mysql = context.dialect.name in MYSQL
    name = _final_name(context, table.model) or f"{table.model.name}_pkey"
    first: list[MigrateOperation] = []
    last: list[MigrateOperation] = []
    dropped = _taken(change, ops.DropColumnOp, real) if len(real.key) == 1 else None
    added = _taken(change, ops.AddColumnOp, shadow)
    whole = added is not None and len(shadow.key) == 1
    # MySQL numbers the rows by a key alone, which then gets its other columns
    alone = added is not None and not whole and mysql
    if dropped is not None:
        first.append(_numbered(dropped.reverse(), True).reverse())
        _named(upgrade, change, table.there, real.key_name or name, False)
    elif real.key:
        first += _auto(table, real, False) if mysql else []
        old = _key(table.there, real.key, real.key_name or name)
        first.append(ops.DropConstraintOp.from_constraint(old))
        summary.leave_unsaid(first[-1])
    if added is not None:
        (first if whole or alone else last).append(_numbered(added, whole or alone))
    if added is not None and alone:
        column = added.column.name
        key = ops.DropConstraintOp.from_constraint(_key(table.model, (column,), name))
        summary.leave_unsaid(key)
        last += [_set_auto(table, column, False), key]
    if whole:
        _named(upgrade, change, table.model, name, True)
    elif shadow.key:
        last.append(ops.CreatePrimaryKeyOp.from_constraint(_key(table.model, shadow.key, name)))
        summary.say_instead(last[-1], ("change the key of", table.model.name, ""))
        last += _auto(table, shadow, True) if mysql else []
        if added is not None and alone:
            last.append(_set_auto(table, added.column.name, True))
    if mysql:
        _without_autoincrement(change)
    change.ops[:] = [*first, *change.ops, *last]


def _named(
    upgrade: ops.UpgradeOps, change: ops.ModifyTableOps, table: Model, name: str, comes: bool
) -> None:
    if name != f"{table.name}_pkey":
        place = upgrade.ops.index(change) + comes
        upgrade.ops.insert(place, NameNumberedKey(table, name, comes))


def _taken(
    change: ops.ModifyTableOps, kind: type[ColumnOp], table: catalog.ReflectedTable
) -> ColumnOp | None:
    """Take out the operation on the column of the key that the database numbers."""
    for op in change.ops:
        if isinstance(op, kind):
            name = op.column.name if isinstance(op, ops.AddColumnOp) else op.column_name
            if name in table.key and table.columns[name].counts:
                change.ops.remove(op)
                return op
    return None


def _numbered(op: ops.AddColumnOp, whole: bool) -> AddNumberedKey:
    return AddNumberedKey(op.table_name, op.column, schema=op.schema, inline_primary_key=whole)


def _final_name(context: AutogenContext, model: Model) -> str | None:
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


def _auto(table: Compared, said: catalog.ReflectedTable, on: bool) -> list[SetAutoIncrement]:
    return [
        _set_auto(table, name, on)
        for name, column in said.columns.items()
        if column.counts and name in said.key and name in table.there.c
    ]


def _set_auto(table: Compared, name: str, on: bool) -> SetAutoIncrement:
    sides = table.real.columns.get(name), table.shadow.columns.get(name)
    same = len({side.type for side in sides if side}) == 1  # or it is new
    known = table.model if name in table.model.c and (on or same) else table.there
    op = SetAutoIncrement(
        table.there.name,
        name,
        schema=table.there.schema,
        existing_type=known.c[name].type,
        existing_nullable=False,
        existing_comment=known.c[name].comment,
        autoincrement=on,
    )
    summary.leave_unsaid(op)
    return op


def _count(upgrade: ops.UpgradeOps, table: Compared) -> None:
    """AUTO_INCREMENT comes or goes on a key that stays, apart from a change of its type."""
    for name in table.real.key:
        now = table.shadow.columns[name].counts
        if name in table.there.c and table.real.columns[name].counts != now:
            op, change = _set_auto(table, name, bool(now)), changes_of(upgrade, table.there)
            summary.say_instead(op, ("change", table.model.name, name))
            _without_autoincrement(change)
            change.ops.insert(len(change.ops) if now else 0, op)


def _without_autoincrement(change: ops.ModifyTableOps) -> None:
    for op in change.ops:
        if isinstance(op, ops.AlterColumnOp):
            op.kw.pop("autoincrement", None)


def _name(context: AutogenContext, upgrade: ops.UpgradeOps, table: Compared) -> None:
    """On PostgreSQL a key has a name that other things can collide with."""
    old, new = table.real.key_name, _final_name(context, table.model)
    if old and new and old != new and table.real.key == table.shadow.key:
        rename = RenamePrimaryKey(table.model, old, new)
        summary.say_instead(rename, ("rename", old, new))
        upgrade.ops.append(rename)


def _joined(
    changed: dict[str, list[tuple[str, ...]]], key: ForeignKeyConstraint, own: bool
) -> bool:
    """Whether a foreign key needs a key that changes: to refer to it, or on MySQL as its index.

    :param changed: the columns of the keys, by their table
    :param own: whether the file is to run on MySQL
    """
    parent, columns = type_changes.target(key)
    if any(set(columns) <= set(side) for side in changed.get(parent, ())):
        return True
    names = tuple(column.name for column in key.columns)
    return own and any(names == side[: len(names)] for side in changed.get(key.table.fullname, ()))


# AUTOINCREMENT of SQLite.


@dataclass(eq=False)
class SetAutoincrementOp(MigrateOperation):
    """Written into files as an ordinary batch, which does nothing on other databases."""

    table_name: str
    on: bool
    schema: str | None

    def reverse(self) -> "SetAutoincrementOp":
        return type(self)(self.table_name, not self.on, self.schema)

    def to_diff_tuple(self) -> DiffTuple:
        return ("set_sqlite_autoincrement", self.schema, self.table_name, self.on)


@Operations.implementation_for(SetAutoincrementOp)
def _run_autoincrement(operations: Operations, op: SetAutoincrementOp) -> None:
    options = {"sqlite_autoincrement": op.on}
    with operations.batch_alter_table(op.table_name, schema=op.schema, table_kwargs=options):
        pass


@renderers.dispatch_for(SetAutoincrementOp)
def _render_autoincrement(context: AutogenContext, op: SetAutoincrementOp) -> list[str]:
    schema = f", schema={op.schema!r}" if op.schema else ""
    options = f'table_kwargs={{"sqlite_autoincrement": {op.on}}}'
    return [f'with op.batch_alter_table("{op.table_name}"{schema}, {options}):', "pass", ""]


def autoincrement(
    context: AutogenContext, upgrade: ops.UpgradeOps, *_: object
) -> PriorityDispatchResult:
    """Compare AUTOINCREMENT, after everything else."""
    new = {(op.schema, op.table_name) for op in upgrade.ops if isinstance(op, ops.CreateTableOp)}
    for model in context.sorted_tables:
        if (model.schema, model.name) in new:
            continue
        if not context.run_object_filters(model, model.name, "table", False, None):
            continue
        found = catalog.pair(context, model)
        if found.real.autoincrement != found.shadow.autoincrement:
            on = found.shadow.autoincrement
            upgrade.ops.append(SetAutoincrementOp(model.name, on, model.schema))
    return PriorityDispatchResult.CONTINUE
