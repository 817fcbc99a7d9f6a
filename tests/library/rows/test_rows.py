"""Rows made from a schema go in, whatever the schema, and every key of theirs holds."""

import databases
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from flask_keel import catalog, rows
from flask_keel.proof import comparison
from flask_keel.rows import plan

from ..proof.migrations import CONVENTION

TYPES = [
    sa.Integer(), sa.BigInteger(), sa.SmallInteger(), sa.String(3), sa.String(40), sa.Text(),
    sa.Boolean(), sa.Date(), sa.DateTime(), sa.Time(), sa.Interval(), sa.Numeric(6, 2),
    sa.Numeric(4, 4), sa.Float(), sa.Double(), sa.LargeBinary(), sa.JSON(), sa.Uuid(), sa.CHAR(5),
    sa.Enum("a", "bee", name="letter"), sa.Enum("x", "y", name="check", native_enum=False,
                                                 create_constraint=True),
]  # fmt: skip
KEYS = [sa.Integer(), sa.BigInteger(), sa.String(4), sa.String(36), sa.Uuid(), sa.Date()]
CHECKS = {
    sa.Integer: ["{0} > 17", "{0} BETWEEN 5 AND 9", "{0} <> 7", "{0} IN (3, 30, 300)"],
    sa.String: ["length({0}) = 3", "{0} IN ('one', 'two')", "{0} <> ''", "{0} LIKE 'a%'"],
    sa.Numeric: ["{0} >= 0", "{0} < 0.5"],
    sa.Date: ["{0} > '2020-01-01'"],
}


@st.composite
def schemas(draw):
    """A MetaData of a few tables that point to each other and to themselves."""
    metadata = sa.MetaData(naming_convention=CONVENTION)
    for number in range(draw(st.integers(1, 4))):
        table = sa.Table(f"t{number}", metadata)
        for place in range(draw(st.sampled_from([1, 1, 2]))):
            type_ = draw(st.sampled_from(KEYS))
            table.append_column(
                sa.Column(f"k{place}", type_, primary_key=True, autoincrement=False)
            )
        for place in range(draw(st.integers(0, 5))):
            _column(draw, table, place)
        for place in range(draw(st.integers(0, 2))):
            _pointing(draw, metadata, table, number, place)
        plain = [
            c.name
            for c in table.columns
            if not isinstance(c.type, sa.JSON | sa.LargeBinary | sa.Text)
        ]
        if draw(st.booleans()) and len(plain) > 1:
            table.append_constraint(sa.UniqueConstraint(*plain[-2:]))
    return metadata


def _column(draw, table, place):
    type_ = draw(st.sampled_from(TYPES)).copy()
    if isinstance(type_, sa.Enum):
        type_.name = f"{type_.name}{place}"
    # few labels, few rows: a unique key would leave no choice
    few = isinstance(type_, sa.Enum | sa.Boolean | sa.JSON | sa.LargeBinary | sa.Text)
    column = sa.Column(
        f"c{place}", type_, nullable=draw(st.booleans()), unique=draw(st.booleans()) and not few
    )
    checks = [c for kind, found in CHECKS.items() if isinstance(type_, kind) for c in found]
    if isinstance(type_, sa.Enum | sa.Text):
        checks = []
    if draw(st.booleans()) and checks:
        text = draw(st.sampled_from(checks)).format(column.name)
        wanted = not (isinstance(type_, sa.String) and (type_.length or 9) < 3)
        if wanted:
            column.unique = False if "IN (" in text or "= 3" in text else column.unique
            table.append_constraint(sa.CheckConstraint(text, name=f"c{place}"))
    table.append_column(column)


