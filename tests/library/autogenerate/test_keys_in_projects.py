"""Keys that change, through the commands, on the three databases, with rows."""

import pytest
from revising import applied, assert_nothing_left, down_and_up, execute, rows

HEAD = """import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column as column

from my_app.extensions import db

"""
TABLES = {
    "moved": (
        """
class Moved(db.Model):
    id: Mapped[int] = column(primary_key=True)
    code: Mapped[str] = column(sa.String(20))

class Child(db.Model):
    id: Mapped[int] = column(primary_key=True)
    moved_id: Mapped[int | None] = column(sa.ForeignKey("moved.id"))
""",
        """
class Moved(db.Model):
    id: Mapped[int] = column(autoincrement=False, unique=True)
    code: Mapped[str] = column(sa.String(20), primary_key=True)

class Child(db.Model):
    id: Mapped[int] = column(primary_key=True)
    moved_id: Mapped[int | None] = column(sa.ForeignKey("moved.id"))
""",
        [
            "INSERT INTO moved (id, code) VALUES (1, 'a'), (2, 'b')",
            "INSERT INTO child (id, moved_id) VALUES (1, 2), (2, NULL)",
        ],
        "SELECT moved.id, code, child.id FROM moved LEFT JOIN child ON moved_id = moved.id ORDER BY 1",
        [(1, "a", None), (2, "b", 1)],
    ),
    "numbered": (
        """
class Numbered(db.Model):
    code: Mapped[str] = column(sa.String(20), primary_key=True)
""",
        """
class Numbered(db.Model):
    id: Mapped[int] = column(primary_key=True)
    code: Mapped[str] = column(sa.String(20), unique=True)
""",
        ["INSERT INTO numbered (code) VALUES ('a'), ('b')"],
        "SELECT id, code FROM numbered ORDER BY 1",
        [(1, "a"), (2, "b")],
    ),
    "link": (
        """
class One(db.Model):
    id: Mapped[int] = column(primary_key=True)

class Link(db.Model):
    one_id: Mapped[int] = column(sa.ForeignKey("one.id"), primary_key=True)
    other_id: Mapped[int] = column(sa.ForeignKey("one.id"), primary_key=True)
""",
        """
class One(db.Model):
    id: Mapped[int] = column(primary_key=True)

class Link(db.Model):
    id: Mapped[int] = column(primary_key=True)
    one_id: Mapped[int] = column(sa.ForeignKey("one.id"))
    other_id: Mapped[int] = column(sa.ForeignKey("one.id"))
""",
        [
            "INSERT INTO one (id) VALUES (1), (2)",
            "INSERT INTO link (one_id, other_id) VALUES (1, 1), (1, 2)",
        ],
        "SELECT id, one_id, other_id FROM link ORDER BY 1",
        [(1, 1, 1), (2, 1, 2)],
    ),
    "composite": (
        """
class Place(db.Model):
    a: Mapped[int] = column(primary_key=True)
    b: Mapped[int] = column(primary_key=True)
    c: Mapped[int | None]
""",
        """
class Place(db.Model):
    a: Mapped[int]
    b: Mapped[int]
    c: Mapped[int]
    __table_args__ = (sa.PrimaryKeyConstraint("b", "a", "c"),)
""",
        ["INSERT INTO place (a, b, c) VALUES (1, 2, 3), (2, 2, 4)"],
        "SELECT a, b, c FROM place ORDER BY 1",
        [(1, 2, 3), (2, 2, 4)],
    ),
}


@pytest.mark.one_of_each
@pytest.mark.parametrize("case", TABLES)
def test_a_key_changes_with_its_rows(any_database, case):
    before, after, inserts, query, expected = TABLES[case]
    project = any_database
    module = "my_app/models/tables.py"
    project.write(module, HEAD + before)
    project.new_migration("-m", "before")
    project.db("upgrade").assert_ok()
    execute(project, *inserts)
    project.write(module, HEAD + after)
    assert "proved" in project.db("migrate").assert_ok().err
    project.db("upgrade").assert_ok()
    assert rows(project, query) == expected
    assert_nothing_left(project)
    down_and_up(project)
    assert rows(project, query) == expected
    project.configure(
        ZERO_DOWNTIME=False
    )  # what it finds in rewritten tables is for the lint's tests
    project.db("check").assert_ok()


PARENT = """
class Parent(db.Model):
    {id}: Mapped[int] = column(primary_key=True)
"""
PAIR = """
class Child(db.Model):
    parent_id: Mapped[int] = column(sa.ForeignKey("parent.id"), primary_key=True)
    code: Mapped[str] = column(sa.String(20), primary_key=True)
"""
COUNTED = """
class Child(db.Model):
    id: Mapped[int] = column(primary_key=True)
    {up}_id: Mapped[int] = column(sa.ForeignKey("parent.{key}"))
    code: Mapped[str] = column(sa.String(20))
    place: Mapped[int]
"""
MOVED = """
class Child(db.Model):
    up_id: Mapped[int] = column(sa.ForeignKey("parent.number"))
    label: Mapped[str] = column(sa.String(20), primary_key=True)
    note: Mapped[str] = column(sa.String(20))
"""


