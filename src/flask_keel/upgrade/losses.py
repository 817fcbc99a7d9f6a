"""What the steps of a run may do to the rows that are there, as far as their files tell it unrun."""

import ast
from collections.abc import Iterable
from pathlib import Path

from alembic.runtime.migration import MigrationStep, RevisionStep

# operations that neither lose nor rewrite a value, in a batch too
KEEPING = frozenset(
    {
        "add_column",
        "batch_alter_table",
        "bulk_insert",
        "create_index",
        "create_table",
        "create_table_comment",
        "drop_index",
        "drop_table_comment",
        "f",
    }
)


def keeps_all(steps: Iterable[MigrationStep]) -> bool:
    """Whether the files say that no value is lost or rewritten; False where they leave a doubt.

    Raw SQL, a loop over rows or a function of one's own is a doubt.
    """
    return all(_keeps_all(step) for step in steps)


def _keeps_all(step: MigrationStep) -> bool:
    if not isinstance(step, RevisionStep):
        return True  # a stamp
    tree = ast.parse(Path(step.revision.path).read_bytes())
    wanted = "upgrade" if step.is_upgrade else "downgrade"
    bodies = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == wanted
    ]
    if len(bodies) != 1:
        return False
    operations, types = _operations(bodies[0]), _imported_from_sqlalchemy(tree)
    calls = (node for node in ast.walk(bodies[0]) if isinstance(node, ast.Call))
    return all(_keeps(call, operations, types) for call in calls)


def _keeps(call: ast.Call, operations: set[str], types: set[str]) -> bool:
    root = call.func
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return False
    if root.id in operations:
        return isinstance(call.func, ast.Attribute) and call.func.attr in KEEPING
    return root.id in types


def _operations(function: ast.FunctionDef) -> set[str]:
    """The names of ``op`` and of the batches within."""
    names = {
        item.optional_vars.id
        for node in ast.walk(function)
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name)
    }
    return {"op"} | names


def _imported_from_sqlalchemy(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            named = [(alias.name, alias) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [(node.module or "", alias) for alias in node.names]
        else:
            continue
        for module, alias in named:
            if module.partition(".")[0] == "sqlalchemy":
                names.add(alias.asname or alias.name.partition(".")[0])
    return names
