"""Copies of a database: made, kept, given back.

Where they lie, how they are called, which of them stay.
"""

import fcntl
import os
import re
import sqlite3
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from alembic.util import CommandError

from .. import history, output, project
from ..project import Project
from ..sqlite import transaction

WORDS = ("auto", "always", "never")
LATER = 60  # seconds, after which a part that nobody holds is somebody's who was killed
STAMP = r"-[^-]+-(\d{8}T\d{6}\.\d{3}Z)(\.replaced)?"
NOTHING = "nothing was changed"
# SQLite's errors of a disk, other than those of reading: https://www.sqlite.org/rescode.html
UNWRITTEN = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE")


class Half(CommandError):
    """A restore that failed and could not be undone: what it replaced stays where it is kept."""


# keeps what a function writes of the database that is replaced
Keep = Callable[[Callable[[Path], None]], Path]


class Copies(ABC):
    """The copies of one database.

    :param subject: the application, whose database it is
    """

    #: how a copy's name ends
    suffix: str

    def __init__(self, subject: Project) -> None:
        self.engine = subject.engine
        self.settings = subject.settings
        self.script = subject.script
        self.metadata = subject.metadata
        self.options = subject.options
        self.version_table = subject.version_table
        self.ignored = subject.ignored
        self.database = subject.database
        self.root = subject.root
        self.of_a_bind = () if subject.bind is None else (subject.bind,)

    # what each kind of database does in its own way

    @abstractmethod
    def client(self) -> AbstractContextManager[tuple[list[str], dict[str, str]]]:
        """Give the command that opens the database's own client, and what its environment gets besides.

        No password stands in the command, which others may see while it runs.

        :raises CommandError: when there is no client, or no database
        """

    @abstractmethod
    def write(self, part: Path) -> None:
        """Copy the database into this file, which is there and empty.

        :raises CommandError: when that cannot be done
        """

    @abstractmethod
    def content(self, file: Path, called: str) -> tuple[set[str], set[str] | None]:
        """Return a copy's tables, and the revisions at which it is (None: it does not say).

        :param called: the file in the words of a sentence
        :raises CommandError: when the file is no whole copy
        """

    @abstractmethod
    def replace(self, file: Path, keep: Keep) -> None:
        """Put what a copy holds in the place of the database, all of it or nothing.

        :param keep: keeps what is replaced
        """

    @abstractmethod
    def describe(self, file: Path | None = None) -> str | None:
        """Say where the database (or a copy of it) is, and how many rows it has where that is known."""

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Whether there is nothing to copy."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The database in a file's name; another one's copies may lie in the same folder."""

    @abstractmethod
    def beside(self) -> Path:
        """The folder in which copies are kept where the project has no var."""

    # what is the same for all

    @property
    def folder(self) -> Path:
        """The project's var/backups; without a var, backups beside the file or in the instance folder.

        In it each bind has one of its own.
        """
        var = self.root / "var"
        return ((var if var.is_dir() else self.beside()) / "backups").joinpath(*self.of_a_bind)

    @property
    def _label(self) -> str:
        return re.sub(r"[^\w.@]", "_", self.name)

    @property
    def most(self) -> int:
        """How many copies stay.

        :raises CommandError: when the configuration says no such number
        """
        value = self.settings.get("MIGRATION_BACKUPS", 5)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CommandError(
                f"MIGRATION_BACKUPS is {value!r}: write how many backups are kept, such as 5."
            )
        return value

    def kept(self, replaced: bool = False) -> list[Path]:
        """Return the copies that lie in the folder, the newest last.

        :param replaced: those of what a restore replaced, in the place of the others
        """
        pattern = re.compile(re.escape(self._label) + STAMP + re.escape(self.suffix))
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        found = [(match, path) for path in there if (match := pattern.fullmatch(path.name))]
        mine = [(match[1], path) for match, path in found if bool(match[2]) == replaced]
        return [path for _, path in sorted(mine)]

    def find(self, file: Path | None = None) -> Path:
        """Return a backup: this file, the copy of that name, or the newest of this database.

        :raises CommandError: when there is none, or it is none of this application, saying why not
        """
        found = self._there(file)
        self._require_ours(found)
        return found

    def _there(self, file: Path | None) -> Path:
        if file is None:
            made = self.kept()
            if not made:
                raise CommandError(
                    f"There is no backup of {self.database} in {self.folder}: name a file, or type db "
                    "backup to make one."
                )
            return made[-1]
        places = [file, *([self.folder / file] if file == Path(file.name) else [])]
        for path in places:
            if path.is_file():
                return path
        raise CommandError(f"There is no file {file}: those of this database are in {self.folder}.")

    def make(self, to: Path | None = None) -> Path:
        """Copy the database; return where the copy is.

        :param to: a file of that name, or one in that folder; else it comes into :attr:`folder`, where
            the newest of this database stay
        :raises CommandError: when there is no room, or the copy is not whole; nothing is left of it then
        """
        most = self.most
        made = self._keep(self.write, to)
        if to is None:
            self._thin(self.kept(), most)
        return made

    def restore(self, file: Path) -> Path | None:
        """Put what a copy holds in the place of the database; keep what it replaces.

        :returns: where that is kept; None when nothing was there
        :raises CommandError: when it cannot be done; the database is as it was then
        """
        most, kept = self.most, list[Path]()

        def keep(write: Callable[[Path], None]) -> Path:
            kept.append(self._keep(write, replaced=True))
            return kept[-1]

        try:
            self.replace(file, keep)
        except Half:
            raise
        except Exception:  # who is stopped may have been done already
            for path in kept:
                transaction.remove(path)
            raise
        self._thin(self.kept(replaced=True), most, file)
        return kept[-1] if kept else None

    def _keep(
        self, write: Callable[[Path], None], to: Path | None = None, replaced: bool = False
    ) -> Path:
        """Write beside, and give it its name when it is whole."""
        at, now = None, datetime.now(UTC)
        folder = self.folder if to is None else to if to.is_dir() else to.parent
        make_folder(folder) if to is None else _require(to)
        try:
            with part(folder, self.suffix) as file:
                write(file)
                with suppress(CommandError) if replaced else nullcontext():  # it may be damaged
                    at = self.content(file, f"The copy of {self.database}")[1]
                final = folder / self._name(at, now, replaced) if to in (None, folder) else to
                settle(file, final)
        except (OSError, sqlite3.OperationalError) as error:
            full = getattr(error, "sqlite_errorname", None) in UNWRITTEN
            if not full and getattr(error, "errno", None) not in history.NO_ROOM:
                raise
            raise self.no_room(folder) from error
        return final

    def _thin(self, kept: list[Path], most: int, spared: Path | None = None) -> None:
        for old in kept[:-most]:
            if spared is None or old.resolve() != spared.resolve():
                transaction.remove(old)

    def _name(self, revisions: set[str] | None, now: datetime, replaced: bool) -> str:
        at = "unversioned" if revisions is None else "+".join(sorted(revisions)) or "base"
        at = re.sub(r"[^\w.+]", "_", at)[:100]
        moment = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}Z"
        return f"{self._label}-{at}-{moment}{'.replaced' if replaced else ''}{self.suffix}"

    def no_room(self, folder: Path, size: int | None = None) -> CommandError:
        """Return the error that says so."""
        wanted = f" ({megabytes(size)} are needed)" if size else ""
        return CommandError(
            f"The disk of {folder} has no room for a copy of {self.database}{wanted}: make room, "
            "then try again; nothing was changed."
        )

    def _require_ours(self, file: Path) -> None:
        tables, revisions = self.content(file, str(file))
        if revisions is None:
            raise CommandError(
                f"{file} holds no {self.version_table}, so it is no backup of this application: nothing "
                "was changed."
            )
        try:
            history.require_known(revisions, self.script, str(file))
        except history.UnknownRevision as unknown:
            raise CommandError(
                f"{unknown.where}: it is another application's, or of a branch whose files you have to "
                "fetch first; nothing was changed."
            ) from unknown
        strangers = tables - self.ignored
        if strangers and not strangers & self._known(strangers):
            raise CommandError(
                f"{file} holds {', '.join(sorted(strangers)[:3])} and no table of this application, so it is "
                "no backup of it: nothing was changed."
            )

    def _known(self, names: set[str]) -> set[str]:
        """The names that are those of models, or stand in the migrations: tables are renamed and dropped."""
        found = names & {table.name for table in self.metadata.tables.values()}
        for script in () if found else self.script.walk_revisions():
            words = Path(script.path).read_text(encoding="utf-8")
            found |= {
                name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words)
            }
        return found


