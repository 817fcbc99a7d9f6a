"""What Alembic does not write into a file by itself: renames, remarks, custom types and their imports."""

import copy
import importlib
import inspect
import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import (
    Dialect,
    Enum,
    False_,
    ForeignKeyConstraint,
    Identity,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    True_,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import ARRAY, TypeDecorator, TypeEngine

from ..project import Environment
from ..typing import AnyColumn, SQLType
from . import summary

# How a type is written into a file: with what it imports, and so that it runs as it stands.
#
# Alembic writes ``my_app.types.Money()`` and leaves the import to the reader; for a decorator with
# arguments it writes those of the type underneath:
# https://alembic.sqlalchemy.org/en/latest/autogenerate.html#affecting-the-rendering-of-types-themselves


# they say nothing of their types
NEW: tuple[Callable[[], Dialect], ...] = (sqlite.dialect, postgresql.dialect, mysql.dialect)
# those on which a file is to run
DIALECTS = {dialect.name: dialect for dialect in (make() for make in NEW)}
# an argument of such a name is no business of a file that goes into the repository
SECRETS = ("key", "secret", "password", "salt", "token")
PLAIN = (bool, int, float, str, type(None))


def render_item(own: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a renderer that imports what it writes.

    :param own: what the application gave Flask-Migrate as ``render_item``; its word counts
    """

    def rendered(kind: str, item: Any, context: AutogenContext) -> Any:
        found = own(kind, item, context) if own else False
        if found is False and kind == "server_default":
            plain = getattr(item, "arg", item)
            if isinstance(plain, True_ | False_):  # SQLite's 1 and 0, which PostgreSQL refuses
                return f"{context.opts['sqlalchemy_module_prefix']}{plain}()"
            # Alembic would take the quotes at its ends away
            return repr(plain) if isinstance(plain, str) else False
        prefixed = context.opts.get("user_module_prefix") is not None
        if found is not False or kind != "type" or prefixed:
            return found
        return False if known(item) and not _inner(item) else write_type(item, context)

    return rendered


def write_type(type_: SQLType, context: AutogenContext) -> str:
    """Return the code that makes a type of the application's, of another package, or of other types.

    What it stores, of a decorator over an enum; else its own ``repr`` where that is Python, else a call
    with the arguments that can be told from the signature, else the type underneath.

    :raises CommandError: when none of these makes a type with the same DDL
    """
    if type_._variant_mapping:
        base = copy.copy(type_)
        base._variant_mapping = type(type_._variant_mapping)()
        code = write_type(base, context)
        for name, other in sorted(type_._variant_mapping.items()):
            code += f".with_variant({render._repr_type(other, context)}, {name!r})"
        return code
    if known(type_):
        special: dict[type, Callable[..., str]] = {ARRAY: _array, postgresql.DOMAIN: _domain}
        own = next((way for kind, way in special.items() if isinstance(type_, kind)), _nested)
        return own(type_, context)
    decorator = type_ if isinstance(type_, TypeDecorator) else None
    if decorator and isinstance(decorator.impl_instance, Enum):  # migrations make and change them
        stored = _underneath(decorator, context)
        if stored is not None:
            return render._repr_type(stored, context)
    module = home(type(type_))
    for call in (repr(type_), _call(type_)):
        if call and _makes(f"{module}.{call}", module, type_):
            context.imports.add(f"import {module}")
            return f"{module}.{call}"
    if decorator:
        return render._repr_type(decorator.impl_instance, context)
    raise CommandError(
        f"{module}.{type(type_).__qualname__} cannot be written into a migration: give it a "
        "__repr__ that is the Python which makes it."
    )


def _underneath(type_: TypeDecorator[Any], context: AutogenContext) -> SQLType | None:
    """What the databases store of a decorator; None where that cannot be told by its DDL."""
    try:
        parts = {name: _public(type_.load_dialect_impl(it)) for name, it in DIALECTS.items()}
        made = base = parts["mysql"]  # which may be called mariadb as well
        for name, part in parts.items():
            if _stored(part, DIALECTS[name]) != _stored(base, DIALECTS[name]):
                made = made.with_variant(part, name)
    except Exception:  # it is not for all of them
        made = type_.impl_instance
    if any(_stored(made, it) != _stored(type_, it) for it in DIALECTS.values()):
        return None
    name = context.dialect.name if context.dialect is not None else ""
    if name == "postgresql" and isinstance(made, Enum) and made.native_enum and made.name:
        # which the migration itself makes
        made = _Made(*made.enums, name=made.name, schema=made.schema)
    return made


class _Made(postgresql.ENUM):
    __module__ = postgresql.ENUM.__module__

    def __repr__(self) -> str:
        return f"{super().__repr__().replace('_Made(', 'ENUM(')[:-1]}, create_type=False)"


def _public(type_: SQLType) -> SQLType:
    """The type by a name that can be imported: dialects have some of their own for their drivers."""
    for class_ in type(type_).__mro__:
        module = class_.__module__
        if not module.startswith("sqlalchemy."):
            break
        home = ".".join(module.split(".")[: 3 if ".dialects." in module else 1])
        if getattr(importlib.import_module(home), class_.__name__, None) is class_:
            return type_ if class_ is type(type_) else type_.adapt(class_)
    return type_


def is_more(model: SQLType, there: SQLType) -> bool:
    """Whether a model's type, SQLAlchemy's or an enum, is another one elsewhere than what is here."""
    enum = isinstance(getattr(model, "impl_instance", None), Enum)
    return (known(model) or enum) and any(
        _stored(model, dialect) != _stored(there, dialect) for dialect in DIALECTS.values()
    )


def home(class_: type) -> str:
    """Return the shortest module that has the class: sqlalchemy_utils, not sqlalchemy_utils.types.uuid."""
    parts = class_.__module__.split(".")
    for length in range(1, len(parts)):
        name = ".".join(parts[:length])
        if getattr(importlib.import_module(name), class_.__qualname__, None) is class_:
            return name
    return class_.__module__


def known(type_: SQLType) -> bool:
    """Whether a type is SQLAlchemy's own."""
    return type(type_).__module__.startswith("sqlalchemy.")


def _inner(type_: SQLType) -> list[SQLType]:
    """The types that a type is made of, which its ``repr`` names without saying where they are from."""
    names = [*inspect.signature(type(type_).__init__).parameters, *vars(type_)]
    parts = [getattr(type_, name, None) for name in dict.fromkeys(names)]
    return [part for part in parts if isinstance(part, TypeEngine)]


def _nested(type_: SQLType, context: AutogenContext) -> str:
    code, at = repr(type_), 0
    for part in _inner(type_):
        plain, written = repr(part), render._repr_type(part, context)
        if (place := code.find(plain, at)) >= 0:
            code = code[:place] + written + code[place + len(plain) :]
            at = place + len(written)
    return f"{_prefix(type_, context)}{code}"


def _prefix(type_: SQLType, context: AutogenContext) -> str:
    module = type(type_).__module__
    if not module.startswith("sqlalchemy.dialects."):
        return context.opts["sqlalchemy_module_prefix"] or ""
    dialect = module.split(".")[2]
    context.imports.add(f"from sqlalchemy.dialects import {dialect}")
    return f"{dialect}."


def _array(type_: ARRAY[Any], context: AutogenContext) -> str:
    """An array of a type that Alembic's own way, by search and replace, may not find."""
    name = f"{_prefix(type_, context)}ARRAY"
    options = ("as_tuple", "dimensions", "zero_indexes")
    given = [f"{key}={getattr(type_, key)!r}" for key in options if getattr(type_, key)]
    return f"{name}({', '.join([render._repr_type(type_.item_type, context), *given])})"


def _domain(type_: postgresql.DOMAIN, context: AutogenContext) -> str:
    """A domain with its rule; where the migration itself makes it, a table does not make another."""
    given = [repr(str(type_.name)), render._repr_type(type_.data_type, context)]
    options = ("schema", "collation", "default", "constraint_name", "not_null", "check")
    for name in options if type_.create_type else ():
        value = getattr(type_, name)
        if value not in (None, False):
            code = f"{context.opts['sqlalchemy_module_prefix']}text({str(value)!r})"
            given.append(f"{name}={value!r}" if isinstance(value, PLAIN) else f"{name}={code}")
    if context.dialect is not None and context.dialect.name == "postgresql":
        given.append("create_type=False")
    return f"{_prefix(type_, context)}DOMAIN({', '.join(given)})"


def _call(type_: SQLType) -> str | None:
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


def _makes(code: str, module: str, type_: SQLType) -> bool:
    """Whether the code makes a type of the same class that every database stores in the same way."""
    root = module.split(".")[0]
    try:
        importlib.import_module(module)
        made = eval(code, {root: importlib.import_module(root)})
    except Exception:
        return False
    return type(made) is type(type_) and all(
        _stored(made, dialect) == _stored(type_, dialect) for dialect in DIALECTS.values()
    )


def _stored(type_: SQLType, dialect: Dialect) -> str | None:
    try:
        return type_.compile(dialect)
    except Exception:
        return None


KEYWORDS = ("existing_autoincrement", "postgresql_using")


@dataclass(eq=False)
class Remark(ops.MigrateOperation):
    """A comment between the operations.

    :param text: one line, without the number sign
    :param alone: nothing else stands beside it, and Python wants a statement
    """

    text: str
    alone: bool = False
    said = ()


IMPORT = "import flask_keel"


@dataclass(eq=False)
class LibraryCall(ops.MigrateOperation):
    """A call of one of the functions that a migration may use of this library.

    :param call: as it is written: ``require_no_nulls('post', 'slug')``
    """

    call: str
    said = ()


@renderers.dispatch_for(Remark)
def _remark(context: AutogenContext, op: Remark) -> list[str]:
    return [f"# {op.text}", *(["pass"] if op.alone else [])]


@renderers.dispatch_for(LibraryCall)
def _library_call(context: AutogenContext, op: LibraryCall) -> str:
    context.imports.add(IMPORT)
    return f"flask_keel.{op.call}"


@renderers.dispatch_for(ops.RenameTableOp)
def _rename_table(context: AutogenContext, op: ops.RenameTableOp) -> str:
    prefix = context.opts["alembic_module_prefix"] or ""
    schema = f", schema={op.schema!r}" if op.schema else ""
    return f"{prefix}rename_table({op.table_name!r}, {op.new_table_name!r}{schema})"


@renderers.dispatch_for(ops.AlterColumnOp, replace=True)
def _alter_column(context: AutogenContext, op: ops.AlterColumnOp) -> str:
    written = render._alter_column(context, op)
    for key in KEYWORDS:
        if op.kw.get(key):
            written = f"{written[:-1]},\n{' ' * 11}{key}={op.kw[key]!r})"
    existing = op.existing_server_default
    if isinstance(existing, Identity) and op.modify_server_default is not False:
        # PostgreSQL alters and drops one in other words than a default
        said = render._render_server_default(existing, context)
        written = f"{written[:-1]},\n{' ' * 11}existing_server_default={said})"
    return written


@render._constraint_renderers.dispatch_for(PrimaryKeyConstraint, replace=True)
def _primary_key(
    constraint: PrimaryKeyConstraint, context: AutogenContext, *more: Any
) -> str | None:
    written = render._render_primary_key(constraint, context, *more)
    if written is None:
        return None
    given = {key: getattr(constraint, key) for key in ("deferrable", "initially")}
    options = [f"{key}={value!r}" for key, value in given.items() if value is not None]
    options += render._render_dialect_kwargs_items(context, constraint.dialect_kwargs)
    return f"{', '.join([written[:-1], *options])})"


@render._constraint_renderers.dispatch_for(ForeignKeyConstraint, replace=True)
def _foreign_key(
    constraint: ForeignKeyConstraint, context: AutogenContext, *more: Any
) -> str | None:
    written = render._render_foreign_key(constraint, context, *more)
    if written and constraint.deferrable is False:
        return f"{written[:-1].rstrip(', ')}, deferrable=False)"
    return written


@dataclass(eq=False)
class Backfill(ops.MigrateOperation):
    """The example to begin with: it runs as it stands, and changes nothing."""

    table: Table | None
    column: AnyColumn | None


def write_skeleton(project: Environment) -> None:
    """Hand a skeleton to the command that writes the file; no database is asked."""
    offline = {"as_sql": True, "target_metadata": project.metadata, "upgrade_token": "upgrades"}
    offline |= {"downgrade_token": "downgrades", "sqlalchemy_module_prefix": "sa."}
    offline |= {"alembic_module_prefix": "op.", "user_module_prefix": None}
    offline |= {"process_revision_directives": _fill}
    offline |= {"render_item": render_item(project.options.get("render_item"))}
    context = MigrationContext.configure(dialect=project.engine.dialect, opts=offline)
    project.revision_context.run_no_autogenerate((), context)


def _fill(
    context: MigrationContext, revision: object, directives: list[ops.MigrationScript]
) -> None:
    for script in directives:
        words = re.findall(r"\w+", (script.message or "").lower())
        summary.directions(script)[0].ops[:] = [
            Backfill(*_likely(context.opts["target_metadata"], words))
        ]
        why = "irreversible because the values from before are not kept"
        summary.directions(script)[1].ops[:] = [Remark(why, alone=True)]


def _likely(metadata: MetaData, words: list[str]) -> tuple[Table | None, AnyColumn | None]:
    """The table and the column that the message seems to be about."""
    tables = metadata.sorted_tables
    named = [table for table in tables if _said(table.name, words)] or tables
    for table in named:
        for column in table.c:
            if _said(column.name, words) and not column.primary_key:
                return table, column
    if not named:
        return None, None
    plain = [column for column in named[0].c if not column.primary_key]
    return named[0], plain[0] if plain else None


def _said(name: str, words: Iterable[str]) -> bool:
    name = name.lower()
    return any(word in (name, f"{name}s", f"{name}es") for word in words)


@renderers.dispatch_for(Backfill)
def _render(context: AutogenContext, op: Backfill) -> list[str]:
    if op.table is None or op.column is None:
        return ["# change the rows here, with sa.table(...), never with the models", "pass"]
    context.imports.add(IMPORT)
    plain = op.table.name.isidentifier() and not keyword.iskeyword(op.table.name)
    name = op.table.name if plain else "table"
    columns = [*op.table.primary_key.columns, op.column]
    schema = [f"    schema={op.table.schema!r},"] if op.table.schema else []
    types = [(column.name, render._repr_type(column.type, context)) for column in columns]
    lines = [f"    sa.column({column!r}, {kind})," for column, kind in types]
    said = [f"{name} = sa.table(", f"    {op.table.name!r},", *lines, *schema, ")"]
    return [
        "# the table with the columns that this needs; never the models, which change with the time",
        "\n".join(said),
        "flask_keel.backfill(\n"
        f"    {name},\n"
        f"    where=sa.false(),  # which rows: {name}.c[{op.column.name!r}].is_(None)\n"
        f"    set={{{op.column.name!r}: {name}.c[{op.column.name!r}]}},"
        "  # column: a value, or an expression\n"
        "    batch=1000,\n"
        ")",
    ]
