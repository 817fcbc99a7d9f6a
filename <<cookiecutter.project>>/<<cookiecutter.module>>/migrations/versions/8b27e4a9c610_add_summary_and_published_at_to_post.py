"""add summary and published_at to post

Revision ID: 8b27e4a9c610
Revises: 3f8a1c52d7e0
Create Date: 2026-01-12 09:00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "8b27e4a9c610"
down_revision = "3f8a1c52d7e0"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("post") as batch_op:
        batch_op.add_column(sa.Column("summary", sa.String(length=500), nullable=True))
        batch_op.add_column(sa.Column("published_at", sa.DateTime(), nullable=True))


def downgrade():
    with op.batch_alter_table("post") as batch_op:
        batch_op.drop_column("published_at")
        batch_op.drop_column("summary")
