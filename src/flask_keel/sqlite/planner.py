"""Chooses how to change a table: SQLite's own statements, the schema text, or one rebuild.

All operations on a table are planned together, checked against the rows before anything is
written, and carried out in one savepoint.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from alembic.util import CommandError
from sqlalchemy.exc import IntegrityError, OperationalError

from . import clone, data_checks, introspection, recreate
from . import draft as sqlite_draft
from .clone import as_name
from .columns import (
    add_column,
    drop_column,
    reorder,
    set_collation,
    set_default,
    set_generated,
    set_not_null,
    set_options,
)
from .conversions import set_type
from .create_table import CreateTable
from .data_checks import check
from .draft import Draft, Settings, Step
from .introspection import Database
from .model import Constraint, NoSuchPart
from .recreate import is_unsteady, rebuild_table
from .table_constraints import (
    add_constraint,
    create_index,
    drop_constraint,
    drop_index,
    is_key,
    name_constraint,
)
from .tokenizer import Unreadable, fold, quote, same, same_words, tokenize


def refuse_unusable(draft: Draft) -> None:
    """What SQLite would not take, and what views and triggers could not live with."""
    if draft.table is draft.before:
        return
    if error := clone.error_of(draft.table.sql):
        raise CommandError(f"Table {draft.name!r} cannot be changed so: {error}.")
    if draft.dropped_columns or draft.new_columns:
        before = draft.objects
        for name in draft.dropped_columns:
            # in double quotes it would be taken for a string
            before = [as_name(o, name) if o.type in ("view", "trigger") else o for o in before]
        after = clone.with_table(before, draft.name, draft.table.sql)
        if broken := clone.newly_broken(before, after):
            name, error = next(iter(broken.items()))
            kind = next(o.type for o in draft.objects if o.name == name)
            raise CommandError(
                f"The {kind} {name!r} would no longer work with table {draft.name!r} changed so "
                f"({error}): drop it before and create it again after."
            )
    keys = draft.before.all_constraints(), draft.table.all_constraints()
    if lost := _keys(keys[0]) - _keys(keys[1]):
        _refuse_lost_key(draft, lost)


def _keys(found: Iterable[Constraint]) -> set[frozenset[str]]:
    kinds = ("primary key", "unique")
    return {frozenset(map(fold, c.columns)) for c in found if c.kind in kinds}


def _refuse_lost_key(draft: Draft, lost: set[frozenset[str]]) -> None:
    for table, columns, names in _references(draft, lost):
        if len(names) == len(columns) and not is_key(draft.table, draft.index_texts, names):
            raise CommandError(
                f"The key ({', '.join(names)}) of table {draft.name!r} cannot be dropped, since "
                f"the foreign key ({', '.join(columns)}) of table {table!r} "
                "refers to it: drop that foreign key first."
            )


def _references(
    draft: Draft, lost: set[frozenset[str]]
) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """The foreign keys that refer to the table, its own as they will be: table, columns, key."""
    for reference in draft.references_to:
        needed = frozenset(map(fold, reference.referred_columns)) in lost
        if needed and not same(reference.table, draft.name):
            names = draft.referred_by(reference)
            if len(names) == len(reference.referred_columns):
                yield reference.table, reference.columns, names
    key = draft.table.primary_key
    for c in draft.table.all_constraints():
        if c.kind == "foreign key" and same(c.referred_table, draft.name):
            names = c.referred_columns or (key.columns if key else ())
            if frozenset(map(fold, names)) in lost:
                yield draft.name, c.columns, names


# one rebuild costs about as much as two passes that rewrite rows in place
MOST_PASSES_IN_PLACE = 2

_RESOLVERS: dict[type, Callable[..., None]] = {
    sqlite_draft.AddColumn: add_column,
    sqlite_draft.DropColumn: drop_column,
    sqlite_draft.SetType: set_type,
    sqlite_draft.SetCollation: set_collation,
    sqlite_draft.SetNotNull: set_not_null,
    sqlite_draft.SetDefault: set_default,
    sqlite_draft.SetGenerated: set_generated,
    sqlite_draft.AddConstraint: add_constraint,
    sqlite_draft.NameConstraint: name_constraint,
    sqlite_draft.DropConstraint: drop_constraint,
    sqlite_draft.CreateIndex: create_index,
    sqlite_draft.DropIndex: drop_index,
    sqlite_draft.SetOptions: set_options,
    sqlite_draft.Reorder: reorder,
}


@dataclass
class Plan:
    """What will be done to one table; ``str(plan)`` reads as one line for each way taken.

    ``method`` is "native", "schema text", "rebuild" or "" for nothing to do.
    """

    draft: Draft
    rebuilds: bool
    native: list[Step] = field(default_factory=list)
    text: list[Step] = field(default_factory=list)

    @property
    def method(self) -> str:
        if self.rebuilds:
            return "rebuild"
        if self.text:
            return "schema text"
        draft = self.draft
        changes = self.native or draft.renames or draft.new_indexes or draft.dropped_indexes
        return "native" if changes else ""

    @property
    def rewrites(self) -> bool:
        """Whether rows are written again, and not only the schema."""
        steps = [*self.native, *self.text]
        return self.rebuilds or any(step.update or step.way == "drop" for step in steps)

    def lines(self) -> list[str]:
        draft, found = self.draft, []
        for old, new in draft.renames:
            found.append(f"rename column {old} to {new} (native)")
        if self.rebuilds:
            says = said(draft.steps) or "copy it as it is"
            rows = draft.settings.rows(draft.name)
            rows = introspection.row_count(draft.db, draft.name) if rows is None else rows
            found.append(f"{says} (rebuild, {rows} row{'' if rows == 1 else 's'})")
        else:
            if said(self.text):
                found.append(f"{said(self.text)} (schema text{_cost(draft, self.text)})")
            if self.native:
                found.append(f"{said(self.native)} (native)")
        with_columns = " ".join(step.says for step in draft.steps)
        for name in draft.dropped_indexes:
            if f"index {name}" not in with_columns:
                found.append(f"drop index {name} (native)")
        for index in draft.new_indexes:
            found.append(f"create {'unique ' if index.unique else ''}index {index.name} (native)")
        return [f"{draft.name}: {line}" for line in found]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def said(steps: Iterable[Step]) -> str:
    return ", ".join(step.says for step in steps if step.says)


def _cost(draft: Draft, steps: Sequence[Step]) -> str:
    costs = []
    if draft.conditions or any(step.scans or step.settles for step in steps):
        costs.append("one scan")
    if any(step.update for step in steps):
        costs.append("rows changed in place")
    return "".join(f", {cost}" for cost in costs)


def plan(
    db: Database, table: str, operations: Sequence[sqlite_draft.Operation], settings: Settings
) -> Plan:
    """Decide how operations that belong together are made; nothing is written.

    :raises CommandError: for what cannot be done or would lose something
    """
    draft = Draft.of(db, table, settings)
    draft.rename([op for op in operations if isinstance(op, sqlite_draft.RenameColumn)])
    try:
        for op in operations:
            if not isinstance(op, sqlite_draft.RenameColumn):
                _RESOLVERS[type(op)](draft, op)
    except (Unreadable, NoSuchPart) as error:
        raise CommandError(f"Table {draft.name!r} cannot be changed so: {error}.") from None
    refuse_unusable(draft)
    return _choose(draft)


def _choose(draft: Draft, probe: bool = True) -> Plan:
    settings, steps = draft.settings, draft.steps
    text = [step for step in steps if step.way == "text"]
    own = [step for step in text if _has_statement(draft, step)]
    edited = [step for step in text if step not in own]
    rewriting = [s for s in steps if s.way == "drop" or s.update]
    rebuilds = (
        settings.recreate == "always"
        or any(step.way == "rebuild" for step in steps)
        or not all(step.kind in settings.text_edits for step in edited)
        or len(rewriting) > MOST_PASSES_IN_PLACE
        or (any(s.settles or s.update for s in steps) and is_unsteady(draft.before))
    )
    if not rebuilds and edited and probe and not recreate.is_possible(draft.db):
        rebuilds = True
    if rebuilds and settings.recreate == "never":
        raise CommandError(
            f"Table {draft.name!r} would have to be rebuilt ({said(steps)}), which "
            'recreate="never" forbids: leave it out.'
        )
    if rebuilds:
        return Plan(draft, True)
    ordered = [s for s in steps if s.way == "add"] + own + [s for s in steps if s.way == "drop"]
    return Plan(draft, False, ordered, edited)


def _has_statement(draft: Draft, step: Step) -> bool:
    """Whether this library has a statement for an edit of the text, and a faithful one.

    DROP NOT NULL of SQLite 3.53 takes a comment behind the column along, so that a text with
    comments is edited here.
    """
    if step.way != "text" or step.statement is None or draft.settings.portable:
        return False
    commented = "--" in draft.table.sql or "/*" in draft.table.sql
    return draft.db.version >= step.since and not commented


def cheaper_live(chosen: Plan) -> list[str]:
    """The lines of the plan without the limits of a portable script, where that is cheaper."""
    draft = chosen.draft
    settings = replace(draft.settings, portable=False, schema_edits=True, text_edits=TEXT_EDITS)
    live = _choose(replace(draft, settings=settings), probe=False)
    return live.lines() if chosen.rebuilds and not live.rebuilds else []


# the kinds of change that may be made in the schema text, each held against the rebuild by a
# property test before it was switched on
TEXT_EDITS: frozenset[str] = frozenset({"not null", "default", "type", "check", "foreign key"})


def carry_out(chosen: Plan) -> None:
    """Check the rows, then make the changes, all of them or none.

    :raises CommandError: for rows that do not fit, before anything is written
    """
    draft, db = chosen.draft, chosen.draft.db
    if (draft.conditions or draft.uniques) and not draft.is_empty:
        check(db, draft.source())
    if not chosen.method:
        return
    referenced = chosen.rebuilds and bool(draft.references_to)
    what = f"Rebuilding table {draft.name!r}"
    # a printed script is one transaction already
    guard = nullcontext() if draft.settings.portable else db.all_or_nothing()
    try:
        with db.keys_unenforced(referenced, what), guard:
            _run(chosen)
    except IntegrityError as error:
        raise CommandError(
            f"Table {draft.name!r} cannot be changed so ({said(draft.steps)}): SQLite says "
            f"{str(error.orig)!r} of its rows; change them first with op.execute."
        ) from error
    except OperationalError as error:
        if not str(error.orig).startswith("error in "):
            raise
        _rebuild_instead(chosen, error.orig)


def _rebuild_instead(chosen: Plan, error: BaseException | None) -> None:
    """The cheaper way did not work, and all of it has been undone."""
    settings = chosen.draft.settings
    if chosen.rebuilds or settings.portable or settings.recreate == "never":
        raise CommandError(
            f"Table {chosen.draft.name!r} cannot be changed so ({said(chosen.draft.steps)}): "
            f"SQLite says {str(error)!r}."
        ) from error
    carry_out(Plan(chosen.draft, rebuilds=True))


def _run(chosen: Plan) -> None:
    draft, db = chosen.draft, chosen.draft.db
    if draft.settings.portable:
        _comment(chosen)
        data_checks.require_fitting(db, draft.name, draft.source().sql, draft.conditions)
    for old, new in draft.renames:
        db.run(f"ALTER TABLE {draft.sql_name} RENAME COLUMN {quote(old)} TO {quote(new)}")
    if chosen.rebuilds:
        target = _applied(draft, draft.steps)
        exact = draft.settings.schema_edits and recreate.is_possible(db)
        dropped, portable = frozenset(map(fold, draft.dropped_indexes)), draft.settings.portable
        rebuild_table(db, target, dropped, exact, draft.made_over, portable)
    else:
        for name in draft.dropped_indexes:
            db.run(f"DROP INDEX {db.name(name)}")
        _run_in_place(chosen)
    rows = _rows(draft) if draft.new_indexes else 0
    for index in draft.new_indexes:
        db.run_long(f"{draft.name}: building index {index.name}", rows, index.sql)


def _run_in_place(chosen: Plan) -> None:
    draft, db = chosen.draft, chosen.draft.db
    rewriting = [s for s in draft.steps if s.update or s.way == "drop"]
    rows = _rows(draft) if rewriting else 0
    label = f"{draft.name}: changing rows"
    for step in (s for s in chosen.native if s.way != "drop"):
        db.run(step.statement or "")
    if chosen.text:
        target = _applied(draft, chosen.text)
        if not draft.is_empty:
            recreate.settle(db, target)
        recreate.write(db, target)
        for step in chosen.text:
            if step.update:
                db.run_long(label, rows, step.update)
    for step in (s for s in chosen.native if s.way == "drop"):
        db.run_long(label, rows, step.statement or "")


def _rows(draft: Draft) -> int:
    """A rough number, by the table as it is now: a name for the rowid may have become a column's."""
    return introspection.rough_row_count(draft.db, introspection.read_table(draft.db, draft.name))


