"""What a statement of a migration's own does, as far as its words say it."""

import re
from collections.abc import Iterator

# comments, and what stands in quotes: its words are no commands
ASIDE = re.compile(
    r"--[^\n]*|/\*.*?\*/|(?P<quoted>'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)", re.DOTALL
)
NAME = r"(?P<table>(?:[\"`\[]?[\w$]+[\"`\]]?\.)?[\"`\[]?[\w$]+[\"`\]]?)"
CREATES = re.compile(rf"CREATE\s+(\w+\s+)*?TABLE\s+(IF\s+NOT\s+EXISTS\s+)?{NAME}", re.IGNORECASE)
PATTERNS = {
    "own-transaction": re.compile(
        r"(BEGIN|COMMIT|ROLLBACK(?!\s+TO)|START\s+TRANSACTION)\b", re.IGNORECASE
    ),
    "delete-rows": re.compile(
        rf"(?:.*\bDELETE\s+FROM|TRUNCATE(?:\s+TABLE)?)\s+(?:ONLY\s+)?{NAME}", re.I | re.S
    ),
    "drop-in-sql": re.compile(
        rf"DROP\s+(?:SCHEMA|DATABASE|(?:TEMPORARY\s+)?TABLE)\s+(?:IF\s+EXISTS\s+)?{NAME}"
        r"|ALTER\s+TABLE\b.*?\bDROP\s+(?:COLUMN\b|PARTITION\b"
        r"|(?!CONSTRAINT|INDEX|KEY|FOREIGN|PRIMARY|CHECK|DEFAULT|NOT|IDENTITY|EXPRESSION)[\w\"`])",
        re.IGNORECASE | re.DOTALL,
    ),
    "rename-in-sql": re.compile(
        r"ALTER\s+(?:TABLE|SCHEMA|TYPE|VIEW)\b.*?\bRENAME\s+(?!INDEX|CONSTRAINT|KEY)\w|RENAME\s+TABLE\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "copy-in-sql": re.compile(
        r"ALTER\s+TABLE\b.*\b(?:ALGORITHM\s*=?\s*COPY|LOCK\s*=?\s*(?:SHARED|EXCLUSIVE))",
        re.IGNORECASE | re.DOTALL,
    ),
    "update-rows": re.compile(
        rf"(?:.*\)\s*)?UPDATE\s+(?:ONLY\s+)?{NAME}", re.IGNORECASE | re.DOTALL
    ),
}
WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)


def created(sql: str) -> set[str]:
    """Return the tables that the statements create."""
    return {bare(match["table"]) for one in parts(sql) if (match := CREATES.match(one))}


def deeds(sql: str) -> Iterator[tuple[str, str, bool]]:
    """Say what the statements do: the rule that speaks of it, the table ("" for none), for all rows?"""
    for one in parts(sql):
        if one[:7].upper() == "CREATE ":  # the body of a trigger or function does not run now
            continue
        for rule, pattern in PATTERNS.items():
            if match := pattern.match(one):
                table = match.groupdict().get("table")
                yield rule, bare(table or ""), not WHERE.search(one)
                break


def parts(sql: str) -> Iterator[str]:
    """Give the statements of a text, without comments and without what stands in quotes."""
    plain = ASIDE.sub(lambda match: "''" if match["quoted"] else " ", sql)
    for part in plain.split(";"):
        if part.strip():
            yield part.strip()


def bare(name: str) -> str:
    """Return a name without its quotes."""
    return re.sub(r"[\"`\[\]]", "", name)
