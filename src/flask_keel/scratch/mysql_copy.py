"""A copy of a small MySQL database, and its return: the tables that changed are made again."""

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from .. import pipeline
from ..lexer import backquoted
from ..typing import Row

TABLES = (
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()"
)
TRIGGERS = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
# those that take a value
FILLED = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() "
    "AND COALESCE(generation_expression, '') = '' ORDER BY table_name, ordinal_position"
)
# what is not made again, and so may not have changed where a copy is to be the whole
OTHERS = (
    "SELECT @@character_set_database, @@collation_database",
    "SELECT routine_type, routine_name, routine_definition, is_deterministic, sql_data_access, sql_mode, "
    "security_type, routine_comment FROM information_schema.routines WHERE routine_schema = DATABASE()",
    "SELECT specific_name, ordinal_position, parameter_mode, parameter_name, dtd_identifier "
    "FROM information_schema.parameters WHERE specific_schema = DATABASE()",
    "SELECT event_name, event_definition, execute_at, interval_value, interval_field, status "
    "FROM information_schema.events WHERE event_schema = DATABASE()",
)
NAME = re.compile(r"`((?:[^`]|``)*)`")
FOREIGN_KEY = re.compile(
    r"\s*CONSTRAINT `((?:[^`]|``)*)` FOREIGN KEY \(((?:`(?:[^`]|``)*`(?:, )?)+)\) REFERENCES "
)
INDEX = re.compile(r"\s*(?:UNIQUE |PRIMARY )?KEY (?:`((?:[^`]|``)*)` )?\(((?:`(?:[^`]|``)*`,?)+)\)")
OWN_NAME = re.compile(r"_ibfk_(\d+)$")
COUNT = re.compile(r" AUTO_INCREMENT=(\d+)")
AT_ONCE = 50  # tables in one question
NAMED = re.compile(r"CONSTRAINT `(?:[^`]|``)*` FOREIGN KEY")