def of(subject: Project) -> Copies:
    """Return the copies of an application's database.

    :raises CommandError: for a database in memory
    """
    kind = project.kind(subject.engine.url)
    if kind == "sqlite":
        from .online import File

        return File(subject)
    from .dumps import MySQL, PostgreSQL

    return PostgreSQL(subject) if kind == "postgresql" else MySQL(subject)


def wanted(subject: Project) -> str:
    """Return what MIGRATION_BACKUP says.

    :raises CommandError: when it says none of the three words
    """
    said = subject.settings.get("MIGRATION_BACKUP", "auto")
    if said not in WORDS:
        words = '"auto", "always" or "never"'
        raise CommandError(f"MIGRATION_BACKUP is {said!r}: write {words}.")
    return str(said)


def before(subject: Project, why: str, *, losing: bool) -> Path | None:
    """Copy a SQLite database before migrations change it, where MIGRATION_BACKUP says so.

    :param why: what is about to happen, in a few words
    :param losing: whether it loses or rewrites data or runs raw SQL: "auto" copies then
    :returns: the copy; None where none is wanted, or nothing is there
    :raises CommandError: when it cannot be made, or the configuration says none of the three words
    """
    said = wanted(subject)
    if said == "never" or (said == "auto" and not losing):
        return None
    if transaction.file_of(subject.engine.url) is None:
        return None
    from .online import File

    if (copies := File(subject)).empty:
        return None
    made = copies.make_once()
    output.say(f"  backup {made}  ({why})")
    return made


def where(revisions: set[str] | None) -> str:
    """Return where a database is, in the words of a sentence."""
    if revisions is None:
        return "without a record of a migration"
    return f"at {history.at(revisions)}"


def megabytes(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


@contextmanager
def part(folder: Path, suffix: str) -> Iterator[Path]:
    """Give an empty file that only its owner may read; it goes, unless it was put under another name."""
    _sweep(folder)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".backup-", suffix=f"{suffix}.part")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield Path(name)
    finally:
        transaction.remove(Path(name))
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove the parts of processes that were killed: the lock that they held is free."""
    for left in folder.glob(".backup-*.part"):
        with suppress(OSError), left.open("rb") as file:
            if time.time() - left.stat().st_mtime > LATER:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                transaction.remove(left)


def settle(part: Path, final: Path) -> None:
    """Give a finished part its name, also for who looks after a power failure."""
    _sync(part)
    part.replace(final)
    _sync(final.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make the folder of the copies, out of git."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if "var" not in folder.parts[-3:]:  # which is not in git anyway
        (folder / ".gitignore").write_text("*\n")


def _require(to: Path) -> None:
    if to.is_dir():
        return
    if to.exists():
        raise CommandError(f"{to} is there already: name another file, or move it away.")
    transaction.require_folder(to)
