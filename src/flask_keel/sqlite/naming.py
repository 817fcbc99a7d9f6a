"""The names that a naming convention gives to what has none of its own."""

import sqlalchemy as sa
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.sql.elements import conv

from .create_table import Constraint, CreateTable


def conventional_name(
    table: CreateTable, constraint: Constraint, convention, referred_key: tuple[str, ...] = ()
) -> str | None:
    """The name that a naming convention gives to a constraint that has none of its own.

    :param referred_key: the primary key of the referred table, for REFERENCES without columns
    """
    if not convention:
        return None
    table_made = bound(table, [], convention)
    # a convention names a CHECK by its columns or by its words, and no expression tells both
    by_columns = "column_0" in str(convention.get("ck"))
    try:
        made = _same_constraint(table_made, constraint, referred_key, by_columns)
        table_made.append_constraint(made)
    except (InvalidRequestError, IndexError):
        return None  # a convention that wants a name to make a name of, or a column
    return str(made.name) if isinstance(made.name, conv) else None


def _same_constraint(
    table: sa.Table, constraint: Constraint, referred_key: tuple[str, ...], by_columns: bool
):
    columns = constraint.columns
    if constraint.kind == "unique":
        return sa.UniqueConstraint(*columns)
    if constraint.kind == "primary key":
        return sa.PrimaryKeyConstraint(*columns)
    if constraint.kind == "check" and not by_columns:
        return sa.CheckConstraint(sa.literal_column(constraint.expression))
    if constraint.kind == "check":
        return sa.CheckConstraint(sa.func.uses(*(table.c[name] for name in columns)))
    referred = constraint.referred_columns or referred_key
    if len(referred) != len(columns):
        raise InvalidRequestError("the referred table is not there")
    targets = [f"{constraint.referred_table}.{name}" for name in referred]
    return sa.ForeignKeyConstraint(columns, targets)


def bound(table: CreateTable, parts, convention=None) -> sa.Table:
    """A SQLAlchemy table that has the columns of ``table``, without their types, and ``parts``."""
    own = [part for part in parts if isinstance(part, sa.Column)]
    columns = [sa.Column(c.name) for c in table.columns if c.name not in {p.name for p in own}]
    metadata = sa.MetaData(naming_convention=convention or None)
    return sa.Table(table.name, metadata, *columns, *parts)
