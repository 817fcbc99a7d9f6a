"""Changes of a type that a database does not make by itself."""

import datetime
import uuid

import databases
import pytest
import revising
import sqlalchemy as sa
from revising import KEY
from sqlalchemy.dialects import mysql, postgresql

from flask_keel.autogenerate import type_changes

BEFORE = KEY + (
    "size: Mapped[str] = mapped_column(sa.String(20), server_default='7')\n"
    "flag: Mapped[int | None]\n"
    "day: Mapped[str | None] = mapped_column(sa.String(20))\n"
    "number: Mapped[int | None]\n"
)
AFTER = KEY + (
    "size: Mapped[int] = mapped_column(server_default='7')\n"
    "flag: Mapped[bool | None]\n"
    "day: Mapped[date | None]\n"
    "number: Mapped[str | None] = mapped_column(sa.String(20))\n"
)


def test_rows_live_when_types_change(any_database):
    any_database.model("note", BEFORE)
    revising.applied(any_database)
    revising.execute(
        any_database,
        "INSERT INTO note (size, flag, number) VALUES ('42', 1, 5)",
        "INSERT INTO note (flag) VALUES (0)",
    )
    any_database.model("note", AFTER)
    revising.applied(any_database)
    query = "SELECT size, flag, number FROM note ORDER BY id"
    found = [
        (size, bool(flag), number) for size, flag, number in revising.rows(any_database, query)
    ]
    assert found == [(42, True, "5"), (7, False, None)]
    revising.down_and_up(any_database)
    revising.execute(any_database, "INSERT INTO note (number) VALUES ('x')")
    assert revising.rows(any_database, "SELECT size FROM note ORDER BY id") == [(42,), (7,), (7,)]


# PostgreSQL has no index of a JSON, MySQL neither that nor one of a TEXT
@pytest.mark.some(2)
@pytest.mark.parametrize(
    "any_database, type_",
    [("postgresql", "JSON"), ("mariadb", "Text"), ("mariadb", "JSON")],
    indirect=["any_database"],
)
def test_an_index_goes_before_its_column_gets_a_type_that_has_none(any_database, type_):
    rule = "__table_args__ = (sa.Index('ix_note_both', 'body', 'number'), sa.UniqueConstraint('body'))\n"
    body = "number: Mapped[int | None]\nbody: Mapped[str | None] = mapped_column(sa.{})\n"
    project = any_database
    project.model("note", KEY + body.format("String(20)") + rule)
    revising.applied(project)
    revising.execute(project, "INSERT INTO note (body) VALUES ('1')")
    project.model("note", KEY + body.format(type_))
    revising.applied(project)
    revising.down_and_up(project)
    assert [str(row[0]) for row in revising.rows(project, "SELECT body FROM note")] == ["1"]


@pytest.mark.parametrize(
    "old, new, expression",
    [
        (sa.String(), sa.Integer(), "c::INTEGER"),
        (sa.Text(), sa.Numeric(10, 2), "c::NUMERIC(10, 2)"),
        (sa.String(), sa.DateTime(), "c::TIMESTAMP WITHOUT TIME ZONE"),
        (sa.String(), postgresql.JSONB(), "c::JSONB"),
        (sa.Integer(), sa.Boolean(), "c <> 0"),
        (sa.Boolean(), sa.BigInteger(), "c::integer"),
        (sa.LargeBinary(), sa.Text(), "convert_from(c, 'UTF8')"),
        (sa.Integer(), sa.String(), None),
        (sa.Integer(), sa.BigInteger(), None),
        (sa.Integer(), sa.Numeric(), None),
        (sa.Date(), sa.DateTime(), None),
        (sa.String(5), sa.Text(), None),
        (sa.Integer(), postgresql.JSONB(), "to_json(c)"),
        (sa.Enum("a", name="e"), sa.JSON(), "to_json(c)"),
        (sa.Enum("1", name="e"), sa.Integer(), "c::text::INTEGER"),
        (sa.JSON(), sa.Date(), "(c #>> '{}')::DATE"),
        (sa.BigInteger(), sa.DateTime(timezone=True), "to_timestamp(c)"),
        (postgresql.INTERVAL(), sa.Integer(), "extract(epoch from c)"),
        (postgresql.INTERVAL(), sa.Interval(), None),
        (sa.ARRAY(sa.Text()), postgresql.ARRAY(sa.Integer()), "c::text[]::INTEGER[]"),
        (postgresql.ARRAY(sa.Integer()), sa.ARRAY(sa.Text()), None),
        (mysql.SET("a"), mysql.SET("a", "b"), None),
        (mysql.ENUM("a"), sa.String(5), None),
    ],
)
def test_using_is_written_only_where_postgresql_needs_it(old, new, expression):
    assert type_changes.using(old, new, "c") == expression


