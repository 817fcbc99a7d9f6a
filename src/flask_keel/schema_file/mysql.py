"""MySQL and MariaDB, in words that both have: they spell the same schema in two ways."""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

# https://mariadb.com/kb/en/show-create-table/, https://dev.mysql.com/doc/refman/8.4/en/show-create-table.html
INTEGER = re.compile(r"\b((?:tiny|small|medium|big)?int)\((\d+)\)", re.IGNORECASE)
NOW = re.compile(r"\bcurrent_timestamp\(\)", re.IGNORECASE)
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
    collations = _defaults(connection)
    for name, kind in found:
        if kind != "BASE TABLE" or name in ignored:
            continue
        yield _table(_show(connection, "TABLE", name)[1], collations)
        for trigger in sorted(triggers, key=lambda row: row["Trigger"]):
            if trigger["Table"] == name:
                sql = _show(connection, "TRIGGER", trigger["Trigger"])[2]
                yield DEFINER.sub("", sql)
    for name, kind in found:
        if kind == "VIEW" and name not in ignored:
            sql = DEFINER.sub("", _show(connection, "VIEW", name)[1])
            sql = sql.replace(" ALGORITHM=UNDEFINED", "").replace(" SQL SECURITY DEFINER", "")
            yield sql.replace(f"`{here}`.", "")


def _show(connection: Connection, kind: str, name: str) -> Any:
    quoted = connection.dialect.identifier_preparer.quote_identifier(name).replace("%", "%%")
    return connection.exec_driver_sql(f"SHOW CREATE {kind} {quoted}").one()


def _defaults(connection: Connection) -> tuple[str, str]:
    """Return the character set and collation of the database: saying them again says nothing."""
    return tuple(
        connection.exec_driver_sql("SELECT @@character_set_database, @@collation_database").one()
    )


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
    code = PLAIN_NUMBER.sub(r"DEFAULT \1", code)
    code = code.replace(f" CHARACTER SET {character_set}", "").replace(f" COLLATE {collation}", "")
    code = JSON.sub(r"json\1", code)
    return "    " + "".join([code, *quoted]).lstrip() if line.startswith(" ") else line
