"""PostgreSQL's own account of its schema: the catalogue, and the definitions that it prints itself.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .. import catalog, lexer, pipeline
from ..typing import Row, Value

# what belongs to PostgreSQL or to an extension is nobody's migration
OF_NO_EXTENSION = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_' AND NOT EXISTS "
    "(SELECT 1 FROM pg_depend AS e WHERE e.objid = {oid} AND e.deptype = 'e')"
)
HERE = OF_NO_EXTENSION.format(oid="c.oid")
SCHEMAS = (
    "SELECT 'CREATE SCHEMA ' || quote_ident(n.nspname) FROM pg_namespace AS n "
    f"WHERE n.nspname <> 'public' AND {OF_NO_EXTENSION.format(oid='n.oid')} ORDER BY 1"
)
EXTENSIONS = (
    "SELECT 'CREATE EXTENSION ' || quote_ident(extname) FROM pg_extension "
    "WHERE extname <> 'plpgsql' ORDER BY 1"
)
ENUMS = f"""
SELECT 'CREATE TYPE ' || format_type(t.oid, NULL) || ' AS ENUM (' ||
       string_agg(quote_literal(v.enumlabel), ', ' ORDER BY v.enumsortorder) || ')'
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace JOIN pg_enum AS v ON v.enumtypid = t.oid
WHERE {OF_NO_EXTENSION.format(oid="t.oid")} GROUP BY t.oid ORDER BY 1
"""
DOMAINS = f"""
SELECT 'CREATE DOMAIN ' || format_type(t.oid, NULL) || ' AS ' || format_type(t.typbasetype, t.typtypmod) ||
       COALESCE(' DEFAULT ' || t.typdefault, '') || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END ||
       COALESCE((SELECT string_agg(' CONSTRAINT ' || quote_ident(k.conname) || ' ' ||
                 pg_get_constraintdef(k.oid), '' ORDER BY k.conname) FROM pg_constraint AS k
                 WHERE k.contypid = t.oid AND k.contype = 'c'), '')
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND {OF_NO_EXTENSION.format(oid="t.oid")} ORDER BY 1
"""
# those that no column owns
SEQUENCES = f"""
SELECT 'CREATE SEQUENCE ' || c.oid::regclass || ' AS ' || format_type(s.seqtypid, NULL) || ' START ' ||
       s.seqstart || ' INCREMENT ' || s.seqincrement
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_sequence AS s ON s.seqrelid = c.oid
WHERE {HERE} AND NOT EXISTS
      (SELECT 1 FROM pg_depend AS o WHERE o.objid = c.oid AND o.deptype IN ('a', 'i')) ORDER BY 1
