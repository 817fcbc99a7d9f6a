"""PostgreSQL: the twin is a temporary table within a savepoint, read by pg_get_*: no schema is made."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, MetaData, text
from sqlalchemy import Table as Model
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from . import sequences
from .facts import Check, Column, Index, Table, Unique

# https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH
TWIN = "pg_temp"

COLUMNS = text("""
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),
           a.attgenerated, CASE WHEN a.attcollation <> t.typcollation THEN c.collname END,
           a.attidentity, s.seqrelid::regclass::text, format_type(s.seqtypid, NULL)
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation c ON c.oid = a.attcollation
    LEFT JOIN pg_depend o ON o.refobjid = a.attrelid AND o.refobjsubid = a.attnum
         AND o.classid = 'pg_class'::regclass AND o.refclassid = o.classid AND o.deptype = 'a'
         AND o.objid IN (SELECT seqrelid FROM pg_sequence)
    LEFT JOIN pg_sequence s ON s.seqrelid = o.objid
    WHERE a.attrelid = :table AND a.attnum > 0 AND NOT a.attisdropped
""")
CHECKS = text("""
    SELECT conname, pg_get_expr(conbin, conrelid) FROM pg_constraint
    WHERE conrelid = :table AND contype = 'c' ORDER BY conname
""")
KEYS = text("""
    SELECT contype, conname, ARRAY(
        SELECT a.attname::text FROM unnest(conkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.number ORDER BY place
    ), pg_get_constraintdef(oid), condeferrable, condeferred
    FROM pg_constraint WHERE conrelid = :table AND contype IN ('p', 'u', 'x')
""")
INDEXES = text("""
    SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisunique FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = :table AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = c.oid)
""")


def real(connection: Connection, schema: str | None, name: str) -> Table:
    """Return what the database has."""
    with _traceless(connection):
        if schema:  # so that its own types are written as those of the twin, which has no schema
            path = connection.execute(text("SHOW search_path")).scalar()
            own = connection.dialect.identifier_preparer.quote_identifier(schema)
            connection.execute(text(f"SET LOCAL search_path = {own}, {path or 'public'}"))
        return _read(connection, schema or connection.dialect.default_schema_name or "public", name)


def twin(connection: Connection, model: Model) -> Table:
    """Make the model's table, ask the database of it, and leave no trace."""
    with _traceless(connection):
        away = connection.execution_options(schema_translate_map={model.schema: TWIN})
        try:
            _create(away, model)
            return _read(connection, TWIN, model.name)
        finally:
            connection.execution_options(schema_translate_map=None)


@contextmanager
def _traceless(connection: Connection) -> Iterator[None]:
    savepoint = connection.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()


def _create(connection: Connection, model: Model) -> None:
    made: set[Any] = set()
    for column in model.columns:
        kind = column.type.dialect_impl(connection.dialect)
        kind = getattr(kind, "item_type", kind).dialect_impl(connection.dialect)
        name = getattr(kind, "name", None)
        if callable(getattr(kind, "create", None)) and name not in made:
            made.add(name)
            kind.create(connection, checkfirst=False)
    if model._prefixes:  # UNLOGGED: a temporary table is none, and it makes no difference here
        model = model.to_metadata(MetaData(naming_convention=model.metadata.naming_convention))
        model._prefixes = []
    sequences.lend(connection, model)
    connection.execute(CreateTable(model, include_foreign_key_constraints=[]))
    for index in model.indexes:
        connection.execute(CreateIndex(index))


def _read(connection: Connection, schema: str, name: str) -> Table:
    quote = connection.dialect.identifier_preparer.quote_identifier
    find = text("SELECT CAST(to_regclass(:name) AS oid)")
    table = connection.execute(find, {"name": f"{quote(schema)}.{quote(name)}"}).scalar_one()

    def rows(query: Any) -> list[Any]:
        return list(connection.execute(query, {"table": table}))

    columns = {
        column: Column(
            type=kind,
            default=None if generated else default,
            generated=f"{default} {generated}" if generated else None,
            collation=collation,
            counts=_counts(default, *counted),
            sequence=counted[1],
        )
        for column, kind, default, generated, collation, *counted in rows(COLUMNS)
    }
    checks = _settled(connection, f"{quote(schema)}.{quote(name)}", rows(CHECKS))
    indexes = {
        name: Index(name, f"{unique} {sql[sql.index(' USING ') :]}", unique)
        for name, sql, unique in rows(INDEXES)
    }
    keys = rows(KEYS)
    key_name, key = next(((name, key) for kind, name, key, *_ in keys if kind == "p"), (None, ()))
    return Table(
        columns,
        checks,
        indexes,
        key=tuple(key),
        key_name=key_name,
        uniques={
            name: Unique(sql, tuple(names), *when)
            for kind, name, names, sql, *when in keys
            if kind == "u"
        },
        excludes={name: sql for kind, name, _, sql, *_ in keys if kind == "x"},
    )


def _counts(default: str | None, identity: str, sequence: str | None, kind: str) -> str | None:
    """A SERIAL is a default of the next value of a sequence that the column owns."""
    if identity:
        return "identity"
    return f"serial {kind}" if sequence and "nextval(" in (default or "") else None


def _settled(connection: Connection, table: str, checks: list[Any]) -> tuple[Check, ...]:
    """Return the CHECKs as PostgreSQL writes them after reading its own writing.

    It writes ``IN ('a')`` as ``= ANY (ARRAY['a'::varchar]::text[])``, and that, read again, otherwise.
    """
    if not checks:
        return ()
    connection.execute(text(f"CREATE TABLE {TWIN}.settled (LIKE {table})"))
    found = []
    for name, sql in checks:
        plain = _written(connection, sql) or sql
        simple = _simple(sql)
        found.append(Check(name, plain, simple if _written(connection, simple) == plain else sql))
    connection.execute(text(f"DROP TABLE {TWIN}.settled"))
    return tuple(found)


def _written(connection: Connection, sql: str) -> str | None:
    """Return an expression as PostgreSQL writes it the second time; None when it cannot be read."""
    find = text(f"SELECT CAST('{TWIN}.settled' AS regclass)::oid")
    table = connection.execute(find).scalar_one()
    for _ in range(2):
        savepoint = connection.begin_nested()
        try:
            # past SQLAlchemy and the driver, who would look for parameters in it
            connection.exec_driver_sql(
                f"ALTER TABLE {TWIN}.settled ADD CHECK ({sql})".replace("%", "%%"), ()
            )
            sql = connection.execute(CHECKS, {"table": table}).one()[1]
        except DBAPIError:
            return None
        finally:
            savepoint.rollback()
    return sql


def _simple(sql: str) -> str:
    """Guess what a person wrote, without the casts: whoever asks lets PostgreSQL judge the guess."""
    sql = re.sub(r"::[a-z]+( varying| precision)?(\(\d+(, ?\d+)?\))?(\[\])?", "", sql)
    sql = sql.replace(" !~~ ", " NOT LIKE ").replace(" ~~ ", " LIKE ")
    sql = re.sub(r"\((\w+)\)", r"\1", sql)
    sql = re.sub(r"= ANY \(+ARRAY\[(.*?)\]\)+", r"IN (\1)", sql)
    # the outermost parenthesis may have gone with the array's
    sql += ")" * (sql.count("(") - sql.count(")"))
    while sql.startswith("(") and sql.endswith(")") and _one(sql):
        sql = sql[1:-1]
    return sql


def _one(sql: str) -> bool:
    depth = 0
    for place, letter in enumerate(sql):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return place == len(sql) - 1
    return False
