"""SQL for a reader: values in it as literals, nothing escaped for a driver."""

import copy
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Self, cast
from uuid import UUID
from weakref import WeakKeyDictionary

from alembic.autogenerate.api import AutogenContext
from alembic.ddl.impl import DefaultImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    BLOB,
    DATETIME,
    DOUBLE,
    JSON,
    BindParameter,
    ClauseElement,
    Connection,
    Dialect,
    Inspector,
    Integer,
    String,
    text,
)
from sqlalchemy import literal as bound
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.compiler import SQLCompiler

from . import statements
from .lexer import string
from .typing import SQLType, Value

# what the drivers write as SQLAlchemy does, whatever the column is
PLAIN = (str, int, float, Decimal, datetime, date, time, bytes)


def dialect(engine_dialect: Dialect) -> Dialect:
    """Return a copy of an engine's dialect whose SQL the server's own client understands.

    The engine's own, since it knows the server: MariaDB's SQL is not MySQL's.
    """
    ours: Any = copy.copy(engine_dialect)  # whose inner parts are changed
    ours.paramstyle, ours.positional = "named", False
    ours._type_memos = WeakKeyDictionary()  # holds literals' writers that double percent signs
    ours.identifier_preparer = copy.copy(ours.identifier_preparer)
    ours.identifier_preparer.dialect = ours
    ours.identifier_preparer._double_percents = False
    ours.identifier_preparer._strings = {}  # names that it has quoted, percent signs doubled
    ours.type_compiler_instance = copy.copy(ours.type_compiler_instance)
    ours.type_compiler_instance.dialect = ours
    ours.type_compiler = ours.type_compiler_instance  # the name by which Alembic knows it
    ours.statement_compiler = _compiler(ours)
    made: Dialect = ours
    return made


def _compiler(ours: Dialect) -> type[SQLCompiler]:
    """Return the dialect's compiler with the literals that SQLAlchemy lacks."""

    theirs: Any = ours.statement_compiler

    class Compiler(theirs):  # type: ignore[misc]  # each dialect has its own
        def render_literal_bindparam(
            self, bindparam: BindParameter[Value], **options: Value
        ) -> str:
            if bindparam.value is None and bindparam.type.should_evaluate_none:  # JSON's null
                return self.render_literal_value(None, bindparam.type)
            return str(super().render_literal_bindparam(bindparam, **options))

        def render_literal_value(self, value: Value, type_: SQLType) -> str:
            if isinstance(value, bytes | bytearray | memoryview):  # SQLAlchemy would decode it
                digits = bytes(value).hex()
                return rf"'\x{digits}'::bytea" if ours.name == "postgresql" else f"x'{digits}'"
            if isinstance(type_, JSON):
                serialise = ours._json_serializer or json.dumps
                value, type_ = serialise(None if value is JSON.NULL else value), String()
            if ours.name == "postgresql" and isinstance(value, timedelta):
                seconds = f"{value.seconds}.{value.microseconds:06}"  # a day is not 24 hours
                return f"make_interval(days => {value.days}, secs => {seconds})"
            if ours.name in ("mysql", "mariadb") and isinstance(value, datetime | time):
                value = value.replace(tzinfo=None)  # as the drivers do
            if type_._isnull:  # sa.column("name") says no type: the value's own will do
                type_ = bound(value).type
            if isinstance(type_, Integer) and isinstance(value, float | Decimal):  # it would be cut
                return self._as_bound(value, type_)
            try:
                return str(super().render_literal_value(value, type_))
            except CompileError:  # the type has no literal for it: a driver does not ask the type
                return self._as_bound(value, type_)

        def _as_bound(self, value: Value, type_: SQLType) -> str:
            bind = type_.dialect_impl(ours).bind_processor(ours)
            value = bind(value) if bind else value
            value = str(value) if isinstance(value, UUID) else value
            if not isinstance(value, PLAIN):
                raise CompileError(f"there is no literal for {value!r} as {type_!r}")
            own = bound(value).type
            if isinstance(value, float):  # which is rounded otherwise than a decimal
                said = f"'{value!r}'::float8" if ours.name == "postgresql" else f"{value:.16e}"
            else:
                said = self.render_literal_value(value, own)
            said = f"({said})" if said.startswith("-") else said  # a cast would bind closer
            for one in (type_,) if isinstance(value, str) else (own, type_):
                impl = one.dialect_impl(ours)
                said = self.render_bind_cast(one, impl, said) if impl.render_bind_cast else said
            return said

    return Compiler


# what sa.text would take for a parameter
BIND = re.compile(r"(?<![:\w\\]):(?=\w+(?![:\w]))")
# a colon behind a backslash, which it would take away; a dollar sign is a letter for some versions
UNCLEAR = re.compile(r"\\:|\$\w*:|:\w*\$")
# 'a'::character varying: the type of the column says the same, and other databases cannot read it
CAST = re.compile(r"('(?:[^']|'')*')::[\w ]+(\(\d+\))?")


