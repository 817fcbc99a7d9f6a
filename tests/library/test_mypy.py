"""The library says its types, and an application's models are no `Any` to mypy."""

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


@pytest.mark.parametrize("starter", ["blog", "bare"])
def test_a_generated_project_passes_mypy(new_project, starter):
    project = with_a_note(new_project(starter=starter))
    assert mypy(project, ".").assert_ok().said == ""


@pytest.mark.parametrize(
    "made",
    [
        "from flask_keel import SQLAlchemy\ndb = SQLAlchemy(model_class=Base)",
        "from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy(model_class=Base)",
        "from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()",
        "import flask_sqlalchemy as fsa\ndb = fsa.SQLAlchemy(None, model_class=Base)",
        "import flask_sqlalchemy as fsa\nclass Own(fsa.SQLAlchemy): pass\ndb = Own()",
    ],
    ids=["ours", "base", "plain", "module", "inherited"],
)
def test_mypy_knows_what_a_model_is(new_project, made):
    project = with_a_note(new_project(starter="bare"))
    file = "my_app/extensions.py"
    project.replace(file, "import Keel, SQLAlchemy", "import Keel")
    project.replace(file, "db = SQLAlchemy(model_class=Base)  #", f"{made}  #")
    project.write("probe.py", PROBE)
    said = mypy(project, "probe.py").out.splitlines()
    for line, wanted in zip(said, REVEALED.strip().splitlines(), strict=True):
        assert line.startswith("probe.py:") and wanted in line, "\n".join(said)
