"""Which tables and columns went and came, as autogenerate's operations say it."""

from dataclasses import dataclass, field

from alembic.operations import ops
from sqlalchemy import Table

from . import candidates


@dataclass
class Pair:
    """A table as it is and as it is in the models, with the columns that only one of them has."""

    old: Table
    new: Table
    gone: list[str] = field(default_factory=list)
    come: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, old: Table, new: Table) -> "Pair":
        olds, news = candidates.named(old), candidates.named(new)
        return cls(
            old,
            new,
            [name for name in olds if name not in news],
            [name for name in news if name not in olds],
        )

    @property
    def prefixes(self) -> list[str]:
        """What may stand before a column in an answer: the table's old name, and its new one."""
        return list(dict.fromkeys([f"{self.old.fullname}.", f"{self.new.fullname}."]))


@dataclass
class Differences:
    """The tables that went, those that came, and those in which columns went and came."""

    gone: list[Table] = field(default_factory=list)
    come: list[Table] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether something may have been renamed at all."""
        columns = any(pair.gone and pair.come for pair in self.pairs)
        return columns or bool(self.gone and self.come)


def read(upgrade_ops: ops.UpgradeOps) -> Differences:
    """Read them from the operations, so that the application's own filters are respected."""
    found = Differences()
    for op in upgrade_ops.ops:
        match op:
            case ops.CreateTableOp():
                found.come.append(op.to_table())
            case ops.DropTableOp():
                found.gone.append(op.to_table())
            case ops.ModifyTableOps():
                added = [o.column for o in op.ops if isinstance(o, ops.AddColumnOp)]
                dropped = [
                    o._reverse.column
                    for o in op.ops
                    if isinstance(o, ops.DropColumnOp) and o._reverse is not None
                ]
                # a generated column that is generated in another way goes and comes under one name
                both = {column.name for column in added} & {column.name for column in dropped}
                added = [column for column in added if column.name not in both]
                dropped = [column for column in dropped if column.name not in both]
                if added and dropped:
                    names = [column.name for column in dropped], [column.name for column in added]
                    found.pairs.append(Pair(dropped[0].table, added[0].table, *names))
    return found
