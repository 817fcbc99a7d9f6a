"""Waiting for somebody else: it says so, it can be interrupted, and it ends."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from . import output
from .typing import Value

T = TypeVar("T")
# what a statement of DDL does to who only looks: https://mariadb.com/kb/en/mariadb-error-codes/
DISTURBED = {1213, 1684}
DEFAULT = 600.0  # seconds in which another migrator, or a writer of SQLite, may end
TIMEOUT = 5.0  # seconds in which a lock may be got, while others wait behind
RETRIES = 10
# where nobody is to wait: a tenth of a second is felt, and half of one is a queue
ONLINE_TIMEOUT, ONLINE_RETRIES = 0.05, 60
SHORTEST, LONGEST = 0.05, 1.0  # seconds between two attempts
SAID_AGAIN = 30.0  # seconds


def patience(settings: Mapping[str, Value]) -> float:
    """Return how many seconds the configuration waits for another migrator or writer.

    :raises CommandError: when ``MIGRATION_LOCK_WAIT`` is no number
    """
    return seconds(settings, "MIGRATION_LOCK_WAIT", DEFAULT)


def seconds(settings: Mapping[str, Value], name: str, default: float) -> float:
    """Return a setting that is a number of seconds.

    :raises CommandError: when it is none
    """
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise CommandError(f"{name} is {value!r}: write a number of seconds, such as {default:g}.")
    return float(value)


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
    value = settings.get("MIGRATION_RETRIES", ONLINE_RETRIES if online else RETRIES)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise CommandError(
            f"MIGRATION_RETRIES is {value!r}: write a whole number, such as {RETRIES}."
        )
    return value


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
