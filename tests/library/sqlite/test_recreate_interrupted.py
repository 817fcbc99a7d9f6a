"""Whatever stops a migration, the database is as it was."""

import contextlib
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest
import sqlalchemy as sa

from .conftest import Bench, session

ROWS = int(os.environ.get("KEEL_KILL_ROWS", "20000"))
KILLS = int(os.environ.get("KEEL_KILLS", "4"))
SEED = int(os.environ.get("KEEL_SEED", "0")) or random.randrange(10**9)
TABLES = f"""
CREATE TABLE small (id INTEGER PRIMARY KEY, big_id INT REFERENCES big ON DELETE CASCADE);
CREATE TABLE big (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    word VARCHAR(50) NOT NULL,
    n INTEGER,
    gone TEXT
);
CREATE INDEX ix_word ON big (word);
CREATE VIEW v AS SELECT word FROM big;
CREATE TRIGGER t AFTER INSERT ON big BEGIN DELETE FROM small WHERE id = -1; END;
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {ROWS})
INSERT INTO big SELECT i, printf('word %d %s', i * 7919 % 100003, hex(zeroblob(20))), i, 'x' FROM c;
INSERT INTO small VALUES (1, 1), (2, 2);
"""


def rebuild(op):
    with op.batch_alter_table("big") as batch:
        batch.create_unique_constraint("uq", ["id", "word"])
        batch.alter_column("n", type_=sa.String(9))
        batch.drop_column("gone")


def in_place(op):
    with op.batch_alter_table("big") as batch:
        batch.alter_column("word", nullable=False, type_=sa.String(80))
        batch.create_check_constraint("ck", "length(word) > 2")
        batch.drop_column("gone")
    op.alter_column("big", "n", type_=sa.String(9))
    op.create_index("again", "big", ["n"])


def several(op):
    op.execute("UPDATE big SET word = word || '!'")
    op.create_table("extra", sa.Column("id", sa.Integer, primary_key=True))
    in_place(op)
    with op.batch_alter_table("small", recreate="always"):
        pass


MIGRATIONS = {"rebuild": rebuild, "in place": in_place, "several": several}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("original") / "app.db")
    bench.make(f"BEGIN; {TABLES} COMMIT;")
    return bench


@pytest.fixture
def big(original, tmp_path):
    shutil.copy(original.path, tmp_path / "app.db")
    return Bench(tmp_path / "app.db")


def fingerprint(bench) -> list:
    """The schema and all rows, and that SQLite finds them whole."""
    assert bench.is_whole()
    return [
        sorted(bench.rows("SELECT type, name, tbl_name, sql FROM sqlite_master"), key=repr),
        bench.rows("SELECT * FROM big"),
        bench.rows("SELECT * FROM small"),
        bench.rows("SELECT * FROM sqlite_sequence"),
    ]


class Process:
    """The migration in a process of its own, begun when this returns."""

    def __init__(self, bench, which: str, before=lambda: None):
        self.out, out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(bench, which, before, out)
        os.close(out)
        assert os.read(self.out, 5) == b"ready"

    @staticmethod
    def _run(bench, which, before, out):
        try:
            before()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with session(bench.path) as op:
                os.write(out, b"ready")
                MIGRATIONS[which](op)
            os.write(out, b"done")
        except BaseException as error:
            os.write(out, repr(error).encode())
        finally:
            os._exit(0)

    def stop(self, how: int) -> None:
        os.kill(self.pid, how)

    def said(self) -> str:
        """Its last word, when it is over: "done", an exception or nothing."""
        with os.fdopen(self.out, "rb") as out:
            words = out.read()
        os.waitpid(self.pid, 0)
        return words.decode()


@pytest.fixture(scope="module")
def seconds(original, tmp_path_factory) -> dict[str, float]:
    """How long each migration takes when nobody stops it."""
    found = {}
    for which in MIGRATIONS:
        bench = Bench(tmp_path_factory.mktemp("timed") / "app.db")
        shutil.copy(original.path, bench.path)
        process = Process(bench, which)
        begun = time.monotonic()
        assert process.said() == "done"
        found[which] = time.monotonic() - begun
        assert bench.is_whole()
    return found


@pytest.mark.one_of_each
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
@pytest.mark.parametrize("which", MIGRATIONS)
def test_killed_at_any_moment_the_database_is_as_it_was(big, seconds, which, journal):
    print(f"KEEL_SEED={SEED}")
    chance = random.Random(f"{SEED}{which}{journal}")
    with contextlib.closing(sqlite3.connect(big.path)) as raw:
        raw.execute(f"PRAGMA journal_mode={journal}")
    before = fingerprint(big)
    for _ in range(KILLS):
        process = Process(big, which)
        time.sleep(chance.uniform(0, seconds[which] * 1.1))
        process.stop(signal.SIGKILL)
        said, now = process.said(), fingerprint(big)
        if now != before:
            # over before the kill, or killed between the commit and the word
            assert said in ("done", "") and "gone" not in big.columns("big")
            break


def test_ctrl_c_stops_a_statement_that_is_running(big, seconds):
    before = fingerprint(big)
    process = Process(big, "several")
    time.sleep(seconds["several"] / 3)
    process.stop(signal.SIGINT)
    if process.said() != "done":  # its last word may be an error of the cleaning up
        assert fingerprint(big) == before


def test_an_exception_after_all_the_work_leaves_the_database_as_it_was(big):
    before = fingerprint(big)

    def change(op):
        MIGRATIONS["several"](op)
        raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        big.migrate(change)
    assert fingerprint(big) == before


def test_an_exception_that_is_caught_leaves_the_table_as_it_was(big):
    before = fingerprint(big)

    def change(op):
        with contextlib.suppress(Exception), op.batch_alter_table("big") as batch:
            batch.drop_column("gone")
            batch.create_unique_constraint("uq", ["n"])
            batch.create_index("bad", ["word", "nix"])  # fails after the copy

    big.migrate(change)
    assert fingerprint(big) == before


@pytest.mark.parametrize("share", [1.02, 1.2])
@pytest.mark.parametrize("which", MIGRATIONS)
def test_on_a_full_disk_the_database_is_as_it_was(big, which, share):
    """A limit on the size of files stands in for the end of the disk."""
    before = fingerprint(big)
    size = int(big.path.stat().st_size * share)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    said = Process(big, which, limit).said()
    if said != "done":
        assert "full" in said or "disk I/O" in said
        assert fingerprint(big) == before
    else:
        assert which != "rebuild"


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount a small disk"
)
def test_on_a_small_disk_of_its_own_the_database_is_as_it_was(original, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = int(original.path.stat().st_size * 1.6)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine does not let root mount: " + mounted.stderr.decode().strip())
    try:
        bench = Bench(disk / "app.db")
        shutil.copy(original.path, bench.path)
        before = fingerprint(bench)
        assert "full" in Process(bench, "rebuild").said()
        assert fingerprint(bench) == before
    finally:
        subprocess.run(["umount", str(disk)], check=True)
