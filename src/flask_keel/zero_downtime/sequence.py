"""The steps of an operation's safe form, and who notes them: an upgrade's journal, or nobody."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

# What a migration sets for its transaction is set anew in each one that it gets; what else it says of
# it has no meaning in several. https://www.postgresql.org/docs/current/sql-set.html
SETS = re.compile(
    r"\s*(SET\s+LOCAL\b|SELECT\s+(pg_catalog\s*\.\s*)?set_config\s*\(.*,\s*(true|'t\w*'|'on')\s*\))",
    re.IGNORECASE | re.DOTALL,
)
IN_ONE = re.compile(
    r"\s*(SET\s+(CONSTRAINTS|TRANSACTION)\b|SAVEPOINT\b|LOCK\b|DECLARE\b(?!.*\bWITH\s+HOLD\b))"
    r"|.*\b(ON\s+COMMIT\s+(DROP|DELETE)|pg_(try_)?advisory_xact_lock)\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    """One statement of a safe form, in a transaction of its own.

    :param outside: whether it cannot be in a transaction: CONCURRENTLY
    :param undo: what undoes it, where rows refuse one that comes later
    :param run: what is run in place of a statement
    """

    sql: str
    outside: bool = False
    undo: str = ""
    run: Callable[[], object] | None = None


class Journal(Protocol):
    """Where it is noted which steps stand."""

    online: bool

    def met(self, asked: str) -> int | None:
        """Return how many steps of an operation an earlier try has done; None for all of them."""

    def is_sent(self, asked: str, number: int) -> bool:
        """Whether this step was on its way when the earlier try ended."""

    def step(self, asked: str, number: int | None, outside: bool) -> AbstractContextManager[None]:
        """Run one step.

        :param asked: what the file asked for
        :param number: None for the last
        """

    def unfelt(self) -> AbstractContextManager[None]:
        """Run what nobody waits for: it is committed with what comes next."""

    def take_back(self, statements: Sequence[str], number: int) -> None:
        """Undo the last steps of an operation."""


class Rehearsed:
    """Steps on a scratch database, of which nobody keeps a journal."""

    online = True

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def met(self, asked: str) -> int | None:
        return 0

    def is_sent(self, asked: str, number: int) -> bool:
        return False

    @contextmanager
    def step(self, asked: str, number: int | None, outside: bool) -> Iterator[None]:
        driver = self.connection.connection.driver_connection
        # an attempt is one transaction, which is rolled back
        if not outside or self.connection.info.get("attempt") or driver is None:
            yield
            return
        with apart(driver):
            yield

    def unfelt(self) -> AbstractContextManager[None]:
        return nullcontext()

    def take_back(self, statements: Sequence[str], number: int) -> None:
        """A rehearsal that failed is over."""


@contextmanager
def apart(driver: object) -> Iterator[None]:
    """Commit, and let the driver begin no transaction for what runs inside."""
    if getattr(driver, "autocommit", False):
        yield
        return
    driver.commit()  # type: ignore[attr-defined]
    driver.autocommit = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        driver.autocommit = False  # type: ignore[attr-defined]
