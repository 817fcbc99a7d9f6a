"""MySQL's and MariaDB's own account of their schema: information_schema.

https://mariadb.com/kb/en/information-schema-tables/
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache
from itertools import groupby

from alembic.util import sqla_compat
from sqlalchemy import CheckConstraint, Connection, Dialect, MetaData
from sqlalchemy import Table as Model
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import conv

from .. import catalog, literals, pipeline
from ..lexer import closing, string
from ..scratch import servers
from ..typing import Row, Value

# MySQL's columns and CHECKs as SHOW CREATE TABLE has them: information_schema knows no temporary table.
#
# https://mariadb.com/kb/en/show-create-table/, https://dev.mysql.com/doc/refman/8.4/en/show-create-table.html


NAME = re.compile(r"\s*`((?:[^`]|``)*)` ?")
# a string, a name, a word, or any other sign
TOKEN = re.compile(r"'(?:[^'\\]|''|\\.)*'|`(?:[^`]|``)*`|[^\s()'`]+|[()]", re.DOTALL)
CHECK = re.compile(r"\s*CONSTRAINT `((?:[^`]|``)*)` CHECK ", re.IGNORECASE)
COMMENT = re.compile(r"/\*!\d+|\*/")
# what begins the next clause of a column: https://mariadb.com/kb/en/create-table/#column-definitions
BEGINS = (
    *("CHARACTER SET", "COLLATE", "GENERATED ALWAYS AS", "VIRTUAL", "STORED", "PERSISTENT"),
    *("NOT NULL", "NULL", "DEFAULT", "AUTO_INCREMENT", "ON UPDATE", "COMMENT", "CHECK"),
    *("INVISIBLE", "WITHOUT SYSTEM VERSIONING", "COMPRESSED", "SRID", "COLUMN_FORMAT", "STORAGE"),
)


def _said(sql: str) -> tuple[dict[str, Mapping[str, str]], list[tuple[str, str]]]:
    """Return the clauses of each column, and each CHECK with its name: in a column, the column's.

    :param sql: what SHOW CREATE TABLE says
    """
    columns: dict[str, Mapping[str, str]] = {}
    checks = []
    for line in _lines(sql):
        if check := CHECK.match(line):
            checks.append((check[1].replace("``", "`"), _inside(line[check.end() :])))
        elif found := NAME.match(line):
            name = found[1].replace("``", "`")
            columns[name] = _clauses(line[found.end() :])
            if own := columns[name].get("CHECK"):
                checks.append((name, own))
    return columns, sorted(checks)


def _lines(sql: str) -> list[str]:
    body = sql.rpartition("\n)")[0]
    return [COMMENT.sub("", line).rstrip().removesuffix(",") for line in body.split("\n")[1:]]


@lru_cache(1000)  # most columns are defined in words that come again
def _clauses(text: str) -> Mapping[str, str]:
    """Divide a column's definition at the words that begin a clause; the type has no such word."""
    tokens = list(TOKEN.finditer(text))
    found: dict[str, str] = {}
    word, start, depth, place = "", 0, 0, 0
    while place < len(tokens):
        token = tokens[place]
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        begins = next((b for b in BEGINS if _is(tokens, place, b)), None) if not depth else None
        # the value of DEFAULT NULL is no clause
        if begins and not (word == "DEFAULT" and not text[start : token.start()].strip()):
            found.setdefault(word, _inside(text[start : token.start()]))
            place += begins.count(" ")
            word, start = begins, tokens[place].end()
        place += 1
    found.setdefault(word, _inside(text[start:]))
    return found


def _is(tokens: list[re.Match[str]], place: int, words: str) -> bool:
    wanted = words.split()
    return [token[0].upper() for token in tokens[place : place + len(wanted)]] == wanted


# MySQL writes -(5) of a new expression, and -5 once its table was altered
NEGATIVE = re.compile(r"-\((\d+(?:\.\d+)?(?:e[-+]?\d+)?)\)", re.IGNORECASE)


