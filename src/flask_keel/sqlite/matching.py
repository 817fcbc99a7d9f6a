"""Finds the constraint that is meant: by its name, or by the one that it would have."""

from alembic.util import CommandError

from .create_table import Constraint, CreateTable
from .database import Database
from .naming import conventional_name
from .operations import DropConstraint
from .references import primary_key
from .tokens import fold, same, tokenize, unquote

_KINDS = ("primary key", "unique", "check", "foreign key")


def find_constraint(
    db: Database, table: CreateTable, wanted: DropConstraint, convention
) -> Constraint | None:
    """The constraint of the table's text that is to go.

    By name; then, among those without a name, by the name that the naming convention gives to
    their kind, columns and target; the CHECK of an Enum or a Boolean by its expression too.

    :raises CommandError: when there is none, unless ``wanted`` says that it need not be there
    """
    here = [c for c in table.all_constraints() if c.kind in _KINDS]
    of_kind = [c for c in here if wanted.kind in (None, c.kind)]
    if wanted.follows_type is not None:
        of_kind = [c for c in of_kind if _lists_values(c, wanted.follows_type)]
    for name in wanted.names:
        for c in of_kind:
            if same(c.name, name):
                return c
    unnamed = [c for c in of_kind if c.name is None]
    for c in unnamed:
        key = primary_key(db, c.referred_table) if c.kind == "foreign key" else ()
        name = conventional_name(table, c, convention, key)
        if name and any(same(name, asked) for asked in wanted.names):
            return c
        if wanted.kind == "primary key":
            return c
    if wanted.follows_type is not None:
        for c in unnamed:
            if same_expression(c.expression, wanted.follows_type):
                return c
        return None
    if wanted.if_exists:
        return None
    raise CommandError(_not_found(table, wanted, of_kind))


def _not_found(table: CreateTable, wanted: DropConstraint, here: list[Constraint]) -> str:
    kind = wanted.kind or "constraint"
    has = "; ".join(describe(c) for c in here) or "none"
    if not wanted.names:
        return (
            f"A {kind} of table {table.name!r} is to be dropped and has no name in the migration: "
            f"write its name, or the one that the naming convention gives it (it has: {has})."
        )
    return (
        f"Table {table.name!r} has no {kind} {wanted.names[0]!r} (it has: {has}): write one of "
        "these names, or the name that the naming convention gives to one without a name."
    )


def describe(c: Constraint) -> str:
    """A constraint as a plan and a message speak of it: ``CHECK ck_post_rating``."""
    kind = "foreign key" if c.kind == "foreign key" else c.kind.upper()
    if c.name:
        return f"{kind} {c.name}"
    if c.kind == "check":
        return f"{kind} ({c.expression})"
    target = f" to {c.referred_table}" if c.kind == "foreign key" else ""
    return f"{kind} ({', '.join(c.columns)}){target}"


def same_expression(one: str | None, other: str | None) -> bool:
    """Whether two expressions differ only in spaces, quotes, capitals, outer parentheses."""
    return one is not None and other is not None and _plain(one) == _plain(other)


def _plain(expression: str) -> list[str]:
    found = [
        fold(unquote(token.text)) if token.kind in ("word", "quoted") else token.text
        for token in tokenize(expression)
    ]
    while len(found) > 1 and found[0] == "(" and _closes_last(found):
        found = found[1:-1]
    return found


def _closes_last(found: list[str]) -> bool:
    depth = 0
    for place, text in enumerate(found):
        depth += {"(": 1, ")": -1}.get(text, 0)
        if depth == 0:
            return place == len(found) - 1
    return False


def restricts_to_values(c: Constraint, column: str) -> set[str] | None:
    """The literals of a CHECK that says nothing but ``column IN (...)``, as an Enum's and a
    Boolean's do; None for any other."""
    if c.kind != "check":
        return None
    plain = _plain(c.expression)
    if plain[:3] != [fold(column), "in", "("] or plain[-1] != ")":
        return None
    values, commas = plain[3:-1:2], plain[4:-1:2]
    return set(values) if values and all(comma == "," for comma in commas) else None


def _lists_values(c: Constraint, of_type: str) -> bool:
    """Whether a CHECK is what an Enum or a Boolean makes, if with other values, for the column of
    which ``of_type`` speaks."""
    return restricts_to_values(c, _plain(of_type)[0]) is not None


def involves(table: CreateTable, c: Constraint, column: str) -> bool:
    """Whether a constraint needs a column: among its own, in its expression, or referred to."""
    if c.kind in ("not null", "null", "default", "collate"):
        return False
    own_target = same(c.referred_table, table.name) and any(
        same(column, referred) for referred in c.referred_columns
    )
    return own_target or any(same(column, used) for used in table.uses(c))


def is_named_apart(c: Constraint) -> bool:
    """Whether it is a constraint of its own, unlike NOT NULL, a default or a collation."""
    return c.kind in _KINDS
