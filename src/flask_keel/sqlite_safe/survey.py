"""Finds every operation of a migration file and says where it stands."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import PositionProvider

from ..sqlite.naming import columns_of_check
from .calls import (
    Batch,
    Operation,
    arguments,
    calls_within,
    code,
    column,
    dotted,
    is_none,
    last_name,
    text,
    texts,
)
from .scan import BATCH, KINDS, LACKING, PLAIN


@dataclass
class Survey:
    """All that was found: operations and tables made, by their call, and single complaints."""

    operations: dict[cst.Call, Operation] = field(default_factory=dict)
    made_tables: dict[cst.Call, Operation] = field(default_factory=dict)
    batches: dict[cst.With, Batch] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[int, str]] = field(default_factory=list)


class Surveyor(cst.CSTVisitor):
    """Walks a file once and fills in a `Survey`."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, prefixes: Iterable[str], imported: dict[str, str]) -> None:
        super().__init__()
        self.prefixes = set(prefixes)
        self.imported = imported
        self.survey = Survey()
        self._functions: list[cst.FunctionDef] = []
        self._batches: list[Batch] = []
        self._conditions = 0
        self._whole: set[cst.Call] = set()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        if not self._functions:
            self.survey.functions[node.name.value] = code(node)
        self._functions.append(node)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self._functions.pop()

    def _enter(self, node: cst.CSTNode) -> None:
        self._conditions += 1

    def _leave(self, original_node: cst.CSTNode) -> None:
        self._conditions -= 1

    visit_If = visit_For = visit_While = visit_Try = visit_Lambda = visit_Match = _enter
    leave_If = leave_For = leave_While = leave_Try = leave_Lambda = leave_Match = _leave

    def leave_Module(self, original_node: cst.Module) -> None:
        for operation in self.survey.operations.values():
            if operation.batch or operation.method not in LACKING | {"add_column"}:
                continue
            why = operation.complaint
            if operation.lacking and not operation.whole:
                why = why or "is part of a larger expression"
            if why and (operation.lacking or operation.method in LACKING):
                words = f"op.{operation.method} {why}; it was left as it is"
                self.survey.notes.append((operation.line, words))

    def visit_With(self, node: cst.With) -> None:
        for item in node.items:
            call, target = item.item, item.asname and item.asname.name
            if (
                isinstance(call, cst.Call)
                and isinstance(call.func, cst.Attribute)
                and call.func.attr.value == "batch_alter_table"
                and isinstance(target, cst.Name)
                and self._is_op(call.func.value)
            ):
                given = arguments(call, ("table_name", "schema"))
                batch = Batch(target.value, call, call.func.value, given or {})
                self.survey.batches[node] = batch
                self._batches.append(batch)

    def leave_With(self, original_node: cst.With) -> None:
        if original_node in self.survey.batches:
            self._batches.pop()

    def visit_Expr(self, node: cst.Expr) -> None:
        if isinstance(node.value, cst.Call):
            self._whole.add(node.value)

    def visit_Call(self, node: cst.Call) -> None:
        if not isinstance(node.func, cst.Attribute):
            return
        method, receiver = node.func.attr.value, node.func.value
        batch = None
        if isinstance(receiver, cst.Name):
            named = (b for b in reversed(self._batches) if b.variable == receiver.value)
            batch = next(named, None)
        if not batch and not self._is_op(receiver):
            return
        if method == "create_table":
            self.survey.made_tables[node] = self._operation(node, method, ("table_name",), None)
        elif method in PLAIN:
            positional = (BATCH if batch else PLAIN)[method]
            self.survey.operations[node] = self._operation(node, method, positional, batch)
        elif method == "create_exclude_constraint":
            line = self.get_metadata(PositionProvider, node).start.line
            words = "op.create_exclude_constraint is PostgreSQL's alone and was left as it is"
            self.survey.notes.append((line, words))

    def _operation(
        self, node: cst.Call, method: str, positional: Sequence[str], batch: Batch | None
    ) -> Operation:
        given = arguments(node, positional)
        if method == "create_table":
            given = {"table_name": node.args[0]} if node.args else {}
            given |= {a.keyword.value: a for a in node.args if a.keyword}
        return Operation(
            call=node,
            method=method,
            arguments=given,
            batch=batch,
            function=self._functions[0].name.value if self._functions else "",
            conditional=bool(self._conditions),
            line=self.get_metadata(PositionProvider, node).start.line,
            pure=all(self._is_pure(call) for arg in node.args for call in calls_within(arg)),
            whole=node in self._whole,
            origin=node,
        )

    def _is_pure(self, call: cst.Call) -> bool:
        """Whether a call builds a value and surely asks no database: types and SQL constructs."""
        name = dotted(call.func)
        if name is None:
            return isinstance(call.func, cst.Attribute)
        root, last = name.partition(".")[0], name.rpartition(".")[2]
        if last == "f" and name != last:
            return True
        sqlalchemy = self.imported.get(root, "").partition(".")[0] == "sqlalchemy"
        return root in self.imported and (last[0].isupper() or (sqlalchemy and last != "inspect"))

    def _is_op(self, receiver: cst.BaseExpression) -> bool:
        name = dotted(receiver)
        if name not in self.prefixes:
            return False
        root = name.partition(".")[0]
        return not any(root in _parameters(function) for function in self._functions)


def _parameters(function: cst.FunctionDef) -> set[str]:
    params = function.params
    every = (*params.posonly_params, *params.params, *params.kwonly_params)
    return {parameter.name.value for parameter in every}


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
        names = [name for value in positional if (name := text(value))]
        columns = tuple(names) if len(names) == len(positional) else None
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
    added = column(node) if isinstance(node, cst.Call) else None
    if added is None or not isinstance(node, cst.Call):
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
