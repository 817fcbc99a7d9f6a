"""Two texts of a schema, compared object by object: what is missing, what was added, what is another.

The texts are those of :func:`..catalog.text`. Nothing is built to compare them, and what a database only
writes otherwise when it reads its own writing, as a restored dump makes it do, is no difference.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .. import lexer
from ..sqlite.model import Column, Constraint
from ..sqlite.tokenizer import Unreadable, fold, plain
from .sqlite import parsed

# where one statement ends and the next begins
BETWEEN = re.compile(r";\n\n(?=CREATE |ALTER |COMMENT )")
TABLE = re.compile(rf"CREATE TABLE ({lexer.NAME}) \(\n")
KEY = re.compile(rf"ALTER TABLE (?P<table>{lexer.NAME}) ADD CONSTRAINT (?P<name>{lexer.NAME}) ")
COMMENT = re.compile(rf"COMMENT ON (TABLE|COLUMN) ({lexer.NAME}(?:\.{lexer.NAME})?) IS ")
KINDS = (
    *("SCHEMA", "EXTENSION", "TYPE", "DOMAIN", "SEQUENCE", "INDEX", "TRIGGER", "MATERIALIZED VIEW"),
    *("VIEW", "FUNCTION", "PROCEDURE", "TABLE"),
)
OTHER = re.compile(rf"CREATE (?:[^\n(]*?\s)??({'|'.join(KINDS)}) ({lexer.NAME})\s*")
ON = re.compile(rf"\bON (?:ONLY )?({lexer.NAME})")
ARGUMENTS = re.compile(r"\([^()]*(?:\([^()]*\)[^()]*)*\)")
# casts to text, which PostgreSQL moves when it reads an expression that it has written
CAST = re.compile(
    r"::(?:character varying|character|bpchar|varchar|text|\"char\")(?:\(\d+\))?(?:\[\])?"
)
STRING = re.compile(r"('(?:[^']|'')*')")
LONGEST = 200  # characters of a text that is said
RULE = re.compile(rf"CONSTRAINT ({lexer.NAME}) ")
MYSQL_KEY = re.compile(rf"(?:[A-Z]+ )?KEY ({lexer.NAME}) ")


@dataclass(frozen=True)
class Part:
    """An object of a schema: ``text`` is shown, ``plain`` compares; ``name`` is None for none."""

    kind: str
    table: str | None
    name: str | None
    text: str
    plain: str

    @property
    def key(self) -> tuple[str, str | None, str]:
        return self.kind, self.table, fold(self.name) if self.name else self.plain

    @property
    def label(self) -> str:
        """ "column post.slug", or what it holds where it has no name."""
        if self.name is None:
            return f"{self.kind} {self.text} of {self.table}"
        inside = self.table and self.kind in ("column", "constraint")
        return f"{self.kind} {self.table}.{self.name}" if inside else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Difference:
    """An object that is not as it was; ``before`` or ``now`` is None where it is not there."""

    before: Part | None
    now: Part | None

    @property
    def part(self) -> Part:
        found = self.before or self.now
        assert found is not None
        return found

    @property
    def change(self) -> str:
        """ "missing", "added" or "changed"."""
        if self.now is None:
            return "missing"
        return "changed" if self.before else "added"

    def __str__(self) -> str:
        label = f"the {self.part.label}"
        text = f" ({_briefly(self.part)})" if self.part.text and self.part.name else ""
        if self.now is None:
            return f"{label} is missing{text}"
        if self.before is None:
            return f"{label} was added{text}"
        if self.before.plain == self.now.plain:
            return f"{label} is called {self.now.name} now"
        return f"{label} is {_briefly(self.now)}, and was {_briefly(self.before)}"


def _briefly(part: Part) -> str:
    """A function's text is long, and what it does is not read here."""
    text = " ".join(part.text.split()) or "plain"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def between(dialect: str, before: str, now: str) -> list[Difference]:
    """Compare two texts of a schema; where columns stand in a table makes no difference.

    :param dialect: "sqlite", "postgresql" or "mysql" (MariaDB too)
    """
    if before == now:
        return []
    old, new = ({one.key: one for one in parts(dialect, text)} for text in (before, now))
    found = [
        Difference(old.get(key), new.get(key))
        for key in [*old, *(key for key in new if key not in old)]
        if key not in old or key not in new or old[key].plain != new[key].plain
    ]
    gone = {(one.change, one.part.name) for one in found if one.part.kind == "table"}
    # what belongs to a table goes and comes with it
    return [one for one in _renamed(found) if (one.change, one.part.table) not in gone]


def _renamed(found: list[Difference]) -> Iterator[Difference]:
    """Put a constraint together with the same one under another name; one without a name matches any."""
    left = list(found)
    for one in found:
        if one not in left:
            continue
        left.remove(one)
        other = next((other for other in left if _same_rule(one, other)), None)
        if other is None:
            yield one
            continue
        left.remove(other)
        first, second = (one, other) if one.now is None else (other, one)
        if first.part.name and second.part.name:
            yield Difference(first.before, second.now)


