"""Copies of a SQLite file, by its online backup: others read and write it meanwhile.

https://www.sqlite.org/backup.html
"""

import marshal
import re
import shutil
import sqlite3
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import make_url
from sqlalchemy.engine import URL

from .. import errors, output, waiting
from ..log import DONE
from ..output import Bar
from ..project import LOG_TABLE, Project
from ..sqlite import transaction
from ..sqlite.tokenizer import quote
from . import NOTHING, Copies, Keep, make_folder, part, settle, where

STEP = 256  # pages
# the first step must neither end it nor fill the cache: 16 of the largest pages are 1 MB
FIRST = 16
MOST_ANEW = 3
MB = 1_000_000
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# what quick_check says of rows, which are copied as they are
ROWS = re.compile(r"(NULL|TEXT|NUMERIC|non-\w+) value |CHECK constraint failed", re.IGNORECASE)
# a function, a collation or a module that some program registered
UNKNOWN = re.compile(r"unknown function|no such (function|collation|module)")
# a virtual table's own tables are counted, not itself
TABLES = r"""
    SELECT name FROM sqlite_master
    WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND rootpage > 0
"""


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file so that nothing is written and nothing is left beside it."""
    return transaction.open_to_read(_url(path))


def _url(path: Path) -> URL:
    return make_url("sqlite://").set(database=str(path))


def copy(source: Path, target: Path, patience: float = waiting.DEFAULT) -> None:
    """Copy a database into a file that is there and empty, as it is at one moment.

    In WAL others write meanwhile. Otherwise they do so between the steps, and begin the copy anew with
    that; after some of these they wait for it.

    :param patience: how long to wait for somebody who lets nobody read, in seconds
    :raises CommandError: when that one goes on
    """
    with closing(open_to_read(source)) as reads, closing(sqlite3.connect(target)) as writes:
        reads.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
        writes.execute("PRAGMA journal_mode=MEMORY")
        writes.execute("PRAGMA synchronous=OFF")  # the whole is synchronised at the end
        if _in_wal(reads):
            _hold(reads)
        steps = _Steps(reads, source, patience)
        try:
            reads.backup(writes, pages=STEP, progress=steps)
        finally:
            steps.progress.close()


class _Steps:
    """What is looked at after each step of a copy."""

    def __init__(self, reads: sqlite3.Connection, source: Path, patience: float) -> None:
        self.reads, self.source, self.patience = reads, source, patience
        self.size, self.progress = _page_size(reads), _progress(f"copying {source}", reads)
        self.left, self.anew, self.moved = sys.maxsize, 0, time.monotonic()

    def __call__(self, status: int, left: int, total: int) -> None:
        now = time.monotonic()
        if status in BUSY:
            if now > self.moved + self.patience:
                raise CommandError(errors.LOCKED.format(database=self.source))
            return
        if left > self.left:
            self.anew += 1
            if self.anew == MOST_ANEW:
                _hold(self.reads)
        self.left, self.moved = left, now
        self.progress.at((total - left) * self.size // MB)


def _page_size(raw: sqlite3.Connection) -> int:
    return int(raw.execute("PRAGMA page_size").fetchone()[0])


def _progress(label: str, raw: sqlite3.Connection) -> Bar:
    (pages,) = raw.execute("PRAGMA page_count").fetchone()
    return Bar(label, max(1, pages * _page_size(raw) // MB), "MB")


def _in_wal(raw: sqlite3.Connection) -> bool:
    return bool(raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal")


def _hold(raw: sqlite3.Connection) -> None:
    """Read from now on what there is now."""
    raw.execute("BEGIN")
    raw.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()


def alike(one: Path, other: Path) -> bool:
    """Whether two databases hold the same, but for what the log says of tries that came to nothing."""
    try:
        with closing(open_to_read(one)) as this, closing(open_to_read(other)) as that:
            return all(its == theirs for its, theirs in zip_longest(_all_of(this), _all_of(that)))
    except sqlite3.Error:  # damaged, gone, or it asks for a function
        return False


def _all_of(raw: sqlite3.Connection) -> Iterator[bytes]:
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name"
    asked = [f"PRAGMA {name}" for name in ("encoding", "user_version", "application_id")]
    theirs = f"tbl_name <> '{LOG_TABLE}'"
    asked.append(f"SELECT name, sql FROM sqlite_master WHERE {theirs} ORDER BY 1, 2")
    for (name,) in raw.execute(names).fetchall():
        done = f" WHERE outcome = '{DONE}'" if name == LOG_TABLE else ""
        asked.append(f"SELECT * FROM {quote(name)}{done}")
    for query in asked:
        yield query.encode()
        cursor = raw.execute(query)
        while rows := cursor.fetchmany(1000):
            yield marshal.dumps(rows, 2)  # which tells 1 from 1.0, as == does not


def write_over(new: Path, old: Path, keep: Keep, patience: float = waiting.DEFAULT) -> None:
    """Write a database over another, in one transaction: who has that open sees the new content.

    What is replaced is kept when nobody can write to it any more.

    :param keep: is called when there is something to keep
    :param patience: how long to wait for other writers, in seconds
    :raises CommandError: when another process holds it; it is as it was then
    """
    old = old.resolve()  # where a link leads, the link stays
    made = transaction.make(old)
    try:
        try:
            _write_over(new, old, keep if old.stat().st_size else None, patience)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # whatever it is, nobody has it open as a database
            _put_in_the_place(new, old, keep)
    except BaseException:
        if made:
            with suppress(Exception):
                transaction.unmake(old)
        raise


def _write_over(new: Path, old: Path, keep: Keep | None, patience: float) -> None:
    with ExitStack() as stack:
        # closed last: a file that is closed takes the locks of SQLite's own with it
        raw = stack.enter_context(old.open("rb"))
        reads = stack.enter_context(closing(open_to_read(new)))
        writes = stack.enter_context(closing(sqlite3.connect(old, timeout=patience)))
        wal = _in_wal(writes)
        if wal:
            _require_same_pages(reads, writes, new, old)
        writes.execute("PRAGMA busy_timeout=0")
        _hold(reads)
        (pages,) = reads.execute("PRAGMA page_count").fetchone()
        if keep is not None and pages < 2:  # it would be over with the first step
            keep(lambda part: copy(old, part))
            keep = None
        deadline, left, told = time.monotonic() + patience, keep, False
        size, bar = _page_size(reads), _progress(f"writing {old}", reads)
        stack.callback(bar.close)

        def whole(part: Path) -> None:
            if wal:
                copy(old, part)
            else:
                raw.seek(0)
                with part.open("wb") as target:
                    shutil.copyfileobj(raw, target)

        def progress(status: int, remaining: int, total: int) -> None:
            nonlocal left, told
            if status in BUSY:
                # the backup would try for ever: https://www.sqlite.org/c3ref/backup_finish.html
                if time.monotonic() > deadline:
                    raise CommandError(errors.LOCKED.format(database=old))
                if not told:
                    output.say(f"{old} is busy: waiting for the other process")
                told = True
                return
            if left is not None:
                left(whole)  # the write lock is ours, and nothing has been written yet
                left = None
            bar.at((total - remaining) * size // MB)

        reads.backup(writes, pages=max(1, min(FIRST, pages - 1)), progress=progress, sleep=0.1)


def _require_same_pages(
    reads: sqlite3.Connection, writes: sqlite3.Connection, new: Path, old: Path
) -> None:
    theirs, ours = _page_size(reads), _page_size(writes)
    if theirs != ours:
        raise CommandError(
            f"{new} has pages of {theirs} bytes and {old}, which is in WAL, of {ours}: stop the "
            "application, move that away with its -wal and -shm, then try again; nothing was changed."
        )


def _put_in_the_place(new: Path, old: Path, keep: Keep) -> None:
    def as_it_is(part: Path) -> None:
        shutil.copyfile(old, part)

    kept, log = keep(as_it_is), Path(f"{old}-wal")
    if log.exists():
        shutil.copyfile(log, f"{kept}-wal")
        Path(f"{kept}-wal").chmod(0o600)
    with part(old.parent, old.suffix) as fresh:
        copy(new, fresh)
        shutil.copymode(old, fresh)
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{old}{suffix}").unlink(missing_ok=True)
        settle(fresh, old)


class File(Copies):
    """The copies of a SQLite database."""

    suffix = ".db"

    def __init__(self, subject: Project) -> None:
        super().__init__(subject)
        path = transaction.file_of(self.engine.url)
        if path is None:
            raise CommandError("The database is in memory, where there is no file to copy.")
        self.path = path.absolute()

    @contextmanager
    def client(self) -> Iterator[tuple[list[str], dict[str, str]]]:
        transaction.require(_url(self.path))
        open_to_read(self.path).close()
        program = shutil.which("sqlite3")
        if program is None:
            raise CommandError(
                "There is no program sqlite3 here: install it (apt-get install sqlite3), then try again."
            )
        # as the application opens it
        settings = ["-cmd", "PRAGMA foreign_keys=ON", "-cmd", ".timeout 5000"]
        yield [program, *settings, str(self.path)], {}

    def beside(self) -> Path:
        return self.path.parent

    @property
    def name(self) -> str:
        name = self.path.name.removesuffix(".db")
        place = self.path.parent.resolve()
        if place == self.folder.parent.resolve():
            return name
        # another file of the same name may have its copies here too
        return f"{name}.{zlib.crc32(bytes(place / self.path.name)):08x}"

    @property
    def empty(self) -> bool:
        """Whether there is nothing to copy: no file, or nothing in it."""
        if not self.path.exists() or not self.path.stat().st_size:
            return True
        with closing(open_to_read(self.path)) as raw:
            return (
                raw.execute(
                    "SELECT 1 FROM sqlite_master WHERE tbl_name <> ? LIMIT 1", (LOG_TABLE,)
                ).fetchone()
                is None
            )

    def write(self, part: Path) -> None:
        transaction.require(_url(self.path))
        self._require_room(part.parent, _size(self.path))
        copy(self.path, part, waiting.patience(self.settings))

    def make_once(self) -> Path:
        """Copy the database; where the newest copy holds the same it stays, and pushes no other one out.

        :returns: where the copy is
        """
        most, newest = self.most, self.kept()[-1:]
        made = self._keep(self.write)
        if newest and alike(made, newest[0]):
            transaction.remove(made)
            return newest[0]
        self._thin(self.kept(), most)
        return made

    def _require_room(self, folder: Path, size: int) -> None:
        if size > shutil.disk_usage(folder).free:
            raise self.no_room(folder, size)

    def content(self, file: Path, called: str) -> tuple[set[str], set[str] | None]:
        try:
            with closing(open_to_read(file)) as raw:
                _require_all_pages(raw, file)
                # indexes and CHECKs may ask for the application's functions
                transaction.hand_over(self.engine, raw)
                return self._content(raw, called)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise CommandError(
                f"{called} is no whole SQLite database ({error}); {NOTHING}."
            ) from error

    def _content(self, raw: sqlite3.Connection, called: str) -> tuple[set[str], set[str] | None]:
        try:
            said = [line for (line,) in raw.execute("PRAGMA quick_check").fetchall()]
        except sqlite3.OperationalError as error:
            if not UNKNOWN.search(str(error)):
                raise
            output.say(
                f"{called} is not looked through, since that needs what is not here ({error})."
            )
            said = []
        wrong = [line for line in said if line != "ok" and not ROWS.match(line)]
        if wrong:
            raise CommandError(f"{called} is damaged ({' '.join(wrong[0].split())}); {NOTHING}.")
        tables = {name for (name,) in raw.execute(TABLES)}
        if self.version_table not in tables:
            return tables, None
        at = raw.execute(f"SELECT version_num FROM {quote(self.version_table)}")
        return tables, {name for (name,) in at}

    def describe(self, file: Path | None = None) -> str | None:
        try:
            with closing(open_to_read(file or self.path)) as raw:
                names = [name for (name,) in raw.execute(TABLES) if name not in self.ignored]
                counts = [
                    raw.execute(f"SELECT count(*) FROM {quote(name)}").fetchone()[0]
                    for name in names
                ]
                _, at = self._content(raw, self.database)
        except (sqlite3.Error, CommandError):
            return "cannot be read"
        return f"{where(at)}, {sum(counts)} rows"

    def replace(self, file: Path, keep: Keep) -> None:
        if self.path.exists() and file.samefile(self.path):
            raise CommandError(f"{file} is the database itself: name a backup; {NOTHING}.")
        transaction.require_folder(self.path)
        more = _size(file)
        if self.path.exists():
            make_folder(self.folder)
            # what SQLite writes until it commits, beside the copy of what goes
            shared = self.folder.stat().st_dev == self.path.parent.stat().st_dev
            self._require_room(self.folder, _size(self.path) + (more if shared else 0))
        self._require_room(self.path.parent, more)
        write_over(file, self.path, keep, waiting.patience(self.settings))


def _require_all_pages(raw: sqlite3.Connection, file: Path) -> None:
    """Stop at a last page that is cut short: SQLite reads zeros in the place of what a row had there."""
    (pages,) = raw.execute("PRAGMA page_count").fetchone()
    if not Path(f"{file}-wal").exists() and pages * _page_size(raw) > file.stat().st_size:
        raise sqlite3.DatabaseError("it is cut short")


def _size(path: Path) -> int:
    there = [file for suffix in ("", "-wal") if (file := Path(f"{path}{suffix}")).exists()]
    return sum(file.stat().st_size for file in there)
