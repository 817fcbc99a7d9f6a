"""`db rebase`: two people wrote a migration on the same revision; one is put after the other."""

import subprocess

HEAD = "8b27e4a9c610"
FILE = '''"""{revision}

Revision ID: {revision}
Revises: {down}
Create Date: {date}
"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{down}"


def upgrade():
    with op.batch_alter_table("post") as batch_op:
        batch_op.add_column(sa.Column("{column}", sa.Text()))  # this line stays as it is


def downgrade():
    with op.batch_alter_table("post") as batch_op:
        batch_op.drop_column("{column}")
'''


def add(project, revision, column, down=HEAD, date="2026-02-01 10:00:00"):
    """Write a migration that adds a column, and the column to the model."""
    path = project.versions / f"{revision}_{column}.py"
    path.write_text(FILE.format(revision=revision, down=down, column=column, date=date))
    project.replace(
        "my_app/models/post.py",
        "    summary:",
        f"    {column}: Mapped[str | None] = mapped_column(Text)\n    summary:",
    )
    return path


def two_heads(project):
    """Somebody's migration, and a later one of ours, both on the starter's head."""
    theirs = add(project, "aaaa00000001", "theirs")
    ours = add(project, "bbbb00000002", "ours", date="2026-02-02 09:00:00")
    return theirs, ours


def git(project, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    subprocess.run(command, cwd=project.path, check=True, capture_output=True)


def test_the_later_one_is_put_after_the_other_and_nothing_else_changes(blog):
    theirs, ours = two_heads(blog)
    untouched, before = theirs.read_text(), ours.read_text()
    said = blog.db("rebase").assert_ok()
    assert "bbbb00000002_ours.py now stands after aaaa00000001" in said.err
    assert theirs.read_text() == untouched
    assert ours.read_text() == before.replace(HEAD, "aaaa00000001")
    assert blog.db("heads").assert_ok().out.split()[0] == "bbbb00000002"
    blog.db("check").assert_ok()
    blog.db("upgrade").assert_ok()


def test_a_whole_branch_moves_by_its_first_migration(blog):
    _, ours = two_heads(blog)
    last = add(blog, "bbbb00000003", "more", down="bbbb00000002", date="2026-02-03 09:00:00")
    untouched = last.read_text()
    blog.db("rebase").assert_ok()
    assert 'down_revision = "aaaa00000001"' in ours.read_text()
    assert last.read_text() == untouched
    assert blog.db("heads").assert_ok().out.split()[0] == "bbbb00000003"


def test_a_person_may_say_which_is_to_stand_last(blog):
    theirs, _ = two_heads(blog)
    blog.db("rebase", "aaaa").assert_ok()
    assert 'down_revision = "bbbb00000002"' in theirs.read_text()


def test_what_the_main_branch_has_stays_though_it_is_later(blog, tmp_path):
    theirs = add(blog, "aaaa00000001", "theirs", date="2026-03-01 10:00:00")
    git(blog, "init", "-q", "-b", "main")
    git(blog, "add", ".")
    git(blog, "commit", "-q", "-m", "all")
    git(blog, "clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    git(blog, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(blog, "fetch", "-q", "origin")
    git(blog, "remote", "set-head", "origin", "main")
    ours = add(blog, "bbbb00000002", "ours", date="2026-02-02 09:00:00")
    blog.db("rebase").assert_ok()
    assert 'down_revision = "aaaa00000001"' in ours.read_text()
    assert f'down_revision = "{HEAD}"' in theirs.read_text()


def test_one_head_is_left_as_it_is(blog):
    assert "there is nothing to put after another" in blog.db("rebase").assert_ok().err


def test_three_heads_are_named(blog):
    two_heads(blog)
    add(blog, "cccc00000003", "third")
    blog.db("rebase").assert_one_sentence("3 heads", "cccc00000003_third.py", "db merge heads")


def test_a_branch_that_joins_two_others_is_not_moved(blog):
    two_heads(blog)
    blog.db("merge", "heads", "-m", "join").assert_ok()
    add(blog, "dddd00000004", "fourth", date="2026-01-20 10:00:00")
    blog.db("rebase").assert_one_sentence("db merge heads")


def test_two_that_cannot_stand_after_each_other_stay_as_they_are(blog):
    _, ours = two_heads(blog)
    ours.write_text(ours.read_text().replace('"ours"', '"theirs"'))
    before = ours.read_text()
    blog.db("rebase").assert_one_sentence("cannot stand after aaaa00000001", "as it was")
    assert ours.read_text() == before
    blog.db("heads").assert_ok()
    assert len(blog.db("heads").out.splitlines()) == 2


def test_a_head_that_is_none_is_refused(blog):
    two_heads(blog)
    blog.db("rebase", HEAD).assert_one_sentence("is no head", "aaaa00000001", "bbbb00000002")


def test_without_a_date_it_asks_which(blog):
    theirs, _ = two_heads(blog)
    theirs.write_text(theirs.read_text().replace("Create Date: 2026-02-01 10:00:00\n", ""))
    blog.db("rebase").assert_one_sentence("db rebase REVISION")