def _pointing(draw, metadata, table, number, place):
    target = metadata.tables[f"t{draw(st.integers(0, number))}"]
    keys = list(target.primary_key.columns)
    nullable = draw(st.booleans())
    own = [sa.Column(f"f{place}_{i}", key.type, nullable=nullable) for i, key in enumerate(keys)]
    for column in own:
        table.append_column(column)
    options = {"use_alter": True} if draw(st.booleans()) and target is not table else {}
    table.append_constraint(
        sa.ForeignKeyConstraint(
            [c.name for c in own], keys, name=f"fk_{table.name}_{place}", **options
        )
    )
    if not options and target is not table and draw(st.booleans()):
        # and back: a circle
        back = [sa.Column(f"b{number}{place}_{i}", key.type) for i, key in
                enumerate(table.primary_key.columns)]  # fmt: skip
        for column in back:
            target.append_column(column)
        target.append_constraint(
            sa.ForeignKeyConstraint(
                [c.name for c in back], list(table.primary_key.columns),
                name=f"fb_{number}_{place}", use_alter=True,
            )
        )  # fmt: skip


def fill(connection, metadata):
    """Make the tables and their rows; return how many each has got."""
    metadata.create_all(connection)
    schema = catalog.read(connection)
    plans = plan.of_schema(schema, connection.dialect.name, dict.fromkeys(schema.tables, 5))
    made = rows.fill(connection, plans)
    for label in schema.tables:
        count = connection.scalar(sa.select(sa.func.count()).select_from(sa.table(label)))
        assert count == made.rows[label] > 0, (made, _said(metadata))
    return made


def _said(metadata):
    return "".join(str(CreateTable(table)) for table in metadata.sorted_tables)


@settings(max_examples=30, deadline=None)
@given(schemas())
def test_any_schema_gets_rows_on_sqlite(metadata):
    with sa.create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        fill(connection, metadata)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        assert broken == []
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def empty(request):
    """A connection to an empty database on each of the servers."""
    server = request.getfixturevalue(f"{request.param}_server")
    with (
        databases.fresh(server) as url,
        sa.create_engine(databases.driven(url), poolclass=NullPool).connect() as connection,
    ):
        yield connection


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(metadata=schemas())
def test_any_schema_gets_rows_on_servers(empty, metadata):
    # the servers themselves look at the keys and checks
    try:
        fill(empty, metadata)
    finally:
        empty.rollback()
        if empty.dialect.name == "mysql":
            empty.exec_driver_sql("SET foreign_key_checks=0")
            for label in catalog.read(empty).tables:
                empty.exec_driver_sql(f"DROP TABLE {label}")
            empty.exec_driver_sql("SET foreign_key_checks=1")
            empty.commit()


def test_the_same_seed_gives_the_same_rows():
    metadata = sa.MetaData()
    columns = [sa.Column(f"c{number}", type_) for number, type_ in enumerate(TYPES[:-2])]
    sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    found = []
    for seed in (3, 3, 4):
        with sa.create_engine("sqlite://").connect() as connection:
            metadata.create_all(connection)
            schema = catalog.read(connection)
            plans = plan.of_schema(schema, "sqlite", {"t": 12})
            rows.fill(connection, plans, seed)
            found.append(connection.exec_driver_sql("SELECT * FROM t").all())
    assert found[0] == found[1] != found[2]


def test_rows_hold_null_and_extremes_and_what_is_odd():
    metadata = sa.MetaData()
    sa.Table(
        "t", metadata, sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer), sa.Column("s", sa.String(30)), sa.Column("d", sa.Date),
    )  # fmt: skip
    with sa.create_engine("sqlite://").connect() as connection:
        metadata.create_all(connection)
        schema = catalog.read(connection)
        rows.fill(connection, plan.of_schema(schema, "sqlite", {"t": 6}))
        numbers, texts, days = zip(
            *connection.exec_driver_sql("SELECT n, s, d FROM t").all(), strict=True
        )
    assert {None, -(2**31), 2**31 - 1} <= set(numbers)
    assert None in texts and "w" * 30 in texts and any("日本語" in (text or "") for text in texts)
    assert {None, "1901-01-01", "9999-12-31"} <= set(days)


