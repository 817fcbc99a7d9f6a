"""The type of a column changed: which values would not survive, and which are made over.

SQLite converts what it stores by the affinity of the declared type
(https://sqlite.org/datatype3.html#type_affinity): '007' in an INTEGER column becomes 7, and a date
that looks like a number becomes one. SQLAlchemy then has to read what is stored. It reads a date, a
time or a UUID from more forms than the one that it writes: what stands in another form is read and
then found by no query, since the value that it is compared with is written in the one form.
"""

import re
from collections.abc import Callable

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy import Dialect

from ..lexer import string
from ..typing import SQLType, Value
from . import introspection
from .columns import no_autoincrement
from .data_checks import FUNCTION, Condition, escaped, not_null
from .ddl import constraint_names
from .draft import Draft, SetType, Step
from .introspection import affinity
from .model import Column, Constraint
from .recreate import reads_otherwise
from .table_constraints import (
    check_keys_later,
    describe,
    drop_step,
    involves,
    restricts_to_values,
)
from .tokenizer import fold, quote, same, same_words

Reader = Callable[[Value], object]  # raises for a value that it cannot read
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)


def misfit(
    dialect: Dialect,
    column: str,
    old_text: str,
    new_text: str,
    new_type: SQLType | None,
    encoding: str = "UTF-8",
) -> tuple[str, Callable[..., bool] | None] | None:
    """The condition, true for a value that does not fit, and the function that it calls.

    :param column: the value as SQL, in the form that the new type stores
    :param new_type: SQLAlchemy's type; None when only the declared text is known
    :param encoding: of the database's texts, as PRAGMA encoding says it
    :return: None when every value fits, for example from VARCHAR to TEXT
    """
    base = base_type(dialect, new_type)
    if isinstance(base, sa.Enum):
        listed = ", ".join(string(value) for value in base.enums)
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


def _test(after: str, reads: Reader | None, encoding: str) -> Callable[..., bool]:
    """Stored under the new affinity without loss, and readable by the new type."""

    def fits(value: Value, is_text: bool) -> bool:
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


def _stored(after: str, value: Value) -> object:
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
        return _real_as_text(value)
    if "." not in value:
        number = int(value)
        if after == "REAL":
            return _real(number)
        return number if -(2**63) <= number < 2**63 else _LOST
    return float(value) if len(value.replace(".", "").lstrip("-0")) <= 15 else _LOST


def _real_as_text(value: str) -> object:
    """A text that SQLite has made of a REAL is that number; another one, 1e5 or 007, may be a code."""
    number = float(value)
    digits, e, exponent = f"{number:.15g}".partition("e")
    written = digits + ("" if "." in digits else ".0") + e + exponent
    return number if e and written == value else _LOST


def _real(number: int | float) -> object:
    """Above 2 to the power of 53 not every whole number is a REAL."""
    return float(number) if isinstance(number, float) or int(float(number)) == number else _LOST


def base_type(dialect: Dialect, type_: SQLType | type[SQLType] | None) -> SQLType | None:
    """The type under a TypeDecorator and behind a variant."""
    if type_ is None:
        return None
    base: SQLType = sa.types.to_instance(type_)
    base = base._variant_mapping.get("sqlite", base)
    while isinstance(base, sa.TypeDecorator):
        base = base.load_dialect_impl(dialect)
    return base


def _reads_like(dialect: Dialect, old_text: str, base: SQLType | None) -> bool:
    """Whether the old declared type is read by SQLAlchemy as the new one is."""
    if base is None:
        return True
    old: SQLType = dialect._resolve_type_affinity(old_text)  # type: ignore[attr-defined]  # SQLite's
    return old._type_affinity is base._type_affinity


def _reader(dialect: Dialect, base: SQLType | None) -> Reader | None:
    """Raises for a stored value that the type cannot read, or would write in another way, so that
    no query would find it; None for a type that reads all."""
    if base is None:
        return None
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
        if writes:
            return _only(lambda value: isinstance(value, str) and writes(process(value)) == value)
    return process if isinstance(base, sa.JSON) else None


