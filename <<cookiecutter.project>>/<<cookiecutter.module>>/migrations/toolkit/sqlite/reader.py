"""Reads a CREATE TABLE text into columns and constraints, by the grammar of SQLite's parse.y.

The text has been through SQLite's own parser, or is about to go, so what is read here is where
things are, not whether SQLite would take them.
"""

from dataclasses import replace

from .definition import Column, Constraint
from .expressions import identifiers
from .tokens import Span, Token, Unreadable, fold, same, tokenize, unquote

_COLUMN_CONSTRAINTS = frozenset(
    """CONSTRAINT DEFAULT NULL NOT PRIMARY UNIQUE CHECK REFERENCES DEFERRABLE COLLATE AS
    GENERATED""".split()
)
_TABLE_CONSTRAINTS = frozenset("CONSTRAINT PRIMARY UNIQUE CHECK FOREIGN".split())


class Reader:
    """One pass over the tokens of one text; ``at`` is the token to read next."""

    def __init__(self, sql: str):
        self.sql = sql
        self.tokens = tokenize(sql)
        self.tokens += [Token("end", "", len(sql), len(sql))] * 4
        self.at = 0

    # -- small steps -------------------------------------------------------------------------

    @property
    def here(self) -> Token:
        return self.tokens[self.at]

    @property
    def behind(self) -> Token:
        return self.tokens[self.at - 1]

    def next(self) -> Token:
        self.at += 1
        return self.behind

    def sees(self, *words: str) -> bool:
        return all(
            token.keyword == word or (token.kind == "punct" and token.text == word)
            for token, word in zip(self.tokens[self.at :], words, strict=False)
        )

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

    def fail(self, wanted: str):
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

    # -- columns -----------------------------------------------------------------------------

    def column(self) -> Column:
        name = self.name()
        type_span = self.type_name()
        head_end = self.behind.end
        constraints: list[Constraint] = []
        while not self.sees(",") and not self.sees(")"):
            if self.here.kind == "end":
                self.fail(")")
            self.column_constraint(unquote(name.text), constraints)
        return Column(
            name=name.name,
            type_text=self.sql[slice(*type_span)] if type_span else "",
            span=(name.start, self.behind.end),
            constraints=tuple(constraints),
            primary_key=any(c.kind == "primary key" for c in constraints),
            autoincrement=any(c.autoincrement for c in constraints),
            name_span=name.span,
            type_span=type_span,
            head_end=head_end,
        )

    def type_name(self) -> Span | None:
        words = []
        while self.here.is_name and not self.ends_type():
            words.append(self.next())
        # SQLite's own rule: a type that ends in these two words ends before them
        if [word.keyword for word in words[-2:]] == ["GENERATED", "ALWAYS"]:
            words = words[:-2]
        elif words and self.sees("("):
            self.parentheses()
            return words[0].start, self.behind.end
        return (words[0].start, words[-1].end) if words else None

    def ends_type(self) -> bool:
        if self.here.keyword == "GENERATED":
            return self.sees("GENERATED", "ALWAYS", "AS")
        return self.here.keyword in _COLUMN_CONSTRAINTS

    def constraint_name(self) -> tuple[int, Token | None]:
        """Where a constraint begins and its name: of several CONSTRAINT names the last one."""
        start, name = self.here.start, None
        while self.takes("CONSTRAINT"):
            name = self.name()
        return start, name

    def column_constraint(self, column: str, found: list[Constraint]) -> None:
        start, name = self.constraint_name()
        first = self.here
        if self.sees("DEFERRABLE") or self.sees("NOT", "DEFERRABLE"):
            self.deferrable_apart(found)
            return
        if self.sees(",") or self.sees(")"):
            return  # CONSTRAINT and a name with nothing after it
        facts = self.column_constraint_body()
        span = (start, self.behind.end)
        found.append(
            Constraint(
                name=name and name.name,
                text=self.sql[slice(*span)],
                span=span,
                body=(first.start, span[1]),
                column=column,
                columns=(column,),
                **facts,
            )
        )

    def column_constraint_body(self) -> dict:
        if self.takes("NOT", "NULL"):
            return {"kind": "not null", "on_conflict": self.on_conflict()}
        if self.takes("NULL"):
            return {"kind": "null", "on_conflict": self.on_conflict()}
        if self.takes("DEFAULT"):
            return {"kind": "default", **self.default()}
        if self.takes("COLLATE"):
            collation = self.name()
            return {"kind": "collate", "value": collation.span, "collation": collation.name}
        if self.takes("PRIMARY", "KEY"):
            _ = self.takes("ASC") or self.takes("DESC")
            conflict = self.on_conflict()
            automatic = self.takes("AUTOINCREMENT")
            return {"kind": "primary key", "on_conflict": conflict, "autoincrement": automatic}
        if self.takes("UNIQUE"):
            return {"kind": "unique", "on_conflict": self.on_conflict()}
        if self.takes("CHECK"):
            return {"kind": "check", **self.expression(), "on_conflict": self.on_conflict()}
        if self.sees("REFERENCES"):
            return {"kind": "foreign key", **self.references()}
        if self.takes("GENERATED", "ALWAYS", "AS") or self.takes("AS"):
            facts = self.expression()
            stored = self.takes("STORED")
            if not stored:
                self.takes("VIRTUAL")
            return {"kind": "generated", **facts, "stored": stored}
        return self.fail("a constraint")

    def default(self) -> dict:
        if self.sees("("):
            start = self.here.start
            inner = self.parentheses()
            return {"value": (start, self.behind.end), "expression": self.stripped(inner)}
        start = self.here.start
        _ = self.takes("+") or self.takes("-")
        value = (start, self.next().end)
        return {"value": value, "expression": self.sql[slice(*value)]}

    def expression(self) -> dict:
        inner = self.parentheses()
        return {"value": inner, "expression": self.stripped(inner)}

    def stripped(self, span: Span) -> str:
        return self.sql[slice(*span)].strip(" \t\n\v\f\r")

    # -- what columns and tables share ---------------------------------------------------------

    def on_conflict(self) -> str | None:
        return self.next().keyword if self.takes("ON", "CONFLICT") else None

    def references(self) -> dict:
        self.needs("REFERENCES")
        table = self.name()
        columns = self.name_list() if self.sees("(") else []
        facts = {
            "referred_table": table.name,
            "referred_name": table.span,
            "referred_columns": tuple(c.name for c in columns),
            "referred_column_names": tuple(c.span for c in columns),
        }
        while True:
            if self.takes("MATCH"):
                facts["match"] = self.name().name
            elif self.sees("ON") and not self.sees("ON", "CONFLICT"):
                self.at += 1
                event, first = self.next().keyword.lower(), self.at
                self.at += 2 if self.here.keyword in ("SET", "NO") else 1
                if event != "insert":
                    facts[f"on_{event}"] = self.words_from(first)
            else:
                break
        if self.sees("DEFERRABLE") or self.sees("NOT", "DEFERRABLE"):
            facts["deferrable"] = self.deferrable()
        return facts

    def deferrable(self) -> str:
        first = self.at
        self.takes("NOT")
        self.needs("DEFERRABLE")
        if self.takes("INITIALLY"):
            self.next()
        return self.words_from(first)

    def deferrable_apart(self, found: list[Constraint]) -> None:
        """SQLite gives a DEFERRABLE that stands alone to the foreign key before it."""
        start = self.here.start
        clause = self.deferrable()
        keys = [i for i, c in enumerate(found) if c.kind == "foreign key"]
        if keys:
            span = (start, self.behind.end)
            key = found[keys[-1]]
            found[keys[-1]] = replace(key, deferrable=clause, apart=(*key.apart, span))
        elif self.foreign_keys_before():
            raise Unreadable(
                f"{clause} at character {start} belongs to the foreign key of another column; "
                "write it after that column's REFERENCES"
            )

    def foreign_keys_before(self) -> bool:
        return any(token.keyword == "REFERENCES" for token in self.tokens[: self.at])

    def name_list(self) -> list[Token]:
        """The names in a list of columns, without COLLATE, ASC, DESC and parentheses of their own.

        SQLite takes ``PRIMARY KEY (("a") COLLATE nocase DESC, b AUTOINCREMENT)``.
        """
        self.needs("(")
        found, depth, waiting = [], 1, True
        while depth:
            token = self.next()
            if token.kind == "end":
                self.fail(")")
            if token.kind == "punct":
                depth += {"(": 1, ")": -1}.get(token.text, 0)
                waiting = waiting or (depth == 1 and token.text == ",")
            elif waiting and token.is_name:
                found.append(token)
                waiting = False
        return found

    # -- constraints of the table ----------------------------------------------------------------

    def table_constraint(self) -> Constraint | None:
        start, name = self.constraint_name()
        first = self.here
        if self.sees(",") or self.sees(")"):
            return None
        facts = self.table_constraint_body()
        span = (start, self.behind.end)
        return Constraint(
            name=name and name.name,
            text=self.sql[slice(*span)],
            span=span,
            body=(first.start, span[1]),
            **facts,
        )

    def table_constraint_body(self) -> dict:
        if self.takes("CHECK"):
            return {"kind": "check", **self.expression(), "on_conflict": self.on_conflict()}
        if self.takes("FOREIGN", "KEY"):
            return {"kind": "foreign key", **self.key_columns(), **self.references()}
        kind = "unique" if self.takes("UNIQUE") else "primary key"
        if kind == "primary key":
            self.needs("PRIMARY", "KEY")
        facts = self.key_columns()
        automatic = kind == "primary key" and self.tokens[self.at - 2].keyword == "AUTOINCREMENT"
        return {
            "kind": kind,
            **facts,
            "autoincrement": automatic,
            "on_conflict": self.on_conflict(),
        }

    def key_columns(self) -> dict:
        names = self.name_list()
        return {
            "columns": tuple(n.name for n in names),
            "column_names": tuple(n.span for n in names),
        }


