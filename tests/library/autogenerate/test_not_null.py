"""New NOT NULL columns on the three databases: add, fill, set NOT NULL."""

import uuid
from datetime import timedelta

import databases
import pytest
import revising
import sqlalchemy as sa
from revising import KEY
from sqlalchemy import make_url

NOTE = (
    KEY
    + "title: Mapped[str] = mapped_column(sa.String(40))\n"
    + "body: Mapped[str | None] = mapped_column(sa.String(40))\n"
)


def test_rows_get_their_values_and_the_columns_are_not_null(any_database):
    any_database.model("note", NOTE)
    revising.applied(any_database)
    revising.execute(
        any_database, "INSERT INTO note (title, body) VALUES ('A', 'x'), ('B', NULL), ('C', NULL)"
    )
    any_database.model(
        "note",
        KEY + "title: Mapped[str] = mapped_column(sa.String(40))\n"
        "body: Mapped[str] = mapped_column(sa.String(40))\n"
        "slug: Mapped[str] = mapped_column(sa.String(40), unique=True)\n"
        "mood: Mapped[str] = mapped_column(sa.String(40))\n"
        "stars: Mapped[int]\n"
        "open: Mapped[bool]\n"
        "day: Mapped[date]\n"
        "at: Mapped[datetime]\n"
        "price: Mapped[float] = mapped_column(sa.Numeric(10, 2))\n"
        "facts: Mapped[dict] = mapped_column(sa.JSON)\n"
        "token: Mapped[object] = mapped_column(sa.Uuid)\n",
    )
    file = any_database.new_migration(
        "-x",
        "fill=note.slug:=lower(title),note.mood:so-so, 100% 'fine': a, b\\n,note.stars:3,note.open:true,"
        "note.day:2026-01-31,note.at:2026-01-31 12:30:00,note.price:1.50",
        "-x",
        'fill=note.facts:{"a": [1, null]},note.token:12345678-1234-5678-1234-567812345678,note.body:',
    )
    assert "add slug, mood, stars, open, day, at, price" in file.read_text()
    sql = any_database.db("upgrade", "--sql").assert_ok().out
    assert "lower(title)" in sql and "so-so, 100% ''fine'': a, b" in sql
    any_database.db("upgrade").assert_ok()

    def found(names):
        return revising.rows(any_database, f"SELECT {names} FROM note ORDER BY title")

    mood = "so-so, 100% 'fine': a, b\\n"
    for _ in range(2):
        assert found("slug, mood, body, stars") == [
            ("a", mood, "x", 3),
            ("b", mood, "", 3),
            ("c", mood, "", 3),
        ]
        assert [bool(row[0]) for row in found("open")] == [True] * 3
        assert {str(row[0])[:10] for row in found("day")} == {"2026-01-31"}
        assert {str(row[0])[:19] for row in found("at")} == {"2026-01-31 12:30:00"}
        assert {float(row[0]) for row in found("price")} == {1.5}
        columns = revising.columns(any_database, "note")
        assert not any(column["nullable"] for column in columns.values())
        revising.down_and_up(any_database)


def test_a_column_is_filled_beside_one_that_is_computed_anew_and_one_that_is_no_more(any_database):
    def model(rule, kept, more=""):
        any_database.model(
            "note",
            f"{NOTE}stars: Mapped[int]\n"
            f"score: Mapped[int | None] = mapped_column(sa.Integer, sa.Computed({rule!r}, persisted=True))\n"
            f"kept: Mapped[int | None] = mapped_column(sa.Integer{kept})\n{more}",
        )

    model("stars + 1", ", sa.Computed('stars + 2', persisted=True)")
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (title, stars) VALUES ('A', 3), ('B', 4)")
    more = "slug: Mapped[str] = mapped_column(sa.String(40))\n"
    more += "last: Mapped[int | None] = mapped_column(sa.Integer, sa.Computed('stars * 2', persisted=True))\n"
    model("stars + 5", "", more)
    revising.applied(any_database, "-x", "fill=note.slug:=lower(title)")
    for _ in range(2):
        found = revising.rows(any_database, "SELECT slug, score, kept, last FROM note ORDER BY id")
        assert found == [("a", 8, 5, 6), ("b", 9, 6, 8)]
        revising.down_and_up(any_database)


