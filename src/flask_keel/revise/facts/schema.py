"""A schema as facts: tables with their columns, keys, checks, indexes and triggers."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """A column.

    ``type`` is the database's own word for it. ``automatic`` says that the database counts up by
    itself, ``generated`` that it computes the value. ``more`` holds what only some databases have:
    collation, identity, comment.
    """

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    automatic: bool = False
    generated: bool = False
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Unique:
    """Columns that hold no two equal rows: a primary key, a constraint or an index.

    ``columns`` are those that it depends on; ``partial`` says that it leaves rows out.
    """

    columns: tuple[str, ...]
    partial: bool = False


@dataclass(frozen=True)
class Check:
    """A CHECK: ``text`` is its expression as the database has it, ``plain`` is it for comparing."""

    text: str
    plain: str
    name: str | None = None


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; ``options`` are its actions and when it is looked at, as the database says."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    options: str = ""
    name: str | None = None


@dataclass
class Table:
    """A table; its key in :class:`Schema` is ``label``: its name, with its schema if it has one."""

    name: str
    schema: str | None = None
    columns: dict[str, Column] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    uniques: list[Unique] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    # what else is compared: "index ix_post_slug" -> its text
    parts: dict[str, str] = field(default_factory=dict)
    # constraints by what they hold: "unique (email)" -> the constraint's name
    names: dict[str, str | None] = field(default_factory=dict)
    # more about constraints that both sides have: "foreign key (a) to b" -> its actions
    options: dict[str, str] = field(default_factory=dict)

    def call(self, part: str, name: str | None) -> None:
        """Note the name of a constraint by what it holds; two that hold the same have both names."""
        if part in self.names:
            known = self.names[part]
            name = ", ".join(sorted([known, name])) if known and name else None
        self.names[part] = name

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def excludes(self) -> bool:
        """Whether a row can exclude others, by PostgreSQL's EXCLUDE."""
        return any(said.startswith("EXCLUDE") for said in self.names)


@dataclass
class Schema:
    """All tables, and what stands beside them: views, enums, sequences."""

    tables: dict[str, Table] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    # the labels of PostgreSQL's enums and the base types of its domains, by the type's name
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    bases: dict[str, str] = field(default_factory=dict)


def listed(names: tuple[str, ...] | list[str]) -> str:
    """Return names as ``(a, b)``."""
    return f"({', '.join(map(str, names))})"
