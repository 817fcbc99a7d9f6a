"""Rows before and after: which are gone, which hold something else.

Where the tables and columns of before are afterwards, as the operations have it.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .. import lexer, statements
from ..catalog import Schema, Table
from ..rows import read
from ..rows.values import kind_of
from ..runner import Recording
from ..statements import Effect, Name
from ..typing import Value
from . import Failed

Row = dict[str, Value]
Pair = tuple[Row, Row | None]  # a row before and after
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
WORDS = {"true": "1", "t": "1", "false": "0", "f": "0"}
NAME = f"({lexer.NAME})"
HOMES = ("main", "public")
UPDATE = re.compile(rf"\bUPDATE\s+(?:OR\s+\w+\s+|ONLY\s+)?{NAME}(.*?)\bSET\b(.*)", re.I | re.S)
# PostgreSQL's ALTER COLUMN ... TYPE ... USING, and a USING that only casts the column
USING = re.compile(
    rf"\bALTER\s+(?:COLUMN\s+)?{NAME}\s+(?:SET\s+DATA\s+)?TYPE\b[^;]*?\bUSING\b([^;]*)", re.I | re.S
)
ALTER_TABLE = re.compile(rf"^\s*ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{NAME}", re.I)
CAST = re.compile(
    rf"[\s(]*{NAME}[\s)]*(::[\s\w\".(),\[\]]+)*|\s*\(?CAST\s*\(\s*{NAME}\s+AS\s[^()]*(\([^()]*\))?\s*\)\)?",
    re.IGNORECASE,
)
ASSIGNED = re.compile(rf"(?:{NAME}\.)?{NAME}\s*=(?!=)")


@dataclass
class Outcome:
    """What became of one table's rows; ``changed`` has the old and the new value by column."""

    rows: int = 0
    gone: int = 0
    changed: dict[str, list[tuple[Value, Value]]] = field(default_factory=dict)


def take(connection: Connection, schema: Schema, labels: Iterable[str]) -> dict[str, list[Row]]:
    """Read the rows of some tables, on PostgreSQL as the text that it writes them as."""
    tables = [schema.tables[label] for label in labels]
    cast = "CAST({} AS text)" if connection.dialect.name == "postgresql" else "{}"
    return read(connection, [(table, list(table.columns)) for table in tables], cast)


@dataclass
class Comparison:
    """Compares the rows of one table with those of what became of it.

    :param names: the columns that are still there: their names before and after
    :param rewritten: columns, by their names before, that the migration sets itself
    :param through: columns that had another type in between, which may write a value otherwise
    """

    connection: Connection
    before: Table
    after: Table
    names: dict[str, str]
    rewritten: set[str]
    through: set[str]

    def outcome(self, old: list[Row], new: list[Row]) -> Outcome:
        """Say what became of the rows; more rows than there were are nobody's loss."""
        key = self.before.primary_key
        if key and all(name in self.names and name not in self.rewritten for name in key):
            pairs = self._by_key(key, old, new)
        else:
            pairs = self._by_all(old, new)
        outcome = Outcome(rows=len(old))
        for one, other in pairs:
            if other is None:
                outcome.gone += 1
                continue
            for name, now in self.names.items():
                if not self._alike(name, one[name], other[now]):
                    outcome.changed.setdefault(name, []).append((one[name], other[now]))
        return outcome

    def _by_key(self, key: tuple[str, ...], old: list[Row], new: list[Row]) -> list[Pair]:
        by_key = {self._values(key, row, new=True): row for row in new}
        return [(row, by_key.get(self._values(key, row))) for row in old]

    def _values(self, names: Iterable[str], row: Row, new: bool = False) -> tuple[Value, ...]:
        values = {name: row[self.names[name] if new else name] for name in names}
        return tuple(
            value if self._has_its_type(name) else _plain(value) for name, value in values.items()
        )

    def _has_its_type(self, name: str) -> bool:
        """Whether the column had one type all the time, which writes a value in one way."""
        was, is_ = self.before.columns[name].type, self.after.columns[self.names[name]].type
        return was == is_ and name not in self.through

    def _by_all(self, old: list[Row], new: list[Row]) -> list[Pair]:
        kept = [name for name in self.names if name not in self.rewritten]
        there = Counter(self._values(kept, row, new=True) for row in new)
        pairs: list[Pair] = []
        for row in old:
            values = self._values(kept, row)
            there[values] -= 1
            # without a key a row that holds something else is a row that is gone
            same = {self.names[name]: row[name] for name in self.names}
            pairs.append((row, same if there[values] >= 0 else None))
        return pairs

    def _alike(self, name: str, old: Value, new: Value) -> bool:
        if old == new and isinstance(old, bool | bytes) == isinstance(new, bool | bytes):
            return True
        if old is None or new is None or self._has_its_type(name):
            return False
        was, is_ = self.before.columns[name].type, self.after.columns[self.names[name]].type
        if _plain(old) == _plain(new) or _bytes(old, was) == _bytes(new, is_):
            return True
        return was != is_ and self._cast(old, new, was, is_)

    def _cast(self, old: Value, new: Value, was: str, is_: str) -> bool:
        """Whether the database itself turns the old value into the new one, and back again."""
        mark = {"sqlite": "?", "postgresql": "%s"}.get(self.connection.dialect.name)
        if mark is None:
            return False
        there = f"CAST(CAST({mark} AS {was}) AS {is_})"
        back, text = f"CAST({there} AS {was})", "CAST({} AS text)"
        query = f"SELECT {text.format(there)}, {text.format(back)}"
        try:
            with self.connection.begin_nested():
                row = self.connection.exec_driver_sql(query, (old, old)).one()
        except DBAPIError:
            return False
        return tuple(map(_plain, row)) == (_plain(new), _plain(old))


