"""Which rows to make: for each table its columns, keys and checks, now and after the migration."""

import json
import pickle
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from itertools import pairwise

from sqlalchemy import Connection, Dialect, MetaData, types
from sqlalchemy.exc import DBAPIError

from .. import lexer
from ..catalog import Check, Column, ForeignKey, Schema, Table
from ..typing import AnyColumn, SQLType, Value
from .values import (
    GUESSES,
    Kind,
    accepts,
    as_text,
    bears,
    kind_of,
    moderate,
    moved,
    near,
    numbered,
    raw,
    specials,
)

# keys begin here, by the bytes of their type: a migration that brings rows numbers them from 1
FIRST = {1: 60, 2: 20_000, 3: 1_000_000, 4: 1_000_000, 8: 1_000_000}
NUMBERS = {"int", "numeric", "float", "bool", "year"}
DAYS = {"date", "datetime"}
EPOCH = datetime(1970, 1, 1)
LAST = 60_000_000_000  # seconds from there, either way, in which all databases have days
# how applications store what no type of a database holds
STORED = (
    '{"a": [1, "Zo\\u00eb"]}',
    '["a", "b"]',
    "[]",
    pickle.dumps({"a": [1, 2]}),
    pickle.dumps([]),
)
BY_NAME = {
    "mail": "someone{}@example.org",
    "url": "https://example.org/{}",
    "link": "https://example.org/{}",
    "website": "https://example.org/{}",
    "phone": "+49 30 123456{}",
    "name": "Ada Lovelace{}",
}
FREE = {"name"}  # what may hold any text


@dataclass
class Domain:
    """The values of a column: as it is now, and as the migration will have it.

    :param kind: of the column now
    :param later: of the column after the migration, when that is another
    :param empty: nothing but NULL fits
    :param mined: values that a CHECK names
    :param computed: the migration's own code may compute with what it finds: no extremes
    :param reader: raises for a value that the application cannot read
    :param given: the values that the migration itself speaks of: no others are used
    """

    name: str
    kind: Kind
    later: Kind | None = None
    nullable: bool = True
    unique: bool = False
    empty: bool = False
    mined: list[Value] = field(default_factory=list)
    given: list[Value] = field(default_factory=list)
    computed: bool = False
    reader: Callable[[Value], object] | None = None

    @cached_property
    def _both(self) -> list[Value]:
        """What lives through the change; empty when nothing does."""
        known = [*specials(self.kind), *(specials(self.later) if self.later else [])]
        fitted = [self._fit(value) for value in known]
        return [value for value in fitted if value is not None]

    @cached_property
    def specials(self) -> list[Value]:
        """The values worth trying, the plainest first."""
        if self.given:
            return self.given
        values = self._both or specials(self.kind)
        if self.computed:
            values = [value for value in values if moderate(self.kind, value)] or values
        if self.reader is not None:
            more = [value for value in (*GUESSES, *STORED) if accepts(self.kind, value)]
            values = [value for value in (*values, *more) if self._reads(value)] or values
        named = self._named(0)
        if named and not any(word in self.name.lower() for word in FREE):
            values = [value for number in range(6) for value in self._named(number)]
        return list({repr(value): value for value in (*named, *values)}.values())

    def numbered(self, number: int) -> Value:
        """Return the value with this number, each another one; None when there are no more."""
        if self.given:
            return self.given[number] if number < len(self.given) else None
        for value in self._named(number):
            return value
        both = self.later is not None and bool(self._both)
        for kind in (self.later, self.kind) if self.later and both else (self.kind,):
            for first in (FIRST[kind.size], 0) if kind.family == "int" else (0,):
                value = numbered(kind, first + number)
                fitted = self._fit(value) if both and value is not None else value
                if fitted is not None and self._reads(fitted):
                    return fitted
        return None

    def accepts(self, value: Value) -> bool:
        """Whether the column holds the value now and afterwards."""
        if self.given:
            return value in self.given
        if self.later is None or not self._both:
            return accepts(self.kind, value)
        return bool(self._fit(value) == value)

    def _named(self, number: int) -> list[str]:
        """A value of the sort that the column's name speaks of: migrations take such text apart."""
        if self.kind.family != "text" or self.kind.fixed:
            return []
        for word, pattern in BY_NAME.items():
            if word in self.name.lower():
                value = pattern.format(number or "")
                return [value] if self._fit(value) == value else []
        return []

    def _reads(self, value: Value) -> bool:
        try:
            return self.reader is None or bool([self.reader(value)])
        except Exception:
            return False

    def _fit(self, value: Value) -> Value:
        """The value as this column has it now, if it lives through the change; else None."""
        now, later = self.kind, self.later
        if later is None:
            return value if accepts(now, value) else None
        both = {now.family, later.family}
        if len(both) == 1 or both <= NUMBERS or both <= DAYS:
            return value if accepts(now, value) and accepts(later, value) else None
        if (now.family, later.family) == ("binary", "text"):
            data = value.encode() if isinstance(value, str) else value
            return data if accepts(now, data) and _is_text(data, later) else None
        if now.family == "json":
            if later.family in ("text", "binary"):
                return value if accepts(now, value) and accepts(later, as_text(value)) else None
            if later.family == "array":
                return "[]"
            plain = isinstance(value, int | float | Decimal)
            known = float(value) if isinstance(value, Decimal) else value
            return json.dumps(known if plain else as_text(value)) if accepts(later, value) else None
        if now.family == "text":
            text = as_text(value)
            return text if accepts(later, value) and accepts(now, text) else None
        if later.family in ("text", "enum"):
            return value if accepts(now, value) and accepts(later, as_text(value)) else None
        if now.family == "binary" and later.family in ("json", "uuid"):
            if not accepts(later, value):
                return None
            return value.encode() if later.family == "json" else uuid.UUID(value).bytes
        if not accepts(now, value):
            return None
        return value if _counts(value, later) else None


