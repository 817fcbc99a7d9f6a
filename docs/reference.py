"""Writes the parts of the documents that are made from the code; `make docs` runs it.

A part stands between two comments, `<!-- made from the code: KIND NAME -->` and `<!-- end -->`; what
stands around it is written by hand. The tests hold each part equal to what is made here.
"""

import ast
import importlib
import inspect
import re
import sys
import textwrap
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parents[1]
LIBRARY = HOUSE / "src" / "flask_keel"
PROJECT = HOUSE / "<<cookiecutter.project>>"
CONFIGURATION = PROJECT / "etc" / "conf"
DOCUMENTS = (HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *sorted(HOUSE.glob("docs/*.md")))
PART = re.compile(
    r"(<!-- made from the code: (?P<kind>[a-z]+) (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL
)


def written(text: str) -> str:
    """Return a document with each of its parts as the code makes it now."""
    return PART.sub(_made, text)


def _made(found: re.Match[str]) -> str:
    try:
        return f"{found[1]}{MAKERS[found['kind']](found['name'])}{found[4]}"
    except LookupError:
        raise SystemExit(
            f"There is no {found['kind']} {found['name']} any more: take it out."
        ) from None


def parts(text: str, kind: str) -> list[str]:
    """Return the names of a document's parts of one kind."""
    return [found["name"] for found in PART.finditer(text) if found["kind"] == kind]


# The picture of the rooms.


def picture(_: str = "") -> str:
    """Return a Mermaid flowchart of the library's rooms: no arrow that others already imply."""
    lines = ["```mermaid", "flowchart TD"]
    for floor in floors():
        names = [
            f'{room}["{room}/"]' if (LIBRARY / room / "__init__.py").is_file() else room
            for room in floor
        ]
        lines.append(f"  {' & '.join(names)}")
    for room, below in sorted(arrows().items()):
        lines.append(f"  {room} --> {' & '.join(sorted(below))}")
    return "\n".join([*lines, "```", ""])


def floors() -> list[list[str]]:
    """Return the rooms from the top to the bottom, as import-linter's contract has them."""
    settings = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    contract = next(one for one in contracts if one["type"] == "layers")
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def arrows() -> dict[str, set[str]]:
    """Return the rooms that each room imports, less those that it reaches through another."""
    import grimp

    graph = grimp.build_graph("flask_keel", cache_dir=None)
    below = defaultdict(set)
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            room, other = (name.split(".")[1] for name in (f"{module}.", f"{imported}."))
            if room and other and room != other:
                below[room].add(other)
    return {
        room: {one for one in direct if not any(one in _reached(below, other) for other in direct)}
        for room, direct in below.items()
    }


def _reached(below: dict[str, set[str]], room: str) -> set[str]:
    direct = below.get(room, set())
    return direct.union(*(_reached(below, other) for other in direct))


# The commands.


def commands() -> dict[str, Any]:
    """Return the commands of `db` by their names."""
    from flask_keel import cli

    return dict(sorted(cli.group().commands.items()))


def command(name: str) -> str:
    """Return what a command says of itself: its usage, its help and its options."""
    import click

    one = commands()[name]
    pieces = one.collect_usage_pieces(click.Context(one, info_name=name))
    lines = ["", "```sh", " ".join(["db", name, *pieces]), "```", "", _paragraph(one.help), ""]
    options = [option for option in one.params if isinstance(option, click.Option)]
    if options:
        lines += ["| option | |", "|---|---|", *map(_option, options), ""]
    return "\n".join(lines)


def _option(option: Any) -> str:
    value = "" if option.is_flag else f" {option.type.name.upper()}"
    names = ", ".join(f"`{name}{value}`" for name in reversed(option.opts))
    said = _paragraph(option.help).replace("<", "\\<")
    return f"| {names} | {said} |"


def _paragraph(text: str | None) -> str:
    sentence = " ".join((text or "").split())
    return sentence if sentence.endswith((".", ")")) or not sentence else f"{sentence}."


# The public names.


def signature(name: str) -> str:
    """Return how something public is called, and what its docstring says."""
    found = _public(name)
    if isinstance(found, dict) or not found.__module__.startswith("flask_keel"):
        return "\n"
    return f"\n```python\n{name}{_arguments(found)}\n```\n\n{_prose(inspect.getdoc(found) or '')}\n"


