"""Random tables, rows and operations: what no operation names is the same afterwards, what one
names is as it was asked, and the printed SQL does what the live upgrade does.

``ENGINE_SEED=4711`` begins with the examples that a failure named, ``ENGINE_SECONDS=3600`` says for
how long new ones are tried.
"""

import copy
import os
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from alembic.util import CommandError
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from flask_keel import literals
from flask_keel.sqlite.tokenizer import fold, quote
from flask_keel.upgrade import sql_script

from . import shapes
from .memory import migrating
from .random_changes import Change, changes, rename_table
from .shapes import Converter, Row, Shape
from .strategies import PARENTS, Table, fill, tables
from .strategies import rows as rows_for

LONG = bool(os.environ.get("LONG_DRILLS"))
SECONDS = float(os.environ.get("ENGINE_SECONDS", 1800 if LONG else 0))
SEEDS = 4  # at least, however long they take
# the same examples for everybody who runs the tests, others in each long drill
DRAWN = random.randrange(10**9) if os.environ.get("LONG_DRILLS") else 2202
SEED = int(os.environ.get("ENGINE_SEED", DRAWN))
EXAMPLES = 15  # of one seed

ADDED = [
    "TEXT DEFAULT 1.10",
    "TEXT DEFAULT 'old'",
    "INT DEFAULT 5",
    "INTEGER DEFAULT '5.0'",
    "REAL DEFAULT 2",
    "DEFAULT 'old'",
    "VARCHAR(9) DEFAULT 1e3",
    "NUMERIC DEFAULT -0.0",
    "NUMERIC",
    "INT NOT NULL DEFAULT '7'",
    "TEXT AS (1)",
    "INT REFERENCES p",
]
STRICT_ADDED = ["ANY DEFAULT 'old'", "INT", "TEXT DEFAULT 'x'", "REAL DEFAULT 1", "INT AS (1)"]


@dataclass
class Case:
    """A database, and what is asked of one table of it."""

    raw: sqlite3.Connection
    name: str
    shape: Shape
    asked: list[tuple[str, list[Change]]] = field(default_factory=list)
    keys_to_check: set[str] | None = None
    rebuilds: bool = False

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"a table {self.name!r}")

    @property
    def later_name(self) -> str:
        return next((change.new_name for change in self.changes if change.new_name), self.name)

    @property
    def changes(self) -> list[Change]:
        return [change for _, group in self.asked for change in group]


def opened() -> sqlite3.Connection:
    raw = sqlite3.connect(":memory:", isolation_level=None)
    # a generated column can glue bytes to text
    raw.text_factory = lambda value: value.decode(errors="surrogateescape")
    return raw


def copied(raw: sqlite3.Connection, to: sqlite3.Connection | None = None) -> sqlite3.Connection:
    other = to or opened()
    raw.backup(other)
    return other


@st.composite
def cases(draw) -> Case:
    written: Table = draw(tables())
    raw, name = opened(), quote(written.name)
    script: list[str] = []

    def run(sql: str) -> None:
        try:
            raw.execute(sql)
            script.append(sql)
        except sqlite3.Error:
            return

    raw.executescript(PARENTS)
    raw.execute("INSERT INTO p VALUES (1, 'a', 'b'), (2, 'ab', NULL), (3, '', 'a')")
    raw.execute("INSERT INTO q VALUES (1), (2), (-3)")
    run(written.sql)
    rows_before = draw(rows_for(written))
    fill(raw, written, rows_before)
    strict = shapes.read(raw, written.name).options & {"STRICT"}
    for number, kind in enumerate(
        draw(st.lists(st.sampled_from(STRICT_ADDED if strict else ADDED), max_size=3))
    ):
        run(f'ALTER TABLE {name} ADD COLUMN "added {number}" {kind}')
    later = draw(rows_for(written, max_size=3))
    fill(raw, written, later)
    columns = [row[1] for row in raw.execute(f"PRAGMA table_xinfo({name})")]
    one, other = (quote(draw(st.sampled_from(columns))) for _ in range(2))
    oddities = draw(st.lists(st.sampled_from(list(ODDITIES)), max_size=4, unique=True))
    for oddity in sorted(oddities, key=list(ODDITIES).index):
        text = _text(raw, written.name)
        for sql in ODDITIES[oddity]:
            run(sql.format(t=name, c=one, d=other, text=text))
    note(";\n".join([*script, repr(rows_before), repr(later)]))
    rebuilds = draw(st.integers(1, 5)) == 5
    return Case(raw, written.name, shapes.read(raw, written.name), rebuilds=rebuilds)


