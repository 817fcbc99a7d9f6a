"""Reads the constraints of a column and of a table, from CONSTRAINT and its name to the end.

What comes after the name is read into the fields of a :class:`~.definition.Constraint`.
"""

from dataclasses import replace

from .cursor import Cursor
from .definition import Constraint
from .tokens import Token, Unreadable


def column_constraint(cursor: Cursor, column: str, found: list[Constraint]) -> None:
    """Read one constraint of a column and add it to those found before."""
    start, name = _constraint_name(cursor)
    if cursor.sees("DEFERRABLE") or cursor.sees("NOT", "DEFERRABLE"):
        _deferrable_apart(cursor, found)
    elif not (cursor.sees(",") or cursor.sees(")")):
        own = {"column": column, "columns": (column,)}
        found.append(_constraint(cursor, start, name, _column_body, own))


def table_constraint(cursor: Cursor) -> Constraint | None:
    """Read one constraint of a table; None for CONSTRAINT and a name with nothing after it."""
    start, name = _constraint_name(cursor)
    if cursor.sees(",") or cursor.sees(")"):
        return None
    return _constraint(cursor, start, name, _table_body, {})


def _constraint_name(cursor: Cursor) -> tuple[int, Token | None]:
    """Where a constraint begins and its name: of several CONSTRAINT names the last one."""
    start, name = cursor.here.start, None
    while cursor.takes("CONSTRAINT"):
        name = cursor.name()
    return start, name


def _constraint(cursor: Cursor, start: int, name: Token | None, body, own: dict) -> Constraint:
    body_start = cursor.here.start
    facts = {**own, **body(cursor)}
    end = cursor.behind.end
    return Constraint(
        name=name and name.name,
        text=cursor.sql[start:end],
        span=(start, end),
        body=(body_start, end),
        **facts,
    )


def _column_body(cursor: Cursor) -> dict:
    if cursor.takes("NOT", "NULL"):
        return {"kind": "not null", "on_conflict": _on_conflict(cursor)}
    if cursor.takes("NULL"):
        return {"kind": "null", "on_conflict": _on_conflict(cursor)}
    if cursor.takes("DEFAULT"):
        return {"kind": "default", **_default(cursor)}
    if cursor.takes("COLLATE"):
        collation = cursor.name()
        return {"kind": "collate", "value": collation.span, "collation": collation.name}
    if cursor.takes("PRIMARY", "KEY"):
        return {"kind": "primary key", **_inline_key(cursor)}
    if cursor.takes("UNIQUE"):
        return {"kind": "unique", "on_conflict": _on_conflict(cursor)}
    if cursor.takes("CHECK"):
        return _check(cursor)
    if cursor.takes("REFERENCES"):
        return {"kind": "foreign key", **_references(cursor)}
    if cursor.takes("GENERATED", "ALWAYS", "AS") or cursor.takes("AS"):
        expression = _expression(cursor)
        stored = cursor.takes("STORED")
        if not stored:
            cursor.takes("VIRTUAL")
        return {"kind": "generated", **expression, "stored": stored}
    return cursor.fail("a constraint")


def _inline_key(cursor: Cursor) -> dict:
    descending = cursor.takes("DESC")
    if not descending:
        cursor.takes("ASC")
    conflict = _on_conflict(cursor)
    automatic = cursor.takes("AUTOINCREMENT")
    return {"descending": descending, "on_conflict": conflict, "autoincrement": automatic}


def _table_body(cursor: Cursor) -> dict:
    if cursor.takes("CHECK"):
        return _check(cursor)
    if cursor.takes("FOREIGN", "KEY"):
        columns = _key_columns(cursor)
        cursor.needs("REFERENCES")
        return {"kind": "foreign key", **columns, **_references(cursor)}
    if cursor.takes("UNIQUE"):
        return {"kind": "unique", **_key_columns(cursor), "on_conflict": _on_conflict(cursor)}
    cursor.needs("PRIMARY", "KEY")
    columns = _key_columns(cursor)
    automatic = cursor.tokens[cursor.at - 2].keyword == "AUTOINCREMENT"
    conflict = _on_conflict(cursor)
    return {"kind": "primary key", **columns, "autoincrement": automatic, "on_conflict": conflict}


