"""Two databases moved through one history: the same rows in both, and what differs afterwards."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

IGNORED = {"alembic_version", "alembic_log", "sqlite_sequence"}


class Difference(NamedTuple):
    """``where`` is "up" or "down" and the revision; ``kind`` is "stock fails", "we refuse", "both
    fail", "schema" or "rows"."""

    where: str
    kind: str
    what: str


class Worker:
    """A process with a database of its own: a file of SQLite's, or where the URL leads."""

    def __init__(
        self,
        way: str,
        folder: Path,
        versions: Path,
        convention: dict,
        packages: list,
        url: str = "",
    ):
        self.database = folder / f"{way}.db"
        scripts = folder / "scripts"
        scripts.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [
                *(sys.executable, str(Path(__file__).with_name("worker.py")), way),
                *(url or f"sqlite:///{self.database}", str(versions), str(scripts)),
                *(json.dumps(convention), json.dumps(packages)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.revisions = json.loads(self.process.stdout.readline())

    def move(self, revision: str, up: bool) -> str | None:
        """Go over one revision; return what went wrong."""
        self.process.stdin.write(json.dumps({"revision": revision, "up": up}) + "\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith('{"error"'):
            assert line, "the worker is gone"
        return json.loads(line)["error"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)


@dataclass
class Walk:
    """``moved`` counts the revisions that both went over."""

    differences: list
    moved: int = 0


def walk(folder: Path, versions: Path, convention: dict, packages: list) -> Walk:
    """Go up step by step with rows made in between, and down again."""
    ways = ("stock", "keel")
    workers = [Worker(way, folder, versions, convention, packages) for way in ways]
    found = Walk([])
    try:
        before, number = {}, 0
        for revision in workers[0].revisions:
            content = _content(workers[1].database)
            if _step(workers, revision, True, found) or _without_rows(workers, revision, found):
                before[revision] = content
            else:
                stamp(workers, revision)
            number = fill([worker.database for worker in workers], number)
        for previous, revision in reversed(list(pairwise(["", *workers[0].revisions]))):
            if revision not in before:
                stamp(workers, previous)
            elif not _step(workers, revision, False, found):
                # neither has a way down: on from what was there before it
                for worker in workers:
                    worker.database.write_bytes(before[revision])
    finally:
        for worker in workers:
            worker.close()
    return found


def _step(workers: list[Worker], revision: str, up: bool, found: Walk) -> bool:
    """One revision in both; where they differ they go on from what ours has, or from stock's
    where ours has refused. Return whether there is a way on."""
    where = f"{'up' if up else 'down'} {revision}"
    stock, ours = workers
    saved = [_content(worker.database) for worker in workers]
    errors = [worker.move(revision, up) for worker in workers]
    if errors[0] and errors[1]:
        found.differences.append(Difference(where, "both fail", f"{errors[0]} / {errors[1]}"))
        for worker, content in zip(workers, saved, strict=True):
            worker.database.write_bytes(content)
        return False
    found.moved += 1
    if errors[0]:
        found.differences.append(Difference(where, "stock fails", errors[0]))
        shutil.copyfile(ours.database, stock.database)
    elif errors[1]:
        found.differences.append(Difference(where, "we refuse", errors[1]))
        shutil.copyfile(stock.database, ours.database)
    else:
        differ = compare(stock.database, ours.database)
        found.differences += [Difference(where, kind, what) for kind, what in differ]
        if differ:
            shutil.copyfile(ours.database, stock.database)
    return True


def _content(database: Path) -> bytes:
    return database.read_bytes() if database.exists() else b""


def empty(database: Path) -> None:
    """Take all rows away: for a migration that takes none."""
    with closing(sqlite3.connect(database)) as raw, raw:
        tables = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            if table not in IGNORED:
                raw.execute(f'DELETE FROM "{table}"')


def _without_rows(workers: list[Worker], revision: str, found: Walk) -> bool:
    """Try again without the rows that neither could take."""
    for worker in workers:
        empty(worker.database)
    return _step(workers, revision, True, found)


def stamp(workers: list[Worker], revision: str) -> None:
    """Go past a revision that cannot run at all."""
    for worker in workers:
        with closing(sqlite3.connect(worker.database)) as raw, raw:
            raw.execute("UPDATE alembic_version SET version_num = ?", [revision])


# -- rows --------------------------------------------------------------------------------------


def fill(databases: list[Path], number: int) -> int:
    """Put two rows into each table of both databases, parents first; return the last number."""
    statements = []
    engine = sa.create_engine(f"sqlite:///{databases[0]}", poolclass=sa.NullPool)
    look = sa.inspect(engine)
    names = [name for name, _ in look.get_sorted_table_and_fkc_names() if name]
    with closing(sqlite3.connect(databases[0])) as raw:
        for _ in range(2):
            number += 1
            left = [name for name in names if name not in IGNORED]
            # last those in a circle, whose parents come after them
            for orphans in (False, False, True):
                for table in list(left):
                    made = _insert(raw, look, table, number, orphans)
                    if made is not None:
                        left.remove(table)
                        statements.append(made)
                        with suppress(sqlite3.Error):
                            raw.execute(*made)
    for database in databases:
        with closing(sqlite3.connect(database)) as raw, raw:
            for sql, values in statements:
                with suppress(sqlite3.IntegrityError):  # two rows would say the same
                    raw.execute(sql, values)
    return number


def _insert(raw, look, table: str, number: int, orphans: bool) -> tuple[str, list] | None:
    """One row; None where a parent is missing, unless ``orphans`` may point to nobody."""
    parents = {}
    for key in look.get_foreign_keys(table):
        for own, theirs in zip(key["constrained_columns"], key["referred_columns"], strict=False):
            parents[own] = (key["referred_table"], theirs)
    allowed = _allowed(look, table)
    values = {}
    for column in look.get_columns(table):
        name = column["name"]
        if column.get("computed"):
            continue
        if name in parents:
            values[name] = _parent(raw, *parents[name], number)
            if values[name] is None and parents[name][0] != table and not orphans:
                return None
        elif name in allowed:
            values[name] = allowed[name][number % len(allowed[name])]
        else:
            values[name] = _value(column["type"], name, number)
    listed = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" for _ in values)
    return f'INSERT INTO "{table}" ({listed}) VALUES ({marks})', list(values.values())


def _allowed(look, table: str) -> dict[str, list[str]]:
    """The values of CHECKs that list them."""
    found = {}
    for check in look.get_check_constraints(table):
        listed = re.fullmatch(r"\"?(\w+)\"? IN \((.*)\)", check["sqltext"], re.DOTALL)
        if listed:
            found[listed[1]] = [part.strip().strip("'") for part in listed[2].split(",")]
    return found


def _parent(raw, table: str, column: str, number: int):
    rows = raw.execute(f'SELECT "{column}" FROM "{table}" ORDER BY 1').fetchall()
    return rows[number % len(rows)][0] if rows else None


def _value(type_, name: str, number: int):
    match type_:
        case sa.Boolean():
            return number % 2
        case sa.JSON():
            return json.dumps({name: number})
        case sa.DateTime():
            return f"2024-01-{number % 28 + 1:02} 03:04:05.000000"
        case sa.Date():
            return f"2024-01-{number % 28 + 1:02}"
        case sa.Time():
            return f"03:04:{number % 60:02}.000000"
        case sa.Integer():
            return number
        case sa.Float() | sa.Numeric():
            return number + 0.5
        case sa.LargeBinary():
            return bytes([number % 256])
        case sa.CHAR(length=32):
            return f"{number:032x}"
    text = f"{number} {name} \u00e4"
    return text[: type_.length] if getattr(type_, "length", None) else text


# -- what differs ------------------------------------------------------------------------------


def compare(stock: Path, ours: Path) -> list[tuple[str, str]]:
    """What the second database says otherwise than the first."""
    one, other = _schema(stock), _schema(ours)
    found = []
    for table in sorted(one.keys() | other.keys()):
        if table not in one or table not in other:
            found.append(("schema", f"{table} is only in {'stock' if table in one else 'ours'}"))
            continue
        for part in one[table]:
            here, there = one[table][part], other[table][part]
            if here != there:
                less, more = sorted(here - there), sorted(there - here)
                found.append(("schema", f"{table}, {part}: stock {less}, ours {more}"))
        if _columns(stock, table) == _columns(ours, table):
            here, there = _rows(stock, table), _rows(ours, table)
            if here != there:
                pair = next(((a, b) for a, b in zip(here, there, strict=False) if a != b), None)
                found.append(("rows", f"{table}: {len(here)} and {len(there)} rows, {pair}"))
    return found


def _columns(database: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(database)) as raw:
        return sorted(row[1] for row in raw.execute(f'PRAGMA table_info("{table}")'))


def _rows(database: Path, table: str) -> list[tuple]:
    listed = ", ".join(f'quote("{name}")' for name in _columns(database, table))
    with closing(sqlite3.connect(database)) as raw:
        rows = raw.execute(f'SELECT {listed} FROM "{table}"').fetchall()
    return sorted(tuple(NOW.sub("now", value) for value in row) for row in rows)


# what a migration itself writes of the time of day; the rows made here are of 2024
NOW = re.compile(r"20(?:2[5-9]|[3-9]\d)-\d\d-\d\d[ T][\d:.]+")


def _schema(database: Path) -> dict[str, dict[str, set]]:
    look = sa.inspect(sa.create_engine(f"sqlite:///{database}", poolclass=sa.NullPool))
    found = {}
    for table in {*look.get_table_names()} - {"alembic_log"}:
        key = look.get_pk_constraint(table)
        found[table] = {
            "columns": {
                str((c["name"], str(c["type"]), c["nullable"], _plain(c["default"])))
                for c in look.get_columns(table)
            },
            "key": {str((key["name"], key["constrained_columns"]))},
            "foreign keys": _foreign_keys(database, table),
            "unique": {
                str((u["name"], u["column_names"])) for u in look.get_unique_constraints(table)
            },
            "checks": {
                str((c["name"], _plain(c["sqltext"]))) for c in look.get_check_constraints(table)
            },
            "indexes": {
                str((i["name"], i["column_names"], i["unique"])) for i in look.get_indexes(table)
            },
        }
    with closing(sqlite3.connect(database)) as raw:
        counted = raw.execute("SELECT name, sql LIKE '%AUTOINCREMENT%' FROM sqlite_master")
        for name, counts in counted:
            if name in found:
                found[name]["autoincrement"] = {bool(counts)}
    return found


def _foreign_keys(database: Path, table: str) -> set[str]:
    """As SQLite lists them, and by their names in the text: of two on the same columns SQLAlchemy
    tells one."""
    with closing(sqlite3.connect(database)) as raw:
        (sql,) = raw.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchone()
        rows = raw.execute(f'PRAGMA foreign_key_list("{table}")').fetchall()
    keys: dict = {}
    for number, place, *key in rows:
        keys.setdefault(number, []).append((place, *key))
    names = re.findall(r"CONSTRAINT\s+\"?(\w+)\"?\s+FOREIGN", sql)
    return set(names) | {str(sorted(key)) for key in keys.values()}


def _plain(sql: str | None) -> str | None:
    return None if sql is None else re.sub(r"[\s\"()]+", "", sql).lower()