def _arguments(found: Any) -> str:
    """The arguments as they are written, since versions of Python show annotations differently."""
    if isinstance(found, type) and "__init__" not in vars(found):
        return ""  # those of the class that it inherits from
    made = found.__init__ if isinstance(found, type) else found
    node = ast.parse(textwrap.dedent(inspect.getsource(made))).body[0]
    assert isinstance(node, ast.FunctionDef)
    if node.args.args and node.args.args[0].arg == "self":
        del node.args.args[0]
    back = (
        "" if isinstance(found, type) else f" -> {ast.unparse(node.returns or ast.Constant(None))}"
    )
    return f"({ast.unparse(node.args)}){back}"


def _public(name: str) -> Any:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                raise LookupError(name)
            found = getattr(found, part)
        return found
    raise LookupError(name)


def _prose(docstring: str) -> str:
    """A docstring's paragraphs, its fields as a list, its roles as plain code."""
    text = re.sub(r":(?:class|meth|func|data|mod):`[.~]*([^`]*)`", r"`\1`", docstring)
    text = text.replace("``", "`")
    fields = re.findall(r"^:(param \w+|returns|raises \S+): ((?:.|\n(?!:))*)", text, re.MULTILINE)
    lines = [re.split(r"^:", text, maxsplit=1, flags=re.MULTILINE)[0].strip(), ""]
    for field, said in fields:
        what, _, name = field.partition(" ")
        named = f"`{name}`" if what == "param" else f"{what} `{name}`" if name else what
        lines.append(f"- {named}: {' '.join(said.split())}")
    return "\n".join([*lines, ""] if fields else lines)


# The settings.

ENVIRONMENT = ("os.environ.get", "os.environ", "os.getenv")


def settings() -> dict[str, tuple[set[str], set[str]]]:
    """Return for each key of the configuration who reads it, and which files set it."""
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for module, key, environment in _read():
        if not environment:
            found[key][0].add(module)
    for path in sorted(CONFIGURATION.glob("*.conf")):
        for key in re.findall(r"^([A-Z][A-Z_]+) = ", path.read_text(), re.MULTILINE):
            found[key][1].add(path.name)
    return dict(found)


def variables() -> dict[str, set[str]]:
    """Return for each variable of the environment who reads it."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, key, environment in _read():
        if environment:
            found[key].add(module)
    for path in sorted(CONFIGURATION.glob("*.conf")):
        for key in re.findall(r"environ\.get\(\"(\w+)\"", path.read_text()):
            found[key].add(path.name)
    return dict(found)


@cache
def _read() -> list[tuple[str, str, bool]]:
    """Return the module, the key and whether it is the environment's, for each key that is read."""
    return list(_readers())


def _readers() -> Iterator[tuple[str, str, bool]]:
    for path in sorted(LIBRARY.rglob("*.py")):
        module = ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="get", value=source), args=[key, *_]):
                    pass
                case ast.Call(args=[ast.Name(id="settings") as source, ast.Constant() as key, *_]):
                    pass  # a reader of one kind of values
                case ast.Subscript(value=source, slice=key, ctx=ast.Load()):
                    pass
                case _:
                    continue
            name = ast.unparse(source)
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                continue
            if name.endswith(("config", "settings")) and key.value.isupper():
                yield module, key.value, False
            elif name == "os.environ":
                yield module, key.value, True


def setting(key: str) -> str:
    """Return who reads a key, and which of a generated project's files set it."""
    readers, files = settings()[key]
    said = [f"Read by {_listed(readers)}."] if readers else ["Read by Flask."]
    said += [f"Set in {_listed(files)}."] if files else []
    return f"{' '.join(said)}\n"


def variable(key: str) -> str:
    """Return who reads a variable of the environment."""
    return f"Read by {_listed(variables()[key])}.\n"


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


MAKERS: dict[str, Callable[[str], str]] = {
    "picture": picture,
    "command": command,
    "signature": signature,
    "setting": setting,
    "variable": variable,
}


def main() -> None:
    """Write every document anew."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        if (now := written(text)) != text:
            path.write_text(now, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(HOUSE)}\n")


if __name__ == "__main__":
    main()
