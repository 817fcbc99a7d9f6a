"""The type of a key that other tables refer to, on SQLite."""

import pytest
import revising

THING = "id: Mapped[{python}] = mapped_column(sa.{type}, primary_key=True)\n"
NOTE = (
    "id: Mapped[int] = mapped_column(primary_key=True)\n"
    "thing_id: Mapped[{python}] = mapped_column(sa.{type}, sa.ForeignKey('thing.id'))\n"
)
JOINED = "SELECT thing.id, typeof(thing.id), typeof(thing_id) FROM thing JOIN note ON thing_id = thing.id"


@pytest.mark.some(1)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("int", "Integer"), ("str", "String(20)")),
        (("str", "String(20)"), ("int", "Integer")),
        (("int", "BigInteger"), ("int", "Integer")),
    ],
)
def test_a_key_with_foreign_keys_changes_its_type_and_back(bare, old, new):
    for python, type_ in (old, new):
        bare.model("thing", THING.format(python=python, type=type_))
        bare.model("note", NOTE.format(python=python, type=type_))
        revising.applied(bare)
        if (python, type_) == old:
            revising.execute(
                bare,
                "INSERT INTO thing (id) VALUES ('7')",
                "INSERT INTO note (thing_id) VALUES ('7')",
            )
    kinds = {"int": (7, "integer", "integer"), "str": ("7", "text", "text")}
    assert revising.rows(bare, JOINED) == [kinds[new[0]]]
    bare.db("downgrade").assert_ok()
    assert revising.rows(bare, JOINED) == [kinds[old[0]]]
    bare.db("upgrade").assert_ok()
    revising.assert_nothing_left(bare)
    assert revising.rows(bare, JOINED) == [kinds[new[0]]]
