"""The changes to a CREATE TABLE text that each edit of a table consists of."""

from collections.abc import Sequence

from .definition import Column, Constraint
from .layout import Change, break_before, gap_before, note_after
from .tokens import Span, Token, Unreadable, lex, same, tokenize

_SPACE = " \t\n\v\f\r"


def whole(text: str) -> str:
    """A piece of SQL as it can be put in: with its parentheses closed and its last comment ended.

    :raises Unreadable: for a piece that is empty or that would close what it did not open
    """
    text = text.strip(_SPACE)
    depth = 0
    for token in tokenize(text):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "punct" else 0
        if depth < 0 or token.text == ";":
            break
    if depth or not tokenize(text) or token.text == ";":
        raise Unreadable(f"this is not one piece of a table's definition: {text!r}")
    return text + "\n" if lex(text)[-1].text.startswith("--") else text


def default_value(text: str) -> str:
    """A default as DEFAULT takes it: an expression that is not one value goes in parentheses."""
    text = whole(text)
    tokens = tokenize(text)
    if tokens[0].text in ("+", "-"):
        tokens = tokens[1:]
    single = len(tokens) == 1 and tokens[0].kind not in ("punct", "end")
    return text if single or _is_parenthesised(tokens) else f"({text})"


def _is_parenthesised(tokens: list[Token]) -> bool:
    depth = 0
    for place, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "punct" else 0
        if depth == 0:
            return place == len(tokens) - 1 and place > 0
    return False


def neighbours(sql: str, item: Span) -> tuple[Token, Token]:
    """The tokens around an item."""
    tokens = tokenize(sql)
    before = [token for token in tokens if token.end <= item[0]][-1]
    after = next(token for token in tokens if token.start >= item[1])
    return before, after


# -- what a column says of itself --------------------------------------------------------------


def set_clause(column: Column, kind: str, clause: str, value: str | None) -> list[Change]:
    """DEFAULT or COLLATE: a value that is there is replaced, and its name and keyword stay."""
    present = column.last(kind)
    if value is None:
        return []
    if present:
        return [Change(*present.value, value)]
    return [Change(column.head_end, column.head_end, f" {clause} {value}")]


def set_not_null(column: Column, on_conflict: str | None) -> list[Change]:
    text = "NOT NULL" + (f" ON CONFLICT {on_conflict}" if on_conflict else "")
    present, empty = column.last("not null"), column.last("null")
    if present:
        same_conflict = on_conflict is None or same(on_conflict, present.on_conflict)
        return [] if same_conflict else [Change(*present.body, text)]
    if empty:
        return [Change(*empty.body, text)]
    return [Change(column.head_end, column.head_end, f" {text}")]


def set_type(sql: str, column: Column, type_text: str) -> list[Change]:
    start = column.type_span[0] if column.type_span else column.name_span[1]
    # a "GENERATED ALWAYS" that SQLite leaves out of the type ends at head_end and goes too
    if not type_text.strip(_SPACE):
        return [Change(gap_before(sql, start), column.head_end)]
    text = whole(type_text)
    return [Change(start, column.head_end, text if column.type_span else f" {text}")]


# -- items of the list between the parentheses -------------------------------------------------


def insert_after(sql: str, item: Span, text: str) -> list[Change]:
    """A new item behind another one and behind the comment that ends the other one's line."""
    _, after = neighbours(sql, item)
    gap, note = break_before(sql, item), note_after(sql, item[1])
    if after.text != ",":
        return [Change(item[1], item[1], ","), Change(note, note, gap + text)]
    if item[1] < note <= after.start:
        return [Change(note, note, f"\n, {text}")]
    note = note_after(sql, after.end)
    return [Change(note, note, gap + text), Change(note, note, ",")]


def insert_before(sql: str, item: Span, text: str) -> list[Change]:
    return [Change(item[0], item[0], text), Change(item[0], item[0], "," + break_before(sql, item))]


def remove_item(sql: str, item: Span) -> list[Change]:
    """An item goes with one comma and with the comment that ends its line."""
    before, after = neighbours(sql, item)
    start, end = item[0], note_after(sql, item[1])
    if after.text == "," and before.text in (",", "("):
        changes = [Change(after.start, after.end)]
        if end == item[1]:
            end, note = item[1], note_after(sql, after.end)
            changes.append(Change(after.end, note))
        begins_line = break_before(sql, item) != " "
        if begins_line:
            start = gap_before(sql, start)
        else:
            last = changes[-1].end
            changes.append(Change(last, _after_space(sql, last)))
        return [Change(start, end), *changes]
    if after.text == ")" and before.text == ",":
        return [Change(before.start, before.end), Change(gap_before(sql, start), end)]
    return [Change(gap_before(sql, start), end)]


def _after_space(sql: str, at: int) -> int:
    while sql[at] in _SPACE:
        at += 1
    return at


def remove_constraint(sql: str, constraint: Constraint) -> list[Change]:
    if not constraint.inline:
        return remove_item(sql, constraint.span)
    spans = [constraint.span, *constraint.apart]
    return [Change(gap_before(sql, start), end) for start, end in spans]


def reorder(sql: str, columns: Sequence[Column], names: Sequence[str]) -> list[Change]:
    """Each column moves with the comments in front of it and the one that ends its line."""
    places = [_place(sql, column) for column in columns]
    order = [next(i for i, c in enumerate(columns) if same(c.name, name)) for name in names]
    changes = []
    for (item, note), source in zip(places, order, strict=True):
        moved, moved_note = places[source]
        changes.append(Change(*item, sql[slice(*moved)]))
        changes.append(Change(*note, sql[slice(*moved_note)]))
    return changes


def _place(sql: str, column: Column) -> tuple[Span, Span]:
    before, after = neighbours(sql, column.span)
    start = _after_space(sql, note_after(sql, before.end))
    end = column.span[1]
    note = note_after(sql, end)
    if note == end and after.text == ",":
        return (start, end), (after.end, note_after(sql, after.end))
    return (start, end), (end, note)


# -- options -----------------------------------------------------------------------------------


def set_option(table, name: str, wanted: bool) -> list[Change]:
    """STRICT and WITHOUT ROWID, after the closing parenthesis."""
    sql, options = table.sql, table.options
    if (name in options) == wanted:
        return []
    if wanted:
        end = max([table.close + 1, *(span[1] for span in options.values())])
        return [Change(end, end, f", {name}" if options else f" {name}")]
    tokens = [token for token in tokenize(sql) if token.start > table.close]
    start, end = options[name]
    commas = [token for token in tokens if token.text == ","]
    if not commas:
        return [Change(gap_before(sql, start), end)]
    behind = [comma for comma in commas if comma.end <= start]
    if behind:
        return [Change(*behind[-1].span), Change(gap_before(sql, start), end)]
    return [Change(start, end), Change(commas[0].start, _after_space(sql, commas[0].end))]
