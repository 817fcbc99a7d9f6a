"""What the tests of several databases share: a project that has grown a second one, and its rows."""

import sqlite3
from contextlib import closing

KEY = "id: Mapped[int] = mapped_column(primary_key=True)\n"
NAMED = KEY + "name: Mapped[str | None] = mapped_column(sa.String(40))\n"
ARCHIVE = '__bind_key__ = "archive"\n'
BINDS = 'SQLALCHEMY_BINDS = {"archive": "sqlite:///var/archive.db"}\n'


def configure(project, line):
    with (project.path / "etc/conf/dev.conf").open("a") as conf:
        conf.write(line)


def files(project):
    folder = project.package / "migrations"
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def ask(project, name, query):
    with closing(sqlite3.connect(project.path / "var" / f"{name}.db")) as database:
        return database.execute(query).fetchall()


def archived(project):
    return project.package / "migrations/binds/archive"


def head(project, name="dev"):
    ((revision,),) = ask(project, name, "SELECT version_num FROM alembic_version")
    return revision