"""
FUNCTIONS = f"""
SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prokind IN ('f', 'p') AND {OF_NO_EXTENSION.format(oid="p.oid")} ORDER BY p.oid::regprocedure::text
"""
WRITTEN_COLUMNS = f"""
SELECT c.relname, c.oid::regclass::text, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
       a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
       EXISTS (SELECT 1 FROM pg_depend AS o JOIN pg_sequence AS s ON s.seqrelid = o.objid
               WHERE o.refobjid = c.oid AND o.refobjsubid = a.attnum AND o.deptype = 'a'
                 AND o.classid = 'pg_class'::regclass AND o.refclassid = o.classid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND {HERE} ORDER BY c.relname, n.nspname, a.attnum
"""
WRITTEN_CONSTRAINTS = f"""
SELECT c.oid::regclass::text, 'CONSTRAINT ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid),
       k.contype
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND {HERE}
ORDER BY 1, position(k.contype::text in 'pucxf'), k.conname
"""
WRITTEN_INDEXES = f"""
SELECT c.oid::regclass::text,
       pg_get_indexdef(x.indexrelid) || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE {HERE} AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k
      WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')) ORDER BY 1, 2
"""
WRITTEN_TRIGGERS = f"""
SELECT c.oid::regclass::text, pg_get_triggerdef(g.oid)
FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND {HERE} ORDER BY 1, g.tgname
"""
COMMENTS = f"""
SELECT c.oid::regclass::text, 'COMMENT ON ' || CASE WHEN o.objsubid = 0 THEN 'TABLE ' || c.oid::regclass
       ELSE 'COLUMN ' || c.oid::regclass || '.' || quote_ident(a.attname) END ||
       ' IS ' || quote_literal(o.description)
FROM pg_description AS o JOIN pg_class AS c ON c.oid = o.objoid AND o.classoid = 'pg_class'::regclass
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = o.objsubid
WHERE c.relkind IN ('r', 'p') AND {HERE} ORDER BY 1, o.objsubid
"""
VIEWS = f"""
SELECT 'CREATE ' || CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END || 'VIEW ' || c.oid::regclass ||
       ' AS' || chr(10) || pg_get_viewdef(c.oid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {HERE} ORDER BY 1
"""
SERIAL = {"smallint": "smallserial", "integer": "serial", "bigint": "bigserial"}


# what a session, an account or a server may say otherwise, and the server then prints otherwise:
# https://www.postgresql.org/docs/current/runtime-config-client.html#RUNTIME-CONFIG-CLIENT-FORMAT
PRINTED = {
    "TimeZone": "Etc/UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
}


def statements(connection: Connection, ignored: set[str]) -> Iterator[str]:
    """Give the types, the tables with all that belongs to them, the keys between them, the views."""
    with _printed_alike(connection):
        yield from _statements(connection, ignored)


@contextmanager
def _printed_alike(connection: Connection) -> Iterator[None]:
    """Let the server print a moment, a day or a name as it does for everybody, for what runs inside."""
    asked = ", ".join(f"current_setting('{name}')" for name in PRINTED)
    found = dict(zip(PRINTED, connection.exec_driver_sql(f"SELECT {asked}").one(), strict=True))
    _set(connection, {name: it for name, it in PRINTED.items() if found[name] != it})
    try:
        yield
    finally:
        with suppress(DBAPIError):  # a transaction that failed takes it back by itself
            _set(connection, {name: it for name, it in found.items() if PRINTED[name] != it})


def _set(connection: Connection, settings: dict[str, str]) -> None:
    if settings:
        said = ", ".join(f"set_config('{name}', '{it}', false)" for name, it in settings.items())
        connection.exec_driver_sql(f"SELECT {said}")


def _statements(connection: Connection, ignored: set[str]) -> Iterator[str]:
    def rows(query: str) -> list[Value]:
        return [tuple(row) for row in connection.exec_driver_sql(query.replace("%", "%%"))]

    def alone(query: str) -> Iterator[str]:
        for (statement,) in sorted(rows(query)):  # the server would sort by its locale
            yield statement.strip().rstrip(";")

    for query in (SCHEMAS, EXTENSIONS, ENUMS, DOMAINS, SEQUENCES):
        yield from alone(query)
    keys: list[Value] = []
    constraints: dict[str, Value] = {}
    for table, definition, kind in rows(WRITTEN_CONSTRAINTS):
        if kind == "f":  # at the end, since the other table may come later
            keys.append((table, f"ALTER TABLE {table} ADD {definition}"))
        else:
            constraints.setdefault(table, []).append(definition)
    left_out = {table for name, table, *_ in rows(WRITTEN_COLUMNS) if name in ignored}
    belongings: dict[str, list[str]] = {}
    for query in (WRITTEN_INDEXES, WRITTEN_TRIGGERS, COMMENTS):
        for table, statement in sorted(rows(query)) if query is WRITTEN_INDEXES else rows(query):
            belongings.setdefault(table, []).append(statement)
    functions = list(alone(FUNCTIONS))
    for (name, table), columns in groupby(rows(WRITTEN_COLUMNS), key=lambda row: row[:2]):
        if name in ignored:
            continue
        lines = [_written_column(*column[2:]) for column in columns if column[2] is not None]
        yield (
            f"CREATE TABLE {table} (\n    "
            + ",\n    ".join(lines + constraints.get(table, []))
            + "\n)"
        )
        yield from (one for one in belongings.get(table, []) if "TRIGGER" not in one[:30])
    for table, key in sorted(keys, key=itemgetter(0)):
        if table not in left_out:
            yield key
    yield from functions
    for name in sorted(belongings.keys() - left_out):
        yield from (one for one in belongings[name] if "TRIGGER" in one[:30])
    for statement in alone(VIEWS):
        head, _, query = statement.partition(" AS\n")
        yield f"{head} AS\n{_view(connection.dialect.server_version_info or (), query)}"


# what may follow FROM and is no part of it
ENDS = (
    *("TABLESAMPLE", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER"),
    *("LIMIT", "OFFSET", "FETCH", "FOR"),
)
SETS = ("UNION", "INTERSECT", "EXCEPT")


def _view(version: tuple[int | str, ...], query: str) -> str:
    """Return a view's query as every version since 16 prints it.

    The columns of one table alone had its name before them until then: commit 47bb9db75 of PostgreSQL.
    """
    return query if version >= (16,) else unqualified(query)


def unqualified(query: str) -> str:
    """Leave out the name of the only table before its columns, outside of queries in parentheses."""
    found = list(lexer.tokens(query))
    inside = _in_a_query(found)
    name = _only_table([it for it, within in zip(found, inside, strict=True) if not within])
    kept: list[str] = []
    place = 0
    while place < len(found):
        word = found[place][1]
        following = [it[1] for it in found[place + 1 : place + 3]]
        own = word == name and following[:1] == ["."] and following[1:] != ["*"]
        if own and not inside[place] and kept[-1:] != ["."]:
            place += 2
            continue
        kept.append(word)
        place += 1
    return "".join(kept)


def _in_a_query(found: list[tuple[str, str]]) -> list[bool]:
    """Say of each token whether it stands in parentheses around a query."""
    open_, inside = [False], []
    for place, (_, word) in enumerate(found):
        if word == "(":
            first = next((it for kind, it in found[place + 1 :] if kind != "blank"), "")
            open_.append(open_[-1] or first in ("SELECT", "WITH", "VALUES"))
        inside.append(open_[-1])
        if word == ")":
            open_.pop()
    return inside


def _only_table(tokens: list[tuple[str, str]]) -> str | None:
    """Return the name, as it is written, of what a query reads; None where that is several things."""
    words = _without_asides([word for kind, word in tokens if kind != "blank" and word != ";"])
    if "FROM" not in words or any(word in words for word in SETS):
        return None
    source = words[words.index("FROM") + 1 :]
    end = next((at for at, word in enumerate(source) if word in ENDS), len(source))
    source = source[:end]
    if source[-1:] == ["()"]:  # the names of its columns; alone it is a JOIN
        source.pop()
    several = "," in source or "JOIN" in source or not source
    return None if several else source[-1]


def _without_asides(words: list[str]) -> list[str]:
    """Return the words with "()" in the place of parentheses and all that stands in them."""
    kept: list[str] = []
    before = 0
    for word, depth in zip(words, lexer.depths(words), strict=True):
        if not depth and not before:
            kept.append(word)
        elif not depth:
            kept.append("()")
        before = depth
    return kept


def _written_column(
    name: str, kind: str, not_null: bool, default: str | None, *more: object
) -> str:
    identity, generated, collation, owns = more
    if owns and default and default.startswith("nextval("):
        kind, default = SERIAL.get(kind, kind), None
    parts = [name, kind]
    if collation:
        parts.append(f"COLLATE {collation}")
    if identity:
        parts.append(f"GENERATED {'ALWAYS' if identity == 'a' else 'BY DEFAULT'} AS IDENTITY")
    elif generated:
        parts.append(
            f"GENERATED ALWAYS AS ({default}) {'STORED' if generated == 's' else 'VIRTUAL'}"
        )
    elif default is not None:
        parts.append(f"DEFAULT {default}")
    if not_null:
        parts.append("NOT NULL")
    return " ".join(parts)


# the sequence of a SERIAL keeps its name when the table or the column gets another one
COLUMNS = f"""
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN EXISTS (SELECT 1 FROM pg_depend AS o JOIN pg_depend AS u ON u.refobjid = o.objid
                         WHERE o.refobjid = c.oid AND o.refobjsubid = a.attnum AND o.deptype = 'a'
                           AND o.classid = 'pg_class'::regclass AND u.objid = d.oid)
            THEN 'nextval(its own sequence)' ELSE pg_get_expr(d.adbin, d.adrelid) END,
       a.attidentity, a.attgenerated,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
       col_description(c.oid, a.attnum), obj_description(c.oid), c.relpersistence
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND {HERE} ORDER BY 1, 2, a.attnum
"""
NAMES = (
    "ARRAY(SELECT a.attname::text FROM unnest({key}) WITH ORDINALITY AS k(number, place) "
    "JOIN pg_attribute AS a ON a.attrelid = {table} AND a.attnum = k.number ORDER BY k.place)"
)
CONSTRAINTS = f"""
SELECT n.nspname, c.relname, k.conname, k.contype, pg_get_constraintdef(k.oid),
       {NAMES.format(key="k.conkey", table="c.oid")}, pn.nspname, p.relname,
       {NAMES.format(key="k.confkey", table="p.oid")}, pg_get_expr(k.conbin, k.conrelid)
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS p ON p.oid = k.confrelid LEFT JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND {HERE} ORDER BY 1, 2, 3
"""
INDEXES = f"""
SELECT n.nspname, c.relname, i.relname, pg_get_indexdef(x.indexrelid), x.indisunique, x.indisvalid,
       x.indpred IS NOT NULL,
       ARRAY(SELECT a.attname::text FROM pg_depend AS o JOIN pg_attribute AS a
             ON a.attrelid = c.oid AND a.attnum = o.refobjsubid
             WHERE o.objid = x.indexrelid AND o.refobjid = c.oid AND o.refobjsubid > 0)
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE {HERE} AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k
    WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')) ORDER BY 1, 2, 3
"""
TRIGGERS = f"""
SELECT n.nspname, c.relname, g.tgname, pg_get_triggerdef(g.oid)
FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE NOT g.tgisinternal AND {HERE}
"""
OTHERS = f"""
SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'materialized view' END,
       n.nspname, c.relname, CASE WHEN c.relkind = 'S' THEN '' ELSE pg_get_viewdef(c.oid) END
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm', 'S') AND {HERE}
  AND NOT EXISTS (SELECT 1 FROM pg_depend AS o WHERE o.objid = c.oid AND o.deptype IN ('a', 'i')
                  AND c.relkind = 'S')
UNION ALL
SELECT 'function', n.nspname, p.oid::regprocedure::text, pg_get_functiondef(p.oid)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prokind IN ('f', 'p') AND {OF_NO_EXTENSION.format(oid="p.oid")}
UNION ALL
SELECT 'schema', '', n.nspname, '' FROM pg_namespace AS n WHERE {OF_NO_EXTENSION.format(oid="n.oid")}
UNION ALL
SELECT 'extension', '', x.extname, '' FROM pg_extension AS x
"""
TYPES = f"""
SELECT format_type(t.oid, NULL), t.typtype, format_type(t.typbasetype, t.typtypmod), t.typnotnull,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid
             ORDER BY e.enumsortorder),
       ARRAY(SELECT k.conname || ' ' || pg_get_constraintdef(k.oid) FROM pg_constraint AS k
             WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY 1)
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd') AND {OF_NO_EXTENSION.format(oid="t.oid")}
"""


def read(connection: Connection, ignore: frozenset[str]) -> catalog.Schema:
    """Read all schemas of a PostgreSQL database."""
    asked = [COLUMNS, CONSTRAINTS, INDEXES, TRIGGERS, OTHERS, TYPES]
    ((home,),), *said = pipeline.ask(connection, ["SELECT current_schema()", *asked])
    version = connection.dialect.server_version_info or ()
    return catalog.told(_schema, [home, ignore, version, *said])


def _schema(
    home: str, ignore: frozenset[str], version: tuple[int | str, ...], *said: list[Row]
) -> catalog.Schema:
    *of_tables, others, types = said

    def label(schema: str, name: str) -> str:
        return name if schema == home else f"{schema}.{name}"

    columns, constraints, indexes, triggers = (
        [
            (place, name, facts)
            for place, name, *facts in rows
            if not (place == home and name in ignore)
        ]
        for rows in of_tables
    )
    schema = catalog.Schema()
    for place, name, facts in columns:
        own = None if place == home else place
        table = schema.tables.setdefault(label(place, name), catalog.Table(name, own))
        _column(table, *facts)
    for place, name, (constraint, kind, definition, parts, *facts) in constraints:
        table = schema.tables[label(place, name)]
        table.call(plain(definition) if kind == "c" else definition, constraint)
        _constraint(table, kind, tuple(parts), facts, constraint, label)
    for place, name, (index, definition, unique, valid, partial, parts) in indexes:
        table = schema.tables[label(place, name)]
        table.parts[f"index {index}"] = definition + ("" if valid else " INVALID")
        if unique:
            table.uniques.append(catalog.Unique(tuple(parts), partial))
    for place, name, (trigger, definition) in triggers:
        schema.tables[label(place, name)].parts[f"trigger {trigger}"] = definition
    for kind, place, name, definition in others:
        named = label(place, name) if place else name
        text = _view(version, definition) if kind.endswith("view") else definition
        schema.others[f"{kind} {named}"] = text.strip()
    for name, kind, base, not_null, labels, rules in types:
        if kind == "e":
            schema.labels[name] = tuple(labels)
            schema.others[f"enum {name}"] = ", ".join(labels)
        else:
            schema.bases[name] = base
            facts = [base, "NOT NULL" if not_null else "", *rules]
            schema.others[f"domain {name}"] = " ".join(facts)
    return schema


def _column(table: catalog.Table, name: str | None, *facts: Value) -> None:
    declared, not_null, default, identity, generated, collation, comment, said, persistence = facts
    if said or persistence != "p":
        table.parts["options"] = f"{said or ''} {'' if persistence == 'p' else persistence}".strip()
    if name is None:  # a table without columns
        return
    more = {
        "identity": {"a": "always", "d": "by default"}.get(identity),
        "collation": collation,
        "comment": comment,
        "generated": default if generated else None,
    }
    table.columns[name] = catalog.Column(
        name=name,
        type=declared,
        nullable=not not_null,
        default=None if generated else default,
        automatic=bool(identity) or bool(default and default.startswith("nextval(")),
        generated=bool(generated),
        expression=default if generated else None,
        more=tuple((key, value) for key, value in more.items() if value),
    )


def _constraint(
    table: catalog.Table, kind: str, columns: tuple[str, ...], facts: Value, name: str, label: Value
) -> None:
    schema, parent, parent_columns, expression = facts
    if kind == "p":
        table.primary_key = columns
    if kind in "pu":
        table.uniques.append(catalog.Unique(columns))
    elif kind == "f":
        key = catalog.ForeignKey(columns, label(schema, parent), tuple(parent_columns), name=name)
        table.foreign_keys.append(key)
    elif kind == "c":
        table.checks.append(catalog.Check(expression, plain(expression), name))


def plain(expression: str) -> str:
    """Return an expression without casts and parentheses.

    PostgreSQL writes them another way each time an expression is made from its own text.
    """
    bare = re.sub(
        r"::(character varying|double precision|timestamp \w+ time zone|\w+)(\[\])?", "", expression
    )
    tokens = re.findall(r"'(?:[^']|'')*'|\"[^\"]*\"|\w+|[^\s\w()'\"]+", bare)
    return " ".join(tokens)
