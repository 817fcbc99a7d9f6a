"""Unique constraints that say something else under their name, and PostgreSQL's EXCLUDE.

Alembic compares the columns of a unique constraint in no order, and neither DEFERRABLE nor EXCLUDE.

Names of an adopted history: what is there keeps its name, whatever the models' convention says now.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Any, TypeGuard, cast

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations, ops
from alembic.util import CommandError
from sqlalchemy import (
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    Inspector,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
)
from sqlalchemy import Table as Model
from sqlalchemy.sql.elements import conv

from .. import catalog, literals
from ..catalog import Compared, live, pair
from ..literals import as_text
from ..project import Project
from ..sqlite import naming
from ..sqlite.create_table import CreateTable
from ..sqlite.introspection import Database, read_table
from ..sqlite.model import Constraint
from ..sqlite.naming import conventional_name
from ..sqlite.tokenizer import fold, plain
from ..typing import Convention, DiffTuple, Options, Value
from . import summary
from .summary import name_of

# The index that MySQL makes for a foreign key: it stays when the key goes, and a key needs one.
#
# https://dev.mysql.com/doc/refman/8.0/en/create-table-foreign-keys.html#foreign-key-indexes


def follow(change: ops.ModifyTableOps, there: Model, model: Model) -> None:
    """Drop the index of a foreign key with it, and put the keys around what their indexes do.

    Keys go first and come last, so that on the way down, too, an index may go that a key would need.
    """
    drops = [op for op in change.ops if isinstance(op, ops.DropConstraintOp) and drops_key(op)]
    makes = [op for op in change.ops if isinstance(op, ops.CreateForeignKeyOp)]
    rest = [op for op in change.ops if op not in drops and op not in makes]
    keys = [(op.constraint_name, op._reverse) for op in drops]
    names = {
        _made_for(name, key.local_cols, there)
        for name, key in keys
        if isinstance(key, ops.CreateForeignKeyOp)
    }
    for index in sorted(there.indexes, key=lambda index: str(index.name)):
        if index.name in names and not _stays(index, [*rest, *makes], model):
            drop = ops.DropIndexOp.from_index(index)
            summary.leave_unsaid(drop)
            rest.insert(0, drop)
    change.ops[:] = [*drops, *rest, *makes]


def _made_for(key: Any, columns: Iterable[str], there: Model) -> str:
    """The name of the index that the server made for a foreign key: the key's own, or that of its
    first column where the key was given none."""
    columns = list(columns)
    like = re.compile(rf"{re.escape(columns[0])}(_\d+)?", re.IGNORECASE)
    known = {str(index.name): index for index in there.indexes}
    if str(key) not in known:
        for name, index in sorted(known.items()):
            if _names(index.expressions) == columns and like.fullmatch(name) and not index.unique:
                return name
    return str(key)


def drops_key(op: MigrateOperation) -> bool:
    """Whether an operation takes a foreign key away."""
    return isinstance(op, ops.DropConstraintOp) and op.constraint_type == "foreignkey"


def _stays(index: Index, changes: list[MigrateOperation], model: Model) -> bool:
    """Whether the index is in the models, has a use, or is gone without a word."""
    names = [column.name for column in index.columns]
    gone = {op.column_name for op in changes if isinstance(op, ops.DropColumnOp)}
    keys = [[column.name for column in key.columns] for key in model.foreign_key_constraints]
    dropped = any(isinstance(op, ops.DropIndexOp) and op.index_name == index.name for op in changes)
    return (
        dropped
        or set(names) <= gone
        or index.name in {each.name for each in model.indexes}
        # a new index takes its place, a key that stays or comes uses it
        or any(not _drops(op) and _covers(index_columns(op) or [], names) for op in changes)
        or any(names[: len(key)] == key for key in keys)
    )


# Indexes that a foreign key of MySQL's needs: it goes before its index, and comes again after it.
#
# InnoDB makes an index for a foreign key without one, drops that by itself as soon as there is another, and
# then refuses to drop the other: https://mariadb.com/kb/en/foreign-keys/#indexes


class Steps(MigrateOperation):
    """One change that is made of ordinary operations, which are what a file says.

    :param now: in this direction
    :param back: on the way back; either may be empty
    """

    def __init__(
        self, now: list[MigrateOperation], back: list[MigrateOperation], *said: tuple[str, str, str]
    ) -> None:
        self.now, self.back, self.told = now, back, said
        summary.say_instead(self, *said)

    def reverse(self) -> "Steps":
        return Steps(self.back, self.now, *self.told)

    def to_diff_tuple(self) -> DiffTuple:
        return ("steps", *(op.to_diff_tuple() for op in self.now))


def execute(sql: str) -> ops.ExecuteSQLOp:
    """Return the operation that runs a statement, in which a colon is one."""
    return ops.ExecuteSQLOp(as_text(sql))


@Operations.implementation_for(Steps)
def _run(operations: Operations, op: Steps) -> None:
    for part in op.now:
        operations.invoke(part)


@renderers.dispatch_for(Steps)
def _render(context: AutogenContext, op: Steps) -> list[str]:
    return [line for part in op.now for line in render.render_op(context, part)]


def compare_needed_indexes(change: ops.ModifyTableOps, there: Model, model: Model) -> None:
    """Put the foreign keys of both around the indexes that they would not let go, or get back."""
    # what was reflected for the sake of another table's keys has its own keys twice
    keys = {str(key.name): key for key in there.foreign_key_constraints}
    kept = [key for _, key in sorted(keys.items()) if _kept(change, key, model)]
    for key in kept:
        _create_first(change, _names(key.columns))
    for op in [op for op in change.ops if index_columns(op) is not None]:
        for key in kept:
            if _needs(change, op, key, there):
                _around(change, op, key, _drops(op))


def leave(containers: Iterable[ops.OpContainer], table: Table, key: str) -> bool:
    """Take a foreign key away from around its indexes: it is dropped before, and made after them.

    :returns: whether it was around one
    """
    found = False
    for change in summary.table_changes(*containers):
        if summary.place_of(change) == (table.schema, table.name):
            kept = [op for op in change.ops if not _is_lift(op, key)]
            found = found or len(kept) < len(change.ops)
            change.ops[:] = kept
    return found


def _is_lift(op: MigrateOperation, key: str) -> bool:
    parts = [*op.now, *op.back] if isinstance(op, Steps) else ()
    return any(getattr(part, "constraint_name", None) == key for part in parts)


def _around(
    change: ops.ModifyTableOps, op: MigrateOperation, key: ForeignKeyConstraint, now: bool
) -> None:
    drop: Any = ops.DropConstraintOp.from_constraint(key)
    make: Any = ops.CreateForeignKeyOp.from_constraint(key)
    place = change.ops.index(op)
    around = [Steps([drop], []), op, Steps([make], [])]
    back = [Steps([], [make]), op, Steps([], [drop])]
    change.ops[place : place + 1] = around if now else back


def _create_first(change: ops.ModifyTableOps, columns: list[str]) -> None:
    """Create what can take the place of an index before that is dropped; one name cannot be twice."""
    useful = [op for op in change.ops if _covers(index_columns(op) or [], columns)]
    drops = [op for op in useful if _drops(op)]
    gone = {
        name_of(op).casefold() for op in change.ops if index_columns(op) is not None and _drops(op)
    }
    for op in useful if drops else ():
        place = change.ops.index(drops[0])
        if not _drops(op) and name_of(op).casefold() not in gone and change.ops.index(op) > place:
            change.ops.remove(op)
            change.ops.insert(place, op)


def _kept(change: ops.ModifyTableOps, key: ForeignKeyConstraint, model: Model) -> bool:
    dropped = {op.constraint_name for op in change.ops if isinstance(op, ops.DropConstraintOp)}
    return (
        bool(key.name)
        and key.name not in dropped
        and set(_names(key.columns)) <= set(_names(model.columns))
    )


def _needs(
    change: ops.ModifyTableOps, op: MigrateOperation, key: ForeignKeyConstraint, there: Model
) -> bool:
    """Whether there is no other index for the key then, but the one that InnoDB makes for it."""
    columns = _names(key.columns)
    if not _covers(index_columns(op) or [], columns):
        return False
    every = [each for each in change.ops if index_columns(each) is not None]
    gone = {name_of(each) for each in every if _drops(each)} | {name_of(op)}
    gone.add(_made_for(key.name, columns, there))
    left = [_names(index.expressions) for index in there.indexes if str(index.name) not in gone]
    left += [_names(there.primary_key.columns)]
    # what came before this one goes, and on the way down what went after one that comes
    place = every.index(op)
    others = every[:place] if _drops(op) else every[place + 1 :]
    left += [index_columns(each) or [] for each in others if _drops(each) != _drops(op)]
    return not any(_covers(index, columns) for index in left)


def _drops(op: MigrateOperation) -> bool:
    return isinstance(op, ops.DropIndexOp | ops.DropConstraintOp)


def index_columns(op: MigrateOperation) -> list[str] | None:
    """Return the columns of an index that comes or goes, a unique constraint's too; else None."""
    match op:
        case ops.CreateIndexOp() | ops.DropIndexOp():
            return _names(op.to_index().expressions)
        case ops.CreateUniqueConstraintOp():
            return _names(op.columns)
        case ops.DropConstraintOp() if isinstance(op._reverse, ops.CreateUniqueConstraintOp):
            return _names(op._reverse.columns)
    return None


