"""Columns: types, collations and server defaults as the database writes them."""

import copy
from typing import Any

from alembic.autogenerate.compare.server_defaults import _setup_autoincrement
from alembic.operations import ops
from alembic.util import PriorityDispatchResult
from sqlalchemy import Computed, DefaultClause, FetchedValue, Identity, text

from . import reflected
from .twins import Pair, pair
from .wording import as_text, literal

CONTINUE, STOP = PriorityDispatchResult.CONTINUE, PriorityDispatchResult.STOP


def same_type(
    context: Any, op: ops.AlterColumnOp, schema: Any, table: str, name: str, there: Any, model: Any
) -> PriorityDispatchResult:
    """Stop before Alembic guesses, when the database writes both types in the same way."""
    found = _of(context, schema, table, name, model)
    if found is None or context.migration_context._user_compare_type is False:
        return CONTINUE
    real, twin = found
    reflected.json_columns(there.table, pair(context, model.table, table, schema).real)
    if (real.type, real.collation) != (twin.type, twin.collation):
        return CONTINUE
    op.existing_type = there.type
    return STOP


def other_type(
    context: Any, op: ops.AlterColumnOp, schema: Any, table: str, name: str, there: Any, model: Any
) -> PriorityDispatchResult:
    """Add what Alembic does not see: a collation, and on a server any other difference."""
    found = _of(context, schema, table, name, model)
    if found is None or context.migration_context._user_compare_type is False:
        return CONTINUE
    real, twin = found
    collated = real.collation != twin.collation
    # SQLite keeps a type as it was typed, so that INT and INTEGER differ there alone
    if collated or (context.dialect.name != "sqlite" and real.type != twin.type):
        op.modify_type = model.type
    if collated and hasattr(there.type, "collation") and real.collation != there.type.collation:
        op.existing_type = copy.copy(there.type)
        op.existing_type.collation = real.collation
    return CONTINUE


def server_default(
    context: Any, op: ops.AlterColumnOp, schema: Any, table: str, name: str, there: Any, model: Any
) -> PriorityDispatchResult:
    """Say whether the default is another one; generated columns are :mod:`.generated`'s."""
    found = _of(context, schema, table, name, model)
    wanted = model.server_default
    if found is None:
        return CONTINUE
    real, twin = found
    _setup_autoincrement(context, op, schema, table, name, there, model)
    if real.counts or twin.counts or isinstance(wanted, Identity):
        # where an Identity is none, and where .numbering changes one into something else
        same = real.counts == twin.counts == "identity"
        return CONTINUE if same else STOP
    if real.generated or twin.generated:
        if isinstance(there.server_default, Computed):
            op.existing_server_default = there.server_default
        return STOP
    op.existing_server_default = False
    if there.server_default is not None:
        said = literal(there.server_default.arg, context)
        op.existing_server_default = DefaultClause(text(as_text(said)))
    counted = model.table._autoincrement_column is model and wanted is None
    unknown = isinstance(wanted, FetchedValue) and not isinstance(wanted, DefaultClause)
    if real.default != twin.default and not counted and not unknown:
        op.modify_server_default = wanted
        if op.existing_server_default is False:
            op.existing_server_default = None
    return STOP


def _of(context: Any, schema: Any, table: str, name: str, model: Any) -> Any:
    found: Pair = pair(context, model.table, table, schema)
    if name not in found.real.columns or name not in found.twin.columns:
        return None
    return found.real.columns[name], found.twin.columns[name]
