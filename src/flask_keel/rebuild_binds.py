"""`make db` with several databases: all are built beside the old ones, and get the starter rows at once."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import URL

from . import binds, history, multidb, output
from .backup import online
from .binds import Bind
from .project import Project
from .rebuild import (
    UNTOUCHED,
    Rows,
    backups_of,
    build_at,
    build_file,
    file,
    put,
    redirected,
    require_allowed,
)
from .scratch import cache, databases, servers
from .scratch.servers import interruptible
from .sqlite import transaction

TOGETHER = "{reason}, and so the databases cannot be made anew together: they are as they were."
AHEAD = (
    "The models are ahead of the history ({said}): {database} has that too, and a migration is due: type "
    "make newmigration."
)


def rebuild(starter_rows: Rows) -> None:
    """Replace those that the command is for; the others stay, and what the rows put into them is thrown away.

    :param starter_rows: puts rows into all databases of the application
    :raises CommandError: when the configuration does not allow it, or a host is not local
    """
    every, wanted = multidb.every(), multidb.chosen()
    for bind in wanted:
        with multidb.on(bind):
            require_allowed(multidb.project(bind).engine.url)
    multidb.require_apart()
    said: dict[Bind, list[str]] = {}
    kept: dict[Bind, Path | None] = {}
    try:
        with interruptible(), _folders(every), _beside(every, said) as fresh:
            with _led(fresh):
                put(starter_rows, UNTOUCHED)
            for bind in wanted:
                with multidb.on(bind):
                    _replace(bind, fresh[bind], kept)
            if left := [bind for bind in wanted if bind not in kept]:
                _build_in_place(left, [bind for bind in every if bind not in left], starter_rows)
            for bind in wanted:
                _tell(multidb.project(bind), said[bind], kept.get(bind))
    except servers.NotAllowed as denied:
        raise CommandError(TOGETHER.format(reason=denied.reason)) from denied


@contextmanager
def _folders(every: Sequence[Bind]) -> Iterator[None]:
    """Let a bind that has models and no migration yet have its folder for the while."""
    with ExitStack() as made:
        for bind in every:
            with multidb.on(bind) as folder:
                made.enter_context(multidb.folder_made(Path(folder), bind))
        yield


@contextmanager
def _beside(every: Sequence[Bind], said: dict[Bind, list[str]]) -> Iterator[dict[Bind, URL]]:
    """Give a database for each that holds what its history makes, and what its models add.

    :param said: gets what that is
    """
    fresh: dict[Bind, URL] = {}
    with ExitStack() as made:
        for bind in every:
            with multidb.on(bind):
                one = multidb.project(bind)
                url = one.engine.url
                if one.dialect != "sqlite":
                    databases.require_isolation(url, one.metadata)
                elif (path := online.file_of(one.engine)) is not None:
                    transaction.require_folder(path)
                else:
                    raise CommandError(
                        f"{binds.shown(bind)} is a database in memory, and cannot be made anew with others: "
                        "give it a file, or leave the bind out (Keel's binds=)."
                    )
                fresh[bind] = made.enter_context(databases.database(url, one.engine_options))
                said[bind] = _build(one, fresh[bind])
        yield fresh


def _build(one: Project, url: URL, state: str = UNTOUCHED) -> list[str]:
    if one.dialect == "sqlite":
        return build_file(history.config(), one.engine, url)
    return build_at(history.config(), url, state)


@contextmanager
def _led(fresh: dict[Bind, URL]) -> Iterator[None]:
    """Let the application's engines lead to those databases."""
    with ExitStack() as led:
        for bind, url in fresh.items():
            one = multidb.project(bind)
            led.enter_context(redirected(one.engine, url, one.engine_options))
        yield


def _replace(bind: Bind, url: URL, kept: dict[Bind, Path | None]) -> None:
    """Put it in the place of the old one, where that can be; note what is kept of that."""
    one = multidb.project(bind)
    if one.dialect == "sqlite":
        path = Path(one.engine.url.database or "")
        backups = backups_of(path)
        kept[bind] = file(
            Path(url.database or ""), path, backups if bind is None else backups / bind
        )
    elif servers.replace(one.engine.url, url, one.engine_options):
        kept[bind] = None


def _build_in_place(left: Sequence[Bind], others: Sequence[Bind], starter_rows: Rows) -> None:
    """On MySQL, where a database has but one name: build it again, the rows have been tried.

    :param others: get the rows too, in databases that nobody keeps
    """
    shown = []
    for bind in left:
        with multidb.on(bind):
            one = multidb.project(bind)
            shown.append(one.database)
            servers.recreate(one.engine.url, one.engine_options)
            one.engine.dispose()
            _build(one, one.engine.url, f"{one.database} holds what the history makes")
    with _beside(others, {}) as fresh, _led(fresh):
        put(starter_rows, f"{' and '.join(shown)} is built, without them")


def _tell(one: Project, said: list[str], kept: Path | None) -> None:
    if said:
        output.say(AHEAD.format(said="; ".join(said), database=one.database))
    else:
        cache.note_agreed(one)
    at = " and ".join(sorted(one.script.get_heads()))
    output.say(f"{one.database} is fresh: at {at or 'the base'}, with the starter rows.")
    if kept:
        output.say(f"The one before it is kept: {kept}")
