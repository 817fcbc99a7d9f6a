"""Runs migration texts: with stock Alembic on a SQLite file, and offline as PostgreSQL's SQL."""

import io
import sqlite3
import textwrap

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations

from flask_keel.catalog.sqlite import tidy
from flask_keel.sqlite.naming import CONVENTION
from flask_keel.sqlite_safe import make_safe

HEAD = '''"""a migration

Revision ID: r1
"""
from alembic import op
import sqlalchemy as sa

revision = "r1"
down_revision = None

'''

ENV = """
import sqlalchemy as sa
from alembic import context

engine = sa.create_engine(context.config.get_main_option("url"), poolclass=sa.pool.NullPool)


@sa.event.listens_for(engine, "connect")
def off(raw, record):
    raw.isolation_level = None
    raw.execute("PRAGMA foreign_keys=OFF")


@sa.event.listens_for(engine, "begin")
def begin(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
"""


def migration(upgrade, downgrade="pass"):
    """The text of a migration with these two bodies."""
    text = HEAD
    for name, body in (("upgrade", upgrade), ("downgrade", downgrade)):
        text += f"\ndef {name}():\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n\n"
    return text.rstrip("\n") + "\n"


def body(source, function="upgrade"):
    """The text of one function's body, without its indentation."""
    after = source.partition(f"def {function}():\n")[2]
    lines = []
    for line in after.split("\n"):
        if line and not line.startswith(" "):
            break
        lines.append(line)
    return textwrap.dedent("\n".join(lines)).strip("\n")


def safe(source, convention=None):
    """The text that the script makes of a text; it is checked that it would stay so."""
    result = make_safe(source, convention)
    again = make_safe(result.source, convention)
    assert again.source == result.source
    return result.source


def postgresql(source, function, convention=CONVENTION):
    """The statements that a migration sends to PostgreSQL."""
    written = io.StringIO()
    metadata = sa.MetaData(naming_convention=convention)
    options = {"as_sql": True, "output_buffer": written, "target_metadata": metadata}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    namespace = {}
    with Operations.context(context):
        exec(compile(source, "migration", "exec"), namespace)
        namespace[function]()
    return [statement.strip() for statement in written.getvalue().split(";\n") if statement.strip()]


def assert_same_on_postgresql(before, after, *, moved=False, convention=CONVENTION):
    """Both texts mean the same to PostgreSQL; ``moved`` allows for another order."""
    for function in ("upgrade", "downgrade"):
        one = postgresql(before, function, convention)
        other = postgresql(after, function, convention)
        assert sorted(one) == sorted(other)
        assert moved or one == other


class Database:
    """A SQLite file with one migration, that stock Alembic runs up and down."""

    def __init__(self, folder, schema=""):
        self.folder = folder
        self.path = folder / "app.db"
        (folder / "env.py").write_text(ENV)
        (folder / "versions").mkdir()
        self.run(schema)

    def run(self, script):
        with sqlite3.connect(self.path) as connection:
            connection.executescript(script)
        connection.close()

    def rows(self, query):
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def migrate(self, source, target):
        """Run the migration to "head" or "base"."""
        (self.folder / "versions" / "r1.py").write_text(source)
        config = Config()
        config.set_main_option("script_location", str(self.folder))
        config.set_main_option("url", f"sqlite:///{self.path}")
        config.print_stdout = lambda *words: None
        (command.upgrade if target == "head" else command.downgrade)(config, target)

    def upgrade(self, source):
        self.migrate(source, "head")

    def downgrade(self, source):
        self.migrate(source, "base")

    @property
    def schema(self):
        """What the database says of itself, without the order of columns."""
        engine = sa.create_engine(f"sqlite:///{self.path}", poolclass=sa.pool.NullPool)
        inspector = sa.inspect(engine)
        names = set(inspector.get_table_names()) - {"alembic_version"}
        return {name: _table(inspector, name) for name in names}


def schema_of(folder, script):
    """The schema that this SQL makes."""
    folder.mkdir()
    made = sqlite3.connect(":memory:")
    made.executescript(script)
    texts = [sql for (sql,) in made.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")]
    return Database(folder, ";".join(map(laid_out, texts))).schema


def laid_out(sql):
    """As SQLAlchemy writes it, a line for each constraint: before 2.0.40 or so it reads no other form."""
    text = tidy(" ".join(sql.split()))
    return f"{text.removesuffix(')')}\n)" if sql.startswith("CREATE TABLE") else text


def _table(inspector, name):
    columns = {
        column["name"]: (str(column["type"]), column["nullable"], column["default"])
        for column in inspector.get_columns(name)
    }
    keys = {
        (
            key["name"],
            tuple(key["constrained_columns"]),
            key["referred_table"],
            tuple(key["referred_columns"]),
            tuple(sorted(key["options"].items())),
        )
        for key in inspector.get_foreign_keys(name)
    }
    primary = inspector.get_pk_constraint(name)
    return {
        "columns": columns,
        "primary": (primary["name"], tuple(primary["constrained_columns"])),
        "foreign": keys,
        "unique": {
            (unique["name"], tuple(unique["column_names"]))
            for unique in inspector.get_unique_constraints(name)
        },
        "checks": {
            (check["name"], check["sqltext"]) for check in inspector.get_check_constraints(name)
        },
        "indexes": {
            (index["name"], tuple(index["column_names"]), bool(index["unique"]))
            for index in inspector.get_indexes(name)
            if not index["name"].startswith("sqlite_autoindex")
        },
    }
