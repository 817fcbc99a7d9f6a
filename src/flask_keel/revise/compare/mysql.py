"""MySQL and MariaDB: the twin is made in a database of its own, and read from information_schema.

On a database that is no scratch it is a temporary table, which needs no right to make a database.
"""

from collections.abc import Iterator
from typing import Any

from alembic.util import sqla_compat
from sqlalchemy import CheckConstraint, Connection, MetaData, text
from sqlalchemy import Table as Model
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import conv

from ... import servers, temporary
from . import mysql_text
from .facts import Check, Column, Index, Table, Unique

COLUMNS = text("""
    SELECT column_name, column_type, column_default, extra, generation_expression, collation_name
    FROM information_schema.columns WHERE table_schema = :schema AND table_name = :name
""")
MARIADB_CHECKS = text("""
    SELECT constraint_name, check_clause FROM information_schema.check_constraints
    WHERE constraint_schema = :schema AND table_name = :name ORDER BY constraint_name
""")
MYSQL_CHECKS = text("""
    SELECT constraint_name, check_clause FROM information_schema.check_constraints
    JOIN information_schema.table_constraints USING (constraint_schema, constraint_name)
    WHERE constraint_schema = :schema AND table_name = :name ORDER BY constraint_name
""")
INDEXES = "SHOW INDEX FROM {}"
# InnoDB compresses no temporary table: https://mariadb.com/kb/en/innodb-compressed-row-format/
NOT_TEMPORARY = ("_row_format", "_key_block_size", "_page_compressed", "_page_compression_level")


def real(connection: Connection, schema: str | None, name: str) -> Table:
    """Return what the database has."""
    schema = schema or connection.dialect.default_schema_name or ""
    return _read(connection, schema, name, not _is_scratch(connection))


def twin(connection: Connection, model: Model) -> Table:
    """Make the model's table, ask the database of it, and take it away.

    :raises servers.NotAllowed: when the account may do that nowhere
    """
    made = _with_checks_apart(model, connection) if _has_checks(model) else model
    return _beside(connection, made) if _is_scratch(connection) else _temporary(connection, made)


def _is_scratch(connection: Connection) -> bool:
    return temporary.is_scratch(connection.engine.url)


def _beside(connection: Connection, model: Model) -> Table:
    home = connection.dialect.default_schema_name or ""
    away = temporary.beside(home)
    servers.create(connection, away, servers.locale(connection, home))
    moved = connection.execution_options(schema_translate_map={model.schema: away})
    try:
        moved.execute(CreateTable(model, include_foreign_key_constraints=[]))
        for index in model.indexes:
            moved.execute(CreateIndex(index))
        return _read(connection, away, model.name)
    finally:
        connection.execution_options(schema_translate_map=None)
        servers.drop(connection, away)


def _temporary(connection: Connection, model: Model) -> Table:
    schema = model.schema or connection.dialect.default_schema_name or ""
    quoted = connection.dialect.identifier_preparer.format_table(model)
    made = model.to_metadata(_alike(model))
    for option in [key for key in made.kwargs if key.endswith(NOT_TEMPORARY)]:
        del made.kwargs[option]
    create = CreateTable(made, include_foreign_key_constraints=[]).compile(connection)
    sql = str(create).strip().replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1)
    try:
        with servers.refusal(connection, connection.engine.url.database or ""):
            connection.exec_driver_sql(sql)
        for index in model.indexes:
            # a temporary table has no such index; Alembic compares those by itself
            if index.dialect_options["mysql"]["prefix"] not in ("FULLTEXT", "SPATIAL"):
                connection.execute(CreateIndex(index))
        return _read(connection, schema, model.name, True)
    finally:
        connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {quoted}")


def _alike(model: Model) -> MetaData:
    return MetaData(naming_convention=model.metadata.naming_convention)


def _has_checks(model: Model) -> bool:
    return any(
        isinstance(one, CheckConstraint) for column in model.columns for one in column.constraints
    )


