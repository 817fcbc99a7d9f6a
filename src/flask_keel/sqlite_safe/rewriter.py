"""Applies it all to a file: names, then batches, from the innermost block outwards."""

import ast
import operator
from collections.abc import Iterable, Sequence
from itertools import count, groupby

import libcst as cst
from libcst.metadata import MetadataWrapper

from ..typing import Convention
from . import scan
from .calls import Batch, Operation, code, is_none, last_name
from .grouping import Edit, Group, Item, Mirrors, Statement, grouped, in_order
from .names import NAME_PLACES, MissingNames, Survey, Surveyor, missing_names
from .scan import schema_parameter, table_parameter

_SPACE = cst.SimpleWhitespace(" ")


def named(call: cst.Call, expression: str, place: int | None = None) -> cst.Call:
    """The call with this name; ``place`` is the argument that holds it, where that is known."""
    new = cst.parse_expression(expression)
    for index, argument in enumerate(call.args):
        if place is None and argument.keyword and argument.keyword.value == "name":
            place = index
    if place is None:
        usual = NAME_PLACES.get(last_name(call.func), len(call.args))
        if usual < len(call.args) and not call.args[usual].keyword:
            place = usual
    if place is None:
        return with_keyword(call, "name", new)
    argument = call.args[place].with_changes(value=new)
    return call.with_changes(args=[*call.args[:place], argument, *call.args[place + 1 :]])


def keyword(name: str, value: cst.BaseExpression) -> cst.Arg:
    """``name=value`` as an argument."""
    tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    return cst.Arg(value=value, keyword=cst.Name(name), equal=tight)