def _names(parts: Iterable[object]) -> list[str]:
    return [str(getattr(part, "name", part)) for part in parts]


def _covers(index: list[str], columns: list[str]) -> bool:
    return index[: len(columns)] == columns


# SQLite's constraints without a name: found by what they say, and dropped by the name that they would have.
#
# A batch drops what has no name by the name that a naming convention gives it, be it the application's or
# one that the batch is told:
# https://alembic.sqlalchemy.org/en/latest/batch.html#dropping-unnamed-or-named-foreign-keys


CONSTRAINT_KINDS = ("unique", "check", "foreign key")
# a CHECK by the columns that it is about: nothing else of it can be told by a pattern
PATTERNS = {**naming.CONVENTION, "ck": "ck_%(table_name)s_%(column_0_N_name)s"}


def compare_unnamed(
    context: AutogenContext, change: ops.ModifyTableOps, there: Model, model: Model
) -> None:
    """Let a UNIQUE without a name be that of the model, or go.

    Its columns are in no order, as for Alembic, which would not make another one.
    """
    found = _without_name(read_table(Database(live(context), there.schema), there.name))
    gone = {fold(column.name) for column in there.c} - {fold(column.name) for column in model.c}
    wanted = {_columns_of_constraint(each) for each in _uniques(model)}
    for constraint in [c for c in found if c.kind == "unique"]:
        columns = frozenset(fold(name) for name in constraint.columns)
        if columns in wanted:
            change.ops[:] = [op for op in change.ops if not _makes(op, columns)]
        else:
            reflected = (
                each for each in _uniques(there) if _columns_of_constraint(each) == columns
            )
            old = next(reflected, None)
            if old and context.run_object_filters(old, None, "unique_constraint", True, None):
                drop = ops.DropConstraintOp.from_constraint(old)
                if gone & columns:  # which takes it along, and does not bring it back
                    summary.leave_unsaid(drop)
                change.ops.insert(0, drop)


