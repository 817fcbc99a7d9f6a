"""Who refers to a table by a foreign key."""

from typing import NamedTuple

from .database import Database


class Reference(NamedTuple):
    """A foreign key of a table, as ``PRAGMA foreign_key_list`` tells it."""

    table: str
    number: int
    referred_table: str
    columns: tuple[str, ...]
    referred_columns: tuple[str, ...]


def references_to(db: Database, table: str) -> list[Reference]:
    """The foreign keys anywhere in the schema that refer to a table, its own among them."""
    rows = db.rows(
        "SELECT child.name, key.id, key.seq, key.'table', key.'from', key.'to' "
        f"FROM {db.catalogue} AS child, pragma_foreign_key_list(child.name, ?) AS key "
        "WHERE child.type = 'table' AND key.'table' = ? COLLATE NOCASE",
        db.schema or "main",
        table,
    )
    return _references(db, rows)


def _references(db: Database, rows: list[tuple]) -> list[Reference]:
    keys: dict[tuple, list[tuple]] = {}
    for child, number, place, parent, column, referred, *_ in rows:
        keys.setdefault((child, number, parent), []).append((place, column, referred))
    found = []
    for (child, number, parent), parts in keys.items():
        parts.sort()
        referred = tuple(part[2] for part in parts)
        if None in referred:
            referred = primary_key(db, parent)
        found.append(Reference(child, number, parent, tuple(p[1] for p in parts), referred))
    return found


def primary_key(db: Database, table: str) -> tuple[str, ...]:
    """The columns of the primary key in their order; empty when there is no such table."""
    keys = sorted((row[5], row[1]) for row in db.pragma("table_xinfo", table) if row[5])
    return tuple(name for _, name in keys)
