"""Random tables, written as untidily as SQLite allows, and rows that fit into them.

``tables()`` draws a :class:`Table`: its CREATE TABLE text refers to the tables of ``PARENTS``, and
every CHECK in it holds for the rows that ``rows(table)`` draws, so that a test of the engine can
fill the table. Two rows can still have the same key: ``fill`` leaves the second one out.
"""

import sqlite3
from dataclasses import dataclass, field

from hypothesis import strategies as st

from .create_table.torture import PARENTS

__all__ = ["PARENTS", "Table", "fill", "rows", "tables"]

# plain names, SQLite's fallback keywords, reserved words, and all that quotes can hold
PLAIN = ["id", "name", "Age", "key", "end", "replace", "row", "left", "indexed", "generated"]
PLAIN += ["always", "first", "over", "gr\u00f6\u00dfe", "na\u00efve\u00a0x", "\u0131", "_x", "a$b"]
RESERVED = ["order", "group", "select", "check", "primary", "constraint"]
ODD = ["a b", 'say "hi"', "it's", "back`tick", "a,b", "a)b", "(c", "--d", "/*e", "]f", "1st", "*/"]
TYPES = """INT|INTEGER|TEXT|VARCHAR(20)|DECIMAL ( 10 , -2 )|UNSIGNED BIG INT|"my (type"|[b]|BLOB
|DOUBLE PRECISION|NUMERIC|BOOLEAN||DATETIME|KEY|'s t'""".replace("\n", "").split("|")
STRICT_TYPES = ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"]
GAPS = [
    "",
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\n  ",
    "\t",
    "/**/",
    " /* ), ' \" */ ",
    " -- it's (,\n ",
    "\r\n",
]
COLLATIONS = ["NOCASE", "rtrim", '"binary"', "[nocase]"]
CONFLICTS = ["ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE"]
DEFAULTS = """1|-1|+ 2.5|.5|1e5|0x1F|'it''s, ('|"dq )"|x'00'|NULL|TRUE|word|[br]|CURRENT_TIMESTAMP
|(1 + 2)|( 'a' \\|\\| ')' )|(lower('A,('))|((3))|- 5|(CASE WHEN 1 THEN 2 END)"""
DEFAULTS = [
    d.replace("\\p", "|") for d in DEFAULTS.replace("\n", "").replace("\\|", "\\p").split("|")
]
STRICT_DEFAULTS = ["NULL", "(NULL)", "( /* n ) */ NULL)"]
# true whatever stands in the column
CHECKS = [
    "{c} IS NOT 'zq,)'",
    "(({c})) <> ')(' OR {c} IS NULL",
    "length({c}) < 1000 OR {c} ISNULL",
    "CASE WHEN {c} IS NULL THEN 1 ELSE {c} IS NOT '--' END",
    "coalesce({c}, 'x') NOT IN ('(', '/*', '''')",
    "{c} COLLATE nocase IS NOT 'zz' -- )\n",
    "CAST({c} AS VARCHAR (10)) IS NOT 'w(' /* ( */",
    "{t}.{c} IS NOT '[' AND {c} IS NOT '{n}'",
    "typeof({c}) NOT BETWEEN 'x' AND 'z' AND {d} IS NOT '{n}('",
]
EXPRESSIONS = ["{c} || 'x)'", "abs({c})", "coalesce({c}, {d}, ',')", "(({c}))", "{c} IS {d}"]
ACTIONS = ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"]
DEFERRABLE = ["DEFERRABLE INITIALLY DEFERRED", "DEFERRABLE", "NOT DEFERRABLE"]
PARENT_KEYS = [("p", ()), ("p", ("id",)), ("p", ("a b",)), ("q", ("x",)), ("Q", ())]


@dataclass
class Table:
    """A random table; ``insertable`` pairs each column that takes values with its type's first
    word ("" in a table that is not STRICT, where any column takes any value)."""

    sql: str
    name: str
    columns: tuple[str, ...]
    insertable: list[tuple[str, str]] = field(default_factory=list)