def _compared(expression: str) -> str:
    return NEGATIVE.sub(r"-\1", expression)


def _inside(text: str) -> str:
    """Return an expression without the parentheses around all of it."""
    text = text.strip()
    tokens = TOKEN.findall(text)
    return text[1:-1] if tokens and closing(tokens) == len(tokens) - 1 else text


# MySQL and MariaDB: the shadow is a temporary table; where that cannot be one, it is made in a database of
# its own, if that may be made.


REFLECTED_INDEXES = "SHOW INDEX FROM {}"
NAMES = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
# InnoDB compresses no temporary table: https://mariadb.com/kb/en/innodb-compressed-row-format/
NOT_TEMPORARY = ("_row_format", "_key_block_size", "_page_compressed", "_page_compression_level")
NOT_IN_A_TEMPORARY = {"FULLTEXT", "SPATIAL"}


def real(connection: Connection, schema: str | None, name: str) -> catalog.ReflectedTable:
    """Return what the database has."""
    return _read(connection, schema or connection.dialect.default_schema_name or "", name)


def ahead(
    connection: Connection, models: list[Model]
) -> tuple[catalog.Reflected, catalog.Reflected]:
    """Return what the database has of many tables, and on MariaDB their shadows, in a few messages."""
    here = {name for (name,) in pipeline.ask(connection, [NAMES])[0]}
    home = connection.dialect.default_schema_name or ""
    models = [model for model in models if model.schema is None and model.name in here]
    questions = [one for model in models for one in _questions(connection, home, model.name)]
    answers = iter(pipeline.ask(connection, questions))
    reals = {model: _reflected(next(answers)[0][1], next(answers)) for model in models}
    shadows: catalog.Reflected = {}
    if getattr(connection.dialect, "is_mariadb", False):
        with suppress(SQLAlchemyError):  # one by one it is said of which table
            shadows = _shadows(connection, [model for model in models if _is_plain(model)])
    return reals, shadows


def _is_plain(model: Model) -> bool:
    """Whether its shadow is a temporary table and its indexes, each as it is."""
    return not (_is_permanent(model) or _has_checks(model) or model._prefixes)


def _shadows(connection: Connection, models: list[Model]) -> catalog.Reflected:
    """Make the table of each, ask the database of it, and take it away, in a few messages."""
    home = connection.dialect.default_schema_name or ""
    dialect = literals.dialect(connection.dialect)
    made: dict[Model, list[str]] = {}
    for model in models:
        indexes = [str(CreateIndex(index).compile(dialect=dialect)) for index in model.indexes]
        texts = [_temporarily(model, dialect), *indexes]
        if _stays_apart(texts[0]) and not any(";" in one for one in texts):  # as between statements
            made[model] = texts
    away = [f"DROP TEMPORARY TABLE {pipeline.quoted(connection, one.name)}" for one in made]
    said = ["SELECT 1"]
    for (model, texts), drop in zip(made.items(), away, strict=True):
        said += [*texts, *_questions(connection, home, model.name), drop]
    with _unseen(connection):
        try:
            _, *found = pipeline.ask(connection, said)
        except SQLAlchemyError:
            there = [drop.replace("TABLE", "TABLE IF EXISTS", 1) for drop in away]
            pipeline.run(connection, there)
            raise
    answers = iter(found)
    return {model: _reflected(next(answers)[0][1], next(answers)) for model in made}


def shadow(connection: Connection, model: Model) -> catalog.ReflectedTable:
    """Make the model's table, ask the database of it, and take it away.

    :raises servers.NotAllowed: when the account may do that nowhere
    """
    made = _with_checks_apart(model, connection) if _has_checks(model) else model
    beside = _is_permanent(model) and servers.is_scratch(connection.engine.url)
    return (_beside if beside else _temporary)(connection, made)


