"""The library says its types, and an application's models are no `Any` to mypy."""

import os
import re
import sys

import pytest
from projects import TEMPLATE

LIBRARY = TEMPLATE / "src" / "flask_keel"
CACHE = TEMPLATE / ".mypy_cache" / "projects"
NOTE = """
id: Mapped[int] = mapped_column(primary_key=True)
title: Mapped[str]
parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey('note.id'))
parent: Mapped["Note | None"] = relationship()
"""
PROBE = """
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select
from my_app.extensions import db
from my_app.models.note import Note

def takes_theirs(db: SQLAlchemy) -> None: ...

takes_theirs(db)
reveal_type(Note.title)
reveal_type(db.session.scalars(select(Note)).one().title)
reveal_type(Note(title="a").parent)
reveal_type(Note.query)
reveal_type(db.engine)
Note(title="a").no_such_column
"""
REVEALED = """
InstrumentedAttribute[str]
"str"
my_app.models.note.Note | None
flask_sqlalchemy.query.Query
sqlalchemy.engine.base.Engine
"Note" has no attribute "no_such_column"
"""

pytestmark = pytest.mark.xdist_group("mypy")


def mypy(project, *files):
    """Run mypy as the owner of a project would; what it knows of libraries is kept between runs."""
    command = "-m", "mypy", "--cache-dir", str(CACHE), "--no-error-summary", *files
    return project.run(sys.executable, *command, timeout=300)


def with_a_note(project):
    project.model("note", NOTE.strip(), "from sqlalchemy.orm import relationship")
    return project


def test_any_is_rare_in_the_library():
    """What is `Any` is checked by nobody; `make lint` runs mypy on the rest."""
    said = [re.findall(r"\bAny\b", path.read_text()) for path in LIBRARY.rglob("*.py")]
    assert sum(map(len, said)) < 150


# the bare one is the blog without its pages, and what accounts stand on takes long to read
STARTERS = ["blog", *(["bare", "accounts"] if os.environ.get("LONG_DRILLS") else [])]


@pytest.mark.parametrize("starter", STARTERS)
def test_a_generated_project_passes_mypy(new_project, starter):
    project = with_a_note(new_project(starter=starter))
    assert mypy(project, ".").assert_ok().said == ""


MADE = {
    "ours": "from flask_keel import SQLAlchemy\ndb = SQLAlchemy(model_class=Base)",
    "base": "from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy(model_class=Base)",
    "plain": "from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()",
    "module": "import flask_sqlalchemy as fsa\ndb = fsa.SQLAlchemy(None, model_class=Base)",
    "inherited": "import flask_sqlalchemy as fsa\nclass Own(fsa.SQLAlchemy): pass\ndb = Own()",
}


def test_mypy_knows_what_a_model_is_however_db_is_made(new_project):
    project = with_a_note(new_project(starter="bare"))
    extensions = (project.package / "extensions.py").read_text()
    note = (project.package / "models" / "note.py").read_text()
    for name, made in MADE.items():
        own = extensions.replace("import Keel, SQLAlchemy", "import Keel")
        own = own.replace("db = SQLAlchemy(model_class=Base)  #", f"{made}  #")
        assert made in own
        project.write(f"my_app/{name}.py", own)
        project.write(f"my_app/note_{name}.py", note.replace(".extensions", f".{name}"))
        probe = PROBE.replace(".extensions", f".{name}").replace("models.note", f"note_{name}")
        project.write(f"probe_{name}.py", probe)
    said = mypy(project, *(f"probe_{name}.py" for name in MADE)).out.splitlines()
    for name in MADE:
        own = [line for line in said if line.startswith(f"probe_{name}.py:")]
        wanted = REVEALED.replace("models.note", f"note_{name}").strip().splitlines()
        for line, words in zip(own, wanted, strict=True):
            assert words in line, "\n".join(said)
    assert len(said) == len(MADE) * len(wanted), "\n".join(said)
