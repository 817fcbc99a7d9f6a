import os
import sqlite3

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .memory import migrating, rows, schema, what_pragmas_say
from .strategies import PARENTS, Table, fill, tables
from .strategies import rows as rows_for

# KEEL_EXAMPLES=5000 for a long run
patient = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=int(os.environ.get("KEEL_EXAMPLES", "30")),
)


def database(written: Table, data) -> sqlite3.Connection:
    raw = sqlite3.connect(":memory:", isolation_level=None)
    # a generated column can glue bytes to text
    raw.text_factory = lambda value: value.decode(errors="surrogateescape")
    raw.executescript(PARENTS)
    raw.execute(written.sql)
    fill(raw, written, data.draw(rows_for(written)))
    name = '"' + written.name.replace('"', '""') + '"'
    first = '"' + written.columns[0].replace('"', '""') + '"'
    raw.execute(f"CREATE INDEX plain ON {name} ({first} DESC)")
    raw.execute(f"CREATE INDEX part ON {name} (length({first})) WHERE {first} IS NOT NULL")
    raw.execute("CREATE TABLE log (x)")
    raw.execute(
        f"CREATE TRIGGER noted AFTER DELETE ON {name} BEGIN INSERT INTO log VALUES (1); END"
    )
    raw.execute(f"CREATE VIEW seen AS SELECT * FROM {name}")
    return raw


def everything(raw: sqlite3.Connection, table: str) -> tuple:
    # SQLite 3.40 finds fault with sound tables WITHOUT ROWID, the same before and after
    integrity = raw.execute("PRAGMA integrity_check").fetchall()
    return schema(raw), rows(raw, table), what_pragmas_say(raw, table), integrity


@given(tables(), st.data())
@patient
def test_a_rebuild_changes_nothing_of_any_table(written: Table, data):
    raw = database(written, data)
    before = everything(raw, written.name)
    counter = raw.execute("SELECT name FROM sqlite_master WHERE name='sqlite_sequence'").fetchall()
    counter = counter and raw.execute("SELECT * FROM sqlite_sequence ORDER BY name").fetchall()
    with migrating(raw) as op, op.batch_alter_table(written.name, recreate="always"):
        pass
    assert everything(raw, written.name) == before
    if counter:
        assert raw.execute("SELECT * FROM sqlite_sequence ORDER BY name").fetchall() == counter
    raw.execute(f'DELETE FROM "{written.name.replace(chr(34), chr(34) * 2)}"')
    assert len(raw.execute("SELECT * FROM log").fetchall()) == len(before[1])
    raw.close()
