"""MySQL's and MariaDB's own account of their schema: information_schema.

https://mariadb.com/kb/en/information-schema-tables/
"""

from itertools import groupby
from typing import Any

from sqlalchemy import Connection, text

from .schema import Check, Column, ForeignKey, Schema, Table, Unique, listed

TABLES = """
SELECT table_name, table_type, engine, table_collation, table_comment
FROM information_schema.tables WHERE table_schema = DATABASE()
"""
COLUMNS = """
SELECT table_name, column_name, column_type, is_nullable, column_default, extra,
       generation_expression, collation_name, column_comment
FROM information_schema.columns WHERE table_schema = DATABASE()
ORDER BY table_name, ordinal_position
"""
INDEXES = """
SELECT table_name, index_name, non_unique, column_name, sub_part, collation, index_type
FROM information_schema.statistics WHERE table_schema = DATABASE()
ORDER BY table_name, index_name, seq_in_index
"""
KEYS = """
SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_name,
       k.referenced_column_name, r.update_rule, r.delete_rule
FROM information_schema.key_column_usage AS k
JOIN information_schema.referential_constraints AS r
  ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
 AND r.table_name = k.table_name
WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL
ORDER BY k.table_name, k.constraint_name, k.ordinal_position
"""
CHECKS = """
SELECT t.table_name, c.constraint_name, c.check_clause
FROM information_schema.check_constraints AS c
JOIN information_schema.table_constraints AS t
  ON t.constraint_schema = c.constraint_schema AND t.constraint_name = c.constraint_name
 AND t.constraint_type = 'CHECK' {same_table}
WHERE c.constraint_schema = DATABASE()
"""
TRIGGERS = """
SELECT event_object_table, trigger_name, action_timing, event_manipulation, action_statement
FROM information_schema.triggers WHERE trigger_schema = DATABASE()
"""
VIEWS = "SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = DATABASE()"


def read(connection: Connection, ignore: frozenset[str]) -> Schema:
    """Read the database that the connection is in."""

    def rows(query: str) -> list[tuple]:
        found = connection.execute(text(query))
        return [tuple(row) for row in found if row[0] not in ignore]

    schema = Schema()
    for name, kind, engine, collation, comment in rows(TABLES):
        if kind == "BASE TABLE":
            table = schema.tables[name] = Table(name)
            table.parts["options"] = f"{engine} {collation} {comment or ''}".strip()
    for name, *facts in rows(COLUMNS):
        if name in schema.tables:
            _column(schema.tables[name], *facts)
    for (name, index), parts in groupby(rows(INDEXES), key=lambda row: row[:2]):
        _index(schema.tables[name], index, list(parts))
    for (name, key), parts in groupby(rows(KEYS), key=lambda row: row[:2]):
        _foreign_key(schema.tables[name], key, list(parts))
    # a constraint's name is unique in a table on MariaDB, in a database on MySQL
    same_table = "AND t.table_name = c.table_name" if connection.dialect.is_mariadb else ""
    for name, constraint, clause in rows(CHECKS.format(same_table=same_table)):
        table = schema.tables[name]
        table.checks.append(Check(clause, clause, constraint))
        if clause == f"json_valid(`{constraint}`)":
            continue  # this is how MariaDB spells the type JSON
        table.call(f"check ({clause})", constraint)
    for name, trigger, *definition in rows(TRIGGERS):
        schema.tables[name].parts[f"trigger {trigger}"] = " ".join(definition)
    # a view's text says the name of the database, which is another for each scratch
    here = connection.execute(text("SELECT DATABASE()")).scalar()
    for name, definition in rows(VIEWS):
        schema.others[f"view {name}"] = (definition or "").replace(f"`{here}`.", "")
    return schema


def _column(table: Table, name: str, declared: str, nullable: str, *facts: Any) -> None:
    default, extra, expression, collation, comment = facts
    extra = (extra or "").lower()
    own = table.parts["options"].split()[1:2]
    more = {
        "extra": extra.replace("default_generated", "").strip(),
        "generated": expression,
        "collation": collation if collation and [collation] != own else None,
        "comment": comment,
    }
    table.columns[name] = Column(
        name=name,
        type=_text(declared).lower() if "'" not in _text(declared) else _text(declared),
        nullable=nullable == "YES",
        default=None if default in (None, "NULL") else _text(default),
        automatic="auto_increment" in extra,
        generated=bool(expression),
        more=tuple((key, _text(value)) for key, value in more.items() if value),
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _index(table: Table, index: str, rows: list[tuple]) -> None:
    _, _, non_unique, *_, kind = rows[0]
    columns = tuple(row[3] for row in rows if row[3])
    if index == "PRIMARY":
        table.primary_key = columns
        table.call(f"primary key {listed(columns)}", None)
    else:
        parts = [
            f"{column or 'an expression'}{f'({part})' if part else ''}{' desc' if way == 'D' else ''}"
            for _, _, _, column, part, way, _ in rows
        ]
        unique = "" if non_unique else "unique "
        table.parts[f"index {index}"] = f"{unique}{kind.lower()} ({', '.join(parts)})"
    if not non_unique:
        table.uniques.append(Unique(columns))


def _foreign_key(table: Table, name: str, rows: list[tuple]) -> None:
    columns = tuple(row[2] for row in rows)
    parent, referred = rows[0][3], tuple(row[4] for row in rows)
    on_update, on_delete = rows[0][5:7]
    table.foreign_keys.append(ForeignKey(columns, parent, referred, name=name))
    label = f"foreign key {listed(columns)} to {parent}"
    table.call(label, name)
    table.options[label] = f"{listed(referred)} on update {on_update} on delete {on_delete}".lower()
