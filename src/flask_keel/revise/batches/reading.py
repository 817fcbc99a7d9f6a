"""Reads libcst nodes: their text, their value, what a call is given."""

import ast
from collections.abc import Sequence

import libcst as cst

UNKNOWN = object()
_EMPTY = cst.Module(body=[])


def code(node: cst.CSTNode) -> str:
    """The text of a node, as it stands in the file."""
    return _EMPTY.code_for_node(node)


def value(node: cst.BaseExpression | None) -> object:
    """What a literal stands for, or UNKNOWN; ``op.f("...")`` stands for its text."""
    if node is None:
        return UNKNOWN
    if isinstance(node, cst.Call) and last_name(node.func) in ("f", "conv", "quoted_name"):
        node = node.args[0].value if node.args else node
    try:
        return ast.literal_eval(code(node).strip())
    except (ValueError, SyntaxError, TypeError):
        return UNKNOWN


def text(node: cst.BaseExpression | None) -> str | None:
    """The string that a literal stands for, or None."""
    found = value(node)
    return found if isinstance(found, str) else None


def texts(node: cst.BaseExpression | None) -> tuple[str, ...] | None:
    """The strings of a list or tuple of literals, or None."""
    found = value(node)
    if isinstance(found, list | tuple) and all(isinstance(item, str) for item in found):
        return tuple(found)
    return None


def is_none(node: cst.BaseExpression | None) -> bool:
    """Whether a node is the literal ``None``."""
    return isinstance(node, cst.Name) and node.value == "None"


def is_true(node: cst.BaseExpression | None) -> bool:
    """Whether a node is the literal ``True``."""
    return isinstance(node, cst.Name) and node.value == "True"


def dotted(node: cst.BaseExpression) -> str | None:
    """``a.b.c`` of names and attributes alone, or None."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        base = dotted(node.value)
        return base and f"{base}.{node.attr.value}"
    return None


def last_name(node: cst.BaseExpression) -> str | None:
    """The last name of ``a.b.c``."""
    return (dotted(node) or "").rpartition(".")[2] or None


def arguments(call: cst.Call, positional: Sequence[str]) -> dict[str, cst.Arg] | None:
    """A call's arguments by the parameter that takes them; None for stars and for too many."""
    found: dict[str, cst.Arg] = {}
    for place, argument in enumerate(call.args):
        if argument.star:
            return None
        if argument.keyword is not None:
            parameter = argument.keyword.value
        elif place < len(positional):
            parameter = positional[place]
        else:
            return None
        if parameter in found:
            return None
        found[parameter] = argument
    return found


def calls_within(node: cst.CSTNode) -> list[cst.Call]:
    """Every call in a node, itself included, from the outside in."""
    found: list[cst.Call] = []

    class _Calls(cst.CSTVisitor):
        def visit_Call(self, node: cst.Call) -> None:
            found.append(node)

    node.visit(_Calls())
    return found
