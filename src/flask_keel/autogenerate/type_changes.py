"""Changes of a type: USING and enums on PostgreSQL, and foreign keys that go before and come again."""

import importlib.util
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, DefaultClause, Dialect, ForeignKeyConstraint, inspect, text
from sqlalchemy import types as sa

from .. import literals
from ..catalog import Compared
from ..lexer import dotted, string
from ..literals import literal
from ..typing import Options, SQLType, Value
from . import constraints, summary
from .fills import unwrapped
from .not_null import FillColumn
from .renames import families
from .render import DIALECTS

Joined = Callable[[ForeignKeyConstraint], bool]


def around(upgrade: ops.UpgradeOps, tables: list[Compared], joined: Joined) -> None:
    """Drop foreign keys before everything else, and make them after it.

    What the comparison itself drops and makes, new tables too, is put into the same order.

    :param joined: says of a foreign key whether what it joins changes
    """
    for table in tables:
        new = {_ends(key): key for key in table.model.foreign_key_constraints}
        for key in sorted(table.there.foreign_key_constraints, key=_ends):
            if key.name and joined(key) and _ends(key) in new and not _dropped(upgrade, key):
                constraints.leave([upgrade], table.there, str(key.name))
                drop = ops.DropConstraintOp.from_constraint(key)
                make = ops.CreateForeignKeyOp.from_constraint(new[_ends(key)])
                if make.constraint_name is None:  # it is to be found again on the way down
                    make.constraint_name = key.name
                for op in (drop, make):
                    summary.leave_unsaid(op)
                    upgrade.ops.append(summary.changed(table.there, op))
    _in_order(upgrade, joined)


def target(key: ForeignKeyConstraint) -> tuple[str, tuple[str, ...]]:
    """Return the table that a foreign key refers to, with its schema, and the columns."""
    specs = [element._get_colspec().rpartition(".") for element in key.elements]
    return specs[0][0], tuple(spec[2] for spec in specs)


def columns(key: ForeignKeyConstraint) -> set[tuple[str, str]]:
    """Return what a foreign key joins: tables with their schema, and columns."""
    parent, names = target(key)
    own = {(key.table.fullname, column.name) for column in key.columns}
    return own | {(parent, name) for name in names}


def retyped(dialect: Dialect, upgrade: ops.UpgradeOps) -> set[tuple[str, str]]:
    """Return the columns that get a type with which their foreign keys cannot stay.

    MySQL lets none be changed (errors 1832 and 1833), PostgreSQL those that still compare. SQLite looks
    at its foreign keys in the end alone.
    """
    found = set()
    for op in [op for table in summary.table_changes(upgrade) for op in table.ops]:
        if isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
            old = op.existing_type
            before = families(old, dialect) if old is not None else set()
            alike = before & families(op.modify_type, dialect)
            if dialect.name != "sqlite" and not (dialect.name == "postgresql" and alike):
                found.add((dotted(op.schema, op.table_name), op.column_name))
    return found


def _ends(key: ForeignKeyConstraint) -> tuple[object, ...]:
    return tuple(column.name for column in key.columns), *target(key)


def _dropped(upgrade: ops.UpgradeOps, key: ForeignKeyConstraint) -> bool:
    return any(
        isinstance(op, ops.DropConstraintOp) and op.constraint_name == key.name
        for change in summary.table_changes(upgrade)
        if change.table_name == key.table.name
        for op in change.ops
    )


def _in_order(upgrade: ops.UpgradeOps, joined: Joined) -> None:
    first: dict[object, ops.ModifyTableOps] = {}
    last: dict[object, ops.ModifyTableOps] = {}
    tables: list[MigrateOperation] = []
    kept: list[MigrateOperation] = []
    late: set[tuple[str | None, str]] = set()
    for op in upgrade.ops:
        if isinstance(op, ops.ModifyTableOps):
            keys = (ops.DropConstraintOp, ops.CreateForeignKeyOp)
            for part in [part for part in op.ops if isinstance(part, keys)]:
                if isinstance(part, ops.DropConstraintOp) and not constraints.drops_key(part):
                    continue
                key = part.to_constraint()
                if isinstance(key, ForeignKeyConstraint) and joined(key):
                    op.ops.remove(part)
                    home = first if isinstance(part, ops.DropConstraintOp) else last
                    table = ops.ModifyTableOps(op.table_name, [], schema=op.schema)
                    home.setdefault((op.schema, op.table_name), table).ops.append(part)
            if op.ops:
                (tables if (op.schema, op.table_name) in late else kept).append(op)
        elif isinstance(op, ops.CreateTableOp) and any(
            joined(key) for key in op.to_table().foreign_key_constraints
        ):
            late.add((op.schema, op.table_name))
            tables.append(op)
        else:
            kept.append(op)
    upgrade.ops[:] = [*first.values(), *kept, *tables, *last.values()]


