"""Rows made from a schema: they satisfy its types, keys and checks, and hold what is odd but allowed.

Each is drawn, then drawn again where a key or a CHECK says no.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .. import pipeline
from ..catalog import ForeignKey, Table
from ..lexer import dotted, string
from ..typing import Value
from .plan import Domain, Judge, TablePlan, mark_of, of_schema, savepoint, suggestions
from .values import raw

Row = dict[str, Value]
__all__ = ["Made", "TablePlan", "fill", "of_schema"]

SEED = 1
REFUSALS = 12


@dataclass
class Order:
    """Tables in the order of insertion; ``later`` are keys set only once all rows are there."""

    tables: list[str]
    later: list[tuple[str, ForeignKey]]


def ordered(plans: Mapping[str, TablePlan]) -> Order:
    """Put parents before children; a circle is opened at a key that may be NULL.

    A circle in which every key is NOT NULL stays closed: only a database that looks at keys late, or
    not at all, can hold such rows.
    """
    waiting = {
        label: {key.parent for key in plan.foreign_keys if key.parent in plans} - {label}
        for label, plan in plans.items()
    }
    done: list[str] = []
    later: list[tuple[str, ForeignKey]] = []
    while waiting:
        free = [label for label, parents in waiting.items() if not parents]
        if not free:
            free = [_opened(waiting, plans, later)]
        for label in free:
            del waiting[label]
        for parents in waiting.values():
            parents.difference_update(free)
        done += free
    return Order(done, later)


def _opened(
    waiting: Mapping[str, set[str]],
    plans: Mapping[str, TablePlan],
    later: list[tuple[str, ForeignKey]],
) -> str:
    for label, parents in waiting.items():
        open_ = [key for key in plans[label].foreign_keys if key.parent in parents]
        if all(optional(plans[label], key) for key in open_):
            later += [(label, key) for key in open_]
            return label
    return next(iter(waiting))


def optional(plan: TablePlan, key: ForeignKey) -> bool:
    """Whether a row may leave the key NULL."""
    return any(name not in plan.required and plan.domains[name].nullable for name in key.columns)


def fitting(key: ForeignKey, row: Mapping[str, Value], parents: list[Row]) -> list[Row]:
    """Return the parents to which the row can point, with what it holds of the key already."""
    pairs = list(zip(key.columns, key.parent_columns, strict=False))
    return [
        parent
        for parent in parents
        if all(parent.get(theirs) is not None for _, theirs in pairs)
        and all(row[own] == parent[theirs] for own, theirs in pairs if own in row)
    ]


class Taken:
    """The values that the unique keys of one table hold so far."""

    def __init__(self, keys: Iterable[tuple[str, ...]], primary: tuple[str, ...]) -> None:
        self.keys = list(dict.fromkeys(keys))
        self.primary = primary
        self.held: dict[tuple[str, ...], set[tuple[Value, ...]]] = {key: set() for key in self.keys}

    def add(self, row: Mapping[str, Value]) -> None:
        """Note a row that the table holds."""
        for key in self.keys:
            self.held[key].add(self._of(row, key))

    def broken(self, row: Mapping[str, Value]) -> list[tuple[str, ...]]:
        """Return the keys that the row would break."""
        return [key for key in self.keys if self._of(row, key) in self.held[key]]

    def _of(self, row: Mapping[str, Value], key: tuple[str, ...]) -> tuple[Value, ...]:
        values = tuple(comparable(row.get(name)) for name in key)
        # rows with NULL are all different, but not in a primary key
        return (object(),) if None in values and key != self.primary else values


def comparable(value: Value) -> Value:
    """Return a value so that two are equal if any collation takes them for equal."""
    if isinstance(value, str):
        letters = unicodedata.normalize("NFKD", value)
        plain = "".join(c for c in letters if not unicodedata.combining(c))
        return plain.casefold().rstrip()
    return value if value is None or isinstance(value, bytes) else str(value)


TRIES = 120


class Drawer:
    """Draws the rows of one table.

    :param parents: the rows of every table that has some, this one's among them
    :param later: keys that stay NULL for now
    """

    def __init__(
        self,
        plan: TablePlan,
        random: Random,
        judge: Judge,
        parents: Mapping[str, list[Row]],
        later: list[ForeignKey],
    ) -> None:
        self.plan, self.random, self.judge, self.parents = plan, random, judge, parents
        self.later = later
        self.taken = Taken(plan.uniques, plan.table.primary_key)
        self.count = 0
        pointing = sorted(plan.foreign_keys, key=lambda key: -len(key.columns))
        self.pointing = [key for key in pointing if all(c in plan.domains for c in key.columns)]
        self.own = {name for key in self.pointing for name in key.columns}

    def row(self, number: int, avoid: int = 0) -> Row | None:
        """Return the next row, or None when none is found that satisfies everything.

        :param number: 0 is a plain row, 1 holds NULL wherever it may, then come the extremes
        :param avoid: how many rows the database has refused before
        """
        row = self._first(number, avoid)
        for attempt in range(TRIES):
            wrong = self._wrong(row) if row is not None else None
            if wrong == set():
                return row
            row = self._first(number, attempt + 1) if row is None else row
            if row is None:
                continue
            self._again(row, wrong or set(), attempt)
        return None

    def _wrong(self, row: Row) -> set[str]:
        broken = {name for key in self.taken.broken(row) for name in key}
        return broken or {name for columns in self.judge.failing(row) for name in columns}

    def _first(self, number: int, shift: int) -> Row | None:
        row: Row = {}
        if not self._point(row, number, shift):
            return None
        for place, (name, domain) in enumerate(self.plan.domains.items()):
            if name not in row:
                value = self._value(name, domain, number, shift)
                if number < 2 and value is not None and value in row.values():
                    other = domain.numbered(place)  # columns that are mixed up are to show
                    value = value if other is None else other
                row[name] = value
        for name in self.own:
            row.setdefault(name, None)
        return row

    def _value(self, name: str, domain: Domain, number: int, shift: int) -> Value:
        if domain.empty or (number == 1 and name not in self.plan.required and domain.nullable):
            return None
        if domain.unique:
            return self._next(domain)
        specials = domain.specials
        if not specials:
            return None if domain.nullable else domain.numbered(self.count)
        if number in (0, 1) and not shift:
            return specials[0]
        if number < 2 + len(specials):
            return specials[(number - 1 + shift) % len(specials)]
        return self.random.choice(specials)

    def _next(self, domain: Domain) -> Value:
        self.count += 1
        value = domain.numbered(self.count - 1)
        return self.random.choice(domain.specials) if value is None and domain.specials else value

    def _point(self, row: Row, number: int, shift: int) -> bool:
        """Choose the row's parents; False when it must have one and there is none."""
        for place, key in enumerate(self.pointing):
            empty = optional(self.plan, key) and (key in self.later or (number == 1 and not shift))
            found = [] if empty else fitting(key, row, self.parents.get(key.parent, []))
            if found:
                parent = found[(number + place + shift) % len(found)]
                pairs = zip(key.columns, key.parent_columns, strict=True)
                row.update((own, parent[theirs]) for own, theirs in pairs)
            elif key.parent == self.plan.table.label and not optional(self.plan, key):
                self._point_to_itself(row, key)
            elif optional(self.plan, key):
                free = [c for c in key.columns if c not in self.plan.required]
                fixed = [c for c in free if row.get(c) is None] or free
                row.update(dict.fromkeys(fixed[:1] if len(key.columns) > 1 else fixed))
            else:
                return False
        return True

    def _point_to_itself(self, row: Row, key: ForeignKey) -> None:
        for own, theirs in zip(key.columns, key.parent_columns, strict=True):
            if theirs not in row:
                row[theirs] = self._next(self.plan.domains[theirs])
            row[own] = row[theirs]

    def _again(self, row: Row, wrong: set[str], attempt: int) -> None:
        """Draw the columns again that a key or a CHECK has refused."""
        if wrong & self.own:
            fresh = self._first(2 + self.random.randrange(9), attempt + 1)
            if fresh is not None:
                row.update({name: fresh[name] for name in self.own})
        for name in sorted(wrong - self.own):  # the same rows each time
            domain = self.plan.domains[name]
            if domain.empty:
                continue
            last = attempt > TRIES // 2 and name not in self.plan.required and domain.nullable
            choice = [value for value in suggestions(domain, attempt) if domain.accepts(value)]
            choice += [self._next(domain)] if domain.unique or not choice else []
            row[name] = self.random.choice([*choice, None] if last else choice)


