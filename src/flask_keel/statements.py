"""What the statements of a migration do to tables and rows, by their words."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import lexer

Token = tuple[str, str]
NAMES = ("word", "name", "string")
LONGEST = 60  # characters of a statement in a sentence
TEMPORARY = {"TEMP", "TEMPORARY", "LOCAL", "GLOBAL", "UNLOGGED"}
# what holds no rows of its own, and goes without taking some along
BARE = {"INDEX", "VIEW", "MATERIALIZED", "TRIGGER", "FUNCTION", "PROCEDURE", "ROUTINE", "RULE"}
BARE |= {"AGGREGATE", "CONSTRAINT", "POLICY", "ROLE", "USER", "SEQUENCE", "EVENT", "STATISTICS"}
PARTS = {"CONSTRAINT", "INDEX", "KEY", "FOREIGN", "PRIMARY", "CHECK", "UNIQUE"}  # of a table
HARMLESS = {"SELECT", "VALUES", "SHOW", "SET", "PRAGMA", "COMMENT", "GRANT", "REVOKE", "VACUUM"}
HARMLESS |= {"REINDEX", "LOCK", "UNLOCK", "SAVEPOINT", "RELEASE", "RESET", "CLUSTER", "OPTIMIZE"}
HARMLESS |= {"USE"}
# MariaDB's settings for one statement, and what has another one run, and say how that went
FOR_ONE = re.compile(r"SET\s+STATEMENT\b.*?\bFOR\b", re.IGNORECASE | re.DOTALL)
EXPLAINS = {"EXPLAIN", "DESCRIBE", "DESC", "ANALYZE", "ANALYSE"}
EXPLAINED = {"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "WITH", "CREATE", "EXECUTE"}
_KEPT = "|".join(sorted(BARE | PARTS | {"DEFAULT", "NOT", "EXPRESSION", "IDENTITY"}))
LOSES = re.compile(
    rf"(?<!\bON\s)(?<!\bFOR\s)(?<!\bOR\s)\b(DELETE|TRUNCATE|UPDATE|DROP(?!\s+(?:{_KEPT})\b))\b"
    r"(?!\s+O[FNR]\b|\s*,)",
    re.IGNORECASE,
)
# before what is no statement: ON DELETE, FOR NO KEY UPDATE, DO UPDATE
NO_VERB = {"ON", "DO", "FOR", "KEY", "COMMIT", "."}
MODIFIERS = {"LOW_PRIORITY", "QUICK", "IGNORE", "HISTORY"}
AFTER_WHERE = {"RETURNING", "ORDER", "LIMIT"}
READS = {"SELECT", "VALUES", "EXPLAIN", "SHOW", "DESCRIBE", "DESC"}
# what env.py itself wraps around the whole; a savepoint may be rolled back, so it is written down
TRANSACTION = {"BEGIN", "COMMIT", "END", "ROLLBACK"}
AFTER_WITH = {"MERGE", "SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"}
# https://www.sqlite.org/pragma.html: those whose argument says what to look at, and our own
LOOKS = re.compile(
    r"(table|index)_x?info|\w+_list|(foreign_key|integrity|quick)_check|busy_timeout", re.IGNORECASE
)
# https://mariadb.com/kb/en/sql-statements-that-cause-an-implicit-commit/
COMMITS = re.compile(
    r"(ALTER|ANALYZE(?!\s+(FORMAT|INSERT|UPDATE|DELETE|REPLACE|SELECT|WITH)\b)|CREATE(?!\s+(OR\s+REPLACE\s+)?TEMPORARY)"
    r"|DROP(?!\s+TEMPORARY)|FLUSH|GRANT|LOCK|OPTIMIZE|RENAME|REPAIR|REVOKE|TRUNCATE)\b",
    re.IGNORECASE,
)

# What a migration sets for its transaction is set anew in each one that it gets; what else it says of
# it has no meaning in several. https://www.postgresql.org/docs/current/sql-set.html
SETS = re.compile(
    r"(SET\s+LOCAL\b|SELECT\s+(pg_catalog\s*\.\s*)?set_config\s*\(.*,\s*(true|'t\w*'|'on')\s*\))",
    re.IGNORECASE | re.DOTALL,
)
IN_ONE = re.compile(
    r"(SET\s+(CONSTRAINTS|TRANSACTION)\b|SAVEPOINT\b|LOCK\b|DECLARE\b(?!.*\bWITH\s+HOLD\b))"
    r"|.*\b(ON\s+COMMIT\s+(DROP|DELETE)|pg_(try_)?advisory_xact_lock)\b",
    re.IGNORECASE | re.DOTALL,
)

# what a new connection does not have any more, and what is not to be run a second time for that
OF_THE_SESSION = re.compile(
    r"(LOCK\s+TABLE|CREATE\s+(OR\s+REPLACE\s+)?(LOCAL\s+|GLOBAL\s+)?TEMP(ORARY)?\b|SET\s+@(?!@)|PREPARE\b)",
    re.IGNORECASE,
)
LOCKS = re.compile(r"LOCK\s+TABLE", re.IGNORECASE)
SETTING = re.compile(r"(SET(?!\s+STATEMENT\b)|RESET|USE|UNLOCK|DISCARD)\b", re.IGNORECASE)
DATA = re.compile(
    r"((EXPLAIN|DESC(RIBE)?|ANALYZE)\s+(\([^)]*\)\s*|(ANALY[ZS]E|VERBOSE|FORMAT\s*=\s*\w+)\s+)*)?"
    r"(INSERT|UPDATE|DELETE|MERGE|REPLACE|WITH)\b",
    re.IGNORECASE,
)


class Name(NamedTuple):
    """A table as a statement names it; ``quoted`` says that its letters are to be taken as they are."""

    schema: str | None
    name: str
    quoted: bool = False


class Effect(NamedTuple):
    """One thing that a statement does.

    ``verb`` is "create table", "drop table", "rename table", "add column", "drop column", "rename
    column", "insert", "delete", "update", "drop schema", "drop" for what cannot be counted, "rename"
    for what is no table, "copy" for a table that is to be written anew, "transaction" for the
    beginning or the end of one, or "unreadable".

    :param columns: those it is about; for a rename the old name and the new one
    :param where: the condition of its rows, None for all of them or where it cannot be told
    :param every: whether it says itself that it means all rows
    :param by: the word that loses what cannot be counted: DELETE, TRUNCATE, DROP or UPDATE
    """

    verb: str
    table: Name | None = None
    columns: tuple[str, ...] = ()
    new: Name | None = None
    where: str | None = None
    every: bool = False
    by: str = ""


def effects(statement: str, database: str = "") -> list[Effect]:
    """Return what one statement does to tables and rows; nothing for what loses nothing."""
    statement = lexer.without_comments(statement, database)
    return list(_Reader(statement[begin(statement, database) :], database).effects())


class _Reader:
    def __init__(self, sql: str, database: str) -> None:
        self.sql, self.at, self.tokens, self.places = sql, 0, list[Token](), list[int]()
        self.stays = database not in ("mysql", "mariadb")  # what is renamed, in its schema
        place = 0
        for kind, text in lexer.tokens(sql, database):
            if kind != "blank":
                self.tokens.append((kind, text))
                self.places.append(place)
            place += len(text)

    def word(self, ahead: int = 0) -> str:
        place = self.at + ahead
        if not 0 <= place < len(self.tokens) or self.tokens[place][0] in ("string", "name"):
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
        # SQLite takes a string for a name, MySQL with ANSI_QUOTES what we read as one
        while self.at < len(self.tokens) and self.tokens[self.at][0] in NAMES:
            parts.append(self.tokens[self.at])
            self.at += 1
            if self.word() != ".":
                break
            self.at += 1
        if not parts:
            return None
        schema = lexer.unquote(parts[-2][1]) if len(parts) > 1 else None
        kind, text = parts[-1]
        return Name(schema, lexer.unquote(text), kind != "word")

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
        elif self.tokens and first not in HARMLESS:
            yield self._unread()

    def _unread(self) -> Effect:
        found = {word.upper() for word in LOSES.findall(self.sql)}
        worst = [word for word in ("DELETE", "TRUNCATE", "DROP", "UPDATE") if word in found]
        return Effect("drop", by=worst[0]) if worst else Effect("unreadable")

    def with_(self) -> Iterator[Effect]:
        yield from self._parts()
        self.at = 0
        words = self.rest()
        for place, (word, depth) in enumerate(zip(words, lexer.depths(words), strict=True)):
            if depth == 0 and word in ("INSERT", "MERGE", "REPLACE"):
                self.at = place + 1
                if word != "INSERT":
                    yield self._unread()
                yield from self.insert()
                return

    def _parts(self) -> Iterator[Effect]:
        """What is deleted and updated behind WITH: the rows of one part may be those of another."""
        for place in range(self.at, len(self.tokens)):
            self.at = place
            if self.word() in ("DELETE", "UPDATE") and self.word(-1) not in NO_VERB:
                reader = self.delete if self.word() == "DELETE" else self.update
                self.at += 1
                for effect in list(reader()):
                    yield effect._replace(where=None)

    def explain(self) -> Iterator[Effect]:
        self.at, runs = 0, False
        while self.word() in EXPLAINS | {"(", "VERBOSE", "FORMAT", "EXTENDED", "PARTITIONS"}:
            if self.word() == "(":
                texts = [text.upper() for _, text in self.tokens[self.at :]]
                options = texts[: lexer.closing(texts) + 1]
                said = " ".join(options)
                runs = re.search(r"\bANALY[ZS]E (?!FALSE|OFF|0)", said) is not None
                self.at += max(len(options), 1)
                continue
            runs = runs or self.word() in ("ANALYZE", "ANALYSE")
            self.at += 1 if self.word() != "FORMAT" else 3
        if runs and self.word() in EXPLAINED:
            yield from self.effects()

    def transaction(self) -> Iterator[Effect]:
        self.at = 0
        if self.take("BEGIN", "NOT"):  # MariaDB's block, which runs at once
            yield self._unread()
        elif "TO" not in self.rest() and (self.word() != "START" or self.word(1) == "TRANSACTION"):
            yield Effect("transaction")

    def copy(self) -> Iterator[Effect]:
        table = self.name()
        if table is None:
            yield from self._parts()
        elif "FROM" in self.rest():
            yield Effect("insert", table)

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
        if "WITH" in self.rest():
            yield from self._parts()

    def drop(self) -> Iterator[Effect]:
        if self.word() in TEMPORARY:
            return
        if not (self.take("TABLE") or self.take("TABLES")):
            if self.word() in ("DATABASE", "OWNED") or "CASCADE" in self.rest():
                yield from [Effect("drop", by="DROP")] * (self.word() not in BARE)
            elif self.word() == "SCHEMA":
                yield Effect("drop schema")
            return
        self.take("IF", "EXISTS")
        for table in self._names():
            yield Effect("drop table", table)

    def truncate(self) -> Iterator[Effect]:
        self.take("TABLE")
        for table in self._names():
            yield Effect("delete", table, every=True)
        if "CASCADE" in self.rest():  # what refers there, too
            yield Effect("drop", by="TRUNCATE")

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
        while self.word() in MODIFIERS:
            self.at += 1
        if not self.take("FROM"):
            yield from self._several()
            return
        self.take("ONLY")
        table = self.name()
        if self.word() in (",", "."):
            self.at -= 1
            yield from self._several()
            return
        others = self.word() not in ("", ")", "WHERE", *AFTER_WHERE)
        where, every = self._where()
        yield Effect("delete", table, where=None if others else where, every=every)

    def _several(self) -> Iterator[Effect]:
        """MySQL's, of several tables."""
        named = list(self._names())
        _, every = self._where()
        for table in map(self._called, named):
            yield Effect("drop", table, every=every, by="DELETE")
        if not named:
            yield Effect("drop", by="DELETE")

    def _called(self, alias: Name) -> Name:
        """The table that goes by a name in this statement."""
        at, found = self.at, alias
        for place in range(len(self.tokens)):
            self.at = place
            if self.take("FROM") or self.take("JOIN") or self.take("USING") or self.take(","):
                table = self.name()
                self.take("AS")
                if table and (other := self.name()) and other.name == alias.name:
                    found = table
        self.at = at
        return found

    def update(self) -> Iterator[Effect]:
        if self.take("OR"):
            self.at += 1
        while self.word() in MODIFIERS:
            self.at += 1
        self.take("ONLY")
        table = self.name()
        alone = self.word() == "SET"
        if not alone:  # another name for it
            self.at += 1 + (self.word() == "AS")
        if not self.take("SET"):  # MySQL's, of several tables
            _, every = self._where()
            yield Effect("drop", table, every=every, by="UPDATE")
            return
        columns = tuple(self._assigned())
        alone = alone and self.word() == "WHERE"
        where, every = self._where()
        yield Effect("update", table, columns, where=where if alone else None, every=every)

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
            elif left and kind in NAMES and self.word(1) in ("=", ",", ")", "["):
                yield lexer.unquote(text)
            depth += (text == "(") - (text == ")")
            self.at += 1

    def _where(self) -> tuple[str | None, bool]:
        """The condition that follows, and whether there is none, nor a limit."""
        depth, begun, end, limited = 0, None, len(self.sql), False
        for (kind, text), place in zip(self.tokens[self.at :], self.places[self.at :], strict=True):
            word = text.upper() if kind == "word" else text
            depth += (text == "(") - (text == ")")
            if depth < 0:
                end = min(end, place)
                break
            if depth == 0 and word == "WHERE":
                begun = place + len(word)
            elif depth == 0 and word in AFTER_WHERE:
                end, limited = min(end, place), limited or word == "LIMIT"
        where = self.sql[begun:end].strip() if begun is not None else None
        return where, where is None and not limited

    def insert(self) -> Iterator[Effect]:
        words = " ".join(self.rest())
        if re.search(r"\b(DO UPDATE|DUPLICATE KEY UPDATE)\b|^OR REPLACE\b", words):
            yield Effect("unreadable")
        yield from self._into()
        if "WITH" in words:
            self.at = 0
            yield from self._parts()

    def _into(self) -> Iterator[Effect]:
        for place in range(len(self.tokens)):
            self.at = place
            if self.take("INTO") and (table := self.name()):
                yield Effect("insert", table)

    def rename(self) -> Iterator[Effect]:
        if not (self.take("TABLE") or self.take("TABLES")):
            return
        self.take("IF", "EXISTS")
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
            words = self.rest()
            if words[:1] == ["TYPE"] and "ATTRIBUTE" in words and {"DROP", "ALTER"} & set(words):
                yield Effect("drop", by="DROP") if "DROP" in words else Effect("unreadable")
            elif "RENAME" in words and words[0] in ("SCHEMA", "TYPE", "VIEW", "MATERIALIZED"):
                yield Effect("rename")
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
            # such a word may be the name of a column, too
            column = self._part() or len(self.tokens) == self.at + 1
            column = column or self.word(1) in (",", "CASCADE", "RESTRICT")
            if not column and self.word() in ("PARTITION", "PERIOD", "SYSTEM"):
                yield Effect("drop", table, by="DROP")
            elif (column or self.word() not in PARTS | {"DEFAULT"}) and (name := self.column()):
                yield Effect("drop column", table, (name,))
        elif self.take("ADD"):
            column = self._part() and self.word() != "("
            if column or self.word() not in PARTS | {"FULLTEXT", "SPATIAL", "PARTITION", "("}:
                yield Effect("add column", table, (self.column(),))
        elif self.take("RENAME"):
            if self.word() in ("TO", "AS"):
                self.at += 1
            elif self.word() == "COLUMN" or self.word(1) == "TO":
                self._part()
                old = self.column()
                self.take("TO")
                yield Effect("rename column", table, (old, self.column()))
                return
            elif self.word() in PARTS:
                return
            new = self.name()
            if new and table and self.stays:
                new = new._replace(schema=new.schema or table.schema)
            yield Effect("rename table", table, new=new)
        elif self.take("CHANGE"):
            self._part()
            yield Effect("rename column", table, (self.column(), self.column()))
            yield Effect("unreadable")
        elif self.take("SET", "SCHEMA"):
            schema = self.column()
            if table:
                yield Effect("rename table", table, new=table._replace(schema=schema))
        elif self.word() in ("MODIFY", "TRUNCATE", "EXCHANGE", "COALESCE", "DISCARD", "REMOVE"):
            yield (
                Effect("unreadable") if self.word() != "TRUNCATE" else Effect("drop", by="TRUNCATE")
            )
        elif self.take("ALTER"):
            self._part()
            self.column()
            if self.word() == "TYPE" or self.word(2) == "TYPE":
                yield Effect("unreadable")
        elif self.word() in ("ALGORITHM", "LOCK"):
            self.at += 1 + (self.word(1) == "=")
            if self.word() in ("COPY", "SHARED", "EXCLUSIVE"):
                yield Effect("copy", table)

    def _part(self) -> bool:
        """Go to the name of a part of a table; return whether that is said to be a column."""
        column = self.take("COLUMN")
        self.take("IF", "NOT", "EXISTS") or self.take("IF", "EXISTS")
        return column


