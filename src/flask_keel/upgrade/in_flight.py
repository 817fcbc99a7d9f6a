"""Whether a statement that ran when its process was killed has taken effect, by the catalogue."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from alembic.util import CommandError
from sqlalchemy import Connection, Inspector, inspect, text
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from .. import integrity, lexer
from ..lexer import NAME
from ..statements import begin, effects, short
from ..typing import Value

BUSY_POSTGRESQL = (
    "SELECT count(*) FROM pg_stat_activity WHERE pid = :session AND pid <> pg_backend_pid()"
)
BUSY_MYSQL = (
    "SELECT count(*) FROM information_schema.processlist "
    "WHERE id = :session AND id <> connection_id() AND command <> 'Sleep'"
)


IF = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?+"
_WORDS = re.IGNORECASE | re.DOTALL
# what says the same when it is run twice
AGAIN = re.compile(
    r"(GRANT|REVOKE|ANALYZE|OPTIMIZE|TRUNCATE|COMMENT|VACUUM|REINDEX|REFRESH|CLUSTER|FLUSH|REPAIR"
    r"|CREATE\s+OR\s+REPLACE|(CREATE|DROP|ALTER)\s+DATABASE|DROP\s+(TABLE|VIEW)\s+IF\s+EXISTS"
    r"|ALTER\s+INDEX\s+\S+\s+ATTACH)\b",
    _WORDS,
)
CLAUSE_AGAIN = re.compile(
    r"(MODIFY|ALTER(?!.*\b(USING|IDENTITY|EXPRESSION)\b)|VALIDATE|COMMENT|ENGINE|CONVERT\s+TO"
    r"|AUTO_INCREMENT|SET(?!\s+SCHEMA)|DEFAULT|CHARACTER|COLLATE|ORDER|ENABLE|DISABLE|OWNER|ROW_FORMAT"
    r"|FORCE|CLUSTER|REPLICA|ALGORITHM|LOCK|NOWAIT|WAIT|TRUNCATE)\b"
    r"|(ADD|DROP|CHANGE|RENAME)(\s+\w+)*?\s+IF\s+(NOT\s+)?EXISTS\b",
    _WORDS,
)
INDEX = r"(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?(?:INDEX|KEY)\s+"
END = r"(?:[\s(].*)?"
KINDS = "TRIGGER|PROCEDURE|FUNCTION|EVENT|SEQUENCE|TYPE|SCHEMA|EXTENSION"
# what one statement drops and makes anew is there before it and afterwards
ANEW = re.compile(
    r"(?P<verb>ADD|DROP)\s+(?:(?:CONSTRAINT|(?P<column>COLUMN)|FOREIGN\s+KEY|CHECK"
    rf"|(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?(?:INDEX|KEY))\s+{IF}|(?P<bare>(?!PRIMARY\b)))(?P<name>{NAME})",
    _WORDS,
)
ADDS_KEY = re.compile(r"ADD\b.*\bPRIMARY\s+KEY\b", _WORDS)
# where each kind is listed: PostgreSQL's catalogue, and MySQL's
LISTED = {
    "TRIGGER": ("pg_trigger", "tgname", "triggers", "trigger_name"),
    "PROCEDURE": ("pg_proc", "proname", "routines", "routine_name"),
    "FUNCTION": ("pg_proc", "proname", "routines", "routine_name"),
    "EVENT": ("pg_event_trigger", "evtname", "events", "event_name"),
    "SEQUENCE": ("pg_class", "relname", "tables", "table_name"),
    "TYPE": ("pg_type", "typname", "tables", "table_name"),
    "SCHEMA": ("pg_namespace", "nspname", "schemata", "schema_name"),
    "EXTENSION": ("pg_extension", "extname", "plugins", "plugin_name"),
}
SCHEMAS = {"triggers": "trigger_schema", "routines": "routine_schema", "events": "event_schema"}

# of PostgreSQL's, the schema in which one is
WITHIN = {"pg_proc": "pronamespace", "pg_class": "relnamespace", "pg_type": "typnamespace"}

READS = re.compile(rf"\b(?:FROM|JOIN)\s+({NAME})", _WORDS)
# after which a read gets other rows, or other values; after the rest the same, or an error
ROWS = {"insert", "delete", "update", "drop", "unreadable"}

BY_HAND = (
    "or finish by hand what the file does and type db stamp with its revision, or undo it by "
    "hand and type db stamp --purge with the revision before it."
)
STALE = (
    "{read} since an earlier try, so that {next} might not get what it is meant for: read nothing there "
    f"where it needs nothing of that, {BY_HAND}"
)
READ = (
    "let that line read what is there now, where what does not stand yet needs it, and try again, "
    f"{BY_HAND}"
)

Answer = bool | None


class Reads:
    """What a second try reads before statements of an earlier one, which have changed it since."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.tables: dict[str, str] = {}
        self.failing = ""  # the one that was sent last
        self.stale = ""

    def read(self, statement: str) -> None:
        self.failing = statement
        for name in READS.findall(lexer.without_comments(statement, self.database)):
            self.tables[lexer.parts(name)[-1].lower()] = statement

    def skipped(self, statement: str) -> None:
        """A statement stands."""
        self.failing = ""
        for effect in effects(statement, self.database) if self.tables else ():
            named = [effect.table.name] if effect.table else self._names(statement)
            read = next(filter(None, map(self.tables.get, map(str.lower, named))), "")
            if effect.verb in ROWS and read:
                self.stale = f"{short(read)} was read again, after {short(statement)} had run"

    def require_fresh(self, next: str) -> None:
        if self.stale:
            raise CommandError(STALE.format(read=self.stale, next=short(next)))

    def advice(self, error: BaseException) -> str:
        """Return what to do where a read failed that an earlier try has done; else ""."""
        failed = isinstance(error, DBAPIError) and error.statement == self.failing
        return READ if failed and integrity.advice(error) == integrity.FILE else ""

    def _names(self, statement: str) -> list[str]:
        tokens = lexer.tokens(statement, self.database)
        return [lexer.unquote(text) for kind, text in tokens if kind in ("name", "word")]


