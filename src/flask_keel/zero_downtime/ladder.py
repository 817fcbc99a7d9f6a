"""MariaDB's and MySQL's ways to change a table while others use it, the lightest first.

https://mariadb.com/kb/en/innodb-online-ddl-overview/ and
https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html
"""

import re
from collections.abc import Callable

from alembic.util import CommandError

from .. import lexer

RUNGS = ("ALGORITHM=INSTANT", "ALGORITHM=NOCOPY, LOCK=NONE", "ALGORITHM=INPLACE, LOCK=NONE")
# not in this way, for no reason and for one; a way that this server does not know
NOT_SO = {1845, 1846, 1800}
NOT_PARSED = 1064
ALTERS = re.compile(
    rf"\s*(?:(?P<alter>ALTER\s+TABLE)\s+(?:IF\s+EXISTS\s+)?|(?:CREATE|DROP)\b.*?\bINDEX\b.*?\bON\s+)"
    rf"(?P<table>{lexer.NAME})",
    re.IGNORECASE | re.DOTALL,
)
WORDS = re.compile(r"ALTER|INDEX", re.IGNORECASE)  # one of which it has
SAID = re.compile(r"\b(ALGORITHM|LOCK)\s*=?\s*\w+", re.IGNORECASE)
COPIES = (
    "{statement} can only be done while nobody writes to {table} (the server refuses INSTANT, NOCOPY and "
    "INPLACE with LOCK=NONE): it was not run; expand and contract in its place, or say in the file "
    "# lint: rewrite-table because ... where others may wait."
)


def table(statement: str) -> str | None:
    """Return the table that a statement alters, as it is written; None where it is none of these.

    Who says himself how it is to be done, is not spoken for.
    """
    if not WORDS.search(statement):  # most are told at a glance
        return None
    found = ALTERS.match(lexer.without_comments(statement))
    if found is None or SAID.search(lexer.without_asides(statement)):
        return None
    return found["table"]


def climb(
    statement: str, run: Callable[[str], None], code: Callable[[Exception], object], few: bool
) -> None:
    """Run a statement in the lightest way in which the server does it.

    :param code: tells the number of a driver's error
    :param few: whether the table has so few rows that nobody feels a copy
    :raises CommandError: when others would have to wait
    """
    plain = lexer.without_comments(statement).rstrip("; \n")
    comma = ", " if re.match(r"\s*ALTER", plain, re.IGNORECASE) else " "
    for rung in RUNGS:
        try:
            return run(f"{plain}{comma}{rung if comma == ', ' else rung.replace(',', '')}")
        except Exception as error:
            if code(error) == NOT_PARSED:
                return run(statement)
            if code(error) not in NOT_SO:
                raise
    if few:
        return run(statement)
    line = " ".join(plain.split())
    said = f"'{line}'" if len(line) <= 60 else f"'{line[:60]}...'"
    raise CommandError(COPIES.format(statement=said, table=lexer.unquote(str(table(statement)))))