def _applied(draft: Draft, steps: Sequence[Step]) -> CreateTable:
    """The table's text as it is now, with the steps made."""
    table = introspection.read_table(draft.db, draft.name)
    if table == draft.before and steps == draft.steps:
        return draft.table
    for step in steps:
        table = step.apply(table)
    return table


def _comment(chosen: Plan) -> None:
    """A line for the reader of a script, with the cheaper way that a live upgrade would take."""
    db = chosen.draft.db
    for line in chosen.lines():
        db.run("-- " + line.replace("\n", " "))
    for line in cheaper_live(chosen):
        db.run("-- a live upgrade does it cheaper: " + line.replace("\n", " "))


def in_groups(
    db: Database, table: str, operations: Sequence[sqlite_draft.Operation]
) -> list[list[sqlite_draft.Operation]]:
    """Operations that can be planned together: the renames of a group are made first, so that a
    name which another operation gives away or takes begins a new group. So does a second type of
    one column, whose rows are to be what the first has made of them."""
    columns = {fold(c.name): c.type_text for c in introspection.read_table(db, table).columns}
    groups: list[list[sqlite_draft.Operation]] = [[]]
    at_start = set(columns)
    touched: set[str] = set()
    typed: set[str] = set()
    now: dict[str, str] = {}
    for op in operations:
        op = _by_its_present_name(op, columns, now)
        clash = False
        if isinstance(op, sqlite_draft.RenameColumn):
            old, new = fold(op.column), fold(op.new)
            clash = old in touched or (new in at_start and new != old)
        elif isinstance(op, sqlite_draft.AddColumn):
            clash = fold(op.column) in touched
        elif isinstance(op, sqlite_draft.SetType):
            clash = fold(op.column) in typed
        if clash and groups[-1]:
            groups.append([])
            at_start, touched, typed = set(columns), set(), set()
        groups[-1].append(op)
        if isinstance(op, sqlite_draft.RenameColumn):
            at_start = at_start - {old} | {new}
            now |= {name: op.new for name in now if fold(now[name]) == old} | {old: op.new}
            typed = {new if name == old else name for name in typed}
            columns[new] = columns.pop(old, "")
        elif isinstance(op, sqlite_draft.AddColumn):
            touched.add(fold(op.column))
            typed.add(fold(op.column))
            columns[fold(op.column)] = ""
        elif isinstance(op, sqlite_draft.DropColumn):
            touched.add(fold(op.column))
            columns.pop(fold(op.column), None)
        elif isinstance(op, sqlite_draft.SetType):
            if not same_words(columns.get(fold(op.column), ""), op.text):
                typed.add(fold(op.column))
            columns[fold(op.column)] = op.text
        touched |= _named(op)
    return groups


def _by_its_present_name(
    op: sqlite_draft.Operation, columns: Container[str], now: dict[str, str]
) -> sqlite_draft.Operation:
    """A column that was renamed goes by its old name, too, until another one has it."""
    if not isinstance(op, sqlite_draft.OfColumn):
        return op
    named = fold(op.column)
    return op if named in columns or named not in now else op._replace(column=now[named])


def _named(op: sqlite_draft.Operation) -> set[str]:
    """Every name in the SQL of an operation: it says what the columns are called at its time."""
    texts = (getattr(op, part, None) for part in ("text", "sql", "definition"))
    if isinstance(op, sqlite_draft.SetType | sqlite_draft.SetDefault):
        return set()
    return {fold(t.name) for text in texts if text for t in tokenize(text) if t.is_name}
