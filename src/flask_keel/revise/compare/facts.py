"""What a database says of a table, in its own words, so that two tables of one database compare."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """``type``, ``default`` and ``generated`` are SQL as the database writes it; None for none.

    ``counts`` says how the database numbers new rows: "rowid", "auto_increment", "serial integer",
    "identity". ``sequence`` is the name of the one behind a SERIAL, as SQL.
    """

    type: str
    default: str | None = None
    generated: str | None = None
    collation: str | None = None
    counts: str | None = None
    sequence: str | None = None


@dataclass(frozen=True)
class Check:
    """``plain`` is what compares, ``sql`` what a migration is to say; ``name`` is None for none."""

    name: str | None
    plain: str
    sql: str


@dataclass(frozen=True)
class Index:
    """``plain`` is what compares; the rest is what a migration needs to make the index again."""

    name: str
    plain: str
    unique: bool
    parts: tuple[str, ...] = ()
    where: str | None = None


@dataclass(frozen=True)
class Unique:
    """A unique constraint; ``plain`` is what compares."""

    plain: str
    columns: tuple[str, ...]
    deferrable: bool = False
    deferred: bool = False


@dataclass(frozen=True)
class Table:
    """The columns and indexes by their names; ``key`` has the columns of the primary key."""

    columns: dict[str, Column]
    checks: tuple[Check, ...] = ()
    indexes: dict[str, Index] = field(default_factory=dict)
    autoincrement: bool = False
    key: tuple[str, ...] = ()
    key_name: str | None = None
    uniques: dict[str, Unique] = field(default_factory=dict)
    excludes: dict[str, str] = field(default_factory=dict)
