"""What the rows that are there get in a column that may not be NULL: add, fill, set NOT NULL.

Three operations of their own: one statement cannot do it on any of the databases, and a batch on
SQLite would copy the table before the rows have their values.
"""

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy import Column, DefaultClause

from .. import messages
from . import literals, naming, questions
from .answers import Answers, Fill
from .candidates import families, named
from .filling import FillColumn, no_nulls
from .rendering import Remark
from .stand_ins import checks_of, stand_in


def step(answers: Answers) -> Callable[..., None]:
    """Return the directive that gives new NOT NULL columns their values."""

    def process(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
        for script in directives:
            fills = _decide(script, answers, context)
            _forwards(script.upgrade_ops, fills, context)
            _backwards(script.downgrade_ops, fills, context)

    return process


def _decide(script: ops.MigrationScript, answers: Answers, context: Any) -> dict[str, Fill]:
    """Return the value of each column that gets one, from answers and questions.

    :raises CommandError: for an answer that is no value or about nothing, and for a missing one
    """
    dialect = context.dialect
    added = {_name(op): op.column for op in _of(script.upgrade_ops, ops.AddColumnOp)}
    turned = {
        _name(op): op
        for op in _of(script.upgrade_ops, ops.AlterColumnOp)
        if op.modify_nullable is False
    }
    lost = {_name(op): op.column for op in _of(script.downgrade_ops, ops.AddColumnOp)}
    fills = dict(answers.fills)
    known = [*added, *turned, *(name for name, column in lost.items() if needed(column, dialect))]
    for name, fill in fills.items():
        if name not in known:
            raise CommandError(
                messages.NO_SUCH_FILL.format(name=name, known=", ".join(known) or messages.NOTHING)
            )
        if name in turned:
            column = _model(context, turned[name])
            types = _types(turned[name], column)
        else:
            column = (added | lost)[name]
            types = [column.type]
        _check(name, column, types, fill, dialect)
    missing = {name: c for name, c in added.items() if needed(c, dialect) and name not in fills}
    if missing and not questions.at_a_terminal():
        likely = {name: suggestion(column, dialect) for name, column in missing.items()}
        raise CommandError(
            messages.FILLS_OPEN.format(
                columns=", ".join(missing), command=answers.command({}, likely)
            )
        )
    for name, column in missing.items():
        fills[name] = _ask(name, column, dialect)
    return fills


def needed(column: Column, dialect: Any) -> bool:
    """Whether the rows that are there need to be told what to put into a new column."""
    given = column.server_default or column.computed or column.identity
    return not (column.nullable or given or _counted(column, dialect) or column.system)


def _counted(column: Column, dialect: Any) -> bool:
    """Whether the database numbers the rows; SQLite only by what it calls INTEGER, its row number."""
    if column.table is None or column is not column.table._autoincrement_column:
        return False
    return dialect.name != "sqlite" or column.type.compile(dialect) == "INTEGER"


def suggestion(column: Column, dialect: Any) -> Fill:
    """Return a value to begin with: the model's own default, or what such columns often get."""
    kinds, each = families(column.type, dialect), _each_row(column, dialect)
    given = column.default is not None and column.default.is_scalar
    neutral = literals.neutral(column, kinds)
    if each and (_unique(column) or not (given or neutral is not None or column.foreign_keys)):
        return Fill(each, expression=True)
    if column.foreign_keys and not given:
        return Fill("1")
    likely = [_text(column.default.arg)] if given else []
    if "text" in kinds and literals.plain_text(column.type):
        likely.append("none")
    likely.append(neutral or "")
    return Fill(next((text for text in likely if _holds(column, text, dialect)), "none"))


def _text(default: Any) -> str:
    """A default of the model, as it is typed."""
    if isinstance(default, dict | list):
        return json.dumps(default)
    return str(getattr(default, "name", default))


def _holds(column: Column, text: str, dialect: Any) -> bool:
    try:
        literals.require("", column.type, text, dialect)
    except CommandError:
        return False
    return True


def _each_row(column: Column, dialect: Any) -> str:
    """An expression that differs from row to row: the primary key."""
    quote = dialect.identifier_preparer.quote
    keys = [quote(key.name) for key in column.table.primary_key if key is not column]
    if len(keys) > 1 and dialect.name == "mysql":
        return f"concat_ws('-', {', '.join(keys)})"
    return " || '-' || ".join(keys)


def _unique(column: Column) -> bool:
    """Whether a value of the column can stand in one row only, whatever the row."""
    partial = [
        any(name.endswith("_where") for name in key.dialect_kwargs)
        for key in literals.uniques(column)
    ]
    return not all(partial)


def _ask(name: str, column: Column, dialect: Any) -> Fill:
    def read(text: str) -> Fill:
        if not text:
            raise CommandError(
                f"An empty answer is no value for {name}: type {wanted}, or = and an SQL expression "
                "(='' is an empty text), or Ctrl-C to stop."
            )
        fill = Fill.read(text)
        _check(name, column, [column.type], fill, dialect)
        return fill

    wanted = literals.wanted(column.type, dialect)
    default = column.default is not None and column.default.is_scalar
    likely = str(suggestion(column, dialect)) if default and not _unique(column) else None
    return questions.ask(messages.WHICH_VALUE.format(name=name, wanted=wanted), read, likely)


def _check(name: str, column: Column | None, types: list[Any], fill: Fill, dialect: Any) -> None:
    """Require a value that the column holds, before and after its type changes, in every row."""
    if fill.expression:
        return
    for type_ in types:
        literals.require(name, type_, fill.text, dialect)
    if column is not None and _unique(column):
        better = Fill(_each_row(column, dialect) or "...", expression=True)
        raise CommandError(
            f"{name} is unique, and {fill.text!r} would stand in every row that needs a value: give "
            ":= and an SQL expression that tells the rows apart, such as "
            f"fill={shlex.quote(f'{name}:{better}')}."
        )


def _types(op: ops.AlterColumnOp, model: Column | None) -> list[Any]:
    """The types of a column before and after a change; a database may not know a model's own."""
    if op.modify_type is None and model is not None:
        return [model.type]
    return [type_ for type_ in (op.existing_type, op.modify_type) if type_ is not None]


def _model(context: Any, op: ops.AlterColumnOp) -> Column | None:
    """The column in the models."""
    for table in context.opts["target_metadata"].tables.values():
        if (table.schema, table.name) == (op.schema, op.table_name):
            return named(table).get(op.column_name)
    return None


def _forwards(container: ops.OpContainer, fills: dict[str, Fill], context: Any) -> None:
    """Divide the changes of a table: add the columns, fill them, do the rest."""
    changed: list[Any] = []
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps):
            changed += _divided(op, fills, context)
        else:
            changed.append(op)
    container.ops[:] = [*no_nulls(container, fills, _name), *changed]


