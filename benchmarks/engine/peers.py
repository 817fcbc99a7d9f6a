"""The peers: each a whole process that brings the database at a path through one change."""

import shutil
import subprocess
import sys
from pathlib import Path

from engine.changes import Change

TEMPLATE = Path(__file__).resolve().parents[2]
TIMED = Path(__file__).resolve().parent / "timed.py"
MIGRATION = '''"""{title}"""

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}


def upgrade():
{body}

def downgrade():
    pass
'''
STOCK = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{database}"
db = SQLAlchemy(app)
Migrate(app, db)
"""
DJANGO = """
import sys
import django
from django.conf import settings

settings.configure(
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()
from django.db import connection, models
from django.db.models import CharField, IntegerField, Q

class Maker(models.Model):
    name = CharField(max_length=50)
    class Meta:
        app_label = "bench"
        db_table = "maker"

class Item(models.Model):
    owner = models.ForeignKey(Maker, models.DO_NOTHING, null=True, related_name="+")
    maker_id = IntegerField(null=True)
    name = CharField(max_length=50, null=True, db_index=True)
    code = CharField(max_length=20, null=True)
    amount = IntegerField(db_default=0, null=True, db_index=True)
    note = CharField(max_length=200, null=True)
    class Meta:
        app_label = "bench"
        db_table = "item"

def named(name, field):
    field.set_attributes_from_name(name)
    field.model = Item
    return field

def alter(name, old, new):
    editor.alter_field(Item, Item._meta.get_field(name), named(name, new))

def rename(old, new, field):
    editor.alter_field(Item, Item._meta.get_field(old), named(new, field))

def drop(name, field):
    editor.remove_field(Item, Item._meta.get_field(name))

def check(name, **condition):
    editor.add_constraint(Item, models.CheckConstraint(condition=Q(**condition), name=name))

if sys.argv[1:] != ["nothing"]:
    with connection.schema_editor() as editor:
        {change}
else:
    connection.ensure_connection()
"""
SQLITE_UTILS = """
import sys
import sqlite_utils

database = sqlite_utils.Database({database!r})
if sys.argv[1:] != ["nothing"]:
    database["item"].{change}
"""
FLOORS = {
    "commit": [],
    "scan": ["SELECT count(*) FROM item WHERE code IS NULL OR amount < 0"],
    "keys": ["SELECT count(*) FROM item WHERE maker_id NOT IN (SELECT id FROM maker)"],
    "rebuild": [
        "PRAGMA foreign_keys=OFF",
        "CREATE TABLE new (id INTEGER NOT NULL, owner_id INTEGER, maker_id INTEGER, name VARCHAR(50),"
        " code VARCHAR(20), amount INTEGER DEFAULT 0, note VARCHAR(200), PRIMARY KEY (id))",
        "INSERT INTO new SELECT * FROM item",
        "DROP TABLE item",
        "ALTER TABLE new RENAME TO item",
        "CREATE INDEX ix_item_name ON item (name)",
        "CREATE INDEX ix_item_amount ON item (amount)",
    ],
}
FLOOR = """
import sqlite3, sys

connection = sqlite3.connect({database!r}, isolation_level=None)
if sys.argv[1:] != ["nothing"]:
    connection.execute("BEGIN IMMEDIATE")
    for statement in {statements!r}:
        connection.execute(statement).fetchall()
    connection.execute("UPDATE alembic_version SET version_num = '0002'")
    connection.execute("COMMIT")
"""


class Peer:
    """A tool: ``command(change)`` is the change, ``nothing()`` the same process with nothing to do."""

    name = ""

    def __init__(self, folder: Path, database: Path) -> None:
        self.folder, self.database = folder, database
        folder.mkdir(parents=True)

    def prepare(self, change: Change) -> bool:
        """Write what the change needs; False when the tool cannot make it."""
        raise NotImplementedError

    def command(self, nothing: bool) -> list[str]:
        return [sys.executable, "change.py", *(["nothing"] if nothing else [])]


class Script(Peer):
    def text(self, change: Change) -> str | None:
        raise NotImplementedError

    def prepare(self, change: Change) -> bool:
        text = self.text(change)
        if text:
            (self.folder / "change.py").write_text(text)
        return text is not None


class Floor(Script):
    name = "floor"

    def text(self, change: Change) -> str:
        return FLOOR.format(database=str(self.database), statements=FLOORS[change.floor])


class Django(Script):
    name = "Django"

    def text(self, change: Change) -> str | None:
        return change.django and DJANGO.format(database=str(self.database), change=change.django)


class SqliteUtils(Script):
    name = "sqlite-utils"

    def text(self, change: Change) -> str | None:
        if not change.sqlite_utils:
            return None
        return SQLITE_UTILS.format(database=str(self.database), change=change.sqlite_utils)


class Alembic(Peer):
    """Both of those that run migration files; "nothing to do" is a database at the head."""

    versions: Path

    @property
    def inside(self) -> Path:
        """Where a run writes how long the upgrade took inside of it."""
        return self.folder / "inside"

    def prepare(self, change: Change) -> bool:
        for revision, down, body in (("0001", None, "pass"), ("0002", "0001", change.alembic)):
            indented = "".join(f"    {line}\n" for line in body.splitlines())
            (self.versions / f"{revision}_bench.py").write_text(
                MIGRATION.format(title=change.name, revision=revision, down=down, body=indented)
            )
        return True


class Stock(Alembic):
    name = "stock Alembic"

    def __init__(self, folder: Path, database: Path) -> None:
        super().__init__(folder, database)
        (folder / "app.py").write_text(STOCK.format(database=database))
        subprocess.run(
            [sys.executable, "-m", "flask", "--app", "app", "db", "init"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        self.versions = folder / "migrations" / "versions"

    def command(self, nothing: bool) -> list[str]:
        flask = ["-m", "flask", "--app", "app", "db", "upgrade"]
        return [sys.executable, str(TIMED), str(self.inside), *flask]


class Keel(Alembic):
    name = "this engine"

    def __init__(self, folder: Path, database: Path) -> None:
        super().__init__(folder, database)
        made = folder / "made"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "cookiecutter",
                "--no-input",
                "-o",
                made,
                TEMPLATE,
                "starter=bare",
            ],
            check=True,
            capture_output=True,
        )
        shutil.copytree(made / "my-app", folder, dirs_exist_ok=True)
        self.versions = folder / "my_app" / "migrations" / "versions"
        db = folder / ".venv" / "bin" / "db"  # what make install would make
        db.parent.mkdir(parents=True)
        timed = f'"{sys.executable}" "{TIMED}" "{self.inside}"'
        db.write_text(f'#!/bin/sh\nexec {timed} bin/manage.py db "$@"\n')
        db.chmod(0o755)
        (folder / ".venv" / ".installed").touch()

    def prepare(self, change: Change) -> bool:
        settings = "".join(f"{key} = {value!r}\n" for key, value in change.settings.items())
        conf = f'SQLALCHEMY_DATABASE_URI = "sqlite:///{self.database}"\nDEVELOPMENT = True\n'
        (self.folder / "etc" / "conf" / "dev.conf").write_text(conf + settings)
        return super().prepare(change)

    def command(self, nothing: bool) -> list[str]:
        return ["make", "--no-print-directory", "migrate"]


PEERS = [Stock, Django, SqliteUtils, Keel, Floor]
