"""Where a table's text uses the names of its columns and its own name."""

from collections.abc import Iterator

from .definition import Constraint
from .expressions import column_tokens, rename_identifier
from .layout import Change
from .tokens import Span, in_style, same


def rename_column(table, old: str, new: str) -> list[Change]:
    """The column where it is defined, in keys, in expressions and in the table's references to
    itself."""
    sql = table.sql

    def written(span: Span) -> Change:
        return Change(*span, in_style(new, sql[slice(*span)]))

    changes = [written(table.column(old).name_span)]
    for c in table.all_constraints():
        own = zip(c.columns, c.column_names, strict=False) if c.column_names else ()
        changes += [written(span) for name, span in own if same(name, old)]
        if same(c.referred_table, table.name):
            referred = zip(c.referred_columns, c.referred_column_names, strict=True)
            changes += [written(span) for name, span in referred if same(name, old)]
    for c in expressions(table):
        text = sql[slice(*c.value)]
        renamed = rename_identifier(text, old, new, table.name)
        if renamed != text:
            changes.append(Change(*c.value, renamed))
    return changes


def requalify(table, new: str) -> Iterator[Change]:
    """``t.a`` in the table's own expressions, when the table is no longer called t."""
    for c in expressions(table):
        start = c.value[0]
        for _, qualifier in column_tokens(table.sql[slice(*c.value)]):
            if qualifier and same(qualifier.name, table.name):
                text = in_style(new, qualifier.text)
                yield Change(start + qualifier.start, start + qualifier.end, text)


def expressions(table) -> list[Constraint]:
    """The constraints whose text can name columns."""
    return [c for c in table.all_constraints() if c.kind in ("check", "generated")]
