"""What stock Flask-Migrate and its owner wrote: the env.py, and migrations of several databases at once.

The env.py is read, and written so that it keeps its options and functions. A migration of
``flask db init --multidb`` has functions for every database, ``upgrade_`` for the default and
``upgrade_archive`` for a bind: it becomes one for each.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import libcst as cst

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


def read_env(text: str) -> Found:
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


DIRECTIONS = ("upgrade", "downgrade")
DISPATCH = "globals()['{}_%s' % engine_name]()"
# of the template, which the new files are not made from
COMMENTS = ('## generate an "upgrade_', "## for each database name")
# what the env.py has for its several databases alone
MULTIDB_OPTIONS = ("upgrade_token", "downgrade_token", "engine_name", "target_metadata")


class NotSplit(ValueError):
    """A file is not as the template makes it: the words for a sentence."""


def split(text: str, binds: Sequence[str]) -> dict[str, str]:
    """Return the migration of each database, "" for the default: what the file has besides is in each.

    :param binds: the names of the others; one that the file does not know yet does nothing
    :raises NotSplit: for functions that are not the template's, or are used from elsewhere
    """
    import libcst as cst

    tree = ast.parse(text)
    own = {f"{way}_{name}" for way in DIRECTIONS for name in ("", *_databases(tree), *binds)}
    _require_template(tree, own)
    module = cst.parse_module(text)
    return {name: _of(module, name, own) for name in ("", *binds)}


def strangers(text: str, binds: Sequence[str]) -> list[str]:
    """Return the databases for which a file has functions, and which are none of these."""
    return [name for name in _databases(ast.parse(text)) if name and name not in binds]


def _databases(tree: ast.Module) -> list[str]:
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
            body.append(node.with_changes(name=cst.Name(way), leading_lines=_apart(lines)))
    there = {node.name.value for node in body if isinstance(node, cst.FunctionDef)}
    for way in DIRECTIONS:
        if way not in there:
            made = cst.parse_statement(f"def {way}():\n    pass\n")
            body.append(made.with_changes(leading_lines=_apart([])))
    return module.with_changes(body=body).code


def _of_the_template(line: "cst.EmptyLine") -> bool:
    return line.comment is not None and line.comment.value.startswith(COMMENTS)


def _apart(lines: "list[cst.EmptyLine]") -> "list[cst.EmptyLine]":
    """Two blank lines before a function, and whatever comment stands there."""
    import libcst as cst

    return [cst.EmptyLine(indent=False)] * 2 + [line for line in lines if line.comment is not None]
