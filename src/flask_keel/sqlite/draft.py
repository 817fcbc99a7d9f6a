"""What is to become of one table: the operations, resolved against what the table is."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from alembic.util import CommandError
from sqlalchemy import Dialect

from ..typing import Convention, SQLType
from . import introspection
from .clone import Mirror, newly_broken, require_no_string
from .create_table import CreateTable
from .data_checks import ROW, Condition, Source, Unique
from .introspection import Database, IndexFacts, Reference, primary_key, references_to
from .introspection import indexes as read_indexes
from .tokenizer import fold, quote, same

# What can be asked of a table, in SQLite's own words: SQL texts and names, no Alembic.
#
# Named tuples, since a data class takes ten times as long to make, in every start of every command.


class AddColumn(NamedTuple):
    """``definition`` is the column as CREATE TABLE takes it, without its keys and CHECKs.

    ``fill`` is the SQL of the value that the rows get which are there, where no default of the
    database gives them one.
    ``of_key`` says that a primary key with it follows, which looks at the rows itself.
    """

    column: str
    definition: str
    before: str | None = None
    after: str | None = None
    if_not_exists: bool = False
    fill: str | None = None
    of_key: bool = False


class DropColumn(NamedTuple):
    column: str
    if_exists: bool = False


class RenameColumn(NamedTuple):
    column: str
    new: str


class SetType(NamedTuple):
    """``type`` and ``existing`` are SQLAlchemy's types, ``text`` what CREATE TABLE says."""

    column: str
    text: str
    type: SQLType | None = None
    existing: SQLType | None = None


class SetCollation(NamedTuple):
    column: str
    collation: str | None


class SetNotNull(NamedTuple):
    column: str
    not_null: bool


class SetDefault(NamedTuple):
    """``text`` is what follows DEFAULT; None takes the default away."""

    column: str
    text: str | None


class SetGenerated(NamedTuple):
    """``text`` is GENERATED ALWAYS AS and what follows; None leaves an ordinary column with the
    values that it has."""

    column: str
    text: str | None


class AddConstraint(NamedTuple):
    """``follows_type`` for the CHECK of an Enum or a Boolean; ``replaces`` what has its name, or
    is the primary key."""

    text: str
    follows_type: bool = False
    unless_present: bool = False
    replaces: bool = False


class NameConstraint(NamedTuple):
    """A constraint that the table is said to have, with its name: made when it is not there, and
    given the name when it is there without one."""

    text: str


class DropConstraint(NamedTuple):
    """``names`` are the names that it can go by; ``kind`` is None when it was not said.

    ``follows_type`` holds the expression of the CHECK of an Enum or a Boolean: one that the table
    never had is no mistake.
    """

    names: tuple[str, ...]
    kind: str | None = None
    if_exists: bool = False
    follows_type: str | None = None


class CreateIndex(NamedTuple):
    name: str
    sql: str
    unique: bool
    columns: tuple[str, ...]
    where: str | None = None
    if_not_exists: bool = False
    replaces: bool = False


class DropIndex(NamedTuple):
    name: str
    if_exists: bool = False


class SetOptions(NamedTuple):
    """Options of the table; None leaves as it is."""

    strict: bool | None = None
    without_rowid: bool | None = None
    autoincrement: bool | None = None


class Reorder(NamedTuple):
    """Columns that are to follow each other, as in ``partial_reordering``."""

    runs: tuple[tuple[str, ...], ...]


Operation = (
    AddColumn
    | DropColumn
    | RenameColumn
    | SetType
    | SetCollation
    | SetNotNull
    | SetDefault
    | SetGenerated
    | AddConstraint
    | NameConstraint
    | DropConstraint
    | CreateIndex
    | DropIndex
    | SetOptions
    | Reorder
)


OfColumn = (
    DropColumn | RenameColumn | SetType | SetCollation | SetNotNull | SetDefault | SetGenerated
)


@dataclass(frozen=True)
class Settings:
    """How the engine may work.

    ``recreate`` is "auto", "always" or "never". ``text_edits`` are the kinds of change that may
    be made in the schema text, none where the configuration or a portable script forbids it.
    ``going_down`` is a downgrade, which brings back what was there. ``rows`` says how many rows a
    table is to be taken to have, None for as many as it has.
    """

    dialect: Dialect
    convention: Convention | None = None
    recreate: str = "auto"
    schema_edits: bool = True
    portable: bool = False
    text_edits: frozenset[str] = frozenset()
    going_down: bool = False
    rows: Callable[[str], int | None] = lambda table: None


