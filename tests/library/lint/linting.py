"""Histories of two migrations, of which the second is judged."""

import warnings
from pathlib import Path

import databases
import sqlalchemy as sa
from alembic.config import Config

from flask_keel import check
from flask_keel.project import Project

FIRST = """
op.create_table(
    "user",
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("email", sa.String(50), nullable=False),
    sa.Column("name", sa.String(50)),
    sa.Column("age", sa.Integer()),
    sa.Column("code", sa.String(80)),
    sa.Column("price", sa.Numeric(10, 2)),
)
op.create_table(
    "post",
    sa.Column("id", sa.Integer(), nullable=False),
    sa.Column("user_id", sa.Integer()),
    sa.Column("author_id", sa.Integer()),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("body", sa.Text()),
    sa.PrimaryKeyConstraint("id", name="pk_post"),
    sa.ForeignKeyConstraint(["author_id"], ["user.id"], name="fk_post_author_id_user"),
)
op.create_table("bare", sa.Column("a", sa.Integer(), nullable=False), sa.Column("b", sa.Integer()))
"""
# the body of upgrade() begins on line 11
FILE = '''"""{revision}"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
{imports}
revision = {revision!r}
down_revision = {down!r}

def upgrade():
{body}

def downgrade():
    pass
'''


def judge(folder: Path, body: str, url: str = "sqlite://", imports: str = "", first: str = FIRST):
    """Return the findings for a migration that does ``body`` after ``first``."""
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    _write(folder, "one", None, first, "")
    _write(folder, "two", "one", body, imports)
    config = Config()
    config.set_main_option("script_location", str(folder))
    engine = databases.engine(url) if not url.startswith("sqlite") else sa.create_engine(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check.findings(Project(config, sa.MetaData(), engine), "two")


def said(*arguments, **keywords) -> list[str]:
    """Return the first line of each finding."""
    return [finding.first for finding in judge(*arguments, **keywords)]


def _write(folder: Path, revision: str, down: str | None, body: str, imports: str) -> None:
    indented = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    text = FILE.format(revision=revision, down=down, body=indented.rstrip("\n"), imports=imports)
    (folder / "versions" / f"{revision}.py").write_text(text)
