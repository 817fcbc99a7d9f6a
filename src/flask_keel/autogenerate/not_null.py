"""What the rows that are there get in a column that may not be NULL: add, fill, set NOT NULL.

Three operations of their own: one statement cannot do it on any of the databases, and a batch on
SQLite would copy the table before the rows have their values.
"""

import json
import keyword
import math
import shlex
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Column, Connection, DefaultClause, Index, UniqueConstraint
from sqlalchemy import types as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from ..catalog import Check, live
from ..lexer import string
from ..rows.checks import Judge, columns_of, suggestions
from ..rows.plan import Domain
from ..rows.values import Kind, accepts, as_text, kind_of, whole_numbers
from ..typing import AnyColumn, SQLType, Value
from . import brought_back, questioner, summary
from .candidates import families, named
from .questioner import Answers, Fill
from .render import IMPORT, LibraryCall, Remark

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NEUTRAL = {
    "text": "",
    "integer": "0",
    "numeric": "0",
    "boolean": "false",
    "binary": "",
    "JSON": "{}",
    "UUID": str(uuid.UUID(int=0)),
    date: "1970-01-01",
    datetime: "1970-01-01 00:00:00",
    time: "00:00:00",
    timedelta: "0",
}


def _boolean(text: str) -> bool:
    return WORDS[text.strip().lower()]


def _duration(text: str) -> timedelta:
    return timedelta(seconds=float(text))