def read(sql: str) -> dict:
    """The fields of a :class:`~.create_table.CreateTable`.

    :raises Unreadable: for what is not the text of a table with its columns
    """
    reader = Reader(sql)
    fields = {"sql": sql, **_head(reader)}
    columns, constraints = _body(reader)
    fields["close"] = reader.here.start
    reader.needs(")")
    fields["options"] = _options(reader)
    keys = {fold(n) for c in constraints if c.kind == "primary key" for n in c.columns}
    automatic = any(c.autoincrement for c in constraints)
    fields["columns"] = tuple(
        replace(c, primary_key=True, autoincrement=automatic) if fold(c.name) in keys else c
        for c in columns
    )
    fields["constraints"] = tuple(_with_columns_used(c, columns) for c in constraints)
    return fields


def _head(reader: Reader) -> dict:
    reader.needs("CREATE")
    if reader.sees("VIRTUAL"):
        raise Unreadable("a virtual table has no columns of its own to change; recreate it whole")
    temporary = reader.takes("TEMP") or reader.takes("TEMPORARY")
    reader.needs("TABLE")
    unless = reader.takes("IF", "NOT", "EXISTS")
    schema, name = None, reader.name()
    if reader.takes("."):
        schema, name = name.name, reader.name()
    if reader.sees("AS"):
        raise Unreadable(
            "CREATE TABLE ... AS SELECT names no columns; read what SQLite stored of it"
        )
    return {
        "name": name.name,
        "name_span": name.span,
        "schema": schema,
        "temporary": temporary,
        "if_not_exists": unless,
    }


def _body(reader: Reader) -> tuple[list[Column], list[Constraint]]:
    columns, constraints = [], []
    reader.needs("(")
    while True:
        columns.append(reader.column())
        if not reader.takes(","):
            return columns, constraints
        if reader.here.keyword in _TABLE_CONSTRAINTS:
            break
    while not reader.sees(")"):
        if constraint := reader.table_constraint():
            constraints.append(constraint)
        reader.takes(",")
    return columns, constraints


def _options(reader: Reader) -> dict[str, Span]:
    """The words after the closing parenthesis, each with its place."""
    found = {}
    while reader.here.kind != "end" and not reader.sees(";"):
        start, first = reader.here.start, reader.at
        reader.takes("WITHOUT")
        reader.name()
        found[reader.words_from(first)] = (start, reader.behind.end)
        if not reader.takes(","):
            break
    reader.takes(";")
    if reader.here.kind != "end":
        reader.fail("the end")
    return found


def _with_columns_used(constraint: Constraint, columns: list[Column]) -> Constraint:
    if constraint.kind != "check":
        return constraint
    used = identifiers(constraint.expression)
    names = tuple(c.name for c in columns if any(same(c.name, name) for name in used))
    return replace(constraint, columns=names)
