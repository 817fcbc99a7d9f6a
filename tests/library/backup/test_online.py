"""A SQLite file is copied and given back while others use it; stopped anywhere, nothing is half."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import clients
import projects
import pytest
from alembic.util import CommandError
from revising import KEY

from flask_keel import output
from flask_keel.backup import online
from library.errors.every_way import room

TABLES = """
CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL, ballast BLOB);
CREATE TABLE done (id INTEGER PRIMARY KEY, writer TEXT);
CREATE INDEX ix_account_money ON account (money);
"""
ACCOUNTS, MONEY = 4000, 100
# moves money and says what it has done, each number when it is committed
WRITER = """
import random, sqlite3, sys, time
raw = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
chance, number = random.Random(1), 0
while True:
    number += 1
    time.sleep(0.003)
    one, other = chance.sample(range(1, 4001), 2)
    try:
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("UPDATE account SET money = money - 1 WHERE id = ?", (one,))
        raw.execute("UPDATE account SET money = money + 1 WHERE id = ?", (other,))
        raw.execute("INSERT INTO done VALUES (?, 'w')", (number + int(sys.argv[2]),))
        raw.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        print("refused", error, flush=True)
        continue
    print(number + int(sys.argv[2]), flush=True)
"""


@pytest.fixture(params=["wal", "delete"])
def mode(request):
    return request.param


def make(path: Path, mode: str, ballast: int = 2000) -> Path:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA journal_mode={mode}")
        raw.executescript(TABLES)
        raw.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO account SELECT i, ?, randomblob(?) FROM n",
            (ACCOUNTS, MONEY, ballast),
        )
        raw.commit()
    return path


def ask(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql).fetchall()


def done(path: Path) -> set[int]:
    return {number for (number,) in ask(path, "SELECT id FROM done")}


def assert_consistent(path: Path) -> None:
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(path, "SELECT count(*), sum(money) FROM account") == [(ACCOUNTS, ACCOUNTS * MONEY)]


@contextmanager
def writing(path: Path, begin: int = 0):
    """Give a function that returns the numbers that were committed by a process that writes on."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(begin)], stdout=subprocess.PIPE, text=True
    )
    said = [process.stdout.readline()]

    def committed() -> set[int]:
        process.kill()
        said.extend(process.stdout.read().splitlines())
        process.wait()
        assert not [line for line in said if line.startswith("refused")], said
        return {int(line) for line in said if line.strip().isdigit()}

    try:
        yield committed
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_copy_made_while_others_write_is_the_database_at_one_moment(tmp_path, mode):
    live, target = make(tmp_path / "live.db", mode), tmp_path / "copy.db"
    with writing(live) as committed:
        before = done(live)
        online.copy(live, target)
        after = done(live)
        committed()
    assert_consistent(target)
    there = done(target)
    assert there == set(range(1, len(there) + 1))  # no later commit without an earlier one
    assert before <= there <= after
    if mode == "wal":
        assert len(after) > len(before)  # nobody waited for the copy
    assert_consistent(live)


def test_a_copy_ends_where_writers_never_do(tmp_path, monkeypatch):
    live, target = make(tmp_path / "live.db", "delete"), tmp_path / "copy.db"
    monkeypatch.setattr(online, "STEP", 1)  # a change comes between the steps of each try
    with writing(live) as committed:
        online.copy(live, target)
        committed()
    assert_consistent(target)


def test_a_restore_while_a_process_writes_loses_nothing_that_was_committed(tmp_path, mode):
    live, backup = make(tmp_path / "live.db", mode), tmp_path / "backup.db"
    online.copy(live, backup)
    kept, inode = tmp_path / "kept.db", live.stat().st_ino

    def keep(write):
        write(kept)
        return kept

    with writing(live) as committed:
        time.sleep(0.3)
        online.write_over(backup, live, keep)
        reached = time.monotonic() + 30
        while not done(live) and time.monotonic() < reached:
            time.sleep(0.01)
        all_of_them = committed()
    # the process goes on in the restored one, and what it did before is in the copy of the other
    assert live.stat().st_ino == inode
    assert_consistent(live)
    assert_consistent(kept)
    assert done(live) and done(kept) and not done(live) & done(kept)
    assert all_of_them <= done(live) | done(kept)


