"""Where the tables and columns of before are afterwards, as the operations have it."""

import re

from alembic.operations import ops
from alembic.operations.ops import MigrateOperation

from .. import lexer
from ..catalog import Schema
from ..recorder import Recording

NAME = f"({lexer.NAME})"
RENAME_TABLE = re.compile(
    rf"^\s*(?:ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{NAME}\s+RENAME\s+(?:TO|AS)\s+{NAME}"
    rf"|RENAME\s+TABLE\s+{NAME}\s+TO\s+{NAME})",
    re.IGNORECASE,
)
RENAME_COLUMN = re.compile(
    rf"^\s*ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{NAME}\s+(?:RENAME\s+(?:COLUMN\s+)?{NAME}\s+TO\s+{NAME}"
    rf"|CHANGE\s+(?:COLUMN\s+)?{NAME}\s+{NAME})",
    re.IGNORECASE,
)
DROP_TABLE = re.compile(rf"^\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?{NAME}", re.IGNORECASE)
DROP_COLUMN = re.compile(
    rf"^\s*ALTER\s+TABLE\s+{NAME}\s+DROP\s+(?:COLUMN\s+)(?:IF\s+EXISTS\s+)?{NAME}", re.IGNORECASE
)
UPDATE = re.compile(rf"\bUPDATE\s+(?:OR\s+\w+\s+|ONLY\s+)?{NAME}(.*?)\bSET\b(.*)", re.I | re.S)
DELETE = re.compile(rf"^\s*(?:WITH\b.*?)?\bDELETE\s+FROM\s+(?:ONLY\s+)?{NAME}(.*)", re.I | re.S)
TRUNCATE = re.compile(rf"^\s*TRUNCATE\s+(?:TABLE\s+)?{NAME}", re.IGNORECASE)
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
        table = _label(getattr(operation, "table_name", None), schema)
        if isinstance(operation, ops.AlterColumnOp):
            self._convert(table, operation.column_name, operation.kw.get("postgresql_using"))
        match operation:
            case ops.RenameTableOp():
                self._rename_table(table, _label(operation.new_table_name, schema))
            case ops.DropTableOp():
                self._drop_table(table)
            case ops.AlterColumnOp() if operation.modify_name:
                self._rename_column(table, operation.column_name, operation.modify_name)
            case ops.DropColumnOp():
                self._rename_column(table, operation.column_name, None)

    def _statement(self, sql: str) -> None:
        sql = lexer.without_comments(sql)
        if found := ALTER_TABLE.match(sql):
            for column, using in USING.findall(sql):
                self._convert(bare(found[1]), bare(column), using)
        if found := RENAME_TABLE.match(sql):
            old, new = (bare(name) for name in found.groups() if name)
            self._rename_table(old, new)
        elif found := RENAME_COLUMN.match(sql):
            table, old, new = (bare(name) for name in found.groups() if name)
            self._rename_column(table, old, new)
        elif found := DROP_TABLE.match(sql):
            self._drop_table(bare(found[1]))
        elif found := DROP_COLUMN.match(sql):
            self._rename_column(bare(found[1]), bare(found[2]), None)
        elif (found := DELETE.match(sql)) or (found := TRUNCATE.match(sql)):
            self._delete(bare(found[1]), " ".join(sql.split()))
        elif found := UPDATE.search(sql):
            self._update(found)

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
    return ".".join(part for part in lexer.parts(name) if part.lower() not in ("main", "public"))


def _label(name: str | None, schema: str | None) -> str | None:
    return f"{schema}.{name}" if schema and name else name


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.lower() == other.lower()
