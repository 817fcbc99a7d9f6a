"""Alembic's operations on SQLite: imported by env.py, it takes the place of Alembic's own class.

Every call becomes operations on a table, which :mod:`.planner` carries out. Batches go there as a
whole, so that a table is gone over once however many operations there are.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import wraps
from typing import Any

import sqlalchemy as sa
from alembic.ddl.impl import DefaultImpl
from alembic.ddl.sqlite import SQLiteImpl
from alembic.operations.batch import BatchOperationsImpl
from alembic.util import CommandError
from sqlalchemy import Connection, Inspector, Table

from ..typing import AnyColumn, Convention, Options, Value
from . import clone, ddl, draft, introspection, planner
from .create_table import CreateTable
from .ddl import add_constraint, create_index, drop_constraint, wants_constraint
from .draft import Settings
from .foreign_key_check import KeyWatch
from .introspection import Database, table_of_index
from .naming import bound
from .planner import carry_out, in_groups
from .tokenizer import fold, same

Asked = list[draft.Operation]


def operations_of(
    impl: SQLiteImpl, batch: BatchOperationsImpl, table: CreateTable
) -> list[draft.Operation]:
    """Everything that ``batch_alter_table`` and the calls within it ask for, in order.

    ``reflect_args`` and ``reflect_kwargs`` tell Alembic what its reflection misses; here nothing
    is reflected and nothing missed.

    :param batch: Alembic's BatchOperationsImpl
    """
    found: list[draft.Operation] = []
    if batch.copy_from is not None:
        found += _stated(impl, batch.copy_from, table)
    rebuilds = batch.recreate == "always" or (
        batch.recreate == "auto" and SQLiteImpl.requires_recreate_in_batch(impl, batch)
    )
    for name, arguments, keywords in batch.batch:
        if name == "add_column":
            keywords = {**keywords, "rebuilds": rebuilds}
        found += _TRANSLATORS[name](impl, *arguments, **keywords)
    found += _table_args(impl, batch.table_args, table)
    found += _table_kwargs(batch.table_kwargs)
    if batch.partial_reordering:
        found.append(draft.Reorder(tuple(map(tuple, batch.partial_reordering))))
    return _behind_their_columns(found)


def _behind_their_columns(found: list[draft.Operation]) -> list[draft.Operation]:
    """An index or a constraint comes after the columns that it is of: Alembic makes those of a
    batch on the new table."""
    for number, op in reversed([*enumerate(found)]):
        if not isinstance(op, draft.CreateIndex | draft.AddConstraint):
            continue
        text = op.sql if isinstance(op, draft.CreateIndex) else op.text
        adds = [
            later
            for later, other in enumerate(found)
            if later > number and isinstance(other, draft.AddColumn) and other.column in text
        ]
        if adds:
            found.insert(adds[-1], found.pop(number))
    return found


def _alter_column(
    impl: DefaultImpl,
    table_name: str,
    column_name: str,
    schema: str | None = None,
    **changes: Value,
) -> Asked:
    return ddl.alter_column(impl.dialect, column_name, **changes)


def _add_column(
    impl: DefaultImpl,
    table_name: str,
    column: AnyColumn,
    schema: str | None = None,
    **options: Value,
) -> Asked:
    return ddl.add_columns(impl.dialect, column, **options)


def _drop_column(
    impl: DefaultImpl,
    table_name: str,
    column: AnyColumn,
    schema: str | None = None,
    if_exists: bool | None = None,
    **options: object,
) -> Asked:
    return [draft.DropColumn(column.name, bool(if_exists))]


def _add_constraint(impl: DefaultImpl, constraint: sa.Constraint) -> Asked:
    if not wants_constraint(impl, constraint):
        return []
    return [add_constraint(impl.dialect, constraint)._replace(replaces=True)]


def _drop_constraint(
    impl: DefaultImpl, constraint: sa.Constraint, if_exists: bool | None = None
) -> Asked:
    if not wants_constraint(impl, constraint):
        return []
    return [drop_constraint(impl.dialect, constraint, bool(if_exists))]


def _create_index(impl: DefaultImpl, index: sa.Index, if_not_exists: bool | None = None) -> Asked:
    return [create_index(impl.dialect, index, bool(if_not_exists))._replace(replaces=True)]


def _drop_index(impl: DefaultImpl, index: sa.Index, if_exists: bool | None = None) -> Asked:
    return [draft.DropIndex(str(index.name), bool(if_exists))]


def _comment(impl: DefaultImpl, *arguments: object) -> Asked:
    return []


_TRANSLATORS: dict[str, Callable[..., Asked]] = {
    "alter_column": _alter_column,
    "add_column": _add_column,
    "drop_column": _drop_column,
    "add_constraint": _add_constraint,
    "drop_constraint": _drop_constraint,
    "create_index": _create_index,
    "drop_index": _drop_index,
    "create_table_comment": _comment,
    "drop_table_comment": _comment,
    "create_column_comment": _comment,
}


def _table_args(
    impl: DefaultImpl, arguments: Iterable[sa.schema.SchemaItem], table: CreateTable
) -> list[draft.Operation]:
    """Constraints and columns for the new table; what it has already is not made twice."""
    parts = list(arguments)
    if not parts:
        return []
    made = bound(table, parts)
    found: list[draft.Operation] = []
    for part in parts:
        if isinstance(part, sa.Column):
            found += ddl.add_columns(
                impl.dialect, made.c[part.name], if_not_exists=True, rebuilds=True
            )
        elif isinstance(part, sa.Constraint):
            found.append(add_constraint(impl.dialect, part, unless_present=True))
    return found


def _table_kwargs(keywords: Options) -> list[draft.Operation]:
    with_rowid = keywords.get("sqlite_with_rowid")
    options = draft.SetOptions(
        strict=keywords.get("sqlite_strict"),
        without_rowid=None if with_rowid is None else not with_rowid,
        autoincrement=keywords.get("sqlite_autoincrement"),
    )
    return [] if options == draft.SetOptions() else [options]


def _stated(impl: DefaultImpl, stated: sa.Table, table: CreateTable) -> list[draft.Operation]:
    """``copy_from`` says how the table is: what it says and the table is not becomes so.

    Whatever it leaves out stays, and the names that it gives to constraints without one are the
    names by which they can be dropped.
    """
    dialect = impl.dialect
    found: list[draft.Operation] = []
    for column in stated.columns:
        if not table.has_column(column.name):
            found += ddl.add_columns(dialect, column)
            continue
        if isinstance(column.type, sa.types.NullType):
            continue
        text, collation = ddl.type_text(dialect, column.type)
        found.append(draft.SetType(column.name, text, column.type))
        if collation:
            found.append(draft.SetCollation(column.name, collation))
        if not column.primary_key:
            found.append(draft.SetNotNull(column.name, not column.nullable))
        if column.server_default is not None and column.computed is None:
            default = ddl.default_text(dialect, column.server_default)
            found.append(draft.SetDefault(column.name, default))
    of_columns = [c for column in stated.columns for c in column.constraints]
    for constraint in [*of_columns, *stated.constraints]:
        listed = getattr(constraint, "columns", ())
        if (constraint in of_columns or len(listed)) and wants_constraint(impl, constraint):
            found.append(draft.NameConstraint(add_constraint(dialect, constraint).text))
    options = {f"sqlite_{k}": v for k, v in stated.dialect_options["sqlite"].items()}
    options["sqlite_autoincrement"] = options.get("sqlite_autoincrement") or None
    found += _table_kwargs(options)
    present = {fold(c.name) for c in table.columns}
    for index in stated.indexes:
        if all(fold(column.name) in present for column in index.columns):
            found.append(create_index(dialect, index, if_not_exists=True))
    return found


log = logging.getLogger("alembic.sqlite")

OLDEST = (3, 35)


class EngineImpl(SQLiteImpl):
    """Alembic's implementation for SQLite; it registers itself by its ``__dialect__``.

    Options of the migration context that it reads: ``sqlite_schema_edits`` (False: rebuild
    whatever SQLite has no statement for), ``sqlite_portable_sql`` (True: only statements that
    every SQLite from 3.35 on takes, with no edit of the schema table), ``sqlite_rows`` (a function:
    how many rows a table is to be taken to have), ``sqlite_planned`` (a function that is told the
    lines of each plan, its table and whether that rewrites rows).
    """

    __dialect__ = "sqlite"

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._watch: KeyWatch | None = None
        if self.connection is not None and not self.as_sql:
            version_table = self.context_opts.get("version_table", "alembic_version")
            self._watch = KeyWatch(self.connection, frozenset({version_table}))

    @property
    def keys_to_check(self) -> set[str] | None:
        """The tables whose foreign keys need a ``PRAGMA foreign_key_check`` before the commit:
        none when nothing touched a key or a row, None for all tables."""
        return self._watch.now() if self._watch else None

    @property
    def key_watch(self) -> KeyWatch | None:
        """Tells which tables are about to be touched; None without a connection."""
        return self._watch

    # -- how every change goes -------------------------------------------------------------------

    @property
    def _own_work(self) -> KeyWatch:
        assert self._watch is not None, "only --sql has no connection"
        return self._watch

    def _settings(self, recreate: str = "auto", convention: Convention | None = None) -> Settings:
        options = self.context_opts
        portable = bool(options.get("sqlite_portable_sql", False))
        edits = bool(options.get("sqlite_schema_edits", True)) and not portable
        target = options.get("target_metadata")
        return Settings(
            dialect=self.dialect,
            convention=convention or getattr(target, "naming_convention", None),
            recreate=recreate,
            schema_edits=edits,
            portable=portable,
            text_edits=planner.TEXT_EDITS if edits else frozenset(),
            going_down=getattr(options.get("fn"), "__name__", "") == "downgrade",
            rows=options.get("sqlite_rows", Settings.rows),
        )

    def _say(self, lines: list[str], table: str, rewrites: bool) -> None:
        if planned := self.context_opts.get("sqlite_planned"):
            planned(lines, table, rewrites)
            return
        for line in lines:
            log.info(line)

    def _database(self, schema: str | None) -> Database:
        assert self.connection is not None, "only --sql has no connection"
        db = Database(self.connection, schema)
        there = [row[1] for row in db.rows("PRAGMA database_list")] if schema else []
        if schema and not any(same(schema, name) for name in there):
            raise CommandError(
                f"There is no schema {schema!r} on SQLite, but for files that are attached: leave it "
                "out where op.get_context().dialect.name is sqlite."
            )
        return db

    def _change(
        self,
        table: str,
        schema: str | None,
        operations: Sequence[draft.Operation],
        settings: Settings | None = None,
    ) -> None:
        """Plan the operations on one table and carry them out, all or none."""
        settings = settings or self._settings()
        db = self._database(schema)
        if db.version < OLDEST:
            raise CommandError(
                f"SQLite is {'.'.join(map(str, db.version))} here and has to be "
                f"{'.'.join(map(str, OLDEST))} or later: install a newer Python or libsqlite3."
            )
        with self._own_work as watch:
            groups = in_groups(db, table, operations)
            guard = db.all_or_nothing if len(groups) > 1 and not settings.portable else nullcontext
            with guard():
                for group in groups:
                    chosen = planner.plan(db, table, group, settings)
                    self._say(chosen.lines(), chosen.draft.name, chosen.rewrites)
                    watch.add(chosen.draft.keys_to_check)
                    carry_out(chosen)

    def change_in_batch(self, batch: BatchOperationsImpl) -> None:
        """All operations of a batch at once, with whatever ``batch_alter_table`` was given."""
        settings = self._settings(batch.recreate, batch.naming_convention)
        table = introspection.read_table(self._database(batch.schema), batch.table_name)
        operations = operations_of(self, batch, table)
        if operations or batch.recreate == "always":
            self._change(batch.table_name, batch.schema, operations, settings)

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """True lets insert_before and insert_after through in every batch."""
        return super().requires_recreate_in_batch(batch_op) if self.as_sql else True

    def autogen_column_reflect(
        self, inspector: Inspector, table: Table, column_info: Options
    ) -> None:
        """Give a generated column its own expression: SQLAlchemy's has those that follow in it.

        https://github.com/sqlalchemy/sqlalchemy/blob/main/lib/sqlalchemy/dialects/sqlite/base.py
        """
        super().autogen_column_reflect(inspector, table, column_info)
        if "computed" in column_info and isinstance(inspector.bind, Connection):
            said = introspection.read_table(Database(inspector.bind, table.schema), table.name)
            generated = said.column(column_info["name"]).last("generated")
            if generated is not None:
                column_info["computed"]["sqltext"] = sa.literal_column(generated.expression)

    # -- Alembic's calls -------------------------------------------------------------------------

    def alter_column(
        self, table_name: str, column_name: str, *, schema: str | None = None, **changes: Value
    ) -> None:
        if self.as_sql:
            return super().alter_column(table_name, column_name, schema=schema, **changes)
        operations = ddl.alter_column(self.dialect, column_name, **changes)
        return self._change(table_name, schema, operations) if operations else None

    def add_column(
        self, table_name: str, column: AnyColumn, *, schema: str | None = None, **options: Value
    ) -> None:
        if self.as_sql:
            return super().add_column(table_name, column, schema=schema, **options)
        operations = ddl.add_columns(self.dialect, column, **options)
        return self._change(table_name, schema, operations)

    def drop_column(
        self,
        table_name: str,
        column: AnyColumn,
        *,
        schema: str | None = None,
        if_exists: bool | None = None,
        **options: Value,
    ) -> None:
        if self.as_sql:
            return super().drop_column(table_name, column, schema=schema, if_exists=if_exists)
        operation = draft.DropColumn(column.name, bool(if_exists))
        return self._change(table_name, schema, [operation])

    def add_constraint(self, const: sa.Constraint, **options: Value) -> None:
        if self.as_sql:
            super().add_constraint(const, **options)
            return None
        if not ddl.wants_constraint(self, const):
            return None
        operation = ddl.add_constraint(self.dialect, const)
        return self._change(const.table.name, const.table.schema, [operation])

    def drop_constraint(
        self, const: sa.Constraint, if_exists: bool | None = None, **options: Value
    ) -> None:
        if self.as_sql:
            super().drop_constraint(const, **options)
            return None
        if not ddl.wants_constraint(self, const):
            return None
        operation = ddl.drop_constraint(self.dialect, const, bool(if_exists))
        return self._change(const.table.name, const.table.schema, [operation])

    def create_index(
        self, index: sa.Index, if_not_exists: bool | None = None, **options: Value
    ) -> None:
        if self.as_sql:
            return super().create_index(index, if_not_exists=if_not_exists, **options)
        operation = ddl.create_index(self.dialect, index, bool(if_not_exists))
        table = _table_of(index)
        return self._change(table.name, table.schema, [operation])

    def drop_index(self, index: sa.Index, if_exists: bool | None = None, **options: Value) -> None:
        if self.as_sql:
            return super().drop_index(index, if_exists=if_exists, **options)
        said = _table_of(index)
        db = self._database(said.schema)
        table = table_of_index(db, str(index.name))
        if table is None and if_exists:
            return None
        if table is None:
            # without its table Alembic makes one up
            table = said.name
            if not introspection.exists(db, table):
                raise CommandError(f"There is no index {index.name!r}.")
        operation = draft.DropIndex(str(index.name), bool(if_exists))
        return self._change(table, said.schema, [operation])

    def rename_table(
        self, old_table_name: str, new_table_name: str, schema: str | None = None
    ) -> None:
        if self.as_sql:
            return super().rename_table(old_table_name, new_table_name, schema=schema)
        db = self._database(schema)
        with self._own_work as watch:
            name = introspection.stored_table(db, old_table_name).name
            self._say([f"{name}: rename to {new_table_name} (native)"], name, False)
            # a foreign key can wait for a table of the new name
            watch.add(clone.referring_to(db, str(new_table_name)))
            with db.all_or_nothing():
                clone.rename(db, name, str(new_table_name))
            watch.renamed(name, str(new_table_name))
        return None

    def drop_table(self, table: Table, **options: Value) -> None:
        if self.as_sql:
            return super().drop_table(table, **options)
        db = self._database(table.schema)
        if not introspection.exists(db, table.name):
            return super().drop_table(table, **options)
        with self._own_work as watch:
            referring = clone.referring_to(db, table.name)
            clone.refuse_broken_by_drop(db, table.name)
            watch.add(referring)
            with db.keys_unenforced(bool(referring), f"Dropping table {table.name!r}"):
                super().drop_table(table, **options)
        return None

    def create_table(self, table: Table, **options: Value) -> None:
        if self.as_sql:
            return super().create_table(table, **options)
        with self._own_work as watch:
            watch.add(clone.referring_to(self._database(table.schema), table.name))
            super().create_table(table, **options)
        return None

    def create_table_comment(self, table: Table) -> None:
        """SQLite has no comments on tables and columns."""

    drop_table_comment = create_table_comment

    def create_column_comment(self, column: AnyColumn) -> None:
        """The same."""


def _table_of(index: sa.Index) -> Table:
    assert index.table is not None, "Alembic makes one where the migration names none"
    return index.table


def _hand_batches_over() -> None:
    """Batches with recreate="always" never ask the implementation: they are caught here."""
    original = BatchOperationsImpl.flush

    @wraps(original)
    def flush(self: BatchOperationsImpl) -> None:
        impl = self.operations.impl
        if not isinstance(impl, EngineImpl) or impl.as_sql:
            return original(self)
        assert impl.connection is not None  # it is printed otherwise
        begun = impl.connection.in_transaction()
        with nullcontext() if begun else impl.connection.begin():
            return impl.change_in_batch(self)

    if not hasattr(original, "__wrapped__"):
        BatchOperationsImpl.flush = flush  # type: ignore[method-assign]  # nothing else asks us


_hand_batches_over()
