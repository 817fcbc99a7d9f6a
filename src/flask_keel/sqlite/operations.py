"""What can be asked of a table, in SQLite's own words: SQL texts and names, no Alembic.

Named tuples, since a data class takes ten times as long to make, in every start of every command.
"""

from typing import Any, NamedTuple


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
    type: Any = None
    existing: Any = None


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
