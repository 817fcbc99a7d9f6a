"""Keys that come back on the way down with columns whose values are gone: one value in every row may not
fit under them."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.exc import SQLAlchemyError

from ..catalog import live
from ..literals import literal
from ..rows.checks import columns_of, savepoint
from ..typing import AnyColumn

Place = tuple[str | None, str]
# what a server makes anew for each row; SQLite adds a column with one value
OF_EACH_ROW = re.compile(r"\b(nextval|gen_random_uuid|uuid\w*|randomblob|sys_guid)\s*\(", re.I)
NUMBER = re.compile(r"'?-?\d+(\.\d+)?'?")
NO_VALUE_TWICE = "the values of {columns} are gone, and {key} takes no value twice"
NOT_IN_PARENT = (
    "the values of {columns} are gone, and what stands in for them need not be in {parent}"
)


@dataclass(frozen=True)
class Key:
    """A unique key that comes back.

    :param texts: its expressions, which are no plain columns
    :param strict: whether a NULL does not let a row stand beside the others
    """

    name: str
    columns: list[str]
    texts: list[str]
    where: str
    strict: bool


def reasons(
    container: ops.OpContainer, own: set[str], values: dict[str, str], context: MigrationContext
) -> Iterator[tuple[set[str], str]]:
    """Yield the columns, as table.column, that a key holds back, and why there is no way back.

    :param own: the columns, likewise, that get another value in each row
    :param values: those that get one and the same, as SQL
    """
    changes: dict[Place, list[MigrateOperation]] = {}
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps):
            changes.setdefault((op.schema, op.table_name), []).extend(op.ops)
    for place, inside in changes.items():
        table = _Table(place, inside, own, values, context)
        if table.alike:
            yield from table.reasons()


class _Table:
    """What comes back to one table.

    ``alike`` are the columns that hold the same in every row then: each with that as SQL.
    """

    def __init__(
        self,
        place: Place,
        changes: list[MigrateOperation],
        own: set[str],
        values: dict[str, str],
        context: MigrationContext,
    ) -> None:
        self.place, self.changes, self.context = place, changes, context
        self.label = ".".join(part for part in place if part)
        gone = {op.column_name for op in changes if isinstance(op, ops.DropColumnOp)}
        # what goes as well is computed in another way, from what is there
        added = [op for op in changes if isinstance(op, ops.AddColumnOp)]
        back = {op.column.name: op.column for op in added if op.column.name not in gone}
        counted = {op.column.name for op in added if op.inline_primary_key}
        self.differ = {name for name in back if f"{self.label}.{name}" in own} | counted
        self.alike: dict[str, str] = {}
        self.computed: set[str] = set()
        for name, column in back.items():
            if name not in self.differ and column.computed is None:
                said = values.get(f"{self.label}.{name}") or self._default(column)
                if self._counts(said) if said else not column.nullable:
                    self.differ.add(name)
                else:
                    self.alike[name] = said or "NULL"
        for name, column in back.items():
            if column.computed is not None and self._named(str(column.computed.sqltext)):
                self.computed.add(name)
        self.columns = back

    def reasons(self) -> Iterator[tuple[set[str], str]]:
        for op in self.changes:
            key = _key(op)
            if key is not None and (held := self._held(key)):
                yield self._said(held, NO_VALUE_TWICE, key=key.name)
            elif isinstance(op, ops.CreateForeignKeyOp):
                held = set(op.local_cols) & self.alike.keys()
                if held and all(self.alike.get(name) != "NULL" for name in op.local_cols):
                    yield self._said(held, NOT_IN_PARENT, parent=op.referent_table)

    def _said(self, held: set[str], sentence: str, **words: str) -> tuple[set[str], str]:
        names = [f"{self.label}.{name}" for name in sorted(held)]
        return set(names), sentence.format(columns=", ".join(names), **words)

    def _held(self, key: Key) -> set[str]:
        """The columns without which the rows under a key cannot be told apart; empty where they can."""
        wanted = self._named(key.where)
        held = set(key.columns) & (self.alike.keys() | self.computed)
        held |= wanted | {name for text in key.texts for name in self._named(text)}
        nulls = any(self.alike.get(name) == "NULL" for name in key.columns) and not key.strict
        if nulls or set(key.columns) & self.differ or (wanted and self._is_outside(key.where)):
            return set()
        kept = set(key.columns) - held
        return set() if any(unique <= kept for unique in self._uniques()) else held

    def _named(self, text: str) -> set[str]:
        return set(columns_of(text, {name: name for name in self.alike}))

    def _counts(self, default: str) -> bool:
        return self.context.dialect.name != "sqlite" and bool(OF_EACH_ROW.search(default))

    def _default(self, column: AnyColumn) -> str | None:
        default = getattr(column.server_default, "arg", None)
        return None if default is None else literal(default, self.context)

    def _is_outside(self, where: str) -> bool:
        """Whether no row stands in a partial index, whatever its other columns hold."""
        names = self._named(where)
        dialect = self.context.dialect
        quote = dialect.identifier_preparer.quote_identifier
        parts = []
        for name in names:
            value, kind = self.alike[name], self.columns[name].type.compile(dialect)
            # a cast of SQLite's makes 1970 of a day
            plain = dialect.name == "sqlite" and not NUMBER.fullmatch(value)
            parts.append(f"{value if plain else f'CAST({value} AS {kind})'} AS {quote(name)}")
        rows = f"(SELECT {', '.join(parts)}) AS {quote(self.place[1])}"
        sql = f"SELECT count(*) FROM {rows} WHERE {where}".replace("%", "%%")
        connection = live(self.context)
        with suppress(SQLAlchemyError), savepoint(connection):
            return connection.exec_driver_sql(sql).scalar() == 0
        return False  # it speaks of other columns too

    def _uniques(self) -> Iterator[set[str]]:
        """The columns of each key that the table has before the way down."""
        model: Table | None = self.context.opts["target_metadata"].tables.get(self.label)
        for key in model.constraints if model is not None else ():
            if isinstance(key, PrimaryKeyConstraint | UniqueConstraint) and key.columns:
                yield {column.name for column in key.columns}
        for index in model.indexes if model is not None else ():
            whole = not any(name.endswith("_where") for name in index.dialect_kwargs)
            parts: list[Any] = list(index.expressions)
            if index.unique and whole and all(isinstance(part, Column) for part in parts):
                yield {part.name for part in parts}


def _key(op: MigrateOperation) -> Key | None:
    match op:
        case ops.CreateIndexOp() if op.unique:
            parts: list[Any] = list(op.to_index().expressions)
            where = next(
                (v for k, v in op.kw.items() if k.endswith("_where") and v is not None), ""
            )
            names = [str(part.name) for part in parts if isinstance(part, Column)]
            texts = [str(part) for part in parts if not isinstance(part, Column)]
            return Key(str(op.index_name), names, texts, str(where), _is_strict(op.kw))
        case ops.CreateUniqueConstraintOp():
            name = str(op.constraint_name or "its unique key")
            return Key(name, [*map(str, op.columns)], [], "", _is_strict(op.kw))
        case ops.CreatePrimaryKeyOp():
            return Key("the primary key", [*map(str, op.columns)], [], "", True)
    return None


def _is_strict(options: Any) -> bool:
    return bool(options.get("postgresql_nulls_not_distinct"))