@dataclass
class Made:
    """How many rows each table got; ``empty`` are tables for which no row was found, with the reason."""

    rows: dict[str, int] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)


def fill(connection: Connection, plans: Mapping[str, TablePlan], seed: int = SEED) -> Made:
    """Insert rows, the same ones for the same schema and seed.

    What the tables hold already is respected. Foreign keys are honoured whether or not the connection
    enforces them.

    :param plans: from :func:`of_schema`
    :param seed: of the choice among what is allowed
    """
    random = Random(seed)
    made = Made()
    order = ordered(plans)
    # what the history itself has put into the tables
    there = [(plan.table, list(plan.domains)) for plan in plans.values() if plan.domains]
    held: dict[str, list[Row]] = defaultdict(list, read(connection, there))
    for label in order.tables:
        later = [key for table, key in order.later if table == label]
        made.rows[label] = _Filling(connection, plans[label], random, held, later).rows(made)
    for label, key in order.later:
        _point(connection, plans[label], key, held)
    _count_on(connection, [plans[label] for label in order.tables])
    return made


class _Filling:
    """The rows of one table."""

    def __init__(
        self,
        connection: Connection,
        plan: TablePlan,
        random: Random,
        held: dict[str, list[Row]],
        later: list[ForeignKey],
    ) -> None:
        self.connection, self.plan, self.random, self.later = connection, plan, random, later
        self.held, self.own = held, held[plan.table.label]
        self.insert = _Insert(connection, plan)

    def rows(self, made: Made) -> int:
        """Insert them; return how many."""
        state, before = self.random.getstate(), len(self.own)
        count = self._at_once(self._drawer())
        if count is None:
            self.random.setstate(state)
            del self.own[before:]
            return self._one_by_one(self._drawer(), made)
        return self._said(count, made)

    def _drawer(self) -> Drawer:
        plan = self.plan
        judge = Judge(self.connection, plan.table.name, plan.checks, plan.domains, plan.generated)
        drawer = Drawer(plan, self.random, judge, self.held, self.later)
        for row in self.own:
            drawer.taken.add(row)
        return drawer

    def _at_once(self, drawer: Drawer) -> int | None:
        """Draw all of them, then insert; None, and none is there, where that may not be the same.

        A CHECK may look at the rows before; and of an engine without transactions some would stay.
        """
        if drawer.judge.columns or not _undoes(self.connection, self.plan):
            return None
        found = []
        for number in range(self.plan.rows):
            row = drawer.row(number)
            if row is not None:
                self._keep(drawer, row)
                found.append(row)
        return len(found) if not found or self.insert(*found) is None else None

    def _one_by_one(self, drawer: Drawer, made: Made) -> int:
        refused, count = 0, 0
        for number in range(self.plan.rows):
            while (row := drawer.row(number, refused)) is not None:
                error = self.insert(row)
                if error is None:
                    self._keep(drawer, row)
                    count += 1
                    break
                refused += 1
                made.empty[self.plan.table.label] = error
                if refused > REFUSALS:
                    return count
        return self._said(count, made)

    def _said(self, count: int, made: Made) -> int:
        label = self.plan.table.label
        if count:
            made.empty.pop(label, None)
        elif self.plan.rows:
            made.empty.setdefault(label, "no row was found that satisfies its checks and keys")
        return count

    def _keep(self, drawer: Drawer, row: Row) -> None:
        drawer.taken.add(row)
        self.own.append(row)


