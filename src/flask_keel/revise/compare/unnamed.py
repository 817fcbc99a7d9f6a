"""SQLite's constraints without a name: found by what they say, and dropped by the name that they would have.

A batch drops what has no name by the name that a naming convention gives it, be it the application's or
one that the batch is told:
https://alembic.sqlalchemy.org/en/latest/batch.html#dropping-unnamed-or-named-foreign-keys
"""

from collections.abc import Iterator
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy import Table as Model
from sqlalchemy import UniqueConstraint
from sqlalchemy.sql.elements import conv

from ...sqlite.create_table import Constraint, CreateTable
from ...sqlite.database import Database
from ...sqlite.facts import read_table
from ...sqlite.naming import conventional_name
from ...sqlite.tokens import fold
from ..batches import names
from . import sqlite

KINDS = {"unique": "uq", "check": "ck", "foreign key": "fk"}
# a CHECK by the columns that it is about: nothing else of it can be told by a pattern
PATTERNS = {**names.CONVENTION, "ck": "ck_%(table_name)s_%(column_0_N_name)s"}


def compare(context: Any, change: ops.ModifyTableOps, there: Model, model: Model) -> None:
    """Let a UNIQUE without a name be that of the model, or go; give a name to what goes.

    :raises CommandError: when two constraints that have no name would have the same
    """
    said = read_table(Database(context.connection, there.schema), there.name)
    found = [c for c in said.all_constraints() if c.kind in KINDS and c.name is None]
    gone = {fold(column.name) for column in there.c} - {fold(column.name) for column in model.c}
    wanted = {_columns(each) for each in _uniques(model)}
    for constraint in [c for c in found if c.kind == "unique"]:
        columns = tuple(fold(name) for name in constraint.columns)
        if columns in wanted:
            change.ops[:] = [op for op in change.ops if not _makes(op, columns)]
        elif not gone & set(columns):  # what goes takes its constraints along
            old = _reflected(there, columns)
            if old and context.run_object_filters(old, None, "unique_constraint", True, None):
                change.ops.insert(0, ops.DropConstraintOp.from_constraint(old))
    own = model.metadata.naming_convention or {}
    for op in change.ops:
        if isinstance(op, ops.DropConstraintOp) and op.constraint_name is None:
            _name(op, said, found, {**PATTERNS, **own}, own)


@renderers.dispatch_for(ops.ModifyTableOps, replace=True)
def _render(context: Any, op: ops.ModifyTableOps) -> list[str]:
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


def _columns(unique: UniqueConstraint) -> tuple[str, ...]:
    return tuple(fold(column.name) for column in unique.columns)


def _makes(op: Any, columns: tuple[str, ...]) -> bool:
    made = isinstance(op, ops.CreateUniqueConstraintOp)
    return made and tuple(fold(name) for name in op.columns) == columns


def _reflected(there: Model, columns: tuple[str, ...]) -> UniqueConstraint | None:
    return next((each for each in _uniques(there) if _columns(each) == columns), None)


def _name(
    op: ops.DropConstraintOp,
    said: CreateTable,
    found: list[Constraint],
    convention: dict[str, Any],
    own: dict[str, Any],
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
    kind = KINDS[same[0].kind]
    op.constraint_name = op._reverse.constraint_name = conv(name)
    pattern = convention[kind]
    op.assumed = {kind: pattern} if isinstance(pattern, str) else {}, kind in own


def _is(constraint: Constraint, made: Any) -> bool:
    columns = [fold(name) for name in constraint.columns]
    match made:
        case ops.CreateUniqueConstraintOp():
            here, kind = [fold(name) for name in made.columns], "unique"
        case ops.CreateForeignKeyOp():
            here, kind = [fold(name) for name in made.local_cols], "foreign key"
        case ops.CreateCheckConstraintOp():
            text = made.to_constraint().sqltext.text
            same = sqlite.plain(constraint.expression) == sqlite.plain(text)
            return constraint.kind == "check" and same
        case _:
            return False
    return constraint.kind == kind and columns == here
