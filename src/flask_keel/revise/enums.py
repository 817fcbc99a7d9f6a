"""PostgreSQL's enum types, through alembic-postgresql-enum, which only projects there depend on."""

import importlib.util
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from alembic.autogenerate import renderers
from alembic.operations import ops
from sqlalchemy import inspect

from ..upgrade import readable
from . import naming
from .compare.wording import literal
from .filling import FillColumn

PACKAGE = "alembic_postgresql_enum"


def load(dialect: str) -> None:
    """Let autogenerate see enum types, on PostgreSQL and where the package is installed."""
    if dialect == "postgresql" and importlib.util.find_spec(PACKAGE):
        logging.getLogger(f"alembic.{PACKAGE}").setLevel(logging.WARNING)
        importlib.import_module(PACKAGE)


def mend(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Let a file that uses the package's operations import it, so that it runs by itself.

    A value that is added is written as SQL: the package's own operation (1.11) puts it behind the
    value before which it belongs, and the next comparison would find another order. It comes before
    everything that may use it, and a value that goes goes after everything that may have used it.
    """
    for script in directives:
        for container in (script.upgrade_ops, script.downgrade_ops):
            first = [op for op in container.ops if _only(op, adds=True)]
            last = [op for op in container.ops if _only(op, adds=False)]
            rest = [op for op in container.ops if op not in first and op not in last]
            used = set(_literals(ops.OpContainer(rest)))
            # what runs next to the schema of before meets its defaults, all else those of the models
            up = container is script.upgrade_ops
            for op in container.ops:
                _meet_defaults(context, op, models=op not in (first if up else last))
            added = [part for op in first for part in _mended(context, op, used)]
            emptied = [] if up else [part for op in last for part in _emptied(context, op, script)]
            container.ops[:] = [*added, *rest, *emptied, *last]
            for op in container.ops:
                if _theirs(op) and hasattr(op, "enum_values"):
                    naming.leave_unsaid(op)  # a type comes and goes with its column
            if any(_theirs(op) and not hasattr(op, "enum_values") for op in container.ops):
                script.imports = {*script.imports, f"import {PACKAGE}  # noqa: F401"}


def _meet_defaults(context: Any, op: Any, models: bool) -> None:
    """Tell the package's operation of the defaults that it meets, as SQL: it takes the models' objects."""
    if type(op).__name__ != "SyncEnumValuesOp":
        return
    defaults = [(_model if models else _there)(context, one) for one in op.affected_columns]
    op.affected_columns = [
        replace(reference, existing_server_default=default or None)
        for reference, default in zip(op.affected_columns, defaults, strict=True)
        if default is not None
    ]


def _model(context: Any, reference: Any) -> str | None:
    """Return the default of the model's column, empty for none; None where there is no column."""
    for table in context.opts["target_metadata"].tables.values():
        home = table.schema or context.dialect.default_schema_name
        if (home, table.name) == (_schema(context, reference), reference.table_name):
            column = next((c for c in table.c if c.name == reference.column_name), None)
            default = getattr(getattr(column, "server_default", None), "arg", None)
            if column is None or default is None:
                return None if column is None else ""
            array = "[]" if reference.column_type.name == "ARRAY" else ""
            said = literal(default, context)
            return (
                said if "'::" in said else f"{said}::text{array}"
            )  # it puts the type's own name there
    return None


def _there(context: Any, reference: Any) -> str | None:
    look = inspect(context.connection)
    schema, table = _schema(context, reference), reference.table_name
    columns = look.get_columns(table, schema) if look.has_table(table, schema) else []
    for column in columns:
        if column["name"] == reference.column_name:
            return column["default"] or ""
    return None


def _schema(context: Any, reference: Any) -> str:
    given = reference.table_schema
    return given if isinstance(given, str) and given else context.dialect.default_schema_name


def _emptied(context: Any, op: Any, script: ops.MigrationScript) -> Iterator[ops.ExecuteSQLOp]:
    """Rows that were filled with a value that goes hold NULL again, as they did before."""
    quote = readable.dialect(context.dialect).identifier_preparer
    gone = set(op.old_values) - set(op.new_values)
    for fill in script.upgrade_ops.ops:
        if isinstance(fill, FillColumn) and fill.only_nulls and fill.fill.text in gone:
            table = quote.quote(fill.table_name)
            home = f"{quote.quote_schema(fill.schema)}.{table}" if fill.schema else table
            column, value = quote.quote(fill.column.name), _label(fill.fill.text)
            yield ops.ExecuteSQLOp(f"UPDATE {home} SET {column} = NULL WHERE {column} = {value}")


def _only(op: Any, adds: bool) -> bool:
    """Whether values only come, or only go."""
    if not _theirs(op) or not hasattr(op, "old_values"):
        return False
    old, new = set(op.old_values), set(op.new_values)
    return (new > old) if adds else (new < old)


def _literals(container: Any) -> Iterator[str]:
    """What the other operations may take for a value: texts of defaults, fills and conditions."""
    for op in container.ops:
        if isinstance(op, ops.OpContainer):
            yield from _literals(op)
            continue
        columns = [op.column] if isinstance(op, ops.AddColumnOp) else getattr(op, "columns", ())
        parts = [getattr(column, "server_default", None) for column in columns]
        parts += [
            getattr(op, name, None) for name in ("modify_server_default", "condition", "fill")
        ]
        for part in parts:
            text = getattr(part, "arg", getattr(part, "text", part))
            if text is not None and text is not False:
                yield from re.split(r"'", str(text))


def _mended(context: Any, op: Any, used: set[str]) -> Iterator[Any]:
    if type(op).__name__ != "AddEnumValuesOp":
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
        # a value cannot be used in the transaction that adds it:
        # https://www.postgresql.org/docs/current/sql-altertype.html#SQL-ALTERTYPE-NOTES
        new, there_already = (
            (AddValueOp, " IF NOT EXISTS") if value in used else (ops.ExecuteSQLOp, "")
        )
        added = new(f"ALTER TYPE {name} ADD VALUE{there_already} {_label(value)}{before}")
        naming.say_instead(added, ("add", op.name, value))
        yield added


class AddValueOp(ops.ExecuteSQLOp):
    """A value that the rest of the migration uses: it is committed before."""


@renderers.dispatch_for(AddValueOp)
def _render(context: Any, op: AddValueOp) -> list[str]:
    return [
        "with op.get_context().autocommit_block():",
        f"op.execute({op.sqltext!r})",
        "",
    ]


def _label(value: str) -> str:
    # op.execute takes a colon for a parameter
    return "'" + value.replace("'", "''").replace(":", "\\:") + "'"


def _theirs(op: Any) -> bool:
    return type(op).__module__.startswith(f"{PACKAGE}.operations")
