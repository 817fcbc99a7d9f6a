"""PostgreSQL's catalogue as SQL, with the definitions that the server itself prints.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

# what belongs to PostgreSQL or to an extension is nobody's migration
OURS = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_' AND NOT EXISTS "
    "(SELECT 1 FROM pg_depend AS e WHERE e.objid = {oid} AND e.deptype = 'e')"
)
HERE = OURS.format(oid="c.oid")
SCHEMAS = (
    "SELECT 'CREATE SCHEMA ' || quote_ident(n.nspname) FROM pg_namespace AS n "
    f"WHERE n.nspname <> 'public' AND {OURS.format(oid='n.oid')} ORDER BY 1"
)
EXTENSIONS = (
    "SELECT 'CREATE EXTENSION ' || quote_ident(extname) FROM pg_extension "
    "WHERE extname <> 'plpgsql' ORDER BY 1"
)
ENUMS = f"""
SELECT 'CREATE TYPE ' || format_type(t.oid, NULL) || ' AS ENUM (' ||
       string_agg(quote_literal(v.enumlabel), ', ' ORDER BY v.enumsortorder) || ')'
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace JOIN pg_enum AS v ON v.enumtypid = t.oid
WHERE {OURS.format(oid="t.oid")} GROUP BY t.oid ORDER BY 1
"""
DOMAINS = f"""
SELECT 'CREATE DOMAIN ' || format_type(t.oid, NULL) || ' AS ' || format_type(t.typbasetype, t.typtypmod) ||
       COALESCE(' DEFAULT ' || t.typdefault, '') || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END ||
       COALESCE((SELECT string_agg(' CONSTRAINT ' || quote_ident(k.conname) || ' ' ||
                 pg_get_constraintdef(k.oid), '' ORDER BY k.conname) FROM pg_constraint AS k
                 WHERE k.contypid = t.oid AND k.contype = 'c'), '')
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND {OURS.format(oid="t.oid")} ORDER BY 1
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
WHERE p.prokind IN ('f', 'p') AND {OURS.format(oid="p.oid")} ORDER BY p.oid::regprocedure::text
"""
COLUMNS = f"""
SELECT c.relname, c.oid::regclass::text, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
       a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
       pg_get_serial_sequence(c.oid::regclass::text, a.attname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND {HERE} ORDER BY c.relname, n.nspname, a.attnum
"""
CONSTRAINTS = f"""
SELECT c.oid::regclass::text, 'CONSTRAINT ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid),
       k.contype
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND {HERE}
ORDER BY 1, position(k.contype::text in 'pucxf'), k.conname
"""
INDEXES = f"""
SELECT c.oid::regclass::text, pg_get_indexdef(x.indexrelid)
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE {HERE} AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k
      WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')) ORDER BY 1, 2
"""
TRIGGERS = f"""
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


def statements(connection: Connection, ignored: set[str]) -> Iterator[str]:
    """Give the types, the tables with all that belongs to them, the keys between them, the views."""

    def rows(query: str) -> list[Any]:
        return [tuple(row) for row in connection.exec_driver_sql(query.replace("%", "%%"))]

    def alone(query: str) -> Iterator[str]:
        for (statement,) in sorted(rows(query)):  # the server would sort by its locale
            yield statement.strip().rstrip(";")

    for query in (SCHEMAS, EXTENSIONS, ENUMS, DOMAINS, SEQUENCES):
        yield from alone(query)
    keys, constraints = [], {}
    for table, definition, kind in rows(CONSTRAINTS):
        if kind == "f":  # at the end, since the other table may come later
            keys.append((table, f"ALTER TABLE {table} ADD {definition}"))
        else:
            constraints.setdefault(table, []).append(definition)
    left_out = {table for name, table, *_ in rows(COLUMNS) if name in ignored}
    belongings: dict[str, list[str]] = {}
    for query in (INDEXES, TRIGGERS, COMMENTS):
        for table, statement in sorted(rows(query)) if query is INDEXES else rows(query):
            belongings.setdefault(table, []).append(statement)
    functions = list(alone(FUNCTIONS))
    for (name, table), columns in groupby(rows(COLUMNS), key=lambda row: row[:2]):
        if name in ignored:
            continue
        lines = [_column(*column[2:]) for column in columns if column[2] is not None]
        yield (
            f"CREATE TABLE {table} (\n    "
            + ",\n    ".join(lines + constraints.get(table, []))
            + "\n)"
        )
        yield from (one for one in belongings.get(table, []) if "TRIGGER" not in one[:30])
    yield from (key for table, key in keys if table not in left_out)
    yield from functions
    for name in sorted(belongings.keys() - left_out):
        yield from (one for one in belongings[name] if "TRIGGER" in one[:30])
    yield from alone(VIEWS)


def _column(name: str, kind: str, not_null: bool, default: str | None, *more: Any) -> str:
    identity, generated, collation, sequence = more
    if sequence and default and default.startswith("nextval("):
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
