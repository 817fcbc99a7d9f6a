"""Edits of the schema text against the rebuild: same facts, same rows, same behaviour after.

Every kind of edit was switched on in ``plan.TEXT_EDITS`` after this had held for it over thousands
of tables.
"""

import os
import sqlite3
from unittest.mock import patch

import pytest
from alembic.util import CommandError
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from flask_keel.sqlite import draft, impl, planner
from flask_keel.sqlite.create_table import CreateTable
from flask_keel.sqlite.tokenizer import fold, quote, tokenize, unquote

from .memory import info, migrating, rows, what_pragmas_say
from .strategies import CHECKS, PARENTS, Table, fill, tables
from .strategies import rows as rows_for

# KEEL_EXAMPLES=5000 for a long run
patient = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=int(os.environ.get("KEEL_EXAMPLES", "12")),
)
TYPES = ["INT", "INTEGER", "BIGINT", "TEXT", "VARCHAR(99)", "BLOB", "", "REAL"]
TYPES += ["DOUBLE", "NUMERIC(9, 2)", "BOOLEAN", "ANY"]
DEFAULTS = ["NULL", "'new'", "5", "-1.5", "'7'", "x'00'", "CURRENT_TIMESTAMP", "(1 + 1)", None]
ADDED = [
    "TEXT DEFAULT 'old'",
    "INT DEFAULT 5",
    "REAL DEFAULT 2",
    "DEFAULT 'old'",
    "VARCHAR(9) DEFAULT 5",
    "NUMERIC",
    "INT NOT NULL DEFAULT '7'",
]
KINDS = ["not null", "default", "type", "check", "foreign key"]
NATIVE = ["add column", "drop column", "rename column"]


@st.composite
def operations(draw, sql: str, kinds: list[str]) -> list[draft.Operation]:
    table = CreateTable.parse(sql)
    names = [c.name for c in table.columns]
    found = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(kinds))
        name = draw(st.sampled_from(names))
        present = [c for c in table.all_constraints() if c.kind == kind and c.name]
        if kind == "not null":
            found.append(draft.SetNotNull(name, draw(st.booleans())))
        elif kind == "default":
            found.append(draft.SetDefault(name, draw(st.sampled_from(DEFAULTS))))
        elif kind == "add column":
            added = draw(st.sampled_from([*ADDED, "INT AS (1)", "DATETIME DEFAULT (1 + 1)"]))
            found.append(draft.AddColumn(f"more {_}", f'"more {_}" {added}'))
        elif kind == "drop column":
            found.append(draft.DropColumn(name, if_exists=True))
        elif kind == "rename column":
            found.append(draft.RenameColumn(name, f"other {_}"))
        elif kind == "type":
            found.append(draft.SetType(name, draw(st.sampled_from(TYPES))))
        elif present and draw(st.booleans()):
            found.append(draft.DropConstraint((draw(st.sampled_from(present)).name,), kind))
        elif kind == "check":
            text = draw(st.sampled_from([*CHECKS, "{c} > 0", "{c} IS NOT NULL"]))
            text = text.format(c=quote(name), d=quote(names[0]), t=quote(table.name), n="")
            found.append(draft.AddConstraint(f'CONSTRAINT "new {_}" CHECK ({text})'))
        else:
            target = draw(st.sampled_from(["p (id)", "p (code)", 'p ("a b")', "q", "q (x)"]))
            action = draw(st.sampled_from(["", " ON DELETE CASCADE", " DEFERRABLE"]))
            text = f"FOREIGN KEY ({quote(name)}) REFERENCES {target}{action}"
            found.append(draft.AddConstraint(f'CONSTRAINT "new {_}" {text}'))
    return found


