"""What a plan runs of a migration's file, and what it leaves alone."""

from types import SimpleNamespace

import pytest

from flask_keel.upgrade.dry_run import File

RUN = {
    "operations": "op.add_column('t', sa.Column('c', sa.Integer))\nop.drop_table('u')",
    "a batch": "with op.batch_alter_table('t') as b:\n    b.drop_column('c')",
    "a loop over words": "for name in sorted(['a', 'b']):\n    op.execute(f'DROP TABLE {name}'.lower())",
    "what the database is asked": "rows = op.get_bind().execute(sa.select(sa.text('1'))).all()\nprint(rows)",
    "a session": "session = Session(bind=op.get_bind())\nsession.execute(sa.text('DELETE FROM t'))",
    "a type of the application's own": "op.add_column('t', sa.Column('c', my_app.types.Money(10)))",
    "a table of its own": "op.execute(post.update().values(slug='x'))",
    "a helper in the file": "helper('t')",
    "what the module made of its own": "op.execute(late.values(slug='x'))",
    "plain Python": "words = {w.title(): len(w) for w in 'a b'.split()}\nre.sub('a', 'b', 'c')",
    "a backfill": "flask_keel.backfill(post, None, {'slug': uuid.uuid4().hex})",
    "an autocommit block": "with op.get_context().autocommit_block():\n    op.execute('SELECT 1')",
}
LEFT = {
    "a process": ("subprocess.run(['rm'])", "subprocess.run"),
    "a file": ("open('x', 'w').write('y')", "open"),
    "a path": ("Path('x').touch()", "Path('x').touch"),
    "a function of the application": ("slugify('x')", "slugify"),
    "a function of the application within SQL": ("op.execute(slugify('x'))", "slugify"),
    "a type's relative that is a function": ("op.add_column('t', my_app.types.money())", "money"),
    "a model": ("User.query.delete()", "User.query.delete"),
    "a client that the module made": ("client.send('x')", "client.send"),
    "what a client of the module made": ("queue.send('x')", "queue.send"),
    "what the module read": ("lines.pop()", "lines.pop"),
    "an engine of its own": ("sa.create_engine('sqlite://').connect()", "create_engine"),
    "a helper that does it": ("notify()", "subprocess.run"),
    "a method that does it": ("Helper().run()", "subprocess.run"),
    "code in a text": ("exec('x = 1')", "exec"),
    "an unknown name": ("whatever()", "whatever"),
    "a loop that ends where rows say so": ("while op.get_bind():\n    pass", "its loop"),
}
FILE = """import re, subprocess, uuid
from pathlib import Path
import boto3 as cloud
import flask_keel
import my_app.types
import sqlalchemy as sa
from alembic import op
from my_app.models import User
from my_app.text import slugify
from sqlalchemy.orm import Session

client = cloud.client("mail")
queue = client.queue("mail")
lines = open("lines").readlines()
slug = lambda: sa.column("slug")
post = sa.table("post", slug())
late = post.update().where(post.c.slug.is_(None))


class Helper:
    def run(self):
        subprocess.run(["true"])


def helper(table):
    op.drop_table(table)


def notify():
    subprocess.run(["mail"])


def upgrade():
    {body}


def downgrade():
    subprocess.run(["true"])
"""


@pytest.fixture
def strange(tmp_path):
    def said(body, text=FILE):
        path = tmp_path / "f1.py"
        path.write_text(text.replace("{body}", body.replace("\n", "\n    ")))
        step = SimpleNamespace(revision=SimpleNamespace(path=path), is_upgrade=True)
        return File(step).stranger()

    return said


@pytest.mark.parametrize("body", RUN.values(), ids=list(RUN))
def test_what_is_alembics_sqlalchemys_and_plain_python_is_run_for_a_plan(strange, body):
    assert strange(body) is None


@pytest.mark.parametrize(("body", "named"), LEFT.values(), ids=list(LEFT))
def test_what_may_do_something_else_in_the_world_is_not_run_for_a_plan(strange, body, named):
    assert named in strange(body)


def test_an_upgrade_that_is_no_plain_function_is_not_run_for_a_plan(strange):
    assert "no plain function" in strange("", "upgrade = print")
    assert "no plain function" in strange("", "def upgrade(): pass\ndef upgrade(): pass")