def _counts(value: Value, kind: Kind) -> bool:
    """Whether a column of numbers holds a time in seconds, and one of times such a number."""
    if kind.family in NUMBERS and isinstance(value, date | timedelta):
        time = value if isinstance(value, timedelta) else datetime(*value.timetuple()[:6]) - EPOCH
        return bears(kind, time.total_seconds())
    if kind.family in {*DAYS, "time", "interval"} and isinstance(value, int | float | Decimal):
        return bool(-LAST < value < LAST)
    return True


def _is_text(data: bytes, kind: Kind) -> bool:
    """Whether bytes are what a text column takes: databases read them as UTF-8, without NUL."""
    try:
        return b"\0" not in data and accepts(kind, data.decode())
    except UnicodeDecodeError:
        return False


# What the models know of a column and the database does not: an Enum's labels, a Uuid, JSON.
#
# Migrations that move data read such columns, and would choke on any text.


def apply(plan: "TablePlan", names: "Names", models: MetaData | None) -> None:
    """Refine the kinds of a table's columns.

    :param names: where each column is after the migration, which is what the models describe
    :param models: a ``MetaData``, or None
    """
    label = plan.table.label
    if models is None:
        return
    for name, domain in plan.domains.items():
        table, column = names.get((label, name), (label, name))
        model = models.tables.get(table)
        if model is not None and column in model.columns:
            domain.kind = refined(model.columns[column], domain.kind)


def refined(column: AnyColumn, kind: Kind) -> Kind:
    """Return the kind with what a column of SQLAlchemy knows of it."""
    default = getattr(column.default, "arg", None)
    if isinstance(column.type, types.JSON) and kind.family in ("text", "json"):
        many = kind.many or getattr(default, "__name__", "") == "list"
        return kind.limited(family="json", many=many)
    return typed(column.type, kind)


# psycopg's numbers want to know which of PostgreSQL's they are, and nobody else does
NUMERIC = 1700


def reader(type_: SQLType, dialect: Dialect) -> Callable[[Value], object] | None:
    """Return what reads a stored value, where the application has its own way to.

    :param dialect: SQLAlchemy's
    """
    if not isinstance(type_, types.TypeDecorator):
        return None
    return type_.dialect_impl(dialect).result_processor(dialect, NUMERIC)


def typed(type_: SQLType | type[SQLType], kind: Kind) -> Kind:
    """Return the kind with what a type, or its class, knows of it: the labels of an Enum."""
    if kind.family != "text":
        return kind
    match types.to_instance(type_):
        case types.Enum() as known if known.enums:
            fitting = [e for e in known.enums if kind.length is None or len(e) <= kind.length]
            return kind.limited(family="enum", labels=tuple(fitting)) if fitting else kind
        case types.Uuid() if kind.length is None or kind.length >= 36:
            return kind.limited(family="uuid")
        case types.JSON():
            return kind.limited(family="json")
    return kind


