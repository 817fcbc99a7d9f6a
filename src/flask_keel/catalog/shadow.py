"""Shadow tables: what the database says of a table of the models, asked once for each comparison."""

import importlib
import re
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy import Table as Model
from sqlalchemy.exc import CompileError, DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from ..output import plainly
from .schema import Reflected, ReflectedTable

COLUMN = re.compile(r"\(in table '[^']*', column '([^']*)'\): (.*)")
KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}

_known: WeakKeyDictionary[object, dict[object, Any]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Pair:
    """The table as it is, and as the models have it."""

    real: ReflectedTable
    twin: ReflectedTable


def pair(
    context: AutogenContext, model: Model, name: str | None = None, schema: str | None = None
) -> Pair:
    """Return both.

    :param context: the AutogenContext
    :param name: the table's name in the database, its schema None for the default one
    :raises CommandError: when the database does not take the twin, or the table cannot be read
    """
    known = _known.setdefault(context, {})
    if model not in known:
        known[model] = _ask(context, model, name or model.name, schema)
    found: Pair = known[model]
    return found


@dataclass(frozen=True)
class Compared:
    """A table that both have: as SQLAlchemy reflected it, the model, and what the database says."""

    there: Model
    model: Model
    found: Pair


def remember(context: AutogenContext, key: object, found: object) -> None:
    """Keep something until the whole comparison ends."""
    _known.setdefault(context, {})[key] = found


def remembered(context: AutogenContext, key: object) -> Any:
    """Return what was kept, two empty lists for nothing."""
    return _known.get(context, {}).get(key, ([], []))


def compared(context: AutogenContext) -> list[Compared]:
    """Return the tables that were compared so far."""
    return [found for found in _known.get(context, {}).values() if isinstance(found, Compared)]


def require_makeable(context: AutogenContext, model: Model) -> None:
    """Stop when the database has no such table: before a migration is written that cannot run.

    :raises CommandError: naming the column whose type it has not
    """
    try:
        CreateTable(model).compile(dialect=context.dialect)
    except CompileError as error:
        raise _not_made(context, model, error) from error


def _ask(context: AutogenContext, model: Model, name: str, schema: str | None) -> Pair:
    connection = live(context)
    database = _database(context)
    reals, twins = _ahead(context) if (name, schema) == (model.name, model.schema) else ({}, {})
    if model in reals and model in twins:
        return Pair(reals[model], twins[model])
    # a failure must not take the transaction along
    guard = connection.begin_nested() if context.dialect.name == "postgresql" else nullcontext()
    with guard:
        try:
            real = reals.get(model) or database.real(connection, schema, name)
        except (CommandError, SQLAlchemyError, ValueError, LookupError) as error:
            raise CommandError(
                f"The table {name} cannot be compared with its model ({_reason(error)}): leave it "
                "out with include_object, or change it by hand (make newmigration empty=1)."
            ) from error
        try:
            return Pair(real, twins.get(model) or database.twin(connection, model))
        except (CommandError, SQLAlchemyError, ValueError, LookupError) as error:
            raise _not_made(context, model, error) from error


def _ahead(context: AutogenContext) -> tuple[Reflected, Reflected]:
    """Return what could be read at once, of all that is to be compared: tables, and their twins."""
    known = _known.setdefault(context, {})
    if _ahead not in known:
        known[_ahead] = {}, {}
        with suppress(CommandError, SQLAlchemyError, ValueError, LookupError):  # see _ask
            known[_ahead] = _database(context).ahead(live(context), _looked_at(context))
    found: tuple[Reflected, Reflected] = known[_ahead]
    return found


def _looked_at(context: AutogenContext) -> list[Model]:
    """The models that nothing leaves out by their name."""
    return [
        model
        for model in context.table_key_to_table.values()
        if context.run_name_filters(model.name, "table", {"schema_name": model.schema})
    ]


def _database(context: AutogenContext) -> Any:
    return importlib.import_module(f".{_module(context.dialect.name)}", __package__)


def _not_made(context: AutogenContext, model: Model, error: Exception) -> CommandError:
    return CommandError(
        f"The model of {model.fullname} makes no table on {KINDS[_kind(context)]} "
        f"({_reason(error)}), so it cannot be compared: mend the model and try again."
    )


def _reason(error: Exception) -> str:
    inner = error.orig if isinstance(error, DBAPIError) and error.orig else error
    said = plainly(str(inner)).rstrip(".")
    found = COLUMN.match(said)
    return f"{found[1]}: {found[2]}" if found else said


def live(context: AutogenContext | MigrationContext) -> Connection:
    """The connection of a comparison: it always has one."""
    assert context.connection is not None
    return context.connection


def _kind(context: AutogenContext) -> str:
    return "mariadb" if getattr(context.dialect, "is_mariadb", False) else context.dialect.name


def _module(dialect: str) -> str:
    return "mysql" if dialect == "mariadb" else dialect
