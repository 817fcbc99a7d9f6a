"""A type that is made of types is written so that it runs, whatever database it is written on."""

import itertools

import pytest
import sqlalchemy as sa
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.migration import MigrationContext
from sqlalchemy.dialects import mysql, postgresql, sqlite

import flask_keel.sqlite.impl  # noqa: F401  (registers itself)
from flask_keel.autogenerate import render as autogenerate_render

DIALECTS = {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql}
TYPES = [
    sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
    sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql"),
    sa.JSON().with_variant(postgresql.JSON(astext_type=sa.Unicode(9)), "postgresql"),
    sa.JSON().with_variant(postgresql.ARRAY(sa.Text()), "postgresql"),
    sa.JSON().with_variant(postgresql.ARRAY(sa.Integer(), dimensions=2), "postgresql"),
    sa.JSON().with_variant(sa.ARRAY(sa.Text()), "postgresql"),
    sa.JSON().with_variant(sa.ARRAY(sa.Enum("a", "b", name="ab")), "postgresql"),
    sa.JSON().with_variant(sa.ARRAY(postgresql.ENUM("a", "it's", name="ab")), "postgresql"),
    sa.JSON().with_variant(sa.ARRAY(postgresql.JSONB()), "postgresql"),
    sa.JSON().with_variant(postgresql.ARRAY(postgresql.HSTORE()), "postgresql"),
    sa.Text().with_variant(postgresql.HSTORE(), "postgresql"),
    sa.Text().with_variant(postgresql.DOMAIN("mail", sa.String(50)), "postgresql"),
    sa.Text().with_variant(postgresql.DOMAIN("tags", postgresql.ARRAY(sa.Text())), "postgresql"),
    sa.ARRAY(sa.String(5)).with_variant(sa.JSON(), "sqlite", "mysql"),
    sa.ARRAY(sa.String(5).with_variant(postgresql.CITEXT(), "postgresql"))
    .with_variant(sa.JSON(), "sqlite")
    .with_variant(mysql.JSON(), "mysql"),
    postgresql.ARRAY(sa.Numeric(8, 2), as_tuple=True).with_variant(sa.JSON(), "sqlite", "mysql"),
    sa.String(40).with_variant(mysql.VARCHAR(40, collation="utf8mb4_bin"), "mysql"),
    sa.String(40)
    .with_variant(postgresql.CITEXT(), "postgresql")
    .with_variant(sa.String(40, collation="NOCASE"), "sqlite")
    .with_variant(mysql.VARCHAR(40, charset="ascii"), "mysql", "mariadb"),
    sa.String(9).with_variant(postgresql.INT4RANGE(), "postgresql"),
    sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite"),
    sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"),
    sa.Interval().with_variant(postgresql.INTERVAL(precision=3), "postgresql"),
    sa.PickleType().with_variant(mysql.LONGBLOB(), "mysql"),
    sa.Uuid().with_variant(sa.CHAR(36), "mysql"),
    sa.Enum("a", "b", name="ab", native_enum=False).with_variant(mysql.ENUM("a", "b"), "mysql"),
]


def stored(type_):
    for dialect in DIALECTS.values():
        try:
            yield type_.compile(dialect.dialect())
        except sa.exc.UnsupportedCompilationError:
            yield None


def written(type_, dialect):
    """The type that the code of a type makes, and the code."""
    options = {
        "sqlalchemy_module_prefix": "sa.",
        "alembic_module_prefix": "op.",
        "user_module_prefix": None,
        "render_item": autogenerate_render.render_item(None),
    }
    context = AutogenContext(
        MigrationContext.configure(dialect_name=dialect), sa.MetaData(), options, False
    )
    code = render._repr_type(type_, context)
    names: dict = {"sa": sa}
    exec("\n".join(context.imports), names)
    return eval(code, names), code


@pytest.mark.parametrize(("type_", "dialect"), [*itertools.product(TYPES, DIALECTS)], ids=str)
def test_the_code_of_a_type_makes_the_type(type_, dialect):
    made, code = written(type_, dialect)
    assert list(stored(made)) == list(stored(type_)), code
    # what is not stored otherwise, but read and written otherwise: None as JSON's null, tuples
    assert repr(made) == repr(type_)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_domain_keeps_its_rule(dialect):
    domain = postgresql.DOMAIN(
        "mail",
        sa.String(50),
        check=sa.text("VALUE <> 'it''s'"),
        not_null=True,
        default="none",
        constraint_name="rule",
        collation="C",
    )
    made, _ = written(sa.Text().with_variant(domain, "postgresql"), dialect)
    own = made._variant_mapping["postgresql"]
    create = postgresql.CreateDomainType(own).compile(dialect=postgresql.dialect())
    assert str(create) == str(
        postgresql.CreateDomainType(domain).compile(dialect=postgresql.dialect())
    )
    assert own.create_type == (dialect != "postgresql")
