"""SQLAlchemy's types, defaults and columns as the pieces of a CREATE TABLE text."""

from contextlib import suppress
from typing import Any, Literal

import sqlalchemy as sa
from alembic.ddl.impl import DefaultImpl
from alembic.util import CommandError
from sqlalchemy import ColumnElement, Constraint, Dialect
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler, SQLiteDialect
from sqlalchemy.exc import CompileError, UnsupportedCompilationError
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.sql.schema import (
    CallableColumnDefault,
    ColumnElementColumnDefault,
    ScalarElementColumnDefault,
)

from ..literals import sqlite_literal
from ..typing import AnyColumn, ServerDefault, SQLType, Value
from .create_table import default_value
from .draft import (
    AddColumn,
    AddConstraint,
    CreateIndex,
    DropConstraint,
    Operation,
    RenameColumn,
    SetCollation,
    SetDefault,
    SetGenerated,
    SetNotNull,
    SetType,
)
from .tokenizer import Unreadable, quote, tokenize, unquote

KINDS = {
    sa.PrimaryKeyConstraint: "primary key",
    sa.UniqueConstraint: "unique",
    sa.CheckConstraint: "check",
    sa.ForeignKeyConstraint: "foreign key",
}


class WholeDefaults(SQLiteDDLCompiler):
    """Puts a ``text()`` that is an expression in parentheses, without which SQLite takes no default.

    SQLAlchemy 2.0.32 leaves that to whoever writes it, and newer ones where it begins with a quote;
    Alembic writes them into a migration.
    """

    def get_column_default_string(self, column: AnyColumn) -> str | None:
        said = super().get_column_default_string(column)
        default = getattr(column.server_default, "arg", None)
        if said is None or isinstance(default, ColumnElement):  # SQLAlchemy's own
            return said
        with suppress(Unreadable):  # the database says why
            return default_value(said)
        return said


SQLiteDialect.ddl_compiler = WholeDefaults


def constraint_name(dialect: Dialect, constraint: Constraint) -> str | None:
    """The name that the constraint has after the naming convention; None without one."""
    if constraint.name is None:
        return None
    name: str | None = dialect.identifier_preparer.format_constraint(
        constraint,
        _alembic_quote=False,
    )
    return name


def constraint_names(dialect: Dialect, constraint: Constraint) -> tuple[str, ...]:
    """The names that a constraint can go by: after the naming convention, and as it was typed."""
    final, typed = constraint_name(dialect, constraint), constraint.name
    names = [unquote(final)] if final else []
    if isinstance(typed, str):
        names.append(str(typed))
    return tuple(dict.fromkeys(name for name in names if name))


def wants_constraint(impl: DefaultImpl, constraint: Constraint) -> bool:
    """Whether a CHECK that belongs to an Enum or a Boolean is made on this database at all."""
    rule = constraint._create_rule
    return rule is None or bool(rule(impl))


def add_constraint(
    dialect: Dialect, constraint: Constraint, unless_present: bool = False
) -> AddConstraint:
    try:
        text = _compiler(dialect).process(constraint)
    except UnsupportedCompilationError:
        raise CommandError(
            f"SQLite has no {type(constraint).__name__}: make it only where "
            "op.get_context().dialect.name is that of a database which has it."
        ) from None
    except CompileError as error:
        raise CommandError(f"This constraint cannot be added: {error}.") from None
    if not text and isinstance(constraint, sa.ForeignKeyConstraint):
        raise CommandError(
            "A foreign key cannot refer to a table of another schema on SQLite: leave it out."
        )
    return AddConstraint(text.strip(), bool(constraint._type_bound), unless_present)


def drop_constraint(
    dialect: Dialect, constraint: Constraint, if_exists: bool = False
) -> DropConstraint:
    kind = next((name for class_, name in KINDS.items() if isinstance(constraint, class_)), None)
    follows = None
    if constraint._type_bound and isinstance(constraint, sa.CheckConstraint):
        follows = str(
            constraint.sqltext.compile(
                dialect=dialect, compile_kwargs={"literal_binds": True, "include_table": False}
            )
        )
    names = constraint_names(dialect, constraint)
    return DropConstraint(names, kind, if_exists, follows)


def create_index(dialect: Dialect, index: sa.Index, if_not_exists: bool = False) -> CreateIndex:
    compiler = _compiler(dialect)

    def text(expression: Any) -> str:
        return compiler.sql_compiler.process(expression, include_table=False, literal_binds=True)

    where = index.dialect_options["sqlite"]["where"]
    statement = sa.schema.CreateIndex(index, if_not_exists=if_not_exists)
    return CreateIndex(
        name=unquote(compiler._prepared_index_name(index)),
        sql=str(statement.compile(dialect=dialect)).strip(),
        unique=bool(index.unique),
        columns=tuple(text(expression) for expression in index.expressions),
        where=None if where is None else text(where),
        if_not_exists=if_not_exists,
    )


def _compiler(dialect: Dialect) -> DDLCompiler:
    return dialect.ddl_compiler(dialect, None)  # type: ignore[arg-type]  # as SQLAlchemy calls it


