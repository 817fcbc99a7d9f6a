"""What the database says of a table and of its twin, asked once for each table of a comparison."""

import importlib
import logging
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from alembic.util import CommandError
from sqlalchemy import Table as Model
from sqlalchemy.exc import SQLAlchemyError

from .facts import Table

log = logging.getLogger(__name__)
_known: WeakKeyDictionary = WeakKeyDictionary()


@dataclass(frozen=True)
class Pair:
    """The table as it is, and as the models have it."""

    real: Table
    twin: Table


def pair(
    context: Any, model: Model, name: str | None = None, schema: str | None = None
) -> Pair | None:
    """Return both; None where the database does not take the twin, so that Alembic's own guess stands.

    :param context: the AutogenContext
    :param name: the table's name in the database, its schema None for the default one
    """
    known = _known.setdefault(context, {})
    if model not in known:
        known[model] = _ask(context, model, name or model.name, schema)
    return known[model]


def remember(context: Any, key: Any, found: Any) -> None:
    """Keep something until the whole comparison ends."""
    _known.setdefault(context, {})[key] = found


def remembered(context: Any, key: Any) -> Any:
    """Return what was kept, two empty lists for nothing."""
    return _known.get(context, {}).get(key, ([], []))


def _ask(context: Any, model: Model, name: str, schema: str | None) -> Pair | None:
    connection = context.connection
    database = importlib.import_module(f".{_module(context.dialect.name)}", __package__)
    # a failure must not take the transaction along
    guard = connection.begin_nested() if context.dialect.name == "postgresql" else nullcontext()
    try:
        with guard:
            return Pair(database.real(connection, schema, name), database.twin(connection, model))
    except (CommandError, SQLAlchemyError, ValueError, LookupError) as error:
        log.warning("%s is compared without its CHECKs and expressions: %s", name, error)
        return None


def _module(dialect: str) -> str:
    return "mysql" if dialect == "mariadb" else dialect
