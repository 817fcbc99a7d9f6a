"""Rows made from a schema: they satisfy its types, keys and checks, and hold what is odd but allowed."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .. import pipeline
from ..catalog.schema import ForeignKey
from . import draw
from .checks import Judge, savepoint
from .draw import Drawer, Row
from .plan import TablePlan, of_schema
from .values import raw

__all__ = ["Made", "TablePlan", "fill", "of_schema"]

SEED = 1
REFUSALS = 12


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
    order = draw.order(plans)
    held = _held(connection, [plans[label] for label in order.tables])
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
            drawer.keep(row)
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
        drawer.keep(row)
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
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        columns = [column(connection, name) for name in plan.domains]
        marks = ", ".join([mark] * len(columns))
        identity = any(dict(c.more).get("identity") for c in plan.table.columns.values())
        override = "OVERRIDING SYSTEM VALUE " if identity else ""
        self.sql = f"INSERT INTO {name_of(connection, plan)} ({', '.join(columns)}) {override}"
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


def name_of(connection: Connection, plan: TablePlan) -> str:
    """Return a table's name as the database quotes it, for a statement with parameters."""
    parts = [part for part in (plan.table.schema, plan.table.name) if part]
    return ".".join(column(connection, part) for part in parts)


def _held(connection: Connection, plans: list[TablePlan]) -> dict[str, list[Row]]:
    """What the history itself has put into the tables."""
    plans = [plan for plan in plans if plan.domains]
    queries = []
    for plan in plans:
        columns = ", ".join(pipeline.quoted(connection, name) for name in plan.domains)
        name = pipeline.quoted(connection, plan.table.schema, plan.table.name)
        queries.append(f"SELECT {columns} FROM {name}")
    held: dict[str, list[Row]] = defaultdict(list)
    for plan, rows in zip(plans, pipeline.ask(connection, queries), strict=True):
        held[plan.table.label] = [dict(zip(plan.domains, row, strict=True)) for row in rows]
    return held


def _point(
    connection: Connection, plan: TablePlan, key: ForeignKey, held: dict[str, list[Row]]
) -> None:
    """Set a key that had to wait for its parents, in every second row."""
    label, own_key = plan.table.label, plan.table.primary_key
    parents = held[key.parent]
    if not parents or not own_key or set(own_key) & set(key.columns):
        return
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    sets = ", ".join(f"{column(connection, name)} = {mark}" for name in key.columns)
    where = " AND ".join(f"{column(connection, name)} = {mark}" for name in own_key)
    sql = f"UPDATE {name_of(connection, plan)} SET {sets} WHERE {where}"
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
                sequence = f"pg_get_serial_sequence({pipeline.text(table)}, {pipeline.text(name)})"
                values = f"SELECT {pipeline.quoted(connection, name)} AS v FROM {table}"
                queries.append(
                    f"SELECT setval({sequence}, greatest(max(v), 1)) FROM ({values}) AS rows "
                    f"HAVING {sequence} IS NOT NULL"
                )
    pipeline.ask(connection, queries)