def ran(connection: Connection, statement: str) -> Answer:
    """Return whether the statement stands, and is to be left out; False where it is to be run (again),
    None where that cannot be told.
    """
    database = connection.dialect.name
    # a percent sign is doubled for the driver
    plain = lexer.without_comments(statement.replace("%%", "%"), database)
    sql = " ".join(plain[begin(plain, database) :].split()).rstrip("; ")
    if AGAIN.match(sql):
        return False
    look = _Look(connection)
    for pattern, answer in STATEMENTS:
        if found := re.fullmatch(pattern, sql, _WORDS):
            with suppress(NoSuchTableError):
                return answer(look, *found.groups())
            return False
    return None


class _Look:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.postgresql = connection.dialect.name == "postgresql"
        self.inspector: Inspector = inspect(connection)

    def split(self, name: str) -> tuple[str, str | None]:
        """Return a name and its schema; PostgreSQL takes one without quotes in small letters."""
        parts = [
            text.lower() if kind == "word" and self.postgresql else lexer.unquote(text)
            for kind, text in lexer.tokens(name)
            if kind in ("name", "word")
        ]
        return parts[-1], parts[-2] if parts[1:] else None

    def table(self, name: str) -> bool:
        if self.postgresql:
            return self.one("SELECT to_regclass(:name)", name=name) is not None
        table, schema = self.split(name)
        return table in (
            *self.inspector.get_table_names(schema),
            *self.inspector.get_view_names(schema),
        )

    def columns(self, table: str) -> set[str]:
        name, schema = self.split(table)
        return {column["name"].lower() for column in self.inspector.get_columns(name, schema)}

    def key(self, table: str) -> list[str]:
        name, schema = self.split(table)
        return self.inspector.get_pk_constraint(name, schema)["constrained_columns"] or []

    def named(self, table: str, kind: str, name: str) -> bool:
        """Whether there is an index or a constraint of that name; CONSTRAINT is one of any kind."""
        (called, _), (of, schema) = self.split(name), self.split(table)
        word = kind.split()[0].upper()
        found: list[Value] = []
        if word in ("FOREIGN", "CONSTRAINT"):
            found += self.inspector.get_foreign_keys(of, schema)
        if word in ("CHECK", "CONSTRAINT"):
            found += self.inspector.get_check_constraints(of, schema)
        if word in ("UNIQUE", "CONSTRAINT", "EXCLUDE"):
            found += self.inspector.get_unique_constraints(of, schema)
        # the one that MySQL made for a foreign key stays when that is dropped
        exclude = self.postgresql and word == "CONSTRAINT"
        if word in ("UNIQUE", "INDEX", "KEY", "EXCLUDE") or exclude:
            found += self.inspector.get_indexes(of, schema)
        if word in ("PRIMARY", "CONSTRAINT"):
            found.append(self.inspector.get_pk_constraint(of, schema))
        return called.lower() in {str(one["name"]).lower() for one in found}

    def one(self, query: str, **values: str) -> Value:
        return self.connection.execute(text(query), values).scalar()

    def listed(self, kind: str, name: str) -> bool:
        catalogue, column, view, key = LISTED[kind.upper()]
        called, schema = self.split(name)
        if self.postgresql:
            query = f"SELECT count(*) FROM {catalogue} WHERE {column} = :name"
            if catalogue in WITHIN:
                place = "nspname = :schema" if schema else "nspname = ANY(current_schemas(false))"
                query += f" AND {WITHIN[catalogue]} IN (SELECT oid FROM pg_namespace WHERE {place})"
        else:
            within = SCHEMAS.get(view, "table_schema" if view == "tables" else "NULL")
            query = f"SELECT count(*) FROM information_schema.{view} WHERE {key} = :name"
            query += "" if within == "NULL" else f" AND {within} = DATABASE()"
        values = {"schema": schema} if schema and ":schema" in query else {}
        return bool(self.one(query, name=called, **values))

    def trigger(self, name: str, table: str) -> bool:
        if not self.postgresql:
            return self.listed("TRIGGER", name)
        query = (
            "SELECT count(*) FROM pg_trigger WHERE tgname = :name AND tgrelid = to_regclass(:table)"
        )
        return bool(self.one(query, name=self.split(name)[0], table=table))


