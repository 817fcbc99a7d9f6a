"""The type of a column changed: which values would not survive, and what the rows need."""

import sqlalchemy as sa
from alembic.util import CommandError

from . import facts
from .changed_columns import same_words
from .changed_options import no_autoincrement
from .checks import Condition, escaped, not_null
from .create_table import Column, Constraint
from .draft import Draft
from .dropped_constraints import drop_step
from .facts import affinity
from .fits import misfit
from .foreign_keys import check_keys_later
from .matching import describe, involves, restricts_to_values
from .operations import SetType
from .short_rows import reads_otherwise
from .steps import Step
from .stored_forms import made_over
from .tokens import fold, quote, same
from .translate_constraints import constraint_names


def set_type(draft: Draft, op: SetType) -> None:
    name = draft.column(op.column)
    column = draft.table.column(name)
    old = column.type_text
    if draft.table.strict and column.generated and not same_words(old, op.text):
        # SQLite looks at no row then: https://www.sqlite.org/stricttables.html
        raise CommandError(
            f"{draft.name}.{name} is generated in a STRICT table, where nothing holds its values to "
            "another type: write op.drop_column and op.add_column in place of the change."
        )
    _follow_type(draft, name, op)
    present = not column.generated and fold(name) not in draft.new_columns
    value = _made_over(draft, name, op) if present else None
    dialect, encoding = draft.settings.dialect, draft.db.value("PRAGMA encoding")
    found = misfit(dialect, value or quote(name), old, op.text, op.type, encoding)
    if found and present:
        broken, function = found
        sentence = escaped(f"{draft.name}.{name} cannot become {op.text}: ") + (
            "{rows} would not keep a value that it can read ({examples}); "
            "change them first with op.execute."
        )
        draft.conditions.append(Condition(broken, sentence, (name,), function))
    if same_words(old, op.text) and value is None:
        return
    if not same_words(old, op.text) and same(facts.integer_primary_key(draft.table), name):
        _give_up_row_number(draft, name, op.text)
    way, update = _way_to_type(draft, column, op.text) if value is None else ("rebuild", None)
    rewritten = " with its values rewritten" if value else ""
    changed = draft.table.set_type(name, op.text)
    short = way == "text" and reads_otherwise(draft.table, changed, name) and not draft.is_empty
    draft.add(
        Step(
            f"change type of {name} to {op.text}{rewritten}",
            lambda table: table.set_type(name, op.text),
            way,
            "type",
            update=update,
            scans=found is not None,
            settles=short,
        )
    )
    if value is not None:
        draft.made_over[fold(name)] = value
    if same(facts.integer_primary_key(draft.table), name):
        draft.conditions.append(not_null(draft.name, name, "a row number cannot be missing"))
    if value is not None or affinity(old) != affinity(op.text):
        check_keys_later(draft, name)


def _give_up_row_number(draft: Draft, name: str, text: str) -> None:
    """A text is a key that nobody takes for a number; and on the way down it was so before."""
    numbers = affinity(text) in ("INTEGER", "NUMERIC", "REAL")
    if numbers and not draft.settings.going_down:
        raise CommandError(
            f"{draft.name}.{name} is an INTEGER PRIMARY KEY, SQLite's own row number; as {text} "
            'it would no longer be numbered: write BigInteger().with_variant(Integer, "sqlite") '
            "as its type."
        )
    if draft.table.column(name).autoincrement:
        draft.add(Step("no longer make its key AUTOINCREMENT", no_autoincrement, "rebuild"))


def _made_over(draft: Draft, name: str, op: SetType) -> str | None:
    """The values as the new type stores them, as SQL; None where all of them are so already."""
    column, dialect = draft.table.column(name), draft.settings.dialect
    value = made_over(dialect, quote(name), column.type_text, op.type, op.existing)
    if value is None or (draft.is_empty and not draft.settings.portable):
        return None
    if "BLOB" in value and draft.db.value("PRAGMA encoding") != "UTF-8":
        return None  # the bytes would be those of this database's own encoding
    if draft.settings.portable and not same_words(column.type_text, op.text):
        return value  # the rows that the script will meet are not these
    differ = (
        f"SELECT EXISTS (SELECT 1 FROM {draft.source().sql} WHERE {value} IS NOT {quote(name)})"
    )
    return value if draft.db.value(differ) else None


