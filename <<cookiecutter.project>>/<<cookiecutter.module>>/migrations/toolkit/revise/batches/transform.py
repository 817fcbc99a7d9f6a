"""Applies it all to a file: names, then batches, from the innermost block outwards."""

import ast
import operator
from collections.abc import Mapping, Sequence
from itertools import count, groupby

import libcst as cst
from libcst.metadata import MetadataWrapper

from . import look, writing
from .calls import Batch, Operation
from .grouping import Group, Statement, grouped, in_order
from .mirrors import Mirrors
from .missing_names import MissingNames, missing_names
from .parts import follow, parts
from .reading import code
from .survey import Survey, Surveyor


def transform(source: str, tree: ast.Module, convention: Mapping) -> tuple[str, list[str]]:
    """The file with its batches, and a sentence for each call that was left alone.

    Raises `libcst.ParserSyntaxError`.
    """
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    surveyor = Surveyor(look.prefixes(tree), look.imported_names(tree))
    wrapper.visit(surveyor)
    survey = surveyor.survey
    missing = missing_names(survey, convention, source)
    changed = wrapper.module.visit(_Batches(survey, missing, look.bound_names(tree)))
    notes = sorted({*survey.notes, *missing.notes})
    return changed.code, [f"line {line}: {words}" for line, words in notes]


