"""A type in other words is the same type where the database says so, and another where it does not."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from .compared import model

SAME = [
    (sa.Double(), sa.DOUBLE_PRECISION()),
    (sa.Float(53), sa.Float(53)),
    (sa.Numeric(9, 2), sa.DECIMAL(9, 2)),
    (sa.Integer(), sa.INTEGER()),
    (sa.String(9), sa.VARCHAR(9)),
    (sa.Text(), sa.UnicodeText()),
    (sa.String(9), sa.Unicode(9)),
]
OWN_SAME = {
    "sqlite": [
        (sa.Float(), sa.Double()),
        (sa.Double(), sa.Float()),
        (sa.Float(), sa.REAL()),
        (sa.DOUBLE_PRECISION(), sa.Float(24)),
        (sa.Uuid(), sa.CHAR(32)),
    ],
    "postgresql": [
        (sa.Float(), sa.Double()),
        (sa.Double(), sa.Float(53)),
        (sa.REAL(), sa.Float(24)),
        (sa.DateTime(), sa.TIMESTAMP()),
    ],
    "mysql": [
        (sa.Double(), sa.REAL()),
        (sa.Boolean(), mysql.TINYINT(1)),
        (sa.JSON(), mysql.JSON()),
    ],
}
OTHER = {
    "sqlite": [(sa.Float(), sa.Integer()), (sa.Double(), sa.Numeric()), (sa.Float(), sa.Text())],
    "postgresql": [(sa.Float(), sa.REAL()), (sa.Double(), sa.Numeric()), (sa.JSON(), sa.Text())],
    "mysql": [
        (sa.Float(), sa.Double()),
        (sa.DateTime(), sa.TIMESTAMP()),
        (sa.JSON(), mysql.LONGTEXT()),
        (mysql.LONGTEXT(), sa.JSON()),
        (sa.Text(), sa.JSON()),
        (sa.JSON(), sa.Text()),
    ],
}


def table(pairs, which, nullable=True):
    columns = (
        sa.Column(f"c{place}", pair[which], nullable=nullable) for place, pair in enumerate(pairs)
    )
    return model(*columns)


def test_a_type_in_other_words_is_no_change(bench):
    pairs = [*SAME, *OWN_SAME[bench.kind]]
    bench.create(table(pairs, 0))
    assert bench.changes(table(pairs, 1)) == ["pass"]


@pytest.mark.parametrize("nullable", [True, False])
def test_another_type_is_a_change_that_goes_up_and_down(bench, nullable):
    pairs = OTHER[bench.kind]
    lines = bench.round_trip(table(pairs, 0, nullable), table(pairs, 1, nullable))
    assert sum("type_=" in line for line in lines) == len(pairs)
    assert "constraint" not in "".join(lines)