# what SQLAlchemy writes in one form and reads in several
REWRITTEN = (sa.Date, sa.DateTime, sa.Time, sa.Uuid, sa.Interval)


def _is_number(value: Value, process: Reader | None) -> bool:
    if isinstance(value, int) and process is not None:
        return bool(process(value) == value)  # a Decimal is made by way of a float
    return isinstance(value, int | float)


def _only(accepts: Callable[[Value], bool]) -> Reader:
    return lambda value: None if accepts(value) else _fail()


def _fail() -> None:
    raise ValueError("the new type cannot read this value")


_HEX = "[0-9a-f]"
# RFC 9562, as 32 digits: the version, and the variant
_UUID = f"{_HEX * 12}[1-8]{_HEX * 3}[89ab]{_HEX * 15}"


def made_over(
    dialect: Dialect,
    column: str,
    old_text: str,
    new_type: SQLType | None,
    existing: SQLType | None,
) -> str | None:
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


def _as_text(column: str, old_text: str, new: sa.String, old: SQLType | None) -> str | None:
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


def set_type(draft: Draft, op: SetType) -> None:
    name = draft.column(op.column)
    column = draft.table.column(name)
    old = column.type_text
    if draft.table.strict and column.generated and not same_words(old, op.text):
        # SQLite looks at no row then: https://www.sqlite.org/stricttables.html
        raise CommandError(
            f"{draft.name}.{name} is generated in a STRICT table, where nothing holds its values to "
            "another type: write op.drop_column and op.add_column in place of the change."
        )
    _follow_type(draft, name, op)
    present = not column.generated and fold(name) not in draft.new_columns
    value = _made_over(draft, name, op) if present else None
    dialect, encoding = draft.settings.dialect, draft.db.value("PRAGMA encoding")
    found = misfit(dialect, value or quote(name), old, op.text, op.type, encoding)
    if found and present:
        broken, function = found
        sentence = escaped(f"{draft.name}.{name} cannot become {op.text}: ") + (
            "{rows} would not keep a value that it can read ({examples}); "
            "change them first with op.execute."
        )
        draft.conditions.append(Condition(broken, sentence, (name,), function))
    if same_words(old, op.text) and value is None:
        return
    if not same_words(old, op.text) and same(introspection.integer_primary_key(draft.table), name):
        _give_up_row_number(draft, name, op.text)
    way, update = _way_to_type(draft, column, op.text) if value is None else ("rebuild", None)
    rewritten = " with its values rewritten" if value else ""
    changed = draft.table.set_type(name, op.text)
    short = way == "text" and reads_otherwise(draft.table, changed, name) and not draft.is_empty
    draft.add(
        Step(
            f"change type of {name} to {op.text}{rewritten}",
            lambda table: table.set_type(name, op.text),
            way,
            "type",
            update=update,
            scans=found is not None,
            settles=short,
        )
    )
    if value is not None:
        draft.made_over[fold(name)] = value
    if same(introspection.integer_primary_key(draft.table), name):
        draft.conditions.append(not_null(draft.name, name, "a row number cannot be missing"))
    if value is not None or affinity(old) != affinity(op.text):
        check_keys_later(draft, name)


def _give_up_row_number(draft: Draft, name: str, text: str) -> None:
    """A text is a key that nobody takes for a number; and on the way down it was so before."""
    numbers = affinity(text) in ("INTEGER", "NUMERIC", "REAL")
    if numbers and not draft.settings.going_down:
        raise CommandError(
            f"{draft.name}.{name} is an INTEGER PRIMARY KEY, SQLite's own row number; as {text} "
            'it would no longer be numbered: write BigInteger().with_variant(Integer, "sqlite") '
            "as its type."
        )
    if draft.table.column(name).autoincrement:
        draft.add(Step("no longer make its key AUTOINCREMENT", no_autoincrement, "rebuild"))