def _check(cursor: Cursor) -> dict:
    return {"kind": "check", **_expression(cursor), "on_conflict": _on_conflict(cursor)}


def _expression(cursor: Cursor) -> dict:
    inner = cursor.parentheses()
    return {"value": inner, "expression": cursor.sql[slice(*inner)].strip(" \t\n\v\f\r")}


def _default(cursor: Cursor) -> dict:
    start = cursor.here.start
    if cursor.sees("("):
        return {**_expression(cursor), "value": (start, cursor.behind.end)}
    _ = cursor.takes("+") or cursor.takes("-")
    value = (start, cursor.next().end)
    return {"value": value, "expression": cursor.sql[slice(*value)]}


def _on_conflict(cursor: Cursor) -> str | None:
    return cursor.next().keyword if cursor.takes("ON", "CONFLICT") else None


def _references(cursor: Cursor) -> dict:
    table = cursor.name()
    columns = _names(cursor) if cursor.sees("(") else []
    facts = {
        "referred_table": table.name,
        "referred_name": table.span,
        "referred_columns": tuple(c.name for c in columns),
        "referred_column_names": tuple(c.span for c in columns),
    }
    while cursor.sees("MATCH") or cursor.sees("ON"):
        if cursor.takes("MATCH"):
            facts["match"] = cursor.name().name
            continue
        cursor.next()
        if cursor.here.keyword not in ("DELETE", "UPDATE", "INSERT"):
            cursor.fail("DELETE or UPDATE")
        event, first = cursor.next().keyword.lower(), cursor.at
        cursor.at += 2 if cursor.here.keyword in ("SET", "NO") else 1
        if event != "insert":
            facts[f"on_{event}"] = cursor.words_from(first)
    if cursor.sees("DEFERRABLE") or cursor.sees("NOT", "DEFERRABLE"):
        facts["deferrable"] = _deferrable(cursor)
    return facts


def _deferrable(cursor: Cursor) -> str:
    first = cursor.at
    cursor.takes("NOT")
    cursor.needs("DEFERRABLE")
    if cursor.takes("INITIALLY"):
        cursor.next()
    return cursor.words_from(first)


def _deferrable_apart(cursor: Cursor, found: list[Constraint]) -> None:
    """SQLite gives a DEFERRABLE that stands alone to the foreign key before it."""
    start = cursor.here.start
    clause = _deferrable(cursor)
    span = (start, cursor.behind.end)
    for place, key in reversed(list(enumerate(found))):
        if key.kind == "foreign key":
            found[place] = replace(key, deferrable=clause, apart=(*key.apart, span))
            return
    if any(token.keyword == "REFERENCES" for token in cursor.tokens[: cursor.at]):
        raise Unreadable(
            f"{clause} at character {start} belongs to the foreign key of another column: "
            "write it after that column's REFERENCES"
        )


def _key_columns(cursor: Cursor) -> dict:
    names = _names(cursor)
    return {
        "columns": tuple(n.name for n in names),
        "column_names": tuple(n.span for n in names),
    }


def _names(cursor: Cursor) -> list[Token]:
    """The names in a list of columns, without COLLATE, ASC, DESC and parentheses of their own.

    SQLite takes ``PRIMARY KEY (("a") COLLATE nocase DESC, b AUTOINCREMENT)``.
    """
    cursor.needs("(")
    found, depth, waiting = [], 1, True
    while depth:
        token = cursor.next()
        if token.kind == "end":
            cursor.fail(")")
        if token.kind == "punct":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            waiting = waiting or (depth == 1 and token.text == ",")
        elif waiting and token.is_name:
            found.append(token)
            waiting = False
    return found
