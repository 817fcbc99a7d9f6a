"""The rows that stand in the way of a change of type, as a condition in SQL for each database."""

from typing import Any

import sqlalchemy as sa

NUMBERS, MOMENTS = ("integer", "numeric", "float"), ("date", "datetime", "time", "uuid")
DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
HEX = "[0-9a-fA-F]"
UUID = f"^{HEX}{{8}}-?{HEX}{{4}}-?{HEX}{{4}}-?{HEX}{{4}}-?{HEX}{{12}}$"
TRUTHS = "('t', 'true', 'y', 'yes', 'on', '1', 'f', 'false', 'n', 'no', 'off', '0')"
NUMBER = "^[[:space:]]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?[[:space:]]*$"
# text that is not what the column is to hold; {c} is the column
TEXT: dict[str, dict[str, str]] = {
    "postgresql": {
        "integer": "{c} !~ '^[[:space:]]*[-+]?[0-9]+[[:space:]]*$'",
        "numeric": f"{{c}} !~ '{NUMBER}'",
        "boolean": f"lower(trim({{c}})) NOT IN {TRUTHS}",
        "uuid": f"{{c}} !~ '{UUID}'",
        "date": f"{{c}} !~ '{DAY}'",
        "datetime": f"{{c}} !~ '{DAY}'",
        "time": "{c} !~ '^[0-9]{2}:[0-9]{2}'",
    },
    "mysql": {
        "integer": "{c} NOT REGEXP '^[-+]?[0-9]+$'",
        "numeric": f"{{c}} NOT REGEXP '{NUMBER}'",
        "boolean": "{c} NOT IN ('0', '1')",
        "uuid": f"{{c}} NOT REGEXP '{UUID}'",
        "json": "NOT json_valid({c})",
        "date": "CAST({c} AS DATE) IS NULL",
        "datetime": "CAST({c} AS DATETIME) IS NULL",
        "time": "CAST({c} AS TIME) IS NULL",
    },
    "sqlite": {
        "integer": "CAST(CAST({c} AS INTEGER) AS TEXT) <> {c}",
        "numeric": "({c} GLOB '*[^0-9.+-]*' OR {c} NOT GLOB '*[0-9]*' OR {c} GLOB '*.*.*' "
        "OR {c} GLOB '?*[+-]*')",
        "boolean": "{c} NOT IN ('0', '1')",
        "uuid": "(length(replace({c}, '-', '')) <> 32 OR replace({c}, '-', '') GLOB '*[^0-9a-fA-F]*')",
        "json": "NOT json_valid({c})",
        "date": "date({c}) IS NULL",
        "datetime": "datetime({c}) IS NULL",
        "time": "time({c}) IS NULL",
    },
}
TIME_OF_DAY = {
    "postgresql": "{c}::time <> '00:00'",
    "mysql": "TIME({c}) <> '00:00:00'",
    "sqlite": "time({c}) <> '00:00:00'",
}


def condition(before: str | None, after: str | None, new: Any, column: str, kind: str) -> str:
    """Return the condition of the rows that cannot become what the column is to hold.

    :param before: the family of the old type, as :func:`.types.family` says it; ``after`` likewise
    :param new: SQLAlchemy's type
    :param column: quoted for SQL
    :param kind: "sqlite", "postgresql" or "mysql"
    :return: "" where no condition tells
    """
    found = ""
    match before, after:
        case "text", "enum" if new.enums:
            listed = ", ".join("'" + value.replace("'", "''") + "'" for value in new.enums)
            return f"{column} NOT IN ({listed})"
        case "text", _:
            found = TEXT[kind].get("numeric" if after == "float" else str(after), "")
            found += " AND {c} IS NOT NULL" if "IS NULL" in found or "json" in found else ""
        case (("integer" | "numeric" | "float"), "boolean"):
            found = "{c} NOT IN (0, 1)"
        case (("numeric" | "float"), "integer"):
            found = "{c} <> round({c})"
        case "float", "numeric":
            found = f"{{c}} <> round({{c}}, {new.scale or 0})" if kind != "postgresql" else ""
        case "integer", "float":
            single = kind == "mysql" and not isinstance(new, sa.Double)
            found = f"abs({{c}}) > {2 ** (24 if single else 53)}"
        case "datetime", "date":
            found = TIME_OF_DAY[kind]
        case (one, other) if {one, other} & set(NUMBERS) and {one, other} & set(MOMENTS):
            found = "{c} IS NOT NULL"  # none of them can
    return found.replace("{c}", column)
