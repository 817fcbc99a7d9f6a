"""What a CREATE TABLE text declares: its columns and constraints, each with its place in it."""

from dataclasses import dataclass, field

from .tokenizer import Span, fold, identifiers, quote, same, unquote


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
