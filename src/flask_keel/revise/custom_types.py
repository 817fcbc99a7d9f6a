"""How a type is written into a file: with what it imports, and so that it runs as it stands.

Alembic writes ``my_app.types.Money()`` and leaves the import to the reader; for a decorator with
arguments it writes those of the type underneath:
https://alembic.sqlalchemy.org/en/latest/autogenerate.html#affecting-the-rendering-of-types-themselves
"""

import copy
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from alembic.autogenerate import render
from alembic.util import CommandError
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import ARRAY, TypeDecorator, TypeEngine

from .. import messages

DIALECTS = (sqlite.dialect(), postgresql.dialect(), mysql.dialect())
# an argument of such a name is no business of a file that goes into the repository
SECRETS = ("key", "secret", "password", "salt", "token")
PLAIN = (bool, int, float, str, type(None))


def render_item(own: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a renderer that imports what it writes.

    :param own: what the application gave Flask-Migrate as ``render_item``; its word counts
    """

    def rendered(kind: str, item: Any, context: Any) -> Any:
        found = own(kind, item, context) if own else False
        if found is False and kind == "server_default":
            plain = getattr(item, "arg", item)
            # Alembic would take the quotes at its ends away
            return repr(plain) if isinstance(plain, str) else False
        prefixed = context.opts.get("user_module_prefix") is not None
        if found is not False or kind != "type" or prefixed:
            return found
        return False if _known(item) and not _inner(item) else write(item, context)

    return rendered


def write(type_: TypeEngine, context: Any) -> str:
    """Return the code that makes a type of the application's, of another package, or of other types.

    Its own ``repr`` where that is Python, else a call with the arguments that can be told from the
    signature, else the type underneath.

    :raises CommandError: when none of these makes a type with the same DDL
    """
    if type_._variant_mapping:
        base = copy.copy(type_)
        base._variant_mapping = type(type_._variant_mapping)()
        code = write(base, context)
        for name, other in sorted(type_._variant_mapping.items()):
            code += f".with_variant({render._repr_type(other, context)}, {name!r})"
        return code
    if _known(type_):
        return _array(type_, context) if isinstance(type_, ARRAY) else _nested(type_, context)
    module = home(type(type_))
    for code in (repr(type_), _call(type_)):
        if code and _makes(f"{module}.{code}", module, type_):
            context.imports.add(f"import {module}")
            return f"{module}.{code}"
    if isinstance(type_, TypeDecorator):
        return render._repr_type(type_.impl_instance, context)
    raise CommandError(messages.TYPE_UNREAD.format(type=f"{module}.{type(type_).__qualname__}"))


def home(class_: type) -> str:
    """Return the shortest module that has the class: sqlalchemy_utils, not sqlalchemy_utils.types.uuid."""
    parts = class_.__module__.split(".")
    for length in range(1, len(parts)):
        name = ".".join(parts[:length])
        if getattr(importlib.import_module(name), class_.__qualname__, None) is class_:
            return name
    return class_.__module__


def _known(type_: Any) -> bool:
    return type(type_).__module__.startswith("sqlalchemy.")


def _inner(type_: TypeEngine) -> list[TypeEngine]:
    """The types that a type is made of, which its ``repr`` names without saying where they are from."""
    names = [*inspect.signature(type(type_).__init__).parameters, *vars(type_)]
    parts = [getattr(type_, name, None) for name in dict.fromkeys(names)]
    return [part for part in parts if isinstance(part, TypeEngine)]


def _nested(type_: TypeEngine, context: Any) -> str:
    code, at = repr(type_), 0
    for part in _inner(type_):
        plain, written = repr(part), render._repr_type(part, context)
        if (place := code.find(plain, at)) >= 0:
            code = code[:place] + written + code[place + len(plain) :]
            at = place + len(written)
    return f"{_prefix(type_, context)}{code}"


def _prefix(type_: TypeEngine, context: Any) -> str:
    module = type(type_).__module__
    if not module.startswith("sqlalchemy.dialects."):
        return context.opts["sqlalchemy_module_prefix"] or ""
    dialect = module.split(".")[2]
    context.imports.add(f"from sqlalchemy.dialects import {dialect}")
    return f"{dialect}."


def _array(type_: ARRAY, context: Any) -> str:
    """An array of a type that Alembic's own way, by search and replace, may not find."""
    name = f"{_prefix(type_, context)}ARRAY"
    options = ("as_tuple", "dimensions", "zero_indexes")
    given = [f"{key}={getattr(type_, key)!r}" for key in options if getattr(type_, key)]
    return f"{name}({', '.join([render._repr_type(type_.item_type, context), *given])})"


def _call(type_: TypeEngine) -> str | None:
    """The class called with what its instance remembers of its arguments."""
    arguments = []
    try:
        signature = inspect.signature(type(type_))
    except (TypeError, ValueError):
        return None
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        value = getattr(type_, name, parameter.empty)
        if isinstance(value, PLAIN) and not any(word in name for word in SECRETS):
            if value != parameter.default or type(value) is not type(parameter.default):
                arguments.append(f"{name}={value!r}")
        elif parameter.default is parameter.empty:
            return None
    return f"{type(type_).__qualname__}({', '.join(arguments)})"


def _makes(code: str, module: str, type_: TypeEngine) -> bool:
    """Whether the code makes a type of the same class that every database stores in the same way."""
    root = module.split(".")[0]
    try:
        importlib.import_module(module)
        made = eval(code, {root: importlib.import_module(root)})
    except Exception:
        return False
    return type(made) is type(type_) and all(
        _stored(made, dialect) == _stored(type_, dialect) for dialect in DIALECTS
    )


def _stored(type_: TypeEngine, dialect: Any) -> str | None:
    try:
        return type_.compile(dialect)
    except Exception:
        return None
