"""The indexes of a table that CREATE INDEX made, and the columns that each depends on."""

from typing import NamedTuple

from .create_table import identifiers
from .database import Database
from .tokens import fold, tokenize


class IndexFacts(NamedTuple):
    """An index that CREATE INDEX made; ``uses`` holds every column that it depends on."""

    name: str
    sql: str
    unique: bool
    partial: bool
    columns: tuple[str | None, ...]
    uses: frozenset[str]

    @property
    def is_plain(self) -> bool:
        """Whether it indexes whole columns of all rows."""
        return not self.partial and None not in self.columns

    def concerns(self, column: str) -> bool:
        return fold(column) in self.uses


def indexes(db: Database, table: str) -> list[IndexFacts]:
    """The indexes with a CREATE INDEX of their own, in the order in which they were made."""
    query = f"SELECT name, sql FROM {db.catalogue} WHERE type = 'index' AND sql NOT NULL"
    stored = db.rows(f"{query} AND tbl_name = ? COLLATE NOCASE ORDER BY rowid", table)
    listed = {row[1]: row for row in db.pragma("index_list", table)}
    return [_index(db, name, sql, listed[name]) for name, sql in stored if name in listed]


def _index(db: Database, name: str, sql: str, listed: tuple) -> IndexFacts:
    _, _, unique, _, partial = listed
    keys = [row for row in db.pragma("index_xinfo", name) if row[5]]
    columns = tuple(row[2] for row in keys)
    uses = {column for column in columns if column is not None}
    if partial or None in columns:
        uses |= identifiers(_after_table_name(sql))
    return IndexFacts(name, sql, bool(unique), bool(partial), columns, frozenset(map(fold, uses)))


def _after_table_name(sql: str) -> str:
    """The columns and the WHERE of a CREATE INDEX text, as one expression."""
    tokens = tokenize(sql)
    on = next(place for place, token in enumerate(tokens) if token.keyword == "ON")
    return sql[tokens[on + 1].end :]


def table_of_index(db: Database, index: str) -> str | None:
    query = f"SELECT tbl_name FROM {db.catalogue} WHERE type = 'index' AND name = ? COLLATE NOCASE"
    return db.value(query, index)