def as_text(sql: str) -> str:
    """Return SQL so that ``sa.text``, CheckConstraint and ``op.execute`` leave its colons alone."""
    if UNCLEAR.search(sql):
        return sql.replace(":", r"\:")
    return BIND.sub(r"\:", sql)


NULLABLE = text(
    "SELECT NOT attnotnull FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = :column"
)
# what SHOW CREATE TABLE writes for a sign in a string
ESCAPED = {"0": "\0", "n": "\n", "r": "\r"}


def read_enum(inspector: object, table: object, column: Any) -> None:
    """Give a reflected column of MySQL's the values of its enum: SQLAlchemy leaves them escaped.

    :param column: as an inspector has it; the arguments are those of the event ``column_reflect``
    """
    if isinstance(column["type"], mysql.ENUM):
        values = column["type"].enums
        column["type"].enums = [
            re.sub(r"\\(.)", lambda sign: ESCAPED.get(sign[1], sign[1]), value, flags=re.DOTALL)
            for value in values
        ]


# SQLite's, by names that PostgreSQL does not have
NOT_EVERYWHERE = (DATETIME, BLOB, DOUBLE)


def read_column(inspector: Inspector, table: Value, column: Any) -> None:
    """Do that, and keep a colon in a default, or in what computes the column, from being taken for
    a parameter of ``text()``. What a domain refuses is no NOT NULL of the column.
    """
    read_enum(inspector, table, column)
    if inspector.dialect.name == "sqlite" and isinstance(column["type"], NOT_EVERYWHERE):
        column["type"] = column["type"].as_generic()
    if isinstance(column["type"], DOMAIN) and not column["nullable"]:
        prepare, bind = inspector.dialect.identifier_preparer, cast(Connection, inspector.bind)
        values = {"table": prepare.format_table(table), "column": column["name"]}
        column["nullable"] = bind.execute(NULLABLE, values).scalar()
    for holder, key in ((column, "default"), (column.get("computed") or {}, "sqltext")):
        if isinstance(holder.get(key), str):
            holder[key] = as_text(holder[key])


def literal(expression: str | ClauseElement, context: AutogenContext | MigrationContext) -> str:
    """Return an expression as SQL with its values in it, nothing escaped for a driver."""
    if isinstance(expression, str):
        return string(expression)
    compiled = expression.compile(
        dialect=dialect(context.dialect),
        compile_kwargs={"literal_binds": True, "include_table": False},
    )
    sql = str(compiled)
    cast = CAST.fullmatch(sql)
    return cast[1] if cast else sql


def install(impl: DefaultImpl) -> None:
    """Let Alembic render SQL into files without the driver's percent signs, and with its colons safe.

    :param impl: the comparison's; a file is rendered after env.py has ended
    """
    theirs = impl.render_ddl_sql_expr
    ours = dialect(impl.dialect)

    def render(expr: ClauseElement, is_server_default: bool = False, **options: bool) -> str:
        own = impl.dialect
        impl.dialect = ours
        try:
            said = theirs(expr, is_server_default, **options)
            # a part of an index becomes a literal_column, in which a colon is one
            return said if options.get("is_index") else as_text(said)
        finally:
            impl.dialect = own

    impl.render_ddl_sql_expr = render  # type: ignore[method-assign]  # of this one comparison


# strings of MySQL's, and what only looks like the beginning of one
QUOTED = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\""
    r"|`[^`]*`|--[ \t][^\n]*|\#[^\n]*|/\*.*?(?:\*/|\Z)",
    re.DOTALL,
)


def for_mysql(sql: str) -> str:
    """Return SQL so that the programs mysql and mariadb leave its strings alone: they take away the
    carriage return of a line's end, and stop at NUL."""

    def escaped(match: re.Match[str]) -> str:
        text = match[0]
        return text.replace("\r", r"\r").replace("\0", r"\0") if text[0] in "'\"" else text

    return QUOTED.sub(escaped, sql)


# a placeholder, or what only looks like one: strings, quoted names, comments
TOKENS = re.compile(
    r"(?P<text>'(?:[^']|'')*')|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]"
    r"|--[^\n]*|/\*.*?(?:\*/|\Z)"
    r"|\?(?P<number>\d+)?|[:@$](?P<name>\w+)",
    re.DOTALL,
)
# the sqlite3 program reads line by line and drops the carriage return of a line's end; NUL ends it
UNREADABLE = re.compile(r"[\0\r]")
SCHEMA = re.compile(r"\s*(create|alter)\b", re.IGNORECASE)
STEP = 2.0**52