def test_a_key_changes_with_renamed_columns_and_with_columns_that_need_values(any_database):
    project, module = any_database, "my_app/models/tables.py"
    project.write(module, HEAD + PARENT.format(id="id") + PAIR)
    applied(project, "-m", "before")
    execute(
        project,
        "INSERT INTO parent (id) VALUES (1), (2)",
        "INSERT INTO child (parent_id, code) VALUES (1, 'a'), (2, 'b')",
    )

    def change(models, query, expected, *answers):
        project.write(module, HEAD + models)
        answers = ["-x", f"rename={answers[0]}", *(p for a in answers[1:] for p in ("-x", a))]
        assert "proved" in project.db("migrate", *answers).assert_ok().err
        assert "DROP" in project.db("upgrade", "--sql").assert_ok().out
        project.db("upgrade").assert_ok()
        assert rows(project, query) == expected
        assert_nothing_left(project)
        down_and_up(project)
        assert rows(project, query) == expected

    change(
        PARENT.format(id="number") + COUNTED.format(up="up", key="number"),
        "SELECT id, up_id, code, place FROM child ORDER BY id",
        [(1, 1, "a", 1), (2, 2, "b", 2)],
        "child.parent_id:up_id,parent.id:number,none",
        "fill=child.place:=id",
    )
    change(
        PARENT.format(id="number") + MOVED,
        "SELECT up_id, label, note FROM child ORDER BY label",
        [(1, "a", "new"), (2, "b", "new")],
        "child.code:label,none",
        "fill=child.note:new",
    )


def test_a_key_that_no_database_numbers_is_asked_for(any_database):
    project, module = any_database, "my_app/models/tables.py"
    project.write(
        module,
        HEAD + "class Note(db.Model):\n"
        "    id: Mapped[int] = column(primary_key=True)\n"
        "    text: Mapped[str] = column(sa.String(20))\n",
    )
    project.new_migration("-m", "before")
    project.db("upgrade").assert_ok()
    execute(project, "INSERT INTO note (id, text) VALUES (5, 'a'), (6, 'b')")
    project.replace(
        module,
        "    id: Mapped[int] = column(primary_key=True)\n",
        "    code: Mapped[str] = column(sa.String(20), primary_key=True)\n",
    )
    project.db("migrate").assert_one_sentence("note.code", "fill=")
    applied(project, "-x", "fill=note.code:=text")
    assert rows(project, "SELECT code, text FROM note ORDER BY 1") == [("a", "a"), ("b", "b")]
    assert_nothing_left(project)
    down_and_up(project)


@pytest.mark.parametrize("any_database", ["postgresql", "mariadb"], indirect=True)
def test_a_key_gets_another_type_with_what_points_to_it(any_database):
    """Numbers that were kept as text, and a key that becomes too small."""
    project, module = any_database, "my_app/models/tables.py"
    project.write(
        module,
        HEAD + "class Part(db.Model):\n"
        "    id: Mapped[str] = column(sa.String(20), primary_key=True)\n"
        "    up_id: Mapped[str | None] = column(sa.ForeignKey('part.id'))\n\n"
        "class Sale(db.Model):\n"
        "    id: Mapped[int] = column(primary_key=True)\n"
        "    part_id: Mapped[str] = column(sa.ForeignKey('part.id'))\n\n"
        "class Bill(db.Model):\n"
        "    id: Mapped[int] = column(primary_key=True)\n"
        "    sale_id: Mapped[int] = column(sa.ForeignKey('sale.id'))\n",
    )
    project.new_migration("-m", "before")
    project.db("upgrade").assert_ok()
    execute(
        project,
        "INSERT INTO part (id, up_id) VALUES ('7', NULL), ('8', '7')",
        "INSERT INTO sale (part_id) VALUES ('8')",
        "INSERT INTO bill (sale_id) VALUES (1)",
    )
    text = project.path.joinpath(module).read_text()
    text = text.replace("[str] = column(sa.String(20),", "[int] = column(").replace("[str", "[int")
    for place in ("    sale_id", "Sale(db.Model):\n    id"):
        assert place in text
        old = f"{place}: Mapped[int] = column("
        text = text.replace(old, f"{old}sa.BigInteger, ")
    project.write(module, text)
    assert "proved" in project.db("migrate").assert_ok().err
    project.db("upgrade").assert_ok()
    query = "SELECT part.id, up_id, part_id, sale_id FROM part, sale, bill WHERE part.id = part_id"
    assert rows(project, query) == [(8, 7, 8, 1)]
    assert_nothing_left(project)
    down_and_up(project)
    assert rows(project, query) == [(8, 7, 8, 1)]
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        execute(project, "INSERT INTO bill (sale_id) VALUES (99)")


def test_unique_and_exclude_constraints_that_keep_their_names(any_database):
    project = any_database
    postgresql = "postgresql" in project.env.get("DEV_DATABASE_URL", "")
    body = (
        "id: Mapped[int] = mapped_column(primary_key=True)\n"
        "x: Mapped[int]\n"
        "y: Mapped[int]\n"
        "__table_args__ = (\n"
        "    sa.UniqueConstraint('x', 'y', name='uq_once'),\n"
        ")"
    )
    project.model("offer", body)
    project.new_migration("-m", "before")
    project.db("upgrade").assert_ok()
    execute(project, "INSERT INTO offer (x, y) VALUES (1, 2), (2, 2)")
    once = "sa.UniqueConstraint('y', 'x', name='uq_once'"
    new = f"{once}),"
    if postgresql:
        more = "ExcludeConstraint((sa.text('int4range(x, x + 1)'), '&&'), name='apart')"
        new = f"{once}, deferrable=True, initially='DEFERRED'), {more},"
    imports = "from sqlalchemy.dialects.postgresql import ExcludeConstraint\n"
    project.model(
        "offer", body.replace("sa.UniqueConstraint('x', 'y', name='uq_once'),", new), imports
    )
    assert "proved" in project.db("migrate").assert_ok().err
    project.db("upgrade").assert_ok()
    assert_nothing_left(project)
    down_and_up(project)
    assert rows(project, "SELECT x, y FROM offer ORDER BY x") == [(1, 2), (2, 2)]
    if postgresql:
        with pytest.raises(Exception, match="apart"):
            execute(project, "INSERT INTO offer (x, y) VALUES (1, 3)")
