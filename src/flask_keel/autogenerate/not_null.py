"""What the rows that are there get in a column that may not be NULL: add, fill, set NOT NULL.

Three operations of their own: one statement cannot do it on any of the databases, and a batch on
SQLite would copy the table before the rows have their values.
"""

import keyword
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Column, DefaultClause, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.exc import SQLAlchemyError

from ..catalog import live
from ..lexer import dotted, string
from ..literals import literal
from ..rows.plan import columns_of, savepoint
from ..typing import AnyColumn, SQLType, Value
from . import questioner, summary
from .fills import (
    ask,
    check,
    code,
    is_partial,
    literal_value,
    needed,
    plain_text,
    stand_in,
    suggestion,
)
from .questioner import Answers, Fill
from .rename_ops import RenameGenerated
from .renames import named
from .render import IMPORT, LibraryCall, Remark
from .summary import Place, place_of

# error 1674, whatever is written to a log: https://dev.mysql.com/doc/refman/9.7/en/data-type-defaults.html
OTHER_EACH_TIME = re.compile(
    r"\b(uuid|uuid_short|rand|random_bytes|sysdate|(current_|session_|system_)?user)\s*\(",
    re.IGNORECASE,
)
BATCHES = "keel_batches"  # the option of the context that has rows filled in batches


@dataclass(eq=False)
class FillColumn(ops.MigrateOperation):
    """Give a column its value in the rows that are there.

    :param only_nulls: leave the rows alone that have a value
    """

    table_name: str
    schema: str | None
    column: AnyColumn
    fill: Fill
    only_nulls: bool = False
    said = ()


@renderers.dispatch_for(FillColumn)
def _render(context: AutogenContext, op: FillColumn) -> str:
    """Write it with sa.table: each database quotes the names in its own way, with --sql too."""
    name, type_ = op.column.name, op.column.type
    column = f"sa.column({name!r})"
    if op.fill.expression:
        value = f"sa.literal_column({op.fill.text!r})"
    else:
        found = literal_value(name, type_, op.fill.text)
        value = code(found, context.imports)
        if not plain_text(type_):
            column = f"sa.column({name!r}, {render._repr_type(type_, context)})"
    simple = name.isidentifier() and not keyword.iskeyword(name) and name != "self"
    values = f"{name}={value}" if simple else f"{{{name!r}: {value}}}"
    schema = f", schema={op.schema!r}" if op.schema else ""
    if context.opts.get(BATCHES):
        context.imports.add(IMPORT)
        lines = [
            f"sa.table({op.table_name!r}, {column}{schema}),",
            f"where=sa.column({name!r}).is_(None),",
            f"set={{{name!r}: {value}}},",
        ]
        return "flask_keel.backfill(\n" + "\n".join(f"    {line}" for line in lines) + "\n)"
    lines = [
        f"sa.table({op.table_name!r}, {column}{schema})",
        ".update()",
        *([f".where(sa.column({name!r}).is_(None))"] if op.only_nulls else []),
        f".values({values})",
    ]
    return "op.execute(\n" + "\n".join(f"    {line}" for line in lines) + "\n)"


def no_nulls(container: ops.OpContainer, fills: dict[str, Fill]) -> Iterator[LibraryCall]:
    """Look first whether rows hold NULL in a column that may not hold it any more.

    Without a look the database would stop in the middle, which MySQL does not undo.

    :param fills: the columns that get a value anyway
    """
    tables: dict[Place, str] = {}
    columns: dict[tuple[Place, str], str] = {}
    asked: dict[Place, list[str]] = {}
    for op in container.ops:
        # the look comes before the renames: it uses the names from before them
        if isinstance(op, ops.RenameTableOp):
            tables[op.schema, op.new_table_name] = op.table_name
        elif isinstance(op, ops.AlterColumnOp) and op.modify_name:
            columns[place_of(op), op.modify_name] = op.column_name
        elif isinstance(op, RenameGenerated):
            columns[op.place, op.new] = op.old
        elif isinstance(op, ops.ModifyTableOps):
            for change in op.ops:
                if not isinstance(change, ops.AlterColumnOp):
                    continue
                if change.modify_nullable is False and _name(change) not in fills:
                    name = change.column_name
                    column = columns.get((place_of(op), name), name)
                    asked.setdefault(place_of(op), []).append(column)
    for (schema, table), names in asked.items():
        first = tables.get((schema, table), table)
        arguments = ", ".join(repr(str(part)) for part in [first, *names])
        last = f", schema={schema!r}" if schema else ""
        yield LibraryCall(f"require_no_nulls({arguments}{last})")