# what is made of the table, each as statements that may not fit
ODDITIES = {
    "an index": ["CREATE INDEX plain ON {t} ({c})"],
    "an index of two": ["CREATE INDEX both ON {t} ({d} DESC, {c} COLLATE NOCASE)"],
    "a unique index": ["CREATE UNIQUE INDEX lone ON {t} ({c}, {d})"],
    "a partial index": ["CREATE INDEX part ON {t} ({c}) WHERE {d} IS NOT NULL"],
    "an index on an expression": ["CREATE INDEX expr ON {t} (length({c}), {d})"],
    "a trigger": [
        "CREATE TRIGGER fired AFTER UPDATE ON {t} BEGIN SELECT raise(ABORT, 'fired'); END"
    ],
    "a trigger on delete": ["CREATE TRIGGER gone BEFORE DELETE ON {t} BEGIN DELETE FROM p; END"],
    "a view": ["CREATE VIEW seen AS SELECT * FROM {t}"],
    "a child": ["CREATE TABLE child (id INTEGER PRIMARY KEY, x REFERENCES {t} ON DELETE CASCADE)"],
    "its copy": [
        "PRAGMA legacy_alter_table=ON",
        "ALTER TABLE {t} RENAME TO original",
        "{text}",
        "INSERT INTO {t} SELECT * FROM original",
        "DROP TABLE original",
    ],
    "statistics": ["ANALYZE"],
}


def _text(raw: sqlite3.Connection, table: str) -> str:
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    found = raw.execute(query, (table,)).fetchone()
    return found[0] if found else ""


def ask(data, case: Case) -> Shape:
    """Draw what is asked; the shape that the table has to have after it."""
    expected, number = copy.deepcopy(case.shape), 0
    for _ in range(data.draw(st.integers(1, 2))):
        batch, group = data.draw(st.booleans()), []
        for _ in range(data.draw(st.integers(1, 3))):
            if not expected.columns:
                break
            change = data.draw(changes(expected, number))
            number += 1
            if (change.batch_only or change.options) and not batch:
                continue
            change.shape(expected)
            group.append(change)
        case.asked.append(("batch" if batch else "plain", group))
    if data.draw(st.integers(1, 6)) == 6:
        change = rename_table(expected, data.draw(st.sampled_from(["moved", "Mo ved", "select"])))
        change.shape(expected)
        case.asked.append(("plain", [change]))
    for way, group in case.asked:
        note(f"{way}: " + "; ".join(change.says for change in group))
    return expected


def migrate(raw, case: Case, asked, **options) -> str | None:
    """Run what is asked; the sentence when it is refused. Which keys are to be looked at is noted."""
    try:
        with migrating(raw, **options) as op:
            for way, group in asked:
                if way == "batch":
                    options = {k: v for change in group for k, v in change.options.items()}
                    always = "always" if case.rebuilds else "auto"
                    with op.batch_alter_table(
                        case.name, table_kwargs=options, recreate=always
                    ) as batch:
                        for change in group:
                            change.make(batch, ())
                else:
                    for change in group:
                        change.make(op, (case.name,))
            case.keys_to_check = op.impl.keys_to_check
    except CommandError as error:
        return str(error)
    return None


def printed(raw, case: Case) -> str:
    """The SQL that `upgrade --sql` prints for what is asked."""
    script: list[str] = []
    rehearsed = sqlite3.connect(
        ":memory:", isolation_level=None, factory=literals.recorder(script.append)
    )
    rehearsed.text_factory = raw.text_factory
    raw.backup(rehearsed)
    assert migrate(rehearsed, case, case.asked, sqlite_portable_sql=True) is None
    rehearsed.close()
    ended = "".join(s + "\n" if s.startswith("-- ") else s + "\n;\n" for s in script)
    return sql_script.HEAD.format(patience=1000) + ended + "COMMIT;\n"


def everything_else(raw, case: Case) -> list[tuple]:
    """The schema and the rows of what is not the table."""
    found = raw.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
        "ORDER BY type, name"
    ).fetchall()
    names = {fold(case.name), "sqlite_sequence"}
    others = [row for row in found if fold(row[2]) not in names]
    others += [row[:3] for row in found if row[0] == "trigger"]
    for row in others:
        if row[0] == "table":
            others += raw.execute(f"SELECT * FROM {quote(row[1])}").fetchall()
    return others


