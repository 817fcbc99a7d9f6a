"""What the files of a run tell of the rows that are there: a copy is made where they leave a doubt."""

import pytest

ADDS = "op.add_column('post', sa.Column('mood', sa.String(9)))"
KEEP = {
    "a column and its index": f"{ADDS}\nop.create_index('ix_mood', 'post', ['mood'])",
    "a batch": "with op.batch_alter_table('post') as batch_op:\n"
    "    batch_op.add_column(sa.Column('mood', sa.String(9)))",
    "rows that are added": "op.bulk_insert(sa.table('user', sa.column('name')), [])",
}
DOUBT = {
    "a column that goes": "with op.batch_alter_table('post') as b:\n    b.drop_column('summary')",
    "raw SQL": "op.execute(\"UPDATE post SET title = 'x'\")",
    "a type that changes": "op.alter_column('post', 'title', type_=sa.Text())",
    "rows that are looped over": "for row in op.get_bind().execute(sa.text('SELECT 1')):\n    pass",
    "a function of one's own": f"{ADDS}\nprint('done')",
    "an operation by another name": "from alembic import op as o\no.drop_column('post', 'summary')",
}
HEAD = "8b27e4a9c610"


@pytest.mark.parametrize(
    ("body", "copied"),
    [(body, False) for body in KEEP.values()] + [(body, True) for body in DOUBT.values()],
    ids=[*KEEP, *DOUBT],
)
def test_the_database_is_copied_first_where_a_value_may_go(blog, body, copied):
    blog.db("upgrade").assert_ok()
    blog.migration("f1", HEAD, body)
    answer = blog.db("upgrade").assert_ok()
    assert ("backup" in answer.err) == copied
    assert len(list((blog.path / "var" / "backups").glob("*"))) == copied


def test_a_downgrade_that_drops_is_copied_first_and_nothing_to_do_is_not(blog):
    blog.db("upgrade").assert_ok()
    blog.db("upgrade").assert_ok()
    assert not (blog.path / "var" / "backups").exists()
    answer = blog.db("downgrade").assert_ok()
    assert "backup" in answer.err and "before the downgrade" in answer.err
