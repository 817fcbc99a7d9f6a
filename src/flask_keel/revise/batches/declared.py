"""The constraints and indexes that a migration file makes, wherever it makes them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from .calls import Operation
from .columns import column
from .names import columns_of_check
from .operations import KINDS
from .reading import code, is_none, last_name, text, texts
from .survey import Survey

_COLUMN = re.compile(r"""\bcolumn\(\s*['"](\w+)['"]""")

# where each constraint of a table takes its name by position
NAME_PLACES = {"CheckConstraint": 1, "ForeignKeyConstraint": 2}


@dataclass(frozen=True, eq=False)
class Declaration:
    """A constraint or index as the file makes it.

    ``call`` is what a name is written into; None for ``unique=True``, which cannot hold one.
    """

    kind: str
    operation: Operation
    call: cst.Call | None
    name_node: cst.BaseExpression | None
    columns: tuple[str, ...] | None
    referred: tuple[str | None, str, tuple[str, ...]] | None = None
    check: str | None = None

    @property
    def unnamed(self) -> bool:
        return self.name_node is None or is_none(self.name_node)

    @property
    def name(self) -> str | None:
        return text(self.name_node)

    @property
    def standing(self) -> bool:
        """Whether it is an operation of its own, not a part of a table or a column."""
        return self.call is self.operation.call


def declarations(survey: Survey) -> list[Declaration]:
    """Every constraint and index that the file makes, in its order."""
    found: list[Declaration] = []
    for operation in survey.operations.values():
        if operation.method == "add_column":
            found += _of_column(operation, operation.node("column"))
        elif operation.method in KINDS:
            found.append(_of_operation(operation))
    for operation in survey.made_tables.values():
        for argument in operation.call.args[1:]:
            found += _of_table(operation, argument.value)
            found += _of_column(operation, argument.value)
    return sorted(found, key=lambda declaration: declaration.operation.line)


def _of_operation(operation: Operation) -> Declaration:
    kind = KINDS[operation.method]
    columns = texts(operation.node("columns") or operation.node("local_cols"))
    referred, check = None, None
    if kind == "fk":
        table, remote = text(operation.node("referent_table")), texts(operation.node("remote_cols"))
        if table and remote:
            referred = text(operation.node("referent_schema")), table, remote
    elif kind == "ck":
        check, columns = _check(operation.node("condition"))
    name_node = operation.node("constraint_name") or operation.node("index_name")
    return Declaration(kind, operation, operation.call, name_node, columns, referred, check)


def _of_table(operation: Operation, node: cst.BaseExpression) -> Iterator[Declaration]:
    if not isinstance(node, cst.Call):
        return
    what = last_name(node.func)
    positional = [arg.value for arg in node.args if not arg.keyword and not arg.star]
    name_node = _name_node(node)
    if what in ("UniqueConstraint", "PrimaryKeyConstraint"):
        names = [text(value) for value in positional]
        columns = tuple(names) if all(names) else None
        kind = "uq" if what == "UniqueConstraint" else "pk"
        yield Declaration(kind, operation, node, name_node, columns)
    elif what == "ForeignKeyConstraint" and len(positional) > 1:
        columns, targets = texts(positional[0]), texts(positional[1])
        referred = _referred(targets) if targets else None
        yield Declaration("fk", operation, node, name_node, columns, referred)
    elif what == "CheckConstraint" and positional:
        check, columns = _check(positional[0])
        yield Declaration("ck", operation, node, name_node, columns, check=check)


def _of_column(operation: Operation, node: cst.BaseExpression | None) -> Iterator[Declaration]:
    added = column(node) if node is not None else None
    if added is None:
        return
    columns = (added.name,) if added.name else None
    for call in added.foreign_keys:
        target = text(call.args[0].value) if call.args else None
        referred = _referred((target,)) if target else None
        yield Declaration("fk", operation, call, _name_node(call), columns, referred)
    if added.index or added.unique:
        yield Declaration("ix" if added.index else "uq", operation, None, None, columns)
    for argument in node.args:
        if isinstance(argument.value, cst.Call) and last_name(argument.value.func) in NAME_PLACES:
            yield from _of_table(operation, argument.value)


def _name_node(call: cst.Call) -> cst.BaseExpression | None:
    for argument in call.args:
        if argument.keyword and argument.keyword.value == "name":
            return argument.value
    place = NAME_PLACES.get(last_name(call.func))
    if place is not None and len(call.args) > place and not call.args[place].keyword:
        return call.args[place].value
    return None


def _referred(targets: tuple[str, ...]) -> tuple[str | None, str, tuple[str, ...]] | None:
    split = [target.rsplit(".", 2) for target in targets]
    if any(len(parts) < 2 for parts in split):
        return None
    schema = split[0][0] if len(split[0]) == 3 else None
    return schema, split[0][-2], tuple(parts[-1] for parts in split)


def _check(node: cst.BaseExpression | None) -> tuple[str | None, tuple[str, ...] | None]:
    """The text of a CHECK and the columns in it; an expression stands for itself, as written."""
    if isinstance(node, cst.Call) and last_name(node.func) == "text" and node.args:
        node = node.args[0].value
    words = text(node)
    if words is not None:
        return words, tuple(columns_of_check(words))
    if node is None:
        return None, None
    written = code(node)
    return written, tuple(dict.fromkeys(_COLUMN.findall(written))) or None
