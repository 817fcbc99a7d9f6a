"""Values as the driver is to be given them, and as text."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from .kinds import Kind


def as_text(value: Any) -> str:
    """Return a value as text that its own type would read back."""
    match value:
        case bool():
            return str(int(value))
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case timedelta():
            return str(int(value.total_seconds()))
        case bytes():
            return value.hex()
        case _:
            return str(value)


def raw(kind: Kind, value: Any, dialect: str) -> Any:
    """Return a value as the driver is to be given it.

    On PostgreSQL all is text, which the server reads by the column's type.
    """
    if value is None or (isinstance(value, str) and kind.family != "bit"):
        return value
    if kind.family == "datetime" and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if kind.family == "date" and isinstance(value, datetime):
        value = value.date()
    if kind.family in ("int", "year"):
        value = int(value)
    if kind.family == "bool":
        value = bool(value)
    match dialect:
        case "sqlite":
            return _for_sqlite(value)
        case "postgresql":
            if isinstance(value, timedelta):
                return f"{value.total_seconds():.6f} seconds"
            if isinstance(value, bytes | memoryview):
                return "\\x" + value.hex()
            return str(value).lower() if isinstance(value, bool) else as_text(value)
        case _:
            if isinstance(value, str):
                return int(value, 2)
            return value if isinstance(value, bytes) else as_text(value)


def _for_sqlite(value: Any) -> Any:
    match value:
        case bool():
            return int(value)
        case datetime():
            # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#sqlalchemy.dialects.sqlite.DATETIME
            return value.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
        case time():
            return value.strftime("%H:%M:%S.%f")
        case date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == int(value) else float(value)
        case timedelta():
            return value.total_seconds()
        case _:
            return value
