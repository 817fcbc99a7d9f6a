"""SQLAlchemy's constraints and indexes as the pieces of a CREATE TABLE text."""

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import CompileError

from .operations import AddConstraint, CreateIndex, DropConstraint
from .tokens import unquote

KINDS = {
    sa.PrimaryKeyConstraint: "primary key",
    sa.UniqueConstraint: "unique",
    sa.CheckConstraint: "check",
    sa.ForeignKeyConstraint: "foreign key",
}


def constraint_name(dialect, constraint) -> str | None:
    """The name that the constraint has after the naming convention; None without one."""
    if constraint.name is None:
        return None
    return dialect.identifier_preparer.format_constraint(constraint, _alembic_quote=False)


def constraint_names(dialect, constraint) -> tuple[str, ...]:
    """The names that a constraint can go by: after the naming convention, and as it was typed."""
    final, typed = constraint_name(dialect, constraint), constraint.name
    names = [final and unquote(final)]
    if isinstance(typed, str):
        names.append(str(typed))
    return tuple(dict.fromkeys(name for name in names if name))


def wants_constraint(impl, constraint) -> bool:
    """Whether a CHECK that belongs to an Enum or a Boolean is made on this database at all."""
    rule = constraint._create_rule
    return rule is None or bool(rule(impl))


def add_constraint(dialect, constraint, unless_present: bool = False) -> AddConstraint:
    try:
        text = dialect.ddl_compiler(dialect, None).process(constraint)
    except CompileError as error:
        raise CommandError(f"This constraint cannot be added: {error}.") from None
    if not text and isinstance(constraint, sa.ForeignKeyConstraint):
        raise CommandError(
            "A foreign key cannot refer to a table of another schema on SQLite: leave it out."
        )
    return AddConstraint(text.strip(), bool(constraint._type_bound), unless_present)


def drop_constraint(dialect, constraint, if_exists: bool = False) -> DropConstraint:
    kind = next((name for class_, name in KINDS.items() if isinstance(constraint, class_)), None)
    follows = None
    if constraint._type_bound:
        follows = str(
            constraint.sqltext.compile(
                dialect=dialect, compile_kwargs={"literal_binds": True, "include_table": False}
            )
        )
    names = constraint_names(dialect, constraint)
    return DropConstraint(names, kind, if_exists, follows)


def create_index(dialect, index: sa.Index, if_not_exists: bool = False) -> CreateIndex:
    compiler = dialect.ddl_compiler(dialect, None)

    def text(expression) -> str:
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
