"""Unique constraints that say something else under their name, and PostgreSQL's EXCLUDE.

Alembic compares the columns of a unique constraint in no order, and neither DEFERRABLE nor EXCLUDE.
"""

from typing import Any

from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations, ops
from sqlalchemy import MetaData, UniqueConstraint
from sqlalchemy import Table as Model
from sqlalchemy.sql.elements import conv

from ...upgrade import readable
from .. import naming
from . import facts
from .twins import Compared
from .wording import as_text


@Operations.register_operation("set_exclude_constraint")
class SetExcludeOp(MigrateOperation):
    """An EXCLUDE comes, goes or becomes another; as PostgreSQL writes it, which has no other name for it.

    :param table: as SQL has its name
    """

    def __init__(self, table: str, name: str, old: str | None, new: str | None) -> None:
        self.table, self.name, self.old, self.new = table, name, old, new
        verb = "constrain" if new else "drop constraint"
        naming.say_instead(self, (verb, table, name))

    @classmethod
    def set_exclude_constraint(cls, operations: Any, *arguments: Any) -> Any:
        """Run the statements."""
        return operations.invoke(cls(*arguments))

    def reverse(self) -> "SetExcludeOp":
        return type(self)(self.table, self.name, self.new, self.old)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("set_exclude_constraint", self.table, self.name, self.new)

    def statements(self) -> list[str]:
        """The SQL, as op.execute takes it."""
        found = [f"ALTER TABLE {self.table} DROP CONSTRAINT {self.name}"] if self.old else []
        if self.new:
            found.append(f"ALTER TABLE {self.table} ADD CONSTRAINT {self.name} {self.new}")
        return [as_text(sql) for sql in found]


@Operations.implementation_for(SetExcludeOp)
def _run(operations: Any, op: SetExcludeOp) -> None:
    for sql in op.statements():
        operations.execute(sql)


@renderers.dispatch_for(SetExcludeOp)
def _render(context: Any, op: SetExcludeOp) -> list[str]:
    return [f"op.execute({sql!r})" for sql in op.statements()]


def compare(context: Any, change: ops.ModifyTableOps, table: Compared) -> list[tuple[str, ...]]:
    """Drop and make the unique constraints that keep their name and say something else.

    :returns: their columns, before and after, which foreign keys may need
    """
    real, twin = table.found.real.uniques, table.found.twin.uniques
    models = {str(one.name): one for one in table.model.constraints if _is_unique(one)}
    reflected = {str(one.name): one for one in table.there.constraints if _is_unique(one)}
    touched: list[tuple[str, ...]] = []
    for name in sorted(real.keys() & twin.keys() & models.keys() & reflected.keys()):
        if real[name].plain == twin[name].plain or _is_changed(change, name):
            continue
        new = models[name]
        if not context.run_object_filters(new, name, "unique_constraint", False, reflected[name]):
            continue
        old = _as_it_is(reflected[name], real[name])
        drop = ops.DropConstraintOp.from_constraint(old)
        naming.leave_unsaid(drop)
        change.ops += [drop, ops.CreateUniqueConstraintOp.from_constraint(new)]
        touched += [real[name].columns, twin[name].columns]
    return touched


def excludes(context: Any, upgrade: ops.UpgradeOps, table: Compared) -> None:
    """Compare PostgreSQL's EXCLUDE constraints."""
    real, twin = table.found.real.excludes, table.found.twin.excludes
    preparer = readable.dialect(context.dialect).identifier_preparer
    for name in sorted(real.keys() | twin.keys()):
        old, new = real.get(name), twin.get(name)
        if old != new:
            home = preparer.format_table(table.model)
            upgrade.ops.append(SetExcludeOp(home, preparer.quote(name), old, new))


def _is_unique(constraint: Any) -> bool:
    return isinstance(constraint, UniqueConstraint) and constraint.name is not None


def _is_changed(change: ops.ModifyTableOps, name: str) -> bool:
    return any(
        name in (getattr(op, "constraint_name", None), getattr(op, "index_name", None))
        for op in change.ops
    )


def _as_it_is(reflected: UniqueConstraint, said: facts.Unique) -> UniqueConstraint:
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
