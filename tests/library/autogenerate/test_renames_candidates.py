"""Which columns and tables may have become which, and in which order they are shown."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from flask_keel.autogenerate import renames

SQLITE = sqlite.dialect()


def table(name, *columns):
    return sa.Table(name, sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *columns)


def order(old, new):
    found = sorted(renames.likely_columns(renames.Pair.of(old, new), SQLITE), reverse=True)
    return [name for _, _, name in found]


def test_columns_of_different_families_are_no_candidates():
    old = table("t", sa.Column("a", sa.String(10)))
    new = table("t", sa.Column("b", sa.Integer), sa.Column("c", sa.JSON), sa.Column("d", sa.Date))
    assert order(old, new) == []


def test_type_counts_before_nullability_and_nullability_before_the_name():
    old = table("t", sa.Column("bio", sa.String(80), nullable=False))
    new = table(
        "t",
        sa.Column("biog", sa.Text, nullable=False),
        sa.Column("biographical", sa.String(80)),
        sa.Column("x", sa.String(80), nullable=False),
    )
    assert order(old, new) == ["x", "biographical", "biog"]


def test_default_keys_position_and_name_decide_in_this_order():
    old = table("t", sa.Column("bio", sa.String(80), unique=True, server_default="x"))
    new = table(
        "t",
        sa.Column("biog", sa.String(80), unique=True),
        sa.Column("bi", sa.String(80), server_default="x"),
        sa.Column("zzz", sa.String(80), unique=True, server_default="x"),
        sa.Column("bios", sa.String(80), unique=True, server_default="x"),
    )
    assert order(old, new) == ["zzz", "bios", "bi", "biog"]


def test_families_are_those_of_what_the_database_stores():
    assert renames.families(sa.Uuid(), SQLITE) == {"text"}
    assert renames.families(sa.Uuid(), postgresql.dialect()) == {"UUID"}
    assert "boolean" in renames.families(mysql.TINYINT(display_width=1), mysql.dialect())
    assert "JSON" in renames.families(mysql.LONGTEXT(), mysql.dialect())
    assert renames.families(sa.Enum("a", name="e"), postgresql.dialect()) == {"text"}
    assert renames.families(sa.PickleType(), SQLITE) == {"binary"}


def test_tables_are_candidates_when_most_columns_are_in_both():
    name, label = sa.Column("name", sa.String), sa.Column("label", sa.String)
    old = table("tag", name)
    near = table("label", label)
    far = table("log", sa.Column("at", sa.DateTime), sa.Column("size", sa.Integer))
    found = [new.name for _, _, new in renames.likely_tables([old], [near, far], SQLITE)]
    assert found == ["label"]
