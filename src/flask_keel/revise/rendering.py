"""What Alembic does not write into a file by itself: renamed tables, keywords, comments."""

from typing import Any

from alembic.autogenerate import render, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint, Identity, PrimaryKeyConstraint

KEYWORDS = ("existing_autoincrement", "postgresql_using")


class Remark(ops.MigrateOperation):
    """A comment between the operations.

    :param text: one line, without the number sign
    :param alone: nothing else stands beside it, and Python wants a statement
    """

    def __init__(self, text: str, alone: bool = False) -> None:
        self.text = text
        self.alone = alone
        self.said = ()


IMPORT = "import flask_keel"


class LibraryCall(ops.MigrateOperation):
    """A call of one of the functions that a migration may use of this library.

    :param call: as it is written: ``require_no_nulls('post', 'slug')``
    """

    def __init__(self, call: str) -> None:
        self.call = call
        self.said = ()


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
    for keyword in KEYWORDS:
        if op.kw.get(keyword):
            written = f"{written[:-1]},\n{' ' * 11}{keyword}={op.kw[keyword]!r})"
    existing = op.existing_server_default
    if isinstance(existing, Identity) and op.modify_server_default is not False:
        # PostgreSQL alters and drops one in other words than a default
        said = render._render_server_default(existing, context)
        written = f"{written[:-1]},\n{' ' * 11}existing_server_default={said})"
    return written


@render._constraint_renderers.dispatch_for(PrimaryKeyConstraint, replace=True)
def _primary_key(constraint: PrimaryKeyConstraint, context: AutogenContext, *more: Any) -> Any:
    written = render._render_primary_key(constraint, context, *more)
    if written is None:
        return None
    given = {key: getattr(constraint, key) for key in ("deferrable", "initially")}
    options = [f"{key}={value!r}" for key, value in given.items() if value is not None]
    options += render._render_dialect_kwargs_items(context, constraint.dialect_kwargs)
    return f"{', '.join([written[:-1], *options])})"


@render._constraint_renderers.dispatch_for(ForeignKeyConstraint, replace=True)
def _foreign_key(constraint: ForeignKeyConstraint, context: AutogenContext, *more: Any) -> Any:
    written = render._render_foreign_key(constraint, context, *more)
    if constraint.deferrable is False:
        return f"{written[:-1].rstrip(', ')}, deferrable=False)"
    return written
