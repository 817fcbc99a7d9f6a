"""PostgreSQL's enum types, through alembic-postgresql-enum, which only projects there depend on."""

import importlib.util
import logging
from collections.abc import Iterator
from typing import Any

from alembic.operations import ops

from . import naming

PACKAGE = "alembic_postgresql_enum"


def load(dialect: str) -> None:
    """Let autogenerate see enum types, on PostgreSQL and where the package is installed."""
    if dialect == "postgresql" and importlib.util.find_spec(PACKAGE):
        logging.getLogger(f"alembic.{PACKAGE}").setLevel(logging.WARNING)
        importlib.import_module(PACKAGE)


def mend(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Let a file that uses the package's operations import it, so that it runs by itself.

    A value that is added is written as SQL: the package's own operation (1.11) puts it behind the
    value before which it belongs, and the next comparison would find another order.
    """
    for script in directives:
        for container in (script.upgrade_ops, script.downgrade_ops):
            container.ops[:] = [part for op in container.ops for part in _mended(context, op)]
            if any(_theirs(op) and not hasattr(op, "enum_values") for op in container.ops):
                script.imports = {*script.imports, f"import {PACKAGE}  # noqa: F401"}


def _mended(context: Any, op: Any) -> Iterator[Any]:
    if not _theirs(op) or type(op).__name__ != "AddEnumValuesOp":
        if _theirs(op) and hasattr(op, "enum_values"):
            naming.leave_unsaid(op)  # a type comes and goes with its column
        yield op
        return
    quote = context.dialect.identifier_preparer.quote
    schema = op.schema if op.schema != context.dialect.default_schema_name else None
    name = ".".join(quote(part) for part in (schema, op.name) if part)
    there = list(op.old_values)
    for place, value in enumerate(op.new_values):
        if value in there:
            continue
        follower = next((other for other in op.new_values[place:] if other in there), None)
        before = f" BEFORE {_label(follower)}" if follower is not None else ""
        added = ops.ExecuteSQLOp(f"ALTER TYPE {name} ADD VALUE {_label(value)}{before}")
        naming.say_instead(added, ("add", op.name, value))
        yield added


def _label(value: str) -> str:
    # op.execute takes a colon for a parameter
    return "'" + value.replace("'", "''").replace(":", "\\:") + "'"


def _theirs(op: Any) -> bool:
    return type(op).__module__.startswith(f"{PACKAGE}.operations")
