"""``migrations/head.txt``: the head of the history, one line for each where there are several.

Two branches that each add a migration change the same line: they conflict in git, and not in production.
Only where the file is there it is kept, and held equal: a history without it is not judged.
"""

import fcntl
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from flask import current_app

from . import binds, revisions, waiting
from .revisions import Revision

# never HEAD: inside of the folder `git diff HEAD` would then be ambiguous
NAME = "head.txt"
MARKERS = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?: |$)", re.MULTILINE)

CONFLICT = (
    "{file} holds a conflict of git's: type make rebase (db rebase), which puts one migration after "
    "the other and writes it"
)
NO_REVISION = (
    "{file} names {named}, which is no migration: type make rebase (db rebase) to write it anew"
)
ANOTHER = (
    "{file} says {said}, and the head of the history is {head}: type make rebase (db rebase) to "
    "write it anew"
)


def path(folder: Path) -> Path:
    """Return where the file is.

    :param folder: of the migrations
    """
    return folder / NAME


def wrong(folder: Path, known: Mapping[str, Revision]) -> str | None:
    """Say that there are two heads which nobody meant, or that the file is not what they are.

    Alembic is not imported for it, unless there are two.

    :param folder: of the migrations
    :param known: the revisions, as :func:`revisions.read` returns them
    :return: a sentence without its full stop; None where all is well
    """
    if sentence := conflict(folder):
        return sentence
    found, text = revisions.heads_of(known), _text(folder)
    words = {"file": _shown(folder), "head": " and ".join(sorted(found)) or "none"}
    said = set((text or "").split())
    if len(found) > 1 and said != found:
        from . import history

        return history.several_heads({one: known[one].path for one in found})
    if text is None or said == found:
        return None
    named = " and ".join(sorted(said - set(known)))
    if named:
        return NO_REVISION.format(named=named, **words)
    return ANOTHER.format(said=" and ".join(sorted(said)) or "nothing", **words)


def meant(folder: Path, found: Collection[str]) -> bool:
    """Whether the file names these heads, so that several of them are meant."""
    return set((_text(folder) or "").split()) == set(found)


def conflict(folder: Path) -> str | None:
    """Say that the file holds a conflict, without a full stop; None where it holds none."""
    text = _text(folder)
    if text is None or not MARKERS.search(text):
        return None
    return CONFLICT.format(file=_shown(folder))


def _shown(folder: Path) -> str:
    return str(path(folder.absolute()).relative_to(binds.home(folder).absolute().parent))


def _text(folder: Path) -> str | None:
    file = path(folder)
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None


def write(folder: Path, heads: Collection[str]) -> bool:
    """Write the file where there is one, and return whether it was another."""
    from . import history

    wanted = "".join(f"{head}\n" for head in sorted(heads))
    if _text(folder) in (None, wanted):
        return False
    history.replace(path(folder), wanted)
    return True


@contextmanager
def following(folder: Path, files: Callable[[], Collection[Path]]) -> Iterator[None]:
    """Write the file after what runs inside, where that has written a migration; failed or not.

    :param folder: of the migrations
    :param files: returns the migrations' files
    """
    before = files()
    try:
        yield
    finally:
        known = revisions.read_all(folder) if files() != before else None
        if known is not None:
            write(folder, revisions.heads_of(known))


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Let one command at a time write into the history: of two at once each would write a head.

    A lock of the folder itself leaves nothing behind, whoever is killed.

    :param folder: of the migrations
    :raises click.ClickException: when another one does not end
    """
    held = os.open(folder, os.O_RDONLY)

    def attempt() -> bool:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a filesystem without locks
        return True

    try:
        busy = f"Another command writes into {folder}"
        patience = waiting.patience(binds.settings(current_app, binds.of(folder)))
        if not waiting.until(attempt, patience, lambda: f"{busy}: waiting for it"):
            raise click.ClickException(f"{busy}: end it or wait for it, then try again.")
        yield
    finally:
        os.close(held)
