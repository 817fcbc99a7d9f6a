"""migrations/head.txt: two branches that each add a migration conflict in git, and `db rebase` mends it."""

import os
import subprocess

import pytest

HEAD = "8b27e4a9c610"
FILE = "my_app/migrations/head.txt"


def git(project, *arguments, ok=True):
    """Run git as somebody; return what it said."""
    who = {
        f"GIT_{role}_{key}": "a@b.c"
        for role in ("AUTHOR", "COMMITTER")
        for key in ("NAME", "EMAIL")
    }
    ran = subprocess.run(
        ["git", *arguments],
        cwd=project.path,
        env={**os.environ, **who, "GIT_EDITOR": "true"},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode == 0) is ok, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def commit(project, message):
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", message)


def branch_with_a_column(project, branch, before, column):
    """On a branch that begins at main, add a column to the posts, with its migration."""
    git(project, "checkout", "-q", "-b", branch, "main")
    added = f"    {column}: Mapped[str | None] = mapped_column(String(30))\n"
    project.replace("my_app/models/post.py", f"    {before}:", f"{added}    {before}:")
    file = project.new_migration("-m", f"add {column}")
    commit(project, f"add {column}")
    return file


@pytest.fixture
def two_people(blog):
    """A project in git, with two branches that each add a migration: mine is checked out."""
    git(blog, "init", "-q", "-b", "main")
    commit(blog, "all")
    theirs = branch_with_a_column(blog, "theirs", "title", "nickname")
    mine = branch_with_a_column(blog, "mine", "published_at", "subtitle")
    return blog, theirs, mine


def revision(file):
    return file.name.partition("_")[0]


def test_two_branches_that_add_a_migration_conflict_and_rebase_lets_the_merge_go_on(two_people):
    project, _, mine = two_people
    assert (project.path / FILE).read_text() == f"{revision(mine)}\n"
    said = git(project, "merge", "theirs", ok=False)
    for file in (FILE, "my_app/migrations/schema/sqlite.sql"):
        assert f"CONFLICT (content): Merge conflict in {file}" in said
    project.db("migrate").assert_one_sentence("head.txt holds a conflict", "make rebase")
    project.db("upgrade", HEAD).assert_ok()
    said = project.db("rebase", revision(mine)).assert_ok().err
    assert "They commute" in said
    assert "git add my_app/migrations && git merge --continue" in said
    assert (project.path / FILE).read_text() == f"{revision(mine)}\n"
    git(project, "add", "my_app/migrations")
    git(project, "merge", "--continue")
    assert git(project, "status", "--porcelain") == ""
    project.db("check").assert_ok()
    project.db("upgrade").assert_ok()


def test_a_rebase_of_gits_goes_on_as_well_and_mine_stands_last(two_people, tmp_path):
    project, theirs, mine = two_people
    git(project, "checkout", "-q", "main")
    git(project, "merge", "-q", "theirs")
    git(project, "clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    git(project, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(project, "fetch", "-q", "origin")
    git(project, "remote", "set-head", "origin", "main")
    git(project, "checkout", "-q", "mine")
    for command in ("merge", "rebase"):
        git(project, command, "main", ok=False)
        said = project.db("rebase").assert_ok().err
        assert f"{mine.name} now stands after {revision(theirs)}" in said
        assert f"git {command} --continue" in said
        if command == "merge":
            git(project, "reset", "-q", "--hard")
    git(project, "add", "my_app/migrations")
    git(project, "rebase", "--continue")
    project.db("check").assert_ok()


def test_what_else_conflicts_is_named_with_what_solves_it(two_people):
    project, *_ = two_people
    for branch in ("theirs", "mine"):
        git(project, "checkout", "-q", branch)
        project.db("diagram").assert_ok()
        project.write("NOTES", branch)
        commit(project, "drawn")
    git(project, "merge", "theirs", ok=False)
    said = project.db("rebase").assert_ok().err
    files = "NOTES, docs/schema.md (make diagram)"
    add = "git add my_app/migrations NOTES docs/schema.md"
    assert f"Then solve what else conflicts, {files}, {add} && git merge --continue." in said
    project.db("diagram").assert_ok()
    project.write("NOTES", "both")
    git(project, *add.split()[1:])
    git(project, "merge", "--continue")
    project.db("check").assert_ok()


def test_what_writes_a_migration_writes_the_file(blog):
    written = []
    for command in (
        ["revision", "-m", "one"],
        ["revision", "-m", "two", "--head", HEAD, "--splice"],
    ):
        blog.db(*command).assert_ok()
        written.append((blog.path / FILE).read_text().split())
    (first,), both = written
    assert first in both and len(both) == 2  # a line for each
    blog.db("merge", "heads", "-m", "three").assert_ok()
    (head,) = (blog.path / FILE).read_text().split()
    assert blog.db("heads").out.split()[0] == head


def test_one_that_fails_its_proof_stays_and_the_file_names_it(blog):
    blog.write(FILE, "")
    blog.replace("my_app/models/post.py", "    summary:", "    x: Mapped[str | None]\n    summary:")
    blog.replace(
        "my_app/migrations/script.py.mako", "def downgrade():\n", "def downgrade():\n    return\n"
    )
    blog.db("migrate").assert_one_sentence("downgrade")
    assert (blog.path / FILE).read_text().split() == blog.db("heads").out.split()[:1] != [HEAD]


@pytest.mark.some(3)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ffffffffffff\n", ["names ffffffffffff, which is no migration", "make rebase"]),
        ("3f8a1c52d7e0\n", ["says 3f8a1c52d7e0", f"the head of the history is {HEAD}"]),
        ("", ["says nothing", f"the head of the history is {HEAD}"]),
        ("\xff\x00 not a\n revision", ["is no migration"]),
        (f"<<<<<<< mine\n{HEAD}\n=======\nffff\n>>>>>>> theirs\n", ["a conflict of git's"]),
    ],
)
def test_a_file_that_is_not_the_head_is_a_sentence_and_rebase_mends_it(blog, text, words):
    (blog.path / FILE).write_text(text, encoding="latin-1")
    blog.db("check").assert_one_sentence("head.txt", *words)
    for command in ("upgrade", "current", "status"):
        blog.db(command).assert_ok()
    assert "head.txt" in blog.db("rebase").assert_ok().err
    assert (blog.path / FILE).read_text() == f"{HEAD}\n"
    blog.db("check").assert_ok()


