"""What the statements of a migration do to tables and rows, by their words."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from . import lexer

Token = tuple[str, str]
LONGEST = 60  # characters of a statement in a sentence
TEMPORARY = {"TEMP", "TEMPORARY", "LOCAL", "GLOBAL", "UNLOGGED"}
# what holds no rows of its own, and goes without taking some along
BARE = {"INDEX", "VIEW", "MATERIALIZED", "TRIGGER", "FUNCTION", "PROCEDURE", "ROUTINE", "RULE"}
BARE |= {"AGGREGATE", "CONSTRAINT", "POLICY", "ROLE", "USER", "SEQUENCE", "EVENT", "STATISTICS"}
PARTS = {"CONSTRAINT", "INDEX", "KEY", "FOREIGN", "PRIMARY", "CHECK", "UNIQUE"}  # of a table
HARMLESS = {"SELECT", "VALUES", "SHOW", "SET", "PRAGMA", "COMMENT", "GRANT", "REVOKE", "ANALYZE"}
HARMLESS |= {"VACUUM", "REINDEX", "LOCK", "UNLOCK", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT"}
HARMLESS |= {"RELEASE", "START", "RESET", "EXPLAIN", "DESCRIBE", "CLUSTER", "OPTIMIZE", "USE"}
# what stands before the first word: comments, and MariaDB's settings for one statement
LEAD = (
    r"(?:\s|--[^\n]*(?:\n|\Z)|\#[^\n]*(?:\n|\Z)|/\*M?!\d*|/\*(?!M?!)(?:[^*]|\*(?!/))*\*/"
    r"|SET\s+STATEMENT\b[\s\S]*?\bFOR\b)*"
)
BEFORE = re.compile(LEAD, re.IGNORECASE)
# its body does not run now
ROUTINE = re.compile(
    rf"{LEAD}CREATE\b(?!\s+(?:\w+\s+)*?TABLE\b).*?\b(TRIGGER|PROCEDURE|FUNCTION|EVENT)\b",
    re.IGNORECASE,
)
LOSES = re.compile(r"\b(DROP|DELETE|TRUNCATE|UPDATE)\b", re.IGNORECASE)
AFTER_WHERE = {"RETURNING", "ORDER", "LIMIT"}
READS = {"SELECT", "VALUES", "EXPLAIN", "SHOW", "DESCRIBE", "DESC"}
# what env.py itself wraps around the whole; a savepoint may be rolled back, so it is written down
TRANSACTION = {"BEGIN", "COMMIT", "END", "ROLLBACK"}
AFTER_WITH = {"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"}
# https://www.sqlite.org/pragma.html: those whose argument says what to look at, and our own
LOOKS = re.compile(
    r"(table|index)_x?info|\w+_list|(foreign_key|integrity|quick)_check|busy_timeout", re.IGNORECASE
)
# https://mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit/
COMMITS = re.compile(
    rf"{LEAD}(ALTER|ANALYZE|CREATE(?!\s+(OR\s+REPLACE\s+)?TEMPORARY)|DROP(?!\s+TEMPORARY)|FLUSH|GRANT|LOCK"
    r"|OPTIMIZE|RENAME|REPAIR|REVOKE|TRUNCATE)\b",
    re.IGNORECASE,
)

# What a migration sets for its transaction is set anew in each one that it gets; what else it says of
# it has no meaning in several. https://www.postgresql.org/docs/current/sql-set.html
SETS = re.compile(
    rf"{LEAD}(SET\s+LOCAL\b|SELECT\s+(pg_catalog\s*\.\s*)?set_config\s*\(.*,\s*(true|'t\w*'|'on')\s*\))",
    re.IGNORECASE | re.DOTALL,
)
IN_ONE = re.compile(
    rf"{LEAD}(SET\s+(CONSTRAINTS|TRANSACTION)\b|SAVEPOINT\b|LOCK\b|DECLARE\b(?!.*\bWITH\s+HOLD\b))"
    r"|.*\b(ON\s+COMMIT\s+(DROP|DELETE)|pg_(try_)?advisory_xact_lock)\b",
    re.IGNORECASE | re.DOTALL,
)

# what a new connection does not have any more, and what is not to be run a second time for that
OF_THE_SESSION = re.compile(
    rf"{LEAD}(LOCK\s+TABLE|CREATE\s+(OR\s+REPLACE\s+)?(LOCAL\s+|GLOBAL\s+)?TEMP(ORARY)?\b|SET\s+@(?!@)|PREPARE\b)",
    re.IGNORECASE,
)
LOCKS = re.compile(rf"{LEAD}LOCK\s+TABLE", re.IGNORECASE)
SETTING = re.compile(rf"{LEAD}(SET(?!\s+STATEMENT\b)|RESET|USE|UNLOCK|DISCARD)\b", re.IGNORECASE)
DATA = re.compile(rf"{LEAD}(INSERT|UPDATE|DELETE|MERGE|REPLACE|WITH)\b", re.IGNORECASE)


class Name(NamedTuple):
    """A table as a statement names it; ``quoted`` says that its letters are to be taken as they are."""

    schema: str | None
    name: str
    quoted: bool = False


class Effect(NamedTuple):
    """One thing that a statement does.

    ``verb`` is "create table", "drop table", "rename table", "add column", "drop column", "rename
    column", "insert", "delete", "update", "drop schema", "drop" for what cannot be counted, or
    "unreadable".

    :param columns: those it is about; for a rename the old name and the new one
    :param where: the condition of its rows, None for all of them or where it cannot be told
    """

    verb: str
    table: Name | None = None
    columns: tuple[str, ...] = ()
    new: Name | None = None
    where: str | None = None


def split(sql: str) -> Iterator[str]:
    """Give the statements of a text, each without its comments."""
    if ROUTINE.match(sql):
        yield sql
        return
    found: list[str] = []
    for kind, text in lexer.tokens(sql):
        if text == ";":
            yield "".join(found)
            found = []
        else:
            found.append(" " if kind == "comment" else text)
    yield "".join(found)


def effects(statement: str) -> list[Effect]:
    """Return what one statement does to tables and rows; nothing for what loses nothing."""
    statement = BEFORE.sub("", statement, 1)
    tokens = [one for one in lexer.tokens(statement) if one[0] not in ("blank", "comment")]
    return list(_Reader(tokens, statement).effects()) if tokens else []


class _Reader:
    def __init__(self, tokens: Sequence[Token], sql: str) -> None:
        self.tokens, self.sql, self.at = tokens, sql, 0

    def word(self, ahead: int = 0) -> str:
        place = self.at + ahead
        if place >= len(self.tokens) or self.tokens[place][0] in ("string", "name"):
            return ""
        return self.tokens[place][1].upper()

    def take(self, *words: str) -> bool:
        """Go past these words, if they are next."""
        if all(self.word(place) == one for place, one in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def name(self) -> Name | None:
        parts: list[Token] = []
        while self.at < len(self.tokens) and self.tokens[self.at][0] in ("word", "name"):
            parts.append(self.tokens[self.at])
            self.at += 1
            if self.word() != ".":
                break
            self.at += 1
        if not parts:
            return None
        schema = lexer.unquote(parts[-2][1]) if len(parts) > 1 else None
        kind, text = parts[-1]
        return Name(schema, lexer.unquote(text), kind == "name")

    def column(self) -> str:
        found = self.name()
        return found.name if found else ""

    def rest(self) -> list[str]:
        return [self.word(place) for place in range(len(self.tokens) - self.at)]

    def effects(self) -> Iterator[Effect]:
        first = self.word()
        if first in READERS:
            self.at += 1
            yield from READERS[first](self)
        elif first not in HARMLESS:
            yield Effect("drop" if LOSES.search(self.sql) else "unreadable")

    def with_(self) -> Iterator[Effect]:
        # the rows of one part may be those of another
        for place in range(len(self.tokens)):
            self.at = place
            if self.word() in ("DELETE", "UPDATE") and self.word(-1) not in ("ON", "DO", "FOR"):
                reader = self.delete if self.take("DELETE") else self.update
                self.at += self.word() == "UPDATE"
                for effect in list(reader()):
                    yield effect._replace(where=None)
        self.at = 0
        if {"INSERT", "MERGE", "REPLACE"} & set(self.rest()):
            yield from self.insert()

    def create(self) -> Iterator[Effect]:
        replaces = self.take("OR", "REPLACE")
        while self.word() in TEMPORARY:
            self.at += 1
        if not self.take("TABLE"):
            return
        self.take("IF", "NOT", "EXISTS")
        if table := self.name():
            if replaces:
                yield Effect("drop table", table)
            yield Effect("create table", table)

    def drop(self) -> Iterator[Effect]:
        if self.word() in TEMPORARY:
            return
        if not (self.take("TABLE") or self.take("TABLES")):
            if self.word() in ("DATABASE", "OWNED") or "CASCADE" in self.rest():
                yield from [Effect("drop")] * (self.word() not in BARE)
            elif self.word() == "SCHEMA":
                yield Effect("drop schema")
            return
        self.take("IF", "EXISTS")
        for table in self._names():
            yield Effect("drop table", table)

    def truncate(self) -> Iterator[Effect]:
        self.take("TABLE")
        for table in self._names():
            yield Effect("delete", table)

    def _names(self) -> Iterator[Name]:
        while True:
            self.take("ONLY")
            table = self.name()
            if table is None:
                return
            yield table
            self.take("*")
            if not self.take(","):
                return

    def delete(self) -> Iterator[Effect]:
        if not self.take("FROM"):
            yield Effect("drop")  # MySQL's, of several tables
            return
        self.take("ONLY")
        table = self.name()
        others = self.word() not in ("", "WHERE", *AFTER_WHERE)
        yield Effect("delete", table, where=None if others else self._where())

    def update(self) -> Iterator[Effect]:
        if self.take("OR"):
            self.at += 1
        self.take("LOW_PRIORITY")
        self.take("IGNORE")
        self.take("ONLY")
        table = self.name()
        alone = self.word() == "SET"
        if not alone:  # another name for it
            self.at += 1 + (self.word() == "AS")
        if not self.take("SET"):
            yield Effect("drop")  # MySQL's, of several tables
            return
        columns = tuple(self._assigned())
        alone = alone and self.word() == "WHERE"
        yield Effect("update", table, columns, where=self._where() if alone else None)

    def _assigned(self) -> Iterator[str]:
        """The columns that are set; ends at what follows the last value."""
        depth, left = 0, True
        while self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            if depth == 0 and self.word() in ("WHERE", "FROM", *AFTER_WHERE):
                return
            if text == "=" and depth == 0:
                left = False
            elif text == "," and depth == 0:
                left = True
            elif left and kind in ("word", "name") and self.word(1) in ("=", ",", ")"):
                yield lexer.unquote(text)
            depth += (text == "(") - (text == ")")
            self.at += 1

    def _where(self) -> str | None:
        depth = 0
        found: list[str] | None = None
        for kind, text in lexer.tokens(self.sql):
            word = text.upper() if kind == "word" else ""
            if depth == 0 and word == "WHERE":
                found = []
            elif depth == 0 and word in AFTER_WHERE and found is not None:
                break
            elif found is not None:
                found.append(" " if kind == "comment" else text)
            depth += (text == "(") - (text == ")")
        return "".join(found).strip() if found else None

    def insert(self) -> Iterator[Effect]:
        words = " ".join(self.rest())
        if re.search(r"\b(DO UPDATE|DUPLICATE KEY UPDATE)\b|^OR REPLACE\b", words):
            yield Effect("unreadable")
        for place in range(len(self.tokens)):
            self.at = place
            if self.take("INTO") and (table := self.name()):
                yield Effect("insert", table)

    def rename(self) -> Iterator[Effect]:
        if not (self.take("TABLE") or self.take("TABLES")):
            return
        while table := self.name():
            self.take("TO")
            if new := self.name():
                yield Effect("rename table", table, new=new)
            if not self.take(","):
                return

    def alter(self) -> Iterator[Effect]:
        self.take("ONLINE")
        self.take("IGNORE")
        if not self.take("TABLE"):
            return
        self.take("IF", "EXISTS")
        self.take("ONLY")
        table = self.name()
        self.at += 2 * (self.word() == "WAIT")
        self.take("NOWAIT")
        while self.at < len(self.tokens):
            yield from self._action(table)
            depth = 0
            while self.at < len(self.tokens) and not (depth == 0 and self.word() == ","):
                depth += (self.word() == "(") - (self.word() == ")")
                self.at += 1
            self.at += 1

    def _action(self, table: Name | None) -> Iterator[Effect]:
        if self.take("DROP"):
            self._part()
            if self.word() in ("PARTITION", "PERIOD", "SYSTEM"):
                yield Effect("drop")
            elif self.word() not in PARTS | {"DEFAULT"} and (name := self.column()):
                yield Effect("drop column", table, (name,))
        elif self.take("ADD"):
            self._part()
            if self.word() not in PARTS | {"FULLTEXT", "SPATIAL", "PARTITION", "("}:
                yield Effect("add column", table, (self.column(),))
        elif self.take("RENAME"):
            if self.word() in ("TO", "AS"):
                self.at += 1
            elif self.word() in PARTS:
                return
            elif self.word() == "COLUMN" or self.word(1) == "TO":
                self.take("COLUMN")
                old = self.column()
                self.take("TO")
                yield Effect("rename column", table, (old, self.column()))
                return
            yield Effect("rename table", table, new=self.name())
        elif self.take("CHANGE"):
            self._part()
            yield Effect("rename column", table, (self.column(), self.column()))
            yield Effect("unreadable")
        elif self.take("SET", "SCHEMA"):
            schema = self.column()
            if table:
                yield Effect("rename table", table, new=table._replace(schema=schema))
        elif self.word() in ("MODIFY", "TRUNCATE", "EXCHANGE", "COALESCE", "DISCARD", "REMOVE"):
            yield Effect("drop" if self.word() == "TRUNCATE" else "unreadable")
        elif self.take("ALTER"):
            self._part()
            self.column()
            if self.word() == "TYPE" or self.word(2) == "TYPE":
                yield Effect("unreadable")

    def _part(self) -> None:
        self.take("COLUMN")
        self.take("IF", "NOT", "EXISTS") or self.take("IF", "EXISTS")


READERS: dict[str, Callable[[_Reader], Iterator[Effect]]] = {
    "ALTER": _Reader.alter,
    "CREATE": _Reader.create,
    "DELETE": _Reader.delete,
    "DROP": _Reader.drop,
    "INSERT": _Reader.insert,
    "RENAME": _Reader.rename,
    "TRUNCATE": _Reader.truncate,
    "UPDATE": _Reader.update,
    "WITH": _Reader.with_,
}


def changes(sql: str) -> bool:
    """Whether a statement may change the database, or how the connection treats what follows."""
    words = _words(BEFORE.sub("", sql, 1))
    first = next(words, "")
    while first == "(":
        first = next(words, "")
    if first == "SELECT":
        return "INTO" in words  # a table, a file or a variable
    if first == "WITH":
        first = _after_with(words)
    if first == "PRAGMA":
        return _sets(words)
    if first == "ROLLBACK":
        return "TO" in words
    return first not in READS | TRANSACTION | {""}


def short(statement: str) -> str:
    """Return a statement in quotes and in one line, cut where it is long."""
    line = " ".join(statement.split())
    return f"'{line}'" if len(line) <= LONGEST else f"'{line[:LONGEST]}...'"


def first(sql: str) -> str:
    """Return the word with which a statement begins, in capitals."""
    return next(_words(sql), "")


def commits(sql: str) -> bool:
    """Whether MySQL commits a statement by itself, and before it what came before it."""
    return bool(COMMITS.match(sql))


def _words(sql: str) -> Iterator[str]:
    for kind, text in lexer.tokens(sql):
        if kind not in ("blank", "comment") and (kind != "sign" or text in "().="):
            yield text.upper()


def _after_with(words: Iterator[str]) -> str:
    """Return the verb behind the common table expressions."""
    depth = 0
    for word in words:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and word in AFTER_WITH:
            return word
    return ""


def _sets(words: Iterator[str]) -> bool:
    name, *rest = words
    if rest[:1] == ["."]:  # of an attached database
        _, name, *rest = rest
    return bool(rest or name in ("OPTIMIZE", "INCREMENTAL_VACUUM")) and not LOOKS.fullmatch(name)