def lift(change: ops.ModifyTableOps, there: Model, model: Model, columns: set[str]) -> None:
    """Drop what is unique or refers to another table before these columns go and come again.

    It would go with them, and would not come again.
    """
    for new in model.constraints:
        if not isinstance(new, UniqueConstraint | ForeignKeyConstraint):
            continue
        if not columns & {column.name for column in new.columns}:
            continue
        old = next((each for each in there.constraints if _key(each) == _key(new)), None)
        if old is not None and not (old.name and _is_changed(change, str(old.name))):
            change.ops.insert(0, ops.DropConstraintOp.from_constraint(old))
            change.ops.append(ops.AddConstraintOp.from_constraint(new))


def name_dropped(
    context: AutogenContext, change: ops.ModifyTableOps, there: Model, model: Model
) -> None:
    """Give a name to what goes and has none.

    :raises CommandError: when two constraints that have no name would have the same
    """
    if not any(_is_nameless(op) for op in change.ops):
        return
    said = read_table(Database(live(context), there.schema), there.name)
    found = _without_name(said)
    own = dict(cast(Convention, model.metadata.naming_convention or {}))
    for op in change.ops:
        if _is_nameless(op):
            _conventional(op, said, found, {**PATTERNS, **own}, own)


def _without_name(said: CreateTable) -> list[Constraint]:
    return [c for c in said.all_constraints() if c.kind in CONSTRAINT_KINDS and c.name is None]


