"""The history: the files of migrations/versions, and what a database says was applied of it.

What git says of the migrations: which are on the main branch, and which on another one.

Nothing, where there is no git.
"""

import errno
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import CycleDetected, MultipleHeads, ResolutionError
from alembic.util import CommandError, to_tuple
from flask import current_app

from . import binds

if TYPE_CHECKING:
    from alembic.script import Script


# the lines that Alembic's templates put into each docstring
HEADER = re.compile(
    r"(Revision ID|Revises|Create Date|Branch Labels|Depends on)\s*:", re.IGNORECASE
)


DIRECTORY = "flask_keel.directory"  # in click's context: what --directory says, where it was typed


def folder() -> Path:
    """Return the migrations folder of the current application, or the one that the command names."""
    command = click.get_current_context(silent=True)
    typed = command.meta.get(DIRECTORY) if command else None
    return Path(typed or current_app.extensions["keel"].directory).absolute()


ROOT = ("pyproject.toml", "setup.py", "setup.cfg", "Makefile")


def root(migrations: Path) -> Path:
    """Return the folder of the project: the one above the package that holds the migrations.

    :param migrations: their folder, at the project's top level or anywhere inside of its package
    """
    above = list(binds.home(migrations).absolute().parents)[:4]
    packages = [place for place in above if (place / "__init__.py").exists()]
    found = packages[-1].parent if packages else above[0]
    if found.name == "site-packages":
        return found
    nearby = [found, *found.parents][:3]  # such as src/
    return next((one for one in nearby if any((one / name).exists() for name in ROOT)), found)


def config() -> Config:
    """Return Alembic's configuration of the current application."""
    return current_app.extensions["migrate"].migrate.get_config(folder())  # type: ignore[no-any-return]


def script() -> ScriptDirectory:
    """Return the current application's files, as Alembic sees them."""
    return ScriptDirectory.from_config(config())


def versions() -> tuple[Path, ...]:
    """Return the folders of the current application's migrations: alembic.ini may name several."""
    try:
        return tuple(Path(one).absolute() for one in script()._version_locations)
    except (CommandError, OSError):  # there is no such folder, which the command says
        return (folder() / "versions",)


SECTION = "flask_keel"  # of alembic.ini, where `db adopt` writes what the team shares


def adopted(config: Config, script: ScriptDirectory) -> frozenset[str]:
    """Return the revisions that were there when the library was adopted: they are not judged.

    :raises CommandError: when alembic.ini names a revision that is not there
    """
    at = (config.get_section(SECTION) or {}).get("adopted_at")
    if not at:
        return frozenset()
    try:
        return frozenset(one.revision for one in script.iterate_revisions(at, "base"))
    except (CommandError, ResolutionError):
        raise CommandError(
            f"alembic.ini says adopted_at = {at}, which no migration is: write the revision there that "
            "was the head when flask-keel was adopted."
        ) from None  # what Alembic says of it is of another place


def heads() -> set[str]:
    """Return the head revisions of the current application's files."""
    return set(script().get_heads())


def at(revisions: Iterable[str]) -> str:
    """Return where a database is, in the words of a sentence."""
    return " and ".join(sorted(revisions)) or "the base"


def parents(script: ScriptDirectory, revision: Script) -> tuple[str, ...]:
    """Return the revisions on which one stands: those that it revises, and those that it depends on."""
    needed = [script.get_revision(name).revision for name in to_tuple(revision.dependencies, ())]
    return tuple(dict.fromkeys((*to_tuple(revision.down_revision, ()), *needed)))


def require_one_head(script: ScriptDirectory) -> None:
    """Stop when the history has several heads.

    :raises CommandError: naming the revisions and their files
    """
    found = script.get_heads()
    if len(found) > 1:
        raise CommandError(two_heads(script, found)) from MultipleHeads(found, None)


def two_heads(script: ScriptDirectory, found: Iterable[str]) -> str:
    """Say which heads there are, and in which files."""
    return f"{several_heads({one: Path(script.get_revision(one).path) for one in found})}."


def several_heads(files: Mapping[str, Path]) -> str:
    """Say it of the heads and their files, without a full stop."""
    names = [f"{head} ({file.name})" for head, file in sorted(files.items())]
    heads = ", ".join(names[:-1]) + f" and {names[-1]}"
    return (
        f"The history has {len(names)} heads, {heads}: type make rebase (db rebase) to put "
        "one after the other, or type db merge heads -m 'merge' and look at it"
    )


class UnknownRevision(CommandError):
    """The database is at a revision that no file has: a newer release's, or another branch's."""

    exit_code = 4

    def __init__(self, database: str, revision: str, versions: Path) -> None:
        found = where_is(versions, revision)
        self.where = f"{database} is at revision {revision}, which no file in {versions} has"
        super().__init__(
            f"{self.where}; {found}."
            if found
            else f"{self.where}: a newer release may have migrated it (an entrypoint types db upgrade "
            "--allow-newer); else fetch the branch that has the file, or restore a backup from before it."
        )


