"""The names that a naming convention gives to what has none of its own."""

import re
from collections.abc import Iterator, Sequence
from hashlib import sha1

import sqlalchemy as sa
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    func,
    literal_column,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import NullType

from ..lexer import without_asides
from ..typing import AnyColumn, Convention
from .create_table import CreateTable
from .model import Constraint

# The names of constraints, as the models would get them: SQLAlchemy itself applies the convention.
#
# https://docs.sqlalchemy.org/en/21/core/constraints.html#configuring-a-naming-convention-for-a-metadata-collection


CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

KINDS = {"unique": "uq", "check": "ck", "foreign key": "fk", "primary key": "pk"}

_LONGEST_CHECK = 40

# words of SQL that stand in a CHECK and are no column
_NO_COLUMN = re.compile(
    r"""all|and|any|array|as|between|case|cast|collate|current_(date|time|timestamp)|distinct|else
    |end|escape|exists|false|from|glob|i?like|in|is|isnull|match|not|notnull|null|or|regexp|select
    |similar|some|then|to|true|when|where""",
    re.IGNORECASE | re.VERBOSE,
)


class Unnameable(Exception):
    """The convention has no name for this: a token of it cannot be filled in."""


def name(
    kind: str,
    convention: Convention,
    table: str,
    columns: Sequence[str] = (),
    *,
    schema: str | None = None,
    referred: tuple[str | None, str, Sequence[str]] | None = None,
    own: str | None = None,
    text: str = "",
) -> str:
    """The name that a convention gives to a constraint or an index: SQLAlchemy itself applies it.

    ``kind`` is one of "ix", "uq", "ck", "fk", "pk". ``referred`` is the schema, table and columns
    that a foreign key points to, ``own`` the name that a CHECK was given before the convention,
    ``text`` its expression. Raises `Unnameable`.
    """
    metadata = MetaData(naming_convention=convention)
    own_columns: list[AnyColumn] = [Column(c, NullType) for c in columns]
    home = Table(table, metadata, *own_columns, schema=schema)
    made: sa.Constraint | Index
    try:
        if kind == "ix":
            made = Index(None, *home.c)
        elif kind == "uq":
            made = UniqueConstraint(*home.c)
        elif kind == "pk":
            made = PrimaryKeyConstraint(*home.c)
        elif kind == "ck":
            # a convention names a CHECK by its columns or by its words, and no expression tells both
            by_columns = columns and "column_0" in str(convention.get("ck"))
            made = CheckConstraint(
                func.uses(*home.c) if by_columns else literal_column(text), name=own
            )
        else:
            assert referred is not None
            there = home
            if referred[:2] != (schema, table):
                there = Table(referred[1], metadata, schema=referred[0])
            for column in referred[2]:
                if column not in there.c:
                    there.append_column(Column(column, NullType))
            made = ForeignKeyConstraint(columns, [there.c[c] for c in referred[2]])
        if kind != "ix":
            home.append_constraint(made)
        named = str(made.name) if isinstance(made.name, conv) else None
    except (SQLAlchemyError, KeyError, IndexError) as error:
        raise Unnameable(str(error)) from error
    if not named:
        raise Unnameable(f"the convention has nothing for {kind!r}")
    return named


def check_names(text: str, columns: Sequence[str] | None) -> Iterator[str]:
    """Short and stable names of a CHECK, the most readable first, before the convention.

    They are made of the columns that the text names; of a hash of the text where there is none,
    where they are too long, and where another check of the table is about the same columns.
    """
    plain = " ".join(text.split())
    digest = sha1(plain.encode(), usedforsecurity=False).hexdigest()[:8]
    readable = "_".join(re.sub(r"\W+", "_", column) for column in columns or ())
    if readable and len(readable) <= _LONGEST_CHECK:
        yield readable
        yield f"{readable}_{digest}"
    yield digest


def columns_of_check(text: str) -> list[str]:
    """The columns that a CHECK's text names, in its order, each of them once."""
    without_types = re.sub(r"(?i)::\s*\w+|\bas\s+\w+", " ", without_asides(text))
    words = re.findall(r'"([^"]+)"|`([^`]+)`|\b([^\W\d]\w*)\b(?!\s*\()', without_types)
    names = [quoted or ticked or bare for quoted, ticked, bare in words]
    return list(dict.fromkeys(n for n in names if not _NO_COLUMN.fullmatch(n)))


def conventional_name(
    table: CreateTable,
    constraint: Constraint,
    convention: Convention | None,
    referred_key: tuple[str, ...] = (),
) -> str | None:
    """The name that a naming convention gives to a constraint that has none of its own.

    :param referred_key: the primary key of the referred table, for REFERENCES without columns
    """
    referred = None
    if constraint.kind == "foreign key":
        columns = constraint.referred_columns or referred_key
        if len(columns) != len(constraint.columns):
            return None  # the referred table is not there
        referred = (None, constraint.referred_table, columns)
    kind, text = KINDS[constraint.kind], constraint.expression or ""
    try:
        return name(
            kind, convention or {}, table.name, constraint.columns, referred=referred, text=text
        )
    except Unnameable:
        return None  # a convention that wants a name to make a name of, or a column


def bound(table: CreateTable, parts: Sequence[sa.schema.SchemaItem]) -> sa.Table:
    """A SQLAlchemy table that has the columns of ``table``, without their types, and ``parts``."""
    own = [part for part in parts if isinstance(part, sa.Column)]
    columns: list[AnyColumn] = [
        sa.Column(c.name) for c in table.columns if c.name not in {p.name for p in own}
    ]
    return sa.Table(table.name, sa.MetaData(), *columns, *parts)