def broken(raw) -> dict[str, list]:
    """The rows of each table that point to nothing."""
    found = {}
    for (table,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        try:
            rows = raw.execute(f"PRAGMA foreign_key_check({quote(table)})").fetchall()
            own = [None if fold(row[2]) == fold(table) else row[2] for row in rows]
            found[fold(table)] = [(row[1], parent) for row, parent in zip(rows, own, strict=True)]
        except sqlite3.Error:
            found[fold(table)] = [("no such key", None)]
    return found


def assert_same(found: tuple | list, expected: tuple | list, where: str = "") -> None:
    """Say what differs, and nothing else."""
    if found != expected:
        pairs = zip(found, expected, strict=False)
        differences = [f"{a}\n  instead of\n{b}" for a, b in pairs if a != b]
        raise AssertionError("\n".join([f"{len(found)}, {len(expected)}", *differences, where]))


def soundness(raw) -> set[str]:
    """What SQLite finds wrong, but for what it says of sound tables too.

    3.40 finds NULLs and text in columns of tables WITHOUT ROWID that hold none, also where the same
    rows are in a table that was just made.
    """
    said = {row[0] for row in raw.execute("PRAGMA integrity_check").fetchall()}
    if said != {"ok"}:
        found = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        for name, sql in found:
            said -= _said_of_new(raw, name, sql)
    return said


def _said_of_new(raw, name: str, sql: str) -> set[str]:
    """What SQLite says of the table's rows in a table that was just made; nothing where it takes them not."""
    columns = raw.execute(f"PRAGMA table_xinfo({quote(name)})").fetchall()
    names = ", ".join(quote(row[1]) for row in columns if not row[6])
    with closing(copied(raw)) as new:
        new.execute("PRAGMA ignore_check_constraints=ON")
        new.execute(f"CREATE TABLE kept AS SELECT {names} FROM {quote(name)}")
        try:
            new.execute(f"DROP TABLE {quote(name)}")
            new.execute(sql)
            new.execute(f"INSERT INTO {quote(name)} ({names}) SELECT * FROM kept")
        except sqlite3.Error:
            return set()
        return {row[0] for row in new.execute(f"PRAGMA integrity_check({quote(name)})").fetchall()}


def expect_rows(case: Case, later: Shape, before: list[Row], now: list[Row]) -> list[Row]:
    """What the rows have to be, those of a new column as ADD COLUMN or INSERT makes of its default."""
    option = "STRICT" if "STRICT" in case.shape.options else ""
    expected, convert = copy.deepcopy(before), Converter(option)
    for _, group in case.asked:
        for change in group:  # the table is made anew as it is after all of them
            strict = change.options.get("sqlite_strict", bool(convert.option))
            convert.option = "STRICT" if strict else ""
        for change in group:
            change.rows(expected, convert)
    computed = {c.name for c in (*case.shape.columns, *later.columns) if c.generated}
    skipped = computed if any(change.converts for change in case.changes) else set()
    if any(c.renumbers or "sqlite_with_rowid" in c.options for c in case.changes):
        skipped.add(" rowid")
    for row in [*expected, *now]:
        for name in skipped & set(row):
            del row[name]
    new = {name for row in expected for name, value in row.items() if value[0] == "new"}
    for name in new:
        values = {row[name][:2] for row in now}
        # within a batch a default that comes later is the one that old rows get
        assert len(values) <= 1, f"{name} has different values in old rows: {values}"
        for row in expected:
            row[name] = (*next(iter(values)), None)
    return expected


def try_one(data, case: Case, tally: dict[str, int], folder: Path) -> None:
    expected = ask(data, case)
    live = copied(case.raw)
    before = shapes.rows(live, case.name)
    others, sound, dangling = everything_else(live, case), soundness(live), broken(live)
    refused = migrate(live, case, case.asked)
    later = case.name if refused else case.later_name
    now = shapes.rows(live, later)
    if refused or not any("rename" in c.says or "new_col" in c.says for c in case.changes):
        assert_same(everything_else(live, case), others)
    if refused:
        tally["refused"] += 1
        note(refused)
        assert shapes.multiset(now) == shapes.multiset(before)
        assert shapes.read(live, case.name).comparable([]) == case.shape.comparable([])
        return
    tally["done"] += 1
    same = expected.same
    assert_same(shapes.read(live, later).comparable(same), expected.comparable(same))
    wanted = expect_rows(case, expected, before, now)
    assert_same(shapes.multiset(now), shapes.multiset(wanted))
    assert soundness(live) <= sound | {"ok"}
    for table, rows in broken(live).items():
        if case.keys_to_check is not None and table not in map(fold, case.keys_to_check):
            before_it = dangling.get(fold(case.name if table == fold(later) else table), [])
            if ("no such key", None) in before_it:
                continue  # its rows could not be looked at
            numbered = all(row[0] is not None for row in [*rows, *before_it])
            numbered &= not any(change.renumbers for change in case.changes)
            new = [row for row in rows if row not in before_it] if numbered else []
            new += rows[len(before_it) :]
            assert not new, f"{new} of {table}, looked at: {case.keys_to_check}"
    compare_printed(case, live, expected, folder)
    go_back(case, live, before, tally)
    live.close()


def compare_printed(case: Case, live, expected: Shape, folder: Path) -> None:
    script = printed(case.raw, case)
    path = str(folder / "printed.db")
    with closing(sqlite3.connect(path)) as file:
        copied(case.raw, file)
    ran = subprocess.run(
        ["sqlite3", path], input=script.encode(errors="surrogateescape"), capture_output=True
    )
    assert ran.returncode == 0, f"{ran.stderr.decode()}\n{script}"
    with closing(sqlite3.connect(path)) as file:
        file.text_factory = live.text_factory
        same = expected.same
        found = shapes.read(file, case.later_name)
        assert_same(found.comparable(same), expected.comparable(same), script)
        rows = [shapes.multiset(shapes.rows(raw, case.later_name)) for raw in (file, live)]
        assert_same(*rows, script)
        assert soundness(file) <= soundness(live) | {"ok"}, script


def go_back(case: Case, live, before: list[Row], tally: dict[str, int]) -> None:
    back = [change.back for change in reversed(case.changes)]
    if None in back:
        return
    kept = not any(change.converts for change in case.changes)
    refused = migrate(live, case, [("plain", back)])
    note(f"back: {'; '.join(change.says for change in back)}: {refused or 'done'}")
    tally["back" if refused is None else "not back"] += 1
    if refused is None:
        same = [{*names} for names in _met(case)]
        found = shapes.read(live, case.name)
        assert_same(found.comparable(same), case.shape.comparable(same))
        if kept:
            assert_same(shapes.multiset(shapes.rows(live, case.name)), shapes.multiset(before))


def _met(case: Case) -> list[set[str]]:
    again = copy.deepcopy(case.shape)
    for change in case.changes:
        change.shape(again)
    return again.same


TRIPLE = """
    CREATE TABLE t (a INT DEFAULT 'x', b TEXT AS (a || 'x') STORED {}, id INT PRIMARY KEY, c INT)
        WITHOUT ROWID;
    INSERT INTO t (id, a, c) VALUES (1, 1.5, 2), (2, {}, 3)
"""


def test_what_sqlite_says_of_a_sound_table_is_no_fault_of_the_upgrade():
    with closing(opened()) as raw:
        raw.executescript(TRIPLE.format("NOT NULL", 0))
        with migrating(raw) as op:
            op.drop_column("t", "c")
        assert raw.execute("SELECT * FROM t").fetchall() == [(1.5, "1.5x", 1), (0, "0x", 2)]
        assert soundness(raw) <= {"ok"}


def test_a_null_where_none_may_be_is_still_found():
    with closing(opened()) as raw:
        raw.executescript(TRIPLE.format("", "NULL"))
        raw.execute("PRAGMA writable_schema=ON")
        raw.execute("UPDATE sqlite_master SET sql = replace(sql, 'STORED', 'STORED NOT NULL')")
        raw.execute("PRAGMA writable_schema=RESET")
        with migrating(raw) as op:
            op.drop_column("t", "c")
        assert "NULL value in t.b" in soundness(raw)


@pytest.mark.long
def test_random_upgrades_do_what_is_asked_and_nothing_else(tmp_path):
    ends, number = time.monotonic() + SECONDS, SEED
    tally = {"done": 0, "refused": 0, "back": 0, "not back": 0}
    while number < SEED + SEEDS or time.monotonic() < ends:
        print(f"ENGINE_SEED={number}")

        @seed(number)
        @given(cases(), st.data())
        @settings(
            deadline=None,
            max_examples=EXAMPLES,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        def property_of(case: Case, data):
            try_one(data, case, tally, tmp_path)

        property_of()
        number += 1
    print(f"{number - SEED} seeds: {tally}")
    assert tally["done"] > tally["refused"] / 4
