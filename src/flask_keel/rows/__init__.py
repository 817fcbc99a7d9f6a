"""Rows made from a schema: they satisfy its types, keys and checks, and hold what is odd but allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

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
    held = {label: _held(connection, plans[label]) for label in order.tables}
    for label in order.tables:
        plan = plans[label]
        later = [key for table, key in order.later if table == label]
        judge = Judge(connection, plan.table.name, plan.checks, plan.domains, plan.generated)
        drawer = Drawer(plan, random, judge, held, later)
        for row in held[label]:
            drawer.keep(row)
        made.rows[label] = _fill(connection, drawer, held[label], made)
    for label, key in order.later:
        _point(connection, plans[label], key, held)
    for label in order.tables:
        _count_on(connection, plans[label])
    return made


def _fill(connection: Connection, drawer: Drawer, held: list[Row], made: Made) -> int:
    plan, refused, count = drawer.plan, 0, 0
    insert = _Insert(connection, plan)
    for number in range(plan.rows):
        while True:
            row = drawer.row(number, refused)
            if row is None:
                break
            error = insert(row)
            if error is None:
                drawer.keep(row)
                held.append(row)
                count += 1
                break
            refused += 1
            made.empty[plan.table.label] = error
            if refused > REFUSALS:
                return count
    if count:
        made.empty.pop(plan.table.label, None)
    elif plan.rows:
        made.empty.setdefault(
            plan.table.label, "no row was found that satisfies its checks and keys"
        )
    return count


class _Insert:
    """Inserts a row; says why the database refuses it."""

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

    def __call__(self, row: Row) -> str | None:
        values = [
            raw(domain.kind, row.get(name), self.dialect)
            for name, domain in self.plan.domains.items()
        ]
        try:
            with savepoint(self.connection):
                self.connection.exec_driver_sql(self.sql, tuple(values))
        except DBAPIError as error:
            return " ".join(str(error.orig).split())
        return None


def column(connection: Connection, name: str) -> str:
    """Return a column's name as the database quotes it, for a statement with parameters."""
    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
    return quoted if connection.dialect.paramstyle == "qmark" else quoted.replace("%", "%%")


def name_of(connection: Connection, plan: TablePlan) -> str:
    """Return a table's name as the database quotes it."""
    parts = [part for part in (plan.table.schema, plan.table.name) if part]
    return ".".join(column(connection, part) for part in parts)


def _held(connection: Connection, plan: TablePlan) -> list[Row]:
    """What the history itself has put into the table."""
    names = list(plan.domains)
    if not names:
        return []
    columns = ", ".join(column(connection, name) for name in names)
    found = connection.exec_driver_sql(f"SELECT {columns} FROM {name_of(connection, plan)}")
    return [dict(zip(names, row, strict=True)) for row in found]


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


def _count_on(connection: Connection, plan: TablePlan) -> None:
    """Let PostgreSQL's sequences go on after the rows, as they would after real inserts."""
    if connection.dialect.name != "postgresql":
        return
    for name, facts in plan.table.columns.items():
        if facts.automatic:
            table, quoted = name_of(connection, plan), column(connection, name)
            connection.exec_driver_sql(
                "SELECT setval(pg_get_serial_sequence(%s, %s), greatest(max(v), 1)) "
                f"FROM (SELECT {quoted} AS v FROM {table}) AS rows "
                "HAVING pg_get_serial_sequence(%s, %s) IS NOT NULL",
                (table.replace("%%", "%"), name) * 2,
            )