def _is_cut(old: Value, new: Value) -> bool:
    """Whether text was cut off, white space aside."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    old, new = old.strip(), new.strip()
    return 0 < len(new) < len(old) and old.startswith(new)


def _plain(value: Value) -> Value:
    """A value so that the same thing said by another type is equal: 5, 5.0, "5"; a day and its midnight."""
    match value:
        case None | bytes():
            return value
        case bool():
            return str(int(value))
        case int() | float() | Decimal():
            return _number(str(value))
        case str():
            return _text(value)
        case memoryview():
            return bytes(value)
        case timedelta():
            return _time(value)
        case _:
            return _text(str(value))


def _bytes(value: Value, type_: str) -> bytes:
    """A text or its bytes; PostgreSQL writes bytes as text."""
    if isinstance(value, bytes):
        return value
    if type_ == "bytea" and str(value).startswith("\\x"):
        return bytes.fromhex(value[2:])
    return str(value).encode(errors="surrogateescape")


def _time(value: timedelta) -> str:
    """A time of MySQL, as it writes it."""
    seconds, sign = abs(value) // timedelta(seconds=1), "-" if value < timedelta(0) else ""
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return _text(f"{text}.{abs(value).microseconds:06}")


def _text(text: str) -> str:
    if NUMBER.fullmatch(text):
        return _number(text)
    text = text.rstrip()
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if re.match(r"\d{4}-\d\d-\d\d", text):
        text = re.sub(r"([ T]00:00(:00)?)?(\.0+)?(\+00(:00)?|Z)?$", "", text).replace("T", " ")
    if re.fullmatch(r"\d\d:\d\d:\d\d\.\d+", text):
        text = text.rstrip("0").rstrip(".")
    if re.fullmatch(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}", text):
        return text.replace("-", "").lower()
    if text[:1] in "{[":
        try:
            return json.dumps(json.loads(text), sort_keys=True)
        except ValueError:
            return text
    return text


def _number(text: str) -> str:
    number = Decimal(text.strip())
    return format(number.normalize(), "f") if number.is_finite() else text


# Do the rows live? What a migration says that it does to them is a note, all else is a failure.


Columns = dict[tuple[str, str], tuple[str, str]]


@dataclass
class Judge:
    """Compares rows before and after one step.

    :param agreed: what the migration's comments say may change, with the reason
    """

    connection: Connection
    before: Schema
    after: Schema
    agreed: dict[str, str]
    notes: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def outcomes(
        self,
        old: dict[str, list[Row]],
        new: dict[str, list[Row]],
        tables: dict[str, str],
        columns: Columns,
        rewritten: set[tuple[str, str]],
        through: Collection[tuple[str, str]] = frozenset(),
    ) -> dict[str, Outcome]:
        """Return what became of the rows of each table that is still there.

        :param through: columns that had another type in between
        """
        found = {}
        for label, rows in old.items():
            if not rows or label not in tables:
                continue
            own = {name for table, name in rewritten if table == label}
            other = {name for table, name in through if table == label}
            before, after = self.before.tables[label], self.after.tables[tables[label]]
            kept = {
                name: columns[label, name][1] for name in before.columns if (label, name) in columns
            }
            names = {
                name: now
                for name, now in kept.items()
                # what is generated on both sides follows from the others, by another rule perhaps
                if not (before.columns[name].generated and after.columns[now].generated)
            }
            comparison = Comparison(self.connection, before, after, names, own, other)
            found[label] = comparison.outcome(rows, new[tables[label]])
        return found

    def judge(
        self,
        step: str,
        outcomes: dict[str, Outcome],
        emptied: dict[str, str],
        rewritten: set[tuple[str, str]],
    ) -> None:
        """Note what the migration says that it does.

        :param emptied: the tables with a DELETE of the migration's own, and its text
        :param rewritten: the columns with an UPDATE of the migration's own
        :raises Failed: for rows that are gone and values that changed without a word
        """
        for label, outcome in outcomes.items():
            if outcome.gone:
                self._gone(step, label, outcome, self._delete(label, emptied))
            for name, pairs in outcome.changed.items():
                self._changed(step, label, name, pairs, outcome, (label, name) in rewritten)

    def _gone(self, step: str, label: str, outcome: Outcome, sql: str | None) -> None:
        if label in self.agreed:
            self._agree(label, label)
        elif sql is None:
            raise Failed(step, f"{outcome.gone} of {outcome.rows} rows of {label} are gone", label)
        elif outcome.gone == outcome.rows:
            raise Failed(step, f"every row of {label} is deleted by {sql}", label)
        else:
            self._note(
                f"deletes {outcome.gone} of {outcome.rows} rows of {label}, as it says: {sql}"
            )

    def _changed(
        self, step: str, label: str, name: str, pairs: list[Pair], outcome: Outcome, own: bool
    ) -> None:
        at = f"{label}.{name}"
        agreed = at if at in self.agreed else label
        old, new = pairs[0]
        if agreed in self.agreed:
            self._agree(at, agreed)
        elif own and self._is_text(label, name) and any(_is_cut(*pair) for pair in pairs):
            raise Failed(step, f"{at} is cut off: {_short(old)} becomes {_short(new)}", at)
        elif own:
            self._change(at, pairs, outcome)
        else:
            raise Failed(step, f"{at} held {_short(old)} and now holds {_short(new)}", at)

    def _is_text(self, label: str, name: str) -> bool:
        return kind_of(self.before.tables[label].columns[name].type, "").family == "text"

    def _change(self, at: str, pairs: list[Pair], outcome: Outcome) -> None:
        every = len(pairs) == outcome.rows
        rows = "every row" if every else f"{len(pairs)} of {outcome.rows} rows"
        old, new = map(_short, pairs[0])
        same = len({repr(new) for _, new in pairs}) == 1 < len(pairs)
        note = (
            f"sets {at} to {new} in {rows}"
            if same
            else f"changes {at} in {rows} ({old} becomes {new})"
        )
        self.changes.append(note)
        self._note(note)

    def _delete(self, label: str, emptied: dict[str, str]) -> str | None:
        """The DELETE that took rows from the table, or from one that it points to."""
        for table in parents_of(self.before, label):
            if table in emptied:
                return _shortened(emptied[table])
        return None

    def _agree(self, what: str, name: str) -> None:
        self._note(f"changes {what}, as it says: because {self.agreed[name]}")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def parents_of(schema: Schema, label: str) -> list[str]:
    """Return a table, what it points to, what that points to, and so on: a DELETE may cascade."""
    seen = [label]
    for table in seen:
        if table in schema.tables:
            keys = schema.tables[table].foreign_keys
            seen += [key.parent for key in keys if key.parent not in seen]
    return seen


def _short(value: object) -> str:
    return "NULL" if value is None else _shortened(repr(value))


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


class Lineage:
    """Follows what was there before through what a migration did.

    ``columns`` maps (table, column) before to (table, column) afterwards; what is not in it is lost.
    ``rewritten`` are the columns, by their names before, whose values an UPDATE or a USING has set;
    ``emptied`` the tables from which rows were deleted, with the DELETE.
    """

    def __init__(self, before: Schema, after: Schema, recording: Recording) -> None:
        self.before, self.after = before, after
        self.now: dict[str, str | None] = {label: label for label in before.tables}
        self.names: dict[str, dict[str, str | None]] = {
            label: {name: name for name in table.columns} for label, table in before.tables.items()
        }
        self.rewritten: set[tuple[str, str]] = set()
        self.emptied: dict[str, str] = {}
        self.written: list[list[str]] = []
        self.database = recording.dialect.name if recording.dialect else ""
        for entry in recording.did:
            if isinstance(entry, str):
                self._statement(entry)
            else:
                self._operation(entry)
        self.tables: dict[str, str] = {}
        self.columns: dict[tuple[str, str], tuple[str, str]] = {}
        self._settle()

    def lost_tables(self) -> list[str]:
        """Return the tables of before that are gone."""
        return [label for label in self.before.tables if label not in self.tables]

    def lost_columns(self) -> list[tuple[str, str]]:
        """Return the columns of before that are gone, where their table is not."""
        return [
            (label, name)
            for label, table in self.before.tables.items()
            if label in self.tables
            for name in table.columns
            if (label, name) not in self.columns
        ]

    def _settle(self) -> None:
        for label, now in self.now.items():
            # dropped and made again under its name: a rebuild by hand
            home = now if now in self.after.tables else label
            if home not in self.after.tables:
                continue
            if home == label and now != label and home in self.now.values():
                continue
            self.tables[label] = home
            columns = self.after.tables[home].columns
            for name, current in self.names[label].items():
                if current not in columns and name in columns:
                    # made again under its name: what it holds now is to be what it held
                    current = name if now is None or self._free(label, name) else None
                if current in columns:
                    self.columns[label, name] = (home, current)
                    if [home, current] in self.written:
                        self.rewritten.add((label, name))

    def _free(self, label: str, name: str) -> bool:
        return name not in self.names[label].values()

    # -- operations ------------------------------------------------------------------------------

    def _operation(self, operation: MigrateOperation) -> None:
        schema = getattr(operation, "schema", None)
        table = lexer.dotted(schema, getattr(operation, "table_name", None))
        if isinstance(operation, ops.AlterColumnOp):
            self._convert(table, operation.column_name, operation.kw.get("postgresql_using"))
        match operation:
            case ops.RenameTableOp():
                self._rename_table(table, lexer.dotted(schema, operation.new_table_name))
            case ops.DropTableOp():
                self._drop_table(table)
            case ops.AlterColumnOp() if operation.modify_name:
                self._rename_column(table, operation.column_name, operation.modify_name)
            case ops.DropColumnOp():
                self._rename_column(table, operation.column_name, None)

    def _statement(self, sql: str) -> None:
        for statement in lexer.split(sql, self.database):
            if found := ALTER_TABLE.match(statement):
                for column, using in USING.findall(statement):
                    self._convert(bare(found[1]), bare(column), using)
            for effect in statements.effects(statement, self.database):
                self._effect(effect, statement)

    def _effect(self, effect: Effect, statement: str) -> None:
        table = _label(effect.table)
        match effect.verb:
            case "rename table":
                self._rename_table(table, _label(effect.new))
            case "rename column":
                self._rename_column(table, *effect.columns)
            case "drop table":
                self._drop_table(table)
            case "drop column":
                self._rename_column(table, effect.columns[0], None)
            case "update" | "drop" | "unreadable" if found := UPDATE.search(statement):
                self._update(found)
            case "delete" | "drop" if table:
                self._delete(table, " ".join(statement.split()))

    def _rename_table(self, old: str | None, new: str | None) -> None:
        for label, now in self.now.items():
            if _same(now, old):
                self.now[label] = new
        for place in self.written:
            if _same(place[0], old):
                place[0] = new or ""

    def _drop_table(self, table: str | None) -> None:
        for label, now in self.now.items():
            if _same(now, table):
                self.now[label] = None

    def _rename_column(self, table: str | None, old: str, new: str | None) -> None:
        for label, now in self.now.items():
            if _same(now, table):
                for name, current in self.names[label].items():
                    if _same(current, old):
                        self.names[label][name] = new
                        break
        for place in self.written:
            if _same(place[0], table) and _same(place[1], old):
                place[1] = new or ""

    def _delete(self, table: str, sql: str) -> None:
        for label, now in self.now.items():
            if _same(now, table):
                self.emptied[label] = sql

    def _update(self, found: re.Match[str]) -> None:
        tables = {bare(found[1]), *(bare(name) for name in re.findall(NAME, found[2]))}
        for pair in ASSIGNED.findall(_assignments(found[3])):
            self._set(tables, bare(pair[1]))

    def _convert(self, table: str | None, column: str, using: str | None) -> None:
        if table and using and not CAST.fullmatch(using.strip()):
            self._set({table}, column)

    def _set(self, tables: set[str], column: str) -> None:
        self.written += [[table, column] for table in tables]
        for label, now in self.now.items():
            if any(_same(now, table) for table in tables):
                names = self.names[label]
                self.rewritten |= {(label, name) for name in names if _same(names[name], column)}


def _assignments(rest: str) -> str:
    """What stands between SET and WHERE, without strings and without what is in parentheses."""
    texts = [text for _, text in lexer.tokens(lexer.without_asides(rest))]
    outer = zip(texts, lexer.depths(texts), strict=True)
    rest = "".join(text for text, depth in outer if depth <= 0 and text != ")")
    return re.split(r"\b(?:WHERE|RETURNING)\b", rest, maxsplit=1, flags=re.IGNORECASE)[0]


def bare(name: str) -> str:
    """Return a name of a statement without its quotes."""
    return ".".join(part for part in lexer.parts(name) if part.lower() not in HOMES)


def _label(name: Name | None) -> str | None:
    return (
        lexer.dotted(*(part for part in name[:2] if part and part.lower() not in HOMES))
        if name
        else None
    )


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.lower() == other.lower()