def test_rows_that_hold_null_stop_the_upgrade_before_anything_is_written(any_database):
    any_database.model("note", NOTE)
    revising.applied(any_database)
    revising.execute(
        any_database, "INSERT INTO note (title, body) VALUES ('A', 'x'), ('B', NULL), ('C', NULL)"
    )
    any_database.model(
        "note",
        KEY + "title: Mapped[str] = mapped_column(sa.String(40))\n"
        "text: Mapped[str] = mapped_column(sa.String(40))\nstars: Mapped[int | None]\n",
    )
    any_database.new_migration("-x", "rename=note.body:text")
    any_database.db("upgrade").assert_one_sentence("note.body", "2 of its rows (id ", "hold NULL")
    assert revising.columns(any_database, "note").keys() == {"id", "title", "body"}

    revising.execute(any_database, "UPDATE note SET body = 'y' WHERE body IS NULL")
    any_database.db("upgrade").assert_ok()
    assert not revising.columns(any_database, "note")["text"]["nullable"]
    revising.down_and_up(any_database)
    assert revising.rows(any_database, "SELECT text FROM note ORDER BY title") == [
        ("x",),
        ("y",),
        ("y",),
    ]


def test_a_dropped_not_null_column_comes_back_on_the_way_down(any_database):
    any_database.model(
        "note",
        NOTE + "stars: Mapped[int]\ncode: Mapped[str] = mapped_column(sa.String(9), unique=True)\n",
    )
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (title, stars, code) VALUES ('A', 3, 'c')")
    any_database.model(
        "note", NOTE + "code: Mapped[str] = mapped_column(sa.String(9), unique=True)\n"
    )
    revising.applied(any_database)
    any_database.db("downgrade").assert_ok()
    assert revising.rows(any_database, "SELECT title, stars FROM note") == [("A", 0)]
    assert not revising.columns(any_database, "note")["stars"]["nullable"]
    any_database.db("upgrade").assert_ok()

    any_database.model("note", NOTE)
    assert "# irreversible because" in revising.applied(any_database).read_text()


def test_a_dropped_column_comes_back_with_a_colon_in_its_default(any_database):
    gone = "gone: Mapped[str] = mapped_column(sa.String(9), server_default=':c d::e')\n"
    any_database.model("note", NOTE + gone)
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (title) VALUES ('A')")
    any_database.model("note", NOTE)
    revising.applied(any_database)
    revising.down_and_up(any_database)
    any_database.db("downgrade").assert_ok()
    assert revising.rows(any_database, "SELECT gone FROM note") == [(":c d::e",)]


