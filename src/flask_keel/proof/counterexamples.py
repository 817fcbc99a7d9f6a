"""Rows that a new rule would refuse: what does the upgrade do when it meets them?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ..catalog import Schema
from ..rows import column, name_of
from ..rows.checks import Judge
from ..rows.plan import TablePlan
from ..rows.values import accepts, numbered, raw
from ..typing import Options
from .comparison import Lineage, Row

MOST = 3


@dataclass
class Wrong:
    """A kind of row that the new schema does not allow, and how to make one."""

    what: str
    spoil: Callable[[Connection], None]


class Hostile:
    """Finds what the schema after a migration forbids and the one before it allows.

    :param rows: those that the tables hold
    """

    def __init__(
        self,
        before: Schema,
        after: Schema,
        lineage: Lineage,
        plans: dict[str, TablePlan],
        rows: dict[str, list[Row]],
    ) -> None:
        self.before, self.after, self.lineage = before, after, lineage
        self.plans, self.rows = plans, rows
        self.back = {now: was for was, now in lineage.columns.items()}

    def wrongs(self, connection: Connection) -> list[Wrong]:
        """Return the first few."""
        found = [
            *self._nulls(),
            *self._duplicates(),
            *self._orphans(),
            *self._unchecked(connection),
            *self._unfitting(),
        ]
        return found[:MOST]

    def _nulls(self) -> Iterator[Wrong]:
        for (label, name), (table, now) in self.lineage.columns.items():
            was, is_ = (
                self.before.tables[label].columns[name],
                self.after.tables[table].columns[now],
            )
            if was.nullable and not is_.nullable and self._can_spoil(label):
                yield Wrong(f"NULL in {label}.{name}", self._update(label, {name: None}))

    def _duplicates(self) -> Iterator[Wrong]:
        for table in self.after.tables.values():
            for unique in table.uniques:
                origins = self._origins(table.label, unique.columns)
                if not origins or unique.partial:
                    continue
                label = origins[0][0]
                columns = tuple(name for _, name in origins)
                known = {u.columns for u in self.before.tables[label].uniques}
                if any(set(k) <= set(columns) for k in known) or not self._can_spoil(label, 2):
                    continue
                full = [r for r in self.rows[label] if all(r[c] is not None for c in columns)]
                if len(full) > 1:
                    values = {name: full[-1][name] for name in columns}
                    what = f"two equal rows in {label} ({', '.join(columns)})"
                    yield Wrong(what, self._update(label, values, full[0]))

    def _origins(self, label: str, columns: Sequence[str]) -> list[tuple[str, str]]:
        """Where columns come from; nothing when one of them is new."""
        found = [self.back[label, name] for name in columns if (label, name) in self.back]
        return found if len(found) == len(columns) else []

    def _orphans(self) -> Iterator[Wrong]:
        for table in self.after.tables.values():
            for key in table.foreign_keys:
                origins = self._origins(table.label, key.columns)
                parents = self._origins(key.parent, key.parent_columns)
                if not parents or len(origins) != 1:
                    continue
                (label, name), (parent, _) = origins[0], parents[0]
                known = {(k.columns, k.parent) for k in self.before.tables[label].foreign_keys}
                if ((name,), parent) in known or not self._can_spoil(label):
                    continue
                value = numbered(self.plans[label].domains[name].kind, 9000)
                if value is not None:
                    what = f"a row in {label} whose {name} points to nothing"
                    yield Wrong(what, self._update(label, {name: value}))

    def _unchecked(self, connection: Connection) -> Iterator[Wrong]:
        for label, plan in self.plans.items():
            known = {check.plain for check in self.before.tables[label].checks}
            for check, names in plan.checks:
                if check.plain in known or not self._can_spoil(label):
                    continue
                judge = Judge(connection, plan.table.name, [(check, names)], plan.domains)
                values = self._failing(judge, plan)
                if values:
                    said = check.name or check.text
                    what = f"a row in {label} that breaks {said}"
                    yield Wrong(what, self._update(label, values))

    def _failing(self, judge: Judge, plan: TablePlan) -> Options | None:
        row = dict(self.rows[plan.table.label][0])
        for name in judge.columns:
            domain = plan.domains[name]
            for value in [
                *domain.mined,
                *domain.specials,
                *(numbered(domain.kind, n) for n in (0, 99)),
            ]:
                if accepts(domain.kind, value) and judge.failing(row | {name: value}):
                    return {name: value}
        return None

    def _unfitting(self) -> Iterator[Wrong]:
        for label, plan in self.plans.items():
            for name, domain in plan.domains.items():
                now, later = domain.kind, domain.later
                if later is None or domain.unique or not self._can_spoil(label):
                    continue
                if now.family == "text" and (later.family != "text" or later.length):
                    length = (later.length or 0) + 1 if later.family == "text" else 3
                    if now.length is None or length <= now.length:
                        what = f"{'x' * min(length, 3)!r} in {label}.{name}"
                        if later.family == "text":
                            what = f"text of {length} characters in {label}.{name}"
                        yield Wrong(what, self._update(label, {name: "x" * length}))

    def _can_spoil(self, label: str, rows: int = 1) -> bool:
        return (
            label in self.plans
            and len(self.rows.get(label, ())) >= rows
            and bool(self.before.tables[label].primary_key)
        )

    def _update(
        self, label: str, values: Options, row: Row | None = None
    ) -> Callable[[Connection], None]:
        plan, row = self.plans[label], row or self.rows[label][0]
        key = self.before.tables[label].primary_key

        def spoil(connection: Connection) -> None:
            dialect = connection.dialect.name
            mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
            sets = ", ".join(f"{column(connection, name)} = {mark}" for name in values)
            where = " AND ".join(f"{column(connection, name)} = {mark}" for name in key)
            given = [raw(plan.domains[name].kind, value, dialect) for name, value in values.items()]
            connection.exec_driver_sql(
                f"UPDATE {name_of(connection, plan)} SET {sets} WHERE {where}",
                (*given, *(row[name] for name in key)),
            )

        return spoil
