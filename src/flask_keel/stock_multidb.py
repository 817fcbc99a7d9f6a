"""Reads migrations of ``flask db init --multidb``, and writes one of each for each database.

Such a file has functions for every database: ``upgrade_`` for the default, ``upgrade_archive`` for a bind.
"""

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import libcst as cst

DIRECTIONS = ("upgrade", "downgrade")
DISPATCH = "globals()['{}_%s' % engine_name]()"
# of the template, which the new files are not made from
COMMENTS = ('## generate an "upgrade_', "## for each database name")
# what the env.py has for its several databases alone
OPTIONS = ("upgrade_token", "downgrade_token", "engine_name", "target_metadata")


class NotSplit(ValueError):
    """A file is not as the template makes it: the words for a sentence."""


def split(text: str, binds: Sequence[str]) -> dict[str, str]:
    """Return the migration of each database, "" for the default: what the file has besides is in each.

    :param binds: the names of the others; one that the file does not know yet does nothing
    :raises NotSplit: for functions that are not the template's, or are used from elsewhere
    """
    import libcst as cst

    tree = ast.parse(text)
    own = {f"{way}_{name}" for way in DIRECTIONS for name in ("", *_names(tree), *binds)}
    _require_template(tree, own)
    module = cst.parse_module(text)
    return {name: _of(module, name, own) for name in ("", *binds)}


def strangers(text: str, binds: Sequence[str]) -> list[str]:
    """Return the databases for which a file has functions, and which are none of these."""
    return [name for name in _names(ast.parse(text)) if name and name not in binds]


def _names(tree: ast.Module) -> list[str]:
    """The databases for which it has functions."""
    named = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    parts = [name.partition("_") for name in named]
    return list(dict.fromkeys(rest for way, line, rest in parts if way in DIRECTIONS and line))


def _require_template(tree: ast.Module, own: set[str]) -> None:
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for way in DIRECTIONS:
        dispatch = defined.get(way)
        if dispatch is None or [one.arg for one in dispatch.args.args] != ["engine_name"]:
            raise NotSplit(f"it has no {way}(engine_name)")
        said = [ast.unparse(one) for one in dispatch.body if not _is_docstring(one)]
        if said != [DISPATCH.format(way)]:
            raise NotSplit(
                f"line {dispatch.lineno}: {way}(engine_name) does more than the template's"
            )
        if f"{way}_" not in defined:
            raise NotSplit(f"it has no {way}_() for the default database")
    for node in (defined[name] for name in own & set(defined)):
        arguments = node.args
        if node.decorator_list or [*arguments.args, arguments.vararg, arguments.kwarg] != [
            None,
            None,
        ]:
            raise NotSplit(f"line {node.lineno}: {node.name} takes arguments or is decorated")
    inside = {id(node) for way in DIRECTIONS for node in ast.walk(defined[way])}
    for name in (node for node in ast.walk(tree) if isinstance(node, ast.Name)):
        if id(name) not in inside and name.id in ("engine_name", "globals", *own, *DIRECTIONS):
            raise NotSplit(f"line {name.lineno}: {name.id} is asked for elsewhere")


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _of(module: "cst.Module", bind: str, own: set[str]) -> str:
    import libcst as cst

    body: list[cst.BaseStatement | cst.SimpleStatementLine] = []
    for node in module.body:
        if not isinstance(node, cst.FunctionDef) or node.name.value not in own | set(DIRECTIONS):
            body.append(node)
            continue
        way, line, name = node.name.value.partition("_")
        if line and name == bind:
            lines = [one for one in node.leading_lines if not _of_the_template(one)]
            body.append(node.with_changes(name=cst.Name(way), leading_lines=_two(lines)))
    there = {node.name.value for node in body if isinstance(node, cst.FunctionDef)}
    for way in DIRECTIONS:
        if way not in there:
            made = cst.parse_statement(f"def {way}():\n    pass\n")
            body.append(made.with_changes(leading_lines=_two([])))
    return module.with_changes(body=body).code


def _of_the_template(line: "cst.EmptyLine") -> bool:
    return line.comment is not None and line.comment.value.startswith(COMMENTS)


def _two(lines: "list[cst.EmptyLine]") -> "list[cst.EmptyLine]":
    """Two blank lines before a function, and whatever comment stands there."""
    import libcst as cst

    return [cst.EmptyLine(indent=False)] * 2 + [line for line in lines if line.comment is not None]