def _create_index(look: _Look, name: str, table: str) -> Answer:
    if not look.postgresql:
        return look.named(table, "INDEX", name)
    called, _ = look.split(name)
    valid = look.one(
        "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE c.relname = :name AND i.indrelid = to_regclass(:table)",
        name=called,
        table=table,
    )
    return bool(valid)


def _drop_index(look: _Look, name: str, table: str | None = None) -> Answer:
    if not look.postgresql:
        return not look.named(str(table), "INDEX", name)
    return look.one("SELECT to_regclass(:name)", name=name) is None


def _add_value(look: _Look, kind: str, label: str) -> Answer:
    return bool(
        look.one(
            "SELECT count(*) FROM pg_enum WHERE enumtypid = to_regtype(:kind) AND enumlabel = :label",
            kind=kind,
            label=lexer.unquote(label),
        )
    )


def _alter(look: _Look, table: str, clauses: str) -> Answer:
    each = list(_divided(clauses, look.connection.dialect.name))
    named = [found for clause in each if (found := ANEW.match(clause))]
    names = {
        verb: {look.split(one["name"])[0].lower() for one in named if one["verb"].upper() == verb}
        for verb in ("ADD", "DROP")
    }
    told, again = set(), True
    for clause in each:
        found = ANEW.match(clause)
        if found and look.split(found["name"])[0].lower() in names["ADD"] & names["DROP"]:
            # a column is not to be emptied twice
            again = again and found["column"] is None and found["bare"] is None
        elif clause.upper() == "DROP PRIMARY KEY" and any(map(ADDS_KEY.match, each)):
            continue  # the other clause tells
        elif not CLAUSE_AGAIN.match(clause):
            with suppress(NoSuchTableError):  # which another clause has renamed
                answer = _clause(look, table, clause)
                told |= {answer} - {None}
                again = again and answer is not None
    # a statement is done as a whole: one of its clauses that can be told tells of all
    if told:
        return told.pop() if len(told) == 1 else None
    return False if again else None


def _clause(look: _Look, table: str, clause: str) -> Answer:
    for pattern, answer in CLAUSES:
        if found := re.match(pattern, clause, _WORDS):
            return answer(look, table, *found.groups())
    return None


def _divided(clauses: str, database: str) -> Iterator[str]:
    texts = [part for _, part in lexer.tokens(clauses, database)]
    clause = ""
    for part, depth in zip(texts, lexer.depths(texts), strict=True):
        if part == "," and not depth:
            yield clause.strip()
            clause = ""
        else:
            clause += part
    yield clause.strip()


def _key_is(look: _Look, table: str, columns: str) -> Answer:
    named = [
        lexer.unquote(text) for kind, text in lexer.tokens(columns) if kind in ("name", "word")
    ]
    return [one.lower() for one in look.key(table)] == [one.lower() for one in named]


def _renamed(look: _Look, table: str, old: str, new: str) -> Answer:
    before, after = look.split(old)[0].lower(), look.split(new)[0].lower()
    if before == after:
        return False  # CHANGE to another type: once more is the same
    found = look.columns(table)
    return None if {before, after} <= found else after in found


def _other_name(look: _Look, table: str, old: str, new: str) -> Answer:
    kind = "CONSTRAINT" if look.postgresql else "INDEX"
    return look.named(table, kind, new) and not look.named(table, kind, old)


def _moved(look: _Look, old: str, new: str) -> Answer:
    schema = look.split(old)[1]
    there = f"{schema}.{new}" if schema and not look.split(new)[1] else new
    return look.table(there) and not look.table(old)


def _added(look: _Look, table: str, column: str) -> Answer:
    return look.split(column)[0].lower() in look.columns(table)


def _named(look: _Look, table: str, name: str, kind: str) -> Answer:
    return look.named(table, kind, name)


def _index(look: _Look, table: str, name: str) -> Answer:
    return look.named(table, "INDEX", name)