def _undoes(connection: Connection, plan: TablePlan) -> bool:
    """Whether of several rows none stays when one is refused."""
    said = plan.table.parts.get("options", "")
    return connection.dialect.name in ("sqlite", "postgresql") or said.startswith("InnoDB ")


class _Insert:
    """Inserts rows; says why the database refuses one of them."""

    def __init__(self, connection: Connection, plan: TablePlan) -> None:
        self.connection, self.plan = connection, plan
        self.dialect = connection.dialect.name
        columns = [column(connection, name) for name in plan.domains]
        marks = ", ".join([mark_of(connection)] * len(columns))
        identity = any(dict(c.more).get("identity") for c in plan.table.columns.values())
        override = "OVERRIDING SYSTEM VALUE " if identity else ""
        self.sql = (
            f"INSERT INTO {name_of(connection, plan.table)} ({', '.join(columns)}) {override}"
        )
        self.sql += f"VALUES ({marks})"

    def __call__(self, *rows: Row) -> str | None:
        domains = self.plan.domains.items()
        values = [
            tuple(raw(domain.kind, row.get(name), self.dialect) for name, domain in domains)
            for row in rows
        ]
        try:
            with savepoint(self.connection):
                self.connection.exec_driver_sql(self.sql, values if values[1:] else values[0])
        except DBAPIError as error:
            return " ".join(str(error.orig).split())
        return None