PACKAGE = "alembic_postgresql_enum"
# what is more than itself between quotes or for op.execute, or reads like a cast
ODD = re.compile(r"['\\:]")
TEXT = "::text"
# of what depends on a type, or on a generated column that reads one of it: the SQL that drops and makes it
COMPARING = """
    WITH kind AS (
        SELECT oid, typarray FROM pg_type
        WHERE typname = :name AND typnamespace = quote_ident(:schema)::regnamespace
    ), held AS (
        SELECT classid, objid, objsubid FROM pg_depend JOIN kind ON refobjid IN (oid, typarray)
        WHERE refclassid = 'pg_type'::regclass
        UNION
        SELECT classid, objid, objsubid FROM pg_depend
        JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
        JOIN kind ON atttypid IN (kind.oid, typarray)
        WHERE refclassid = 'pg_class'::regclass AND classid = 'pg_attrdef'::regclass
    ), computed AS (
        SELECT DISTINCT adrelid, adnum, adrelid::regclass AS home, quote_ident(attname) AS name,
            format_type(atttypid, atttypmod) AS type, attnotnull, attgenerated,
            pg_get_expr(adbin, adrelid) AS said, col_description(adrelid, adnum) AS comment
        FROM held JOIN pg_attrdef d ON classid = 'pg_attrdef'::regclass AND objid = d.oid
            OR classid = 'pg_class'::regclass AND objid = adrelid AND objsubid = adnum
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum AND attgenerated <> ''
    ), dependent AS (
        SELECT classid, objid FROM held
        UNION
        SELECT classid, objid FROM pg_depend JOIN computed ON refobjid = adrelid AND refobjsubid = adnum
        WHERE refclassid = 'pg_class'::regclass AND classid <> 'pg_attrdef'::regclass
    )
    SELECT conname, format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
        format(
            'ALTER TABLE %s ADD CONSTRAINT %I %s',
            conrelid::regclass, conname, pg_get_constraintdef(c.oid)
        ), 2 AS place
    FROM pg_constraint c CROSS JOIN dependent
    WHERE conrelid <> 0 AND contype IN ('c', 'f', 'u', 'x') AND (
        (classid = 'pg_constraint'::regclass AND objid = c.oid)
        OR (classid = 'pg_class'::regclass AND objid = conindid AND contype = 'x')
    )
    UNION
    SELECT relname, format('DROP INDEX %s', i.oid::regclass), pg_get_indexdef(i.oid), 1
    FROM pg_class i JOIN dependent ON classid = 'pg_class'::regclass AND objid = i.oid
    WHERE relkind = 'i' AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid)
    UNION
    SELECT format('%s.%s', home, name), format('ALTER TABLE %s DROP COLUMN %s', home, name),
        format('ALTER TABLE %s ADD COLUMN %s %s%s GENERATED ALWAYS AS (%s) %s', home, name, type,
            CASE WHEN attnotnull THEN ' NOT NULL' END, said,
            CASE attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END), 3
    FROM computed
    UNION
    SELECT format('%s.%s', home, name), NULL, format('COMMENT ON COLUMN %s.%s IS %L', home, name, comment), 2
    FROM computed WHERE comment IS NOT NULL
    ORDER BY 4, 1
"""


def load(dialect: str) -> None:
    """Let autogenerate see enum types, on PostgreSQL and where the package is installed."""
    if dialect == "postgresql" and importlib.util.find_spec(PACKAGE):
        logging.getLogger(f"alembic.{PACKAGE}").setLevel(logging.WARNING)
        importlib.import_module(PACKAGE)
        declared = importlib.import_module(f"{PACKAGE}.get_enum_data.declared_enums")
        # a decorator's own methods are about rows: its type has the values of the enum underneath
        vars(declared).update(column_type_is_enum=_native_enum, get_enum_values=_values)


