"""Functions and collations that an application registers on each connection to its SQLite database.

Its connect listeners do much else (PRAGMAs, how a transaction begins), which is not for migrations:
they are run on a stand-in that lets nothing else through.
"""

import sqlite3
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

PASSED_ON = {
    "create_aggregate",
    "create_collation",
    "create_function",
    "create_window_function",
    "enable_load_extension",
    "load_extension",
}


class _Registering:
    """A connection on which functions and collations can be registered, and that says nothing."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.__dict__["raw"] = raw

    # listeners ask by isinstance whether it is SQLite that they are on
    __class__ = sqlite3.Connection  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name) if name in PASSED_ON else _Nothing()

    def __setattr__(self, name: str, value: Any) -> None:
        pass


class _Nothing:
    """The answer to whatever else a listener does."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self

    def __iter__(self) -> Any:
        return iter(())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        pass


def hand_over(engine: Engine, raw: sqlite3.Connection) -> None:
    """Register on ``raw`` what the connect listeners of ``engine`` register on theirs.

    :param engine: the application's
    """
    stand_in = _Registering(raw)
    for listener in engine.pool.dispatch.connect:
        if str(getattr(listener, "__module__", "")).startswith("sqlalchemy."):
            continue  # its own looks at the database, and are there on every engine
        with suppress(Exception):  # it wants an answer that only a database can give
            listener(stand_in, _Nothing())
