"""Histories of two migrations for the tests: from one schema to another, generated or by hand."""

import itertools
import textwrap
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.pool import NullPool

import flask_keel.sqlite.impl  # noqa: F401  (the engine that env.py has)
from flask_keel.project import Project
from flask_keel.proof import prove

CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
FILE = '''"""{revision}"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql, sqlite

revision = {revision!r}
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade():
{upgrade}


def downgrade():
{downgrade}
{rest}'''


def metadata(*tables):
    """A MetaData with the naming convention of generated projects, from functions that add tables."""
    made = sa.MetaData(naming_convention=CONVENTION)
    for table in tables:
        table(made)
    return made


def table(name, *items, **options):
    """A function that adds a table to a MetaData, again and again: columns are copied, functions called."""
    return lambda made: sa.Table(name, made, *(_copy(item) for item in items), **options)


def _copy(item):
    return item._copy() if isinstance(item, sa.Column) else item()


class History:
    """A folder of migrations.

    :param url: of the application's database, which is never made
    """

    def __init__(self, folder: Path, url: str = "sqlite:///app.db") -> None:
        self.folder, self.url = folder, sa.make_url(url)
        self.versions = folder / "versions"
        self.versions.mkdir()
        self.numbers = itertools.count(1)
        self.head = None

    def write(self, upgrade: str, downgrade: str = "pass", rest: str = "") -> str:
        """Write a migration by hand; return its revision."""
        revision = f"r{next(self.numbers)}"
        text = FILE.format(
            revision=revision,
            down=self.head,
            upgrade=textwrap.indent(textwrap.dedent(upgrade).strip("\n"), "    "),
            downgrade=textwrap.indent(textwrap.dedent(downgrade).strip("\n"), "    "),
            rest=textwrap.dedent(rest),
        )
        (self.versions / f"{revision}.py").write_text(text)
        self.head = revision
        return revision

    def generate(self, before: sa.MetaData, after: sa.MetaData) -> str:
        """Write what autogenerate writes, on a database that has the tables of ``before``."""
        return self.write(*generated(before, after, self.url))

    def project(self, models: sa.MetaData, **options) -> Project:
        config = Config()
        config.set_main_option("script_location", str(self.folder))
        options = {"compare_type": True, "compare_server_default": True, **options}
        return Project(config, models, sa.create_engine(self.url), options)

    def prove(self, models: sa.MetaData, **options):
        return prove(self.project(models), self.head, **options)


def generated(before: sa.MetaData, after: sa.MetaData, url) -> tuple[str, str]:
    """What autogenerate writes: upgrade and downgrade."""
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine("sqlite://")
    else:
        engine = sa.create_engine(url, poolclass=NullPool)
    options = {"compare_type": True, "compare_server_default": True, "render_as_batch": True}
    with engine.connect() as connection:
        before.create_all(connection)
        context = MigrationContext.configure(connection, opts={**options, "target_metadata": after})
        script = produce_migrations(context, after)
        codes = [
            render_python_code(part, render_as_batch=True, migration_context=context)
            for part in (script.upgrade_ops, script.downgrade_ops)
        ]
        connection.rollback()
        if engine.dialect.name != "sqlite":
            before.drop_all(connection)
            connection.commit()
    engine.dispose()
    upgrade, downgrade = (textwrap.dedent(_unindented(code)) for code in codes)
    return upgrade, downgrade


def _unindented(code: str) -> str:
    lines = [line for line in code.splitlines() if line.strip()]
    return "\n".join(
        line.removeprefix("    ") if line.startswith("    ") else line for line in lines
    )