class Copy:
    """The tables, views and triggers of the connection's database, with their rows."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.tables, self.views, self.triggers = self._texts()
        filled, *self.others = pipeline.ask(connection, [FILLED, *OTHERS])
        self.columns: dict[str, list[str]] = {}
        for table, column in filled:
            self.columns.setdefault(table, []).append(column)
        self.rows = self._rows(self.tables)

    def is_like(self, other: "Copy") -> bool:
        """Whether the two databases tell the same of themselves, to the letter."""
        parts = ("tables", "views", "triggers", "columns", "rows", "others")
        return all(getattr(self, part) == getattr(other, part) for part in parts)

    def restore(self) -> None:
        """Make the database what it was."""
        ((keys,),) = pipeline.ask(self.connection, ["SELECT @@foreign_key_checks, @@sql_mode"])
        self._run("SET foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        tables, views, triggers = self._texts()
        for trigger in triggers:
            self._run(f"DROP TRIGGER {backquoted(trigger)}")
        for view in views:
            self._run(f"DROP VIEW {backquoted(view)}")
        there = [name for name, text in tables.items() if not self._is_another(name, text)]
        for name in [name for name in tables if name not in there]:
            self._run(f"DROP TABLE {backquoted(name)}")
        for name in [name for name in self.tables if name not in there]:
            self._make(name)
        others = self._others(there)
        pipeline.run(self.connection, [f"DELETE FROM {backquoted(name)}" for name in others])
        for name in others:
            self._put(name)
        self._count_back([n for n in there if _lines(tables[n]) != _lines(self.tables[n])])
        for text in (*self.views.values(), *self.triggers.values()):
            self._run(text)
        self._run("SET foreign_key_checks = %s, sql_mode = %s", tuple(keys))

    def _make(self, name: str) -> None:
        for sql in as_made(self.tables[name]):
            self._run(sql)
        self._put(name)

    def _count_back(self, tables: list[str]) -> None:
        """Let tables number their rows as they did, by making one again where it does not say so then.

        https://mariadb.com/kb/en/auto_increment/#setting-explicit-values
        """
        numbers = {name: COUNT.search(_options(self.tables[name])) for name in tables}
        counts = [
            f"ALTER TABLE {backquoted(name)} AUTO_INCREMENT = {number[1] if number else 1}"
            for name, number in numbers.items()
        ]
        pipeline.run(self.connection, counts)
        for name, sql in zip(tables, self._shown(tables), strict=True):
            if _lines(sql) != _lines(self.tables[name]):
                self._run(f"DROP TABLE {backquoted(name)}")
                self._make(name)

    def _texts(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        tables: dict[str, str] = {}
        views: dict[str, str] = {}
        found, triggers = pipeline.ask(self.connection, [TABLES, TRIGGERS])
        for (name, kind), sql in zip(found, self._shown([name for name, _ in found]), strict=True):
            (views if kind == "VIEW" else tables)[name] = sql
        names = [name for (name,) in triggers]
        shown = [f"SHOW CREATE TRIGGER {backquoted(name)}" for name in names]
        texts = [said[2] for (said,) in pipeline.ask(self.connection, shown)]
        return tables, views, dict(zip(names, texts, strict=True))

    def _shown(self, tables: Iterable[str]) -> list[str]:
        queries = [f"SHOW CREATE TABLE {backquoted(name)}" for name in tables]
        return [said[1] for (said,) in pipeline.ask(self.connection, queries)]

    def _is_another(self, name: str, text: str) -> bool:
        """Whether a table has to be made again, more than its rows and what the next is numbered."""
        if _lines(_uncounted(text)) != _lines(_uncounted(self.tables.get(name, ""))):
            return True
        # no row of a sequence can be deleted
        return "SEQUENCE=1" in text and self._rows([name])[name] != self.rows[name]

    def _others(self, tables: list[str]) -> list[str]:
        """Return those that have other rows now."""
        had = [name for name in tables if self.rows[name]]
        changed = {name for name, rows in self._rows(had).items() if rows != self.rows[name]}
        filled = self._filled([name for name in tables if not self.rows[name]])
        return [name for name in tables if name in changed | filled]

    def _filled(self, tables: list[str]) -> set[str]:
        """Return those that have rows."""
        queries = [
            " UNION ALL ".join(
                f"SELECT {start + number} FROM DUAL WHERE EXISTS (SELECT 1 FROM {backquoted(name)})"
                for number, name in enumerate(tables[start : start + AT_ONCE])
            )
            for start in range(0, len(tables), AT_ONCE)
        ]
        found = pipeline.ask(self.connection, queries)
        return {tables[number] for rows in found for (number,) in rows}

    def _rows(self, tables: Iterable[str]) -> dict[str, list[Row]]:
        tables = list(tables)
        filled = self._filled(tables)
        names = [name for name in tables if name in filled]
        queries = [
            f"SELECT {', '.join(map(backquoted, self.columns[name]))} FROM {backquoted(name)}"
            for name in names
        ]
        found = dict(zip(names, pipeline.ask(self.connection, queries), strict=True))
        return {name: found.get(name, []) for name in tables}

    def _put(self, table: str) -> None:
        columns = self.columns[table]
        marks = ", ".join(["%s"] * len(columns))
        into = f"{backquoted(table)} ({', '.join(map(backquoted, columns))})".replace("%", "%%")
        insert = f"INSERT INTO {into} VALUES ({marks})"
        for row in self.rows[table]:
            self._run(insert, row)

    def _run(self, sql: str, parameters: Row = ()) -> Any:
        if parameters:
            return self.connection.exec_driver_sql(sql, tuple(parameters))
        # a percent sign in it is its own, no place for a value
        alone = {"no_parameters": True}
        return self.connection.exec_driver_sql(sql, execution_options=alone)


def as_made(sql: str) -> list[str]:
    """Return what makes a table, without the indexes that InnoDB makes by itself for foreign keys.

    SHOW CREATE TABLE does not tell them from others, and one that is written is not dropped by itself as
    soon as there is another. By itself InnoDB gives it the name of the key that is said, or of its column
    where the key's name is InnoDB's own. https://mariadb.com/kb/en/foreign-keys/#indexes

    :param sql: what SHOW CREATE TABLE says
    """
    head, *lines, tail = sql.split("\n")
    parts = [line.removesuffix(",") for line in lines]
    keys = {part: found for part in parts if (found := FOREIGN_KEY.match(part))}
    indexes = {part: found for part in parts if (found := INDEX.match(part))}
    # a migration has said the name: it is not InnoDB's own, or an index has it as well
    names = {index[1] for index in indexes.values()}
    numbers = {part: OWN_NAME.search(key[1]) for part, key in keys.items()}
    said = [part for part, key in keys.items() if key[1] in names or not numbers[part]]
    # the others InnoDB numbers from one, and shows the tenth before the second
    place = {
        part: int(number[1]) for part, number in numbers.items() if number and part not in said
    }
    numbered = sorted(place, key=place.__getitem__)
    own_names = bool(place) and [place[part] for part in numbered] == [*range(1, len(place) + 1)]
    own = set()
    for part, key in keys.items():
        columns = NAME.findall(key[2])
        theirs = columns[0] if own_names and part not in said else key[1]
        covering = [
            part for part, i in indexes.items() if NAME.findall(i[2])[: len(columns)] == columns
        ]
        if len(covering) == 1:
            index, plain = indexes[covering[0]], covering[0].lstrip().startswith("KEY ")
            if plain and index[1] == theirs and NAME.findall(index[2]) == columns:
                own.add(covering[0])
    if not own_names:
        return [_joined(head, [part for part in parts if part not in own], tail)]
    made = [part for part in parts if part not in keys and part not in own]
    made += [NAMED.sub("FOREIGN KEY", part) for part in numbered]
    table = NAME.search(head)
    assert table is not None
    return [_joined(head, made, tail), *(f"ALTER TABLE {table[0]} ADD {part}" for part in said)]


def _joined(head: str, parts: list[str], tail: str) -> str:
    return "\n".join([head, ",\n".join(parts), tail])


def _options(sql: str) -> str:
    return sql.rpartition("\n")[2]


def _uncounted(sql: str) -> str:
    """Without the number of the next row, of InnoDB, which takes any that is free."""
    options = _options(sql)
    body = sql.removesuffix(options)
    return body + (COUNT.sub("", options) if options.startswith(") ENGINE=InnoDB ") else options)


def _lines(sql: str) -> list[str]:
    """The order of the indexes is not to be had again, and means nothing."""
    return sorted(line.removesuffix(",") for line in sql.split("\n"))
