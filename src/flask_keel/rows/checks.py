"""CHECKs and generated columns: the database itself says, before a row is inserted, whether it fits."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .. import lexer
from ..catalog import Check
from ..typing import Value
from .plan import Domain
from .values import Kind, bears, near, raw

NUMBER = re.compile(r"(?<![\w'.])-?\d+(?:\.\d+)?(?![\w'])")
CHECK = "CASE WHEN ({0}) THEN 1 WHEN NOT ({0}) THEN 0 ELSE 1 END"
VALUE = "({0})"


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
    days = [moment + timedelta(days=step) for step in (0, 1, -1)]
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
        mark = "?" if self.connection.dialect.paramstyle == "qmark" else "%s"
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


class savepoint:
    """What fails inside leaves nothing behind, on PostgreSQL not even a dead transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self._say("SAVEPOINT made_row")

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None:
            self._say("ROLLBACK TO SAVEPOINT made_row")
        self._say("RELEASE SAVEPOINT made_row")

    def _say(self, sql: str) -> None:
        self.connection.exec_driver_sql(sql)


def suggestions(domain: Domain, number: int) -> Iterator[Value]:
    """Yield what may satisfy a CHECK of this column, or a key.

    :param number: of the try: each has other values, close to those that the CHECK names
    """
    yield from domain.mined
    yield from (near(domain.kind, value, number) for value in domain.mined)
    if not domain.unique:
        yield from domain.specials
