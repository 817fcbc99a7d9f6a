"""Copies of a database: made, kept, given back."""

from pathlib import Path

from alembic.util import CommandError

from .. import output, project
from ..project import Project
from .copies import Copies

WORDS = ("auto", "always", "never")


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
    if project.kind(subject.engine.url) != "sqlite":
        return None
    from .online import File, file_of

    if file_of(subject.engine) is None or (copies := File(subject)).empty:
        return None
    made = copies.make()
    output.say(f"  backup {made}  ({why})")
    return made