Names = Mapping[tuple[str, str], tuple[str, str]]


@dataclass
class TablePlan:
    """A table's part: ``checks`` come with the names that their columns have now.

    So do the expressions of ``generated`` columns, each with the kind of value that they may have.
    """

    table: Table
    domains: dict[str, Domain] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    uniques: list[tuple[str, ...]] = field(default_factory=list)
    checks: list[tuple[Check, dict[str, str]]] = field(default_factory=list)
    generated: list[tuple[str, Kind, dict[str, str]]] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    rows: int = 6


def of_schema(
    schema: Schema,
    dialect: str,
    tables: Mapping[str, int],
    later: Schema | None = None,
    names: Names | None = None,
    models: MetaData | None = None,
) -> dict[str, TablePlan]:
    """Return the plans of the tables that are to have rows.

    :param tables: how many rows each is to have, by the table's label
    :param later: the schema after the migration, which the rows are to satisfy too
    :param names: where each column (table, name) is after the migration
    :param models: the application's ``MetaData``: what a column means that the database cannot say
    """
    names = names if names is not None else {}
    back = {after: before for before, after in names.items()}
    plans = {}
    for label, count in tables.items():
        table = schema.tables[label]
        plan = plans[label] = TablePlan(table, rows=count)
        for column in table.columns.values():
            if not column.generated:
                _add_column(plan, column, schema, dialect)
        plan.uniques = [unique.columns for unique in table.uniques if unique.columns]
        names_now = {name: name for name in table.columns}
        plan.checks = [(_of_columns(check, table), names_now) for check in table.checks]
        plan.generated = _generated(table, names_now, schema, dialect)
        plan.foreign_keys = list(table.foreign_keys)
        if later is not None:
            _add_later(plan, later, names, back, dialect)
        apply(plan, names, models)
        # of a key of several columns one that differs is enough: those are drawn until they do
        for name in (columns[0] for columns in plan.uniques if len(columns) == 1):
            if name in plan.domains:
                plan.domains[name].unique = True
    return plans


def _add_column(plan: TablePlan, column: Column, schema: Schema, dialect: str) -> None:
    kind = kind_of(column.type, dialect, schema)
    collation = dict(column.more).get("collation") or plan.table.parts.get("options", "")
    if dialect in ("mysql", "mariadb") and "utf8mb4" not in collation and kind.family == "text":
        kind = kind.limited(ascii=True)
    if any(check.text == f"json_valid(`{column.name}`)" for check in plan.table.checks):
        kind = kind.limited(family="json")
    if kind.family == "json" and (column.default or "").lstrip("('").startswith("["):
        kind = kind.limited(many=True)
    # what the database counts is to go on after these rows, so no extremes there
    plan.domains[column.name] = Domain(
        column.name, kind, nullable=column.nullable, unique=column.automatic
    )
    if not column.nullable:
        plan.required.add(column.name)


def _of_columns(check: Check, table: Table) -> Check:
    """The CHECK with what its generated columns compute in their place, since rows give them no value."""
    found = {c.name.lower(): c.expression for c in table.columns.values() if c.expression}
    text = check.text
    for _ in found:  # one may be computed from another
        parts = [*lexer.tokens(text), ("", "")]
        text = "".join(
            f"({found[lexer.unquote(part).lower()]})"
            if kind in ("name", "word") and lexer.unquote(part).lower() in found and after != "("
            else part
            for (kind, part), (_, after) in pairwise(parts)
        )
    return replace(check, text=text)


def _generated(
    table: Table, names: dict[str, str], schema: Schema, dialect: str
) -> list[tuple[str, Kind, dict[str, str]]]:
    """What the table's generated columns compute; SQLite, whose columns hold anything, has no limits."""
    if dialect == "sqlite":
        return []
    found = [column for column in table.columns.values() if column.expression]
    return [(c.expression or "", kind_of(c.type, dialect, schema), names) for c in found]


