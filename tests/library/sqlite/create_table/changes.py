"""Every edit that can be asked of a table, with what SQLite must say of the table afterwards."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from flask_keel.sqlite.create_table import CreateTable, note_after
from flask_keel.sqlite.model import Column, Constraint
from flask_keel.sqlite.tokenizer import fold, identifiers, lex, same, tokenize

from .facts import Facts, never_null

NEW = "nëw, (name)"


@dataclass
class Asked:
    """An edit; the facts that it must lead to; and the part of the old text that it may touch."""

    label: str
    edit: Callable[[CreateTable], CreateTable]
    facts: Facts
    within: tuple[int, int]
    # what of the text must be the same although it lies within: see the tests
    keeps: str = ""
    collation: tuple[str, str] | None = None


def every_change(table: CreateTable, now: Facts) -> Iterator[Asked]:
    for place, column in enumerate(table.columns):
        yield from column_changes(table, column, place, now)
    yield from added_columns(table, now)
    for constraint in table.all_constraints():
        yield from constraint_changes(table, constraint, now)
    yield from added_constraints(table, now)
    yield from table_changes(table, now)


def column_changes(table, column: Column, place: int, now: Facts) -> Iterator[Asked]:
    name, span = column.name, column.span

    def with_fact(index: int, value) -> Facts:
        columns = list(now.columns)
        columns[place] = (*columns[place][:index], value, *columns[place][index + 1 :])
        return replace(now, columns=columns)

    def ask(label: str, edit, facts: Facts, **more) -> Asked:
        return Asked(f"{label} of {name!r}", edit, facts, span, **more)

    if not column.primary_key:
        types = ["BLOB"] if table.strict else ["VARCHAR ( 99 )", '"t (x"', "", "a /* (c */ b"]
        for new in types:
            shown = new.strip('"').upper()
            yield ask(f"type {new!r}", lambda t, n=new: t.set_type(name, n), with_fact(1, shown))
    if not column.generated:
        for new, shown in DEFAULTS:
            yield ask(
                f"default {new!r}", lambda t, n=new: t.set_default(name, n), with_fact(3, shown)
            )
    always = never_null(table, name in now.primary_key, name)
    for wanted in (True, False):
        yield ask(
            f"not null {wanted}",
            lambda t, w=wanted: t.set_not_null(name, w),
            with_fact(2, wanted or always),
        )
    yield ask(
        "not null on conflict",
        lambda t: t.set_not_null(name, True, on_conflict="REPLACE"),
        with_fact(2, True),
    )
    for wanted in ("RTRIM", "NOCASE", None):
        yield ask(
            f"collation {wanted}",
            lambda t, w=wanted: t.set_collation(name, w),
            now,
            collation=(name, wanted or "BINARY"),
        )
    yield Asked(
        f"rename of {name!r}",
        lambda t: t.rename_column(name, NEW),
        renamed(now, table, name),
        (table.columns[0].span[0], table.close),
        keeps="gaps",
    )
    if can_be_dropped(table, column):
        yield dropped_column(table, column, now)


DEFAULTS = [
    ("'it''s, ('", "'it''s, ('"),
    ("-1.5", "-1.5"),
    ("(1 + 2)", "1 + 2"),
    ("1 + 2", "1 + 2"),
    ("(1) + (2)", "(1) + (2)"),
    ("lower('A')", "lower('A')"),
    ("current_timestamp", "current_timestamp"),
    ("'a' || 'b' -- c", "'a' || 'b' -- c"),
    ("NULL", "NULL"),
    (None, None),
]


def renamed(now: Facts, table: CreateTable, old: str) -> Facts:
    def names(columns: tuple) -> tuple:
        return tuple(NEW if same(column, old) else column for column in columns)

    return replace(
        now,
        columns=[(NEW if c[0] == old else c[0], *c[1:]) for c in now.columns],
        primary_key=names(now.primary_key),
        foreign_keys=[
            (key[0], names(key[1]), names(key[2]) if same(key[0], table.name) else key[2], *key[3:])
            for key in now.foreign_keys
        ],
        keys={names(key) for key in now.keys},
    )


def can_be_dropped(table: CreateTable, column: Column) -> bool:
    """Whether nothing else in the table's text names the column and a real column stays."""
    rest = [other for other in table.columns if other is not column]
    if not [other for other in rest if not other.generated]:
        return False
    if table.without_rowid and column.primary_key:
        return False
    others = [c for c in table.all_constraints() if c not in column.constraints]
    used = {fold(name) for c in others for name in c.columns}
    for c in others:
        if c.kind in ("check", "generated"):
            used |= {fold(name) for name in identifiers(c.expression)}
    return fold(column.name) not in used


