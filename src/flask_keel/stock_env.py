"""Reads the env.py that an application had, and writes the one that keeps its options and functions."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

# what env.run gives to Alembic by itself
GIVEN = {
    *("connection", "url", "literal_binds", "dialect_opts", "dialect_name", "as_sql", "script"),
    *("transactional_ddl", "transaction_per_migration", "sqlalchemy_module_prefix"),
}
RUNS = ("run_migrations_offline", "run_migrations_online", "run_migrations", "do_run_migrations")
# statements that env.run does in its own way
ORDINARY = (
    *(
        "fileConfig(",
        "logging.config.fileConfig(",
        "config.set_main_option('sqlalchemy.url'",
        "context.run_migrations",
    ),
    *(
        "context.configure(",
        "run_migrations_offline(",
        "run_migrations_online(",
        "connection.close(",
        "connection.commit(",
    ),
    *(
        "alembic_config.set_main_option('sqlalchemy.url'",
        "logger.",
        "run_migrations(",
        "conf_args.setdefault",
    ),
)
# names of the dicts of options
MAPPINGS = {"conf_args", "kwargs", "context_args", "configure_args"}
# where Flask-Migrate's templates take the models from
MODELS = ("extensions[", "extensions.", "get_metadata()", "target_db", "current_app")
NOT_KEPT = {
    "alembic",
    "flask",
    "flask_migrate",
    "flask_keel",
    "logging",
    "sqlalchemy",
    "__future__",
}
HEAD = "from flask_keel import env\n"


@dataclass
class Found:
    """What was found in an env.py.

    :param options: what it gives to ``context.configure``, as Python
    :param kept: the statements that those need, as they stand there
    :param unread: lines that do something else, each with its number
    """

    options: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the new env.py."""
        arguments = "".join(
            f"    {name}={value},\n" for name, value in sorted(self.options.items())
        )
        call = f"env.run(\n{arguments})\n" if arguments else "env.run()\n"
        imports = [one for one in self.kept if one.startswith(("import ", "from "))]
        rest = [one for one in self.kept if one not in imports]
        head = HEAD + "".join(f"{one}\n" for one in imports)
        return "\n".join(
            [
                head,
                *(f"\n{one}\n" if one.startswith(("def ", "@")) else f"{one}\n" for one in rest),
                call,
            ]
        )


def is_multidb(text: str) -> bool:
    """Whether the env.py is of ``flask db init --multidb``: several databases in one history."""
    return "bind_names" in text or "engine_name" in text or "upgrade_token" in text