def _add_later(plan: TablePlan, later: Schema, names: Names, back: Names, dialect: str) -> None:
    label = plan.table.label
    for name, domain in plan.domains.items():
        if (label, name) not in names:
            continue
        home, column = names[label, name]
        after = later.tables[home].columns[column]
        kind = kind_of(after.type, dialect, later)
        if kind.many != domain.kind.many:
            kind = kind.limited(many=domain.kind.many)
        other = kind != domain.kind
        if other and kind.limited(type="") != domain.kind.limited(type="", ascii=kind.ascii):
            domain.later = kind
        domain.nullable = domain.nullable and after.nullable
    for name, was in plan.table.columns.items():
        place = names.get((label, name))
        if was.expression and place and not later.tables[place[0]].columns[place[1]].nullable:
            for source in set(_sources(plan.table, name)) & plan.domains.keys():
                plan.domains[source].nullable = False
    homes = {names[label, name][0] for name in plan.table.columns if (label, name) in names}
    for table in (later.tables[home] for home in homes):
        own = {after: back.get((table.label, after)) for after in table.columns}
        here = {after: key[1] for after, key in own.items() if key and key[0] == label}
        for unique in table.uniques:
            columns = tuple(here[name] for name in unique.columns if name in here)
            if columns and len(columns) == len(unique.columns):
                plan.uniques.append(columns)
            else:
                # a new column's values come from the others: those are to differ, as in real rows
                for domain in plan.domains.values():
                    domain.unique = True
        plan.checks += [(_of_columns(check, table), here) for check in table.checks]
        plan.generated += _generated(table, here, later, dialect)
        for key in table.foreign_keys:
            columns = tuple(here[name] for name in key.columns if name in here)
            if len(columns) < len(key.columns):
                continue
            parents = [back.get((key.parent, name)) for name in key.parent_columns]
            _add_later_key(plan, columns, parents)


def _sources(table: Table, name: str) -> list[str]:
    """What a generated column is computed from; of another itself."""
    expression = table.columns[name].expression
    return columns_of(expression, {each: each for each in table.columns}) if expression else [name]


def _add_later_key(
    plan: TablePlan, columns: tuple[str, ...], parents: Sequence[tuple[str, str] | None]
) -> None:
    sources = [_sources(plan.table, name) for name in columns]
    said = [plan.table.columns[name].expression or name for name in columns]
    columns = tuple(name for names in sources for name in names)
    known = [parent for parent in parents if parent]
    if [lexer.unquote(each.strip("()")) for each in said] != [*columns]:
        known = []  # nobody knows of which values others are computed
    if len(known) == len(parents) and len({parent for parent, _ in known}) == 1:
        key = ForeignKey(columns, known[0][0], tuple(name for _, name in known))
        if all((k.columns, k.parent) != (columns, key.parent) for k in plan.foreign_keys):
            plan.foreign_keys.append(key)
    else:
        # the parent is only made by the migration: no row can point to it yet
        for name in columns:
            if name not in plan.required and name in plan.domains:
                plan.domains[name].empty = True


# CHECKs and generated columns: the database itself says, before a row is inserted, whether it fits.


NUMBER = re.compile(r"(?<![\w'.])-?\d+(?:\.\d+)?(?![\w'])")
CHECK = "CASE WHEN ({0}) THEN 1 WHEN NOT ({0}) THEN 0 ELSE 1 END"
VALUE = "({0})"


def mark_of(connection: Connection) -> str:
    """Return what stands for a parameter in a statement for the driver."""
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


def columns_of(text: str, names: Mapping[str, str]) -> list[str]:
    """Return the columns, by the names that they have now, that an expression speaks of.

    :param names: from the names in the expression to those
    """
    found = lexer.tokens(text)
    words = {lexer.unquote(word).lower() for kind, word in found if kind in ("name", "word")}
    return [now for name, now in names.items() if name.lower() in words]


def mine(check: Check, domain: Domain) -> None:
    """Give a column the values that the CHECK names, those next to them, and text of such lengths."""
    found: list[Value] = []
    strings = [lexer.unquote(text) for kind, text in lexer.tokens(check.text) if kind == "string"]
    for text in strings:
        found += [text, text.strip("%_"), f"a{text.strip('%_')}a", text.strip("^$*+")]
        found += _days(text)
    for text in NUMBER.findall(lexer.without_asides(check.text)):
        number = Decimal(text)
        found += [number, number - 1, number + 1]
        length = int(abs(number))
        if domain.kind.family == "text" and length <= 1000:
            found += [letter * size for size in (length, length + 1) for letter in "aA1"]
    found += [1, 2] if domain.kind.family in ("int", "numeric", "float") else ["a", "A", "abc"]
    for value in found:
        if domain.accepts(value) and value not in domain.mined:
            domain.mined.append(value)


