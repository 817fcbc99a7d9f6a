"""What a database has, read without the library: its own catalogue, and its rows."""

import re
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from drawn import Schema
from sqlalchemy import Connection, Engine

OURS = ("alembic_version", "alembic_log")


def schema(engine: Engine, named: bool = True) -> dict[str, Any]:
    """Everything that the catalogue says, in a form that two databases can be compared by.

    :param named: whether constraints have the names that the models give them, and not others
    """
    kind = engine.dialect.name
    with engine.connect() as connection:
        found = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}[kind](connection)
    return found if named else _unnamed(found)


def _unnamed(found: dict[str, Any]) -> dict[str, Any]:
    """The same without the names that the database gave, or that a migration needed."""
    plain: dict[str, Any] = {"constraints": []}
    for name, facts in found.items():
        if name.startswith("constraint "):  # of PostgreSQL
            plain["constraints"].append(repr(facts))
        elif name.startswith("index ") and isinstance(facts, list) and facts[-1:] == [True]:
            continue  # of PostgreSQL, and not what is said of a table of that name
        elif re.search(r" KEY `(?!ix_)", name) and "UNIQUE" not in name:
            continue  # the index of a foreign key
        elif " UNIQUE KEY `" in name or " CONSTRAINT `" in name:  # of MariaDB
            told = re.sub(r" (UNIQUE KEY|CONSTRAINT) `[^`]*`", r" \1", name)
            plain["constraints"].append(told)
        elif name.endswith(" names"):  # of SQLite
            plain[name] = [n for n in facts if not re.match("(uq|ck|fk)_(?!later_)", n)]
        else:
            plain[name] = facts
    plain["constraints"].sort()
    return plain


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What only one of two databases has, by name."""
    found = []
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            found.append(f"{name}: {one.get(name)!r} against {other.get(name)!r}")
    return found


def rows(engine: Engine, schema: Schema) -> dict[int, list[dict[int, Any]]]:
    """The rows by the uids of their tables and columns, as the database stores them."""
    found = {}
    with engine.connect() as connection:
        for table in schema.tables:
            parts = [_stored(engine, sa.column(c.name)).label(f"u{c.uid}") for c in table.columns]
            query = sa.select(*parts).select_from(sa.table(table.name))
            uids = [c.uid for c in table.columns]
            found[table.uid] = [
                dict(zip(uids, row, strict=True)) for row in connection.execute(query)
            ]
    return found


def _stored(engine: Engine, column: Any) -> Any:
    if engine.dialect.name == "sqlite":
        return sa.func.quote(column)  # says the storage class, too
    return sa.cast(column, sa.Text) if engine.dialect.name == "postgresql" else column


def _sqlite(connection: Connection) -> dict[str, Any]:
    def ask(sql: str) -> list[Any]:
        return connection.exec_driver_sql(sql).fetchall()

    found: dict[str, Any] = {}
    for name, sql in ask("SELECT name, sql FROM sqlite_master WHERE type = 'table'"):
        if name in OURS or name.startswith("sqlite_"):
            continue
        quoted = '"' + name.replace('"', '""') + '"'
        for _, column, type_, null, default, primary, hidden in ask(
            f"PRAGMA table_xinfo({quoted})"
        ):
            type_ = type_.replace("DOUBLE", "FLOAT")  # one and the same here
            found[f"{name}.{column}"] = (type_, null, _default(default), primary, hidden)
        keys = defaultdict(list)
        for number, _, table, ours, theirs, update, delete, _ in ask(
            f"PRAGMA foreign_key_list({quoted})"
        ):
            keys[number].append((table, ours, theirs, update, delete))
        found[f"{name} keys"] = sorted(sorted(key) for key in keys.values())
        found[f"{name} deferred"] = len(re.findall("INITIALLY DEFERRED", sql))
        # nothing can use the name of a primary key here: it is not compared
        said = re.findall(r'CONSTRAINT\s+("[^"]+"|\w+)(?!\s+PRIMARY)\b', sql)
        found[f"{name} names"] = sorted(part.strip('"') for part in said)
        found[f"{name} checks"] = sorted(_bracketed(sql, r"\bCHECK\s*\("))
        found[f"{name} computed"] = sorted(_bracketed(sql, r"\bAS\s*\("))
        found[f"{name} autoincrement"] = "AUTOINCREMENT" in sql
        for _, index, unique, origin, partial in ask(f"PRAGMA index_list({quoted})"):
            columns = ask(f'PRAGMA index_xinfo("{index}")')
            parts = tuple((row[2], row[3], row[4]) for row in columns if row[5])
            text = ask(f"SELECT sql FROM sqlite_master WHERE name = '{index}'")
            said = _words(text[0][0]) if text and text[0][0] else ""
            key = index if origin == "c" else f"{origin}{parts}"
            found[f"{name} index {key}"] = (unique, partial, parts, said)
    return found


def _default(text: str | None) -> str | None:
    while text and text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return text


def _bracketed(sql: str, before: str) -> list[str]:
    found = []
    for start in re.finditer(before, sql):
        place, depth, text = start.end(), 1, ""
        quote = None
        while depth:
            letter = sql[place]
            if quote:
                quote = None if letter == quote else quote
            elif letter in "'\"":
                quote = letter
            else:
                depth += {"(": 1, ")": -1}.get(letter, 0)
            text += letter
            place += 1
        found.append(_words(text[:-1]))
    return found


def _words(sql: str) -> str:
    return re.sub(r"\s+", " ", sql.replace('"', "")).strip()


POSTGRESQL = {
    "column": """
        SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            -- a sequence keeps its name when its table gets another one
            regexp_replace(pg_get_expr(d.adbin, d.adrelid), '^nextval\\(.*', 'nextval'),
            a.attidentity, a.attgenerated,
            col_description(c.oid, a.attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
            AND NOT a.attisdropped""",
    "constraint": """
        SELECT conrelid::regclass || ' ' || conname, contype, pg_get_constraintdef(oid),
            convalidated, obj_description(oid), conrelid::regclass::text
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'""",
    "index": """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisunique, indisvalid,
            EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype <> 'f')
        FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        WHERE c.relnamespace = 'public'::regnamespace""",
    "type": """
        SELECT t.typname, array_agg(e.enumlabel ORDER BY e.enumsortorder)
        FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY t.typname""",
    "sequence of": """
        SELECT coalesce(a.attrelid::regclass || '.' || a.attname, 'nothing') FROM pg_class c
        LEFT JOIN pg_depend d ON d.objid = c.oid AND d.deptype IN ('a', 'i')
        LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE c.relkind = 'S' AND c.relnamespace = 'public'::regnamespace""",
    "comment": """
        SELECT relname, obj_description(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace""",
}


