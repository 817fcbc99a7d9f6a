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
    dialect, column: str, old_text: str, new_text: str, new_type, encoding: str = "UTF-8"
) -> tuple[str, Callable[..., bool] | None] | None:
    """The condition, true for a value that does not fit, and the function that it calls.

    :param column: the value as SQL, in the form that the new type stores
    :param new_type: SQLAlchemy's type; None when only the declared text is known
    :param encoding: of the database's texts, as PRAGMA encoding says it
    :return: None when every value fits, for example from VARCHAR to TEXT
    """
    base = base_type(dialect, new_type)
    if isinstance(base, sa.Enum):
        listed = ", ".join("'" + value.replace("'", "''") + "'" for value in base.enums)
        return f"({column} IS NOT NULL AND {column} NOT IN ({listed}))", None
    before, after = affinity(old_text), affinity(new_text)
    reads = None if _reads_like(dialect, old_text, base) else _reader(dialect, base)
    if isinstance(base, sa.String) and before != "BLOB":
        reads = None
    if reads is None and (after == before or after == "BLOB"):
        return None
    if reads is None and after == "TEXT":
        # a number becomes its text, which has 15 digits
        lost = f"CAST(CAST({column} AS TEXT) AS REAL) <> {column}"
        return f"(typeof({column}) = 'real' AND {lost})", None
    # the usual values, without a call of Python for each
    present = f"{column} IS NOT NULL"
    if after == "INTEGER" and isinstance(base, sa.Integer):
        exact = f"CAST(CAST({column} AS INTEGER) AS TEXT) = {column}"
        present = f"typeof({column}) NOT IN ('integer', 'null') AND NOT {exact}"
    elif after in ("REAL", "NUMERIC") and (base is None or isinstance(base, sa.Numeric)):
        small = f"{column} BETWEEN {-(2**53)} AND {2**53}"
        present = f"typeof({column}) <> 'null' AND NOT (typeof({column}) = 'integer' AND {small})"
    # bytes that are no text would not reach the function as one
    is_text = f"typeof({column}) = 'text'"
    value = f"CASE WHEN {is_text} THEN CAST({column} AS BLOB) ELSE {column} END"
    call = f"{FUNCTION}({value}, {is_text})"
    return f"({present} AND NOT {call})", _test(after, reads, encoding)


def _test(after: str, reads: Callable | None, encoding: str) -> Callable[..., bool]:
    """Stored under the new affinity without loss, and readable by the new type."""

    def fits(value, is_text: bool) -> bool:
        try:
            stored = _stored(after, value.decode(encoding) if is_text else value)
            if stored is _LOST:
                return False
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
        if after == "REAL":
            return _real(value)
        whole = isinstance(value, float) and after in ("INTEGER", "NUMERIC") and value.is_integer()
        return int(value) if whole else value
    if isinstance(value, bytes) or after in ("TEXT", "BLOB") or not _NUMBER.fullmatch(value):
        return value
    if not _DECIMAL.fullmatch(value):
        return _LOST
    if "." not in value:
        whole = int(value)
        if after == "REAL":
            return _real(whole)
        return whole if -(2**63) <= whole < 2**63 else _LOST
    return float(value) if len(value.replace(".", "").lstrip("-0")) <= 15 else _LOST


def _real(number: int | float):
    """Above 2 to the power of 53 not every whole number is a REAL."""
    return float(number) if isinstance(number, float) or int(float(number)) == number else _LOST


def base_type(dialect, type_):
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
    """Raises for a stored value that the type cannot read, or would write in another way, so that
    no query would find it; None for a type that reads all."""
    process = base.dialect_impl(dialect).result_processor(dialect, None)
    if isinstance(base, sa.Boolean):
        return _only(lambda value: value in (0, 1) and not isinstance(value, str))
    if isinstance(base, sa.Integer):
        return _only(lambda value: isinstance(value, int))
    if isinstance(base, sa.Numeric | sa.Float):
        return _only(lambda value: _is_number(value, process))
    if isinstance(base, sa.LargeBinary):
        return _only(lambda value: isinstance(value, bytes))
    if isinstance(base, sa.String):
        return _only(lambda value: not isinstance(value, bytes))
    if isinstance(base, REWRITTEN) and process:
        writes = base.dialect_impl(dialect).bind_processor(dialect)
        return _only(lambda value: isinstance(value, str) and writes(process(value)) == value)
    return process if isinstance(base, sa.JSON) else None


# what SQLAlchemy writes in one form and reads in several
REWRITTEN = (sa.Date, sa.DateTime, sa.Time, sa.Uuid, sa.Interval)


def _is_number(value, process: Callable | None) -> bool:
    if isinstance(value, int) and process is not None:
        return process(value) == value  # a Decimal is made by way of a float
    return isinstance(value, int | float)


def _only(accepts: Callable[[object], bool]) -> Callable:
    return lambda value: None if accepts(value) else _fail()


def _fail() -> None:
    raise ValueError("the new type cannot read this value")