def checks_of(container: ops.OpContainer, op: ops.AddColumnOp) -> list[str]:
    """Return the CHECKs that are made on the table of a column that is added."""
    found = []
    for change in container.ops:
        if isinstance(change, ops.OpContainer):
            found += checks_of(change, op)
        elif isinstance(change, ops.CreateCheckConstraintOp) and place_of(change) == place_of(op):
            condition: object = change.condition
            found.append(str(getattr(condition, "text", condition)))
    return found


def step(answers: Answers, context: MigrationContext, script: ops.MigrationScript) -> None:
    """Give new NOT NULL columns their values."""
    fills = _decide(script, answers, context)
    up, down = summary.directions(script)
    _forwards(up, fills, context)
    _backwards(down, fills, context)


def _decide(
    script: ops.MigrationScript, answers: Answers, context: MigrationContext
) -> dict[str, Fill]:
    """Return the value of each column that gets one, from answers and questions.

    :raises CommandError: for an answer that is no value or about nothing, and for a missing one
    """
    dialect = context.dialect
    up, down = summary.directions(script)
    added = {_name(op): op.column for op in _of(up, ops.AddColumnOp)}
    turned = {_name(op): op for op in _of(up, ops.AlterColumnOp) if op.modify_nullable is False}
    lost = {_name(op): op.column for op in _of(down, ops.AddColumnOp)}
    fills = dict(answers.fills)
    known = [*added, *turned, *(name for name, column in lost.items() if needed(column, dialect))]
    for name, fill in fills.items():
        if name not in known:
            raise CommandError(
                f"fill={name} is about nothing that takes a value: those that do are "
                f"{', '.join(known) or 'nothing'}; mend the answer, or leave it out."
            )
        if name in turned:
            column = _model(context, turned[name])
            types = _types(turned[name], column)
        else:
            column = (added | lost)[name]
            types = [column.type]
        check(name, column, types, fill, dialect)
    missing = {name: c for name, c in added.items() if needed(c, dialect) and name not in fills}
    if missing and not questioner.at_a_terminal():
        likely = {name: suggestion(column, dialect) for name, column in missing.items()}
        raise CommandError(
            f"NOT NULL without a default: {', '.join(missing)}; the rows that are there need a "
            f"value, so no file was written: type {answers.command({}, likely)} (after the colon "
            "stands the text, or := and an SQL expression)."
        )
    for name, column in missing.items():
        fills[name] = ask(name, column, dialect)
    return _of_each_row(up, context) | fills


def _of_each_row(container: ops.OpContainer, context: MigrationContext) -> dict[str, Fill]:
    """The defaults with which MySQL adds no column, and that it takes once the rows have their values."""
    if context.dialect.name != "mysql" or getattr(context.dialect, "is_mariadb", False):
        return {}
    found = {}
    for op in _of(container, ops.AddColumnOp):
        default = str(getattr(op.column.server_default, "arg", ""))
        if OTHER_EACH_TIME.search(default) and not op.inline_primary_key:
            found[_name(op)] = Fill(default, True)
    return found


def _types(op: ops.AlterColumnOp, model: AnyColumn | None) -> list[SQLType]:
    """The types of a column before and after a change; a database may not know a model's own."""
    if op.modify_type is None and model is not None:
        return [model.type]
    return [type_ for type_ in (op.existing_type, op.modify_type) if type_ is not None]


def _model(context: MigrationContext, op: ops.AlterColumnOp) -> AnyColumn | None:
    """The column in the models."""
    table = context.opts["target_metadata"].tables.get(dotted(op.schema, op.table_name))
    return None if table is None else named(table).get(op.column_name)


