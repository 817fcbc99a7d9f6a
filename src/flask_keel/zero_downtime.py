"""Alembic's operations on PostgreSQL, where ``ZERO_DOWNTIME`` is on: each in a form for which nobody waits.

Imported, it takes the place of Alembic's own class, and does as that does for every migration context
without the option ``zero_downtime``.

https://www.postgresql.org/docs/current/sql-altertable.html (NOT VALID, USING INDEX) and sql-createindex.html
(CONCURRENTLY).
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

import sqlalchemy as sa
from alembic.ddl.base import AddColumn, AlterTable, ColumnNullable
from sqlalchemy import Connection, CursorResult, Dialect, ForeignKey, Insert, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, DropIndex, DropTable

from . import compat, data, integrity, lexer
from .data import PROGRESS, Progress
from .typing import Expression, PlainColumn, Value

LONGEST_NAME = 63  # https://www.postgresql.org/docs/current/limits.html
FACTS = text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:table)")
OF_INDEX = text(
    "SELECT relkind::text, indrelid::regclass::text FROM pg_class "
    "JOIN pg_index ON indexrelid = pg_class.oid WHERE pg_class.oid = to_regclass(:index)"
)
NULLABLE = text(
    "SELECT NOT attnotnull FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = :column"
)
UNCHECKED = text(
    "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:table) AND contype::text = :kind "
    "AND NOT convalidated ORDER BY oid DESC LIMIT 1"
)
# an index of ours that is no constraint's yet
MADE = text(
    "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid "
    "WHERE indrelid = to_regclass(:table) AND relname ~ :name AND NOT EXISTS "
    "(SELECT 1 FROM pg_constraint WHERE conindid = indexrelid) ORDER BY pg_class.oid DESC LIMIT 1"
)
TAKEN = text("SELECT 1 FROM pg_class WHERE relnamespace = "
    "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass(:table)) AND relname = :name")  # fmt: skip
# a function that the server does not know by this name may be anything
CALLS = text(
    "SELECT count(*) FILTER (WHERE provolatile <> 'v'), count(*) FROM pg_proc WHERE proname = :name"
)
PARTITIONS = text(
    "SELECT relid::regclass::text, isleaf, parentrelid::regclass::text "
    "FROM pg_partition_tree(to_regclass(:table)) ORDER BY level"
)

Key = tuple[str | None, str]


@dataclass(frozen=True)
class Step:
    """One statement of a safe form, in a transaction of its own.

    :param outside: whether it cannot be in a transaction: CONCURRENTLY
    :param undo: what undoes it, where rows refuse one that comes later
    :param run: what is run in place of a statement
    """

    sql: str
    outside: bool = False
    undo: str = ""
    run: Callable[[], object] | None = None


# of a part, a name, the same with its schema, whether it holds rows
Made = Callable[[str, str, str, bool], Iterator[Step]]


class OnlineImpl(compat.TypesImpl):
    """Alembic's implementation for PostgreSQL; it registers itself by its ``__dialect__``.

    Options of the migration context that it reads: ``zero_downtime`` (True: safe forms).
    """

    __dialect__ = "postgresql"

    def __init__(self, *arguments: Value, **keywords: Value) -> None:
        super().__init__(*arguments, **keywords)
        self._made: set[Key] = set()  # tables of this run, which nobody else uses yet

    def _progress(self) -> Progress | None:
        """Who notes the steps; None where nobody does."""
        if self.as_sql or self.connection is None or not self.context_opts.get("zero_downtime"):
            return None
        return self.context_opts.get(PROGRESS) or Progress(self.connection)

    def _exec(
        self,
        construct: Value,
        execution_options: Mapping[str, Value] | None = None,
        multiparams: Sequence[Mapping[str, Value]] | None = None,
        params: Mapping[str, Value] = {},
    ) -> "CursorResult[Value] | None":
        plain = partial(super()._exec, construct, execution_options, multiparams, params)
        progress = self._progress()
        if progress is None:
            return plain()
        assert self.connection is not None
        if self._is_unfelt(construct, self.connection):
            with progress.unfelt():
                return plain()
        safe = CreateIndex | DropIndex | AddConstraint | AlterTable
        if not progress.online or not isinstance(construct, safe):
            return plain()
        asked = str(construct.compile(dialect=self.dialect))
        done = progress.met(asked)
        if done is None:
            return None
        half = bool(done) or progress.is_sent(asked, 1)
        steps = Forms(self.connection, construct, half).steps()
        if not steps:
            return plain()
        self._run(progress, self.connection, construct, asked, steps, done)
        return None

    def _run(
        self,
        progress: Progress,
        connection: Connection,
        construct: Value,
        asked: str,
        steps: list[Step],
        done: int,
    ) -> None:
        for number, step in enumerate(steps[done:], done + 1):
            last = number == len(steps)
            try:
                with progress.step(asked, None if last else number, step.outside):
                    if step.run is not None:
                        step.run()
                    else:
                        connection.exec_driver_sql(step.sql)
            except DBAPIError as error:
                if integrity.advice(error) == integrity.ROWS:
                    undo = [one.undo for one in steps[: number - 1] if one.undo]
                    progress.take_back(undo[::-1], number - 1)
                    integrity.explain(error, connection, construct)
                raise

    def _is_unfelt(self, construct: Value, connection: Connection) -> bool:
        """Whether only tables that this run has made are locked."""
        if isinstance(construct, CreateTable):
            table = construct.element
            there = construct.if_not_exists and Forms(connection, None).kind(
                self.dialect.identifier_preparer.format_table(table)
            )
            if there:
                return False
            self._made.add((table.schema, table.name))
            return all(map(self._refers_to_made, table.foreign_keys))
        key = _table_of(construct)
        if key is None or key not in self._made:
            return False
        if isinstance(construct, AddConstraint):
            return all(map(self._refers_to_made, getattr(construct.element, "elements", ())))
        if isinstance(construct, DropTable):
            self._made.discard(key)
        return not (isinstance(construct, AddColumn) and construct.column.foreign_keys)

    def _refers_to_made(self, key: ForeignKey) -> bool:
        *schema, table, _ = key.target_fullname.split(".")
        return (".".join(schema) or None, table) in self._made

    def rename_table(
        self, old_table_name: str, new_table_name: Value, schema: Value = None
    ) -> None:
        super().rename_table(old_table_name, new_table_name, schema=schema)
        if (schema, old_table_name) in self._made:
            self._made.discard((schema, old_table_name))
            self._made.add((schema, str(new_table_name)))


def _table_of(construct: Value) -> Key | None:
    if isinstance(construct, AlterTable):
        return (construct.schema, str(construct.table_name))
    if isinstance(construct, Insert):
        table: Value = construct.table
    elif isinstance(construct, DropTable):
        table = construct.element
    else:
        table = getattr(getattr(construct, "element", None), "table", None)
    return None if table is None else (getattr(table, "schema", None), table.name)


class Forms:
    """The safe forms on one connection.

    :param half: whether a part of the operation stands already
    """

    def __init__(self, connection: Connection, construct: object, half: bool = False) -> None:
        self.connection = connection
        self.dialect: Dialect = connection.dialect
        self.construct = construct
        self.half = half
        self.quote = self.dialect.identifier_preparer.quote

    def steps(self) -> list[Step]:
        """Return the steps; none where the plain statement is safe, or there is no other."""
        match self.construct:
            case CreateIndex():
                return list(self._create_index(self.construct))
            case DropIndex():
                return list(self._drop_index(self.construct))
            case ColumnNullable(nullable=False):
                return list(self._not_null(self.construct))
            case AddConstraint():
                return list(self._constraint(self.construct.element))
            case AddColumn():
                return list(self._column(self.construct))
        return []

    def kind(self, table: str) -> str | None:
        """ "r" for an ordinary table, "p" for one with partitions; None for none."""
        found: str | None = self._one(FACTS, table=table)
        return found

    def _one(self, query: sa.TextClause, **values: Value) -> Value:
        # a name is doubled for the driver, and here it is a value
        values = {key: one.replace("%%", "%") for key, one in values.items()}
        return self.connection.execute(query, values).scalar()

    def _compiled(self, construct: sa.ClauseElement) -> str:
        return str(construct.compile(dialect=self.dialect)).strip()

    def _name(self, table: Table | str, schema: str | None = None) -> str:
        prepare = self.dialect.identifier_preparer
        if isinstance(table, str):
            return ".".join(self.quote(one) for one in (schema, table) if one)
        return prepare.format_table(table)

    def _own_name(self, constraint: sa.Constraint) -> str:
        """The name that the file or a naming convention gives; empty where the server is to give one."""
        if constraint.name is None:
            return ""
        return self.dialect.identifier_preparer.format_constraint(constraint) or ""

    def _schema(self, table: Table | None) -> str:
        """The schema of a table, in front of a name; empty where it has none."""
        return f"{self.quote(table.schema)}." if table is not None and table.schema else ""

    # indexes

    def _create_index(self, construct: CreateIndex) -> Iterator[Step]:
        index = construct.element
        assert index.table is not None, "Alembic makes one where the migration names none"
        table = self._name(index.table)
        kind, sql = self.kind(table), self._compiled(construct)
        if "CONCURRENTLY" in sql[:40]:
            return
        if kind == "p":
            yield from self._index_of_parts(index, sql, table)
        elif kind is not None:
            yield Step(_concurrently(sql), outside=True)

    def _index_of_parts(self, index: sa.Index, sql: str, table: str) -> Iterator[Step]:
        on = sql.partition(" ON ")
        rest = on[2].removeprefix(table)
        head = re.sub(
            r"(INDEX)(\s+IF NOT EXISTS)?\s+.*", r"\1", on[0], flags=re.IGNORECASE | re.DOTALL
        )

        def made(part: str, name: str, full: str, leaf: bool) -> Iterator[Step]:
            undo = f"DROP INDEX IF EXISTS {full}"
            if leaf:
                yield Step(f"{head} CONCURRENTLY {name} ON {part}{rest}", outside=True, undo=undo)
            else:
                yield Step(f"{head} {name} ON ONLY {part}{rest}", undo=undo)

        named = self.dialect.identifier_preparer.format_index(index)
        yield from self._on_partitions(table, index.table, str(index.name), named, made)

    def _on_partitions(
        self, table: str, of: Table | None, plain: str, name: str, made: Made
    ) -> Iterator[Step]:
        """An index or a key of the parents alone, one of each part, and the bond between the two.

        https://www.postgresql.org/docs/current/ddl-partitioning.html (maintenance)

        :param plain: the name as it is, of which those of the parts are made
        """
        schema, names, bonds = self._schema(of), dict[str, str](), list[Step]()
        for found, leaf, parent in self._tree(table):
            part, own, place = found.replace("%", "%%"), name, schema
            if names:  # the first is the table itself
                own = self.quote(_shortened(f"{plain}_{_hash(part)}"))
                # an index is where its table is
                place = f"{part.rpartition('.')[0]}." if "." in part else schema
                bonds.append(Step(f"ALTER INDEX {names[parent]} ATTACH PARTITION {place}{own}"))
            names[found] = f"{place}{own}"
            yield from made(part, own, names[found], leaf)
        yield from reversed(bonds)

    def _tree(self, table: str) -> list[tuple[str, bool, str]]:
        rows = self.connection.execute(PARTITIONS, {"table": table.replace("%%", "%")})
        return [(part, leaf, parent) for part, leaf, parent in rows]

    def _drop_index(self, construct: DropIndex) -> Iterator[Step]:
        sql = self._compiled(construct)
        if "CONCURRENTLY" in sql[:40]:
            return
        name = self.dialect.identifier_preparer.format_index(construct.element)
        schema = self._schema(construct.element.table)
        if self._one(OF_INDEX, index=f"{schema}{name}") == "i":
            yield Step(sql.replace("DROP INDEX", "DROP INDEX CONCURRENTLY", 1), outside=True)

    # columns

    def _not_null(self, construct: ColumnNullable) -> Iterator[Step]:
        table = self._name(str(construct.table_name), construct.schema)
        column = str(construct.column_name)
        if self.half or self._one(NULLABLE, table=table, column=column):
            yield from self.not_null(table, column)

    def not_null(self, table: str, column: str) -> Iterator[Step]:
        """PostgreSQL does not look at the rows where a CHECK that was validated says the same."""
        name, quoted = f"keel_not_null_{_hash(column)}", self.quote(column)
        drop = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
        yield Step(
            f"{drop}, ADD CONSTRAINT {name} CHECK ({quoted} IS NOT NULL) NOT VALID", undo=drop
        )
        yield Step(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
        # what an earlier try has set is not told from what was there
        parts = [part.replace("%", "%%") for part, *_ in self._tree(table)] or [table]
        back = "; ".join(
            f"ALTER TABLE {part} ALTER COLUMN {quoted} DROP NOT NULL"
            for part in parts
            if self._one(NULLABLE, table=part, column=column)
        )
        yield Step(f"ALTER TABLE {table} ALTER COLUMN {quoted} SET NOT NULL", undo=back)
        yield Step(drop)

    def _column(self, construct: AddColumn) -> Iterator[Step]:
        column, default = construct.column, construct.column.server_default
        arg = getattr(default, "arg", None)
        if arg is None or column.computed is not None or column.identity is not None:
            return
        if getattr(construct, "if_not_exists", None):
            return
        said = arg if isinstance(arg, str) else self._compiled(arg)
        if isinstance(arg, str) or not self.is_volatile(said):
            return
        table = self._name(str(construct.table_name), construct.schema)
        quoted = self.quote(column.name)
        bare = self._compiled(
            AddColumn(
                str(construct.table_name), sa.Column(column.name, column.type), construct.schema
            )
        )
        yield Step(
            f"{bare}, ALTER COLUMN {quoted} SET DEFAULT {said}",
            undo=f"ALTER TABLE {table} DROP COLUMN {quoted}",
        )
        yield Step(f"fill {table}", run=self._filling(construct, said))
        if not column.nullable:
            yield from self.not_null(table, column.name)

    def _filling(self, construct: AddColumn, default: str) -> Callable[[], object]:
        own: PlainColumn = sa.column(construct.column.name)
        table = sa.table(str(construct.table_name), own, schema=construct.schema)
        # doubled for the driver, which this will be once more
        value: Expression = sa.literal_column(default.replace("%%", "%"))
        return lambda: data.backfill(table, own.is_(None), {own.name: value})

    def is_volatile(self, default: str) -> bool:
        """Whether each row gets a value of its own."""
        found = lexer.tokens(default, "postgresql")
        words = [(kind, part) for kind, part in found if kind not in ("blank", "comment")]
        for (kind, part), (_, next_) in pairwise(words):
            if kind in ("word", "name") and next_ == "(":
                name = lexer.unquote(part) if kind == "name" else part.lower()
                stable, known = self.connection.execute(CALLS, {"name": name}).one()
                if known and stable < known:
                    return True
        return False

    # constraints

    def _constraint(self, constraint: sa.Constraint) -> Iterator[Step]:
        table = self._name(constraint.table)
        kind = self.kind(table)
        if kind is None:
            return
        match constraint:
            case sa.UniqueConstraint() | sa.PrimaryKeyConstraint():
                yield from self._key(constraint, table, kind == "p")
            case sa.ForeignKeyConstraint() if kind == "p":
                yield from self._foreign_key_of_parts(constraint, table)
            case sa.ForeignKeyConstraint():
                yield from self._validated(constraint, table, "f")
            case sa.CheckConstraint():
                yield from self._validated(constraint, table, "c")

    def _foreign_key_of_parts(
        self, constraint: sa.ForeignKeyConstraint, table: str
    ) -> Iterator[Step]:
        """The parent's takes those of its parts as its own, where they are VALID: it reads no row."""
        for part, leaf, _ in self._tree(table):
            if leaf:
                yield from self._validated(constraint, table, "f", part.replace("%", "%%"))
        yield Step(self._compiled(AddConstraint(constraint)))

    def _validated(
        self, constraint: sa.Constraint, table: str, kind: str, part: str = ""
    ) -> Iterator[Step]:
        sql = self._compiled(AddConstraint(constraint))
        if sql.upper().endswith("NOT VALID"):
            return
        if part:
            sql = sql.replace(f"ALTER TABLE {table} ", f"ALTER TABLE {part} ", 1)
            table = part
        name = self._own_name(constraint)
        undo = f"ALTER TABLE {table} DROP CONSTRAINT {name}" if name else ""
        yield Step(f"{sql} NOT VALID", undo=undo)
        validate = f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}"
        yield Step(validate, run=None if name else partial(self._validate_newest, table, kind))

    def _validate_newest(self, table: str, kind: str) -> None:
        """Of a constraint to which the server has given the name."""
        name = self.quote(self._one(UNCHECKED, table=table, kind=kind))
        self.connection.exec_driver_sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")

    def _key(
        self, constraint: sa.UniqueConstraint | sa.PrimaryKeyConstraint, table: str, parts: bool
    ) -> Iterator[Step]:
        primary = isinstance(constraint, sa.PrimaryKeyConstraint)
        names = [column.name for column in constraint.columns]
        name = self._own_name(constraint)
        plain = str(constraint.name or "") or self._chosen(
            table, constraint.table.name, names, primary
        )
        name = name or self.quote(plain)
        options = constraint.dialect_options["postgresql"]
        include = [getattr(one, "name", one) for one in options.get("include") or ()]
        columns = f" ({self._listed(names)})"
        columns += f" INCLUDE ({self._listed(include)})" if include else ""
        distinct = " NULLS NOT DISTINCT" if options.get("nulls_not_distinct") else ""
        word = "PRIMARY KEY" if primary else "UNIQUE"
        compiler = self.dialect.ddl_compiler(self.dialect, AddConstraint(constraint))
        rest = compiler.define_constraint_deferrability(constraint)
        not_null = [self.not_null(table, column) for column in names if primary]

        def made(part: str, own: str, full: str, leaf: bool) -> Iterator[Step]:
            add = f"ADD CONSTRAINT {own} {word}"
            if not leaf:
                yield Step(
                    f"ALTER TABLE ONLY {part} {add}{distinct}{columns}{rest}",
                    undo=f"ALTER TABLE {part} DROP CONSTRAINT IF EXISTS {own}",
                )
                return
            build = f"CREATE UNIQUE INDEX CONCURRENTLY {own} ON {part}{columns}{distinct}"
            yield Step(build, outside=True, undo=f"DROP INDEX IF EXISTS {full}")
            yield from chain.from_iterable([] if parts else not_null)
            yield Step(
                f"ALTER TABLE {part} {add} USING INDEX {own}{rest}",
                undo=f"ALTER TABLE {part} DROP CONSTRAINT IF EXISTS {own}",
            )

        if parts:
            yield from chain.from_iterable(not_null)
            yield from self._on_partitions(table, constraint.table, plain, name, made)
        else:
            yield from made(table, name, f"{self._schema(constraint.table)}{name}", True)

    def _listed(self, names: Sequence[str]) -> str:
        return ", ".join(self.quote(one) for one in names)

    def _chosen(self, table: str, plain: str, columns: Sequence[str], primary: bool) -> str:
        """Return the name that the server would give to a key without one."""
        name = _joined(plain, "" if primary else "_".join(columns), "pkey" if primary else "key")
        if self.half:
            found = self._one(MADE, table=table, name=f"^{re.escape(name)}\\d*$")
            if found:
                return str(found)
        chosen, number = name, 0
        while self._one(TAKEN, table=table, name=chosen):
            number += 1
            chosen = f"{name}{number}"
        return chosen


def _concurrently(sql: str) -> str:
    return re.sub(r"^(CREATE (?:UNIQUE )?INDEX)", r"\1 CONCURRENTLY", sql, count=1)


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _shortened(name: str) -> str:
    while len(name.encode()) > LONGEST_NAME:
        name = name[1:]
    return name


def _joined(one: str, other: str, label: str) -> str:
    """makeObjectName of PostgreSQL: the longer of two names is cut."""
    room = LONGEST_NAME - len(label) - 1 - bool(other)
    while len(one.encode()) + len(other.encode()) > room:
        if len(one.encode()) > len(other.encode()):
            one = one[:-1]
        else:
            other = other[:-1]
    return "_".join(part for part in (one, other, label) if part)
