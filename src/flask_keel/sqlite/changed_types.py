"""The type of a column changed: which values would not survive, and what the rows need."""

import sqlalchemy as sa
from alembic.util import CommandError

from . import facts
from .changed_columns import may_be_short, same_words
from .checks import Condition, escaped, not_null
from .create_table import Column
from .draft import Draft
from .dropped_constraints import drop_step
from .facts import affinity
from .fits import misfit
from .matching import describe, involves, restricts_to_values
from .operations import SetType
from .steps import Step
from .tokens import fold, quote, same


def set_type(draft: Draft, op: SetType) -> None:
    name = draft.column(op.column)
    column = draft.table.column(name)
    old = column.type_text
    _follow_type(draft, name, op)
    found = misfit(draft.settings.dialect, quote(name), old, op.text, op.type)
    if found and not column.generated and fold(name) not in draft.new_columns:
        broken, function = found
        sentence = escaped(f"{draft.name}.{name} cannot become {op.text}: ") + (
            "{rows} would not keep a value that it can read ({examples}); "
            "change them first with op.execute."
        )
        draft.conditions.append(Condition(broken, sentence, (name,), function))
    if same_words(old, op.text):
        return
    if same(facts.integer_primary_key(draft.table), name):
        raise CommandError(
            f"{draft.name}.{name} is an INTEGER PRIMARY KEY, SQLite's own row number; as "
            f"{op.text} it would no longer be numbered: write "
            'BigInteger().with_variant(Integer, "sqlite") as its type.'
        )
    way, update = _way_to_type(draft, column, op.text)
    draft.add(
        Step(
            f"change type of {name} to {op.text}",
            lambda table: table.set_type(name, op.text),
            way,
            "type",
            update=update,
            scans=found is not None,
        )
    )
    if same(facts.integer_primary_key(draft.table), name):
        draft.conditions.append(not_null(draft.name, name, "a row number cannot be missing"))
    if affinity(old) != affinity(op.text):
        _check_keys_later(draft, name)


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
    default = column.default_text is not None and may_be_short(draft, name)
    # a REAL column stores 5.0 as the integer 5, which only its affinity turns back
    if indexes or "check" in users or default or draft.triggers or old == "REAL":
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
    """The CHECK of an Enum or a Boolean goes when its type does; a new one comes on its own."""
    boolean = {"0", "1"}
    was_boolean = fold(draft.table.column(name).type_text) == "boolean"
    allowed = None
    if isinstance(op.type, sa.Enum):
        allowed = {"'" + value.replace("'", "''") + "'" for value in op.type.enums}
    elif isinstance(op.type, sa.Boolean):
        allowed = boolean
    for c in draft.table.all_constraints():
        values = restricts_to_values(c, name)
        if values is None or values == allowed:
            continue
        of_old_type = getattr(op.existing, "create_constraint", False)
        if allowed or of_old_type or (was_boolean and values == boolean):
            says = f"drop {describe(c)}, which went with the type of {name}"
            draft.add(drop_step(draft, c, says))


def _check_keys_later(draft: Draft, name: str) -> None:
    """Foreign keys whose values are stored in another way are looked at again at the end."""
    for c in draft.table.all_constraints():
        if c.kind == "foreign key" and any(same(name, own) for own in c.columns):
            draft.keys_to_check.add(draft.name)
    for reference in draft.references_to:
        if name in draft.referred_by(reference):
            draft.keys_to_check.add(reference.table)