def _forwards(
    container: ops.OpContainer, fills: dict[str, Fill], context: MigrationContext
) -> None:
    """Divide the changes of a table: add the columns, fill them, do the rest."""
    changed: list[MigrateOperation] = []
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps):
            changed += _divided(op, fills, context)
        else:
            changed.append(op)
    container.ops[:] = [*no_nulls(container, fills), *changed]


def _divided(
    table: ops.ModifyTableOps, fills: dict[str, Fill], context: MigrationContext
) -> Iterator[MigrateOperation]:
    if not any(_name(op) in fills for op in _of(table, ops.AddColumnOp, ops.AlterColumnOp)):
        yield table
        return
    # a new key that numbers the rows comes first, since a value may be made of it, after the old one
    adds: list[MigrateOperation] = _of_new_key(table)
    filling: list[MigrateOperation] = []
    rest: list[MigrateOperation] = []
    again = _comes_again(table)
    bare = _of_each_row(ops.OpContainer([table]), context)
    for op in [op for op in table.ops if op not in adds]:
        fill = fills.get(_name(op)) if isinstance(op, ops.AddColumnOp | ops.AlterColumnOp) else None
        if isinstance(op, ops.AddColumnOp) and op not in again:
            if _name(op) in bare:
                adds += _without_default(op)
            elif fill and not op.column.nullable:
                nullable = op.column._copy()
                nullable.nullable = True
                adds.append(ops.AddColumnOp(op.table_name, nullable, schema=op.schema))
            else:
                adds.append(op)
            if fill:
                filling.append(FillColumn(op.table_name, op.schema, op.column, fill))
                rest += [] if op.column.nullable else [_not_null(op)]
            continue
        if isinstance(op, ops.AlterColumnOp) and fill and op.modify_nullable is False:
            column: AnyColumn = Column(op.column_name, _types(op, _model(context, op))[0])
            filling.append(FillColumn(op.table_name, op.schema, column, fill, only_nulls=True))
        rest.append(op)
    for part in (adds, rest):
        part[:] = [ops.ModifyTableOps(table.table_name, part, schema=table.schema)] if part else []
    yield from [*adds, *filling, *rest]


def _comes_again(table: ops.ModifyTableOps) -> list[MigrateOperation]:
    """What cannot be added before others go: a column whose name goes, and then what is computed."""
    gone = {_name(op) for op in table.ops if isinstance(op, ops.DropColumnOp)}
    adds = [op for op in table.ops if isinstance(op, ops.AddColumnOp)]
    retyped = [op for op in _of(table, ops.AlterColumnOp) if op.modify_type is not None]
    if gone.isdisjoint(map(_name, adds)) and not retyped:
        return []
    return [op for op in adds if _name(op) in gone or op.column.computed is not None]


def _of_new_key(table: ops.ModifyTableOps) -> list[MigrateOperation]:
    """What takes the old key away and adds the column that is the new one; empty where none is added."""
    if not any(map(_adds_key, table.ops)):
        return []
    return [op for op in table.ops if _adds_key(op) or _drops_key(op)]


def _adds_key(op: MigrateOperation | None) -> bool:
    return isinstance(op, ops.AddColumnOp) and bool(op.inline_primary_key)


def _drops_key(op: MigrateOperation) -> bool:
    match op:
        case ops.DropConstraintOp():
            return op.constraint_type == "primary"
        case ops.DropColumnOp():
            return _adds_key(op._reverse)
        case ops.AlterColumnOp():  # AUTO_INCREMENT of MySQL goes before its key
            return op.kw.get("autoincrement") is False and not op.has_changes()
    return False


def _without_default(op: ops.AddColumnOp) -> list[MigrateOperation]:
    """Add a column, and then tell what new rows get."""
    column = op.column._copy()
    column.nullable, column.server_default = True, None
    change = _of_added(op, modify_server_default=op.column.server_default)
    return [ops.AddColumnOp(op.table_name, column, schema=op.schema), change]


