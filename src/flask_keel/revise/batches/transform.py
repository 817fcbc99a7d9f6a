"""Applies it all to a file: names, then batches, from the innermost block outwards."""

import ast
from collections.abc import Mapping

import libcst as cst
from libcst.metadata import MetadataWrapper

from . import look, writing
from .blocks import Blocks
from .missing_names import MissingNames, missing_names
from .survey import Survey, Surveyor

# what autogenerate writes above a drop_constraint(None), which is not true any more
UNNAMED = (
    "# WARNING: constraint name is None; this directive will fail as",
    "# rendered.  Add a name, or use a naming convention; see",
    "# https://alembic.sqlalchemy.org/en/latest/naming.html",
)


def transform(
    source: str, tree: ast.Module, convention: Mapping, name: bool = True
) -> tuple[str, list[str]]:
    """The file with its batches, and a sentence for each call that was left alone.

    :param name: whether constraints without a name get one

    Raises `libcst.ParserSyntaxError`.
    """
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    surveyor = Surveyor(look.prefixes(tree), look.imported_names(tree))
    wrapper.visit(surveyor)
    survey = surveyor.survey
    missing = missing_names(survey, convention, source, name)
    changed = wrapper.module.visit(_Batches(survey, missing, look.bound_names(tree)))
    notes = sorted({*survey.notes, *missing.notes})
    return changed.code, [f"line {line}: {words}" for line, words in notes]


class _Batches(cst.CSTTransformer):
    def __init__(self, survey: Survey, missing: MissingNames, bound: set[str]) -> None:
        super().__init__()
        self.survey = survey
        self.missing = missing
        self.blocks = Blocks(survey, missing, bound)
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

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine:
        first = self.blocks.operation(original_node.body[0])
        if first is None or first.origin not in self.missing.written:
            return updated_node
        lines = updated_node.leading_lines
        kept = [line for line in lines if not line.comment or line.comment.value not in UNNAMED]
        return updated_node.with_changes(leading_lines=kept)

    def visit_With(self, node: cst.With) -> None:
        if node in self.survey.batches:
            self.blocks.open.append(self.survey.batches[node])

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.With:
        batch = self.survey.batches.get(original_node)
        if batch is None:
            return updated_node
        self.blocks.open.pop()
        inner = [o for o in self.survey.operations.values() if o.batch is batch]
        assumed = self.blocks.assumed(inner)
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
        body = self.blocks.body(original_node.body, updated_node.body, updated_node.indent, batch)
        return updated_node if body is None else updated_node.with_changes(body=body)

    def leave_SimpleStatementSuite(
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.BaseSuite:
        ends = {"trailing_whitespace": original_node.trailing_whitespace}
        before = cst.SimpleStatementLine(original_node.body, **ends)
        after = cst.SimpleStatementLine(updated_node.body, **ends)
        body = self.blocks.body([before], [after], None, None)
        return updated_node if body is None else cst.IndentedBlock(body)
