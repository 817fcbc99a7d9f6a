"""docs/moving.md: an application that was on SQLite goes on on a server, with its rows."""

import re
import sqlite3
import sys
from contextlib import closing

import pytest
from projects import TEMPLATE

MODELS = """
class Team(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    leader_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))


class Person(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(sa.ForeignKey("team.id"))
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    name: Mapped[str] = mapped_column(sa.String(9))
    photo: Mapped[bytes | None]
    price: Mapped[Decimal | None] = mapped_column(sa.Numeric(12, 3))
    seen: Mapped[datetime | None] = mapped_column(
        sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), onupdate=sa.func.now()
    )
    done: Mapped[bool | None]
    extra: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    mood: Mapped[str | None] = mapped_column(sa.Enum("sad", "fine", name="mood"))
    key: Mapped[UUID | None]
    twice: Mapped[Decimal | None] = mapped_column(sa.Numeric(12, 3), sa.Computed("price * 2"))
    code: Mapped[str | None] = mapped_column(sa.CHAR(3))  # of which no server keeps the blanks
"""
IMPORTS = """
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from my_app.extensions import db
"""
ROWS = """
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from my_app import create_app
from my_app.extensions import db
from my_app.models.people import Person, Team

with create_app().app_context():
    one = Person(
        id=7, team_id=1, parent_id=9, name="ü'%:x", photo=b"\\0\\xff", price=Decimal("12.345"), done=False,
        seen=datetime(2024, 2, 29, 1, 2, 3, 456789), extra={"a": "ä", "b": [1.5, None]}, mood="fine",
        key=UUID(int=1),
    )
    two = Person(id=9, team_id=2, parent_id=9, name="", extra=sa.null(), done=True)
    three = Person(id=8, team_id=2, name="x", extra=None)
    db.session.execute(sa.insert(Team), [{"id": 1, "leader_id": None}, {"id": 2, "leader_id": None}])
    for person in (two, one, three):
        db.session.add(person)
        db.session.flush()
    db.session.execute(sa.update(Team).values(leader_id=9))
    db.session.commit()
"""
TOLD = """
import sqlalchemy as sa
from my_app import create_app
from my_app.extensions import db
from my_app.models.people import Person

with create_app().app_context():
    null = Person.extra.is_(sa.null())
    for table in (*db.metadata.sorted_tables, sa.select(Person.id, null)):
        query = table if isinstance(table, sa.Select) else sa.select(table)
        print(*db.session.execute(query.order_by("id")), sep="\\n")
"""
NEW = """
from my_app import create_app
from my_app.extensions import db
from my_app.models.people import Person

with create_app().app_context():
    db.session.add(Person(team_id=1, name="new"))
    db.session.commit()
    print(db.session.query(Person.id).order_by(Person.id.desc()).first())
"""


def python(project, script, **env):
    return project.warm(sys.executable, "-c", script, **env)


def sqlite(project, statement):
    with closing(sqlite3.connect(project.database)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.fixture
def grown(bare):
    """A project whose application has rows on SQLite, and the script of the document."""
    bare.write("my_app/models/people.py", IMPORTS + MODELS)
    bare.new_migration("-m", "people")
    bare.db("upgrade").assert_ok()
    python(bare, ROWS).assert_ok()
    (script,) = re.findall(
        r"```python\n(.*?)```", (TEMPLATE / "docs/moving.md").read_text(), re.DOTALL
    )
    bare.write("move.py", script)
    return bare


def test_the_rows_move_as_the_document_says_and_the_next_one_has_a_key_of_its_own(
    grown, server_url
):
    there = {"DEV_DATABASE_URL": server_url}
    grown.db("upgrade", **there).assert_ok()
    move = (sys.executable, "move.py", "var/dev.db")
    before = python(grown, TOLD).assert_ok().out
    assert before.count("\n") > 6 and "456789" in before
    for value, words in (
        ("name = 'longer than nine'", "too long"),
        ("name = 'x', code = 'a '", "person.code would not be what it was"),
    ):
        sqlite(grown, f"UPDATE person SET {value} WHERE id = 8")
        refused = grown.warm(*move, **there)
        assert refused.code == 1 and words in refused.err and "Traceback" not in refused.err
        assert not python(grown, TOLD, **there).assert_ok().out.strip()
    sqlite(grown, "UPDATE person SET code = NULL WHERE id = 8")
    assert "person: 3 of 3 rows" in grown.warm(*move, **there).assert_ok().out
    assert python(grown, TOLD, **there).assert_ok().out == before
    assert "(10,)" in python(grown, NEW, **there).assert_ok().out
    assert "team has rows" in grown.warm(*move, **there).err