@dataclass(frozen=True)
class Step:
    """One change of the table's text, and the cheapest way to make it.

    ``way`` is "add" or "drop" (SQLite's own ALTER TABLE ADD or DROP COLUMN), "text" (an edit of
    the schema text, by ``statement`` where SQLite has had one ``since`` a version) or "rebuild".
    ``settles`` says that rows which are shorter than the table would read otherwise by the new
    text, ``update`` is the statement that changes rows in place after an edit of the text.
    """

    says: str
    apply: Callable[[CreateTable], CreateTable]
    way: str
    kind: str = ""
    statement: str | None = None
    since: tuple[int, int] = (3, 53)
    update: str | None = None
    scans: bool = False
    settles: bool = False


@dataclass
class Draft:
    """The table as it is, as it will be, and the steps in between.

    ``table`` is the text so far; ``new_columns`` maps the folded names of added columns to the
    SQL of their value in the rows that are there, ``made_over`` those of the columns
    whose values are copied in another form, ``with_columns`` the table's text before each column
    that was dropped, ``gone_columns`` the SQL of what those hold.
    """

    db: Database
    settings: Settings
    before: CreateTable
    table: CreateTable
    steps: list[Step] = field(default_factory=list)
    renames: list[tuple[str, str]] = field(default_factory=list)
    indexes: list[IndexFacts] = field(default_factory=list)
    dropped_indexes: list[str] = field(default_factory=list)
    new_indexes: list[CreateIndex] = field(default_factory=list)
    new_columns: dict[str, str] = field(default_factory=dict)
    made_over: dict[str, str] = field(default_factory=dict)
    dropped_columns: list[str] = field(default_factory=list)
    with_columns: list[CreateTable] = field(default_factory=list)
    gone_columns: dict[str, str] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    uniques: list[Unique] = field(default_factory=list)
    keys_to_check: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, db: Database, table: str, settings: Settings) -> "Draft":
        before = introspection.read_table(db, table)
        return cls(db, settings, before, before, indexes=read_indexes(db, before.name))

    @property
    def name(self) -> str:
        return self.before.name

    @property
    def sql_name(self) -> str:
        return self.db.name(self.name)

    @cached_property
    def objects(self) -> list[introspection.SchemaObject]:
        """The whole schema, after the renames."""
        return introspection.objects(self.db)

    @cached_property
    def references_to(self) -> list[Reference]:
        return references_to(self.db, self.name)

    @cached_property
    def is_empty(self) -> bool:
        taken = self.settings.rows(self.name)
        if taken is not None:
            return not taken
        return not self.db.value(f"SELECT EXISTS (SELECT 1 FROM {self.sql_name})")

    @cached_property
    def triggers(self) -> list[introspection.SchemaObject]:
        return introspection.triggers(self.db, self.name)

    def add(self, step: Step) -> None:
        self.table = step.apply(self.table)
        self.steps.append(step)

    def column(self, name: str) -> str:
        """The column's name as the table now has it; one that was renamed goes by both names.

        :raises CommandError: when there is none
        """
        if self.table.has_column(name):
            return self.table.column(name).name
        for old, new in reversed(self.renames):
            if fold(old) == fold(name) and self.table.has_column(new):
                return self.table.column(new).name
        return self.require_column(name)

    def require_column(self, name: str) -> str:
        """The column's name as the table now has it, by no other name.

        :raises CommandError: when there is none
        """
        if self.table.has_column(name):
            return self.table.column(name).name
        known = ", ".join(column.name for column in self.table.columns)
        raise CommandError(f"Table {self.name!r} has no column {name!r} (it has: {known}).")

    def origin(self, name: str) -> str:
        """The name in the database of a column that is not new."""
        return next(old for old, now in self._origins() if fold(now) == fold(name))

    def referred_by(self, reference: Reference) -> tuple[str, ...]:
        """The columns of this table that a foreign key refers to, by their names now."""
        now = {fold(old): new for old, new in self._origins()}
        names = [now.get(fold(name), name) for name in reference.referred_columns]
        return tuple(self.table.column(n).name for n in names if self.table.has_column(n))

    def rename(self, operations: list[RenameColumn]) -> None:
        """Make the renames in memory, by SQLite itself, which rewrites whatever names them.

        :raises CommandError: when SQLite cannot rewrite a trigger or a view
        """
        if not operations:
            return
        with closing(Mirror(self.objects)) as mirror:
            for operation in operations:
                old = self.column(operation.column)
                if old == operation.new:
                    continue
                self._rename(mirror, old, operation.new)
            self.indexes = read_indexes(mirror, self.name)
            after = introspection.objects(mirror)
        if broken := newly_broken(self.objects, after):
            name, error = next(iter(broken.items()))
            raise CommandError(
                f"Columns of table {self.name!r} cannot be renamed, since {name!r} uses them and "
                f"SQLite cannot rewrite it ({error}): drop it before and create it again after."
            )
        self.objects = after

    def _rename(self, mirror: Mirror, old: str, new: str) -> None:
        if not same(old, new):
            require_no_string(introspection.objects(mirror), self.name, new)
        statement = f"ALTER TABLE {quote(self.name)} RENAME COLUMN {quote(old)} TO {quote(new)}"
        if error := mirror.error_of(statement):
            raise CommandError(
                f"Column {self.name}.{old} cannot be renamed to {new!r}: SQLite says {error!r}; "
                "drop the object that it names before and create it again after."
            )
        self.renames.append((old, new))
        self.table = introspection.read_table(mirror, self.name)

    @property
    def index_texts(self) -> list[str]:
        """The CREATE INDEX of each that stays or comes."""
        return [i.sql for i in self.indexes] + [i.sql for i in self.new_indexes]

    def drop_index(self, name: str) -> None:
        self.dropped_indexes.append(name)
        if any(same(index.name, name) and index.unique for index in self.indexes):
            # it may be the key that a foreign key needs
            self.keys_to_check |= {reference.table for reference in self.references_to}
        self.indexes = [index for index in self.indexes if fold(index.name) != fold(name)]

    # -- the rows as they will be --------------------------------------------------------------

    def source(self) -> Source:
        """What the checks read from: the table, or a SELECT with its new names and columns."""
        key = primary_key(self.db, self.name)
        row = introspection.rowid_name(self.before)
        inner = self.sql_name
        gone = {name: value for name, value in self.gone_columns.items() if value != quote(name)}
        if self.renames or self.new_columns or gone:
            now = self._values()
            values = {c.name: now[fold(c.name)] for c in self.table.columns}
            there = set(map(fold, values))
            values |= {n: v for n, v in self.gone_columns.items() if fold(n) not in there}
            listed = [f"{value} AS {quote(name)}" for name, value in values.items()]
            if not key and row:
                listed.append(f"{row} AS {quote(ROW)}")
                key = (ROW,)
            inner = f"(SELECT {', '.join(listed)} FROM {self.sql_name} AS {quote(self.name)})"
            later = dict(self._origins())
            key = tuple(later.get(name, name) for name in key)
        elif not key and row:
            inner = f"(SELECT *, {row} AS {quote(ROW)} FROM {self.sql_name})"
            key = (ROW,)
        known = {fold(c.name) for c in self.table.columns} | {fold(ROW)}
        key = tuple(name for name in key if fold(name) in known)
        rows = introspection.rough_row_count(self.db, self.before) if self.conditions else 0
        return Source(inner, self.name, key, rows, self.conditions, self.uniques)

    def _origins(self) -> list[tuple[str, str]]:
        """Pairs of a column's name in the database and its name now."""
        found = []
        for column in self.before.columns:
            name = column.name
            for old, new in self.renames:
                if fold(old) == fold(name):
                    name = new
            found.append((column.name, name))
        return found

    def _values(self) -> dict[str, str]:
        """What each column holds that the table now has, in SQL about the one in the database."""
        return {fold(new): quote(old) for old, new in self._origins()} | self.new_columns

    def take_away(self, name: str) -> str | None:
        """Forget a column but for the checks that were asked for before; return what it was added as."""
        self.gone_columns[name] = self._values()[fold(name)]
        return self.new_columns.pop(fold(name), None)