READERS: dict[str, Callable[[_Reader], Iterator[Effect]]] = {
    **dict.fromkeys(("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"), _Reader.transaction),
    **dict.fromkeys(EXPLAINS, _Reader.explain),
    "ALTER": _Reader.alter,
    "COPY": _Reader.copy,
    "CREATE": _Reader.create,
    "DELETE": _Reader.delete,
    "DROP": _Reader.drop,
    "INSERT": _Reader.insert,
    "RENAME": _Reader.rename,
    "TRUNCATE": _Reader.truncate,
    "UPDATE": _Reader.update,
    "WITH": _Reader.with_,
}


def begin(sql: str, database: str = "") -> int:
    """Return where a statement's first word stands: behind comments, and MariaDB's settings for it."""
    place = 0
    for kind, text in lexer.tokens(sql, database):
        if kind not in ("blank", "comment"):
            break
        place += len(text)
    settings = FOR_ONE.match(sql, place)
    return settings.end() + begin(sql[settings.end() :], database) if settings else place


def says(pattern: re.Pattern[str], sql: str, database: str) -> bool:
    """Whether a statement begins as a pattern has it."""
    return pattern.match(sql, begin(sql, database)) is not None


def changes(sql: str, database: str = "") -> bool:
    """Whether a text may change the database, or how the connection treats what follows."""
    if _changes(sql, database):
        return True
    return ";" in sql and any(_changes(one, database) for one in lexer.split(sql, database))


