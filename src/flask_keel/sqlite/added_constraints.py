"""A constraint added, and what has to be true of the rows."""

from alembic.util import CommandError

from . import facts
from .checks import Condition, Unique, escaped, not_null
from .create_table import Constraint, CreateTable
from .draft import Draft
from .dropped_constraints import drop_step
from .foreign_keys import reference_condition
from .matching import describe, same_expression
from .operations import AddConstraint, NameConstraint
from .steps import Step
from .tokens import fold, quote, same


def add_constraint(draft: Draft, op: AddConstraint) -> None:
    changed = draft.table.add_constraint(op.text)
    new = changed.constraints[-1]
    if _is_there(draft, new, op):
        return
    for name in new.columns:
        draft.column(name)
    {
        "check": _add_check,
        "foreign key": _add_foreign_key,
        "unique": _add_unique,
        "primary key": _add_primary_key,
    }[new.kind](draft, new, op.text)


def _is_there(draft: Draft, new: Constraint, op: AddConstraint) -> bool:
    """Whether nothing is to be done: the CHECK of a type that stays, a repeated table_args."""
    for c in draft.table.all_constraints():
        if c.kind != new.kind:
            continue
        if (op.follows_type or op.unless_present) and _says_the_same(c, new):
            return True
        if op.replaces and _takes_the_place(new, c):
            if _alike(draft, new, c):
                return True
            draft.add(drop_step(draft, c, f"drop {describe(c)}"))
        elif new.name and same(c.name, new.name):
            raise CommandError(
                f"Table {draft.name!r} already has a {describe(c)}: drop it first or give the new "
                "one another name."
            )
    return False


def _takes_the_place(new: Constraint, present: Constraint) -> bool:
    return present.kind == "primary key" or bool(new.name and same(new.name, present.name))


def _alike(draft: Draft, new: Constraint, present: Constraint) -> bool:
    """Whether two primary keys differ in nothing; of other constraints the text says more."""
    names = new.name is None or same(new.name, present.name)
    columns = list(map(fold, new.columns)) == list(map(fold, present.columns))
    return new.kind == "primary key" and names and columns


def name_constraint(draft: Draft, op: NameConstraint) -> None:
    new = draft.table.add_constraint(op.text).constraints[-1]
    same_one = [c for c in draft.table.all_constraints() if _says_the_same(c, new)]
    if not same_one:
        add_constraint(draft, AddConstraint(op.text))
    elif new.name and same_one[0].name is None:
        unnamed = same_one[0]
        text = f"CONSTRAINT {quote(new.name)} {unnamed.text}"
        draft.add(
            Step(
                f"name {describe(unnamed)} {new.name}",
                lambda table: table.replace_constraint(unnamed, text),
                "text" if unnamed.kind in ("check", "foreign key") else "rebuild",
                unnamed.kind,
            )
        )


def _says_the_same(one: Constraint, other: Constraint) -> bool:
    if one.kind == other.kind == "check":
        return same_expression(one.expression, other.expression)
    return one.kind == other.kind and _same_key(one, other)


def _same_key(one: Constraint, other: Constraint) -> bool:
    def facts_of(c: Constraint):
        return list(map(fold, c.columns)), fold(c.referred_table or "")

    return one.kind in ("unique", "primary key", "foreign key") and facts_of(one) == facts_of(other)


def _add_step(
    draft: Draft, new: Constraint, text: str, way: str, statement: str | None = None
) -> None:
    draft.add(
        Step(
            f"add {describe(new)}",
            lambda table: table.add_constraint(text),
            way,
            new.kind,
            statement,
            since=(3, 54),  # SQLite 3.53 takes NULL in a CHECK for a violation
            scans=way == "text",
        )
    )


def _add_foreign_key(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "text")
    if found := reference_condition(draft, new):
        draft.conditions.append(found)


def _add_check(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "text", f"ALTER TABLE {draft.sql_name} ADD {text}")
    draft.conditions.append(check_condition(draft, new))


def _add_unique(draft: Draft, new: Constraint, text: str) -> None:
    _add_step(draft, new, text, "rebuild")
    draft.uniques.append(unique_check(draft.table, new))


def _add_primary_key(draft: Draft, new: Constraint, text: str) -> None:
    if present := draft.table.primary_key:
        raise CommandError(
            f"Table {draft.name!r} already has a {describe(present)}: drop it first."
        )
    _add_step(draft, new, text, "rebuild")
    numbered = facts.integer_primary_key(draft.table)
    for name in new.columns:
        column = draft.column(name)
        draft.add(Step("", lambda table, c=column: table.set_not_null(c, True), "rebuild"))
        if not (same(numbered, column) and fold(column) in draft.new_columns):
            fill = "a primary key needs one in every row"
            draft.conditions.append(not_null(draft.name, column, fill))
    if not (numbered and fold(numbered) in draft.new_columns):
        draft.uniques.append(unique_check(draft.table, new))


def check_condition(draft: Draft, c: Constraint) -> Condition:
    named = f"{describe(c)} ({c.expression})" if c.name else describe(c)
    sentence = escaped(f"{draft.name}: {named} cannot be added: ") + (
        "{rows} would break it ({examples}); change them first with op.execute."
    )
    shown = tuple(name for name in c.columns if not draft.table.column(name).primary_key)
    return Condition(f"NOT ({c.expression}\n)", sentence, shown)


def unique_check(table: CreateTable, c: Constraint) -> Unique:
    columns = []
    for name in c.columns:
        collation = table.column(name).collation
        columns.append(quote(name) + (f" COLLATE {quote(collation)}" if collation else ""))
    sentence = escaped(f"{table.name}: {describe(c)} cannot hold: ") + (
        "{rows} of " + escaped(f"({', '.join(c.columns)})") + " more than once ({examples}); "
        "remove or change the doubles first."
    )
    return Unique(tuple(columns), sentence)
