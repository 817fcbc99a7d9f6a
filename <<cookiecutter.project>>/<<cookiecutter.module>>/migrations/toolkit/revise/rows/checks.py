"""CHECKs: the database itself says whether a row satisfies them, before the row is inserted."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ..facts import Check
from .domains import Domain
from .raw import raw
from .values import near

STRING = re.compile(r"'((?:[^']|'')*)'")
NUMBER = re.compile(r"(?<![\w'.])-?\d+(?:\.\d+)?(?![\w'])")
WORD = re.compile(r'"((?:[^"]|"")+)"|`([^`]+)`|\[([^\]]+)\]|(\w+)')


def columns_of(check: Check, names: Mapping[str, str]) -> list[str]:
    """Return the columns, by the names that they have now, that a CHECK speaks of.

    :param names: from the names in the CHECK to those
    """
    words = {next(filter(None, found.groups())).lower() for found in WORD.finditer(check.text)}
    return [now for name, now in names.items() if name.lower() in words]


def mine(check: Check, domain: Domain) -> None:
    """Give a column the values that the CHECK names, those next to them, and text of such lengths."""
    found: list[Any] = []
    strings = [text.replace("''", "'") for text in STRING.findall(check.text)]
    for text in strings:
        found += [text, text.strip("%_"), f"a{text.strip('%_')}a", text.strip("^$*+")]
        found += _days(text)
    for text in NUMBER.findall(STRING.sub("''", check.text)):
        number = Decimal(text)
        found += [number, number - 1, number + 1]
        length = int(abs(number))
        if domain.kind.family == "text" and length <= 1000:
            found += [letter * size for size in (length, length + 1) for letter in "aA1"]
    found += [1, 2] if domain.kind.family in ("int", "numeric", "float") else ["a", "A", "abc"]
    for value in found:
        if domain.accepts(value) and value not in domain.mined:
            domain.mined.append(value)


def _days(text: str) -> list[Any]:
    """The day or moment that a text names, and those next to it, for columns that hold such."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return []
    days = [moment + timedelta(days=step) for step in (0, 1, -1)]
    return [day.date() for day in days] + days


class Judge:
    """Asks the database which CHECKs of a table a row fails.

    :param checks: each with the names of its columns now, by the names that it uses
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        checks: Sequence[tuple[Check, Mapping[str, str]]],
        domains: Mapping[str, Domain],
    ) -> None:
        self.connection, self.table, self.domains = connection, table, domains
        self.dialect = connection.dialect.name
        self.quote = connection.dialect.identifier_preparer.quote_identifier
        self.columns: list[list[str]] = []
        self._asked: list[tuple[str, list[str]]] = []
        for check, names in checks:
            columns = columns_of(check, names)
            if columns and all(name in domains for name in columns):
                # a column that the check calls otherwise, or that is only made later, has no value
                query = self._query(check, names, columns)
                if query not in (asked for asked, _ in self._asked):
                    self._asked.append((query, columns))
                    self.columns.append(columns)
                    for name in columns:
                        mine(check, domains[name])

    def failing(self, row: Mapping[str, Any]) -> list[list[str]]:
        """Return the columns of each CHECK that the row fails."""
        failed = []
        for query, columns in list(self._asked):
            values = tuple(
                raw(self.domains[name].kind, row.get(name), self.dialect) for name in columns
            )
            answer = self._ask(query, values)
            if answer is None:
                self._asked.remove((query, columns))  # it cannot be asked outside of its table
            elif not answer:
                failed.append(columns)
        return failed

    def _query(self, check: Check, names: Mapping[str, str], columns: list[str]) -> str:
        called = {now: name for name, now in names.items()}
        mark = "?" if self.connection.dialect.paramstyle == "qmark" else "%s"
        parts = []
        for name in columns:
            type_ = self.domains[name].kind.type
            value = f"CAST({mark} AS {type_})" if self.dialect == "postgresql" else mark
            parts.append(f"{value} AS {self.quote(called[name])}")
        text = check.text if mark == "?" else check.text.replace("%", "%%")
        held = f"(SELECT {', '.join(parts)}) AS {self.quote(self.table)}"
        return f"SELECT CASE WHEN ({text}) THEN 1 WHEN NOT ({text}) THEN 0 ELSE 1 END FROM {held}"

    def _ask(self, query: str, values: tuple) -> bool | None:
        try:
            with savepoint(self.connection):
                return bool(self.connection.exec_driver_sql(query, values).scalar())
        except DBAPIError:
            return None


class savepoint:
    """What fails inside leaves nothing behind, on PostgreSQL not even a dead transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self._say("SAVEPOINT made_row")

    def __exit__(self, kind: Any, *error: Any) -> None:
        if kind is not None:
            self._say("ROLLBACK TO SAVEPOINT made_row")
        self._say("RELEASE SAVEPOINT made_row")

    def _say(self, sql: str) -> None:
        self.connection.exec_driver_sql(sql)


def suggestions(domain: Domain, number: int) -> Iterator[Any]:
    """Yield what may satisfy a CHECK of this column, or a key.

    :param number: of the try: each has other values, close to those that the CHECK names
    """
    yield from domain.mined
    yield from (near(domain.kind, value, number) for value in domain.mined)
    if not domain.unique:
        yield from domain.specials