def _is_nameless(op: MigrateOperation) -> TypeGuard[ops.DropConstraintOp]:
    return isinstance(op, ops.DropConstraintOp) and op.constraint_name is None


def name_new(context: AutogenContext, upgrade: ops.UpgradeOps) -> None:
    """Give a name to what is added to a table that is there: its downgrade drops it by one."""
    known = {(model.schema, model.name): model for model in context.sorted_tables}
    for change in summary.table_changes(upgrade):
        if summary.place_of(change) in known:
            _name_added(context, change, known[summary.place_of(change)])


def _name_added(context: AutogenContext, change: ops.ModifyTableOps, model: Model) -> None:
    made: list[Any] = [op for op in change.ops if isinstance(op, ops.AddConstraintOp)]
    unnamed = [op for op in made if op.constraint_name is None]
    if not unnamed:
        return
    convention = cast(Convention, model.metadata.naming_convention or {})
    gone = {op.constraint_name for op in change.ops if isinstance(op, ops.DropConstraintOp)}
    # one of that name may be there from an earlier migration, for models that name nothing
    there = _names_there(context, change, model) - {fold(str(name)) for name in gone if name}
    taken = there | {fold(op.constraint_name) for op in made if op.constraint_name}
    for op in unnamed:
        names = list(_names_of(op, change.table_name, change.schema, convention))
        more = (f"{names[0]}_{number}" for number in count(2)) if names else iter(())
        free = (conv(name) for name in chain(names, more) if fold(name) not in taken)
        op.constraint_name = next(free, None)
        if op.constraint_name:
            taken.add(fold(op.constraint_name))


def _names_there(context: AutogenContext, change: ops.ModifyTableOps, model: Model) -> set[str]:
    found = pair(context, model).real
    keys = context.inspector.get_foreign_keys(change.table_name, schema=change.schema)
    names: list[str | None] = [check.name for check in found.checks]
    names += [*found.uniques, *found.indexes, *found.excludes, *(key["name"] for key in keys)]
    return {fold(name) for name in names if name}


def _names_of(
    op: ops.AddConstraintOp, table: str, schema: str | None, convention: Convention
) -> Iterator[str]:
    """The names that sqlite-safe would give to the constraint, the best first."""
    referred: tuple[str | None, str, Sequence[str]] | None = None
    owns: Iterable[str | None] = [None]
    match op:
        case ops.CreateUniqueConstraintOp():
            kind, columns = "uq", _names(op.columns)
        case ops.CreateForeignKeyOp():
            kind, columns = "fk", op.local_cols
            referred = op.kw.get("referent_schema"), op.referent_table, op.remote_cols
        case ops.CreateCheckConstraintOp():
            kind, said = "ck", op.to_constraint().sqltext.text
            columns = naming.columns_of_check(said)
            owns = naming.check_names(said, columns)
        case _:
            return
    for own in owns:
        try:
            given = {**naming.CONVENTION, **convention}
            yield naming.name(
                kind, given, table, columns, schema=schema, referred=referred, own=own
            )
        except naming.Unnameable:
            return


@renderers.dispatch_for(ops.ModifyTableOps, replace=True)
def _render_unnamed(context: AutogenContext, op: ops.ModifyTableOps) -> list[str]:
    lines = render._render_modify_table(context, op)
    told = assumed(op)
    if told and context.opts.get("render_as_batch"):
        lines[0] = lines[0].replace(") as", f", naming_convention={told!r}) as")
    return lines