def _is_permanent(model: Model) -> bool:
    """Whether no temporary table is quite the same."""
    indexes = {index.dialect_options["mysql"]["prefix"] for index in model.indexes}
    permanent = any(option.endswith(NOT_TEMPORARY) for option in model.kwargs)
    return bool(permanent or indexes & NOT_IN_A_TEMPORARY)


@contextmanager
def _unseen(connection: Connection) -> Iterator[None]:
    """Say of what is run that it changes no table that stays: no copy is needed to undo it."""
    connection.info[servers.UNSEEN] = True
    try:
        yield
    finally:
        del connection.info[servers.UNSEEN]


def _beside(connection: Connection, model: Model) -> catalog.ReflectedTable:
    home = connection.dialect.default_schema_name or ""
    away = servers.beside(home)
    with _unseen(connection):
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


def _temporary(connection: Connection, model: Model) -> catalog.ReflectedTable:
    schema = model.schema or connection.dialect.default_schema_name or ""
    quoted = connection.dialect.identifier_preparer.format_table(model)
    made = model.to_metadata(_alike(model))
    for option in [key for key in made.kwargs if key.endswith(NOT_TEMPORARY)]:
        del made.kwargs[option]
    sql = _temporarily(made, connection.dialect)
    with _unseen(connection) if _stays_apart(sql) else nullcontext():
        try:
            with servers.refusal(connection, connection.engine.url.database or ""):
                connection.exec_driver_sql(sql)
            for index in model.indexes:
                # a temporary table has no such index; Alembic compares those by itself
                if index.dialect_options["mysql"]["prefix"] not in NOT_IN_A_TEMPORARY:
                    connection.execute(CreateIndex(index))
            return _read(connection, schema, model.name)
        finally:
            connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {quoted}")


def _temporarily(model: Model, dialect: Dialect) -> str:
    create = CreateTable(model, include_foreign_key_constraints=[]).compile(dialect=dialect)
    return str(create).strip().replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1)


def _stays_apart(sql: str) -> bool:
    """Whether it is what it is meant to be, and not what somebody's own compiler makes of a table."""
    return sql.startswith("CREATE TEMPORARY TABLE ")


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


Shown = dict[str, list[Value]]  # what SHOW INDEX says of each


def _read(connection: Connection, schema: str, name: str) -> catalog.ReflectedTable:
    created, indexes = pipeline.ask(connection, _questions(connection, schema, name))
    return _reflected(created[0][1], indexes)


def _reflected(text: str, indexes: list[Row]) -> catalog.ReflectedTable:
    said, ruled = _said(text)
    # the type JSON is an alias there, by its own CHECK: https://mariadb.com/kb/en/json/
    json = {rule for rule, sql in ruled if sql == f"json_valid(`{rule}`)"}
    columns = {}
    for column, clauses in said.items():
        default, computed = clauses.get("DEFAULT"), clauses.get("GENERATED ALWAYS AS")
        plain = None if default in (None, "NULL") else catalog.moment(default)
        stored = "VIRTUAL" if "VIRTUAL" in clauses else "STORED"
        if "ON UPDATE" in clauses:
            plain = f"{plain or ''} on update {clauses['ON UPDATE']}"
        columns[column] = catalog.ReflectedColumn(
            type="json" if column in json else clauses[""],
            default=None if computed else plain,
            generated=f"{_compared(computed)} {stored} GENERATED" if computed else None,
            collation=clauses.get("COLLATE"),
            counts="auto_increment" if "AUTO_INCREMENT" in clauses else None,
        )
    checks = [
        catalog.ReflectedCheck(rule, _compared(sql), sql) for rule, sql in ruled if rule not in json
    ]
    shown = _shown(indexes)
    key = shown.pop("PRIMARY", [])
    return catalog.ReflectedTable(
        columns,
        tuple(checks),
        _indexes(shown),
        key=tuple(row["Column_name"] for row in key),
        uniques=dict(_uniques(shown)),
    )


