"""A SQLite file is copied before values are lost or rewritten, or statements of the file's own run."""

from pathlib import Path

import pytest
import sqlite_contents

ADDS = "op.add_column('post', sa.Column('mood', sa.String(9)))"
KEEP = {
    "a column and its index": f"{ADDS}\nop.create_index('ix_mood', 'post', ['mood'])",
    "a batch": "with op.batch_alter_table('post') as batch_op:\n"
    "    batch_op.add_column(sa.Column('mood', sa.String(9)))",
    "rows that are added": "op.bulk_insert(sa.table('user', sa.column('name')), [])",
    "a table without rows that goes": "op.drop_table('empty')",
    "a longer text": "op.alter_column('post', 'title', type_=sa.Text())",
    "rows that are read": "for row in op.get_bind().execute(sa.text('SELECT 1')):\n    pass",
    "another name": "op.rename_table('post', 'article')",
}
CHANGE = {
    "a column of NULLs that goes, and all rows are written again": "op.drop_column('post', 'published_at')",
    "a column that goes": "with op.batch_alter_table('post') as b:\n    b.drop_column('summary')",
    "a table that goes": "op.drop_table('post')",
    "raw SQL": "op.execute(\"UPDATE post SET title = 'x' WHERE id > 99\")",
    "a statement past op.execute": "op.get_bind().execute(sa.text('DELETE FROM post'))",
    "a table that is rebuilt": "with op.batch_alter_table('post', recreate='always') as b:\n"
    "    b.alter_column('title', type_=sa.Text())",
    "a function of one's own": "import os\nos.getpid()",
    "an operation by another name": "from alembic import op as o\no.drop_column('post', 'summary')",
}
HEAD = "8b27e4a9c610"
ROWS = """
CREATE TABLE empty (id INTEGER PRIMARY KEY);
INSERT INTO user (id, name, email) VALUES (1, 'Ada', 'ada@example.com');
INSERT INTO post (id, user_id, title, slug, body, summary) VALUES (1, 1, 'One', 'one', 'text', 'short')
"""


@pytest.mark.parametrize(
    ("body", "copied"),
    [(body, False) for body in KEEP.values()] + [(body, True) for body in CHANGE.values()],
    ids=[*KEEP, *CHANGE],
)
def test_the_database_is_copied_first_where_a_value_may_go(blog, body, copied):
    blog.db("upgrade").assert_ok()
    sqlite_contents.script(blog.database, ROWS)
    blog.migration("f1", HEAD, body)
    answer = blog.db("upgrade").assert_ok()
    assert ("backup" in answer.err) == copied
    assert len(list((blog.path / "var" / "backups").glob("*"))) == copied


def test_a_downgrade_that_drops_is_copied_first_and_nothing_to_do_is_not(blog):
    blog.db("upgrade").assert_ok()
    blog.db("upgrade").assert_ok()
    sqlite_contents.script(blog.database, ROWS)
    assert not (blog.path / "var" / "backups").exists()
    answer = blog.db("downgrade").assert_ok()
    assert "backup" in answer.err and "before the downgrade" in answer.err


def test_a_file_in_sqlites_own_uri_form_is_planned_asked_about_and_copied_as_any_other(blog):
    blog.db("upgrade").assert_ok()
    sqlite_contents.script(blog.database, ROWS)
    blog.migration("f1", HEAD, CHANGE["a column that goes"])
    conf = blog.path / "etc" / "conf" / "dev.conf"
    conf.write_text(f"{conf.read_text()}\nCONFIRM_DATA_LOSS = True\n")
    url = {"DEV_DATABASE_URL": f"sqlite:///file:{blog.database}?uri=true"}
    plan = blog.db("upgrade", "--plan", **url).assert_ok().said
    assert f"is at {HEAD}: 1 revision to upgrade" in plan
    assert "loses post.summary (1 value)" in plan
    blog.db("upgrade", **url).assert_one_sentence("post.summary")
    assert "backup" in blog.db("upgrade", "--yes", **url).assert_ok().err


def test_who_only_looks_makes_no_file_of_a_uri_and_an_upgrade_that_fails_leaves_none(blog):
    path = blog.path / "var" / "other.db"
    url = {"DEV_DATABASE_URL": f"sqlite:///file:{path}?uri=true"}
    assert "creating" not in blog.db("upgrade", "--plan", **url).assert_ok().said
    for command in ("current", "downgrade", "log"):
        blog.db(command, **url).assert_one_sentence("There is no database")
    assert "does not exist yet" in blog.db("status", **url).said
    blog.migration("f1", HEAD, "op.drop_table('nobody')")
    blog.db("upgrade", **url).assert_one_sentence("as it was, at the base")
    assert not path.exists()


def test_tries_that_fail_push_no_older_copy_out(blog):
    blog.configure(MIGRATION_BACKUPS=2)
    blog.db("upgrade").assert_ok()
    sqlite_contents.script(blog.database, ROWS)
    yesterday = blog.db("backup").assert_ok().out.strip()
    sqlite_contents.script(blog.database, "UPDATE user SET name = 'Grace'")
    blog.migration("f1", HEAD, "op.drop_column('post', 'summary')\nop.drop_table('nobody')")
    said = [blog.db("upgrade").assert_one_sentence("as it was").err for _ in range(3)]
    backups = blog.path / "var" / "backups"
    (today,) = {*map(str, backups.iterdir())} - {yesterday}
    assert Path(yesterday).exists() and all(f"backup {today}" in text for text in said)
    sqlite_contents.script(blog.database, "UPDATE user SET name = 'Ada'")
    blog.db("upgrade").assert_one_sentence("as it was")
    assert Path(today).exists() and not Path(yesterday).exists()