def with_keyword(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """The call with one more keyword at its end, on a line of its own where the others are."""
    new = keyword(name, value)
    if not call.args:
        return call.with_changes(args=[new])
    *rest, last = call.args
    between = rest[-1].comma if rest else None
    if not isinstance(between, cst.Comma) or _comments(between):
        between = cst.Comma(whitespace_after=_SPACE)
    new = new.with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    last = last.with_changes(comma=between, whitespace_after_arg=cst.SimpleWhitespace(""))
    return call.with_changes(args=[*rest, last, new])


def without(call: cst.Call, parameters: Iterable[cst.Arg]) -> tuple[cst.Call, list[cst.EmptyLine]]:
    """The call without these arguments, and the comments that stood beside them."""
    gone = {place for arg in parameters for place, own in enumerate(call.args) if own is arg}
    comments: list[cst.EmptyLine] = []
    for place in sorted(gone, reverse=True):
        call, beside = _without(call, place)
        comments = [cst.EmptyLine(comment=comment) for comment in beside] + comments
    return call, comments


def _without(call: cst.Call, place: int) -> tuple[cst.Call, list[cst.Comment]]:
    args = list(call.args)
    argument = args.pop(place)
    if place == len(args) and place:
        end = {"comma": argument.comma, "whitespace_after_arg": argument.whitespace_after_arg}
        args[-1] = args[-1].with_changes(**end)
        return call.with_changes(args=args), []
    after = getattr(argument.comma, "whitespace_after", None)
    comments = _comments(argument)
    if not isinstance(after, cst.ParenthesizedWhitespace) or not after.empty_lines:
        return call.with_changes(args=args), comments
    # what stands on lines of its own after the argument is about the one that follows
    comma = cst.ensure_type(args[place - 1].comma, cst.Comma) if place else None
    before = comma.whitespace_after if comma else call.whitespace_before_args
    if isinstance(before, cst.ParenthesizedWhitespace):
        lines = [*before.empty_lines, *after.empty_lines]
        after = after.with_changes(first_line=before.first_line, empty_lines=lines)
    else:
        after = after.with_changes(first_line=cst.TrailingWhitespace())
    if comma:
        args[place - 1] = args[place - 1].with_changes(
            comma=comma.with_changes(whitespace_after=after)
        )
    else:
        call = call.with_changes(whitespace_before_args=after)
    own = set(_comments(after))
    return call.with_changes(args=args), [c for c in comments if c not in own]


def batch_form(operation: Operation, variable: str) -> tuple[cst.Call, list[cst.EmptyLine]]:
    """``op.drop_column("t", "c")`` as ``batch_op.drop_column("c")``."""
    method = operation.method
    known = (table_parameter(method), schema_parameter(method))
    gone = [operation.given[name] for name in known if name in operation.given]
    call, comments = without(operation.call, gone)
    return call.with_changes(func=call.func.with_changes(value=cst.Name(variable))), comments


def batch_header(operation: Operation, variable: str, assumed: dict[str, str]) -> cst.WithItem:
    """``op.batch_alter_table("t") as batch_op`` for the table of an operation."""
    table = operation.table_node or cst.SimpleString(repr(operation.table))
    args = [cst.Arg(table)]
    schema = operation.given.get(schema_parameter(operation.method))
    if schema is not None and not is_none(schema.value):
        args.append(keyword("schema", schema.value))
    if assumed:
        args.append(keyword("naming_convention", cst.parse_expression(repr(assumed))))
    func = cst.Attribute(operation.prefix, cst.Name("batch_alter_table"))
    return cst.WithItem(cst.Call(func, args), asname=cst.AsName(cst.Name(variable)))


def with_call(line: cst.SimpleStatementLine, call: cst.Call) -> cst.SimpleStatementLine:
    """The line with this call in the place of its own."""
    expression = line.body[0].with_changes(value=call)
    return line.with_changes(body=[expression, *line.body[1:]])


def _call(line: cst.SimpleStatementLine) -> cst.Call:
    return cst.ensure_type(cst.ensure_type(line.body[0], cst.Expr).value, cst.Call)


def _code(node: cst.BaseExpression | None) -> str:
    return code(node) if node else "None"


def split(line: cst.SimpleStatementLine) -> list[cst.SimpleStatementLine]:
    """Each statement of ``a; b  # why`` on a line of its own."""
    bare = [small.with_changes(semicolon=cst.MaybeSentinel.DEFAULT) for small in line.body]
    lines = [cst.SimpleStatementLine([small]) for small in bare]
    lines[0] = lines[0].with_changes(leading_lines=line.leading_lines)
    lines[-1] = lines[-1].with_changes(trailing_whitespace=line.trailing_whitespace)
    return lines


def _comments(node: cst.CSTNode) -> list[cst.Comment]:
    found: list[cst.Comment] = []

    class _Comments(cst.CSTVisitor):
        def visit_Comment(self, node: cst.Comment) -> None:
            found.append(node)

    node.visit(_Comments())
    return found


# what a column is once it has been changed, for the operation that comes after the change
_AFTERWARDS = {
    "autoincrement": "existing_autoincrement",
    "comment": "existing_comment",
    "nullable": "existing_nullable",
    "server_default": "existing_server_default",
    "type_": "existing_type",
}


def parts(statement: Edit, flag: str | None) -> list[Edit]:
    """The statements that do what this one does; ``flag`` is the name for ``unique=True``.

    - ``unique=True`` and ``index=True`` of an added column become operations of their own: a batch
      cannot name the first, and makes the second twice.
    - A change that renames as well becomes the change and then the rename: in a rebuild the
      foreign keys of other tables would go on naming the old column
      (https://github.com/sqlalchemy/alembic/issues/1576).
    """
    operation = statement.operation
    if operation.method == "add_column" and flag:
        return _without_flags(statement, flag)
    if operation.method == "alter_column" and "new_column_name" in operation.given:
        return _rename_last(statement) if operation.batch is None else [statement]
    return [statement]


def follow(operation: Operation, written: str, method: str) -> Edit:
    """A new statement about the same table."""
    call = cst.ensure_type(cst.parse_expression(written), cst.Call)
    line = cst.SimpleStatementLine([cst.Expr(call)])
    return Edit(line, operation.other(call, method))


def _without_flags(statement: Edit, flag: str) -> list[Edit]:
    operation, added = statement.operation, statement.operation.column
    if not added or not (added.index or added.unique):
        return [statement]
    made = cst.ensure_type(operation.node("column"), cst.Call)
    gone = [a for a in made.args if a.keyword and a.keyword.value in ("unique", "index")]
    kept, comments = without(made, gone)
    call = cst.ensure_type(operation.call.deep_replace(made, kept), cst.Call)
    line = with_call(statement.node, call)
    line = line.with_changes(leading_lines=[*line.leading_lines, *comments])
    column = Edit(line, operation.reread(call))
    method = "create_index" if added.index else "create_unique_constraint"
    unique = ", unique=True" if added.index and added.unique else ""
    place = "" if operation.batch else f"{_code(operation.table_node)}, "
    schema = operation.given.get("schema")
    if schema is not None:
        unique += f", schema={code(schema.value)}"
    names = [a.value for a in made.args if a.keyword and a.keyword.value == "name"]
    column_name = code(names[0] if names else made.args[0].value)
    prefix = code(operation.prefix)
    written = f"{prefix}.{method}({flag}, {place}[{column_name}]{unique})"
    return [column, follow(operation, written, method)]


def _rename_last(statement: Edit) -> list[Edit]:
    operation = statement.operation
    given = operation.given
    call, comments = without(operation.call, [given["new_column_name"]])
    line = with_call(statement.node, call)
    line = line.with_changes(leading_lines=[*line.leading_lines, *comments])
    words = [
        f"{word}={code(given[word].value)}"
        for word in ("new_column_name", "schema")
        if word in given
    ]
    for change, existing in _AFTERWARDS.items():
        now = given.get(change) or given.get(existing)
        if now is not None:
            words.append(f"{existing}={code(now.value)}")
    place = f"{_code(operation.table_node)}, {_code(operation.node('column_name'))}"
    written = f"{code(operation.prefix)}.alter_column({place}, {', '.join(words)})"
    rename = follow(operation, written, "alter_column")
    return [Edit(line, operation.reread(call)), rename]


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
        if not isinstance(before, cst.SimpleStatementLine) or not isinstance(
            after, cst.SimpleStatementLine
        ):
            return [Statement(after)]
        found = [self.operation(small) for small in before.body]
        if not any(o and o.lacking and not o.batch for o in found):
            if len(found) > 1 or found[0] is None:
                return [Statement(after)]
            return [Edit(after, found[0].reread(_call(after)))]
        statements: list[Statement] = []
        for line, operation in zip(split(after), found, strict=True):
            if operation is None:
                statements.append(Statement(line))
                continue
            statement = Edit(line, operation.reread(_call(line)))
            statements += self._parts(statement) if operation.lacking else [statement]
        return statements

    def operation(self, small: cst.CSTNode) -> Operation | None:
        call = small.value if isinstance(small, cst.Expr) else None
        operation = self.survey.operations.get(call) if isinstance(call, cst.Call) else None
        return operation if operation and operation.understood else None

    def _parts(self, statement: Edit) -> list[Edit]:
        operation = statement.operation
        made = parts(statement, self.missing.flags.get(operation.origin))
        if operation.method != "drop_column":
            return made
        place = "" if operation.batch else f", {_code(operation.table_node)}"
        schema = operation.given.get("schema")
        rest = place + (f", schema={code(schema.value)}" if schema else "")
        prefix = code(operation.prefix)
        before = []
        for method, name in self.mirrors.forgotten(operation):
            kind = ", type_='check'" if method == "drop_constraint" else ""
            written = f"{prefix}.{method}({name}{rest}{kind})"
            before.append(follow(operation, written, method))
        if before:
            leading = statement.node.leading_lines
            before[0].node = before[0].node.with_changes(leading_lines=leading)
            statement.node = statement.node.with_changes(leading_lines=[])
        return [*before, *made]

    def _mended(self, items: Sequence[Item], batch: Batch) -> list[Item]:
        """What stands in a batch of the file's own, in order and with its names."""
        own = [o for o in self.survey.operations.values() if o.batch is batch]
        rebuilt = any(o.method not in ("add_column", "create_index", "drop_index") for o in own)
        mended: list[Item] = []
        for inside, run in groupby(items, lambda item: _is_of(item, batch)):
            if not inside:
                mended += run
                continue
            statements: list[Edit] = []
            for statement in (item for item in run if isinstance(item, Edit)):
                column = statement.operation.column
                if column and (column.unique or column.index) and (rebuilt or column.lacking):
                    statements += self._parts(statement)
                else:
                    statements.append(statement)
            mended += in_order(statements, self.mirrors.needs)
        return mended

    def _with(self, group: Group, indent: str | None) -> cst.With:
        """The batch that a group becomes."""
        variable = self._variable()
        lines: list[cst.SimpleStatementLine] = []
        leading = group.first.node.leading_lines
        for statement in group.statements:
            call, comments = batch_form(statement.operation, variable)
            own: Sequence[cst.EmptyLine] = (
                () if statement is group.first else statement.node.leading_lines
            )
            if not lines:
                own = [line for line in own if line.comment]
            line = with_call(statement.node, call)
            lines.append(line.with_changes(leading_lines=[*own, *comments]))
        assumed = self.assumed([statement.operation for statement in group.statements])
        header = batch_header(group.first.operation, variable, assumed)
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


def _is_of(item: Item, batch: Batch) -> bool:
    return isinstance(item, Edit) and item.operation.batch is batch


# what autogenerate writes above a drop_constraint(None), which is not true any more
UNNAMED = (
    "# WARNING: constraint name is None; this directive will fail as",
    "# rendered.  Add a name, or use a naming convention; see",
    "# https://alembic.sqlalchemy.org/en/latest/naming.html",
)


def transform(
    source: str, tree: ast.Module, convention: Convention, name: bool = True
) -> tuple[str, list[str]]:
    """The file with its batches, and a sentence for each call that was left alone.

    :param name: whether constraints without a name get one

    Raises `libcst.ParserSyntaxError`.
    """
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    surveyor = Surveyor(scan.prefixes(tree), scan.imported_names(tree))
    wrapper.visit(surveyor)
    survey = surveyor.survey
    missing = missing_names(survey, convention, source, name)
    changed = wrapper.module.visit(_Batches(survey, missing, scan.bound_names(tree)))
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
        return named(updated_node, expression, place)

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
        call = with_keyword(
            cst.ensure_type(items[place].item, cst.Call), "naming_convention", value
        )
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
        end = original_node.trailing_whitespace
        before = cst.SimpleStatementLine(original_node.body, trailing_whitespace=end)
        after = cst.SimpleStatementLine(updated_node.body, trailing_whitespace=end)
        body = self.blocks.body([before], [after], None, None)
        return updated_node if body is None else cst.IndentedBlock(body)
