"""NOT NULL, default, collation and generation of a column changed."""

from alembic.util import CommandError

from . import facts
from .added_columns import keep_value_of_new
from .added_constraints import unique_check
from .checks import not_null
from .create_table import CreateTable
from .draft import Draft
from .foreign_keys import check_keys_later
from .matching import involves
from .operations import SetCollation, SetDefault, SetGenerated, SetNotNull
from .short_rows import reads_otherwise
from .steps import Step
from .tokens import fold, quote, same, tokenize


def set_not_null(draft: Draft, op: SetNotNull) -> None:
    name = draft.column(op.column)
    if draft.table.column(name).not_null == op.not_null:
        return
    verb = "SET" if op.not_null else "DROP"
    draft.add(
        Step(
            f"{verb.lower()} NOT NULL on {name}",
            lambda table: table.set_not_null(name, op.not_null),
            "text",
            "not null",
            f"ALTER TABLE {draft.sql_name} ALTER COLUMN {quote(name)} {verb} NOT NULL",
            scans=op.not_null,
        )
    )
    if op.not_null and not same(facts.integer_primary_key(draft.table), name):
        fill = f"fill them first, as in op.execute({_update(draft.name, name)!r})"
        draft.conditions.append(not_null(draft.name, name, fill))


def _update(table: str, column: str) -> str:
    return f"UPDATE {table} SET {column} = ... WHERE {column} IS NULL"


def set_default(draft: Draft, op: SetDefault) -> None:
    name = draft.column(op.column)
    column = draft.table.column(name)
    if column.generated and op.text:
        raise CommandError(f"{draft.name}.{name} is computed and cannot have a default.")
    changed = draft.table.set_default(name, op.text)
    if changed.column(name).default_text == column.default_text:
        return
    is_new = fold(name) in draft.new_columns
    if is_new:
        keep_value_of_new(draft, column)
    draft.add(
        Step(
            f"set default {op.text} on {name}" if op.text else f"drop default on {name}",
            lambda table: table.set_default(name, op.text),
            "rebuild" if is_new else "text",
            "default",
            settles=not draft.is_empty and reads_otherwise(draft.table, changed, name),
        )
    )


def set_collation(draft: Draft, op: SetCollation) -> None:
    name = draft.column(op.column)
    if same(draft.table.column(name).collation, op.collation):
        return
    draft.add(
        Step(
            f"set collation {op.collation or 'BINARY'} on {name}",
            lambda table: table.set_collation(name, op.collation),
            "rebuild",
        )
    )
    check_keys_later(draft, name)
    for c in draft.table.all_constraints():
        if c.kind in ("unique", "primary key") and involves(draft.table, c, name):
            draft.uniques.append(unique_check(draft.table, c))


def set_generated(draft: Draft, op: SetGenerated) -> None:
    """Another expression for a generated column; or none, and the values stay."""
    name = draft.column(op.column)
    present = draft.table.column(name).last("generated")
    if op.text and present is None:
        raise CommandError(
            f"{draft.name}.{name} holds values of its own, which would be lost if it were "
            "computed: add a generated column under another name."
        )
    if present is None or (op.text and same_words(present.text, op.text)):
        return

    def apply(table: CreateTable) -> CreateTable:
        now = table.column(name).last("generated")
        return table.replace_constraint(now, op.text) if op.text else table.drop_constraint(now)

    says = f"compute {name} by {op.text}" if op.text else f"make {name} an ordinary column"
    draft.add(Step(says, apply, "rebuild"))
    check_keys_later(draft, name)


def same_words(one: str, other: str) -> bool:
    """Whether two pieces of SQL differ in spaces, comments and capitals only."""
    plain = [[fold(token.text) for token in tokenize(text)] for text in (one, other)]
    return plain[0] == plain[1]