def dropped_column(table: CreateTable, column: Column, now: Facts) -> Asked:
    keys = [c for c in table.all_constraints() if c.kind == "foreign key"]
    return Asked(
        f"drop of {column.name!r}",
        lambda t: t.drop_column(column.name),
        replace(
            now,
            columns=[c for c in now.columns if c[0] != column.name],
            primary_key=() if column.name in now.primary_key else now.primary_key,
            foreign_keys=[
                fact
                for key, fact in zip(keys, now.foreign_keys, strict=True)
                if key not in column.constraints
            ],
            keys={key for key in now.keys if column.name not in key},
        ),
        around(table.sql, column.span),
    )


def added_columns(table: CreateTable, now: Facts) -> Iterator[Asked]:
    kind = "TEXT"
    new = (NEW, kind, True, "'x,)'", None)
    definition = f""""{NEW}" {kind} DEFAULT 'x,)' NOT NULL CHECK ("{NEW}" <> ')') -- new"""
    last = len(table.columns)
    for place in range(last + 1):
        columns = [*now.columns[:place], new, *now.columns[place:]]
        where = [{"before": table.columns[place].name}] if place < last else [{}]
        where += [{"after": table.columns[place - 1].name}] if place else []
        span = table.columns[max(place - 1, 0)].span
        for arguments in where:
            yield Asked(
                f"add column {arguments}",
                lambda t, a=arguments: t.add_column(definition, **a),
                replace(now, columns=columns),
                around(table.sql, span) if place else (table.name_span[1], span[0]),
                keeps="all",
            )


def constraint_changes(table, constraint: Constraint, now: Facts) -> Iterator[Asked]:
    facts = without(table, constraint, now)
    column = constraint.column and table.column(constraint.column)
    within = column.span if column else around(table.sql, constraint.span)
    if facts is not None:
        yield Asked(
            f"drop of {constraint.text!r}", lambda t: t.drop_constraint(constraint), facts, within
        )
    if constraint.kind == "check":
        yield Asked(
            f"replace of {constraint.text!r}",
            lambda t: t.replace_constraint(constraint, "CONSTRAINT [a)] CHECK (1 <> ')') -- )"),
            now,
            (constraint.span[0], constraint.span[1] + 1),
        )


def without(table: CreateTable, gone: Constraint, now: Facts) -> Facts | None:
    """The facts without a constraint; None where SQLite would not take such a table."""
    rest = [c for c in table.all_constraints() if c is not gone]
    indexed = ("unique",) if table.rowid_alias else ("unique", "primary key")
    kept = {tuple(map(fold, c.columns)) for c in rest if c.kind in indexed}
    keys = {key for key in now.keys if tuple(map(fold, key)) in kept}
    if gone.kind == "unique":
        return replace(now, keys=keys)
    if gone.kind == "primary key":
        if table.without_rowid:
            return None
        columns = [(*c[:2], table.column(c[0]).not_null, *c[3:]) for c in now.columns]
        return replace(now, keys=keys, primary_key=(), columns=columns)
    if gone.kind == "foreign key":
        place = [c for c in table.all_constraints() if c.kind == "foreign key"].index(gone)
        return replace(now, foreign_keys=now.foreign_keys[:place] + now.foreign_keys[place + 1 :])
    if gone.kind in ("check", "collate", "null"):
        return now
    index = {"not null": 2, "default": 3, "generated": 4}[gone.kind]
    same_kind = [c for c in rest if c.kind == gone.kind and same(c.column, gone.column)]
    value = {2: bool(same_kind), 3: same_kind[-1].expression if same_kind else None, 4: None}[index]
    if index == 2 and never_null(table, table.column(gone.column).primary_key, gone.column):
        value = True
    columns = [
        (*c[:index], value, *c[index + 1 :]) if same(c[0], gone.column) else c for c in now.columns
    ]
    return replace(now, columns=columns)