def _uniques(shown: Shown) -> Iterator[tuple[str, catalog.ReflectedUnique]]:
    for name, rows in shown.items():
        columns = [row["Column_name"] for row in rows]
        # an index on an expression or a part of a text is no constraint
        if not rows[0]["Non_unique"] and all(columns) and not any(r["Sub_part"] for r in rows):
            yield name, catalog.ReflectedUnique(repr(columns), tuple(columns))


# what SHOW INDEX says; MariaDB says Ignored for Visible, and no Expression
SHOWN = (
    *("Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name", "Collation", "Cardinality"),
    *("Sub_part", "Packed", "Null", "Index_type", "Comment", "Index_comment", "Visible"),
    "Expression",
)


def _questions(connection: Connection, schema: str, name: str) -> list[str]:
    quoted = pipeline.quoted(connection, schema, name)
    return [f"SHOW CREATE TABLE {quoted}", REFLECTED_INDEXES.format(quoted)]


def _shown(rows: list[Row]) -> Shown:
    """Return the parts of each index, in their order."""
    parts: Shown = {}
    said = [dict(zip(SHOWN, row, strict=False)) for row in rows]
    for part in sorted(said, key=lambda part: part["Seq_in_index"]):
        parts.setdefault(part["Key_name"], []).append(part)
    return parts


def _indexes(parts: Shown) -> dict[str, catalog.ReflectedIndex]:
    compared = ("Non_unique", "Column_name", "Collation", "Sub_part", "Index_type")
    return {
        key: catalog.ReflectedIndex(
            key,
            repr([[*(row[name] for name in compared), row.get("Expression")] for row in rows]),
            not rows[0]["Non_unique"],
            _directions(rows),
        )
        for key, rows in parts.items()
    }


def _directions(rows: list[Value]) -> tuple[str, ...]:
    """The parts of an index of which one is DESC, which SQLAlchemy does not reflect."""
    down = [row["Collation"] == "D" for row in rows]
    names = [row["Column_name"] for row in rows]
    if not any(down) or not all(names) or any(row["Sub_part"] for row in rows):
        return ()
    return tuple(
        f"{name if name.isidentifier() else f'`{name}`'} DESC" if desc else name
        for name, desc in zip(names, down, strict=True)
    )


# https://mariadb.com/kb/en/show-create-table/, https://dev.mysql.com/doc/refman/8.4/en/show-create-table.html
INTEGER = re.compile(r"\b((?:tiny|small|medium|big)?int)\((\d+)\)", re.IGNORECASE)
# SQLAlchemy puts now() in parentheses, which MySQL keeps as an expression
NOW = re.compile(r"\bcurrent_timestamp\(\)|\(now\(\)\)", re.IGNORECASE)
# MariaDB's word for JSON
JSON = re.compile(
    r"\blongtext(?: CHARACTER SET \w+)?(?: COLLATE \w+)?(.*?) CHECK \(json_valid\(`[^`]+`\)\)"
)
DEFINER = re.compile(r" DEFINER=`[^`]*`@`[^`]*`")
PLAIN_NUMBER = re.compile(r"\bDEFAULT '(-?\d+(?:\.\d+)?)'")


def statements(connection: Connection, ignored: set[str]) -> Iterator[str]:
    """Give the tables with their triggers, and then the views."""
    query = "SHOW FULL TABLES"
    found = sorted(tuple(row) for row in connection.exec_driver_sql(query))
    triggers = connection.exec_driver_sql("SHOW TRIGGERS").mappings().all()
    here = connection.exec_driver_sql("SELECT DATABASE()").scalar()
    # saying them again says nothing
    sets = "SELECT @@character_set_database, @@collation_database"
    collations = tuple(connection.exec_driver_sql(sets).one())
    tables = [name for name, kind in found if kind == "BASE TABLE" and name not in ignored]
    for name, sql in zip(tables, _show(connection, "TABLE", *tables), strict=True):
        yield _table(sql[1], collations)
        for trigger in sorted(triggers, key=lambda row: row["Trigger"]):
            if trigger["Table"] == name:
                (shown,) = _show(connection, "TRIGGER", trigger["Trigger"])
                yield DEFINER.sub("", shown[2])
    for name, kind in found:
        if kind == "VIEW" and name not in ignored:
            (shown,) = _show(connection, "VIEW", name)
            plain = DEFINER.sub("", shown[1]).replace(" ALGORITHM=UNDEFINED", "")
            plain = plain.replace(" SQL SECURITY DEFINER", "")
            yield plain.replace(f"`{here}`.", "")