def require_known(revisions: set[str], script: ScriptDirectory, database: str) -> None:
    """Stop when the database is at a revision that no file has.

    :raises UnknownRevision: for the first of them
    """
    for revision in sorted(revisions):
        try:
            known = script.get_revision(revision)
        except CommandError as error:
            if not isinstance(error.__cause__, ResolutionError):
                raise  # the files themselves cannot be read
            known = None
        if known is None:
            raise UnknownRevision(database, revision, Path(script.versions))


def title(revision: "Script") -> str:
    """Return the first line of what a migration says of itself, its file's name where it says nothing."""
    lines = (revision.longdoc or "").splitlines()
    said = [line.strip() for line in lines if line.strip() and not HEADER.match(line.strip())]
    if said:
        return said[0]
    name = revision.path.rpartition(os.sep)[2].rpartition(".")[0]
    return name.removeprefix(revision.revision).replace("_", " ").strip()


# Alembic warns of these, and goes on until something else fails
TWICE = re.compile(r"Revision (\S+) is present more than once")
MISSING = re.compile(r"Revision (\S+) referenced from .* is not present")
STEPS = re.compile(r"Relative revision (\S+) didn't produce")


@contextmanager
def told() -> Iterator[None]:
    """Turn what Alembic only warns of into errors."""
    with warnings.catch_warnings():
        for pattern in (TWICE, MISSING):
            warnings.filterwarnings("error", pattern.pattern, UserWarning)
        yield


def sentence(error: BaseException) -> str | None:
    """Return what an error says of the history, None when it is not about that."""
    cause = error.__cause__ if isinstance(error, CommandError) else error
    said = str(error)
    if isinstance(cause, MultipleHeads):
        return two_heads(script(), cause.heads)
    if isinstance(cause, CycleDetected):
        files = _files(lambda script: script.revision in cause.revisions)
        return f"The history goes round in a circle ({files}): mend down_revision in one of them."
    if isinstance(cause, ResolutionError) and "locate" in said:
        return f"There is no revision {cause.argument}: type db history to see those there are."
    if found := TWICE.match(said):
        revision = found[1]
        files = _files(lambda script: script.revision == revision)
        return (
            f"Revision {revision} stands in {files}: delete the copy, or give it a revision of "
            "its own."
        )
    if found := MISSING.match(said):
        revision = found[1]
        files = _files(lambda script: revision in _on_which_it_stands(script))
        elsewhere = where_is(versions()[0], revision)
        advice = f"; {elsewhere}" if elsewhere else ": fetch the file that has it"
        return f"{files} stands on revision {revision}, which no file has{advice}, or mend down_revision."
    if said.startswith("Ambiguous walk"):
        return (
            "A merge of two heads has two ways down, and -1 says neither: type db downgrade REVISION "
            "(db history names them)."
        )
    if found := STEPS.match(said):
        return (
            f"There are not as many revisions that way as {found[1]} says: type db current and "
            "db history to see where the database is."
        )
    return None


def _files(wanted: Callable[[Script], bool]) -> str:
    # one by one, since the whole cannot be put in order
    scripts = script()._load_revisions()
    return " and ".join(sorted(Path(script.path).name for script in scripts if wanted(script)))


def _on_which_it_stands(script: Script) -> tuple[str, ...]:
    return (*to_tuple(script.down_revision, ()), *to_tuple(script.dependencies, ()))


NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def replace(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Put this text in the place of the file; its mode stays.

    :raises OSError: when it cannot be written; what was there is there still
    """
    new = not path.exists()
    if new:
        path.touch()  # with the mode that the user's umask gives
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode(encoding))
        shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        if new:
            path.unlink()
        raise


@contextmanager
def migrations() -> Iterator[None]:
    """Take new migrations away again when the disk is full: one without its end stops every command.

    :raises CommandError: when the disk is full
    """
    known = files()
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        for file in files() - known:
            file.unlink()
        raise CommandError(
            f"The disk of {versions()[0]} is full: make room, then try again; no migration was "
            "written."
        ) from error


def files() -> set[Path]:
    """Return the files of the current application's migrations."""
    return {file for folder in versions() for file in folder.glob("*.py")}


def git(folder: Path, *arguments: str) -> list[str] | None:
    """Return what a git command prints, parted at its NUL characters; None when it fails.

    :param folder: in which it runs
    """
    env = dict(os.environ)
    if "GIT_WORK_TREE" not in env:
        env.pop(
            "GIT_DIR", None
        )  # of a hook's in a linked worktree: git would take the folder for its top
    try:
        ran = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # names of files are bytes
            timeout=60,
            env=env,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [part for part in ran.stdout.split("\0") if part] if ran.returncode == 0 else None


def not_on_main_branch(*folders: str | Path) -> set[str] | None:
    """Return the names of the migrations that the main branch has not, or has otherwise.

    The main branch is what the remote says it is (origin/HEAD); compared is with where this
    branch left it.

    :param folders: in which the migrations' files are
    :return: None when it cannot be told: no git, no remote, a clone without history
    """
    # in the middle of a merge the files of both sides are there
    ours, theirs = (_changed_since(tip, *folders) for tip in ("HEAD", "MERGE_HEAD"))
    if ours is None:
        return None
    return {path.name for path in (ours if theirs is None else ours.keys() & theirs.keys())}


def _changed_since(tip: str, *folders: str | Path) -> dict[Path, str] | None:
    """The files that are not as where one side left the main branch."""
    base = merge_base(Path(folders[0]).resolve(), "origin/HEAD", tip)
    return changes(base, *folders) if base else None


def merge_base(folder: Path, reference: str, tip: str = "HEAD") -> str | None:
    """Return the commit in which this branch left another one; None for none that is known here."""
    found = git(folder, "merge-base", tip, reference)
    return found[0].strip() if found else None


def changes(base: str, *folders: str | Path) -> dict[Path, str] | None:
    """Return the files of some folders that are not what a commit has: A for new, M for changed, D for gone.

    :param base: the commit
    :return: by their paths; None when it cannot be told
    """
    paths = [str(Path(folder).resolve()) for folder in folders]
    here = Path(paths[0])
    changed = git(here, "diff", "--name-status", "--no-renames", "-z", base, "--", *paths)
    others = git(here, "ls-files", "--others", "--full-name", "-z", "--", *paths)
    top = git(here, "rev-parse", "--show-toplevel")
    if changed is None or others is None or not top:
        return None
    found = dict(zip(changed[1::2], changed[::2], strict=True)) | dict.fromkeys(others, "A")
    return {Path(top[0].rstrip("\n"), name): state for name, state in found.items()}


# the main branch, by what git knows of it
MAIN = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


def main_branch(folder: Path) -> str | None:
    """Return the name of the main branch, the remote's if there is one; None when git knows none."""
    known = next((name for name in MAIN if commit(folder, name)), None)
    named = git(folder, "rev-parse", "--abbrev-ref", known) if known == MAIN[0] else None
    return named[0].strip() if named else known


def commit(folder: Path, reference: str) -> str | None:
    """Return the commit that a name stands for; None for a name that git does not know."""
    named = f"{reference}^{{commit}}"
    found = git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", named)
    return found[0].strip() if found else None


def text_at(folder: Path, base: str, path: Path) -> str:
    """Return what a file held in a commit; nothing, where it was not there."""
    path = Path(os.path.relpath(path, folder.resolve()))
    inside = path if path.parts[0] == ".." else f"./{path}"
    return "\0".join(git(folder, "show", f"{base}:{inside}") or [])


# what git does when it has stopped at a conflict, by the name that stands for it meanwhile
STOPPED = {"MERGE_HEAD": "merge", "REBASE_HEAD": "rebase", "CHERRY_PICK_HEAD": "cherry-pick"}


def stopped(folder: Path) -> str | None:
    """Return which command of git's waits for a conflict to be solved: "merge", "rebase" ..., or None."""
    for name, command in STOPPED.items():
        if git(folder, "rev-parse", "--quiet", "--verify", name):
            return command
    return None


def unmerged(folder: Path) -> list[Path]:
    """Return the files outside of a folder in which git waits for a conflict to be solved."""
    (top,) = git(folder, "rev-parse", "--show-toplevel") or [""]
    names = git(Path(top.strip()), "diff", "--name-only", "--diff-filter=U", "-z") or ()
    found = [Path(top.strip()) / name for name in names]
    return [path for path in found if not path.is_relative_to(folder.resolve())]


def main_branch_has(path: Path) -> bool:
    """Whether the main branch has a migration as it is; False when that cannot be told.

    :param path: of its file
    """
    path = path.resolve()
    names = not_on_main_branch(path.parent)
    return names is not None and path.name not in names


def where_is(folder: Path, revision: str) -> str | None:
    """Say which branch has a migration that the working tree has not, and what brings it here.

    With its file come those that it may stand on: all that are there and not here.

    :param folder: of the migrations
    :param revision: looked for in the files' names, as Alembic makes them
    """
    log = ("log", "--all", "-1", "--diff-filter=AM", "--format=%h", "--name-only", "-z")
    found = git(folder, *log, "--", f"*{revision}*.py")
    top = git(folder, "rev-parse", "--show-toplevel")
    if not found or len(found) < 2 or not top:
        return None
    commit, name = found[0].strip(), found[1].strip()
    branches = git(folder, "branch", "--all", "--contains", commit, "--format=%(refname:short)")
    branch = branches[0].split("\n")[0] if branches else ""
    there = ("ls-tree", "--full-tree", "--name-only", "-z", commit, f"{name.rpartition('/')[0]}/")
    root = Path(top[0].strip())
    gone = [
        one
        for one in git(folder, *there) or ()
        if one.endswith(".py") and not (root / one).exists()
    ]
    needed = [os.path.relpath(root / one) for one in dict.fromkeys([*gone, name])]
    where = f"branch {branch} has it (commit {commit})" if branch else f"commit {commit} has it"
    return f"{where}: type git checkout {commit} -- {shlex.join(needed)}"
