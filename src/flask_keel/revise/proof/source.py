"""What a migration's text says to the proof: comments with a reason, a downgrade that does nothing."""

import ast
import re
import tokenize
from pathlib import Path

IRREVERSIBLE = re.compile(r"#\s*irreversible\s+because\s+(\S.*)", re.IGNORECASE)
AGREED = re.compile(r"#\s*proof:\s*(\S+(?:\s*,\s*\S+)*)\s+because\s+(\S.*)", re.IGNORECASE)


class Source:
    """The text of a migration.

    :param path: of its file
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with tokenize.open(path) as file:  # it may say its own encoding
            self.text = file.read()
        self.functions = {
            node.name: node
            for node in ast.parse(self.text).body
            if isinstance(node, ast.FunctionDef)
        }

    @property
    def irreversible(self) -> str | None:
        """The reason for which the downgrade is not to be run, from ``# irreversible because ...``."""
        found = IRREVERSIBLE.search(self._of("downgrade"))
        return found[1].strip() if found else None

    @property
    def raises(self) -> str | None:
        """What a downgrade raises that does nothing else: it is not to be run either."""
        match self._lines("downgrade"):
            case [ast.Raise(exc=ast.AST() as raised)]:
                return " ".join(ast.unparse(raised).split())
        return None

    @property
    def agreed(self) -> dict[str, str]:
        """What may change although nothing else says so, with the reason: a table, or table.column."""
        return {
            name.strip(): reason.strip()
            for names, reason in AGREED.findall(self.text)
            for name in names.split(",")
        }

    @property
    def downgrade_is_empty(self) -> bool:
        """Whether ``downgrade`` is missing, or a ``pass``."""
        return not self._lines("downgrade")

    def _lines(self, name: str) -> list[ast.stmt]:
        """What a function does: neither its docstring nor a ``pass``."""
        function = self.functions.get(name)
        return [
            line
            for line in (function.body if function else ())
            if not isinstance(line, ast.Pass)
            and not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        ]

    def _of(self, name: str) -> str:
        """A function's text, with the comments at its end."""
        function = self.functions.get(name)
        if function is None:
            return ""
        lines = self.text.splitlines()
        end = function.end_lineno
        while end < len(lines) and (not lines[end].strip() or lines[end][:1] in (" ", "\t", "#")):
            end += 1
        return "\n".join(lines[function.lineno - 1 : end])
