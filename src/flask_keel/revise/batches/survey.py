"""Finds every operation of a migration file and says where it stands."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import PositionProvider

from .calls import Batch, Operation
from .operations import BATCH, LACKING, PLAIN
from .reading import arguments, calls_within, code, dotted


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

    def _operation(self, node, method, positional, batch) -> Operation:
        given = arguments(node, positional)
        if method == "create_table":
            given = {"table_name": node.args[0]} if node.args else {}
            given |= {a.keyword.value: a for a in node.args if a.keyword}
        return Operation(
            call=node,
            method=method,
            given=given,
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
