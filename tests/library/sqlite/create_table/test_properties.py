import os
import sqlite3

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.tokenizer import Unreadable, fold, quote, tokenize

from ..strategies import Table, fill, rows, tables
from .asking import verify
from .changes import NEW, every_change
from .facts import collations, database, facts, facts_of_text, stored_text

# KEEL_EXAMPLES=5000 for a long run
patient = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=int(os.environ.get("KEEL_EXAMPLES", "40")),
)


@given(tables())
@patient
def test_any_table_is_read_as_sqlite_reads_it(written: Table):
    connection = database(written.sql)
    stored = stored_text(connection)
    assert written.sql.endswith(stored.removeprefix("CREATE TABLE "))
    table = CreateTable.parse(stored)
    assert table.sql == stored
    assert (table.name, tuple(c.name for c in table.columns)) == (written.name, written.columns)
    assert facts_of_text(table) == facts(connection, table.name)
    assert {c.name: (c.collation or "binary").upper() for c in table.columns} == collations(
        connection, table.name
    )


@given(tables(), st.data())
@patient
def test_any_edits_of_any_table_do_what_was_asked_and_no_more(written: Table, data):
    sql = written.sql
    for _ in range(data.draw(st.integers(1, 3), label="edits")):
        connection = database(sql)
        table = CreateTable.parse(stored_text(connection))
        asked = data.draw(
            st.sampled_from(list(every_change(table, facts(connection, table.name)))),
            label="edit",
        )
        verify(table, asked)
        sql = asked.edit(table).sql
        if asked.label.startswith(("rename", "add column")):
            break


@given(tables(), st.data())
@patient
def test_rows_fit_into_the_table_they_are_drawn_for(written: Table, data):
    connection = database(written.sql)
    values = data.draw(rows(written))
    taken = fill(connection, written, values)
    stored = connection.execute(f"SELECT count(*) FROM {quote(written.name)}").fetchone()[0]
    assert stored <= taken <= len(values)


@given(tables(), st.data())
@patient
def test_a_column_is_renamed_as_sqlite_renames_it(written: Table, data):
    old = data.draw(st.sampled_from(written.columns))
    connection = database(written.sql)
    ours = CreateTable.parse(stored_text(connection)).rename_column(old, NEW)
    try:
        connection.execute(
            f"ALTER TABLE {quote(written.name)} RENAME COLUMN {quote(old)} TO {quote(NEW)}"
        )
    except sqlite3.OperationalError:
        # SQLite stumbles over a key of a table WITHOUT ROWID that has the same columns twice
        assume(False)
    assert meaning(ours.sql) == meaning(stored_text(connection))


def meaning(sql: str) -> list[str]:
    """The tokens of a text, whatever quotes its names are in."""
    names = ("word", "quoted", "string")
    return [fold(t.name) if t.kind in names else t.text for t in tokenize(sql)]


@given(tables(), st.data())
@patient
def test_a_broken_text_is_read_or_refused_in_a_sentence(written: Table, data):
    sql = written.sql
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(sql)))
        piece = data.draw(st.sampled_from(["", "(", ")", ",", "'", '"', "[", "/*", "--", " NOT "]))
        sql = sql[:at] + piece + sql[at + data.draw(st.integers(0, 3)) :]
    try:
        connection = database(sql)
    except (sqlite3.Error, sqlite3.Warning):
        connection = None
    try:
        table = CreateTable.parse(stored_text(connection) if connection else sql)
    except Unreadable as refused:
        assert "\n" not in str(refused)
        assert connection is None or "the foreign key of another column" in str(refused)
    else:
        assert connection is None or facts_of_text(table) == facts(connection, table.name)