def test_text_becomes_an_interval_and_is_said_to(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.model("note", f"{KEY}body = mapped_column(sa.Text)\n")
        revising.applied(project)
        revising.execute(project, "INSERT INTO note (body) VALUES ('2 days')")
        project.model("note", f"{KEY}body = mapped_column(sa.Interval)\n")
        said = project.db("migrate").assert_ok().said
        assert "from TEXT to INTERVAL" in said
        project.db("upgrade").assert_ok()
        assert revising.rows(project, "SELECT body FROM note") == [(datetime.timedelta(days=2),)]


# what is there as each of two types: PostgreSQL has no cast between them, or another one
@pytest.mark.some(2)
@pytest.mark.parametrize(
    "old, new, stored, becomes",
    [
        ("Integer", "JSON", "7", 7),
        ("JSON", "Date", "'\"2020-02-03\"'", datetime.date(2020, 2, 3)),
        ("ARRAY(sa.Integer)", "JSON", "'{1,2}'", [1, 2]),
        ("Text", "ARRAY(sa.Integer)", "'{1,2}'", [1, 2]),
        ("Integer", "Interval", "90", datetime.timedelta(seconds=90)),
        ("DateTime", "Integer", "'1970-01-01 00:01'", 60),
        ("LargeBinary", "Uuid", "'\\x" + 16 * "01" + "'", uuid.UUID(16 * "01")),
        ("ARRAY(sa.Text)", "ARRAY(sa.Enum('a', name='mood'))", "'{a}'", "{a}"),
    ],
)
def test_values_live_between_types_that_postgresql_does_not_cast(
    new_project, postgresql_server, old, new, stored, becomes
):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        project.model("note", f"{KEY}body = mapped_column(sa.{old})\n")
        revising.applied(project)
        revising.execute(project, f"INSERT INTO note (body) VALUES ({stored}), (NULL)")
        found = revising.rows(project, "SELECT body FROM note ORDER BY id")
        project.model("note", f"{KEY}body = mapped_column(sa.{new})\n")
        revising.applied(project)
        assert revising.rows(project, "SELECT body FROM note ORDER BY id") == [(becomes,), (None,)]
        revising.assert_nothing_left(project)
        project.db("downgrade").assert_ok()
        assert revising.rows(project, "SELECT body FROM note ORDER BY id") == found


def test_numbers_are_seconds_in_every_time_zone(new_project, postgresql_server):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = f"{url}&options=-c%20TimeZone=Europe/Berlin"
        project.model("note", f"{KEY}at = mapped_column(sa.Integer)\n")
        revising.applied(project)
        revising.execute(project, "INSERT INTO note (at) VALUES (60)")
        project.model("note", f"{KEY}at = mapped_column(sa.DateTime(timezone=True))\n")
        revising.applied(project)
        found = revising.rows(project, "SELECT at AT TIME ZONE 'UTC' FROM note")
        assert found == [(datetime.datetime(1970, 1, 1, 0, 1),)]


def test_a_text_becomes_a_uuid_that_queries_find(any_database):
    dashed = "12345678-1234-4234-8234-123456789abc"
    any_database.model("note", KEY + "ref: Mapped[str | None] = mapped_column(sa.String(36))\n")
    revising.applied(any_database)
    with revising.engine(any_database).connect() as connection:
        kind = connection.dialect
    if kind.name in ("mysql", "mariadb") and not kind.supports_native_uuid:
        pytest.skip(
            "a Uuid is CHAR(32) here, which takes no dashes: the upgrade stops, and loses none"
        )
    revising.execute(any_database, f"INSERT INTO note (ref) VALUES ('{dashed}'), (NULL)")
    any_database.model("note", KEY + "ref: Mapped[uuid.UUID | None]\n", "import uuid")
    revising.applied(any_database)
    note = sa.table("note", sa.column("id"), sa.column("ref", sa.Uuid))
    query = sa.select(note.c.id).where(note.c.ref == uuid.UUID(dashed))
    with revising.engine(any_database).connect() as connection:
        assert connection.scalars(query).all() == [1]
    any_database.db("downgrade").assert_ok()
    assert revising.rows(any_database, "SELECT ref FROM note ORDER BY id") == [(dashed,), (None,)]
    any_database.db("upgrade").assert_ok()
    revising.assert_nothing_left(any_database)


@pytest.mark.parametrize("python", ["bytes", "str"])
def test_bytes_and_text_become_each_other(bare, python):
    kinds = {"bytes": "LargeBinary", "str": "Text"}
    other = "str" if python == "bytes" else "bytes"
    for name in (python, other):
        bare.model("note", KEY + f"body: Mapped[{name} | None] = mapped_column(sa.{kinds[name]})\n")
        revising.applied(bare)
        if name == python:
            stored = "x'c3a4'" if python == "bytes" else "'\u00e4'"
            revising.execute(bare, f"INSERT INTO note (body) VALUES ({stored})")
    found = {"bytes": "\u00e4".encode(), "str": "\u00e4"}
    assert revising.rows(bare, "SELECT body FROM note") == [(found[other],)]
    bare.db("downgrade").assert_ok()
    assert revising.rows(bare, "SELECT body FROM note") == [(found[python],)]
