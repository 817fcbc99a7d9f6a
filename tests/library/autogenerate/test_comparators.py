"""A change is seen, written as an ordinary operation, and goes up and down without a trace."""

import databases
import pytest
import sqlalchemy as sa

from .compared import CONVENTION, Bench, model


def a(*more, kind=sa.Integer, **options):
    return sa.Column("a", kind, *more, **options)


def b(*more, kind=None, **options):
    return sa.Column("b", kind or sa.String(20), *more, **options)


def check(sql, name="rule"):
    return sa.CheckConstraint(sql, name=name)


def letters(*values, **options):
    return sa.Enum(*values, name="letters", native_enum=False, create_constraint=True, **options)


def test_generated_columns_come_after_what_they_are_computed_from_and_go_before_it(bench):
    def pairs():
        return [
            sa.Column(name, sa.Integer, *computed)
            for number in range(4)
            for name, *computed in (
                (f"c{number}", sa.Computed(f"b{number} + 1", persisted=True)),
                (f"b{number}",),
            )
        ]

    bench.round_trip(model(), model(*pairs()))
    # one that is computed no more goes and comes again
    plain = [sa.Column(name, sa.Integer) for name in ("b0", "c0")]
    new = [sa.Column(name, sa.Integer, sa.Computed("b0 + 2", persisted=True)) for name in "xy"]
    bench.round_trip(model(*pairs()), model(*new[:1], *plain, *new[1:]))
    bench.round_trip(model(*(c._copy() for c in (*plain, *new))), model())


def test_a_check_comes(bench):
    lines = bench.round_trip(
        model(a(), b()), model(a(), b(), check("a > 0")), "create_check_constraint"
    )
    assert len(lines) == 2


def test_a_check_goes(bench):
    lines = bench.round_trip(
        model(a(), b(), check("a > 0 AND b <> 'x\\:y 5%'")), model(a(), b()), "drop_constraint"
    )
    assert len(lines) == 2


def test_a_check_changes_in_its_text(bench):
    before, after = check("a > 0 AND b <> 'it''s'"), check("a > 0 AND b <> 'x\\:y 5%'")
    lines = bench.round_trip(model(a(), b(), before), model(a(), b(), after))
    assert ["drop" in lines[1], "create" in lines[2], len(lines)] == [True, True, 3]


def test_a_check_of_a_column_and_expressions_of_sqlalchemy(bench):
    one, other = a(), a()
    before = model(one, b(), sa.CheckConstraint(one.in_([1, 2, 3]), name="few"))
    after = model(other, b(), sa.CheckConstraint(sa.and_(other > 1, other < 9), name="few"))
    bench.create(before)
    bench.round_trip(before, after, "create_check_constraint")


def test_a_column_that_comes_and_goes_with_its_check(bench):
    bench.create(model(a()))
    before, after = model(a()), model(a(), b(), check("b <> 'x' OR a > 1"))
    bench.round_trip(before, after, "add_column", "create_check_constraint")


@pytest.mark.parametrize("longer", ["c", "cccc"])
def test_the_values_of_an_enum(bench, longer):
    before = model(a(kind=letters("a", "b"), server_default="a"))
    after = model(a(kind=letters("a", "b", longer), server_default="a"))
    lines = bench.round_trip(before, after, "drop_constraint", "create_check_constraint")
    assert any(line.startswith("type_=") for line in lines) == (len(longer) > 1)


def test_an_enum_on_a_new_column(bench):
    bench.round_trip(model(b()), model(b(), a(kind=letters("a", "b"))), "add_column")


def test_a_boolean_gets_its_check(bench):
    checked = sa.Boolean(create_constraint=True, name="flag")
    if bench.kind == "postgresql":
        pytest.skip("PostgreSQL has real booleans, and no CHECK for them")
    bench.round_trip(model(a(kind=sa.Boolean)), model(a(kind=checked)), "create_check_constraint")


