"""A name that changes in its capitals only: for SQLite it is the same name."""

import pytest
import revising
from revising import KEY

BODY = KEY + "name: Mapped[str] = mapped_column(sa.String(20))\n"
NOTE = KEY + "thing_id: Mapped[int] = mapped_column(sa.ForeignKey('{table}.id'))\n"


@pytest.mark.some(2)
@pytest.mark.parametrize("answer", ["thing:Thing", "none", None])
def test_a_table_changes_its_capitals(bare, answer):
    bare.model("thing", BODY)
    bare.model("note", NOTE.format(table="thing"))
    revising.applied(bare)
    revising.execute(bare, "INSERT INTO thing (name) VALUES ('a')")
    revising.execute(bare, "INSERT INTO note (thing_id) VALUES (1)")
    (bare.package / "models" / "thing.py").unlink()
    bare.model("Thing", BODY.replace("name:", "Name:"))
    bare.model("note", NOTE.format(table="Thing"))
    file = revising.applied(bare, *(["-x", f"rename={answer}"] if answer else []))
    assert "drop_table" not in file.read_text() and "drop_column" not in file.read_text()
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'thing'"
    assert revising.rows(bare, tables) == [("Thing",)]
    assert set(revising.columns(bare, "Thing")) == {"id", "Name"}
    revising.down_and_up(bare)
    joined = "SELECT Thing.Name FROM note JOIN Thing ON Thing.id = note.thing_id"
    assert revising.rows(bare, joined) == [("a",)]


@pytest.mark.one_of_each
@pytest.mark.parametrize("more, name", [("unique", "uq_thing_Name"), ("index", "ix_thing_Name")])
def test_what_is_named_after_a_column_changes_its_capitals_with_it(any_database, more, name):
    body = KEY + "{}: Mapped[str] = mapped_column(sa.String(20), " + more + "=True)\n"
    any_database.model("thing", body.format("name"))
    revising.applied(any_database)
    any_database.model("thing", body.format("Name"))
    revising.applied(any_database, "-x", "rename=thing.name:Name")
    assert name in revising.names(any_database, "thing")
    revising.down_and_up(any_database)
