"""What a database says of its schema, as facts, and as SQL in ``migrations/schema/<dialect>.sql``.

One reader for each kind of database serves comparison, proof and schema file. Of a table of the models
its shadow is asked, made for the asking, once for each comparison.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy import Table as Model
from sqlalchemy.exc import CompileError, DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from .. import binds, history
from ..lexer import dotted
from ..output import plainly
from ..project import OWN_TABLES
from ..typing import Value

COLUMN = re.compile(r"\(in table '[^']*', column '([^']*)'\): (.*)")
KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}

_known: WeakKeyDictionary[object, dict[object, Any]] = WeakKeyDictionary()


def moment(default: str | None) -> str | None:
    """A default as it is compared: what was written as now() elsewhere is CURRENT_TIMESTAMP here."""
    return "CURRENT_TIMESTAMP" if default == "now()" else default


@dataclass(frozen=True)
class ReflectedColumn:
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

    @property
    def stored(self) -> tuple[str, str | None]:
        """What its values are kept as."""
        return self.type, self.collation


@dataclass(frozen=True)
class ReflectedCheck:
    """``plain`` is what compares, ``sql`` what a migration is to say; ``name`` is None for none."""

    name: str | None
    plain: str
    sql: str


@dataclass(frozen=True)
class ReflectedIndex:
    """``plain`` is what compares; the rest is what a migration needs to make the index again."""

    name: str
    plain: str
    unique: bool
    parts: tuple[str, ...] = ()
    where: str | None = None


@dataclass(frozen=True)
class ReflectedUnique:
    """A unique constraint; ``plain`` is what compares."""

    plain: str
    columns: tuple[str, ...]
    deferrable: bool = False
    deferred: bool = False


@dataclass(frozen=True)
class ReflectedTable:
    """The columns and indexes by their names; ``key`` has the columns of the primary key."""

    columns: dict[str, ReflectedColumn]
    checks: tuple[ReflectedCheck, ...] = ()
    indexes: dict[str, ReflectedIndex] = field(default_factory=dict)
    autoincrement: bool = False
    key: tuple[str, ...] = ()
    key_name: str | None = None
    uniques: dict[str, ReflectedUnique] = field(default_factory=dict)
    excludes: dict[str, str] = field(default_factory=dict)


Reflected = dict[Model, ReflectedTable]


@dataclass(frozen=True)
class Column:
    """A column.

    ``type`` is the database's own word for it. ``automatic`` says that the database counts up by
    itself, ``generated`` that it computes the value, from ``expression``. ``more`` holds what only some
    databases have: collation, identity, comment.
    """

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    automatic: bool = False
    generated: bool = False
    more: tuple[tuple[str, str], ...] = ()
    expression: str | None = field(default=None, compare=False)  # `more` has it, to be compared


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
        return dotted(self.schema, self.name)

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


READERS = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
SHADOWS = READERS | {"postgresql": "postgresql_shadow"}


def read(connection: Connection, ignore: frozenset[str] = frozenset()) -> Schema:
    """Ask the database for its tables and everything that belongs to them.

    :param ignore: names of tables that are not the application's (the version table)
    """
    reader = import_module(f".{READERS[connection.dialect.name]}", __package__)
    found: Schema = reader.read(connection, ignore)
    return found


_told: deque[tuple[object, Schema]] = deque(maxlen=4)


def told(make: Callable[..., Schema], said: list[Value]) -> Schema:
    """Return what is made of a catalogue's answers: a proof comes back to those that it began with.

    :param said: the answers, and what else it depends on
    """
    for known, schema in _told:
        if known == (make, said):
            return schema
    schema = make(*said)
    _told.append(((make, said), schema))
    return schema


@dataclass
class Differences:
    """``found`` are real differences, ``order`` the tables whose columns only stand elsewhere."""

    found: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)


def between(before: Schema, after: Schema) -> Differences:
    """Compare; every phrase says what ``after`` has or has not, seen from ``before``."""
    differences = Differences()
    if before is after:  # what SQLite says twice is read once
        return differences
    for label in sorted({*before.tables, *after.tables}):
        one, other = before.tables.get(label), after.tables.get(label)
        if one is None or other is None:
            state = "was left behind" if one is None else "is missing"
            differences.found.append(f"the table {label} {state}")
            differences.tables.add(label)
            continue
        said = list(_table(one, other))
        if said:
            differences.found += said
            differences.tables.add(label)
        elif list(one.columns) != list(other.columns):
            differences.order.append(label)
    differences.found += _mapping(before.others, after.others, "the {part}")
    return differences


def _table(one: Table, other: Table) -> Iterator[str]:
    for name in one.columns.keys() | other.columns.keys():
        column, changed = one.columns.get(name), other.columns.get(name)
        if column is None or changed is None:
            state = "was left behind" if column is None else "is missing"
            yield f"the column {one.label}.{name} {state}"
        elif column != changed:
            yield from _column(one.label, column, changed)
    yield from _mapping(one.parts, other.parts, f"the {{part}} of {one.label}")
    yield from _names(one, other)
    common = one.options.keys() & other.options.keys()
    was, now = ({part: side.options[part] for part in common} for side in (one, other))
    yield from _mapping(was, now, f"the {{part}} of {one.label}")


def _column(table: str, one: Column, other: Column) -> Iterator[str]:
    at = f"{table}.{one.name}"
    if one.type != other.type:
        yield f"{at} is {other.type}, and was {one.type}"
    if one.nullable != other.nullable:
        words = {True: "may be NULL", False: "is NOT NULL"}
        yield f"{at} {words[other.nullable]}, and {'was not' if other.nullable else 'might be NULL'}"
    if one.default != other.default:
        yield f"{at} has {_default(other)}, and had {_default(one)}"
    if (one.generated, one.automatic) != (other.generated, other.automatic):
        yield f"{at} is {_made(other)}, and was {_made(one)}"
    yield from _mapping(dict(one.more), dict(other.more), f"the {{part}} of {at}")


def _default(column: Column) -> str:
    return "no default" if column.default is None else f"the default {column.default}"


def _made(column: Column) -> str:
    if column.generated:
        return "generated"
    return "counted by the database" if column.automatic else "an ordinary column"


def _mapping(one: dict[str, str], other: dict[str, str], words: str) -> Iterator[str]:
    for part in sorted({*one, *other}):
        what = words.format(part=part)
        if part not in other:
            yield f"{what} is missing"
        elif part not in one:
            yield f"{what} was left behind"
        elif one[part] != other[part]:
            yield f"{what} is {other[part] or 'gone'}, and was {one[part] or 'not there'}"


def _names(one: Table, other: Table) -> Iterator[str]:
    for part in sorted({*one.names, *other.names}):
        before, after = one.names.get(part), other.names.get(part)
        if part not in other.names:
            yield f"the {part}{f' ({before})' if before else ''} of {one.label} is missing"
        elif part not in one.names:
            yield f"the {part}{f' ({after})' if after else ''} of {one.label} was left behind"
        elif before and after and before != after:  # one without a name matches any
            yield f"the {part} of {one.label} is called {after}, and was {before}"


# The schema file: what the history makes, as SQL in ``migrations/schema/<dialect>.sql``.
#
# A review sees the change of the schema as a diff; it is read by people, and not run.


# counted up when the text of a schema becomes another: the log keeps it (see :func:`text`)
FORMAT = 1
HEADER = "-- The schema that the migrations make. Written by newmigration, held equal by check.\n"


def path(folder: Path, dialect: str) -> Path:
    """Return where the file is.

    :param folder: of the migrations
    :param dialect: "sqlite", "postgresql" or "mysql" (MariaDB too)
    """
    bind = binds.of(folder)
    name = f"{READERS[dialect]}.sql"
    return binds.home(folder) / "schema" / (name if bind is None else f"{bind}.{name}")


def text(
    connection: Connection, version_table: str = "alembic_version", others: Iterable[str] = ()
) -> str:
    """Return the schema of a database as SQL, the same for the same schema.

    :param version_table: Alembic's, which is no part of it
    :param others: the names of tables that are no part of it either
    """
    writer = import_module(f".{READERS[connection.dialect.name]}", __package__)
    statements = writer.statements(connection, {version_table, *OWN_TABLES, *others})
    return HEADER + "".join(f"\n{statement.strip()};\n" for statement in statements)


def is_equal(file: Path, wanted: str) -> bool:
    """Whether the file holds that schema; a project without tables needs no file."""
    if not file.exists():
        return wanted == HEADER
    return file.read_text(encoding="utf-8") == wanted


def write(file: Path, wanted: str) -> bool:
    """Write the file, and return whether it was another."""
    if is_equal(file, wanted):
        return False
    file.parent.mkdir(exist_ok=True)
    history.replace(file, wanted)
    return True


@dataclass(frozen=True)
class Pair:
    """The table as it is, and as the models have it."""

    real: ReflectedTable
    shadow: ReflectedTable


def pair(
    context: AutogenContext, model: Model, name: str | None = None, schema: str | None = None
) -> Pair:
    """Return both.

    :param context: the AutogenContext
    :param name: the table's name in the database, its schema None for the default one
    :raises CommandError: when the database does not take the shadow, or the table cannot be read
    """
    known = _known.setdefault(context, {})
    if model not in known:
        known[model] = _ask(context, model, name or model.name, schema)
    found: Pair = known[model]
    return found


@dataclass(frozen=True)
class Compared:
    """A table that both have: as SQLAlchemy reflected it, the model, and what the database says."""

    there: Model
    model: Model
    real: ReflectedTable
    shadow: ReflectedTable


def remember(context: AutogenContext, table: Compared) -> None:
    """Note a table that is compared."""
    _known.setdefault(context, {}).setdefault(Compared, []).append(table)


def compared(context: AutogenContext) -> list[Compared]:
    """Return the tables that were compared so far."""
    found: list[Compared] = _known.get(context, {}).get(Compared, [])
    return found


def require_makeable(context: AutogenContext, model: Model) -> None:
    """Stop when the database has no such table: before a migration is written that cannot run.

    :raises CommandError: naming the column whose type it has not
    """
    try:
        CreateTable(model).compile(dialect=context.dialect)
    except CompileError as error:
        raise _not_made(context, model, error) from error


def _ask(context: AutogenContext, model: Model, name: str, schema: str | None) -> Pair:
    connection = live(context)
    database = _database(context)
    reals, shadows = _ahead(context) if (name, schema) == (model.name, model.schema) else ({}, {})
    if model in reals and model in shadows:
        return Pair(reals[model], shadows[model])
    # a failure must not take the transaction along
    guard = connection.begin_nested() if context.dialect.name == "postgresql" else nullcontext()
    with guard:
        try:
            real = reals.get(model) or database.real(connection, schema, name)
        except (CommandError, SQLAlchemyError, ValueError, LookupError) as error:
            raise CommandError(
                f"The table {name} cannot be compared with its model ({_reason(error)}): leave it "
                "out with include_object, or change it by hand (make newmigration empty=1)."
            ) from error
        try:
            return Pair(real, shadows.get(model) or database.shadow(connection, model))
        except (CommandError, SQLAlchemyError, ValueError, LookupError) as error:
            raise _not_made(context, model, error) from error


def _ahead(context: AutogenContext) -> tuple[Reflected, Reflected]:
    """Return what could be read at once, of all that is to be compared: tables, and their shadows."""
    known = _known.setdefault(context, {})
    if _ahead not in known:
        known[_ahead] = {}, {}
        with suppress(CommandError, SQLAlchemyError, ValueError, LookupError):  # see _ask
            known[_ahead] = _database(context).ahead(live(context), _looked_at(context))
    found: tuple[Reflected, Reflected] = known[_ahead]
    return found


def _looked_at(context: AutogenContext) -> list[Model]:
    """The models that nothing leaves out by their name."""
    return [
        model
        for model in context.table_key_to_table.values()
        if context.run_name_filters(model.name, "table", {"schema_name": model.schema})
    ]


def _database(context: AutogenContext) -> Any:
    return import_module(f".{SHADOWS[context.dialect.name]}", __package__)


def _not_made(context: AutogenContext, model: Model, error: Exception) -> CommandError:
    dialect = context.dialect
    kind = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    return CommandError(
        f"The model of {model.fullname} makes no table on {KINDS[kind]} "
        f"({_reason(error)}), so it cannot be compared: mend the model and try again."
    )


def _reason(error: Exception) -> str:
    inner = error.orig if isinstance(error, DBAPIError) and error.orig else error
    said = plainly(str(inner)).rstrip(".")
    found = COLUMN.match(said)
    return f"{found[1]}: {found[2]}" if found else said


def live(context: AutogenContext | MigrationContext) -> Connection:
    """The connection of a comparison: it always has one."""
    assert context.connection is not None
    return context.connection