DEFAULTS = [
    (sa.String(20), None, "it's"),
    (sa.String(20), "it's", ""),
    (sa.String(20), "", "a:b"),
    (sa.String(20), "a:b", "100%"),
    (sa.String(20), "100%", "%(x)s"),
    (sa.String(20), "'x'", "x"),
    (sa.String(20), "1", sa.text("(lower('A'))")),
    (sa.Integer, "0", "-1"),
    (sa.Integer, sa.text("0"), None),
    (sa.Boolean, sa.true(), sa.false()),
    (sa.DateTime, None, sa.func.now()),
    (sa.DateTime, sa.text("CURRENT_TIMESTAMP"), "2024-01-02 03:04:05"),
    (sa.Numeric(6, 2), "1.50", "-2.5"),
]


@pytest.mark.parametrize(("kind", "before", "after"), DEFAULTS)
def test_a_server_default(bench, kind, before, after):
    lines = bench.round_trip(
        model(b(kind=kind, server_default=before)),
        model(b(kind=kind, server_default=after)),
        "server_default",
    )
    assert sum("alter_column" in line for line in lines) == 1


def test_a_collation(bench):
    bin_ = {"sqlite": "NOCASE", "postgresql": "C"}.get(bench.kind, "utf8mb4_bin")
    collated = sa.String(20, collation=bin_)
    bench.round_trip(model(a(), b()), model(a(), b(kind=collated)), "collation=")
    bench.run("DROP TABLE t")
    bench.round_trip(model(a(), b(kind=collated)), model(a(), b()), "alter_column")


def test_a_type_alone(bench):
    bench.round_trip(model(b()), model(b(kind=sa.String(40))), "type_=sa.String(length=40)")


def test_a_generated_column(bench):
    def g(sql, **options):
        return sa.Column("g", sa.Integer, sa.Computed(sql, persisted=True), **options)

    before = model(a(), b(), g("a + 1", index=True))
    after = model(a(), b(), g("a * 2", index=True))
    bench.create(before)
    bench.run("INSERT INTO t (id, a) VALUES (1, 5)")
    lines = bench.round_trip(before, after, "drop_column('g')", "add_column", "create_index")
    assert "drop_index" in lines[1]
    with bench.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT g FROM t")).scalar() == 10


@pytest.mark.parametrize("bench", ["postgresql"], indirect=True)
@pytest.mark.parametrize("after", ["a + 1", "a * 2"])
def test_a_generated_column_makes_way_for_another_type_of_what_it_is_computed_from(bench, after):
    def made(type_, sql):
        g = sa.Column("g", sa.Integer, sa.Computed(sql, persisted=True), unique=True)
        return model(sa.Column("a", type_), g, check("g > -5"))

    before = made(sa.Integer, "a + 1")
    bench.create(before)
    bench.run("INSERT INTO t (id, a) VALUES (1, 5)")
    bench.round_trip(before, made(sa.BigInteger, after), "BigInteger")
    with bench.engine.connect() as connection:
        found = connection.execute(sa.text("SELECT a, g FROM t")).one()
    assert tuple(found) == (5, 6 if after == "a + 1" else 10)


def test_a_generated_column_becomes_ordinary_while_what_it_is_computed_from_goes(bench):
    before = model(a(), sa.Column("g", sa.Integer, sa.Computed("a + 1", persisted=True)))
    bench.create(before)
    bench.run("INSERT INTO t (id, a) VALUES (1, 5)")
    after = model(sa.Column("g", sa.Integer))
    bench.written(after)
    up, down = bench.code
    bench.apply(after, up)
    with bench.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT g FROM t")).scalar() == 6
    bench.apply(before, down)
    assert bench.changes(before) == ["pass"]


