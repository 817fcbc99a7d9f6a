"""`db check` on a history that another tool began years ago: old spellings, and no models of ours."""

import json

import databases
import pytest

HEADER = '''"""{message}

Revision ID: {revision}
Revises: {down}
Create Date: 2015-01-08 23:14:57
"""

# revision identifiers, used by Alembic.
revision = {revision!r}
down_revision = {down!r}

from alembic import op
import sqlalchemy as sa

NAMES = {{
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
}}

'''
# message, the file's functions, and what check says of it: None where all is well
HISTORY = [
    (
        "Initial",
        """
def upgrade():
    op.create_table('role', sa.Column('id', sa.Integer, primary_key=True),
                    sa.Column('name', sa.String(64), unique=True))
    op.create_table('user', sa.Column('id', sa.Integer, nullable=False),
                    sa.Column('email', sa.String(length=64), nullable=True),
                    sa.Column('role_id', sa.Integer, nullable=True),
                    sa.Column('settings', sa.Text, nullable=True),
                    sa.Column('status', sa.String(10), nullable=True),
                    sa.Column('active', sa.String(5), nullable=True),
                    sa.ForeignKeyConstraint(['role_id'], ['role.id'], name='user_role'),
                    sa.PrimaryKeyConstraint('id'),
                    sa.Index('ix_user_email', 'email', unique=True))

def downgrade():
    op.drop_table('user')
    op.drop_table('role')
""",
        None,
    ),
    (
        "Roles that are always there",
        """
role = sa.table('role', sa.column('id', sa.Integer), sa.column('name', sa.String))

def upgrade():
    op.bulk_insert(role, [{'id': 1, 'name': 'admin'}, {'id': 2, 'name': 'guest'}])
    op.execute("INSERT INTO role (id, name) VALUES (3, 'editor')")

def downgrade():
    op.execute('DELETE FROM role WHERE id IN (1, 2, 3)')
""",
        None,
    ),
    (
        "Types as classes",
        """
def upgrade():
    with op.batch_alter_table('user', schema=None) as batch_op:
        batch_op.alter_column('email', existing_type=sa.String, type_=sa.Text, nullable=True)

def downgrade():
    with op.batch_alter_table('user', schema=None) as batch_op:
        batch_op.alter_column('email', existing_type=sa.Text, type_=sa.String(64), nullable=True)
""",
        None,
    ),
    (
        "Settings in a session",
        """
import json
from sqlalchemy import orm
from sqlalchemy.orm import declarative_base

Base = declarative_base()

class User(Base):
    __tablename__ = 'user'
    id = sa.Column(sa.Integer, primary_key=True)
    settings = sa.Column(sa.Text)
    status = sa.Column(sa.Enum('new', 'old', native_enum=False))

def upgrade():
    session = orm.Session(bind=op.get_bind())
    for user in session.query(User).filter(User.status == 'old'):
        user.settings = json.dumps({'old': True})
    session.flush()

def downgrade():
    raise NotImplementedError
""",
        None,
    ),
    (
        "Words become a Boolean",
        """
def upgrade():
    op.execute("UPDATE \\"user\\" SET active = CASE active WHEN 'yes' THEN '1' ELSE '0' END")
    with op.batch_alter_table('user') as batch_op:
        batch_op.alter_column('active', existing_type=sa.String, type_=sa.Boolean,
                              postgresql_using='active::boolean')

def downgrade():
    with op.batch_alter_table('user') as batch_op:
        batch_op.alter_column('active', existing_type=sa.Boolean, type_=sa.String(5))
""",
        None,
    ),
    (
        "Everybody is new",
        """
def upgrade():
    op.execute("UPDATE \\"user\\" SET status = 'new'")

def downgrade():
    pass
""",
        None,
    ),
    (
        "A key without a name goes",
        """
def upgrade():
    with op.batch_alter_table('user', naming_convention=NAMES) as batch_op:
        batch_op.drop_constraint('user_role', type_='foreignkey')
        batch_op.create_foreign_key(None, 'role', ['role_id'], ['id'], ondelete='SET NULL')

def downgrade():
    with op.batch_alter_table('user', naming_convention=NAMES) as batch_op:
        batch_op.drop_constraint(None, type_='foreignkey')
        batch_op.create_foreign_key('user_role', 'role', ['role_id'], ['id'])
""",
        "drops a constraint without a name (None)",
    ),
    (
        "The downgrade was forgotten",
        """
def upgrade():
    op.add_column('user', sa.Column('seen', sa.DateTime, nullable=True))
""",
        "it does nothing, and the upgrade changes the schema",
    ),
    (
        "Nobody is left",
        """
def upgrade():
    op.execute('DELETE FROM "user"')

def downgrade():
    pass
""",
        'every row of user is deleted by DELETE FROM "user"',
    ),
]


def adopt(project) -> dict[str, str | None]:
    """Write the history; return what check has to say of each file."""
    expected, down = {}, None
    for number, (message, functions, said) in enumerate(HISTORY, 1):
        revision = f"{number:02}ad96e49dc6"
        name = f"{revision}_.py"
        text = HEADER.format(message=message, revision=revision, down=down) + functions
        (project.versions / name).write_text(text)
        expected[name], down = said, revision
    return expected


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_history_of_other_hands_is_judged_file_by_file(kind, new_project, request):
    project = new_project(starter="bare", database=kind)
    expected = adopt(project)
    if kind == "sqlite":
        judge(project, expected)
        return
    with databases.fresh(request.getfixturevalue("postgresql_server")) as url:
        project.env["DEV_DATABASE_URL"] = url
        del expected["07ad96e49dc6_.py"]  # the batch's convention is for SQLite
        judge(project, expected)


def judge(project, expected):
    answer = project.db("check", "--json", timeout=300)
    assert answer.code == 1 and "Traceback" not in answer.said, answer.said
    report = json.loads(answer.out)
    assert "there are no models to compare them with" in report["error"]
    for one in report["migrations"]:
        name = one["file"].rpartition("/")[2]
        if name not in expected:
            continue
        sentence = one["proof"]["lines"][0]
        assert one["proof"]["ok"] == (expected[name] is None), sentence
        assert (expected[name] or "") in sentence
        assert "not-judged" not in {finding["rule"] for finding in one["findings"]}
    (said,) = report["migrations"][5]["proof"]["changes"]
    assert said == "sets user.status to 'new' in every row"
    again = json.loads(project.db("check", "--json").out)
    assert all(one["judged_before"] for one in again["migrations"])
