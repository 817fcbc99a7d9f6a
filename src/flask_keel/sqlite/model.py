"""What a CREATE TABLE text declares: its columns and constraints, each with its place in it.

Reads a CREATE TABLE text into columns and constraints, by the grammar of SQLite's parse.y.

The text has been through SQLite's own parser, or is about to go, so what is read here is where
things are, not whether SQLite would take them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NoReturn

from ..typing import Options
from .tokenizer import (
    Span,
    Token,
    Unreadable,
    fold,
    identifiers,
    quote,
    same,
    tokenize,
    unquote,
    words,
)


@dataclass(frozen=True)
class Constraint:
    """A constraint and where it is written.

    ``kind`` is one of "primary key", "unique", "check", "foreign key", "not null", "null" (which
    SQLite reads and forgets), "default", "collate", "generated".

    ``columns`` holds the column itself for an inline constraint, the listed columns for a key and
    the columns that it uses for a CHECK of the table. ``expression`` is the text inside the
    parentheses of a CHECK, a generated column or a default; a default without parentheses as it
    is written. ``deferrable`` is the clause in capitals ("DEFERRABLE INITIALLY DEFERRED").
    """

    kind: str
    name: str | None
    text: str
    span: Span
    columns: tuple[str, ...] = ()
    column: str | None = None
    expression: str = ""
    collation: str | None = None
    stored: bool = False
    autoincrement: bool = False
    # of an inline primary key alone: an INTEGER PRIMARY KEY DESC is no name for the rowid
    descending: bool = False
    referred_table: str = ""
    referred_columns: tuple[str, ...] = ()
    on_delete: str | None = None
    on_update: str | None = None
    match: str | None = None
    deferrable: str | None = None
    on_conflict: str | None = None
    # the places of the parts: without its CONSTRAINT name; what follows the keyword; the names
    body: Span = (0, 0)
    value: Span = (0, 0)
    column_names: tuple[Span, ...] = ()
    referred_name: Span | None = None
    referred_column_names: tuple[Span, ...] = ()
    # DEFERRABLE clauses that stand apart from their REFERENCES
    apart: tuple[Span, ...] = ()

    @property
    def inline(self) -> bool:
        return self.column is not None


@dataclass(frozen=True)
class Column:
    """A column and where it is written; of a constraint given twice SQLite keeps the last."""

    name: str
    type_text: str
    span: Span
    constraints: tuple[Constraint, ...]
    primary_key: bool = False
    autoincrement: bool = False
    name_span: Span = (0, 0)
    type_span: Span | None = None
    # where a constraint can be put in: after the type, before the first constraint
    head_end: int = field(default=0, repr=False)

    def of_kind(self, kind: str) -> tuple[Constraint, ...]:
        return tuple(c for c in self.constraints if c.kind == kind)

    def last(self, kind: str) -> Constraint | None:
        return next(iter(reversed(self.of_kind(kind))), None)

    @property
    def not_null(self) -> bool:
        """Whether the column says NOT NULL (a primary key can forbid NULL without saying so)."""
        return self.last("not null") is not None

    @property
    def default_text(self) -> str | None:
        """What follows DEFAULT, as written, with its parentheses; None without a default."""
        default = self.last("default")
        if default is None:
            return None
        return default.text[default.value[0] - default.span[0] : default.value[1] - default.span[0]]

    @property
    def collation(self) -> str | None:
        collate = self.last("collate")
        return collate.collation if collate else None

    @property
    def generated(self) -> str | None:
        """None, "virtual" or "stored"."""
        generated = self.last("generated")
        if generated is None:
            return None
        return "stored" if generated.stored else "virtual"


class NoSuchPart(LookupError):
    """An edit of a column or a constraint that the table does not have; one sentence."""


@dataclass(frozen=True)
class Definition:
    """The table that a text declares. Names are unquoted; ``sql`` is the text."""

    sql: str
    name: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    schema: str | None = None
    temporary: bool = False
    if_not_exists: bool = False
    options: dict[str, Span] = field(default_factory=dict, hash=False)
    name_span: Span = (0, 0)
    close: int = 0

    @property
    def strict(self) -> bool:
        return "STRICT" in self.options

    @property
    def without_rowid(self) -> bool:
        return "WITHOUT ROWID" in self.options

    @property
    def primary_key(self) -> Constraint | None:
        return next((c for c in self.all_constraints() if c.kind == "primary key"), None)

    @property
    def rowid_alias(self) -> Column | None:
        """The INTEGER PRIMARY KEY, which is the rowid itself; None when there is none.

        Source: https://sqlite.org/lang_createtable.html#rowids_and_the_integer_primary_key
        """
        key = self.primary_key
        if key is None or self.without_rowid or key.descending or len(key.columns) != 1:
            return None
        column = self.column(key.columns[0])
        return column if same(unquote(column.type_text), "integer") else None

    def all_constraints(self) -> tuple[Constraint, ...]:
        """Those of the columns, then those of the table, in the order of the text."""
        return tuple(c for column in self.columns for c in column.constraints) + self.constraints

    def has_column(self, name: str) -> bool:
        return any(same(column.name, name) for column in self.columns)

    def column(self, name: str) -> Column:
        """:raises NoSuchPart: when there is none of this name"""
        for column in self.columns:
            if same(column.name, name):
                return column
        raise NoSuchPart(f"table {quote(self.name)} has no column {quote(name)}")

    def uses(self, constraint: Constraint) -> tuple[str, ...]:
        """The columns of this table that a constraint concerns, its expression included."""
        used = set(constraint.columns)
        if constraint.kind in ("check", "generated"):
            used |= identifiers(constraint.expression)
        used = {fold(name) for name in used}
        return tuple(c.name for c in self.columns if fold(c.name) in used)


class Cursor:
    """One pass over the tokens of one text; ``at`` is the token to read next."""

    def __init__(self, sql: str):
        self.sql = sql
        self.tokens = (*tokenize(sql), Token("end", "", len(sql), len(sql)))
        self.at = 0
        self.last = len(self.tokens) - 1

    @property
    def here(self) -> Token:
        return self.tokens[min(self.at, self.last)]

    @property
    def behind(self) -> Token:
        return self.tokens[min(self.at - 1, self.last)]

    def next(self) -> Token:
        token = self.here
        self.at += 1
        return token

    def sees(self, *words: str) -> bool:
        for place, word in enumerate(words, self.at):
            # the last token is the end, and no word
            token = self.tokens[min(place, self.last)]
            if word != token.keyword and word != token.text:
                return False
        return True

    def takes(self, *words: str) -> bool:
        """Step over these words when they are next."""
        if found := self.sees(*words):
            self.at += len(words)
        return found

    def needs(self, *words: str) -> None:
        if not self.takes(*words):
            self.fail(" ".join(words))

    def name(self) -> Token:
        if not self.here.is_name:
            self.fail("a name")
        return self.next()

    def fail(self, wanted: str) -> NoReturn:
        seen = self.here.text or "its end"
        raise Unreadable(
            f"this CREATE TABLE text cannot be read: {wanted} was due at character "
            f"{self.here.start}, where it has {seen!r}"
        )

    def parentheses(self) -> Span:
        """Step over a pair of parentheses; the span of what they hold."""
        self.needs("(")
        start, depth = self.behind.end, 1
        while depth:
            if self.here.kind == "end":
                self.fail(")")
            if self.here.kind == "punct":
                depth += {"(": 1, ")": -1}.get(self.here.text, 0)
            self.at += 1
        return start, self.behind.start

    def words_from(self, first: int) -> str:
        return " ".join(t.keyword or t.text for t in self.tokens[first : self.at])


# Reads the constraints of a column and of a table, from CONSTRAINT and its name to the end.
#
# What comes after the name is read into the fields of a :class:`Constraint`.


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


def _constraint(
    cursor: Cursor, start: int, name: Token | None, body: Callable[[Cursor], Options], own: Options
) -> Constraint:
    body_start = cursor.here.start
    facts = {**own, **body(cursor)}
    end = cursor.behind.end
    return Constraint(
        name=name.name if name else None,
        text=cursor.sql[start:end],
        span=(start, end),
        body=(body_start, end),
        **facts,
    )


def _column_body(cursor: Cursor) -> Options:
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
    cursor.fail("a constraint")


def _inline_key(cursor: Cursor) -> Options:
    descending = cursor.takes("DESC")
    if not descending:
        cursor.takes("ASC")
    conflict = _on_conflict(cursor)
    automatic = cursor.takes("AUTOINCREMENT")
    return {"descending": descending, "on_conflict": conflict, "autoincrement": automatic}


def _table_body(cursor: Cursor) -> Options:
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


def _check(cursor: Cursor) -> Options:
    return {"kind": "check", **_expression(cursor), "on_conflict": _on_conflict(cursor)}


def _expression(cursor: Cursor) -> Options:
    inner = cursor.parentheses()
    return {"value": inner, "expression": cursor.sql[slice(*inner)].strip(" \t\n\v\f\r")}


def _default(cursor: Cursor) -> Options:
    start = cursor.here.start
    if cursor.sees("("):
        return {**_expression(cursor), "value": (start, cursor.behind.end)}
    _ = cursor.takes("+") or cursor.takes("-")
    value = (start, cursor.next().end)
    return {"value": value, "expression": cursor.sql[slice(*value)]}


def _on_conflict(cursor: Cursor) -> str | None:
    return cursor.next().keyword if cursor.takes("ON", "CONFLICT") else None


def _references(cursor: Cursor) -> Options:
    table = cursor.name()
    columns = _names(cursor) if cursor.sees("(") else []
    facts: Options = {
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


def _key_columns(cursor: Cursor) -> Options:
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


_COLUMN_CONSTRAINTS = words(
    "CONSTRAINT DEFAULT NULL NOT PRIMARY UNIQUE CHECK REFERENCES DEFERRABLE COLLATE AS"
)
_TABLE_CONSTRAINTS = words("CONSTRAINT PRIMARY UNIQUE CHECK FOREIGN")


def read(sql: str) -> Options:
    """The fields of a :class:`~.create_table.CreateTable`.

    :raises Unreadable: for what is not the text of a table with its columns
    """
    cursor = Cursor(sql)
    fields: Options = {"sql": sql, **_head(cursor)}
    columns, constraints = _body(cursor)
    fields["close"] = cursor.here.start
    cursor.needs(")")
    fields["options"] = _options(cursor)
    fields["columns"] = tuple(_with_key(column, constraints) for column in columns)
    fields["constraints"] = tuple(_with_columns_used(c, columns) for c in constraints)
    return fields


def _head(cursor: Cursor) -> Options:
    cursor.needs("CREATE")
    if cursor.sees("VIRTUAL"):
        raise Unreadable("a virtual table has no columns of its own to change: recreate it whole")
    temporary = cursor.takes("TEMP") or cursor.takes("TEMPORARY")
    cursor.needs("TABLE")
    unless = cursor.takes("IF", "NOT", "EXISTS")
    schema, name = None, cursor.name()
    if cursor.takes("."):
        schema, name = name.name, cursor.name()
    if cursor.sees("AS"):
        raise Unreadable("CREATE TABLE ... AS names no columns: read what SQLite has stored of it")
    return {
        "name": name.name,
        "name_span": name.span,
        "schema": schema,
        "temporary": temporary,
        "if_not_exists": unless,
    }


def _body(cursor: Cursor) -> tuple[list[Column], list[Constraint]]:
    """What stands between the parentheses: SQLite wants all columns before the first constraint,
    and lets the commas between constraints be left out."""
    columns: list[Column] = []
    constraints: list[Constraint] = []
    cursor.needs("(")
    while True:
        columns.append(_column(cursor))
        if not cursor.takes(","):
            return columns, constraints
        if cursor.here.keyword in _TABLE_CONSTRAINTS:
            break
    while not cursor.sees(")"):
        if constraint := table_constraint(cursor):
            constraints.append(constraint)
        cursor.takes(",")
    return columns, constraints


def _column(cursor: Cursor) -> Column:
    name = cursor.name()
    type_span = _type(cursor)
    head_end = cursor.behind.end
    constraints: list[Constraint] = []
    while not (cursor.sees(",") or cursor.sees(")")):
        column_constraint(cursor, name.name, constraints)
    return Column(
        name=name.name,
        type_text=cursor.sql[slice(*type_span)] if type_span else "",
        span=(name.start, cursor.behind.end),
        constraints=tuple(constraints),
        primary_key=any(c.kind == "primary key" for c in constraints),
        autoincrement=any(c.autoincrement for c in constraints),
        name_span=name.span,
        type_span=type_span,
        head_end=head_end,
    )


def _type(cursor: Cursor) -> Span | None:
    found = []
    while cursor.here.is_name and not _ends_type(cursor):
        found.append(cursor.next())
    # SQLite's own rule: a type that ends in these two words ends before them
    if [word.keyword for word in found[-2:]] == ["GENERATED", "ALWAYS"]:
        found = found[:-2]
    elif found and cursor.sees("("):
        cursor.parentheses()
        return found[0].start, cursor.behind.end
    return (found[0].start, found[-1].end) if found else None


def _ends_type(cursor: Cursor) -> bool:
    return cursor.here.keyword in _COLUMN_CONSTRAINTS or cursor.sees("GENERATED", "ALWAYS", "AS")


def _options(cursor: Cursor) -> dict[str, Span]:
    """The words after the closing parenthesis, each with its place."""
    found = {}
    while cursor.here.kind != "end" and not cursor.sees(";"):
        start, first = cursor.here.start, cursor.at
        cursor.takes("WITHOUT")
        cursor.name()
        found[cursor.words_from(first)] = (start, cursor.behind.end)
        if not cursor.takes(","):
            break
    cursor.takes(";")
    if cursor.here.kind != "end":
        cursor.fail("the end")
    return found


def _with_key(column: Column, constraints: list[Constraint]) -> Column:
    for key in constraints:
        if key.kind == "primary key" and fold(column.name) in map(fold, key.columns):
            return replace(column, primary_key=True, autoincrement=key.autoincrement)
    return column


def _with_columns_used(constraint: Constraint, columns: list[Column]) -> Constraint:
    if constraint.kind != "check":
        return constraint
    used = {fold(name) for name in identifiers(constraint.expression)}
    names = tuple(c.name for c in columns if fold(c.name) in used)
    return replace(constraint, columns=names)
