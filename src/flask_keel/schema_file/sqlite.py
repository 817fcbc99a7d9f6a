"""SQLite keeps the text of what was created: https://www.sqlite.org/schematab.html"""

import re
from collections.abc import Iterator

from sqlalchemy import Connection

QUERY = """
SELECT type, name, tbl_name, sql FROM sqlite_master
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
ORDER BY CASE type WHEN 'view' THEN 1 ELSE 0 END, tbl_name,
         CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name
"""
TOKENS = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\s+|[\w$]+|.",
    re.DOTALL,
)


def statements(connection: Connection, ignored: set[str]) -> Iterator[str]:
    """Give the tables, each with its indexes and triggers, and then the views."""
    for _, _, table, sql in connection.exec_driver_sql(QUERY):
        if table not in ignored:
            yield tidy(sql)


def tidy(sql: str) -> str:
    """Return the text with a line for each column: ALTER TABLE adds to the last line.

    What stands in quotes and in comments stays as it is.
    """
    parts, depth = [], 0
    for token in TOKENS.findall(sql):
        if token.isspace():
            token = _blank(token)
            if token == " " and parts and parts[-1] == "," and depth == 1:
                token = "\n    "
        depth += {"(": 1, ")": -1}.get(token, 0)
        parts.append(token)
    return "".join(parts) if sql[:12].upper() == "CREATE TABLE" else sql


def _blank(blank: str) -> str:
    """SQLAlchemy leaves blanks at the ends of lines, and indents by tabs."""
    _, newline, indent = blank.rpartition("\n")
    return newline + (indent if not newline else indent.replace("\t", "    "))
