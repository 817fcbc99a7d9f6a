"""How long a command waits for a server that does not answer, and under which name servers know it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import click
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.pool import Pool

from .typing import Options, Value

PATIENCE = 10  # seconds
# where a click context keeps the error of a server that could not be reached
UNREACHED = "flask_keel.unreached"
# what a driver calls its bound on connecting, and the variable that says it too
BOUNDS = {
    "psycopg": ("connect_timeout", "PGCONNECT_TIMEOUT"),
    "psycopg2": ("connect_timeout", "PGCONNECT_TIMEOUT"),
    "pymysql": ("connect_timeout", ""),
    "mysqldb": ("connect_timeout", ""),
    "mysqlconnector": ("connection_timeout", ""),
}
# https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-APPLICATION-NAME
# https://mariadb.com/kb/en/performance-schema-session_connect_attrs-table/
NAMES = {"psycopg": "application_name", "psycopg2": "application_name", "pymysql": "program_name"}
VARIABLES = {"application_name": "PGAPPNAME"}
LONGEST = 63  # bytes, PostgreSQL's


class _Handshake(float):
    """A bound on reading that holds until the server has let somebody in."""


_active: ContextVar[bool] = ContextVar("active", default=False)


@contextmanager
def bounded() -> Iterator[None]:
    """Let every engine connect within :data:`PATIENCE`, and say to the server which command it is.

    What the application's URL, ``connect_args`` or environment says of the bound wins; its own name
    stands before the command's. PyMySQL's own bound ends with the connection: a server that accepts
    it and says nothing would be waited for without end.
    """
    if _active.get():
        yield
        return
    before: list[tuple[Options, Options]] = []
    said: list[str] = []

    def connecting(dialect: Dialect, record: object, arguments: object, options: Options) -> None:
        own = next((own for given, own in before if given is options), None)
        if own is None:
            own = dict(options)
            before.append((options, own))
        bound, variable = BOUNDS.get(dialect.driver, ("", ""))
        if bound and not os.environ.get(variable):
            options.setdefault(bound, PATIENCE)
        if dialect.driver == "pymysql" and not own.get("read_timeout"):
            options["read_timeout"] = _Handshake(options[bound])
        if name := NAMES.get(dialect.driver):
            options[name] = _called(own.get(name) or os.environ.get(VARIABLES.get(name, "")), said)

    def connected(connection: Value, record: object) -> None:
        if isinstance(getattr(connection, "_read_timeout", None), _Handshake):
            connection._read_timeout = None

    token = _active.set(True)
    event.listen(Engine, "do_connect", connecting)
    event.listen(Pool, "connect", connected, insert=True)  # before anything is asked
    try:
        yield
    finally:
        _active.reset(token)
        event.remove(Engine, "do_connect", connecting)
        event.remove(Pool, "connect", connected)
        for options, own in before:  # the application may go on
            options.clear()
            options.update(own)


def _called(own: str | None, said: list[str]) -> str:
    """The name of the command with what it goes to, such as ``db upgrade head``.

    :param said: keeps it, since a thread knows of no command
    """
    context = click.get_current_context(silent=True)
    if not said and context is not None and not isinstance(context.command, click.Group):
        target = context.params.get("revision")
        words = context.args or [str(context.info_name), target if isinstance(target, str) else ""]
        said.append(" ".join(["db", *filter(None, words)]))
        if said == ["db upgrade"]:
            said[0] += " head"
    command = said[0] if said else "db"
    text = f"{own}: {command}" if own else command
    return text.encode()[:LONGEST].decode(errors="ignore")