def read(text: str) -> Found:
    """Read an env.py.

    :raises SyntaxError: when it is no Python
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self.source = text
        self.tree = ast.parse(text)
        self.found = Found()
        self.defined: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            for name in _binds(node):
                self.defined[name] = node
        runs = [node for node in self.tree.body if getattr(node, "name", "") in RUNS]
        self.inner = [node for run in runs for node in _statements(run)]
        self.local = {name: node for node in self.inner for name in _binds(node)}

    def read(self) -> Found:
        for name, value in self._given():
            if name == "target_metadata" and self._is_of_flask(value):
                continue
            if name not in GIVEN and not self._is_stock(value):
                self._option(name, value)
        needed = {id(node) for node in self._needed()}
        kept = [node for node in self.tree.body if id(node) in needed or self._registers(node)]
        nested = [node for node in self.inner if id(node) in needed]
        self.found.kept = [self._text(node) for node in (*kept, *nested)]
        done = {id(node) for node in kept} | needed
        self.found.unread += [self._line(node) for node in self._others() if id(node) not in done]
        return self.found

    def _given(self) -> Iterator[tuple[str, ast.expr]]:
        """What is given to context.configure, and what is put into the dict that it is given."""
        mappings = set(MAPPINGS)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and _ends(node.func, "configure"):
                for keyword in node.keywords:
                    if keyword.arg:
                        yield keyword.arg, keyword.value
                    elif isinstance(keyword.value, ast.Dict):
                        yield from _items(keyword.value)
                    elif isinstance(keyword.value, ast.Name):
                        mappings.add(keyword.value.id)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                target = node.targets[0]
                named = isinstance(target.value, ast.Name) and target.value.id in mappings
                if named and isinstance(target.slice, ast.Constant):
                    yield str(target.slice.value), node.value
            elif isinstance(node, ast.Call) and _ends(node.func, "update", "setdefault"):
                assert isinstance(node.func, ast.Attribute)
                if isinstance(node.func.value, ast.Name) and node.func.value.id in mappings:
                    yield from ((one.arg, one.value) for one in node.keywords if one.arg)
                    yield from (
                        it for one in node.args if isinstance(one, ast.Dict) for it in _items(one)
                    )
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict | ast.Call):
                whole = node.targets[0]
                if isinstance(whole, ast.Name) and whole.id in mappings:
                    value = node.value
                    yield from _items(value) if isinstance(value, ast.Dict) else _arguments(value)

    def _option(self, name: str, value: ast.expr) -> None:
        said = ast.unparse(value)
        unknown = [one for one in _names(value) if one in self.local and not self._movable(one)]
        if unknown:
            self.found.unread.append(
                f"line {value.lineno}: {name}={said} needs {unknown[0]} of a function"
            )
        elif name in self.found.options and self.found.options[name] != said:
            self.found.unread.append(
                f"line {value.lineno}: {name}={said}, where {self.found.options[name]} is taken"
            )
        else:
            self.found.options[name] = said

    def _movable(self, name: str) -> bool:
        """Whether what a function defines inside needs nothing else of that function."""
        node = self.local[name]
        if name in self.defined and node not in self.inner:
            return True
        return isinstance(node, ast.FunctionDef) and not any(
            one in self.local
            and one not in self.defined
            and one != name
            and one not in _binds_all(node)
            for one in _names(node)
        )

    def _needed(self) -> Iterator[ast.stmt]:
        todo = [one for said in self.found.options.values() for one in _names(ast.parse(said))]
        seen: set[str] = set()
        while todo:
            name = todo.pop()
            node = self.local.get(name) if name not in self.defined else self.defined[name]
            if name in seen or node is None:
                continue
            seen.add(name)
            yield node
            todo += [one for one in _names(node) if one not in _binds_all(node) - {name}]

    def _is_stock(self, value: ast.expr) -> bool:
        """Whether it is the function by which Flask-Migrate's env.py writes no empty migration."""
        if not isinstance(value, ast.Name) or value.id != "process_revision_directives":
            return False
        node = self.local.get(value.id) or self.defined.get(value.id)
        return node is None or _shape(node) in STOCK_FUNCTIONS

    def _is_of_flask(self, value: ast.expr) -> bool:
        known = (self.defined[name] for name in _names(value) if name in self.defined)
        said = "\n".join(map(ast.unparse, [value, *known]))
        return any(words in said for words in MODELS) or said.endswith("= None")

    def _registers(self, node: ast.stmt) -> bool:
        """Whether it imports a module of the application, which may define models."""
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if not node.level else []
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        else:
            return False
        roots = {name.split(".")[0] for name in names}
        return bool(roots) and not roots <= NOT_KEPT | set(sys.stdlib_module_names)

    def _others(self) -> Iterator[ast.stmt]:
        """Statements that may do something which nobody else does."""
        for node in (*_statements(self.tree), *self.inner):
            match node:
                case ast.Expr() if not self._ordinary(node):
                    yield node
                case ast.AugAssign() | ast.Raise() | ast.Assert() | ast.Delete():
                    yield node
                case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target, *_]):
                    if ast.unparse(target).partition("[")[0] not in MAPPINGS:
                        yield node

    def _ordinary(self, node: ast.Expr) -> bool:
        said = ast.unparse(node)
        return (
            isinstance(node.value, ast.Constant) or said.startswith(ORDINARY) or ".update(" in said
        )

    def _text(self, node: ast.stmt) -> str:
        lines = self.source.splitlines()
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(one.lineno for one in decorators)])
        chosen = lines[first - 1 : node.end_lineno]
        return "\n".join(
            line[node.col_offset :] if line[: node.col_offset].isspace() else line
            for line in chosen
        )

    def _line(self, node: ast.stmt) -> str:
        return f"line {node.lineno}: {ast.unparse(node).splitlines()[0]}"


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements of a function, and not those of functions inside of it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(child)


def _binds(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(one.asname or one.name).split(".")[0] for one in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    stored = (one for target in targets if target for one in ast.walk(target))
    return [
        one.id for one in stored if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    ]


def _binds_all(node: ast.AST) -> set[str]:
    found = {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    return found | {name for one in ast.walk(node) for name in _binds(one)}


def _names(node: ast.AST) -> list[str]:
    return [
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    ]


def _ends(node: ast.expr, *names: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in names


def _items(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant):
            yield str(key.value), value


def _arguments(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    if getattr(node.func, "id", "") == "dict":
        yield from ((one.arg, one.value) for one in node.keywords if one.arg)


def _shape(node: ast.AST) -> str:
    """A function without its docstring, its names of arguments and what it logs."""
    said = ast.unparse(node)
    return "".join(
        line.strip()
        for line in said.splitlines()[1:]
        if not line.strip().startswith(("logger", '"'))
    )


STOCK_FUNCTIONS = {
    _shape(ast.parse(text))
    for text in (
        "def f():\n if getattr(config.cmd_opts, 'autogenerate', False):\n  script = directives[0]\n"
        "  if script.upgrade_ops.is_empty():\n   directives[:] = []",
        "def f():\n if config.cmd_opts.autogenerate:\n  script = directives[0]\n"
        "  if script.upgrade_ops.is_empty():\n   directives[:] = []",
    )
}