def mend(context: MigrationContext, script: ops.MigrationScript) -> None:
    """Let a file that uses the package's operations import it, so that it runs by itself.

    A value that is added is written as SQL: the package's own operation (1.11) puts it behind the
    value before which it belongs, and the next comparison would find another order. It comes before
    everything that may use it, and a value that goes goes after everything that may have used it.
    """
    gone = set(_dropped_names(summary.directions(script)[0]))
    for container in summary.directions(script):
        first = [op for op in container.ops if _only(op, adds=True)]
        last = [op for op in container.ops if _only(op, adds=False)]
        rest = [op for op in container.ops if op not in first and op not in last]
        used = set(_literals(ops.OpContainer(rest)))
        # what runs next to the schema of before meets what that has, all else what models have
        up = container is script.upgrade_ops
        before = first if up else last
        for op in container.ops:
            _meet_defaults(context, op, models=op not in before)
        goes: Value
        for goes in [] if up else last:  # the renames
            goes.affected_columns = [
                _as_before(context, container, one) for one in goes.affected_columns
            ]
        added = [part for op in first for part in _mended(context, op, used)]
        emptied = [] if up else [part for op in last for part in _emptied(context, op, script)]
        container.ops[:] = [
            part
            for op in (*added, *rest, *emptied, *last)
            for part in _spelled(context, op, set() if op in before else gone)
        ]
        types = [op for op in container.ops if _theirs(op) and hasattr(op, "enum_values")]
        if len(types) < len(container.ops):  # a type comes and goes with its column
            for op in types:
                summary.leave_unsaid(op)
        if any(_theirs(op) and not hasattr(op, "enum_values") for op in container.ops):
            script.imports = {*script.imports, f"import {PACKAGE}  # noqa: F401"}


def _meet_defaults(context: MigrationContext, op: Any, models: bool) -> None:
    """Tell the package's operation of the defaults that it meets, as SQL: it takes the models' objects."""
    if type(op).__name__ != "SyncEnumValuesOp":
        return
    defaults = [(_model if models else _there)(context, one) for one in op.affected_columns]
    op.affected_columns = [
        replace(reference, existing_server_default=default or None)
        for reference, default in zip(op.affected_columns, defaults, strict=True)
        if default is not None
    ]


def _model(context: MigrationContext, reference: Any) -> str | None:
    """Return the default of the model's column, empty for none; None where there is no column."""
    for table in context.opts["target_metadata"].tables.values():
        home = table.schema or context.dialect.default_schema_name
        if (home, table.name) == (_schema(context, reference), reference.table_name):
            column = next((c for c in table.c if c.name == reference.column_name), None)
            default = getattr(getattr(column, "server_default", None), "arg", None)
            if column is None or default is None:
                return None if column is None else ""
            said = literal(default, context)
            # it puts the type's own name there
            return said if "'::" in said else f"{said}{TEXT}{_array(reference)}"
    return None


def _there(context: MigrationContext, reference: Any) -> str | None:
    look = inspect(context.connection)
    schema, table = _schema(context, reference), reference.table_name
    columns = look.get_columns(table, schema) if look.has_table(table, schema) else []
    for column in columns:
        if column["name"] == reference.column_name:
            return column["default"] or ""
    return None


def _array(reference: Any) -> str:
    return "[]" if reference.column_type.name == "ARRAY" else ""


def _schema(context: MigrationContext, reference: Any) -> str:
    given = reference.table_schema
    return given if isinstance(given, str) and given else str(context.dialect.default_schema_name)


def _emptied(
    context: MigrationContext, op: Any, script: ops.MigrationScript
) -> Iterator[ops.ExecuteSQLOp]:
    """Rows that were filled with a value that goes hold NULL again, as they did before."""
    quote = literals.dialect(context.dialect).identifier_preparer
    gone = set(op.old_values) - set(op.new_values)
    for fill in summary.directions(script)[0].ops:
        if isinstance(fill, FillColumn) and fill.only_nulls and fill.fill.text in gone:
            names = fill.schema, fill.table_name, fill.column.name
            then = _then(context, summary.directions(script)[1], *names)
            table, column = map(quote.quote, then)
            home = f"{quote.quote_schema(fill.schema)}.{table}" if fill.schema else table
            value = _label(fill.fill.text)
            yield ops.ExecuteSQLOp(f"UPDATE {home} SET {column} = NULL WHERE {column} = {value}")


