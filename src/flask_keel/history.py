"""The history: the files of migrations/versions, and what a database says was applied of it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection

from . import messages

if TYPE_CHECKING:
    from alembic.script import Script

# the lines that Alembic's templates put into each docstring
HEADER = re.compile(
    r"(Revision ID|Revises|Create Date|Branch Labels|Depends on)\s*:", re.IGNORECASE
)


def folder() -> Path:
    """Return the migrations folder of the current application."""
    return Path(current_app.extensions["keel"].directory).absolute()


def heads() -> set[str]:
    """Return the head revisions of the current application's files."""
    return set(ScriptDirectory(str(folder())).get_heads())


def applied(connection: Connection) -> set[str]:
    """Return the revisions at which the database is: none for one without a version table."""
    return set(MigrationContext.configure(connection).get_current_heads())


def require_one_head(script: ScriptDirectory) -> None:
    """Stop when the history has several heads.

    :raises CommandError: naming the revisions and their files
    """
    found = script.get_heads()
    if len(found) > 1:
        raise CommandError(two_heads(script, found))


def two_heads(script: ScriptDirectory, found: Iterable[str]) -> str:
    """Say which heads there are, and in which files."""
    names = [f"{head} ({Path(script.get_revision(head).path).name})" for head in sorted(found)]
    heads = ", ".join(names[:-1]) + f" and {names[-1]}"
    return messages.TWO_HEADS.format(count=len(names), heads=heads)


def require_known(revisions: set[str], script: ScriptDirectory, database: str) -> None:
    """Stop when the database is at a revision that no file has.

    :raises CommandError: naming the revision
    """
    for revision in sorted(revisions):
        try:
            known = script.get_revision(revision)
        except CommandError as error:
            if not isinstance(error.__cause__, ResolutionError):
                raise  # the files themselves cannot be read
            known = None
        if known is None:
            raise CommandError(
                messages.UNKNOWN_REVISION.format(
                    database=database, revision=revision, versions=script.versions
                )
            )


def title(revision: "Script") -> str:
    """Return the first line of what a migration says of itself, its file's name where it says nothing."""
    lines = (revision.longdoc or "").splitlines()
    said = [line.strip() for line in lines if line.strip() and not HEADER.match(line.strip())]
    if said:
        return said[0]
    name = Path(revision.path).stem
    return name.removeprefix(revision.revision).replace("_", " ").strip()