def test_several_heads_pass_where_the_file_names_each(blog):
    """A line for each head that is meant."""
    blog.migration("bbbb00000001", HEAD, "op.add_column('post', sa.Column('one', sa.Integer))",
        "op.drop_column('post', 'one')")  # fmt: skip
    blog.migration("bbbb00000002", HEAD, "op.add_column('post', sa.Column('two', sa.Integer))",
        "op.drop_column('post', 'two')")  # fmt: skip
    post = "    title: Mapped[str]"
    both = "    one: Mapped[int | None]\n    two: Mapped[int | None]\n"
    blog.replace("my_app/models/post.py", post, both + post)
    for command in (["check"], ["check", "--quick"]):
        blog.db(*command).assert_one_sentence("bbbb00000001", "bbbb00000002", "db merge heads")
    blog.head("bbbb00000002\nbbbb00000001")
    blog.db("schema").assert_ok()
    said = blog.db("check").assert_ok().err
    assert "heads: bbbb0000000" in said and "4 migrations linted and proved" in said
    blog.db("check", "--quick").assert_ok()
    for command in ("upgrade", "migrate"):
        blog.db(command).assert_one_sentence("as head.txt says", "db upgrade heads", "--head")
    blog.db("upgrade", "heads").assert_ok()
    blog.db("status").assert_ok()


def test_a_head_on_which_another_depends_is_no_error_and_cannot_be_moved(bare):
    """https://alembic.sqlalchemy.org/en/latest/branches.html#branch-dependencies"""
    for name in ("person", "sheet"):
        bare.model(name, "id: Mapped[int] = mapped_column(primary_key=True)")
        bare.migration(
            f"aaaa0000{name:_>8}",
            None,
            f"op.create_table({name!r}, sa.Column('id', sa.Integer, primary_key=True))",
            f"op.drop_table({name!r})",
        )
    first, last = "aaaa0000__person", "aaaa0000___sheet"
    bare.replace(
        f"my_app/migrations/versions/{last}_by_hand.py", "None\n", f"None\ndepends_on = {first!r}\n"
    )
    bare.db("rebase").assert_one_sentence(f"{last} depends on {first}", "head.txt, a line each")
    bare.head(f"{first}\n{last}")
    bare.db("schema").assert_ok()
    bare.db("check").assert_ok()
    bare.db("upgrade", "heads").assert_ok()
    bare.db("status").assert_ok()


def test_a_history_without_the_file_is_not_judged_and_gets_none(blog):
    (blog.path / FILE).unlink()
    blog.db("check").assert_ok()
    blog.db("revision", "-m", "one").assert_ok()
    blog.db("rebase").assert_ok()
    assert not (blog.path / FILE).exists()


def test_the_first_migration_of_two_people_conflicts_too(bare):
    assert (bare.path / FILE).read_text() == ""
    bare.db("check").assert_ok()
    git(bare, "init", "-q", "-b", "main")
    commit(bare, "all")
    files = {}
    for name in ("theirs", "mine"):
        git(bare, "checkout", "-q", "-b", name, "main")
        bare.model(name, "id: Mapped[int] = mapped_column(primary_key=True)")
        files[name] = bare.new_migration()
        commit(bare, name)
    assert f"Merge conflict in {FILE}" in git(bare, "merge", "theirs", ok=False)
    assert "They commute" in bare.db("rebase", revision(files["mine"])).assert_ok().err
    git(bare, "add", "my_app/migrations")
    git(bare, "merge", "--continue")
    bare.db("check").assert_ok()


def test_of_two_that_write_into_the_history_at_once_one_waits_and_one_that_is_killed_holds_nothing(
    blog,
):
    slow = "lambda *_: (open('begun', 'w').close(), time.sleep(float(os.environ.get('SLOWLY', 0))))"
    name = "my_app/extensions.py"
    code = f"import os, time\nkeel.alembic_ctx_kwargs['process_revision_directives'] = {slow}\n"
    blog.write(name, (blog.path / name).read_text() + code)
    blog.replace("my_app/models/post.py", "    title:", "    mood: Mapped[str | None]\n    title:")
    first = blog.start(*blog.manage, "db", "migrate", SLOWLY="60")
    while not (blog.path / "begun").exists():
        assert first.poll() is None
    blog.configure(MIGRATION_LOCK_WAIT=0.1)
    for command in ("migrate", "rebase"):
        blog.db(command).assert_one_sentence("Another command writes into", "wait for it")
    first.kill()
    first.communicate()
    blog.configure(MIGRATION_LOCK_WAIT=60)
    both = [blog.start(*blog.manage, "db", "migrate", SLOWLY="1") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(list(blog.versions.glob("*mood*"))) == 1
    assert sum("nothing to migrate" in text for text in said) == 1
