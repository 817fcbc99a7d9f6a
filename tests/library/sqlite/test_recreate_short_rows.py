"""Rows that hold less than their table has columns keep what they read, storage class included."""

import sqlite3

import pytest
from alembic.util import CommandError

from flask_keel.sqlite import clone, draft, recreate

from .memory import migrating

# each as ALTER TABLE ADD COLUMN takes it
DECLARED = (
    """
TEXT DEFAULT 1.10|TEXT DEFAULT -1.50|TEXT DEFAULT 1e3|TEXT DEFAULT -0.0|TEXT DEFAULT 5|TEXT
TEXT DEFAULT word|TEXT DEFAULT "a b"|TEXT DEFAULT 0x1F|TEXT DEFAULT (5.0)|TEXT DEFAULT NULL|INT
TEXT DEFAULT x'ff00'|BLOB DEFAULT 1.0|INT DEFAULT '5'|INTEGER DEFAULT '5.0'|INTEGER DEFAULT 'word'
INTEGER DEFAULT 9223372036854775808|REAL DEFAULT 2|REAL DEFAULT -0.0|REAL DEFAULT 1e400
REAL DEFAULT '1e3'|FLOAT DEFAULT 0.30000000000000004|NUMERIC DEFAULT 1e3|NUMERIC DEFAULT '1.10'
NUMERIC DEFAULT 1e23|BOOLEAN DEFAULT TRUE|DEFAULT '1'|DEFAULT (CAST(5 AS TEXT))
TEXT COLLATE NOCASE DEFAULT 'A'|TEXT NOT NULL DEFAULT 'n'
""".strip()
    .replace("\n", "|")
    .split("|")
)
STRICT = (
    """
TEXT DEFAULT 'a'|INT DEFAULT 5|INTEGER DEFAULT -1|REAL DEFAULT 2|BLOB DEFAULT x'00'|ANY|TEXT
ANY DEFAULT 1.0
""".strip()
    .replace("\n", "|")
    .split("|")
)

PLAIN = "CREATE TABLE t (a INTEGER PRIMARY KEY, b)"
# a table, and what comes after the column d was added to it
TABLES = {
    "nothing else": (PLAIN, ""),
    "without a key": ("CREATE TABLE t (a, b)", ""),
    "WITHOUT ROWID": ("CREATE TABLE t (b, a INTEGER PRIMARY KEY) WITHOUT ROWID", ""),
    "WITHOUT ROWID, indexed": (
        "CREATE TABLE t (b UNIQUE, a INTEGER PRIMARY KEY) WITHOUT ROWID",
        "CREATE INDEX i ON t (d); CREATE INDEX j ON t (d, b, a)",
    ),
    "no name left for the rowid": ("CREATE TABLE t (a, b, rowid, _rowid_, oid)", ""),
    "indexed": (PLAIN, "CREATE INDEX i ON t (d); CREATE INDEX j ON t (d, b, a)"),
    "a unique index": (PLAIN, "CREATE UNIQUE INDEX i ON t (d, a)"),
    "a partial index": (PLAIN, "CREATE INDEX i ON t (a) WHERE d IS NOT NULL"),
    "an index on an expression": (PLAIN, "CREATE INDEX i ON t (d || 'x')"),
    "a computed column": (
        PLAIN,
        "ALTER TABLE t ADD COLUMN g AS (d || 'x'); CREATE INDEX i ON t (g)",
    ),
    "more columns behind": (
        PLAIN,
        "ALTER TABLE t ADD COLUMN e TEXT DEFAULT 1.10; CREATE INDEX i ON t (e, d)",
    ),
    "triggers": (
        PLAIN,
        "CREATE TRIGGER no AFTER UPDATE ON t BEGIN SELECT raise(ABORT, 'fired'); END;"
        "CREATE TRIGGER nor BEFORE UPDATE OF d ON t BEGIN DELETE FROM t; END",
    ),
    "a virtual column that went": (
        "CREATE TABLE t (\n\ta INTEGER PRIMARY KEY,\n\tb,\n\tv AS (1)\n)",
        "ALTER TABLE t DROP COLUMN v",
    ),
    "STRICT": ("CREATE TABLE t (a INTEGER PRIMARY KEY, b ANY) STRICT", ""),
    "STRICT, indexed": (
        "CREATE TABLE t (a INT PRIMARY KEY, b ANY) STRICT, WITHOUT ROWID",
        "CREATE INDEX i ON t (d)",
    ),
}
SOME = [
    "TEXT DEFAULT 1.10",
    "INT",
    "INTEGER DEFAULT '5.0'",
    "REAL DEFAULT 2",
    "NUMERIC DEFAULT 1e3",
]
CHANGES = {
    "no default": [draft.SetDefault("d", None)],
    "another default": [draft.SetDefault("d", "'new'")],
    "the time as default": [
        draft.SetDefault("d", "CURRENT_TIMESTAMP"),
        draft.SetNotNull("d", False),
    ],
    "a default that reads alike": [draft.SetDefault("d", "1.1")],
    "another type": [draft.SetType("d", "TEXT")],
    "a type of numbers": [draft.SetType("d", "NUMERIC")],
    "a type that keeps values as they are": [draft.SetType("d", "BLOB")],
    "NOT NULL and a check": [
        draft.SetNotNull("d", True),
        draft.AddConstraint("CONSTRAINT c CHECK (b IS NOT 'zz')"),
    ],
    "all at once": [
        draft.SetNotNull("d", True),
        draft.SetDefault("d", "7"),
        draft.SetType("d", "CHAR(9)"),
        draft.AddColumn("z", "z INT DEFAULT 1"),
    ],
}


