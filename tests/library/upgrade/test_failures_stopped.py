"""Ctrl-C and SIGTERM: whether it was before or after the commit, the sentence says which."""

import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import databases
import pytest
from sqlite_contents import contents, rows

from .families import REBUILD

WAIT = """
import pathlib, time
pathlib.Path("begun").touch()
time.sleep(60)
"""
# the signal comes while the migration's rows are checked by a function of Python's
SIGNALLED = """
import os, signal
raw = op.get_bind().connection.driver_connection
raw.create_function("signalled", 0, lambda: os.kill(os.getpid(), signal.{}))
op.execute("SELECT signalled(), 1 FROM parent")
"""
# the signal comes where Python can only print what it raises
IN_A_DESTRUCTOR = """
import signal, time
class Collected:
    def __del__(self):
        signal.raise_signal(signal.{})
Collected()
for _ in range(300):
    time.sleep(0.02)
"""
# the signal comes where SQLAlchemy prints what it raises
WHILE_CLOSING = """
import signal, sqlalchemy
engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.NullPool)
connection = engine.connect()
engine.dialect.do_close = lambda raw: signal.raise_signal(signal.{})
connection.close()
"""
SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "SIGTERM", "SIGHUP"]
)


def started(project):
    process = project.start(*project.manage, "db", "upgrade")
    while not (project.path / "begun").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def assert_says(process, number, *words):
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    assert err.count("Error: ") == 1
    for word in words:
        assert word in err


@pytest.mark.some(2)
@SIGNALS
def test_before_the_commit_nothing_was_changed(family, number):
    family.migration("f2", "f1", REBUILD + WAIT)
    before = contents(family.database)
    process = started(family)
    process.send_signal(number)
    assert_says(process, number, f"nothing was changed, {family.database} is at f1.")
    assert contents(family.database) == before


@pytest.mark.long
@pytest.mark.one_of_each
@pytest.mark.parametrize("given_back", [True, False], ids=["committed", "given up"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_during_the_commit_the_sentence_says_which_it_was(family, number, given_back):
    """Who reads keeps a COMMIT waiting, in which a signal is not heard until it is over."""
    family.migration("f2", "f1", REBUILD + WAIT.replace("time.sleep(60)", ""))
    conf = family.path / "etc" / "conf" / "dev.conf"
    conf.write_text(f"{conf.read_text()}\nMIGRATION_LOCK_WAIT = {30 if given_back else 5}\n")
    rows(family.database, "PRAGMA journal_mode=delete")
    before = contents(family.database)
    with closing(sqlite3.connect(family.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM parent").fetchall()
        process = started(family)
        # by another process: its own handles would not notice, see unixLock() of SQLite
        look = [shutil.which("sqlite3") or databases.missing("no sqlite3"), family.database]
        while not subprocess.run([*look, "SELECT 1 FROM parent"], capture_output=True).returncode:
            assert process.poll() is None, process.communicate()
        process.send_signal(number)
        time.sleep(0.2)
        if given_back:
            reader.execute("COMMIT")
            assert_says(process, number, "all of it was committed before", "is at f2.")
        else:
            assert_says(process, number, "nothing was changed", "is at f1.")
            reader.execute("COMMIT")
    after = contents(family.database)
    assert (after == before) is not given_back


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_that_comes_out_of_sqlite_as_an_error_is_no_failure_of_the_file(family, name):
    family.migration("f2", "f1", REBUILD + SIGNALLED.format(name))
    answer = family.db("upgrade")
    assert answer.code == 128 + getattr(signal, name)
    assert "Stopped by hand: nothing was changed" in answer.err
    assert "mend the file" not in answer.err


@SIGNALS
@pytest.mark.parametrize(
    "where", [IN_A_DESTRUCTOR, WHILE_CLOSING], ids=["in a destructor", "while closing"]
)
def test_a_signal_that_would_be_printed_stops_the_upgrade_in_a_sentence(family, number, where):
    family.migration("f2", "f1", REBUILD + where.format(signal.Signals(number).name))
    answer = family.db("upgrade")
    assert answer.code == 128 + number
    assert "Stopped by hand: nothing was changed" in answer.err
    assert "Exception ignored" not in answer.err
    assert "Traceback" not in answer.err


def test_an_error_of_the_cleaning_up_after_ctrl_c_is_no_error_of_the_command(family):
    env = family.package / "migrations" / "env.py"
    stop = (
        "try:\n    raise KeyboardInterrupt\nfinally:\n    raise ValueError('a closed database')\n"
    )
    env.write_text(env.read_text() + stop)
    answer = family.db("current")
    assert answer.code == 1
    assert "Aborted!" in answer.err
    assert "closed" not in answer.err


def test_a_signal_while_another_writer_is_waited_for(family):
    family.migration("f2", "f1", REBUILD)
    with closing(sqlite3.connect(family.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        process = family.start(*family.manage, "db", "upgrade")
        assert any("waiting" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        writer.execute("ROLLBACK")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert f"Error: Stopped by hand: {family.database} is at f1." in err
