"""Primary keys: seen, written as ordinary operations, up and down with rows and what refers to them."""

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from .compared import CONVENTION


def models(*tables, convention=CONVENTION):
    metadata = sa.MetaData(naming_convention=convention)
    for name, *parts in tables:
        sa.Table(name, metadata, *parts)
    return metadata


def column(name, *more, kind=sa.Integer, key=False, **options):
    return sa.Column(name, kind, *more, primary_key=key, **options)


def code(*more, **options):
    return column("code", *more, kind=sa.String(20), **options)


def pair(link):
    return [
        ("one", column("id", key=True)),
        ("two", column("id", key=True)),
        (
            "t",
            *link,
            column("one_id", sa.ForeignKey("one.id"), key=not link, nullable=False),
            column("two_id", sa.ForeignKey("two.id"), key=not link, nullable=False),
        ),
    ]


CHILD = "child", lambda: (column("id", key=True), column("t_id", sa.ForeignKey("t.id")))
CHANGES = {
    "another column becomes the key": lambda: (
        [("t", column("id", key=True), code(nullable=False))],
        [("t", column("id", autoincrement=False), code(key=True))],
        "INSERT INTO t (id, code) VALUES (1, 'a'), (2, 'b')",
    ),
    "a second column joins the key": lambda: (
        [("t", column("id", key=True), code(nullable=False))],
        [("t", column("id", key=True), code(key=True))],
        "INSERT INTO t (id, code) VALUES (1, 'a'), (2, 'b')",
    ),
    "the order of the key": lambda: (
        [("t", column("a"), column("b"), sa.PrimaryKeyConstraint("a", "b"))],
        [("t", column("a"), column("b"), sa.PrimaryKeyConstraint("b", "a"))],
        "INSERT INTO t (a, b) VALUES (1, 1), (1, 2)",
    ),
    "a surrogate key": lambda: (
        [("t", code(key=True), column("n"))],
        [("t", column("id", key=True), code(nullable=False), column("n"))],
        "INSERT INTO t (code, n) VALUES ('a', 1), ('b', 2)",
    ),
    "a surrogate key in an association table": lambda: (
        pair([]),
        pair([column("id", key=True)]),
        "INSERT INTO one (id) VALUES (1), (2)",
        "INSERT INTO two (id) VALUES (1), (2)",
        "INSERT INTO t (one_id, two_id) VALUES (1, 1), (1, 2), (2, 1)",
    ),
    "a foreign key refers to it": lambda: (
        [("t", column("id", key=True), code(nullable=False)), (CHILD[0], *CHILD[1]())],
        [
            (
                "t",
                column("id", nullable=False),
                code(key=True),
                sa.UniqueConstraint("id", name="uq"),
            ),
            (CHILD[0], *CHILD[1]()),
        ],
        "INSERT INTO t (id, code) VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO child (id, t_id) VALUES (1, 2), (2, NULL)",
    ),
    "a number that counts joins the key, and leaves it": lambda: (
        [("t", code(key=True), column("n"))],
        [("t", column("id", key=True, autoincrement=True), code(key=True), column("n"))],
        "INSERT INTO t (code, n) VALUES ('a', 1), ('b', 2)",
    ),
    "a number that counts by itself becomes the key": lambda: (
        [("t", code(key=True), column("n", nullable=False))],
        [("t", code(nullable=False), column("n", key=True))],
        "INSERT INTO t (code, n) VALUES ('a', 7), ('b', 8)",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_key_changes(bench, change):
    before, after, *inserts = CHANGES[change]()
    if bench.kind == "sqlite" and "counts joins" in change:
        pytest.skip("SQLite numbers the rows by a key alone")
    before, after = models(*before), models(*after)
    bench.create(before)
    bench.run(*inserts)
    bench.round_trip(before, after)


DOUBLES = [
    (("id",), ("code",), {}),
    (("id", "code"), ("code",), {}),
    (("id",), ("code",), {"nullable": True}),
    (("id", "more"), ("more",), {}),
]


@pytest.mark.parametrize(("was", "now", "options"), DOUBLES)
def test_rows_that_a_new_key_does_not_take_leave_the_old_one(bench, was, now, options):
    def side(names, **options):
        nullable = options.get("nullable", False)
        columns = [
            column("id", key="id" in names, nullable=False, autoincrement=False),
            code(key="code" in names, nullable="code" not in names and nullable),
            column("more", key="more" in names, nullable=False),
        ]
        return models(("t", *columns))

    before, after = side(was, **options), side(now)
    bench.create(before)
    bench.run("INSERT INTO t (id, code, more) VALUES (1, 'a', 1), (2, 'a', 1)")
    bench.written(after)
    up, down = bench.code
    with pytest.raises((CommandError, sa.exc.IntegrityError)):
        bench.apply(after, up)
    with bench.engine.connect() as connection:
        key = sa.inspect(connection).get_pk_constraint("t")["constrained_columns"]
    assert tuple(key) == was
    bench.run("UPDATE t SET code = 'b', more = 2 WHERE id = 2")
    bench.apply(after, up)
    assert bench.changes(after) == ["pass"]
    bench.apply(before, down)
    assert bench.changes(before) == ["pass"]


@pytest.mark.parametrize("change", ["a foreign key refers to it", "a surrogate key"])
def test_a_key_without_a_name_changes(bench, change):
    before, after, *inserts = CHANGES[change]()
    before, after = (models(*side, convention=None) for side in (before, after))
    bench.create(before)
    bench.run(*inserts)
    bench.round_trip(before, after)


def test_the_name_of_a_key_on_postgresql(bench):
    before, after = (models(("t", column("id", key=True)), convention=c) for c in ({}, CONVENTION))
    bench.create(before)
    if bench.kind != "postgresql":
        assert bench.changes(after) == ["pass"]
        return
    bench.round_trip(before, before)
    assert "RENAME CONSTRAINT t_pkey TO pk_t" in "".join(bench.changes(after))
    bench.apply(after, bench.code[0])
    assert bench.changes(after) == ["pass"]


NUMBERS = {
    "nothing": {"autoincrement": False},
    "serial": {},
    "identity": {"identity": sa.Identity()},
    "identity always": {"identity": sa.Identity(always=True, start=5)},
}


def numbered(number, kind=sa.Integer):
    options = dict(NUMBERS[number])
    more = [identity._copy()] if (identity := options.pop("identity", None)) else []
    return models(("t", column("id", *more, key=True, kind=kind, **options), column("n")))


ONE_AND_OTHER = [(was, now) for was in NUMBERS for now in NUMBERS if was != now]


@pytest.mark.parametrize(("was", "now"), ONE_AND_OTHER)
def test_who_numbers_the_rows(bench, was, now):
    """SQLite numbers every INTEGER key, and an Identity is nothing but that on MariaDB."""
    if bench.kind == "sqlite" and was != "serial":
        pytest.skip("the same as the others")
    before, after = numbered(was), numbered(now)
    bench.create(before)
    overriding = "OVERRIDING SYSTEM VALUE" if bench.kind == "postgresql" else ""
    bench.run(f"INSERT INTO t (id, n) {overriding} VALUES (7, 1)")
    if bench.kind == "postgresql" and was != "nothing":
        bench.run("SELECT setval('t_id_seq', 7)")
    bench.round_trip(before, after)
    if now != "nothing":
        bench.run("INSERT INTO t (n) VALUES (2)")
        assert bench.rows("SELECT n FROM t WHERE id > 7") == [(2,)]


def test_a_serial_that_becomes_a_big_one_counts_further(bench):
    before, after = numbered("serial"), numbered("serial", sa.BigInteger)
    if bench.kind == "sqlite":
        pytest.skip("a BIGINT is no row number on SQLite")
    bench.create(before)
    bench.round_trip(before, after)
    bench.run("INSERT INTO t (id, n) VALUES (2147483647, 1)")
    if bench.kind == "postgresql":
        bench.run("SELECT setval('t_id_seq', 2147483647)")
    bench.run("INSERT INTO t (n) VALUES (2)")
    assert bench.rows("SELECT id FROM t WHERE n = 2") == [(2147483648,)]


def family(kind):
    """A parent that refers to itself, and a child of it."""
    key = column("id", key=True, kind=kind)
    up = column("up_id", sa.ForeignKey("t.id"), kind=kind)
    link = column("t_id", sa.ForeignKey("t.id"), kind=kind, index=True)
    return models(("t", key, up), ("child", column("id", key=True), link))


TYPES = {
    "integer to bigint": (sa.Integer(), sa.BigInteger()),
    "bigint to integer": (sa.BigInteger(), sa.Integer()),
    "text to integer": (sa.String(20), sa.Integer()),
    "integer to text": (sa.Integer(), sa.String(20)),
    "a longer text": (sa.String(20), sa.String(40)),
}


@pytest.mark.parametrize("change", TYPES)
def test_the_type_of_a_key_that_foreign_keys_point_to(bench, change):
    if bench.kind == "sqlite":
        pytest.skip("a row number has one type")
    was, now = TYPES[change]
    before, after = family(was), family(now)
    bench.create(before)
    bench.run(
        "INSERT INTO t (id, up_id) VALUES ('1', NULL), ('2', '1')",
        "INSERT INTO child (id, t_id) VALUES (1, '2'), (2, NULL)",
    )
    with bench.engine.connect() as connection:
        keys = len(sa.inspect(connection).get_foreign_keys("child"))
    bench.round_trip(before, after)
    assert [str(value) for (value,) in bench.rows("SELECT t_id FROM child WHERE id = 1")] == ["2"]
    with bench.engine.connect() as connection:
        assert len(sa.inspect(connection).get_foreign_keys("child")) == keys == 1


def test_numbers_under_names_that_need_quotes(bench):
    def make(**options):
        return models(('Or "d:er 5%', column("the: Id", key=True, **options)))

    if bench.kind != "postgresql":
        pytest.skip("a sequence has a name on PostgreSQL alone")
    bench.create(make())
    bench.round_trip(make(), make(autoincrement=False))
