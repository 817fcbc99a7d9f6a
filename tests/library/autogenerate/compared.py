"""Models made on the spot, and migrations run as they would stand in a file."""

from contextlib import contextmanager, nullcontext

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations

import flask_keel.sqlite.impl  # noqa: F401  (registers itself)
from flask_keel import literals
from flask_keel.autogenerate import (
    comparators,
    render,
    run,
    type_changes,
)
from flask_keel.project import listening

CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def model(*parts, convention=CONVENTION, **options):
    """The models of an application: one table ``t`` with a key and ``parts``."""
    metadata = sa.MetaData(naming_convention=convention)
    sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), *parts, **options)
    return metadata


class Bench:
    """A database, and comparisons with it."""

    def __init__(self, engine, **options):
        self.engine = engine
        self.options = options
        self.kind = engine.dialect.name
        self.code = ""
        type_changes.load(self.kind)

    def create(self, metadata):
        with self.engine.begin() as connection:
            metadata.create_all(connection)

    def run(self, *statements):
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def rows(self, query):
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    @contextmanager
    def context(self, metadata):
        options = {
            **comparators.OPTIONS,
            "target_metadata": metadata,
            "render_as_batch": True,
            **self.options,
        }
        with self.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            context.autocommit_block = nullcontext
            literals.install(context.impl)
            yield context
            connection.commit()

    def changes(self, metadata):
        """What a migration would do, as the lines of its upgrade."""
        return self.written(metadata)[0]

    def written(self, metadata):
        """The upgrade and the downgrade of a migration."""
        with self.context(metadata) as context:
            with listening(sa.Table, column_reflect=literals.read_column):
                script = produce_migrations(context, metadata)
            for step in (type_changes.cast, type_changes.mend, run.go_with_the_table):
                step(context, script)
            self.code = [
                render_python_code(
                    found,
                    render_as_batch=True,
                    render_item=render.render_item(None),
                    migration_context=context,
                )
                for found in (script.upgrade_ops, script.downgrade_ops)
            ]
        # the whole program, as script.py.mako has it, less its comments
        return [
            [line.strip() for line in code.splitlines() if line.strip()[:1] not in ("", "#")]
            for code in self.code
        ]

    def apply(self, metadata, code):
        with self.context(metadata) as context:
            source = "def run():\n" + code
            names = {"op": Operations(context), "sa": sa}
            exec("import sqlalchemy\n" + _dialects(source) + source, names)
            names["run"]()

    def round_trip(self, before, after, *expected):
        """Assert that the migration holds ``expected`` and goes up and down without a trace."""
        self.create(before)
        assert self.changes(before) == ["pass"]
        upgrade, _ = self.written(after)
        up, down = self.code
        for words in expected:
            assert words in "\n".join(upgrade), upgrade
        self.apply(after, up)
        assert self.changes(after) == ["pass"], up
        self.apply(before, down)
        assert self.changes(before) == ["pass"], (up, down)
        self.apply(after, up)
        assert self.changes(after) == ["pass"]
        return upgrade


def _dialects(source):
    names = ("mysql", "postgresql", "sqlite")
    return "".join(f"from sqlalchemy.dialects import {n}\n" for n in names if f"{n}." in source)