def _postgresql(connection: Connection) -> dict[str, Any]:
    found = {}
    for kind, query in POSTGRESQL.items():
        for name, *facts in connection.exec_driver_sql(query.replace("%", "%%")):
            if not name.strip('"').startswith(OURS):
                facts = [_bare(fact) if kind == "constraint" else fact for fact in facts]
                found[f"{kind} {name}"] = facts
    return found


def _bare(fact: Any) -> Any:
    """A CHECK without casts and brackets: each time it is made from its text they are others."""
    if not isinstance(fact, str):
        return fact
    return re.sub(r"::[a-z ]+(\[\])?|[()]", "", fact)


def _mysql(connection: Connection) -> dict[str, Any]:
    found: dict[str, Any] = {}
    tables = connection.exec_driver_sql("SHOW TABLES").scalars().all()
    for name in tables:
        if name in OURS:
            continue
        quoted = "`" + name.replace("`", "``") + "`"
        said = connection.exec_driver_sql(f"SHOW CREATE TABLE {quoted}").one()[1]
        # MySQL writes -(7) of a new expression, and -7 once its table was altered
        said = re.sub(r"-\((\d+)\)", r"-\1", said)
        lines = [line.strip().rstrip(",") for line in said.splitlines()[1:]]
        options = re.sub(r" AUTO_INCREMENT=\d+", "", lines.pop())
        found[f"{name} options"] = options
        for line in lines:
            # the index that a foreign key makes may be any other, and stays when the key goes
            if line.startswith("KEY `fk_"):
                continue
            found[f"{name} {line}"] = True
    return found