def added_constraints(table: CreateTable, now: Facts) -> Iterator[Asked]:
    first = table.columns[0].name
    quoted = '"' + first.replace('"', '""') + '"'
    last = (table.constraints or table.columns)[-1].span
    key = ("p", (first,), ("code",), "NO ACTION", "CASCADE")
    unique = {(first,)} if table.rowid_alias is None or table.rowid_alias.name != first else set()
    for text, facts in (
        (f"CONSTRAINT [,] CHECK ({quoted} <> ')') -- new)", now),
        (f"UNIQUE ({quoted})", replace(now, keys=now.keys | unique | {(first,)})),
        (
            f"FOREIGN KEY ({quoted}) REFERENCES p (code) ON DELETE CASCADE",
            replace(now, foreign_keys=[*now.foreign_keys, key]),
        ),
    ):
        yield Asked(
            f"add {text!r}",
            lambda t, x=text: t.add_constraint(x),
            facts,
            (last[1], table.close),
            keeps="all",
        )


def table_changes(table: CreateTable, now: Facts) -> Iterator[Asked]:
    yield Asked(
        "rename of the table", lambda t: t.rename("ta ble", qualifiers=True), now, (0, table.close)
    )
    count = len(table.columns)
    for order in (range(count - 1, -1, -1), [*range(1, count), 0]):
        names = [table.columns[i].name for i in order]
        yield Asked(
            f"order {names}",
            lambda t, n=names: t.reorder(n),
            replace(now, columns=[now.columns[i] for i in order]),
            (table.name_span[1], around(table.sql, table.columns[-1].span)[1]),
            keeps="letters",
        )
    yield from option_changes(table, now)


def option_changes(table: CreateTable, now: Facts) -> Iterator[Asked]:
    def with_options(**options: bool) -> Facts:
        columns = [
            (
                *c[:2],
                table.column(c[0]).not_null
                or never_null(table, c[0] in now.primary_key, c[0], **options),
                *c[3:],
            )
            for c in now.columns
        ]
        return replace(now, columns=columns, **options)

    within = (table.close + 1, len(table.sql))
    allowed = {"INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"}
    if table.strict or all(c[1] in allowed for c in now.columns):
        for wanted in (True, False):
            yield Asked(
                f"strict {wanted}",
                lambda t, w=wanted: t.set_option(strict=w),
                with_options(strict=wanted),
                within,
            )
    alias = table.set_option(without_rowid=False).rowid_alias
    constraints = table.all_constraints()
    automatic = any(c.autoincrement for c in constraints)
    if now.primary_key and not automatic:
        for wanted in (True, False):
            keys = now.keys | {now.primary_key}
            if not wanted and alias and not any(unique(c, alias) for c in constraints):
                keys = keys - {now.primary_key}
            yield Asked(
                f"without rowid {wanted}",
                lambda t, w=wanted: t.set_option(without_rowid=w),
                replace(with_options(without_rowid=wanted), keys=keys),
                within,
            )


def unique(constraint: Constraint, column: Column) -> bool:
    names = [fold(name) for name in constraint.columns]
    return constraint.kind == "unique" and names == [fold(column.name)]


def around(sql: str, item: tuple[int, int]) -> tuple[int, int]:
    """From the comma before an item to the comment behind the comma after it."""
    tokens = tokenize(sql)
    before = [t for t in tokens if t.end <= item[0]][-1]
    after = [t for t in tokens if t.start >= item[1]]
    start = before.start if before.text == "," else before.end
    if after[0].text == ",":
        return start, after[1].start
    return start, max(after[0].start, note_after(sql, item[1]))


def gaps(sql: str) -> list[str]:
    """The white space and the comments of a text."""
    return [token.text for token in lex(sql) if token.kind in ("space", "comment")]


def words(sql: str) -> list[str]:
    """All of a text but its white space."""
    return [token.text for token in lex(sql) if token.kind != "space"]


def is_within(small: str, large: str) -> bool:
    """Whether all characters of one text are in another one, in their order."""
    rest = iter(large)
    return all(character in rest for character in small)