def database(name: str, declared: str) -> sqlite3.Connection:
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.text_factory = lambda value: value.decode(errors="surrogateescape")
    table, later = TABLES[name]
    raw.execute(table)
    raw.execute("INSERT INTO t (a, b) VALUES (1, 2), (2, 'two'), (3, 3.5)")
    raw.execute(f"ALTER TABLE t ADD COLUMN d {declared}")
    raw.executescript(later)
    raw.execute("INSERT INTO t (a, b) VALUES (4, 4)")
    if "STRICT" not in table:
        raw.execute("INSERT INTO t (a, b, d) VALUES (5, 5, x'05')")
    return raw


def stored_as(type_text: str, value, option: str):
    """What a column of the type makes of a value."""
    raw = sqlite3.connect(":memory:")
    raw.execute(f"CREATE TABLE o (v {type_text}) {option}")
    raw.execute("INSERT INTO o VALUES (?)", (value,))
    return raw.execute("SELECT v, typeof(v), quote(v) FROM o").fetchone()


def held(raw: sqlite3.Connection) -> list[dict]:
    """The rows by their keys, each value with its storage class and as quote() writes it."""
    names = [row[1] for row in raw.execute("PRAGMA table_xinfo(t)")]
    listed = ", ".join(f"{name}, typeof({name}), quote({name})" for name in names)
    found = raw.execute(f"SELECT {listed} FROM t ORDER BY a").fetchall()
    return [{name: row[3 * at : 3 * at + 3] for at, name in enumerate(names)} for row in found]


def soundness(raw: sqlite3.Connection) -> list[tuple]:
    return raw.execute("PRAGMA integrity_check").fetchall()


def migrate(raw: sqlite3.Connection, asked: list) -> bool:
    try:
        with migrating(raw) as op:
            op.impl._change("t", None, asked)
    except CommandError:
        return False
    return True


def change_and_compare(table: str, declared: str, asked: list) -> bool:
    raw = database(table, declared)
    before, schema = held(raw), raw.execute("SELECT * FROM sqlite_master").fetchall()
    types = [op.text for op in asked if isinstance(op, draft.SetType)]
    done = migrate(raw, asked)
    if not done:
        assert raw.execute("SELECT * FROM sqlite_master").fetchall() == schema
    for was, now in zip(before, held(raw), strict=True):
        if types and done:
            was["d"] = stored_as(types[0], was["d"][0], "STRICT" if "STRICT" in table else "")
            was["g"] = now.get("g")
        assert {name: now.get(name) for name in was} == was, declared
    assert soundness(raw) == [("ok",)], declared
    raw.close()
    return done


STRICT_TABLES = [table for table in TABLES if "STRICT" in table]
OTHERS = [table for table in TABLES if table not in STRICT_TABLES]


@pytest.mark.one_of_each
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", OTHERS)
def test_short_rows_keep_what_they_read(table, change):
    chosen = DECLARED if table == "nothing else" else SOME
    if change in ("no default", "another default"):
        chosen = [*chosen, "TEXT DEFAULT (CAST(x'c3ff' AS TEXT))"]
    done = [one for one in chosen if change_and_compare(table, one, CHANGES[change])]
    assert done, "every one of them was refused"