def _show(connection: Connection, kind: str, *names: str) -> list[Row]:
    """Return what SHOW CREATE says of each."""
    queries = [f"SHOW CREATE {kind} {pipeline.quoted(connection, name)}" for name in names]
    return [row for (row,) in pipeline.ask(connection, queries)]


def _table(sql: str, defaults: tuple[str, str]) -> str:
    body, _, options = sql.rpartition("\n)")
    character_set, collation = defaults
    lines = [_line(line, character_set, collation) for line in body.split("\n")]
    kept = re.sub(r" AUTO_INCREMENT=\d+| ENGINE=InnoDB", "", options)
    kept = kept.replace(f" DEFAULT CHARSET={character_set}", "").replace(
        f" COLLATE={collation}", ""
    )
    return "\n".join([*lines, f"){kept}"])


def _line(line: str, character_set: str, collation: str) -> str:
    code, *quoted = re.split(r"(?= COMMENT ')", line, maxsplit=1)
    # 1 is how both say a BOOLEAN
    code = INTEGER.sub(lambda one: one[0] if one[2] == "1" else one[1], code)
    code = NOW.sub("CURRENT_TIMESTAMP", code)
    code = _compared(PLAIN_NUMBER.sub(r"DEFAULT \1", code))
    code = code.replace(f" CHARACTER SET {character_set}", "").replace(f" COLLATE {collation}", "")
    code = JSON.sub(r"json\1", code)
    return "    " + "".join([code, *quoted]).lstrip() if line.startswith(" ") else line


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


def read(connection: Connection, ignore: frozenset[str]) -> catalog.Schema:
    """Read the database that the connection is in."""
    # a constraint's name is unique in a table on MariaDB, in a database on MySQL
    mariadb = getattr(connection.dialect, "is_mariadb", False)
    checks = CHECKS.format(same_table="AND t.table_name = c.table_name" if mariadb else "")
    found = pipeline.ask(
        connection, [TABLES, COLUMNS, INDEXES, KEYS, checks, TRIGGERS, VIEWS, "SELECT DATABASE()"]
    )
    return catalog.told(_schema, [ignore, mariadb, *found])


def _schema(ignore: frozenset[str], mariadb: bool, *said: list[Row]) -> catalog.Schema:
    tables, columns, indexes, keys, checked, triggers, views = (
        [row for row in rows if row[0] not in ignore] for rows in said[:-1]
    )
    schema = catalog.Schema()
    for name, kind, engine, collation, comment in tables:
        if kind == "BASE TABLE":
            table = schema.tables[name] = catalog.Table(name)
            table.parts["options"] = f"{engine} {collation} {comment or ''}".strip()
    for name, *facts in columns:
        if name in schema.tables:
            _column(schema.tables[name], *(facts if mariadb else _as_mariadb(*facts)))
    for (name, index), parts in groupby(indexes, key=lambda row: row[:2]):
        _index(schema.tables[name], index, list(parts))
    for (name, key), parts in groupby(keys, key=lambda row: row[:2]):
        _foreign_key(schema.tables[name], key, list(parts))
    for name, constraint, clause in checked:
        table = schema.tables[name]
        clause = clause if mariadb else _expression(clause)
        table.checks.append(catalog.Check(clause, clause, constraint))
        if clause == f"json_valid(`{constraint}`)":
            continue  # this is how MariaDB spells the type JSON
        table.call(f"check ({clause})", constraint)
    for name, trigger, *definition in triggers:
        schema.tables[name].parts[f"trigger {trigger}"] = " ".join(definition)
    # a view's text says the name of the database, which is another for each scratch
    ((here,),) = said[-1]
    for name, definition in views:
        schema.others[f"view {name}"] = (definition or "").replace(f"`{here}`.", "")
    return schema