def test_rows_of_the_history_are_respected():
    metadata = sa.MetaData()
    role = sa.Table("role", metadata, sa.Column("name", sa.String(20), primary_key=True))
    sa.Table("user", metadata, sa.Column("id", sa.Integer, primary_key=True),
             sa.Column("role", sa.ForeignKey("role.name"), nullable=False))  # fmt: skip
    with sa.create_engine("sqlite://").connect() as connection:
        metadata.create_all(connection)
        connection.execute(role.insert(), [{"name": "admin"}, {"name": "v1"}])
        schema = catalog.read(connection)
        made = rows.fill(connection, plan.of_schema(schema, "sqlite", {"user": 4, "role": 3}))
        assert made.rows == {"user": 4, "role": 3}
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_a_check_that_nothing_satisfies_is_told_with_its_reason():
    metadata = sa.MetaData()
    sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True),
             sa.CheckConstraint("id < 0 AND id > 0"))  # fmt: skip
    with sa.create_engine("sqlite://").connect() as connection:
        metadata.create_all(connection)
        made = rows.fill(connection, plan.of_schema(catalog.read(connection), "sqlite", {"t": 4}))
        assert made.rows == {"t": 0}
        assert "checks" in made.empty["t"]


@settings(max_examples=30, deadline=None)
@given(schemas())
def test_rows_that_go_in_together_are_those_that_go_in_one_by_one(metadata):
    found = []
    for together in (True, False):
        with (
            pytest.MonkeyPatch.context() as patched,
            sa.create_engine("sqlite://").connect() as one,
        ):
            if not together:
                patched.setattr(rows, "_undoes", lambda *_: False)
            made = fill(one, metadata)
            tables = sorted(metadata.tables)
            found.append((made, [one.exec_driver_sql(f"SELECT * FROM {t}").all() for t in tables]))
    assert found[0] == found[1]


OWN_TYPES = {
    "postgresql": """
        BIT(3); VARBIT(5); MACADDR; CIDR; INET; MONEY; INTERVAL; INTERVAL YEAR TO MONTH; INTERVAL DAY;
        INTERVAL DAY TO HOUR; INT4RANGE; DATERANGE; INT4MULTIRANGE; INTEGER[]; OID; CHAR(3); BYTEA; TIMETZ;
        TIME(3); TIMESTAMPTZ; TIMESTAMP(0); UUID; JSONB; REAL; NUMERIC(3); SMALLINT; TSVECTOR; BOOLEAN
    """,
    "mysql": """
        SET('a','b'); YEAR; BIT(8); BIT(1); ENUM('x','y'); TINYINT UNSIGNED; MEDIUMINT; BIGINT UNSIGNED;
        TIME(6); DATETIME(6); TIMESTAMP; TIMESTAMP(6); DECIMAL(3); FLOAT; FLOAT(5,2); DOUBLE; BINARY(16);
        VARBINARY(20); CHAR(3); NCHAR(4); INTEGER(5) ZEROFILL; BOOLEAN;
        VARCHAR(9) COLLATE utf8mb4_bin
    """
    + ("" if databases.MYSQLD else "; UUID; INET6"),
}


def test_rows_of_a_servers_own_types_differ_where_a_migration_makes_them_unique(server_url):
    engine = databases.engine(server_url).execution_options(isolation_level="READ COMMITTED")
    with engine.connect() as connection:
        kind = connection.dialect.name
        for number, type_ in enumerate(OWN_TYPES[kind].split(";")):
            made = f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, v {type_})"
            connection.exec_driver_sql(made)
        before = catalog.read(connection)
        uniques = [f"ALTER TABLE {label} ADD UNIQUE (v)" for label in before.tables]
        connection.commit()
        for unique in uniques:
            connection.exec_driver_sql(unique)
        after = catalog.read(connection)
        if kind == "mysql":
            for label in before.tables:
                connection.exec_driver_sql(f"ALTER TABLE {label} DROP INDEX v")
        else:
            connection.rollback()
        names = {(label, name): (label, name) for label in before.tables for name in ("id", "v")}
        counts = dict.fromkeys(before.tables, 6)
        made = rows.fill(connection, plan.of_schema(before, kind, counts, after, names))
        assert min(made.rows.values()) > 0, made
        for unique in uniques:
            connection.exec_driver_sql(unique)