@pytest.mark.parametrize("names", [CONVENTION, {}])
@pytest.mark.parametrize("after", [None, "a * 2"])
def test_what_holds_a_generated_column_goes_and_comes_with_it(bench, names, after):
    def made(sql):
        parts = [sa.Computed(sql, persisted=True)] if sql else []
        held = sa.Column("g", sa.Integer, *parts, sa.ForeignKey("parent.id"), unique=True)
        both = sa.UniqueConstraint("g", "a")
        metadata = model(a(), held, both, check("g > -5"), check("a <> 3", "c"), convention=names)
        sa.Table("parent", metadata, sa.Column("id", sa.Integer, primary_key=True))
        return metadata

    before = made("a + 1")
    bench.create(before)
    bench.run("INSERT INTO parent VALUES (6), (10)", "INSERT INTO t (id, a) VALUES (1, 5)")
    bench.round_trip(
        before, made(after), "drop_column", "create_unique", "create_check", "create_foreign"
    )


def test_one_of_several_generated_columns_changes_and_goes(bench):
    def made(*found):
        columns = [
            sa.Column(name, sa.Integer, sa.Computed(sql, persisted=True)) for name, sql in found
        ]
        return model(a(), *columns)

    others = [("g_h", "abs(a - 1)"), ("h", "(a * 3)")]
    before = made(("g", "(a + 1)"), *others)
    bench.create(before)
    bench.run("INSERT INTO t (id, a) VALUES (1, 5)")
    for after in (made(("g", "abs(a) + 2"), *others), made(*others), made(others[0])):
        # SQLite's text of the table has what was added in one line
        bench.written(after)
        up, down = bench.code
        for _ in range(2):
            bench.apply(after, up)
            assert bench.changes(after) == ["pass"]
            bench.apply(before, down)
            assert bench.changes(before) == ["pass"]
            assert bench.rows("SELECT g, g_h, h FROM t") == [(6, 4, 15)]


def test_a_generated_column_comes_and_goes(bench):
    bench.round_trip(
        model(a()), model(a(), b(sa.Computed("a + 1", persisted=True), kind=sa.Integer)), "Computed"
    )


def index(*parts, where=None, **options):
    """An index is bound to one table: what is given is how to make it."""

    def make():
        said = [sa.text(part) if "(" in part or " " in part else part for part in parts]
        some = (
            {}
            if where is None
            else {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)}
        )
        return sa.Index("ix", *said, **some, **options)

    make.servers = where is None and not any("(" in part for part in parts)
    return make


INDEXES = [
    (None, index("lower(b)")),
    (index("lower(b)"), None),
    (index("lower(b)"), index("upper(b)")),
    (index("a"), index("a", "lower(b)")),
    (index("a"), index("a", where="a > 5")),
    (index("a", where="a > 5"), index("a", where="a > 6 AND b <> 'x\\:5%'")),
    (index("a", where="a > 5"), index("a")),
    (index("a"), index("a DESC")),
    (index("a"), index("a", unique=True)),
    (index("a"), index("b", "a")),
]


@pytest.mark.parametrize(("before", "after"), INDEXES)
def test_an_index(bench, before, after):
    both = [make for make in (before, after) if make]
    if bench.kind == "mysql" and not all(make.servers for make in both):
        pytest.skip("MariaDB has no index on expressions or a part of the rows")
    one = model(a(), b(), *([before()] if before else []))
    two = model(a(), b(), *([after()] if after else []))
    lines = bench.round_trip(one, two)
    assert sum("create_index" in line for line in lines) == bool(after)
    assert sum("drop_index" in line for line in lines) == bool(before)


def test_autoincrement(sqlite_bench):
    before, after = model(a()), model(a(), sqlite_autoincrement=True)
    sqlite_bench.create(before)
    sqlite_bench.run("INSERT INTO t (a) VALUES (1), (2)")
    sqlite_bench.round_trip(before, after, 'table_kwargs={"sqlite_autoincrement": True}')
    sqlite_bench.run("DELETE FROM t WHERE id = 2", "INSERT INTO t (a) VALUES (3)")
    with sqlite_bench.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT max(id) FROM t")).scalar() == 3