def _divided(table: ops.ModifyTableOps, fills: dict[str, Fill], context: Any) -> Iterator[Any]:
    if not any(_name(op) in fills for op in _of(table, ops.AddColumnOp, ops.AlterColumnOp)):
        yield table
        return
    adds, filling, rest = [], [], []
    for op in table.ops:
        fill = fills.get(_name(op)) if isinstance(op, ops.AddColumnOp | ops.AlterColumnOp) else None
        if isinstance(op, ops.AddColumnOp):
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
        if fill and op.modify_nullable is False:
            column = Column(op.column_name, _types(op, _model(context, op))[0])
            filling.append(FillColumn(op.table_name, op.schema, column, fill, only_nulls=True))
        rest.append(op)
    for part in (adds, rest):
        part[:] = [ops.ModifyTableOps(table.table_name, part, schema=table.schema)] if part else []
    yield from [*adds, *filling, *rest]


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
    naming.leave_unsaid(change)
    return change


def _backwards(container: ops.OpContainer, fills: dict[str, Fill], context: Any) -> None:
    """Give a column that comes back on the way down a value that stands for those that are gone."""
    values: dict[str, Fill] = {}
    remarks = []
    for op in _of(container, ops.AddColumnOp):
        if not needed(op.column, context.dialect):
            continue
        name = _name(op)
        if name in fills:
            values[name] = fills[name]
            continue
        text = stand_in(op.column, checks_of(container, op), context.connection)
        if text is not None:
            values[name] = Fill(text)
        else:
            remarks.append(Remark(messages.IRREVERSIBLE.format(name=name)))
    _forwards(container, values, context)
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