def _dropped(look: _Look, table: str, kind: str, name: str) -> Answer:
    return not look.named(table, kind, name)


def _gone(answer: Callable[..., Answer]) -> Callable[..., Answer]:
    return lambda *given: not answer(*given)


Rules = tuple[tuple[str, Callable[..., Answer]], ...]

STATEMENTS: Rules = (
    (rf"CREATE\s+(?:UNLOGGED\s+)?TABLE\s+{IF}({NAME}){END}", _Look.table),
    (rf"CREATE\s+(?:[\w=@`]+\s+)*?VIEW\s+{IF}({NAME}){END}", _Look.table),
    (
        rf"DROP\s+(?:TABLE|(?:MATERIALIZED\s+)?VIEW)\s+{IF}({NAME})(?:\s+(?:CASCADE|RESTRICT))?",
        _gone(_Look.table),
    ),
    (rf"RENAME\s+TABLE\s+({NAME})\s+TO\s+({NAME})", _moved),
    (rf"ALTER\s+TABLE\s+{IF}({NAME})\s+RENAME\s+(?:TO\s+|AS\s+)(\S+)", _moved),
    (
        r"CREATE\s+(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?INDEX\s+(?:CONCURRENTLY\s+)?+"
        rf"{IF}({NAME})\s+ON\s+(?:ONLY\s+)?({NAME}).*",
        _create_index,
    ),
    (
        rf"DROP\s+INDEX\s+(?:CONCURRENTLY\s+)?+{IF}({NAME})(?:\s+ON\s+({NAME}))?"
        r"(?:\s+CASCADE|\s+RESTRICT|\s+(?:ALGORITHM|LOCK)\b.*)?",
        _drop_index,
    ),
    (rf"ALTER\s+TYPE\s+({NAME})\s+ADD\s+VALUE\s+{IF}('(?:[^']|'')*').*", _add_value),
    (rf"CREATE\s+(?:CONSTRAINT\s+)?TRIGGER\s+{IF}({NAME})\s.*?\sON\s+({NAME}){END}", _Look.trigger),
    (rf"DROP\s+TRIGGER\s+{IF}({NAME})\s+ON\s+({NAME}){END}", _gone(_Look.trigger)),
    (rf"CREATE\s+(?:DEFINER\s*=\s*\S+\s+)?({KINDS})\s+{IF}({NAME}){END}", _Look.listed),
    (rf"DROP\s+({KINDS})\s+{IF}({NAME}){END}", _gone(_Look.listed)),
    (rf"ALTER\s+TABLE\s+{IF}(?:ONLY\s+)?({NAME})\s+(.*)", _alter),
)
CLAUSES: Rules = (
    (r"ADD\s+PRIMARY\s+KEY\s*(\(.*\))", _key_is),
    (rf"ADD\s+CONSTRAINT\s+{NAME}\s+PRIMARY\s+KEY\s*(\(.*\))", _key_is),
    (rf"ADD\s+CONSTRAINT\s+{IF}({NAME})\s+(\w+)", _named),
    (rf"ADD\s+{INDEX}{IF}({NAME})\s*(?=\()", _index),
    (
        r"ADD\s+(?:COLUMN\s+|(?!(?:COLUMN|CONSTRAINT|PRIMARY|FOREIGN|UNIQUE|CHECK|EXCLUDE|FULLTEXT|SPATIAL"
        r"|INDEX|KEY|PARTITION|PERIOD\s+FOR|SYSTEM\s+VERSIONING)\b))"
        rf"({NAME})\s+[\w\"`]",
        _added,
    ),
    (rf"DROP\s+(CONSTRAINT|INDEX|KEY|FOREIGN\s+KEY|CHECK)\s+{IF}({NAME})", _dropped),
    (r"DROP\s+(PRIMARY\s+KEY)", lambda look, table, _: not look.key(table)),
    (rf"DROP\s+(?:COLUMN\s+)?+({NAME})(?:\s+(?:CASCADE|RESTRICT))?$", _gone(_added)),
    (rf"CHANGE\s+(?:COLUMN\s+)?{IF}({NAME})\s+({NAME})", _renamed),
    (rf"RENAME\s+(?:INDEX|KEY|CONSTRAINT)\s+({NAME})\s+TO\s+({NAME})", _other_name),
    (rf"RENAME\s+(?:COLUMN\s+)?{IF}({NAME})\s+TO\s+({NAME})", _renamed),
    (rf"RENAME\s+(?:TO|AS)\s+({NAME})", _moved),
)


def busy(connection: Connection, session: int | None) -> bool:
    """Whether the server still works for a session, whose client may have gone.

    :param connection: another one
    """
    query = BUSY_POSTGRESQL if connection.dialect.name == "postgresql" else BUSY_MYSQL
    return bool(connection.execute(text(query), {"session": session or 0}).scalar())