def test_what_refuses_one_row_keeps_no_other_out():
    with sa.create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
        connection.exec_driver_sql(
            "CREATE TRIGGER tr BEFORE INSERT ON t WHEN new.n > 100 BEGIN SELECT RAISE(ABORT, 'big'); END"
        )
        schema = catalog.read(connection)
        made = rows.fill(connection, plan.of_schema(schema, "sqlite", {"t": 6}))
        numbers = connection.exec_driver_sql("SELECT n FROM t").scalars().all()
    assert made.rows == {"t": 6} and made.empty == {} and len(numbers) == 6
    assert max(number or 0 for number in numbers) <= 100


def test_a_percent_sign_in_a_name_keeps_no_row_out(server_url):
    metadata = sa.MetaData()
    columns = [sa.Column("id%", sa.Integer, primary_key=True), sa.Column("share %s", sa.Integer)]
    table = sa.Table("50%% off", metadata, *columns)
    engine = databases.engine(server_url).execution_options(isolation_level="READ COMMITTED")
    with engine.connect() as connection:
        metadata.create_all(connection)
        schema = catalog.read(connection)
        plans = plan.of_schema(schema, connection.dialect.name, {"50%% off": 3})
        made = rows.fill(connection, plans)
        taken = comparison.take(connection, schema, schema.tables)
        assert made.empty == {}
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 3
        assert [list(row) for row in taken["50%% off"]] == [["id%", "share %s"]] * 3
        connection.execute(table.insert().values({"share %s": 1}))  # the database counts on


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_check_of_a_generated_column_holds_for_what_the_row_computes(when):
    def table(*more):
        metadata = sa.MetaData()
        sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True),
                 sa.Column("rank", sa.Integer), sa.Column("Kept", sa.Integer, sa.Computed("rank + 1")),
                 sa.Column("twice", sa.Integer, sa.Computed('"Kept" * 2')), *more)  # fmt: skip
        return metadata

    def read(metadata):
        with sa.create_engine("sqlite://").connect() as connection:
            metadata.create_all(connection)
            return catalog.read(connection)

    checked = table(sa.CheckConstraint("twice BETWEEN 4 AND 9"), sa.CheckConstraint('"Kept" <> 3'))
    made = table() if when == "after" else checked
    before, later = read(made), read(checked)
    names = {("t", name): ("t", name) for name in before.tables["t"].columns}
    with sa.create_engine("sqlite://").connect() as connection:
        made.create_all(connection)
        rows.fill(connection, plan.of_schema(before, "sqlite", {"t": 6}, later, names))
        found = connection.exec_driver_sql("SELECT rank FROM t").scalars().all()
        assert len(found) == 6
        assert all(rank is None or (4 <= (rank + 1) * 2 <= 9 and rank != 2) for rank in found)


def test_a_value_with_which_a_check_cannot_be_told_does_not_end_the_asking(server_url):
    def table(*more):
        metadata = sa.MetaData()
        place = sa.Column("place", sa.BigInteger, nullable=False)
        sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), place, *more)
        return metadata

    # the greatest number has no double: the server says so, and of another it says no
    made, checked = table(), table(sa.CheckConstraint("place * 2 NOT IN (-2, 0, 2, 4)", name="c"))
    engine = databases.engine(server_url).execution_options(isolation_level="READ COMMITTED")
    with engine.connect() as connection:
        checked.create_all(connection)
        later = catalog.read(connection)
        connection.exec_driver_sql("DROP TABLE t")
        made.create_all(connection)
        before, kind = catalog.read(connection), connection.dialect.name
        names = {("t", name): ("t", name) for name in before.tables["t"].columns}
        rows.fill(connection, plan.of_schema(before, kind, {"t": 9}, later, names))
        found = connection.exec_driver_sql("SELECT place FROM t").scalars().all()
        assert len(found) == 9
        assert not {-1, 0, 1, 2} & set(found)
        assert max(map(abs, found)) < 2**62


class Money(sa.TypeDecorator):
    impl = sa.Numeric(8, 2)
    cache_ok = True


@pytest.mark.parametrize("driver", ["sqlite", "postgresql+psycopg", "mysql+pymysql"])
def test_a_number_of_a_type_of_ones_own_is_read_whatever_the_driver(driver):
    read = plan.reader(Money(), sa.make_url(f"{driver}://").get_dialect()())
    assert read is None or read(1.5) == 1.5
