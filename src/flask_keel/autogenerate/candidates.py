"""What may have become what: columns and tables that went, and those that came."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from alembic.operations import ops
from sqlalchemy import Table, UniqueConstraint
from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect

from ..typing import AnyColumn, SQLType

Likeness = tuple[Any, ...]  # the more alike, the smaller
FAMILIES: dict[str, type[SQLType] | tuple[type[SQLType], ...]] = {
    "boolean": sa.Boolean,
    "integer": sa.Integer,
    "numeric": (sa.Numeric, sa.Float),
    "text": (sa.String, sa.Enum),
    "date and time": (sa.Date, sa.DateTime, sa.Time, sa.Interval),
    "binary": sa._Binary,
    "JSON": sa.JSON,
    "UUID": sa.Uuid,
}
# two tables are alike when more than this share of their columns is in both
ALIKE = 0.5


def families(type_: SQLType, dialect: Dialect) -> set[str]:
    """Return the type families of a column, as its database stores it.

    :param type_: a model's type, or a reflected one
    """
    stored = _stored(type_, dialect)
    while isinstance(stored, sa.TypeDecorator):
        stored = _stored(stored.impl_instance, dialect)
    if isinstance(stored, sa.Uuid) and not (stored.native_uuid and dialect.supports_native_uuid):
        return {"text"}
    found = {name for name, types in FAMILIES.items() if isinstance(stored, types)}
    # MySQL stores a Boolean as TINYINT, and MariaDB a JSON as LONGTEXT
    if isinstance(stored, mysql.TINYINT):
        found.add("boolean")
    if isinstance(stored, mysql.LONGTEXT):
        found.add("JSON")
    return found or {type(stored).__name__.lower()}


def _stored(type_: SQLType, dialect: Dialect) -> SQLType:
    """The type as a database has it; as it is where SQLAlchemy makes nothing of another database's."""
    try:
        return type_.dialect_impl(dialect)
    except Exception:  # a SET of MySQL's on PostgreSQL, say, and in older versions an ENUM
        return type_


def columns(
    old: Table, gone: Iterable[str], new: Table, come: Iterable[str], dialect: Dialect
) -> Iterator[tuple[Likeness, str, str]]:
    """Give (score, old name, new name) for each pair of columns of one family; a higher score is likelier.

    By type, nullability, default, keys, position and likeness of the names, in this order.

    :param old: the table as it is
    :param new: the table in the models
    """
    come = list(come)
    olds, news = named(old), named(new)
    for name in gone:
        before = olds[name]
        for other in come:
            after = news[other]
            if families(before.type, dialect) & families(after.type, dialect):
                yield _score(before, after, dialect), name, other


def tables(gone: Iterable[Table], come: Iterable[Table], dialect: Dialect) -> Iterator[Likeness]:
    """Give (score, old table, new table) for tables of one schema with like columns."""
    come = list(come)
    for old in gone:
        for new in come:
            share = _shared(old, new, dialect) if old.schema == new.schema else 0
            if share > ALIKE:
                yield (share, _alike(old.name, new.name)), old, new


def named(table: Table) -> dict[str, AnyColumn]:
    """Return the columns by the names that the database knows (the keys are the model's)."""
    return {column.name: column for column in table.c}


def _shared(old: Table, new: Table, dialect: Dialect) -> float:
    """The share of columns in both; one that has another name but its family counts for a half."""
    olds = {name: families(column.type, dialect) for name, column in named(old).items()}
    news = {name: families(column.type, dialect) for name, column in named(new).items()}
    same = [name for name in olds if name in news and olds[name] & news[name]]
    left = [kinds for name, kinds in news.items() if name not in same]
    renamed = 0
    for name, kinds in olds.items():
        found = next((other for other in left if other & kinds), None) if name not in same else None
        if found is not None:
            left.remove(found)
            renamed += 1
    return (2 * len(same) + renamed) / max(len(olds) + len(news), 1)


def _score(before: AnyColumn, after: AnyColumn, dialect: Dialect) -> Likeness:
    return (
        _type(before, dialect) == _type(after, dialect),
        before.nullable == after.nullable,
        default(before) == default(after),
        -len(_keys(before) ^ _keys(after)),
        -abs(_position(before) - _position(after)),
        _alike(before.name, after.name),
    )


def _type(column: AnyColumn, dialect: Dialect) -> str:
    try:
        return column.type.compile(dialect)
    except Exception:
        return repr(column.type)


def default(column: AnyColumn) -> str | None:
    """Return a server default in a form in which a model's and a reflected one can be compared."""
    found = getattr(column.server_default, "arg", column.server_default)
    if found is None:
        return None
    text = str(found).lower().split("::")[0].strip("'\"()")
    return "current_timestamp" if text == "now" else text


def _keys(column: AnyColumn) -> set[object]:
    keys: set[object] = {("references", key.target_fullname) for key in column.foreign_keys}
    keys |= {"primary"} if column.primary_key else set()
    for constraint in column.table.constraints:
        if isinstance(constraint, UniqueConstraint) and column.name in constraint.columns:
            keys.add(("unique", len(constraint.columns)))
    for index in column.table.indexes:
        if column.name in index.columns:
            keys.add(("unique" if index.unique else "index", len(index.columns)))
    return keys


def _position(column: AnyColumn) -> int:
    return list(named(column.table)).index(column.name)


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


@dataclass
class Pair:
    """A table as it is and as it is in the models, with the columns that only one of them has."""

    old: Table
    new: Table
    gone: list[str] = field(default_factory=list)
    come: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, old: Table, new: Table) -> "Pair":
        olds, news = named(old), named(new)
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