def assumed(change: ops.ModifyTableOps) -> dict[str, str]:
    """Return the naming convention that a batch has to be told; empty for the application's own."""
    told = [op.assumed for op in change.ops if hasattr(op, "assumed")]
    if all(own for _, own in told):
        return {}
    return {kind: pattern for found, _ in told for kind, pattern in found.items()}


def _uniques(model: Model) -> Iterator[UniqueConstraint]:
    yield from (each for each in model.constraints if isinstance(each, UniqueConstraint))


def _columns_of_constraint(unique: UniqueConstraint) -> frozenset[str]:
    return frozenset(fold(column.name) for column in unique.columns)


def _makes(op: MigrateOperation, columns: frozenset[str]) -> bool:
    if not isinstance(op, ops.CreateUniqueConstraintOp):
        return False
    return frozenset(map(fold, _names(op.columns))) == columns


def _conventional(
    op: ops.DropConstraintOp,
    said: CreateTable,
    found: list[Constraint],
    convention: Options,
    own: Options,
) -> None:
    same = [constraint for constraint in found if _is(constraint, op._reverse)]
    if same and conventional_name(said, same[0], convention) is None:
        # the application's own names nothing that was given no name
        convention, own = PATTERNS, {}
    named = [conventional_name(said, constraint, convention) for constraint in found]
    name = conventional_name(said, same[0], convention) if same else None
    if name is None or named.count(name) > 1:
        raise CommandError(
            f"Table {said.name!r} has more than one constraint without a name that this could be "
            f"about, {same[0].text if same else op.constraint_type!r}: give it a name by hand first "
            "(make newmigration empty=1)."
        )
    kind = naming.KINDS[same[0].kind]
    op.constraint_name = conv(name)
    setattr(op._reverse, "constraint_name", conv(name))  # noqa: B010
    pattern = convention[kind]
    told = {kind: pattern} if isinstance(pattern, str) else {}
    setattr(op, "assumed", (told, kind in own))  # noqa: B010


def _is(constraint: Constraint, made: object) -> bool:
    columns = [fold(name) for name in constraint.columns]
    match made:
        case ops.CreateUniqueConstraintOp():
            here, kind = [fold(name) for name in made.columns], "unique"
        case ops.CreateForeignKeyOp():
            here, kind = [fold(name) for name in made.local_cols], "foreign key"
        case ops.CreateCheckConstraintOp():
            text = made.to_constraint().sqltext.text
            return constraint.kind == "check" and plain(constraint.expression) == plain(text)
        case _:
            return False
    return constraint.kind == kind and columns == here


def compare_uniques(
    context: AutogenContext, change: ops.ModifyTableOps, table: Compared
) -> list[tuple[str, ...]]:
    """Drop and make the unique constraints that keep their name and say something else.

    :returns: their columns, before and after, which foreign keys may need
    """
    real, shadow = table.real.uniques, table.shadow.uniques
    models = {str(one.name): one for one in _uniques(table.model) if one.name is not None}
    reflected = {str(one.name): one for one in _uniques(table.there) if one.name is not None}
    touched: list[tuple[str, ...]] = []
    for name in sorted(real.keys() & shadow.keys() & models.keys() & reflected.keys()):
        if real[name].plain == shadow[name].plain or _is_changed(change, name):
            continue
        new = models[name]
        if not context.run_object_filters(new, name, "unique_constraint", False, reflected[name]):
            continue
        old = _as_it_is(reflected[name], real[name])
        drop = ops.DropConstraintOp.from_constraint(old)
        summary.leave_unsaid(drop)
        change.ops += [drop, ops.CreateUniqueConstraintOp.from_constraint(new)]
        touched += [real[name].columns, shadow[name].columns]
    return touched


