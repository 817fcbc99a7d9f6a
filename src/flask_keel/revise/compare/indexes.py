"""Indexes: on expressions, on a part of the rows, in an order or collation of their own."""

from typing import Any

from alembic.operations import ops
from sqlalchemy import Index as ModelIndex
from sqlalchemy import Table as Model
from sqlalchemy import literal_column, text

from .facts import Index
from .twins import Pair
from .wording import as_text


def compare(
    context: Any, change: ops.ModifyTableOps, found: Pair, there: Any, model: Model
) -> None:
    """Correct what Alembic made of the indexes: by what the database says of them."""
    models = {str(index.name): index for index in model.indexes}
    real, twin = found.real.indexes, found.twin.indexes
    for name in sorted(real.keys() | twin.keys()):
        if name in real and name in twin and real[name].plain == twin[name].plain:
            _forget(change, name)
        elif context.dialect.name in ("mysql", "mariadb"):
            continue  # Alembic knows which indexes MySQL made for itself
        elif name in real and name in twin:
            _drop(context, change, real[name], there)
            _create(context, change, name, models)
        elif name in twin:
            _create(context, change, name, models)
        elif _ours(context, name, there):
            _drop(context, change, real[name], there)


def _of(change: ops.ModifyTableOps, kind: type, name: str) -> list[Any]:
    return [op for op in change.ops if isinstance(op, kind) and str(op.index_name) == name]


def _forget(change: ops.ModifyTableOps, name: str) -> None:
    both = (ops.DropIndexOp, ops.CreateIndexOp)
    change.ops[:] = [op for op in change.ops if op not in _of(change, both, name)]  # type: ignore[arg-type]


def _create(context: Any, change: ops.ModifyTableOps, name: str, models: dict[str, Any]) -> None:
    index = models.get(name)
    if index is None or _of(change, ops.CreateIndexOp, name):
        return
    if context.run_object_filters(index, name, "index", False, None):
        change.ops.append(ops.CreateIndexOp.from_index(index))


def _drop(context: Any, change: ops.ModifyTableOps, index: Index, there: Any) -> None:
    if _of(change, ops.DropIndexOp, index.name):
        return
    old = known(index, there)
    if old is not None and context.run_object_filters(old, index.name, "index", True, None):
        change.ops.insert(0, ops.DropIndexOp.from_index(old))


def known(index: Index, there: Any) -> ModelIndex | None:
    """Return the index that is there, as SQLite's text says it or as SQLAlchemy reflected it."""
    if not index.parts:
        return next((found for found in there.indexes if found.name == index.name), None)
    columns = {quoted: column for column in there.c for quoted in _spellings(column.name)}
    parts = [columns.get(part, literal_column(part)) for part in index.parts]
    where = {"sqlite_where": text(as_text(index.where))} if index.where else {}
    made = ModelIndex(index.name, *parts, unique=index.unique, **where)
    made._set_parent(there)
    there.indexes.discard(made)
    return made


def _spellings(name: str) -> tuple[str, ...]:
    return name, '"' + name.replace('"', '""') + '"'


def _ours(context: Any, name: str, there: Any) -> bool:
    parents = {"table_name": there.name, "schema_name": there.schema}
    return context.run_name_filters(name, "index", parents)