@pytest.mark.parametrize("table", STRICT_TABLES)
def test_short_rows_of_a_strict_table_keep_what_they_read(table):
    for change in CHANGES:
        if change not in ("a type of numbers", "all at once"):
            done = [one for one in STRICT if change_and_compare(table, one, CHANGES[change])]
            assert done, "every one of them was refused"


def test_what_a_strict_table_could_not_hold_is_no_value_of_it_afterwards():
    """A copy of whole records, made by SQLite for INSERT ... SELECT *, looks at no type."""
    raw = database("STRICT", "ANY DEFAULT 1.5")
    before = held(raw)
    assert not migrate(raw, [draft.SetType("d", "BLOB")])
    assert held(raw) == before


@pytest.mark.parametrize("asked", [[draft.SetDefault("d", None)], [draft.SetType("b", "INTEGER")]])
@pytest.mark.parametrize("table", ["nothing else", "indexed", "an index on an expression"])
def test_what_the_column_cannot_hold_is_held_as_it_would_be_written(table, asked):
    """A TEXT column with DEFAULT TRUE reads the integer 1, which SQLite itself calls a fault."""
    raw = database(table, "TEXT DEFAULT TRUE")
    assert [row["d"][1] for row in held(raw)] == ["integer"] * 3 + ["text", "blob"]
    assert migrate(raw, asked)
    assert [row["d"][0] for row in held(raw)[:3]] == ["1"] * 3
    assert soundness(raw) == [("ok",)]


def test_a_copy_of_a_table_holds_its_short_rows_where_no_text_shows_it():
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.executescript(
        "CREATE TABLE o (a INTEGER PRIMARY KEY); INSERT INTO o VALUES (1), (2), (3), (4);"
        "ALTER TABLE o ADD COLUMN d INT DEFAULT 5; UPDATE o SET d = 6 WHERE a IN (1, 4);"
        "CREATE TABLE t (\n\ta INTEGER PRIMARY KEY,\n\td INT DEFAULT 5\n);"
        "INSERT INTO t SELECT * FROM o;"
    )
    assert migrate(raw, [draft.SetDefault("d", "7")])
    raw.execute("INSERT INTO t (a) VALUES (5)")
    assert [row["d"][0] for row in held(raw)] == [6, 5, 5, 6, 7]


def test_short_rows_in_the_middle_of_many_are_found():
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.executescript(
        "CREATE TABLE t (a INTEGER PRIMARY KEY, v AS (1));"
        "WITH RECURSIVE i(n) AS (SELECT 1001 UNION ALL SELECT n + 1 FROM i LIMIT 1000)"
        "INSERT INTO t (a) SELECT n FROM i;"
        "ALTER TABLE t ADD COLUMN d TEXT DEFAULT 'old'; ALTER TABLE t DROP COLUMN v;"
        "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i LIMIT 4000)"
        "INSERT INTO t SELECT n, 'full' FROM i WHERE n NOT BETWEEN 1001 AND 2000;"
    )
    assert migrate(raw, [draft.SetDefault("d", "'new'")])
    counted = raw.execute("SELECT d, count(*) FROM t GROUP BY d").fetchall()
    assert counted == [("full", 3000), ("old", 1000)]


def test_a_row_that_breaks_a_check_already_is_no_obstacle():
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.executescript(
        "CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);"
        "ALTER TABLE t ADD COLUMN d INT DEFAULT 5; PRAGMA writable_schema=ON;"
        "UPDATE sqlite_master SET sql = 'CREATE TABLE t (a INTEGER PRIMARY KEY, "
        "d INT DEFAULT 5 CHECK (d < 5))'; PRAGMA writable_schema=RESET;"
    )
    assert migrate(raw, [draft.SetDefault("d", "1")])
    assert [row["d"][0] for row in held(raw)] == [5]


def test_a_library_that_writes_no_schema_table_rebuilds(monkeypatch):
    """In defensive mode, as Apple's library is: https://sqlite.org/c3ref/c_dbconfig_defensive.html"""

    def run(self, sql, *parameters):
        if "sqlite_master SET" in sql:
            raise sqlite3.OperationalError("table sqlite_master may not be modified")
        return original(self, sql, *parameters)

    original = clone.Mirror.run
    monkeypatch.setattr(clone.Mirror, "run", run)
    recreate._read.cache_clear()
    raw = database("indexed", "TEXT DEFAULT 1.10")
    before = held(raw)
    with migrating(raw, sqlite_schema_edits=False) as op:
        op.impl._change("t", None, [draft.SetDefault("d", None)])
    assert held(raw) == before
    recreate._read.cache_clear()