def type_text(dialect: Dialect, type_: SQLType | type[SQLType]) -> tuple[str, str | None]:
    """The declared type and its collation, which SQLAlchemy writes as one."""
    text = dialect.type_compiler_instance.process(sa.types.to_instance(type_))
    tokens = tokenize(text)
    if len(tokens) > 2 and tokens[-2].keyword == "COLLATE":
        return text[: tokens[-2].start].rstrip(), unquote(tokens[-1].text)
    return text, None


def collation_of(dialect: Dialect, type_: SQLType | None) -> str | None:
    return type_text(dialect, type_)[1] if type_ is not None else None


def default_text(dialect: Dialect, server_default: ServerDefault) -> str | None:
    """What follows DEFAULT, for whatever ``server_default`` takes."""
    if server_default is None:
        return None
    if isinstance(server_default, sa.DefaultClause | sa.FetchedValue):
        column = sa.Column("c", sa.String, server_default)
    else:
        column = sa.Column("c", sa.String, server_default=server_default)
    return _compiler(dialect).get_column_default_string(column)


def generated_text(dialect: Dialect, computed: sa.Computed) -> str:
    if computed.column is None:
        sa.Column("c", sa.String, computed)
    return _compiler(dialect).process(computed)


def add_column(
    dialect: Dialect, column: AnyColumn, rebuilds: bool = False, **where: Value
) -> AddColumn:
    """A column as CREATE TABLE has it; its keys come on their own."""
    if column.table is None:
        sa.Table("t", sa.MetaData(), column)
    try:
        compiler = _compiler(dialect)
        own = [compiler.process(constraint) for constraint in column.constraints]
        text = " ".join([compiler.get_column_specification(column), *own])
    except CompileError as error:
        raise CommandError(f"Column {column.name!r} cannot be added: {error}.") from None
    return AddColumn(column.name, text, fill=_fill(dialect, column, rebuilds), **where)


def _fill(dialect: Dialect, column: AnyColumn, rebuilds: bool) -> str | None:
    """The value of a Python-side default for the rows that are there, as SQL: Alembic writes it
    into them in its rebuild. None where the database has one itself, or where NULL will do.

    :param rebuilds: whether Alembic would rebuild the table; ADD COLUMN knows no such default
    """
    default = column.default
    if (column.nullable and not rebuilds) or column.server_default is not None or default is None:
        return None
    if isinstance(default, ColumnElementColumnDefault):
        compiled = default.arg.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        return f"({compiled})"
    if not isinstance(default, ScalarElementColumnDefault | CallableColumnDefault):
        return None
    try:
        made = isinstance(default, CallableColumnDefault)
        value = default.arg(None) if made else default.arg  # type: ignore[arg-type]  # no row is inserted
    except Exception:
        return None  # it makes its value of the other columns
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    return sqlite_literal(bind(value) if bind else value)


def add_columns(
    dialect: Dialect,
    column: AnyColumn,
    if_not_exists: bool | None = None,
    inline_references: bool | None = None,
    inline_primary_key: bool | None = None,
    insert_before: str | None = None,
    insert_after: str | None = None,
    rebuilds: bool = False,
    **unknown: object,
) -> list[Operation]:
    """A column, and the primary key when it is (part of) that; Alembic sends its other
    constraints on their own, unless they are to be inline."""
    added = add_column(
        dialect,
        column,
        rebuilds,
        before=insert_before,
        after=insert_after,
        if_not_exists=bool(if_not_exists),
        of_key=column.primary_key,
    )
    found: list[Operation] = [added]
    if inline_references and len(column.foreign_keys) == 1:
        constraint = next(iter(column.foreign_keys)).constraint
        if constraint is not None and len(constraint.columns) == 1:
            found.append(add_constraint(dialect, constraint))
    if column.primary_key:
        found.append(AddConstraint(f"PRIMARY KEY ({quote(column.name)})"))
    return found


def alter_column(
    dialect: Dialect,
    column: str,
    *,
    nullable: bool | None = None,
    server_default: ServerDefault | Literal[False] = False,
    name: str | None = None,
    type_: SQLType | None = None,
    existing_type: SQLType | None = None,
    **others: object,
) -> list[Operation]:
    """The parts of Alembic's alter_column, the rename last; comments are nothing to SQLite."""
    found: list[Operation] = []
    if type_ is not None:
        text, collation = type_text(dialect, type_)
        found.append(SetType(column, text, type_, existing_type))
        if collation or collation_of(dialect, existing_type):
            found.append(SetCollation(column, collation))
    if nullable is not None:
        found.append(SetNotNull(column, not nullable))  # a default goes in front of it
    if isinstance(server_default, sa.Computed):
        found.append(SetGenerated(column, generated_text(dialect, server_default)))
    elif server_default is None and isinstance(others.get("existing_server_default"), sa.Computed):
        found.append(SetGenerated(column, None))
    elif server_default is not False and not isinstance(server_default, sa.Identity):
        found.append(SetDefault(column, default_text(dialect, server_default)))
    if name is not None and name != column:
        found.append(RenameColumn(column, name))
    return found