# MySQL escapes the quotes of its expressions, and writes none around a string that is a default:
# https://dev.mysql.com/doc/refman/8.4/en/information-schema-columns-table.html
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# https://dev.mysql.com/doc/refman/8.4/en/charset-introducer.html
INTRODUCER = re.compile(r"('(?:[^'\\]|''|\\.)*'|`[^`]*`)|\b_[a-z0-9]+(?=')", re.DOTALL)
QUOTED = re.compile(r"(?:var)?char|enum|set|date|time")


def _expression(said: Value) -> str:
    signs = {"n": "\n", "r": "\r", "0": "\0"}
    plain = ESCAPED.sub(lambda one: signs.get(one[1], one[1]), _text(said))
    return _compared(INTRODUCER.sub(lambda one: one[1] or "", plain))


def _as_mariadb(name: str, declared: Value, nullable: str, *facts: Value) -> list[Value]:
    """Return what is said of a column as MariaDB would say it."""
    default, extra, expression, *rest = facts
    if "DEFAULT_GENERATED" in (extra or ""):
        default = catalog.moment(_expression(default))
    elif default is not None and QUOTED.match(_text(declared)):
        default = string(_text(default).replace("\\", "\\\\"))
    return [name, declared, nullable, default, extra, _expression(expression or ""), *rest]


def _column(table: catalog.Table, name: str, declared: str, nullable: str, *facts: Value) -> None:
    default, extra, expression, collation, comment = facts
    extra = (extra or "").lower()
    own = table.parts["options"].split()[1:2]
    more = {
        "extra": extra.replace("default_generated", "").strip(),
        "generated": expression,
        "collation": collation if collation and [collation] != own else None,
        "comment": comment,
    }
    table.columns[name] = catalog.Column(
        name=name,
        type=_text(declared).lower() if "'" not in _text(declared) else _text(declared),
        nullable=nullable == "YES",
        default=None if default in (None, "NULL") else _text(default),
        automatic="auto_increment" in extra,
        generated=bool(expression),
        expression=_text(expression) if expression else None,
        more=tuple((key, _text(value)) for key, value in more.items() if value),
    )


def _text(value: Value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _index(table: catalog.Table, index: str, rows: list[Row]) -> None:
    _, _, non_unique, *_, kind = rows[0]
    columns = tuple(row[3] for row in rows if row[3])
    if index == "PRIMARY":
        table.primary_key = columns
        table.call(f"primary key {catalog.listed(columns)}", None)
    else:
        parts = [
            f"{column or 'an expression'}{f'({part})' if part else ''}{' desc' if way == 'D' else ''}"
            for _, _, _, column, part, way, _ in rows
        ]
        unique = "" if non_unique else "unique "
        table.parts[f"index {index}"] = f"{unique}{kind.lower()} ({', '.join(parts)})"
    if not non_unique:
        table.uniques.append(catalog.Unique(columns))


def _foreign_key(table: catalog.Table, name: str, rows: list[Row]) -> None:
    columns = tuple(row[2] for row in rows)
    parent, referred = rows[0][3], tuple(row[4] for row in rows)
    on_update, on_delete = rows[0][5:7]
    table.foreign_keys.append(catalog.ForeignKey(columns, parent, referred, name=name))
    label = f"foreign key {catalog.listed(columns)} to {parent}"
    table.call(label, name)
    table.options[label] = (
        f"{catalog.listed(referred)} on update {on_update} on delete {on_delete}".lower()
    )