def _not_null(op: ops.AddColumnOp) -> ops.AlterColumnOp:
    default = op.column.server_default
    own = default if isinstance(default, DefaultClause) else False
    return _of_added(op, existing_server_default=own, modify_nullable=False)


def _of_added(op: ops.AddColumnOp, **change: Value) -> ops.AlterColumnOp:
    """Change a column that was added so that it may be NULL; no name of a migration says that."""
    column = op.column
    made = ops.AlterColumnOp(
        op.table_name,
        column.name,
        schema=op.schema,
        existing_type=column.type,
        existing_nullable=True,
        existing_comment=column.comment,
        **change,
    )
    summary.leave_unsaid(made)
    return made


def _backwards(
    container: ops.OpContainer, fills: dict[str, Fill], context: MigrationContext
) -> None:
    """Give a column that comes back on the way down a value that stands for those that are gone."""
    values: dict[str, Fill] = {}
    whys: list[tuple[set[str], str]] = []
    for op in _of(container, ops.AddColumnOp):
        if not needed(op.column, context.dialect):
            continue
        name = _name(op)
        if name in fills:
            values[name] = fills[name]
            continue
        text = stand_in(op.column, checks_of(container, op), live(context))
        if text is not None:
            values[name] = Fill(text)
        else:
            why = f"the values of {name} are gone, and no neutral one can stand in for them"
            whys.append(({name}, why))
    lost = {name for names, _ in whys for name in names}
    own = lost | {name for name, fill in values.items() if fill.expression}
    same = {name: string(fill.text) for name, fill in values.items() if name not in own}
    whys += held_back(container, own, same, context)
    _forwards(container, _of_each_row(container, context) | values, context)
    remarks = [Remark(f"irreversible because {why}") for why in dict.fromkeys(w for _, w in whys)]
    container.ops[:] = [*remarks, *container.ops]


def _of(container: ops.OpContainer, *kinds: type) -> Iterator[Any]:
    """The changes of existing tables that are of one of the kinds."""
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps):
            yield from _of(op, *kinds)
        elif isinstance(op, kinds) and isinstance(container, ops.ModifyTableOps):
            yield op


def _name(op: Any) -> str:
    column = op.column.name if isinstance(op, ops.AddColumnOp) else op.column_name
    return dotted(op.schema, op.table_name, column)


# Keys that come back on the way down with columns whose values are gone: one value in every row may not
# fit under them.


# what a server makes anew for each row; SQLite adds a column with one value
OF_EACH_ROW = re.compile(r"\b(nextval|gen_random_uuid|uuid\w*|randomblob|sys_guid)\s*\(", re.I)
NUMBER = re.compile(r"'?-?\d+(\.\d+)?'?")


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


def held_back(
    container: ops.OpContainer, own: set[str], values: dict[str, str], context: MigrationContext
) -> Iterator[tuple[set[str], str]]:
    """Yield the columns, as table.column, that a key holds back, and why there is no way back.

    :param own: the columns, likewise, that get another value in each row
    :param values: those that get one and the same, as SQL
    """
    changes: dict[Place, list[MigrateOperation]] = {}
    for change in summary.table_changes(container):
        changes.setdefault(place_of(change), []).extend(change.ops)
    for home, inside in changes.items():
        table = _Table(home, inside, own, values, context)
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
        self.label = dotted(*place)
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
                yield self._said(held, f"{key.name} takes no value twice")
            elif isinstance(op, ops.CreateForeignKeyOp):
                held = set(op.local_cols) & self.alike.keys()
                if held and all(self.alike.get(name) != "NULL" for name in op.local_cols):
                    parent = op.referent_table
                    yield self._said(held, f"what stands in for them need not be in {parent}")

    def _said(self, held: set[str], why: str) -> tuple[set[str], str]:
        names = [f"{self.label}.{name}" for name in sorted(held)]
        return set(names), f"the values of {', '.join(names)} are gone, and {why}"

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
            parts: list[Any] = list(index.expressions)
            if (
                index.unique
                and not is_partial(index)
                and all(isinstance(part, Column) for part in parts)
            ):
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
