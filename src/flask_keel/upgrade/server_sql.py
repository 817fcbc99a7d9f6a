"""`--sql` for a server: Alembic writes it, from the revision at which the database is."""

import sys
from contextlib import redirect_stdout

from sqlalchemy.exc import DBAPIError

from .. import aftermath, guard, history, messages, servers
from ..seam import Seam
from . import guards, offline, preflight, readable

# the client would guess it from the terminal's, and MySQL keeps it with each trigger
UTF8 = {"postgresql": "SET client_encoding TO 'UTF8';", "mysql": "SET NAMES utf8mb4;"}


def write(seam: Seam) -> str:
    """Return the SQL that the command would run; nothing is run, what migrations print goes to stderr."""
    pieces: list[str] = []
    start = _start(seam)
    dialect = readable.dialect(seam.engine.dialect)
    again = f"db {seam.moving or 'stamp'} --sql"
    stand_in = offline.Offline(dialect, pieces.append, again)
    seam.configure(stand_in, literal_binds=True, starting_rev=start, transaction_per_migration=True)
    stand_in.settle(seam.context.get_context())
    try:
        with (
            redirect_stdout(sys.stderr),
            guard.guarded(stand_in, seam.engine),
            seam.context.begin_transaction(),
        ):
            seam.context.run_migrations()
    except Exception as error:
        aftermath.note(error, messages.NO_SQL)
        raise
    kind = servers.kind(seam.engine.url)
    head = [guards.STOPS[kind], UTF8[kind]] if pieces else []
    return "".join(f"{piece}\n\n" for piece in head + pieces)


def _start(seam: Seam) -> list[str] | None:
    """Return the revisions to begin at; by asking, the engine learns what kind of server it is."""
    try:
        with seam.engine.connect() as connection:
            if seam.start is not None:
                return seam.start.split(",")
            applied = history.applied(connection)
            preflight.check(seam, connection, applied)
            return sorted(applied) or None
    except DBAPIError:
        if seam.start is None:
            raise
        # somebody without the server said where to begin: the dialect's defaults must do
        return seam.start.split(",")
