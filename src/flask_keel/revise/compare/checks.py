"""CHECK constraints: named, unnamed, and those that follow the values of an Enum or a Boolean."""

from collections.abc import Iterable
from typing import Any

from alembic.operations import ops
from alembic.util import sqla_compat
from sqlalchemy import CheckConstraint, MetaData
from sqlalchemy import Table as Model
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import SchemaType

from .facts import Check
from .twins import Pair
from .wording import as_text, literal


def compare(
    context: Any, change: ops.ModifyTableOps, found: Pair, there: Any, model: Model
) -> None:
    """Add what drops and creates CHECKs so that the table has those of the models."""
    gone, new = unmatched(found.real.checks, found.twin.checks, _chosen(context, model))
    _types_without_checks(change)
    added = {op.column.name for op in change.ops if isinstance(op, ops.AddColumnOp)}
    known = _by_name(context, model)
    for check in gone:
        name = check.name or _conventional(check, model)
        old = CheckConstraint(as_text(check.sql), name=conv(name) if name else None)
        old._set_parent_with_dispatch(_bare(there, change.schema))
        if context.run_object_filters(old, name, "check_constraint", True, None):
            # before the columns that it concerns change
            change.ops.insert(0, ops.DropConstraintOp.from_constraint(old))
    for check in new:
        own = _own(check, known.get(check.name, []), context)
        if own is not None and _comes_with_column(own, added):
            continue
        # as the models say it, so that other databases read it too
        sql = literal(own.sqltext, context) if own is not None else check.sql
        made = CheckConstraint(as_text(sql), name=conv(check.name) if check.name else None)
        made._set_parent_with_dispatch(_bare(model, change.schema))
        said = own if own is not None else made
        if context.run_object_filters(said, check.name, "check_constraint", False, None):
            change.ops.append(ops.AddConstraintOp.from_constraint(made))


def of_columns(columns: Iterable[Any]) -> list[CheckConstraint]:
    """Return the CHECKs that stand within columns, less those of their types."""
    return [
        check
        for column in columns
        for check in sorted(column.constraints, key=lambda check: check._creation_order)
        if isinstance(check, CheckConstraint) and not check._type_bound
    ]


def unmatched(
    real: tuple[Check, ...], twin: tuple[Check, ...], chosen: set[str]
) -> tuple[list[Check], list[Check]]:
    """Return those that only the one has, and those that only the other has.

    :param chosen: the names that the models give; the database made up the others
    """
    gone, new = list(real), list(twin)
    for alike in (
        lambda a, b: (a.name, a.plain) == (b.name, b.plain),
        lambda a, b: a.plain == b.plain and (not a.name or not b.name or b.name not in chosen),
    ):
        for check in list(new):
            match = next((old for old in gone if alike(old, check)), None)
            if match:
                gone.remove(match)
                new.remove(check)
    return gone, new


def _chosen(context: Any, model: Model) -> set[str]:
    return set(_by_name(context, model)) - {None}


def _by_name(context: Any, model: Model) -> dict[Any, Any]:
    found: dict[Any, list[Any]] = {}
    for check in sqla_compat.all_table_check_constraints(model):
        name = sqla_compat._get_constraint_final_name(check, context.dialect)
        found.setdefault(name and str(name), []).append(check)
    return found


def _own(check: Check, named: list[Any], context: Any) -> Any:
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
                    bare = kind.copy()
                    bare.create_constraint = False
                    setattr(op, which, bare)


def _conventional(check: Check, model: Model) -> str | None:
    """Return the name that the convention gives to a CHECK without one."""
    table = Model(model.name, MetaData(naming_convention=model.metadata.naming_convention))
    made = CheckConstraint(as_text(check.sql))
    try:
        table.append_constraint(made)
    except InvalidRequestError:
        return None
    return str(made.name) if isinstance(made.name, conv) else None


def _bare(table: Any, schema: str | None) -> Model:
    return Model(table.name, MetaData(), schema=schema)
