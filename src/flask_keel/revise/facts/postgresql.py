"""PostgreSQL's own account of its schema: the catalogue, and the definitions that it prints itself.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG
"""

import re
from typing import Any

from sqlalchemy import Connection, text

from .schema import Check, Column, ForeignKey, Schema, Table, Unique

# what belongs to an extension or to PostgreSQL itself is nobody's migration
OURS = (
    "{schema}.nspname NOT IN ('pg_catalog', 'information_schema') AND {schema}.nspname !~ '^pg_' "
    "AND NOT EXISTS (SELECT 1 FROM pg_depend AS e WHERE e.objid = {oid} AND e.deptype = 'e')"
)
TABLES = OURS.format(schema="n", oid="c.oid")
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
WHERE c.relkind IN ('r', 'p') AND {TABLES} ORDER BY 1, 2, a.attnum
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
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND {TABLES} ORDER BY 1, 2, 3
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
WHERE {TABLES} AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k
    WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')) ORDER BY 1, 2, 3
"""
TRIGGERS = f"""
SELECT n.nspname, c.relname, g.tgname, pg_get_triggerdef(g.oid)
FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE NOT g.tgisinternal AND {TABLES}
"""
OTHERS = f"""
SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'materialized view' END,
       n.nspname, c.relname, CASE WHEN c.relkind = 'S' THEN '' ELSE pg_get_viewdef(c.oid) END
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm', 'S') AND {TABLES}
  AND NOT EXISTS (SELECT 1 FROM pg_depend AS o WHERE o.objid = c.oid AND o.deptype IN ('a', 'i')
                  AND c.relkind = 'S')
UNION ALL
SELECT 'function', n.nspname, p.oid::regprocedure::text, pg_get_functiondef(p.oid)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prokind IN ('f', 'p') AND {OURS.format(schema="n", oid="p.oid")}
UNION ALL
SELECT 'schema', '', n.nspname, '' FROM pg_namespace AS n WHERE {OURS.format(schema="n", oid="n.oid")}
UNION ALL
SELECT 'extension', '', x.extname, '' FROM pg_extension AS x
"""
TYPES = f"""
SELECT format_type(t.oid, NULL), t.typtype, format_type(t.typbasetype, t.typtypmod), t.typnotnull,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid
             ORDER BY e.enumsortorder),
       ARRAY(SELECT k.conname || ' ' || pg_get_constraintdef(k.oid) FROM pg_constraint AS k
             WHERE k.contypid = t.oid ORDER BY 1)
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd') AND {OURS.format(schema="n", oid="t.oid")}
"""


def read(connection: Connection, ignore: frozenset[str]) -> Schema:
    """Read all schemas of a PostgreSQL database."""
    home = connection.execute(text("SELECT current_schema()")).scalar()

    def label(schema: str, name: str) -> str:
        return name if schema == home else f"{schema}.{name}"

    def rows(query: str) -> Any:
        for schema, name, *facts in connection.execute(text(query)):
            if schema == home and name in ignore:
                continue
            yield schema, name, facts

    schema = Schema()
    for place, name, facts in rows(COLUMNS):
        own = None if place == home else place
        table = schema.tables.setdefault(label(place, name), Table(name, own))
        _column(table, *facts)
    for place, name, (constraint, kind, definition, columns, *facts) in rows(CONSTRAINTS):
        table = schema.tables[label(place, name)]
        table.call(plain(definition) if kind == "c" else definition, constraint)
        _constraint(table, kind, tuple(columns), facts, constraint, label)
    for place, name, (index, definition, unique, valid, partial, columns) in rows(INDEXES):
        table = schema.tables[label(place, name)]
        table.parts[f"index {index}"] = definition + ("" if valid else " INVALID")
        if unique:
            table.uniques.append(Unique(tuple(columns), partial))
    for place, name, (trigger, definition) in rows(TRIGGERS):
        schema.tables[label(place, name)].parts[f"trigger {trigger}"] = definition
    for kind, place, name, definition in connection.execute(text(OTHERS)):
        named = label(place, name) if place else name
        schema.others[f"{kind} {named}"] = definition.strip()
    for name, kind, base, not_null, labels, constraints in connection.execute(text(TYPES)):
        if kind == "e":
            schema.labels[name] = tuple(labels)
            schema.others[f"enum {name}"] = ", ".join(labels)
        else:
            schema.bases[name] = base
            facts = [base, "NOT NULL" if not_null else "", *constraints]
            schema.others[f"domain {name}"] = " ".join(facts)
    return schema


def _column(table: Table, name: str | None, *facts: Any) -> None:
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
    table.columns[name] = Column(
        name=name,
        type=declared,
        nullable=not not_null,
        default=None if generated else default,
        automatic=bool(identity) or bool(default and default.startswith("nextval(")),
        generated=bool(generated),
        more=tuple((key, value) for key, value in more.items() if value),
    )


def _constraint(
    table: Table, kind: str, columns: tuple[str, ...], facts: Any, name: str, label: Any
) -> None:
    schema, parent, parent_columns, expression = facts
    if kind == "p":
        table.primary_key = columns
    if kind in "pu":
        table.uniques.append(Unique(columns))
    elif kind == "f":
        key = ForeignKey(columns, label(schema, parent), tuple(parent_columns), name=name)
        table.foreign_keys.append(key)
    elif kind == "c":
        table.checks.append(Check(expression, plain(expression), name))


def plain(expression: str) -> str:
    """Return an expression without casts and parentheses.

    PostgreSQL writes them another way each time an expression is made from its own text.
    """
    bare = re.sub(
        r"::(character varying|double precision|timestamp \w+ time zone|\w+)(\[\])?", "", expression
    )
    tokens = re.findall(r"'(?:[^']|'')*'|\"[^\"]*\"|\w+|[^\s\w()'\"]+", bare)
    return " ".join(tokens)
