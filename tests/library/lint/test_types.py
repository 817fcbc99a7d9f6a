"""What is counted before a change of type: the rows that stand in its way, and no others."""

import databases
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from flask_keel.lint import types

DAY, MOMENT = "2024-02-29", "2024-02-29 12:30:00"
UUID = "123e4567-e89b-12d3-a456-426614174000"
# the types, values that can be converted, values that cannot, and where that can be told
CASES = [
    (sa.String(40), sa.Integer(), ["7", "-12"], ["", "abc", "7.5", "1e3"]),
    (sa.String(40), sa.Numeric(8, 2), ["7", "-12.50", ".5"], ["", "abc", "1.2.3", "-", "1-2"]),
    (sa.String(40), sa.Float(), ["7", "0.25"], ["", "abc"]),
    (sa.String(40), sa.Boolean(), ["1", "0"], ["", "maybe"]),
    (sa.String(40), sa.Enum("a", "it's", name="e"), ["a", "it's"], ["b", ""]),
    (sa.String(40), sa.Uuid(), [UUID, UUID.replace("-", "")], ["", "abc", UUID[:-1], UUID[:-1] + "x"]),
    (sa.String(40), sa.Date(), [DAY], ["yesterday"]),
    (sa.String(40), sa.DateTime(), [MOMENT], ["yesterday"]),
    (sa.String(40), sa.Time(), ["12:30:00"], ["noon"]),
    (sa.String(40), sa.JSON(), ["{}", "[1]"], ["{", "it's"]),
    (sa.Integer(), sa.Boolean(), [0, 1], [2, -1]),
    (sa.Numeric(8, 2), sa.Integer(), [2, 3], [2.5]),
    (sa.BigInteger(), sa.Double(), [2**53], [2**53 + 1]),
    (sa.Double(), sa.Numeric(8, 2), [0.25, 0.1, 1e5], [0.125]),
    (sa.DateTime(), sa.Time(), [], [MOMENT]),
    (sa.Integer(), sa.Date(), [], [20240229]),
    (sa.DateTime(), sa.Date(), ["2024-02-29 00:00:00"], [MOMENT]),
    (sa.Numeric(10, 4), sa.Numeric(6, 2), [1234.25], [1.125, 12345]),
]  # fmt: skip
UNTOLD = {("postgresql", "JSON")}


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def connection(request):
    if request.param == "sqlite":
        with sa.create_engine("sqlite://").connect() as connection:
            yield connection
        return
    server = request.getfixturevalue(f"{request.param}_server")
    with databases.fresh(server) as url, databases.engine(url).connect() as connection:
        yield connection


ON_SERVERS = [
    (sa.Numeric(30, 20), sa.Double(), ["0.1", "1234567.125"], ["0.12345678901234567891"]),
    (sa.Double(), {"postgresql": sa.REAL(), "mysql": mysql.FLOAT()}, [0.5], [0.123456789]),
    (
        {"postgresql": sa.DateTime(), "mysql": mysql.DATETIME(fsp=6)},
        {"postgresql": postgresql.TIMESTAMP(precision=0), "mysql": mysql.DATETIME()},
        [MOMENT],
        [f"{MOMENT}.25"],
    ),
]


@pytest.mark.parametrize(("old", "new", "good", "bad"), ON_SERVERS)
def test_fractions_that_go_are_found(old, new, good, bad, connection):
    kind = "mysql" if connection.dialect.name == "mariadb" else connection.dialect.name
    if kind == "sqlite":
        pytest.skip("which keeps them")
    here = [type_.get(kind) if isinstance(type_, dict) else type_ for type_ in (old, new)]
    test_the_rows_in_the_way_are_found_and_no_others(*here, good, bad, connection)


@pytest.mark.parametrize(
    ("old", "new", "good", "bad"), CASES, ids=lambda value: getattr(value, "__visit_name__", "")
)
def test_the_rows_in_the_way_are_found_and_no_others(old, new, good, bad, connection):
    name = connection.dialect.name
    _, condition = types.verdict(old, new, "c", connection.dialect)
    if (name, new.__visit_name__) in UNTOLD:
        assert condition == ""
        return
    table = sa.Table("m", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("c", sa.Text()))
    table.c.c.type = old
    connection.exec_driver_sql("DROP TABLE IF EXISTS m")
    table.create(connection)
    for number, value in enumerate([*good, *bad, None]):
        said = "NULL" if value is None else value
        if isinstance(value, str):
            said = "'" + value.replace("'", "''") + "'"
        connection.exec_driver_sql(f"INSERT INTO m VALUES ({number}, {said})")
    query = sa.text(f"SELECT id FROM m WHERE {condition} ORDER BY id".replace(":", "\\:"))
    found = connection.execute(query)
    assert [number for (number,) in found] == list(range(len(good), len(good) + len(bad))), (
        condition
    )


def test_a_percent_sign_is_said_once(connection):
    said = types.said(sa.Enum("5%", name="per%"), connection.dialect)
    assert ("%" in said and "%%" not in said) or connection.dialect.name == "sqlite"


def test_where_no_condition_tells_the_values_are_to_be_looked_at(tmp_path):

    from . import linting

    body = """with op.batch_alter_table("user") as batch_op:
    batch_op.alter_column("code", type_=sa.LargeBinary())"""
    (finding,) = linting.judge(tmp_path, body)
    assert finding.instead == (
        "-- look at them first: SELECT code, count(*) FROM user GROUP BY code"
    )


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ("create_unique_constraint('uq', ['age'])", "(2, 5), (3, 5), (4, NULL), (5, NULL)"),
        ("create_index('uq', ['age'], unique=True, sqlite_where=sa.text('id < 4'))",
         "(2, 5), (3, 5), (4, 6), (5, 6)"),
        ("create_index('uq', [sa.text('abs(age)')], unique=True)", "(2, 5), (3, -5)"),
    ],
)  # fmt: skip
def test_duplicates_are_counted_as_the_key_sees_them(change, bad, tmp_path):

    from . import linting

    body = f'with op.batch_alter_table("user") as batch_op:\n    batch_op.{change}'
    (finding,) = linting.judge(tmp_path, body)
    query = finding.instead.removeprefix("-- count them first: ")
    with sa.create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE user (id INTEGER PRIMARY KEY, age INTEGER)")
        connection.exec_driver_sql(f"INSERT INTO user VALUES {bad}")
        assert connection.exec_driver_sql(query).all() == [(5, 2)]


@pytest.mark.parametrize("key", ["user_id", "id", "author_id"])
def test_rows_that_point_to_nothing_are_counted_where_parents_hold_null(key, tmp_path):

    from . import linting

    body = f"""with op.batch_alter_table("post") as batch_op:
    batch_op.create_foreign_key("fk", "user", ["{key}"], ["age"])"""
    first = linting.FIRST.replace('"age", sa.Integer()', '"age", sa.Integer(), unique=True')
    (finding,) = linting.judge(tmp_path, body, first=first)
    query = finding.instead.removeprefix("-- count them first: ")
    with sa.create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE user (id INTEGER PRIMARY KEY, age INTEGER)")
        connection.exec_driver_sql(f"CREATE TABLE post ({key} INTEGER)")
        connection.exec_driver_sql("INSERT INTO user VALUES (1, 10), (2, NULL)")
        connection.exec_driver_sql("INSERT INTO post VALUES (10), (11), (NULL), (12)")
        assert connection.exec_driver_sql(query).scalar() == 2