def _made_over(draft: Draft, name: str, op: SetType) -> str | None:
    """The values as the new type stores them, as SQL; None where all of them are so already."""
    column, dialect = draft.table.column(name), draft.settings.dialect
    value = made_over(dialect, quote(name), column.type_text, op.type, op.existing)
    if value is None or (draft.is_empty and not draft.settings.portable):
        return None
    if "blob" in value.lower() and draft.db.value("PRAGMA encoding") != "UTF-8":
        return None  # the bytes would be, or be read as, those of this database's own encoding
    if draft.settings.portable and not same_words(column.type_text, op.text):
        return value  # the rows that the script will meet are not these
    differ = (
        f"SELECT EXISTS (SELECT 1 FROM {draft.source().sql} WHERE {value} IS NOT {quote(name)})"
    )
    return value if draft.db.value(differ) else None


def _way_to_type(draft: Draft, column: Column, text: str) -> tuple[str, str | None]:
    """The schema text where the rows stay as they are, an UPDATE of those whose storage class
    changes, a rebuild for whatever a key, an index or an expression could notice."""
    name, old, new = column.name, affinity(column.type_text), affinity(text)
    if fold(name) in draft.new_columns or draft.table.strict or column.generated:
        return "rebuild", None
    involved = [c for c in draft.table.all_constraints() if involves(draft.table, c, name)]
    users = {c.kind for c in involved}
    referred = [r for r in draft.references_to if name in draft.referred_by(r)]
    of_key = users & {"primary key", "unique", "foreign key", "generated"}
    indexes = [index for index in draft.indexes if index.concerns(name)]
    if of_key or referred or not all(index.is_plain for index in indexes):
        return "rebuild", None
    if old == new:
        return "text", None
    # a REAL column stores 5.0 as the integer 5, which only its affinity turns back
    if indexes or "check" in users or draft.triggers or old == "REAL":
        return "rebuild", None
    if new == "BLOB":
        return "text", None
    if old in ("INTEGER", "NUMERIC") and new in ("INTEGER", "NUMERIC", "REAL"):
        return "text", None
    # the classes that the new affinity stores in another way
    classes = {"TEXT": "'integer', 'real'", "REAL": "'text'"}.get(new, "'text', 'real'")
    condition = f"typeof({quote(name)}) IN ({classes})"
    return "text", f"UPDATE {draft.sql_name} SET {quote(name)} = {quote(name)} WHERE {condition}"


def _follow_type(draft: Draft, name: str, op: SetType) -> None:
    """The CHECK that an Enum or a Boolean made goes when its type does, and no other; a new one
    comes on its own."""
    allowed = _values(op.type)
    for c in draft.table.all_constraints():
        values = restricts_to_values(c, name)
        if values is None or values == allowed:
            continue
        made = _is_of_type(draft, c, op) if c.name else _looks_made(draft, c, values, name, op)
        if made:
            says = f"drop {describe(c)}, which went with the type of {name}"
            draft.add(drop_step(draft, c, says))


def _values(type_: SQLType | None) -> set[str] | None:
    """What the CHECK of an Enum or a Boolean lists; None for any other type."""
    if isinstance(type_, sa.Enum):
        return set(map(string, type_.enums))
    return {"0", "1"} if isinstance(type_, sa.Boolean) else None


def _is_of_type(draft: Draft, c: Constraint, op: SetType) -> bool:
    """Whether a CHECK has the name of the type that was, or of the one that takes its place."""
    for type_ in (op.existing, op.type):
        typed = getattr(type_, "name", None)
        if _values(type_) is None or typed is None:
            continue
        given = sa.CheckConstraint("1", name=str(typed))
        sa.Table(draft.name, sa.MetaData(naming_convention=draft.settings.convention), given)
        names = constraint_names(draft.settings.dialect, given)
        if any(same(c.name, known) for known in (*names, f"ck_{draft.name}_{typed}")):
            return True
    return False


def _looks_made(draft: Draft, c: Constraint, values: set[str], name: str, op: SetType) -> bool:
    """Whether a CHECK without a name is as SQLAlchemy makes it for the type that the column has:
    one of the table, and for an Enum as wide as its longest value."""
    if c.inline:
        return False
    if getattr(op.existing, "create_constraint", False):
        return True
    old = fold(draft.table.column(name).type_text)
    if old == "boolean":
        return values == _values(sa.Boolean())
    longest = max(len(value[1:-1].replace("''", "'")) for value in values)
    return _values(op.type) is not None and old == f"varchar({longest})"