def _as_before(context: MigrationContext, container: ops.OpContainer, reference: Value) -> Value:
    names = reference.table_schema, reference.table_name, reference.column_name
    table, column = _then(context, container, *names)
    return replace(reference, table_name=table, column_name=column)


def _then(
    context: MigrationContext,
    container: ops.OpContainer,
    schema: str | None,
    table: str,
    column: str,
) -> tuple[str, str]:
    """The names of a column after the renames."""
    default = context.dialect.default_schema_name
    for op in container.ops:
        if not isinstance(op, ops.RenameTableOp | ops.AlterColumnOp):
            continue
        if (op.schema or default, op.table_name) != (schema or default, table):
            continue
        if isinstance(op, ops.RenameTableOp):
            table = op.new_table_name
        elif op.modify_name and op.column_name == column:
            column = op.modify_name
    return table, column


def _only(op: Any, adds: bool) -> bool:
    """Whether values only come, or only go."""
    if not _theirs(op) or not hasattr(op, "old_values"):
        return False
    old, new = set(op.old_values), set(op.new_values)
    return (new > old) if adds else (new < old)


def _literals(container: ops.OpContainer) -> Iterator[str]:
    """What the other operations may take for a value: texts of defaults, fills and conditions."""
    for op in container.ops:
        if isinstance(op, ops.OpContainer):
            yield from _literals(op)
            continue
        columns = [op.column] if isinstance(op, ops.AddColumnOp) else getattr(op, "columns", ())
        parts = [getattr(column, "server_default", None) for column in columns]
        parts += [
            getattr(op, name, None) for name in ("modify_server_default", "condition", "fill")
        ]
        for part in parts:
            text = getattr(part, "arg", getattr(part, "text", part))
            if text is not None and text is not False:
                yield from re.split(r"'", str(text))


def _mended(context: MigrationContext, op: Any, used: set[str]) -> Iterator[MigrateOperation]:
    if type(op).__name__ != "AddEnumValuesOp":
        yield op
        return
    name = _full(context, op.schema, op.name)
    there = list(op.old_values)
    for place, value in enumerate(op.new_values):
        if value in there:
            continue
        follower = next((other for other in op.new_values[place:] if other in there), None)
        before = f" BEFORE {_label(follower)}" if follower is not None else ""
        # a value cannot be used in the transaction that adds it:
        # https://www.postgresql.org/docs/current/sql-altertype.html#SQL-ALTERTYPE-NOTES
        new, there_already = (
            (AddValueOp, " IF NOT EXISTS") if value in used else (ops.ExecuteSQLOp, "")
        )
        added = new(f"ALTER TYPE {name} ADD VALUE{there_already} {_label(value)}{before}")
        summary.say_instead(added, ("add", op.name, value))
        yield added


def _spelled(context: MigrationContext, op: Any, gone: set[str]) -> Iterator[MigrateOperation]:
    """Write as SQL what the package's own operation (1.11) cannot do.

    It puts values into its SQL as they are, and its way ends at a CHECK or a partial index that
    compares with a value.

    :param gone: the names of constraints and indexes that are not there when it runs
    """
    if not hasattr(op, "old_values"):
        yield op
        return
    around = [(drop, make) for name, drop, make in _comparing(context, op) if name not in gone]
    if not around and not ODD.search("".join([*op.old_values, *op.new_values])):
        yield op
        return
    for number, sql in enumerate(_made_anew(context, op, around)):
        part = ops.ExecuteSQLOp(literals.as_text(sql))
        summary.say_instead(part, *([] if number else [("change", op.name, "")]))
        yield part


def _dropped_names(container: ops.OpContainer) -> Iterator[str]:
    for op in container.ops:
        if isinstance(op, ops.OpContainer):
            yield from _dropped_names(op)
        elif isinstance(op, ops.DropConstraintOp | ops.DropIndexOp):
            yield summary.name_of(op)
        elif isinstance(op, ops.DropColumnOp):
            yield dotted(op.schema, op.table_name, op.column_name)


