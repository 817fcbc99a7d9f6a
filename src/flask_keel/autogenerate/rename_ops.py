"""The operations that rename, and the names of constraints that follow a renamed table or column."""

from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import Operations, ops
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext
from alembic.util.sqla_compat import _get_constraint_final_name
from sqlalchemy import Computed, DefaultClause, ForeignKeyConstraint, Identity, Table, inspect
from sqlalchemy.sql.naming import conv
from sqlalchemy.types import Enum, NullType, TypeDecorator

from .. import catalog
from ..lexer import dotted
from ..typing import AnyColumn, DiffTuple, Options, Value
from . import constraints, summary
from .constraints import index_columns
from .render import DIALECTS
from .summary import changed, changes_of, name_of, table_changes


class RenameTable(ops.RenameTableOp):
    """``op.rename_table``, which Alembic does not reverse."""

    def reverse(self) -> "RenameTable":
        return RenameTable(self.new_table_name, self.table_name, schema=self.schema)

    def to_diff_tuple(self) -> DiffTuple:
        return "rename_table", self.schema, self.table_name, self.new_table_name


class RenameColumn(ops.AlterColumnOp):
    """``op.alter_column(..., new_column_name=...)``; Alembic's own reverse loses the name."""

    def reverse(self) -> "RenameColumn":
        known = ("type", "nullable", "server_default", "comment")
        facts = {f"existing_{key}": getattr(self, f"existing_{key}") for key in known}
        return RenameColumn(
            self.table_name,
            str(self.modify_name),
            schema=self.schema,
            modify_name=self.column_name,
            **facts,
            **self.kw,
        )

    def to_diff_tuple(self) -> DiffTuple:
        return "rename_column", self.schema, self.table_name, self.column_name, self.modify_name


class RenameGenerated(ops.MigrateOperation):
    """A generated column, of which MySQL's ``CHANGE`` would make a plain one.

    RENAME COLUMN is the same on all three databases: SQLite 3.25, MySQL 8.0, MariaDB 10.5.
    """

    def __init__(self, table: tuple[str, ...], old: str, new: str) -> None:
        self.table, self.old, self.new = table, old, new
        self.place = (table[0] if len(table) > 1 else None, table[-1])
        self.names = (*table, old, new)
        self.sql = f"ALTER TABLE {'.'.join(['{}'] * len(table))} RENAME COLUMN {{}} TO {{}}"
        summary.say_instead(self, ("rename column", f"{'.'.join(table)}.{old}", new))

    def reverse(self) -> "RenameGenerated":
        return RenameGenerated(self.table, self.new, self.old)


@Operations.implementation_for(RenameGenerated)
def _rename_generated(operations: Operations, op: RenameGenerated) -> None:
    quote = operations.get_context().dialect.identifier_preparer.quote
    operations.execute(op.sql.format(*map(quote, op.names)))


@renderers.dispatch_for(RenameGenerated)
def _render_generated(context: AutogenContext, op: RenameGenerated) -> str | list[str]:
    if all(map(_is_plain, op.names)):
        return f"op.execute({op.sql.format(*op.names)!r})"
    quote = "op.get_context().dialect.identifier_preparer.quote"
    return [f"names = map({quote}, {op.names!r})", f"op.execute({op.sql!r}.format(*names))"]


@dataclass(eq=False)
class RenamePrimaryKey(ops.MigrateOperation):
    """On PostgreSQL a primary key keeps its name when its table gets another one.

    A new table of the old name could then not be made. The other databases do not mind.
    """

    table: Table
    old: str
    new: str
    said = ()

    def reverse(self) -> "RenamePrimaryKey":
        return RenamePrimaryKey(self.table, self.new, self.old)

    def to_diff_tuple(self) -> DiffTuple:
        return "rename_primary_key", self.table.schema, self.table.name, self.old, self.new


@renderers.dispatch_for(RenamePrimaryKey)
def render(context: AutogenContext, op: RenamePrimaryKey) -> list[str]:
    quote = DIALECTS["postgresql"].identifier_preparer
    sql = (
        f"ALTER TABLE {quote.format_table(op.table)} "
        f"RENAME CONSTRAINT {quote.quote(op.old)} TO {quote.quote(op.new)}"
    )
    return ["if op.get_context().dialect.name == 'postgresql':", f"op.execute({sql!r})", ""]


