"""Migration files as other projects have them, run by Alembic's own commands."""

import logging
import textwrap

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

ENV = """
import sqlalchemy as sa
from alembic import context
import flask_keel.sqlite.impl

engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=sa.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
"""
FIRST = '''
"""users and posts"""
import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade():
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=120), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email", name="uq_user_email"),
    )
    op.create_table(
        "post",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_post_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("post", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_post_title"), ["title"], unique=False)
    op.bulk_insert(
        sa.table("user", sa.column("id", sa.Integer), sa.column("email", sa.String)),
        [{"id": 1, "email": "a@example.org"}, {"id": 2, "email": "b@example.org"}],
    )
    op.execute("INSERT INTO post VALUES (1, 'one', 1), (2, 'two', 2)")


def downgrade():
    with op.batch_alter_table("post", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_post_title"))
    op.drop_table("post")
    op.drop_table("user")
'''
SECOND = '''
"""slugs, stricter users"""
import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade():
    op.add_column("post", sa.Column("slug", sa.String(80), nullable=True))
    connection = op.get_bind()
    post = sa.table("post", sa.column("id"), sa.column("title"), sa.column("slug"))
    for row in connection.execute(sa.select(post)).fetchall():
        connection.execute(post.update().where(post.c.id == row.id).values(slug=row.title.upper()))
    with op.batch_alter_table("post") as batch_op:
        batch_op.alter_column("slug", existing_type=sa.String(80), nullable=False)
        batch_op.create_unique_constraint("uq_post_slug", ["slug"])
        batch_op.drop_constraint("fk_post_user", type_="foreignkey")
        batch_op.create_foreign_key("fk_post_author", "user", ["user_id"], ["id"])
        batch_op.alter_column("title", new_column_name="headline", existing_type=sa.String(64))
    with op.batch_alter_table("user") as batch_op:
        batch_op.alter_column("email", existing_type=sa.String(120), nullable=False)
        batch_op.alter_column(
            "is_active", existing_type=sa.Boolean(), server_default=None, nullable=True
        )
        batch_op.add_column(sa.Column("kind", sa.Enum("a", "b", name="kind"), server_default="a"))
    op.create_check_constraint("ck_user_email", "user", "email LIKE '%@%'")
    op.rename_table("user", "account")


def downgrade():
    op.rename_table("account", "user")
    op.drop_constraint("ck_user_email", "user", type_="check")
    with op.batch_alter_table("user") as batch_op:
        batch_op.drop_column("kind")
        batch_op.alter_column("is_active", server_default=sa.text("1"), nullable=False)
        batch_op.alter_column("email", existing_type=sa.String(120), nullable=True)
    with op.batch_alter_table("post") as batch_op:
        batch_op.alter_column("headline", new_column_name="title")
        batch_op.drop_constraint("fk_post_author", type_="foreignkey")
        batch_op.create_foreign_key("fk_post_user", "user", ["user_id"], ["id"], ondelete="CASCADE")
        batch_op.drop_constraint("uq_post_slug", type_="unique")
        batch_op.drop_column("slug")
'''


@pytest.fixture
def config(bench, tmp_path):
    scripts = tmp_path / "scripts"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text(ENV)
    (scripts / "versions" / "1.py").write_text(textwrap.dedent(FIRST))
    (scripts / "versions" / "2.py").write_text(textwrap.dedent(SECOND))
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", f"sqlite:///{bench.path}")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return config


def test_they_go_up_and_down_and_up_again(bench, config):
    command.upgrade(config, "1")
    before = bench.dump()
    command.upgrade(config, "2")
    up = bench.dump()
    assert bench.rows("SELECT headline, slug FROM post") == [("one", "ONE"), ("two", "TWO")]
    assert bench.rows("SELECT * FROM account") == [
        (1, "a@example.org", 1, "a"),
        (2, "b@example.org", 1, "a"),
    ]
    command.downgrade(config, "1")
    assert plain(bench.dump()) == plain(before)
    command.upgrade(config, "2")
    assert plain(bench.dump()) == plain(up)
    assert bench.is_whole()
    command.downgrade(config, "base")
    tables = bench.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert tables == [("alembic_version",)]


def test_the_result_is_what_stock_alembic_makes(bench, config, tmp_path):
    """The same history, by Alembic's own class for SQLite where that can run it."""
    import subprocess
    import sys

    env = tmp_path / "scripts" / "env.py"
    command.upgrade(config, "2")
    ours = reflected(bench.path)
    bench.path.unlink()
    second = tmp_path / "scripts" / "versions" / "2.py"
    plain_check = 'op.create_check_constraint("ck_user_email", "user", "email LIKE \'%@%\'")'
    assert plain_check in second.read_text()
    second.write_text(
        second.read_text().replace(
            plain_check,
            'with op.batch_alter_table("user") as batch_op:\n'
            '        batch_op.create_check_constraint("ck_user_email", "email LIKE \'%@%\'")',
        )
    )
    env.write_text(ENV.replace("import flask_keel.sqlite.impl\n", ""))
    script = (
        "from alembic import command; from alembic.config import Config; c = Config();"
        f"c.set_main_option('script_location', {str(env.parent)!r});"
        "c.set_main_option('path_separator', 'os');"
        f"c.set_main_option('sqlalchemy.url', 'sqlite:///{bench.path}');"
        "command.upgrade(c, '2')"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
    assert reflected(bench.path) == ours


def plain(dump: list[str]) -> list[str]:
    """Without quotes and white space, and without the order in which rows of the schema lie."""
    text = [line.replace('"', "").replace("\\n", " ").replace("\\t", " ") for line in dump]
    return sorted(" ".join(line.replace(", ", ",").split()).replace(", ", ",") for line in text)


def reflected(path) -> dict:
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    inspector = sa.inspect(engine)
    found = {}
    for table in sorted(inspector.get_table_names()):
        found[table] = {
            "columns": sorted(str(c) for c in inspector.get_columns(table)),
            "keys": sorted(str(c) for c in inspector.get_foreign_keys(table)),
            "unique": sorted(str(c) for c in inspector.get_unique_constraints(table)),
            "checks": sorted(str(c) for c in inspector.get_check_constraints(table)),
            "indexes": sorted(str(c) for c in inspector.get_indexes(table)),
        }
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(f'SELECT * FROM "{table}"').mappings()
            found[table]["rows"] = sorted(str(sorted(row.items())) for row in rows)
    return found
