"""A revision that is to be two: what it writes past ``op`` is committed by what it does then."""

import ast
from collections.abc import Iterator
from pathlib import Path

from alembic.util import CommandError

from .recorded import commits
from .standing import DATA

WRITES = {"add", "add_all", "bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings"}
RUNS = {"exec_driver_sql", "execute"}
STATEMENTS = {"delete", "insert", "update"}
# of op, what is no DDL
NO_DDL = {"bulk_insert", "execute", "f", "get_bind", "get_context", "inline_literal", "invoke"}


def require(file: Path, direction: str, mysql: bool) -> None:
    """Stop at a revision that writes through ``op.get_bind()`` or a Session, and whose next step commits
    that, before anything of it runs: where it stops after that, nobody could go on.

    What stands under a condition is looked at when it runs.

    :param direction: "upgrade" or "downgrade"
    :param mysql: whether each DDL statement commits; on PostgreSQL an autocommit block does
    :raises CommandError: naming both lines
    """
    source = file.read_bytes()
    if not any(word in source for word in (b"get_bind", b"Session", b".bind")):
        return
    body = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == direction
    ]
    written: int | None = None
    binds: set[str] = set()
    for node in _steps(body):
        binds |= _bound(node)
        if written is None and isinstance(node, ast.Call) and _writes(node, binds):
            written = node.lineno
        elif written is not None and node.lineno > written and _commits(node, mysql):
            raise CommandError(
                f"{file.name}, line {written}, writes past op, and line {node.lineno} commits that by "
                "itself, so that nobody could go on where it stops after that: use op.execute() in line "
                f"{written} (or flask_keel.backfill), or split the file there; nothing of it was run."
            )


def _steps(nodes: list[ast.FunctionDef]) -> Iterator[ast.expr | ast.stmt]:
    """Give what runs in any case, in its order."""
    for node in nodes:
        yield from _inside(node)


def _inside(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.IfExp | ast.Try | ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.expr | ast.stmt):
            yield child
        yield from _inside(child)


def _bound(node: ast.AST) -> set[str]:
    """The names that a step gives to the connection, or to a Session on it."""
    if isinstance(node, ast.Assign) and _is_bind(node.value):
        return {name.id for name in node.targets if isinstance(name, ast.Name)}
    if isinstance(node, ast.With):
        return {
            item.optional_vars.id
            for item in node.items
            if isinstance(item.optional_vars, ast.Name) and _is_bind(item.context_expr)
        }
    return set()


def _is_bind(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    called = node.func.id if isinstance(node.func, ast.Name) else called
    return called in ("get_bind", "Session")


def _writes(call: ast.Call, binds: set[str]) -> bool:
    method = call.func
    if not isinstance(method, ast.Attribute):
        return False
    of = method.value
    if not (isinstance(of, ast.Name) and of.id in binds) and not _is_bind(of):
        return False
    if method.attr in WRITES:
        return True
    return method.attr in RUNS and bool(call.args) and _changes(call.args[0])


def _changes(statement: ast.expr) -> bool:
    for node in ast.walk(statement):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return bool(DATA.match(node.value)) and node.value.lstrip()[:4].upper() != "WITH"
        if isinstance(node, ast.Attribute) and node.attr in STATEMENTS:
            return True
        if isinstance(node, ast.Name) and node.id in STATEMENTS:
            return True
    return False


def _commits(node: ast.AST, mysql: bool) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if not mysql:
        return node.func.attr == "autocommit_block"
    if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "op"):
        return False
    if node.func.attr == "execute" and node.args:
        texts = [one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)]
        return bool(texts) and commits(str(texts[0]))
    return node.func.attr not in NO_DDL