def column(connection: Connection, name: str) -> str:
    """Return a column's name as the database quotes it, for a statement with parameters."""
    return connection.dialect.identifier_preparer.quote_identifier(name)


def name_of(connection: Connection, table: Table) -> str:
    """Return a table's name as the database quotes it, for a statement with parameters."""
    return dotted(*(column(connection, part) for part in (table.schema, table.name) if part))


def updating(connection: Connection, table: Table, columns: Iterable[str]) -> str:
    """Return the statement that sets some columns of the row that a primary key names."""
    mark = mark_of(connection)
    sets = ", ".join(f"{column(connection, name)} = {mark}" for name in columns)
    where = " AND ".join(f"{column(connection, name)} = {mark}" for name in table.primary_key)
    return f"UPDATE {name_of(connection, table)} SET {sets} WHERE {where}"


def read(
    connection: Connection, tables: Sequence[tuple[Table, Sequence[str]]], cast: str = "{}"
) -> dict[str, list[Row]]:
    """Return the rows of some tables, by the labels of these.

    :param tables: each with the columns that are to be read
    :param cast: what is asked of each of them, as SQL
    """
    queries = []
    for table, names in tables:
        columns = [cast.format(pipeline.quoted(connection, name)) for name in names]
        home = pipeline.quoted(connection, table.schema, table.name)
        queries.append(f"SELECT {', '.join(columns) or '1'} FROM {home}")
    return {
        table.label: [dict(zip(names, row, strict=False)) for row in rows]
        for (table, names), rows in zip(tables, pipeline.ask(connection, queries), strict=True)
    }


def _point(
    connection: Connection, plan: TablePlan, key: ForeignKey, held: dict[str, list[Row]]
) -> None:
    """Set a key that had to wait for its parents, in every second row."""
    label, own_key = plan.table.label, plan.table.primary_key
    parents = held[key.parent]
    if not parents or not own_key or set(own_key) & set(key.columns):
        return
    sql = updating(connection, plan.table, key.columns)
    dialect = connection.dialect.name
    for number, row in enumerate(held[label]):
        parent = parents[number % len(parents)]
        fresh = dict(zip(key.columns, (parent[name] for name in key.parent_columns), strict=True))
        if number % 2 or any(row[name] not in (None, fresh[name]) for name in key.columns):
            continue
        now = row | fresh
        values = [
            raw(plan.domains[name].kind, now[name], dialect) for name in (*key.columns, *own_key)
        ]
        try:
            with savepoint(connection):
                connection.exec_driver_sql(sql, tuple(values))
        except DBAPIError:
            continue  # a unique key or a CHECK does not want it: NULL stays
        row.update(fresh)


def _count_on(connection: Connection, plans: list[TablePlan]) -> None:
    """Let PostgreSQL's sequences go on after the rows, as they would after real inserts."""
    if connection.dialect.name != "postgresql":
        return
    queries = []
    for plan in plans:
        table = pipeline.quoted(connection, plan.table.schema, plan.table.name)
        for name, facts in plan.table.columns.items():
            if facts.automatic:
                sequence = f"pg_get_serial_sequence({string(table)}, {string(name)})"
                values = f"SELECT {pipeline.quoted(connection, name)} AS v FROM {table}"
                queries.append(
                    f"SELECT setval({sequence}, greatest(max(v), 1)) FROM ({values}) AS rows "
                    f"HAVING {sequence} IS NOT NULL"
                )
    pipeline.ask(connection, queries)