class _Writer:
    """Writes the words of a statement, with the gaps, quotes and capitals of its own choice."""

    def __init__(self, draw):
        self.draw = draw
        self.gaps = draw(st.lists(st.sampled_from(GAPS), min_size=1, max_size=7))
        self.quotes = draw(st.lists(st.sampled_from("\"`['b"), min_size=1, max_size=5))
        self.case = draw(st.sampled_from([str.upper, str.lower, str.title]))
        # keys of the same columns must agree on it
        self.resolution = draw(st.sampled_from(CONFLICTS))
        self.count = 0

    def chance(self, out_of: int) -> bool:
        return self.draw(st.integers(1, out_of)) == out_of

    def pick(self, choices):
        return self.draw(st.sampled_from(choices))

    def name(self, name: str, string: bool = True) -> str:
        self.count += 1
        mark = self.quotes[self.count % len(self.quotes)]
        bare = name in PLAIN
        if mark == "b" and bare:
            return name
        if mark in "`'" and (string or mark == "`"):
            return mark + name.replace(mark, mark * 2) + mark
        if mark == "[" and "]" not in name:
            return f"[{name}]"
        return '"' + name.replace('"', '""') + '"'

    def words(self, text: str) -> list[str]:
        return [self.case(word) for word in text.split()]

    def constraint_name(self) -> list[str]:
        found = []
        while self.chance(3) and len(found) < 6:
            found += [*self.words("CONSTRAINT"), self.name(self.pick(PLAIN + RESERVED + ODD))]
        return found

    def conflict(self) -> list[str]:
        return self.words(f"ON CONFLICT {self.resolution}") if self.chance(4) else []

    def expression(self, template: str, table: str, columns: list[str]) -> str:
        one, other = self.pick(columns), self.pick(columns)
        return template.format(
            c=self.name(one, string=False),
            d=self.name(other, string=False),
            t=self.name(table, string=False),
            n=one.replace("'", "''"),
        )

    def references(self, table: str, columns: list[str], count: int) -> list[str]:
        target, keys = self.pick([*PARENT_KEYS, (table, (columns[0],))])
        if count == 2:
            target, keys = "p", ("id", "code")
        out = [*self.words("REFERENCES"), self.name(target)]
        out += ["(", *self.listed(list(keys)), ")"] if keys else []
        for event in ("DELETE", "UPDATE"):
            if self.chance(3):
                out += self.words(f"ON {event} {self.pick(ACTIONS)}")
        if self.chance(6):
            out += self.words("MATCH full")
        if self.chance(3):
            out += self.words(self.pick(DEFERRABLE))
        return out

    def listed(self, names: list[str], ordered: bool = False) -> list[str]:
        out = []
        for name in names:
            out += [",", self.name(name)]
            if ordered and self.chance(3):
                out += [*self.words("COLLATE"), self.pick(COLLATIONS)]
            if ordered and self.chance(3):
                out += self.words(self.pick(["ASC", "DESC"]))
        return out[1:]

    def text(self, words: list[str]) -> str:
        """The words, with a gap between any two of them, and a space where SQLite needs one."""
        out = words[0]
        for place, word in enumerate(words[1:]):
            gap = self.gaps[place % len(self.gaps)]
            needed = out[-1] not in "(),\n" and word[0] not in "(),"
            out += (gap or (" " if needed else "")) + word
        return out


@st.composite
def tables(draw, name: str | None = None, max_columns: int = 6) -> Table:
    """A table with any of the constraints and options that SQLite knows.

    :param name: the table's name; without it, one is drawn
    """
    writer = _Writer(draw)
    name = name or writer.pick(["t", "T x", "order", "gr\u00f6\u00dfe", "it's", "key"])
    pool = PLAIN + RESERVED + ODD
    columns = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=max_columns, unique=True))
    strict = writer.chance(6)
    key = writer.pick(["none", "inline", "integer", "integer", "table", "table"])
    without_rowid = key != "none" and writer.chance(5)
    real = [column for place, column in enumerate(columns) if not place or not writer.chance(6)]
    result = Table("", name, tuple(columns))
    words = [*writer.words("CREATE TABLE"), writer.name(name), "("]
    for place, column in enumerate(columns):
        words += [","] if place else []
        words.append(writer.name(column))
        key_here = key if place == 0 and key in ("inline", "integer") else ""
        kind = writer.pick(STRICT_TYPES if strict else TYPES)
        if key_here == "integer":
            kind = "INTEGER"
        if column not in real:
            kind = "ANY" if strict else kind
        if column in real:
            result.insertable.append((column, kind if strict or key_here == "integer" else ""))
        rest = _column(writer, name, columns, real, column, key_here, strict, without_rowid)
        if rest and rest[0].upper() == "GENERATED ALWAYS":
            # a comment in between would become a part of the type, says SQLite
            kind = f"{kind} {rest.pop(0)}".strip()
        words += [kind, *rest] if kind else rest
    words += _constraints(writer, name, columns, real, key == "table")
    words.append(")")
    options = ["STRICT"] * strict + ["WITHOUT ROWID"] * without_rowid
    for option in draw(st.permutations(options)):
        words += [*([","] if words[-1] != ")" else []), *writer.words(option)]
    result.sql = writer.text(words)
    return result


