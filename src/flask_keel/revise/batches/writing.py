"""Edits of libcst nodes that leave every byte alone that they are not about."""

from collections.abc import Iterable

import libcst as cst

from .calls import Operation
from .declared import NAME_PLACES
from .operations import schema_parameter, table_parameter
from .reading import is_none, last_name

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
    before = args[place - 1].comma.whitespace_after if place else call.whitespace_before_args
    if isinstance(before, cst.ParenthesizedWhitespace):
        lines = [*before.empty_lines, *after.empty_lines]
        after = after.with_changes(first_line=before.first_line, empty_lines=lines)
    else:
        after = after.with_changes(first_line=cst.TrailingWhitespace())
    if place:
        comma = args[place - 1].comma.with_changes(whitespace_after=after)
        args[place - 1] = args[place - 1].with_changes(comma=comma)
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
    func = operation.call.func.with_changes(attr=cst.Name("batch_alter_table"))
    return cst.WithItem(cst.Call(func, args), asname=cst.AsName(cst.Name(variable)))


def with_call(line: cst.SimpleStatementLine, call: cst.Call) -> cst.SimpleStatementLine:
    """The line with this call in the place of its own."""
    expression = line.body[0].with_changes(value=call)
    return line.with_changes(body=[expression, *line.body[1:]])


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