def column(
    context: MigrationContext, before: AnyColumn, after: AnyColumn, table: Table
) -> RenameColumn | RenameGenerated:
    """Rename a column, and say all that MySQL wants to be told again.

    There it is ``CHANGE``, which forgets AUTO_INCREMENT, default and comment when they are not
    repeated (https://dev.mysql.com/doc/refman/8.0/en/alter-table.html), so a file that is written
    on another database says them as well.

    :param before: the column as it is
    :param after: the column in the models
    :param table: its table, by the name that it has by then
    """
    if before.computed is not None:
        place = (table.schema, table.name) if table.schema else (table.name,)
        return RenameGenerated(place, before.name, after.name)
    comments = context.dialect.supports_comments
    facts: Options = {
        "existing_type": _type(context, before, after),
        "existing_nullable": before.nullable,
        "existing_server_default": _server_default(before, after),
        "existing_comment": before.comment if comments else after.comment,
    }
    if after is after.table._autoincrement_column:
        facts["existing_autoincrement"] = True
    return RenameColumn(
        table.name, before.name, schema=table.schema, modify_name=after.name, **facts
    )


def _type(context: MigrationContext, before: AnyColumn, after: AnyColumn) -> Value:
    """The model's type where it is the database's as well: it is the same on every database."""
    if isinstance(before.type, NullType):
        return after.type
    own = after.type.impl_instance if isinstance(after.type, TypeDecorator) else None
    plain = own is None or isinstance(own, Enum)  # which is written as what it stores
    return after.type if plain and _same(context, before, after) else before.type


def _same(context: MigrationContext, before: AnyColumn, after: AnyColumn) -> bool:
    """Whether the database writes both types alike.

    CHANGE gives a column the type that is said, so there it is not Alembic that says so: to it an
    ENUM is the same as a text with a CHECK.
    """
    if context.dialect.name not in ("mysql", "mariadb"):
        return not context.impl.compare_type(before, after)
    table, autogen = before.table, AutogenContext(context, context.opts["target_metadata"])
    found = catalog.pair(autogen, after.table, table.name, table.schema)
    real, shadow = found.real.columns[before.name], found.shadow.columns[after.name]
    return real.stored == shadow.stored


def default(column: AnyColumn) -> str | None:
    """Return a server default in a form in which a model's and a reflected one can be compared."""
    found = getattr(column.server_default, "arg", column.server_default)
    if found is None:
        return None
    text = str(found).lower().split("::")[0].strip("'\"()")
    return "current_timestamp" if text == "now" else text


def _server_default(before: AnyColumn, after: AnyColumn) -> Value:
    if isinstance(before.server_default, Computed | Identity) or not before.server_default:
        return False
    if "nextval(" in str(getattr(before.server_default, "arg", "")):
        return False
    found = after.server_default if default(before) == default(after) else before.server_default
    return found if isinstance(found, DefaultClause) else False


def _is_plain(name: str) -> bool:
    """Whether no database wants quotes around the name."""
    return all(dialect.identifier_preparer.quote(name) == name for dialect in DIALECTS.values())


def in_order(both: tuple[ops.OpContainer, ...]) -> set[tuple[str, tuple[str, ...]]]:
    """Create an index before the one that it replaces is dropped; return the unique ones.

    MySQL does not drop an index that a foreign key needs while there is no other:
    https://dev.mysql.com/doc/refman/8.0/en/create-table-foreign-keys.html

    :returns: (table, columns) for each unique index or constraint that is replaced
    """
    replaced = set()
    for table in table_changes(*both):
        _constraints_of_mysql(table)
        gone = {op.column_name for op in table.ops if isinstance(op, ops.DropColumnOp)}
        for drop in list(table.ops):
            for create in list(table.ops):
                if not _replaces(create, drop):
                    continue
                summary.leave_unsaid(drop)
                summary.leave_unsaid(create)
                # but for its capitals it is one name, which there cannot be twice
                one = name_of(create).casefold() == name_of(drop).casefold()
                first, second = (drop, create) if one else (create, drop)
                if gone & set(index_columns(create) or ()):  # which goes with it, and comes again
                    for op, place in ((drop, 0), (create, len(table.ops))):
                        table.ops.remove(op)
                        table.ops.insert(place, op)
                elif table.ops.index(first) > table.ops.index(second):
                    table.ops.remove(first)
                    table.ops.insert(table.ops.index(second), first)
                unique = ops.CreateUniqueConstraintOp | ops.CreateIndexOp
                if isinstance(create, unique) and getattr(create, "unique", True):
                    names = tuple(str(getattr(c, "name", c)) for c in create.columns)
                    replaced.add((dotted(table.schema, table.table_name), names))
    return replaced


def _constraints_of_mysql(table: ops.ModifyTableOps) -> None:
    """MySQL shows a unique constraint as an index; the other databases have it as a constraint."""
    unique = ops.CreateUniqueConstraintOp
    indexes = (ops.CreateIndexOp, ops.DropIndexOp)
    for place, op in enumerate(table.ops):
        if not isinstance(op, indexes):
            continue
        index = op.to_index()
        names = [column.name for column in index.columns]
        made = unique(op.index_name, table.table_name, names, schema=table.schema)
        kind = unique if isinstance(op, ops.DropIndexOp) else ops.DropConstraintOp
        others = [other for other in table.ops if isinstance(other, kind)]
        if index.unique and any(names == index_columns(other) for other in others):
            create = isinstance(op, ops.CreateIndexOp)
            table.ops[place] = (
                made if create else ops.DropConstraintOp.from_constraint(made.to_constraint())
            )