def _column(writer, table, columns, real, column, key, strict, without_rowid) -> list[str]:
    parts: list[list[str]] = []
    if column not in real:
        stored = writer.pick(["", "STORED", "VIRTUAL"])
        text = writer.expression(writer.pick(EXPRESSIONS), table, real)
        always = [] if strict or writer.chance(2) else [writer.case("GENERATED ALWAYS")]
        parts.append([*always, *writer.words("AS"), "(", text, ")", *writer.words(stored)])
    elif key:
        order = writer.pick(["", "ASC", "DESC"]) if key != "integer" or without_rowid else ""
        automatic = key == "integer" and not without_rowid and writer.chance(2)
        parts.append(
            [
                *writer.words(f"PRIMARY KEY {order}"),
                *writer.conflict(),
                *writer.words("AUTOINCREMENT" if automatic else ""),
            ]
        )
    if column in real and writer.chance(3):
        default = writer.pick(STRICT_DEFAULTS if strict else DEFAULTS)
        parts.append([*writer.words("DEFAULT"), default])
    if writer.chance(4):
        parts.append([*writer.words("NOT NULL"), *writer.conflict()])
    elif writer.chance(8):
        parts.append(writer.words("NULL"))
    if writer.chance(5):
        parts.append([*writer.words("COLLATE"), writer.pick(COLLATIONS)])
    if writer.chance(6):
        parts.append([*writer.words("UNIQUE"), *writer.conflict()])
    while writer.chance(4) and len(parts) < 7:
        text = writer.expression(writer.pick(CHECKS), table, columns)
        parts.append([*writer.words("CHECK"), "(", text, ")"])
    if writer.chance(5):
        parts.append(writer.references(table, columns, 1))
    out = []
    for part in writer.draw(st.permutations(parts)) if len(parts) > 1 else parts:
        out += [*writer.constraint_name(), *part]
    return out + (writer.constraint_name() if writer.chance(9) else [])


def _constraints(writer, table, columns, real, with_key) -> list[str]:
    parts: list[list[str]] = []

    def some(most: int) -> list[str]:
        size = min(most, len(real))
        return writer.draw(st.lists(st.sampled_from(real), min_size=1, max_size=size, unique=True))

    def key(kind: str) -> list[str]:
        listed = writer.listed(some(3), ordered=True)
        return [*writer.words(kind), "(", *listed, ")", *writer.conflict()]

    if with_key:
        parts.append(key("PRIMARY KEY"))
    while writer.chance(2) and len(parts) < 5:
        kind = writer.pick(["unique", "check", "foreign key"])
        if kind == "unique":
            parts.append(key("UNIQUE"))
        elif kind == "check":
            text = writer.expression(writer.pick(CHECKS), table, columns)
            parts.append([*writer.words("CHECK"), "(", text, ")"])
        else:
            own = some(2)
            listed = ["(", *writer.listed(own), ")"]
            target = writer.references(table, columns, len(own))
            parts.append([*writer.words("FOREIGN KEY"), *listed, *target])
    out: list[str] = []
    for part in writer.draw(st.permutations(parts)) if len(parts) > 1 else parts:
        out += [] if out and writer.chance(4) else [","]
        out += [*writer.constraint_name(), *part]
    return out + ([",", *writer.words("CONSTRAINT"), "dangling"] if writer.chance(12) else [])


_ANY = st.one_of(st.integers(-9, 9), st.text("ab ", max_size=3), st.just(1.5), st.just(b"\0x"))
_VALUES = {
    "INT": st.integers(-9, 9),
    "INTEGER": st.integers(1, 99),
    "REAL": st.floats(-9, 9, width=16),
    "TEXT": st.text("ab ", max_size=3),
    "BLOB": st.binary(max_size=3),
}


def rows(table: Table, max_size: int = 8) -> st.SearchStrategy[list[tuple]]:
    """Rows for the columns of ``table.insertable``, in their order; some values are NULL."""
    values = [_VALUES.get(kind, _ANY) for _, kind in table.insertable]
    return st.lists(st.tuples(*(st.none() | value for value in values)), max_size=max_size)


def fill(connection: sqlite3.Connection, table: Table, values: list[tuple]) -> int:
    """Insert the rows that the table takes; how many that were."""
    names = ", ".join('"' + name.replace('"', '""') + '"' for name, _ in table.insertable)
    marks = ", ".join("?" * len(table.insertable))
    target = '"' + table.name.replace('"', '""') + '"'
    taken = 0
    for row in values:
        try:
            connection.execute(f"INSERT INTO {target} ({names}) VALUES ({marks})", row)
            taken += 1
        except sqlite3.IntegrityError:
            continue
    return taken