class _Batches(cst.CSTTransformer):
    def __init__(self, survey: Survey, missing: MissingNames, bound: set[str]) -> None:
        super().__init__()
        self.survey = survey
        self.missing = missing
        self.mirrors = Mirrors(survey, missing)
        self.bound = bound
        self._open: list[Batch] = []
        self._bodies = {node.body: batch for node, batch in survey.batches.items()}

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        expression = self.missing.written.get(original_node)
        if expression is None:
            return updated_node
        operation = self.survey.operations.get(original_node)
        place = None
        if operation is not None:
            place = original_node.args.index(operation.given["constraint_name"])
        return writing.named(updated_node, expression, place)

    def visit_With(self, node: cst.With) -> None:
        if node in self.survey.batches:
            self._open.append(self.survey.batches[node])

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.With:
        batch = self.survey.batches.get(original_node)
        if batch is None:
            return updated_node
        self._open.pop()
        inner = [o for o in self.survey.operations.values() if o.batch is batch]
        assumed = self._assumed(inner)
        if not assumed or "naming_convention" in batch.given:
            return updated_node
        value = cst.parse_expression(repr(assumed))
        items = list(updated_node.items)
        place = [item.item for item in original_node.items].index(batch.call)
        call = writing.with_keyword(items[place].item, "naming_convention", value)
        items[place] = items[place].with_changes(item=call)
        return updated_node.with_changes(items=items)

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.BaseSuite:
        batch = self._bodies.get(original_node)
        body = self._body(original_node.body, updated_node.body, updated_node.indent, batch)
        return updated_node if body is None else updated_node.with_changes(body=body)

    def leave_SimpleStatementSuite(
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.BaseSuite:
        ends = {"trailing_whitespace": original_node.trailing_whitespace}
        before = cst.SimpleStatementLine(original_node.body, **ends)
        after = cst.SimpleStatementLine(updated_node.body, **ends)
        body = self._body([before], [after], None, None)
        return updated_node if body is None else cst.IndentedBlock(body)

    def _body(self, before, after, indent: str | None, batch: Batch | None):
        """The statements of a block as they are to be, or None where nothing changes."""
        read = [self._statements(*pair) for pair in zip(before, after, strict=True)]
        items = grouped([statement for some in read for statement in some], self.mirrors.needs)
        if batch is not None:
            items = self._mended(items, batch)
        written = [
            self._with(item, indent) if isinstance(item, Group) else item.node for item in items
        ]
        same = len(written) == len(after) and all(map(operator.is_, written, after))
        return None if same else written

    def _statements(self, before: cst.BaseStatement, after: cst.BaseStatement) -> list[Statement]:
        if not isinstance(before, cst.SimpleStatementLine):
            return [Statement(after)]
        found = [self._operation(small) for small in before.body]
        if not any(o and o.lacking and not o.batch for o in found):
            if len(found) > 1 or found[0] is None:
                return [Statement(after)]
            return [Statement(after, found[0].reread(after.body[0].value))]
        statements = []
        for line, operation in zip(writing.split(after), found, strict=True):
            if operation is None:
                statements.append(Statement(line))
                continue
            statement = Statement(line, operation.reread(line.body[0].value))
            statements += self._parts(statement) if operation.lacking else [statement]
        return statements

    def _operation(self, small: cst.BaseSmallStatement) -> Operation | None:
        call = small.value if isinstance(small, cst.Expr) else None
        operation = self.survey.operations.get(call)
        return operation if operation and operation.understood else None

    def _parts(self, statement: Statement) -> list[Statement]:
        operation = statement.operation
        made = parts(statement, self.missing.flags.get(operation.origin))
        if operation.method != "drop_column":
            return made
        place = "" if operation.batch else f", {code(operation.table_node)}"
        schema = operation.given.get("schema")
        rest = place + (f", schema={code(schema.value)}" if schema else "")
        prefix = code(operation.call.func.value)
        before = []
        for method, name in self.mirrors.forgotten(operation):
            kind = ", type_='check'" if method == "drop_constraint" else ""
            written = f"{prefix}.{method}({name}{rest}{kind})"
            before.append(follow(statement, operation, written, method))
        if before:
            leading = statement.node.leading_lines
            before[0].node = before[0].node.with_changes(leading_lines=leading)
            statement.node = statement.node.with_changes(leading_lines=[])
        return [*before, *made]

    def _mended(self, items: Sequence[Group | Statement], batch: Batch) -> list[Group | Statement]:
        """What stands in a batch of the file's own, in order and with its names."""
        own = [o for o in self.survey.operations.values() if o.batch is batch]
        rebuilt = any(o.method not in ("add_column", "create_index", "drop_index") for o in own)
        mended: list[Group | Statement] = []
        for inside, run in groupby(items, lambda item: _is_of(item, batch)):
            if not inside:
                mended += run
                continue
            statements = []
            for statement in run:
                column = statement.operation.column
                split = column and (column.unique or column.index)
                if split and (rebuilt or column.lacking):
                    statements += self._parts(statement)
                else:
                    statements.append(statement)
            mended += in_order(statements, self.mirrors.needs)
        return mended

    def _with(self, group: Group, indent: str | None) -> cst.With:
        """The batch that a group becomes."""
        variable = self._variable()
        lines, leading = [], group.first.node.leading_lines
        for statement in group.statements:
            call, comments = writing.batch_form(statement.operation, variable)
            own = () if statement is group.first else statement.node.leading_lines
            if not lines:
                own = [line for line in own if line.comment]
            line = writing.with_call(statement.node, call)
            lines.append(line.with_changes(leading_lines=[*own, *comments]))
        assumed = self._assumed([statement.operation for statement in group.statements])
        header = writing.batch_header(group.first.operation, variable, assumed)
        body = cst.IndentedBlock(lines, indent=indent)
        return cst.With([header], body, leading_lines=leading)

    def _assumed(self, operations: Sequence[Operation]) -> dict[str, str]:
        found: dict[str, str] = {}
        for operation in operations:
            found |= self.missing.assumed.get(operation.origin, {})
        return found

    def _variable(self) -> str:
        taken = self.bound | {batch.variable for batch in self._open}
        names = (f"batch_op_{n}" if n > 1 else "batch_op" for n in count(1))
        return next(name for name in names if name not in taken)


def _is_of(item: Group | Statement, batch: Batch) -> bool:
    operation = item.operation if isinstance(item, Statement) else None
    return operation is not None and operation.batch is batch