def _with_checks_apart(model: Model, connection: Connection) -> Model:
    """Return a table whose columns have no CHECKs: MariaDB takes no name for one in a column.

    https://mariadb.com/kb/en/constraint/#check-constraints
    """
    apart = model.to_metadata(_alike(model))
    for mine, column in zip(model.columns, apart.columns, strict=True):
        for check in [one for one in mine.constraints if isinstance(one, CheckConstraint)]:
            name = sqla_compat._get_constraint_final_name(check, connection.dialect)
            made = CheckConstraint(check.sqltext, name=conv(str(name)) if name else None)
            apart.append_constraint(made)
        column.constraints.clear()
    return apart


def _read(connection: Connection, schema: str, name: str, by_text: bool = False) -> Table:
    def rows(query: Any) -> list[Any]:
        return list(connection.execute(query, {"schema": schema, "name": name}))

    maria = getattr(connection.dialect, "is_mariadb", False)
    if by_text:
        shown = _text(connection, schema, name)
        said, ruled = list(mysql_text.columns(shown)), sorted(mysql_text.checks(shown))
    else:
        said, ruled = rows(COLUMNS), rows(MARIADB_CHECKS if maria else MYSQL_CHECKS)
    # the type JSON is an alias there, by its own CHECK: https://mariadb.com/kb/en/json/
    json = {rule for rule, sql in ruled if sql == f"json_valid(`{rule}`)"}
    columns = {}
    for column, kind, default, extra, expression, collation in said:
        generated = "GENERATED" in (extra or "") and "DEFAULT_GENERATED" not in extra
        plain = None if default is None or default == "NULL" else default
        on_update = "on update" in (extra or "").lower()
        columns[column] = Column(
            type="json" if column in json else kind,
            default=None if generated else f"{plain or ''} {extra}" if on_update else plain,
            generated=f"{expression} {extra}" if generated else None,
            collation=collation,
            counts="auto_increment" if "auto_increment" in (extra or "").lower() else None,
        )
    checks = [Check(rule, sql, sql) for rule, sql in ruled if rule not in json]
    shown = _shown(connection, schema, name)
    key = sorted(shown.pop("PRIMARY", []), key=lambda row: row["Seq_in_index"])
    return Table(
        columns,
        tuple(checks),
        _indexes(shown),
        key=tuple(row["Column_name"] for row in key),
        uniques=dict(_uniques(shown)),
    )


def _uniques(shown: dict[str, list[Any]]) -> Iterator[tuple[str, Unique]]:
    for name, rows in shown.items():
        columns = [r["Column_name"] for r in sorted(rows, key=lambda row: row["Seq_in_index"])]
        # an index on an expression or a part of a text is no constraint
        if not rows[0]["Non_unique"] and all(columns) and not any(r["Sub_part"] for r in rows):
            yield name, Unique(repr(columns), tuple(columns))


def _text(connection: Connection, schema: str, name: str) -> str:
    quote = connection.dialect.identifier_preparer.quote_identifier
    # a percent sign in it is its own, no place for a value
    alone = {"no_parameters": True}
    sql = f"SHOW CREATE TABLE {quote(schema)}.{quote(name)}"
    return connection.exec_driver_sql(sql, execution_options=alone).one()[1]


def _shown(connection: Connection, schema: str, name: str) -> dict[str, list[Any]]:
    quote = connection.dialect.identifier_preparer.quote_identifier
    shown = connection.execute(text(INDEXES.format(f"{quote(schema)}.{quote(name)}"))).mappings()
    parts: dict[str, list[Any]] = {}
    for row in shown:
        parts.setdefault(row["Key_name"], []).append(row)
    return parts


def _indexes(parts: dict[str, list[Any]]) -> dict[str, Index]:
    return {
        key: Index(
            key,
            repr(
                [
                    [r[k] for k in ("Non_unique", "Column_name", "Collation", "Sub_part")]
                    + [r["Index_type"], r.get("Expression")]
                    for r in sorted(rows, key=lambda row: row["Seq_in_index"])
                ]
            ),
            not rows[0]["Non_unique"],
        )
        for key, rows in parts.items()
    }
