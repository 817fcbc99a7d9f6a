"""Who can mend a failed migration: whoever keeps the rows, the privileges, the locks, or the file."""

import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError

ROWS = "change the rows that do not fit (or what the file does to them) and try again."
PRIVILEGE = "let an administrator grant the account what is missing, and try again."
LOCK = "wait for the session that holds the lock (or stop it), and try again."
FILE = "mend the file and try again."

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SQLSTATES = {
    "42501": PRIVILEGE,
    "55P03": LOCK,
    "40P01": LOCK,
    "40001": LOCK,
    "57014": LOCK,
}
CLASSES = {"22": ROWS, "23": ROWS}
# https://mariadb.com/kb/en/mariadb-error-codes/
NUMBERS = {
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370, 1419), PRIVILEGE),
    **dict.fromkeys((1205, 1213, 3572), LOCK),
    **dict.fromkeys((1048, 1062, 1138, 1264, 1265, 1292, 1366, 1406, 1411), ROWS),
    **dict.fromkeys((1216, 1217, 1451, 1452, 1690, 3156, 3157, 3819, 4025), ROWS),
}


def advice(error: BaseException) -> str:
    """Return what to do about an error that came out of a migration, as the end of a sentence."""
    if not isinstance(error, DBAPIError):
        return FILE
    said: Any = error.orig
    if isinstance(said, sqlite3.Error):
        if isinstance(error, IntegrityError):
            return ROWS
        return LOCK if "locked" in str(said) else FILE
    number = (said.args or [0])[0]
    if isinstance(number, int):  # MySQL's, whose sqlstate says less
        return NUMBERS.get(number, FILE)
    state = getattr(said, "sqlstate", None) or ""
    return SQLSTATES.get(state) or CLASSES.get(state[:2], FILE)