def _replaces(create: Any, drop: MigrateOperation) -> bool:
    if isinstance(create, ops.CreateIndexOp) and isinstance(drop, ops.DropIndexOp):
        one, other = create.to_index(), drop.to_index()
        same = [str(e) for e in one.expressions] == [str(e) for e in other.expressions]
        return same and bool(one.unique) == bool(other.unique)
    if isinstance(create, ops.CreateUniqueConstraintOp) and isinstance(drop, ops.DropConstraintOp):
        return index_columns(drop) == index_columns(create)
    return False


def rename(
    context: MigrationContext,
    script: ops.MigrationScript,
    tables: set[str],
    columns: set[tuple[str, str]],
) -> None:
    """Rename the foreign keys that autogenerate does not compare by name, and put all into order.

    A name is changed by dropping the one and creating the other: that is the one way that runs on
    SQLite, PostgreSQL and MySQL, and under Alembic without this library.

    :param tables: the tables that were renamed, by their new names
    :param columns: (table, column) that were renamed, by their new names
    """
    both = summary.directions(script)
    replaced = in_order(both)
    for table in context.opts["target_metadata"].sorted_tables:
        for key in table.foreign_key_constraints:
            names = tuple(element.column.name for element in key.elements)
            around = (key.referred_table.fullname, names) in replaced
            if around or _concerned(table, key, tables, columns):
                _rename_key(context, both, table, key, around)
        # on PostgreSQL the comparison itself compares the names of keys
        if table.fullname in tables and context.dialect.name != "postgresql":
            _rename_primary(context, both, table)


def _concerned(
    table: Table, key: ForeignKeyConstraint, tables: set[str], columns: set[tuple[str, str]]
) -> bool:
    if table.fullname in tables or key.referred_table.fullname in tables:
        return True
    ends = {(table.fullname, column.name) for column in key.columns}
    ends |= {(key.referred_table.fullname, element.column.name) for element in key.elements}
    return bool(ends & columns)


def _rename_key(
    context: MigrationContext,
    both: tuple[ops.OpContainer, ops.OpContainer],
    table: Table,
    key: ForeignKeyConstraint,
    around: bool,
) -> None:
    """Drop a key and create it by its new name.

    Around everything else, when an index that it needs on MySQL comes or goes in between.

    :param around: the unique constraint that it refers to is replaced in between
    """
    name = _get_constraint_final_name(key, context.dialect)
    old = _reflected_name(context, table, key)
    if not name or not old or (name == old and not around):
        return
    around = constraints.leave(both, table, old) or around
    for container, going, coming in zip(both, (old, name), (name, old), strict=True):
        drop = ops.DropConstraintOp(
            conv(going), table.name, type_="foreignkey", schema=table.schema
        )
        create = ops.CreateForeignKeyOp.from_constraint(key)
        create.constraint_name = conv(coming)
        summary.leave_unsaid(drop)
        summary.leave_unsaid(create)
        if around:
            container.ops.insert(0, changed(table, drop))
            container.ops.append(changed(table, create))
            continue
        changes = changes_of(container, table).ops
        dropped = {
            _final(context, op.constraint_name)
            for op in changes
            if isinstance(op, ops.DropConstraintOp)
        }
        if going not in dropped:  # else it changes in other ways as well
            changes += [drop, create]


def _final(context: MigrationContext, name: Value) -> str | None:
    """A constraint's name as the database has it, which takes no longer ones."""
    return _get_constraint_final_name(ForeignKeyConstraint([], [], name=name), context.dialect)


def _rename_primary(
    context: MigrationContext, both: tuple[ops.OpContainer, ops.OpContainer], table: Table
) -> None:
    name = _get_constraint_final_name(table.primary_key, context.dialect)
    old = inspect(context.connection).get_pk_constraint(table.name, table.schema).get("name")
    if name and old and name != old:
        rename = RenamePrimaryKey(table, old, name)
        both[0].ops.append(rename)
        both[1].ops.insert(0, rename.reverse())


def _reflected_name(
    context: MigrationContext, table: Table, key: ForeignKeyConstraint
) -> str | None:
    look = inspect(context.connection)
    if not look.has_table(table.name, table.schema):
        return None
    here = [column.name for column in key.columns]
    there = [element.column.name for element in key.elements]
    for found in look.get_foreign_keys(table.name, table.schema):
        if (
            found["constrained_columns"] == here
            and found["referred_table"] == key.referred_table.name
            and found["referred_columns"] == there
        ):
            return found["name"]
    return None