READ: dict[type, tuple[Callable[[str], Value], str]] = {
    bool: (_boolean, "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    Decimal: (Decimal, "a number"),
    datetime: (datetime.fromisoformat, "a date and time such as 2026-01-31 12:00:00"),
    date: (date.fromisoformat, "a date such as 2026-01-31"),
    time: (time.fromisoformat, "a time such as 12:00:00"),
    timedelta: (_duration, "a number of seconds"),
    uuid.UUID: (uuid.UUID, "a UUID"),
    bytes: (str.encode, "text"),
    dict: (json.loads, "JSON"),
    list: (json.loads, "a JSON list"),
}


def literal_value(name: str, type_: SQLType, text: str) -> Value:
    """Return the value that a literal text stands for in a column of this type.

    :param name: the column, for the sentence
    :raises CommandError: when the text is no such value
    """
    stored = unwrapped(type_)
    try:
        if isinstance(stored, sa.Enum):
            return stored.enums[stored.enums.index(text)]
        read, _ = READ.get(_python_type(stored) or str, (str, "text"))
        return read(text)
    except (ValueError, KeyError, InvalidOperation, OverflowError) as error:
        raise _no_value(name, text, _words(stored)) from error


def require(name: str, type_: SQLType, text: str, dialect: Dialect) -> None:
    """Require that a literal text is a value that a column of this type holds as it is.

    SQLite holds what is too long as well; the database that the application moves to does not.

    :raises CommandError: when it is none, with what it is to be
    """
    found, kind = literal_value(name, type_, text), _kind(type_, dialect)
    measured = None if isinstance(found, bool | float) else kind
    infinite = isinstance(found, float | Decimal) and not math.isfinite(found)
    if infinite or (measured is not None and not accepts(measured, found)):
        raise _no_value(name, text, wanted_words(type_, dialect))


def wanted_words(type_: SQLType, dialect: Dialect) -> str:
    """Say what a literal text for a column of this type is to be: "text of at most 20 characters"."""
    words, kind = _words(unwrapped(type_)), _kind(type_, dialect)
    if kind is None:
        return words
    match kind.family:
        case "text" if kind.length:
            return f"{words} of at most {kind.length} characters"
        case "int":
            low, high = whole_numbers(kind)
            return f"{words} from {low} to {high}"
        case "numeric" if kind.precision:
            whole = kind.precision - (kind.scale or 0)
            return f"{words} of at most {whole} digits before the point and {kind.scale} after it"
    return words


def _words(stored: SQLType) -> str:
    if isinstance(stored, sa.Enum):
        return "one of " + ", ".join(stored.enums)
    return READ.get(_python_type(stored) or str, (str, "text"))[1]


def _kind(type_: SQLType, dialect: Dialect) -> Kind | None:
    """The limits of a type, where it is SQLAlchemy's own and a literal is held as it is typed."""
    stored = unwrapped(type_)
    measured = isinstance(stored, sa.String | sa.Integer | sa.Numeric)
    if not measured or isinstance(stored, sa.Enum | sa.Float):
        return None
    return kind_of(stored.compile(dialect), dialect.name)


def _no_value(name: str, text: str, wanted: str) -> CommandError:
    return CommandError(
        f"{text!r} is no value for {name}: give {wanted}, or := and an SQL expression."
    )


def code(value: Value, imports: set[str]) -> str:
    """Return the value as Python, and add what it needs to the imports."""
    match value:
        case Decimal():
            imports.add("import decimal")
            return f"decimal.{value!r}"
        case uuid.UUID():
            imports.add("import uuid")
            return f"uuid.{value!r}"
        case date() | time() | timedelta():
            imports.add("import datetime")
            return repr(value)
        case _:
            return repr(value)


def plain_text(type_: SQLType) -> bool:
    """Whether a Python string needs no type beside it: the column is SQLAlchemy's own text."""
    return isinstance(type_, sa.String) and not isinstance(type_, sa.Enum)


def neutral_value(column: AnyColumn, families: set[str]) -> str | None:
    """Return the text that stands for "nothing" in a column, or None where there is no such value.

    :param families: the column's type families
    """
    stored = unwrapped(column.type)
    if column.primary_key or column.foreign_keys or list(uniques(column)):
        return None
    if isinstance(stored, sa.Enum):
        return stored.enums[0] if stored.enums else None
    if (
        isinstance(stored, sa.TypeDecorator) != isinstance(column.type, sa.TypeDecorator)
        or column.type.__module__.split(".")[0] != "sqlalchemy"
    ):
        return None
    if _python_type(stored) is uuid.UUID:  # text, where the database has no such type
        return NEUTRAL["UUID"]
    known = [NEUTRAL[name] for name in NEUTRAL if name in families]
    return known[0] if known else NEUTRAL.get(_python_type(stored))


def uniques(column: AnyColumn) -> Iterator[UniqueConstraint | Index]:
    """The constraints and indexes that let a value of this column stand in one row only."""
    for key in [*column.table.constraints, *column.table.indexes]:
        unique = UniqueConstraint if not getattr(key, "unique", False) else Index
        if isinstance(key, unique) and list(key.columns) == [column]:
            yield key


def unwrapped(type_: SQLType) -> SQLType:
    """Return the type under a TypeDecorator of the application's."""
    while isinstance(type_, sa.TypeDecorator) and not isinstance(type_, sa.Interval):
        type_ = type_.impl_instance
    return type_


def _python_type(type_: SQLType) -> type | None:
    try:
        return type_.python_type
    except NotImplementedError:
        return None


BATCHES = "keel_batches"  # the option of the context that has rows filled in batches


class FillColumn(ops.MigrateOperation):
    """Give a column its value in the rows that are there.

    :param only_nulls: leave the rows alone that have a value
    """

    def __init__(
        self,
        table_name: str,
        schema: str | None,
        column: AnyColumn,
        fill: Fill,
        only_nulls: bool = False,
    ) -> None:
        self.table_name = table_name
        self.schema = schema
        self.column = column
        self.fill = fill
        self.only_nulls = only_nulls
        self.said = ()


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


def no_nulls(
    container: ops.OpContainer, fills: dict[str, Fill], name: Callable[[MigrateOperation], str]
) -> Iterator[LibraryCall]:
    """Look first whether rows hold NULL in a column that may not hold it any more.

    Without a look the database would stop in the middle, which MySQL does not undo.

    :param fills: the columns that get a value anyway
    :param name: what a change's column is called in the fills
    """
    tables: dict[tuple[str | None, str], str] = {}
    columns: dict[tuple[str | None, str, str], str] = {}
    asked: dict[tuple[str | None, str], list[str]] = {}
    for op in container.ops:
        # the look comes before the renames: it uses the names from before them
        if isinstance(op, ops.RenameTableOp):
            tables[op.schema, op.new_table_name] = op.table_name
        elif isinstance(op, ops.AlterColumnOp) and op.modify_name:
            columns[op.schema, op.table_name, op.modify_name] = op.column_name
        elif isinstance(op, ops.ModifyTableOps):
            for change in op.ops:
                if not isinstance(change, ops.AlterColumnOp):
                    continue
                if change.modify_nullable is False and name(change) not in fills:
                    key = (op.schema, op.table_name)
                    place = (*key, change.column_name)
                    column = columns.get(place, change.column_name)
                    asked.setdefault(key, []).append(column)
    for (schema, table), names in asked.items():
        first = tables.get((schema, table), table)
        arguments = ", ".join(repr(str(part)) for part in [first, *names])
        last = f", schema={schema!r}" if schema else ""
        yield LibraryCall(f"require_no_nulls({arguments}{last})")


def stand_in(column: AnyColumn, checks: Iterable[str], connection: Connection) -> str | None:
    """Return the text of a neutral value, or of another one where a CHECK forbids that.

    :param checks: the CHECKs that come back with the column
    :returns: None where no value can stand in every row
    """
    dialect = connection.dialect
    text = neutral_value(column, families(column.type, dialect))
    names = {name: name for name in named(column.table)}
    own = [Check(check, check) for check in checks if columns_of(check, names) == [column.name]]
    if text is None or not own:
        return text
    stored = unwrapped(column.type)
    kind = kind_of(stored.compile(dialect), dialect.name)
    domain = Domain(column.name, kind)
    with_names = [(check, {column.name: column.name}) for check in own]
    judge = Judge(connection, column.table.name, with_names, {column.name: domain})
    for candidate in [text, *map(as_text, suggestions(domain, 0))]:
        try:
            require(column.name, column.type, candidate, dialect)
        except CommandError:
            continue
        value = literal_value(column.name, column.type, candidate)
        if not judge.failing({column.name: value}):
            return candidate
    return None


def checks_of(container: ops.OpContainer, op: ops.AddColumnOp) -> list[str]:
    """Return the CHECKs that are made on the table of a column that is added."""
    found = []
    for change in container.ops:
        if isinstance(change, ops.OpContainer):
            found += checks_of(change, op)
        elif isinstance(change, ops.CreateCheckConstraintOp) and _place(change) == _place(op):
            condition: object = change.condition
            found.append(str(getattr(condition, "text", condition)))
    return found


def _place(op: Any) -> tuple[str | None, str]:
    return op.schema, op.table_name


def step(answers: Answers) -> Callable[..., None]:
    """Return the directive that gives new NOT NULL columns their values."""

    def process(
        context: MigrationContext, revision: object, directives: list[ops.MigrationScript]
    ) -> None:
        for script in directives:
            fills = _decide(script, answers, context)
            up, down = summary.directions(script)
            _forwards(up, fills, context)
            _backwards(down, fills, context)

    return process


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
        _check(name, column, types, fill, dialect)
    missing = {name: c for name, c in added.items() if needed(c, dialect) and name not in fills}
    if missing and not questioner.at_a_terminal():
        likely = {name: suggestion(column, dialect) for name, column in missing.items()}
        raise CommandError(
            f"NOT NULL without a default: {', '.join(missing)}; the rows that are there need a "
            f"value, so no file was written: type {answers.command({}, likely)} (after the colon "
            "stands the text, or := and an SQL expression)."
        )
    for name, column in missing.items():
        fills[name] = _ask(name, column, dialect)
    return fills


def needed(column: AnyColumn, dialect: Dialect) -> bool:
    """Whether the rows that are there need to be told what to put into a new column."""
    given = column.server_default or column.computed or column.identity
    return not (column.nullable or given or _counted(column, dialect) or column.system)


def _counted(column: AnyColumn, dialect: Dialect) -> bool:
    """Whether the database numbers the rows; SQLite only by what it calls INTEGER, its row number."""
    if column.table is None or column is not column.table._autoincrement_column:
        return False
    return dialect.name != "sqlite" or column.type.compile(dialect) == "INTEGER"


def suggestion(column: AnyColumn, dialect: Dialect) -> Fill:
    """Return a value to begin with: the model's own default, or what such columns often get."""
    kinds, each = families(column.type, dialect), _each_row(column, dialect)
    default = column.default if isinstance(column.default, ScalarElementColumnDefault) else None
    neutral = neutral_value(column, kinds)
    if each and (_unique(column) or not (default or neutral is not None or column.foreign_keys)):
        return Fill(each, expression=True)
    if column.foreign_keys and not default:
        return Fill("1")
    likely = [_text(default.arg)] if default else []
    if "text" in kinds and plain_text(column.type):
        likely.append("none")
    likely.append(neutral or "")
    return Fill(next((text for text in likely if _holds(column, text, dialect)), "none"))


def _text(default: Value) -> str:
    """A default of the model, as it is typed."""
    if isinstance(default, dict | list):
        return json.dumps(default)
    return str(getattr(default, "name", default))


def _holds(column: AnyColumn, text: str, dialect: Dialect) -> bool:
    try:
        require("", column.type, text, dialect)
    except CommandError:
        return False
    return True


def _each_row(column: AnyColumn, dialect: Dialect) -> str:
    """An expression that differs from row to row: the primary key."""
    quote = dialect.identifier_preparer.quote
    keys = [quote(key.name) for key in column.table.primary_key if key is not column]
    if len(keys) > 1 and dialect.name == "mysql":
        return f"concat_ws('-', {', '.join(keys)})"
    return " || '-' || ".join(keys)


def _unique(column: AnyColumn) -> bool:
    """Whether a value of the column can stand in one row only, whatever the row."""
    partial = [
        any(name.endswith("_where") for name in key.dialect_kwargs) for key in uniques(column)
    ]
    return not all(partial)


def _ask(name: str, column: AnyColumn, dialect: Dialect) -> Fill:
    def read(text: str) -> Fill:
        if not text:
            raise CommandError(
                f"An empty answer is no value for {name}: type {wanted}, or = and an SQL expression "
                "(='' is an empty text), or Ctrl-C to stop."
            )
        fill = Fill.read(text)
        _check(name, column, [column.type], fill, dialect)
        return fill

    wanted = wanted_words(column.type, dialect)
    default = column.default is not None and column.default.is_scalar
    likely = str(suggestion(column, dialect)) if default and not _unique(column) else None
    answer: Fill = questioner.ask(
        f"{name} is new and may not be NULL: what do the rows that are there get?\n  "
        f"({wanted}, or = and an SQL expression)",
        read,
        likely,
    )
    return answer


def _check(
    name: str, column: AnyColumn | None, types: list[SQLType], fill: Fill, dialect: Dialect
) -> None:
    """Require a value that the column holds, before and after its type changes, in every row."""
    if fill.expression:
        return
    for type_ in types:
        require(name, type_, fill.text, dialect)
    if column is not None and _unique(column):
        better = Fill(_each_row(column, dialect) or "...", expression=True)
        raise CommandError(
            f"{name} is unique, and {fill.text!r} would stand in every row that needs a value: give "
            ":= and an SQL expression that tells the rows apart, such as "
            f"fill={shlex.quote(f'{name}:{better}')}."
        )


def _types(op: ops.AlterColumnOp, model: AnyColumn | None) -> list[SQLType]:
    """The types of a column before and after a change; a database may not know a model's own."""
    if op.modify_type is None and model is not None:
        return [model.type]
    return [type_ for type_ in (op.existing_type, op.modify_type) if type_ is not None]


def _model(context: MigrationContext, op: ops.AlterColumnOp) -> AnyColumn | None:
    """The column in the models."""
    for table in context.opts["target_metadata"].tables.values():
        if (table.schema, table.name) == (op.schema, op.table_name):
            return named(table).get(op.column_name)
    return None


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
    container.ops[:] = [*no_nulls(container, fills, _name), *changed]


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
    for op in [op for op in table.ops if op not in adds]:
        fill = fills.get(_name(op)) if isinstance(op, ops.AddColumnOp | ops.AlterColumnOp) else None
        if isinstance(op, ops.AddColumnOp) and op not in again:
            if fill and not op.column.nullable:
                nullable = op.column._copy()
                nullable.nullable = True
                adds.append(ops.AddColumnOp(op.table_name, nullable, schema=op.schema))
                rest.append(_not_null(op))
            else:
                adds.append(op)
            if fill:
                filling.append(FillColumn(op.table_name, op.schema, op.column, fill))
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
    if gone.isdisjoint(map(_name, adds)):
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


def _not_null(op: ops.AddColumnOp) -> ops.AlterColumnOp:
    column = op.column
    default = column.server_default
    change = ops.AlterColumnOp(
        op.table_name,
        column.name,
        schema=op.schema,
        existing_type=column.type,
        existing_nullable=True,
        existing_comment=column.comment,
        existing_server_default=default if isinstance(default, DefaultClause) else False,
        modify_nullable=False,
    )
    summary.leave_unsaid(change)
    return change


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
    whys += brought_back.reasons(container, own, same, context)
    _forwards(container, values, context)
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
    return ".".join(part for part in (op.schema, op.table_name, column) if part)