KEYED = """import sqlalchemy as sa

from my_app.extensions import db


def table(name, *parts):
    db.Table(name, db.metadata, *parts)


def c(name, kind=sa.Integer, *more, **options):
    return sa.Column(name, kind, *more, **{"nullable": False, **options})


def key():
    return c("id", primary_key=True)


def where(name, *columns, on):
    on = {f"{kind}_where": sa.text(on) for kind in ("sqlite", "postgresql")}
    return sa.Index(name, *columns, unique=True, **on)


zero = {"server_default": "0"}
"""
# (before, after, rows): the column that goes comes back with one value for every row
HOLD = {
    "beside": (
        "key(), c('a', unique=True), c('b', **zero), sa.UniqueConstraint('a', 'b')",
        "key(), c('a', unique=True)",
        "(a, b) VALUES (1, 1), (2, 1)",
    ),
    "nulls": (
        "key(), c('a'), c('b', unique=True, nullable=True), sa.UniqueConstraint('a', 'b')",
        "key(), c('a')",
        "(a, b) VALUES (1, 1), (1, 2)",
    ),
    "chief": (
        "key(), c('a'), c('b', **zero), where('uq_chief', 'a', on='b > 0')",
        "key(), c('a')",
        "(a, b) VALUES (1, 1), (1, 0), (1, 0)",
    ),
    "pair": (
        "c('a', primary_key=True), c('b', primary_key=True, **zero)",
        "c('a', primary_key=True)",
        "(a, b) VALUES (1, 1), (2, 1)",
    ),
    "token": (
        "key(), c('a'), c('b', sa.String(36), unique=True, server_default=sa.text('{uuid}'))",
        "key(), c('a')",
        "(a, b) VALUES (1, 'x'), (2, 'y')",
    ),
}
CLASH = {
    "one": ("key(), c('a'), c('b', unique=True, **zero)", "key(), c('a')"),
    "spare": ("key(), c('a'), c('b', unique=True, nullable=True, **zero)", "key(), c('a')"),
    "two": ("key(), c('a'), c('b', **zero), sa.UniqueConstraint('a', 'b')", "key(), c('a')"),
    "bare": ("key(), c('a'), c('b'), sa.UniqueConstraint('a', 'b')", "key(), c('a')"),
    "both": (
        "key(), c('a', **zero), c('b'), sa.Index('uq_both', 'b', 'a', unique=True)",
        "key(), c('b')",
    ),
    "gone": (
        "key(), c('a'), c('b', nullable=True), where('uq_gone', 'a', on='b IS NULL')",
        "key(), c('a')",
    ),
    "moved": ("c('a'), c('b', sa.String(9), primary_key=True, **zero)", "key(), c('a')"),
    "made": (
        "key(), c('a'), c('b', **zero), "
        "c('d', sa.Integer, sa.Computed('b + 1', persisted=True), nullable=True, unique=True)",
        "key(), c('a')",
    ),
    "child": (
        "key(), c('a'), c('b', sa.Integer, sa.ForeignKey('one.id'), **zero)",
        "key(), c('a')",
    ),
}


@pytest.mark.skipif(not databases.MYSQLD, reason="Oracle's MySQL alone refuses such a column")
@pytest.mark.parametrize("any_database", ["mariadb"], indirect=True)
def test_a_default_that_is_another_in_each_row_comes_to_rows_that_are_there(any_database):
    """Oracle's MySQL adds no column that has one: it is added, told its default, and filled."""
    any_database.model("post", KEY)
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO post VALUES (1), (2)")
    uuid = "mapped_column(sa.String(40), server_default=sa.text('(uuid())'))"
    number = "mapped_column(sa.Double, server_default=sa.text('(rand())'))"
    columns = f"token: Mapped[str] = {uuid}\nshade: Mapped[float | None] = {number}\n"
    any_database.model("post", KEY + columns)
    said = any_database.db("migrate").assert_ok().said
    assert "without a default" not in said
    any_database.db("upgrade").assert_ok()
    revising.assert_nothing_left(any_database)
    found = revising.rows(any_database, "SELECT token, shade FROM post")
    assert len(set(found)) == 2 and None not in found[0]
    revising.execute(any_database, "INSERT INTO post (id) VALUES (3)")
    any_database.model("post", KEY)
    revising.applied(any_database)
    revising.down_and_up(any_database)


