"""Long work shows how far it is: a bar at a terminal, a line every few seconds elsewhere."""

import io
import os
import pty
import re
import sqlite3
import sys
import threading

import pytest
import sqlalchemy as sa

from flask_keel import output
from flask_keel.sqlite import introspection
from flask_keel.sqlite.introspection import Database

ROWS = 60_000


@pytest.fixture
def impatient(monkeypatch):
    """Work counts as long from the first moment."""
    monkeypatch.setattr(output, "QUIET_SECONDS", 0)
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0)
    monkeypatch.setattr(introspection, "WORTH_WATCHING", 1000)


@pytest.fixture
def big(bench):
    bench.make(
        "CREATE TABLE big (id INTEGER PRIMARY KEY, word TEXT);"
        f"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {ROWS})"
        "INSERT INTO big SELECT i, 'word ' || i FROM c;"
    )
    return bench


def rebuild(op):
    with op.batch_alter_table("big") as batch:
        batch.create_unique_constraint("uq", ["word"])


def test_elsewhere_lines_say_rows_done_rows_to_do_and_the_time_left(big, impatient, capsys):
    big.migrate(rebuild)
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("big: copying rows: ")]
    assert out == "" and len(lines) > 3
    done = []
    for line in lines:
        said = re.fullmatch(rf"big: copying rows: (\d+) of {ROWS} rows, about \d+ s left", line)
        assert said, line
        done.append(int(said[1]))
    assert done == sorted(done) and done[0] < ROWS / 3 and done[-1] > ROWS / 2


def test_at_a_terminal_a_bar_is_drawn(big, impatient, monkeypatch):
    master, slave = pty.openpty()
    shown = io.BytesIO()

    def read():
        try:
            while piece := os.read(master, 4096):
                shown.write(piece)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        big.migrate(rebuild)
        monkeypatch.undo()
    reader.join(timeout=10)
    os.close(master)
    drawn = shown.getvalue().decode()
    assert re.search(rf"big: copying rows  \[#*-+\]  \d+/{ROWS}  \d\d:\d\d:\d\d", drawn)
    assert f"{ROWS}/{ROWS}" in drawn


def test_short_work_says_nothing(big, capsys):
    big.migrate(rebuild)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "change",
    [
        lambda op: op.alter_column("big", "word", nullable=False),
        lambda op: op.create_index("ix", "big", ["word"]),
        lambda op: op.alter_column("big", "id", new_column_name="no"),
        lambda op: op.drop_column("big", "word"),
        lambda op: op.create_unique_constraint("uq", "big", ["word"]),
    ],
)
def test_watching_changes_nothing(big, impatient, change, tmp_path):
    big.migrate(change)
    assert big.is_whole()
    assert big.rows("SELECT count(*) FROM big") == [(ROWS,)]


def test_the_estimate_is_near_the_truth(big, impatient, capsys):
    """Rows done, as they are told while a scan runs, against the rows that were really seen."""
    raw = sqlite3.connect(big.path, isolation_level=None)
    engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
    seen = []
    raw.create_function("seen", 1, lambda number: seen.append(number) or 0)
    with engine.connect() as connection:
        told = []
        original = output.Bar.at

        def at(self, done, finished=False):
            told.append((done, len(seen)))
            original(self, done, finished)

        output.Bar.at = at
        try:
            db = Database(connection)
            db.run_long("big: looking", ROWS, "SELECT count(*) FROM big WHERE seen(id)").fetchall()
        finally:
            output.Bar.at = original
    raw.close()
    assert len(told) > 3
    for done, really in told[1:-1]:
        assert abs(done - really) < ROWS / 5