def _way_to_type(draft: Draft, column: Column, text: str) -> tuple[str, str | None]:
    """The schema text where the rows stay as they are, an UPDATE of those whose storage class
    changes, a rebuild for whatever a key, an index or an expression could notice."""
    name, old, new = column.name, affinity(column.type_text), affinity(text)
    if fold(name) in draft.new_columns or draft.table.strict or column.generated:
        return "rebuild", None
    involved = [c for c in draft.table.all_constraints() if involves(draft.table, c, name)]
    users = {c.kind for c in involved}
    referred = [r for r in draft.references_to if name in draft.referred_by(r)]
    of_key = users & {"primary key", "unique", "foreign key", "generated"}
    indexes = [index for index in draft.indexes if index.concerns(name)]
    if of_key or referred or not all(index.is_plain for index in indexes):
        return "rebuild", None
    if old == new:
        return "text", None
    # a REAL column stores 5.0 as the integer 5, which only its affinity turns back
    if indexes or "check" in users or draft.triggers or old == "REAL":
        return "rebuild", None
    if new == "BLOB":
        return "text", None
    if old in ("INTEGER", "NUMERIC") and new in ("INTEGER", "NUMERIC", "REAL"):
        return "text", None
    # the classes that the new affinity stores in another way
    classes = {"TEXT": "'integer', 'real'", "REAL": "'text'"}.get(new, "'text', 'real'")
    condition = f"typeof({quote(name)}) IN ({classes})"
    return "text", f"UPDATE {draft.sql_name} SET {quote(name)} = {quote(name)} WHERE {condition}"


def _follow_type(draft: Draft, name: str, op: SetType) -> None:
    """The CHECK that an Enum or a Boolean made goes when its type does, and no other; a new one
    comes on its own."""
    allowed = _values(op.type)
    for c in draft.table.all_constraints():
        values = restricts_to_values(c, name)
        if values is None or values == allowed:
            continue
        made = _is_of_type(draft, c, op) if c.name else _looks_made(draft, c, values, name, op)
        if made:
            says = f"drop {describe(c)}, which went with the type of {name}"
            draft.add(drop_step(draft, c, says))


def _values(type_) -> set[str] | None:
    """What the CHECK of an Enum or a Boolean lists; None for any other type."""
    if isinstance(type_, sa.Enum):
        return {"'" + value.replace("'", "''") + "'" for value in type_.enums}
    return {"0", "1"} if isinstance(type_, sa.Boolean) else None


def _is_of_type(draft: Draft, c: Constraint, op: SetType) -> bool:
    """Whether a CHECK has the name of the type that was, or of the one that takes its place."""
    for type_ in (op.existing, op.type):
        typed = getattr(type_, "name", None)
        if _values(type_) is None or typed is None:
            continue
        given = sa.CheckConstraint("1", name=str(typed))
        sa.Table(draft.name, sa.MetaData(naming_convention=draft.settings.convention), given)
        names = constraint_names(draft.settings.dialect, given)
        if any(same(c.name, known) for known in (*names, f"ck_{draft.name}_{typed}")):
            return True
    return False


def _looks_made(draft: Draft, c: Constraint, values: set[str], name: str, op: SetType) -> bool:
    """Whether a CHECK without a name is as SQLAlchemy makes it for the type that the column has:
    one of the table, and for an Enum as wide as its longest value."""
    if c.inline:
        return False
    if getattr(op.existing, "create_constraint", False):
        return True
    old = fold(draft.table.column(name).type_text)
    if old == "boolean":
        return values == _values(sa.Boolean())
    longest = max(len(value[1:-1].replace("''", "'")) for value in values)
    return _values(op.type) is not None and old == f"varchar({longest})"