def test_a_check_without_a_name_is_found_by_its_text(sqlite_bench):
    sqlite_bench.run(
        "CREATE TABLE t (id INTEGER NOT NULL, a INTEGER CHECK (a > 0), PRIMARY KEY (id))"
    )
    assert sqlite_bench.changes(model(a(), check("a>0"))) == ["pass"]
    lines = sqlite_bench.changes(model(a(), check("a>1")))
    assert "drop_constraint" in lines[1]


@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize("direction", ["ordinary", "generated"])
def test_the_values_of_a_generated_column_stay_in_an_ordinary_one(bench, nullable, direction):
    def g(*more):
        # MariaDB has no NOT NULL on a generated column
        null = nullable or (bool(more) and bench.kind == "mysql")
        return sa.Column("g", sa.String(40), *more, nullable=null)

    concat = "b || ' 5%'" if bench.kind != "mysql" else "concat(b, ' 5%')"
    computed = model(b(nullable=False), g(sa.Computed(concat, persisted=True)))
    ordinary = model(b(nullable=False), g())
    bench.create(computed if direction == "ordinary" else ordinary)
    insert = "INSERT INTO t (id, b) VALUES (1, 'x')"
    if direction == "generated":
        insert = "INSERT INTO t (id, b, g) VALUES (1, 'x', 'lost')"
    bench.run(insert)
    both = (computed, ordinary) if direction == "ordinary" else (ordinary, computed)
    bench.round_trip(*both, "drop_column", "add_column")
    with bench.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT g FROM t")).scalar() == "x 5%"


def test_an_enum_s_check_reads_the_same_on_every_database(bench):
    before = model(a(kind=letters("a", "it's")), b(), check("b LIKE 'x%' OR id > 2"))
    if bench.kind == "mysql":
        before = model(a(kind=letters("a", "it's")), b(), check("b LIKE 'x%'"))
    bench.create(before)
    bench.written(model(a(kind=sa.String(4)), b()))
    down = bench.code[1]
    for cast in ("::", "ANY", "~~"):
        assert cast not in down, down


@pytest.mark.parametrize("indexed", [False, True])
def test_a_foreign_key_goes_with_the_index_that_the_database_made_for_it(bench, indexed):
    def made(*key, **options):
        metadata = model(sa.Column("t_id", sa.Integer, *key, **options), a())
        sa.Table("parent", metadata, sa.Column("id", sa.Integer, primary_key=True))
        return metadata

    before = made(sa.ForeignKey("parent.id"))
    after = made(index=indexed)
    bench.round_trip(before, after, "drop_constraint")
    bench.run("INSERT INTO t (id, t_id) VALUES (1, 5)")


def test_how_much_of_a_text_an_index_of_mariadb_holds_is_compared(mariadb_server):
    def said(*indexes):
        columns = sa.Column("a", sa.Text), sa.Column("b", sa.String(90)), sa.Column("n", sa.Integer)
        own = sa.Column("p", sa.Integer, sa.ForeignKey("t.id"))
        return model(*columns, own, *indexes)

    before = said(
        sa.Index("ia", "a", mysql_length=20),
        sa.Index("ib", "b", mysql_length={"b": 10}),
        sa.Index("ic", sa.text("n DESC")),
        sa.Index("ip", "p", "b"),
    )
    after = said(
        sa.Index("ia", "a", mysql_length=30),
        sa.Index("ib", "b"),
        sa.Index("ic", "n"),
        sa.Index("ip", "p", "b", mysql_length={"b": 4}),
    )
    with databases.fresh(mariadb_server) as url:
        bench = Bench(databases.engine(url, sa.QueuePool))
        upgrade = "\n".join(bench.round_trip(before, after, "mysql_length=30"))
        bench.engine.dispose()
    for name in ("ia", "ib", "ic", "ip"):
        assert upgrade.count(f"create_index('{name}'") == 1, upgrade