def _same_rule(one: Difference, other: Difference) -> bool:
    alike = [(it.part.kind, it.part.table, it.part.plain) for it in (one, other)]
    changes = {one.change, other.change}
    return (
        alike[0] == alike[1] and changes == {"missing", "added"} and one.part.kind == "constraint"
    )


def parts(dialect: str, text: str) -> Iterator[Part]:
    """Give the objects that a schema's text has."""
    body = re.sub(r"\A(?:--.*\n)*\s*", "", text).rstrip()
    statements = BETWEEN.split(body.removesuffix(";")) if body else []
    if dialect == "sqlite":
        yield from _sqlite(statements)
        return
    known: set[str] = set()
    for statement in statements:
        table = TABLE.match(statement)
        if table is None:
            part = _other(statement, dialect)
            # PostgreSQL names the schema of an index's table, and of no other
            short = part.table.rpartition(".")[2] if part.table and part.table not in known else ""
            yield replace(part, table=short) if short in known else part
            continue
        items = _lines(statement) if dialect == "mysql" else _items(statement[table.end() :])
        name = _name(table[1])
        known.add(name)
        made = [_item(name, item, dialect) for item in items]
        yield _table(name, made, statement.rpartition("\n)")[2].strip())
        yield from made


def tables(dialect: str, text: str) -> dict[str, list[str]]:
    """Return the tables of a schema's text, each with its columns."""
    found: dict[str, list[str]] = {}
    for part in parts(dialect, text):
        if part.kind == "table" and part.name:
            found[part.name] = []
        elif part.kind == "column" and part.table and part.name:
            found[part.table].append(part.name)
    return found


def _name(written: str) -> str:
    return ".".join(lexer.parts(written))


def _table(name: str, inside: Iterable[Part], options: str) -> Part:
    columns = ", ".join(part.name or "" for part in inside if part.kind == "column")
    return Part("table", None, name, f"{columns}{options and f'; {options}'}", options)


def _lines(statement: str) -> list[str]:
    """MySQL and MariaDB write each item on a line of its own, whatever stands in it."""
    lines = statement.rpartition("\n)")[0].split("\n")[1:]
    return [line.strip().removesuffix(",") for line in lines]


def _items(body: str) -> list[str]:
    """Divide what stands between a table's parentheses at its commas."""
    items, depth = [""], 1
    for _, token in lexer.tokens(body):
        depth += (token in ("(", "[")) - (token in (")", "]"))
        if not depth:
            break
        if token == "," and depth == 1:
            items.append("")
        else:
            items[-1] += token
    return [item.strip() for item in items if item.strip()]


def _item(table: str, item: str, dialect: str) -> Part:
    if rule := RULE.match(item):
        return _part("constraint", table, _name(rule[1]), item[rule.end() :], dialect)
    if key := MYSQL_KEY.match(item):
        name = _name(key[1])
        text = item.replace(f"{key[1]} ", "", 1)
        return Part("index", table, f"{table}.{name}", text, text)
    if item.startswith(("PRIMARY KEY", "PERIOD FOR")):
        return Part("constraint", table, None, item, item)
    column = re.match(rf"{lexer.NAME}", item)
    end = column.end() if column else 0
    return _part("column", table, _name(item[:end]), item[end:].strip(), dialect)


def _other(statement: str, dialect: str) -> Part:
    if key := KEY.match(statement):
        name, rest = _name(key["name"]), statement[key.end() :]
        return _part("constraint", _name(key["table"]), name, rest, dialect)
    if comment := COMMENT.match(statement):
        on = _name(comment[2])
        table = on if comment[1] == "TABLE" else on.rpartition(".")[0]
        rest = statement[comment.end() :]
        return Part("comment", table, f"on {comment[1].lower()} {on}", rest, rest)
    found = OTHER.match(statement)
    if found is None:
        text = " ".join(statement.split())
        return Part("statement", None, text, "", text)
    kind, name, rest = found[1].lower(), _name(found[2]), statement[found.end() :]
    target = ON.search(rest) if kind in ("index", "trigger") else None
    if kind in ("function", "procedure") and (arguments := ARGUMENTS.match(rest)):
        name += arguments[0]
    first = statement[: found.start(1)].removeprefix("CREATE ").removeprefix("OR REPLACE ")
    if kind == "type" and rest.startswith("AS ENUM "):
        kind, rest = "enum", rest.removeprefix("AS ENUM ")
    return _part(kind, _name(target[1]) if target else None, name, f"{first}{rest}", dialect)


def _part(kind: str, table: str | None, name: str, text: str, dialect: str) -> Part:
    text = " ".join(text.split()) if kind not in ("function", "procedure") else text
    return Part(kind, table, name, text, _settled(text) if dialect == "postgresql" else text)


# a parenthesis is a list of what stands in it, a bracket a tuple
Group = list[Any]


def _settled(text: str) -> str:
    """Return an expression so that PostgreSQL's first and second writing of it are the same.

    When it reads its own writing it moves casts to text from an array to what is in it, and takes
    ``(a AND b) AND c`` for one AND. What is left out here are those casts, parentheses around one thing,
    and those of an AND in an AND, an OR in an OR.
    """
    pieces = STRING.split(text)
    pieces[::2] = [CAST.sub("", piece) for piece in pieces[::2]]
    tokens = iter([word for kind, word in lexer.tokens("".join(pieces)) if kind != "blank"])
    return _written(_simple(_nested(tokens)))