def test_a_restore_that_meets_a_lock_changes_nothing(tmp_path, mode):
    live, backup = make(tmp_path / "live.db", mode, 10), make(tmp_path / "backup.db", mode, 20)
    before = live.read_bytes()
    with closing(sqlite3.connect(live, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises((CommandError, sqlite3.OperationalError), match="locked"):
            online.write_over(backup, live, lambda write: pytest.fail("kept"), patience=0.5)
    assert live.read_bytes() == before


def test_pages_of_another_size_are_refused_in_wal_and_taken_otherwise(tmp_path, mode):
    live, backup = make(tmp_path / "live.db", mode, 10), tmp_path / "backup.db"
    with closing(sqlite3.connect(backup)) as raw:
        raw.execute("PRAGMA page_size=8192")
        raw.executescript(TABLES)
    if mode == "wal":
        with pytest.raises(CommandError, match="pages of 8192 bytes"):
            online.write_over(backup, live, lambda write: pytest.fail("kept"))
        assert_consistent(live)
    else:
        online.write_over(backup, live, lambda write: write(tmp_path / "kept.db"))
        assert ask(live, "SELECT count(*) FROM account") == [(0,)]
        assert_consistent(tmp_path / "kept.db")


def test_what_an_empty_database_replaces_is_kept_as_well(tmp_path, mode):
    live, backup = make(tmp_path / "live.db", mode, 10), tmp_path / "backup.db"
    backup.touch()
    online.write_over(backup, live, lambda write: write(tmp_path / "kept.db"))
    assert ask(live, "SELECT count(*) FROM sqlite_master") == [(0,)]
    assert_consistent(tmp_path / "kept.db")


def test_how_far_a_copy_is_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(output, "QUIET_SECONDS", 0)
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0)
    live = make(tmp_path / "live.db", "wal")
    online.copy(live, tmp_path / "copy.db")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 3
    assert all(line.startswith(f"copying {live}: ") and " MB" in line for line in lines)


FILL = """
op.create_table("big", sa.Column("id", sa.Integer, primary_key=True), sa.Column("data", sa.LargeBinary))
op.execute('''WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO big SELECT i, randomblob(4000) FROM n''')
"""
SUM = "SELECT count(*), sum(length(data)), min(hex(data)), max(hex(data)) FROM big"


@pytest.fixture(scope="module")
def prepared(generated, tmp_path_factory):
    """A project with 12 MB of rows."""
    made = projects.copy(generated(starter="bare"), tmp_path_factory.mktemp("prepared"))
    made.migration("aaaa00000001", None, FILL)
    made.model("big", KEY + "data: Mapped[bytes | None]\n")
    made.db("upgrade").assert_ok()
    return made


@pytest.fixture
def project(prepared, tmp_path):
    return projects.copy(prepared, tmp_path)


def folder(project) -> list[Path]:
    backups = project.path / "var" / "backups"
    return sorted(backups.iterdir()) if backups.is_dir() else []


def start_and_kill(project, *arguments: str, seconds: float) -> None:
    """Run `db ...` and kill it some time after its first file is there."""
    process = project.start(*project.manage, "db", *arguments)
    while process.poll() is None and not any(path.name[0] == "." for path in folder(project)):
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said


def test_a_copy_that_was_killed_leaves_nothing_that_looks_whole(project):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, had = random.Random(seed), ask(project.database, SUM)
    for _ in range(4):
        start_and_kill(project, "backup", seconds=chance.uniform(0, 0.06))
        for path in folder(project):
            assert path.name[0] == "." or ask(path, SUM) == had
    left = [path for path in folder(project) if path.name[0] == "."]
    for path in left:
        os.utime(path, (0, 0))
    project.db("backup").assert_ok()
    # what they left goes with the next one
    assert [path for path in folder(project) if path.name[0] == "."] == []


def test_a_restore_that_was_killed_leaves_the_one_or_the_other(project):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, had = random.Random(seed), ask(project.database, SUM)
    project.db("backup").assert_ok()
    clients.run(
        f"sqlite:///{project.database}", "UPDATE big SET data = randomblob(4000) WHERE id > 9"
    )
    changed = ask(project.database, SUM)
    for _ in range(4):
        start_and_kill(project, "restore", "--yes", seconds=chance.uniform(0, 0.12))
        now = ask(project.database, SUM)
        assert now in (had, changed)
        assert ask(project.database, "PRAGMA integrity_check") == [("ok",)]
        replaced = [path for path in folder(project) if ".replaced." in path.name]
        assert now == changed or any(ask(path, SUM) == changed for path in replaced)


def test_a_disk_without_room_is_said_before_anything_is_written(project):
    backups = project.path / "var" / "backups"
    backups.mkdir()
    if not room(backups, "3m"):
        pytest.skip("no small disk: mount needs root")
    try:
        answer = project.db("backup")
        answer.assert_one_sentence(
            "no room for a copy", "12.", "MB are needed", "nothing was changed"
        )
        with (project.path / "etc" / "conf" / "dev.conf").open("a") as conf:
            conf.write("MIGRATION_BACKUP = 'always'\n")
        project.migration("aaaa00000002", "aaaa00000001", "op.drop_table('big')")
        project.db("upgrade").assert_one_sentence("no room for a copy", "nothing was changed")
        assert "aaaa00000001" in project.db("current").assert_ok().out
        assert folder(project) == []
    finally:
        subprocess.run(["umount", str(backups)], check=True)


def test_a_restore_for_which_there_is_no_room_changes_nothing(project, tmp_path):
    made, disk = project.db("backup").assert_ok().out.strip(), tmp_path / "disk"
    disk.mkdir()
    if not room(disk, "3m"):
        pytest.skip("no small disk: mount needs root")
    try:
        small = make(disk / "app.db", "wal", 1)
        url = f"sqlite:///{small}"
        answer = project.db("restore", "--yes", made, DEV_DATABASE_URL=url)
        answer.assert_one_sentence("no room for a copy", "MB are needed", "nothing was changed")
        assert_consistent(small)
        assert [str(path) for path in folder(project)] == [made]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_up_meanwhile_leaves_no_half_copy(project):
    before = ask(project.database, SUM)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))

    process = subprocess.Popen(
        [*project.manage, "db", "backup"],
        cwd=project.path,
        env=project.environment(),
        preexec_fn=limit,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate(timeout=60)
    answer = projects.Answer(process.returncode, out, err)
    answer.assert_one_sentence("no room for a copy", "nothing was changed")
    assert folder(project) == []
    assert ask(project.database, SUM) == before


@pytest.mark.parametrize("harm", ["gone", "emptied", "no database", "scribbled", "cut"])
def test_a_lost_or_damaged_database_is_given_back(project, harm):
    had = ask(project.database, SUM)
    project.db("backup").assert_ok()
    content = project.database.read_bytes()
    match harm:
        case "gone":
            project.database.unlink()
        case "emptied":
            project.database.write_bytes(b"")
        case "no database":
            project.database.write_bytes(b"a letter to my aunt" * 5000)
        case "scribbled":
            project.database.write_bytes(content[:8192] + os.urandom(8192) + content[16384:])
        case "cut":
            project.database.write_bytes(content[: len(content) // 3])
    broken = project.database.read_bytes() if project.database.exists() else b""
    project.db("restore", "--yes").assert_ok()
    assert ask(project.database, SUM) == had
    assert ask(project.database, "PRAGMA integrity_check") == [("ok",)]
    replaced = [path for path in folder(project) if ".replaced." in path.name]
    assert len(replaced) == bool(broken)
    if harm in ("no database", "cut"):
        assert replaced[0].read_bytes() == broken
    assert "aaaa00000001" in project.db("current").assert_ok().out


@pytest.mark.parametrize("harm", ["none", "no database"])
def test_a_link_to_the_database_stays_a_link(project, harm):
    project.db("backup").assert_ok()
    had, real = ask(project.database, SUM), project.path / "real.db"
    project.database.rename(real)
    project.database.symlink_to(real)
    if harm != "none":
        real.write_bytes(b"a letter to my aunt" * 5000)
    project.db("restore", "--yes").assert_ok()
    assert project.database.is_symlink() and ask(real, SUM) == had


def test_copies_made_at_once_are_all_whole(project):
    with (project.path / "etc" / "conf" / "dev.conf").open("a") as conf:
        conf.write("MIGRATION_BACKUPS = 1\n")
    running = [project.start(*project.manage, "db", "backup") for _ in range(3)]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    (last,) = folder(project)
    assert ask(last, SUM) == ask(project.database, SUM)


def test_a_collation_of_the_applications_and_rows_that_break_a_rule_are_copied(project):
    factory = project.path / "my_app" / "__init__.py"
    text, place = factory.read_text(), "    keel.init_app(app)"
    assert place in text
    listen = "    with app.app_context():\n        event.listen(db.engine, 'connect', _functions)\n"
    factory.write_text(
        text.replace(place, listen + place) + "\n\nfrom sqlalchemy import event\n\n\n"
        "def _functions(connection, record):\n"
        "    connection.create_collation('german', lambda one, other: (one > other) - (one < other))\n"
        "    connection.create_function('shout', 1, str.upper, deterministic=True)\n"
    )
    with closing(sqlite3.connect(project.database)) as raw:
        raw.create_collation("german", lambda one, other: (one > other) - (one < other))
        raw.create_function("shout", 1, str.upper, deterministic=True)
        raw.executescript(
            "CREATE TABLE word (text TEXT COLLATE german, loud TEXT NOT NULL CHECK (shout(loud) = loud));"
            "CREATE INDEX ix_word ON word (text);"
            "PRAGMA ignore_check_constraints=ON; INSERT INTO word VALUES ('a', 'soft');"
        )
    made = Path(project.db("backup").assert_ok().out.strip())
    assert ask(made, "SELECT loud FROM word") == [("soft",)]
    project.db("restore", "--yes").assert_ok()


def test_what_the_application_does_not_know_keeps_nobody_from_a_copy(project):
    with closing(sqlite3.connect(project.database)) as raw:
        raw.create_function("shout", 1, str.upper, deterministic=True)
        raw.executescript(
            "CREATE TABLE word (loud TEXT CHECK (shout(loud) = loud)); INSERT INTO word VALUES ('A')"
        )
    answer = project.db("backup").assert_ok()
    assert "is not looked through" in answer.err and "shout" in answer.err
    project.db("restore", "--yes").assert_ok()
    assert ask(project.database, "SELECT loud FROM word") == [("A",)]


def test_a_file_that_may_only_be_read_can_be_copied(project):
    with closing(sqlite3.connect(project.database)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
    beside = project.path / "locked"
    beside.mkdir()
    shutil.move(project.database, beside / "app.db")
    (beside / "app.db").chmod(0o444)
    beside.chmod(0o555)
    try:
        made = project.db("backup", DEV_DATABASE_URL=f"sqlite:///{beside / 'app.db'}").assert_ok()
    finally:
        beside.chmod(0o755)
    assert ask(Path(made.out.strip()), "SELECT count(*) FROM big") == [(3000,)]
