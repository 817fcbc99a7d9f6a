"""Functions and collations that the application registers are there in its migrations."""

import sys

import projects

LISTEN = """\
    with app.app_context():
        event.listen(db.engine, "connect", _functions)
"""
LISTENER = """

from sqlalchemy import event


def _german(one, other):
    one, other = (word.lower().replace("\u00e4", "ae") for word in (one, other))
    return (one > other) - (one < other)


def _functions(connection, record):
    import sqlite3

    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys=ON").fetchone()
        connection.create_collation("german", _german)
        connection.create_function("shout", 1, lambda text: text.upper())
"""
TABLE = """
op.create_table(
    "word",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("text", sa.String(20, collation="german"), unique=True),
    sa.CheckConstraint("shout(text) <> ''", name="ck_word_text"),
)
op.execute("CREATE INDEX ix_word_loud ON word (text COLLATE german) WHERE text > ''")
op.execute("INSERT INTO word (text) VALUES ('a'), ('\u00e4pfel'), ('b')")
"""
CHANGE = """
with op.batch_alter_table("word", recreate="always") as batch:
    batch.alter_column("text", type_=sa.String(40, collation="german"), nullable=False)
op.execute("INSERT INTO word (text) VALUES (shout('c'))")
"""


def test_a_table_with_a_collation_of_the_applications_is_made_and_rebuilt(generated, tmp_path):
    project = projects.copy(generated(starter="bare"), tmp_path)
    factory = project.path / project.module / "__init__.py"
    text, place = factory.read_text(), "    keel.init_app(app)"
    assert place in text
    factory.write_text(text.replace(place, LISTEN + place) + LISTENER)
    project.migration("c1", None, TABLE)
    project.migration("c2", "c1", CHANGE)
    script = project.db("upgrade", "--sql").assert_ok().out
    assert "COLLATE" in script
    project.db("upgrade").assert_ok()
    names = "SELECT text FROM word ORDER BY text COLLATE BINARY"
    code = (
        "from my_app import create_app; from my_app.extensions import db; from sqlalchemy import text\n"
        "with create_app('dev.conf').app_context():\n"
        f"    print(db.session.scalars(text({names!r})).all())"
    )
    said = project.warm(sys.executable, "-c", code).assert_ok().out
    assert said.strip() == "['C', 'a', 'b', '\u00e4pfel']"
    project.db("current").assert_ok()
    project.db("rebuild").assert_ok()
