"""New tables and JSON through the real commands, with rows: written, proved, applied, undone."""

import pytest
import revising
import sqlalchemy as sa
from revising import KEY

KEEPER = (
    KEY
    + 'pet_id: Mapped[int | None] = mapped_column(sa.ForeignKey("pet.id", use_alter=True))\n'
    + 'age: Mapped[int] = mapped_column(sa.CheckConstraint("age > 0"))\n'
)
PET = (
    KEY
    + 'keeper_id: Mapped[int] = mapped_column(sa.ForeignKey("keeper.id"), index=True)\n'
    + "name: Mapped[str] = mapped_column(sa.String(40))\n"
)
EXPRESSIONS = (
    '__table_args__ = (sa.Index("uq_pet_text", sa.text("lower(name)"), unique=True),)\n'
    'sa.Index("ix_pet_func", sa.func.upper(name))\n'
)
ROWS = (
    "INSERT INTO keeper (id, pet_id, age) VALUES (1, NULL, 30)",
    "INSERT INTO pet (id, keeper_id, name) VALUES (1, 1, 'Rex')",
    "UPDATE keeper SET pet_id = 1",
)


def test_what_stock_leaves_out_of_a_new_table_is_made(any_database):
    project = any_database
    mysql = "mysql" in project.env.get("DEV_DATABASE_URL", "")
    project.model("keeper", KEEPER)
    project.model("pet", PET if mysql else PET + EXPRESSIONS)
    answer = project.db("migrate").assert_ok()
    assert "Warning" not in answer.said and "skipping" not in answer.said
    project.db("upgrade").assert_ok()
    revising.execute(project, *ROWS)
    wrong = ["UPDATE keeper SET pet_id = 7", "UPDATE keeper SET age = -1"]
    wrong += [] if mysql else ["INSERT INTO pet (id, keeper_id, name) VALUES (2, 1, 'REX')"]
    for sql in wrong:
        with pytest.raises(sa.exc.DBAPIError):
            revising.execute(project, sql)
    revising.assert_nothing_left(project)
    project.db("check").assert_ok()
    revising.down_and_up(project)
    project.db("rebuild").assert_ok()
    for name in ("keeper", "pet"):
        (project.package / "models" / f"{name}.py").unlink()
    assert "Warning" not in project.db("migrate").assert_ok().said
    project.db("upgrade").assert_ok()
    revising.down_and_up(project)


NOTE = KEY + "body: Mapped[{0}] = mapped_column({1})\n"


def test_a_text_becomes_json_and_text_again(any_database):
    project = any_database
    project.model("note", NOTE.format("str", "sa.Text"))
    revising.applied(project)
    revising.execute(project, """INSERT INTO note (id, body) VALUES (1, '{"a": 1}')""")
    project.model("note", NOTE.format("dict", "sa.JSON"))
    revising.applied(project)
    revising.down_and_up(project)
    project.model("note", NOTE.replace("body", "facts").format("dict", "sa.JSON"))
    revising.applied(project, "-x", "rename=note.body:facts")
    revising.down_and_up(project)
    if "mysql" in project.env.get("DEV_DATABASE_URL", ""):
        with pytest.raises(sa.exc.DBAPIError):
            revising.execute(project, "INSERT INTO note (id, facts) VALUES (2, 'no json')")
    project.model("note", NOTE.replace("body", "facts").format("str", "sa.Text"))
    revising.applied(project)
    revising.down_and_up(project)
    assert revising.rows(project, "SELECT id FROM note") == [(1,)]
    revising.execute(project, "INSERT INTO note (id, facts) VALUES (2, 'no json')")
