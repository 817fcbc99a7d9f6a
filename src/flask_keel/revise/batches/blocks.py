"""What becomes of the statements of one block."""

import operator
from collections.abc import Sequence
from itertools import count, groupby

import libcst as cst

from . import writing
from .calls import Batch, Operation
from .grouping import Group, Statement, grouped, in_order
from .mirrors import Mirrors
from .missing_names import MissingNames
from .parts import follow, parts
from .reading import code
from .survey import Survey


class Blocks:
    """Turns the body of a function, a branch, a loop or a batch into what it is to be.

    ``open`` holds the batches of the file's own that the block stands in, ``bound`` the names that
    the file gives to something else.
    """

    def __init__(self, survey: Survey, missing: MissingNames, bound: set[str]) -> None:
        self.survey = survey
        self.missing = missing
        self.mirrors = Mirrors(survey, missing)
        self.bound = bound
        self.open: list[Batch] = []

    def body(
        self,
        before: Sequence[cst.BaseStatement],
        after: Sequence[cst.BaseStatement],
        indent: str | None,
        batch: Batch | None,
    ) -> list[cst.BaseStatement] | None:
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
        found = [self.operation(small) for small in before.body]
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

    def operation(self, small: cst.BaseSmallStatement) -> Operation | None:
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
        assumed = self.assumed([statement.operation for statement in group.statements])
        header = writing.batch_header(group.first.operation, variable, assumed)
        body = cst.IndentedBlock(lines, indent=indent)
        return cst.With([header], body, leading_lines=leading)

    def assumed(self, operations: Sequence[Operation]) -> dict[str, str]:
        found: dict[str, str] = {}
        for operation in operations:
            found |= self.missing.assumed.get(operation.origin, {})
        return found

    def _variable(self) -> str:
        taken = self.bound | {batch.variable for batch in self.open}
        names = (f"batch_op_{n}" if n > 1 else "batch_op" for n in count(1))
        return next(name for name in names if name not in taken)


def _is_of(item: Group | Statement, batch: Batch) -> bool:
    operation = item.operation if isinstance(item, Statement) else None
    return operation is not None and operation.batch is batch