def _comparing(context: MigrationContext, op: Any) -> Iterator[tuple[str, str | None, str]]:
    """What holds a value of the type or is computed from one: name, and the SQL that drops and makes it."""
    if context.connection is not None:
        found = context.connection.execute(text(COMPARING), {"schema": op.schema, "name": op.name})
        yield from (tuple(row)[:3] for row in found)


def _made_anew(
    context: MigrationContext, op: Any, around: list[tuple[str | None, str]]
) -> Iterator[str]:
    """A value of an enum cannot go, and none can change places: all columns get another type."""
    quote = literals.dialect(context.dialect).identifier_preparer.quote
    name, old = _full(context, op.schema, op.name), f"{op.name[:40]}_old"
    yield from (drop for drop, _ in around if drop)
    yield f"ALTER TYPE {name} RENAME TO {quote(old)}"
    yield f"CREATE TYPE {name} AS ENUM ({', '.join(map(string, op.new_values))})"
    for one in op.affected_columns:
        column, array = quote(one.column_name), _array(one)
        alter = (
            f"ALTER TABLE {_full(context, one.table_schema, one.table_name)} ALTER COLUMN {column}"
        )
        if one.existing_server_default is not None:
            yield f"{alter} DROP DEFAULT"
        yield f"{alter} TYPE {name}{array} USING {column}::text{array}::{name}{array}"
        if one.existing_server_default is not None:
            yield f"{alter} SET DEFAULT {one.existing_server_default.removesuffix(TEXT + array)}"
    yield f"DROP TYPE {_full(context, op.schema, old)}"
    yield from (make for _, make in reversed(around))


def _full(context: MigrationContext, schema: str | None, name: str) -> str:
    """A name as SQL, with its schema where that is not the default one."""
    quote = literals.dialect(context.dialect).identifier_preparer.quote
    if schema == context.dialect.default_schema_name:
        schema = None
    return dotted(schema and quote(schema), quote(name))


class AddValueOp(ops.ExecuteSQLOp):
    """A value that the rest of the migration uses: it is committed before."""


@renderers.dispatch_for(AddValueOp)
def _render(context: AutogenContext, op: AddValueOp) -> list[str]:
    return ["with op.get_context().autocommit_block():", f"op.execute({op.sqltext!r})", ""]


def _label(value: str) -> str:
    return literals.as_text(string(value))


def _theirs(op: MigrateOperation) -> bool:
    return type(op).__module__.startswith(f"{PACKAGE}.operations")


POSTGRESQL = DIALECTS["postgresql"]
# https://www.postgresql.org/docs/current/sql-createcast.html: these are assignment casts
BY_ITSELF = {("integer", "numeric"), ("numeric", "integer")}
OLD_CAST = re.compile(r"('(?:[^']|'')*')::[\w \"]+(?:\(\d+\))?")
SPECIAL = {
    ("text", "binary"): "convert_to({column}, 'UTF8')",
    ("binary", "text"): "convert_from({column}, 'UTF8')",
    ("integer", "boolean"): "{column} <> 0",
    ("numeric", "boolean"): "{column} <> 0",
    ("boolean", "integer"): "{column}::integer",
    ("boolean", "numeric"): "{column}::integer",
    ("integer", "date and time"): "to_timestamp({column}) AT TIME ZONE 'UTC'",
    ("numeric", "date and time"): "to_timestamp({column}) AT TIME ZONE 'UTC'",
    ("date and time", "integer"): "extract(epoch from {column})",
    ("date and time", "numeric"): "extract(epoch from {column})",
    ("integer", "interval"): "make_interval(secs => {column})",
    ("numeric", "interval"): "make_interval(secs => {column})",
    ("interval", "integer"): "extract(epoch from {column})",
    ("interval", "numeric"): "extract(epoch from {column})",
    ("UUID", "binary"): "uuid_send({column})",
    ("binary", "UUID"): "encode({column}, 'hex')::uuid",
    ("binary", "JSON"): "convert_from({column}, 'UTF8')::{type}",
    ("JSON", "binary"): "convert_to({column}::text, 'UTF8')",
}


