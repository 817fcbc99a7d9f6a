"""The values of a column that a migration speaks of: what it maps, and what it compares with.

Text that becomes an Enum or a Boolean holds such words in real databases, and no others.
"""

import ast
import re
from collections.abc import Iterator

TEXT = r"'((?:[^']|'')*)'"
CASE = re.compile(r"\bCASE\b(.*?)\bEND\b", re.IGNORECASE | re.DOTALL)
WHEN = re.compile(rf"\bWHEN\s+{TEXT}\s+THEN\b", re.IGNORECASE)
ELSE = re.compile(r"\bELSE\s+(?!NULL\b)", re.IGNORECASE)
# what an UPDATE sets is not what it finds
SET = re.compile(r"\bSET\b.*?(?=\bWHERE\b|\Z)", re.IGNORECASE | re.DOTALL)


def values(text: str, column: str, becomes: set[str]) -> tuple[list[str], bool]:
    """Return the values that the way up of a migration names for a column, and whether they are all.

    They are all where everything else would be lost: a CASE without ELSE, a dictionary.

    :param becomes: what they may become, for the values of a dictionary
    """
    tree, found, complete = ast.parse(text), [], False
    # the way back finds what the way up has made
    tree.body = [part for part in tree.body if getattr(part, "name", None) != "downgrade"]
    for sql in _strings(tree):
        words, whole = _of_sql(sql, column)
        found, complete = [*found, *words], complete or whole
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and (keys := _mapped(node, becomes)):
            found, complete = [*found, *keys], True
        found += _compared(node, column)
    return list(dict.fromkeys(found)), complete


def _strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _of_sql(sql: str, column: str) -> tuple[list[str], bool]:
    name = rf"[(\s\"`\[.]+{re.escape(column)}[\"`\]]?(?:::\w+)?\)*\s*"
    found, complete = [], False
    for case in CASE.findall(sql):
        simple = re.match(rf"(?:[\s\"\w]*\.)?{name}WHEN\b", case, re.IGNORECASE)
        words = WHEN.findall(case) if simple else _conditions(case, name)
        found, complete = [*found, *words], complete or bool(words and not ELSE.search(case))
    found += _conditions(SET.sub(" ", CASE.sub(" ", f" {sql}")), name)
    return [word.replace("''", "'") for word in found], complete


def _conditions(sql: str, name: str) -> list[str]:
    found = re.findall(rf"{name}(?:=|<>|!=)\s*{TEXT}", sql, re.IGNORECASE)
    for listed in re.findall(rf"{name}(?:NOT\s+)?IN\s*\(([^)]*)\)", sql, re.IGNORECASE):
        found += re.findall(TEXT, listed)
    return found


def _mapped(node: ast.Dict, becomes: set[str]) -> list[str]:
    """The keys of a dictionary that leads to what the column may become."""
    pairs = [
        (key.value, value.value)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    ]
    whole = len(pairs) == len(node.keys) and bool(pairs)
    fits = all(str(value).lower() in becomes for _, value in pairs if value is not None)
    return [key for key, _ in pairs if isinstance(key, str)] if whole and fits else []


def _compared(node: ast.AST, column: str) -> list[str]:
    """What ``row.a == "x"``, ``row["a"] in ("x", "y")`` and ``t.c.a.in_(["x"])`` compare with."""
    match node:
        case ast.Compare(left=left, comparators=[other]) if _name(left) == column:
            return _words(other)
        case ast.Call(func=ast.Attribute(value=left, attr="in_"), args=[other, *_]) if (
            _name(left) == column
        ):
            return _words(other)
    return []


def _name(node: ast.AST) -> object:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=name)):
            return name
    return None


def _words(node: ast.AST) -> list[str]:
    items = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [
        item.value for item in items if isinstance(item, ast.Constant) and type(item.value) is str
    ]