def excludes(context: AutogenContext, upgrade: ops.UpgradeOps, table: Compared) -> None:
    """Compare PostgreSQL's EXCLUDE constraints: as it writes them, since it has no other name for one."""
    real, shadow = table.real.excludes, table.shadow.excludes
    preparer = literals.dialect(context.dialect).identifier_preparer
    home = preparer.format_table(table.model)

    change = summary.changes_of(upgrade, table.there)
    gone = {op.column_name for op in change.ops if isinstance(op, ops.DropColumnOp)}
    comes_again = gone & set(table.model.c.keys())

    for name in sorted(real.keys() | shadow.keys()):
        old, new, quoted = real.get(name), shadow.get(name), preparer.quote(name)
        again = old is not None and bool(comes_again & set(naming.columns_of_check(old)))
        if old == new and not again:
            continue
        drop = execute(f"ALTER TABLE {home} DROP CONSTRAINT {quoted}")
        if old:  # its columns may go, or get a type that it does not take
            back = execute(f"ALTER TABLE {home} ADD CONSTRAINT {quoted} {old}")
            said = [] if new else [("drop constraint", home, quoted)]
            upgrade.ops.insert(0, Steps([drop], [back], *said))
        if new:
            add = execute(f"ALTER TABLE {home} ADD CONSTRAINT {quoted} {new}")
            said = [] if old == new else [("constrain", home, quoted)]
            upgrade.ops.append(Steps([add], [drop], *said))


def named(index: Index) -> list[str]:
    """Return the columns that the expressions and the condition of an index name."""
    options: Options = dict(index.kwargs)
    texts = [part for part in index.expressions if not isinstance(part, Column)]
    texts += [each for key, each in options.items() if key.endswith("_where") and each is not None]
    return [name for text in texts for name in naming.columns_of_check(str(text))]


def _is_changed(change: ops.ModifyTableOps, name: str) -> bool:
    return any(name_of(op) == name for op in change.ops)


def _as_it_is(reflected: UniqueConstraint, said: catalog.ReflectedUnique) -> UniqueConstraint:
    made = Model(
        reflected.table.name,
        MetaData(),
        *(column._copy() for column in reflected.table.columns),
        schema=reflected.table.schema,
    )
    old = UniqueConstraint(
        *(made.c[name] for name in said.columns),
        name=conv(str(reflected.name)),
        deferrable=said.deferrable or None,
        initially="DEFERRED" if said.deferred else None,
        **{key: value for key, value in reflected.dialect_kwargs.items() if value},
    )
    made.append_constraint(old)
    return old


def keep_names(project: Project, connection: Connection) -> None:
    """Give the models' keys, unique constraints and indexes the names that the history made.

    Only those that a naming convention named, and only where the library was adopted: new tables and
    columns are named by the convention.

    :param connection: to a database that the history has made
    """
    if not project.adopted:
        return
    look = inspect(connection)
    for table in project.metadata.tables.values():
        if not look.has_table(table.name, schema=table.schema):
            continue
        there = dict(_there(look, table))
        items: list[Value] = [*table.constraints, *table.indexes]
        for item in items:
            name = there.get(_key(item))
            if name is not None and isinstance(item.name, conv):
                item.name = name


def _key(item: Value) -> Value:
    columns = tuple(column.name for column in item.columns)
    match item:
        case PrimaryKeyConstraint():
            return "primary key"
        case UniqueConstraint():
            return "unique", frozenset(columns)
        case ForeignKeyConstraint():
            return "foreign key", columns, item.referred_table.name
    return "index", columns, bool(getattr(item, "unique", False))


def _there(look: Inspector, table: Table) -> Iterator[tuple[Value, str | None]]:
    of = table.name, table.schema
    yield "primary key", look.get_pk_constraint(*of).get("name")
    for key in look.get_foreign_keys(*of):
        columns = tuple(key["constrained_columns"])
        yield ("foreign key", columns, key["referred_table"]), key.get("name")
    for unique in look.get_unique_constraints(*of):
        yield ("unique", frozenset(unique["column_names"])), unique.get("name")
    for index in look.get_indexes(*of):
        columns = tuple(str(name) for name in index["column_names"])
        yield ("index", columns, bool(index["unique"])), index.get("name")
