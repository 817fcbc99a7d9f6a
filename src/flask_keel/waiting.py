"""Waiting for somebody else: it says so, it can be interrupted, and it ends.

How long a command waits for a server that does not answer, and under which name servers know it.
"""

import os
import shutil
import socket
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import Pool

from . import output
from .typing import Options, Value

T = TypeVar("T")
# what a statement of DDL does to who only looks: https://mariadb.com/kb/en/mariadb-error-codes/
DEADLOCK = 1213  # by another node of a Galera cluster, too
DISTURBED = {DEADLOCK, 1684}
DEFAULT = 600.0  # seconds in which another migrator, or a writer of SQLite, may end
TIMEOUT = 5.0  # seconds in which a lock may be got, while others wait behind
RETRIES = 10
# where nobody is to wait: a tenth of a second is felt, and half of one is a queue
ONLINE_TIMEOUT, ONLINE_RETRIES = 0.05, 60
MOST = 2**31 // 1000  # what databases take in milliseconds: more, and infinity, is as good as this
SHORTEST, LONGEST = 0.05, 1.0  # seconds between two attempts
SAID_AGAIN = 30.0  # seconds


def alive(pid: int) -> bool:
    """Whether a process runs, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def host() -> str:
    """Return a short name of this machine."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


@contextmanager
def folder(kind: str) -> Iterator[Path]:
    """Give a folder for the while, that only its owner may read.

    Its name says who made it, so that the next one removes what a kill -9 left.
    """
    begin = f"keel-{kind}-{host()}-"
    for left in Path(tempfile.gettempdir()).glob(f"{begin}*-*"):
        pid = left.name.split("-")[-2]
        if pid.isdigit() and not alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)  # it may be another's
    with tempfile.TemporaryDirectory(prefix=f"{begin}{os.getpid()}-") as made:
        yield Path(made)


def patience(settings: Mapping[str, Value]) -> float:
    """Return how many seconds the configuration waits for another migrator or writer.

    :raises CommandError: when ``MIGRATION_LOCK_WAIT`` is no number
    """
    return seconds(settings, "MIGRATION_LOCK_WAIT", DEFAULT)


def seconds(settings: Mapping[str, Value], name: str, default: float) -> float:
    """Return a setting that is a number of seconds.

    :raises CommandError: when it is none
    """
    wanted = f"a number of seconds, such as {default:g}"
    return _number(settings, name, default, (int, float), wanted)


def timeout(settings: Mapping[str, Value]) -> float:
    """Return how many seconds a server's lock is waited for; 0 for without end.

    :raises CommandError: when ``MIGRATION_LOCK_TIMEOUT`` is no number
    """
    online = settings.get("ZERO_DOWNTIME") is True
    return seconds(settings, "MIGRATION_LOCK_TIMEOUT", ONLINE_TIMEOUT if online else TIMEOUT)


def retries(settings: Mapping[str, Value]) -> int:
    """Return how many times more a lock is tried for.

    :raises CommandError: when ``MIGRATION_RETRIES`` is no whole number
    """
    online = settings.get("ZERO_DOWNTIME") is True
    wanted, default = f"a whole number, such as {RETRIES}", ONLINE_RETRIES if online else RETRIES
    return int(_number(settings, "MIGRATION_RETRIES", default, (int,), wanted))


def _number(
    settings: Mapping[str, Value], name: str, default: float, kinds: tuple[type, ...], wanted: str
) -> float:
    value = settings.get(name, default)
    fits = isinstance(value, kinds) and not isinstance(value, bool)
    if fits and value >= 0:
        return float(min(value, MOST))
    from alembic.util import CommandError  # a server imports none of it

    raise CommandError(f"{name} is {value!r}: write {wanted}.")


def require(settings: Mapping[str, Value]) -> None:
    """Stop when a setting of this module is not what it is to be.

    :raises CommandError: naming the setting
    """
    for read in (patience, timeout, retries):
        read(settings)


def until(attempt: Callable[[], bool], patience: float, said: Callable[[], str]) -> bool:
    """Try until it works; say after the first failure what is waited for, and now and then again.

    :param attempt: whether it worked
    :param patience: in seconds
    :param said: what is waited for, looked up anew each time
    :return: whether it worked in time
    """
    begun, pause, told = time.monotonic(), SHORTEST, None
    while not attempt():
        waited = time.monotonic() - begun
        if waited >= patience:
            return False
        if told is None or waited - told >= SAID_AGAIN:
            since = f" ({waited:.0f} s so far)" if waited >= 1 else ""
            output.say(f"{said()}{since}")
            told = waited
        time.sleep(max(0.0, min(pause, patience - waited)))
        pause = min(LONGEST, pause * 1.5)
    return True


def number(error: BaseException | None) -> object:
    """Return by which number MySQL knows a driver's error."""
    return next(iter(getattr(error, "args", ())), None)


def disturbed(error: BaseException) -> bool:
    """Whether a look was ended by another's DDL: on a Galera cluster that ends whoever has its table in
    a transaction, and information_schema leaves out a table that is being changed."""
    return isinstance(error, DBAPIError) and number(error.orig) in DISTURBED


def undisturbed(look: Callable[[], T]) -> T:
    """Look as often as it takes, where another's DDL ends who looks: nothing was done by it.

    :raises DBAPIError: what it raised at last
    """
    for pause in (0.1, 0.3, 1.0, 3.0):
        try:
            return look()
        except DBAPIError as error:
            if not disturbed(error):
                raise
        time.sleep(pause)
    return look()


# A server that does not answer.


ANSWERS = 10  # seconds in which a server is to answer
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
LONGEST_NAME = 63  # bytes, PostgreSQL's


class _Handshake(float):
    """A bound on reading that holds until the server has let somebody in."""


_active: ContextVar[bool] = ContextVar("active", default=False)


@contextmanager
def bounded() -> Iterator[None]:
    """Let every engine connect within :data:`ANSWERS`, and say to the server which command it is.

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
            options.setdefault(bound, ANSWERS)
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
    return text.encode()[:LONGEST_NAME].decode(errors="ignore")
