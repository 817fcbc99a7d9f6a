"""One value, stored by two types in two ways: made over while its table is copied.

SQLAlchemy reads a date, a time or a UUID from more forms than the one that it writes. What stands
in another form is read and then found by no query, since the value that it is compared with is
written in the one form.
"""

import sqlalchemy as sa

from .facts import affinity
from .fits import base_type
from .tokens import fold

_HEX = "[0-9a-f]"
# RFC 9562, as 32 digits: the version, and the variant
_UUID = f"{_HEX * 12}[1-8]{_HEX * 3}[89ab]{_HEX * 15}"


def made_over(dialect, column: str, old_text: str, new_type, existing) -> str | None:
    """The value as the new type stores it, as SQL; None where the forms do not differ.

    What is no value of the new type stays as it is.

    :param column: the column as SQL names it
    :param old_text: the declared type
    :param new_type: SQLAlchemy's type
    :param existing: SQLAlchemy's type as the migration states it; None where it does not
    """
    new, old = base_type(dialect, new_type), base_type(dialect, existing)
    if isinstance(new, sa.String) and not isinstance(new, sa.Enum):
        return _as_text(column, old_text, new, old)
    if new is None or (old is not None and old._type_affinity is new._type_affinity):
        return None
    for kind, form in _FORMS:
        if isinstance(new, kind):
            return _where_text(column, form.format(column=column))
    return None


def _where_text(column: str, form: str) -> str:
    return f"CASE typeof({column}) WHEN 'text' THEN {form} ELSE {column} END"


# whole minutes, seconds or their parts: a form that was cut off is not completed
_DATETIME = (
    "CASE WHEN {column} GLOB '????-??-??*' AND "
    "(length({column}) IN (10, 16, 19) OR length({column}) BETWEEN 21 AND 26) THEN "
    "replace({column}, 'T', ' ') || substr(' 00:00:00.000000', length({column}) - 9) "
    "ELSE {column} END"
)
_MIDNIGHT = "substr(' 00:00:00.000000', 1, length({column}) - 10)"
_DATE = (
    "CASE WHEN (length({column}) IN (16, 19) OR length({column}) BETWEEN 21 AND 26) AND "
    f"replace(substr({{column}}, 11), 'T', ' ') = {_MIDNIGHT} THEN substr({{column}}, 1, 10) "
    "ELSE {column} END"
)
_TIME = (
    "CASE WHEN {column} GLOB '??:??*' AND "
    "(length({column}) IN (5, 8) OR length({column}) BETWEEN 10 AND 15) THEN "
    "{column} || substr('00:00:00.000000', length({column}) + 1) ELSE {column} END"
)
# the first that fits
_FORMS = (
    (sa.Uuid, "lower(replace({column}, '-', ''))"),
    (sa.DateTime, _DATETIME),
    (sa.Interval, _DATETIME),
    (sa.Date, _DATE),
    (sa.Time, _TIME),
    (sa.LargeBinary, "CAST({column} AS BLOB)"),
)


def _as_text(column: str, old_text: str, new: sa.String, old) -> str | None:
    """A UUID as text has its dashes, as on PostgreSQL; bytes become the text that they are."""
    length = new.length
    stated = isinstance(old, sa.Uuid) and (length is None or length >= 36)
    # SQLite says no more of a Uuid than this
    if stated or (fold(old_text) == "char(32)" and length == 36):
        parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        dashed = " || '-' || ".join(f"substr({column}, {at}, {n})" for at, n in parts)
        return f"CASE WHEN {column} GLOB '{_UUID}' THEN {dashed} ELSE {column} END"
    if affinity(old_text) != "BLOB":
        return None
    return f"CASE typeof({column}) WHEN 'blob' THEN CAST({column} AS TEXT) ELSE {column} END"
