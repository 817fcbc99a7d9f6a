"""What is seen in the text of a migration alone."""

import ast
from collections.abc import Iterator

from . import silence
from .finding import Finding
from .texts import RULES


def findings(text: str) -> list[Finding]:
    """Return the findings that a migration's text gives.

    :param text: Python that runs
    """
    found = []
    for line, module in _modules(ast.parse(text)):
        # where it is a folder of the application or a part of one: my_app.models, .models.post
        if "models" in module.split("."):
            found.append(("models-imported", line, {"module": module.lstrip(".")}))
    for line, rule in silence.without_reason(text):
        found.append(("no-reason", line, {"silenced": rule}))
    return [Finding(rule, RULES[rule].severity, line, facts) for rule, line, facts in found]


def _modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if "models" in module.split("."):
                yield node.lineno, module
                continue
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"