def cast(context: MigrationContext, script: ops.MigrationScript) -> None:
    """Give each change of a type the USING that it needs on PostgreSQL, on the way down too.

    Whatever database the file is written on: it is to run on all of them.
    """
    for container in summary.directions(script):
        for table in summary.table_changes(container):
            table.ops[:] = [part for op in table.ops for part in _with_using(op)]


def using(old: SQLType, new: SQLType, column: str) -> str | None:
    """Return the expression, or None where PostgreSQL converts by itself.

    :param old: the type before
    :param new: the type after
    :param column: the column's name
    """
    before, after = families(old, POSTGRESQL), families(new, POSTGRESQL)
    name = POSTGRESQL.identifier_preparer.quote(column)
    type_, enum = _compiled(new), _native_enum(old)
    if "JSON" in after and (enum or not before & {"JSON", "text", "binary"}):
        return f"to_json({name})"  # of which PostgreSQL makes a JSONB by itself
    if "JSON" in before and (_native_enum(new) or not after & {"JSON", "text", "binary"}):
        if isinstance(new, sa.ARRAY) and not families(new.item_type, POSTGRESQL) & {"text"}:
            return type_ and f"translate({name}::text, '[]', '{{}}')::{type_}"
        return type_ and f"({name} #>> '{{}}')::{type_}"
    if _native_enum(new):
        return f"{name}::text::{type_}"
    if isinstance(old, sa.ARRAY) and isinstance(new, sa.ARRAY):
        kinds = families(new.item_type, POSTGRESQL)
        alike = kinds & {"text", *families(old.item_type, POSTGRESQL)}
        if alike and not _native_enum(new.item_type):
            return None
        return type_ and f"{name}::text[]::{type_}"
    if before & after or ("text" in after and "binary" not in before):
        return None
    pair = (min(before), min(after))
    if pair in BY_ITSELF or type_ is None:
        return None
    if enum:  # which is cast to a text alone
        name = f"{name}::text"
    if "date and time" in after and getattr(new, "timezone", False) and pair in SPECIAL:
        return f"to_timestamp({name})"
    return SPECIAL.get(pair, "{column}::{type}").format(column=name, type=type_)


def _with_using(op: MigrateOperation) -> list[MigrateOperation]:
    if not isinstance(op, ops.AlterColumnOp) or op.modify_type is None or op.existing_type is None:
        return [op]
    expression = using(op.existing_type, op.modify_type, op.column_name)
    if expression is None:
        return [op]
    op.kw["postgresql_using"] = expression
    before, after = op.existing_server_default, op.modify_server_default
    if not isinstance(before, DefaultClause):
        return [op]
    before = _without_cast(before)
    # PostgreSQL converts no default along with its column: it goes first and comes back last
    place = op.table_name, op.column_name
    known: Options = {"schema": op.schema, "existing_comment": op.existing_comment}
    drop = ops.AlterColumnOp(
        *place,
        **known,
        existing_type=op.existing_type,
        existing_nullable=op.existing_nullable,
        existing_server_default=before,
        modify_server_default=None,
    )
    summary.leave_unsaid(drop)
    op.existing_server_default = None
    op.modify_server_default = before if after is False else after
    if op.modify_server_default is None:
        op.modify_server_default = False
        return [drop, op]
    nullable = op.existing_nullable if op.modify_nullable is None else op.modify_nullable
    back = ops.AlterColumnOp(
        *place,
        **known,
        existing_type=op.modify_type,
        existing_nullable=nullable,
        modify_server_default=op.modify_server_default,
    )
    summary.leave_unsaid(back)
    op.modify_server_default = False
    return [drop, op, back]


def _without_cast(default: DefaultClause) -> DefaultClause:
    """PostgreSQL says ``'7'::character varying``, which no other type takes."""
    found = OLD_CAST.fullmatch(str(getattr(default.arg, "text", "")))
    return DefaultClause(text(found[1])) if found else default


def _values(type_: Any) -> tuple[str, ...]:
    return tuple(type_.enums)


def _native_enum(type_: SQLType) -> bool:
    stored = unwrapped(type_)
    return isinstance(stored, sa.Enum) and bool(stored.native_enum and stored.name)


def _compiled(type_: SQLType) -> str | None:
    try:
        return Column("c", type_).type.compile(POSTGRESQL)
    except Exception:
        return None
