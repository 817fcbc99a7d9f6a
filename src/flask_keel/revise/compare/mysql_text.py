"""MySQL's columns and CHECKs as SHOW CREATE TABLE has them: information_schema knows no temporary table.

https://mariadb.com/kb/en/show-create-table/, https://dev.mysql.com/doc/refman/8.4/en/show-create-table.html
"""

import re
from collections.abc import Iterator

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


def columns(sql: str) -> Iterator[tuple[str, str, str | None, str, str | None, str | None]]:
    """Give name, type, default, extra, expression and collation, as information_schema has them.

    :param sql: what SHOW CREATE TABLE says
    """
    for line in _lines(sql):
        if name := NAME.match(line):
            clauses = _clauses(line[name.end() :])
            generated = clauses.get("GENERATED ALWAYS AS")
            stored = "VIRTUAL" not in clauses
            extra = [
                "auto_increment" if "AUTO_INCREMENT" in clauses else "",
                f"on update {clauses['ON UPDATE']}" if "ON UPDATE" in clauses else "",
                f"{'STORED' if stored else 'VIRTUAL'} GENERATED" if generated else "",
            ]
            yield (
                name[1].replace("``", "`"),
                clauses[""],
                clauses.get("DEFAULT"),
                " ".join(filter(None, extra)),
                generated,
                clauses.get("COLLATE"),
            )


def checks(sql: str) -> Iterator[tuple[str, str]]:
    """Give name and expression of each CHECK; one in a column has the column's name."""
    for line in _lines(sql):
        if found := CHECK.match(line):
            yield found[1].replace("``", "`"), _inside(line[found.end() :])
        elif (name := NAME.match(line)) and (own := _clauses(line[name.end() :]).get("CHECK")):
            yield name[1].replace("``", "`"), own


def _lines(sql: str) -> list[str]:
    body = sql.rpartition("\n)")[0]
    return [COMMENT.sub("", line).rstrip().removesuffix(",") for line in body.split("\n")[1:]]


def _clauses(text: str) -> dict[str, str]:
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


def _is(tokens: list[re.Match], place: int, words: str) -> bool:
    wanted = words.split()
    return [token[0].upper() for token in tokens[place : place + len(wanted)]] == wanted


def _inside(text: str) -> str:
    """Return an expression without the parentheses around all of it."""
    text = text.strip()
    depth = 0
    for token in TOKEN.finditer(text):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth:
            whole = token[0] == ")" and token.end() == len(text)
            return text[1:-1] if whole and text.startswith("(") else text
    return text