def inline(sql: str, parameters: Sequence[Value] | Mapping[str, Value]) -> str:
    """Return the statement with its parameters written into it.

    :param parameters: a sequence or a mapping, as :meth:`sqlite3.Cursor.execute` takes them
    """
    places = tuple(parameters)
    position = 0
    named: dict[str, int] = {}

    def value(match: re.Match[str]) -> str:
        nonlocal position
        token = match.group()
        if match["text"]:
            # a default of a column must be one literal, so a schema is left as it is
            odd = UNREADABLE.search(token) and not SCHEMA.match(sql)
            return sqlite_literal(token[1:-1].replace("''", "'")) if odd else token
        if match["name"] and isinstance(parameters, Mapping):
            return _apart(sqlite_literal(parameters[match["name"]]), match)
        if token[0] == "?" or (match["name"] and parameters):
            # https://www.sqlite.org/lang_expr.html#varparam: a name takes the next number, once
            index = int(match["number"]) - 1 if match["number"] else position
            index = named.setdefault(token, index) if match["name"] else index
            position = max(position, index + 1)
            return _apart(sqlite_literal(places[index]), match)
        return token

    return TOKENS.sub(value, sql)


def _apart(text: str, match: re.Match[str]) -> str:
    # LIMIT? would be LIMIT5, and a-? with a negative number the beginning of a comment
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    left = " " if re.match(r"[\w-]", before) else ""
    return left + text + (" " if re.match(r"\w", after) else "")


def sqlite_literal(value: object) -> str:
    """Return a value as SQLite literal that reads back as the very same value.

    https://www.sqlite.org/lang_expr.html#literal_values_constants_
    """
    match value:
        case None:
            return "NULL"
        case int():
            return int.__repr__(int(value))
        case float():
            return _real(float(value))
        case bytes() | bytearray() | memoryview():
            return f"x'{bytes(value).hex()}'"
        case str():
            return _text(str.__str__(value))
        case _:
            return sqlite_literal(sqlite3.adapt(value, sqlite3.PrepareProtocol))


def _text(value: str) -> str:
    parts = re.split(f"({UNREADABLE.pattern})", value)
    # not CAST(x'..' AS TEXT): that reads the bytes in the encoding of the database
    said = [
        f"char({ord(part)})" if UNREADABLE.match(part) else string(part) for part in parts if part
    ]
    return said[0] if len(said) == 1 else f"({'||'.join(said)})" if said else "''"


def _real(value: float) -> str:
    if value != value:
        return "NULL"  # SQLite stores NaN as NULL
    if value in (float("inf"), float("-inf")):
        return "9e999" if value > 0 else "-9e999"
    text = float.__repr__(value)
    if _read(text) == value:
        return text
    # SQLite rounds what is far from 1 in its last bit: a product of exact numbers does not
    factors, operator = 0, "/" if abs(value) < 1 else "*"
    while not 1 <= abs(value) < STEP:
        value, factors = value * STEP if operator == "/" else value / STEP, factors + 1
    return f"({value!r}{f' {operator} {STEP!r}' * factors})"


def _read(text: str) -> float:
    return float(_reader.execute(f"SELECT {text}").fetchone()[0])


_reader = sqlite3.connect(":memory:", check_same_thread=False)


# SQLite's own trace is not used: it cuts floats to 15 digits and text at NUL, and says the outer
# statement again for each trigger.

# what the engine says of its plan
COMMENT = re.compile(r"-- [^\n]*")


def recorder(write: Callable[[str], None]) -> type[sqlite3.Connection]:
    """Return a class of SQLite's connections that hands each statement that changes something to ``write``,
    as SQL that the sqlite3 program reads back."""

    def note(sql: str, parameters: Value) -> None:
        if statements.changes(sql, "sqlite"):
            write(inline(sql, parameters).strip().rstrip(";"))
        elif COMMENT.fullmatch(sql):
            write(sql)

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Value = (), /) -> Self:
            super().execute(sql, parameters)
            note(sql, parameters)
            return self

        def executemany(self, sql: str, sequence: Iterable[Value], /) -> Self:
            ran: list[Value] = []

            def feed() -> Iterator[Value]:
                for parameters in sequence:
                    ran.append(parameters)
                    yield parameters

            try:
                super().executemany(sql, feed())
                return self
            except BaseException:
                del ran[-1:]  # a migration may catch it, and those before stand
                raise
            finally:
                for parameters in ran:
                    note(sql, parameters)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        # the shortcuts of the C class make a plain cursor of their own
        def execute(self, sql: str, parameters: Value = (), /) -> sqlite3.Cursor:
            ran: sqlite3.Cursor = self.cursor().execute(sql, parameters)
            return ran

        def executemany(self, sql: str, sequence: Iterable[Value], /) -> sqlite3.Cursor:
            ran: sqlite3.Cursor = self.cursor().executemany(sql, sequence)
            return ran

    return Connection
