"""Values that would not survive a change of type.

SQLite converts what it stores by the affinity of the declared type
(https://sqlite.org/datatype3.html#type_affinity): '007' in an INTEGER column becomes 7, and a date
that looks like a number becomes one. SQLAlchemy then has to read what is stored.
"""

import re
from collections.abc import Callable

import sqlalchemy as sa

from .facts import affinity

FUNCTION = "toolkit_fits"  # stands in a condition for the function that comes with it
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)


def misfit(
    dialect, column: str, old_text: str, new_text: str, new_type
) -> tuple[str, Callable[[object], bool] | None] | None:
    """The condition, true for a value that does not fit, and the function that it calls.

    :param column: the column as SQL names it
    :param new_type: SQLAlchemy's type; None when only the declared text is known
    :return: None when every value fits, for example from VARCHAR to TEXT
    """
    base = _base_type(dialect, new_type)
    if isinstance(base, sa.Enum):
        listed = ", ".join("'" + value.replace("'", "''") + "'" for value in base.enums)
        return f"({column} IS NOT NULL AND {column} NOT IN ({listed}))", None
    before, after = affinity(old_text), affinity(new_text)
    reads = None if _reads_like(dialect, old_text, base) else _reader(dialect, base)
    if reads is None and (after == before or after == "BLOB"):
        return None
    if reads is None and after == "TEXT":
        # a number becomes its text, which has 15 digits
        lost = f"CAST(CAST({column} AS TEXT) AS REAL) <> {column}"
        return f"(typeof({column}) = 'real' AND {lost})", None
    if after == "INTEGER" and isinstance(base, sa.Integer):
        # the usual values, without a call of Python for each
        exact = f"CAST(CAST({column} AS INTEGER) AS TEXT) = {column}"
        present = f"typeof({column}) NOT IN ('integer', 'null') AND NOT {exact}"
    else:
        present = f"{column} IS NOT NULL"
    return f"({present} AND NOT {FUNCTION}({column}))", _test(after, reads)


def _test(after: str, reads: Callable | None) -> Callable[[object], bool]:
    """Stored under the new affinity without loss, and readable by the new type."""

    def fits(value) -> bool:
        stored = _stored(after, value)
        if stored is _LOST:
            return False
        try:
            if reads is not None:
                reads(stored)
        except Exception:
            return False
        return True

    return fits


_LOST = object()


def _stored(after: str, value):
    """What SQLite makes of a value under an affinity; _LOST when it could not be had back."""
    if isinstance(value, int | float):
        if after == "TEXT":
            return str(value) if float(f"{value:.15g}") == value else _LOST
        whole = isinstance(value, float) and after in ("INTEGER", "NUMERIC") and value.is_integer()
        return int(value) if whole else value
    if isinstance(value, bytes) or after in ("TEXT", "BLOB") or not _NUMBER.fullmatch(value):
        return value
    if not _DECIMAL.fullmatch(value):
        return _LOST
    if "." not in value:
        return int(value) if -(2**63) <= int(value) < 2**63 else _LOST
    return float(value) if len(value.replace(".", "").lstrip("-0")) <= 15 else _LOST


def _base_type(dialect, type_):
    """The type under a TypeDecorator and behind a variant."""
    if type_ is None:
        return None
    type_ = sa.types.to_instance(type_)
    type_ = type_._variant_mapping.get("sqlite", type_)
    while isinstance(type_, sa.TypeDecorator):
        type_ = type_.load_dialect_impl(dialect)
    return type_


def _reads_like(dialect, old_text: str, base) -> bool:
    """Whether the old declared type is read by SQLAlchemy as the new one is."""
    if base is None:
        return True
    old = dialect._resolve_type_affinity(old_text)
    return old._type_affinity is base._type_affinity


def _reader(dialect, base) -> Callable | None:
    """Raises for a stored value that the type cannot read; None for a type that reads all."""
    process = base.dialect_impl(dialect).result_processor(dialect, None)
    if isinstance(base, sa.Boolean):
        return _only(lambda value: value in (0, 1) and not isinstance(value, str))
    if isinstance(base, sa.Integer):
        return _only(lambda value: isinstance(value, int))
    if isinstance(base, sa.Numeric | sa.Float):
        return _only(lambda value: isinstance(value, int | float))
    if isinstance(base, sa.LargeBinary):
        return _only(lambda value: isinstance(value, bytes))
    if isinstance(base, sa.Date | sa.DateTime | sa.Time | sa.Uuid) and process:
        return lambda value: process(value) if isinstance(value, str) else _fail()
    return process if isinstance(base, sa.JSON | sa.Interval) else None


def _only(accepts: Callable[[object], bool]) -> Callable:
    return lambda value: None if accepts(value) else _fail()


def _fail() -> None:
    raise ValueError("the new type cannot read this value")
