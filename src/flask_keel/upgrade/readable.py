"""What a migration's file tells unrun: that it keeps every value, or what in it is not ours to run.

A plan runs the calls of a file without carrying them out. What calls anything but Alembic, SQLAlchemy
and plain Python might do something else in the world, and is not run for that.
"""

import ast
import builtins
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from alembic.runtime.migration import RevisionStep

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
LOSING = {
    "drop_table": ("drop-table",),
    "drop_column": ("drop-column", "drop-and-add", "drop-and-compute"),
    "execute": ("drop-in-sql", "delete-rows", "update-rows"),
}
WORDS = ("drop", "delete", "truncate", "update")
# they change nothing outside of the process
HARMLESS = {"alembic", "flask_keel", "sqlalchemy", "geoalchemy2", "sqlalchemy_utils"}
HARMLESS |= {
    "alembic_postgresql_enum",
    "base64",
    "collections",
    "dataclasses",
    "datetime",
    "decimal",
}
HARMLESS |= {
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "re",
}
HARMLESS |= {"string", "textwrap", "typing", "unicodedata", "uuid", "warnings"}
STRANGE = {
    "__import__",
    "breakpoint",
    "compile",
    "eval",
    "exec",
    "exit",
    "globals",
    "input",
    "open",
}
STRANGE |= {"quit", "setattr", "vars"}
ENGINES = {"create_engine", "create_async_engine", "engine_from_config"}
PLAIN = set(vars(builtins)) - STRANGE
TYPES = {"sqlalchemy", "alembic"}  # among whose arguments a type of the application's own may stand


class File:
    """One function of a migration's file.

    :param step: a revision, up or down
    """

    def __init__(self, step: RevisionStep) -> None:
        self.tree = ast.parse(Path(step.revision.path).read_bytes())
        self.wanted = "upgrade" if step.is_upgrade else "downgrade"
        self.functions = {
            node.name: node
            for node in self.tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        made = [node for node in self.tree.body if getattr(node, "name", None) == self.wanted]
        self.whole = len(made) == 1 and isinstance(made[0], ast.FunctionDef)

    def keeps_all(self) -> bool:
        """Whether no value is lost or rewritten; False where there is a doubt."""
        if not self.whole:
            return False
        calls = (node for node in ast.walk(self._function) if isinstance(node, ast.Call))
        return all(self._keeps(call) for call in calls)

    def _keeps(self, call: ast.Call) -> bool:
        root = call.func
        while isinstance(root, ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name):
            return False
        if root.id in self._operations:
            return isinstance(call.func, ast.Attribute) and call.func.attr in KEEPING
        return self._imported.get(root.id) == "sqlalchemy"

    def stranger(self) -> str | None:
        """Say what is not run without carrying it out; None where all of it can be."""
        if not self.whole:
            return f"its {self.wanted}() is no plain function"
        return next(self._strangers(self._function, {self.wanted}), None)

    def losing(self) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """Give the calls by which values may go: line, text and the rules that speak of it."""
        for node in ast.walk(self._function if self.whole else self.tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            rules = LOSING.get(node.func.attr)
            text = ast.unparse(node)
            if rules and (node.func.attr != "execute" or any(one in text.lower() for one in WORDS)):
                yield node.lineno, text if len(text) <= 60 else f"{text[:57]}...", rules

    @property
    def _function(self) -> ast.AST:
        return self.functions[self.wanted]

    @cached_property
    def _operations(self) -> set[str]:
        """The names of ``op`` and of the batches within."""
        names = {
            item.optional_vars.id
            for node in ast.walk(self.tree)
            if isinstance(node, ast.With)
            for item in node.items
            if isinstance(item.optional_vars, ast.Name)
        }
        return {"op"} | names

    @cached_property
    def _imported(self) -> dict[str, str]:
        """The names that are imported, and the packages that they come from."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                named = [(alias.name, alias) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                named = [("." * node.level + (node.module or ""), alias) for alias in node.names]
            else:
                continue
            for module, alias in named:
                name = alias.asname or alias.name.partition(".")[0]
                found[name] = module.partition(".")[0]
        return found

    @cached_property
    def _assigned(self) -> set[str]:
        """The names of variables, but for those that a stranger has made."""
        made = [node for node in self.tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
        strange = [node for node in made if node.value and any(self._strangers(node.value, set()))]
        return _variables(self.tree) - {name for node in strange for name in _variables(node)}

    def _strangers(self, node: ast.AST, seen: set[str], among_types: bool = False) -> Iterator[str]:
        if isinstance(node, ast.While):
            yield f"line {node.lineno}: its loop ends where rows say so"
        if isinstance(node, ast.Call):
            root = node.func
            while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
                root = root.func if isinstance(root, ast.Call) else root.value
            if isinstance(root, ast.Name):
                home = self._imported.get(root.id)
                if root.id in self.functions and home is None:
                    if root.id not in seen:
                        yield from self._strangers(self.functions[root.id], seen | {root.id})
                elif not self._is_known(root.id, home, ast.unparse(node.func), among_types):
                    yield f"line {node.lineno}: it calls {ast.unparse(node.func)}()"
                among_types = among_types or home in TYPES or root.id in self._operations
        for child in ast.iter_child_nodes(node):
            yield from self._strangers(child, seen, among_types)

    def _is_known(self, name: str, home: str | None, called: str, among_types: bool) -> bool:
        if called.rpartition(".")[2] in ENGINES:
            return False
        if home is not None:
            type_ = among_types and called.rpartition(".")[2][:1].isupper()
            return home in HARMLESS or type_
        return name in PLAIN or name in self._operations or name in self._assigned


def _variables(node: ast.AST) -> set[str]:
    return {
        one.arg if isinstance(one, ast.arg) else one.id
        for one in ast.walk(node)
        if isinstance(one, ast.arg)
        or (isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
    }