def test_a_downgrade_brings_a_key_back_with_its_rows_or_says_why_it_cannot(any_database):
    kind = make_url(any_database.env.get("DEV_DATABASE_URL", "sqlite://")).get_backend_name()
    uuid = "gen_random_uuid()" if kind == "postgresql" else "(uuid())"
    hold, clash = dict(HOLD), dict(CLASH)
    if kind == "sqlite":  # where a new column has one value, whatever makes it
        clash["token"], uuid = hold.pop("token")[:2], "(hex(randomblob(16)))"
    if kind == "mysql":  # which has no partial indexes
        del hold["chief"], clash["gone"]
    if databases.MYSQLD:  # no column comes there with a default that is another in each row
        del hold["token"]

    def write(hold_place, clash_place):
        tables = {name: sides[hold_place] for name, sides in hold.items()}
        tables |= {name: sides[clash_place] for name, sides in clash.items()}
        lines = [f"table({name!r}, {parts})\n" for name, parts in tables.items()]
        models = KEYED + "".join(lines).replace("{uuid}", uuid)
        any_database.write("my_app/models/tables.py", models)

    write(0, 0)
    revising.applied(any_database)
    rows = [f"INSERT INTO {name} {rows}" for name, (_, _, rows) in hold.items()]
    revising.execute(any_database, *rows)
    write(1, 0)
    assert "irreversible" not in revising.applied(any_database, "-x", "rename=none").read_text()
    revising.down_and_up(any_database)

    write(1, 1)
    file = any_database.new_migration("-x", "rename=none").read_text()
    said = [line.strip() for line in file.splitlines() if "# irreversible because" in line]
    for name in clash:
        assert any(f" {name}." in line for line in said), (name, said)
    assert len(said) == len(clash)
    assert "fails its proof" not in any_database.db("check").err


ENUM = "sa.Enum('new', 'it\\'s', native_enum=False, create_constraint=True, name='state')"


@pytest.mark.some(3)
@pytest.mark.one_of_each
@pytest.mark.parametrize(
    "kind, rule, gone, back",
    [
        (ENUM, None, "'new'", "new"),
        ("sa.String(9)", "gone IN ('b', 'c')", "'c'", "b"),
        ("sa.String(9)", "length(gone) > 3", "'long'", "aaaa"),
        ("sa.Integer", "gone > 0", "7", 1),
        ("sa.Integer", "gone BETWEEN 5 AND 9", "7", 5),
    ],
)
def test_a_dropped_column_comes_back_with_a_value_that_its_check_allows(
    any_database, kind, rule, gone, back
):
    column = f"gone: Mapped[object] = mapped_column({kind}, nullable=False)\n"
    if rule:
        column += f"__table_args__ = (sa.CheckConstraint({rule!r}),)\n"
    any_database.model("note", NOTE + column)
    revising.applied(any_database)
    revising.execute(any_database, f"INSERT INTO note (title, gone) VALUES ('A', {gone})")
    any_database.model("note", NOTE)
    revising.applied(any_database)
    any_database.db("downgrade").assert_ok()
    assert revising.rows(any_database, "SELECT gone FROM note") == [(back,)]
    any_database.db("upgrade").assert_ok()


def test_a_dropped_column_whose_check_nothing_fulfils_is_said_to_be_gone_for_good(any_database):
    rule = "__table_args__ = (sa.CheckConstraint(\"gone LIKE '%@%.%' AND length(gone) > 7\"),)\n"
    any_database.model("note", NOTE + "gone: Mapped[str] = mapped_column(sa.String(9))\n" + rule)
    revising.applied(any_database)
    any_database.model("note", NOTE)
    assert "# irreversible because" in revising.applied(any_database).read_text()


@pytest.mark.one_of_each
@pytest.mark.parametrize(
    "kind, typed, value",
    [
        ("sa.Uuid", str(uuid.UUID(int=2**120 + 5)), uuid.UUID(int=2**120 + 5)),
        ("sa.Interval", "90", timedelta(seconds=90)),
    ],
)
def test_the_nulls_of_a_column_get_the_value_as_the_application_reads_it(
    any_database, kind, typed, value
):
    def more(null):
        return f"more: Mapped[object] = mapped_column({kind}, nullable={null})\n"

    any_database.model("note", NOTE + more(True))
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (title) VALUES ('A')")
    any_database.model("note", NOTE + more(False))
    revising.applied(any_database, "-x", f"fill=note.more:{typed}")
    type_ = {"sa.Uuid": sa.Uuid, "sa.Interval": sa.Interval}[kind]
    query = sa.select(sa.table("note", sa.column("more", type_)).c.more)
    with revising.engine(any_database).connect() as connection:
        assert connection.execute(query).scalars().all() == [value]
