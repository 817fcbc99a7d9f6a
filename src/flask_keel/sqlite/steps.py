"""One change of a table's text and the way to make it, and how the engine may work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .create_table import CreateTable


@dataclass(frozen=True)
class Settings:
    """How the engine may work.

    ``recreate`` is "auto", "always" or "never". ``text_edits`` are the kinds of change that may
    be made in the schema text, none where the configuration or a portable script forbids it.
    ``going_down`` is a downgrade, which brings back what was there.
    """

    dialect: Any
    convention: Any = None
    recreate: str = "auto"
    schema_edits: bool = True
    portable: bool = False
    text_edits: frozenset[str] = frozenset()
    going_down: bool = False


@dataclass(frozen=True)
class Step:
    """One change of the table's text, and the cheapest way to make it.

    ``way`` is "add" or "drop" (SQLite's own ALTER TABLE ADD or DROP COLUMN), "text" (an edit of
    the schema text, by ``statement`` where SQLite has had one ``since`` a version) or "rebuild".
    ``settles`` says that rows which are shorter than the table would read otherwise by the new
    text, ``update`` is the statement that changes rows in place after an edit of the text.
    """

    says: str
    apply: Callable[[CreateTable], CreateTable]
    way: str
    kind: str = ""
    statement: str | None = None
    since: tuple[int, int] = (3, 53)
    update: str | None = None
    scans: bool = False
    settles: bool = False
