"""Tables of PostgreSQL as it has them, and as it would have those of the models: their shadows.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from sqlalchemy import (
    ClauseElement,
    Column,
    Connection,
    Dialect,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy import Table as Model
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateSequence, CreateTable
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import next_value

from .. import catalog, compat, literals, pipeline
from ..lexer import bare, string
from ..typing import Options, Row, Value


def of_table(model: Model) -> Iterator[Sequence]:
    """Give the sequences whose next value a column of the table has, by itself or in Python."""
    for column in model.columns:
        if isinstance(column.default, Sequence):
            yield column.default
        default = getattr(column.server_default, "arg", None)
        for part in visitors.iterate(default) if isinstance(default, ClauseElement) else ():
            if isinstance(part, next_value):
                yield part.sequence


def named_types(model: Model, dialect: Dialect) -> Iterator[ENUM | DOMAIN]:
    """Give the types that the columns of a table need to be there: enums and domains, each once."""
    made: set[object] = set()
    for column in model.columns:
        kind = column.type.dialect_impl(dialect)
        kind = getattr(kind, "item_type", kind).dialect_impl(dialect)
        while isinstance(kind, TypeDecorator):
            kind = kind.load_dialect_impl(dialect).dialect_impl(dialect)
        if isinstance(kind, ENUM | DOMAIN) and kind.name not in made:
            made.add(kind.name)
            yield kind


def lend(connection: Connection, model: Model) -> None:
    """Make those of a shadow beside it, where it looks for what has the schema of its model."""
    for sequence in of_table(model):
        if sequence.schema == model.schema:
            connection.execute(CreateSequence(sequence, if_not_exists=True))


# https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH
SHADOW = "pg_temp"

# each for the tables whose numbers it is given, which stand first
REFLECTED_COLUMNS = """
    SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),
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
    WHERE a.attrelid = ANY({tables}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, a.attnum
"""
CHECKS = """
    SELECT conrelid, conname, pg_get_expr(conbin, conrelid) FROM pg_constraint
    WHERE conrelid = ANY({tables}) AND contype = 'c' ORDER BY conname
"""
KEYS = """
    SELECT conrelid, contype, conname, ARRAY(
        SELECT a.attname::text FROM unnest(conkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.number ORDER BY place
    ), pg_get_constraintdef(oid), condeferrable, condeferred
    FROM pg_constraint WHERE conrelid = ANY({tables}) AND contype IN ('p', 'u', 'x') ORDER BY oid
"""
REFLECTED_INDEXES = """
    SELECT i.indrelid, c.relname, pg_get_indexdef(i.indexrelid), i.indisunique FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = ANY({tables}) AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = c.oid)
    ORDER BY i.indexrelid
"""
REFLECTED = (REFLECTED_COLUMNS, CHECKS, KEYS, REFLECTED_INDEXES)


def real(connection: Connection, schema: str | None, name: str) -> catalog.ReflectedTable:
    """Return what the database has."""
    with _traceless(connection):
        if schema:  # so that its own types are written as those of the shadow, which has no schema
            path = connection.execute(text("SHOW search_path")).scalar()
            own = connection.dialect.identifier_preparer.quote_identifier(schema)
            connection.execute(text(f"SET LOCAL search_path = {own}, {path or 'public'}"))
        home = schema or connection.dialect.default_schema_name or "public"
        return _read(connection, home, [name])[name]


def ahead(
    connection: Connection, models: list[Model]
) -> tuple[catalog.Reflected, catalog.Reflected]:
    """Return what the database has of many tables, and their shadows: in a few messages, not in thousands.

    :param models: those whose names are the tables'; what would take more than one message is left out
    """
    models = [model for model in models if model.schema is None]
    shadows: catalog.Reflected = {}
    if connection.dialect.driver != "psycopg" or not models:
        return {}, shadows
    with _traceless(connection):
        home = connection.dialect.default_schema_name or "public"
        reals = _read(connection, home, [model.name for model in models])
    with suppress(SQLAlchemyError), _traceless(connection):  # one by one it is said of which table
        shadows = _shadows(
            connection, [one for one in models if _is_plain(one, connection.dialect)]
        )
    return {model: reals[model.name] for model in models}, shadows


def _is_plain(model: Model, dialect: Dialect) -> bool:
    """Whether a shadow is the table and its indexes alone, and has no CHECK to be written twice."""
    needs = [
        *of_table(model),
        *named_types(model, dialect),
        *compat.checks(model),
        *model._prefixes,
    ]
    return not needs


def _shadows(connection: Connection, models: list[Model]) -> catalog.Reflected:
    """Make them, ask the database of them, and undo it, in a few messages."""
    dialect = literals.dialect(connection.dialect)
    away: Options = {"schema_translate_map": {None: SHADOW}, "render_schema_translate": True}
    made: dict[Model, list[str]] = {}
    for model in models:
        table = CreateTable(model, include_foreign_key_constraints=[])
        parts: list[CreateTable | CreateIndex] = [table, *map(CreateIndex, model.indexes)]
        made[model] = [str(part.compile(dialect=dialect, **away)) for part in parts]
    found: catalog.Reflected = {}
    for group in apart(made, dialect):
        with _traceless(connection):
            said = [one for model in group for one in made[model]]
            pipeline.ask(connection, ["SELECT 1", *said])
            read = _read(connection, SHADOW, [model.name for model in group])
        found |= {model: read[model.name] for model in group}
    return found


def shadow(connection: Connection, model: Model) -> catalog.ReflectedTable:
    """Make the model's table, ask the database of it, and leave no trace."""
    with _traceless(connection):
        away = connection.execution_options(schema_translate_map={model.schema: SHADOW})
        try:
            _create(away, model)
            return _read(connection, SHADOW, [model.name])[model.name]
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
    for kind in named_types(model, connection.dialect):
        if kind.schema != model.schema:
            # it is made there, in the place of the one that the history made
            name = kind.compile(connection.dialect)
            if connection.execute(text("SELECT to_regtype(:name)"), {"name": name}).scalar():
                there = connection.dialect.identifier_preparer.quote(f"{str(kind.name)[:40]}_there")
                connection.execute(text(f"ALTER TYPE {literals.as_text(name)} RENAME TO {there}"))
        kind.create(connection, checkfirst=False)
    if model._prefixes:  # UNLOGGED: a temporary table is none, and it makes no difference here
        model = model.to_metadata(MetaData(naming_convention=model.metadata.naming_convention))
        model._prefixes = []
    lend(connection, model)
    connection.execute(CreateTable(model, include_foreign_key_constraints=[]))
    for index in model.indexes:
        connection.execute(CreateIndex(index))


def _read(
    connection: Connection, schema: str, names: list[str]
) -> dict[str, catalog.ReflectedTable]:
    """Return what the database has of some tables; nothing in them where there is none."""
    quoted = [pipeline.quoted(connection, schema, name) for name in names]
    known = ", ".join(string(name) for name in quoted)
    find = f"SELECT CAST(to_regclass(name) AS oid) FROM unnest(ARRAY[{known}]) AS name"
    (numbers,) = pipeline.ask(connection, [find])
    oids = [number for (number,) in numbers]
    tables = f"ARRAY[{', '.join(str(oid) for oid in oids if oid)}]::oid[]"
    found = pipeline.ask(connection, [query.format(tables=tables) for query in REFLECTED])
    grouped: list[dict[Value, list[Row]]] = [defaultdict(list) for _ in REFLECTED]
    for parts, rows in zip(grouped, found, strict=True):
        for row in rows:
            parts[row[0]].append(row)
    read = {}
    for name, place, oid in zip(names, quoted, oids, strict=True):
        table = _reflected(*(parts[oid] for parts in grouped))
        checks = _settled(connection, place, table.checks)
        read[name] = replace(table, checks=checks)
    return read


def _reflected(
    columns: list[Row], checks: list[Row], keys: list[Row], indexes: list[Row]
) -> catalog.ReflectedTable:
    ruled = [(kind, name, key, more) for _, kind, name, key, *more in keys]
    key_name, key = next(((name, key) for kind, name, key, _ in ruled if kind == "p"), (None, ()))
    return catalog.ReflectedTable(
        {
            column: catalog.ReflectedColumn(
                type=kind,
                default=None if generated else catalog.moment(default),
                generated=f"{default} {generated}" if generated else None,
                collation=collation,
                counts=_counts(default, *counted),
                sequence=counted[1],
            )
            for _, column, kind, default, generated, collation, *counted in columns
        },
        tuple(catalog.ReflectedCheck(name, sql, sql) for _, name, sql in checks),
        {
            name: catalog.ReflectedIndex(name, f"{unique} {sql[sql.index(' USING ') :]}", unique)
            for _, name, sql, unique in indexes
        },
        key=tuple(key),
        key_name=key_name,
        uniques={
            name: catalog.ReflectedUnique(sql, tuple(names), *when)
            for kind, name, names, (sql, *when) in ruled
            if kind == "u"
        },
        excludes={name: sql for kind, name, _, (sql, *_) in ruled if kind == "x"},
    )


def _counts(default: str | None, identity: str, sequence: str | None, kind: str) -> str | None:
    """A SERIAL is a default of the next value of a sequence that the column owns."""
    if identity:
        return "identity"
    return f"serial {kind}" if sequence and "nextval(" in (default or "") else None


def _settled(
    connection: Connection, table: str, checks: tuple[catalog.ReflectedCheck, ...]
) -> tuple[catalog.ReflectedCheck, ...]:
    """Return the CHECKs as PostgreSQL writes them after reading its own writing.

    It writes ``IN ('a')`` as ``= ANY (ARRAY['a'::varchar]::text[])``, and that, read again, otherwise.
    """
    if not checks:
        return ()
    connection.exec_driver_sql(
        f"CREATE TABLE {SHADOW}.settled (LIKE {table})".replace("%", "%%"), ()
    )
    found = []
    for check in checks:
        plain = _written(connection, check.sql) or check.sql
        simple = _simple(check.sql)
        same = _written(connection, simple) == plain
        found.append(catalog.ReflectedCheck(check.name, plain, simple if same else check.sql))
    connection.execute(text(f"DROP TABLE {SHADOW}.settled"))
    return tuple(found)


def _written(connection: Connection, sql: str) -> str | None:
    """Return an expression as PostgreSQL writes it the second time; None when it cannot be read."""
    find = CHECKS.format(tables=f"ARRAY[CAST('{SHADOW}.settled' AS regclass)::oid]")
    for _ in range(2):
        savepoint = connection.begin_nested()
        try:
            # past SQLAlchemy and the driver, who would look for parameters in it
            connection.exec_driver_sql(
                f"ALTER TABLE {SHADOW}.settled ADD CHECK ({sql})".replace("%", "%%"), ()
            )
            (((_, _, sql),),) = pipeline.ask(connection, [find])
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
    return "".join(bare(sql))


# Which tables PostgreSQL can make at once for a moment, each as if the others were not there.
#
# What it names by itself, and what it finds by a name, may be another's otherwise: a temporary table, its
# sequences and its type are found before all others, and of two equal names it changes the second.
# https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH


# tables at a time, since each takes some of the server's locks
MOST = 100
# bytes of the names of a table and of its columns, up to which the server shortens no table's name in
# that of a sequence or constraint: https://www.postgresql.org/docs/current/limits.html
SHORT, SHORT_TOGETHER = 26, 52
NAMED = re.compile(r'\b(?:CONSTRAINT|INDEX)\s+("(?:[^"]|"")+"|\w+)')
WORD = re.compile(r"\w+")


@dataclass
class Group:
    """Tables that have nothing to do with each other.

    :param makes: names of what they make; those that the server chooses begin with one, and "_"
    :param begins: the beginnings of all names that they make, or may look for
    """

    tables: list[Model]
    makes: set[str]
    begins: set[str]

    def takes(self, other: "Group") -> bool:
        """Whether neither makes what the other makes or may look for."""
        alike = self.makes & other.begins or other.makes & self.begins
        return not alike and len(self.tables) < MOST

    def add(self, other: "Group") -> None:
        """Put the other's tables to these."""
        self.tables += other.tables
        self.makes |= other.makes
        self.begins |= other.begins


def apart(made: Mapping[Model, list[str]], dialect: Dialect) -> list[list[Model]]:
    """Divide tables into groups, each of which can be made at once.

    :param made: the SQL of each: of the table, and of its indexes in their order
    """
    alone = [table for table in made if _is_odd(table)]
    found: list[Group] = []
    for table in [table for table in made if table not in alone]:
        own = _group(table, made[table], dialect)
        fitting = next((group for group in found if group.takes(own)), None)
        if fitting is None:
            found.append(own)
        else:
            fitting.add(own)
    return [*([table] for table in alone), *(group.tables for group in found)]


def _is_odd(table: Model) -> bool:
    """Whether its name is no word, or may be shortened in another, which then begins otherwise."""
    columns = [len(column.name.encode()) for column in table.columns]
    kinds = (PrimaryKeyConstraint, ForeignKeyConstraint)
    others = [one for one in table.constraints if not isinstance(one, kinds)]
    # one without a name is named after all its columns
    without = any(not isinstance(one.name, str) for one in others)
    longest = sum(columns) + len(columns) if without else max(columns, default=0)
    own = len(table.name.encode())
    shortened = own > SHORT and own + longest > SHORT_TOGETHER
    return shortened or not WORD.fullmatch(table.name)


def _group(table: Model, made: list[str], dialect: Dialect) -> Group:
    makes = {name.strip('"').lower() for name in NAMED.findall("\n".join(made))}
    makes.add(table.name.lower())
    looks = WORD.findall("\n".join(_looks(table, made, dialect)).lower())
    return Group([table], makes, {one for name in (*makes, *looks) for one in _beginnings(name)})


def _looks(table: Model, made: list[str], dialect: Dialect) -> Iterator[str]:
    """Give the SQL in which there may be names of tables, sequences and types: not those of columns."""
    plain = (PrimaryKeyConstraint, UniqueConstraint, ForeignKeyConstraint)
    if _has_options(table) or not all(isinstance(one, plain) for one in table.constraints):
        yield made[0]
    for column in table.columns:
        name = dialect.identifier_preparer.format_column(column)
        yield str(CreateColumn(column).compile(dialect=dialect)).strip().removeprefix(name)
    for index, sql in zip(table.indexes, made[1:], strict=True):
        if _has_options(index) or not all(isinstance(one, Column) for one in index.expressions):
            yield sql


def _has_options(item: Model | Index) -> bool:
    return any(key.startswith("postgresql_") for key in item.kwargs)


def _beginnings(name: str) -> Iterator[str]:
    """Give what stands before each underscore, and the whole; the type of an array begins with one."""
    yield from (name[:place] for place, sign in enumerate(name) if sign == "_")
    yield from (name, name.lstrip("_"))
