"""What can be asked of a table, in SQLite's own words: SQL texts and names, no Alembic."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AddColumn:
    """``definition`` is the column as CREATE TABLE takes it, without its keys and CHECKs."""

    column: str
    definition: str
    before: str | None = None
    after: str | None = None
    if_not_exists: bool = False


@dataclass(frozen=True)
class DropColumn:
    column: str
    if_exists: bool = False


@dataclass(frozen=True)
class RenameColumn:
    column: str
    new: str


@dataclass(frozen=True)
class SetType:
    """``type`` and ``existing`` are SQLAlchemy's types, ``text`` what CREATE TABLE says."""

    column: str
    text: str
    type: Any = None
    existing: Any = None


@dataclass(frozen=True)
class SetCollation:
    column: str
    collation: str | None


@dataclass(frozen=True)
class SetNotNull:
    column: str
    not_null: bool


@dataclass(frozen=True)
class SetDefault:
    """``text`` is what follows DEFAULT; None takes the default away."""

    column: str
    text: str | None


@dataclass(frozen=True)
class SetGenerated:
    """``text`` is GENERATED ALWAYS AS and what follows; None leaves an ordinary column with the
    values that it has."""

    column: str
    text: str | None


@dataclass(frozen=True)
class AddConstraint:
    """``follows_type`` for the CHECK of an Enum or a Boolean."""

    text: str
    follows_type: bool = False
    unless_present: bool = False


@dataclass(frozen=True)
class NameConstraint:
    """A constraint that the table is said to have, with its name: made when it is not there, and
    given the name when it is there without one."""

    text: str


@dataclass(frozen=True)
class DropConstraint:
    """``names`` are the names that it can go by; ``kind`` is None when it was not said.

    ``follows_type`` holds the expression of the CHECK of an Enum or a Boolean: one that the table
    never had is no mistake.
    """

    names: tuple[str, ...]
    kind: str | None = None
    if_exists: bool = False
    follows_type: str | None = None


@dataclass(frozen=True)
class CreateIndex:
    name: str
    sql: str
    unique: bool
    columns: tuple[str, ...]
    where: str | None = None
    if_not_exists: bool = False


@dataclass(frozen=True)
class DropIndex:
    name: str
    if_exists: bool = False


@dataclass(frozen=True)
class SetOptions:
    """Options of the table; None leaves as it is."""

    strict: bool | None = None
    without_rowid: bool | None = None
    autoincrement: bool | None = None


@dataclass(frozen=True)
class Reorder:
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