def _nested(tokens: Iterator[str]) -> Group:
    items: Group = []
    for token in tokens:
        if token in (")", "]"):
            break
        if token in ("(", "["):
            inside = _nested(tokens)
            items.append(inside if token == "(" else tuple(inside))
        else:
            items.append(token)
    return items


def _simple(items: Group) -> Group:
    found: Group = []
    for item in items:
        if isinstance(item, tuple):
            found.append(tuple(_simple(list(item))))
        elif isinstance(item, list):
            inside = _simple(item)
            array = inside[:1] == ["ARRAY"] and len(inside) == 2
            found += inside if len(inside) == 1 or array else [inside]
        else:
            found.append(item)
    for word in ("AND", "OR"):
        if _joins(found, word):
            found = [
                part
                for place, item in enumerate(found)
                for part in (item if _is_part(found, place, word) else [item])
            ]
    return found


def _joins(items: Group, word: str) -> bool:
    """Whether this word, and not the other, stands between the items."""
    other = "OR" if word == "AND" else "AND"
    return word in items and other not in items


def _is_part(items: Group, place: int, word: str) -> bool:
    """Whether the item is a parenthesis of the same kind, and stands between two such words."""
    around = [*items[max(0, place - 1) : place], *items[place + 1 : place + 2]]
    item = items[place]
    return isinstance(item, list) and _joins(item, word) and all(it == word for it in around)


def _written(items: Group) -> str:
    said = []
    for item in items:
        inside = item if isinstance(item, str) else _written(list(item))
        before, after = ("(", ")") if isinstance(item, list) else ("[", "]")
        said.append(inside if isinstance(item, str) else f"{before}{inside}{after}")
    return " ".join(said)


# SQLite keeps the text of what was created, which two ways to one table write in two ways.


def _sqlite(statements: list[str]) -> Iterator[Part]:
    texts = {statement: parsed(statement) for statement in statements}
    keys = {
        fold(table.name): table.primary_key.columns
        for table in texts.values()
        if table is not None and table.primary_key
    }
    for statement, table in texts.items():
        if table is None:
            made = _other(statement, "sqlite")
            yield Part(made.kind, made.table, made.name, made.text, _plain(made.text))
            continue
        key = {fold(name) for name in keys.get(fold(table.name), ())}
        inside = [_column(table.name, column, key) for column in table.columns]
        rules = [_rule(table.name, rule, keys) for rule in table.all_constraints()]
        yield _table(table.name, inside, " ".join(sorted(table.options)))
        yield from inside
        yield from (rule for rule in rules if rule is not None)


def _column(table: str, column: Column, key: set[str]) -> Part:
    not_null, generated = column.last("not null"), column.last("generated")
    if not_null or fold(column.name) in key:
        conflict = not_null.on_conflict if not_null else None
        words = f"NOT NULL{f' ON CONFLICT {conflict}' if conflict else ''}"
    else:
        words = ""
    collation = column.collation if fold(column.collation or "binary") != "binary" else None
    said = [
        column.type_text,
        words,
        f"DEFAULT {column.default_text}" if column.default_text is not None else "",
        f"COLLATE {collation}" if collation else "",
        f"AS ({generated.expression}) {column.generated}" if generated else "",
        "AUTOINCREMENT" if column.autoincrement else "",
    ]
    default = _plain(column.default_text or "")
    compared = [_plain(text) for text in (*said[:2], *said[3:])]
    return Part(
        "column",
        table,
        column.name,
        " ".join(filter(None, said)),
        " ".join([*compared, f"default {default}"]),
    )


def _rule(table: str, rule: Constraint, keys: dict[str, tuple[str, ...]]) -> Part | None:
    if rule.kind == "check":
        text = f"CHECK ({' '.join(rule.expression.split())})"
        return Part("constraint", table, rule.name, text, f"check {_plain(rule.expression)}")
    if rule.kind not in ("unique", "primary key", "foreign key"):
        return None  # the column says it
    said = [f"{rule.kind.upper()} ({', '.join(rule.columns)})"]
    if rule.kind == "foreign key":
        parents = rule.referred_columns or keys.get(fold(rule.referred_table), ())
        said.append(f"REFERENCES {rule.referred_table} ({', '.join(parents)})")
    # NO ACTION and NOT DEFERRABLE are what holds where nothing is said
    for word, value, usual in (
        ("ON DELETE", rule.on_delete, "NO ACTION"),
        ("ON UPDATE", rule.on_update, "NO ACTION"),
        ("", rule.deferrable, "NOT DEFERRABLE"),
        ("ON CONFLICT", rule.on_conflict, "ABORT"),
    ):
        if value and value.upper() != usual:
            said.append(f"{word} {value}".strip())
    text = " ".join(said)
    return Part("constraint", table, rule.name, text, _plain(text))


def _plain(sql: str) -> str:
    try:
        return " ".join(plain(sql))
    except Unreadable:
        return " ".join(sql.split())