def database(written: Table, data) -> sqlite3.Connection:
    """A filled table, some of its columns added by ALTER TABLE after the first rows, indexed."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.text_factory = lambda value: value.decode(errors="surrogateescape")
    raw.executescript(PARENTS)
    raw.execute("INSERT INTO p VALUES (1, 'a', 'b'), (2, 'ab', NULL), (3, '', 'a')")
    raw.execute("INSERT INTO q VALUES (1), (2), (-3)")
    raw.execute(written.sql)
    fill(raw, written, data.draw(rows_for(written)))
    for number, added in enumerate(data.draw(st.lists(st.sampled_from(ADDED), max_size=2))):
        kind = "ANY DEFAULT 'old'" if CreateTable.parse(written.sql).strict else added
        raw.execute(f'ALTER TABLE {quote(written.name)} ADD COLUMN "added {number}" {kind}')
    fill(raw, written, data.draw(rows_for(written, max_size=3)))
    if data.draw(st.booleans()):
        column = quote(data.draw(st.sampled_from(written.columns)))
        raw.execute(f"CREATE INDEX plain ON {quote(written.name)} ({column})")
    return raw


def copy(raw: sqlite3.Connection) -> sqlite3.Connection:
    other = sqlite3.connect(":memory:", isolation_level=None)
    other.text_factory = raw.text_factory
    raw.backup(other)
    return other


def outcome(raw, table: str, asked, **options) -> str:
    """What was said: the error's sentence, or "" for done."""
    try:
        with migrating(raw, **options) as op:
            op.impl._change(table, None, asked)
    except CommandError as error:
        return str(error)
    return ""


def meaning(raw, table: str) -> list[str]:
    """The words of the table's text, without quotes and qualifiers, which a rename changes."""
    sql = raw.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    words = [
        fold(unquote(t.text)) if t.kind in ("word", "quoted", "string") else t.text
        for t in tokenize(sql)
    ]
    own = [i for i, word in enumerate(words) if word == fold(table) and words[i + 1 :][:1] == ["."]]
    return [word for i, word in enumerate(words) if i not in own and i - 1 not in own]


def reactions(raw, written: Table, values) -> list[str]:
    """How the table takes new rows."""
    now = [row[1] for row in info(raw, written.name)]
    kept = [i for i, (name, _) in enumerate(written.insertable) if name in now]
    listed = ", ".join(quote(written.insertable[i][0]) for i in kept)
    marks = ", ".join("?" * len(kept))
    found = []
    if not kept:
        return found
    raw.execute("PRAGMA foreign_keys=ON")
    for row in values:
        try:
            values = [row[i] for i in kept]
            raw.execute(f"INSERT INTO {quote(written.name)} ({listed}) VALUES ({marks})", values)
            found.append("taken")
        except sqlite3.Error as error:
            found.append(str(error))
    return found


def compare(written: Table, data, kinds: list[str]) -> None:
    edited = database(written, data)
    rebuilt = copy(edited)
    sql = edited.execute("SELECT sql FROM sqlite_master WHERE name = ?", (written.name,))
    asked = data.draw(operations(sql.fetchone()[0], kinds), label="asked")
    chosen = []

    def carry_out(it):
        chosen.append(it.method)
        return original(it)

    original = planner.carry_out
    with (
        patch.object(planner, "TEXT_EDITS", frozenset(kinds)),
        patch.object(impl, "carry_out", carry_out),
    ):
        said = outcome(edited, written.name, asked)
    assert outcome(rebuilt, written.name, asked, sqlite_schema_edits=False) == said
    event(f"{'+'.join(chosen) or 'planning'}: {'refused' if said else 'done'}")
    assert meaning(edited, written.name) == meaning(rebuilt, written.name)
    assert what_pragmas_say(edited, written.name) == what_pragmas_say(rebuilt, written.name)
    assert rows(edited, written.name) == rows(rebuilt, written.name)
    check = "PRAGMA integrity_check"
    assert edited.execute(check).fetchall() == rebuilt.execute(check).fetchall()
    new = data.draw(rows_for(written, max_size=4), label="new rows")
    assert reactions(edited, written, new) == reactions(rebuilt, written, new)
    for column in [row[1] for row in info(rebuilt, written.name)]:
        # whatever is in an index has to be found through it
        query = f"SELECT count(*) FROM {quote(written.name)} WHERE {quote(column)} IS ?"
        for (value,) in rebuilt.execute(
            f"SELECT DISTINCT {quote(column)} FROM {quote(written.name)}"
        ).fetchall():
            if not isinstance(value, str) or value.isascii():
                assert (
                    edited.execute(query, (value,)).fetchone()[0]
                    == (rebuilt.execute(query, (value,)).fetchone()[0])
                )
    edited.close()
    rebuilt.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_of_the_schema_text_does_what_a_rebuild_does(kind):
    @given(tables(), st.data())
    @patient
    def property_of(written: Table, data):
        compare(written, data, [kind])

    property_of()


@given(tables(), st.data())
@patient
def test_changes_of_all_kinds_at_once_do_what_a_rebuild_does(written: Table, data):
    compare(written, data, KINDS + NATIVE)
