"""Which rows to make: for each table its columns, keys and checks, now and after the migration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..facts import Check, Column, ForeignKey, Schema, Table
from . import hints
from .domains import Domain
from .kinds import Kind, kind_of

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
    models: Any = None,
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
        plan.checks = [(check, names_now) for check in table.checks]
        plan.generated = _generated(table, names_now, schema, dialect)
        plan.foreign_keys = list(table.foreign_keys)
        if later is not None:
            _add_later(plan, later, names, back, dialect)
        hints.apply(plan, names, models)
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


def _generated(table: Table, names: dict[str, str], schema: Schema, dialect: str) -> list[Any]:
    """What the table's generated columns compute; SQLite, whose columns hold anything, has no limits."""
    if dialect == "sqlite":
        return []
    found = ((dict(column.more).get("generated"), column) for column in table.columns.values())
    return [(text, kind_of(column.type, dialect, schema), names) for text, column in found if text]


def _add_later(plan: TablePlan, later: Schema, names: Names, back: Names, dialect: str) -> None:
    label = plan.table.label
    for name, domain in plan.domains.items():
        table, column = names.get((label, name), (None, None))
        if table is None:
            continue
        after = later.tables[table].columns[column]
        kind = kind_of(after.type, dialect, later).limited(many=domain.kind.many)
        if kind.limited(type="") != domain.kind.limited(type="", ascii=kind.ascii):
            domain.later = kind
        domain.nullable = domain.nullable and after.nullable
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
        plan.checks += [(check, here) for check in table.checks]
        plan.generated += _generated(table, here, later, dialect)
        for key in table.foreign_keys:
            columns = tuple(here[name] for name in key.columns if name in here)
            if len(columns) < len(key.columns):
                continue
            parents = [back.get((key.parent, name)) for name in key.parent_columns]
            _add_later_key(plan, columns, parents)


def _add_later_key(plan: TablePlan, columns: tuple[str, ...], parents: list[Any]) -> None:
    if all(parents) and len({parent for parent, _ in parents}) == 1:
        key = ForeignKey(columns, parents[0][0], tuple(name for _, name in parents))
        if all((k.columns, k.parent) != (columns, key.parent) for k in plan.foreign_keys):
            plan.foreign_keys.append(key)
    else:
        # the parent is only made by the migration: no row can point to it yet
        for name in columns:
            if name not in plan.required:
                plan.domains[name].empty = True
