"""What of a failed revision stands: MySQL undoes no DDL, PostgreSQL nothing of an autocommit block."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from .. import misfits
from ..seam import Seam
from . import statements
from .outcome import Run

# https://mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit/
COMMITS = re.compile(
    r"\s*(ALTER|ANALYZE|CREATE(?!\s+TEMPORARY)|DROP(?!\s+TEMPORARY)|GRANT|LOCK|OPTIMIZE|RENAME"
    r"|REVOKE|TRUNCATE)\b",
    re.IGNORECASE,
)
NOT_PARSED = 1064  # refused before anything was committed
LONGEST, MOST = 60, 5


class Standing:
    """The statements of the revision that runs now, apart: those that a rollback undoes, and the others.

    :param version_table: Alembic's own table, of which nobody wants to read here
    """

    def __init__(self, connection: Connection, version_table: str) -> None:
        self.connection = connection
        self.version_table = version_table
        self.pending: list[str] = []
        self.stood: list[str] = []

    def ran(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if self.version_table in statement or not statements.changes(statement):
            return
        self.pending.append(statement)
        autocommit = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if autocommit or self._commits(statement):
            self.committed()

    def committed(self, *_: Any) -> None:
        self.stood += self.pending
        self.pending = []

    def rolled_back(self, *_: Any) -> None:
        self.pending = []

    def next_revision(self) -> None:
        self.pending, self.stood = [], []

    def after(self, error: BaseException) -> str:
        """Return what stands after an error, in the words of a sentence; "" for nothing."""
        if isinstance(error, DBAPIError) and self._commits(error.statement or ""):
            # a commit comes before such a statement, too
            self.stood += self.pending if (error.orig.args or [0])[0] != NOT_PARSED else []
        said = [_short(statement) for statement in self.stood]
        rest = f" and {len(said) - MOST} more" if len(said) > MOST else ""
        return ", ".join(said[:MOST]) + rest

    def _commits(self, statement: str) -> bool:
        return self.connection.dialect.name in ("mysql", "mariadb") and bool(
            COMMITS.match(statement)
        )


@contextmanager
def account(seam: Seam, connection: Connection, run: Run) -> Iterator[None]:
    """Run migrations on a server; when an error leaves, ``run`` knows what stands of the revision."""
    context = seam.context.get_context()
    with (
        watch(connection, context.version_table) as standing,
        misfits.explained(connection),
    ):

        def next_revision(**_: Any) -> None:
            standing.next_revision()

        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, next_revision)
        try:
            yield
        except BaseException as error:
            run.stands = standing.after(error)
            raise


@contextmanager
def watch(connection: Connection, version_table: str) -> Iterator[Standing]:
    """Keep the account while migrations run on a connection."""
    standing = Standing(connection, version_table)
    listeners = {
        "after_cursor_execute": standing.ran,
        "commit": standing.committed,
        "rollback": standing.rolled_back,
    }
    for name, listener in listeners.items():
        event.listen(connection, name, listener)
    try:
        yield standing
    finally:
        for name, listener in listeners.items():
            event.remove(connection, name, listener)


def _short(statement: str) -> str:
    line = " ".join(statement.split())
    return f"'{line}'" if len(line) <= LONGEST else f"'{line[:LONGEST]}...'"
