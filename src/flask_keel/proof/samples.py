"""The rows of a proof: for the tables that a migration concerns, of the values that it speaks of.

And those that its new rules would refuse: what does the upgrade do when it meets them?
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from alembic.operations import ops
from sqlalchemy import Connection

from .. import rows, runner
from ..data import rehearsal
from ..lexer import dotted
from ..rows import plan as rows_plan
from ..rows import updating
from ..rows.plan import Domain, Judge, TablePlan
from ..rows.values import accepts, kind_of, numbered, raw
from ..runner import Recording
from ..typing import Options, SQLType
from . import Failed, said
from .comparison import Row
from .scene import Scene

MANY, FEW = 6, 4


def fill(scene: Scene, recording: Recording) -> None:
    """Put rows into the tables that the migration concerns.

    :raises Failed: when the migration's own ``sample_rows`` raises
    """
    counts = concerned(scene, recording)
    sample = getattr(scene.script.module, "sample_rows", None)
    if sample is not None:
        try:
            with rehearsal():
                sample(scene.connection)
        except Exception as error:
            raise Failed("sample_rows", said(error, scene.script.path)) from error
    given = {label: len(found) for label, found in scene.take(scene.before, counts).items()}
    scene.plans = rows_plan.of_schema(
        scene.before,
        scene.dialect,
        {label: 0 if sample and given[label] else count for label, count in counts.items()},
        scene.after,
        scene.lineage.columns,
        scene.project.metadata,
    )
    _speak(scene, recording)
    made = rows.fill(scene.connection, scene.plans, scene.verdict.seed)
    scene.scratch.settle()
    scene.verdict.rows = {label: made.rows[label] + given[label] for label in counts}
    for label, reason in made.empty.items():
        scene.note(
            f"no rows could be made for {label} ({reason}); a sample_rows(connection) in the migration "
            "can"
        )
    scene.old = scene.take(scene.before, counts)


def _speak(scene: Scene, recording: Recording) -> None:
    """Give columns what the migration reads them as, and the values that it speaks of."""
    for (label, name), place in scene.lineage.columns.items():
        domain = scene.plans[label].domains.get(name) if label in scene.plans else None
        if domain is None:
            continue
        for known in (_modelled(scene, place), recording.types.get((label, name))):
            if known is not None:
                domain.kind = rows_plan.typed(known, domain.kind)
                domain.reader = rows_plan.reader(known, scene.connection.dialect)
        for entry in recording.did:
            if isinstance(entry, ops.AlterColumnOp) and entry.modify_type is not None:
                now = entry.modify_name or entry.column_name
                if place == (dotted(entry.schema, entry.table_name), now):
                    if entry.existing_type is not None:
                        domain.kind = rows_plan.typed(entry.existing_type, domain.kind)
                    domain.later = rows_plan.typed(entry.modify_type, domain.later or domain.kind)
    words = _words(recording)
    for label, plan in scene.plans.items():
        for name, domain in plan.domains.items():
            domain.computed = plan.table.name.lower() in words
            _mention(scene, scene.before.tables[label].columns[name].type, domain)


def _modelled(scene: Scene, place: tuple[str, str]) -> SQLType | None:
    table = scene.project.metadata.tables.get(place[0])
    return table.columns[place[1]].type if table is not None and place[1] in table.columns else None


def _mention(scene: Scene, declared: str, domain: Domain) -> None:
    now, target = kind_of(declared, scene.dialect, scene.before), domain.later or domain.kind
    if now.family != "text" or target.family == "text":
        return
    bools = {"true", "false", "0", "1"} if target.family == "bool" else set()
    becomes = {label.lower() for label in target.labels} | bools
    words, complete = values(scene.source.text, domain.name, becomes)
    words = [word for word in words if accepts(now, word)]
    if words:
        domain.given = words if complete else [*words, *domain.specials]


def concerned(scene: Scene, recording: Recording) -> dict[str, int]:
    """Return how many rows each table is to have: those that change, their children, their parents."""
    tables, lineage = scene.before.tables, scene.lineage
    words = _words(recording)
    named = {getattr(entry, "table_name", None) for entry in recording.did}
    named |= {entry.table.name for entry in recording.did if isinstance(entry, ops.BulkInsertOp)}
    direct = {
        label
        for label, table in tables.items()
        if label in scene.changes.tables
        or lineage.tables.get(label) != label
        or table.name.lower() in words
        or table.name in named
    }
    children = {
        label
        for label, table in tables.items()
        if any(key.parent in direct for key in table.foreign_keys)
    }
    found = dict.fromkeys(sorted(direct), MANY) | dict.fromkeys(sorted(children - direct), FEW)
    back = {now: was for was, now in lineage.tables.items()}
    waiting = list(found)
    while waiting:
        label = waiting.pop()
        home = scene.after.tables.get(lineage.tables.get(label, ""))
        parents = [key.parent for key in tables[label].foreign_keys]
        parents += [back.get(key.parent, "") for key in (home.foreign_keys if home else ())]
        for parent in parents:
            if parent in tables and parent not in found:
                found[parent] = FEW
                waiting.append(parent)
    for label in found:
        sides = tables[label], scene.after.tables.get(lineage.tables.get(label, ""))
        if any(table is not None and table.excludes for table in sides):
            found[label] = 1  # a row that is alone excludes none
    return found


def _words(recording: Recording) -> set[str]:
    said = (what for what in recording.did if isinstance(what, str))
    return set(re.findall(r"\w+", " ".join(said).lower()))


# The values of a column that a migration speaks of: what it maps, and what it compares with.
#
# Text that becomes an Enum or a Boolean holds such words in real databases, and no others.


TEXT = r"'((?:[^']|'')*)'"
CASE = re.compile(r"\bCASE\b(.*?)\bEND\b", re.IGNORECASE | re.DOTALL)
WHEN = re.compile(rf"\bWHEN\s+{TEXT}\s+THEN\b", re.IGNORECASE)
ELSE = re.compile(r"\bELSE\s+(?!NULL\b)", re.IGNORECASE)
# what an UPDATE sets is not what it finds
SET = re.compile(r"\bSET\b.*?(?=\bWHERE\b|\Z)", re.IGNORECASE | re.DOTALL)


def values(text: str, column: str, becomes: set[str]) -> tuple[list[str], bool]:
    """Return the values that the way up of a migration names for a column, and whether they are all.

    They are all where everything else would be lost: a CASE without ELSE, a dictionary.

    :param becomes: what they may become, for the values of a dictionary
    """
    tree, complete = ast.parse(text), False
    found: list[str] = []
    # the way back finds what the way up has made
    tree.body = [part for part in tree.body if getattr(part, "name", None) != "downgrade"]
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words, whole = _of_sql(node.value, column)
            found, complete = [*found, *words], complete or whole
    for node in nodes:
        if isinstance(node, ast.Dict) and (keys := _mapped(node, becomes)):
            found, complete = [*found, *keys], True
        found += _compared(node, column)
    return list(dict.fromkeys(found)), complete


def _of_sql(sql: str, column: str) -> tuple[list[str], bool]:
    name = rf"[(\s\"`\[.]+{re.escape(column)}[\"`\]]?(?:::\w+)?\)*\s*"
    complete = False
    found: list[str] = []
    for case in CASE.findall(sql):
        simple = re.match(rf"(?:[\s\"\w]*\.)?{name}WHEN\b", case, re.IGNORECASE)
        words = WHEN.findall(case) if simple else _conditions(case, name)
        found, complete = [*found, *words], complete or bool(words and not ELSE.search(case))
    found += _conditions(SET.sub(" ", CASE.sub(" ", f" {sql}")), name)
    return [word.replace("''", "'") for word in found], complete


def _conditions(sql: str, name: str) -> list[str]:
    found = re.findall(rf"{name}(?:=|<>|!=)\s*{TEXT}", sql, re.IGNORECASE)
    for words in re.findall(rf"{name}(?:NOT\s+)?IN\s*\(([^)]*)\)", sql, re.IGNORECASE):
        found += re.findall(TEXT, words)
    return found


def _mapped(node: ast.Dict, becomes: set[str]) -> list[str]:
    """The keys of a dictionary that leads to what the column may become."""
    pairs = [
        (key.value, value.value)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    ]
    whole = len(pairs) == len(node.keys) and bool(pairs)
    fits = all(str(value).lower() in becomes for _, value in pairs if value is not None)
    return [key for key, _ in pairs if isinstance(key, str)] if whole and fits else []


def _compared(node: ast.AST, column: str) -> list[str]:
    """What ``row.a == "x"``, ``row["a"] in ("x", "y")`` and ``t.c.a.in_(["x"])`` compare with."""
    match node:
        case ast.Compare(left=left, comparators=[other]) if _name(left) == column:
            return _literals(other)
        case ast.Call(func=ast.Attribute(value=left, attr="in_"), args=[other, *_]) if (
            _name(left) == column
        ):
            return _literals(other)
    return []


def _name(node: ast.AST) -> object:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=name)):
            return name
    return None


def _literals(node: ast.AST) -> list[str]:
    items = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [
        item.value for item in items if isinstance(item, ast.Constant) and type(item.value) is str
    ]


# Rows that a new rule would refuse: what does the upgrade do when it meets them?


MOST = 3


@dataclass
class Wrong:
    """A kind of row that the new schema does not allow, and how to make one."""

    what: str
    spoil: Callable[[Connection], None]


class Hostile:
    """Finds what the schema after a migration forbids and the one before it allows."""

    def __init__(self, scene: Scene) -> None:
        self.connection, self.lineage = scene.connection, scene.lineage
        self.before, self.after = scene.before, scene.after
        self.plans, self.rows = scene.plans, scene.old
        self.back = {now: was for was, now in self.lineage.columns.items()}

    def wrongs(self) -> list[Wrong]:
        """Return the first few."""
        kinds = (self._nulls, self._duplicates, self._orphans, self._unchecked, self._unfitting)
        return [wrong for kind in kinds for wrong in kind()][:MOST]

    def _nulls(self) -> Iterator[Wrong]:
        for (label, name), (table, now) in self.lineage.columns.items():
            was = self.before.tables[label].columns[name]
            is_ = self.after.tables[table].columns[now]
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
                domain = self.plans[label].domains.get(name)  # a generated column has none
                value = numbered(domain.kind, 9000) if domain else None
                if value is not None:
                    what = f"a row in {label} whose {name} points to nothing"
                    yield Wrong(what, self._update(label, {name: value}))

    def _unchecked(self) -> Iterator[Wrong]:
        for label, plan in self.plans.items():
            known = {check.plain for check in self.before.tables[label].checks}
            for check, names in plan.checks:
                if check.plain in known or not self._can_spoil(label):
                    continue
                judge = Judge(self.connection, plan.table.name, [(check, names)], plan.domains)
                if values := self._failing(judge, plan):
                    what = f"a row in {label} that breaks {check.name or check.text}"
                    yield Wrong(what, self._update(label, values))

    def _failing(self, judge: Judge, plan: TablePlan) -> Options | None:
        row = dict(self.rows[plan.table.label][0])
        for name in judge.columns:
            domain = plan.domains[name]
            more = (numbered(domain.kind, n) for n in (0, 99))
            for value in (*domain.mined, *domain.specials, *more):
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
                    length, what = 3, "'xxx'"
                    if later.family == "text":
                        length = (later.length or 0) + 1
                        what = f"text of {length} characters"
                    if now.length is None or length <= now.length:
                        spoil = self._update(label, {name: "x" * length})
                        yield Wrong(f"{what} in {label}.{name}", spoil)

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
            given = [raw(plan.domains[name].kind, value, dialect) for name, value in values.items()]
            sql = updating(connection, plan.table, values)
            connection.exec_driver_sql(sql, (*given, *(row[name] for name in key)))

        return spoil


def meet_hostile_rows(scene: Scene) -> None:
    """Report what the upgrade does with rows that its new rules would refuse."""
    for wrong in Hostile(scene).wrongs():
        with scene.scratch.attempt() as connection:
            try:
                wrong.spoil(connection)
            except Exception:
                continue  # the database refuses it already
            ends = "goes through"
            try:
                scene.run(runner.upgrade, connection)
            except Exception as error:
                ends = f"stops ({said(error, scene.script.path)})"
            scene.verdict.hostile.append(f"with {wrong.what}: the upgrade {ends}")
    scene.scratch.settle()
