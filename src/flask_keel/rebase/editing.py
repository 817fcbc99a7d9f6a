"""A migration's text with another down_revision: nothing else of it changes."""

import ast
import re

REVISES = re.compile(r"^(Revises:)[^\n]*$", re.MULTILINE)


def after(text: str, down: str) -> str | None:
    """Return the text of a migration that revises ``down``; None when it has no place to say so.

    :param text: Python that runs
    """
    tree = ast.parse(text)
    value = _value(tree)
    if value is None:
        return None
    quoted = f'"{down}"' if _segment(text, value)[:1] != "'" else f"'{down}'"
    changed = _replace(text, value, quoted)
    # the docstring stands before it, so its place is still right
    document = tree.body[0]
    if isinstance(document, ast.Expr) and isinstance(document.value, ast.Constant):
        said = _segment(text, document.value)
        changed = changed.replace(said, REVISES.sub(rf"\g<1> {down}", said), 1)
    return changed


def _value(tree: ast.Module) -> ast.expr | None:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if "down_revision" in names:
            return node.value  # type: ignore[union-attr]
    return None


def _segment(text: str, node: ast.expr) -> str:
    return ast.get_source_segment(text, node) or ""


def _replace(text: str, node: ast.expr, new: str) -> str:
    lines = text.splitlines(keepends=True)
    # ast counts bytes
    first, last = lines[node.lineno - 1].encode(), lines[node.end_lineno - 1].encode()
    before = "".join(lines[: node.lineno - 1]) + first[: node.col_offset].decode()
    behind = last[node.end_col_offset :].decode() + "".join(lines[node.end_lineno :])
    return before + new + behind