def _changes(sql: str, database: str) -> bool:
    words = _words(sql, database)
    first = next(words, "")
    while first == "(":
        first = next(words, "")
    if first == "SELECT":
        return "INTO" in words  # a table, a file or a variable
    if first in ("EXPLAIN", "DESCRIBE", "DESC"):
        said = list(words)
        return bool({"ANALYZE", "ANALYSE"} & set(said) and EXPLAINED & set(said))
    if first == "WITH":
        first = _after_with(words)
    if first == "PRAGMA":
        return _sets(words)
    if first == "ROLLBACK":
        return "TO" in words
    if first == "BEGIN":
        return next(words, "") == "NOT"  # MariaDB's block, which runs at once
    return first not in READS | TRANSACTION | {""}


def short(statement: str) -> str:
    """Return a statement as its driver gets it in quotes and in one line, cut where it is long."""
    line = " ".join(statement.replace("%%", "%").split())  # doubled for the driver
    return f"'{line}'" if len(line) <= LONGEST else f"'{line[:LONGEST]}...'"


def first(sql: str, database: str = "") -> str:
    """Return the word with which a statement begins, in capitals."""
    return next(_words(sql, database), "")


def commits(sql: str, database: str = "mysql") -> bool:
    """Whether MySQL commits a statement by itself, and before it what came before it."""
    return says(COMMITS, sql, database)


def _words(sql: str, database: str) -> Iterator[str]:
    for kind, text in lexer.tokens(sql[begin(sql, database) :], database):
        if kind not in ("blank", "comment") and (kind != "sign" or text in "().="):
            yield text.upper()


def _after_with(words: Iterator[str]) -> str:
    """Return the verb behind the common table expressions."""
    depth, before = 0, ""
    for word in words:
        depth += {"(": 1, ")": -1}.get(word, 0)
        # a part of PostgreSQL's may change rows, whatever is asked of them behind it
        if word in AFTER_WITH and (depth == 0 or (before == "(" and word not in READS)):
            return word
        before = word
    return ""


def _sets(words: Iterator[str]) -> bool:
    name, *rest = words
    if rest[:1] == ["."]:  # of an attached database
        _, name, *rest = rest
    return bool(rest or name in ("OPTIMIZE", "INCREMENTAL_VACUUM")) and not LOOKS.fullmatch(name)