def _days(text: str) -> list[Value]:
    """The day or moment that a text names, and those next to it, for columns that hold such."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return []
    days = [day for step in (0, 1, -1) if (day := moved(moment, step))]
    return [day.date() for day in days] + days


@dataclass(frozen=True)
class Question:
    """What the database is asked of a row, and whether its answer is good: an error is not."""

    query: str
    columns: list[str]
    good: Callable[[Value], bool] = bool


class Judge:
    """Asks the database which CHECKs of a table a row fails, and which columns it cannot compute.

    :param checks: each with the names of its columns now, by the names that it uses
    :param generated: expressions likewise, each with the kind of column that is to hold the value
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        checks: Sequence[tuple[Check, Mapping[str, str]]],
        domains: Mapping[str, Domain],
        generated: Sequence[tuple[str, Kind, Mapping[str, str]]] = (),
    ) -> None:
        self.connection, self.table, self.domains = connection, table, domains
        self.dialect = connection.dialect.name
        self.quote = connection.dialect.identifier_preparer.quote_identifier
        self._asked: list[Question] = []
        for check, names in checks:
            for name in self._add(check.text, names, CHECK):
                mine(check, domains[name])
        for text, kind, names in generated:
            self._add(text, names, VALUE, good=partial(bears, kind))

    def failing(self, row: Mapping[str, Value]) -> list[list[str]]:
        """Return the columns of each CHECK that the row fails."""
        failed = []
        for question in list(self._asked):
            values = [
                raw(self.domains[name].kind, row.get(name), self.dialect)
                for name in question.columns
            ]
            try:
                good = question.good(self._ask(question, values))
            except DBAPIError:
                if not self._answers(question, [None] * len(values)):
                    self._asked.remove(question)  # it cannot be asked outside of its table
                    continue
                good = False
            if not good:
                failed.append(question.columns)
        return failed

    @property
    def columns(self) -> list[str]:
        """The columns that it asks about."""
        return [name for question in self._asked for name in question.columns]

    def _add(self, text: str, names: Mapping[str, str], asked: str, **more: Value) -> list[str]:
        """Have something asked of each row; return the columns that it speaks of."""
        columns = columns_of(text, names)
        if not columns or not all(name in self.domains for name in columns):
            return []  # a column that is called otherwise, or that is only made later, has no value
        question = Question(self._query(asked, text, names, columns), columns, **more)
        if any(other.query == question.query for other in self._asked):
            return []
        self._asked.append(question)
        return columns

    def _query(self, asked: str, text: str, names: Mapping[str, str], columns: list[str]) -> str:
        called = {now: name for name, now in names.items()}
        mark = mark_of(self.connection)
        parts = []
        for name in columns:
            type_ = self._cast(self.domains[name].kind)
            value = f"CAST({mark} AS {type_})" if type_ else mark
            parts.append(f"{value} AS {self.quote(called[name])}")
        text = text if mark == "?" else text.replace("%", "%%")
        held = f"(SELECT {', '.join(parts)}) AS {self.quote(self.table)}"
        return f"SELECT {asked.format(text)} FROM {held}"

    def _cast(self, kind: Kind) -> str:
        """As what a value is asked about: to MySQL it is a text, with which it counts in doubles."""
        if self.dialect == "postgresql":
            return kind.type
        if self.dialect == "sqlite" or kind.family != "int":
            return ""
        return "UNSIGNED" if kind.unsigned else "SIGNED"

    def _ask(self, question: Question, values: list[Value]) -> Value:
        with savepoint(self.connection):
            return self.connection.exec_driver_sql(question.query, tuple(values)).scalar()

    def _answers(self, question: Question, values: list[Value]) -> bool:
        try:
            self._ask(question, values)
        except DBAPIError:
            return False
        return True


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """What fails inside leaves nothing behind, on PostgreSQL not even a dead transaction."""
    connection.exec_driver_sql("SAVEPOINT made_row")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT made_row")
        raise
    finally:
        connection.exec_driver_sql("RELEASE SAVEPOINT made_row")


def suggestions(domain: Domain, number: int) -> Iterator[Value]:
    """Yield what may satisfy a CHECK of this column, or a key.

    :param number: of the try: each has other values, close to those that the CHECK names
    """
    yield from domain.mined
    yield from (near(domain.kind, value, number) for value in domain.mined)
    if not domain.unique:
        yield from domain.specials
