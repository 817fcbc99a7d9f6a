"""add login to user

Revision ID: 9e51d7c3f048
Revises: 4c9d02e7ab15
Create Date: 2026-01-12 09:00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "9e51d7c3f048"
down_revision = "4c9d02e7ab15"
branch_labels = None
depends_on = None

# another one for each row
UNIQUE = {
    "sqlite": "lower(hex(randomblob(16)))",
    "postgresql": "replace(gen_random_uuid()::text, '-', '')",
    "mysql": "uuid()",
    "mariadb": "uuid()",
}


def upgrade():
    with op.batch_alter_table("user") as batch_op:
        batch_op.add_column(sa.Column("password", sa.String(length=255), nullable=True))
        batch_op.add_column(
            sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False)
        )
        batch_op.add_column(sa.Column("fs_uniquifier", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("confirmed_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("tf_primary_method", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("tf_totp_secret", sa.String(length=255), nullable=True))
        batch_op.add_column(
            sa.Column("tf_counter", sa.Integer(), server_default="0", nullable=False)
        )

    # lint: update-every-row because nobody is a user before there is a login
    user = sa.table("user", sa.column("fs_uniquifier"))
    op.execute(user.update().values(fs_uniquifier=sa.text(UNIQUE[op.get_context().dialect.name])))

    # lint: add-not-null because no release without it makes users
    # lint: add-unique because no two rows were given the same
    with op.batch_alter_table("user") as batch_op:
        batch_op.alter_column("fs_uniquifier", existing_type=sa.String(length=64), nullable=False)
        batch_op.create_unique_constraint("uq_user_fs_uniquifier", ["fs_uniquifier"])


def downgrade():
    with op.batch_alter_table("user") as batch_op:
        batch_op.drop_constraint("uq_user_fs_uniquifier", type_="unique")
        for name in (
            "tf_counter",
            "tf_totp_secret",
            "tf_primary_method",
            "confirmed_at",
            "fs_uniquifier",
            "active",
            "password",
        ):
            batch_op.drop_column(name)
