"""A scratch database: empty, or built from the migration history alone."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.engine import URL

from . import atomic, servers, temporary
from .cache import Cache
from .rehearsal import rehearsal
from .seam import Seam, replay


@contextmanager
def database(url: Any, options: dict[str, Any] | None = None) -> Iterator[URL]:
    """Give an empty database of the same kind as ``url``'s, gone afterwards.

    :param options: more arguments for ``create_engine``
    :raises servers.NotAllowed: when the account may not create one
    """
    if servers.kind(url) == "sqlite":
        with tempfile.TemporaryDirectory(prefix="scratch-") as folder:
            yield make_url(url).set(database=str(Path(folder) / "scratch.db"), query={})
    else:
        with temporary.database(url, options) as scratch:
            yield scratch


@contextmanager
def at_head(seam: Seam) -> Iterator[Connection]:
    """Give a connection to a database that holds what the history makes, and nothing else.

    :raises servers.NotAllowed: when the account may not create one
    """
    with empty(seam) as connection:
        build(seam, connection)
        yield connection


@contextmanager
def empty(seam: Any) -> Iterator[Connection]:
    """Give a connection to an empty scratch database, in memory on SQLite."""
    if seam.engine.dialect.name == "sqlite":
        memory = atomic.engine(make_url("sqlite://"))
        with atomic.connect(memory, app=seam.engine) as connection:
            yield connection
        return
    options = seam.settings.get("SQLALCHEMY_ENGINE_OPTIONS")
    with (
        temporary.database(seam.engine.url, options) as url,
        create_engine(url, **servers.connection_options(options)).connect() as connection,
    ):
        yield connection


def build(
    seam: Any, connection: Connection, recorder: Any = None, recorded: Iterable[str] = ()
) -> None:
    """Make an empty database what the history makes: run it, as a rehearsal, from the newest kept state.

    :param recorder: a :class:`.revise.recorded.Recorder`, where what it does is to be written down
    :param recorded: the revisions that are to be written down, and so to be run
    """
    heads = tuple(seam.script.get_heads())
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        kept, raw = Cache(seam.script, seam.metadata), connection.connection.driver_connection
        kept.restore(raw, heads, set(recorded))

    def upgrade(applied: Any, context: Any) -> Any:
        return seam.script._upgrade_revs("heads", applied)

    with rehearsal():
        replay(
            seam,
            upgrade,
            connection,
            recorder,
            transactional_ddl=True if sqlite else None,
            transaction_per_migration=not sqlite,
        )
    if connection.in_transaction():
        connection.commit()
    if sqlite:
        kept.keep(raw, heads)
