"""What is written down of a rehearsal, and how values are spelled in it."""

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_keel import literals, statements
from flask_keel.lexer import string

CHANGES = (
    "INSERT INTO t VALUES (1)",
    "  -- note\n/* and */ UPDATE t SET a = 1",
    "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
    "WITH [insert] AS (SELECT 1), b(c) AS (VALUES (1)) DELETE FROM t",
    "WITH x AS (SELECT ')' || \"(\") REPLACE INTO t SELECT * FROM x",
    "PRAGMA user_version = 3",
    "PRAGMA main.user_version(3)",
    "PRAGMA legacy_alter_table=ON",
    "PRAGMA optimize",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "RELEASE a",
    "REINDEX",
    "CREATE TABLE t AS SELECT 1",
)
READS = (
    "SELECT 1",
    "VALUES (1)",
    "/* INSERT */ -- INSERT\n select 1",
    "WITH x AS (SELECT 'INSERT') SELECT * FROM x",
    'WITH "insert" AS (SELECT 1) SELECT * FROM "insert"',
    "EXPLAIN QUERY PLAN DELETE FROM t",
    "PRAGMA user_version",
    "PRAGMA main.user_version",
    "PRAGMA table_info(t)",
    "PRAGMA main.table_xinfo('t')",
    "PRAGMA foreign_key_check(t)",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "",
    "-- nothing",
)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=20),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.sampled_from("\0\r\n'\"?:-;é"), max_size=8),
)


@pytest.mark.parametrize("sql", CHANGES)
def test_what_changes_is_written_down(sql):
    assert statements.changes(sql)


@pytest.mark.parametrize("sql", READS)
def test_what_only_reads_is_not(sql):
    assert not statements.changes(sql)


@settings(deadline=None, max_examples=300)
@given(value=values)
def test_a_literal_reads_back_as_the_same_value(value):
    with closing(sqlite3.connect(":memory:")) as connection:
        text = literals.sqlite_literal(value)
        assert not {"\0", "\r"} & set(text)
        bound = connection.execute("SELECT ?, typeof(?1)", (value,)).fetchone()
        assert connection.execute(f"SELECT {text}, typeof({text})").fetchone() == bound


@settings(deadline=None, max_examples=100)
@given(row=st.tuples(values, values, values))
def test_placeholders_of_every_kind_take_the_parameter_that_sqlite_gives_them(row):
    forms = {
        "SELECT ?, ' ? ', ?, \"?\", ?, -? -- ?": (*row, 5),
        "SELECT ?3, ?1, /* ? */ ?2, ?": (*row, 6),
        "SELECT:a, @b, $c, ':a', [a], :a FROM (SELECT 1 AS a)": dict(zip("abc", row, strict=True)),
        "SELECT 1 LIMIT?": (1,),
        "SELECT 7-?AS x": (-1,),
    }
    with closing(sqlite3.connect(":memory:")) as connection:
        for sql, parameters in forms.items():
            text = literals.inline(sql, parameters)
            assert (
                connection.execute(text).fetchall()
                == connection.execute(sql, parameters).fetchall()
            )


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(":ab\\$ 'é9_%"), max_size=10))
def test_colons_and_backslashes_stay_what_they_are_in_a_text_of_sqlalchemys(value):
    with closing(sqlite3.connect(":memory:")) as raw:
        engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
        with engine.connect() as connection:
            text = sa.text(literals.as_text(f"SELECT {string(value)}"))
            assert connection.scalar(text) == value
